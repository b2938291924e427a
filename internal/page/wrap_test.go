package page_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"doorward/internal/page"
)

func TestHeadersOnEveryAnswer(t *testing.T) {
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
		"Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), " +
			"publickey-credentials-create=(self), publickey-credentials-get=(self)",
	}
	for _, public := range []string{"https://door.example", "http://localhost:8080"} {
		b := newBench(t, public)
		mux := http.NewServeMux()
		mux.Handle("GET /page", b.Handle(func(w http.ResponseWriter, r *http.Request) error {
			return b.set.Render(w, r, http.StatusOK, "bare", newSample())
		}))
		mux.Handle("GET /redirect", http.RedirectHandler("/page", http.StatusSeeOther))
		mux.Handle("GET /broken", b.Handle(func(http.ResponseWriter, *http.Request) error { return errors.New("x") }))
		mux.Handle("/assets/", b.Assets())
		for _, path := range []string{"/page", "/redirect", "/broken", "/none", "/assets/none.css"} {
			res := b.serve(get(path), b.Routes(mux))
			for name, value := range want {
				if got := res.Header.Values(name); len(got) != 1 || got[0] != value {
					t.Errorf("%s%s: %s is %q", public, path, name, got)
				}
			}
			hsts := res.Header.Get("Strict-Transport-Security")
			if secure := strings.HasPrefix(public, "https"); secure != (hsts == "max-age=63072000") {
				t.Errorf("%s%s: Strict-Transport-Security is %q", public, path, hsts)
			}
		}
	}
}

func TestRef(t *testing.T) {
	b := newBench(t, "https://door.example")
	seen := map[string]bool{}
	for range 50 {
		b.serve(get("/"), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen[page.Ref(r.Context())] = true }))
	}
	if len(seen) != 50 || seen[""] {
		t.Errorf("%d different refs of 50: %v", len(seen), seen)
	}
	if got := page.Ref(t.Context()); got != "" {
		t.Errorf("outside a request the ref is %q", got)
	}
}

func TestCookies(t *testing.T) {
	for public, want := range map[string]string{
		"https://door.example":  "__Host-door-attempt=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax",
		"http://localhost:8080": "door-attempt=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax",
	} {
		b := newBench(t, public)
		res := b.serve(get("/"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			b.SetCookie(w, "attempt", "v", 60_000_000_000)
			b.SetCookie(w, "gone", "", -1)
			b.SetCookie(w, "session", "s", 0)
		}))
		got := res.Header.Values("Set-Cookie")
		if len(got) != 3 || got[0] != want || !strings.Contains(got[1], "Max-Age=0") || strings.Contains(got[2], "Max-Age") {
			t.Errorf("%s: %q", public, got)
		}
		r := get("/", b.Cookie("attempt")+"=one", "attempt=other")
		if v, ok := b.ReadCookie(r, "attempt"); !ok || v != "one" {
			t.Errorf("%s: read %q, %v", public, v, ok)
		}
		if _, ok := b.ReadCookie(r, "session"); ok {
			t.Errorf("%s: read a cookie that is not there", public)
		}
		if _, ok := b.ReadCookie(get("/", b.Cookie("a")+"=1", b.Cookie("a")+"=2"), "a"); ok {
			t.Errorf("%s: read one of two", public)
		}
	}
}

func TestAmbiguousCookiesAreRefused(t *testing.T) {
	b := newBench(t, "https://door.example")
	called := false
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true })
	res := b.serve(get("/", "__Host-door-session=a", "x=1", "x=2", "__Host-door-session=a"), h)
	if res.StatusCode != http.StatusBadRequest || called {
		t.Errorf("status %d, handler called: %v", res.StatusCode, called)
	}
	has(t, body(t, res), `data-page="error" data-reason="invalid"`)
	if res := b.serve(get("/assets/x", "__Host-door-session=a", "__Host-door-session=b"), h); res.StatusCode != http.StatusOK {
		t.Errorf("the error page could not load its own style: %d", res.StatusCode)
	}
	called = false
	if b.serve(get("/", "x=1", "x=2", "__Host-door-session=a"), h); !called {
		t.Error("cookies of others were refused")
	}
}
