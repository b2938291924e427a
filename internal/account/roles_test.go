package account_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// role makes an own role as the operator.
func (w *town) role(o id.Org, name string, permissions ...access.Permission) access.Role {
	w.Helper()
	r, err := w.Directory.DefineRole(w.Context(), doortest.Operator(), o, account.OwnRole{Name: name, Permissions: permissions})
	w.must(err)
	return r
}

func (w *town) rights(a access.Actor, o id.Org) access.Rights {
	w.Helper()
	r, err := w.Guard.Rights(w.DB.Read(w.Context()), a, o)
	w.must(err)
	return r
}

func (w *town) count(query string, args ...any) int {
	w.Helper()
	n, err := sqldb.One(w.DB.Read(w.Context()), sqldb.Value[int], query, args...)
	w.must(err)
	return n
}

// Own roles are made, changed and deleted by who may, in bounds of what they have themselves, and each change is an event (AT-67).
func TestOwnRoles(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ctx, o, dir := t.Context(), w.fabrikam.ID, w.Directory
		in := account.OwnRole{Name: "  Night   shift ", Permissions: []access.Permission{access.PeopleInvite, access.AuditExport}}
		core, co := w.person(w.fabrikam, "core@fabrikam.example", access.Core), w.person(w.fabrikam, "co@fabrikam.example", access.CoManager)
		for who, a := range map[string]access.Actor{"a core user": core, "a co-manager": co, "the MSP": w.ada, "the provider": w.root} {
			_, err := dir.DefineRole(ctx, a, o, in)
			if r := w.wants("error.forbidden", err); r == nil || !r.Denied {
				t.Errorf("%s: %v", who, err)
			}
		}
		_, err := dir.DefineRole(ctx, w.old(w.bea), o, in)
		w.wants("error.step_up", err)
		r, err := dir.DefineRole(ctx, w.bea, o, in)
		w.must(err)
		if r.Name != "Night shift" || !slices.Equal(r.Permissions, []access.Permission{access.AuditExport, access.AuditView, access.OrgView, access.PeopleInvite, access.PeopleView}) {
			t.Errorf("made is %+v", r)
		}
		for name, row := range map[string]struct {
			in  account.OwnRole
			key string
		}{
			"the same name":          {account.OwnRole{Name: "NIGHT SHIFT", Permissions: in.Permissions}, "roles.name_taken"},
			"full-width letters":     {account.OwnRole{Name: "Ｎight shift", Permissions: in.Permissions}, "roles.name_taken"},
			"no name":                {account.OwnRole{Name: " ", Permissions: in.Permissions}, "name.missing"},
			"a long name":            {account.OwnRole{Name: strings.Repeat("x", 61), Permissions: in.Permissions}, "name.long"},
			"signs only":             {account.OwnRole{Name: "--", Permissions: in.Permissions}, "roles.name_letters"},
			"an administrator":       {account.OwnRole{Name: "administrator", Permissions: in.Permissions}, "roles.name_builtin"},
			"a French one":           {account.OwnRole{Name: "ADMINISTRATEUR", Permissions: in.Permissions}, "roles.name_builtin"},
			"a decomposed one":       {account.OwnRole{Name: "E\u0301diteur", Permissions: in.Permissions}, "roles.name_builtin"},
			"a spaced one":           {account.OwnRole{Name: "Co-Managing  Administrator.", Permissions: in.Permissions}, "roles.name_builtin"},
			"a key":                  {account.OwnRole{Name: "co_manager", Permissions: in.Permissions}, "roles.name_builtin"},
			"an id":                  {account.OwnRole{Name: string(r.ID), Permissions: in.Permissions}, "roles.name_builtin"},
			"a Cyrillic а":           {account.OwnRole{Name: "\u0430dministrator", Permissions: in.Permissions}, "roles.name_mixed"},
			"a Greek ο":              {account.OwnRole{Name: "Auditοr", Permissions: in.Permissions}, "roles.name_mixed"},
			"invisible letters":      {account.OwnRole{Name: "admin\u200bistrator", Permissions: in.Permissions}, "name.form"},
			"nothing to do":          {account.OwnRole{Name: "Other"}, "roles.permission_missing"},
			"an unknown permission":  {account.OwnRole{Name: "Other", Permissions: []access.Permission{"people.clone"}}, "roles.permission_unknown"},
			"a parent's permission":  {account.OwnRole{Name: "Other", Permissions: []access.Permission{access.SeatsSet}}, "roles.permission_unknown"},
			"another parent's":       {account.OwnRole{Name: "Other", Permissions: []access.Permission{access.CatalogueEdit}}, "roles.permission_unknown"},
			"a technician's, though": {account.OwnRole{Name: "Other", Permissions: []access.Permission{access.AccessEnter}, Below: true}, "roles.permission_unknown"},
		} {
			_, err := dir.DefineRole(ctx, w.bea, o, row.in)
			if refused := w.wants(row.key, err); refused == nil {
				t.Errorf("%s is taken", name)
			}
		}

		// Two who edit: the second is told, and nothing of hers is written.
		w.clock.Move(time.Second)
		day := account.OwnRole{Name: "Day shift", Permissions: []access.Permission{access.PeopleView}}
		w.must(dir.EditRole(ctx, w.bea, o, r.ID, 1, day))
		w.wants("roles.changed_meanwhile", dir.EditRole(ctx, w.bea, o, r.ID, 1, account.OwnRole{Name: "Late shift", Permissions: in.Permissions}))
		w.wants("roles.changed_meanwhile", dir.EditRole(ctx, w.bea, o, r.ID, 0, day))
		w.wants("error.step_up", dir.EditRole(ctx, w.old(w.bea), o, r.ID, 2, day))
		other := w.role(w.tailspin.ID, "Theirs", access.PeopleView)
		if refused := w.wants("error.not_found", dir.EditRole(ctx, w.bea, o, other.ID, 1, day)); refused == nil || !refused.Denied {
			t.Error("another organisation's role is edited")
		}
		w.wants("error.not_found", dir.EditRole(ctx, w.bea, w.tailspin.ID, other.ID, 1, day))
		w.wants("error.forbidden", dir.EditRole(ctx, w.ada, o, r.ID, 2, day))

		// It is given, shows in the mails by its name, and is not deleted as long as somebody holds it.
		w.must(dir.SetRoles(ctx, w.bea, o, core.Account, []string{access.Core, "day SHIFT"}))
		if held := w.held(w.fabrikam, core.Account); !slices.Equal(held, []string{access.Core, string(r.ID)}) {
			t.Errorf("held are %v", held)
		}
		w.invite(w.fabrikam, "new@fabrikam.example", string(r.ID))
		named := 0
		w.deliverAll(func(m outbox.Message) {
			switch data := m.Data.(type) {
			case outbox.RoleChanged:
				if slices.Equal(data.Roles, []string{access.Core, "Day shift"}) {
					named++
				}
			case outbox.Invite:
				if slices.Equal(data.Roles, []string{"Day shift"}) {
					named++
				}
			}
		})
		if named != 2 {
			t.Errorf("%d mails name the role", named)
		}
		if refused := w.wants("roles.held", dir.DeleteRole(ctx, w.bea, o, r.ID)); refused.Args["Count"] != 2 {
			t.Errorf("held by %v", refused.Args)
		}
		w.clock.Move(time.Second)
		w.must(dir.SetRoles(ctx, w.bea, o, core.Account, []string{access.Core}))
		w.must(dir.Withdraw(ctx, w.bea, o, w.byEmail("new@fabrikam.example").ID))
		w.wants("error.step_up", dir.DeleteRole(ctx, w.old(w.bea), o, r.ID))
		w.must(dir.DeleteRole(ctx, w.bea, o, r.ID))
		w.wants("error.not_found", dir.DeleteRole(ctx, w.bea, o, r.ID))
		if refused := w.wants("roles.gone", dir.SetRoles(ctx, w.bea, o, core.Account, []string{string(r.ID)})); !refused.Denied || refused.Code != refusal.Forbidden {
			t.Errorf("a deleted role: %v", refused)
		}
		for action, n := range map[audit.Action]int{audit.RoleDefined: 1, audit.RoleChanged: 1, audit.RoleDeleted: 1} {
			if got := w.events(w.fabrikam, action, audit.Done); got != n {
				t.Errorf("%d events %s, want %d", got, action, n)
			}
		}
		list, err := audit.List(w.DB.Read(ctx), o, string(r.ID), 10)
		w.must(err)
		if after, _ := list[1].Data["after"].(map[string]any); after["name"] != "Day shift" || list[1].Data["before"].(map[string]any)["name"] != "Night shift" {
			t.Errorf("the change is told as %v", list[1].Data)
		}
		for i := range account.MostOwnRoles {
			w.role(o, "Role "+string(rune('A'+i%26))+string(rune('a'+i/26)), access.PeopleView)
		}
		_, err = dir.DefineRole(ctx, w.bea, o, in)
		w.wants("roles.many", err)
	})
}

func (w *town) byEmail(email string) account.Account {
	w.Helper()
	a, ok, err := account.ByIdentifier(w.DB.Read(w.Context()), w.fabrikam.ID, email)
	w.must(err)
	if !ok {
		w.Fatalf("no %s", email)
	}
	return a
}

// Whoever manages roles by an own role does not get beyond it: not by editing that role, making another, or giving one (AT-67, AT-10).
func TestOwnRoleEscalation(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ctx, o, dir := t.Context(), w.fabrikam.ID, w.Directory
		lead := w.role(o, "Lead", access.RoleDefine, access.RoleAssign, access.PeopleFactors, access.PeopleInvite)
		large := w.role(o, "Large", access.PolicyEdit)
		eve, target := w.person(w.fabrikam, "eve@fabrikam.example", string(lead.ID)), w.person(w.fabrikam, "tom@fabrikam.example")
		denied := w.events(w.fabrikam, audit.RightRefused, audit.Denied)
		for what, try := range map[string]func() error{
			"editing the own role": func() error {
				return dir.EditRole(ctx, eve, o, lead.ID, 1, account.OwnRole{Name: "Lead", Permissions: append(slices.Clone(lead.Permissions), access.PolicyEdit)})
			},
			"even to less": func() error {
				return dir.EditRole(ctx, eve, o, lead.ID, 1, account.OwnRole{Name: "Lead", Permissions: lead.Permissions[:1]})
			},
			"deleting it": func() error { return dir.DeleteRole(ctx, eve, o, lead.ID) },
			"a role beyond": func() error {
				_, err := dir.DefineRole(ctx, eve, o, account.OwnRole{Name: "X", Permissions: []access.Permission{access.PolicyEdit}})
				return err
			},
			"a larger role": func() error {
				return dir.EditRole(ctx, eve, o, large.ID, 1, account.OwnRole{Name: "Large", Permissions: []access.Permission{access.PeopleView}})
			},
			"giving a large one": func() error { return dir.SetRoles(ctx, eve, o, target.Account, []string{string(large.ID)}) },
			"an administrator":   func() error { return dir.SetRoles(ctx, eve, o, target.Account, []string{access.Administrator}) },
			"a core user":        func() error { return dir.SetRoles(ctx, eve, o, target.Account, []string{access.Core}) },
			"inviting one": func() error {
				_, err := dir.Invite(ctx, eve, o, account.Invitation{Emails: []string{"x@fabrikam.example"}, Roles: []string{access.Administrator}})
				return err
			},
			"a foreign role": func() error {
				_, err := dir.Invite(ctx, eve, o, account.Invitation{Emails: []string{"x@fabrikam.example"}, Roles: []string{string(w.role(w.tailspin.ID, "Theirs", access.PeopleView).ID)}})
				return err
			},
			"resetting the administrator's factors": func() error { return dir.ResetFactors(ctx, eve, o, w.bea.Account, "") },
			"the administrator's roles":             func() error { return dir.SetRoles(ctx, eve, o, w.bea.Account, nil) },
			"the parent": func() error {
				_, err := dir.DefineRole(ctx, eve, w.msp.ID, account.OwnRole{Name: "X", Permissions: []access.Permission{access.PeopleView}})
				return err
			},
		} {
			r := refusal.As(try())
			if r == nil || !r.Denied {
				t.Errorf("%s: %v", what, r)
			}
			denied++
		}
		w.wants("roles.own_parent", w.ownRolesOfTheOnly())
		w.wants("roles.own", dir.SetRoles(ctx, eve, o, eve.Account, []string{access.Administrator}))
		w.clock.Move(time.Minute)
		if got := w.events(w.fabrikam, audit.RightRefused, audit.Denied); got != denied {
			t.Errorf("%d events of refusals, want %d", got, denied)
		}
		if n := w.count(`select count(*) from assignments where account_id = $1`, target.Account); n != 0 {
			t.Errorf("%d roles were given", n)
		}
		// What Eve has she can give on, and what she gives can be taken.
		small, err := dir.DefineRole(ctx, w.actor(w.fabrikam, eve.Account), o, account.OwnRole{Name: "Small", Permissions: []access.Permission{access.PeopleView}})
		w.must(err)
		eve = w.actor(w.fabrikam, eve.Account)
		w.must(dir.SetRoles(ctx, eve, o, target.Account, []string{string(small.ID)}))
		w.must(dir.EditRole(ctx, eve, o, small.ID, 1, account.OwnRole{Name: "Small", Permissions: []access.Permission{access.PeopleInvite}}))
		if !w.rights(target, o).May(access.PeopleInvite) {
			t.Error("the change of a role does not count at once")
		}
		// When its maker loses a right, the role stays as it is; but she does not touch it any more.
		w.must(dir.EditRole(ctx, w.bea, o, lead.ID, 1, account.OwnRole{Name: "Lead", Permissions: []access.Permission{access.RoleDefine, access.RoleAssign}}))
		if !w.rights(target, o).May(access.PeopleInvite) || w.rights(eve, o).May(access.PeopleInvite) {
			t.Error("the role went with its maker's right, or the right did not go")
		}
		w.wants("roles.beyond_you", dir.EditRole(ctx, eve, o, small.ID, 2, account.OwnRole{Name: "Small", Permissions: []access.Permission{access.PeopleView}}))
	})
}

// ownRolesOfTheOnly is the refusal for an organisation's only administrator.
func (w *town) ownRolesOfTheOnly() error {
	return w.Directory.SetRoles(w.Context(), w.bea, w.fabrikam.ID, w.bea.Account, []string{access.Core})
}

// Names of built-in roles, in all languages, are nobody's own.
func TestBuiltinNames(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		for _, language := range []string{"en", "de", "fr"} {
			b, err := os.ReadFile("../locale/catalogues/" + language + ".json")
			w.must(err)
			var texts map[string]any
			w.must(json.Unmarshal(b, &texts))
			for _, kind := range []access.OrgKind{access.Provider, access.MSP, access.Customer} {
				for _, role := range access.Roles(kind) {
					name := texts["role."+role].(string)
					for _, s := range []string{name, strings.ToUpper(name), role, strings.ReplaceAll(name, " ", "-")} {
						_, err := w.Directory.DefineRole(t.Context(), w.bea, w.fabrikam.ID, account.OwnRole{Name: s, Permissions: []access.Permission{access.PeopleView}})
						w.wants("roles.name_builtin", err)
					}
				}
			}
		}
	})
}

func TestParseEnd(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                     "",
		"  ":                   "",
		"2026-12-31T18:00":     "2026-12-31T17:00:00Z",
		"2026-12-31 18:00":     "2026-12-31T17:00:00Z",
		" 2026-12-31T18:00:30": "2026-12-31T17:00:30Z",
		"2026-12-31":           "2026-12-31T23:00:00Z", // to the end of that day
		"2026-11-21":           "2026-11-21T23:00:00Z",
		"2026-07-01":           "expires.past",
		"2026-12-31T18:00:00Z": "2026-12-31T18:00:00Z",
		"2026-11-21T11:00":     "expires.past",
		"2026-11-21T11:01":     "2026-11-21T10:01:00Z",
		"1970-01-01T00:00":     "expires.past",
		"3000-01-01T00:00":     "expires.far",
		"9999-12-31":           "expires.far",
		"2036-11-21T11:00":     "2036-11-21T10:00:00Z",
		"2036-11-21T11:01":     "expires.far",
		"tomorrow":             "expires.form",
		"2026-13-01T00:00":     "expires.form",
		"2026-02-30":           "expires.form",
		"2026-12-31T25:00":     "expires.form",
		"31.12.2026":           "expires.form",
		"1e9":                  "expires.form",
		"-1":                   "expires.form",
		"2026-12-31T18:00' --": "expires.form",
	} {
		got, fault := account.ParseEnd(text, berlin, now)
		told := ""
		switch {
		case fault != nil:
			if told = fault.Key; fault.Field != "expires_at" {
				t.Errorf("%q is refused at %q", text, fault.Field)
			}
		case !got.IsZero():
			told = got.UTC().Format(time.RFC3339)
		}
		if told != want {
			t.Errorf("%q is %q, want %q", text, told, want)
		}
	}
}

// Access on time: given with an end, moved, ended at that moment (mission D4).
func TestTemporaryRoles(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ctx, o, dir := t.Context(), w.fabrikam.ID, w.Directory
		p := w.person(w.fabrikam, "pia@fabrikam.example", access.Viewer)
		end := w.Now().Add(time.Hour)
		w.wants("expires.past", dir.SetRolesUntil(ctx, w.bea, o, p.Account, []string{access.Core}, w.Now()))
		w.wants("expires.far", dir.SetRolesUntil(ctx, w.bea, o, p.Account, []string{access.Core}, w.Now().AddDate(900, 0, 0)))
		w.must(dir.SetRolesUntil(ctx, w.bea, o, p.Account, []string{access.Viewer, access.Core}, end))
		list, err := access.Assignments(w.DB.Read(ctx), p.Account)
		w.must(err)
		if len(list) != 2 || !list[0].Expires.Equal(end) || !list[1].Expires.IsZero() {
			t.Errorf("assignments are %+v", list)
		}
		w.wants("roles.not_held", dir.SetRoleEnd(ctx, w.bea, o, p.Account, access.Auditor, end))
		w.wants("roles.unknown", dir.SetRoleEnd(ctx, w.bea, o, p.Account, "", end))
		w.wants("error.step_up", dir.SetRoleEnd(ctx, w.old(w.bea), o, p.Account, access.Core, end))
		w.wants("expires.past", dir.SetRoleEnd(ctx, w.bea, o, p.Account, access.Core, w.Now().Add(-time.Second)))
		w.wants("error.forbidden", dir.SetRoleEnd(ctx, p, o, w.bea.Account, access.Administrator, end))
		w.must(dir.SetRoleEnd(ctx, w.bea, o, p.Account, access.Core, end.Add(time.Hour)))
		w.clock.Move(time.Hour)
		if !w.rights(p, o).May(access.SolutionUse) {
			t.Error("the moved end did not move")
		}
		w.clock.Move(time.Hour)
		w.bea, w.ada = w.actor(w.fabrikam, w.bea.Account), w.actor(w.msp, w.ada.Account)
		if w.rights(p, o).May(access.SolutionUse) || !w.rights(p, o).May(access.OrgView) {
			t.Error("the role does not end, or more of them do")
		}
		w.wants("roles.not_held", dir.SetRoleEnd(ctx, w.bea, o, p.Account, access.Core, time.Time{})) // it has ended: it is given anew
		w.must(dir.SetRoles(ctx, w.bea, o, p.Account, []string{access.Viewer, access.Core}))
		if list, err = access.Assignments(w.DB.Read(ctx), p.Account); err != nil || len(list) != 2 || !list[0].Expires.IsZero() {
			t.Errorf("after it was given anew: %+v (%v)", list, err)
		}
		// The last administrator's access does not end by a click; that of one of two does.
		w.wants("account.last_administrator", dir.SetRoleEnd(ctx, w.ada, o, w.bea.Account, access.Administrator, w.Now().Add(time.Hour)))
		w.must(dir.SetRoles(ctx, w.ada, o, p.Account, []string{access.Administrator}))
		w.must(dir.SetRoleEnd(ctx, w.ada, o, w.bea.Account, access.Administrator, w.Now().Add(time.Hour)))
		w.must(dir.SetRoleEnd(ctx, w.ada, o, w.bea.Account, access.Administrator, time.Time{}))
		w.wants("roles.own", dir.SetRoleEnd(ctx, w.bea, o, w.bea.Account, access.Administrator, time.Time{}))
	})
}

// The end of the last administrator's access is told in time, once, to those who can do something about it (mission D10).
func TestWarnExpiry(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ctx, dir := t.Context(), w.Directory
		warned := func(what string, want ...int) {
			t.Helper()
			for range 2 { // however often it runs
				w.must(dir.WarnExpiry(ctx))
			}
			if got := []int{w.mails(w.bea.Account, outbox.KindExpiry), w.mails(w.ada.Account, outbox.KindExpiry), w.mails(w.root.Account, outbox.KindExpiry)}; !slices.Equal(got, want) {
				t.Errorf("%s: mails to bea, ada, root are %v, want %v", what, got, want)
			}
		}
		ends := func(a access.Actor, in time.Duration) {
			t.Helper()
			w.must(w.DB.Write(ctx, func(tx sqldb.Tx) error {
				return access.Assign(tx, w.Now(), w.fabrikam.ID, a.Account, access.Administrator, w.Now().Add(in))
			}))
		}
		const day = 24 * time.Hour
		ends(w.bea, 15*day)
		warned("15 days before", 0, 0, 0)
		second := w.person(w.fabrikam, "second@fabrikam.example", access.Administrator)
		w.clock.Move(2 * day)
		warned("13 days before, with another administrator", 0, 0, 0)
		w.must(dir.SetRoles(ctx, w.actor(w.msp, w.ada.Account), w.fabrikam.ID, second.Account, nil))
		warned("13 days before", 1, 1, 0)
		w.clock.Move(9 * day)
		warned("4 days before", 1, 1, 0)
		w.clock.Move(2 * day) // a day without the server: the third day before passed
		warned("2 days before", 2, 2, 0)
		pending, _ := w.invite(w.fabrikam, "pending@fabrikam.example", access.Administrator)
		ends(w.bea, 10*day) // moved: it is told anew
		warned("moved", 3, 3, 0)
		if w.mails(pending, outbox.KindExpiry) != 0 {
			t.Error("who is not active is told")
		}
		ends(access.Actor{Account: second.Account}, 12*day) // a later one: hers is the end that counts
		warned("a later end", 4, 4, 0)
		w.clock.Move(13 * day)
		warned("when all is over", 4, 4, 0)
		n := 0
		w.deliverAll(func(m outbox.Message) {
			if e, ok := m.Data.(outbox.Expiry); ok {
				n++
				if e.Organisation != w.fabrikam.Name || e.Person == "" || e.Until.IsZero() {
					t.Errorf("the mail says %+v", e)
				}
			}
		})
		if got := w.events(w.fabrikam, audit.ExpiryWarned, audit.Done); got != 4 {
			t.Errorf("%d events", got)
		}
		// The provider has nobody above it.
		w.must(w.DB.Write(ctx, func(tx sqldb.Tx) error {
			return access.Assign(tx, w.Now(), w.provider.ID, w.root.Account, access.Administrator, w.Now().Add(day))
		}))
		warned("the provider", 0, 0, 1)
	})
}

// Groups are made and filled by who may and sees all, with what is the organisation's own (mission D3).
func TestGroups(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ctx, o, dir := t.Context(), w.msp.ID, w.Directory
		litware := w.org(access.MSP, w.provider.ID, "litware")
		wingtip := w.org(access.Customer, litware.ID, "wingtip")
		eddy, viv := w.person(w.msp, "eddy@contoso.example", access.Editor), w.person(w.msp, "viv@contoso.example", access.Viewer)
		_, err := dir.CreateGroup(ctx, eddy, o, "East")
		w.wants("error.forbidden", err)
		_, err = dir.CreateGroup(ctx, w.bea, w.fabrikam.ID, "East")
		w.wants("error.forbidden", err)
		_, err = dir.CreateGroup(ctx, doortest.Operator(), w.fabrikam.ID, "East")
		w.wants("error.not_found", err)
		_, err = dir.CreateGroup(ctx, w.ada, o, " ")
		w.wants("name.missing", err)
		east, err := dir.CreateGroup(ctx, w.ada, o, "East")
		w.must(err)
		_, err = dir.CreateGroup(ctx, w.ada, o, "EAST ")
		w.wants("groups.name_taken", err)
		west, err := dir.CreateGroup(ctx, w.ada, o, "West")
		w.must(err)
		w.wants("groups.name_taken", dir.RenameGroup(ctx, w.ada, o, west, "east"))
		w.must(dir.RenameGroup(ctx, w.ada, o, west, "Far west"))
		w.wants("groups.nothing", dir.AddToGroup(ctx, w.ada, o, east, account.Grouped{}))
		w.must(dir.AddToGroup(ctx, w.ada, o, east, account.Grouped{Customers: []id.Org{w.fabrikam.ID}, People: []id.Account{eddy.Account, viv.Account}}))
		if !w.rights(eddy, w.fabrikam.ID).May(access.OrgEdit) || w.rights(eddy, w.tailspin.ID).May(access.OrgView) {
			t.Error("the group does not count at once")
		}
		for what, in := range map[string]account.Grouped{
			"another MSP's customer": {Customers: []id.Org{w.tailspin.ID, wingtip.ID}}, "another MSP": {Customers: []id.Org{litware.ID}},
			"the provider": {Customers: []id.Org{w.provider.ID}}, "itself": {Customers: []id.Org{o}}, "nothing that exists": {Customers: []id.Org{id.New[id.Org](w.Now())}},
			"a customer's person": {People: []id.Account{w.bea.Account}}, "the provider's": {People: []id.Account{w.root.Account}}, "nobody": {People: []id.Account{id.New[id.Account](w.Now())}},
		} {
			if r := w.wants("groups.gone", dir.AddToGroup(ctx, w.ada, o, east, in)); r == nil || !r.Denied || r.Code != refusal.Forbidden {
				t.Errorf("%s got in", what)
			}
		}
		w.wants("error.not_found", dir.AddToGroup(ctx, doortest.Operator(), litware.ID, east, account.Grouped{Customers: []id.Org{wingtip.ID}}))
		if n := w.count(`select count(*) from org_group_orgs`); n != 1 {
			t.Errorf("%d organisations are in groups", n)
		}
		// Who has the right from an own role and is bound to groups does not widen them.
		desk, err := dir.DefineRole(ctx, w.ada, o, account.OwnRole{Name: "Desk", Below: true, Permissions: []access.Permission{access.GroupManage, access.PeopleInvite}})
		w.must(err)
		dora := w.person(w.msp, "dora@contoso.example", string(desk.ID))
		w.wants("groups.beyond", dir.AddToGroup(ctx, dora, o, east, account.Grouped{People: []id.Account{dora.Account}}))
		_, err = dir.Invite(ctx, dora, o, account.Invitation{Emails: []string{"x@contoso.example"}, Groups: []id.Group{east}})
		w.wants("groups.beyond", err)

		// Groups at the invitation.
		_, err = dir.Invite(ctx, w.ada, o, account.Invitation{Emails: []string{"x@contoso.example"}, Roles: []string{access.Editor}, Groups: []id.Group{id.New[id.Group](w.Now())}})
		w.wants("groups.gone", err)
		out, err := dir.Invite(ctx, w.ada, o, account.Invitation{Emails: []string{"new@contoso.example"}, Roles: []string{access.Editor}, Groups: []id.Group{east, east, west}})
		w.must(err)
		w.must(out[0].Err)
		if of, err := access.GroupsOf(w.DB.Read(ctx), o, out[0].Account); err != nil || len(of) != 2 {
			t.Errorf("the invited is in %v (%v)", of, err)
		}
		// Lists of a group's page.
		read := w.DB.Read(ctx)
		orgs, next, err := account.GroupCustomers(read, east, "", 50)
		if err != nil || len(orgs) != 1 || orgs[0].ID != string(w.fabrikam.ID) || next != "" {
			t.Errorf("customers are %v, then %q (%v)", orgs, next, err)
		}
		people, next, err := account.GroupPeople(read, east, "", 2)
		if err != nil || len(people) != 2 || next != "new@contoso.example" {
			t.Errorf("people are %v, then %q (%v)", people, next, err)
		}
		if people, next, err = account.GroupPeople(read, east, next, 2); err != nil || len(people) != 1 || people[0].ID != string(viv.Account) || next != "" {
			t.Errorf("then %v, then %q (%v)", people, next, err)
		}
		if orgs, err = account.FindCustomers(read, o, east, "TAIL", 5); err != nil || len(orgs) != 1 || orgs[0].ID != string(w.tailspin.ID) {
			t.Errorf("found are %v (%v)", orgs, err)
		}
		if orgs, err = account.FindCustomers(read, o, east, "", 5); err != nil || len(orgs) != 1 { // fabrikam is in, wingtip another's
			t.Errorf("found are %v (%v)", orgs, err)
		}
		if people, err = account.FindGroupable(read, o, west, "", []string{access.Editor, access.Viewer}, 5); err != nil || len(people) != 2 {
			t.Errorf("found are %v (%v)", people, err)
		}
		w.must(dir.RemoveFromGroup(ctx, w.ada, o, east, account.Grouped{People: []id.Account{eddy.Account}}))
		if w.rights(eddy, w.fabrikam.ID).May(access.OrgView) || !w.rights(viv, w.fabrikam.ID).May(access.OrgView) {
			t.Error("taken out of the group, the editor still sees the customer, or the viewer does not")
		}
		w.must(dir.DeleteGroup(ctx, w.ada, o, east))
		if w.rights(viv, w.fabrikam.ID).May(access.OrgView) {
			t.Error("a deleted group shows its customers")
		}
		w.wants("error.not_found", dir.DeleteGroup(ctx, w.ada, o, east))
		for action, n := range map[audit.Action]int{audit.GroupCreated: 2, audit.GroupChanged: 3, audit.GroupDeleted: 1} {
			if got := w.events(w.msp, action, audit.Done); got != n {
				t.Errorf("%d events %s, want %d", got, action, n)
			}
		}
	})
}

// Two at once: of two who edit a role one is told; a role that is given while it is deleted is either held or gone, never a leftover.
func TestRolesAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ctx, o, dir := t.Context(), w.fabrikam.ID, w.Directory
		other := w.person(w.fabrikam, "zoe@fabrikam.example", access.Administrator)
		p := w.person(w.fabrikam, "pia@fabrikam.example", access.Viewer)
		for round := range 5 {
			r := w.role(o, "Round "+string(rune('A'+round)), access.PeopleView)
			edit := func(a access.Actor, name string) func() error {
				return func() error {
					return dir.EditRole(ctx, a, o, r.ID, 1, account.OwnRole{Name: name, Permissions: []access.Permission{access.PeopleView, access.AuditView}})
				}
			}
			errs := atOnce(edit(w.bea, r.Name+" by Bea"), edit(other, r.Name+" by Zoe"))
			if told := refusal.Is(errs[0], refusal.Conflict) != refusal.Is(errs[1], refusal.Conflict); !told || errs[0] != nil && errs[1] != nil {
				t.Errorf("two who edit: %v", errs)
			}
			errs = atOnce(func() error { return dir.SetRoles(ctx, w.bea, o, p.Account, []string{access.Viewer, string(r.ID)}) },
				func() error {
					out, err := dir.Invite(ctx, other, o, account.Invitation{Emails: []string{"round" + string(rune('a'+round)) + "@fabrikam.example"}, Roles: []string{string(r.ID)}})
					if err == nil {
						err = out[0].Err
					}
					return err
				},
				func() error { return dir.DeleteRole(ctx, other, o, r.ID) })
			left := w.count(`select count(*) from assignments where role = $1`, r.ID)
			there := w.count(`select count(*) from roles where id = $1`, r.ID)
			if left > 0 && there == 0 || (errs[2] == nil) != (there == 0) {
				t.Errorf("%d hold a role that is there %d times: %v", left, there, errs)
			}
			w.must(dir.SetRoles(ctx, w.bea, o, p.Account, []string{access.Viewer}))
		}
	})
}

// Whatever is done in whatever order by whomever, nobody gets by it what its doer did not have, but for the levels that hand over: who may
// appoint an Administrator.
func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		w.must(w.Directory.SetSeats(t.Context(), doortest.Operator(), w.fabrikam.ID, 100))
		ctx, dir := t.Context(), w.Directory
		rnd := rand.New(rand.NewPCG(7, 11))
		homes := map[id.Account]id.Org{}
		var people []access.Actor
		add := func(a access.Actor) access.Actor { people, homes[a.Account] = append(people, a), a.Org; return a }
		add(w.ada)
		add(w.bea)
		lead := []access.Permission{access.RoleDefine, access.RoleAssign, access.PeopleInvite, access.AuditView, access.GroupManage}
		desk, err := dir.DefineRole(ctx, w.ada, w.msp.ID, account.OwnRole{Name: "Desk", Permissions: lead, Below: true})
		w.must(err)
		leads := map[id.Org]id.Role{w.msp.ID: desk.ID, w.fabrikam.ID: w.role(w.fabrikam.ID, "Lead", lead[:4]...).ID}
		for _, n := range []string{"a", "b", "c", "d"} {
			m, c := add(w.person(w.msp, n+"@contoso.example")), add(w.person(w.fabrikam, n+"@fabrikam.example"))
			if n < "c" {
				w.must(dir.SetRoles(ctx, w.ada, w.msp.ID, m.Account, []string{string(desk.ID)}))
				w.must(dir.SetRoles(ctx, w.bea, w.fabrikam.ID, c.Account, []string{string(leads[w.fabrikam.ID])}))
			}
		}
		places := []id.Org{w.msp.ID, w.fabrikam.ID, w.tailspin.ID}
		own := map[id.Org][]id.Role{w.msp.ID: {desk.ID}, w.fabrikam.ID: {leads[w.fabrikam.ID]}}
		var groups []id.Group // two, with other customers and people in each
		for i, name := range []string{"East", "West"} {
			g, err := dir.CreateGroup(ctx, w.ada, w.msp.ID, name)
			w.must(err)
			w.must(dir.AddToGroup(ctx, w.ada, w.msp.ID, g, account.Grouped{Customers: places[1+i : 2+i], People: []id.Account{people[2+2*i].Account, people[6+2*i].Account}}))
			groups = append(groups, g)
		}
		type cell struct {
			who   id.Account
			where id.Org
			p     access.Permission
		}
		holdings := func() map[cell]bool {
			held := map[cell]bool{}
			for _, a := range people {
				for _, o := range places {
					r := w.rights(a, o)
					for _, p := range access.Permissions() {
						if r.May(p) {
							held[cell{a.Account, o, p}] = true
						}
					}
				}
			}
			return held
		}
		// Those who hand over, by rights.md: administrators at home and below, editors in customers.
		appoints := func(a access.Actor, o id.Org) bool {
			held, err := access.Held(w.DB.Read(ctx), homes[a.Account], a.Account, w.Now())
			w.must(err)
			return slices.Contains(held, access.Administrator) || homes[a.Account] == w.msp.ID && o != w.msp.ID && slices.Contains(held, access.Editor)
		}
		some := func(list []access.Permission) (out []access.Permission) {
			for range 1 + rnd.IntN(4) {
				out = append(out, list[rnd.IntN(len(list))])
			}
			return out
		}
		did, before := map[string]int{}, holdings()
		for step := range 600 {
			actor := people[rnd.IntN(len(people))]
			if r := w.rights(actor, homes[actor.Account]); !r.May(access.RoleAssign) && !r.May(access.RoleDefine) && rnd.IntN(10) > 0 ||
				actor.Account == w.ada.Account && rnd.IntN(4) > 0 || actor.Account == w.bea.Account && rnd.IntN(4) > 0 {
				continue
			}
			// Mostly at home, where most may do something.
			o := homes[actor.Account]
			if rnd.IntN(5) == 0 {
				o = places[rnd.IntN(len(places))]
			}
			kind := access.Customer
			if o == w.msp.ID {
				kind = access.MSP
			}
			exempt := appoints(actor, o)
			what := ""
			var err error
			switch rnd.IntN(7) {
			case 0, 1:
				what = "define"
				list := access.Definable(kind, true)
				if step%2 == 0 { // what seeds the escalations
					list = lead
				}
				var r access.Role
				if r, err = dir.DefineRole(ctx, actor, o, account.OwnRole{Name: "Role " + strconv.Itoa(step),
					Permissions: some(list), Below: rnd.IntN(2) == 0}); err == nil {
					own[o] = append(own[o], r.ID)
				}
			case 2:
				what = "edit"
				if len(own[o]) == 0 {
					continue
				}
				role := own[o][rnd.IntN(len(own[o]))]
				r, findErr := access.FindRole(w.DB.Read(ctx), o, role)
				w.must(findErr)
				list := access.Definable(kind, r.Below)
				if step%2 == 0 {
					list = lead
				}
				err = dir.EditRole(ctx, actor, o, role, r.Rev, account.OwnRole{Name: r.Name, Permissions: some(list), Below: r.Below})
			case 3, 4, 5:
				what = "assign"
				target := people[rnd.IntN(len(people))]
				var roles []string
				may := w.rights(actor, o).Assignable()
				for range rnd.IntN(3) {
					if len(may) > 0 && rnd.IntN(2) == 0 { // what is offered
						roles = append(roles, may[rnd.IntN(len(may))])
					} else if n := len(own[o]); n > 0 && rnd.IntN(3) > 0 {
						roles = append(roles, string(own[o][rnd.IntN(n)]))
					} else {
						roles = append(roles, access.Roles(kind)[rnd.IntN(len(access.Roles(kind)))])
					}
				}
				err = dir.SetRolesUntil(ctx, actor, o, target.Account, roles, time.Time{})
			case 6:
				what = "group"
				in := account.Grouped{Customers: []id.Org{places[1+rnd.IntN(2)]}, People: []id.Account{people[rnd.IntN(len(people))].Account}}
				group := groups[rnd.IntN(2)]
				if rnd.IntN(2) == 0 {
					actor = w.ada
				}
				if rnd.IntN(2) == 0 {
					err = dir.RemoveFromGroup(ctx, actor, w.msp.ID, group, in)
				} else {
					err = dir.AddToGroup(ctx, actor, w.msp.ID, group, in)
				}
				exempt = appoints(actor, w.msp.ID)
			}
			if err != nil && refusal.As(err) == nil {
				t.Fatal(err)
			}
			after := holdings()
			if err == nil {
				did[what]++
				if !exempt {
					did[what+" by who appoints nobody"]++
				}
			}
			for c := range after {
				switch {
				case before[c]:
				case err != nil:
					t.Fatalf("step %d: %s was refused (%v), but %v has come about", step, what, err, c)
				case c.who == actor.Account:
					t.Fatalf("step %d: %s gave its doer %v", step, what, c)
				case !exempt && !before[cell{actor.Account, c.where, c.p}]:
					t.Fatalf("step %d: %s gave %v, which its doer did not have", step, what, c)
				}
			}
			before = after
			for _, o := range places[:2] {
				if admins, err := account.Administrators(w.DB.Read(ctx), o, w.Now()); err != nil || len(admins) == 0 {
					t.Fatalf("step %d: nobody administers %s any more (%v)", step, o, err)
				}
			}
		}
		for _, what := range []string{"define", "edit", "assign", "group"} {
			if did[what] < 3 {
				t.Errorf("only %d times: %s (%v)", did[what], what, did)
			}
		}
		if did["assign by who appoints nobody"] == 0 || did["define by who appoints nobody"] == 0 {
			t.Errorf("nobody but administrators did anything: %v", did)
		}
	})
}
