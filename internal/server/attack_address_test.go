package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/policy"
)

// Whoever got an address by a change holds warnings of their own there. The owner's "this wasn't me" has the last word.
func TestThiefTakesNothingBack(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Clock.Move(time.Minute)
		send(w.World, http.MethodPost, w.ask(p, "thief@evil.example", 1), nil, nil)
		w.Mailbox.Wait(p.Email, "email-changed", 1)
		w.Clock.Move(time.Minute)
		w.ask(p, "thief2@evil.example", 1) // its warning goes to the thief
		thiefs := path(w, w.Mailbox.Wait("thief@evil.example", "email-changing", 1).Link("/not-me/"))
		w.Clock.Move(time.Minute)
		send(w.World, http.MethodPost, w.warned(p, "email-changed", 1), nil, nil)
		if got := w.address(p); got != p.Email {
			t.Fatalf("after the owner's answer the address is %s", got)
		}
		w.Clock.Move(time.Minute)
		if r := send(w.World, http.MethodPost, thiefs, nil, nil); r.Status != http.StatusGone || w.address(p) != p.Email {
			t.Errorf("the thief's answer: %d, and the address is %s", r.Status, w.address(p))
		}
		settle(w.World)
		if n := w.Count(`select count(*) from events where data like '%@%'`); n != 0 {
			t.Errorf("%d events name an address where it cannot be erased", n)
		}
	})
}

// Where somebody else has got the owner's address meanwhile, the account is shut: what is mailed to it would be mailed to the thief.
func TestOccupiedAddressShutsTheAccount(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		p, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Clock.Move(time.Minute)
		send(w.World, http.MethodPost, w.ask(p, "thief@evil.example", 1), nil, nil)
		answer := w.warned(p, "email-changed", 1)
		w.Activate(w.Fabrikam, p.Email, access.Core)
		used := w.used(w.Fabrikam)
		send(w.World, http.MethodPost, answer, nil, nil)
		if got := w.state(p); got != string(account.Disabled) || w.used(w.Fabrikam) != used-1 {
			t.Errorf("the account is %s, %d seats of %d", got, w.used(w.Fabrikam), used)
		}
		w.Mailbox.Wait("ada@contoso.example", "not-me-alert", 1) // the customer has no administrator of its own
		w.Browser().Get("/o/fabrikam/forgot").Submit("identifier", "thief@evil.example")
		settle(w.World)
		for _, m := range w.Mailbox.All("thief@evil.example") {
			if m.Link("/reset/") != "" {
				t.Error("the thief is mailed a reset")
			}
		}
	})
}

// A change that somebody else asked for is confirmed as long as they still may: not when they are shut out, and not when the person has risen above them.
func TestChangeOutlivesNoRight(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		cora, _ := w.enrolled(w.Fabrikam, "cora@fabrikam.example", access.CoManager)
		w.Exec(`update seats set seat_limit = null`)
		for name, event := range map[string]func(p *doortest.Person) error{
			"disabled": func(*doortest.Person) error {
				return w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, cora.Account)
			},
			"risen": func(p *doortest.Person) error {
				return w.Directory.SetRoles(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, []string{access.Administrator})
			},
			"nothing": func(*doortest.Person) error { return nil },
		} {
			w.Exec(`update accounts set state = 'active' where id = $1`, cora.Account)
			c := w.Browser().SignIn(cora)
			p := w.Activate(w.Fabrikam, name+"@fabrikam.example", access.Core)
			fresh := name + "@evil.example"
			c.Get(w.personPath(p)).Submit(":action", "/email", "email", fresh).Want("user")
			link := path(w, w.Mailbox.Wait(fresh, "email-confirm", 1).Link("/confirm-email/"))
			if err := event(p); err != nil {
				t.Fatal(err)
			}
			send(w.World, http.MethodPost, link, nil, nil)
			if changed := w.address(p) == fresh; changed != (name == "nothing") {
				t.Errorf("who asked or is asked about is %s: the address is %s", name, w.address(p))
			}
			w.Clock.Move(time.Minute)
		}
	})
}

// Giving somebody pending another address invites them: it takes what an invitation takes.
func TestAddressOfWhoIsPending(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.set(w.Fabrikam.ID, policy.Settings{Invite: policy.InviteAdministrators})
		_, c := w.enrolled(w.Fabrikam, "cora@fabrikam.example", access.CoManager)
		pending, _ := w.Invite(w.Fabrikam, "pending@fabrikam.example", access.Core)
		if c.Post(w.personPath(pending)+"/email", url.Values{"email": {"anybody@else.example"}}); c.Status != http.StatusForbidden || w.address(pending) != pending.Email {
			t.Errorf("%d, and the address is %s", c.Status, w.address(pending))
		}
	})
}

// An administrator who is linked counts as one while their home is open; who alone is left then stays (mission D10).
func TestLinkedAdministratorWithoutHome(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		tess := w.link("tess", access.Administrator)
		w.Exec(`delete from assignments where org_id = $1 and role = 'administrator' and account_id <> $2`, w.Fabrikam.ID, tess.There)
		ann := w.Activate(w.Fabrikam, "ann@fabrikam.example", access.Administrator)
		w.delete(tess.Home)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, ann.Account); err == nil {
			t.Error("the last administrator who can sign in was disabled")
		}
	})
}

// Who was here once leaves the log when they go, also when they wait for an invitation again.
func TestUnlinkedLeavesTheLog(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		tess := w.link("tess", access.Core)
		tess.enter()
		if err := w.Directory.Unlink(t.Context(), doortest.Operator(), w.Fabrikam.ID, tess.There); err != nil {
			t.Fatal(err)
		}
		at := &doortest.Person{World: w.World, Org: w.Fabrikam, Account: tess.There, Email: tess.Email}
		if err := w.Directory.Withdraw(t.Context(), doortest.Operator(), w.Fabrikam.ID, tess.There); err != nil {
			t.Fatal(err)
		}
		w.purge()
		if got := w.state(at); got != "" {
			t.Errorf("the account is %s", got)
		}
		if n := w.Count(`select count(*) from event_persons p join events e on e.id = p.event_id where e.org_id = $1 and e.target_id = $2 and e.action <> 'account.withdrawn'`, w.Fabrikam.ID, tess.There); n != 0 {
			t.Errorf("%d events name who has gone", n)
		}
	})
}

// A job is for who could make it: its maker sees nobody's address any more when that right is gone.
func TestJobOfWhoLostTheRight(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.Activate(w.Fabrikam, "ann@fabrikam.example", access.Administrator)
		w.newcomers(b, w.Fabrikam, 60)
		at := w.job(b, "fabrikam", "", "action", "resend")
		w.work()
		if b.Get(at).Want("job"); b.Get(at+"/result").Status != http.StatusOK {
			t.Errorf("the result: %d", b.Status)
		}
		if err := w.Directory.SetRoles(t.Context(), doortest.Operator(), w.Fabrikam.ID, bea.Account, []string{access.Core}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{at, at + "/result"} {
			if b.Get(path); b.Status == http.StatusOK || strings.Contains(b.Body, "newcomer") {
				t.Errorf("%s: %d", path, b.Status)
			}
		}
	})
}
