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
	"doorward/internal/id"
	"doorward/internal/org"
)

// What would change the factors of a linked account is refused wherever it is asked: they live at home.
func TestFactorsLiveAtHome(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		l := w.link("tess", access.Core).enter()
		ctx, o := t.Context(), w.Fabrikam.ID
		_, bea := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		settle(w.World)
		before := dump(w.World)
		v, err := w.Desk.Resolve(ctx, secretOf(l.Browser), access.Client{Address: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		one := func(_ any, err error) error { return err }
		key := func() error { _, err := w.Desk.BeginOwnPasskey(ctx, v); return err }
		for name, err := range map[string]error{
			"resetting factors":   w.Directory.ResetFactors(ctx, doortest.Operator(), o, l.There, ""),
			"a set-up mail":       w.Directory.SendSetup(ctx, doortest.Operator(), o, l.There),
			"an access code":      one(w.Directory.IssueAccessCode(ctx, doortest.Operator(), o, l.There, time.Hour)),
			"a password":          one(w.Desk.ChangePassword(ctx, v, doortest.Password, "another fine passphrase 9", "another fine passphrase 9")),
			"an app":              one(w.Desk.BeginOwnTOTP(ctx, v)),
			"an app's first code": one(w.Desk.ConfirmOwnTOTP(ctx, v, "123456", "x")),
			"a key":               key(),
			"a key's answer":      one(w.Desk.ConfirmOwnPasskey(ctx, v, "{}", "x")),
			"recovery codes":      one(w.Desk.NewCodes(ctx, v)),
			"removing a factor":   w.Desk.RemoveFactor(ctx, v, id.New[id.Factor](w.Clock.Now())),
			"linking again":       one(w.Directory.BeginLink(ctx, v.Actor)),
		} {
			if !refused(err, "account.linked") {
				t.Errorf("%s: %v", name, err)
			}
		}
		at := "/o/fabrikam/users/" + string(l.There)
		for path, b := range map[string]*doortest.Browser{at + "/reset-factors": bea, at + "/setup": bea, at + "/access-code": bea,
			"/me/security/app": l.Browser, "/me/security/key": l.Browser, "/me/security/recovery": l.Browser, "/me/link": l.Browser} {
			r := send(w.World, http.MethodPost, path, url.Values{"life": {"1h"}}, held(b))
			if r.Status != http.StatusSeeOther && r.Status != http.StatusConflict {
				t.Errorf("%s: %d %q", path, r.Status, r.Page())
			}
		}
		settle(w.World)
		if d := differing(before, dump(w.World), "sessions", "throttles"); d != nil {
			t.Errorf("changed %v", d)
		}

		// Its own sign-in page knows it as nobody, its forgotten password is answered alike, and the mail says where it lives.
		unknown, known := forgotten(w, "nobody@fabrikam.example"), forgotten(w, l.Email)
		if unknown != known {
			t.Errorf("a forgotten password: %s", difference(unknown, known))
		}
		m := w.Mailbox.Wait(l.Email, "reset-elsewhere", 1)
		if !strings.Contains(m.Text, "Contoso IT") || m.Link("/o/contoso/forgot") == "" || m.Link("/o/contoso/login") == "" || strings.Contains(m.Text, "/reset/") {
			t.Errorf("the mail says\n%s", m.Text)
		}
		w.Exec(`delete from throttles`)
		if w.signsIn(&doortest.Person{World: w.World, Org: w.Fabrikam, Email: l.Email}, doortest.Password) {
			t.Error("the linked account signs in on its own")
		}
		// The same address is here already.
		out, err := w.Directory.Invite(ctx, doortest.Operator(), o, account.Invitation{Emails: []string{l.Email}})
		if err != nil || !refused(out[0].Err, "email.there_active") {
			t.Errorf("inviting the address: %v %v", out, err)
		}
		if got, err := w.Directory.Import(ctx, doortest.Operator(), o, account.Import{Email: l.Email}); err != nil || !got.There {
			t.Errorf("importing the address: %v %v", got, err)
		}
	})
}

// forgotten returns all that a browser sees of a forgotten password.
func forgotten(w *town, identifier string) string {
	w.T.Helper()
	r := send(w.World, http.MethodPost, "/o/fabrikam/forgot", url.Values{"identifier": {identifier}}, nil)
	return masked(r, identifier, url.QueryEscape(identifier)) + masked(send(w.World, http.MethodGet, r.Location(), nil, nil))
}

// In a linked session a fresh proof is the home's factor, with the home's counter.
func TestLinkedStepUp(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		l := w.link("tess", access.Administrator).enter()
		w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.Clock.Move(11 * time.Minute)
		l.Get("/o/fabrikam/users/invite").Submit("emails", "new@fabrikam.example", "roles", access.Administrator).Want("prove")
		if !strings.Contains(l.Body, "/o/contoso/login?to=%2Fo%2Ffabrikam%2F") {
			t.Error("signing in again does not lead through the home")
		}
		l.Submit("proof_code", "000000").WantStatus(422).Want("prove")
		if n := w.Count(`select failures from throttles where key = $1`, "totp:"+string(l.Home.Account)); n != 1 {
			t.Errorf("%d tries are counted at home", n)
		}
		if w.Events(w.Fabrikam.ID, "signin.failed") != 1 || w.Events(w.Contoso.ID, "signin.failed") != 0 {
			t.Error("the wrong code is not in the log of the organisation that the session is of")
		}
		was := l.Cookie("session")
		l.Submit("proof_code", l.Home.Code()).Want("prove.resume").Submit("emails", "new@fabrikam.example").Want("users")
		if in(w.World, was) || w.Events(w.Fabrikam.ID, "session.proved_again") != 1 {
			t.Error("the proof left the session as it was")
		}
		// By a key of the home's, too.
		l.Get("/me").Submit(":action", "/me/leave").Want("dashboard")
		key := newKey(w.World)
		l.Get("/me/prove?to=/me/security").Submit("proof_code", l.Home.Code()).Want("me.security").Submit(":action", "/security/key").Want("me.security.key")
		l.Submit(":action", "/key/confirm", "credential", key.create(optionsIn(l.Body)), "name", "key").Want("me.security")
		l.enter()
		w.Clock.Move(11 * time.Minute)
		l.Get("/me/prove?to=/me").Want("prove")
		r := send(w.World, http.MethodPost, "/me/prove/key", nil, held(l.Browser))
		if r.Status != http.StatusOK {
			t.Fatalf("asking the key: %d %q", r.Status, r.Page())
		}
		cookies := held(l.Browser)
		cookies.Set("Cookie", cookies.Get("Cookie")+"; door-proof="+r.Cookie("proof"))
		r = send(w.World, http.MethodPost, "/me/prove", url.Values{"credential": {key.get(r.Body)}, "to": {"/me"}}, cookies)
		if r.Location() != "/me" || !sessionIn(r) {
			t.Errorf("the key's answer: %d %q %s", r.Status, r.Page(), r.Location())
		}
	})
}

// What somebody does to the home account ends its linked sessions on every node at once, and the customers' administrators are told.
func TestHomeChanges(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		admin := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		l := w.link("tess", access.Administrator)
		ctx, operator := t.Context(), doortest.Operator()
		open := func() string {
			t.Helper()
			b := w.Browser()
			b.SignIn(l.Home)
			b.Get("/me").Want("me").Submit(":action", "/me/enter").Want("dashboard")
			for _, node := range all {
				if !in(node, b.Cookie("session")) {
					t.Fatal("a linked session is no good on every node")
				}
			}
			return b.Cookie("session")
		}
		ended := func(what, session string) {
			t.Helper()
			for _, node := range all {
				if in(node, session) {
					t.Errorf("%s: the linked session goes on", what)
				}
			}
		}
		s := open()
		if err := all[len(all)-1].Desk.EndSessions(ctx, operator, w.Contoso.ID, l.Home.Account); err != nil {
			t.Fatal(err)
		}
		ended("all sessions at home ended", s)
		s = open()
		w.Exec(`update org_nodes set state = 'suspended' where id = $1`, w.Contoso.ID)
		ended("the home organisation is suspended", s)
		w.Exec(`update org_nodes set state = 'active' where id = $1`, w.Contoso.ID)

		s = open()
		if err := all[len(all)-1].Directory.Disable(ctx, operator, w.Contoso.ID, l.Home.Account); err != nil {
			t.Fatal(err)
		}
		ended("the home is disabled", s)
		for _, slug := range []string{"fabrikam", "contoso"} { // no way in anywhere
			for _, email := range []string{l.Email, l.Home.Email} {
				a := identified(w.World, slug, email)
				if r := a.post("password", "password", doortest.Password); r.Status == http.StatusSeeOther && sessionIn(r) {
					t.Errorf("%s at %s: in", email, slug)
				}
			}
		}
		if m := w.Mailbox.Wait(admin.Email, "linked-reset", 1); !strings.Contains(m.Text, "Contoso IT") || !strings.Contains(m.Text, l.Email) || m.Link(string(l.There)) == "" ||
			!strings.Contains(m.Text, "was disabled") {
			t.Errorf("the mail says\n%s", m.Text)
		}
		if w.Events(w.Fabrikam.ID, "linked.home_disabled") != 1 {
			t.Error("the customer's log does not tell it")
		}
		w.calm()
		if err := w.Directory.Enable(ctx, operator, w.Contoso.ID, l.Home.Account); err != nil {
			t.Fatal(err)
		}
		s = open()
		if err := w.Directory.ResetFactors(ctx, operator, w.Contoso.ID, l.Home.Account, "phone lost"); err != nil {
			t.Fatal(err)
		}
		ended("the home's factors are reset", s)
		if m := w.Mailbox.Wait(admin.Email, "linked-reset", 2); !strings.Contains(m.Text, "were reset") || strings.Contains(m.Text, "phone lost") {
			t.Errorf("the mail says\n%s", m.Text)
		}
		if w.Events(w.Fabrikam.ID, "linked.home_reset") != 1 {
			t.Error("the customer's log does not tell it")
		}
		settle(w.World)
		for _, m := range w.Mailbox.All(l.Email) {
			if m.Kind == "linked-reset" {
				t.Error("the person themself is asked to look")
			}
		}
		for _, row := range dump(w.World)["events"] {
			if strings.Contains(row, "org_id="+string(w.Fabrikam.ID)) && strings.Contains(row, string(l.Home.Account)) {
				t.Errorf("the customer's log names the home account: %s", row)
			}
		}
	})
}

// A linked account takes no seat, whatever becomes of it.
func TestLinkedSeats(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		ctx, operator, o := t.Context(), doortest.Operator(), w.Fabrikam
		l := w.link("tess", access.Core)
		if err := w.Directory.SetSeats(ctx, operator, o.ID, 1); err != nil {
			t.Fatal(err)
		}
		w.Enrol(o, "bea@fabrikam.example", access.Administrator)
		full := func(what string) {
			t.Helper()
			if n := w.used(o); n != 1 {
				t.Errorf("%s: %d seats are taken", what, n)
			}
		}
		full("linked")
		if err := w.Directory.Disable(ctx, operator, o.ID, l.There); err != nil {
			t.Fatal(err)
		}
		full("disabled")
		if r := send(w.World, http.MethodPost, "/me/enter", url.Values{"slug": {"fabrikam"}}, held(l.Browser)); r.Status != http.StatusNotFound {
			t.Errorf("a disabled linked account is entered: %d", r.Status)
		}
		if err := w.Directory.Unlink(ctx, operator, o.ID, l.There); !refused(err, "account.not_active") {
			t.Errorf("unlinking a disabled one: %v", err)
		}
		if err := w.Directory.Enable(ctx, operator, o.ID, l.There); err != nil { // no seat is free, and none is needed
			t.Fatal(err)
		}
		full("enabled")
		l.enter()
		if err := w.Directory.Unlink(ctx, operator, o.ID, l.There); !refused(err, "seats.full") {
			t.Errorf("unlinking without a seat: %v", err)
		}
		full("not unlinked")
		if err := w.Directory.SetSeats(ctx, operator, o.ID, 2); err != nil {
			t.Fatal(err)
		}
		if err := w.Directory.Unlink(ctx, operator, o.ID, l.There); err != nil {
			t.Fatal(err)
		}
		if n := w.used(o); n != 2 {
			t.Errorf("unlinked: %d seats are taken", n)
		}
		// Never activated, as it were: disabled and enabled it is invited, and withdrawn it is gone.
		for _, step := range []func() error{
			func() error { return w.Directory.Disable(ctx, operator, o.ID, l.There) },
			func() error { return w.Directory.Enable(ctx, operator, o.ID, l.There) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if state, is := w.linkedState(l.There); state != "invited" || is {
			t.Errorf("enabled it is %s, linked %t", state, is)
		}
		if err := w.Directory.Withdraw(ctx, operator, o.ID, l.There); err != nil {
			t.Fatal(err)
		}
		full("withdrawn")
	})
}

// The customer's rules hold for who comes in from home: what the session has not proved, the sign-in asks for.
func TestLinkedUnderTheCustomersRules(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		l := w.link("tess", access.Core)
		l.enter()
		w.Exec(`update orgs set settings = '{"factors":["passkey"]}' where id = $1`, w.Fabrikam.ID)
		if o, err := org.Find(w.DB.Read(t.Context()), w.Fabrikam.ID); err != nil || !o.Rules.KeysOnly() {
			t.Fatalf("the rules are %v, %v", o.Rules, err)
		}
		l.Get("/o/fabrikam/")
		if l.Page() == "dashboard" {
			t.Error("a session without a key goes on where only keys count")
		}
		b := w.Browser()
		b.SignIn(l.Home).Get("/me").Want("me").Submit(":action", "/me/enter").Want("login.identifier")
		if b.At.Path != "/o/contoso/login" || b.At.Query().Get("to") != "/o/fabrikam/" {
			t.Errorf("entering leads to %s", b.At)
		}
		b.Submit("identifier", l.Home.Email).Submit("password", doortest.Password).Submit("code", l.Home.Code()).Want("login.enrol")

		// An exception at home is none at the customer.
		w.Exec(`update orgs set settings = '{}' where id = $1`, w.Fabrikam.ID)
		uma := w.Activate(w.Contoso, "uma@contoso.example", access.Viewer)
		w.linkTo(w.Activate(w.Fabrikam, "uma@fabrikam.example", access.Core), uma)
		w.Exec(`update accounts set exempt_until = $1 where id = $2`, w.Clock.Now().Add(24*time.Hour).UnixMicro(), uma.Account)
		e := w.Browser()
		e.Password(uma).Want("login.mfa-notice").Submit("choice", "later").Want("login.chooser").Submit(":action", "/me/enter").Want("login.identifier")
		e.Submit("identifier", uma.Email).Submit("password", doortest.Password).Want("login.enrol")
	})
}
