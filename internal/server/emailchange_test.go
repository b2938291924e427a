package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/refusal"
)

// address returns the address of an account.
func (w *town) address(p *doortest.Person) string {
	w.T.Helper()
	return w.text(`select email from accounts where id = $1`, p.Account)
}

// ask begins to change somebody's address as the operator, and returns the path of the link that went to the new one, the nth of its mails.
func (w *town) ask(p *doortest.Person, to string, nth int) string {
	w.T.Helper()
	if err := w.Directory.ChangeEmail(w.T.Context(), doortest.Operator(), p.Org.ID, p.Account, to); err != nil {
		w.T.Fatal(err)
	}
	return path(w, w.Mailbox.Wait(to, "email-confirm", nth).Link("/confirm-email/"))
}

// Somebody changes their address: the old one is told at once and when it is done, the new one confirms, and nothing changes before that. Sessions go on, resets that
// went to the old address die (AT-14), and the log has both.
func TestEmailChanged(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		const fresh = "bea.new@fabrikam.example"
		w.Browser().Get("/o/fabrikam/forgot").Submit("identifier", p.Email).Want("forgot.sent")
		reset := path(w, w.Mailbox.Wait(p.Email, "reset", 1).Link("/reset/"))
		half := halfIn(p)
		half.Want("login.totp")

		for wrong, key := range map[string]string{"": "email", "no address": "email", "BEA@fabrikam.example": "email", "a@b.example, c@d.example": "email",
			"a@b.example\r\nBcc: x@y.example": "email"} { // AT-17
			b.Get("/me").Submit(":action", "/me/email", "email", wrong).WantStatus(http.StatusUnprocessableEntity).Want("me")
			if b.FieldError(key) == "" {
				t.Errorf("%q: nothing at the field", wrong)
			}
		}
		b.Get("/me").Submit(":action", "/me/email", "email", fresh).Want("me")
		if text := b.Text(); !strings.Contains(text, fresh+" waits to be confirmed") {
			t.Errorf("the page says %s", text)
		}
		link := path(w, w.Mailbox.Wait(fresh, "email-confirm", 1).Link("/confirm-email/"))
		if told := w.Mailbox.Wait(p.Email, "email-changing", 1); !strings.Contains(told.Text, fresh) || told.Link("/not-me/") == "" {
			t.Errorf("the old address is told %s", told.Text)
		}
		if !strings.HasPrefix(string(tokenOf(link)), "dwe_") {
			t.Errorf("the link is %s", link)
		}

		// Looking changes nothing; nor does the token elsewhere, or changed (AT-04).
		other := w.Browser()
		other.Get(link).Want("confirm-email")
		if text := other.Text(); !strings.Contains(text, fresh) || !strings.Contains(text, p.Email) {
			t.Errorf("the page says %s", text)
		}
		for _, wrong := range []string{strings.Replace(link, "/confirm-email/", "/reset/", 1), strings.Replace(link, "/confirm-email/", "/not-me/", 1),
			strings.Replace(link, "/confirm-email/", "/setup/", 1), link[:len(link)-1], link + "x"} {
			if r := send(w.World, http.MethodPost, wrong, choose("another fine passphrase 9"), nil); r.Status != http.StatusGone {
				t.Errorf("%s answers %d", wrong, r.Status)
			}
		}
		if w.address(p) != p.Email {
			t.Error("it is changed already")
		}
		other.Submit(":action", "/confirm-email/").Want("confirm-email.done")
		if w.address(p) != fresh {
			t.Errorf("the address is %s", w.address(p))
		}
		if told := w.Mailbox.Wait(p.Email, "email-changed", 1); !strings.Contains(told.Text, fresh) || told.Link("/not-me/") == "" {
			t.Errorf("the old address is told %s", told.Text)
		}
		b.Get("/me").WantStatus(http.StatusOK)
		w.Browser().Get(reset).WantStatus(http.StatusGone)
		half.Get("/login/next?attempt=" + half.ID).WantStatus(http.StatusGone)
		other.Get(link).WantStatus(http.StatusGone).Want("error")
		if r := send(w.World, http.MethodPost, link, nil, nil); r.Status != http.StatusGone || r.Reason() != "expired" {
			t.Errorf("the second time it answers %d %q", r.Status, r.Reason())
		}
		w.Clock.Move(time.Minute)
		if w.signsIn(p, doortest.Password) {
			t.Error("the old address signs in")
		}
		old := p.Email
		p.Email = fresh
		w.Browser().SignIn(p).Want("dashboard")
		if n := w.Count(`select count(*) from event_persons v join events e on e.id = v.event_id where e.action = 'account.email_changed' and v.data like '%' || $1 || '%' and v.data like '%' || $2 || '%'`,
			old, fresh); n != 1 {
			t.Errorf("%d events with both addresses", n)
		}
	})
}

// A change that waits ends by a newer one, by withdrawing it, by its time, by the account's end, and by a sign-out everywhere; five an hour are begun.
func TestEmailChangeEnds(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, a := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		dead := func(link, why string) {
			t.Helper()
			if r := send(w.World, http.MethodPost, link, nil, nil); r.Status != http.StatusGone || w.address(p) != p.Email {
				t.Errorf("%s: it answers %d, the address is %s", why, r.Status, w.address(p))
			}
		}
		first := w.ask(p, "one@fabrikam.example", 1)
		second := w.ask(p, "two@fabrikam.example", 1)
		dead(first, "a newer one")
		b.Get("/me").Submit(":action", "/me/email/stop").Want("me")
		dead(second, "withdrawn")
		b.Post("/me/email/stop", nil).Want("me") // nothing waits: said on the page
		third := w.ask(p, "three@fabrikam.example", 1)
		if text := a.Get(w.personPath(p)).Want("user").Text(); !strings.Contains(text, "three@fabrikam.example waits") {
			t.Error("the administrator does not see what waits")
		}
		a.Submit(":action", "/email/stop").Want("user")
		dead(third, "withdrawn by an administrator")
		fourth := w.ask(p, "four@fabrikam.example", 1)
		b.Get("/me/sessions").Submit(":action", "/end-all").Want("welcome")
		dead(fourth, "signed out everywhere")
		fifth := w.ask(p, "five@fabrikam.example", 1)
		if err := w.Directory.ChangeEmail(t.Context(), doortest.Operator(), p.Org.ID, p.Account, "six@fabrikam.example"); !refusal.Is(err, refusal.Limited) {
			t.Errorf("the sixth within an hour: %v", err)
		}
		w.Clock.Move(account.ConfirmLife)
		dead(fifth, "its time")
		sixth := w.ask(p, "six@fabrikam.example", 1)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), p.Org.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		dead(sixth, "disabled")
		if err := w.Directory.ChangeEmail(t.Context(), doortest.Operator(), p.Org.ID, p.Account, "seven@fabrikam.example"); !refusal.Is(err, refusal.Conflict) {
			t.Errorf("of a disabled account: %v", err)
		}
	})
}

// An administrator changes addresses of others, as far as the rights over them go; whoever was never active gets the invitation at the new one.
func TestEmailChangedByAdministrator(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, c := w.enrolled(w.Fabrikam, "cora@fabrikam.example", access.CoManager)
		carl := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
		c.Post(w.personPath(bea)+"/email", url.Values{"email": {"x@fabrikam.example"}}).WantStatus(http.StatusForbidden)
		b.Get(w.personPath(carl)).Submit(":action", "/email", "email", "bea@fabrikam.example").WantStatus(http.StatusUnprocessableEntity)
		if b.FieldError("email") == "" {
			t.Error("a taken address is taken")
		}
		b.Get(w.personPath(carl)).Submit(":action", "/email", "email", "carl2@fabrikam.example").Want("user")
		if told := w.Mailbox.Wait(carl.Email, "email-changing", 1); !strings.Contains(told.Text, "bea@fabrikam.example") {
			t.Errorf("the old address is told %s", told.Text)
		}
		w.Browser().Get(path(w, w.Mailbox.Wait("carl2@fabrikam.example", "email-confirm", 1).Link("/confirm-email/"))).Submit(":action", "/confirm-email/").Want("confirm-email.done")
		if w.address(carl) != "carl2@fabrikam.example" {
			t.Errorf("the address is %s", w.address(carl))
		}

		p, old := w.Invite(w.Fabrikam, "typo@fabrikam.example", access.Core)
		b.Get(w.personPath(p)).Submit(":action", "/email", "email", "right@fabrikam.example").Want("user")
		fresh := path(w, w.Mailbox.Wait("right@fabrikam.example", "invite", 1).Link("/activate/"))
		w.Browser().Get(old).Want("activate.expired")
		w.Browser().Get(fresh).Want("activate")
		if w.address(p) != "right@fabrikam.example" {
			t.Errorf("the address is %s", w.address(p))
		}
	})
}

// A thief who is in changes the address to their own. The owner's answer to any of the mails that went to the old one stops it, or takes it back: what that answer
// mails does not go to the thief.
func TestEmailChangeNotMe(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		say := func(link string) {
			t.Helper()
			if r := send(w.World, http.MethodPost, link, nil, nil); r.Location() != "/o/fabrikam/not-me/done" {
				t.Errorf("%s answers %d %q", link, r.Status, r.Location())
			}
		}
		// Before it is confirmed.
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		link := w.ask(p, "thief0@evil.example", 1)
		say(w.warned(p, "email-changing", 1))
		if r := send(w.World, http.MethodPost, link, nil, nil); r.Status != http.StatusGone || w.address(p) != p.Email {
			t.Errorf("it answers %d, the address is %s", r.Status, w.address(p))
		}
		b.Get("/me").WantStatus(http.StatusUnauthorized)
		w.Mailbox.Wait(p.Email, "reset", 1)

		// Afterwards, by each of the mails: of both changes, and of something before.
		for i, kind := range []string{"email-changing", "email-changed", "factor-added"} {
			p, b := w.enrolled(w.Fabrikam, fmt.Sprintf("p%d@fabrikam.example", i), access.Core)
			thief := fmt.Sprintf("thief%d@evil.example", i+1)
			w.Clock.Move(time.Minute)
			if r := send(w.World, http.MethodPost, w.ask(p, thief, 1), nil, nil); r.Location() != "/o/fabrikam/confirm-email/done" {
				t.Fatalf("it answers %d", r.Status)
			}
			w.Mailbox.Wait(p.Email, "email-changed", 1)
			w.Clock.Move(time.Minute)
			say(w.warned(p, kind, 1))
			if w.address(p) != p.Email {
				t.Errorf("%s: the address is %s", kind, w.address(p))
			}
			b.Get("/me").WantStatus(http.StatusUnauthorized)
			w.Mailbox.Wait(p.Email, "reset", 1)
			if w.password(p) != "disabled" {
				t.Errorf("%s: the password is %s", kind, w.password(p))
			}
		}

		// Somebody else got the address meanwhile: it stays theirs, and no reset is mailed to the thief.
		last, _ := w.enrolled(w.Fabrikam, "last@fabrikam.example", access.Core)
		w.Clock.Move(time.Minute)
		send(w.World, http.MethodPost, w.ask(last, "thief9@evil.example", 1), nil, nil)
		answer := w.warned(last, "email-changed", 1)
		w.Activate(w.Fabrikam, last.Email, access.Core)
		say(answer)
		if w.address(last) != "thief9@evil.example" || w.Count(`select count(*) from outbox where account_id = $1 and kind = 'reset'`, last.Account) != 0 {
			t.Error("the reset goes to the thief")
		}
	})
}

// A linked account has an address of its own, and changes it the same way.
func TestLinkedEmailChanged(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		tess := w.link("tess", access.Core)
		at := &doortest.Person{World: w.World, Org: w.Fabrikam, Account: tess.There, Email: tess.Email}
		tess.enter()
		tess.Get("/me").Submit(":action", "/me/email", "email", "tess.new@fabrikam.example").Want("me")
		w.Mailbox.Wait(tess.Email, "email-changing", 1)
		send(w.World, http.MethodPost, path(w, w.Mailbox.Wait("tess.new@fabrikam.example", "email-confirm", 1).Link("/confirm-email/")), nil, nil)
		if w.address(at) != "tess.new@fabrikam.example" || w.address(tess.Home) != tess.Home.Email {
			t.Errorf("here %s, at home %s", w.address(at), w.address(tess.Home))
		}
		if s, home := w.linkedState(tess.There); s != "active" || !home {
			t.Errorf("the account is %s, linked %t", s, home)
		}
	})
}

// Two accounts get one address at the same moment: one does, and the other is told. One link is good once, however often it is used.
func TestEmailChangeRaces(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		for i := range 4 {
			one, other := w.Activate(w.Fabrikam, fmt.Sprintf("one%d@fabrikam.example", i), access.Core), w.Activate(w.Fabrikam, fmt.Sprintf("other%d@fabrikam.example", i), access.Core)
			same := fmt.Sprintf("same%d@fabrikam.example", i)
			links := []string{w.ask(one, same, 1), w.ask(other, same, 2)}
			var wait sync.WaitGroup
			var done, told, gone atomic.Int32
			for n := range 8 {
				wait.Go(func() {
					switch r := send(w.World, http.MethodPost, links[n%2], nil, nil); {
					case r.Location() == "/o/fabrikam/confirm-email/done":
						done.Add(1)
					case r.Status == http.StatusUnprocessableEntity && strings.Contains(r.Body, "meanwhile"):
						told.Add(1)
					case r.Status == http.StatusGone:
						gone.Add(1)
					default:
						t.Errorf("it answers %d %s", r.Status, r.Page())
					}
				})
			}
			wait.Wait()
			if done.Load() != 1 || told.Load() != 4 || gone.Load() != 3 {
				t.Errorf("%d done, %d told, %d gone", done.Load(), told.Load(), gone.Load())
			}
			if n := w.Count(`select count(*) from accounts where org_id = $1 and email_key = $2`, w.Fabrikam.ID, same); n != 1 {
				t.Errorf("%d accounts have the address", n)
			}
		}
	})
}
