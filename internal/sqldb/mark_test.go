package sqldb_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// A mark brings back its keys in its own scope, and nothing else is taken for one.
func TestMark(t *testing.T) {
	for _, keys := range [][]string{{"a"}, {"", ""}, {"Ünal ✓", "acc_1"}, {"\x1f\"\\", "0", "-1"}} {
		m := sqldb.Mark("people org_1 name", keys...)
		if got, ok := sqldb.Unmark("people org_1 name", m, len(keys)); !ok || !slices.Equal(got, keys) {
			t.Errorf("%q became %q (%v)", keys, got, ok)
		}
		for _, scope := range []string{"people org_2 name", "people org_1 -name", ""} {
			if _, ok := sqldb.Unmark(scope, m, len(keys)); ok {
				t.Errorf("%q is taken in %q", m, scope)
			}
		}
		if _, ok := sqldb.Unmark("people org_1 name", m, len(keys)+1); ok {
			t.Errorf("%q has another number of keys", m)
		}
		for i := range m { // every mark that was cut or changed at one place is refused, or is another one: it never fails
			sqldb.Unmark("people org_1 name", m[:i], len(keys))
			sqldb.Unmark("people org_1 name", m[:i]+"A"+m[i+1:], len(keys))
		}
	}
	raw, _ := base64.RawURLEncoding.DecodeString(sqldb.Mark("s", "a"))
	for _, hostile := range []string{"", "a", "%", "../..", "null", strings.Repeat("A", 1<<20), sqldb.Mark("s", "a\x00b"), sqldb.Mark("s"), sqldb.Mark("s", "a") + "=", " " + sqldb.Mark("s", "a"),
		base64.RawURLEncoding.EncodeToString(append(slices.Clone(raw[:6]), `[1]`...)), base64.RawURLEncoding.EncodeToString(append(slices.Clone(raw[:6]), `{"a":1}`...)),
		base64.RawURLEncoding.EncodeToString(append(slices.Clone(raw), 'x')), base64.StdEncoding.EncodeToString(raw) + "\n"} {
		if keys, ok := sqldb.Unmark("s", hostile, 1); ok {
			t.Errorf("%.40q is taken: %q", hostile, keys)
		}
	}
}

// A pattern finds the beginning of a text and of its words, on both databases alike, whatever stands in it.
func TestBeginning(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		for _, one := range []struct {
			text, search string
			found        int
		}{
			{"rita lang", "ri", 1}, {"rita lang", "lang", 1}, {"rita lang", "rita l", 1}, {"rita lang", "ang", 0}, {"rita lang", "", 0}, {"", "", 0},
			{"100% sure", "100%", 1}, {"100 sure", "100%", 0}, {"a_b", "a_", 1}, {"axb", "a_", 0}, {`a\b`, `a\`, 1}, {"a%", `a\`, 0}, {"straße", "stra", 1},
			{"ümit", "ü", 1}, {"Ümit", "ü", 0}, {"it's", "it'", 1},
		} {
			n, err := sqldb.One(db.Read(t.Context()), sqldb.Value[int], `select count(*) from (select cast($1 as text) as name) x where ' ' || name like $2 escape '\'`,
				one.text, sqldb.Beginning(one.search))
			if err != nil || n != one.found {
				t.Errorf("%q in %q: %d (%v)", one.search, one.text, n, err)
			}
		}
	})
}
