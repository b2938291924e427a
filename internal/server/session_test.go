package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/secret"
)

// cookie is the Cookie header of a session.
func cookieOf(secret string) http.Header { return with("Cookie", "door-session="+secret) }

// in tells whether a session's secret opens the own account on a node.
func in(w *doortest.World, secret string) bool {
	w.T.Helper()
	r := send(w, http.MethodGet, "/me", nil, cookieOf(secret))
	if r.Status != http.StatusOK && r.Status != http.StatusUnauthorized {
		w.T.Errorf("/me answers %d %q", r.Status, r.Page())
	}
	return r.Status == http.StatusOK
}

// Each rise of privilege has a new secret, and the old one is dead (AT-55).
func TestNewSecretAtEachRise(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Activate(w.Tailspin, "bea@tailspin.example", access.Core)
		seen := []string{b.Cookie("session")}
		rise := func(what string, do func()) {
			t.Helper()
			do()
			s := b.Cookie("session")
			for _, old := range seen {
				if old == s || in(w.World, old) {
					t.Errorf("after %s an old secret is still good", what)
				}
			}
			if !in(w.World, s) {
				t.Errorf("after %s the new secret is no good", what)
			}
			seen = append(seen, s)
		}
		rise("a fresh proof", func() { b.Get("/me/prove?to=/me").Submit("proof_code", p.Code()).Want("me") })
		rise("a new password", func() {
			b.Get("/me/security").Submit("password", doortest.Password, "new_password", "another fine passphrase 9", "confirm_password", "another fine passphrase 9").Want("me.security")
		})
		rise("another sign-in in the same browser", func() {
			b.Get("/o/fabrikam/login").Submit("identifier", p.Email).Submit("password", "another fine passphrase 9").Want("login.totp").Submit("code", p.Code()).Want("dashboard")
		})
		before := w.session(p)
		// What somebody planted as a session is never taken over, not even when it has the right form.
		planted := "dws_" + strings.Repeat("A", 43)
		a := identified(w.World, "fabrikam", p.Email)
		h := held(a.Browser)
		h.Set("Cookie", h.Get("Cookie")+"; door-session="+planted)
		r := send(w.World, http.MethodPost, "/login/password", a.form("password", "another fine passphrase 9"), h)
		r = send(w.World, http.MethodPost, "/login/totp", a.form("code", p.Code()), with("Cookie", "door-attempt0="+r.Cookie("attempt0")+"; door-session="+planted))
		if !sessionIn(r) || r.Cookie("session") == planted || in(w.World, planted) {
			t.Errorf("a planted session: %d", r.Status)
		}
		// A browser holds one session: a sign-in to another organisation ends the one before, and that one's log learns nothing of it (D9).
		q := &doortest.Person{World: w.World, Org: w.Tailspin, Email: "bea@tailspin.example"}
		rise("a sign-in to another organisation", func() { b.SignInFirst(q) })
		if s := w.text(`select state from sessions where id = $1`, before); s != "ended" {
			t.Errorf("the session before is %s", s)
		}
		for _, row := range dump(w.World)["events"] {
			if strings.Contains(row, "org_id="+string(w.Fabrikam.ID)) && strings.Contains(row, string(w.Tailspin.ID)) {
				t.Errorf("Fabrikam's log names Tailspin: %s", row)
			}
		}
		for _, row := range dump(w.World)["event_persons"] {
			if strings.Contains(row, "org_id="+string(w.Fabrikam.ID)) && strings.Contains(row, "tailspin") {
				t.Errorf("Fabrikam's log names someone of Tailspin: %s", row)
			}
		}
	})
}

// A session that ended is dead on every node at once, however it ended (AT-56, AT-72).
func TestSessionsEndEverywhere(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		other := all[len(all)-1]
		ctx, operator, o := t.Context(), doortest.Operator(), w.Fabrikam.ID
		w.Enrol(w.Fabrikam, "last@fabrikam.example", access.Administrator)
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		_, admin := w.enrolled(w.Fabrikam, "adam@fabrikam.example", access.Administrator)
		fresh := func() (*doortest.Browser, string) {
			t.Helper()
			b := w.Browser()
			b.SignIn(p).Want("dashboard")
			for _, node := range all {
				if !in(node, b.Cookie("session")) {
					t.Fatal("a new session is no good on every node")
				}
			}
			return b, b.Cookie("session")
		}
		button := func(action string) func(*doortest.Browser) {
			return func(*doortest.Browser) {
				if r := send(w.World, http.MethodPost, "/o/fabrikam/users/"+string(p.Account)+"/"+action, nil, held(admin)); r.Status != http.StatusSeeOther {
					t.Errorf("%s: %d %q", action, r.Status, r.Page())
				}
			}
		}
		for name, end := range map[string]func(*doortest.Browser){
			"signing out": func(b *doortest.Browser) { b.Post("/logout", nil).Want("welcome") },
			"ending it in the list": func(b *doortest.Browser) {
				c := w.Browser()
				c.SignIn(p)
				c.Post("/me/sessions/"+w.text(`select id from sessions where account_id = $1 and state = 'open' order by created_at limit 1`, p.Account)+"/end", nil).Want("me.sessions")
			},
			"ending all":       func(b *doortest.Browser) { b.Get("/me/sessions").Submit(":action", "/end-all").Want("welcome") },
			"an administrator": button("end-sessions"),
			"being disabled":   button("disable"),
			"a reset of factors": func(*doortest.Browser) {
				if err := other.Directory.ResetFactors(ctx, operator, o, p.Account, ""); err != nil {
					t.Error(err)
				}
			},
			"losing the last role": func(*doortest.Browser) {
				if err := other.Directory.SetRoles(ctx, operator, o, p.Account, nil); err != nil {
					t.Error(err)
				}
			},
			"the role's end": func(*doortest.Browser) {
				w.Exec(`update assignments set expires_at = $1 where account_id = $2`, w.Clock.Now().UnixMicro(), p.Account)
			},
			"a reset": func(*doortest.Browser) {
				w.Clock.Move(30 * time.Minute)
				n := w.Events(o, "password.reset_requested") + 1
				if _, err := other.Directory.Use(ctx, account.Reset, tokenOf(w.resetLink(p, n)), doortest.Password, doortest.Password, access.Client{}); err != nil {
					t.Error(err)
				}
			},
			"the organisation's suspension": func(*doortest.Browser) { w.Exec(`update org_nodes set state = 'suspended' where id = $1`, o) },
		} {
			w.Exec(`update sessions set state = 'ended' where account_id = $1`, p.Account)
			b, secret := fresh()
			end(b)
			for i, node := range all {
				if in(node, secret) {
					t.Errorf("%s leaves the session good on node %d", name, i)
				}
			}
			// Back to where the next one begins.
			w.Exec(`update accounts set state = 'active' where id = $1`, p.Account)
			w.Exec(`update org_nodes set state = 'active' where id = $1`, o)
			w.Exec(`delete from assignments where account_id = $1`, p.Account)
			if err := w.Directory.SetRoles(ctx, operator, o, p.Account, []string{access.Core}); err != nil {
				t.Fatal(err)
			}
			if w.Count(`select count(*) from factors where account_id = $1 and kind = 'totp'`, p.Account) == 0 {
				w.Exec(`update accounts set link_used_at = $1 where id = $2`, w.Clock.Now().UnixMicro(), p.Account)
				enrolAnew(p)
			}
			w.Exec(`update accounts set last_sign_in_at = 0`)
			if r := send(w.World, http.MethodGet, "/o/fabrikam/users", nil, held(admin)); r.Status != http.StatusOK { // the administrator's may have ended as well
				admin = w.Browser()
				adam := &doortest.Person{World: w.World, Org: w.Fabrikam, Email: "adam@fabrikam.example", Key: appKey(w, "adam@fabrikam.example")}
				admin.SignIn(adam).Want("dashboard")
			}
		}
	})
}

// What ended meanwhile stays ended: a change of the password does not revive the session that asks for it.
func TestEndedSessionIsNotRevived(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		v, err := w.Desk.Resolve(t.Context(), secretOf(b), access.Client{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Desk.EndSessions(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		fresh, err := w.Desk.ChangePassword(t.Context(), v, doortest.Password, "another fine passphrase 9", "another fine passphrase 9")
		if err == nil || in(w.World, string(fresh)) {
			t.Errorf("a session that was ended meanwhile goes on after a new password (%v)", err)
		}
		if s, err := w.Desk.ProveAgain(t.Context(), v, tokenOf("/"+p.Code())); err == nil && in(w.World, string(s)) {
			t.Error("a session that was ended meanwhile goes on after a fresh proof")
		}
		if !w.signsIn(p, doortest.Password) {
			t.Error("the password is another one now")
		}
	})
}

// The limits are the server's (AT-57): one hour without use for administrators, twelve for others, twenty-four at all.
func TestSessionLimits(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		limit := func(role string, idle time.Duration) {
			p := w.Enrol(w.Fabrikam, role+"@fabrikam.example", role)
			fresh := func() string {
				b := w.Browser()
				b.SignIn(p).Want("dashboard")
				return b.Cookie("session")
			}
			s := fresh()
			w.Clock.Move(idle - time.Second)
			if !in(w.World, s) {
				t.Errorf("%s: ended before its time without use", role)
			}
			w.Clock.Move(idle)
			if in(w.World, s) {
				t.Errorf("%s: good after %s without use", role, idle)
			}
			s = fresh()
			for gone := time.Duration(0); gone < 24*time.Hour-time.Minute; gone += 30 * time.Minute {
				if !in(w.World, s) {
					t.Fatalf("%s: ended after %s in use", role, gone)
				}
				w.Clock.Move(30 * time.Minute)
			}
			w.Clock.Move(time.Second)
			if in(w.World, s) {
				t.Errorf("%s: good after a day", role)
			}
			// Rows that were moved back in time are no better.
			s = fresh()
			w.Exec(`update sessions set last_used_at = last_used_at - $1 where account_id = $2`, idle.Microseconds(), p.Account)
			if in(w.World, s) {
				t.Errorf("%s: good though its row says otherwise", role)
			}
			s = fresh()
			w.Exec(`update sessions set expires_at = $1 where account_id = $2`, w.Clock.Now().UnixMicro(), p.Account)
			if in(w.World, s) {
				t.Errorf("%s: good at its end", role)
			}
		}
		limit(access.Administrator, time.Hour)
		limit(access.Core, 12*time.Hour)

		// Who becomes an administrator has an administrator's limit from then on.
		p := w.Enrol(w.Fabrikam, "rising@fabrikam.example", access.Core)
		b := w.Browser()
		b.SignIn(p)
		if err := w.Directory.SetRoles(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, []string{access.Administrator}); err != nil {
			t.Fatal(err)
		}
		w.Clock.Move(61 * time.Minute)
		if in(w.World, b.Cookie("session")) {
			t.Error("a new administrator's session is good after an hour without use")
		}
	})
}

// Every cookie is bound to the host and closed to scripts, and two of one name are refused (AT-58).
func TestCookies(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		s := b.Cookie("session")
		form := regexp.MustCompile(`^door-(session|attempt[0-3]|passkey|proof|device|flash|lang|theme)=[^;]*; Path=/;( Max-Age=\d+;)? HttpOnly; SameSite=Lax$`)
		fill := map[string]string{"slug": "fabrikam", "account": "x", "token": never, "step": "password", "session": "x", "factor": "x"}
		for _, pattern := range w.patterns() {
			method, path := split(pattern, fill)
			for _, h := range []http.Header{{}, with("Cookie", "door-flash=x; door-lang=xx; door-theme=y; door-attempt0=z")} {
				checkCookies(t, send(w.World, method, path+"?lang=de&theme=dark", url.Values{"identifier": {"x@fabrikam.example"}}, h).Head["Set-Cookie"], form)
			}
		}
		for _, c := range []struct {
			cookie string
			want   int
		}{
			{"door-session=" + s, 200}, {"door-session=" + s + "; door-session=" + s, 400}, {"door-session=x; door-session=" + s, 400}, {"door-session=" + s + "; door-session=x", 400},
			{"door-session=; door-session=" + s, 400}, {"door-lang=de; door-lang=en; door-session=" + s, 400}, {"session=" + s, 401}, {"Door-Session=" + s, 401}, {"__Host-door-session=" + s, 401},
			{"door-session=" + s + strings.Repeat("x", 8192), 401}, {"door-session=" + strings.Repeat("x", 8192), 401}, {"door-session=\"" + s + "\"", 200}, {"door-session=" + s + "; other=1; other=2", 200},
			{"$Version=1; door-session=" + s, 200}, {"door-session=" + strings.ToUpper(s), 401}, {"door-session=" + s[:len(s)-1], 401}, {"door-session=" + s + "=", 401}, {"door-session", 401},
			{strings.Repeat("a=b; ", 300) + "door-session=" + s, 200}, {"door-session=" + strings.Replace(s, "dws_", "dwt_", 1), 401},
		} {
			if r := send(w.World, http.MethodGet, "/me", nil, with("Cookie", c.cookie)); r.Status != c.want {
				t.Errorf("%.60q (%d bytes) is answered %d, want %d", c.cookie, len(c.cookie), r.Status, c.want)
			}
		}
		h := with("Cookie", "door-session="+s)
		h["Cookie"] = append(h["Cookie"], "door-session=x")
		if r := send(w.World, http.MethodGet, "/me", nil, h); r.Status != http.StatusBadRequest {
			t.Errorf("two headers with a cookie each are answered %d", r.Status)
		}
		// A flash is a message of ours or nothing.
		for _, flash := range []string{"x", "W10", "WyJnb29kIiwieCJd", "WyJnb29kIiwiPHNjcmlwdD4iXQ", "bnVsbA", strings.Repeat("A", 3000)} {
			if r := send(w.World, http.MethodGet, "/o/fabrikam/login", nil, with("Cookie", "door-flash="+flash)); r.Status != http.StatusOK || strings.Contains(r.Body, "script>") && strings.Contains(r.Body, "<script>") {
				t.Errorf("the flash %.20q is answered %d", flash, r.Status)
			}
		}
	})
}

// secretOf is the secret of the session that a browser holds.
func secretOf(b *doortest.Browser) secret.Text { return secret.Text(b.Cookie("session")) }

// appKey returns the key of someone's authenticator app.
func appKey(w *town, email string) string {
	w.T.Helper()
	a := id.Account(w.text(`select id from accounts where email_key = $1`, email))
	key, err := factor.TOTPKey(w.DB.Read(w.T.Context()), w.Vault, a)
	if err != nil {
		w.T.Fatal(err)
	}
	return key
}
