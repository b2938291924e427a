package org_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func TestFoldSlug(t *testing.T) {
	long := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"fabrikam": "fabrikam", "Fabrikam": "fabrikam", "  fabrikam \t": "fabrikam", "123456.sms": "123456.sms", "a": "a", "7": "7", "a-b.c-d": "a-b.c-d",
		"FABRIKAM.SMS": "fabrikam.sms", long: long, "me2": "me2", "apis": "apis", "www.fabrikam": "www.fabrikam", "xn-a": "xn-a",
	} {
		if got, fault := org.FoldSlug(in); got != want || fault != nil {
			t.Errorf("%q gives %q, %v; want %q", in, got, fault, want)
		}
	}
	for key, list := range map[string][]string{
		"slug.missing":  {"", "   ", "\t\n"},
		"slug.long":     {long + "a", strings.Repeat("x", 100_000)},
		"slug.reserved": {"admin", "api", "assets", "doorward", "login", "logout", "me", "o", "oauth", "root", "scim", "support", "system", "www", "API", " Www "},
		"slug.form": {".", "..", "-", "a.", ".a", "-a", "a-", "a..b", "a--b", "a.-b", "a-.b", "a b", "a_b", "a/b", "a\\b", "a%2fb", "a?b", "a#b", "a@b", "a:b", "a,b",
			"xn--mnchen-3ya", "a\x00b", "a\nb", "<b>", "münchen", "fаbrikam" /* Cyrillic а */, "ｆabrikam", "\u212abrikam" /* Kelvin */, "fabrikam\u200b",
			"ſ", "ﬀ", "fabrikam\u00a0", "fab\u00adrikam", "İ", "①", "\xff", "https://door.example/o/fabrikam"},
	} {
		for _, in := range list {
			got, fault := org.FoldSlug(in)
			if fault == nil || fault.Key != key || fault.Field != "slug" || fault.Code != refusal.Invalid || got != "" {
				t.Errorf("%.80q gives %q, %v; want %s", in, got, fault, key)
			}
		}
	}
}

// A folded tenant domain stays as it is, goes into a URL unescaped, and has no second spelling that is kept apart.
func FuzzFoldSlug(f *testing.F) {
	for _, s := range []string{"fabrikam", "A.b-C", " x ", "ſ", "\u212a", "a\x00", "..", "me"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, fault := org.FoldSlug(s)
		if fault != nil {
			return
		}
		again, fault := org.FoldSlug(got)
		if fault != nil || again != got || len(got) > 63 || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			t.Errorf("%q gives %q, and that %q (%v)", s, got, again, fault)
		}
		if upper, fault := org.FoldSlug(strings.ToUpper(got)); fault != nil || upper != got {
			t.Errorf("in capitals %q gives %q (%v)", got, upper, fault)
		}
	})
}

func TestCheckName(t *testing.T) {
	long := strings.Repeat("é", 100)
	for in, want := range map[string]string{
		"Fabrikam": "Fabrikam", "  Fabrikam   Inc.\t": "Fabrikam Inc.", "Müller & Söhne": "Müller & Söhne", "Mu\u0308ller": "Müller", "東京": "東京",
		long: long, "O'Brien <b>": "O'Brien <b>", "a\nb": "a b", "=cmd|' /c calc'!A1": "=cmd|' /c calc'!A1", "Café 🚪": "Café 🚪",
	} {
		if got, fault := org.CheckName(in); got != want || fault != nil {
			t.Errorf("%q gives %q, %v; want %q", in, got, fault, want)
		}
	}
	for key, list := range map[string][]string{
		"name.missing": {"", " ", "\u00a0\u2003"},
		"name.long":    {long + "x", strings.Repeat("x", 100_000)},
		"name.form":    {"a\x00b", "a\x1bb", "Fab\u202erikam", "Fab\u200brikam", "\ufeffFabrikam", "a\u0085b\u0007", "Fab\xffrikam", "\xc3\x28"},
	} {
		for _, in := range list {
			if got, fault := org.CheckName(in); fault == nil || fault.Key != key || fault.Field != "name" || got != "" {
				t.Errorf("%.80q gives %q, %v; want %s", in, got, fault, key)
			}
		}
	}
}

func TestCheckTimeZone(t *testing.T) {
	for zone, ok := range map[string]bool{"UTC": true, "Europe/Berlin": true, "America/Argentina/Buenos_Aires": true, "": false, "Local": false, "Mars/Base": false,
		"../../etc/passwd": false, "/etc/localtime": false, "Europe/Berlin\x00": false, strings.Repeat("x", 100): false} {
		fault := org.CheckTimeZone(zone)
		if (fault == nil) != ok || fault != nil && fault.Field != "time_zone" {
			t.Errorf("%q gives %v", zone, fault)
		}
	}
}

func TestFold(t *testing.T) {
	for _, same := range [][]string{{"Straße", "STRASSE", "strasse"}, {"Müller", "MÜLLER", "mu\u0308ller"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"}} {
		for _, s := range same[1:] {
			if org.Fold(s) != org.Fold(same[0]) {
				t.Errorf("%q and %q fold apart", s, same[0])
			}
		}
	}
	letters := rapid.RuneFrom(nil, unicode.Latin, unicode.Cyrillic, unicode.Han)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(letters).Draw(t, "s")
		if once := org.Fold(s); org.Fold(once) != once {
			t.Fatalf("%q folds to %q and then %q", s, once, org.Fold(once))
		}
	})
}

// nursery makes organisations without anybody in them.
type nursery struct {
	*testing.T
	db *sqldb.DB
}

func (n nursery) make(o org.New) (made org.Org, err error) {
	n.Helper()
	err = n.db.Write(context.Background(), func(tx sqldb.Tx) error {
		made, err = org.Create(tx, now, access.Operator("tester"), o)
		return err
	})
	return made, err
}

func (n nursery) must(o org.New) org.Org {
	n.Helper()
	made, err := n.make(o)
	if err != nil {
		n.Fatal(err)
	}
	return made
}

func TestCreate(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		n := nursery{t, doortest.DB(t, d)}
		read := n.db.Read(t.Context())
		if _, err := org.Provider(read); !refusal.Is(err, refusal.NotFound) {
			t.Errorf("a provider before there is one: %v", err)
		}
		provider := n.must(org.New{Kind: access.Provider, Slug: "Acme", Name: " Acme  Provider ", Language: locale.German, TimeZone: "Europe/Berlin"})
		msp := n.must(org.New{Kind: access.MSP, Parent: provider.ID, Slug: "contoso", Name: "Contoso"})
		customer := n.must(org.New{Kind: access.Customer, Parent: msp.ID, Slug: "fabrikam.sms", Name: "Fabrikam", Language: locale.French, TimeZone: "UTC"})
		if provider.Slug != "acme" || provider.Name != "Acme Provider" || msp.Language != locale.German || msp.TimeZone != "Europe/Berlin" || customer.Language != locale.French {
			t.Errorf("made %+v, %+v, %+v", provider, msp, customer)
		}
		if !cmp.Equal(provider.Rules, policy.Defaults()) || provider.State != access.Active || provider.Setup != org.SetupDone {
			t.Errorf("made %+v", provider)
		}
		for _, o := range []org.Org{provider, msp, customer} {
			if got, err := org.Find(read, o.ID); err != nil || !cmp.Equal(got, o) {
				t.Errorf("found %+v, made %+v (%v)", got, o, err)
			}
			if got, err := org.BySlug(read, strings.ToUpper(o.Slug)); err != nil || !cmp.Equal(got, o) {
				t.Errorf("by tenant domain %+v, made %+v (%v)", got, o, err)
			}
			if events, err := audit.List(read, o.ID, string(o.ID), 9); err != nil || len(events) != 1 || events[0].Action != audit.OrgCreated {
				t.Errorf("the events of %s are %+v (%v)", o.Slug, events, err)
			}
		}
		if events, err := audit.List(read, msp.ID, string(customer.ID), 9); err != nil || len(events) != 1 {
			t.Errorf("the parent's events of its customer are %+v (%v)", events, err)
		}
		if got, err := org.Provider(read); err != nil || !cmp.Equal(got, provider) {
			t.Errorf("the provider is %+v (%v)", got, err)
		}
		if customer.SignInPath() != "/o/fabrikam.sms/login" || customer.HomePath() != "/o/fabrikam.sms/" || msp.Location().String() != "Europe/Berlin" {
			t.Errorf("%s, %s, %s", customer.SignInPath(), customer.HomePath(), msp.Location())
		}
		if (org.Org{TimeZone: "Mars/Base"}).Location() != time.UTC {
			t.Error("a zone that this machine does not know is not UTC")
		}
		for _, row := range []struct {
			name string
			in   org.New
			want []string
		}{
			{"tenant domain taken", org.New{Kind: access.Customer, Parent: msp.ID, Slug: "FABRIKAM.sms", Name: "x"}, []string{"slug slug.taken"}},
			{"everything wrong", org.New{Kind: access.Customer, Parent: msp.ID, Slug: "me", Name: " ", Language: "tlh", TimeZone: "Local"},
				[]string{"name name.missing", "slug slug.reserved", "language language.unknown", "time_zone time_zone.unknown"}},
			{"parent unknown", org.New{Kind: access.Customer, Parent: id.New[id.Org](now), Slug: "x", Name: "x"}, []string{" error.not_found"}},
		} {
			_, err := n.make(row.in)
			r := refusal.As(err)
			if r == nil {
				t.Errorf("%s: %v", row.name, err)
				continue
			}
			var got []string
			for _, e := range append([]*refusal.Error{r}, r.More...) {
				got = append(got, e.Field+" "+e.Key)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("%s: %v, want %v", row.name, got, row.want)
			}
		}
		for _, missing := range []string{"", "nobody", "..", "fаbrikam", "fabrikam"} {
			if _, err := org.BySlug(read, missing); !refusal.Is(err, refusal.NotFound) {
				t.Errorf("%q: %v", missing, err)
			}
		}
		if _, err := org.Find(read, id.New[id.Org](now)); !refusal.Is(err, refusal.NotFound) {
			t.Errorf("a missing organisation: %v", err)
		}
		if _, err := n.make(org.New{Kind: access.Provider, Slug: "second", Name: "Second"}); !sqldb.Unique(err) {
			t.Errorf("a second provider: %v", err)
		}
		all, err := org.All(t.Context(), n.db)
		if err != nil || len(all) != 3 || all[0].ID != provider.ID || all[1].ID != msp.ID || all[2].ID != customer.ID {
			t.Errorf("all are %+v (%v)", all, err)
		}
	})
}
