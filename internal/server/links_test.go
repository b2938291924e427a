package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/config"
	"doorward/internal/doortest"
)

// A link that ended shows the way to a new one; then the old one is dead and the new one good (mission A2).
func TestExpiredInvitation(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, _ := w.Invite(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		old := w.Mailbox.Wait(p.Email, "invite", 1).Link("/activate/")
		w.Clock.Move(49 * time.Hour)
		b := w.Browser()
		b.Get(old).WantStatus(http.StatusGone).Want("activate.expired")
		if r := send(w.World, http.MethodPost, path(w, old), choose("a new passphrase 11"), nil); r.Page() != "activate.expired" {
			t.Errorf("an ended link's form answers %d %q", r.Status, r.Page())
		}
		b.Submit(":action", "/again").Want("activate.sent")
		fresh := w.Mailbox.Wait(p.Email, "invite", 2).Link("/activate/")
		b.Get(old).Want("activate.expired")
		b.Get(fresh).Want("activate").Submit("new_password", "a new passphrase 11", "confirm_password", "a new passphrase 11").Want("activate.done")
		if !w.signsIn(p, "a new passphrase 11") {
			t.Error("the password of the new link does not work")
		}

		// Nobody is told whether there is an account: a withdrawn one's link is answered as one that never was.
		q, link := w.Invite(w.Fabrikam, "gone@fabrikam.example", access.Core)
		settle(w.World)
		if err := w.Directory.Withdraw(t.Context(), doortest.Operator(), w.Fabrikam.ID, q.Account); err != nil {
			t.Fatal(err)
		}
		never := "/activate/dwa_" + strings.Repeat("x", 43)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			gone, unknown := send(w.World, method, link, nil, nil), send(w.World, method, never, nil, nil)
			if !alike(gone, unknown) {
				t.Errorf("%s: a withdrawn link and an unknown one differ: %s", method, difference(masked(gone), masked(unknown)))
			}
		}
		gone, unknown := send(w.World, http.MethodPost, link+"/again", nil, nil), send(w.World, http.MethodPost, never+"/again", nil, nil)
		if gone.Page() != "activate.sent" || !alike(gone, unknown) {
			t.Errorf("asking again differs: %s", difference(masked(gone), masked(unknown)))
		}
		settle(w.World)
		if n := len(w.Mailbox.All(q.Email)); n != 1 {
			t.Errorf("a withdrawn account was sent %d mails, want the first alone", n)
		}
	})
}

// path takes the public URL off a link.
func path(w *town, link string) string { return strings.TrimPrefix(link, w.Settings.PublicURL) }

var changing = regexp.MustCompile(`(dw[a-z]_[A-Za-z0-9_-]{43}|att_[0-9a-z]{26}|acc_[0-9a-z]{26}|<span class="face" aria-hidden="true">.</span>|data-now="[0-9]*"|"challenge":"[^"]*"|<code id="ref">[a-z0-9]+</code>)`)

// masked returns everything of an answer that a client sees, without what is random in each.
func masked(r reply, more ...string) string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Status)
	var names []string
	for k := range r.Head {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		if k != "Date" && k != "Content-Length" {
			fmt.Fprintln(&b, k, r.Head[k])
		}
	}
	b.WriteString(r.Body)
	s := b.String()
	for _, m := range more {
		s = strings.ReplaceAll(s, m, "…")
	}
	return changing.ReplaceAllString(s, "…")
}

func alike(a, b reply) bool { return masked(a) == masked(b) }

// difference returns the first line in which two texts differ.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d\n%s\n%s", i, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}

// Mail scanners open links: that changes nothing (AT-19, mission A1).
func TestOpeningALinkSpendsNothing(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, activation := w.Invite(w.Fabrikam, "bea@fabrikam.example", access.Core)
		carl := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
		reset := w.resetLink(carl, 1)
		dora, _ := w.enrolled(w.Tailspin, "dora@tailspin.example", access.Core)
		setup, notMe := w.setupLink(dora, 1), w.warned(dora, "factor-added", 1)
		settle(w.World)
		before := dump(w.World)
		for _, link := range []string{activation, reset, setup, notMe} {
			for range 10 {
				r := send(w.World, http.MethodGet, link, nil, nil)
				if r.Status != http.StatusOK {
					t.Fatalf("%s answers %d", link, r.Status)
				}
				// Nothing on the page is another's, and what is ours is not told the address.
				if r.Head.Get("Referrer-Policy") != "no-referrer" || foreign.MatchString(r.Body) {
					t.Errorf("%s could tell its address", link)
				}
				if h := send(w.World, http.MethodHead, link, nil, nil); h.Status != http.StatusOK || h.Body != "" {
					t.Fatalf("HEAD %s answers %d", link, h.Status)
				}
				send(w.World, http.MethodOptions, link, nil, nil)
			}
			if strings.Contains(w.Logs.String(), string(tokenOf(link))) {
				t.Error("a link's token is in the log")
			}
		}
		if d := differing(before, dump(w.World)); d != nil {
			t.Errorf("opening links changed %v", d)
		}
		w.Browser().Get(activation).Want("activate").Submit("new_password", "a new passphrase 11", "confirm_password", "a new passphrase 11").Want("activate.done")
		w.Browser().Get(reset).Want("reset").Submit("new_password", "a new passphrase 11", "confirm_password", "a new passphrase 11").Want("login.identifier")
		w.Browser().Get(notMe).Want("not-me").Submit(":action", "/not-me/").Want("not-me.done")
		w.Browser().Get(w.setupLink(dora, 2)).Want("setup-link").Submit("new_password", "a new passphrase 11", "confirm_password", "a new passphrase 11").Want("login.enrol") // that warning was of the app, which went with it
	})
}

var foreign = regexp.MustCompile(`(?:src|href|action|url)\s*=?\(?["']?(?:https?:)?//`)

// Of fifty uses of a link at once, over all nodes, one succeeds (AT-07, AT-14).
func TestLinkIsGoodOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p, activation := w.Invite(w.Fabrikam, "bea@fabrikam.example", access.Core)
		won := race(t, all, activation, func(r reply) bool { return strings.HasSuffix(r.Location(), "/activated") }, "activate.expired")
		if n := w.Events(w.Fabrikam.ID, "account.activated"); n != 1 {
			t.Errorf("%d events of activation, want 1", n)
		}
		if n := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID); n != 1 {
			t.Errorf("%d seats used, want 1", n)
		}
		if n := w.Count(`select count(*) from accounts a join factors f on f.account_id = a.id where a.org_id = $1 and a.state = 'active'`, w.Fabrikam.ID); n != 1 {
			t.Errorf("%d accounts with a password, want 1", n)
		}
		if !w.signsIn(p, raced(won)) || w.signsIn(p, raced((won+1)%50)) {
			t.Error("the password is not the winner's")
		}
		if r := send(w.World, http.MethodPost, activation, choose("a late passphrase 11"), nil); !strings.HasSuffix(r.Location(), "/login") || w.signsIn(p, "a late passphrase 11") {
			t.Errorf("once more, after all: %d %s", r.Status, r.Location())
		}

		w.Clock.Move(time.Hour)
		won = race(t, all, w.resetLink(p, 1), func(r reply) bool { return r.Status == http.StatusSeeOther }, "error")
		if n := w.Events(w.Fabrikam.ID, "password.reset"); n != 1 {
			t.Errorf("%d events of a reset, want 1", n)
		}
		if !w.signsIn(p, raced(won)) {
			t.Error("the password after the reset is not the winner's")
		}
	})
}

func raced(i int) string { return fmt.Sprintf("racing passphrase number %02d", i) }

// race uses a link fifty times at once, each time with another password, and returns which won.
func race(t *testing.T, nodes []*doortest.World, link string, won func(reply) bool, lost string) int {
	t.Helper()
	var mu sync.Mutex
	winners := []int{}
	atOnce(50, func(i int) {
		r, err := transmit(nodes[i%len(nodes)], http.MethodPost, link, choose(raced(i)).Encode(), nil)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			t.Error(err)
		case won(r):
			winners = append(winners, i)
		case r.Page() == lost || r.Status == http.StatusSeeOther && strings.HasSuffix(r.Location(), "/login"):
		default:
			t.Errorf("a loser is answered %d %q %s", r.Status, r.Page(), r.Location())
		}
	})
	if len(winners) != 1 {
		t.Fatalf("%d uses of one link succeeded", len(winners))
	}
	return winners[0]
}

// A token that was tampered with is answered like any other that is unknown, with an event each (AT-04).
func TestTamperedLinks(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, activation := w.Invite(w.Fabrikam, "bea@fabrikam.example", access.Core)
		token := string(tokenOf(activation))
		flipped := []byte(token)
		flipped[len(flipped)-2] ^= 1
		swapped := strings.Map(func(r rune) rune {
			if strings.ToUpper(string(r)) == string(r) {
				return []rune(strings.ToLower(string(r)))[0]
			}
			return []rune(strings.ToUpper(string(r)))[0]
		}, token[4:])
		tokens := []string{string(flipped), token[:len(token)-1], token[:len(token)-7], token[:10], "dwa_", token + "A", token + "%00", token + "%20",
			"dwa_" + swapped, strings.ToUpper(token), "dwr_" + token[4:], "dws_" + token[4:], token[4:], "%20" + token, token + "=", token + ".e30.",
			"eyJhbGciOiJub25lIn0.eyJvcmciOiJhIn0.", strings.Repeat("dwa_", 500), "%ff%fe", "dwa_%2e%2e%2f", "..;a"}
		var first reply
		for i, bad := range tokens {
			was := w.Count(`select count(*) from events where action = 'link.refused'`)
			get, post := send(w.World, http.MethodGet, "/activate/"+bad, nil, nil), send(w.World, http.MethodPost, "/activate/"+bad, choose("a new passphrase 11"), nil)
			if i == 0 {
				first = get
			}
			unescaped, _ := url.PathUnescape(bad)
			for _, r := range []reply{get, post} {
				if r.Status != http.StatusGone || r.Page() != "activate.expired" || withoutAction(r, bad, unescaped) != withoutAction(first, tokens[0], tokens[0]) {
					t.Errorf("%q is answered otherwise: %d %q", bad, r.Status, r.Page())
				}
			}
			if n := w.Count(`select count(*) from events where action = 'link.refused'`); n != was+1 {
				t.Errorf("%q left %d events, want 1", bad, n-was)
			}
		}
		if n := w.Count(`select count(*) from factors where account_id = $1`, p.Account); n != 0 {
			t.Error("a tampered link set a password")
		}
		w.Browser().Get(activation).Want("activate").Submit("new_password", "a new passphrase 11", "confirm_password", "a new passphrase 11").Want("activate.done")

		// A link that is no longer good leaves its event with the organisation, but nobody can fill the log.
		was := w.Events(w.Fabrikam.ID, "link.refused")
		for range 100 {
			send(w.World, http.MethodPost, activation, choose("a new passphrase 11"), nil)
		}
		if n := w.Events(w.Fabrikam.ID, "link.refused") - was; n < 1 || n > 60 {
			t.Errorf("a hundred uses of a dead link left %d events", n)
		}
	})
}

var againAction = regexp.MustCompile(`action="/activate/[^"]*/again"`)

// withoutAction is an answer without what it repeats of its own address.
func withoutAction(r reply, token, unescaped string) string {
	return againAction.ReplaceAllString(masked(r, token, unescaped), "action")
}

// A token works for its own purpose and at its own endpoint alone (AT-06).
func TestTokensKnowTheirPurpose(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, activation := w.Invite(w.Fabrikam, "bea@fabrikam.example", access.Core)
		carl, carlIn := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Administrator)
		reset := w.resetLink(carl, 1)
		sign := identified(w.World, "fabrikam", carl.Email)
		_, attemptSecret, _ := strings.Cut(sign.Cookie("attempt0"), ".")
		setup, notMe := w.setupLink(carl, 1), w.warned(carl, "factor-added", 1)
		tokens := map[string]string{"activate": string(tokenOf(activation)), "reset": string(tokenOf(reset)), "setup": string(tokenOf(setup)),
			"not-me": string(tokenOf(notMe)), "attempt": attemptSecret, "session": carlIn.Cookie("session"), "device": carlIn.Cookie("device")}
		cookie := func(name, value string) http.Header { return with("Cookie", "door-"+name+"="+value) }
		endpoints := map[string]func(token string) bool{
			"activate": func(s string) bool {
				return send(w.World, http.MethodGet, "/activate/"+s, nil, nil).Page() == "activate"
			},
			"reset": func(s string) bool { return send(w.World, http.MethodGet, "/reset/"+s, nil, nil).Page() == "reset" },
			"setup": func(s string) bool {
				return send(w.World, http.MethodGet, "/setup/"+s, nil, nil).Page() == "setup-link"
			},
			"not-me": func(s string) bool { return send(w.World, http.MethodGet, "/not-me/"+s, nil, nil).Page() == "not-me" },
			"attempt": func(s string) bool {
				return send(w.World, http.MethodGet, "/login/next", nil, cookie("attempt0", sign.ID+"."+s)).Page() == "login.password"
			},
			"session": func(s string) bool {
				return send(w.World, http.MethodGet, "/me", nil, cookie("session", s)).Page() == "me"
			},
		}
		settle(w.World)
		for of, token := range tokens {
			if token == "" {
				t.Fatalf("no token of the kind %s", of)
			}
			for at, good := range endpoints {
				before := dump(w.World)
				if good(token) != (of == at) {
					t.Errorf("a token of %s at %s: %v", of, at, of != at)
				}
				if d := differing(before, dump(w.World)); of != at && d != nil {
					t.Errorf("a token of %s at %s changed %v", of, at, d)
				}
				// Neither does another prefix help.
				for _, prefix := range []string{"dwa_", "dwr_", "dwp_", "dwn_", "dwt_", "dws_", "dwd_"} {
					if changed := prefix + token[4:]; changed != token && good(changed) {
						t.Errorf("a token of %s works at %s as %s", of, at, prefix)
					}
				}
			}
		}
		was := dump(w.World)
		for of, token := range tokens {
			for _, at := range []string{"activate", "reset", "setup", "not-me"} {
				if of == at {
					continue
				}
				if r := send(w.World, http.MethodPost, "/"+at+"/"+token, choose("a new passphrase 11"), nil); r.Status != http.StatusGone {
					t.Errorf("a token of %s posted to %s answers %d", of, at, r.Status)
				}
			}
		}
		if d := differing(was, dump(w.World), "events", "event_persons", "throttles"); d != nil {
			t.Errorf("tokens posted to pages of another purpose changed %v", d)
		}
	})
}

// The invitation's secret is in the mail and nowhere else (AT-09).
func TestTokenIsInTheMailAlone(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		b.Get("/o/fabrikam/users/invite").Submit("emails", "new@fabrikam.example", "roles", access.Core).Want("users")
		var pages []string
		look := func(address string) *doortest.Browser { pages = append(pages, b.Get(address).Body); return b }
		link := w.Mailbox.Wait("new@fabrikam.example", "invite", 1).Link("/activate/")
		look("/o/fabrikam/").Want("dashboard")
		look("/o/fabrikam/users").Want("users")
		look("/o/fabrikam/users/invite").Want("users.invite")
		account := w.text(`select id from accounts where email_key = $1`, "new@fabrikam.example")
		look("/o/fabrikam/users/"+account).Want("user").Submit(":action", "/resend").Want("user")
		second := w.Mailbox.Wait("new@fabrikam.example", "invite", 2).Link("/activate/")
		look("/o/fabrikam/users/" + account).Want("user")
		settle(w.World)
		var rows []string
		for _, list := range dump(w.World) {
			rows = append(rows, list...)
		}
		for _, l := range []string{link, second} {
			token := string(tokenOf(l))
			for where, texts := range map[string][]string{"a page": pages, "the database": rows, "the log": {w.Logs.String()}} {
				for _, s := range texts {
					if strings.Contains(s, token) || strings.Contains(s, token[4:]) {
						t.Errorf("the token of an invitation is in %s", where)
					}
				}
			}
		}
	})
}

// Who has not the mailed token gets no further with a reset (AT-12).
func TestResetNeedsTheMail(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		b := w.Browser()
		b.Get("/o/fabrikam/forgot").Submit("identifier", p.Email).Want("forgot.sent")
		w.Mailbox.Wait(p.Email, "reset", 1)
		cookies := held(b)
		link := w.text(`select id from links where account_id = $1 and purpose = 'reset'`, p.Account)
		was := dump(w.World)["factors"]
		guess := "/reset/dwr_" + strings.Repeat("A", 43)
		for _, at := range []string{"/reset/", "/reset", guess, "/reset/" + link, "/reset/dwr_", "/reset/" + string(p.Account), "/o/fabrikam/forgot/sent", "/o/fabrikam/forgot",
			"/o/fabrikam/reset", "/login/next", "/login/password", "/login/reset", guess + "/again", "/activate/dwr_" + strings.Repeat("A", 43)} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch} {
				for _, form := range []url.Values{nil, choose("a new passphrase 11"), {"identifier": {p.Email}, "new_password": {"a new passphrase 11"},
					"confirm_password": {"a new passphrase 11"}, "account": {string(p.Account)}, "token": {link}}} {
					r := send(w.World, method, at, form, cookies)
					if strings.Contains(r.Body, `name="new_password"`) || sessionIn(r) || r.Status >= 500 {
						t.Errorf("%s %s answers %d %q", method, at, r.Status, r.Page())
					}
				}
			}
		}
		if !slices.Equal(was, dump(w.World)["factors"]) || !w.signsIn(p, doortest.Password) {
			t.Error("the password is another one now")
		}
	})
}

// A reset link dies by whatever makes it superfluous or dangerous (AT-14).
func TestResetLinkDies(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Enrol(w.Fabrikam, "last@fabrikam.example", access.Administrator)
		const fresh = "another fine passphrase 9"
		n := 0
		for name, event := range map[string]func(){
			"a newer one":     func() { n++; w.resetLink(p, n) },
			"its time":        func() { w.Clock.Move(61 * time.Minute) },
			"a sign-in":       func() { w.Browser().SignIn(p).Want("dashboard") },
			"signing out all": func() { w.Browser().SignIn(p).Get("/me/sessions").Submit(":action", "/end-all").Want("welcome") },
			"a reset of factors": func() {
				if err := w.Directory.ResetFactors(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, ""); err != nil {
					t.Fatal(err)
				}
				w.Exec(`update accounts set link_used_at = $1 where id = $2`, w.Clock.Now().UnixMicro(), p.Account)
				enrolAnew(p)
			},
			"disabling": func() {
				if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
					t.Fatal(err)
				}
			},
			"disabling and enabling": func() {
				if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
					t.Fatal(err)
				}
				if err := w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
					t.Fatal(err)
				}
			},
			"another way to a new password": func() {
				b = w.Browser()
				b.SignIn(p).Get("/me/security").Submit("password", doortest.Password, "new_password", fresh, "confirm_password", fresh).Want("me.security")
				b.Submit("password", fresh, "new_password", doortest.Password, "confirm_password", doortest.Password).Want("me.security")
			},
		} {
			w.Clock.Move(61 * time.Minute) // three mails an hour
			n++
			link := w.resetLink(p, n)
			event()
			was := w.text(`select data from factors where account_id = $1 and kind = 'password'`, p.Account)
			if r := send(w.World, http.MethodGet, link, nil, nil); r.Status != http.StatusGone || r.Reason() != "expired" {
				t.Errorf("after %s the link still opens: %d %q", name, r.Status, r.Page())
			}
			if r := send(w.World, http.MethodPost, link, choose("a thief's passphrase 1"), nil); r.Status != http.StatusGone {
				t.Errorf("after %s the link is still taken: %d %q", name, r.Status, r.Page())
			}
			if w.text(`select data from factors where account_id = $1 and kind = 'password'`, p.Account) != was {
				t.Errorf("after %s the link set a password", name)
			}
			w.Exec(`update accounts set state = 'active' where id = $1`, p.Account)
		}
	})
}

// A new password leaves the second factor as it was, and signs nobody in (AT-15).
func TestResetKeepsTheFactor(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		app := func() string {
			return w.text(`select id || '|' || state || '|' || counter || '|' || created_at from factors where account_id = $1 and kind = 'totp'`, p.Account)
		}
		was, sessions := app(), w.Count(`select count(*) from sessions`)
		const fresh = "another fine passphrase 9"
		r := send(w.World, http.MethodPost, w.resetLink(p, 1), choose(fresh), nil)
		if r.Status != http.StatusSeeOther || sessionIn(r) || w.Count(`select count(*) from sessions`) != sessions {
			t.Errorf("the reset answers %d and %v", r.Status, r.Head["Set-Cookie"])
		}
		if app() != was {
			t.Error("the reset changed the authenticator app")
		}
		b.Get("/o/fabrikam/").Want("welcome")
		a := identified(w.World, "fabrikam", p.Email)
		a.Submit("password", fresh).Want("login.totp")
		a.Get("/o/fabrikam/").Want("welcome")
		a.Get("/login/next").Submit("code", p.Code()).Want("dashboard")
	})
}

// However the address is dressed up, at most one mail goes out, to the address that is stored (AT-17).
func TestForgotTakesOneAddress(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Activate(w.Tailspin, "bea@fabrikam.example", access.Core)
		settle(w.World)
		const victim, evil = "bea%40fabrikam.example", "evil%40x.example"
		const form, json = "application/x-www-form-urlencoded", "application/json"
		for _, c := range []struct{ kind, body string }{
			{form, "identifier[]=" + victim + "&identifier[]=" + evil}, {form, "identifier=" + victim + "&identifier=" + evil},
			{form, "identifier=" + evil + "&identifier=" + victim}, {form, "identifier=" + victim + "%2C" + evil},
			{form, "identifier=" + victim + "%20" + evil}, {form, "identifier=" + victim + "%0d%0aBcc%3A" + evil}, {form, "identifier=" + victim + "%0aTo%3A" + evil},
			{form, "identifier=" + victim + "%3C" + evil + "%3E"}, {form, "identifier=%22" + victim + "%22%20" + evil}, {form, "identifier=" + victim + "%00" + evil},
			{form, "identifier=" + victim + "%00"}, {form, "identifier=%3D%3Futf-8%3Fq%3Fbea%3F%3D%40fabrikam.example"}, {form, "identifier=" + victim + "%40x.example"},
			{form, "identifier=bea%40x.example%40fabrikam.example"}, {form, "identifier=%22bea%22%40fabrikam.example"}, {form, "identifier[0]=" + victim},
			{form, "identifier=bea%40fabrikam.example."}, {form, "identifier=be%C4%B1a%40fabrikam.example"}, {form, "identifier=" + victim + "&identifier%00=" + evil},
			{form, "Identifier=" + evil + "&identifier=" + victim}, {form, "identifier=" + victim + ";identifier=" + evil}, {form, "identifier=" + victim + "&cc=" + evil},
			{json, `{"identifier":["bea@fabrikam.example","evil@x.example"]}`}, {json, `{"identifier":{"email":"bea@fabrikam.example"}}`},
			{json, `{"identifier":"bea@fabrikam.example"}`}, {"text/plain", "identifier=" + victim}, {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"identifier\"\r\n\r\nbea@fabrikam.example\r\n--x--\r\n"},
			{form + "; charset=utf-16", "identifier=" + victim},
		} {
			w.Clock.Move(61 * time.Minute)
			was := w.Count(`select count(*) from outbox`)
			r, err := transmit(w.World, http.MethodPost, "/o/fabrikam/forgot", c.body, with("Content-Type", c.kind))
			if err != nil {
				t.Fatal(err)
			}
			if r.Status >= 500 {
				t.Errorf("%s answers %d", c.body, r.Status)
			}
			if n := w.Count(`select count(*) from outbox`) - was; n > 1 {
				t.Errorf("%s sent %d mails", c.body, n)
			}
		}
		settle(w.World)
		if n := w.Count(`select count(*) from outbox where kind = 'reset' and account_id <> $1`, p.Account); n != 0 {
			t.Errorf("%d resets of other accounts", n)
		}
		for _, m := range w.Mailbox.All("") {
			if m.Kind == "reset" && (m.To != p.Email || strings.Count(m.Raw, "\r\nTo: ") != 1 || strings.Contains(strings.ToLower(m.Raw), "bcc:") || strings.Contains(m.Raw, "evil")) {
				t.Errorf("a mail went astray:\n%s", m.Raw)
			}
		}
	})
}

// Mails that a stranger causes are few, and the answers stay the same (AT-21).
func TestFloodOfResets(t *testing.T) {
	trusting := doortest.Options{Settings: func(s *config.Settings) { s.TrustedProxies = []string{"127.0.0.0/8", "::1/128"} }}
	for _, d := range databases {
		t.Run(string(d), func(t *testing.T) {
			w := build(doortest.New(t, d, trusting))
			all := nodes(t, w.World)
			p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
			ask := func(i int, identifier, from string) reply {
				return send(all[i%len(all)], http.MethodPost, "/o/fabrikam/forgot", url.Values{"identifier": {identifier}}, with("X-Forwarded-For", from))
			}
			// One address, a hundred times, from as many clients: three mails, and nobody sees it.
			for i := range 100 {
				from := fmt.Sprintf("198.51.100.%d", i)
				if known, unknown := ask(i, p.Email, from), ask(i, "nobody@fabrikam.example", from); !alike(known, unknown) || known.Status != http.StatusSeeOther {
					t.Fatalf("request %d: known and unknown differ: %s", i, difference(masked(known), masked(unknown)))
				}
			}
			settle(w.World)
			if n := w.Count(`select count(*) from outbox where kind = 'reset'`); n != 3 {
				t.Errorf("a hundred requests made %d mails, want 3", n)
			}
			if n := w.Events(w.Fabrikam.ID, "password.reset_requested"); n != 2*3 { // as many for the unknown name, so that both cost the same
				t.Errorf("two hundred requests left %d events, want 6", n)
			}
			// Many addresses from one client: that client is told to wait, whomever it asks for.
			limited := 0
			for i := range 60 {
				if r := ask(i, fmt.Sprintf("p%d@fabrikam.example", i), "203.0.113.7"); r.Status == http.StatusTooManyRequests {
					limited++
					if r.Head.Get("Retry-After") == "" {
						t.Error("no Retry-After")
					}
				}
			}
			if known := ask(0, p.Email, "203.0.113.7"); limited != 30 || known.Status != http.StatusTooManyRequests {
				t.Errorf("%d of 60 requests were limited, want 30; for a known address %d", limited, known.Status)
			}
			// An hour later it goes on.
			w.Clock.Move(61 * time.Minute)
			if r := ask(0, p.Email, "203.0.113.7"); r.Status != http.StatusSeeOther {
				t.Errorf("an hour later: %d", r.Status)
			}
		})
	}
}
