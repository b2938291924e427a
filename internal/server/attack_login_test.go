package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/signin"
	"doorward/internal/throttle"
)

// spray tries one password on n names of an organisation, spread over nodes, and returns how many tries were compared and how many held back.
func (w *town) spray(all []*doortest.World, slug, names string, n int, from func(i int) string) (compared, held int64) {
	w.T.Helper()
	o, before := w.Fabrikam, int64(0)
	for _, node := range all {
		before += node.Hasher.Count()
	}
	var stopped atomic.Int64
	const hands = 16
	atOnce(hands, func(hand int) {
		for i := hand; i < n; i += hands {
			desk, client := all[i%len(all)].Desk, access.Client{Address: from(i)}
			p, err := desk.Begin(w.T.Context(), signin.Start{Org: o, Slug: slug, Identifier: fmt.Sprintf("%s%d@fabrikam.example", names, i), Client: client})
			if err == nil {
				_, err = desk.Password(w.T.Context(), p.Key, "Summer weather 2026", client, signin.Held{})
			}
			switch {
			case refusal.Is(err, refusal.Limited):
				stopped.Add(1)
			case !refusal.Is(err, refusal.Invalid):
				w.T.Errorf("try %d: %v", i, err)
			}
		}
	})
	for _, node := range all {
		compared += node.Hasher.Count()
	}
	return compared - before, stopped.Load()
}

// AT-35: one password tried on two thousand names from one address, then on eight hundred from two hundred addresses: few are compared, each wave leaves one line that
// sums it up, and whoever has nothing to do with it signs in meanwhile.
func TestSprayFromManyAddresses(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Activate(w.Fabrikam, "ada@fabrikam.example", access.Core)
		k, signedIn := newKey(w.World), w.Browser()
		signedIn.Password(p).Want("login.enrol").Submit("method", "passkey").Want("login.enrol.passkey")
		signedIn.Submit("name", "key", "credential", k.create(optionsIn(signedIn.Body))).Submit("saved", "1").Want("dashboard")
		neighbour := w.Activate(w.Tailspin, "nora@tailspin.example", access.Core)
		lines := func(reason string) int {
			return w.Count(`select count(*) from events where action = 'signin.spray' and reason = $1 and org_id = $2`, reason, w.Fabrikam.ID)
		}
		const slack = 16 // what runs at the moment when the limit is reached

		compared, held := w.spray(all, "fabrikam", "a", 2000, func(int) string { return "203.0.113.7" })
		if compared < 50 || compared > 50+slack || compared+held != 2000 {
			t.Errorf("from one address %d tries were compared and %d held back", compared, held)
		}
		if lines("address") != 1 || lines("org") != 0 {
			t.Errorf("%d lines about the address, %d about the organisation", lines("address"), lines("org"))
		}
		if !w.signsIn(p, doortest.Password) {
			t.Error("from elsewhere the right password is held back")
		}

		compared, held = w.spray(all, "fabrikam", "b", 800, func(i int) string { return fmt.Sprintf("198.51.%d.%d", i%2, i/2%100) })
		if compared < 400 || compared > 450+slack || compared+held != 800 {
			t.Errorf("from two hundred addresses %d tries were compared and %d held back", compared, held)
		}
		if lines("address") != 1 || lines("org") != 1 {
			t.Errorf("then %d lines about addresses, %d about the organisation", lines("address"), lines("org"))
		}
		if n := w.Count(`select count(*) from event_persons p join events e on e.id = p.event_id where e.action = 'signin.spray' and p.data like '%203.0.113.7%'`); n != 1 {
			t.Errorf("%d of the lines name the address", n)
		}
		// Others go on: another organisation with the password, this one with a passkey, and who is signed in.
		if !w.signsIn(neighbour, doortest.Password) {
			t.Error("another organisation's sign-ins are held back")
		}
		if a := identified(w.World, "fabrikam", p.Email); a.post("password", "password", doortest.Password).Status != http.StatusTooManyRequests {
			t.Error("a password is compared though the organisation's limit is reached")
		}
		for i, node := range all {
			c := alone(node, "fabrikam")
			k.origin = c.b.World.Settings.PublicURL
			if c.give(k.get(c.ask())); c.b.Status != http.StatusOK || c.b.Cookie("session") == "" {
				t.Errorf("a passkey on node %d is answered %d %q", i, c.b.Status, c.b.Page())
			}
		}
		pr := proof(signedIn)
		pr.give(k.get(pr.ask())).Want("me")

		// After the window it is as before, and the next wave is told anew.
		w.Clock.Move(10 * time.Minute)
		if !w.signsIn(p, doortest.Password) {
			t.Error("after ten minutes the right password is held back")
		}
		w.spray(all, "fabrikam", "c", 60, func(int) string { return "203.0.113.7" })
		if lines("address") != 2 || lines("org") != 1 {
			t.Errorf("the next wave: %d lines about addresses, %d about the organisation", lines("address"), lines("org"))
		}
	})
}

// AT-23: whatever stands behind a name, a password costs one hash computation and a forgotten password none. The mail of the latter is written
// later, by who delivers it: no answer waits for a mail server.
func TestWorkAlike(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		w.Activate(w.Fabrikam, "known@fabrikam.example", access.Core)
		w.Enrol(w.Fabrikam, "enrolled@fabrikam.example", access.Administrator)
		w.keyed(w.Fabrikam, "keyed@fabrikam.example", access.Core)
		w.Invite(w.Fabrikam, "invited@fabrikam.example", access.Core)
		w.Activate(w.Fabrikam, "roleless@fabrikam.example")
		w.Activate(w.Tailspin, "elsewhere@fabrikam.example", access.Core)
		disabled := w.Activate(w.Fabrikam, "disabled@fabrikam.example", access.Core)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, disabled.Account); err != nil {
			t.Fatal(err)
		}
		locked := w.Activate(w.Fabrikam, "locked@fabrikam.example", access.Core)
		w.Exec(`update factors set state = 'disabled' where account_id = $1`, locked.Account)
		spent := w.Activate(w.Fabrikam, "spent@fabrikam.example", access.Core) // its next failure is the hundred and first
		settle(w.World)
		for _, slug := range []string{"fabrikam", "no-such"} {
			for _, who := range []string{"known", "enrolled", "keyed", "invited", "roleless", "elsewhere", "disabled", "locked", "spent", "nobody"} {
				for what, typed := range map[string]string{"a wrong password": "a wrong passphrase 1", "the right password": doortest.Password} {
					w.calm()
					if _, err := w.Gate.Take(t.Context(), throttle.Subject("password", string(spent.Account))); err != nil {
						t.Fatal(err)
					}
					w.Exec(`update throttles set failures = $1 where key = $2`, throttle.Disable, "password:"+string(spent.Account))
					a := identified(w.World, slug, who+"@fabrikam.example")
					hashes := w.Hasher.Count()
					r := a.post("password", "password", typed)
					if n := w.Hasher.Count() - hashes; n != 1 || r.Status >= 500 || r.Status == http.StatusTooManyRequests {
						t.Errorf("%s for %s at %s costs %d hashes: %d", what, who, slug, n, r.Status)
					}
				}
				hashes := w.Hasher.Count()
				if r := send(w.World, http.MethodPost, "/o/"+slug+"/forgot", url.Values{"identifier": {who + "@fabrikam.example"}}, nil); r.Status != http.StatusSeeOther {
					t.Errorf("a forgotten password of %s at %s is answered %d", who, slug, r.Status)
				}
				if n := w.Hasher.Count() - hashes; n != 0 {
					t.Errorf("a forgotten password of %s at %s costs %d hashes", who, slug, n)
				}
			}
		}

		// A link's page tells nothing by its cost either: one that was never issued costs none, like one that is over.
		_, link := w.Invite(w.Fabrikam, "gone@fabrikam.example", access.Core)
		gone := w.text(`select account_id from links where token_hash = $1`, secret.Hash(tokenOf(link)))
		w.Exec(`update links set state = 'used' where account_id = $1`, gone)
		for _, token := range []string{link, "/activate/" + never, "/reset/" + never} {
			hashes := w.Hasher.Count()
			if r := send(w.World, http.MethodPost, token, choose("a new passphrase 11"), nil); r.Status != http.StatusGone || w.Hasher.Count() != hashes {
				t.Errorf("a link that is no good is answered %d after %d hashes", r.Status, w.Hasher.Count()-hashes)
			}
		}
	})
}

// AT-23: a mail server that does not answer delays nobody.
func TestNoAnswerWaitsForMail(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		settle(w.World)
		release := make(chan struct{})
		w.Mailbox.SetRefuse(func(string) error { <-release; return nil })
		defer close(release)
		done := make(chan int, 1)
		go func() {
			r, err := transmit(w.World, http.MethodPost, "/o/fabrikam/forgot", url.Values{"identifier": {p.Email}}.Encode(), nil)
			if err != nil {
				t.Error(err)
			}
			done <- r.Status
		}()
		select {
		case status := <-done:
			if status != http.StatusSeeOther {
				t.Errorf("answered %d", status)
			}
		case <-time.After(10 * time.Second):
			t.Error("the answer waits for the mail server")
		}
		if n := w.Count(`select count(*) from outbox where account_id = $1 and kind = 'reset' and state in ('ready', 'running')`, p.Account); n != 1 {
			t.Errorf("%d mails are waiting", n)
		}
	})
}
