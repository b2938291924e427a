package access_test

import (
	"context"
	"slices"
	"testing"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// role makes an own role of an organisation.
func (f *forest) role(org, name string, under bool, permissions ...access.Permission) string {
	f.Helper()
	var role id.Role
	f.write(func(tx sqldb.Tx) (err error) {
		role, err = access.CreateRole(tx, f.now, access.Role{Org: f.orgs[org], Name: name, NameKey: name, Below: under, Permissions: access.WithLooks(permissions)})
		return err
	})
	return string(role)
}

// what an actor may do in an organisation.
func (f *forest) may(a access.Actor, org string) (list []access.Permission) {
	f.Helper()
	r := f.rights(a, org)
	for _, p := range access.Permissions() {
		if r.May(p) {
			list = append(list, p)
		}
	}
	return list
}

// An own role gives what was chosen, in its own organisation, and where it says so in the organisations below that are in the holder's
// groups; never more than the Administrator has there.
func TestOwnRoles(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		desk := f.role("contoso", "desk", true, access.PeopleFactors, access.SolutionUse, access.OrgSuspend, access.CatalogueEdit, access.AccessSettings, "people.clone")
		flat := f.role("contoso", "flat", false, access.PeopleView, access.OrgSuspend)
		shift := f.role("fabrikam", "shift", true, access.AuditExport, access.SeatsSet)
		a, b, c := f.holder("contoso", desk), f.holder("contoso", flat), f.holder("fabrikam", shift)
		f.group("contoso", "East", []access.Actor{a, b}, "fabrikam")
		for _, row := range []struct {
			who  string
			a    access.Actor
			org  string
			want []access.Permission
		}{
			{"desk", a, "contoso", []access.Permission{access.OrgView, access.PeopleFactors, access.PeopleView, access.SolutionUse}},
			{"desk", a, "fabrikam", []access.Permission{access.OrgSuspend, access.OrgView, access.PeopleFactors, access.PeopleView}},
			{"desk", a, "tailspin", nil},
			{"desk", a, "provider", nil},
			{"desk", a, "litware", nil},
			{"flat", b, "contoso", []access.Permission{access.OrgView, access.PeopleView}},
			{"flat", b, "fabrikam", nil},
			// In a customer nothing counts that its Administrator has not, and nothing is below it.
			{"shift", c, "fabrikam", []access.Permission{access.AuditExport, access.AuditView, access.OrgView}},
			{"shift", c, "tailspin", nil},
			{"shift", c, "contoso", nil},
		} {
			if got := f.may(row.a, row.org); !slices.Equal(got, row.want) {
				t.Errorf("%s in %s may %v, want %v", row.who, row.org, got, row.want)
			}
		}
		for who, want := range map[*access.Actor][2]bool{&a: {true, true}, &b: {true, false}} {
			if r := f.rights(*who, "contoso"); r.GroupsOnly() != want[0] || r.SeesBelow() != want[1] {
				t.Errorf("groups only %v, sees below %v, want %v", r.GroupsOnly(), r.SeesBelow(), want)
			}
		}
		r := f.rights(a, "fabrikam")
		if !r.Delegated() || r.Name(desk) != "desk" || r.Name(shift) != "shift" || r.Name(access.Core) != "" || len(r.Own) != 1 || !access.IsOwn(desk) || access.IsOwn(access.Core) {
			t.Errorf("delegated %v, names %q %q, own %+v", r.Delegated(), r.Name(desk), r.Name(shift), r.Own)
		}

		// What is taken out of a role is gone with the next question, and so is what the role itself gave.
		f.write(func(tx sqldb.Tx) error {
			own, err := access.FindRole(tx, f.orgs["contoso"], id.Role(desk))
			if err != nil {
				return err
			}
			own.Permissions = access.WithLooks([]access.Permission{access.SolutionUse})
			for i, want := range []bool{true, false} { // the second with the revision of before
				if ok, err := access.UpdateRole(tx, own); err != nil || ok != want {
					t.Errorf("change %d: %v (%v)", i, ok, err)
				}
			}
			return nil
		})
		if got := f.may(a, "fabrikam"); !slices.Equal(got, []access.Permission{access.OrgView}) {
			t.Errorf("after the change the desk may %v in a customer", got)
		}
		f.write(func(tx sqldb.Tx) error {
			if n, err := access.DeleteRole(tx, f.now, f.orgs["fabrikam"], id.Role(shift)); err != nil || n != 1 {
				t.Errorf("a role that is held: %d (%v)", n, err)
			}
			if err := access.Assign(tx, f.now, f.orgs["fabrikam"], c.Account, shift, f.now); err != nil { // ended
				return err
			}
			if n, err := access.DeleteRole(tx, f.now, f.orgs["fabrikam"], id.Role(shift)); err != nil || n != 0 {
				t.Errorf("a role that nobody holds any more: %d (%v)", n, err)
			}
			if _, err := access.FindRole(tx, f.orgs["fabrikam"], id.Role(shift)); !refusal.Is(err, refusal.NotFound) {
				t.Errorf("a deleted role is found: %v", err)
			}
			if _, err := access.FindRole(tx, f.orgs["fabrikam"], id.Role(desk)); !refusal.Is(err, refusal.NotFound) || !refusal.As(err).Denied {
				t.Errorf("another organisation's role is found: %v", err)
			}
			return nil
		})
		// An id that no role has gives nothing, not even the look.
		ghost := f.holder("fabrikam", string(id.New[id.Role](f.now)))
		if got := f.may(ghost, "fabrikam"); got != nil {
			t.Errorf("a role that is gone gives %v", got)
		}
		// Another organisation's role, should its id ever get into an assignment, gives nothing.
		thief := f.holder("fabrikam", flat)
		if got := f.may(thief, "fabrikam"); got != nil {
			t.Errorf("another organisation's role gives %v", got)
		}
	})
}

// Rights are one statement, with own roles and without.
func TestRightsAreOneStatement(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		own := f.role("fabrikam", "own", false, access.PeopleView)
		for _, a := range []access.Actor{f.holder("fabrikam", access.Core), f.holder("fabrikam", own), access.Operator("x")} {
			n := 0
			f.db.Trace = func(string, []any) { n++ }
			f.rights(a, "fabrikam")
			f.db.Trace = nil
			if n != 2 { // the organisation itself, and the rights
				t.Errorf("%d statements", n)
			}
		}
	})
}

// Nobody gives by an own role what they do not have, or touches who has more.
func TestOwnRolesAssign(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		small := f.role("fabrikam", "small", false, access.PeopleView)
		lead := f.role("fabrikam", "lead", false, access.RoleAssign, access.PeopleFactors, access.SolutionUse, access.EntitlementView)
		large := f.role("fabrikam", "large", false, access.AuditExport)
		builtin := []string{access.Administrator, access.CoManager, access.Core, access.Viewer, access.Auditor}
		a := f.holder("fabrikam", lead)
		for _, row := range []struct {
			who  string
			a    access.Actor
			want []string
		}{
			{"lead", a, []string{access.Core, access.Viewer, lead, small}},
			{"administrator", f.holder("fabrikam", access.Administrator), append(slices.Clone(builtin), large, lead, small)},
			{"MSP's administrator", f.holder("contoso", access.Administrator), append(slices.Clone(builtin), large, lead, small)},
			{"provider's administrator", f.holder("provider", access.Administrator), append(slices.Clone(builtin), large, lead, small)},
			{"operator", access.Operator("x"), append(slices.Clone(builtin), large, lead, small)},
			{"co-manager", f.holder("fabrikam", access.CoManager), []string{access.Core, access.Viewer}},
			{"small", f.holder("fabrikam", small), nil},
			{"auditor", f.holder("fabrikam", access.Auditor), nil},
			{"sibling's administrator", f.holder("tailspin", access.Administrator), nil},
		} {
			if got := f.rights(row.a, "fabrikam").Assignable(); !slices.Equal(got, row.want) {
				t.Errorf("%s may give %v, want %v", row.who, got, row.want)
			}
		}
		r, co := f.rights(a, "fabrikam"), f.rights(f.holder("fabrikam", access.CoManager), "fabrikam")
		for _, row := range []struct {
			held     []string
			lead, co bool
		}{
			{nil, true, true}, {[]string{access.Core}, true, true}, {[]string{small}, true, true}, {[]string{lead, access.Viewer}, true, true},
			{[]string{large}, false, false}, {[]string{access.Core, large}, false, false}, {[]string{access.Administrator}, false, false},
			{[]string{access.CoManager}, false, false}, {[]string{access.Auditor}, false, false}, {[]string{string(id.New[id.Role](f.now))}, false, false},
		} {
			if got := r.MayTouch(access.PeopleFactors, row.held); got != row.lead {
				t.Errorf("the lead over %v: %v", row.held, got)
			}
			if got := co.MayTouch(access.PeopleFactors, row.held); got != row.co {
				t.Errorf("the co-manager over %v: %v", row.held, got)
			}
		}
		if r.MayTouch(access.PeopleDisable, nil) {
			t.Error("the lead has a permission that was not chosen")
		}

		// Rights below are given on only by who has them beyond any group.
		desk := f.role("contoso", "desk", true, access.RoleAssign, access.RoleDefine, access.PeopleFactors)
		b := f.holder("contoso", desk)
		f.group("contoso", "All", []access.Actor{b}, "fabrikam", "tailspin")
		if got := f.rights(b, "contoso").Assignable(); got != nil {
			t.Errorf("who is bound to groups gives %v on", got)
		}
		role := access.Role{Kind: access.MSP, Permissions: []access.Permission{access.PeopleFactors}}
		if got := f.rights(b, "contoso").Beyond(role); len(got) != 0 {
			t.Errorf("beyond are %v", got)
		}
		role.Below = true
		if got := f.rights(b, "contoso").Beyond(role); !slices.Equal(got, role.Permissions) {
			t.Errorf("beyond with a role that counts below are %v", got)
		}
		if got := f.rights(f.holder("contoso", access.Administrator), "contoso").Beyond(role); len(got) != 0 {
			t.Errorf("beyond the administrator are %v", got)
		}
		// In a customer they give what they hold there.
		if got := f.rights(b, "fabrikam").Assignable(); !slices.Equal(got, []string{small}) {
			t.Errorf("the desk gives %v in a customer", got)
		}
	})
}

// Words for roles: keys, ids and names of this organisation; ids of others are refused like those that do not exist.
func TestCheckOwnRoles(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		own, foreign := f.role("fabrikam", "night shift", false, access.PeopleView), f.role("tailspin", "day shift", false, access.PeopleView)
		r := f.rights(f.holder("fabrikam", access.Administrator), "fabrikam")
		got, err := r.CheckRoles([]string{access.Core, "night shift", own, access.Core})
		if err != nil || !slices.Equal(got, []string{access.Core, own}) {
			t.Errorf("%v (%v)", got, err)
		}
		for word, code := range map[string]refusal.Code{foreign: refusal.Forbidden, string(id.New[id.Role](f.now)): refusal.Forbidden, "day shift": refusal.Invalid,
			"support": refusal.Invalid, "": refusal.Invalid, "rol_": refusal.Invalid} {
			if _, err := r.CheckRoles([]string{access.Core, word}); !refusal.Is(err, code) || refusal.As(err).Denied != (code == refusal.Forbidden) {
				t.Errorf("%q: %v", word, err)
			}
		}
		names, err := access.RoleNames(f.db.Read(context.Background()), f.orgs["fabrikam"], []string{access.Core, own, foreign})
		if err != nil || !slices.Equal(names, []string{access.Core, "night shift", foreign}) {
			t.Errorf("names are %v (%v)", names, err)
		}
		a := f.holder("fabrikam", own, access.Core)
		f.assign(a, "fabrikam", access.Viewer, f.now)
		list, err := access.Assignments(f.db.Read(context.Background()), a.Account)
		if err != nil || len(list) != 3 || list[1].Name != "night shift" || list[0].Name != "" {
			t.Errorf("assignments are %+v (%v)", list, err)
		}
		counts, err := access.HolderCounts(f.db.Read(context.Background()), f.now, f.orgs["fabrikam"])
		if err != nil || counts[own] != 1 || counts[access.Viewer] != 0 || counts[access.Administrator] != 1 {
			t.Errorf("counts are %v (%v)", counts, err)
		}
	})
}

// Groups hold the organisation's own children and nobody else's.
func TestOrgGroups(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		viewer := f.holder("contoso", access.Viewer)
		f.write(func(tx sqldb.Tx) error {
			east, err := access.CreateGroup(tx, f.now, f.orgs["contoso"], "East", "east")
			if err != nil {
				return err
			}
			for org, ok := range map[string]bool{"fabrikam": true, "tailspin": true, "wingtip": false, "litware": false, "provider": false, "contoso": false, "alone": false} {
				added, err := access.AddCustomer(tx, f.orgs["contoso"], east, f.orgs[org])
				if added != ok || (err == nil) != ok || err != nil && !refusal.Is(err, refusal.Forbidden) {
					t.Errorf("%s: %v (%v)", org, added, err)
				}
			}
			for _, want := range []bool{true, false} {
				if added, err := access.AddPerson(tx, f.orgs["contoso"], east, viewer.Account); err != nil || added != want {
					t.Errorf("added %v, want %v (%v)", added, want, err)
				}
			}
			if err := access.RenameGroup(tx, f.orgs["litware"], east, "West", "west"); err != nil { // not theirs
				return err
			}
			list, err := access.Groups(tx, f.orgs["contoso"])
			if err != nil || len(list) != 1 || list[0] != (access.OrgGroup{ID: east, Org: f.orgs["contoso"], Name: "East", Customers: 2, People: 1}) {
				t.Errorf("groups are %+v (%v)", list, err)
			}
			if of, err := access.GroupsOf(tx, f.orgs["contoso"], viewer.Account); err != nil || len(of) != 1 || of[0].ID != east {
				t.Errorf("groups of the viewer are %+v (%v)", of, err)
			}
			if _, err := access.FindGroup(tx, f.orgs["litware"], east); !refusal.Is(err, refusal.NotFound) {
				t.Errorf("another MSP's group is found: %v", err)
			}
			if gone, err := access.RemoveCustomer(tx, f.orgs["litware"], east, f.orgs["fabrikam"]); err != nil || gone {
				t.Errorf("another MSP took a customer out: %v", err)
			}
			if gone, err := access.RemoveCustomer(tx, f.orgs["contoso"], east, f.orgs["tailspin"]); err != nil || !gone {
				t.Errorf("not taken out: %v", err)
			}
			return nil
		})
		if !f.rights(viewer, "fabrikam").May(access.OrgView) || f.rights(viewer, "tailspin").May(access.OrgView) {
			t.Error("the group does not say what the viewer sees")
		}
		list, err := access.Groups(f.db.Read(context.Background()), f.orgs["contoso"])
		if err != nil {
			t.Fatal(err)
		}
		f.write(func(tx sqldb.Tx) error { return access.DeleteGroup(tx, f.orgs["contoso"], list[0].ID) })
		if f.rights(viewer, "fabrikam").May(access.OrgView) {
			t.Error("a deleted group still shows its customers")
		}
	})
}
