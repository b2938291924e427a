package policy_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"doorward/internal/policy"
)

func days(n int) *int { return &n }

func TestInherit(t *testing.T) {
	soon, later := now.Add(time.Hour), now.Add(48*time.Hour)
	set := func(m policy.Mode, from time.Time) policy.Settings {
		return policy.Settings{SecondFactor: m, From: from}
	}
	keys, apps := policy.Settings{Factors: []policy.Kind{policy.Passkey}}, policy.Settings{Factors: []policy.Kind{policy.TOTP}}
	for _, row := range []struct {
		name   string
		levels []policy.Settings
		change func(*policy.Rules)
		from   policy.Origins
	}{
		{"nothing set", []policy.Settings{{}, {}, {}}, func(*policy.Rules) {}, policy.Origins{}},
		{"off, where nobody above sets anything", []policy.Settings{{}, {}, set(policy.Off, time.Time{})},
			func(r *policy.Rules) { r.Asks = []policy.Demand{} }, policy.Origins{policy.FieldSecondFactor: 2}},
		{"off below everyone", []policy.Settings{set(policy.Everyone, time.Time{}), set(policy.Off, time.Time{})},
			func(*policy.Rules) {}, policy.Origins{policy.FieldSecondFactor: 0}},
		{"administrators first, everyone later", []policy.Settings{set(policy.Everyone, later), set(policy.Administrators, soon)}, func(r *policy.Rules) {
			r.Asks = []policy.Demand{{Mode: policy.Everyone, From: later}, {Mode: policy.Administrators, From: soon}}
		}, policy.Origins{policy.FieldSecondFactor: 1}},
		{"later below sooner", []policy.Settings{set(policy.Everyone, soon), set(policy.Everyone, later)}, func(r *policy.Rules) {
			r.Asks = []policy.Demand{{Mode: policy.Everyone, From: soon}, {Mode: policy.Everyone, From: later}}
		}, policy.Origins{policy.FieldSecondFactor: 0}},
		{"keys only below", []policy.Settings{{}, keys}, func(r *policy.Rules) { r.Factors = []policy.Kind{policy.Passkey} }, policy.Origins{policy.FieldFactors: 1}},
		{"apps below keys only", []policy.Settings{keys, apps}, func(r *policy.Rules) { r.Factors = []policy.Kind{policy.Passkey} }, policy.Origins{policy.FieldFactors: 0}},
		{"all kinds named", []policy.Settings{{Factors: policy.Kinds()}}, func(*policy.Rules) {}, policy.Origins{}},
		{"numbers", []policy.Settings{
			{LinkHours: 72, IdleMinutes: 60, AbsoluteHours: 12, RememberDays: days(30), PasswordLength: 12, PasswordHistory: 5},
			{LinkHours: 24, IdleMinutes: 90, RememberDays: days(7), PasswordLength: 10, PasswordHistory: 8, IdleAdminMinutes: 30, Invite: policy.InviteAdministrators}},
			func(r *policy.Rules) {
				r.LinkLife, r.Idle, r.Absolute, r.Remember, r.IdleAdmin = 24*time.Hour, time.Hour, 12*time.Hour, 7*24*time.Hour, 30*time.Minute
				r.Length, r.History, r.AdministratorsInvite = 12, 8, true
			}, policy.Origins{policy.FieldLinkHours: 1, policy.FieldIdle: 0, policy.FieldAbsolute: 0, policy.FieldRemember: 1, policy.FieldPasswordLength: 0,
				policy.FieldPasswordHistory: 1, policy.FieldIdleAdmin: 1, policy.FieldInvite: 1}},
		{"no device remembered below some", []policy.Settings{{RememberDays: days(30)}, {RememberDays: days(0)}}, func(*policy.Rules) {}, policy.Origins{policy.FieldRemember: 1}},
		{"beyond the bounds", []policy.Settings{{LinkHours: 1 << 40, RememberDays: days(-5), PasswordLength: 1000, PasswordHistory: 1000}}, func(r *policy.Rules) {
			r.LinkLife, r.Length, r.History = 30*24*time.Hour, 64, policy.MostHistory
		}, policy.Origins{policy.FieldLinkHours: 0, policy.FieldRemember: 0, policy.FieldPasswordLength: 0, policy.FieldPasswordHistory: 0}},
	} {
		t.Run(row.name, func(t *testing.T) {
			want := policy.Defaults()
			row.change(&want)
			got, from := policy.Inherit(row.levels...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(row.from, from); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func settings(t *rapid.T) policy.Settings {
	number := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
	s := policy.Settings{SecondFactor: rapid.SampledFrom([]policy.Mode{"", policy.Off, policy.Administrators, policy.Everyone}).Draw(t, "mode"),
		Factors:   rapid.SampledFrom([][]policy.Kind{nil, {policy.Passkey}, {policy.TOTP}, policy.Kinds()}).Draw(t, "factors"),
		LinkHours: number("link", 900), IdleMinutes: number("idle", 5000), IdleAdminMinutes: number("idle admin", 2000), AbsoluteHours: number("absolute", 900),
		PasswordLength: number("length", 70), PasswordHistory: number("history", 30), Invite: rapid.SampledFrom([]string{"", policy.InviteAdministrators}).Draw(t, "invite")}
	if s.SecondFactor != "" && rapid.Bool().Draw(t, "dated") {
		s.From = now.Add(time.Duration(number("from", 100)-50) * time.Hour)
	}
	if rapid.Bool().Draw(t, "remember set") {
		s.RememberDays = days(number("remember", 100))
	}
	return s
}

// Whatever is set, an organisation's rules are never looser than what those above it set; and what Looser finds nothing in has its effect.
func TestInheritOnlyTightens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		levels := []policy.Settings{settings(t), settings(t), settings(t)}
		above, from := policy.Inherit(levels[:2]...)
		r, _ := policy.Inherit(levels...)
		shut := func(f policy.Field, looser bool) {
			if _, set := from[f]; set && looser {
				t.Fatalf("%s is looser below: %+v under %+v", f, r, above)
			}
		}
		for _, administrative := range []bool{false, true} {
			was, ever := above.DemandedFrom(administrative)
			is, still := r.DemandedFrom(administrative)
			shut(policy.FieldSecondFactor, ever && (!still || is.After(was)))
		}
		for _, k := range policy.Kinds() {
			shut(policy.FieldFactors, r.Counts(k) && !above.Counts(k))
		}
		if len(r.MayEnrol()) == 0 {
			t.Fatal("nobody may enrol anything")
		}
		shut(policy.FieldLinkHours, r.LinkLife > above.LinkLife)
		shut(policy.FieldIdle, r.Idle > above.Idle)
		shut(policy.FieldIdleAdmin, r.IdleAdmin > above.IdleAdmin)
		shut(policy.FieldAbsolute, r.Absolute > above.Absolute)
		shut(policy.FieldRemember, r.Remember > above.Remember)
		shut(policy.FieldPasswordLength, r.Length < above.Length)
		shut(policy.FieldPasswordHistory, r.History < above.History)
		shut(policy.FieldInvite, !r.AdministratorsInvite && above.AdministratorsInvite)

		both := above.With(r)
		if diff := cmp.Diff(both.With(both).Factors, both.Factors); diff != "" {
			t.Fatal(diff)
		}
		if _, fixed := from[policy.FieldSecondFactor]; fixed {
			for _, administrative := range []bool{false, true} {
				was, ever := r.DemandedFrom(administrative)
				if is, still := both.DemandedFrom(administrative); ever && (!still || is.After(was)) {
					t.Fatalf("together they ask for less: %+v", both)
				}
			}
		}
		if slices.Contains(policy.Looser(levels[2], levels[:2]...), policy.FieldSecondFactor) && len(r.Asks) > 0 {
			without, _ := policy.Inherit(levels[:2]...)
			for _, administrative := range []bool{false, true} {
				a, okA := without.DemandedFrom(administrative)
				b, okB := r.DemandedFrom(administrative)
				if okA != okB || !a.Equal(b) {
					t.Fatalf("called looser, but it has an effect: %+v", levels)
				}
			}
		}
	})
}

// Settings are read back from their JSON as they were written, and those of the first versions still are.
func TestSettingsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := settings(t)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got policy.Settings
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
	var old policy.Settings
	if err := json.Unmarshal([]byte(`{"second_factor":"off","password_history":2,"remember_days":14}`), &old); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(policy.Settings{SecondFactor: policy.Off, PasswordHistory: 2, RememberDays: days(14)}, old); diff != "" {
		t.Error(diff)
	}
}
