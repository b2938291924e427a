package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/org"
)

// keyed adds someone whose second factor is a security key, and returns it and the browser in which they are signed in.
func (w *town) keyed(o org.Org, email string, roles ...string) (*doortest.Person, *softkey, *doortest.Browser) {
	w.T.Helper()
	p := w.Activate(o, email, roles...)
	k, b := newKey(w.World), w.Browser()
	b.Password(p).Want("login.enrol").Submit("method", "passkey").Want("login.enrol.passkey")
	b.Submit("name", "blue key", "credential", k.create(optionsIn(b.Body))).Want("login.recovery-codes")
	p.Recovery = b.Recovery()
	b.Submit("saved", "1").Want("dashboard") // who has a key is offered none
	return p, k, b
}

// ceremony is one of the places where a key proves who is there.
type ceremony struct {
	name       string
	page, done string // where a wrong answer and a right one lead
	b          *doortest.Browser
	ask        func() string // a fresh question
	give       func(credential string) *doortest.Browser
}

func (c ceremony) wrong(credential string) bool {
	c.give(credential)
	return c.b.Status == http.StatusUnprocessableEntity && c.b.Page() == c.page && strings.Contains(c.b.Body, `role="alert"`)
}

// second is the second factor of a sign-in.
func second(p *doortest.Person) ceremony {
	p.World.T.Helper()
	a := halfIn(p)
	if p.Key != "" {
		a.Submit("way", "passkey")
	}
	a.Want("login.passkey")
	return ceremony{"second factor", "login.passkey", "dashboard", a.Browser, func() string {
		if optionsIn(a.Body) == "" {
			a.Get("/login/next?attempt=" + a.ID)
		}
		return optionsIn(a.Body)
	}, func(credential string) *doortest.Browser {
		p.World.T.Helper()
		return a.Browser.Post("/login/passkey", a.form("credential", credential))
	}}
}

// alone is a sign-in with a passkey and nothing else.
func alone(w *doortest.World, slug string) ceremony {
	b := w.Browser()
	return ceremony{"alone", "login.identifier", "dashboard", b, func() string {
		w.T.Helper()
		return b.Post("/o/"+slug+"/login/passkey", url.Values{"to": {""}}).WantStatus(http.StatusOK).Body
	}, func(credential string) *doortest.Browser {
		w.T.Helper()
		return b.Post("/login/passkey-alone", url.Values{"credential": {credential}})
	}}
}

// proof is the fresh proof of who is signed in.
func proof(b *doortest.Browser) ceremony {
	return ceremony{"fresh proof", "prove", "me", b, func() string {
		b.World.T.Helper()
		return b.Post("/me/prove/key", nil).WantStatus(http.StatusOK).Body
	}, func(credential string) *doortest.Browser {
		b.World.T.Helper()
		return b.Post("/me/prove", url.Values{"credential": {credential}, "to": {"/me"}})
	}}
}

// calm forgets all counts of failures.
func (w *town) calm() { w.T.Helper(); w.Exec(`delete from throttles`) }

func (w *town) sessions(p *doortest.Person) int {
	w.T.Helper()
	return w.Count(`select count(*) from sessions where account_id = $1`, p.Account)
}

func (w *town) failures(reason string) int {
	w.T.Helper()
	return w.Count(`select count(*) from events where action = 'signin.failed' and outcome = 'refused' and reason = $1`, reason)
}

// The way of a key: made at the first sign-in, asked for at the next, good alone, and as a fresh proof.
func TestSecurityKey(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, k, b := w.keyed(w.Fabrikam, "bea@fabrikam.example", access.Core)
		if len(p.Recovery) != 10 {
			t.Errorf("%d recovery codes", len(p.Recovery))
		}
		if m := w.Mailbox.Wait(p.Email, "factor-added", 1); !strings.Contains(m.Text, "blue key") || m.Link("/not-me/") == "" {
			t.Errorf("the mail says %q", m.Text)
		}
		if n := w.Events(w.Fabrikam.ID, "factor.enrolled"); n != 1 {
			t.Errorf("%d events", n)
		}
		b.Get("/me/security")
		if !strings.Contains(b.Text(), "blue key") {
			t.Error("the key's name is not on the page")
		}
		if handle := string(k.handle); len(handle) < 16 || strings.Contains(handle, string(p.Account)) || strings.Contains(handle, "bea") {
			t.Errorf("the user handle is %q", handle)
		}
		amr := func() string {
			return w.text(`select amr from sessions where account_id = $1 order by created_at desc, id desc limit 1`, p.Account)
		}

		// A second one, in the console; the first is excluded.
		other := newKey(w.World)
		b.Submit(":action", "/me/security/key").Want("me.security.key")
		q := other.read(optionsIn(b.Body))
		if len(q.Exclude) != 1 || q.Exclude[0].ID != raw64(k.id) || q.User.ID != raw64(k.handle) || q.RP.ID != k.rp {
			t.Errorf("the browser is told %+v", q)
		}
		b.Submit("name", "  travel \u2003 key ", "credential", other.create(optionsIn(b.Body))).Want("me.security")
		if got := w.text(`select name from factors where lookup = $1`, raw64(other.id)); got != "travel key" {
			t.Errorf("its name is %q", got)
		}
		w.Mailbox.Wait(p.Email, "factor-added", 2)
		if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'recovery'`, p.Account); n != 1 {
			t.Errorf("%d sets of recovery codes", n)
		}

		w.Clock.Move(time.Minute)
		for _, one := range []*softkey{k, other} {
			c := second(p)
			q := one.read(c.ask())
			if len(q.Allow) != 2 || q.RPID != k.rp {
				t.Errorf("the browser is told %+v", q)
			}
			c.give(one.get(c.ask())).Want("dashboard")
			if amr() != "pwd hwk mfa" {
				t.Errorf("signed in by %q", amr())
			}
			if n := w.Count(`select counter from factors where lookup = $1`, raw64(one.id)); n != int(one.count) {
				t.Errorf("the counter is %d, not %d", n, one.count)
			}
		}
		w.Clock.Move(time.Second)
		c := alone(w.World, "fabrikam")
		q = k.read(c.ask())
		if len(q.Allow) != 0 || q.UserVerification != "required" {
			t.Errorf("a question to any passkey is %+v", q)
		}
		c.give(k.get(c.ask())).Want("dashboard")
		if amr() != "hwk user mfa" {
			t.Errorf("signed in by %q", amr())
		}

		// It serves as a fresh proof, and the form that was interrupted arrives.
		was := c.b.Cookie("session")
		w.Clock.Move(11 * time.Minute)
		c.b.Post("/me/security/key", nil).Want("prove")
		pr := proof(c.b)
		question := pr.ask()
		c.b.Post("/me/prove", url.Values{"credential": {k.get(question)}, "to": {"/me/security/key"}, "resume": {"1"}}).Want("prove.resume").Submit().Want("me.security.key")
		if c.b.Cookie("session") == was || in(w.World, was) {
			t.Error("the session's secret survived the fresh proof")
		}

		// A key that cannot check who is there is a second factor, but nothing alone.
		plain := newKey(w.World)
		plain.flags = present
		c.b.Submit("name", "plain key", "credential", plain.create(optionsIn(c.b.Body))).Want("me.security")
		s := second(p)
		s.give(plain.get(s.ask())).Want("dashboard")
		c = alone(w.World, "fabrikam")
		if !c.wrong(plain.get(c.ask())) || !strings.Contains(c.b.Text(), "did not check that it is you") {
			t.Errorf("alone it is answered %d %q: %s", c.b.Status, c.b.Page(), c.b.Text())
		}

		// Removed, it is no good any more.
		f := w.text(`select id from factors where lookup = $1`, raw64(other.id))
		s.b.Post("/me/security/factors/"+f+"/remove", nil)
		w.Mailbox.Wait(p.Email, "factor-removed", 1)
		s = second(p)
		if !s.wrong(other.get(s.ask())) {
			t.Errorf("a key that was removed is answered %d", s.b.Status)
		}
	})
}

// A question is good once, for a while, and for the one who was asked (AT-50).
func TestQuestions(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, k, b := w.keyed(w.Fabrikam, "bea@fabrikam.example", access.Core)
		all := map[string]func() ceremony{"second": func() ceremony { return second(p) }, "alone": func() ceremony { return alone(w.World, "fabrikam") },
			"proof": func() ceremony { return proof(b) }}
		renewed := func() { // the proof's browser has to be fresh, or its page asks for one
			w.calm()
			w.Exec(`update sessions set proved_at = $1, last_used_at = $1`, w.Clock.Now().UnixMicro())
		}
		for name, begin := range all {
			// Late.
			c := begin()
			late := k.get(c.ask())
			w.Clock.Move(10 * time.Minute)
			renewed()
			if !c.wrong(late) {
				t.Errorf("%s: after ten minutes answered %d %q", name, c.b.Status, c.b.Page())
			}
			c = begin()
			justIn := k.get(c.ask())
			w.Clock.Move(10*time.Minute - time.Second)
			renewed()
			if c.give(justIn); c.b.Page() != c.done {
				t.Errorf("%s: before ten minutes answered %d %q", name, c.b.Status, c.b.Page())
			}
			if name == "proof" && c.b.Page() == c.done {
				b = c.b
			}
			// Once more, where it was right, and anew.
			was := w.sessions(p)
			c.give(justIn)
			if again := begin(); !func() bool { again.ask(); return again.wrong(justIn) }() {
				t.Errorf("%s: the same answer anew is answered %d %q", name, again.b.Status, again.b.Page())
			}
			if n := w.sessions(p) - was; n != 0 {
				t.Errorf("%s: an answer that was used made %d sessions", name, n)
			}
			// For someone else: every other place, and another sign-in of the same kind.
			for elsewhere, there := range all {
				w.calm()
				from, to := begin(), there()
				credential := k.get(from.ask())
				to.ask()
				if name == "proof" && elsewhere == "proof" {
					continue // it is the same browser: the newest question counts
				}
				if !to.wrong(credential) {
					t.Errorf("the answer of %s at %s is answered %d %q", name, elsewhere, to.b.Status, to.b.Page())
				}
			}
		}

		// A registration's challenge proves nothing, and a proof's registers nothing.
		w.calm()
		renewed()
		b.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
		registration := optionsIn(b.Body)
		for name, begin := range all {
			c := begin()
			c.ask()
			w.calm()
			if !c.wrong(k.get(registration)) {
				t.Errorf("%s: a registration's challenge is answered %d", name, c.b.Status)
			}
		}
		c := second(p)
		b.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
		var q, mine map[string]any
		for text, into := range map[string]*map[string]any{c.ask(): &q, optionsIn(b.Body): &mine} {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
		}
		mine["challenge"] = q["challenge"]
		mixed, err := json.Marshal(mine)
		if err != nil {
			t.Fatal(err)
		}
		b.Submit("name", "x", "credential", newKey(w.World).create(string(mixed))).WantStatus(http.StatusUnprocessableEntity).Want("me.security.key")
	})
}

// A key opens its owner's account in its organisation and no other (AT-49), and not when that is disabled.
func TestWhoseKey(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, hers, in := w.keyed(w.Fabrikam, "bea@fabrikam.example", access.Core)
		_, his, _ := w.keyed(w.Tailspin, "carl@tailspin.example", access.Core)
		ann, ofAnn, _ := w.keyed(w.Tailspin, "bea@fabrikam.example", access.Core) // the same address, another account
		if bytes.Equal(hers.handle, ofAnn.handle) || bytes.Equal(hers.handle, his.handle) {
			t.Error("two accounts have one handle")
		}
		was := w.Count(`select count(*) from sessions`)
		like := ""
		for name, k := range map[string]*softkey{"unknown": newKey(w.World), "of another organisation": his, "of the same address elsewhere": ofAnn} {
			c := alone(w.World, "fabrikam")
			if !c.wrong(k.get(c.ask())) {
				t.Errorf("a key %s is answered %d %q alone", name, c.b.Status, c.b.Page())
			}
			seen := c.b.Text()
			if like == "" {
				like = seen
			}
			if seen != like {
				t.Errorf("a key %s is answered otherwise than others", name)
			}
			c = second(bea)
			if !c.wrong(k.get(c.ask())) || !func() bool { c.ask(); return c.wrong(k.get(c.ask(), func(a *answer) { a.Handle = hers.handle })) }() {
				t.Errorf("a key %s is answered %d %q as a second factor", name, c.b.Status, c.b.Page())
			}
			c = proof(in)
			if !c.wrong(k.get(c.ask())) {
				t.Errorf("a key %s is answered %d %q as a fresh proof", name, c.b.Status, c.b.Page())
			}
			w.calm()
		}
		// A question of another organisation's page, and one that does not exist.
		for _, slug := range []string{"tailspin", "contoso", "no-such"} {
			c := alone(w.World, slug)
			if !c.wrong(hers.get(c.ask())) {
				t.Errorf("at %s her key is answered %d %q", slug, c.b.Status, c.b.Page())
			}
		}
		// The fresh proof of one session is not the other's.
		s := second(ann)
		s.give(ofAnn.get(s.ask())).Want("dashboard")
		there := s.b
		question := proof(there).ask()
		stolen := there.Cookie("proof")
		r := send(w.World, http.MethodPost, "/me/prove", url.Values{"credential": {ofAnn.get(question)}, "to": {"/me"}},
			with("Cookie", "door-session="+in.Cookie("session")+"; door-proof="+stolen))
		if sessionIn(r) || r.Status != http.StatusUnprocessableEntity {
			t.Errorf("another's proof is answered %d", r.Status)
		}
		if n := w.Count(`select count(*) from sessions`) - was; n != 1 {
			t.Errorf("%d sessions were made", n-1)
		}

		// Disabled: told so once the key was proved, and never before.
		w.calm()
		half, waiting := second(bea), alone(w.World, "fabrikam")
		ready := waiting.ask()
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, bea.Account); err != nil {
			t.Fatal(err)
		}
		if half.give(hers.get(half.ask())); half.b.Page() == "dashboard" || half.b.Cookie("session") != "" {
			t.Errorf("disabled between the steps: %q", half.b.Page())
		}
		if !waiting.wrong(his.get(ready)) {
			t.Errorf("another key says %q", waiting.b.Page())
		}
		waiting.give(hers.get(waiting.ask())).Want("login.denied")
		if waiting.b.Reason() != "account_disabled" || waiting.b.Cookie("session") != "" {
			t.Errorf("refused for %q", waiting.b.Reason())
		}
		if n := w.Count(`select count(*) from events where action = 'signin.refused' and reason = 'account_disabled'`); n != 1 {
			t.Errorf("%d events of that", n)
		}
		late := second(bea)
		late.give(hers.get(late.ask())).Want("login.denied")
		if err := w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, bea.Account); err != nil {
			t.Fatal(err)
		}
		if err := w.Directory.SetRoles(t.Context(), doortest.Operator(), w.Fabrikam.ID, bea.Account, nil); err != nil {
			t.Fatal(err)
		}
		c := alone(w.World, "fabrikam")
		c.give(hers.get(c.ask())).Want("login.denied")
		if c.b.Reason() != "no_role" {
			t.Errorf("refused for %q", c.b.Reason())
		}
	})
}

// Fifty times the same answer at once, over all nodes: one session (AT-50).
func TestOneAnswerAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p, k, _ := w.keyed(w.Fabrikam, "bea@fabrikam.example", access.Core)
		was := w.sessions(p)
		a := halfIn(p)
		credential := k.get(optionsIn(a.Body))
		together(t, all, func(int) (string, url.Values, http.Header) {
			return "/login/passkey", a.form("credential", credential), held(a.Browser)
		})
		if n := w.sessions(p) - was; n != 1 {
			t.Errorf("one answer as a second factor made %d sessions", n)
		}
		was = w.sessions(p)
		c := alone(w.World, "fabrikam")
		credential = k.get(c.ask())
		h := held(c.b)
		together(t, all, func(int) (string, url.Values, http.Header) {
			return "/login/passkey-alone", url.Values{"credential": {credential}}, h
		})
		if n := w.sessions(p) - was; n != 1 {
			t.Errorf("one answer alone made %d sessions", n)
		}
		// The same answer in fifty sign-ins that asked for themselves.
		was = w.sessions(p)
		attempts := make([]attempt, 50)
		for i := range attempts {
			attempts[i] = halfIn(p)
		}
		credential = k.get(optionsIn(attempts[7].Body))
		together(t, all, func(i int) (string, url.Values, http.Header) {
			return "/login/passkey", attempts[i].form("credential", credential), held(attempts[i].Browser)
		})
		if n := w.sessions(p) - was; n != 1 {
			t.Errorf("one answer in fifty sign-ins made %d sessions", n)
		}
		// One registration's answer makes one key.
		q := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
		e := halfIn(q)
		e.Submit("method", "passkey").Want("login.enrol.passkey")
		credential = newKey(w.World).create(optionsIn(e.Body))
		together(t, all, func(int) (string, url.Values, http.Header) {
			return "/login/enrol-passkey", e.form("credential", credential, "name", "key"), held(e.Browser)
		})
		if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'passkey' and state = 'active'`, q.Account); n != 1 {
			t.Errorf("one registration made %d keys", n)
		}
		if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'recovery'`, q.Account); n != 1 {
			t.Errorf("and %d sets of recovery codes", n)
		}
	})
}

// Accounts that register one authenticator's credential at the same moment, in the console and at a first sign-in, over all nodes: one gets it,
// the others are told at the page that it is registered already, and go on.
func TestOneKeyOfManyAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		all := nodes(t, w.World)
		type place struct {
			who        *doortest.Person
			b          *doortest.Browser
			path, page string
			form       func(credential string) url.Values
		}
		var places []place
		for i := range 8 {
			email := string(rune('a'+i)) + "@fabrikam.example"
			if i%2 == 0 {
				p, b := w.enrolled(w.Fabrikam, email, access.Core)
				places = append(places, place{p, b, "/me/security/key/confirm", "me.security.key", func(credential string) url.Values {
					return url.Values{"credential": {credential}, "name": {"key"}}
				}})
				continue
			}
			a := halfIn(w.Activate(w.Fabrikam, email, access.Core))
			a.Submit("method", "passkey").Want("login.enrol.passkey")
			places = append(places, place{&doortest.Person{Email: email}, a.Browser, "/login/enrol-passkey", "login.enrol.passkey", func(credential string) url.Values {
				return a.form("credential", credential, "name", "key")
			}})
		}
		k := newKey(w.World)
		answers := make([]string, len(places))
		for i, p := range places {
			if p.page == "me.security.key" {
				p.b.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
			}
			answers[i] = k.create(optionsIn(p.b.Body))
		}
		events := w.failures("enrol-passkey")
		var won, told atomic.Int64
		atOnce(len(places), func(i int) {
			r, err := transmit(all[i%len(all)], http.MethodPost, places[i].path, places[i].form(answers[i]).Encode(), held(places[i].b))
			switch {
			case err != nil:
				t.Error(err)
			case r.Status == http.StatusSeeOther:
				won.Add(1)
			case r.Status == http.StatusUnprocessableEntity && r.Page() == places[i].page && slices.Equal(r.Faults(), []string{"credential"}) && strings.Contains(r.Body, "registered already"):
				told.Add(1)
			default:
				t.Errorf("%s is answered %d %q %v", places[i].path, r.Status, r.Page(), r.Faults())
			}
		})
		if won.Load() != 1 || told.Load() != int64(len(places)-1) {
			t.Errorf("%d registered it, %d were told", won.Load(), told.Load())
		}
		if n := w.Count(`select count(*) from factors where kind = 'passkey' and state = 'active' and lookup = $1`, raw64(k.id)); n != 1 {
			t.Errorf("%d rows have it", n)
		}
		if n := w.failures("enrol-passkey") - events; n != len(places)-1 {
			t.Errorf("%d events of refused keys", n)
		}
		// Who was refused goes on with another key.
		for _, p := range places {
			if p.page != "me.security.key" || w.Count(`select count(*) from factors where kind = 'passkey' and account_id = $1 and state = 'active'`, p.who.Account) > 0 {
				continue
			}
			p.b.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
			p.b.Submit("name", "another", "credential", newKey(w.World).create(optionsIn(p.b.Body))).Want("me.security")
		}
	})
}

// The question to any passkey is alike for everybody and every organisation (AT-24).
func TestQuestionTellsNothing(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.keyed(w.Fabrikam, "bea@fabrikam.example", access.Core)
		shape := func(slug string) string {
			var m map[string]any
			text := alone(w.World, slug).ask()
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatal(err)
			}
			if len(m["challenge"].(string)) < 22 {
				t.Errorf("the challenge is %v", m["challenge"])
			}
			m["challenge"] = ""
			out, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
		like := shape("fabrikam")
		for _, slug := range []string{"tailspin", "no-such", "contoso"} {
			if got := shape(slug); got != like {
				t.Errorf("%s asks %s, not %s", slug, got, like)
			}
		}
	})
}
