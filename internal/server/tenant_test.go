package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
)

// Another organisation's things are answered exactly as things that are not there (AT-65, mission D9).
func TestForeignIsMissing(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, bea := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, co := w.enrolled(w.Fabrikam, "coco@fabrikam.example", access.CoManager)
		_, ada := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		zora, zoraIn := w.enrolled(w.Tailspin, "zora@tailspin.example", access.Administrator)
		wanda := w.Activate(w.Wingtip, "wanda@wingtip.example", access.Core)
		pending, _ := w.Invite(w.Tailspin, "pending@tailspin.example", access.Core)
		settle(w.World)
		missing := string(id.New[id.Account](w.Clock.Now()))
		foreigners := map[string]string{"a sibling's administrator": string(zora.Account), "a sibling's pending account": string(pending.Account), "another MSP's customer's": string(wanda.Account)}
		before := dump(w.World)
		compare := func(who, what string, there, not reply, words ...string) {
			t.Helper()
			if a, b := masked(there, words...), masked(not, words...); a != b {
				t.Errorf("%s, %s: %s", who, what, difference(a, b))
			}
			if there.Status == http.StatusOK || there.Status >= 500 {
				t.Errorf("%s, %s: %d %q", who, what, there.Status, there.Page())
			}
			for _, word := range []string{"Tailspin", "zora", "wanda", "Wingtip", "Adatum", "pending@"} {
				if strings.Contains(there.Body, word) {
					t.Errorf("%s, %s: the answer says %q", who, what, word)
				}
			}
		}
		form := url.Values{"roles": {"viewer"}, "reason": {"x"}, "life": {"1h"}, "emails": {"x@x.example"}, "name": {"x"}, "slug": {"xyz"}}
		n := 0
		for _, pattern := range w.patterns() {
			if !strings.Contains(pattern, "/o/{slug}/users/{account}") {
				continue
			}
			for name, h := range map[string]http.Header{"an administrator": held(bea), "a co-manager": held(co)} {
				for whose, account := range foreigners {
					// Under the own organisation's address, another one's account.
					method, there := split(pattern, map[string]string{"slug": "fabrikam", "account": account})
					_, not := split(pattern, map[string]string{"slug": "fabrikam", "account": missing})
					compare(name, pattern+" on "+whose, send(w.World, method, there, form, h), send(w.World, method, not, form, h))
					n++
				}
			}
		}
		if n < 40 {
			t.Errorf("only %d answers were compared", n)
		}
		// Under a sibling's address: as under one of nobody.
		for _, pattern := range w.patterns() {
			if !strings.Contains(pattern, "/o/{slug}/users") && !strings.Contains(pattern, "/o/{slug}/orgs") {
				continue
			}
			for name, h := range map[string]http.Header{"an administrator": held(bea), "a stranger": {}, "the sibling's": held(zoraIn)} {
				slug, whose := "tailspin", string(zora.Account)
				if name == "the sibling's" {
					slug, whose = "fabrikam", string(zora.Account)
				}
				method, there := split(pattern, map[string]string{"slug": slug, "account": whose})
				_, not := split(pattern, map[string]string{"slug": "no-such", "account": missing})
				compare(name, pattern+" at "+slug, send(w.World, method, there, form, h), send(w.World, method, not, form, h), slug, "no-such")
			}
		}
		// Ids of other kinds, sessions and factors of others.
		settle(w.World)
		for pattern, theirs := range map[string][2]string{
			"POST /me/sessions/{session}/end":           {w.session(zora), string(id.New[id.Session](w.Clock.Now()))},
			"POST /me/security/factors/{factor}/remove": {w.text(`select id from factors where account_id = $1 and kind = 'totp'`, zora.Account), string(id.New[id.Factor](w.Clock.Now()))},
			"POST /me/sessions/devices/{device}/forget": {w.text(`select id from devices where account_id = $1`, zora.Account), string(id.New[id.Device](w.Clock.Now()))},
		} {
			fill := func(x string) map[string]string { return map[string]string{"session": x, "factor": x, "device": x} }
			method, there := split(pattern, fill(theirs[0]))
			_, not := split(pattern, fill(theirs[1]))
			compare("an administrator", pattern, send(w.World, method, there, nil, held(bea)), send(w.World, method, not, nil, held(bea)))
		}
		// The MSP sees its own customers, and nothing of another MSP's.
		if r := send(w.World, http.MethodGet, "/o/tailspin/users/"+string(zora.Account), nil, held(ada)); r.Status != http.StatusOK {
			t.Errorf("the MSP at its own customer: %d", r.Status)
		}
		compare("the MSP's administrator", "another MSP's customer", send(w.World, http.MethodGet, "/o/wingtip/users", nil, held(ada)), send(w.World, http.MethodGet, "/o/no-such/users", nil, held(ada)), "wingtip", "no-such")
		compare("the MSP's administrator", "another MSP", send(w.World, http.MethodGet, "/o/adatum/orgs", nil, held(ada)), send(w.World, http.MethodGet, "/o/no-such/orgs", nil, held(ada)), "adatum", "no-such")
		compare("the MSP's administrator", "the provider", send(w.World, http.MethodGet, "/o/acme/users", nil, held(ada)), send(w.World, http.MethodGet, "/o/no-such/users", nil, held(ada)), "acme", "no-such")

		// Nothing was written but that it was tried, and that in the log of who tried, without the other's id.
		if d := differing(before, dump(w.World), "events", "event_persons", "throttles", "visits"); d != nil {
			t.Errorf("changed %v", d)
		}
		for _, row := range dump(w.World)["events"] {
			if strings.Contains(row, "outcome=denied") && strings.Contains(row, "org_id="+string(w.Fabrikam.ID)) && (strings.Contains(row, string(zora.Account)) || strings.Contains(row, string(w.Tailspin.ID))) {
				t.Errorf("a refusal names what was refused: %s", row)
			}
		}
		if n := w.Count(`select count(*) from events where outcome = 'denied' and org_id = $1`, w.Fabrikam.ID); n < 10 {
			t.Errorf("%d events of refusals", n)
		}
	})
}

// No page, list, search or mail of a customer says anything of its siblings (mission D9).
func TestCustomersDoNotKnowEachOther(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, bea := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.Activate(w.Tailspin, "zora@tailspin.example", access.Core)
		w.Activate(w.Tailspin, "bea@fabrikam.example", access.Administrator) // the same person has an account there
		_, ada := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		// The technician looks at both.
		ada.Get("/o/tailspin/users").Want("users")
		ada.Get("/o/fabrikam/users").Want("users")
		seen := map[string]bool{}
		queue := []string{"/o/fabrikam/", "/me", "/o/fabrikam/users?q=z", "/o/fabrikam/users?q=bea", "/o/fabrikam/users?state=invited", "/o/fabrikam/users?after=a", "/me/security", "/me/sessions"}
		for len(queue) > 0 && len(seen) < 60 {
			path := queue[0]
			queue = queue[1:]
			if seen[path] {
				continue
			}
			seen[path] = true
			r := send(w.World, http.MethodGet, path, nil, held(bea))
			if r.Status >= 500 {
				t.Errorf("%s: %d", path, r.Status)
			}
			for _, word := range []string{"ailspin", "zora@", "Wingtip", "Adatum", string(w.Tailspin.ID)} {
				if strings.Contains(r.Body, word) {
					t.Errorf("%s says %q", path, word)
				}
			}
			for _, part := range strings.Split(r.Body, `href="`)[1:] {
				if to, _, _ := strings.Cut(part, `"`); strings.HasPrefix(to, "/o/") || strings.HasPrefix(to, "/me") {
					queue = append(queue, strings.ReplaceAll(to, "&amp;", "&"))
				}
			}
		}
		if len(seen) < 10 {
			t.Errorf("only %d pages were seen", len(seen))
		}
		for _, m := range w.Mailbox.All("bea@fabrikam.example") {
			if strings.Contains(m.Text, "Fabrikam") && strings.Contains(m.Text, "Tailspin") {
				t.Errorf("a mail names both:\n%s", m.Text)
			}
		}
		// An invitation of someone whom a sibling knows is like any other.
		a := send(w.World, http.MethodPost, "/o/fabrikam/users/invite", url.Values{"emails": {"zora@tailspin.example"}}, held(bea))
		b := send(w.World, http.MethodPost, "/o/fabrikam/users/invite", url.Values{"emails": {"nobody@tailspin.example"}}, held(bea))
		if a.Status != http.StatusSeeOther || masked(a) != masked(b) {
			t.Errorf("inviting: %s", difference(masked(a), masked(b)))
		}
	})
}

// Nobody gives what they may not, to whom they may not, where they may not; each try is refused, leaves nothing and is noted (AT-10, AT-48).
func TestInvitingBeyond(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		bea, beaIn := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		coco, cocoIn := w.enrolled(w.Fabrikam, "coco@fabrikam.example", access.CoManager)
		viewer, viewerIn := w.enrolled(w.Fabrikam, "vic@fabrikam.example", access.Viewer)
		eddy, eddyIn := w.enrolled(w.Contoso, "eddy@contoso.example", access.Editor)
		settle(w.World)
		for i, c := range []struct {
			who   *doortest.Person
			in    *doortest.Browser
			slug  string
			roles []string
			want  []int
		}{
			{coco, cocoIn, "fabrikam", []string{"administrator"}, []int{403}}, {coco, cocoIn, "fabrikam", []string{"co_manager"}, []int{403}}, {coco, cocoIn, "fabrikam", []string{"auditor"}, []int{403}},
			{coco, cocoIn, "fabrikam", []string{"core", "administrator"}, []int{403}}, {viewer, viewerIn, "fabrikam", []string{"viewer"}, []int{403}}, {viewer, viewerIn, "fabrikam", nil, []int{403}},
			{bea, beaIn, "contoso", []string{"viewer"}, []int{303}}, {bea, beaIn, "acme", []string{"support"}, []int{303}}, {bea, beaIn, "tailspin", []string{"core"}, []int{303}}, {bea, beaIn, "wingtip", []string{"core"}, []int{303}},
			{eddy, eddyIn, "contoso", []string{"viewer"}, []int{403}}, {eddy, eddyIn, "fabrikam", []string{"core"}, []int{303}}, {eddy, eddyIn, "wingtip", []string{"core"}, []int{303}}, {eddy, eddyIn, "acme", []string{"administrator"}, []int{303}},
			{bea, beaIn, "fabrikam", []string{"support"}, []int{422}}, {bea, beaIn, "fabrikam", []string{"editor"}, []int{422}}, {bea, beaIn, "fabrikam", []string{"administrator ", "root"}, []int{422}},
		} {
			before := dump(w.World)
			denied := func() int {
				return w.Count(`select count(*) from events where outcome = 'denied' and org_id = $1 and actor_id = $2`, c.who.Org.ID, c.who.Account)
			}
			was := denied()
			form := url.Values{"emails": {"x@x.example"}, "roles": c.roles, "org": {string(w.Tailspin.ID)}, "group": {"grp_x"}}
			r := send(w.World, http.MethodPost, "/o/"+c.slug+"/users/invite", form, held(c.in))
			if !slices.Contains(c.want, r.Status) || r.Status == 303 && !strings.HasPrefix(r.Location(), "/o/"+c.slug+"/login") {
				t.Errorf("case %d: %s at %s with %v: %d, to %q", i, c.who.Email, c.slug, c.roles, r.Status, r.Location())
			}
			if d := differing(before, dump(w.World), "events", "event_persons"); d != nil {
				t.Errorf("case %d: changed %v", i, d)
			}
			if want := map[bool]int{true: 1, false: 0}[r.Status != 422]; denied()-was != want {
				t.Errorf("case %d: %d events of it, want %d", i, denied()-was, want)
			}
		}
		// Over people who have more than oneself.
		for action, form := range map[string]url.Values{"disable": nil, "roles": {"roles": {"viewer"}}, "reset-factors": nil, "end-sessions": nil, "setup": nil, "access-code": {"life": {"1h"}}} {
			before := dump(w.World)
			for _, target := range []*doortest.Person{bea, coco, viewer} {
				for who, in := range map[string]*doortest.Browser{"a co-manager": cocoIn, "a viewer": viewerIn} {
					if target == viewer && who == "a co-manager" || target == coco && action == "end-sessions" && who == "a co-manager" { // may; and the own ones, everyone may
						continue
					}
					r := send(w.World, http.MethodPost, "/o/fabrikam/users/"+string(target.Account)+"/"+action, form, held(in))
					if r.Status != http.StatusForbidden && !(target.Email == map[string]string{"a co-manager": coco.Email, "a viewer": viewer.Email}[who] && r.Status == http.StatusSeeOther) {
						t.Errorf("%s, %s of %s: %d %q", who, action, target.Email, r.Status, r.Page())
					}
				}
			}
			if d := differing(before, dump(w.World), "events", "event_persons"); d != nil {
				t.Errorf("%s: changed %v", action, d)
			}
		}
		// The proof of who they are has to be fresh for a role that administers, for roles and for factors.
		w.Clock.Move(11 * time.Minute)
		carl := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
		w.Clock.Move(11 * time.Minute)
		settle(w.World)
		send(w.World, http.MethodGet, "/me", nil, held(beaIn)) // noted as used
		before := dump(w.World)
		for path, form := range map[string]url.Values{
			"/o/fabrikam/users/invite": {"emails": {"y@x.example"}, "roles": {"administrator"}}, "/o/fabrikam/users/" + string(carl.Account) + "/roles": {"roles": {"viewer"}},
			"/o/fabrikam/users/" + string(viewer.Account) + "/reset-factors": nil, "/me/security/password": {"password": {doortest.Password}, "new_password": {"another fine passphrase 9"}, "confirm_password": {"another fine passphrase 9"}},
			"/me/security/app": nil, "/me/security/recovery": nil, "/me/security/key": nil,
		} {
			r := send(w.World, http.MethodPost, path, form, held(beaIn))
			if r.Status != http.StatusForbidden || r.Page() != "prove" || r.Reason() != "step_up" {
				t.Errorf("%s with an old proof: %d %q", path, r.Status, r.Page())
			}
			if strings.Contains(r.Body, "another fine passphrase") || strings.Contains(r.Body, doortest.Password) {
				t.Errorf("%s: the page of the proof holds a password", path)
			}
		}
		if d := differing(before, dump(w.World)); d != nil {
			t.Errorf("changed %v", d)
		}
	})
}
