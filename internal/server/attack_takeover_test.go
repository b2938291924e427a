package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
)

// thief is what somebody holds who had hold of an account before its owner came.
type thief struct {
	*doortest.Person
	in        *doortest.Browser // signed in
	half      attempt           // behind the password
	remembers *doortest.Browser // a device that is remembered
	pending   string            // the key of an app that was begun and never confirmed
	made      []string          // ids of everything that was enrolled
	key       *softkey
	code      string // temporary access code
}

// moveIn has somebody take over an account whose password is the kit's: an app, a key, recovery codes, a remembered device, an app begun.
func (w *town) moveIn(p *doortest.Person) *thief {
	w.T.Helper()
	v := &thief{Person: p}
	v.in = w.Browser().SignInFirst(p)
	v.remembers = w.remembered(p)
	w.Exec(`update accounts set offers = 3`) // no passkey is offered any more
	v.key = newKey(w.World)
	v.in.Post("/me/security/key", nil).Want("me.security.key")
	v.in.Submit("name", "key", "credential", v.key.create(optionsIn(v.in.Body))).Want("me.security")
	v.in.Post("/me/security/app", nil).Want("me.security.app")
	v.pending = strings.ReplaceAll(v.in.ByID("totp-secret"), " ", "")
	w.Exec(`update devices set trusted_until = $1 where account_id = $2`, w.Clock.Now().Add(240*time.Hour).UnixMicro(), p.Account) // the new key took that away
	c, err := w.Directory.IssueAccessCode(w.T.Context(), doortest.Operator(), p.Org.ID, p.Account, 24*time.Hour)
	if err != nil {
		w.T.Fatal(err)
	}
	v.code = c.Code
	v.half = halfIn(p)
	v.made = column(w, `select id from factors where account_id = $1 and kind <> 'password'`, p.Account)
	return v
}

// out fails the test where anything that the thief held before is still good for something. password is what the account has now.
func (v *thief) out(w *town, all []*doortest.World, when, password string) {
	w.T.Helper()
	for i, node := range all {
		if in(node, v.in.Cookie("session")) || in(node, v.remembers.Cookie("session")) {
			w.T.Errorf("%s: a session of before is good on node %d", when, i)
		}
		for _, step := range []string{"totp", "recovery", "access-code"} {
			r := send(node, http.MethodPost, "/login/"+step, v.half.form("code", map[string]string{"totp": v.Code(), "recovery": v.Recovery[0], "access-code": v.code}[step]), held(v.half.Browser))
			if sessionIn(r) || r.Cookie("attempt0") != "" {
				w.T.Errorf("%s: a sign-in of before goes on by %s on node %d: %d", when, step, i, r.Status)
			}
		}
	}
	if password != doortest.Password && w.signsIn(v.Person, doortest.Password) {
		w.T.Errorf("%s: the password of before is good", when)
	}
	a := identified(w.World, v.Org.Slug, v.Email)
	h := held(a.Browser)
	h.Set("Cookie", h.Get("Cookie")+"; door-device="+v.remembers.Cookie("device"))
	if r := send(w.World, http.MethodPost, "/login/password", a.form("password", password), h); sessionIn(r) || r.Status != http.StatusSeeOther {
		w.T.Errorf("%s: the remembered device of before: %d", when, r.Status)
	}
	w.calm()
}

// lastCode returns the newest code that was mailed to someone.
func (w *town) lastCode(p *doortest.Person) (last string) {
	w.T.Helper()
	settle(w.World)
	for _, m := range w.Mailbox.All(p.Email) {
		if m.Kind == "mail-code" {
			last = m.Code()
		}
	}
	return last
}

// AT-11: whoever had the account before its owner came by a mailed link holds nothing of it then: not the password, no session, no sign-in under
// way, no remembered device, no app half set up. What second factors he enrolled let nobody in with the new password until an administrator
// has reset them; after that nothing is left of him.
func TestWhoWasThereBefore(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		w.remember("30")
		const mine = "another fine passphrase 9"
		for name, link := range map[string]func(p *doortest.Person) string{
			"a reset":       func(p *doortest.Person) string { return w.resetLink(p, 1) },
			"a set-up mail": func(p *doortest.Person) string { return w.setupLink(p, 1) },
		} {
			p := w.Activate(w.Fabrikam, strings.ReplaceAll(name, " ", "-")+"@fabrikam.example", access.Core)
			v := w.moveIn(p)
			was := w.sessions(p)
			r := send(w.World, http.MethodPost, path(w, link(p)), choose(mine), nil)
			if r.Status != http.StatusSeeOther || sessionIn(r) {
				t.Fatalf("%s answers %d", name, r.Status)
			}
			v.out(w, all, "after "+name, mine)
			if n := w.sessions(p) - was; n != 0 {
				t.Errorf("%s made %d sessions in front of the second factor", name, n)
			}
			if n := w.Count(`select count(*) from factors where account_id = $1 and state = 'pending'`, p.Account); n != 0 {
				t.Errorf("after %s an app or key that somebody began before waits to be confirmed", name)
			}
			if err := w.Directory.ResetFactors(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, "taken over"); err != nil {
				t.Fatal(err)
			}
			v.out(w, all, "after "+name+" and a reset of the factors", mine)
			b := w.Browser()
			b.Get("/o/fabrikam/login").Submit("identifier", p.Email).Submit("password", mine).Want("login.mail-code")
			b.Submit("code", w.lastCode(p)).Want("login.enrol")
			b.Submit("method", "totp").Want("login.enrol.totp")
			stolen := code(t, p.Key, w.World)
			p.Key = strings.ReplaceAll(b.ByID("totp-secret"), " ", "")
			if p.Key == v.pending {
				t.Error("the app begun before is the one that is offered")
			}
			b.Submit("code", p.Code()).Want("login.recovery-codes").Submit("saved", "1").Want("dashboard")
			for _, f := range column(w, `select id from factors where account_id = $1`, p.Account) {
				if slices.Contains(v.made, f) {
					t.Errorf("after %s and a reset of the factors %s of before is left", name, f)
				}
			}
			for step, value := range map[string]string{"totp": stolen, "recovery": v.Recovery[1], "access-code": v.code} {
				a := identified(w.World, "fabrikam", p.Email)
				a.Submit("password", mine)
				if r := a.post(step, "code", value); sessionIn(r) || r.Cookie("attempt0") != "" {
					t.Errorf("after %s his %s is taken", name, step)
				}
				w.calm()
			}
			c := alone(w.World, "fabrikam")
			if !c.wrong(v.key.get(c.ask())) {
				t.Errorf("after %s his key is answered %d %q", name, c.b.Status, c.b.Page())
			}
		}
	})
}

// AT-11: an account that was disabled comes back with its password and its second factors, and with nothing that was under way.
func TestDisabledAndEnabledInheritsNothing(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		w.remember("30")
		w.Enrol(w.Fabrikam, "last@fabrikam.example", access.Administrator)
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		v := w.moveIn(p)
		links := []string{w.resetLink(p, 1), path(w, w.setupLink(p, 1)), path(w, w.warned(p, "factor-added", 1))}
		other := all[len(all)-1]
		if err := other.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		if err := w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		v.out(w, all, "enabled again", doortest.Password)
		for _, link := range links {
			for _, node := range all {
				if r := send(node, http.MethodPost, link, choose("a thief's passphrase 1"), nil); r.Status != http.StatusGone {
					t.Errorf("%s of before is answered %d", link[:8], r.Status)
				}
			}
		}
		if n := w.issued(p); n != 0 {
			t.Error("a temporary access code of before waits")
		}
		if n := w.Count(`select count(*) from factors where account_id = $1 and state = 'pending'`, p.Account); n != 0 {
			t.Error("an app that was begun before waits to be confirmed")
		}
		if !w.signsIn(p, doortest.Password) {
			t.Error("the owner's password is gone")
		}

		// So with an invitation: the link of before stays dead, a new one is needed.
		q, link := w.Invite(w.Fabrikam, "carl@fabrikam.example", access.Core)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, q.Account); err != nil {
			t.Fatal(err)
		}
		if err := w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, q.Account); err != nil {
			t.Fatal(err)
		}
		if r := send(w.World, http.MethodPost, link, choose("a thief's passphrase 1"), nil); r.Page() != "activate.expired" {
			t.Errorf("the invitation of before is answered %d %q", r.Status, r.Page())
		}
		fresh, err := w.Directory.Resend(t.Context(), doortest.Operator(), w.Fabrikam.ID, q.Account)
		if err != nil {
			t.Fatal(err)
		}
		if r := send(w.World, http.MethodPost, "/activate/"+string(fresh), choose("a new passphrase 11"), nil); !strings.HasSuffix(r.Location(), "/activated") {
			t.Errorf("the new invitation is answered %d", r.Status)
		}
	})
}

// AT-11: an address that was invited, withdrawn and invited again is a new account: the first invitation's link, roles, language and counters are
// not its.
func TestInvitedAgainInheritsNothing(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		_, admin := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		invite := func(roles []string, language string) id.Account {
			t.Helper()
			r := send(w.World, http.MethodPost, "/o/fabrikam/users/invite", url.Values{"emails": {"bea@fabrikam.example"}, "roles": roles, "language": {language}}, held(admin))
			if r.Status != http.StatusSeeOther {
				t.Fatalf("inviting answers %d %v", r.Status, r.Faults())
			}
			return id.Account(w.text(`select id from accounts where email_key = 'bea@fabrikam.example'`))
		}
		first := invite([]string{access.Administrator}, "de")
		old := path(w, w.Mailbox.Wait("bea@fabrikam.example", "invite", 1).Link("/activate/"))
		begun := identified(w.World, "fabrikam", "bea@fabrikam.example") // someone waits at the password, for the account to get one
		if r := send(w.World, http.MethodPost, "/o/fabrikam/users/"+string(first)+"/withdraw", nil, held(admin)); r.Status != http.StatusSeeOther {
			t.Fatalf("withdrawing answers %d", r.Status)
		}
		second := invite([]string{access.Viewer}, "")
		if first == second {
			t.Fatal("it is the same account")
		}
		fresh := path(w, w.Mailbox.Wait("bea@fabrikam.example", "invite", 2).Link("/activate/"))
		for _, node := range all {
			if r := send(node, http.MethodPost, old, choose("a thief's passphrase 1"), nil); r.Page() != "activate.expired" {
				t.Errorf("the first link is answered %d %q", r.Status, r.Page())
			}
		}
		if n := w.Count(`select count(*) from factors where account_id in ($1, $2)`, first, second); n != 0 {
			t.Error("the first link set a password")
		}
		if r := send(w.World, http.MethodPost, fresh, choose(doortest.Password), nil); !strings.HasSuffix(r.Location(), "/activated") {
			t.Fatalf("the second link is answered %d", r.Status)
		}
		if roles := column(w, `select role from assignments where account_id = $1`, second); !slices.Equal(roles, []string{access.Viewer}) {
			t.Errorf("the roles are %v", roles)
		}
		if n := w.Count(`select count(*) from assignments where account_id = $1`, first); n != 0 {
			t.Errorf("%d roles of the first invitation are left", n)
		}
		if language := w.text(`select language from accounts where id = $1`, second); language != "" {
			t.Errorf("the language is %q", language)
		}
		if r := begun.post("password", "password", doortest.Password); sessionIn(r) || r.Status == http.StatusSeeOther && r.Cookie("attempt0") != "" {
			t.Errorf("a sign-in begun for the first account goes on in the second: %d", r.Status)
		}
		p := &doortest.Person{World: w.World, Account: second, Org: w.Fabrikam, Email: "bea@fabrikam.example"}
		b := w.Browser().SignInFirst(p)
		if b.Get("/o/fabrikam/users/invite"); b.Status == http.StatusOK && b.Page() == "users.invite" {
			t.Error("a viewer who was invited as an administrator before may invite")
		}
	})
}
