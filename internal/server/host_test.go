package server_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/config"
	"doorward/internal/doortest"
	"doorward/internal/page"
)

const publicURL = "https://door.example.com"

// publicTown is a town with a public URL over https, which the test reaches as a proxy that ends TLS would.
func publicTown(t *testing.T, d int) *town {
	t.Helper()
	return build(doortest.New(t, databases[d], doortest.Options{Settings: func(s *config.Settings) { s.PublicURL = publicURL + ":443" }}))
}

// lies are the headers that frameworks elsewhere believe.
var lies = [][2]string{{"Host", "evil.test"}, {"X-Forwarded-Host", "evil.test"}, {"X-Forwarded-Server", "evil.test"}, {"Forwarded", "host=evil.test;proto=http"},
	{"X-Original-Host", "evil.test"}, {"X-Host", "evil.test"}, {"X-Forwarded-Proto", "http"}, {"X-Forwarded-Scheme", "http"}, {"X-Forwarded-Port", "8443"},
	{"X-Forwarded-Prefix", "//evil.test"}, {"X-Forwarded-Path", "/evil"}, {"X-Original-Url", "/evil"}, {"X-Rewrite-Url", "/evil"}, {"X-Http-Host-Override", "evil.test"},
	{"Host", "door.example.com:8443"}, {"Host", "evil@door.example.com"}, {"Host", "door.example.com."}, {"Host", "localhost"}, {"Referer", "https://evil.test/"}}

// Links in mails follow the public URL, whatever a request says (AT-01, AT-02).
func TestLinksFollowThePublicURL(t *testing.T) {
	for i, d := range databases {
		t.Run(string(d), func(t *testing.T) {
			w := publicTown(t, i)
			w.Exec(`update seats set seat_limit = null`)
			p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
			pending, link := w.Invite(w.Fabrikam, "new@fabrikam.example", access.Core)
			ask := func(h http.Header) {
				t.Helper()
				w.Exec(`delete from throttles`)
				for _, r := range []reply{
					send(w.World, http.MethodPost, "/o/fabrikam/forgot", url.Values{"identifier": {p.Email}}, h),
					send(w.World, http.MethodPost, link+"/again", nil, h),
					send(w.World, http.MethodGet, "/o/fabrikam/users", nil, h),
					send(w.World, http.MethodGet, "/o/fabrikam/login", nil, h),
				} {
					if r.Status >= 500 || strings.Contains(r.Location(), "evil") || strings.HasPrefix(r.Location(), "http") || strings.Contains(r.Body, "evil") {
						t.Errorf("with %v: %d, to %q", h, r.Status, r.Location())
					}
				}
				settle(w.World) // a mail that is on its way when a newer one is asked for is taken back
			}
			for _, l := range lies {
				ask(with(l[0], l[1]))
				ask(with(l[0], l[1], "Origin", publicURL))
			}
			// Two hosts, none, and an absolute address in the request line.
			body := "identifier=" + url.QueryEscape(p.Email)
			for _, head := range []string{"POST /o/fabrikam/forgot HTTP/1.1\r\nHost: door.example.com\r\nHost: evil.test\r\n", "POST /o/fabrikam/forgot HTTP/1.1\r\n",
				"POST http://evil.test/o/fabrikam/forgot HTTP/1.1\r\nHost: door.example.com\r\n", "POST https://evil.test/o/fabrikam/forgot HTTP/1.1\r\nHost: evil.test\r\n",
				"POST /o/fabrikam/forgot HTTP/1.0\r\n", "POST /o/fabrikam/forgot HTTP/1.1\r\nHost: evil.test/\\x\r\n"} {
				w.Exec(`delete from throttles`)
				r := wire(w.World, head+fmt.Sprintf("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body))
				if r.Status >= 500 || strings.Contains(r.Location(), "evil") {
					t.Errorf("%q: %d, to %q", head, r.Status, r.Location())
				}
			}
			settle(w.World)
			mails := w.Mailbox.All("")
			if len(w.Mailbox.All(p.Email)) < 20 || len(w.Mailbox.All(pending.Email)) < 20 {
				t.Errorf("only %d mails went out", len(mails))
			}
			for _, m := range mails {
				links := m.Links()
				if len(links) == 0 {
					t.Errorf("no link in a mail of the kind %s", m.Kind)
				}
				for _, l := range links {
					if !strings.HasPrefix(l, publicURL+"/o/") && !strings.HasPrefix(l, publicURL+"/activate/dwa_") && !strings.HasPrefix(l, publicURL+"/reset/dwr_") {
						t.Errorf("a mail of the kind %s links to %s", m.Kind, l)
					}
				}
				if strings.Contains(m.HTML+m.Text, "evil") || strings.Contains(m.HTML, `href="http:`) || strings.Contains(m.HTML, "localhost") {
					t.Errorf("a mail of the kind %s believed a header", m.Kind)
				}
			}
		})
	}
}

// The organisation stands in the path alone, and the guard decides (AT-03).
func TestNoOtherOrganisationByHeader(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		secret := w.Activate(w.Tailspin, "zora@tailspin.example", access.Core)
		me := held(b).Get("Cookie")
		for _, h := range []http.Header{with("Host", "tailspin.localhost"), with("X-Tenant", "tailspin"), with("X-Org", string(w.Tailspin.ID)), with("X-Doorward-Org", "tailspin"),
			with("X-Original-Url", "/o/tailspin/users"), with("X-Rewrite-Url", "/o/tailspin/users")} {
			h.Set("Cookie", me)
			for _, path := range []string{"/o/fabrikam/users", "/o/fabrikam/users?tenant=tailspin&org=tailspin&_org=" + string(w.Tailspin.ID), "/o/fabrikam/?slug=tailspin"} {
				r := send(w.World, http.MethodGet, path, nil, h)
				if r.Status != http.StatusOK || strings.Contains(r.Body, "zora@") || !strings.Contains(r.Body, "Fabrikam") {
					t.Errorf("%s with %v: %d", path, h, r.Status)
				}
			}
			r := send(w.World, http.MethodPost, "/o/fabrikam/users/"+string(secret.Account)+"/disable", url.Values{"tenant_id": {string(w.Tailspin.ID)}, "slug": {"tailspin"}}, h)
			if r.Status != http.StatusNotFound {
				t.Errorf("disabling with %v: %d", h, r.Status)
			}
		}
		// A form that was rendered for another organisation or account writes nothing.
		for _, f := range []url.Values{{"_org": {string(w.Tailspin.ID)}}, {"_account": {string(secret.Account)}}} {
			f.Set("emails", "x@fabrikam.example")
			if r := send(w.World, http.MethodPost, "/o/fabrikam/users/invite", f, with("Cookie", me)); r.Status != http.StatusUnprocessableEntity && r.Status != http.StatusConflict {
				t.Errorf("a form of another side is answered %d", r.Status)
			}
		}
		if n := w.Count(`select count(*) from accounts where email_key = 'x@fabrikam.example' or state = 'disabled'`); n != 0 {
			t.Errorf("%d accounts were changed", n)
		}
	})
}

// Where a request comes from: the peer, unless the peer is a proxy that is trusted (AT-83).
func TestProxyHeaders(t *testing.T) {
	address := func(t *testing.T, w *town, h http.Header) string {
		t.Helper()
		w.Clock.Move(time.Second) // events are in the order of time
		r := send(w.World, http.MethodPost, "/o/fabrikam/login", url.Values{"identifier": {"x@fabrikam.example"}}, h)
		_, id, _ := strings.Cut(r.Location(), "attempt=")
		h.Set("Cookie", "door-attempt0="+r.Cookie("attempt0"))
		r = send(w.World, http.MethodPost, "/login/password", url.Values{"attempt": {id}, "password": {"a wrong passphrase 1"}}, h)
		if r.Status >= 500 {
			t.Errorf("%v: %d", h, r.Status)
		}
		w.Exec(`update throttles set failures = 0, blocked_until = 0`)
		data := w.text(`select data from event_persons order by event_id desc limit 1`)
		_, rest, _ := strings.Cut(data, `"address":"`)
		a, _, _ := strings.Cut(rest, `"`)
		return a
	}
	names := []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X_Forwarded_For", "X-User", "X-Webauth-User", "X-Remote-User", "X-Forwarded-Client-Cert", "X-Forwarded-User",
		"X-Authenticated-Email", "Remote-User", "X-Client-Ip", "True-Client-Ip"}
	values := []string{"198.51.100.7", "127.0.0.1", "for=127.0.0.1", "root@acme.example", strings.Repeat("10.0.0.1, ", 1000) + "198.51.100.7", "garbage", ",,,", "fe80::1%eth0",
		"'; drop table sessions; --", "1.2.3.4:80", "[2001:db8::1]:443", "::ffff:10.0.0.1", "\"\\", "99999.1.1.1", "\xff\xfe"}
	doortest.On(t, func(t *testing.T, plain *doortest.World) {
		w := build(plain)
		for _, n := range names {
			for _, v := range values {
				if a := address(t, w, with(n, v)); !netip.MustParseAddr(a).IsLoopback() {
					t.Errorf("%s: %.40q makes the client %q", n, v, a)
				}
			}
			if r := send(w.World, http.MethodGet, "/me", nil, with(n, "root@acme.example")); r.Status != http.StatusUnauthorized {
				t.Errorf("%s signs in: %d", n, r.Status)
			}
		}
	})
	for _, d := range databases {
		t.Run(string(d)+"/trusted", func(t *testing.T) {
			w := build(doortest.New(t, d, doortest.Options{Settings: func(s *config.Settings) { s.TrustedProxies = []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8"} }}))
			for v, want := range map[string]string{
				"198.51.100.7":                                 "198.51.100.7",
				"203.0.113.9, 198.51.100.7":                    "198.51.100.7", // what the client wrote stands before
				"203.0.113.9, 198.51.100.7, 10.1.2.3":          "198.51.100.7",
				"127.0.0.1, 198.51.100.7":                      "198.51.100.7",
				"::ffff:198.51.100.7":                          "198.51.100.7",
				"2001:db8::7":                                  "2001:db8::7",
				"fe80::1%eth0":                                 "fe80::1",
				"fe80::1%\xff":                                 "fe80::1",
				strings.Repeat("10.0.0.1,", 1000) + "10.0.0.2": "10.0.0.1",
				"203.0.113.9, garbage":                         "",
				"203.0.113.9,":                                 "",
				"":                                             "",
				"198.51.100.7, 10.1.2.3, garbage, 10.1.2.4": "10.1.2.4",
				"203.0.113.9\x00, 198.51.100.8":             "198.51.100.8",
			} {
				if strings.Contains(v, "\x00") {
					continue // no HTTP server takes it
				}
				a := address(t, w, with("X-Forwarded-For", v))
				if a != want && !(want == "" && netip.MustParseAddr(a).IsLoopback()) {
					t.Errorf("%.60q makes the client %q, want %q", v, a, want)
				}
			}
			if a := address(t, w, with("Forwarded", "for=198.51.100.7", "X-Real-Ip", "198.51.100.7")); !netip.MustParseAddr(a).IsLoopback() {
				t.Errorf("Forwarded makes the client %q", a)
			}
			h := with("X-Forwarded-For", "203.0.113.9")
			h["X-Forwarded-For"] = append(h["X-Forwarded-For"], "198.51.100.7")
			if a := address(t, w, h); a != "198.51.100.7" {
				t.Errorf("of two headers the client is %q", a)
			}
		})
	}
}

// Other spellings of a protected address are decided like the address itself, or refused (AT-82).
func TestPathTricks(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, c := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		w.Activate(w.Tailspin, "zora@tailspin.example", access.Core)
		protected := "/o/fabrikam/users"
		for _, path := range []string{"//o/fabrikam/users", "/o//fabrikam/users", "/o/fabrikam//users", "/./o/fabrikam/users", "/o/./fabrikam/users", "/assets/../o/fabrikam/users",
			"/o/fabrikam/login/../users", "/o/tailspin/../fabrikam/users", "/o/fabrikam/%2e%2e/fabrikam/users", "/o/tailspin/%2e%2e/fabrikam/users", "/o%2ffabrikam/users", "/o/fabrikam%2fusers", "/o/fabrikam/users;x=1", "/o/fabrikam;x/users",
			"/o/fabrikam/..;/fabrikam/users", `/o\fabrikam\users`, `/o/fabrikam\users`, "/O/fabrikam/users", "/o/FABRIKAM/users", "/o/fabrikam/USERS", "/o/fabrikam/users/", "/o/fabrikam/users.", "/o/fabrikam/users.json",
			"/o/fabrikam/users%20", "/o/fabrikam/users%00", "/o/fabrikam/users%2f", "/o/fabrikam/%75sers", "/o/fabrikam/%2575sers", "/o/f%61brikam/users", "/o/fabrikam%20/users", "/o/%66%61%62%72%69%6b%61%6d/users",
			"/o/ｆabrikam/users", "/o/fabrikam/users%3f", "/o/fabrikam/users?x=/../", "/o/fabrikam./users", "/o/fabrikam%00/users", "/o/fabrikam%ff/users", "/%6f/fabrikam/users", "/o/fabrikam/users#", "/healthz/../o/fabrikam/users",
			"/o/fabrikam/users%0d%0aX:y", "/login/../o/fabrikam/users", "/o/fabrikam/login/%2e%2e/users", "/o/fabrikam∕users"} {
			for who, h := range map[string]http.Header{"a stranger": {}, "someone without the right": held(c), "the administrator": held(b)} {
				r, at := send(w.World, http.MethodGet, escapeLine(path), nil, h), path
				for hops := 0; hops < 3 && r.Status >= 300 && r.Status < 400 && !strings.Contains(r.Location(), "/login"); hops++ {
					if at = r.Location(); !strings.HasPrefix(at, "/") || strings.HasPrefix(at, "//") || strings.HasPrefix(at, `/\`) {
						t.Errorf("%s sends to %q", path, at)
						break
					}
					r = send(w.World, http.MethodGet, at, nil, h)
				}
				if r.Status >= 500 || strings.Contains(r.Body, "zora@") {
					t.Errorf("%s for %s: %d", path, who, r.Status)
				}
				if strings.Contains(r.Body, "carl@fabrikam.example") && who != "the administrator" && !(who == "someone without the right" && r.Page() != "users") {
					t.Errorf("%s shows %s the people", path, who)
				}
			}
		}
		// Nothing of a request but its line says what is asked for.
		for _, h := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
			r := send(w.World, http.MethodPost, protected, url.Values{"_method": {"GET"}}, with("Cookie", held(b).Get("Cookie"), h, "GET"))
			if r.Status != http.StatusMethodNotAllowed {
				t.Errorf("POST with %s: GET is answered %d", h, r.Status)
			}
			r = send(w.World, http.MethodGet, "/me/sessions/end-all?_method=POST", nil, with("Cookie", held(b).Get("Cookie"), h, "POST"))
			if r.Status != http.StatusMethodNotAllowed {
				t.Errorf("GET with %s: POST is answered %d", h, r.Status)
			}
		}
		for _, line := range []string{"GET http://evil.test/o/fabrikam/users", "GET //evil.test/o/fabrikam/users", "GET /o/fabrikam/users/../../../../etc/passwd", "OPTIONS *", "CONNECT evil.test:443", "GET /\\evil.test/..", "PROPFIND /o/fabrikam/users", "get /o/fabrikam/users"} {
			r := wire(w.World, line+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			if r.Status >= 500 || strings.Contains(r.Body, "carl@") || strings.HasPrefix(r.Location(), "//") || strings.Contains(r.Location(), "evil.test/o") && !strings.HasPrefix(r.Location(), "/") {
				t.Errorf("%s: %d, to %q", line, r.Status, r.Location())
			}
		}
	})
}

// escapeLine makes of a path what a client can put into a request line.
func escapeLine(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if c := path[i]; c >= 0x80 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// A tenant domain as somebody typed it leads nowhere but to the door (AT-33, AT-77).
func TestOddTenantDomains(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		for _, slug := range []string{"..%2F%5Cevil.test", "..%2F..%2F%5Cevil.test", "%2F%2Fevil.test", "%5Cevil.test", "..%2F%2Fevil.test", "%3F%2F%2Fevil.test", "%23", "a%0d%0aLocation:%20x",
			"%00", "%ff", "acme%00", "ACME.", "xn--acme", "ａcme", "acme.evil.test", "javascript:alert(1)", "%22%3E%3Cscript%3E", "..", "%2e%2e", strings.Repeat("a", 2000), "%20", "me", "o"} {
			for _, page := range []string{"", "login", "forgot", "forgot/sent", "activated", "link-sent"} {
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					r := send(w.World, method, "/o/"+escapeLine(slug)+"/"+page, url.Values{"identifier": {"x@acme.example"}}, nil)
					if to := r.Location(); r.Status >= 500 || to != "" && !ownAddress(to) {
						t.Errorf("%s /o/%.60s/%s: %d, to %q", method, slug, page, r.Status, to)
					}
					if strings.Contains(r.Body, "<script>") || strings.Contains(r.Body, `"/\`) || strings.Contains(r.Body, `"//`) {
						t.Errorf("%s /o/%s/%s repeats the address in a dangerous way", method, slug, page)
					}
					// The sign-in behind it works as everywhere.
					if id, ok := strings.CutPrefix(r.Location(), "/login/next?attempt="); ok {
						h := with("Cookie", "door-attempt0="+r.Cookie("attempt0"))
						if next := send(w.World, http.MethodGet, r.Location(), nil, h); next.Page() != "login.password" {
							t.Errorf("/o/%s/: the next step is %d %q", slug, next.Status, next.Page())
						}
						if p := send(w.World, http.MethodPost, "/login/password", url.Values{"attempt": {id}, "password": {"a wrong passphrase 1"}}, h); p.Status != http.StatusUnprocessableEntity {
							t.Errorf("/o/%s/: a password is answered %d", slug, p.Status)
						}
						again := send(w.World, http.MethodPost, "/login/totp", url.Values{"attempt": {id}, "code": {"123456"}}, h)
						if again.Status != http.StatusSeeOther || !ownAddress(again.Location()) {
							t.Errorf("/o/%s/: a wrong step is answered %d, to %q", slug, again.Status, again.Location())
						}
					}
				}
			}
		}
	})
}

// ownAddress tells whether a browser at our origin stays there when it follows that address.
func ownAddress(to string) bool {
	if strings.ContainsAny(to, "\\\r\n\t") || strings.HasPrefix(to, "//") {
		return false
	}
	base, _ := url.Parse(publicURL + "/o/fabrikam/login")
	u, err := base.Parse(to)
	return err == nil && u.Scheme == "https" && u.Host == base.Host
}

// After the sign-in nobody is sent anywhere but to a path of ours (AT-33).
func TestReturnPaths(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		b := w.Browser()
		b.SignIn(p).Want("dashboard")
		evil := []string{"//evil.test", "/\\evil.test", "/\\\\evil.test", "https:evil.test", "https://evil.test", "http:/evil.test", "javascript:alert(1)", "data:text/html,x", "%2f%2fevil.test", "/%2f%2fevil.test",
			"/%09/evil.test", "/\t/evil.test", "/.evil.test", "/..//evil.test", "/../../evil.test", "@evil.test", "/@evil.test", "/x\r\nLocation: //evil.test", "/%0d%0aLocation:x", "／／evil.test", "/\u2215evil.test", "/ /evil.test",
			"///evil.test", "/" + strings.Repeat("a", 8192), "/;/evil.test", "/%5cevil.test", "/login?to=//evil.test", "evil.test", " /me", "/me\x00", "?x", "", "/o/../\\evil.test", "/o/%2e%2e/x"}
		good := map[string]string{"/me": "/me", "/o/fabrikam/?x=1": "/o/fabrikam/?x=1"}
		try := func(to, want string) {
			t.Helper()
			for _, where := range []string{"query", "form", "prove"} {
				var r reply
				switch where {
				case "prove":
					r = send(w.World, http.MethodPost, "/me/prove", url.Values{"proof_code": {p.Code()}, "to": {to}}, held(b))
					if s := r.Cookie("session"); s != "" {
						b.Client.Jar.SetCookies(b.At, (&http.Response{Header: r.Head}).Cookies())
					}
				default:
					a := identifiedTo(w, p, to, where == "query")
					if a.ID == "" { // refused where it was typed
						continue
					}
					next := a.post("password", "password", doortest.Password)
					r = send(w.World, http.MethodPost, "/login/totp", a.form("code", p.Code()), with("Cookie", "door-attempt0="+next.Cookie("attempt0")))
					if !sessionIn(r) {
						t.Fatalf("the sign-in with %q fails: %d", to, r.Status)
					}
				}
				if r.Status != http.StatusSeeOther && r.Status != http.StatusBadRequest && r.Status != http.StatusUnprocessableEntity || r.Status == http.StatusSeeOther && (!ownAddress(r.Location()) || want != "" && r.Location() != want) {
					t.Errorf("%.60q in the %s: %d, to %q", to, where, r.Status, r.Location())
				}
				w.Exec(`update throttles set failures = 0, blocked_until = 0`)
			}
		}
		for _, to := range evil {
			if page.LocalPath(to) != "" && to != "/login?to=//evil.test" {
				t.Errorf("%q counts as a path of ours", to)
			}
			want := "/o/fabrikam/"
			if to == "/login?to=//evil.test" {
				want = to // ours; who reads the inner one asks again
			}
			try(to, want)
		}
		for to, want := range good {
			try(to, want)
		}
	})
}

// identifiedTo is identified with a path to go on to. Its id is empty when the form was refused.
func identifiedTo(w *town, p *doortest.Person, to string, byQuery bool) attempt {
	w.T.Helper()
	path, form := "/o/"+p.Org.Slug+"/login", url.Values{"identifier": {p.Email}}
	if byQuery {
		b := w.Browser()
		b.Get(path + "?to=" + url.QueryEscape(to)).Want("login.identifier")
		b.Submit("identifier", p.Email).Want("login.password")
		return attempt{b, b.At.Query().Get("attempt")}
	}
	form.Set("to", to)
	r := send(w.World, http.MethodPost, path, form, nil)
	a := attempt{Browser: w.Browser()}
	a.Get(path)
	if _, id, ok := strings.Cut(r.Location(), "attempt="); ok {
		a.ID = id
		a.Client.Jar.SetCookies(a.At, (&http.Response{Header: r.Head}).Cookies())
	}
	return a
}
