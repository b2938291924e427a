package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
)

// sensitive is an operation on the step-up list of security.md.
type sensitive struct {
	pattern string
	name    string
	prepare func() (path string, form url.Values) // with a fresh proof
}

// A proof of more than ten minutes ago changes nothing on the step-up list: the page asks for a fresh one, and then it works. Every route of the
// console that changes something is on the list, or named as one that is not.
func TestStepUpList(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		p, b := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		victim := func(name string) string {
			return "/o/fabrikam/users/" + string(w.Enrol(w.Fabrikam, name+"@fabrikam.example", access.Core).Account)
		}
		role := func(name string) string {
			made, err := w.Directory.DefineRole(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.OwnRole{Name: name, Permissions: []access.Permission{access.PeopleView}})
			if err != nil {
				t.Fatal(err)
			}
			return "/o/fabrikam/roles/" + string(made.ID)
		}
		const fresh = "another fine passphrase 9"
		list := []sensitive{
			{"POST /o/{slug}/users/invite", "inviting an administrator", func() (string, url.Values) {
				return "/o/fabrikam/users/invite", url.Values{"emails": {"new1@fabrikam.example"}, "roles": {access.Administrator}}
			}},
			{"POST /o/{slug}/users/invite", "inviting a co-manager", func() (string, url.Values) {
				return "/o/fabrikam/users/invite", url.Values{"emails": {"new2@fabrikam.example"}, "roles": {access.Core, access.CoManager}}
			}},
			{"POST /o/{slug}/users/import", "importing an administrator", func() (string, url.Values) {
				return "/o/fabrikam/users/import", url.Values{"text": {"email,roles\nnew3@fabrikam.example,core\nnew4@fabrikam.example,administrator"}, "step": {"run"}}
			}},
			{"POST /o/{slug}/users/export", "exporting the people", func() (string, url.Values) {
				return "/o/fabrikam/users/export", url.Values{"columns": {"email", "roles"}}
			}},
			{"POST /o/{slug}/users/{account}/delete", "deleting somebody", func() (string, url.Values) { return victim("v7") + "/delete", nil }},
			{"POST /o/{slug}/users/{account}/email", "somebody's address", func() (string, url.Values) {
				return victim("v8") + "/email", url.Values{"email": {"v9@fabrikam.example"}}
			}},
			{"POST /me/email", "the own address", func() (string, url.Values) { return "/me/email", url.Values{"email": {"ada9@fabrikam.example"}} }},
			{"POST /o/{slug}/users/{account}/roles", "more roles", func() (string, url.Values) {
				return victim("v1") + "/roles", url.Values{"roles": {access.Administrator}}
			}},
			{"POST /o/{slug}/users/{account}/roles", "fewer roles", func() (string, url.Values) {
				return victim("v2") + "/roles", url.Values{"roles": {access.Viewer}}
			}},
			{"POST /o/{slug}/users/{account}/role-end", "the end of a role", func() (string, url.Values) {
				return victim("v6") + "/role-end", url.Values{"role": {access.Core}, "ends_at": {w.Clock.Now().Add(48 * time.Hour).Format("2006-01-02T15:04")}}
			}},
			{"POST /o/{slug}/roles/new", "a new role", func() (string, url.Values) {
				return "/o/fabrikam/roles/new", url.Values{"name": {"Warehouse"}, "permissions": {"people.view"}}
			}},
			{"POST /o/{slug}/roles/{role}", "changing a role", func() (string, url.Values) {
				return role("First"), url.Values{"name": {"First"}, "permissions": {"people.view", "audit.view"}, "rev": {"1"}}
			}},
			{"POST /o/{slug}/roles/{role}/delete", "deleting a role", func() (string, url.Values) { return role("Second") + "/delete", nil }},
			{"POST /o/{slug}/users/{account}/reset-factors", "resetting factors", func() (string, url.Values) {
				return victim("v3") + "/reset-factors", url.Values{"reason": {"phone lost"}}
			}},
			{"POST /o/{slug}/users/{account}/setup", "a set-up mail", func() (string, url.Values) { return victim("v4") + "/setup", nil }},
			{"POST /o/{slug}/users/bulk", "roles of several people", func() (string, url.Values) {
				v := victim("several")
				return "/o/fabrikam/users/bulk", url.Values{"action": {"give-role"}, "role": {access.Viewer}, "account": {v[strings.LastIndex(v, "/")+1:]}, "step": {"run"}, "count": {"1"}}
			}},
			{"POST /o/{slug}/jobs/{job}", "running a long import", func() (string, url.Values) {
				path := upload(w.World, "fabrikam", []byte("email\n"+strings.Repeat("long@fabrikam.example\n", 2100)), held(b)).Head.Get("Location")
				w.work()
				return path, url.Values{"step": {"run"}}
			}},
			{"POST /o/{slug}/users/{account}/access-code", "a temporary access code", func() (string, url.Values) {
				return victim("v5") + "/access-code", url.Values{"life": {"1h"}}
			}},
			{"POST /o/{slug}/users/{account}/exempt", "an exception", func() (string, url.Values) {
				return victim("excepted") + "/exempt", url.Values{"exempt_until": {w.Clock.Now().AddDate(0, 0, 9).Format(time.DateOnly)}, "exempt_reason": {"phone lost"}}
			}},
			{"POST /o/{slug}/users/{account}/end-exemption", "ending an exception", func() (string, url.Values) {
				return "/o/fabrikam/users/" + w.text(`select id from accounts where email_key = 'excepted@fabrikam.example'`) + "/end-exemption", nil
			}},
			{"POST /o/{slug}/settings/sign-in", "changing the sign-in rules", func() (string, url.Values) {
				return "/o/fabrikam/settings/sign-in", url.Values{"password_length": {"12"}}
			}},
			{"POST /me/security/app", "beginning an app", func() (string, url.Values) { return "/me/security/app", nil }},
			{"POST /me/security/app/confirm", "confirming an app", func() (string, url.Values) {
				b.Post("/me/security/app", nil).Want("me.security.app")
				key := strings.ReplaceAll(b.ByID("totp-secret"), " ", "")
				return "/me/security/app/confirm", url.Values{"code": {code(t, key, w.World)}, "name": {"second phone"}}
			}},
			{"POST /me/security/key", "beginning a key", func() (string, url.Values) { return "/me/security/key", nil }},
			{"POST /me/security/key/confirm", "confirming a key", func() (string, url.Values) {
				b.Post("/me/security/key", nil).Want("me.security.key")
				return "/me/security/key/confirm", url.Values{"credential": {newKey(w.World).create(optionsIn(b.Body))}, "name": {"key"}}
			}},
			{"POST /me/security/factors/{factor}/remove", "removing a factor", func() (string, url.Values) {
				return "/me/security/factors/" + w.text(`select id from factors where account_id = $1 and kind = 'passkey' and state = 'active'`, p.Account) + "/remove", nil
			}},
			{"POST /me/security/recovery", "new recovery codes", func() (string, url.Values) { return "/me/security/recovery", nil }},
			{"POST /me/security/password", "a new password", func() (string, url.Values) {
				return "/me/security/password", url.Values{"password": {doortest.Password}, "new_password": {fresh}, "confirm_password": {fresh}}
			}},
			{"POST /o/{slug}/users/{account}/unlink", "removing someone's link", func() (string, url.Values) {
				return "/o/fabrikam/users/" + string(w.link("tess", access.Core).There) + "/unlink", nil
			}},
			{"POST /me/unlink/{slug}", "removing an own link", func() (string, url.Values) {
				w.linkTo(w.Activate(w.Tailspin, "own@tailspin.example", access.Core), p)
				return "/me/unlink/tailspin", nil
			}},
			{"POST /me/link", "beginning to link", func() (string, url.Values) { return "/me/link", nil }},
			{"POST /me/link/confirm", "linking", func() (string, url.Values) {
				_, joining := w.enrolled(w.Tailspin, "joining@tailspin.example", access.Core)
				v, err := w.Desk.Resolve(t.Context(), secretOf(joining), access.Client{})
				if err != nil {
					t.Fatal(err)
				}
				token, err := w.Directory.BeginLink(t.Context(), v.Actor)
				if err != nil {
					t.Fatal(err)
				}
				w.Exec(`insert into org_tree (ancestor_id, org_id, depth) values ($1, $2, 1)`, w.Fabrikam.ID, w.Tailspin.ID) // as if it were above
				at, err := url.Parse(b.Base)
				if err != nil {
					t.Fatal(err)
				}
				b.Client.Jar.SetCookies(at, []*http.Cookie{{Name: "door-joining", Value: string(token), Path: "/"}})
				return "/me/link/confirm", nil
			}},
			{"POST /o/{slug}/move/{move}/confirm", "confirming a move", func() (string, url.Values) {
				return "/o/fabrikam/move/" + string(w.start(w.Fabrikam, "adatum")) + "/confirm", nil
			}},
			{"POST /o/{slug}/settings/delete", "deleting the organisation", func() (string, url.Values) {
				return "/o/fabrikam/settings/delete", url.Values{"confirm_delete": {"fabrikam"}}
			}},
		}
		// Suspending and starting a move are for who is above, see TestSuspended and TestMove.
		free := []string{"POST /o/{slug}/seats/ask", "POST /o/{slug}/seats/withdraw", "POST /o/{slug}/seats/grant", "POST /o/{slug}/seats/decline", "POST /o/{slug}/seats/limit", "POST /o/{slug}/seats/pool",
			"POST /o/{slug}/move", "POST /o/{slug}/move/{move}/decline", "POST /o/{slug}/move/{move}/cancel", "POST /o/{slug}/settings/suspend", "POST /o/{slug}/settings/resume", "POST /o/{slug}/settings/keep", "POST /o/{slug}/settings", "POST /o/{slug}/settings/branding", "POST /o/{slug}/groups", "POST /o/{slug}/groups/{group}/rename", "POST /o/{slug}/groups/{group}/add",
			"POST /o/{slug}/groups/{group}/remove", "POST /o/{slug}/groups/{group}/delete", "POST /o/{slug}/users/{account}/resend", "POST /o/{slug}/users/{account}/withdraw", "POST /o/{slug}/users/{account}/disable",
			"POST /o/{slug}/users/{account}/keep", "POST /o/{slug}/users/{account}/email/stop", "POST /me/email/stop",
			"POST /o/{slug}/users/{account}/enable", "POST /o/{slug}/users/{account}/end-sessions", "POST /o/{slug}/orgs/new", "POST /o/{slug}/security/remind", "POST /me",
			"POST /me/sessions/devices/{device}/forget", "POST /me/sessions/{session}/end", "POST /me/sessions/end-all", "POST /me/prove", "POST /me/prove/key", "POST /me/enter", "POST /me/leave"}
		for _, r := range w.Console.Routes() {
			if !strings.HasPrefix(r.Pattern, "POST ") || slices.Contains(free, r.Pattern) {
				continue
			}
			if !slices.ContainsFunc(list, func(s sensitive) bool { return s.pattern == r.Pattern }) {
				t.Errorf("%s is neither on the step-up list nor named as one that needs none", r.Pattern)
			}
		}
		age := func(d time.Duration) {
			w.Exec(`update sessions set proved_at = $1, last_used_at = $2`, w.Clock.Now().Add(-d).UnixMicro(), w.Clock.Now().UnixMicro())
		}
		for _, s := range list {
			age(0)
			path, form := s.prepare()
			settle(w.World)
			for _, old := range []time.Duration{11 * time.Minute, access.StepUpAge + time.Microsecond, 0} {
				if age(old); old == 0 { // as a remembered device leaves it: never proved
					w.Exec(`update sessions set proved_at = 0`)
				}
				before := dump(w.World)
				r := send(w.World, http.MethodPost, path, form, held(b))
				if r.Page() != "prove" || r.Status != http.StatusForbidden || sessionIn(r) {
					t.Errorf("%s with a proof of %s ago: %d %q", s.name, old, r.Status, r.Page())
				}
				if d := differing(before, dump(w.World)); d != nil {
					t.Errorf("%s with an old proof changed %v", s.name, d)
				}
				for _, secret := range []string{fresh, doortest.Password} {
					if strings.Contains(r.Body, secret) {
						t.Errorf("%s: a password travels through the page", s.name)
					}
				}
			}
			age(access.StepUpAge)
			before := dump(w.World)
			b.Post(path, form)
			if b.Status != http.StatusOK || b.Page() == "prove" || len(differing(before, dump(w.World), "sessions", "outbox")) == 0 {
				t.Errorf("%s with a fresh proof: %d %q at %s", s.name, b.Status, b.Page(), b.At)
			}
			w.calm()
		}
		// The key of a pending app is a secret too.
		age(0)
		b.Post("/me/security/app", nil).Want("me.security.app")
		age(11 * time.Minute)
		if b.Get("/me/security/app"); b.Page() != "prove" {
			t.Errorf("the key of a pending app is shown on an old proof: %q", b.Page())
		}
		// The domain holds it, whatever surface asks.
		v, err := w.Desk.Resolve(t.Context(), secretOf(b), access.Client{})
		if err != nil {
			t.Fatal(err)
		}
		if v.Actor.Fresh(w.Clock.Now()) {
			t.Error("an old proof counts as fresh")
		}
	})
}
