package policy_test

import (
	"testing"

	"pgregory.net/rapid"

	"doorward/internal/policy"
)

func TestJudgePassword(t *testing.T) {
	good := policy.PasswordFacts{Length: 12, Min: 8, Bits: 50}
	for _, row := range []struct {
		name   string
		change func(*policy.PasswordFacts)
		want   policy.PasswordFault
	}{
		{"good", func(*policy.PasswordFacts) {}, ""},
		{"as short as it may be", func(f *policy.PasswordFacts) { f.Length = 8 }, ""},
		{"one too short", func(f *policy.PasswordFacts) { f.Length = 7 }, policy.TooShort},
		{"too short where it is the only factor", func(f *policy.PasswordFacts) { f.Length, f.Min = 14, 15 }, policy.TooShort},
		{"long enough where it is the only factor", func(f *policy.PasswordFacts) { f.Length, f.Min = 15, 15 }, ""},
		{"as long as it may be", func(f *policy.PasswordFacts) { f.Length = 256 }, ""},
		{"one too long", func(f *policy.PasswordFacts) { f.Length = 257 }, policy.TooLong},
		{"own", func(f *policy.PasswordFacts) { f.Own = true }, policy.TooOwn},
		{"common", func(f *policy.PasswordFacts) { f.Common = true }, policy.TooCommon},
		{"stolen", func(f *policy.PasswordFacts) { f.Breached = true }, policy.TooBreached},
		{"simple", func(f *policy.PasswordFacts) { f.Bits = 35 }, policy.TooSimple},
		{"just not simple", func(f *policy.PasswordFacts) { f.Bits = 36 }, ""},
		{"length is told first", func(f *policy.PasswordFacts) { f.Length, f.Own, f.Common, f.Bits = 3, true, true, 0 }, policy.TooShort},
		{"own is told before common", func(f *policy.PasswordFacts) { f.Own, f.Common, f.Bits = true, true, 0 }, policy.TooOwn},
		{"common is told before stolen", func(f *policy.PasswordFacts) { f.Common, f.Breached, f.Bits = true, true, 0 }, policy.TooCommon},
		{"stolen is told before simple", func(f *policy.PasswordFacts) { f.Breached, f.Bits = true, 0 }, policy.TooBreached},
	} {
		f := good
		row.change(&f)
		if got := policy.JudgePassword(f); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

func TestJudgePasswordProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := policy.PasswordFacts{Length: rapid.IntRange(0, 300).Draw(t, "length"), Min: rapid.SampledFrom([]int{8, 15}).Draw(t, "min"),
			Bits: rapid.IntRange(0, 80).Draw(t, "bits"), Common: rapid.Bool().Draw(t, "common"), Own: rapid.Bool().Draw(t, "own"),
			Breached: rapid.Bool().Draw(t, "breached")}
		good := f.Length >= f.Min && f.Length <= 256 && f.Bits >= 36 && !f.Common && !f.Own && !f.Breached
		if (policy.JudgePassword(f) == "") != good {
			t.Fatalf("%+v gives %q", f, policy.JudgePassword(f))
		}
	})
}
