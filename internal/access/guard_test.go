package access_test

import (
	"context"
	"encoding/csv"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// forest is a tree of organisations with a clock, and nobody in it yet:
//
//	provider ──┬── contoso (MSP) ──┬── fabrikam
//	           │                   └── tailspin
//	           ├── litware (MSP) ───── wingtip
//	           └── alone (standalone customer)
type forest struct {
	*testing.T
	db    *sqldb.DB
	guard access.Guard
	now   time.Time
	orgs  map[string]id.Org
}

var parents = [][3]string{{"provider", "", "provider"}, {"contoso", "provider", "msp"}, {"litware", "provider", "msp"}, {"alone", "provider", "customer"},
	{"fabrikam", "contoso", "customer"}, {"tailspin", "contoso", "customer"}, {"wingtip", "litware", "customer"}}

func plant(t *testing.T, d sqldb.Dialect) *forest {
	t.Helper()
	f := &forest{T: t, db: doortest.DB(t, d), now: start, orgs: map[string]id.Org{}}
	f.guard = access.Guard{Now: func() time.Time { return f.now }}
	f.write(func(tx sqldb.Tx) error {
		for _, p := range parents {
			o := id.New[id.Org](f.now)
			if err := access.Attach(tx, access.Node{ID: o, Parent: f.orgs[p[1]], Kind: access.OrgKind(p[2]), State: access.Active}); err != nil {
				return err
			}
			f.orgs[p[0]] = o
		}
		return nil
	})
	return f
}

func (f *forest) write(fn func(tx sqldb.Tx) error) {
	f.Helper()
	if err := f.db.Write(context.Background(), fn); err != nil {
		f.Fatal(err)
	}
}

// holder returns an account of an organisation that holds these roles there.
func (f *forest) holder(org string, roles ...string) access.Actor {
	f.Helper()
	a := access.Actor{Kind: access.AccountActor, Account: id.New[id.Account](f.now), Org: f.orgs[org]}
	for _, r := range roles {
		f.assign(a, org, r, time.Time{})
	}
	return a
}

func (f *forest) assign(a access.Actor, org, role string, expires time.Time) {
	f.Helper()
	f.write(func(tx sqldb.Tx) error { return access.Assign(tx, f.now, f.orgs[org], a.Account, role, expires) })
}

func (f *forest) group(msp, name string, people []access.Actor, customers ...string) {
	f.Helper()
	var orgs []id.Org
	for _, c := range customers {
		orgs = append(orgs, f.orgs[c])
	}
	var accounts []id.Account
	for _, p := range people {
		accounts = append(accounts, p.Account)
	}
	f.write(func(tx sqldb.Tx) error {
		_, err := access.Group(tx, f.now, f.orgs[msp], name, orgs, accounts)
		return err
	})
}

func (f *forest) rights(a access.Actor, org string) access.Rights {
	f.Helper()
	r, err := f.guard.Rights(f.db.Read(context.Background()), a, f.orgs[org])
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func (f *forest) require(a access.Actor, p access.Permission, org id.Org) error {
	_, err := f.guard.Require(f.db.Read(context.Background()), a, p, org)
	return err
}

// below tells which organisations are under each; what is neither it nor below is foreign.
var below = map[string][]string{"provider": {"contoso", "litware", "alone", "fabrikam", "tailspin", "wingtip"}, "contoso": {"fabrikam", "tailspin"}}

// The table of rights.md, written by hand into testdata/rights.csv, against the guard: every permission of every role in every
// organisation of the tree, which has for each holder its own, children, siblings, parents and a foreign branch.
func TestRights(t *testing.T) {
	rows := readRights(t)
	home := map[string]string{"provider": "provider", "msp": "contoso", "customer": "fabrikam"}
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		checked := 0
		for column, head := range rows[0][1:] {
			kind, role, _ := strings.Cut(head, " ")
			a := f.holder(home[kind], role)
			if kind == "msp" {
				f.group("contoso", head, []access.Actor{a}, "fabrikam", "tailspin")
			}
			for _, p := range parents {
				org := p[0]
				r := f.rights(a, org)
				for _, row := range rows[1:] {
					where, cell := "foreign", row[column+1]
					switch {
					case org == home[kind]:
						where = "own"
					case slices.Contains(below[home[kind]], org):
						where = "below"
					}
					want := cell == where || cell == "both" && where != "foreign"
					if got := r.May(access.Permission(row[0])); got != want {
						t.Errorf("%s of %s in %s: %s is %v, rights.md says %v (%s)", head, home[kind], org, row[0], got, want, cell)
					}
					checked++
				}
			}
		}
		if want := 44 * 10 * 7; checked != want {
			t.Errorf("%d cells checked, want %d", checked, want)
		}
	})
}

func readRights(t *testing.T) [][]string {
	t.Helper()
	file, err := os.Open("testdata/rights.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var listed []access.Permission
	for _, row := range rows[1:] {
		listed = append(listed, access.Permission(row[0]))
		for _, cell := range row[1:] {
			if !slices.Contains([]string{"own", "below", "both", "-"}, cell) {
				t.Errorf("%s has a cell %q", row[0], cell)
			}
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, access.Permissions()) {
		t.Errorf("rights.csv and the permissions differ:\n%v\n%v", listed, access.Permissions())
	}
	columns := 0
	for _, k := range []access.OrgKind{access.Provider, access.MSP, access.Customer} {
		for _, role := range access.Roles(k) {
			columns++
			if !slices.Contains(rows[0], string(k)+" "+role) {
				t.Errorf("rights.csv has no column for the %s's %s", k, role)
			}
		}
	}
	if columns != len(rows[0])-1 {
		t.Errorf("%d columns for %d roles", len(rows[0])-1, columns)
	}
	return rows
}

// Editors and viewers of an MSP see the customers in their groups, no others; without a group none (mission D3).
func TestGroups(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		editor, viewer := f.holder("contoso", access.Editor), f.holder("contoso", access.Viewer)
		loner, admin := f.holder("contoso", access.Editor), f.holder("contoso", access.Administrator)
		stranger := f.holder("litware", access.Editor)
		f.group("contoso", "East", []access.Actor{editor, viewer, admin}, "fabrikam")
		f.group("contoso", "West", []access.Actor{viewer}, "tailspin")
		f.group("contoso", "Empty", []access.Actor{loner})
		f.group("contoso", "Nobody's", nil, "tailspin")
		for _, row := range []struct {
			who                string
			actor              access.Actor
			fabrikam, tailspin bool
			groupsOnly         bool
		}{
			{"editor with one group", editor, true, false, true},
			{"viewer with two groups", viewer, true, true, true},
			{"editor with an empty group", loner, false, false, true},
			{"administrator with one group", admin, true, true, false},
			{"editor of another MSP", stranger, false, false, true},
		} {
			for org, want := range map[string]bool{"fabrikam": row.fabrikam, "tailspin": row.tailspin} {
				r := f.rights(row.actor, org)
				if got := r.May(access.OrgView); got != want {
					t.Errorf("%s in %s: %v", row.who, org, got)
				}
				if got := r.Delegated(); got != want {
					t.Errorf("%s in %s: delegated is %v", row.who, org, got)
				}
			}
			if got := f.rights(row.actor, "contoso").GroupsOnly(); got != row.groupsOnly {
				t.Errorf("%s: groups only is %v", row.who, got)
			}
		}
		// A second role without that bound lifts it; the provider's people are bound by no group.
		f.assign(editor, "contoso", access.Administrator, time.Time{})
		if r := f.rights(editor, "contoso"); r.GroupsOnly() || !f.rights(editor, "tailspin").May(access.OrgEdit) {
			t.Error("an editor who is administrator too is still bound to groups")
		}
		root := f.holder("provider", access.Administrator)
		if f.rights(root, "contoso").GroupsOnly() || f.rights(root, "provider").GroupsOnly() || f.rights(access.Operator("x"), "contoso").GroupsOnly() {
			t.Error("the provider is bound to groups")
		}
		// A person's own rights are not delegated, nor are the operator's.
		if f.rights(editor, "contoso").Delegated() || f.rights(access.Operator("x"), "fabrikam").Delegated() {
			t.Error("own rights count as delegated")
		}
		// A group that goes takes its sight with it.
		f.write(func(tx sqldb.Tx) error { return access.UnassignAll(tx, f.orgs["contoso"], viewer.Account) })
		if f.rights(viewer, "fabrikam").May(access.OrgView) || f.rights(viewer, "contoso").May(access.OrgView) {
			t.Error("someone whose roles and groups are gone still sees something")
		}
	})
}

// An assignment counts until the moment it ends, and not at it (mission D4).
func TestExpiry(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		end := start.Add(time.Hour)
		a := f.holder("fabrikam", access.Core)
		f.assign(a, "fabrikam", access.Administrator, end)
		for _, row := range []struct {
			at    time.Time
			holds bool
		}{{start, true}, {end.Add(-time.Microsecond), true}, {end, false}, {end.Add(time.Microsecond), false}} {
			f.now = row.at
			if got := f.rights(a, "fabrikam").May(access.PeopleInvite); got != row.holds {
				t.Errorf("at %v: %v", row.at, got)
			}
			if !f.rights(a, "fabrikam").May(access.SolutionUse) {
				t.Errorf("at %v the role without an end is gone", row.at)
			}
			held, err := access.Held(f.db.Read(t.Context()), f.orgs["fabrikam"], a.Account, f.now)
			if err != nil || slices.Contains(held, access.Administrator) != row.holds {
				t.Errorf("at %v: held are %v (%v)", row.at, held, err)
			}
			all, err := access.Assignments(f.db.Read(t.Context()), a.Account)
			if err != nil || len(all) != 2 || all[0].Holds(f.now) != row.holds || !all[0].Expires.Equal(end) || !all[1].Holds(f.now) {
				t.Errorf("at %v: assignments are %+v (%v)", row.at, all, err)
			}
		}
		// The same role given again, without an end, holds again; there is one assignment of it.
		f.assign(a, "fabrikam", access.Administrator, time.Time{})
		if all, err := access.Assignments(f.db.Read(t.Context()), a.Account); err != nil || len(all) != 2 || !f.rights(a, "fabrikam").May(access.PeopleInvite) {
			t.Errorf("after renewal: %+v (%v)", all, err)
		}
		// Delegated rights end at the same moment.
		msp := f.holder("contoso")
		f.assign(msp, "contoso", access.Administrator, f.now.Add(time.Second))
		if !f.rights(msp, "tailspin").May(access.PeopleView) {
			t.Error("a role with an end does not delegate")
		}
		f.now = f.now.Add(time.Second)
		if f.rights(msp, "tailspin").May(access.OrgView) {
			t.Error("a role that has ended still delegates")
		}
	})
}

// The people of a suspended organisation may do nothing, there or below; those above it still may.
func TestSuspended(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		admin, customer, root := f.holder("contoso", access.Administrator), f.holder("fabrikam", access.Administrator), f.holder("provider", access.Administrator)
		set := func(org string, from, to access.State) {
			f.write(func(tx sqldb.Tx) error {
				if ok, err := access.SetState(tx, f.orgs[org], from, to); err != nil || !ok {
					t.Errorf("%s from %s to %s: %v (%v)", org, from, to, ok, err)
				}
				if ok, err := access.SetState(tx, f.orgs[org], from, to); err != nil || ok {
					t.Errorf("%s from %s to %s again: %v (%v)", org, from, to, ok, err)
				}
				return nil
			})
		}
		set("contoso", access.Active, access.Suspended)
		if f.rights(admin, "contoso").May(access.OrgView) || f.rights(admin, "fabrikam").May(access.OrgView) {
			t.Error("an administrator of a suspended MSP still has rights")
		}
		if !f.rights(customer, "fabrikam").May(access.OrgView) {
			t.Error("the customer of a suspended MSP has lost its rights")
		}
		if !f.rights(root, "contoso").May(access.OrgSuspend) || !f.rights(root, "fabrikam").May(access.OrgEdit) {
			t.Error("the provider cannot reach a suspended MSP or its customers")
		}
		if n, err := access.Find(f.db.Read(t.Context()), f.orgs["contoso"]); err != nil || n.State != access.Suspended || n.Parent != f.orgs["provider"] || n.Kind != access.MSP {
			t.Errorf("node %+v (%v)", n, err)
		}
		set("contoso", access.Suspended, access.Active)
		if !f.rights(admin, "fabrikam").May(access.OrgEdit) {
			t.Error("the rights do not come back")
		}
		set("contoso", access.Active, access.Deleting)
		if !f.rights(admin, "contoso").May(access.OrgDelete) {
			t.Error("nobody can cancel a deletion")
		}
	})
}

// What a missing right is answered with depends on whether the organisation may be seen at all.
func TestRequire(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		admin, core := f.holder("fabrikam", access.Administrator), f.holder("fabrikam", access.Core)
		msp, roleless := f.holder("contoso", access.Administrator), f.holder("fabrikam")
		for _, row := range []struct {
			name   string
			actor  access.Actor
			p      access.Permission
			org    id.Org
			code   refusal.Code // empty: allowed
			denied bool
		}{
			{"own right", admin, access.PeopleInvite, f.orgs["fabrikam"], "", false},
			{"right below", msp, access.PeopleInvite, f.orgs["fabrikam"], "", false},
			{"missing right in the own organisation", core, access.PeopleView, f.orgs["fabrikam"], refusal.Forbidden, true},
			{"missing right below", msp, access.AccessSettings, f.orgs["fabrikam"], refusal.Forbidden, true},
			{"sibling", admin, access.OrgView, f.orgs["tailspin"], refusal.NotFound, true},
			{"parent", admin, access.OrgView, f.orgs["contoso"], refusal.NotFound, true},
			{"grandparent", admin, access.PeopleView, f.orgs["provider"], refusal.NotFound, true},
			{"foreign branch", msp, access.PeopleView, f.orgs["wingtip"], refusal.NotFound, true},
			{"foreign MSP", msp, access.OrgView, f.orgs["litware"], refusal.NotFound, true},
			{"standalone customer", msp, access.OrgView, f.orgs["alone"], refusal.NotFound, true},
			{"no role at all", roleless, access.OrgView, f.orgs["fabrikam"], refusal.NotFound, true},
			{"missing", admin, access.OrgView, id.New[id.Org](start), refusal.NotFound, false},
			{"no id", admin, access.OrgView, "", refusal.NotFound, false},
			{"visitor", access.Visitor(access.Client{}), access.OrgView, f.orgs["fabrikam"], refusal.NotFound, true},
			{"link", access.Holder(admin.Account, admin.Org, access.Client{}), access.OrgView, f.orgs["fabrikam"], refusal.NotFound, true},
			{"operator", access.Operator("x"), access.CatalogueEdit, f.orgs["fabrikam"], "", false},
			{"operator, missing", access.Operator("x"), access.OrgView, id.New[id.Org](start), refusal.NotFound, false},
			{"Doorward itself", access.System(), access.OrgSuspend, f.orgs["contoso"], "", false},
			{"kind unknown", access.Actor{Kind: "daemon", Account: admin.Account, Org: admin.Org}, access.OrgView, f.orgs["fabrikam"], refusal.NotFound, true},
			{"permission unknown", admin, "people.clone", f.orgs["fabrikam"], refusal.Forbidden, true},
		} {
			err := f.require(row.actor, row.p, row.org)
			r := refusal.As(err)
			switch {
			case row.code == "" && err != nil:
				t.Errorf("%s: %v", row.name, err)
			case row.code != "" && (r == nil || r.Code != row.code || r.Denied != row.denied):
				t.Errorf("%s: %#v, want %s", row.name, err, row.code)
			}
		}
		// A foreign organisation reads exactly like a missing one.
		foreign, missing := refusal.As(f.require(admin, access.OrgView, f.orgs["tailspin"])), refusal.As(f.require(admin, access.OrgView, id.New[id.Org](start)))
		if foreign.Key != missing.Key || foreign.Code != missing.Code {
			t.Errorf("%v and %v", foreign, missing)
		}
		if err := access.RequireOperator(access.Operator("x")); err != nil {
			t.Error(err)
		}
		for _, a := range []access.Actor{admin, f.holder("provider", access.Administrator), access.System(), access.Visitor(access.Client{}), {}} {
			if !refusal.Is(access.RequireOperator(a), refusal.Forbidden) {
				t.Errorf("%s passes for the operator", a.Kind)
			}
		}
	})
}

// A co-manager leaves administrators, co-managers and auditors alone; nobody else is bound by whom they touch.
func TestMayTouch(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		manager, admin, core := f.holder("fabrikam", access.CoManager), f.holder("fabrikam", access.Administrator), f.holder("fabrikam", access.Core)
		msp := f.holder("contoso", access.Administrator)
		for _, row := range []struct {
			held []string
			may  bool
		}{
			{nil, true}, {[]string{access.Core}, true}, {[]string{access.Viewer}, true}, {[]string{access.Core, access.Viewer}, true},
			{[]string{access.Administrator}, false}, {[]string{access.CoManager}, false}, {[]string{access.Auditor}, false},
			{[]string{access.Core, access.Auditor}, false},
		} {
			for _, p := range []access.Permission{access.PeopleInvite, access.PeopleResend, access.PeopleWithdraw, access.PeopleEdit, access.PeopleDisable,
				access.PeopleDelete, access.PeopleFactors, access.PeopleAccessCode, access.PeopleSessions, access.PeopleUnlock, access.RoleAssign} {
				r := f.rights(manager, "fabrikam")
				if got := r.MayTouch(p, row.held); got != row.may {
					t.Errorf("co-manager, %s over %v: %v", p, row.held, got)
				}
				if err := r.RequireOver(p, row.held); (err == nil) != row.may || err != nil && (!refusal.Is(err, refusal.Forbidden) || !refusal.As(err).Denied) {
					t.Errorf("co-manager, %s over %v: %v", p, row.held, err)
				}
				if !f.rights(admin, "fabrikam").MayTouch(p, row.held) || !f.rights(msp, "fabrikam").MayTouch(p, row.held) ||
					!f.rights(access.Operator("x"), "fabrikam").MayTouch(p, row.held) {
					t.Errorf("an administrator may not: %s over %v", p, row.held)
				}
				if f.rights(core, "fabrikam").MayTouch(p, row.held) {
					t.Errorf("a core user may: %s over %v", p, row.held)
				}
			}
		}
		// Who is administrator besides is bound no longer.
		f.assign(manager, "fabrikam", access.Administrator, time.Time{})
		if !f.rights(manager, "fabrikam").MayTouch(access.PeopleDisable, []string{access.Administrator}) {
			t.Error("a co-manager who is administrator too may not touch an administrator")
		}
	})
}

// "May assign" of rights.md.
func TestAssignable(t *testing.T) {
	providers := []string{access.Administrator, access.Support}
	msps := []string{access.Administrator, access.Editor, access.Viewer}
	customers := []string{access.Administrator, access.CoManager, access.Core, access.Viewer, access.Auditor}
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		for _, row := range []struct {
			home, role string
			want       map[string][]string // nothing in the others
		}{
			{"provider", access.Administrator, map[string][]string{"provider": providers, "contoso": msps, "litware": msps, "alone": customers,
				"fabrikam": customers, "tailspin": customers, "wingtip": customers}},
			{"provider", access.Support, nil},
			{"contoso", access.Administrator, map[string][]string{"contoso": msps, "fabrikam": customers, "tailspin": customers}},
			{"contoso", access.Editor, map[string][]string{"fabrikam": customers}},
			{"contoso", access.Viewer, nil},
			{"fabrikam", access.Administrator, map[string][]string{"fabrikam": customers}},
			{"fabrikam", access.CoManager, map[string][]string{"fabrikam": {access.Core, access.Viewer}}},
			{"fabrikam", access.Core, nil},
			{"fabrikam", access.Viewer, nil},
			{"fabrikam", access.Auditor, nil},
		} {
			a := f.holder(row.home, row.role)
			if row.home == "contoso" {
				f.group("contoso", row.role, []access.Actor{a}, "fabrikam")
			}
			for _, p := range parents {
				if got := f.rights(a, p[0]).Assignable(); !slices.Equal(got, row.want[p[0]]) {
					t.Errorf("%s of %s may give %v in %s, want %v", row.role, row.home, got, p[0], row.want[p[0]])
				}
			}
		}
		if got := f.rights(access.Operator("x"), "contoso").Assignable(); !slices.Equal(got, msps) {
			t.Errorf("the operator may give %v", got)
		}
		both := f.holder("fabrikam", access.CoManager, access.Administrator)
		if got := f.rights(both, "fabrikam").Assignable(); !slices.Equal(got, customers) {
			t.Errorf("co-manager and administrator may give %v", got)
		}
		if got := f.rights(both, "fabrikam").Roles(); !slices.Equal(got, []string{access.Administrator, access.CoManager}) {
			t.Errorf("roles are %v", got)
		}
	})
}

// Who makes which kind of organisation where (mission D1, org.create in rights.md).
func TestMayCreate(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		f := plant(t, d)
		type place struct {
			org  string
			kind access.OrgKind
		}
		provider := []place{{"provider", access.MSP}, {"provider", access.Customer}, {"contoso", access.Customer}, {"litware", access.Customer}}
		contoso := []place{{"contoso", access.Customer}}
		for _, row := range []struct {
			name  string
			actor access.Actor
			may   []place
		}{
			{"operator", access.Operator("x"), provider},
			{"provider administrator", f.holder("provider", access.Administrator), provider},
			{"provider support", f.holder("provider", access.Support), nil},
			{"MSP administrator", f.holder("contoso", access.Administrator), contoso},
			{"MSP editor", f.holder("contoso", access.Editor), contoso},
			{"MSP viewer", f.holder("contoso", access.Viewer), nil},
			{"customer administrator", f.holder("fabrikam", access.Administrator), nil},
		} {
			for _, p := range parents {
				for _, kind := range []access.OrgKind{access.Provider, access.MSP, access.Customer, ""} {
					want := slices.Contains(row.may, place{p[0], kind})
					if got := f.rights(row.actor, p[0]).MayCreate(kind); got != want {
						t.Errorf("%s, %q under %s: %v", row.name, kind, p[0], got)
					}
				}
			}
		}
	})
}
