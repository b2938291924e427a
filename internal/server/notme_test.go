package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// warned returns the path of the link "this wasn't me" in the nth mail of a kind to someone.
func (w *town) warned(p *doortest.Person, kind string, nth int) string {
	w.T.Helper()
	link := w.Mailbox.Wait(p.Email, kind, nth).Link("/not-me/")
	if link == "" {
		w.T.Fatalf("the mail %q has no link that says it was someone else", kind)
	}
	return path(w, link)
}

// password returns the state of someone's password.
func (w *town) password(p *doortest.Person) string {
	w.T.Helper()
	return w.text(`select state from factors where account_id = $1 and kind = 'password'`, p.Account)
}

// Someone else has changed the password and is in: the owner throws them out with the link of the mail, and comes back by the reset.
func TestNotMe(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, owner := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		const stolen = "a thief's passphrase 1"
		thief := w.Browser()
		thief.SignIn(p).Get("/me/security").Submit("password", doortest.Password, "new_password", stolen, "confirm_password", stolen).Want("me.security")
		half := identified(w.World, "fabrikam", p.Email)
		half.Submit("password", stolen).Want("login.totp")
		link := w.warned(p, "password-changed", 1)
		owner.Get("/me").WantStatus(http.StatusUnauthorized) // the change has ended the owner's session

		b := w.Browser()
		b.Get(link).WantStatus(http.StatusOK).Want("not-me")
		if !strings.Contains(b.Text(), p.Email) || !strings.Contains(b.Text(), "Fabrikam") {
			t.Error("the page does not say whose account it is")
		}
		b.Submit(":action", "/not-me/").WantStatus(http.StatusOK).Want("not-me.done")

		thief.Get("/me").WantStatus(http.StatusUnauthorized)
		half.Get("/login/next?attempt=" + half.ID).Want("login.identifier")
		if w.password(p) != "disabled" || w.signsIn(p, stolen) || w.signsIn(p, doortest.Password) {
			t.Error("a password still works")
		}
		if n := w.Events(w.Fabrikam.ID, "account.not_me"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		if n := w.Count(`select count(*) from accounts where id = $1 and link_used_at <> 0`, p.Account); n != 0 {
			t.Error("a link of before still vouches for the mailbox")
		}

		// The same link again says that it is over; the mailed one leads back in, with the second factor as before.
		b.Get(link).WantStatus(http.StatusGone).Want("error")
		if r := send(w.World, http.MethodPost, link, nil, nil); r.Status != http.StatusGone || r.Reason() != "expired" {
			t.Errorf("the second time it answers %d %q %q", r.Status, r.Page(), r.Reason())
		}
		w.Clock.Move(time.Minute)
		reset := path(w, w.Mailbox.Wait(p.Email, "reset", 1).Link("/reset/"))
		const fresh = "another fine passphrase 9"
		b.Get(reset).Want("reset").Submit("new_password", fresh, "confirm_password", fresh).Want("login.identifier")
		if w.signsIn(p, stolen) {
			t.Error("the thief's password works again")
		}
		b.Submit("identifier", p.Email).Submit("password", fresh).Want("login.totp").Submit("code", p.Code()).Want("dashboard")
	})
}

// Each mail has its own link. Using one leaves the others, a sign-out everywhere does too; choosing a new password by mail answers them
// all, and so does disabling the account.
func TestNotMeLinksAreApart(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		first := w.warned(p, "factor-added", 1)
		change := func(nth int, from, to string) string {
			b.Get("/me/security").Submit("password", from, "new_password", to, "confirm_password", to).Want("me.security")
			return w.warned(p, "password-changed", nth)
		}
		second := change(1, doortest.Password, "a second passphrase 2")
		third := change(2, "a second passphrase 2", doortest.Password)
		open := func(link string, want int) {
			t.Helper()
			if r := send(w.World, http.MethodGet, link, nil, nil); r.Status != want {
				t.Errorf("%s answers %d %q, want %d", link, r.Status, r.Page(), want)
			}
		}
		b.Get("/me/sessions").Submit(":action", "/end-all").Want("welcome")
		for _, link := range []string{first, second, third} {
			open(link, http.StatusOK)
		}
		use := func(link string) {
			t.Helper()
			if r := send(w.World, http.MethodPost, link, nil, nil); r.Location() != "/o/fabrikam/not-me/done" {
				t.Errorf("%s answers %d %q", link, r.Status, r.Location())
			}
		}
		use(second)
		w.Mailbox.Wait(p.Email, "reset", 1) // before the next one discards it
		open(second, http.StatusGone)
		open(first, http.StatusOK)
		use(first) // once more, from another mail: another reset link, the earlier one is dead
		old, fresh := path(w, w.Mailbox.Wait(p.Email, "reset", 1).Link("/reset/")), path(w, w.Mailbox.Wait(p.Email, "reset", 2).Link("/reset/"))
		open(old, http.StatusGone)
		if r := send(w.World, http.MethodPost, fresh, choose("another fine passphrase 9"), nil); r.Status != http.StatusSeeOther {
			t.Errorf("the newer reset link answers %d", r.Status)
		}
		open(third, http.StatusGone)
		fourth := w.warned(p, "password-changed", 3)
		open(fourth, http.StatusOK)

		w.Enrol(w.Fabrikam, "last@fabrikam.example", access.Administrator)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		open(fourth, http.StatusGone)
		if r := send(w.World, http.MethodPost, fourth, nil, nil); r.Status != http.StatusGone {
			t.Errorf("on a disabled account the link answers %d", r.Status)
		}
		if err := w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		open(fourth, http.StatusGone)
		if w.password(p) != "active" {
			t.Error("a dead link disabled the password")
		}
	})
}

// answer says "this wasn't me" with a link, and comes back by the reset.
func (w *town) answer(p *doortest.Person, link string) {
	w.T.Helper()
	settle(w.World)
	resets := 0
	for _, m := range w.Mailbox.All(p.Email) {
		if m.Kind == "reset" {
			resets++
		}
	}
	if r := send(w.World, http.MethodPost, link, nil, nil); r.Location() != "/o/fabrikam/not-me/done" {
		w.T.Fatalf("the answer leads to %d %q", r.Status, r.Location())
	}
	reset := path(w, w.Mailbox.Wait(p.Email, "reset", resets+1).Link("/reset/"))
	w.Clock.Move(time.Minute)
	if r := send(w.World, http.MethodPost, reset, choose(doortest.Password), nil); r.Status != http.StatusSeeOther {
		w.T.Fatalf("the reset is answered %d %q", r.Status, r.Page())
	}
	w.calm()
}

// The answer to a mail about a new factor removes that one and no other; with the last one go its recovery codes.
func TestNotMeRemovesTheFactor(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, owner := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		kinds := func() string {
			list, err := factor.List(w.DB.Read(t.Context()), p.Account)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, f := range list {
				if f.Kind != factor.Password {
					out = append(out, string(f.Kind))
				}
			}
			slices.Sort(out)
			return strings.Join(out, " ")
		}
		add := func(b *doortest.Browser, name string) *softkey {
			k := newKey(w.World)
			b.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
			b.Submit("name", name, "credential", k.create(optionsIn(b.Body))).Want("me.security")
			return k
		}
		w.Clock.Move(time.Minute)
		thief := w.Browser()
		thief.SignIn(p).Want("dashboard")
		own := add(owner, "blue key")
		w.Clock.Move(time.Minute)
		theirs := add(thief, "thief's key")
		first, stolen := w.warned(p, "factor-added", 1), w.warned(p, "factor-added", 3)
		if got := kinds(); got != "passkey passkey recovery totp" {
			t.Fatalf("there are %q", got)
		}
		events := w.Events(w.Fabrikam.ID, "factor.removed")
		removed := func(want int) {
			t.Helper()
			if n := w.Events(w.Fabrikam.ID, "factor.removed") - events; n != want {
				t.Errorf("%d events of a removed factor, want %d", n, want)
			}
			settle(w.World)
			mails := 0
			for _, m := range w.Mailbox.All(p.Email) {
				if m.Kind == "factor-removed" {
					mails++
				}
			}
			if mails != want {
				t.Errorf("%d mails of a removed factor, want %d", mails, want)
			}
		}
		w.answer(p, stolen)
		thief.Get("/me").WantStatus(http.StatusUnauthorized)
		if w.Count(`select count(*) from factors where lookup = $1`, raw64(theirs.id)) != 0 || kinds() != "passkey recovery totp" {
			t.Errorf("left are %q", kinds())
		}
		removed(1)
		c := second(p)
		if !c.wrong(theirs.get(c.ask())) {
			t.Errorf("the thief's key is answered %d", c.b.Status)
		}
		c.give(own.get(c.ask())).Want("dashboard") // the owner's own key, and everything else, goes on

		// The reset has answered the links of before. Others stand for them.
		if r := send(w.World, http.MethodPost, first, nil, nil); r.Status != http.StatusGone {
			t.Errorf("a link from before the reset answers %d", r.Status)
		}
		nth := 3
		warn := func(kind string) string {
			t.Helper()
			at := sqldb.At(int64(w.Count(`select created_at from factors where account_id = $1 and kind = $2 and state = 'active'`, p.Account, kind)))
			if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
				return account.Tell(tx, w.Queue, w.Fabrikam.ID, p.Account, outbox.FactorAdded{Factor: kind, At: at})
			}); err != nil {
				t.Fatal(err)
			}
			nth++
			return w.warned(p, "factor-added", nth)
		}
		// One that is gone already is no error, and nothing else goes in its place.
		link := warn("passkey")
		c.b.Post("/me/security/factors/"+w.text(`select id from factors where lookup = $1`, raw64(own.id))+"/remove", nil)
		w.Mailbox.Wait(p.Email, "factor-removed", 2)
		w.answer(p, link)
		if kinds() != "recovery totp" {
			t.Errorf("left are %q", kinds())
		}
		removed(2)

		// One that too many wrong codes disabled is for an administrator.
		link = warn("totp")
		w.Exec(`update factors set state = 'disabled' where account_id = $1 and kind = 'totp'`, p.Account)
		w.answer(p, link)
		if kinds() != "recovery totp" || w.text(`select state from factors where account_id = $1 and kind = 'totp'`, p.Account) != "disabled" {
			t.Errorf("a disabled factor was lifted: %q", kinds())
		}
		w.Exec(`update factors set state = 'active' where account_id = $1 and kind = 'totp'`, p.Account)
		w.answer(p, warn("totp"))
		if kinds() != "" {
			t.Errorf("after the last factor there are %q", kinds())
		}
		removed(3)
		halfIn(p).Want("login.enrol")
	})
}

// The answer to a mail about a temporary code ends that code; the one that was issued since stays.
func TestNotMeEndsTheAccessCode(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, admin := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.issue(admin, p, "1h")
		old := w.warned(p, "access-code", 1)
		w.Clock.Move(time.Minute)
		w.issue(admin, p, "1h")
		fresh := w.warned(p, "access-code", 2)
		settle(w.World)
		if r := send(w.World, http.MethodPost, old, nil, nil); r.Status != http.StatusSeeOther || w.issued(p) != 1 {
			t.Errorf("the answer to the older mail: %d, %d codes are left", r.Status, w.issued(p))
		}
		if r := send(w.World, http.MethodPost, fresh, nil, nil); r.Status != http.StatusSeeOther || w.issued(p) != 0 {
			t.Errorf("the answer to the newer mail: %d, %d codes are left", r.Status, w.issued(p))
		}
		if n := w.Count(`select count(*) from factors where account_id = $1 and kind in ('totp', 'recovery')`, p.Account); n != 2 {
			t.Errorf("%d of the person's own two are left", n)
		}
	})
}

// The answer to a mail about a new device forgets that one: when it comes again, it is new again.
func TestNotMeForgetsTheDevice(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, home := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Clock.Move(time.Minute)
		thief := w.Browser()
		thief.SignIn(p).Want("dashboard")
		link := w.warned(p, "new-device", 1)
		was := w.text(`select id from devices where account_id = $1 order by created_at desc limit 1`, p.Account)
		w.Clock.Move(time.Minute)
		office := w.Browser()
		office.SignIn(p).Want("dashboard")
		w.Mailbox.Wait(p.Email, "new-device", 2)
		w.answer(p, link)
		if w.Count(`select count(*) from devices where id = $1`, was) != 0 || w.Count(`select count(*) from devices where account_id = $1`, p.Account) != 2 {
			t.Error("the wrong devices were forgotten")
		}
		if n := w.Events(w.Fabrikam.ID, "device.forgotten"); n != 1 {
			t.Errorf("%d events", n)
		}
		for i, b := range []*doortest.Browser{home, office, thief} {
			again(b, p)
			if n, want := w.newDevices(p), []int{2, 2, 3}[i]; n != want {
				t.Errorf("after sign-in %d there are %d mails of new devices, want %d", i+1, n, want)
			}
		}
	})
}

// Every "this wasn't me" is told to the organisation's administrators, in their language, but not to who said it.
func TestNotMeAlert(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		ann, in := w.enrolled(w.Fabrikam, "ann@fabrikam.example", access.Administrator)
		in.Get("/me").Submit("language", "de").Want("me")
		ada := w.Enrol(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		off := w.Enrol(w.Fabrikam, "off@fabrikam.example", access.Administrator)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, off.Account); err != nil {
			t.Fatal(err)
		}
		w.Enrol(w.Fabrikam, "co@fabrikam.example", access.CoManager)
		w.Enrol(w.Tailspin, "tom@tailspin.example", access.Administrator)
		w.Enrol(w.Contoso, "carl@contoso.example", access.Administrator)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		alerts := func(email string) (n int) {
			settle(w.World)
			for _, m := range w.Mailbox.All(email) {
				if m.Kind == "not-me-alert" {
					n++
				}
			}
			return n
		}
		if r := send(w.World, http.MethodPost, w.warned(p, "factor-added", 1), nil, nil); r.Status != http.StatusSeeOther {
			t.Fatal(r.Status)
		}
		page := "/o/fabrikam/users/" + string(p.Account)
		for who, words := range map[*doortest.Person][]string{ann: {"Vielleicht benutzt jemand", "Das war ich nicht", "Authenticator-App", p.Email, "Fabrikam"},
			ada: {"Someone else may be using", "This wasn’t me", "Authenticator app", p.Email, "Fabrikam"}} {
			m := w.Mailbox.Wait(who.Email, "not-me-alert", 1)
			for _, word := range words {
				if !strings.Contains(m.Subject+m.Text, word) {
					t.Errorf("the mail to %s does not say %q:\n%s", who.Email, word, m.Text)
				}
			}
			if to := m.Link("/users/"); !strings.HasSuffix(to, page) {
				t.Errorf("the mail leads to %q, not %s", to, page)
			}
			if strings.Contains(m.Text, "/not-me/") || strings.Contains(m.Text, "/reset/") {
				t.Error("the administrator gets the person's links")
			}
		}
		in.Get(page).Want("user")
		for email, want := range map[string]int{ann.Email: 1, ada.Email: 1, p.Email: 0, off.Email: 0, "co@fabrikam.example": 0, "tom@tailspin.example": 0, "carl@contoso.example": 0} {
			if n := alerts(email); n != want {
				t.Errorf("%s has %d such mails, want %d", email, n, want)
			}
		}
		if r := send(w.World, http.MethodPost, w.warned(ann, "factor-added", 1), nil, nil); r.Status != http.StatusSeeOther {
			t.Fatal(r.Status)
		}
		if a, b := alerts(ann.Email), alerts(ada.Email); a != 1 || b != 2 {
			t.Errorf("of her own answer ann has %d mails, ada %d", a-1, b-1)
		}
	})
}

// Seven days, not longer.
func TestNotMeEnds(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		link := w.warned(p, "factor-added", 1)
		w.Clock.Move(7*24*time.Hour - time.Minute)
		w.Browser().Get(link).Want("not-me")
		w.Clock.Move(time.Minute)
		settle(w.World)
		before := dump(w.World)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := send(w.World, method, link, nil, nil)
			if r.Status != http.StatusGone || r.Page() != "error" || r.Reason() != "expired" || !strings.Contains(r.Body, `<code id="ref">`) {
				t.Errorf("%s after seven days answers %d %q %q", method, r.Status, r.Page(), r.Reason())
			}
		}
		if d := differing(before, dump(w.World), "events", "event_persons", "throttles"); d != nil {
			t.Errorf("a link that has ended changed %v", d)
		}
		if n := w.Events(w.Fabrikam.ID, "link.refused"); n != 1 {
			t.Errorf("%d events of a dead link, want 1", n)
		}
	})
}

// Of fifty at once, over all nodes, one succeeds: one event, one reset.
func TestNotMeAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		link := w.warned(p, "factor-added", 1)
		race(t, all, link, func(r reply) bool { return r.Location() == "/o/fabrikam/not-me/done" }, "error")
		if n := w.Events(w.Fabrikam.ID, "account.not_me"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		settle(w.World)
		if n := w.Count(`select count(*) from outbox where account_id = $1 and kind = 'reset'`, p.Account); n != 1 {
			t.Errorf("%d mails with a reset, want 1", n)
		}
	})
}

// A request of the thief's that was let in a moment before comes too late: the password and the session stay dead.
func TestNotMeAgainstAChange(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, thief := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		v, err := w.Desk.Resolve(t.Context(), secret.Text(thief.Cookie("session")), access.Client{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			return account.Tell(tx, w.Queue, w.Fabrikam.ID, p.Account, outbox.RecoveryUsed{Left: 9, At: w.Clock.Now()})
		}); err != nil {
			t.Fatal(err)
		}
		if r := send(w.World, http.MethodPost, w.warned(p, "recovery-used", 1), nil, nil); r.Status != http.StatusSeeOther {
			t.Fatal(r.Status)
		}
		settle(w.World)
		before := dump(w.World)
		const stolen = "a thief's passphrase 1"
		if _, err := w.Desk.ChangePassword(t.Context(), v, doortest.Password, stolen, stolen); err == nil {
			t.Error("the password was changed")
		}
		if _, err := w.Desk.BeginOwnTOTP(t.Context(), v); !refusal.Is(err, refusal.Unauthenticated) {
			t.Errorf("an app was begun: %v", err)
		}
		if d := differing(before, dump(w.World), "events", "event_persons", "throttles"); d != nil {
			t.Errorf("the thief changed %v", d)
		}

		// And at the same moment.
		const again = "another fine passphrase 9"
		w.Clock.Move(time.Minute)
		b := w.Browser()
		b.Get(path(w, w.Mailbox.Wait(p.Email, "reset", 1).Link("/reset/"))).Submit("new_password", again, "confirm_password", again).Want("login.identifier")
		link := w.warned(p, "password-changed", 1)
		b.Submit("identifier", p.Email).Submit("password", again).Submit("code", p.Code()).Want("dashboard")
		form := choose(stolen)
		form.Set("password", again)
		cookies := held(b)
		atOnce(2, func(i int) {
			r, err := reply{}, error(nil)
			if i == 0 {
				r, err = transmit(w.World, http.MethodPost, "/me/security/password", form.Encode(), cookies)
			} else {
				r, err = transmit(w.World, http.MethodPost, link, "", nil)
			}
			if err != nil || r.Status >= 500 {
				t.Errorf("answered %d, %v", r.Status, err)
			}
		})
		if w.signsIn(p, stolen) || w.signsIn(p, again) || w.password(p) != "disabled" {
			t.Error("a password works although its owner has said that it was someone else")
		}
		b.Get("/me").WantStatus(http.StatusUnauthorized)
	})
}

// The link is in the mails that warn and in no others, and its secret nowhere but there.
func TestNotMeIsInTheWarnings(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, admin := w.enrolled(w.Fabrikam, "ann@fabrikam.example", access.Administrator)
		b.Get("/me/security").Submit("password", doortest.Password, "new_password", "a second passphrase 2", "confirm_password", "a second passphrase 2").Want("me.security")
		admin.Get("/o/fabrikam/users/"+string(p.Account)).Submit(":action", "/reset-factors", "reason", "lost").Want("user")
		admin.Get("/o/fabrikam/users/"+string(p.Account)).Submit(":action", "/roles", "roles", access.Core).Want("user")
		tell := func(warning outbox.Warning) {
			if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error { return account.Tell(tx, w.Queue, w.Fabrikam.ID, p.Account, warning) }); err != nil {
				t.Fatal(err)
			}
		}
		now := w.Clock.Now()
		tell(outbox.NewDevice{Device: "Firefox, Android", Address: "192.0.2.7", At: now})
		tell(outbox.RecoveryUsed{Left: 9, At: now})
		tell(outbox.FactorDisabled{Factor: "totp", At: now})
		tell(outbox.AccessCode{By: "Ann", Until: now.Add(time.Hour)})
		w.resetLink(p, 1)
		settle(w.World)
		var rows []string
		for _, list := range dump(w.World) {
			rows = append(rows, list...)
		}
		seen := map[string]bool{}
		for _, m := range w.Mailbox.All(p.Email) {
			seen[m.Kind] = true
			link := m.Link("/not-me/")
			warns := !strings.Contains("invite reset role-changed mail-code setup", m.Kind)
			if warns != (link != "") || warns != strings.Contains(m.HTML, "/not-me/") {
				t.Errorf("%s: link %q", m.Kind, link)
			}
			if !warns {
				continue
			}
			token := string(tokenOf(link))
			if !strings.HasPrefix(token, "dwn_") {
				t.Errorf("%s: the token is %q", m.Kind, token)
			}
			for _, row := range append(rows, w.Logs.String()) {
				if strings.Contains(row, token[4:]) {
					t.Fatalf("%s: the token is in the database or in the log", m.Kind)
				}
			}
			w.Browser().Get(link).Want("not-me")
		}
		for _, kind := range []string{"factor-added", "password-changed", "factor-removed", "role-changed", "new-device", "recovery-used", "factor-disabled", "access-code"} {
			if !seen[kind] {
				t.Errorf("no mail %q came", kind)
			}
		}

		// Who is not active has nothing to save, and is not warned.
		q, _ := w.Invite(w.Fabrikam, "new@fabrikam.example", access.Core)
		was := w.Count(`select count(*) from outbox`)
		if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			return account.Tell(tx, w.Queue, w.Fabrikam.ID, q.Account, outbox.PasswordChanged{At: now})
		}); err != nil || w.Count(`select count(*) from outbox`) != was {
			t.Error("an invited account was warned", err)
		}
	})
}

// Tokens that were never issued are all answered alike, with an event each; bodies that are no form are refused.
func TestNotMeForStrangers(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		link := w.warned(p, "factor-added", 1)
		token := string(tokenOf(link))
		settle(w.World)
		first := send(w.World, http.MethodGet, "/not-me/dwn_"+strings.Repeat("x", 43), nil, nil)
		for _, bad := range []string{token[:len(token)-1], token + "A", strings.ToUpper(token), "dwr_" + token[4:], "dwn_", "%ff%fe", string(p.Account), strings.Repeat("dwn_", 500)} {
			was := w.Count(`select count(*) from events where action = 'link.refused'`)
			get, post := send(w.World, http.MethodGet, "/not-me/"+bad, nil, nil), send(w.World, http.MethodPost, "/not-me/"+bad, nil, nil)
			if !alike(get, first) || !alike(post, first) || first.Status != http.StatusGone || first.Reason() != "expired" {
				t.Errorf("%q is answered otherwise: %d %q, %d %q", bad, get.Status, get.Page(), post.Status, post.Page())
			}
			if n := w.Count(`select count(*) from events where action = 'link.refused'`); n != was+1 {
				t.Errorf("%q left %d events, want 1", bad, n-was)
			}
		}
		for _, header := range []http.Header{with("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), with("Content-Type", "application/json")} {
			if r := send(w.World, http.MethodPost, link, nil, header); r.Status < 400 || r.Status >= 500 {
				t.Errorf("%v: %d", header, r.Status)
			}
		}
		if w.password(p) != "active" || w.Events(w.Fabrikam.ID, "account.not_me") != 0 {
			t.Error("something was taken for the link")
		}
		// The page after it tells nothing, whoever opens it.
		known, unknown := send(w.World, http.MethodGet, "/o/fabrikam/not-me/done", nil, nil), send(w.World, http.MethodGet, "/o/nowhere/not-me/done", nil, nil)
		if known.Page() != "not-me.done" || unknown.Page() != "not-me.done" || known.Status != unknown.Status {
			t.Errorf("%d %q, %d %q", known.Status, known.Page(), unknown.Status, unknown.Page())
		}
	})
}
