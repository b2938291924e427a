package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"doorward/internal/policy"
)

func TestDefaults(t *testing.T) {
	// security.md, "Numbers".
	want := policy.Rules{Asks: []policy.Demand{{Mode: policy.Everyone}}, LinkLife: 48 * time.Hour, ResetLife: time.Hour, IdleAdmin: time.Hour, Idle: 12 * time.Hour,
		Absolute: 24 * time.Hour}
	if diff := cmp.Diff(want, policy.Defaults()); diff != "" {
		t.Error(diff)
	}
}

func TestRules(t *testing.T) {
	before, after := now.Add(-time.Microsecond), now.Add(time.Microsecond)
	for _, row := range []struct {
		mode           policy.Mode
		from           time.Time
		administrative bool
		demands        bool
		minLength      int
	}{
		{policy.Off, time.Time{}, false, false, 15},
		{policy.Off, time.Time{}, true, false, 15},
		{policy.Off, before, true, false, 15},
		{policy.Administrators, time.Time{}, false, false, 15},
		{policy.Administrators, time.Time{}, true, true, 8},
		{policy.Administrators, before, true, true, 8},
		{policy.Administrators, now, true, true, 8},
		{policy.Administrators, after, true, false, 15},
		{policy.Administrators, before, false, false, 15},
		{policy.Everyone, time.Time{}, false, true, 8},
		{policy.Everyone, time.Time{}, true, true, 8},
		{policy.Everyone, before, false, true, 8},
		{policy.Everyone, now, false, true, 8},
		{policy.Everyone, after, false, false, 15},
		{policy.Everyone, after, true, false, 15},
		{"", time.Time{}, true, false, 15},
	} {
		r := rules(row.mode, row.from)
		if got := r.Demands(row.administrative, now); got != row.demands {
			t.Errorf("%+v: Demands gives %v", row, got)
		}
		if got := r.MinLength(row.administrative, now); got != row.minLength {
			t.Errorf("%+v: MinLength gives %d", row, got)
		}
	}
	r := policy.Defaults()
	if r.IdleFor(true) != time.Hour || r.IdleFor(false) != 12*time.Hour {
		t.Errorf("idle for %v and %v", r.IdleFor(true), r.IdleFor(false))
	}
}
