package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/throttle"
)

// Nobody learns from an answer whether there is an account, or how it stands; and each costs one hash (AT-22, mission B3).
func TestAnswersAlike(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		known := w.Activate(w.Fabrikam, "known@fabrikam.example", access.Core)
		w.Exec(`update accounts set language = 'de', name = 'Known Person' where id = $1`, known.Account)
		w.Enrol(w.Fabrikam, "enrolled@fabrikam.example", access.Administrator)
		w.Invite(w.Fabrikam, "invited@fabrikam.example", access.Core)
		w.Activate(w.Tailspin, "elsewhere@fabrikam.example", access.Core)
		disabled := w.Enrol(w.Fabrikam, "disabled@fabrikam.example", access.Core)
		without := w.Activate(w.Fabrikam, "roleless@fabrikam.example")
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, disabled.Account); err != nil {
			t.Fatal(err)
		}
		// everything that a client sees of a sign-in with a wrong password, and of a forgotten one
		see := func(slug, identifier string) (seen []string) {
			hashes := w.Hasher.Count()
			note := func(r reply) reply {
				seen = append(seen, masked(r, identifier, url.QueryEscape(identifier)))
				return r
			}
			r := note(send(w.World, http.MethodPost, "/o/"+slug+"/login", url.Values{"identifier": {identifier}}, nil))
			holder := with("Cookie", "door-attempt0="+r.Cookie("attempt0"))
			note(send(w.World, http.MethodGet, r.Location(), nil, holder))
			_, id, _ := strings.Cut(r.Location(), "attempt=")
			for range 6 { // the last one has to wait
				note(send(w.World, http.MethodPost, "/login/password", url.Values{"attempt": {id}, "password": {"a wrong passphrase 1"}}, holder))
			}
			if n := w.Hasher.Count() - hashes; n != 5 {
				t.Errorf("five wrong passwords for %s cost %d hashes", identifier, n)
			}
			note(send(w.World, http.MethodPost, "/o/"+slug+"/forgot", url.Values{"identifier": {identifier}}, nil))
			return seen
		}
		like := see("fabrikam", "known@fabrikam.example")
		if !strings.Contains(like[2], `id="password-error"`) || !strings.HasPrefix(like[7], "429") || !strings.HasPrefix(like[8], "303") {
			t.Fatalf("unexpected answers:\n%s", strings.Join(like, "\n"))
		}
		for _, who := range []string{"nobody@fabrikam.example", "enrolled@fabrikam.example", "invited@fabrikam.example", "elsewhere@fabrikam.example",
			disabled.Email, without.Email, "nobody"} {
			for i, s := range see("fabrikam", who) {
				if s != like[i] {
					t.Errorf("answer %d to %s differs from that to a known one: %s", i, who, difference(s, like[i]))
				}
			}
		}
		// Where there is no organisation, the pages lack its name; everything else is the same.
		nowhere := see("no-such", "nobody@fabrikam.example")
		for i := range like {
			if a, b := headOf(nowhere[i]), headOf(like[i]); a != b {
				t.Errorf("answer %d without an organisation: %s", i, difference(a, b))
			}
		}
	})
}

// headOf is status and headers, without the tenant domain.
func headOf(s string) string {
	s, _, _ = strings.Cut(s, "<!")
	return strings.NewReplacer("no-such", "…", "fabrikam", "…").Replace(s)
}

// However many guesses come in at once, and on however many nodes, five are compared (AT-27).
func TestGuessesAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		hashes := func() (n int64) {
			for _, node := range all {
				n += node.Hasher.Count()
			}
			return n
		}
		guess := func(a attempt, step, field, value string) {
			t.Helper()
			var mu sync.Mutex
			answers := map[int]int{}
			atOnce(300, func(i int) {
				r, err := transmit(all[i%len(all)], http.MethodPost, "/login/"+step, a.form(field, value).Encode(), held(a.Browser))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				answers[r.Status]++
			})
			if answers[422] > 5 || answers[422]+answers[429] != 300 {
				t.Errorf("300 wrong guesses at %s are answered %v", step, answers)
			}
			if n := w.Count(`select count(*) from events where action = 'signin.failed' and reason = $1`, step); n != answers[422] {
				t.Errorf("%d events of %d failures at %s", n, answers[422], step)
			}
		}
		was := hashes()
		typing := identified(w.World, "fabrikam", p.Email)
		guess(typing, "password", "password", "a wrong passphrase 1")
		if n := hashes() - was; n > 5 {
			t.Errorf("%d passwords were compared", n)
		}
		if r := typing.post("password", "password", doortest.Password); r.Status != http.StatusTooManyRequests {
			t.Errorf("the right password right after is answered %d", r.Status)
		}
		w.Clock.Move(15 * time.Minute)
		typing = identified(w.World, "fabrikam", p.Email)
		typing.Submit("password", doortest.Password).Want("login.totp")
		guess(typing, "totp", "code", "000000")
		if r := typing.post("totp", "code", code(t, p.Key, w.World)); sessionIn(r) {
			t.Error("the right code right after was compared")
		}

		// Guesses at someone who is not there are slowed down in the same way.
		was = hashes()
		w.Exec(`update events set action = 'signin.failed.before' where action = 'signin.failed'`)
		w.Clock.Move(15 * time.Minute)
		guess(identified(w.World, "fabrikam", "nobody@fabrikam.example"), "password", "password", "a wrong passphrase 1")
		if n := hashes() - was; n > 5 {
			t.Errorf("%d passwords of nobody were hashed", n)
		}
	})
}

// The nth failure, from the fifth on, costs a wait of 2^(n-5) seconds, a quarter of an hour at most; a success begins anew.
func TestWaits(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		try := func(identifier, password string) reply {
			return identified(w.World, "fabrikam", identifier).post("password", "password", password)
		}
		for n := 1; n <= 17; n++ {
			for _, who := range []string{p.Email, "nobody@fabrikam.example"} {
				if r := try(who, "a wrong passphrase 1"); r.Status != http.StatusUnprocessableEntity {
					t.Fatalf("failure %d of %s is answered %d", n, who, r.Status)
				}
				wait := time.Duration(0)
				if n >= 5 {
					wait = min(time.Second<<(n-5), 15*time.Minute)
				}
				for range 2 { // who asks too early is told so, and it does not count
					if wait == 0 {
						break
					}
					r := try(who, doortest.Password)
					if r.Status != http.StatusTooManyRequests || r.Head.Get("Retry-After") != strconv.Itoa(int(wait.Seconds())) || r.Page() != "login.password" {
						t.Fatalf("after failure %d of %s: %d, Retry-After %q, want %s", n, who, r.Status, r.Head.Get("Retry-After"), wait)
					}
				}
			}
			if n >= 5 {
				w.Clock.Move(min(time.Second<<(n-5), 15*time.Minute))
			}
		}
		if r := try(p.Email, doortest.Password); r.Status != http.StatusSeeOther {
			t.Fatalf("the right password is answered %d", r.Status)
		}
		for n := range 5 {
			if r := try(p.Email, "a wrong passphrase 1"); r.Status != http.StatusUnprocessableEntity {
				t.Errorf("failure %d after a success is answered %d", n+1, r.Status)
			}
		}
	})
}

// Another spelling, another node, another address in a header: it is one counter (AT-25).
func TestOneCounter(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Exec(`update accounts set username = 'Bea.K', username_key = 'bea.k' where id = $1`, p.Account)
		w.Exec(`update throttles set failures = 0, blocked_until = 0`)
		spellings := []struct{ slug, identifier string }{
			{"fabrikam", "bea@fabrikam.example"}, {"fabrikam", "BEA@FABRIKAM.EXAMPLE"}, {"fabrikam", " bea@fabrikam.example "}, {"fabrikam", "bea.k"},
			{"fabrikam", "BEA.K "}, {"FABRIKAM", "bea@fabrikam.example"}, {"%20fabrikam", "Bea.K"}, {"f%61brikam", "bea@fabrikam.example"},
			{"fabrikam", "bea@ｆabrikam.example"}, {"fabrikam", "\u00a0bea@fabrikam.example"}, {"fabrikam", "bea@fabrikam.EXAMPLE\t"},
		}
		headers := []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X_Forwarded_For", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Forwarded-Host"}
		was, hashes := 0, func() (n int) {
			for _, node := range all {
				n += int(node.Hasher.Count())
			}
			return n
		}
		was = hashes()
		tries := 0
		for round := range 3 {
			for i, s := range spellings {
				node := all[tries%len(all)]
				h := with(headers[tries%len(headers)], fmt.Sprintf("198.51.100.%d", tries))
				r := send(node, http.MethodPost, "/o/"+s.slug+"/login", url.Values{"identifier": {s.identifier}}, h)
				h.Set("Cookie", "door-attempt0="+r.Cookie("attempt0"))
				_, id, _ := strings.Cut(r.Location(), "attempt=")
				r = send(node, http.MethodPost, "/login/password", url.Values{"attempt": {id}, "password": {"a wrong passphrase 1"}}, h)
				tries++
				if want := 422; tries > 5 {
					want = 429
					if r.Status != want {
						t.Errorf("round %d, spelling %d: answered %d, want %d", round, i, r.Status, want)
					}
				}
			}
		}
		// The forms of who is signed in count on it too.
		r := send(all[len(all)-1], http.MethodPost, "/me/security/password", url.Values{"password": {"a wrong passphrase 1"}, "new_password": {"another fine passphrase 9"},
			"confirm_password": {"another fine passphrase 9"}}, held(b))
		if r.Status != http.StatusTooManyRequests || r.Head.Get("Retry-After") == "" || r.Page() != "me.security" {
			t.Errorf("changing the password is answered %d %q, Retry-After %q", r.Status, r.Page(), r.Head.Get("Retry-After"))
		}
		if n := hashes() - was; n > 5 {
			t.Errorf("%d passwords were compared", n)
		}

		// So it is with codes: at the sign-in, and as a fresh proof.
		w.Clock.Move(time.Hour)
		b = w.Browser()
		b.SignIn(p).Want("dashboard")
		failed := func() int {
			return w.Count(`select count(*) from events where action = 'signin.failed' and reason = 'totp'`)
		}
		for i := range 12 {
			node := all[i%len(all)]
			who := *p
			who.World = node
			h := with(headers[i%len(headers)], fmt.Sprintf("198.51.100.%d", i))
			if i%2 == 0 {
				a := halfIn(&who)
				h.Set("Cookie", held(a.Browser).Get("Cookie"))
				r = send(node, http.MethodPost, "/login/totp", a.form("code", "000000"), h)
			} else {
				h.Set("Cookie", held(b).Get("Cookie"))
				r = send(node, http.MethodPost, "/me/prove", url.Values{"proof_code": {"000000"}}, h)
			}
			if want := map[bool]int{true: 422, false: 429}[i < 5]; r.Status != want {
				t.Errorf("wrong code %d is answered %d, want %d", i+1, r.Status, want)
			}
		}
		if n := failed(); n != 5 {
			t.Errorf("%d wrong codes were compared", n)
		}

		// Unknown identifiers have one counter for all spellings as well.
		for i, s := range []struct{ slug, identifier string }{{"fabrikam", "no@fabrikam.example"}, {"FABRIKAM", "NO@fabrikam.example"}, {"Fabrikam", " no@fabrikam.example"},
			{"fabrikam", "No@Fabrikam.Example"}, {"fabrikam%20", "no@fabrikam.example "}, {"FABRIKAM", "no@fabrikam.example"}, {"fabrikam", "no@fabrikam.example"}} {
			r := send(w.World, http.MethodPost, "/o/"+s.slug+"/login", url.Values{"identifier": {s.identifier}}, nil)
			_, id, _ := strings.Cut(r.Location(), "attempt=")
			r = send(w.World, http.MethodPost, "/login/password", url.Values{"attempt": {id}, "password": {"a wrong passphrase 1"}}, with("Cookie", "door-attempt0="+r.Cookie("attempt0")))
			if want := map[bool]int{true: 422, false: 429}[i < 5]; r.Status != want {
				t.Errorf("try %d for nobody is answered %d, want %d", i+1, r.Status, want)
			}
		}
	})
}

// After a hundred failures in a row, however long they take, the password is out of use until a mailed link binds a new one (AT-26).
func TestHundredWrongPasswords(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		stays := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
		wrong := func(who *doortest.Person, n int) (last string) {
			t.Helper()
			for i := range n {
				w.Clock.Move(22 * time.Hour)
				there := *who
				there.World = all[i%len(all)]
				r := identified(there.World, "fabrikam", who.Email).post("password", "password", "a wrong passphrase 1")
				if r.Status != http.StatusUnprocessableEntity {
					t.Fatalf("failure %d is answered %d", i+1, r.Status)
				}
				last = masked(r)
			}
			return last
		}
		// A success before the bound begins anew.
		wrong(stays, 99)
		w.Clock.Move(time.Hour)
		if !w.signsIn(stays, doortest.Password) {
			t.Fatal("99 failures disable the password")
		}
		wrong(stays, 60)
		w.Clock.Move(time.Hour)
		if !w.signsIn(stays, doortest.Password) {
			t.Fatal("99 failures, a success and 60 failures disable the password")
		}

		answer := wrong(p, 100)
		w.Clock.Move(22 * time.Hour)
		hashes := w.Hasher.Count()
		r := identified(w.World, "fabrikam", p.Email).post("password", "password", doortest.Password)
		if masked(r) != answer {
			t.Errorf("the right password after a hundred wrong ones is answered otherwise than they: %d", r.Status)
		}
		if n := w.Hasher.Count() - hashes; n != 1 {
			t.Errorf("and costs %d hashes", n)
		}
		if s := w.text(`select state from factors where account_id = $1 and kind = 'password'`, p.Account); s != "disabled" {
			t.Errorf("the password is %s", s)
		}
		if n := w.Events(w.Fabrikam.ID, "factor.disabled"); n != 1 {
			t.Errorf("%d events of that", n)
		}
		const fresh = "another fine passphrase 9"
		w.Browser().Get(w.resetLink(p, 1)).Submit("new_password", fresh, "confirm_password", fresh).Want("login.identifier")
		if !w.signsIn(p, fresh) {
			t.Error("a reset does not bind a password again")
		}
	})
}

// The same for codes, with a new sign-in every fifth guess (AT-38): an administrator starts the way back, and the mailbox is proved.
func TestHundredWrongCodes(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		var a attempt
		for i := range throttle.Disable {
			w.Clock.Move(17 * time.Minute)
			there := *p
			there.World = all[i%len(all)]
			a = halfIn(&there)
			if r := a.post("totp", "code", "000000"); r.Status != http.StatusUnprocessableEntity {
				t.Fatalf("failure %d is answered %d", i+1, r.Status)
			}
		}
		w.Clock.Move(17 * time.Minute)
		tabs := make([]attempt, 8)
		for i := range tabs {
			there := *p
			there.World = all[i%len(all)]
			tabs[i] = halfIn(&there)
		}
		code := p.Code()
		atOnce(len(tabs), func(i int) { // also of several at once, one disables the app and tells of it
			if r := tabs[i].post("totp", "code", code); sessionIn(r) {
				t.Error("the right code after a hundred wrong ones gets in")
			}
		})
		if s := w.text(`select state from factors where account_id = $1 and kind = 'totp'`, p.Account); s != "disabled" {
			t.Errorf("the app is %s", s)
		}
		if n := w.Events(w.Fabrikam.ID, "factor.disabled"); n != 1 {
			t.Errorf("%d events of that", n)
		}
		if n := w.Count(`select count(*) from outbox where account_id = $1 and kind = 'factor-disabled'`, p.Account); n != 1 {
			t.Errorf("%d mails of that", n)
		}
		w.Clock.Move(17 * time.Minute)
		a = halfIn(p)
		a.Want("login.recovery") // another way that is left
		w.Exec(`delete from factors where account_id = $1 and kind = 'recovery'`, p.Account)
		a = halfIn(p)
		a.Want("login.denied")
		if a.Reason() != "factor_disabled" {
			t.Errorf("refused for %q", a.Reason())
		}
		if r := a.post("totp", "code", p.Code()); sessionIn(r) {
			t.Error("the disabled app gets in")
		}
		// A new password does not bring the app back.
		const fresh = "another fine passphrase 9"
		w.Browser().Get(w.resetLink(p, 1)).Submit("new_password", fresh, "confirm_password", fresh).Want("login.identifier")
		again := identified(w.World, "fabrikam", p.Email)
		again.Submit("password", fresh).Want("login.denied")

		if err := w.Directory.ResetFactors(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, "too many tries"); err != nil {
			t.Fatal(err)
		}
		again = identified(w.World, "fabrikam", p.Email)
		again.Submit("password", fresh).Want("login.mail-code")
		again.Submit("code", w.Mailbox.Wait(p.Email, "mail-code", 1).Code()).Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
		p.Key = strings.ReplaceAll(again.ByID("totp-secret"), " ", "")
		through(again.Submit("code", p.Code()))
	})
}
