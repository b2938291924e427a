package server_test

import (
	"bytes"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/throttle"
)

// nowhere fails the test when a secret stands in a table or in the log, in whatever form.
func (w *town) nowhere(secrets ...string) {
	w.T.Helper()
	var all bytes.Buffer
	for table, rows := range dump(w.World) {
		for _, row := range rows {
			all.WriteString(table + ": " + row + "\n")
		}
	}
	all.WriteString(w.Logs.String())
	for _, s := range secrets {
		for _, spelled := range []string{s, strings.ReplaceAll(s, "-", ""), strings.ToUpper(s)} {
			for form, trace := range traces(spelled) {
				if bytes.Contains(all.Bytes(), trace) {
					w.T.Errorf("%s lies about, %s", spelled, form)
				}
			}
		}
	}
}

// coded takes a sign-in to the page that asks for a recovery code or a temporary one.
func coded(p *doortest.Person, way string) attempt {
	p.World.T.Helper()
	a := halfIn(p)
	a.Submit("way", way).Want("login." + way)
	return a
}

func atCode(r reply) bool {
	return r.Status == http.StatusUnprocessableEntity && slices.Equal(r.Faults(), []string{"code"}) && !sessionIn(r)
}

// savedCodes returns the text file that a page's link saves.
func savedCodes(t *testing.T, b *doortest.Browser) string {
	t.Helper()
	link := firstGroup(regexp.MustCompile(`href="data:text/plain;charset=utf-8,([^"]*)" download="recovery-codes.txt"`), b.Body)
	text, err := url.PathUnescape(html.UnescapeString(link))
	if err != nil || link == "" {
		t.Errorf("the page offers no file: %v", err)
	}
	return text
}

// The codes are shown right after the first factor, until the person has confirmed them, and never again.
func TestRecoveryCodesAreShownOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		a := halfIn(p)
		a.Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
		p.Key = strings.ReplaceAll(a.ByID("totp-secret"), " ", "")
		a.Submit("code", code(t, p.Key, w.World)).Want("login.recovery-codes")
		codes := a.Recovery()
		form := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$`)
		for _, c := range codes {
			if !form.MatchString(c) {
				t.Errorf("a code is %q", c)
			}
		}
		if slices.Sort(codes); len(codes) != 10 || len(slices.Compact(slices.Clone(codes))) != 10 {
			t.Fatalf("the codes are %q", codes)
		}
		if a.Cookie("session") != "" {
			t.Error("there is a session before the codes are confirmed")
		}
		w.nowhere(codes...)
		shown := func(b *doortest.Browser) (n int) {
			for _, c := range codes {
				if strings.Contains(b.Body, c) {
					n++
				}
			}
			return n
		}
		if a.Get("/login/next?attempt=" + a.ID).Want("login.recovery-codes"); shown(a.Browser) != 10 {
			t.Errorf("a reload shows %d codes", shown(a.Browser))
		}
		if file := savedCodes(t, a.Browser); !slices.Equal(strings.Fields(file), append([]string{"Fabrikam", p.Email}, a.Recovery()...)) || !strings.Contains(a.Head.Get("Cache-Control"), "no-store") {
			t.Errorf("the download is %q; the page's head %v", file, a.Head)
		}
		stranger := w.Browser()
		for _, path := range []string{"/login/recovery-codes?attempt=" + a.ID, "/login/next?attempt=" + a.ID} {
			if stranger.Get(path); shown(stranger) != 0 {
				t.Errorf("%s shows a stranger the codes", path)
			}
		}
		if a.Post("/login/recovery-codes", a.form()).WantStatus(http.StatusUnprocessableEntity).Want("login.recovery-codes"); shown(a.Browser) != 10 || a.Cookie("session") != "" {
			t.Errorf("without a word of the person: %d codes, session %q", shown(a.Browser), a.Cookie("session"))
		}
		a.Submit("saved", "1").Want("login.passkey-offer")
		for _, path := range []string{"/login/next?attempt=" + a.ID, "/login/recovery-codes?attempt=" + a.ID} {
			if a.Get(path); shown(a.Browser) != 0 || a.Status >= 500 {
				t.Errorf("%s shows %d codes after they were confirmed", path, shown(a.Browser))
			}
		}
		a.Get("/login/next?attempt="+a.ID).Want("login.passkey-offer").Submit("choice", "later").Want("dashboard")
		for _, path := range []string{"/login/recovery-codes?attempt=" + a.ID, "/me/security", "/me/security/recovery"} {
			if a.Get(path); shown(a.Browser) != 0 || a.Status >= 500 {
				t.Errorf("%s shows %d codes to who is signed in", path, shown(a.Browser))
			}
		}
		if a.Get("/me/security"); !strings.Contains(a.Text(), "10") {
			t.Error("the page does not say how many are left")
		}
		w.nowhere(codes...)
		if n := w.Events(w.Fabrikam.ID, "recovery.made"); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

// first is someone whom a link of a moment ago lets make a first second factor in the console, where none is demanded.
func (w *town) first(email string) (*doortest.Person, *doortest.Browser) {
	w.T.Helper()
	w.Exec(`update orgs set settings = '{"second_factor":"off"}' where id = $1`, w.Fabrikam.ID)
	p := w.Activate(w.Fabrikam, email, access.Core)
	b := w.Browser()
	past(b.Password(p))
	return p, b
}

// The first second factor that is made in the console brings recovery codes too, shown once; a further one brings none.
func TestRecoveryCodesInTheConsole(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		app := func(b *doortest.Browser, p *doortest.Person) *doortest.Browser {
			b.Get("/me/security").Submit(":action", "/me/security/app").Want("me.security.app")
			p.Key = strings.ReplaceAll(b.ByID("totp-secret"), " ", "")
			was := w.Count(`select count(*) from factors where account_id = $1 and kind = 'recovery'`, p.Account)
			b.Submit("code", "000000").WantStatus(http.StatusUnprocessableEntity).Want("me.security.app")
			for _, name := range oddNames()[4:] { // an app need not have one
				b.Submit("code", p.Code(), "name", name).WantStatus(http.StatusUnprocessableEntity).Want("me.security.app")
				if b.FieldError("name") == "" {
					t.Errorf("the name %.20q is not refused at its field", name)
				}
			}
			if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'recovery'`, p.Account); n != was || len(b.Recovery()) != 0 {
				t.Errorf("a wrong code makes %d sets of recovery codes", n-was)
			}
			return b.Submit("code", p.Code(), "name", "phone")
		}
		key := func(b *doortest.Browser, _ *doortest.Person) *doortest.Browser {
			b.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
			return b.Submit("name", "blue key", "credential", newKey(w.World).create(optionsIn(b.Body)))
		}
		for name, c := range map[string]struct {
			path, said    string
			first, second func(*doortest.Browser, *doortest.Person) *doortest.Browser
		}{"app": {"/me/security/app/confirm", "The authenticator app is set up", app, key}, "key": {"/me/security/key/confirm", "Your key or passkey is set up", key, app}} {
			p, b := w.first(name + "@fabrikam.example")
			made, enrolled := w.Events(w.Fabrikam.ID, "recovery.made"), w.Events(w.Fabrikam.ID, "factor.enrolled")
			c.first(b, p).WantStatus(http.StatusOK).Want("me.recovery")
			p.Recovery = b.Recovery()
			if codes := slices.Sorted(slices.Values(p.Recovery)); len(codes) != 10 || len(slices.Compact(codes)) != 10 {
				t.Fatalf("%s: the codes are %q", name, p.Recovery)
			}
			if file := savedCodes(t, b); !slices.Equal(strings.Fields(file), append([]string{"Fabrikam", p.Email}, p.Recovery...)) || !strings.Contains(b.Head.Get("Cache-Control"), "no-store") {
				t.Errorf("%s: the download is %q; the page's head %v", name, file, b.Head)
			}
			if m, e := w.Events(w.Fabrikam.ID, "recovery.made")-made, w.Events(w.Fabrikam.ID, "factor.enrolled")-enrolled; m != 1 || e != 1 {
				t.Errorf("%s: %d events of codes, %d of a factor", name, m, e)
			}
			w.Mailbox.Wait(p.Email, "factor-added", 1)
			if b.Get(c.path).Want("me.security"); strings.Contains(b.Body, p.Recovery[0]) || !strings.Contains(b.Text(), "10 of 10 left") || !strings.Contains(b.Text(), c.said) {
				t.Errorf("%s: afterwards the page says %s", name, b.Text())
			}
			for range 2 { // the same form once more
				if b.Post(c.path, url.Values{"code": {"000000"}, "credential": {"{}"}, "name": {"again"}}); len(b.Recovery()) != 0 || b.Status >= 500 {
					t.Errorf("%s: the form once more is answered %d %q", name, b.Status, b.Page())
				}
			}
			c.second(b, p).Want("me.security")
			if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'recovery'`, p.Account); n != 1 || len(b.Recovery()) != 0 {
				t.Errorf("%s: a second factor brings codes: %d sets", name, n)
			}
			w.nowhere(p.Recovery...)
			if r := coded(p, "recovery").post("recovery", "code", p.Recovery[0]); !sessionIn(r) {
				t.Errorf("%s: a code is answered %d", name, r.Status)
			}
		}
	})
}

// Confirmed fifty times at once, over all nodes, by an app and by a key: one set, shown to one of them.
func TestRecoveryCodesInTheConsoleAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p, b := w.first("bea@fabrikam.example")
		b.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
		credential := newKey(w.World).create(optionsIn(b.Body))
		b.Get("/me/security").Submit(":action", "/me/security/app").Want("me.security.app")
		p.Key = strings.ReplaceAll(b.ByID("totp-secret"), " ", "")
		digits, h := p.Code(), held(b)
		var shown atomic.Int64
		atOnce(50, func(i int) {
			path, form := "/me/security/app/confirm", url.Values{"code": {digits}, "name": {"phone"}}
			if i%2 == 0 {
				path, form = "/me/security/key/confirm", url.Values{"credential": {credential}, "name": {"key"}}
			}
			r, err := transmit(all[i%len(all)], http.MethodPost, path, form.Encode(), h)
			if err != nil || r.Status >= 500 {
				t.Errorf("%s is answered %d, %v", path, r.Status, err)
			}
			if r.Page() == "me.recovery" {
				shown.Add(1)
			}
		})
		if shown.Load() != 1 {
			t.Errorf("%d answers show codes", shown.Load())
		}
		for kind, want := range map[string]int{"recovery": 1, "totp": 1, "passkey": 1} {
			if n := w.Count(`select count(*) from factors where account_id = $1 and kind = $2 and state = 'active'`, p.Account, kind); n != want {
				t.Errorf("%d factors of kind %s", n, kind)
			}
		}
		if n := w.Events(w.Fabrikam.ID, "recovery.made"); n != 1 {
			t.Errorf("%d events of codes", n)
		}
	})
}

// A code stands in for the second factor once, however it is typed; it is its owner's, and no password (AT-44).
func TestRecoveryCode(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, q := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core), w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		wide := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r > ' ' && r < 0x7f {
					return r + '！' - '!'
				}
				return r
			}, s)
		}
		spellings := []func(string) string{
			func(s string) string { return s },
			strings.ToUpper,
			func(s string) string { return strings.ReplaceAll(s, "-", "") },
			func(s string) string { return " " + strings.Join(strings.Split(s, ""), " ") + "\u00a0\r\n" },
			wide,
			func(s string) string { return wide(strings.ToUpper(strings.ReplaceAll(s, "-", "\u3000"))) },
			func(s string) string { return strings.NewReplacer("0", "O", "1", "l", "-", "\u2013").Replace(s) },
			func(s string) string { return strings.NewReplacer("0", "o", "1", "I", "-", "\u2011").Replace(s) },
			func(s string) string { return strings.ReplaceAll(s, "-", ".") },
			func(s string) string { return "\t" + s + "--" },
		}
		for i, typed := range spellings {
			w.calm()
			a := coded(p, "recovery")
			for _, wrong := range []string{"", " ", "-", "abc", p.Recovery[i] + "a", p.Recovery[i][1:], "ünder-scöre", "🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑", strings.Repeat("a", 100_000)} {
				if r := a.post("recovery", "code", wrong); !atCode(r) {
					t.Errorf("%.20q is answered %d %v", wrong, r.Status, r.Faults())
				}
			}
			if n := w.Count(`select coalesce(max(failures), 0) from throttles where key like 'recovery:%'`); n != 0 {
				t.Errorf("what is no code counts as %d tries", n)
			}
			if r := a.post("recovery", "code", typed(p.Recovery[i])); !sessionIn(r) {
				t.Fatalf("code %d, typed %q, is answered %d %v", i, typed(p.Recovery[i]), r.Status, r.Faults())
			}
			m := w.Mailbox.Wait(p.Email, "recovery-used", i+1)
			if m.Link("/not-me/") == "" || i < 9 && !strings.Contains(m.Text, string(rune('9'-i))) {
				t.Errorf("after %d codes the mail says %q", i+1, m.Text)
			}
			if strings.Contains(m.Raw, p.Recovery[i]) {
				t.Error("the code is in the mail")
			}
			if n := w.Events(w.Fabrikam.ID, "recovery.used"); n != i+1 {
				t.Errorf("%d events after %d codes", n, i+1)
			}
			if i == len(spellings)-1 {
				break
			}
			a = coded(p, "recovery")
			if r := a.post("recovery", "code", p.Recovery[i]); !atCode(r) || !strings.Contains(r.Body, "used already") {
				t.Errorf("a used code is answered %d %v", r.Status, r.Faults())
			}
			if r := a.post("recovery", "code", q.Recovery[i]); !atCode(r) {
				t.Errorf("another's code is answered %d %v", r.Status, r.Faults())
			}
		}
		// All are used: nobody is asked for one.
		w.calm()
		a := halfIn(p)
		if a.Want("login.totp"); strings.Contains(a.Body, `value="recovery"`) {
			t.Error("recovery codes are offered though none is left")
		}
		if r := a.post("way", "way", "recovery"); r.Status != http.StatusSeeOther || sessionIn(r) {
			t.Errorf("they are answered %d", r.Status)
		}

		// Without the password there is nothing, and the steps of others take no code.
		before := w.Count(`select count(*) from sessions`)
		first := identified(w.World, "fabrikam", q.Email)
		for _, step := range []string{"recovery", "totp", "password", "access-code", "mail-code", "passkey"} {
			if r := first.post(step, "code", q.Recovery[0], "password", q.Recovery[0], "credential", q.Recovery[0]); sessionIn(r) {
				t.Errorf("a recovery code without a password opens %s", step)
			}
		}
		half := halfIn(q)
		for _, step := range []string{"totp", "password", "access-code", "mail-code", "passkey", "enrol-totp"} {
			if r := half.post(step, "code", q.Recovery[0], "password", q.Recovery[0], "credential", q.Recovery[0]); sessionIn(r) {
				t.Errorf("a recovery code opens %s", step)
			}
		}
		signedIn := w.Browser()
		signedIn.SignIn(q).Want("dashboard")
		if r := send(w.World, http.MethodPost, "/me/prove", url.Values{"proof_code": {q.Recovery[0]}, "to": {"/me"}}, held(signedIn)); sessionIn(r) {
			t.Error("a recovery code is a fresh proof")
		}
		if n := w.Count(`select count(*) from sessions`) - before; n != 1 {
			t.Errorf("%d sessions were made", n)
		}

		// A new set ends the old one. It is shown once, and needs a fresh proof.
		w.calm()
		w.Clock.Move(11 * time.Minute)
		signedIn.Post("/me/security/recovery", nil).Want("prove")
		signedIn.Submit("proof_code", q.Code()).Want("prove.resume").Submit().Want("me.recovery")
		fresh := signedIn.Recovery()
		if len(fresh) != 10 || slices.ContainsFunc(fresh, func(c string) bool { return slices.Contains(q.Recovery, c) }) {
			t.Fatalf("the new codes are %q", fresh)
		}
		if signedIn.Get("/me/security/recovery").Want("me.security"); strings.Contains(signedIn.Body, fresh[0]) {
			t.Error("they are shown again")
		}
		w.nowhere(append(fresh, q.Recovery...)...)
		a = coded(q, "recovery")
		if r := a.post("recovery", "code", q.Recovery[0]); !atCode(r) {
			t.Errorf("a code of the old set is answered %d", r.Status)
		}
		if r := a.post("recovery", "code", fresh[0]); !sessionIn(r) {
			t.Errorf("a code of the new set is answered %d", r.Status)
		}
	})
}

// Of fifty uses of one recovery code at once, over all nodes, with fifty sign-ins that know the password, one gets in (AT-37, AT-44).
func TestRecoveryCodeAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		attempts := make([]attempt, 50)
		for i := range attempts {
			attempts[i] = coded(p, "recovery")
		}
		was := w.sessions(p)
		together(t, all, func(i int) (string, url.Values, http.Header) {
			return "/login/recovery", attempts[i].form("code", p.Recovery[3]), held(attempts[i].Browser)
		})
		if n := w.sessions(p) - was; n != 1 {
			t.Errorf("one code made %d sessions", n)
		}
		w.calm()
		one := coded(p, "recovery")
		was = w.sessions(p)
		together(t, all, func(i int) (string, url.Values, http.Header) {
			return "/login/recovery", one.form("code", p.Recovery[i%10]), held(one.Browser)
		})
		if n := w.sessions(p) - was; n != 1 {
			t.Errorf("one sign-in made %d sessions", n)
		}
		if n := w.Count(`select counter from factors where account_id = $1 and kind = 'recovery'`, p.Account); n&8 == 0 || n == 8 || (n-8)&(n-9) != 0 {
			t.Errorf("two codes were used: %b", n)
		}
		settle(w.World)
		if n := w.Events(w.Fabrikam.ID, "recovery.used"); n != 2 {
			t.Errorf("%d events for two codes", n)
		}
	})
}

// Guessing recovery codes is slowed down, and ends them after a hundred failures in a row; the app goes on (AT-44).
func TestHundredWrongRecoveryCodes(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		for i := range throttle.Disable {
			there := *p
			there.World = all[i%len(all)]
			a := coded(&there, "recovery")
			if r := a.post("recovery", "code", "aaaaa-aaaaa"); !atCode(r) {
				t.Fatalf("failure %d is answered %d %v", i+1, r.Status, r.Faults())
			}
			if i >= 4 {
				if r := a.post("recovery", "code", p.Recovery[0]); r.Status != http.StatusTooManyRequests || r.Head.Get("Retry-After") == "" {
					t.Fatalf("after failure %d the next one is answered %d", i+1, r.Status)
				}
			}
			w.Clock.Move(17 * time.Minute)
		}
		if r := coded(p, "recovery").post("recovery", "code", p.Recovery[0]); sessionIn(r) {
			t.Error("the right code after a hundred wrong ones gets in")
		}
		if s := w.text(`select state from factors where account_id = $1 and kind = 'recovery'`, p.Account); s != "disabled" {
			t.Errorf("the codes are %s", s)
		}
		if n := w.Events(w.Fabrikam.ID, "factor.disabled"); n != 1 {
			t.Errorf("%d events of that", n)
		}
		w.Mailbox.Wait(p.Email, "factor-disabled", 1)
		a := halfIn(p)
		if a.Want("login.totp"); strings.Contains(a.Body, `value="recovery"`) {
			t.Error("disabled codes are offered")
		}
		a.Submit("code", p.Code()).Want("dashboard")
		if a.Get("/me/security"); !strings.Contains(a.Text(), "switched off") || strings.Contains(a.Text(), "of 10 left") {
			t.Errorf("the page does not say that the codes are no good: %s", a.Text())
		}
		a.Post("/me/security/recovery", nil).Want("me.recovery")
		if r := coded(p, "recovery").post("recovery", "code", a.Recovery()[0]); !sessionIn(r) {
			t.Errorf("a code of a new set is answered %d", r.Status)
		}
	})
}
