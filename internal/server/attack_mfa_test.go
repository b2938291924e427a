package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/factor"
)

// AT-41: where a second factor is demanded, every way in ends at one: at a code, a key or an enrolment, or it is refused. No session comes of anything
// less, but on a remembered device where the rules allow that, and never for an administrator.
func TestEveryWayInDemandsTheSecondFactor(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		_, admin := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		const fresh = "another fine passphrase 9"
		stops := []string{"login.totp", "login.passkey", "login.recovery", "login.enrol", "login.mail-code", "login.identifier", "activate.done", "login.denied"}
		at := func(what string, p *doortest.Person, b *doortest.Browser, pages ...string) {
			t.Helper()
			if !slices.Contains(pages, b.Page()) || !slices.Contains(stops, b.Page()) {
				t.Errorf("%s leads to %d %q, want %v", what, b.Status, b.Page(), pages)
			}
			if b.Cookie("session") != "" || w.sessions(p) != 0 {
				t.Errorf("%s made a session", what)
			}
			if send(w.World, http.MethodGet, "/o/fabrikam/users", nil, held(b)).Status == http.StatusOK {
				t.Errorf("%s opens the console", what)
			}
			w.calm()
		}
		forget := func(p *doortest.Person) { // the sessions of getting there
			w.Exec(`delete from sessions where account_id = $1`, p.Account)
		}

		// By an invitation, and the password that it sets.
		p, link := w.Invite(w.Fabrikam, "invited@fabrikam.example", access.Administrator)
		b := w.Browser()
		at("an activation", p, b.Get(link).Submit("new_password", doortest.Password, "confirm_password", doortest.Password), "activate.done")
		at("the first password", p, b.Password(p), "login.enrol")
		// By a forgotten password, without and with a factor.
		b = w.Browser()
		at("a reset", p, b.Get(w.resetLink(p, 1)).Submit("new_password", fresh, "confirm_password", fresh), "login.identifier")
		b.Get("/o/fabrikam/login").Submit("identifier", p.Email)
		at("the password of a reset", p, b.Submit("password", fresh), "login.enrol")
		w.Clock.Move(49 * time.Hour) // nothing vouches for the mailbox any more
		b = w.Browser()
		b.Get("/o/fabrikam/login").Submit("identifier", p.Email)
		at("a password long after", p, b.Submit("password", fresh), "login.mail-code")
		// By a set-up mail.
		at("a set-up link", p, w.Browser().Get(path(w, w.setupLink(p, 1))).Submit("new_password", doortest.Password, "confirm_password", doortest.Password), "login.enrol")
		// By an import: as by any password.
		w.Exec(`update accounts set link_used_at = 0 where id = $1`, p.Account)
		at("a password that no link vouches for", p, w.Browser().Password(p), "login.mail-code")

		q := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		forget(q)
		at("the password of who has an app", q, w.Browser().Password(q), "login.totp")
		at("a reset of who has an app", q, w.Browser().Get(w.resetLink(q, 1)).Submit("new_password", doortest.Password, "confirm_password", doortest.Password), "login.identifier")
		at("a set-up link of who has an app", q, w.Browser().Get(path(w, w.setupLink(q, 1))).Submit("new_password", doortest.Password, "confirm_password", doortest.Password), "login.totp")
		c, err := w.Directory.IssueAccessCode(t.Context(), doortest.Operator(), w.Fabrikam.ID, q.Account, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		a := coded(q, "access-code")
		at("a temporary access code", q, a.Submit("code", c.Code), "login.enrol")
		// By "this wasn't me", which mails a reset.
		b = w.Browser()
		b.Get(w.warned(q, "access-code", 1)).Want("not-me").Submit(":action", "/not-me/").Want("not-me.done")
		if b.Cookie("session") != "" || w.sessions(q) != 0 {
			t.Error("the answer to a warning made a session")
		}
		b.Get(w.Mailbox.Wait(q.Email, "reset", 2).Link("/reset/")).Submit("new_password", doortest.Password, "confirm_password", doortest.Password)
		at("the reset after that", q, b, "login.identifier")
		// By a passkey alone that checked nobody.
		holder, k, _ := w.keyed(w.Fabrikam, "key@fabrikam.example", access.Core)
		forget(holder)
		k.flags = present
		s := alone(w.World, "fabrikam")
		if !s.wrong(k.get(s.ask())) || s.b.Cookie("session") != "" {
			t.Errorf("a passkey that checked nobody is answered %d %q", s.b.Status, s.b.Page())
		}
		// By what programs send.
		like := map[string]string{}
		fill := map[string]string{"slug": "fabrikam", "account": string(q.Account), "session": "x", "factor": "x", "device": "x", "token": never, "step": "totp"}
		for _, who := range []string{"", q.Email + ":" + doortest.Password, "fabrikam/" + q.Email + ":" + doortest.Password} {
			for _, pattern := range w.patterns() {
				method, path := split(pattern, fill)
				if method != http.MethodGet || strings.HasPrefix(path, "/login/") {
					continue
				}
				r, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				h := http.Header{}
				if name, password, ok := strings.Cut(who, ":"); ok {
					r.SetBasicAuth(name, password)
					h = r.Header
				}
				got := masked(send(w.World, method, path, nil, h))
				if who == "" {
					like[pattern] = got
				} else if got != like[pattern] {
					t.Errorf("%s with the password in the request's head is answered otherwise than a stranger: %s", pattern, difference(got, like[pattern]))
				}
			}
		}

		// On a remembered device it is a password alone, which says so; an administrator is asked.
		w.remember("30")
		forget(q)
		w.remembered(q)
		forget(q)
		for _, r := range column(w, `select amr from sessions where org_id = $1`, w.Fabrikam.ID) {
			if !regexp.MustCompile(`\bmfa\b`).MatchString(r) {
				t.Errorf("a session by %q", r)
			}
		}

		// Switched off, a password is enough; switched on again, it is not, at the very next sign-in.
		r := w.Activate(w.Fabrikam, "plain@fabrikam.example", access.Core)
		w.Exec(`update orgs set settings = '{"second_factor":"off"}' where id = $1`, w.Fabrikam.ID)
		w.Browser().Password(r).Want("dashboard")
		forget(r)
		begun := identified(w.World, "fabrikam", r.Email)
		w.Exec(`update orgs set settings = '{"second_factor":"everyone"}' where id = $1`, w.Fabrikam.ID)
		at("a sign-in begun before the rule", r, begun.Submit("password", doortest.Password), "login.enrol")
		at("a sign-in after it", r, w.Browser().Password(r), "login.enrol")
		w.Exec(`update orgs set settings = '{"second_factor":"administrators"}' where id = $1`, w.Fabrikam.ID)
		w.Browser().Password(r).Want("dashboard")
		forget(r)
		half := identified(w.World, "fabrikam", r.Email)
		if r := send(w.World, http.MethodPost, "/o/fabrikam/users/"+string(r.Account)+"/roles", url.Values{"roles": {access.Administrator}}, held(admin)); r.Status != http.StatusSeeOther && r.Page() != "prove" {
			t.Fatalf("a new role answers %d %q", r.Status, r.Page())
		}
		if err := w.Directory.SetRoles(t.Context(), doortest.Operator(), w.Fabrikam.ID, r.Account, []string{access.Administrator}); err != nil {
			t.Fatal(err)
		}
		at("a sign-in of who became an administrator meanwhile", r, half.Submit("password", doortest.Password), "login.enrol")
	})
}

// AT-43: a fresh proof is one of the account's own level. The password is none for who has a second factor, nor for who had one until too many
// wrong codes disabled it; a recovery code is none either.
func TestFreshProofOfTheSameLevel(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		app, withApp := w.enrolled(w.Fabrikam, "app@fabrikam.example", access.Core)
		key, _, withKey := w.keyed(w.Fabrikam, "key@fabrikam.example", access.Core)
		codeless := w.Activate(w.Fabrikam, "off@fabrikam.example", access.Core)
		without := w.Browser().SignInFirst(codeless)
		w.Exec(`update factors set state = 'disabled' where account_id = $1 and kind = 'totp'`, codeless.Account)
		w.Clock.Move(11 * time.Minute)
		for name, c := range map[string]struct {
			p *doortest.Person
			b *doortest.Browser
		}{"an app": {app, withApp}, "a key": {key, withKey}, "a disabled app": {codeless, without}} {
			was := c.b.Cookie("session")
			for _, form := range []url.Values{
				{"proof_password": {doortest.Password}}, {"proof_code": {doortest.Password}}, {"proof_code": {c.p.Recovery[0]}}, {"proof_password": {c.p.Recovery[0]}},
				{"proof_code": {"000000"}, "proof_password": {doortest.Password}}, {"password": {doortest.Password}}, {"credential": {doortest.Password}}, {},
			} {
				form.Set("to", "/me")
				r := send(w.World, http.MethodPost, "/me/prove", form, held(c.b))
				if sessionIn(r) || r.Status != http.StatusUnprocessableEntity && r.Status != http.StatusForbidden {
					t.Errorf("who has %s proves it by %v: %d", name, form, r.Status)
				}
				w.calm()
			}
			for _, at := range []string{"/me/security/app", "/me/security/recovery", "/me/security/key"} {
				if r := send(w.World, http.MethodPost, at, nil, held(c.b)); r.Status != http.StatusForbidden || len(r.Head["Set-Cookie"]) != 0 {
					t.Errorf("after that, %s of who has %s answers %d %q", at, name, r.Status, r.Page())
				}
			}
			if !in(w.World, was) {
				t.Errorf("the session of who has %s is gone", name)
			}
			if n := w.Count(`select count(*) from sessions where account_id = $1 and proved_at > created_at`, c.p.Account); n != 0 {
				t.Errorf("who has %s has a fresh proof", name)
			}
		}
		// Of who has no second factor and needs none it is the password.
		w.Exec(`update orgs set settings = '{"second_factor":"off"}' where id = $1`, w.Tailspin.ID)
		p := w.Activate(w.Tailspin, "dora@tailspin.example", access.Core)
		b := w.Browser().Password(p).Want("dashboard")
		w.Clock.Move(11 * time.Minute)
		if r := send(w.World, http.MethodPost, "/me/prove", url.Values{"proof_password": {"a wrong passphrase 1"}, "to": {"/me"}}, held(b)); sessionIn(r) || r.Status != http.StatusUnprocessableEntity {
			t.Errorf("a wrong password as a proof is answered %d", r.Status)
		}
		b.Get("/me/prove?to=/me").Want("prove").Submit("proof_password", doortest.Password).Want("me")
	})
}

// AT-43: whatever changes how an account is protected is told its owner, with the link that says it was someone else.
func TestOwnerIsTold(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Mailbox.Wait(p.Email, "factor-added", 1)
		const fresh = "another fine passphrase 9"
		sent := func() (n int) {
			settle(w.World)
			for _, m := range w.Mailbox.All(p.Email) {
				if m.Link("/not-me/") != "" {
					n++
				}
			}
			return n
		}
		k := newKey(w.World)
		for _, c := range []struct {
			name, kind string
			do         func()
		}{
			{"a second app", "factor-added", func() {
				b.Post("/me/security/app", nil).Want("me.security.app")
				b.Submit("code", code(t, strings.ReplaceAll(b.ByID("totp-secret"), " ", ""), w.World), "name", "second phone").Want("me.security")
			}},
			{"a key", "factor-added", func() {
				b.Post("/me/security/key", nil).Want("me.security.key")
				b.Submit("name", "key", "credential", k.create(optionsIn(b.Body))).Want("me.security")
			}},
			{"a factor less", "factor-removed", func() {
				b.Post("/me/security/factors/"+w.text(`select id from factors where lookup = $1`, raw64(k.id))+"/remove", nil).Want("me.security")
			}},
			{"new recovery codes", "factor-added", func() { b.Post("/me/security/recovery", nil).Want("me.recovery") }},
			{"a new password", "password-changed", func() {
				b.Get("/me/security").Submit("password", doortest.Password, "new_password", fresh, "confirm_password", fresh).Want("me.security")
			}},
			{"a reset of the password", "password-changed", func() {
				send(w.World, http.MethodPost, w.resetLink(p, 1), choose(doortest.Password), nil)
			}},
			{"a reset of the factors", "factor-removed", func() {
				if err := w.Directory.ResetFactors(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, "lost"); err != nil {
					t.Fatal(err)
				}
			}},
		} {
			was := sent()
			c.do()
			if n := sent() - was; n != 1 {
				t.Errorf("%s is told in %d mails", c.name, n)
			}
			mails := w.Mailbox.All(p.Email)
			if i := slices.IndexFunc(mails, func(m doortest.Mail) bool { return m.Kind == c.kind }); i < 0 {
				t.Errorf("%s is told in no mail of the kind %s", c.name, c.kind)
			}
		}
	})
}

// AT-46: an app's key is the server's, shown until it is confirmed and never after, of the newest tab alone, and the code that confirmed it signs
// nobody in.
func TestEnrollingAnApp(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		key := func(b *doortest.Browser) string { return strings.ReplaceAll(b.ByID("totp-secret"), " ", "") }
		const sent = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP" // as the client would like it
		seen := map[string]bool{}
		shown := func(what, k string) {
			t.Helper()
			if len(k) != 32 || seen[k] || k == sent || strings.Trim(k, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
				t.Errorf("%s shows the key %q", what, k)
			}
			seen[k] = true
		}
		// At the first sign-in: two tabs, two sign-ins.
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		one, two := halfIn(p), halfIn(p)
		chosen := one.post("enrol", "method", "totp", "secret", sent, "key", sent, "totp-secret", sent)
		h := with("Cookie", "door-attempt0="+chosen.Cookie("attempt0"))
		first := joined(firstGroup(secretShown, send(w.World, http.MethodGet, chosen.Location(), nil, h).Body))
		shown("a first tab", first)
		two.Submit("method", "totp").Want("login.enrol.totp")
		second := key(two.Browser)
		shown("a second tab", second)
		for what, k := range map[string]string{"the key of the first tab": first, "a key that the client sent": sent} {
			if r := two.post("enrol-totp", "code", code(t, k, w.World), "secret", k, "key", k); sessionIn(r) || !slices.Equal(r.Faults(), []string{"code"}) {
				t.Errorf("a code of %s is answered %d %v", what, r.Status, r.Faults())
			}
			if r := send(w.World, http.MethodPost, "/login/enrol-totp", one.form("code", code(t, k, w.World)), h); sessionIn(r) || r.Status == http.StatusSeeOther {
				t.Errorf("a code of %s in the first tab is answered %d %v", what, r.Status, r.Faults())
			}
		}
		// A wrong code confirms nothing and shows the same key; so does a reload, and nobody else reads it.
		if r := two.post("enrol-totp", "code", "000000"); r.Status != http.StatusUnprocessableEntity || !strings.Contains(joined(r.Body), second) {
			t.Errorf("a wrong code is answered %d", r.Status)
		}
		if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'totp' and state = 'active'`, p.Account); n != 0 {
			t.Error("an app is active before it was confirmed")
		}
		third := halfIn(p)
		if strings.Contains(joined(third.Body), second) || third.Page() != "login.enrol" {
			t.Errorf("another sign-in sees %q", third.Page())
		}
		w.calm()
		confirm := code(t, second, w.World)
		two.Get("/login/next?attempt=" + two.ID).Want("login.enrol.totp")
		two.Submit("code", confirm).Want("login.recovery-codes")
		p.Key = second
		// Now it is shown no more, in no tab; the others begin again with the code.
		for what, b := range map[string]*doortest.Browser{"its own": two.Browser, "the third": third.Browser} {
			for _, at := range []string{"/login/next", "/login/enrol-totp", "/login/enrol", "/me/security/app", "/me/security"} {
				if b.Get(at); strings.Contains(joined(b.Body), second) {
					t.Errorf("%s of %s tab shows the key after it was confirmed", at, what)
				}
			}
		}
		for _, step := range []string{"enrol", "enrol-totp"} {
			for _, a := range []attempt{third, {one.Browser, one.ID}} {
				if r := a.post(step, "method", "totp", "code", confirm); sessionIn(r) || strings.Contains(joined(r.Body), second) {
					t.Errorf("%s after the confirmation is answered %d", step, r.Status)
				}
			}
		}
		if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'totp'`, p.Account); n != 1 {
			t.Errorf("%d apps", n)
		}
		two.Get("/login/next?attempt=" + two.ID)
		through(two.Browser)
		w.calm()
		// The code that confirmed is spent, also as the first one of a sign-in, and as a fresh proof.
		if r := halfIn(p).post("totp", "code", confirm); sessionIn(r) || !slices.Equal(r.Faults(), []string{"code"}) {
			t.Errorf("the code that confirmed is answered %d %v", r.Status, r.Faults())
		}
		if r := send(w.World, http.MethodPost, "/me/prove", url.Values{"proof_code": {confirm}, "to": {"/me"}}, held(two.Browser)); sessionIn(r) {
			t.Errorf("the code that confirmed is a fresh proof")
		}

		// In the console: two tabs again, and a second app.
		b := two.Browser
		tab := func() string {
			return key(b.Post("/me/security/app", url.Values{"secret": {sent}}).Want("me.security.app"))
		}
		was, is := tab(), tab()
		shown("a tab", was)
		shown("a later tab", is)
		for what, k := range map[string]string{"the tab before": was, "the client": sent} {
			if r := send(w.World, http.MethodPost, "/me/security/app/confirm", url.Values{"code": {code(t, k, w.World)}, "secret": {k}, "name": {"x"}}, held(b)); r.Status != http.StatusUnprocessableEntity {
				t.Errorf("in the console a code of %s is answered %d", what, r.Status)
			}
		}
		w.calm()
		confirm = code(t, is, w.World)
		b.Get("/me/security/app").Want("me.security.app").Submit("code", confirm, "name", "x").Want("me.security")
		for _, at := range []string{"/me/security/app", "/me/security"} {
			if b.Get(at).Want("me.security"); strings.Contains(joined(b.Body), is) {
				t.Errorf("%s shows the key after it was confirmed", at)
			}
		}
		if r := send(w.World, http.MethodPost, "/me/security/app/confirm", url.Values{"code": {confirm}, "name": {"x"}}, held(b)); w.Count(`select count(*) from factors where account_id = $1 and kind = 'totp'`, p.Account) != 2 {
			t.Errorf("confirming twice is answered %d and makes another app", r.Status)
		}
		if r := halfIn(p).post("totp", "code", confirm); sessionIn(r) {
			t.Error("the code that confirmed the second app signs in")
		}

		// What one person began nobody else confirms, and a new password, or leaving everywhere, forgets it.
		q, other := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		mine := tab()
		if r := send(w.World, http.MethodPost, "/me/security/app/confirm", url.Values{"code": {code(t, mine, w.World)}}, held(other)); r.Status == http.StatusSeeOther && w.Count(`select count(*) from factors where account_id = $1 and kind = 'totp'`, q.Account) != 1 {
			t.Error("another person's app was confirmed")
		}
		const fresh = "another fine passphrase 9"
		if r := send(w.World, http.MethodPost, "/me/security/password", url.Values{"password": {doortest.Password}, "new_password": {fresh}, "confirm_password": {fresh}}, held(b)); r.Status != http.StatusSeeOther {
			t.Fatalf("a new password is answered %d %v", r.Status, r.Faults())
		}
		if n := w.Count(`select count(*) from factors where account_id = $1 and state = 'pending'`, p.Account); n != 0 {
			t.Error("after a new password an app that was begun before waits to be confirmed")
		}
		if _, ok, err := factor.PendingTOTP(w.DB.Read(t.Context()), w.Vault, p.Account, "x", "y"); ok || err != nil {
			t.Errorf("its key can be read: %v", err)
		}
	})
}

var (
	secretShown = regexp.MustCompile(`<code id="totp-secret"[^>]*>(.*?)</code>`)
	markup      = regexp.MustCompile(`</?span>|\s`)
)

// joined is a page's source in which a key stands in one piece.
func joined(body string) string { return markup.ReplaceAllString(body, "") }
