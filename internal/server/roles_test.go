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
	"doorward/internal/id"
	"doorward/internal/outbox"
)

// An own role from its making to its end, on the pages: made, given with an end, changed by two at once, taken, deleted.
func TestOwnRolePages(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		carl, c := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Viewer)
		b.Get("/o/fabrikam/").Follow("/o/fabrikam/roles").Want("roles").Follow("/roles/new").Want("role.new")
		b.Submit("name", "Auditor", "permissions", "audit.view").WantStatus(http.StatusUnprocessableEntity).Want("role.new")
		if b.FieldError("name") == "" || !strings.Contains(b.Body, `value="Auditor"`) || !strings.Contains(b.Body, `value="audit.view" checked`) {
			t.Error("the form does not come back with what was typed and what is wrong")
		}
		b.Submit("name", "Log reader", "permissions", "audit.export").Want("roles")
		if !strings.Contains(b.Text(), "Log reader") {
			t.Error("the role is not listed")
		}
		if c.Get("/o/fabrikam/roles"); c.Status != http.StatusForbidden {
			t.Errorf("a viewer reads the roles: %d", c.Status)
		}

		// The person page and the invitation offer it by name.
		end := w.Clock.Now().Add(2 * time.Hour)
		role := w.text(`select id from roles where name = 'Log reader'`)
		person := "/o/fabrikam/users/" + string(carl.Account)
		for value, key := range map[string]string{"gestern": "form", "3000-01-01T00:00": "far", "2001-01-01T00:00": "past"} {
			b.Get(person).Submit(":action", "/roles", "roles", role, "expires_at", value).WantStatus(http.StatusUnprocessableEntity).Want("user")
			if b.FieldError("expires_at") == "" {
				t.Errorf("%s: nothing at the field (%s)", value, key)
			}
		}
		b.Get(person).Submit(":action", "/roles", "roles", access.Viewer, "roles", role, "expires_at", end.Format("2006-01-02T15:04")).Want("user")
		if !strings.Contains(b.Text(), "Log reader until") {
			t.Errorf("the page does not tell the end:\n%s", b.Text())
		}
		if b.Get("/o/fabrikam/users"); !strings.Contains(b.Text(), "Log reader") {
			t.Error("the list does not name the role")
		}
		if b.Get("/o/fabrikam/users/invite"); !strings.Contains(b.Text(), "Log reader") {
			t.Error("the invitation does not offer the role")
		}
		b.Submit("emails", "dora@fabrikam.example", "roles", role, "expires_at", "2001-01-01T00:00").WantStatus(http.StatusUnprocessableEntity)
		if b.FieldError("expires_at") == "" {
			t.Error("a past end of an invitation is taken")
		}
		b.Submit("emails", "dora@fabrikam.example", "roles", role, "expires_at", end.Format("2006-01-02T15:04")).Want("users")
		if m := w.Mailbox.Wait("dora@fabrikam.example", "invite", 1); !strings.Contains(m.Text, "Log reader") {
			t.Errorf("the invitation names no role:\n%s", m.Text)
		}
		if n := w.Count(`select count(*) from assignments where role = $1 and expires_at = $2`, role, end.UnixMicro()); n != 2 {
			t.Errorf("%d roles with that end", n)
		}
		if c.Get("/o/fabrikam/").Want("dashboard"); !strings.Contains(c.Text(), "Log reader") {
			t.Error("the dashboard does not name the role")
		}
		// The end of a role that is held.
		b.Get(person).Submit(":action", "/role-end", "role", role, "ends_at", "2001-01-01T00:00").WantStatus(http.StatusUnprocessableEntity).Want("user")
		if b.FieldError("ends_at") == "" || b.FieldError("expires_at") != "" {
			t.Error("a past end is not told at its field")
		}
		b.Get(person).Submit(":action", "/role-end", "role", role, "ends_at", end.Add(time.Hour).Format("2006-01-02T15:04")).Want("user")

		// Two windows: the second is told, and what was typed there stays.
		first, second := "/o/fabrikam/roles/"+role, w.Browser()
		other := w.Enrol(w.Fabrikam, "zoe@fabrikam.example", access.Administrator)
		second.SignIn(other).Want("dashboard")
		second.Get(first).Want("role")
		b.Get(first).Want("role").Submit("name", "Log reader", "permissions", "audit.view", "permissions", "policy.view").Want("roles")
		second.Submit("name", "Something else", "permissions", "audit.view").WantStatus(http.StatusUnprocessableEntity).Want("role")
		if !strings.Contains(second.Text(), "Somebody changed this role meanwhile") || !strings.Contains(second.Body, "Something else") {
			t.Errorf("the second is told %s", second.Text())
		}
		// Nothing counts of what was sent twice: the revision is still the old one.
		second.Submit("name", "Something else", "permissions", "audit.view").WantStatus(http.StatusUnprocessableEntity)
		if second.Get(first).Submit("name", "Log reader", "permissions", "audit.view").Want("roles"); second.Status != http.StatusOK {
			t.Errorf("after a reload: %d", second.Status)
		}
		if second.Get(first); !strings.Contains(second.Text(), "2 people hold this role") {
			t.Error("the page does not say why it cannot be deleted")
		}
		second.Post(first+"/delete", nil).Want("role")
		if !strings.Contains(second.Text(), "2 people hold this role") || w.Count(`select count(*) from roles`) != 1 {
			t.Error("a role that is held is deleted")
		}
		// It ends for all at once; then it can go, also while a form with it is open.
		open := w.Browser()
		open.SignIn(other).Want("dashboard")
		open.Get(person).Want("user")
		w.Exec(`update assignments set expires_at = $1 where role = $2`, w.Clock.Now().UnixMicro(), role)
		second.Get(first).Submit(":action", "/delete").Want("roles")
		open.Submit(":action", "/roles", "roles", role).WantStatus(http.StatusForbidden).Want("error")
		if !strings.Contains(open.Text(), "not any more") || open.Reason() != "forbidden" {
			t.Errorf("the open form is told %s", open.Text())
		}
	})
}

// Ids of other organisations' roles and groups, in paths and bodies, are refused like those of nothing, leave nothing and are noted (AT-10, AT-65).
func TestForeignRolesAndGroups(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, bea := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, ada := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		carl := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Viewer)
		eddy := w.Activate(w.Contoso, "eddy@contoso.example", access.Editor)
		ctx := t.Context()
		theirs, err := w.Directory.DefineRole(ctx, doortest.Operator(), w.Tailspin.ID, account.OwnRole{Name: "Tailspin shift", Permissions: []access.Permission{access.PeopleView}})
		if err != nil {
			t.Fatal(err)
		}
		foreign, err := w.Directory.CreateGroup(ctx, doortest.Operator(), w.Adatum.ID, "Adatum north")
		if err != nil {
			t.Fatal(err)
		}
		north, err := w.Directory.CreateGroup(ctx, doortest.Operator(), w.Contoso.ID, "North")
		if err != nil {
			t.Fatal(err)
		}
		settle(w.World)
		now := w.Clock.Now()
		before := dump(w.World)
		for what, row := range map[string]struct {
			h           http.Header
			method      string
			path        string
			form        url.Values
			there, none string // ids of another organisation's, of nothing
			want        int
		}{
			"role at the invitation": {held(bea), "POST", "/o/fabrikam/users/invite", url.Values{"emails": {"x@fabrikam.example"}, "roles": {"ID"}}, string(theirs.ID), string(id.New[id.Role](now)), 403},
			"role on a person":       {held(bea), "POST", "/o/fabrikam/users/" + string(carl.Account) + "/roles", url.Values{"roles": {"ID"}}, string(theirs.ID), string(id.New[id.Role](now)), 403},
			"role's end":             {held(bea), "POST", "/o/fabrikam/users/" + string(carl.Account) + "/role-end", url.Values{"role": {"ID"}}, string(theirs.ID), string(id.New[id.Role](now)), 403},
			"role's page":            {held(bea), "GET", "/o/fabrikam/roles/ID", nil, string(theirs.ID), string(id.New[id.Role](now)), 404},
			"role's form":            {held(bea), "POST", "/o/fabrikam/roles/ID", url.Values{"name": {"x"}, "permissions": {"people.view"}, "rev": {"1"}}, string(theirs.ID), string(id.New[id.Role](now)), 404},
			"role's end for good":    {held(bea), "POST", "/o/fabrikam/roles/ID/delete", nil, string(theirs.ID), string(id.New[id.Role](now)), 404},
			"group at the invitation": {held(ada), "POST", "/o/contoso/users/invite", url.Values{"emails": {"x@contoso.example"}, "roles": {"editor"}, "groups": {"ID"}}, string(foreign),
				string(id.New[id.Group](now)), 403},
			"group's page":            {held(ada), "GET", "/o/contoso/groups/ID", nil, string(foreign), string(id.New[id.Group](now)), 404},
			"group's name":            {held(ada), "POST", "/o/contoso/groups/ID/rename", url.Values{"name": {"x"}}, string(foreign), string(id.New[id.Group](now)), 404},
			"group's end":             {held(ada), "POST", "/o/contoso/groups/ID/delete", nil, string(foreign), string(id.New[id.Group](now)), 404},
			"customer into a group":   {held(ada), "POST", "/o/contoso/groups/" + string(north) + "/add", url.Values{"customers": {string(w.Fabrikam.ID), "ID"}}, string(w.Wingtip.ID), string(id.New[id.Org](now)), 403},
			"customer out of a group": {held(ada), "POST", "/o/contoso/groups/" + string(north) + "/remove", url.Values{"customers": {"ID"}}, string(w.Wingtip.ID), string(id.New[id.Org](now)), 303},
			"person into a group":     {held(ada), "POST", "/o/contoso/groups/" + string(north) + "/add", url.Values{"people": {string(eddy.Account), "ID"}}, string(carl.Account), string(id.New[id.Account](now)), 403},
		} {
			ask := func(id string) reply {
				form := url.Values{}
				for k, list := range row.form {
					for _, v := range list {
						form.Add(k, strings.ReplaceAll(v, "ID", id))
					}
				}
				return send(w.World, row.method, strings.ReplaceAll(row.path, "ID", id), form, row.h)
			}
			there, none := ask(row.there), ask(row.none)
			if there.Status != row.want || strings.Contains(there.Body, "Tailspin shift") || strings.Contains(there.Body, "Adatum") {
				t.Errorf("%s: %d", what, there.Status)
			}
			if a, b := masked(there, row.there), masked(none, row.none); a != b {
				t.Errorf("%s: %s", what, difference(a, b))
			}
		}
		if d := differing(before, dump(w.World), "events", "event_persons", "throttles", "org_nodes"); d != nil { // a lock counts in the nodes
			t.Errorf("changed %v", d)
		}
		for _, o := range []id.Org{w.Fabrikam.ID, w.Contoso.ID} {
			if n := w.Count(`select count(*) from events where outcome = 'denied' and org_id = $1`, o); n < 10 {
				t.Errorf("%d events of refusals", n)
			}
		}
	})
}

// Groups on the pages: made, filled, seen by who is in them at once, emptied.
func TestGroupPages(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, a := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		eddy, e := w.enrolled(w.Contoso, "eddy@contoso.example", access.Editor)
		a.Get("/o/contoso/").Follow("/o/contoso/groups").Want("groups").Submit("name", "").WantStatus(http.StatusUnprocessableEntity).Want("groups")
		if a.FieldError("name") == "" {
			t.Error("a group without a name is taken")
		}
		a.Submit("name", "North").Want("group")
		if e.Get("/o/fabrikam/"); e.Page() != "welcome" {
			t.Errorf("an editor without a group sees a customer: %q", e.Page())
		}
		a.Get(a.At.Path+"?q=fab").Want("group").Submit("customers", string(w.Fabrikam.ID)).Want("group").Submit("people", string(eddy.Account)).Want("group")
		if e.Get("/o/fabrikam/").Want("dashboard").Get("/o/contoso/orgs").Want("orgs"); !strings.Contains(e.Text(), "Fabrikam") || strings.Contains(e.Text(), "Tailspin") {
			t.Error("the editor's list is not that of the group")
		}
		if a.Get("/o/contoso/users/" + string(eddy.Account)).Want("user"); !strings.Contains(a.Text(), "North") {
			t.Error("the person page does not show the group")
		}
		if e.Get("/o/contoso/groups"); e.Status != http.StatusForbidden {
			t.Errorf("the editor at the groups: %d", e.Status)
		}
		a.Follow("North").Want("group").Submit(":action", "/rename", "name", "Far north").Want("group")
		a.Submit(":action", "/remove", "customers", string(w.Fabrikam.ID)).Want("group")
		if e.Get("/o/fabrikam/"); e.Page() != "welcome" {
			t.Errorf("the editor still sees the customer: %q", e.Page())
		}
		a.Post(a.At.Path+"/add", nil).Want("group")
		if !strings.Contains(a.Text(), "Nothing was chosen") {
			t.Error("an empty form changes something")
		}
		for _, bad := range []string{"q=%00", "who=" + strings.Repeat("x", 300), "orgs_after=%ff"} {
			if r := send(w.World, http.MethodGet, a.At.Path+"?"+bad, nil, held(a)); r.Status != http.StatusBadRequest {
				t.Errorf("%s: %d", bad, r.Status)
			}
		}
		a.Get("/o/contoso/users/invite").Submit("emails", "vic@contoso.example", "roles", access.Viewer, "groups", w.text(`select id from org_groups`)).Want("users")
		if n := w.Count(`select count(*) from org_group_accounts`); n != 2 {
			t.Errorf("%d people are in groups", n)
		}
		a.Get("/o/contoso/groups").Follow("Far north").Submit(":action", "/delete").Want("groups")
		if n := w.Count(`select count(*) from org_groups`); n != 0 {
			t.Errorf("%d groups are left", n)
		}
		// What is below is nothing to who holds only a role that does not count there, group or not.
		made, err := w.Directory.DefineRole(t.Context(), doortest.Operator(), w.Contoso.ID, account.OwnRole{Name: "Reader", Permissions: []access.Permission{access.PeopleView}})
		if err != nil {
			t.Fatal(err)
		}
		group, err := w.Directory.CreateGroup(t.Context(), doortest.Operator(), w.Contoso.ID, "South")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Directory.AddToGroup(t.Context(), doortest.Operator(), w.Contoso.ID, group, account.Grouped{Customers: []id.Org{w.Fabrikam.ID}, People: []id.Account{eddy.Account}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Directory.SetRoles(t.Context(), doortest.Operator(), w.Contoso.ID, eddy.Account, []string{string(made.ID)}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/o/contoso/orgs", "/o/contoso/"} {
			if e.Get(path); strings.Contains(e.Text(), "Fabrikam") {
				t.Errorf("%s names a customer to who may see none", path)
			}
		}
	})
}

// The warning reaches administrators here and above in the words of their own organisation.
func TestExpiryMail(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, ada := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Administrator), w.Activate(w.Contoso, "ada@contoso.example", access.Administrator)
		w.Exec(`update assignments set expires_at = $1 where account_id = $2`, w.Clock.Now().Add(48*time.Hour).UnixMicro(), bea.Account)
		if err := w.Directory.WarnExpiry(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{bea.Email, ada.Email} {
			m := w.Mailbox.Wait(to, string(outbox.KindExpiry), 1)
			if !strings.Contains(m.Text, "bea@fabrikam.example is the last administrator of Fabrikam") || strings.Contains(m.Text, "Tailspin") {
				t.Errorf("%s is told\n%s", to, m.Text)
			}
		}
		if events := dump(w.World)["events"]; !slices.ContainsFunc(events, func(e string) bool { return strings.Contains(e, "org.expiry_warned") }) {
			t.Error("no event")
		}
	})
}

// A form that stands open does what its sender may do when it is sent: who has lost the role meanwhile, on another node, writes nothing by it.
func TestRoleGoneWhileAFormIsOpen(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		p, in := w.enrolled(w.Fabrikam, "coco@fabrikam.example", access.Administrator, access.Core)
		target := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
		forms := map[string]url.Values{
			"/users/invite": {"emails": {"new@fabrikam.example"}, "roles": {access.Core}},
			"/users/" + string(target.Account) + "/disable": {},
			"/users/" + string(target.Account) + "/roles":   {"roles": {access.Core, access.Administrator}},
			"/settings": {"name": {"Mine"}, "language": {"en"}, "time_zone": {"UTC"}, "rev": {"0"}},
		}
		for _, path := range []string{"/users/invite", "/settings", "/users/" + string(target.Account)} {
			if r := send(w.World, http.MethodGet, "/o/fabrikam"+path, nil, held(in)); r.Status != http.StatusOK {
				t.Fatalf("%s: %d", path, r.Status)
			}
		}
		if err := all[len(all)-1].Directory.SetRoles(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account, []string{access.Core}); err != nil {
			t.Fatal(err)
		}
		settle(w.World)
		before := dump(w.World)
		for path, form := range forms {
			if r := send(w.World, http.MethodPost, "/o/fabrikam"+path, form, held(in)); r.Status == http.StatusOK || r.Status == http.StatusSeeOther && !strings.Contains(r.Location(), "/login") || r.Status >= 500 {
				t.Errorf("%s: %d to %q", path, r.Status, r.Location())
			}
		}
		if d := differing(before, dump(w.World), "events", "event_persons", "throttles", "sessions"); d != nil {
			t.Errorf("changed %v", d)
		}
	})
}
