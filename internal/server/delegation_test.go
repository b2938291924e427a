package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
)

// A technician comes into a customer through the parent's sign-in and back; the customer's log says who came. Who is not let in is told
// so plainly, and a customer that does not exist is answered alike.
func TestThroughTheParent(t *testing.T) {
	doortest.On(t, func(t *testing.T, w *doortest.World) {
		founded, _ := w.Found()
		msp := w.Org(access.MSP, founded.Org.ID, "contoso", "Contoso IT")
		other := w.Org(access.MSP, founded.Org.ID, "tailspin", "Tailspin")
		customer := w.Org(access.Customer, msp.ID, "fabrikam", "Fabrikam")
		standalone := w.Org(access.Customer, founded.Org.ID, "solo", "Solo")
		tech := w.Enrol(msp, "tech@contoso.example", access.Administrator)
		loose := w.Enrol(msp, "loose@contoso.example", access.Editor) // in no group
		stranger := w.Enrol(other, "eve@tailspin.example", access.Administrator)
		support := w.Enrol(founded.Org, "support@acme.example", access.Support)

		b := w.Browser()
		b.Get("/o/fabrikam/login").Follow("Sign in with your Contoso IT account").Want("login.identifier")
		if b.At.Path != "/o/contoso/login" {
			t.Fatalf("the button leads to %s", b.At)
		}
		b.Submit("identifier", tech.Email).Submit("password", doortest.Password).Want("login.totp").Submit("code", tech.Code()).Want("dashboard")
		if b.At.Path != "/o/fabrikam/" || !strings.Contains(b.Text(), "You are in Fabrikam") {
			t.Errorf("the technician stands at %s", b.At)
		}
		b.Get("/o/fabrikam/users").Want("users")
		if n := w.Events(customer.ID, "org.entered"); n != 1 {
			t.Errorf("the customer's log has %d entries, want one per session and hour", n)
		}
		w.Clock.Move(61 * time.Minute)
		b.Get("/o/fabrikam/").Want("welcome") // idle for over an hour: signed out
		b.SignIn(tech).Get("/o/fabrikam/").Want("dashboard")
		if n := w.Events(customer.ID, "org.entered"); n != 2 {
			t.Errorf("another session left %d entries, want 2", n)
		}

		s := w.Browser()
		s.Get("/o/solo/login").Follow("Sign in with your Acme Provider account").Submit("identifier", support.Email).Submit("password", doortest.Password)
		s.Submit("code", support.Code()).Want("dashboard")
		if s.At.Path != standalone.HomePath() {
			t.Errorf("the provider's support stands at %s", s.At)
		}

		for _, p := range []*doortest.Person{loose, stranger} {
			for _, slug := range []string{"fabrikam", "no-such-customer"} {
				e := w.Browser()
				e.Get(p.Org.SignInPath()+"?to="+url.QueryEscape("/o/"+slug+"/users")).Submit("identifier", p.Email).Submit("password", doortest.Password)
				e.Submit("code", p.Code()).Want("login.denied")
				if n := w.Count(`select count(*) from events where request_id = $1 and action = 'signin.refused'`, e.ByID("ref")); n != 1 {
					t.Errorf("the id on the page is in %d events, want 1", n)
				}
				if e.Reason() != "not_added" || e.Cookie("session") != "" {
					t.Errorf("%s into %s: reason %q, session %q", p.Email, slug, e.Reason(), e.Cookie("session"))
				}
			}
		}
		if n := w.Events(customer.ID, "org.entered"); n != 2 {
			t.Errorf("a refused technician left an entry: %d", n)
		}
	})
}

// Something sensitive with a proof older than ten minutes asks for a fresh one, and then goes on with what was typed.
func TestStepUp(t *testing.T) {
	doortest.On(t, func(t *testing.T, w *doortest.World) {
		founded, _ := w.Found()
		msp := w.Org(access.MSP, founded.Org.ID, "contoso", "Contoso IT")
		admin := w.Enrol(msp, "ada@contoso.example", access.Administrator)
		b := w.Browser()
		b.SignIn(admin).Want("dashboard")
		before := b.Cookie("session")
		w.Clock.Move(11 * time.Minute)

		b.Get("/o/contoso/users/invite").Want("users.invite").Submit("emails", "bob@contoso.example", "roles", access.Viewer).Want("users")
		b.Get("/o/contoso/users/invite").Submit("emails", "carl@contoso.example", "roles", access.Administrator).Want("prove")
		if n := w.Count(`select count(*) from accounts where email_key = 'carl@contoso.example'`); n != 0 {
			t.Fatal("an administrator was invited with an old proof")
		}
		b.Submit("proof_code", "000000").WantStatus(422).Want("prove")
		b.Submit("proof_code", admin.Code()).Want("prove.resume")
		if b.Cookie("session") == before {
			t.Error("the session's secret survived the step-up")
		}
		b.Submit("emails", "carl@contoso.example").Want("users")
		if n := w.Count(`select count(*) from assignments s join accounts a on a.id = s.account_id where a.email_key = 'carl@contoso.example' and s.role = 'administrator'`); n != 1 {
			t.Error("the interrupted invitation was lost")
		}

		w.Clock.Move(11 * time.Minute)
		bob := w.Activate(msp, "dora@contoso.example", access.Viewer)
		b.Get("/o/contoso/users/"+string(bob.Account)).Want("user").Submit(":action", "/roles", "roles", access.Editor).Want("prove")
		b.Submit("proof_code", admin.Code()).Want("prove.resume").Submit("roles", access.Editor).Want("user")
		if n := w.Events(msp.ID, "account.roles_changed"); n != 1 {
			t.Errorf("%d role changes, want 1", n)
		}
		for _, form := range []string{"/me/security/app", "/me/security/password"} {
			w.Clock.Move(11 * time.Minute)
			b.Post(form, url.Values{"password": {doortest.Password}, "new_password": {"a quite new phrase 5"}, "confirm_password": {"a quite new phrase 5"}}).Want("prove")
			if strings.Contains(b.Body, "a quite new phrase 5") {
				t.Error("a password travels through the page")
			}
		}
	})
}
