package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/refusal"
)

func TestCheckRoles(t *testing.T) {
	for _, row := range []struct {
		kind access.OrgKind
		in   []string
		want []string
		ok   bool
	}{
		{access.Customer, nil, nil, true},
		{access.Customer, []string{access.Core}, []string{access.Core}, true},
		{access.Customer, []string{access.Viewer, access.Core, access.Viewer}, []string{access.Viewer, access.Core}, true},
		{access.Customer, []string{access.Editor}, nil, false},
		{access.Customer, []string{access.Support}, nil, false},
		{access.Customer, []string{"Core"}, nil, false},
		{access.Customer, []string{""}, nil, false},
		{access.Customer, []string{strings.Repeat("x", 500)}, nil, false},
		{access.MSP, []string{access.Editor, access.Administrator}, []string{access.Editor, access.Administrator}, true},
		{access.MSP, []string{access.Core}, nil, false},
		{access.Provider, []string{access.Support}, []string{access.Support}, true},
		{access.Provider, []string{access.Viewer}, nil, false},
		{"", []string{access.Administrator}, nil, false},
	} {
		got, err := access.CheckRoles(row.kind, row.in)
		if (err == nil) != row.ok || !slices.Equal(got, row.want) {
			t.Errorf("%s %v gives %v, %v", row.kind, row.in, got, err)
		}
		if r := refusal.As(err); err != nil && (r == nil || r.Code != refusal.Invalid || r.Field != "roles" || len([]rune(r.Args["Role"].(string))) > 41) {
			t.Errorf("%s %v is refused with %#v", row.kind, row.in, err)
		}
	}
}

func TestAdministrative(t *testing.T) {
	want := []string{"provider administrator", "provider support", "msp administrator", "msp editor", "customer administrator", "customer co_manager"}
	var got []string
	for _, k := range []access.OrgKind{access.Provider, access.MSP, access.Customer, ""} {
		for _, r := range []string{access.Administrator, access.Support, access.Editor, access.Viewer, access.CoManager, access.Core, access.Auditor, ""} {
			if access.Administrative(k, r) {
				got = append(got, string(k)+" "+r)
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("administrative are %v, want %v", got, want)
	}
}

func TestFresh(t *testing.T) {
	a := access.Actor{Kind: access.AccountActor, ProvedAt: start}
	for _, row := range []struct {
		age   time.Duration
		fresh bool
	}{{0, true}, {10 * time.Minute, true}, {10*time.Minute + time.Microsecond, false}, {24 * time.Hour, false}} {
		if got := a.Fresh(start.Add(row.age)); got != row.fresh {
			t.Errorf("after %v: %v", row.age, got)
		}
		if err := a.RequireFresh(start.Add(row.age)); (err == nil) != row.fresh || err != nil && !refusal.Is(err, refusal.StepUp) {
			t.Errorf("after %v: %v", row.age, err)
		}
	}
	if (access.Actor{Kind: access.AccountActor}).Fresh(start) {
		t.Error("a proof that never was is fresh")
	}
	if !access.Operator("x").Fresh(start) {
		t.Error("the command line has no proof")
	}
}
