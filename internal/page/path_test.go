package page_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"doorward/internal/page"
)

func TestLocalPath(t *testing.T) {
	for _, s := range []string{
		"/", "/me", "/me/", "/o/fabrikam/", "/o/123456.sms/users?y=1&q=a%20b", "/o/x/users?sort=name&after=%C3%A9", "/o/x/users?", "/o/m%C3%BCller/",
		"/oauth/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=x%3D%3D&scope=openid+email",
		"/oauth/authorize?redirect_uri=https://app.example/cb", // a query is the reader's to check
		"/login?next=//evil.example",
		"/a-b_c~d!$&'()*+,=",
	} {
		if got := page.LocalPath(s); got != s {
			t.Errorf("%q was refused", s)
		}
	}
	for _, s := range []string{
		"", "x", "me", "?a", "#a", " /me", "/me ", "/a b", "\t/me",
		"//evil", "//evil.example/x", "///evil", "////evil", "/\\evil", "/\\\\evil", "\\\\evil", "\\/evil", "/a\\b", "/a/\\evil",
		"https:evil", "https://evil.example", "HTTPS://evil", "http:/evil", "javascript:alert(1)", "data:text/html,x", "mailto:a@b", "/javascript:alert(1)",
		"@evil", "/@evil.example", "/a@evil", "user@evil", "/:80", "/;@evil",
		"%2f%2fevil", "/%2fevil", "/%2Fevil", "/a%2f%2fb", "/%5cevil", "/%5Cevil", "/a/%2f", "/%252fevil", "/%25", "/%40evil", "/%3aevil",
		"/%09/evil", "/\t/evil", "/\n/evil", "/\r\n/evil", "/%0d%0aSet-Cookie:x=1", "/a?b=%0D%0Ax", "/a?b=%00", "/a?b=%7f", "/a?b\n", "/a?b=\\", "/a?b#c", "/a#b",
		"/.", "/..", "/./evil", "/../evil", "/a/../b", "/a/./b", "/.evil", "/..//evil", "/.//evil", "/%2e%2e/evil", "/%2E/evil", "/a/%2e%2e//evil", "/.well-known/x",
		"/a//b", "/a//", "/me//?x", "/%", "/%4", "/%zz", "/a?%", "/a?%zz",
		"/\u2215evil", "/\u2044evil", "/\uff0fevil", "\uff0f\uff0fevil", "/\u3002evil", "/é", "/\x80", "/\x7f", "/a\x00", "/\u00a0", "/\u202eevil",
		"/" + strings.Repeat("a", 2048), "/a?" + strings.Repeat("b", 8192),
	} {
		if got := page.LocalPath(s); got != "" {
			t.Errorf("%q was let through", s)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "/o/x/users?y=1", "//evil", "/\\evil", "/%2f%2fevil", "/%09/evil", "/a?b=c#d", "/..//evil", "/a%20b", "/a?%0a"} {
		f.Add(s)
	}
	base, err := url.Parse("https://door.example/o/x/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := page.LocalPath(s)
		if got == "" {
			return
		}
		if got != s {
			t.Fatalf("%q became %q", s, got)
		}
		u, err := base.Parse(s)
		if err != nil || u.Scheme != "https" || u.Host != "door.example" || u.User != nil {
			t.Fatalf("%q leads to %v (%v)", s, u, err)
		}
		// What is joined to the origin, and what Go's redirect makes of it, stay with us as well.
		if joined, err := url.Parse("https://door.example" + s); err != nil || joined.Host != "door.example" {
			t.Fatalf("%q joined is %v (%v)", s, joined, err)
		}
		w := httptest.NewRecorder()
		http.Redirect(w, httptest.NewRequest(http.MethodGet, "/o/x/login", nil), s, http.StatusSeeOther)
		if to := w.Header().Get("Location"); to != s {
			t.Fatalf("%q redirects to %q", s, to)
		}
		if strings.ContainsAny(s, "\\\r\n\t ") || strings.HasPrefix(s, "//") {
			t.Fatalf("%q was let through", s)
		}
	})
}
