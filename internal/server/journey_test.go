package server_test

import (
	"strings"
	"testing"

	"doorward/internal/doortest"
	"doorward/internal/factor"
)

// The main job, from an empty database to a person on the dashboard, over HTTP and real mail.
func TestJourney(t *testing.T) {
	doortest.On(t, func(t *testing.T, w *doortest.World) {
		founded, link := w.Found()
		root := &doortest.Person{World: w, Org: founded.Org, Email: "root@acme.example"}
		b := w.Browser()
		b.Get(link).Want("activate").Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("activate.done")
		b.Follow("/login").Want("login.identifier").Submit("identifier", root.Email).Want("login.password").Submit("password", doortest.Password)
		b.Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
		root.Key = strings.ReplaceAll(b.ByID("totp-secret"), " ", "")
		b.Submit("code", code(t, root.Key, w)).Settle()

		// The provider's administrator makes an MSP and invites its administrator.
		b.Follow("/orgs").Want("orgs").Follow("/orgs/new").Want("org.new")
		b.Submit("kind", "msp", "name", "Contoso IT", "slug", "contoso").Want("users.invite")
		b.Submit("emails", "ada@contoso.example", "roles", "administrator").Want("users")
		if !strings.Contains(b.Text(), "ada@contoso.example") {
			t.Error("the invited person is not in the list")
		}
		ada := arrive(t, w, "ada@contoso.example")

		// The MSP's administrator makes a customer and invites two people, one of them in German.
		a := w.Browser()
		a.Get(ada).Want("activate").Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("activate.done")
		adaPerson := &doortest.Person{World: w, Email: "ada@contoso.example"}
		a.Follow("/login").Submit("identifier", adaPerson.Email).Submit("password", doortest.Password).Want("login.enrol").Submit("method", "totp")
		adaPerson.Key = strings.ReplaceAll(a.ByID("totp-secret"), " ", "")
		a.Submit("code", code(t, adaPerson.Key, w)).Settle()
		a.Follow("/orgs").Follow("/orgs/new").Submit("name", "Fabrikam", "slug", "fabrikam").Want("users.invite")
		a.Submit("emails", "bea@fabrikam.example, carl@fabrikam.example", "roles", "administrator", "language", "de").Want("users")
		mail := w.Mailbox.Wait("bea@fabrikam.example", "invite", 1)
		if mail.Language != "de" || !strings.Contains(mail.Text, "Fabrikam") || !strings.Contains(mail.Text, "ada@contoso.example") {
			t.Errorf("the invitation is not in German, or does not name organisation and inviter:\n%s", mail.Text)
		}
		if !strings.HasPrefix(mail.Link("/activate/"), w.Settings.PublicURL) || !strings.HasSuffix(mail.Link("/o/fabrikam/"), "/o/fabrikam/login") {
			t.Errorf("links: %v", mail.Links())
		}
		if !strings.Contains(mail.HTML, mail.Link("/activate/")) {
			t.Error("the HTML part lacks the link of the text part")
		}

		// The invited person gets in.
		p := w.Browser()
		p.Get(mail.Link("/activate/")).Want("activate")
		if p.Lang() != "de" {
			t.Errorf("the activation page speaks %q", p.Lang())
		}
		p.Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("activate.done").Follow("/login")
		p.Submit("identifier", "BEA@Fabrikam.example").Submit("password", doortest.Password).Want("login.enrol").Submit("method", "totp")
		bea := &doortest.Person{World: w, Email: "bea@fabrikam.example", Key: strings.ReplaceAll(p.ByID("totp-secret"), " ", "")}
		p.Submit("code", code(t, bea.Key, w)).Settle()
		if !strings.Contains(p.Text(), "Fabrikam") {
			t.Error("the dashboard does not name the organisation")
		}
		w.Mailbox.Wait(bea.Email, "factor-added", 1)

		// Sign out, and in again with a code.
		p.Post("/logout", nil).Want("welcome")
		p.Get("/o/fabrikam/").Want("welcome").Follow("/login").Submit("identifier", bea.Email).Submit("password", doortest.Password).Want("login.totp")
		p.Submit("code", bea.Code()).Want("dashboard")

		// A second browser, then a forgotten password: the first one's session ends, the factor is still asked for.
		q := w.Browser()
		q.Get("/o/fabrikam/forgot").Want("forgot").Submit("identifier", bea.Email).Want("forgot.sent")
		reset := w.Mailbox.Wait(bea.Email, "reset", 1)
		const second = "another fine passphrase 9"
		q.Get(reset.Link("/reset/")).Want("reset").Submit("new_password", second, "confirm_password", second).Want("login.identifier")
		w.Mailbox.Wait(bea.Email, "password-changed", 1)
		p.Get("/o/fabrikam/").Want("welcome")
		p.Get("/me").Want("error")
		q.Submit("identifier", bea.Email).Submit("password", doortest.Password).WantStatus(422).Want("login.password")
		q.Submit("password", second).Want("login.totp").Submit("code", bea.Code()).Want("dashboard")
		q.Get(reset.Link("/reset/")).Want("error")
		if q.Reason() != "expired" {
			t.Errorf("a used reset link answers %q", q.Reason())
		}

		if n := w.Events(founded.Org.ID, "signin.finished"); n != 1 {
			t.Errorf("the provider's log has %d sign-ins, want 1", n)
		}
		for _, secret := range []string{doortest.Password, second, bea.Key, mail.Link("/activate/")[len(w.Settings.PublicURL)+10:], q.Cookie("session")} {
			if secret == "" || strings.Contains(w.Logs.String(), secret) {
				t.Errorf("a secret (%d characters) is in the log", len(secret))
			}
		}
	})
}

func arrive(t *testing.T, w *doortest.World, email string) string {
	t.Helper()
	link := w.Mailbox.Wait(email, "invite", 1).Link("/activate/")
	if link == "" {
		t.Fatal("no activation link in the mail")
	}
	return link
}

func code(t *testing.T, key string, w *doortest.World) string {
	t.Helper()
	c, err := factor.CodeAt(key, w.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
