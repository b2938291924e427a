package server_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/config"
	"doorward/internal/doortest"
)

// baseline are the headers of every answer (AT-148). Each says the same everywhere, static files' Cache-Control apart.
var baseline = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'", // AT-60: nobody frames us
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), " +
		"publickey-credentials-create=(self), publickey-credentials-get=(self)",
	"Cache-Control": "no-store", // AT-63
}

// untold are headers that no answer has: what we are made of, and any word that lets another origin read (AT-61).
var untold = []string{"Server", "X-Powered-By", "Via", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods",
	"Access-Control-Allow-Headers", "Access-Control-Expose-Headers", "X-Frame-Options-Report", "Etag", "Last-Modified"}

func TestHeaders(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		s := setUp(w)
		asset := regexp.MustCompile(`/assets/door\.[0-9a-f]+\.css`).FindString(send(w.World, http.MethodGet, "/o/fabrikam/", nil, nil).Body)
		check := func(what string, r reply) {
			t.Helper()
			want := maps.Clone(baseline)
			if strings.Contains(what, " "+asset) && r.Status == http.StatusOK {
				want["Cache-Control"] = "public, max-age=31536000, immutable"
			}
			for name, value := range want {
				if got := r.Head[http.CanonicalHeaderKey(name)]; len(got) != 1 || got[0] != value {
					t.Errorf("%s: %d with %s %q", what, r.Status, name, got)
				}
			}
			for _, name := range untold {
				if v := r.Head[http.CanonicalHeaderKey(name)]; v != nil {
					t.Errorf("%s: %d with %s %q", what, r.Status, name, v)
				}
			}
			if r.Head.Get("Strict-Transport-Security") != "" {
				t.Errorf("%s: HSTS over http", what)
			}
			if kind := r.Head.Get("Content-Type"); r.Body != "" && !strings.HasSuffix(kind, "; charset=utf-8") && kind != "application/json" { // which is UTF-8 always
				t.Errorf("%s: %d with a body of the type %q", what, r.Status, kind)
			}
			if strings.Contains(r.Body, "<html") && !regexp.MustCompile(`^<!doctype html>\n<html lang="(en|de|fr)">`).MatchString(r.Body) {
				t.Errorf("%s: not a whole page", what)
			}
		}
		admin, half := s.calls["POST /me"].Header, s.calls["POST /login/totp"].Header
		fill := map[string]string{"slug": "fabrikam", "account": w.text(`select id from accounts where email_key = 'carl@fabrikam.example'`), "token": never, "step": "password", "session": "x", "factor": "x"}
		cross := func(h http.Header) http.Header {
			h = h.Clone()
			h.Set("Origin", "https://evil.test")
			h.Set("Access-Control-Request-Method", "POST")
			h.Set("Access-Control-Request-Headers", "authorization")
			return h
		}
		for _, pattern := range w.patterns() {
			_, path := split(pattern, fill)
			for who, h := range map[string]http.Header{"a stranger": {}, "an administrator": admin, "half a sign-in": half} {
				for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodDelete} {
					check(method+" "+path+" for "+who, send(w.World, method, path, nil, h))
					check(method+" "+path+" for "+who+", from elsewhere", send(w.World, method, path, nil, cross(h)))
				}
			}
		}
		s.eachPost(t, func(t *testing.T, c call) {
			check("POST "+c.Path+" with nothing", send(w.World, http.MethodPost, c.Path, nil, nil))
			check("POST "+c.Path+" from elsewhere", send(w.World, http.MethodPost, c.Path, c.Fields, cross(c.Header)))
			check("POST "+c.Path+" of another type", send(w.World, http.MethodPost, c.Path, c.Fields, with("Content-Type", "application/json")))
		})
		for _, path := range []string{asset, asset + "x", "/assets/", "/assets/../go.mod", "/healthz", "/readyz", "/nothing", "/favicon.ico", "/robots.txt", "/.well-known/security.txt"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut} {
				r := send(w.World, method, path, nil, cross(admin))
				check(method+" "+path+" ", r)
				if path == asset && len(r.Head["Set-Cookie"]) != 0 {
					t.Errorf("%s %s sets a cookie", method, path)
				}
			}
		}
		if r := send(w.World, http.MethodGet, "/nothing", nil, nil); r.Status != http.StatusNotFound || r.Reason() != "not_found" || !strings.Contains(r.Body, `id="ref"`) {
			t.Errorf("an address that is not there: %d %q", r.Status, r.Reason())
		}
		if r := send(w.World, http.MethodDelete, "/me", nil, nil); r.Status != http.StatusForbidden && r.Status != http.StatusMethodNotAllowed {
			t.Errorf("DELETE /me: %d", r.Status)
		}

		// What nobody may open is not there at all (AT-150).
		for _, path := range []string{"/debug/pprof/", "/debug/vars", "/metrics", "/.git/config", "/.git/HEAD", "/env", "/.env", "/actuator", "/server-status", "/phpinfo.php", "/admin", "/console", "/swagger", "/api", "/assets", "/assets/door.css",
			"/internal", "/doorward.db", "/doorward.key", "/backup", "/config", "/version", "/me/x.css", "/me;.js", "/me.json", "/me/security/x.js", "/o/fabrikam/x.css", "/o/fabrikam/users.csv", "/o/fabrikam/;.js", "/login.php"} {
			for who, h := range map[string]http.Header{"a stranger": {}, "an administrator": admin} {
				r := send(w.World, http.MethodGet, path, nil, h)
				if r.Status == http.StatusTemporaryRedirect || r.Status == http.StatusMovedPermanently {
					r = send(w.World, http.MethodGet, r.Location(), nil, h)
				}
				if r.Status != http.StatusNotFound || r.Page() == "me" {
					t.Errorf("%s for %s: %d %q", path, who, r.Status, r.Page())
				}
			}
		}
		for _, method := range []string{http.MethodTrace, "TRACK", "DEBUG", "CONNECT"} {
			r := wire(w.World, method+" / HTTP/1.1\r\nHost: localhost\r\nX-Canary: sesame\r\nConnection: close\r\n\r\n")
			if r.Status < 400 || strings.Contains(r.Body, "sesame") {
				t.Errorf("%s: %d", method, r.Status)
			}
		}

		// A failure on our side says nothing of its cause (AT-150), and has the same headers (AT-148).
		w.Exec(`alter table sessions rename to mislaid`)
		for _, path := range []string{"/me", "/o/fabrikam/", "/o/fabrikam/users"} {
			r := send(w.World, http.MethodGet, path, nil, admin)
			check("GET "+path+" without a table", r)
			ref := firstGroup(regexp.MustCompile(`<code id="ref">([a-z0-9]+)</code>`), r.Body)
			if r.Status != http.StatusInternalServerError || r.Reason() != "internal" || ref == "" || !strings.Contains(w.Logs.String(), ref) {
				t.Errorf("%s without a table: %d %q, reference %q", path, r.Status, r.Reason(), ref)
			}
			for _, word := range []string{"sessions", "SQL", "sql", "goroutine", ".go:", "postgres", "sqlite", "no such", "relation"} {
				if strings.Contains(strings.SplitN(r.Body, "<body", 2)[1], word) {
					t.Errorf("%s without a table says %q", path, word)
				}
			}
		}
		w.Exec(`alter table mislaid rename to sessions`)
	})
}

// Over https every answer pins https, and each cookie is bound to the host (AT-58, AT-148).
func TestHeadersOverHTTPS(t *testing.T) {
	for i, d := range databases {
		t.Run(string(d), func(t *testing.T) {
			w := publicTown(t, i)
			p, link := w.Invite(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
			var cookies []string
			jar := map[string]string{}
			ask := func(method, path string, pairs ...string) reply {
				t.Helper()
				var list []string
				for k, v := range jar {
					list = append(list, k+"="+v)
				}
				h := with("Cookie", strings.Join(list, "; "))
				form := map[string][]string{}
				for i := 0; i+1 < len(pairs); i += 2 {
					form[pairs[i]] = []string{pairs[i+1]}
				}
				r := send(w.World, method, path, form, h)
				if got := r.Head["Strict-Transport-Security"]; !slices.Equal(got, []string{"max-age=63072000"}) {
					t.Errorf("%s %s: HSTS %q", method, path, got)
				}
				if r.Status >= 500 {
					t.Errorf("%s %s: %d", method, path, r.Status)
				}
				cookies = append(cookies, r.Head["Set-Cookie"]...)
				for _, c := range (&http.Response{Header: r.Head}).Cookies() {
					if jar[c.Name] = c.Value; c.MaxAge < 0 {
						delete(jar, c.Name)
					}
				}
				return r
			}
			ask(http.MethodPost, link, "new_password", doortest.Password, "confirm_password", doortest.Password)
			ask(http.MethodGet, "/o/fabrikam/login?lang=de&theme=dark")
			r := ask(http.MethodPost, "/o/fabrikam/login", "identifier", p.Email)
			_, id, _ := strings.Cut(r.Location(), "attempt=")
			ask(http.MethodPost, "/login/password", "attempt", id, "password", "a wrong passphrase 1")
			ask(http.MethodPost, "/login/password", "attempt", id, "password", doortest.Password)
			ask(http.MethodPost, "/login/enrol", "attempt", id, "method", "totp")
			ask(http.MethodGet, "/login/next?attempt="+id)
			p.Key = appKey(w, p.Email)
			ask(http.MethodPost, "/login/enrol-totp", "attempt", id, "code", code(t, p.Key, w.World))
			ask(http.MethodPost, "/login/recovery-codes", "attempt", id, "saved", "1")
			if r = ask(http.MethodPost, "/login/passkey-offer", "attempt", id, "choice", "later"); !sessionIn(r) {
				t.Fatalf("the sign-in failed: %d", r.Status)
			}
			ask(http.MethodPost, "/o/fabrikam/login/passkey")
			ask(http.MethodPost, "/me/prove/key")
			ask(http.MethodGet, r.Location())
			ask(http.MethodPost, "/me/prove", "proof_code", p.Code(), "to", "/me")
			ask(http.MethodPost, "/me", "name", "Bea")
			ask(http.MethodPost, "/me/security/password", "password", doortest.Password, "new_password", "another fine passphrase 9", "confirm_password", "another fine passphrase 9")
			ask(http.MethodGet, "/me?theme=auto&lang=fr")
			ask(http.MethodGet, "/nothing")
			ask(http.MethodGet, "/healthz")
			ask(http.MethodPost, "/me/sessions/end-all")
			ask(http.MethodPost, "/logout")
			r = ask(http.MethodPost, "/login", "identifier", p.Email)
			_, id, _ = strings.Cut(r.Location(), "attempt=")
			ask(http.MethodPost, "/login/password", "attempt", id, "tenant", "fabrikam", "password", "another fine passphrase 9")
			if ask(http.MethodPost, "/login/totp", "attempt", id, "code", p.Code()); jar["__Host-door-tenant"] != "fabrikam" {
				t.Errorf("the tenant domain is not remembered: %v", jar)
			}
			checkCookies(t, cookies, regexp.MustCompile(`^__Host-door-(session|attempt[0-3]|passkey|proof|device|tenant|flash|lang|theme)=[^;]*; Path=/;( Max-Age=\d+;)? HttpOnly; Secure; SameSite=Lax$`))
			if len(cookies) < 12 {
				t.Errorf("only %d cookies were seen", len(cookies))
			}
		})
	}
}

// checkCookies holds every Set-Cookie against a form.
func checkCookies(t *testing.T, cookies []string, form *regexp.Regexp) {
	t.Helper()
	for _, c := range cookies {
		if !form.MatchString(c) || len(c) > 4096 {
			t.Errorf("Set-Cookie: %s", c)
		}
	}
}

// A proxy that ends TLS forwards plain http: the public URL alone says what is secure, and headers do not (AT-58, AT-02).
func TestSchemeFollowsThePublicURL(t *testing.T) {
	w := build(doortest.New(t, databases[0], doortest.Options{Settings: func(s *config.Settings) { s.TrustedProxies = []string{"127.0.0.0/8", "::1/128"} }}))
	r := send(w.World, http.MethodGet, "/o/fabrikam/login?lang=de", nil, with("X-Forwarded-Proto", "https", "Forwarded", "proto=https", "Front-End-Https", "on"))
	checkCookies(t, r.Head["Set-Cookie"], regexp.MustCompile(`^door-lang=de; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax$`))
	if len(r.Head["Set-Cookie"]) != 1 || r.Head.Get("Strict-Transport-Security") != "" {
		t.Errorf("a header made it https: %v", r.Head)
	}
}
