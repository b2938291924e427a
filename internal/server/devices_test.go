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
)

// newDevices is how many mails of a new device someone has got.
func (w *town) newDevices(p *doortest.Person) (n int) {
	w.T.Helper()
	settle(w.World)
	for _, m := range w.Mailbox.All(p.Email) {
		if m.Kind == "new-device" {
			n++
		}
	}
	return n
}

// again signs someone in once more in the same browser, and tells whether the second factor was asked for.
func again(b *doortest.Browser, p *doortest.Person) bool {
	p.World.T.Helper()
	b.Post("/logout", nil)
	b.Password(p)
	asked := b.Page() == "login.totp"
	if asked {
		b.Submit("code", p.Code())
	}
	past(b)
	return asked
}

// past goes on to the dashboard, past a passkey that is offered once a month.
func past(b *doortest.Browser) *doortest.Browser {
	b.World.T.Helper()
	if b.Page() == "login.passkey-offer" {
		b.Submit("choice", "later")
	}
	return b.Want("dashboard")
}

// Who signs in on a browser that the account was not used on before is mailed, from the second one on.
func TestNewDevice(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		home := w.Browser()
		home.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		home.SignInFirst(p)
		again(home, p)
		if n := w.newDevices(p); n != 0 {
			t.Errorf("%d mails of the first browser", n)
		}
		phone := w.Browser()
		phone.Header.Set("User-Agent", "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36")
		phone.SignIn(p).Want("dashboard")
		m := w.Mailbox.Wait(p.Email, "new-device", 1)
		if !strings.Contains(m.Text, "Chrome, Android") || !strings.Contains(m.Text, "127.0.0.1") && !strings.Contains(m.Text, "::1") || m.Link("/not-me/") == "" || !strings.Contains(m.Text, "Fabrikam") {
			t.Errorf("the mail says %q", m.Text)
		}
		again(phone, p)
		again(home, p)
		if n := w.newDevices(p); n != 1 {
			t.Errorf("%d mails of two browsers", n)
		}
		// What fails is no sign-in, and no device.
		other := w.Browser()
		other.Password(p).Submit("code", "000000").WantStatus(http.StatusUnprocessableEntity)
		if n := w.newDevices(p); n != 1 {
			t.Errorf("%d mails after a wrong code", n)
		}

		// Both are listed, and can be forgotten.
		if home.Get("/me/sessions"); !strings.Contains(home.Text(), "Chrome, Android") || !strings.Contains(home.Text(), "Firefox, Linux") {
			t.Errorf("the list says %q", home.Text())
		}
		device := w.text(`select id from devices where account_id = $1 and user_agent like '%Android%'`, p.Account)
		q, hers := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Administrator)
		if hers.Post("/me/sessions/devices/"+device+"/forget", nil); hers.Status != http.StatusNotFound {
			t.Errorf("another's device is answered %d", hers.Status)
		}
		home.Get("/me/sessions").Submit(":action", "/devices/"+device+"/forget").Want("me.sessions")
		if strings.Contains(home.ByID("main"), "Android") && w.Count(`select count(*) from devices where id = $1`, device) != 0 {
			t.Error("a forgotten device is listed")
		}
		if n := w.Events(w.Fabrikam.ID, "device.forgotten"); n != 1 {
			t.Errorf("%d events of that", n)
		}
		again(phone, p)
		if n := w.newDevices(p); n != 2 {
			t.Errorf("%d mails after the phone was forgotten", n)
		}
		if n := w.newDevices(q); n != 0 {
			t.Errorf("%d mails to somebody else", n)
		}
		// Two people at one browser are two devices, and the second one's first has no mail either.
		dora := w.Activate(w.Fabrikam, "dora@fabrikam.example", access.Core)
		home.Post("/logout", nil)
		home.SignInFirst(dora)
		again(home, p)
		again(home, dora)
		if w.newDevices(p) != 2 || w.newDevices(dora) != 0 {
			t.Errorf("two at one browser: %d and %d mails", w.newDevices(p), w.newDevices(dora))
		}
		w.nowhere(home.Cookie("device"), phone.Cookie("device"))
	})
}

func (w *town) remember(days string) {
	w.T.Helper()
	w.Exec(`update orgs set settings = $1`, `{"remember_days":`+days+`}`)
}

// remembered signs someone in on a new browser that is remembered from then on.
func (w *town) remembered(p *doortest.Person) *doortest.Browser {
	w.T.Helper()
	b := w.Browser()
	past(b.Password(p).Want("login.totp").Submit("code", p.Code(), "remember", "1"))
	if again(b, p) {
		w.T.Fatal("a remembered device is asked for the second factor")
	}
	return b
}

// A remembered device spares the second factor for the days that the rules name, and what it opens counts as a password alone (AT-45).
func TestRememberedDevice(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, plain := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		ada := w.Enrol(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		ask := func(what string, b *doortest.Browser, who *doortest.Person) {
			t.Helper()
			if !again(b, who) {
				t.Errorf("%s: the second factor is spared", what)
			}
		}
		// Nobody is remembered unless the rules say so, whatever the form says.
		b := w.Browser()
		a := halfIn(p)
		if strings.Contains(a.Body, `name="remember"`) {
			t.Error("it is offered though the rules have none")
		}
		b.Password(p).Post("/login/totp", url.Values{"attempt": {b.At.Query().Get("attempt")}, "code": {p.Code()}, "remember": {"1"}}).Want("dashboard")
		ask("no rule", b, p)
		w.remember("30")
		ask("a device from before the rule", b, p)
		ask("a device that nobody wanted remembered", plain, p)

		b = w.remembered(p)
		if n := w.Count(`select count(*) from sessions where account_id = $1 and state = 'open' and amr = 'pwd' and proved_at = 0`, p.Account); n != 1 {
			t.Errorf("%d sessions by a password alone", n)
		}
		if b.Get("/me/sessions"); !strings.Contains(b.Text(), "2026") {
			t.Error("the list does not say until when")
		}
		// Nothing sensitive goes on the password alone, not even at once.
		for _, form := range []string{"/me/security/app", "/me/security/key", "/me/security/recovery"} {
			if b.Post(form, nil); b.Page() != "prove" {
				t.Errorf("%s is answered %q to a remembered device", form, b.Page())
			}
		}
		b.Post("/me/security/password", url.Values{"password": {doortest.Password}, "new_password": {"another fine passphrase 9"}, "confirm_password": {"another fine passphrase 9"}}).Want("prove")
		b.Get("/me/prove?to=/me").Submit("proof_code", p.Code()).Want("me")
		b.Post("/me/security/recovery", nil).Want("me.recovery")

		// Its days.
		w.Clock.Move(30*24*time.Hour - 2*time.Hour)
		if again(b, p) {
			t.Error("asked before the days are over")
		}
		w.Clock.Move(2 * time.Hour)
		ask("after the days", b, p)

		// What takes the trust away.
		ctx, operator := t.Context(), doortest.Operator()
		for what, do := range map[string]func(b *doortest.Browser){
			"a reset of the password": func(*doortest.Browser) {
				w.calm()
				n := w.Events(w.Fabrikam.ID, "password.reset_requested") + 1
				if _, err := w.Directory.Use(ctx, account.Reset, tokenOf(w.resetLink(p, n)), doortest.Password, doortest.Password, access.Client{}); err != nil {
					t.Error(err)
				}
			},
			"signing out everywhere": func(b *doortest.Browser) { b.Get("/me/sessions").Submit(":action", "/end-all").Want("welcome") },
			"an administrator": func(*doortest.Browser) {
				admin := w.Browser()
				past(admin.SignIn(ada))
				admin.Get("/o/fabrikam/users/"+string(p.Account)).Want("user").Submit(":action", "/end-sessions").Want("user")
			},
			"forgetting": func(b *doortest.Browser) {
				device := w.text(`select id from devices where account_id = $1 order by last_used_at desc, trusted_until desc limit 1`, p.Account)
				b.Get("/me/sessions").Submit(":action", "/devices/"+device+"/forget").Want("me.sessions")
			},
			"a new factor": func(b *doortest.Browser) {
				b.Get("/me/prove?to=/me").Submit("proof_code", p.Code()).Want("me")
				b.Post("/me/security/key", nil).Want("me.security.key")
				b.Submit("name", "key", "credential", newKey(w.World).create(optionsIn(b.Body))).Want("me.security")
				w.Exec(`delete from factors where account_id = $1 and kind = 'passkey'`, p.Account) // so that the code is asked for
			},
			"a factor less": func(b *doortest.Browser) {
				k := newKey(w.World)
				other := w.Browser()
				past(other.SignIn(p))
				other.Post("/me/security/key", nil).Want("me.security.key")
				other.Submit("name", "key", "credential", k.create(optionsIn(other.Body))).Want("me.security")
				w.Exec(`update devices set trusted_until = $1 where account_id = $2`, w.Clock.Now().Add(time.Hour).UnixMicro(), p.Account)
				other.Post("/me/security/factors/"+w.text(`select id from factors where lookup = $1`, raw64(k.id))+"/remove", nil).Want("me.security")
			},
			"the rule's end": func(*doortest.Browser) { w.Exec(`update orgs set settings = '{}'`) },
			"disabling and enabling": func(*doortest.Browser) {
				if err := w.Directory.Disable(ctx, operator, w.Fabrikam.ID, p.Account); err != nil {
					t.Error(err)
				}
				if err := w.Directory.Enable(ctx, operator, w.Fabrikam.ID, p.Account); err != nil {
					t.Error(err)
				}
			},
			"an administrative role": func(*doortest.Browser) {
				if err := w.Directory.SetRoles(ctx, operator, w.Fabrikam.ID, p.Account, []string{access.CoManager}); err != nil {
					t.Error(err)
				}
			},
		} {
			b := w.remembered(p)
			do(b)
			ask(what, b, p)
			w.remember("30")
			if err := w.Directory.SetRoles(ctx, operator, w.Fabrikam.ID, p.Account, []string{access.Core}); err != nil {
				t.Fatal(err)
			}
		}
		// A change of the own password.
		b = w.remembered(p)
		b.Get("/me/prove?to=/me").Submit("proof_code", p.Code()).Want("me")
		b.Get("/me/security").Submit("password", doortest.Password, "new_password", "another fine passphrase 9", "confirm_password", "another fine passphrase 9").Want("me.security")
		b.Post("/logout", nil)
		b.Get("/o/fabrikam/login").Submit("identifier", p.Email).Submit("password", "another fine passphrase 9").Want("login.totp")

		// Without factors it spares no enrolment.
		q := w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		b = w.remembered(q)
		if err := w.Directory.ResetFactors(ctx, operator, w.Fabrikam.ID, q.Account, ""); err != nil {
			t.Fatal(err)
		}
		b.Password(q).Want("login.mail-code")

		// Administrators are never remembered, whatever their form says.
		boss := w.Enrol(w.Fabrikam, "boss@fabrikam.example", access.Administrator)
		b = w.Browser()
		if b.Password(boss).Want("login.totp"); strings.Contains(b.Body, `name="remember"`) {
			t.Error("an administrator is offered it")
		}
		b.Post("/login/totp", url.Values{"attempt": {b.At.Query().Get("attempt")}, "code": {boss.Code()}, "remember": {"1"}}).Want("dashboard")
		ask("an administrator", b, boss)
		if err := w.Directory.SetRoles(ctx, operator, w.Fabrikam.ID, boss.Account, []string{access.Core}); err != nil {
			t.Fatal(err)
		}
		ask("who was an administrator then", b, boss)
	})
}

// A device's cookie is worth nothing for anybody else, and none that somebody planted is ever good (AT-45).
func TestDeviceCookies(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.remember("30")
		p, q := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core), w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		elsewhere := w.Activate(w.Tailspin, "bea@fabrikam.example", access.Core)
		w.Browser().SignInFirst(elsewhere)
		b := w.remembered(p)
		secret := b.Cookie("device")
		// spared tells whether someone with a device's cookie gets in with a password alone.
		spared := func(who *doortest.Person, cookie string) bool {
			t.Helper()
			a := identified(w.World, who.Org.Slug, who.Email)
			h := held(a.Browser)
			h.Set("Cookie", h.Get("Cookie")+"; door-device="+cookie)
			r := send(w.World, http.MethodPost, "/login/password", a.form("password", doortest.Password), h)
			if r.Status != http.StatusSeeOther {
				t.Errorf("a password with the device %.20q is answered %d", cookie, r.Status)
			}
			return sessionIn(r)
		}
		if !spared(p, secret) {
			t.Error("her own device is not known")
		}
		for name, c := range map[string]struct {
			who    *doortest.Person
			cookie string
		}{"another person": {q, secret}, "the same address elsewhere": {elsewhere, secret}, "cut": {p, secret[:len(secret)-1]}, "longer": {p, secret + "A"}, "in capitals": {p, strings.ToUpper(secret)},
			"empty": {p, ""}, "as a session": {p, b.Cookie("session")}, "its id": {p, w.text(`select id from devices where account_id = $1 order by trusted_until desc limit 1`, p.Account)}, "long": {p, strings.Repeat("A", 5000)}} {
			if spared(c.who, c.cookie) {
				t.Errorf("%s: the second factor is spared", name)
			}
		}
		// The wrong password is as wrong on a remembered device, and the device alone is nothing.
		a := identified(w.World, "fabrikam", p.Email)
		h := held(a.Browser)
		h.Set("Cookie", h.Get("Cookie")+"; door-device="+secret)
		if r := send(w.World, http.MethodPost, "/login/password", a.form("password", "a wrong passphrase 1"), h); sessionIn(r) || r.Status != http.StatusUnprocessableEntity {
			t.Errorf("a wrong password on a remembered device is answered %d", r.Status)
		}

		// Somebody plants a cookie that they know, their own device's or any, and waits until the victim is remembered there.
		theirs := w.remembered(q)
		for _, known := range []string{theirs.Cookie("device"), "dwd_" + strings.Repeat("A", 43), "x"} {
			a := halfIn(p)
			h := held(a.Browser)
			h.Set("Cookie", h.Get("Cookie")+"; door-device="+known)
			r := send(w.World, http.MethodPost, "/login/totp", a.form("code", p.Code(), "remember", "1"), h)
			fresh := r.Cookie("device")
			if !sessionIn(r) || fresh == "" || fresh == known {
				t.Fatalf("on a browser with a planted device: %d, device %q", r.Status, fresh)
			}
			if spared(p, known) {
				t.Error("who planted a device's cookie is spared the second factor")
			}
			if !spared(p, fresh) {
				t.Error("the victim's own device is not remembered")
			}
		}
	})
}
