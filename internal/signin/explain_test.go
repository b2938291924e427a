package signin_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"doorward/internal/account"
	"doorward/internal/locale"
	"doorward/internal/policy"
	"doorward/internal/signin"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Every combination of mode, date, role, factors, source and exception: what Decide and Stand say to it, and how that reads in each language. The
// sentences stand first, each once; each case names those it is made of.
func TestExplain(t *testing.T) {
	catalogue, err := locale.Load(func(l locale.Language, key string, err error) { t.Errorf("%s: %s: %v", l, key, err) })
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	dates := []struct {
		name string
		from time.Time
	}{{"always", time.Time{}}, {"before", now.Add(-24 * time.Hour)}, {"at", now}, {"after", now.Add(5 * 24 * time.Hour)}}
	var sentences []string
	number := func(l signin.Line) int {
		var all []string
		for _, lang := range locale.Languages {
			all = append(all, l.Text(catalogue.In(lang), time.UTC))
		}
		text := strings.Join(all, "\n   ")
		if i := slices.Index(sentences, text); i >= 0 {
			return i + 1
		}
		sentences = append(sentences, text)
		return len(sentences)
	}
	var cases strings.Builder
	tell := func(name string, c signin.Case) {
		verdict, lines := signin.Explain(c)
		var numbers []string
		for _, l := range lines {
			numbers = append(numbers, fmt.Sprint(number(l)))
		}
		fmt.Fprintf(&cases, "%-56s %-8s %2d: %s\n", name, policy.Stand(c.Facts), number(verdict), strings.Join(numbers, " "))
		agrees(t, name, c, verdict)
	}
	for _, mode := range []policy.Mode{policy.Off, policy.Administrators, policy.Everyone} {
		for _, date := range dates {
			for _, administrative := range []bool{false, true} {
				for _, factors := range []string{"none", "app", "key", "app, keys only", "both, keys only"} {
					for _, linked := range []bool{false, true} {
						for _, exempt := range []bool{false, true} {
							if mode == policy.Off && date.name != "always" {
								continue
							}
							r := policy.Defaults()
							r.Asks = []policy.Demand{{Mode: mode, From: date.from}}
							f := policy.Facts{Now: now, Rules: r, Known: true, Active: true, Roles: 1, Administrative: administrative}
							c := signin.Case{State: account.Active, Password: true, RuleOf: "Contoso"}
							if strings.HasSuffix(factors, "keys only") {
								f.Rules.Factors, c.FactorsOf = []policy.Kind{policy.Passkey}, "Acme"
							}
							switch strings.TrimSuffix(factors, ", keys only") {
							case "app":
								f.Enrolled = []policy.Step{policy.AskTOTP}
							case "key":
								f.Enrolled = []policy.Step{policy.AskPasskey}
							case "both":
								f.Enrolled = []policy.Step{policy.AskPasskey, policy.AskTOTP}
							}
							name := fmt.Sprintf("%s, %s, %s", mode, date.name, map[bool]string{true: "administrator", false: "member"}[administrative]) + ", " + factors
							if linked {
								c.Home = "Contoso"
								name += ", linked"
							}
							if exempt {
								f.Exempt, c.ExemptReason = now.Add(48*time.Hour), "new phone on its way"
								name += ", excepted"
							}
							c.Facts = f
							tell(name, c)
						}
					}
				}
			}
		}
	}
	// What keeps someone out whatever the rules.
	base := signin.Case{State: account.Active, Password: true,
		Facts: policy.Facts{Now: now, Rules: policy.Defaults(), Known: true, Active: true, Roles: 1, Enrolled: []policy.Step{policy.AskTOTP}}}
	for _, one := range []struct {
		name   string
		change func(*signin.Case)
	}{
		{"all well", func(*signin.Case) {}},
		{"invited", func(c *signin.Case) {
			c.State, c.Facts.Active, c.Facts.Enrolled, c.LinkUntil = account.Invited, false, nil, now.Add(time.Hour)
		}},
		{"invited, link ended", func(c *signin.Case) { c.State, c.Facts.Active, c.Facts.Enrolled = account.Invited, false, nil }},
		{"invited, not delivered", func(c *signin.Case) {
			c.State, c.Facts.Active, c.Facts.Enrolled, c.MailError = account.Invited, false, nil, "550 no such mailbox"
		}},
		{"disabled", func(c *signin.Case) { c.State, c.Facts.Active = account.Disabled, false }},
		{"suspended", func(c *signin.Case) { c.Facts.Suspended = true }},
		{"deleting", func(c *signin.Case) { c.Facts.Deleting = true }},
		{"no role", func(c *signin.Case) { c.Facts.Roles = 0 }},
		{"ended", func(c *signin.Case) { c.Facts.Roles, c.Facts.EndedRoles = 0, 1 }},
		{"password disabled", func(c *signin.Case) { c.Password, c.Failures = false, true }},
		{"password disabled, with a passkey", func(c *signin.Case) {
			c.Password, c.Failures, c.Facts.Enrolled = false, true, []policy.Step{policy.AskPasskey}
		}},
		{"no password", func(c *signin.Case) { c.Password = false }},
		{"waiting", func(c *signin.Case) { c.Wait = 4 * time.Minute }},
		{"second factor disabled", func(c *signin.Case) { c.Facts.Enrolled, c.Facts.SecondDisabled = nil, true }},
		{"second factor disabled, recovery codes left", func(c *signin.Case) { c.Facts.Enrolled, c.Facts.SecondDisabled, c.Facts.Recovery = nil, true, true }},
		{"home account disabled", func(c *signin.Case) { c.Home, c.State, c.Facts.Active = "Contoso", account.Disabled, false }},
	} {
		c := base
		one.change(&c)
		tell(one.name, c)
	}
	var out strings.Builder
	for i, s := range sentences {
		fmt.Fprintf(&out, "%2d %s\n", i+1, s)
	}
	got := out.String() + "\n" + cases.String()
	file := filepath.Join("testdata", "explain.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // no secret
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (run with -update and read the change):\n%s", file, diff)
	}
}

// agrees holds a verdict against the decisions of which the sign-in is made.
func agrees(t *testing.T, name string, c signin.Case, verdict signin.Line) {
	t.Helper()
	f := c.Facts
	f.PasswordProved = true
	path := policy.Path(f)
	finishes := path[len(path)-1].Step == policy.FinishSession && c.State == account.Active
	enrols := slices.ContainsFunc(path, func(d policy.Decision) bool { return d.Step == policy.ChooseFactor })
	key := slices.Contains(f.Enrolled, policy.AskPasskey)
	want := "explain.verdict.yes"
	switch {
	case !finishes, (c.Failures || !c.Password) && !key:
		want = "explain.verdict.no"
	case enrols:
		want = "explain.verdict.enrol"
	case c.Wait > 0:
		want = "explain.verdict.wait"
	}
	if verdict.Key != want {
		t.Errorf("%s: %s, want %s", name, verdict.Key, want)
	}
}
