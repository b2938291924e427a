package account_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// Two administrators who disable, or demote, each other at the same moment: one stays (mission D10).
func TestLastAdministratorAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		other := doortest.Node(t, w.Settings, w.clock)
		ann := w.person(w.fabrikam, "ann@x.example", access.Administrator)
		left := func() (n int) {
			t.Helper()
			admins, err := account.Administrators(w.DB.Read(t.Context()), w.fabrikam.ID, w.Now())
			w.must(err)
			return len(admins)
		}
		for round := range 8 {
			errs := atOnce(
				func() error { return w.Directory.Disable(t.Context(), ann, w.fabrikam.ID, w.bea.Account) },
				func() error { return other.Directory.Disable(t.Context(), w.bea, w.fabrikam.ID, ann.Account) })
			if (errs[0] == nil) == (errs[1] == nil) || left() != 1 {
				t.Fatalf("round %d, disable: %v; %d are left", round, errs, left())
			}
			w.wants("account.last_administrator", slices.DeleteFunc(errs, func(err error) bool { return err == nil })[0])
			for _, a := range []access.Actor{ann, w.bea} {
				if w.state(w.fabrikam, a.Account) == account.Disabled {
					w.must(w.Directory.Enable(t.Context(), w.ada, w.fabrikam.ID, a.Account))
				}
			}
			errs = atOnce(
				func() error {
					return w.Directory.SetRoles(t.Context(), ann, w.fabrikam.ID, w.bea.Account, []string{access.Core})
				},
				func() error { return other.Directory.SetRoles(t.Context(), w.bea, w.fabrikam.ID, ann.Account, nil) })
			if (errs[0] == nil) == (errs[1] == nil) || left() != 1 {
				t.Fatalf("round %d, demote: %v; %d are left", round, errs, left())
			}
			for _, a := range []access.Actor{ann, w.bea} {
				if !slices.Equal(w.held(w.fabrikam, a.Account), []string{access.Administrator}) {
					w.must(w.Directory.SetRoles(t.Context(), w.ada, w.fabrikam.ID, a.Account, []string{access.Administrator}))
				}
			}
		}
	})
}

// Only an administrator who is active, and whose role holds, counts as one.
func TestLastAdministrator(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		w.must(w.Directory.SetSeats(t.Context(), w.ada, w.fabrikam.ID, 50))
		refused := func(with string) {
			t.Helper()
			for _, actor := range []access.Actor{w.ada, w.root, doortest.Operator()} { // nobody may, whoever it is
				w.wants("account.last_administrator", w.Directory.Disable(t.Context(), actor, w.fabrikam.ID, w.bea.Account))
				w.wants("account.last_administrator", w.Directory.SetRoles(t.Context(), actor, w.fabrikam.ID, w.bea.Account, []string{access.Core}))
			}
			if w.state(w.fabrikam, w.bea.Account) != account.Active || !slices.Contains(w.held(w.fabrikam, w.bea.Account), access.Administrator) {
				t.Fatalf("the last administrator is gone, with %s", with)
			}
		}
		refused("nobody else")
		w.invite(w.fabrikam, "invited@x.example", access.Administrator)
		refused("one who is only invited")
		off := w.person(w.fabrikam, "off@x.example", access.Administrator)
		w.must(w.Directory.Disable(t.Context(), w.ada, w.fabrikam.ID, off.Account))
		refused("one who is disabled")
		gone := w.person(w.fabrikam, "gone@x.example")
		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			return access.Assign(tx, w.Now(), w.fabrikam.ID, gone.Account, access.Administrator, w.Now().Add(time.Minute))
		}))
		w.clock.Move(time.Minute)
		w.ada, w.root = w.actor(w.msp, w.ada.Account), w.actor(w.provider, w.root.Account)
		refused("one whose role has ended")
		w.person(w.fabrikam, "manager@x.example", access.CoManager)
		refused("a co-manager")
		w.wants("account.last_administrator", w.Directory.Disable(t.Context(), doortest.Operator(), w.provider.ID, w.root.Account))
		w.must(w.Directory.Enable(t.Context(), w.ada, w.fabrikam.ID, off.Account))
		w.must(w.Directory.Disable(t.Context(), w.ada, w.fabrikam.ID, w.bea.Account))
	})
}

// Who may give which roles to whom, and what becomes of those that were held.
func TestSetRoles(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		w.must(w.Directory.SetSeats(t.Context(), w.ada, w.fabrikam.ID, 50))
		o := w.fabrikam.ID
		manager, auditor := w.person(w.fabrikam, "manager@x.example", access.CoManager), w.person(w.fabrikam, "auditor@x.example", access.Auditor)
		core := w.person(w.fabrikam, "core@x.example", access.Core)
		editor := w.person(w.msp, "editor@x.example", access.Editor)
		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := access.Group(tx, w.Now(), w.msp.ID, "all", []id.Org{w.fabrikam.ID}, []id.Account{editor.Account})
			return err
		}))
		for _, row := range []struct {
			name   string
			actor  access.Actor
			target access.Actor
			roles  []string
			want   string
		}{
			{"administrator", w.bea, core, []string{access.Viewer, access.Auditor, access.Viewer}, ""},
			{"administrator, none", w.bea, core, nil, ""},
			{"MSP administrator", w.ada, core, []string{access.Core}, ""},
			{"MSP editor makes an administrator", editor, core, []string{access.Core, access.Administrator}, ""},
			{"MSP editor takes it back", editor, core, []string{access.Core}, ""},
			{"the same again", w.bea, core, []string{access.Core}, ""},
			{"co-manager", manager, core, []string{access.Core, access.Viewer}, ""},
			{"co-manager, back", manager, core, []string{access.Core}, ""},
			{"operator", doortest.Operator(), core, []string{access.Core}, ""},
			{"own roles", w.bea, w.bea, []string{access.Administrator, access.Core}, "roles.own_parent"},
			{"own roles, co-manager", manager, manager, []string{access.Core}, "error.forbidden"},
			{"co-manager makes an administrator", manager, core, []string{access.Administrator}, "roles.beyond"},
			{"co-manager makes a co-manager", manager, core, []string{access.Core, access.CoManager}, "roles.beyond"},
			{"co-manager makes an auditor", manager, core, []string{access.Core, access.Auditor}, "roles.beyond"},
			{"co-manager demotes an administrator", manager, w.bea, []string{access.Core}, "error.forbidden"},
			{"co-manager demotes an auditor", manager, auditor, nil, "error.forbidden"},
			{"core user", core, auditor, nil, "error.forbidden"},
			{"role of another kind", w.bea, core, []string{access.Editor}, "roles.unknown"},
			{"no role", w.bea, core, []string{""}, "roles.unknown"},
			{"old proof", w.old(w.bea), core, []string{access.Viewer}, "error.step_up"},
			{"foreign account", w.bea, w.ada, []string{access.Core}, "error.not_found"},
		} {
			before := w.held(w.fabrikam, row.target.Account)
			w.wants(row.want, w.Directory.SetRoles(t.Context(), row.actor, o, row.target.Account, row.roles))
			want := slices.Compact(slices.Sorted(slices.Values(row.roles)))
			if row.want != "" {
				want = before
			}
			if got := w.held(w.fabrikam, row.target.Account); !slices.Equal(got, want) {
				t.Errorf("%s: roles are %v, want %v", row.name, got, want)
			}
		}
		if r := refusal.As(w.Directory.SetRoles(t.Context(), editor, w.msp.ID, w.ada.Account, nil)); r == nil || r.Code != refusal.Forbidden {
			t.Errorf("an editor changes people of the MSP: %v", r)
		}
		if r := refusal.As(w.Directory.SetRoles(t.Context(), w.bea, w.tailspin.ID, core.Account, nil)); r == nil || r.Code != refusal.NotFound {
			t.Errorf("in a sibling: %v", r)
		}

		// A role that is kept keeps its end; one that has ended holds without an end when it is given again.
		end := w.Now().Add(time.Minute)
		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			return access.Assign(tx, w.Now(), o, core.Account, access.Viewer, end)
		}))
		w.must(w.Directory.SetRoles(t.Context(), w.bea, o, core.Account, []string{access.Viewer, access.Auditor}))
		if all, err := access.Assignments(w.DB.Read(t.Context()), core.Account); err != nil || len(all) != 2 || !all[1].Expires.Equal(end) || !all[0].Expires.IsZero() {
			t.Errorf("assignments %+v (%v)", all, err)
		}
		w.clock.Move(time.Minute)
		if held := w.held(w.fabrikam, core.Account); !slices.Equal(held, []string{access.Auditor}) {
			t.Errorf("after the end: %v", held)
		}
		w.must(w.Directory.SetRoles(t.Context(), w.bea, o, core.Account, []string{access.Viewer}))
		w.clock.Move(time.Hour)
		if held := w.held(w.fabrikam, core.Account); !slices.Equal(held, []string{access.Viewer}) {
			t.Errorf("given again: %v", held)
		}
		// Who is active is told by mail; who is invited learns it from the invitation.
		mails := w.mails(core.Account, outbox.KindRoleChanged)
		bea := w.actor(w.fabrikam, w.bea.Account)
		w.must(w.Directory.SetRoles(t.Context(), bea, o, core.Account, []string{access.Viewer}))
		if n := w.mails(core.Account, outbox.KindRoleChanged); n != mails {
			t.Error("nothing changed, and a mail goes out")
		}
		w.must(w.Directory.SetRoles(t.Context(), bea, o, core.Account, nil))
		invited, _ := w.invite(w.fabrikam, "invited@x.example")
		w.must(w.Directory.SetRoles(t.Context(), bea, o, invited, []string{access.Core}))
		if a, b := w.mails(core.Account, outbox.KindRoleChanged), w.mails(invited, outbox.KindRoleChanged); a != mails+1 || b != 0 {
			t.Errorf("%d mails to the active, %d to the invited", a-mails, b)
		}
	})
}

func TestResetFactors(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ann, o := w.person(w.fabrikam, "ann@x.example", access.Core), w.fabrikam.ID
		enrol := func() {
			w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
				setup, err := factor.BeginTOTP(tx, w.Vault, w.Now(), o, ann.Account, "Fabrikam", "ann@x.example")
				if err != nil {
					return err
				}
				code, err := factor.CodeAt(string(setup.Key), w.Now())
				if err != nil {
					return err
				}
				_, err = factor.ProveTOTP(tx, w.Vault, w.Now(), ann.Account, factor.Pending, secret.Text(code), "")
				return err
			}))
		}
		w.wants("account.no_factors", w.Directory.ResetFactors(t.Context(), w.bea, o, ann.Account, ""))
		enrol()
		manager := w.person(w.fabrikam, "manager@x.example", access.CoManager)
		for name, row := range map[string]struct {
			err  error
			want string
		}{
			"a long reason":     {w.Directory.ResetFactors(t.Context(), w.bea, o, ann.Account, strings.Repeat("é", 301)), "text.long"},
			"an old proof":      {w.Directory.ResetFactors(t.Context(), w.old(w.bea), o, ann.Account, ""), "error.step_up"},
			"oneself":           {w.Directory.ResetFactors(t.Context(), w.bea, o, w.bea.Account, ""), "account.yourself"},
			"an administrator":  {w.Directory.ResetFactors(t.Context(), manager, o, w.bea.Account, ""), "error.forbidden"},
			"without the right": {w.Directory.ResetFactors(t.Context(), ann, o, manager.Account, ""), "error.forbidden"},
			"foreign":           {w.Directory.ResetFactors(t.Context(), w.bea, o, w.ada.Account, ""), "error.not_found"},
		} {
			w.wants(row.want, row.err)
			if list, err := factor.List(w.DB.Read(t.Context()), ann.Account); err != nil || len(list) != 2 {
				t.Fatalf("%s: factors %+v (%v)", name, list, err)
			}
		}
		seq, err := revoke.Head(w.DB.Read(t.Context()))
		w.must(err)
		w.must(w.Directory.ResetFactors(t.Context(), manager, o, ann.Account, strings.Repeat("é", 300)))
		list, err := factor.List(w.DB.Read(t.Context()), ann.Account)
		if err != nil || len(list) != 1 || list[0].Kind != factor.Password {
			t.Errorf("left are %+v (%v)", list, err)
		}
		if void, err := revoke.Since(w.DB.Read(t.Context()), ann.Account, o, seq); err != nil || !void {
			t.Errorf("sessions go on (%v)", err)
		}
		if !w.find(w.fabrikam, ann.Account).LinkUsed.IsZero() {
			t.Error("the link that was used before still vouches")
		}
		if w.mails(ann.Account, outbox.KindFactorRemoved) != 1 || w.events(w.fabrikam, audit.FactorsReset, audit.Done) != 1 {
			t.Error("no mail, or no event")
		}
	})
}

func TestEditProfile(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ann, bob := w.person(w.fabrikam, "ann@x.example"), w.person(w.fabrikam, "bob@x.example")
		carl := w.person(w.tailspin, "carl@x.example")
		edit := func(a access.Actor, p account.Profile) error { return w.Directory.EditProfile(t.Context(), a, p) }
		w.must(edit(ann, account.Profile{Name: "  Ann  Müller ", Username: " Ann.M-1_x ", Language: "de", TimeZone: "Europe/Berlin"}))
		got := w.find(w.fabrikam, ann.Account)
		if got.Name != "Ann Müller" || got.Username != "Ann.M-1_x" || got.Language != "de" || got.TimeZone != "Europe/Berlin" || got.Shown() != "Ann Müller" {
			t.Errorf("the profile is %+v", got)
		}
		for _, identifier := range []string{"ann.m-1_X", " ANN.M-1_X ", "Ann@X.example"} {
			if a, ok, err := account.ByIdentifier(w.DB.Read(t.Context()), w.fabrikam.ID, identifier); !ok || err != nil || a.ID != ann.Account {
				t.Errorf("%q finds %v (%v)", identifier, a.ID, err)
			}
		}
		for _, identifier := range []string{"", "ann", "ann.m-1_x@", "ann@x.example.", "bob", "carl@x.example"} {
			if a, ok, err := account.ByIdentifier(w.DB.Read(t.Context()), w.fabrikam.ID, identifier); ok || err != nil {
				t.Errorf("%q finds %v (%v)", identifier, a.ID, err)
			}
		}
		w.wants("username.taken", edit(bob, account.Profile{Username: "ANN.m-1_X"}))
		w.must(edit(carl, account.Profile{Username: "ann.m-1_x"})) // in another organisation it is free
		w.must(edit(ann, account.Profile{Username: "ann.m-1_x"}))
		w.must(edit(ann, account.Profile{}))
		w.must(edit(bob, account.Profile{})) // two without a user name
		w.must(edit(bob, account.Profile{Username: "ann.m-1_x"}))
		if got := w.find(w.fabrikam, ann.Account); got.Name != "" || got.Username != "" || got.Shown() != "ann@x.example" {
			t.Errorf("the empty profile is %+v", got)
		}
		for key, list := range map[string][]account.Profile{
			"username.form": {{Username: "a"}, {Username: strings.Repeat("a", 41)}, {Username: "ann@x"}, {Username: "a b"}, {Username: "änn"}, {Username: "аnn"},
				{Username: "a\x00b"}, {Username: "ann\u200b"}, {Username: "a/b"}},
			"name.long":         {{Name: strings.Repeat("x", 101)}},
			"name.form":         {{Name: "a\x00b"}, {Name: "a\u202eb"}, {Name: "\xff"}},
			"language.unknown":  {{Language: "tlh"}, {Language: "../de"}},
			"time_zone.unknown": {{TimeZone: "Mars/Base"}, {TimeZone: "Local"}, {TimeZone: "../UTC"}},
		} {
			for _, p := range list {
				w.wants(key, edit(bob, p))
			}
		}
		err := edit(bob, account.Profile{Name: "\xff", Username: "x", Language: "x", TimeZone: "x"})
		if r := refusal.As(err); r == nil || len(r.More) != 3 {
			t.Errorf("four faults at once: %v", err)
		}
		if got := w.find(w.fabrikam, bob.Account); got.Username != "ann.m-1_x" {
			t.Errorf("a refused change has changed %+v", got)
		}
	})
}
