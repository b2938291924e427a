package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

// setupLink has the operator send someone a set-up mail and returns the path of its link.
func (w *town) setupLink(p *doortest.Person, nth int) string {
	w.T.Helper()
	if err := w.Directory.SendSetup(w.T.Context(), doortest.Operator(), p.Org.ID, p.Account); err != nil {
		w.T.Fatal(err)
	}
	return path(w, w.Mailbox.Wait(p.Email, "setup", nth).Link("/setup/"))
}

// From the administrator's button through the new password and the first code to the dashboard, in one flow (mission C1).
func TestSetupMail(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, admin := w.enrolled(w.Fabrikam, "ann@fabrikam.example", access.Administrator)
		w.Exec(`update accounts set name = 'Ann Lind' where email_key = 'ann@fabrikam.example'`)
		carl := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
		w.Exec(`update accounts set link_used_at = 0 where id = $1`, carl.Account) // his activation is long ago
		halfway := halfIn(carl)
		halfway.Want("login.mail-code")

		person := "/o/fabrikam/users/" + string(carl.Account)
		admin.Get(person).Want("user").Submit(":action", "/setup").Want("user")
		mail := w.Mailbox.Wait(carl.Email, "setup", 1)
		if !strings.Contains(mail.Text, "Ann Lind") || !strings.Contains(mail.Text, "Fabrikam") {
			t.Errorf("the mail does not say who sent it, or for what:\n%s", mail.Text)
		}
		link := path(w, mail.Link("/setup/"))
		if !strings.HasPrefix(string(tokenOf(link)), "dwp_") || strings.Contains(admin.Body, string(tokenOf(link))) {
			t.Error("the administrator can see the link, or it is of another purpose")
		}

		const fresh = "another fine passphrase 9"
		b := w.Browser()
		b.Get(link).WantStatus(http.StatusOK).Want("setup-link")
		b.Submit("new_password", "short", "confirm_password", "short").WantStatus(http.StatusUnprocessableEntity).Want("setup-link")
		if b.FieldError("new_password") == "" {
			t.Error("a short password has no error at its field")
		}
		b.Submit("new_password", fresh, "confirm_password", "something else").WantStatus(http.StatusUnprocessableEntity).Want("setup-link")
		b.Submit("new_password", fresh, "confirm_password", fresh).Want("login.enrol") // no second mail: the link vouches for the mailbox
		b.Get("/o/fabrikam/").Want("welcome")
		b.Get("/login/next").Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
		carl.Key = strings.ReplaceAll(b.ByID("totp-secret"), " ", "")
		b.Submit("code", carl.Code()).Settle()

		halfway.Get("/login/next?attempt=" + halfway.ID).Want("login.identifier") // what was under way is void
		for _, kind := range []string{"password-changed", "factor-added"} {
			w.Mailbox.Wait(carl.Email, kind, 1)
		}
		for action, want := range map[string]int{"account.setup_sent": 1, "password.reset": 1, "signin.mail_code_sent": 1} {
			if n := w.Events(w.Fabrikam.ID, action); n != want {
				t.Errorf("%d events %s, want %d", n, action, want)
			}
		}
		if w.signsIn(carl, doortest.Password) || !w.signsIn(carl, fresh) {
			t.Error("the password is not the one chosen")
		}
		if n := w.Count(`select count(*) from accounts where id = $1 and link_used_at <> 0`, carl.Account); n != 0 {
			t.Error("the link vouches for the mailbox after the enrolment too")
		}
		b.Get(link).WantStatus(http.StatusGone).Want("error")
		r := send(w.World, http.MethodPost, link, choose("a thief's passphrase 1"), nil)
		if r.Status != http.StatusGone || r.Reason() != "expired" || sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Errorf("used again, the link answers %d %q and %v", r.Status, r.Reason(), r.Head["Set-Cookie"])
		}
	})
}

// Who has a second factor is asked for it, as always; the password of the link is not enough.
func TestSetupAsksForTheSecondFactor(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, old := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		app := w.text(`select id from factors where account_id = $1 and kind = 'totp'`, p.Account)
		b := w.Browser()
		b.Get(w.setupLink(p, 1)).Want("setup-link").Submit("new_password", "another fine passphrase 9", "confirm_password", "another fine passphrase 9").Want("login.totp")
		old.Get("/me").WantStatus(http.StatusUnauthorized)
		b.Get("/me").WantStatus(http.StatusUnauthorized)
		b.Get("/login/next").Want("login.totp")
		b.Submit("code", "000000").WantStatus(http.StatusUnprocessableEntity)
		b.Submit("code", p.Code()).Want("dashboard")
		if w.text(`select id from factors where account_id = $1 and kind = 'totp' and state = 'active'`, p.Account) != app {
			t.Error("the link changed the second factor")
		}
	})
}

// What refuses a sign-in refuses it after a set-up link too; where no second factor is asked for, it leads straight in.
func TestSetupObeysTheRules(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		const fresh = "another fine passphrase 9"
		p := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
		link := w.setupLink(p, 1)
		w.Exec(`delete from assignments where account_id = $1`, p.Account)
		b := w.Browser()
		b.Get(link).Submit("new_password", fresh, "confirm_password", fresh).WantStatus(http.StatusForbidden).Want("login.denied")
		if b.Reason() != string(policy.NoRole) {
			t.Errorf("the reason is %q", b.Reason())
		}

		q := w.Activate(w.Tailspin, "dora@tailspin.example", access.Core)
		link = w.setupLink(q, 1)
		w.Exec(`update orgs set settings = '{"second_factor":"off"}' where id = $1`, w.Tailspin.ID)
		r := send(w.World, http.MethodPost, link, choose(fresh), nil)
		if r.Status != http.StatusSeeOther || !sessionIn(r) || r.Location() != "/o/tailspin/" {
			t.Errorf("where no second factor is asked for, it answers %d %q", r.Status, r.Location())
		}
	})
}

// Sending needs the right over that person, a fresh proof, and an active account.
func TestSetupIsRefused(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		ann, admin := w.enrolled(w.Fabrikam, "ann@fabrikam.example", access.Administrator)
		_, co := w.enrolled(w.Fabrikam, "cosmo@fabrikam.example", access.CoManager)
		_, core := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		_, sibling := w.enrolled(w.Tailspin, "dora@tailspin.example", access.Administrator)
		ed, editor := w.enrolled(w.Contoso, "ed@contoso.example", access.Editor)
		_, other := w.enrolled(w.Adatum, "eve@adatum.example", access.Administrator)
		target := w.Activate(w.Fabrikam, "tara@fabrikam.example", access.Viewer)
		pending, _ := w.Invite(w.Fabrikam, "pending@fabrikam.example", access.Viewer)
		shut := w.Activate(w.Fabrikam, "shut@fabrikam.example", access.Viewer)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, shut.Account); err != nil {
			t.Fatal(err)
		}
		settle(w.World)
		to := func(p *doortest.Person) string { return "/o/fabrikam/users/" + string(p.Account) + "/setup" }
		mails := func() int { return w.Count(`select count(*) from outbox where kind = 'setup'`) }
		post := func(b *doortest.Browser, at string) reply { return send(w.World, http.MethodPost, at, nil, held(b)) }
		for name, c := range map[string]struct {
			by   *doortest.Browser
			at   string
			want int
		}{
			"a core user":                            {core, to(target), http.StatusForbidden},
			"a co-manager over an administrator":     {co, to(ann), http.StatusForbidden},
			"a sibling's administrator":              {sibling, to(target), http.StatusSeeOther},
			"another MSP's administrator":            {other, to(target), http.StatusSeeOther},
			"an editor without a group":              {editor, to(target), http.StatusSeeOther},
			"someone's id at a foreign organisation": {sibling, strings.Replace(to(target), "fabrikam", "tailspin", 1), http.StatusNotFound},
			"nobody":                                 {w.Browser(), to(target), http.StatusSeeOther},
		} {
			r := post(c.by, c.at)
			if r.Status != c.want || c.want == http.StatusSeeOther && !strings.Contains(r.Location(), "/login") || mails() != 0 {
				t.Errorf("%s is answered %d %q; %d mails", name, r.Status, r.Location(), mails())
			}
		}
		for name, p := range map[string]*doortest.Person{"invited": pending, "disabled": shut} {
			if r := post(admin, to(p)); r.Status != http.StatusSeeOther || mails() != 0 {
				t.Errorf("an account that is %s: %d, %d mails", name, r.Status, mails())
			}
			if err := w.Directory.SendSetup(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); !refusal.Is(err, refusal.Conflict) {
				t.Errorf("an account that is %s: %v", name, err)
			}
			if admin.Get("/o/fabrikam/users/" + string(p.Account)); strings.Contains(admin.Body, `/setup"`) {
				t.Errorf("the page of someone %s has the button", name)
			}
		}
		if n := w.Events(w.Fabrikam.ID, "account.setup_sent"); n != 0 {
			t.Errorf("%d events of a mail that was not sent", n)
		}

		// With a group the editor may, and so may a co-manager over a viewer; both only with a fresh proof.
		if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := access.Group(tx, w.Clock.Now(), w.Contoso.ID, "north", []id.Org{w.Fabrikam.ID}, []id.Account{ed.Account})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for n, b := range []*doortest.Browser{editor, co} {
			if r := post(b, to(target)); r.Status != http.StatusSeeOther || mails() != n+1 {
				t.Errorf("who may is answered %d %q; %d mails", r.Status, r.Location(), mails())
			}
		}
		w.Clock.Move(11 * time.Minute)
		if r := post(co, to(target)); r.Page() != "prove" || r.Reason() != "step_up" || mails() != 2 {
			t.Errorf("with an old proof it answers %d %q %q; %d mails", r.Status, r.Page(), r.Reason(), mails())
		}
	})
}

// A set-up link dies by a newer one, its time, its use, and whatever revokes the account.
func TestSetupLinkDies(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Enrol(w.Fabrikam, "last@fabrikam.example", access.Administrator)
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for name, event := range map[string]func(){
			"a newer one": func() { n++; w.setupLink(p, n) },
			"its time":    func() { w.Clock.Move(48 * time.Hour) },
			"a reset of the password": func() {
				w.Clock.Move(61 * time.Minute)
				_, err := w.Directory.Use(t.Context(), account.Reset, tokenOf(w.resetLink(p, w.Count(`select count(*) from outbox where kind = 'reset'`)+1)),
					doortest.Password, doortest.Password, access.Client{})
				must(err)
			},
			"signing out everywhere": func() { w.Browser().SignIn(p).Get("/me/sessions").Submit(":action", "/end-all").Want("welcome") },
			"disabling":              func() { must(w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account)) },
			"disabling and enabling": func() {
				must(w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account))
				must(w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account))
			},
		} {
			n++
			link := w.setupLink(p, n)
			event()
			was := w.text(`select data from factors where account_id = $1 and kind = 'password'`, p.Account)
			if r := send(w.World, http.MethodGet, link, nil, nil); r.Status != http.StatusGone || r.Reason() != "expired" {
				t.Errorf("after %s the link still opens: %d %q", name, r.Status, r.Page())
			}
			if r := send(w.World, http.MethodPost, link, choose("a thief's passphrase 1"), nil); r.Status != http.StatusGone || r.Cookie("attempt0") != "" {
				t.Errorf("after %s the link is still taken: %d %q", name, r.Status, r.Page())
			}
			if w.text(`select data from factors where account_id = $1 and kind = 'password'`, p.Account) != was {
				t.Errorf("after %s the link set a password", name)
			}
			w.Exec(`update accounts set state = 'active' where id = $1`, p.Account)
		}
	})
}

// Of fifty uses at once, over all nodes, one goes on to the second factor.
func TestSetupAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		was := w.Count(`select count(*) from attempts`)
		won := race(t, all, w.setupLink(p, 1), func(r reply) bool { return strings.HasPrefix(r.Location(), "/login/next") }, "error")
		if n := w.Count(`select count(*) from attempts`) - was; n != 1 {
			t.Errorf("%d sign-ins were begun, want 1", n)
		}
		if n := w.Events(w.Fabrikam.ID, "password.reset"); n != 1 {
			t.Errorf("%d events of a new password, want 1", n)
		}
		if !w.signsIn(p, raced(won)) {
			t.Error("the password is not the winner's")
		}
	})
}

// Only the use of a set-up link, a moment ago, opens the way behind the password.
func TestOnlyASetupLinkBeginsASignIn(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		ctx, client := t.Context(), access.Client{Address: "192.0.2.7"}
		begin := func(op account.Opened) error {
			was := w.Count(`select count(*) from attempts`)
			at, err := w.Desk.BeginAfterLink(ctx, op, client, signin.Held{})
			if err != nil && (w.Count(`select count(*) from attempts`) != was || at.Key.ID != "") {
				t.Error("a refused one left an attempt")
			}
			return err
		}
		refused := func(name string, op account.Opened) {
			t.Helper()
			if err := begin(op); !refusal.Is(err, refusal.Expired) && !refusal.Is(err, refusal.NotFound) {
				t.Errorf("%s begins a sign-in: %v", name, err)
			}
		}
		n := 0
		use := func() account.Opened {
			t.Helper()
			n++
			w.Clock.Move(time.Minute)
			op, err := w.Directory.Use(ctx, account.Setup, tokenOf(w.setupLink(p, n)), doortest.Password, doortest.Password, client)
			if err != nil {
				t.Fatal(err)
			}
			return op
		}
		refused("nothing", account.Opened{})
		refused("an account and its organisation", account.Opened{Org: p.Org, Account: account.Account{ID: p.Account, Org: p.Org.ID, State: account.Active, LinkUsed: w.Clock.Now()}, Good: true})
		n++
		opened, err := w.Directory.Open(ctx, account.Setup, tokenOf(w.setupLink(p, n)))
		if err != nil || !opened.Good {
			t.Fatal(opened, err)
		}
		refused("a link that was only opened", opened)
		op, err := w.Directory.Use(ctx, account.Reset, tokenOf(w.resetLink(p, 1)), doortest.Password, doortest.Password, client)
		if err != nil {
			t.Fatal(err)
		}
		refused("a reset", op)
		refused("a link that was opened and another one used", opened)
		q, link := w.Invite(w.Fabrikam, "new@fabrikam.example", access.Core)
		if op, err = w.Directory.Use(ctx, account.Activate, tokenOf(link), doortest.Password, doortest.Password, client); err != nil {
			t.Fatal(err)
		}
		refused("an activation of "+q.Email, op)
		if op, err = w.Directory.Use(ctx, account.Setup, secret.Text("dwp_"+strings.Repeat("x", 43)), doortest.Password, doortest.Password, client); err == nil {
			t.Error("an unknown link was used")
		}
		refused("a use that was refused", op)

		op = use()
		if err := begin(op); err != nil {
			t.Errorf("a use a moment ago does not begin a sign-in: %v", err)
		}
		w.Clock.Move(61 * time.Second)
		refused("a use of more than a minute ago", op)
		op = use()
		if err := w.Desk.EndSessions(ctx, access.Actor{Kind: access.AccountActor, Account: p.Account, Org: p.Org.ID}, p.Org.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		refused("a use before everything was revoked", op)
		op = use()
		w.Exec(`update accounts set link_used_at = 0 where id = $1`, p.Account)
		refused("a use that is spent", op)
		op = use()
		w.Exec(`update accounts set state = 'disabled' where id = $1`, p.Account)
		refused("a use on an account that is disabled now", op)
	})
}

// Too many wrong codes disabled somebody's app: an administrator sees it, and starts binding it again by a set-up mail or by a reset. Nothing
// lifts it, neither a new password nor any form of the person's page.
func TestDisabledFactorIsBoundAgain(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, admin := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		for way, fields := range map[string][]string{"/setup": nil, "/reset-factors": {"reason", "lost"}} {
			p := w.Enrol(w.Fabrikam, strings.Trim(way, "/")+"@fabrikam.example", access.Core)
			old := w.text(`select id from factors where account_id = $1 and kind = 'totp'`, p.Account)
			w.Exec(`update factors set state = 'disabled' where account_id = $1 and kind = 'totp'`, p.Account)
			stuck := "login.recovery" // with the codes that are left, one gets in
			if way == "/reset-factors" {
				w.Exec(`delete from factors where account_id = $1 and kind = 'recovery'`, p.Account)
				stuck = "login.denied"
			}
			halfIn(p).Want(stuck)
			send(w.World, http.MethodPost, w.resetLink(p, 1), choose(doortest.Password), nil)
			if a := halfIn(p).Want(stuck); stuck == "login.denied" && a.Reason() != "factor_disabled" {
				t.Errorf("after a new password the refusal is %q", a.Reason())
			}
			admin.Get("/o/fabrikam/users/" + string(p.Account)).Want("user")
			if !strings.Contains(admin.Text(), "Authenticator app") || !strings.Contains(admin.Text(), "Disabled") {
				t.Errorf("the person's page does not say that the app is disabled: %s", admin.Text())
			}
			admin.Submit(append([]string{":action", way}, fields...)...).Want("user")
			if way == "/setup" {
				halfIn(p).Want(stuck) // nothing changes until it is used
				b := w.Browser()
				b.Get(path(w, w.Mailbox.Wait(p.Email, "setup", 1).Link("/setup/"))).Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("login.enrol")
				b.Submit("method", "totp").Want("login.enrol.totp")
				p.Key = strings.ReplaceAll(b.ByID("totp-secret"), " ", "")
				through(b.Submit("code", p.Code())).Want("dashboard")
			} else {
				a := halfIn(p)
				a.Want("login.mail-code").Submit("code", w.Mailbox.Wait(p.Email, "mail-code", 1).Code()).Want("login.enrol")
			}
			w.Mailbox.Wait(p.Email, "factor-removed", 1)
			if n := w.Count(`select count(*) from factors where id = $1`, old); n != 0 {
				t.Errorf("%s: the disabled app is still there", way)
			}
		}
		if n := w.Events(w.Fabrikam.ID, "factor.removed"); n != 1 {
			t.Errorf("%d events of a removed factor", n)
		}
	})
}
