package id_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/id"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// Ids of one kind never repeat, sort by the millisecond in which they were made, and are UUIDs of version 7 underneath.
func TestNew(t *testing.T) {
	seen := map[id.Account]bool{}
	var inOrder []id.Account
	for i := range 10_000 {
		a := id.New[id.Account](now)
		if seen[a] {
			t.Fatalf("%s comes twice", a)
		}
		seen[a] = true
		if i%100 == 0 {
			inOrder = append(inOrder, id.New[id.Account](now.Add(time.Duration(i)*time.Millisecond)))
		}
	}
	if !slices.IsSorted(inOrder) {
		t.Errorf("later ones sort before earlier ones: %v", inOrder)
	}
	a := string(id.New[id.Account](now))
	if !strings.HasPrefix(a, "acc_") || len(a) != 30 || strings.Trim(a[4:], "0123456789abcdefghjkmnpqrstvwxyz") != "" {
		t.Errorf("an id is %q", a)
	}
	// 48 bits of milliseconds fill nine signs and three bits of the tenth; four bits of version follow.
	if a[4:13] != string(id.New[id.Account](now))[4:13] || a[4:13] == string(id.New[id.Account](now.Add(time.Second)))[4:13] {
		t.Errorf("the time is not at the beginning of %q", a)
	}
}

func TestParse(t *testing.T) {
	good := string(id.New[id.Org](now))
	if got, ok := id.Parse[id.Org](good); !ok || string(got) != good {
		t.Errorf("%q gives %q, %v", good, got, ok)
	}
	body := strings.TrimPrefix(good, "org_")
	for _, s := range []string{"", "org_", good[:29], good + "0", "acc_" + body, "org" + body, "ORG_" + body, "org_" + strings.ToUpper(body), " " + good, good + "\n",
		"org_" + body[:24] + "\r\n", "org_" + body[:24] + "\n\n", "org_" + body[:25] + "u", "org_" + body[:25] + "-", "org_" + strings.Repeat("é", 13), "org_" + body[:25] + "\x00",
		"org_" + body[:24] + "==", "org_' or '1'='1", strings.Repeat(good, 1000)} {
		if got, ok := id.Parse[id.Org](s); ok {
			t.Errorf("%.60q gives %q", s, got)
		}
	}
	if _, ok := id.Parse[id.Account](good); ok {
		t.Error("an organisation's id passes for an account's")
	}
}

// No two kinds share a prefix.
func TestPrefixes(t *testing.T) {
	prefixes := []string{id.Org("").Prefix(), id.Account("").Prefix(), id.Assignment("").Prefix(), id.Role("").Prefix(), id.Group("").Prefix(), id.Link("").Prefix(),
		id.Factor("").Prefix(), id.Attempt("").Prefix(), id.Session("").Prefix(), id.Event("").Prefix(), id.Message("").Prefix(), id.Device("").Prefix(), id.Move("").Prefix()}
	slices.Sort(prefixes)
	if n := len(prefixes); len(slices.Compact(prefixes)) != n {
		t.Errorf("prefixes are %v", prefixes)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(id.New[id.Org](now)))
	f.Add("org_000000000000000000000000\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := id.Parse[id.Org](s); ok && (len(got) != 30 || strings.Trim(string(got[4:]), "0123456789abcdefghjkmnpqrstvwxyz") != "") {
			t.Errorf("%q gives %q", s, got)
		}
	})
}
