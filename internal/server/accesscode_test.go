package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/org"
	"doorward/internal/throttle"
)

var codeForm = regexp.MustCompile(`\b[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}\b`)

// issue has someone in a browser issue a temporary access code, and returns it as the page shows it.
func (w *town) issue(b *doortest.Browser, p *doortest.Person, life string) string {
	w.T.Helper()
	b.Get("/o/"+p.Org.Slug+"/users/"+string(p.Account)).Want("user").Submit(":action", "/access-code", "life", life).Want("user.access-code")
	found := codeForm.FindString(b.Body)
	if found == "" {
		w.T.Fatalf("no code on the page:\n%s", b.Text())
	}
	return found
}

func (w *town) issued(p *doortest.Person) int {
	w.T.Helper()
	return w.Count(`select count(*) from factors where account_id = $1 and kind = 'access-code'`, p.Account)
}

// A temporary code replaces a lost factor, after the password, and leads to a new one and nowhere else.
func TestAccessCode(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, admin := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		q := w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		old := w.issue(admin, p, "1h")
		code := w.issue(admin, p, "4h") // in place of the one before
		if old == code || w.issued(p) != 1 {
			t.Errorf("%d codes wait, %q and %q", w.issued(p), old, code)
		}
		if !strings.Contains(admin.Head.Get("Cache-Control"), "no-store") {
			t.Errorf("the page with the code is kept: %q", admin.Head.Get("Cache-Control"))
		}
		for _, path := range []string{"/o/fabrikam/users/" + string(p.Account) + "/access-code", "/o/fabrikam/users/" + string(p.Account)} {
			if admin.Get(path).Want("user"); strings.Contains(admin.Body, code) {
				t.Errorf("%s shows the code again", path)
			}
		}
		for i := range 2 {
			m := w.Mailbox.Wait(p.Email, "access-code", i+1)
			if strings.Contains(m.Raw, code) || strings.Contains(m.Raw, strings.ReplaceAll(code, "-", "")) || strings.Contains(m.Raw, old) || codeForm.MatchString(m.Text) {
				t.Errorf("the mail carries a code:\n%s", m.Text)
			}
			if !strings.Contains(m.Text, "ada@fabrikam.example") || m.Link("/not-me/") == "" {
				t.Errorf("the mail says %q", m.Text)
			}
		}
		if n := w.Events(w.Fabrikam.ID, "access_code.issued"); n != 2 {
			t.Errorf("%d events", n)
		}
		w.nowhere(code, old)

		// The password is still needed, and it is this person's code.
		first := identified(w.World, "fabrikam", p.Email)
		for _, step := range []string{"access-code", "password", "recovery", "totp"} {
			if r := first.post(step, "code", code, "password", code); sessionIn(r) || r.Cookie("attempt0") != "" {
				t.Errorf("a temporary code before the password is taken by %s", step)
			}
		}
		other := halfIn(q)
		if strings.Contains(other.Body, `value="access-code"`) {
			t.Error("another one is offered it")
		}
		if r := other.post("access-code", "code", code); sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Errorf("another's code is answered %d", r.Status)
		}
		a := coded(p, "access-code")
		for _, wrong := range []string{"", "abc", old, p.Recovery[0], code[:10]} {
			if r := a.post("access-code", "code", wrong); !atCode(r) {
				t.Errorf("%q is answered %d %v", wrong, r.Status, r.Faults())
			}
		}
		was := w.sessions(p)
		a.Submit("code", " "+strings.ToUpper(code)+" ").Want("login.enrol")
		if a.Cookie("session") != "" || w.sessions(p) != was {
			t.Error("a temporary code made a session")
		}
		if n := w.Events(w.Fabrikam.ID, "access_code.used"); n != 1 || w.issued(p) != 0 {
			t.Errorf("%d events, %d codes are left", n, w.issued(p))
		}

		// Who proved it stands at the enrolment, and is a stranger everywhere else.
		fill := map[string]string{"slug": "fabrikam", "account": string(p.Account), "session": w.session(p), "token": never,
			"factor": w.text(`select id from factors where account_id = $1 and kind = 'totp'`, p.Account), "device": w.text(`select id from devices where account_id = $1 order by id limit 1`, p.Account)}
		form := url.Values{"emails": {"x@fabrikam.example"}, "roles": {"core"}, "life": {"1h"}, "password": {doortest.Password}, "proof_password": {doortest.Password}}
		settle(w.World)
		before := dump(w.World)
		for _, r := range w.Console.Routes() {
			method, path := split(r.Pattern, fill)
			stranger := slot.ReplaceAllString(masked(send(w.World, method, path, form, nil)), "attempt")
			got := send(w.World, method, path, form, held(a.Browser))
			if text := slot.ReplaceAllString(masked(got), "attempt"); text != stranger || sessionIn(got) {
				t.Errorf("%s is answered otherwise than a stranger: %s", r.Pattern, difference(text, stranger))
			}
		}
		if d := differing(before, dump(w.World)); d != nil {
			t.Errorf("it changed %v", d)
		}
		for _, step := range []string{"passkey-offer", "recovery-codes", "not-now", "recovery", "totp", "access-code", "passkey"} {
			if r := a.post(step, "choice", "later", "saved", "1", "code", p.Recovery[0], "credential", "{}"); sessionIn(r) || r.Cookie("attempt0") != "" {
				t.Errorf("%s goes on without a new factor", step)
			}
		}

		// The new factor signs in, and the code does not come back.
		a.Submit("method", "totp").Want("login.enrol.totp")
		lost := p.Key
		p.Key = strings.ReplaceAll(a.ByID("totp-secret"), " ", "")
		a.Submit("code", p.Code())
		if a.Page() == "login.passkey-offer" {
			a.Submit("choice", "later")
		}
		a.Want("dashboard")
		if lost == p.Key {
			t.Error("the lost app was shown again")
		}
		again := halfIn(p)
		if again.Want("login.totp"); strings.Contains(again.Body, `value="access-code"`) {
			t.Error("the code is offered again")
		}
		if r := again.post("access-code", "code", code); sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Errorf("the code once more is answered %d", r.Status)
		}
		w.nowhere(code, old)

		// A security key does as well.
		code = w.issue(admin, q, "24h")
		b := coded(q, "access-code")
		b.Submit("code", code).Want("login.enrol").Submit("method", "passkey").Want("login.enrol.passkey")
		b.Submit("name", "key", "credential", newKey(w.World).create(optionsIn(b.Body))).Want("dashboard")
	})
}

// Only who may, for whom they may (rights.md): nobody issues one for someone with more rights.
func TestWhoIssuesAccessCodes(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		in := map[string]*doortest.Browser{}
		who := map[string]*doortest.Person{}
		for name, c := range map[string]struct {
			o    org.Org
			role string
		}{
			"root": {w.Provider, access.Administrator}, "support": {w.Provider, access.Support}, "msp": {w.Contoso, access.Administrator}, "editor": {w.Contoso, access.Editor},
			"mspviewer": {w.Contoso, access.Viewer}, "othermsp": {w.Adatum, access.Administrator}, "admin": {w.Fabrikam, access.Administrator}, "admin2": {w.Fabrikam, access.Administrator},
			"co": {w.Fabrikam, access.CoManager}, "co2": {w.Fabrikam, access.CoManager}, "auditor": {w.Fabrikam, access.Auditor}, "core": {w.Fabrikam, access.Core}, "viewer": {w.Fabrikam, access.Viewer},
			"sibling": {w.Tailspin, access.Administrator}, "siblingcore": {w.Tailspin, access.Core},
		} {
			p := w.Activate(c.o, name+"@x.example", c.role)
			who[name], in[name] = p, w.Browser().SignInFirst(p)
		}
		invited, _ := w.Invite(w.Fabrikam, "invited@x.example", access.Core)
		disabled := w.Enrol(w.Fabrikam, "disabled@x.example", access.Core)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, disabled.Account); err != nil {
			t.Fatal(err)
		}
		who["invited"], who["disabled"] = invited, disabled
		fresh := func() {
			w.Exec(`update sessions set proved_at = $1, last_used_at = $1`, w.Clock.Now().UnixMicro())
		}
		for _, c := range []struct {
			by, target string
			may        bool
		}{
			{"admin", "core", true}, {"admin", "admin2", true}, {"admin", "co", true}, {"admin", "auditor", true}, {"admin", "viewer", true},
			{"co", "core", true}, {"co", "viewer", true}, {"co", "admin", false}, {"co", "co2", false}, {"co", "auditor", false},
			{"msp", "core", true}, {"msp", "admin", true}, {"msp", "editor", true}, {"root", "msp", true}, {"root", "admin", true}, {"root", "support", true},
			{"support", "core", false}, {"support", "root", false}, {"editor", "core", false}, {"mspviewer", "core", false}, {"othermsp", "core", false}, {"othermsp", "msp", false},
			{"auditor", "core", false}, {"core", "viewer", false}, {"viewer", "core", false}, {"sibling", "core", false}, {"sibling", "admin", false}, {"admin", "siblingcore", false},
			{"admin", "msp", false}, {"admin", "root", false}, {"msp", "root", false}, {"msp", "othermsp", false},
			{"admin", "admin", false}, {"root", "root", false}, {"admin", "invited", false}, {"admin", "disabled", false},
		} {
			fresh()
			p := who[c.target]
			w.Exec(`delete from factors where kind = 'access-code'`)
			// Also under the issuer's own organisation's address.
			for _, slug := range []string{p.Org.Slug, who[c.by].Org.Slug} {
				r := send(w.World, http.MethodPost, "/o/"+slug+"/users/"+string(p.Account)+"/access-code", url.Values{"life": {"1h"}}, held(in[c.by]))
				shown := codeForm.MatchString(r.Body)
				if slug == p.Org.Slug && shown != c.may || slug != p.Org.Slug && shown {
					t.Errorf("%s for %s at %s: %d %q", c.by, c.target, slug, r.Status, r.Page())
				}
				if r.Status >= 500 {
					t.Errorf("%s for %s at %s: %d", c.by, c.target, slug, r.Status)
				}
			}
			if n := w.issued(p); n != map[bool]int{true: 1}[c.may] {
				t.Errorf("%s for %s: %d codes", c.by, c.target, n)
			}
		}
		if n := w.Count(`select count(*) from events where action = 'right.refused'`); n < 15 {
			t.Errorf("%d refused rights are in the log", n)
		}
		// How long it may be good is not theirs to invent.
		fresh()
		for _, life := range []string{"", "0", "1m", "25h", "999h", "-1h", "forever"} {
			r := send(w.World, http.MethodPost, "/o/fabrikam/users/"+string(who["core"].Account)+"/access-code", url.Values{"life": {life}}, held(in["admin"]))
			if codeForm.MatchString(r.Body) || r.Status >= 500 {
				t.Errorf("a life of %q is answered %d", life, r.Status)
			}
		}
		for _, life := range []time.Duration{0, -time.Hour, 9 * time.Minute, 24*time.Hour + 1, 1 << 62} {
			if _, err := w.Directory.IssueAccessCode(t.Context(), doortest.Operator(), w.Fabrikam.ID, who["core"].Account, life); err == nil {
				t.Errorf("a life of %s is taken", life)
			}
		}
	})
}

// It ends at its time, with the account, and after a hundred wrong ones; of fifty uses at once one counts.
func TestAccessCodeEnds(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		w.Enrol(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		issue := func() factor.AccessCode {
			t.Helper()
			c, err := w.Directory.IssueAccessCode(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		issued := issue()
		w.Clock.Move(31 * time.Minute)
		w.Clock.Move(29*time.Minute - time.Second)
		justIn := coded(p, "access-code")
		justIn.Submit("code", issued.Code).Want("login.enrol")
		issued = issue()
		waiting := coded(p, "access-code")
		w.Exec(`update attempts set expires_at = expires_at + 7200000000`) // only the code ends
		w.Clock.Move(time.Hour)
		if r := waiting.post("access-code", "code", issued.Code); sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Errorf("at its end the code is answered %d %v", r.Status, r.Faults())
		}
		if a := halfIn(p); strings.Contains(a.Body, `value="access-code"`) {
			t.Error("a code that ended is offered")
		}

		// At once.
		issued = issue()
		attempts := make([]attempt, 50)
		for i := range attempts {
			attempts[i] = coded(p, "access-code")
		}
		was := w.sessions(p)
		moved := together(t, all, func(i int) (string, url.Values, http.Header) {
			return "/login/access-code", attempts[i].form("code", issued.Code), held(attempts[i].Browser)
		})
		if len(moved) != 1 || w.sessions(p) != was {
			t.Errorf("fifty uses of one code: %d went on, %d sessions", len(moved), w.sessions(p)-was)
		}
		// One enrolment comes of it, however often it is answered.
		if len(moved) == 1 {
			holder := with("Cookie", "door-attempt0="+moved[0].Cookie("attempt0"))
			_, id, _ := strings.Cut(moved[0].Location(), "attempt=")
			chosen := send(w.World, http.MethodPost, "/login/enrol", url.Values{"attempt": {id}, "method": {"totp"}}, holder)
			key, err := factor.TOTPKey(w.DB.Read(t.Context()), w.Vault, p.Account)
			if err != nil {
				t.Fatal(err)
			}
			holder = with("Cookie", "door-attempt0="+chosen.Cookie("attempt0"))
			w.Clock.Move(31 * time.Second)
			digits, apps := code(t, key, w.World), w.Count(`select count(*) from factors where account_id = $1 and kind = 'totp' and state = 'active'`, p.Account)
			together(t, all, func(int) (string, url.Values, http.Header) {
				return "/login/enrol-totp", url.Values{"attempt": {id}, "code": {digits}}, holder
			})
			if n := w.Count(`select count(*) from factors where account_id = $1 and kind = 'totp' and state = 'active'`, p.Account) - apps; n != 1 {
				t.Errorf("one enrolment made %d apps", n)
			}
		}

		// Disabled: refused after the proof, without an enrolment, and gone with the state.
		w.calm()
		issued = issue()
		half := coded(p, "access-code")
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		if r := half.post("access-code", "code", issued.Code); sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Errorf("disabled between the steps: %d", r.Status)
		}
		late := halfIn(p)
		if late.Want("login.totp"); w.issued(p) != 0 || strings.Contains(late.Body, `value="access-code"`) {
			t.Error("the code survives the account's state")
		}
		if r := late.post("access-code", "code", issued.Code); sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Errorf("of a disabled account the code is answered %d", r.Status)
		}
		if late.Submit("code", p.Code()).Want("login.denied"); late.Reason() != "account_disabled" {
			t.Errorf("refused for %q", late.Reason())
		}
		if err := w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}

		// A reset of the factors ends it too.
		issue()
		if err := w.Directory.ResetFactors(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, ""); err != nil {
			t.Fatal(err)
		}
		if w.issued(p) != 0 {
			t.Error("the code survives a reset of the factors")
		}

		// Guessing.
		q := w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		p = q
		issued = issue()
		for i := range throttle.Disable {
			there := *q
			there.World = all[i%len(all)]
			a := coded(&there, "access-code")
			if r := a.post("access-code", "code", "aaaaa-aaaaa"); !atCode(r) {
				t.Fatalf("failure %d is answered %d %v", i+1, r.Status, r.Faults())
			}
			w.Exec(`update throttles set blocked_until = 0`)
			w.Exec(`delete from throttles where key like 'address:%' or key like 'org:%' or key like 'requests:%'`)
		}
		a := coded(q, "access-code")
		if r := a.post("access-code", "code", issued.Code); sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Error("the right code after a hundred wrong ones goes on")
		}
		issued = issue()
		a = coded(q, "access-code")
		a.Submit("code", issued.Code).Want("login.enrol")
	})
}
