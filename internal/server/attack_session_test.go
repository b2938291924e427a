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
)

// AT-55: whoever plants what stands before a sign-in in another's browser, a passkey's question or a fresh proof's among it, holds nothing of what
// comes of it; and every rise ends the secret before it, on every node.
func TestPlantedBeforeAPasskey(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p, k, _ := w.keyed(w.Fabrikam, "bea@fabrikam.example", access.Core)
		evil, theirs, evilIn := w.keyed(w.Fabrikam, "evil@fabrikam.example", access.Core)

		// The attacker asks for a question and plants it; the victim's page takes it up and answers.
		planted := send(w.World, http.MethodPost, "/o/fabrikam/login/passkey", url.Values{"to": {""}}, nil)
		h := with("Cookie", "door-passkey="+planted.Cookie("passkey"))
		asked := send(all[len(all)-1], http.MethodPost, "/o/fabrikam/login/passkey", url.Values{"to": {""}}, h)
		answer := k.get(asked.Body)
		victim := h
		if fresh := asked.Cookie("passkey"); fresh != "" {
			victim = with("Cookie", "door-passkey="+fresh)
		}
		r := send(w.World, http.MethodPost, "/login/passkey-alone", url.Values{"credential": {answer}}, victim)
		if !sessionIn(r) {
			t.Fatalf("the victim's passkey is answered %d %q", r.Status, r.Page())
		}
		was := w.sessions(p)
		for i, node := range all {
			for _, path := range []string{"/o/fabrikam/", "/me", "/login/next"} {
				if got := send(node, http.MethodGet, path, nil, h); got.Page() == "dashboard" || got.Page() == "me" || strings.HasPrefix(got.Page(), "login.") {
					t.Errorf("what was planted opens %s on node %d: %q", path, i, got.Page())
				}
			}
			for _, credential := range []string{answer, k.get(asked.Body), theirs.get(asked.Body)} {
				if got := send(node, http.MethodPost, "/login/passkey-alone", url.Values{"credential": {credential}}, h); sessionIn(got) {
					t.Errorf("what was planted makes a session on node %d", i)
				}
			}
		}
		if n := w.sessions(p) - was; n != 0 {
			t.Errorf("%d sessions of the victim's came of it", n)
		}

		// The attacker answers first, in the victim's name or the attacker's own: the victim's browser gets no session of that.
		planted = send(w.World, http.MethodPost, "/o/fabrikam/login/passkey", url.Values{"to": {""}}, nil)
		h = with("Cookie", "door-passkey="+planted.Cookie("passkey"))
		if r := send(w.World, http.MethodPost, "/login/passkey-alone", url.Values{"credential": {theirs.get(planted.Body)}}, h); !sessionIn(r) {
			t.Fatalf("the attacker's own passkey is answered %d", r.Status)
		}
		asked = send(w.World, http.MethodPost, "/o/fabrikam/login/passkey", url.Values{"to": {""}}, h)
		if asked.Body == planted.Body || asked.Cookie("passkey") == "" {
			t.Error("a question that was answered is asked again")
		}

		// A fresh proof: the question of one session is worth nothing in another, and the secret before is dead on every node.
		s := second(p)
		s.give(k.get(s.ask())).Want("dashboard")
		b := s.b
		question := send(w.World, http.MethodPost, "/me/prove/key", nil, held(evilIn))
		mixed := with("Cookie", "door-session="+b.Cookie("session")+"; door-proof="+question.Cookie("proof"))
		for _, credential := range []string{theirs.get(question.Body), k.get(question.Body)} {
			if r := send(w.World, http.MethodPost, "/me/prove", url.Values{"credential": {credential}, "to": {"/me"}}, mixed); sessionIn(r) || r.Status != http.StatusUnprocessableEntity {
				t.Errorf("another session's question is answered %d", r.Status)
			}
			w.calm()
		}
		before := b.Cookie("session")
		pr := proof(b)
		pr.give(k.get(pr.ask())).Want("me")
		for i, node := range all {
			if in(node, before) || !in(node, b.Cookie("session")) {
				t.Errorf("after a fresh proof by a key the secret before is good on node %d, or the new one is not", i)
			}
		}
		if w.sessions(evil) > 2 {
			t.Errorf("the attacker has %d sessions", w.sessions(evil))
		}
	})
}

// AT-55: a browser that looks at another organisation keeps its session, which is worth nothing at that organisation's own door: who signs in there
// has another one, and the one before has ended.
func TestSessionBelongsToItsAccount(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		was := b.Cookie("session")
		b.Get("/o/fabrikam/").Want("dashboard")
		b.Get("/o/contoso/").Want("dashboard")
		if b.Cookie("session") != was || w.sessions(p) != 1 {
			t.Errorf("entering a customer made a session, of %d", w.sessions(p))
		}
		if r := send(w.World, http.MethodGet, "/o/wingtip/", nil, cookieOf(was)); r.Page() != "welcome" {
			t.Errorf("at another MSP's customer it opens %q", r.Page())
		}
	})
}

// AT-56: a cookie that was copied is dead everywhere from the moment its session ends, on pages and forms alike, and takes nothing back to life.
func TestCopiedCookie(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		w.remember("30")
		p, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		fill := map[string]string{"slug": "fabrikam", "account": string(p.Account), "session": "x", "factor": "x", "device": "x", "token": never, "step": "password"}
		for name, end := range map[string]func(b *doortest.Browser){
			"signing out": func(b *doortest.Browser) { b.Post("/logout", nil).Want("welcome") },
			"a set-up link": func(*doortest.Browser) {
				send(w.World, http.MethodPost, w.setupLink(p, w.Count(`select count(*) from links where purpose = 'setup'`)+1), choose(doortest.Password), nil)
			},
			"not having been it": func(*doortest.Browser) {
				send(w.World, http.MethodPost, w.warned(p, "new-device", w.newDevices(p)), nil, nil)
				w.Exec(`update factors set state = 'active' where account_id = $1`, p.Account)
			},
			"another sign-in": func(b *doortest.Browser) { b.SignIn(p) },
		} {
			w.Clock.Move(time.Hour)
			b := w.Browser()
			past(b.SignIn(p))
			copied := held(b)
			if !in(w.World, b.Cookie("session")) {
				t.Fatal("a new session is no good")
			}
			end(b)
			settle(w.World)
			before := dump(w.World)
			for i, node := range all {
				for _, r := range w.Console.Routes() {
					method, path := split(r.Pattern, fill)
					got := send(node, method, path, url.Values{"name": {"x"}, "password": {doortest.Password}}, copied)
					if sessionIn(got) || got.Page() != "" && got.Page() != "welcome" && got.Page() != "error" && got.Page() != "login.identifier" {
						t.Errorf("after %s a copied cookie opens %s on node %d: %d %q", name, r.Pattern, i, got.Status, got.Page())
					}
				}
			}
			if d := differing(before, dump(w.World)); d != nil {
				t.Errorf("after %s a copied cookie changed %v", name, d)
			}
			w.calm()
		}
	})
}

// AT-57: nothing makes a session last longer than it may: neither what is asked without it, nor a fresh proof, a new password, a remembered device, or
// a clock that goes back. What is asked with it counts as use, whatever it is.
func TestNothingProlongsASession(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.remember("30")
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Exec(`update accounts set offers = 3`)
		b := w.Browser()
		b.SignIn(p).Want("dashboard")
		until := func() int {
			return w.Count(`select expires_at from sessions where account_id = $1 and state = 'open' order by id desc limit 1`, p.Account)
		}
		last := func() int {
			return w.Count(`select last_used_at from sessions where account_id = $1 and state = 'open' order by id desc limit 1`, p.Account)
		}
		end, used := until(), last()
		asset := firstGroup(regexp.MustCompile(`(/assets/door\.[0-9a-f]+\.css)`), send(w.World, http.MethodGet, "/o/fabrikam/login", nil, nil).Body)
		w.Clock.Move(5 * time.Minute)
		for _, at := range []string{"/healthz", "/readyz", asset, "/assets/none", "/nothing"} {
			send(w.World, http.MethodGet, at, nil, held(b))
		}
		if last() != used {
			t.Error("what needs no session counts as its use")
		}
		for _, at := range []string{"/me", "/o/fabrikam/", "/o/fabrikam/login"} {
			w.Clock.Move(2 * time.Minute)
			send(w.World, http.MethodGet, at, nil, held(b))
			if now := int(w.Clock.Now().UnixMicro()); last() != now {
				t.Errorf("%s does not count as use", at)
			}
		}
		// A row that was used in the future is not taken back by a node whose clock is behind.
		ahead := w.Clock.Now().Add(30 * time.Second).UnixMicro()
		w.Exec(`update sessions set last_used_at = $1 where account_id = $2`, ahead, p.Account)
		in(w.World, b.Cookie("session"))
		if last() != int(ahead) {
			t.Error("a clock that is behind moved the last use back")
		}

		const fresh = "another fine passphrase 9"
		for range 3 {
			w.Clock.Move(7 * time.Hour)
			b.Get("/me/prove?to=/me").Want("prove").Submit("proof_code", p.Code()).Want("me")
			if until() != end {
				t.Error("a fresh proof prolongs the session")
			}
		}
		b.Get("/me/security").Submit("password", doortest.Password, "new_password", fresh, "confirm_password", fresh).Want("me.security")
		if until() != end {
			t.Error("a new password prolongs the session")
		}
		w.Clock.Move(time.Duration(end)*time.Microsecond - time.Duration(w.Clock.Now().UnixMicro())*time.Microsecond - time.Second)
		if !in(w.World, b.Cookie("session")) {
			t.Error("a second before its end the session is over")
		}
		w.Clock.Move(time.Second)
		if in(w.World, b.Cookie("session")) {
			t.Error("at its end the session is good")
		}
		if r := send(w.World, http.MethodPost, "/me/prove", url.Values{"proof_code": {p.Code()}, "to": {"/me"}}, held(b)); sessionIn(r) {
			t.Error("a fresh proof revives a session that is over")
		}

		// A remembered device spares a code, not the end.
		q := w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		w.Exec(`update accounts set offers = 3`)
		c := w.remembered(q)
		s := c.Cookie("session")
		for range 47 {
			w.Clock.Move(30 * time.Minute)
			if !in(w.World, s) {
				t.Fatal("a remembered device's session ends while it is used")
			}
		}
		w.Clock.Move(30*time.Minute + time.Second)
		if in(w.World, s) {
			t.Error("a remembered device's session outlives a day")
		}
		if w.Count(`select count(*) from sessions where account_id = $1 and expires_at - created_at > $2`, q.Account, (24*time.Hour).Microseconds()) != 0 {
			t.Error("a session may last longer than a day")
		}
	})
}

// AT-58: whatever cookies a request has, no answer is a failure of ours, sets one that is too long, or one for more than this host.
func TestOddCookies(t *testing.T) {
	w := build(doortest.New(t, databases[0], doortest.Options{}))
	_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
	s := b.Cookie("session")
	form := regexp.MustCompile(`^door-(session|attempt[0-3]|passkey|proof|device|flash|lang|theme)=[^;]*; Path=/;( Max-Age=\d+;)? HttpOnly; SameSite=Lax$`)
	long := strings.Repeat("x", 8<<10)
	half := identified(w.World, "fabrikam", "bea@fabrikam.example")
	names := []string{"session", "attempt0", "attempt1", "attempt2", "attempt3", "passkey", "proof", "device", "flash", "lang", "theme"}
	var odd []string
	for _, name := range names {
		for _, v := range []string{long, "", `"`, "a=b=c", "%00", "\u00e9", "dws_", ".", "att_.", half.ID + "." + long, half.ID + "..", strings.Repeat(".", 4000), "-1", "null", "{}", "' or 1=1 --"} {
			odd = append(odd, "door-"+name+"="+v)
		}
	}
	odd = append(odd, ";;;;", "=", "=x", "door-session", "door-", "door-=x", strings.Repeat("a=b; ", 5000), "$Path=/; $Domain=x; door-session="+s)
	for _, cookie := range odd {
		for _, at := range []string{"GET /me", "GET /o/fabrikam/login?lang=de&theme=dark", "GET /login/next", "POST /login/password", "POST /o/fabrikam/login", "POST /login/passkey-alone", "POST /logout"} {
			method, path, _ := strings.Cut(at, " ")
			r := send(w.World, method, path, url.Values{"identifier": {"x@fabrikam.example"}, "attempt": {half.ID}, "password": {"x"}, "credential": {"{}"}}, with("Cookie", cookie))
			if r.Status >= 500 || sessionIn(r) || r.Page() == "me" && !strings.Contains(cookie, s) {
				t.Errorf("%s with %.40q (%d bytes) is answered %d %q", at, cookie, len(cookie), r.Status, r.Page())
			}
			for _, c := range r.Head["Set-Cookie"] {
				if !form.MatchString(c) && !strings.Contains(c, "Max-Age=0;") || len(c) > 4096 {
					t.Errorf("%s with %.40q sets %.100q (%d bytes)", at, cookie, c, len(c))
				}
			}
		}
	}
	// Two of one name, wherever they come from, are refused for each of ours: the parent domain's cannot hide behind this host's.
	for _, name := range names {
		if r := send(w.World, http.MethodGet, "/me", nil, with("Cookie", "door-session="+s+"; door-"+name+"=a; door-"+name+"=b")); r.Status != http.StatusBadRequest {
			t.Errorf("two cookies %s are answered %d", name, r.Status)
		}
	}
}
