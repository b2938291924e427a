package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/secret"
)

var (
	slot  = regexp.MustCompile(`attempt[0-3]`)
	hole  = regexp.MustCompile(`\{([a-z]+)\}`)
	never = "dwa_" + strings.Repeat("x", 43)
)

// split takes a route's pattern apart and fills its holes.
func split(pattern string, fill map[string]string) (method, path string) {
	method, path, _ = strings.Cut(strings.ReplaceAll(pattern, "{$}", ""), " ")
	return method, hole.ReplaceAllStringFunc(path, func(h string) string { return fill[h[1:len(h)-1]] })
}

// A sign-in under way opens nothing but its own next step: everywhere else its holder is a stranger (AT-39).
func TestHalfSignInOpensNothing(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		fresh := w.Activate(w.Fabrikam, "fresh@fabrikam.example", access.Administrator)
		coding, choosing := halfIn(bea), halfIn(fresh)
		coding.Want("login.totp")
		choosing.Want("login.enrol")
		_, attemptSecret, _ := strings.Cut(coding.Cookie("attempt0"), ".")
		cookies := map[string]http.Header{
			"after the identifier":        held(identified(w.World, "fabrikam", bea.Email).Browser),
			"after the password":          held(coding.Browser),
			"before the first factor":     held(choosing.Browser),
			"with the secret as session":  with("Cookie", "door-session="+attemptSecret),
			"with the whole as session":   with("Cookie", "door-session="+coding.Cookie("attempt0")),
			"with the id as session":      with("Cookie", "door-session="+coding.ID),
			"with the secret as a bearer": with("Authorization", "Bearer "+attemptSecret),
		}
		fill := map[string]string{"slug": "fabrikam", "account": string(fresh.Account), "session": w.session(bea), "token": never,
			"factor": w.text(`select id from factors where account_id = $1 and kind = 'totp'`, bea.Account)}
		form := url.Values{"emails": {"x@fabrikam.example"}, "roles": {"core"}, "name": {"x"}, "identifier": {bea.Email}, "new_password": {"a new passphrase 11"},
			"confirm_password": {"a new passphrase 11"}, "password": {doortest.Password}, "code": {code(t, bea.Key, w.World)}}
		settle(w.World)
		before := dump(w.World)
		for _, pattern := range w.patterns() {
			if strings.Contains(pattern, " /login/") || strings.HasSuffix(pattern, "/forgot") && strings.HasPrefix(pattern, "POST") {
				continue // the steps themselves; and mails are few per client
			}
			method, path := split(pattern, fill)
			stranger := slot.ReplaceAllString(masked(send(w.World, method, path, form, nil)), "attempt")
			for who, h := range cookies {
				r := send(w.World, method, path, form, h)
				if got := slot.ReplaceAllString(masked(r), "attempt"); got != stranger || sessionIn(r) {
					t.Errorf("%s %s is answered otherwise than a stranger: %s", pattern, who, difference(got, stranger))
				}
			}
		}
		if d := differing(before, dump(w.World), "attempts", "throttles", "events", "event_persons"); d != nil {
			t.Errorf("half a sign-in changed %v", d)
		}
		choosing.Get("/login/next").Want("login.enrol")
		coding.Get("/login/next").Submit("code", bea.Code()).Want("dashboard")
	})
}

// A step's answer is taken when it is that step's turn, whatever address it is sent to (AT-39, AT-12).
func TestStepsOutOfOrder(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		fresh := w.Activate(w.Fabrikam, "fresh@fabrikam.example", access.Core)
		stale := w.Activate(w.Fabrikam, "stale@fabrikam.example", access.Core)
		w.Exec(`update accounts set link_used_at = 0 where id = $1`, stale.Account)
		w.Clock.Move(time.Minute)
		mailing := halfIn(stale)
		mailing.Want("login.mail-code")
		mailed := w.Mailbox.Wait(stale.Email, "mail-code", 1).Code()
		settle(w.World)
		good := map[string]url.Values{
			"password": {"password": {doortest.Password}}, "totp": {"code": {code(t, bea.Key, w.World)}}, "mail-code": {"code": {mailed}},
			"mail-code-again": {}, "enrol": {"method": {"totp"}}, "enrol-totp": {"code": {code(t, bea.Key, w.World)}},
		}
		for _, c := range []struct {
			name string
			at   attempt
			due  []string
		}{
			{"an unknown identifier", identified(w.World, "fabrikam", "nobody@fabrikam.example"), []string{"password"}},
			{"no such organisation", identified(w.World, "no-such", "nobody@fabrikam.example"), []string{"password"}},
			{"an identifier", identified(w.World, "fabrikam", bea.Email), []string{"password"}},
			{"a password", halfIn(bea), []string{"totp"}},
			{"a first password", halfIn(fresh), []string{"enrol"}},
			{"a password without a link", mailing, []string{"mail-code", "mail-code-again"}},
		} {
			before := dump(w.World)
			for step, form := range good {
				if slices.Contains(c.due, step) {
					continue
				}
				form.Set("attempt", c.at.ID)
				for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut} {
					r := send(w.World, method, "/login/"+step, form, held(c.at.Browser))
					if sessionIn(r) || r.Status >= 500 || r.Status == http.StatusOK {
						t.Errorf("behind %s, %s %s answers %d %q", c.name, method, step, r.Status, r.Page())
					}
				}
			}
			if d := differing(before, dump(w.World)); d != nil {
				t.Errorf("behind %s, steps out of turn changed %v", c.name, d)
			}
		}
		// The order holds inside the enrolment too, and what is over is over.
		a := halfIn(fresh)
		if r := a.post("enrol-totp", "code", "123456"); sessionIn(r) || r.Status != http.StatusSeeOther {
			t.Errorf("a code before the key was shown answers %d", r.Status)
		}
		b := w.Browser()
		b.SignInFirst(fresh)
		b.Post("/logout", nil)
		c := halfIn(fresh)
		c.Want("login.totp")
		over, last := held(c.Browser), c.form("code", fresh.Code())
		if r := send(w.World, http.MethodPost, "/login/totp", last, over); !sessionIn(r) {
			t.Fatalf("the sign-in failed: %d", r.Status)
		}
		for step := range good {
			last.Set("code", fresh.Code())
			last.Set("password", doortest.Password)
			if r := send(w.World, http.MethodPost, "/login/"+step, last, over); sessionIn(r) || r.Status == http.StatusOK {
				t.Errorf("a finished sign-in answers %s with %d %q", step, r.Status, r.Page())
			}
		}
	})
}

// A time step's code is spent by its use, and so are those before it (AT-36).
func TestUsedCodes(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		b := w.Browser()
		b.SignInFirst(p)
		confirmed := code(t, p.Key, w.World)
		elsewhere := *p
		elsewhere.World = all[len(all)-1]
		refused := func(what, used string) {
			t.Helper()
			for _, who := range []*doortest.Person{p, &elsewhere} {
				a := halfIn(who)
				if r := a.post("totp", "code", used); sessionIn(r) || r.Status != http.StatusUnprocessableEntity || !slices.Equal(r.Faults(), []string{"code"}) {
					t.Errorf("%s at the sign-in answers %d %v", what, r.Status, r.Faults())
				}
			}
			if r := send(w.World, http.MethodPost, "/me/prove", url.Values{"proof_code": {used}, "to": {"/me"}}, held(b)); sessionIn(r) || !slices.Equal(r.Faults(), []string{"proof_code"}) {
				t.Errorf("%s at a fresh proof answers %d %v", what, r.Status, r.Faults())
			}
			w.Exec(`update throttles set failures = 0, blocked_until = 0`)
		}
		refused("the code of the enrolment", confirmed)

		w.Clock.Move(31 * time.Second)
		before := code(t, p.Key, w.World)
		w.Clock.Move(30 * time.Second)
		now := code(t, p.Key, w.World)
		if r := halfIn(p).post("totp", "code", now); !sessionIn(r) {
			t.Fatalf("a good code answers %d", r.Status)
		}
		refused("a used code", now)
		refused("the code before it", before)
		if now == before {
			t.Fatal("the clock stood still")
		}

		// A fresh proof spends its code too.
		proof := p.Code()
		b = w.Browser()
		b.Password(p)
		b.Submit("code", proof).Want("dashboard")
		proof = p.Code()
		b.Get("/me/prove?to=/me").Want("prove").Submit("proof_code", proof).Want("me")
		refused("the code of a fresh proof", proof)
	})
}

// Of fifty uses of one code at once, over all nodes, with fifty sign-ins that know the password, one gets in (AT-37).
func TestCodeAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		right := p.Code()
		attempts := make([]attempt, 50)
		for i := range attempts {
			attempts[i] = halfIn(p)
		}
		sessions := func() int { return w.Count(`select count(*) from sessions where account_id = $1`, p.Account) }
		was := sessions()
		together(t, all, func(i int) (string, url.Values, http.Header) {
			return "/login/totp", attempts[i].form("code", right), held(attempts[i].Browser)
		})
		if n := sessions() - was; n != 1 {
			t.Errorf("one code made %d sessions", n)
		}

		// One sign-in answered fifty times at once.
		w.Exec(`update throttles set failures = 0, blocked_until = 0`)
		one := halfIn(p)
		last, was := p.Code(), sessions()
		together(t, all, func(int) (string, url.Values, http.Header) {
			return "/login/totp", one.form("code", last), held(one.Browser)
		})
		if n := sessions() - was; n != 1 {
			t.Errorf("one sign-in made %d sessions", n)
		}

		// The same for a mailed code, the choice of a factor and its first code.
		q := w.Activate(w.Fabrikam, "stale@fabrikam.example", access.Core)
		w.Exec(`update accounts set link_used_at = 0 where id = $1`, q.Account)
		first := halfIn(q)
		mailed := w.Mailbox.Wait(q.Email, "mail-code", 1).Code()
		moved := together(t, all, func(int) (string, url.Values, http.Header) {
			return "/login/mail-code", first.form("code", mailed), held(first.Browser)
		})
		if len(moved) != 1 {
			t.Fatalf("one mailed code was taken %d times", len(moved))
		}
		holder := with("Cookie", "door-attempt0="+moved[0].Cookie("attempt0"))
		moved = together(t, all, func(int) (string, url.Values, http.Header) {
			return "/login/enrol", first.form("method", "totp"), holder
		})
		if len(moved) != 1 {
			t.Fatalf("the choice was taken %d times", len(moved))
		}
		key, err := factor.TOTPKey(w.DB.Read(t.Context()), w.Vault, q.Account)
		if err != nil {
			t.Fatal(err)
		}
		holder = with("Cookie", "door-attempt0="+moved[0].Cookie("attempt0"))
		confirm := code(t, key, w.World)
		together(t, all, func(int) (string, url.Values, http.Header) {
			return "/login/enrol-totp", first.form("code", confirm), holder
		})
		if n := w.Count(`select count(*) from sessions where account_id = $1`, q.Account); n != 0 {
			t.Errorf("%d sessions before the recovery codes were confirmed", n)
		}
		if n := w.Count(`select count(*) from events where target_id = $1 and action = 'recovery.made'`, q.Account); n != 1 {
			t.Errorf("one enrolment made %d sets of recovery codes", n)
		}
		if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'totp'`, q.Account); n != 1 {
			t.Errorf("one enrolment made %d apps", n)
		}
	})
}

// together posts fifty times at once, and returns the answers that moved the sign-in on: they hand out its new secret, or a session.
func together(t *testing.T, nodes []*doortest.World, request func(i int) (path string, form url.Values, h http.Header)) []reply {
	t.Helper()
	var mu sync.Mutex
	var moved []reply
	atOnce(50, func(i int) {
		path, form, h := request(i)
		r, err := transmit(nodes[i%len(nodes)], http.MethodPost, path, form.Encode(), h)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			t.Error(err)
		case r.Status >= 500:
			t.Errorf("%s answers %d", path, r.Status)
		case sessionIn(r) || r.Status == http.StatusSeeOther && r.Cookie("attempt0") != "":
			moved = append(moved, r)
		}
	})
	return moved
}

// What is taken away between two steps counts at the next one (AT-47).
func TestChangesBetweenSteps(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		other := all[len(all)-1]
		w.Exec(`update seats set seat_limit = null`)
		w.Enrol(w.Fabrikam, "last@fabrikam.example", access.Administrator)
		ctx, operator, o := t.Context(), doortest.Operator(), w.Fabrikam.ID
		disable := func(p *doortest.Person) error { return other.Directory.Disable(ctx, operator, o, p.Account) }
		for i, c := range []struct {
			name   string
			change func(p *doortest.Person) error
			reason string // of the refusal; empty: the sign-in begins anew
		}{
			{"disabled", disable, ""},
			{"disabled and enabled", func(p *doortest.Person) error {
				if err := disable(p); err != nil {
					return err
				}
				return other.Directory.Enable(ctx, operator, o, p.Account)
			}, ""},
			{"without a role", func(p *doortest.Person) error { return other.Directory.SetRoles(ctx, operator, o, p.Account, nil) }, "no_role"},
			{"past the end of the role", func(p *doortest.Person) error {
				w.Exec(`update assignments set expires_at = $1 where account_id = $2`, w.Clock.Now().UnixMicro(), p.Account)
				return nil
			}, "access_ended"},
			{"without factors", func(p *doortest.Person) error { return other.Directory.ResetFactors(ctx, operator, o, p.Account, "") }, ""},
			{"signed out everywhere", func(p *doortest.Person) error { return other.Desk.EndSessions(ctx, operator, o, p.Account) }, ""},
			{"with a new password", func(p *doortest.Person) error {
				_, err := other.Directory.Use(ctx, account.Reset, tokenOf(w.resetLink(p, 1)), "another fine passphrase 9", "another fine passphrase 9", access.Client{})
				return err
			}, ""},
			{"in a suspended organisation", func(*doortest.Person) error {
				w.Exec(`update org_nodes set state = 'suspended' where id = $1`, o)
				return nil
			}, "org_suspended"},
		} {
			p, q := w.Enrol(w.Fabrikam, "p"+string(rune('a'+i))+"@fabrikam.example", access.Core), w.Activate(w.Fabrikam, "q"+string(rune('a'+i))+"@fabrikam.example", access.Core)
			coding := halfIn(p)
			coding.Want("login.totp")
			confirming := halfIn(q)
			confirming.Submit("method", "totp").Want("login.enrol.totp")
			q.Key = strings.ReplaceAll(confirming.ByID("totp-secret"), " ", "")
			was := w.Count(`select count(*) from sessions`)
			for _, who := range []*doortest.Person{p, q} {
				if err := c.change(who); err != nil && !(who == q && c.name == "without factors") { // it has none yet
					t.Fatalf("%s: %v", c.name, err)
				}
			}
			r := coding.post("totp", "code", p.Code())
			switch {
			case c.reason == "":
				if r.Status != http.StatusSeeOther || !strings.HasPrefix(r.Location(), "/o/fabrikam/login") {
					t.Errorf("%s: answered with %d %s", c.name, r.Status, r.Location())
				}
			case r.Cookie("attempt0") == "":
				t.Errorf("%s: answered with %d %s", c.name, r.Status, r.Location())
			default:
				denied := send(w.World, http.MethodGet, r.Location(), nil, with("Cookie", "door-attempt0="+r.Cookie("attempt0")))
				if denied.Page() != "login.denied" || denied.Reason() != c.reason || denied.Status != http.StatusForbidden {
					t.Errorf("%s: answered with %d %q %q, want %q", c.name, denied.Status, denied.Page(), denied.Reason(), c.reason)
				}
			}
			if c.name != "without factors" { // this one has none yet: nothing was taken away
				r = confirming.post("enrol-totp", "code", q.Code())
				if r.Status != http.StatusSeeOther || !strings.HasPrefix(r.Location(), "/o/fabrikam/login") {
					t.Errorf("%s: an enrolment answers %d %s", c.name, r.Status, r.Location())
				}
			}
			if n := w.Count(`select count(*) from sessions`) - was; n != 0 {
				t.Errorf("%s: %d sessions", c.name, n)
			}
			w.Exec(`update org_nodes set state = 'active' where id = $1`, o)
		}
	})
}

// Whoever plants their sign-in in another's browser gets nothing of what that one proves: each proof has a new secret (AT-55).
func TestPlantedAttempt(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		attacker := identified(w.World, "fabrikam", p.Email)
		planted := held(attacker.Browser)
		// The victim goes on in it.
		r := send(w.World, http.MethodPost, "/login/password", attacker.form("password", doortest.Password), planted)
		if r.Status != http.StatusSeeOther {
			t.Fatalf("the password answers %d", r.Status)
		}
		proved := with("Cookie", "door-attempt0="+r.Cookie("attempt0"))
		if planted.Get("Cookie") == proved.Get("Cookie") {
			t.Fatal("the password left the secret as it was")
		}
		right := p.Code()
		if r := send(w.World, http.MethodPost, "/login/totp", attacker.form("code", right), planted); sessionIn(r) {
			t.Error("the attacker's copy finished the sign-in")
		}
		if r := send(w.World, http.MethodGet, "/login/next?attempt="+attacker.ID, nil, planted); r.Page() == "login.totp" {
			t.Error("the attacker's copy shows the next step")
		}
		r = send(w.World, http.MethodPost, "/login/totp", attacker.form("code", right), proved)
		if !sessionIn(r) {
			t.Fatalf("the victim is answered %d", r.Status)
		}
		for _, h := range []http.Header{planted, proved} {
			if r := send(w.World, http.MethodGet, "/o/fabrikam/", nil, h); r.Page() != "welcome" {
				t.Errorf("a sign-in's cookie opens %q", r.Page())
			}
			if r := send(w.World, http.MethodPost, "/login/totp", attacker.form("code", p.Code()), h); sessionIn(r) {
				t.Error("a finished sign-in made another session")
			}
		}
		// An attempt's id with another's secret, and the other way round, is nobody's.
		mine, theirs := identified(w.World, "fabrikam", p.Email), halfIn(p)
		_, s, _ := strings.Cut(mine.Cookie("attempt0"), ".")
		for _, k := range []string{theirs.ID + "." + s, theirs.ID + ".", theirs.ID, "." + s, string(id.New[id.Attempt](w.Clock.Now())) + "." + s} {
			h := with("Cookie", "door-attempt0="+k)
			if r := send(w.World, http.MethodPost, "/login/totp", theirs.form("code", p.Code()), h); sessionIn(r) || r.Page() == "login.totp" {
				t.Errorf("the key %q opens %q", secret.Text(k), r.Page())
			}
		}
	})
}
