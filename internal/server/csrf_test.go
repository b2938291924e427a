package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/doortest"
)

// Forms are taken from our own pages alone: every POST route of both tables refuses another site's, and nothing changes (AT-59, AT-31).
func TestCrossSiteForms(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		s := setUp(w)
		before := dump(w.World)
		sites := []http.Header{
			with("Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"), with("Origin", "https://evil.test", "Sec-Fetch-Site", ""),
			with("Origin", "null", "Sec-Fetch-Site", ""), with("Origin", "null", "Sec-Fetch-Site", "cross-site"), with("Origin", "", "Sec-Fetch-Site", "cross-site"),
			with("Origin", "", "Sec-Fetch-Site", "same-site"), with("Origin", strings.Replace(w.Settings.PublicURL, "localhost", "evil.localhost", 1), "Sec-Fetch-Site", "same-site"),
			with("Origin", w.Settings.PublicURL+".evil.test", "Sec-Fetch-Site", ""), with("Origin", "https://evil.test/"+w.Settings.PublicURL, "Sec-Fetch-Site", ""),
			with("Origin", "http://localhost", "Sec-Fetch-Site", ""), with("Origin", "http://localhost:1", "Sec-Fetch-Site", ""), with("Origin", "garbage", "Sec-Fetch-Site", ""),
			with("Origin", w.Settings.PublicURL, "Sec-Fetch-Site", "cross-site", "Host", "evil.test"), with("Origin", "https://evil.test", "Sec-Fetch-Site", "", "Host", "localhost"),
			with("Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"),
			with("Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site", "Content-Type", "application/json"),
			with("Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site", "X-Http-Method-Override", "POST", "X-Requested-With", "XMLHttpRequest"),
		}
		s.eachPost(t, func(t *testing.T, c call) {
			for _, site := range sites {
				h := site.Clone()
				for k, v := range c.Header {
					h[k] = v
				}
				r := send(w.World, http.MethodPost, c.Path, c.Fields, h)
				if r.Status != http.StatusForbidden || r.Page() != "error" || r.Reason() != "forbidden" || len(r.Head["Set-Cookie"]) != 0 {
					t.Errorf("from %v: %d %q, cookies %v", site, r.Status, r.Page(), r.Head["Set-Cookie"])
				}
			}
			// Neither does another method do what the form does, whatever it says of itself.
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete, "PROPFIND"} {
				h := with("X-Http-Method-Override", "POST", "X-Method-Override", "POST", "Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site")
				for k, v := range c.Header {
					h[k] = v
				}
				fields := url.Values{"_method": {"POST"}}
				for k, v := range c.Fields {
					fields[k] = v
				}
				r := send(w.World, method, c.Path+"?"+fields.Encode(), fields, h)
				if r.Status >= 500 || sessionIn(r) {
					t.Errorf("%s answers %d", method, r.Status)
				}
				switch method {
				case http.MethodGet, http.MethodHead, http.MethodOptions:
				default:
					if r.Status != http.StatusForbidden && r.Status != http.StatusMethodNotAllowed {
						t.Errorf("%s answers %d", method, r.Status)
					}
				}
			}
			if d := differing(before, dump(w.World), "org_health"); d != nil { // what is kept of a look at how people stand
				t.Fatalf("changed %v", d)
			}
		})
		// The same forms are good when they come from here: nothing above was refused for another reason.
		for _, pattern := range []string{"POST /activate/{token}", "POST /reset/{token}", "POST /o/{slug}/users/invite", "POST /o/{slug}/users/{account}/disable", "POST /o/{slug}/orgs/new", "POST /me",
			"POST /o/{slug}/login", "POST /o/{slug}/forgot", "POST /logout", "POST /me/sessions/end-all"} {
			c := s.calls[pattern]
			if r := send(w.World, http.MethodPost, c.Path, c.Fields, c.Header); r.Status != http.StatusSeeOther {
				t.Errorf("%s from our own page answers %d %q %v", pattern, r.Status, r.Page(), r.Faults())
			}
		}
	})
}

// Another site cannot sign a browser in as somebody else (AT-31): not with credentials, not with a link.
func TestNobodyIsSignedInFromElsewhere(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		evil := w.Enrol(w.Fabrikam, "evil@fabrikam.example", access.Core)
		victim, b := w.enrolled(w.Tailspin, "vera@tailspin.example", access.Core)
		cross := with("Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Cookie", held(b).Get("Cookie"))
		a := halfIn(evil)
		for path, form := range map[string]url.Values{
			"/o/fabrikam/login": {"identifier": {evil.Email}}, "/login/password": a.form("password", doortest.Password), "/login/totp": a.form("code", evil.Code()), "/logout": {},
		} {
			if r := send(w.World, http.MethodPost, path, form, cross); r.Status != http.StatusForbidden || len(r.Head["Set-Cookie"]) != 0 {
				t.Errorf("%s from another site: %d, cookies %v", path, r.Status, r.Head["Set-Cookie"])
			}
		}
		// No GET makes a session, or ends one.
		for _, path := range []string{"/login/next?attempt=" + a.ID, "/login/totp?attempt=" + a.ID + "&code=" + evil.Code(), "/logout", "/o/fabrikam/login?identifier=" + url.QueryEscape(evil.Email)} {
			if r := send(w.World, http.MethodGet, path, nil, cross); sessionIn(r) {
				t.Errorf("GET %s makes a session", path)
			}
		}
		if r := send(w.World, http.MethodGet, "/me", nil, held(b)); r.Page() != "me" || !strings.Contains(r.Body, victim.Email) {
			t.Errorf("the victim's browser is answered %d %q", r.Status, r.Page())
		}
	})
}
