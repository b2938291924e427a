package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
)

// Who is disabled stays disabled, whatever anybody tries: the own sign-in, passkey, general sign-in, reset, an old link, help from administrators; and
// each of these leaves an event or nothing, never a session (AT-73).
func TestDisabledStaysDisabled(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, ada := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		p, in := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		link := w.resetLink(p, 1)
		at := "/o/fabrikam/users/" + string(p.Account)
		if r := send(w.World, http.MethodPost, at+"/disable", nil, held(ada)); r.Status != http.StatusSeeOther {
			t.Fatalf("disabling: %d", r.Status)
		}
		used, mails := w.used(w.Fabrikam), len(w.Mailbox.All(p.Email))
		settle(w.World)
		still := func(what string) {
			t.Helper()
			settle(w.World)
			if state := w.text(`select state from accounts where id = $1`, p.Account); state != "disabled" {
				t.Fatalf("%s: the account is %s", what, state)
			}
			if n := w.Count(`select count(*) from sessions where account_id = $1 and state = 'open' and seq >= (select max(seq) from revocations where subject = $1)`, p.Account); n != 0 {
				t.Fatalf("%s: %d sessions", what, n)
			}
			if n := w.used(w.Fabrikam); n != used {
				t.Errorf("%s: %d seats, were %d", what, n, used)
			}
		}
		if r := send(w.World, http.MethodGet, "/me", nil, held(in)); r.Status != http.StatusUnauthorized {
			t.Errorf("the old session: %d", r.Status)
		}
		still("the old session")
		w.Browser().Get("/o/fabrikam/login").Submit("identifier", p.Email).Want("login.password").Submit("password", doortest.Password)
		still("a sign-in")
		w.calm()
		w.Browser().Get("/login").Submit("identifier", p.Email).Submit("password", doortest.Password, "tenant", "fabrikam")
		still("the general sign-in")
		w.Browser().Get("/o/fabrikam/forgot").Submit("identifier", p.Email)
		still("asking for a reset")
		if got := w.Mailbox.All(p.Email); len(got) != mails {
			t.Errorf("a mail came: %s", got[len(got)-1].Text)
		}
		if r := send(w.World, http.MethodPost, link, url.Values{"password": {"a thief's passphrase 1"}, "confirm_password": {"a thief's passphrase 1"}}, nil); r.Status != http.StatusGone {
			t.Errorf("the old reset link: %d", r.Status)
		}
		still("the old reset link")
		for _, path := range []string{"/resend", "/setup", "/access-code", "/reset-factors", "/roles"} {
			r := send(w.World, http.MethodPost, at+path, url.Values{"life": {"1h"}, "reason": {"because"}, "roles": {access.Core, access.Viewer}}, held(ada))
			if r.Status >= 500 {
				t.Errorf("%s: %d", path, r.Status)
			}
			still(path)
		}
		r := send(w.World, http.MethodPost, "/o/fabrikam/users/invite", url.Values{"emails": {p.Email}, "roles": {access.Core}}, held(ada))
		if r.Status != http.StatusUnprocessableEntity {
			t.Errorf("inviting the address again: %d", r.Status)
		}
		still("inviting again")
	})
}

// Delegation reaches the own customers alone, with the rights that role and groups give, and ends with the role, the group or the account, at once
// and on every node (AT-68).
func TestDelegationEndsAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		editor, in := w.enrolled(w.Contoso, "eddy@contoso.example", access.Editor)
		w.group(w.Contoso.ID, []id.Org{w.Fabrikam.ID}, editor)
		_, beaIn := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		sees := func(b *doortest.Browser, path string) bool {
			t.Helper()
			seen := map[bool]int{}
			for _, node := range all {
				r := send(node, http.MethodGet, path, nil, held(b))
				ok := r.Status == http.StatusOK
				if !ok && (r.Status != http.StatusSeeOther || !strings.Contains(r.Location(), "/login")) && r.Status != http.StatusUnauthorized {
					t.Errorf("%s: %d", path, r.Status)
				}
				seen[ok]++
			}
			if len(seen) != 1 {
				t.Errorf("%s: the nodes answer differently: %v", path, seen)
			}
			return seen[true] > 0
		}
		if !sees(in, "/o/fabrikam/users") {
			t.Error("the group's customer is shut")
		}
		for _, path := range []string{"/o/tailspin/users", "/o/wingtip/users", "/o/adatum/users", "/o/acme/users"} {
			if sees(in, path) {
				t.Errorf("%s is open", path)
			}
		}
		for _, path := range []string{"/o/contoso/users", "/o/tailspin/users", "/o/acme/users"} {
			if sees(beaIn, path) {
				t.Errorf("a customer's administrator: %s is open", path)
			}
		}
		w.Exec(`delete from org_group_orgs where member_id = $1`, w.Fabrikam.ID)
		if sees(in, "/o/fabrikam/users") {
			t.Error("open after the group lost it")
		}
		w.Exec(`insert into org_group_orgs (org_id, group_id, member_id) values ($1, 'grp_x', $2)`, w.Contoso.ID, w.Fabrikam.ID)
		if !sees(in, "/o/fabrikam/users") {
			t.Error("shut although the group has it again")
		}
		w.Exec(`update assignments set expires_at = $1 where account_id = $2`, w.Clock.Now().UnixMicro(), editor.Account)
		if sees(in, "/o/fabrikam/users") {
			t.Error("open after the role's end")
		}
		w.Exec(`update assignments set expires_at = 0 where account_id = $1`, editor.Account)
		if err := all[len(all)-1].Directory.Disable(t.Context(), doortest.Operator(), w.Contoso.ID, editor.Account); err != nil {
			t.Fatal(err)
		}
		if sees(in, "/o/fabrikam/users") {
			t.Error("open after disabling")
		}
	})
}
