package org_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// estate is an MSP with customers of all sorts, and another one beside it.
type estate struct {
	nursery
	msp    org.Org
	all    []org.Listed
	groups [2]id.Group
	member [2]map[id.Org]bool // of each group
	ann    id.Account         // is in both groups
	bob    id.Account         // is in none
}

func build(t *testing.T, d sqldb.Dialect) *estate {
	t.Helper()
	e := &estate{nursery: nursery{t, doortest.DB(t, d)}, ann: id.New[id.Account](now), bob: id.New[id.Account](now)}
	provider := e.must(org.New{Kind: access.Provider, Slug: "acme", Name: "Acme"})
	e.msp = e.must(org.New{Kind: access.MSP, Parent: provider.ID, Slug: "contoso", Name: "Contoso"})
	other := e.must(org.New{Kind: access.MSP, Parent: provider.ID, Slug: "litware", Name: "Litware"})
	names := []string{"Alpha", "alpha", "ALPHA", "Älpha", "Beta", "beta 10", "Beta 2", "Straße", "strasse 2", "Ω", "zeta", "👍", "100% Real_Name", "Beta"}
	var groups [2][]id.Org
	for i, name := range names {
		o := e.must(org.New{Kind: access.Customer, Parent: e.msp.ID, Slug: fmt.Sprintf("c%d", i), Name: name})
		for g := range groups {
			if (i+g)%3 == 0 {
				groups[g] = append(groups[g], o.ID)
			}
		}
		e.exec(`insert into seats (org_id, seat_limit, used) values ($1, 5, $2)`, o.ID, i%4)
		e.exec(`update orgs set created_at = $1 where id = $2`, sqldb.Micros(now.Add(time.Duration(i/4)*time.Hour)), o.ID)
		if i%5 == 1 {
			e.exec(`update org_nodes set state = 'suspended' where id = $1`, o.ID)
		}
		for k := range i % 3 {
			e.exec(`insert into org_tags (org_id, tag_key, tag) values ($1, $2, $3)`, o.ID, []string{"gold", "süd west"}[k], []string{"Gold", "Süd West"}[k])
		}
		if i%2 == 0 {
			e.exec(`insert into org_health (org_id, people, covered, pending, overdue, exempt, last_sign_in_at, deadline_at, judged_at) values ($1, 9, 4, 3, 1, 1, $2, 0, $2)`,
				o.ID, sqldb.Micros(now))
		}
	}
	e.must(org.New{Kind: access.Customer, Parent: other.ID, Slug: "foreign", Name: "Alpha Foreign"})
	if err := e.db.Write(t.Context(), func(tx sqldb.Tx) (err error) {
		for g := range groups {
			if e.groups[g], err = access.Group(tx, now, e.msp.ID, fmt.Sprint("group ", g), groups[g], []id.Account{e.ann}); err != nil {
				return err
			}
			e.member[g] = map[id.Org]bool{}
			for _, o := range groups[g] {
				e.member[g][o] = true
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e.all = e.pages(org.Filter{}, 100)
	if len(e.all) != len(names) {
		t.Fatalf("%d of %d", len(e.all), len(names))
	}
	return e
}

func (e *estate) exec(query string, args ...any) {
	e.Helper()
	if err := e.db.Write(e.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		e.Fatal(err)
	}
}

// pages walks through a list in pages of that size.
func (e *estate) pages(f org.Filter, most int) (list []org.Listed) {
	e.Helper()
	f.Most = most
	for range 100 {
		some, next, err := org.List(e.db.Read(e.Context()), e.msp.ID, f)
		if err != nil || len(some) > most || len(some) < most && next != "" {
			e.Fatalf("%d of %d, next %q (%v)", len(some), most, next, err)
		}
		list = append(list, some...)
		if next == "" {
			return list
		}
		f.After = next
	}
	e.Fatal("the pages never end")
	return nil
}

// In each order, up and down, with each filter and every size of a page, each child that belongs there comes exactly once and in its place, and
// none of another branch.
func TestList(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		e := build(t, d)
		begins := func(s string) func(org.Listed) bool {
			return func(l org.Listed) bool {
				return strings.HasPrefix(l.Slug, s) || strings.Contains(" "+org.Fold(l.Name), " "+s)
			}
		}
		for name, one := range map[string]struct {
			org.Filter
			fits func(org.Listed) bool
			n    int
		}{
			"all":        {org.Filter{}, func(org.Listed) bool { return true }, 14},
			"spaces":     {org.Filter{Search: "  "}, func(org.Listed) bool { return true }, 14},
			"suspended":  {org.Filter{State: access.Suspended}, func(l org.Listed) bool { return l.State == access.Suspended }, 3},
			"deleting":   {org.Filter{State: access.Deleting}, func(org.Listed) bool { return false }, 0},
			"customers":  {org.Filter{Kind: access.Customer}, func(org.Listed) bool { return true }, 14},
			"MSPs":       {org.Filter{Kind: access.MSP}, func(org.Listed) bool { return false }, 0},
			"group":      {org.Filter{Group: e.groups[1]}, func(l org.Listed) bool { return e.member[1][l.ID] }, 4},
			"ann":        {org.Filter{Groups: e.ann}, func(l org.Listed) bool { return e.member[0][l.ID] || e.member[1][l.ID] }, 9},
			"bob":        {org.Filter{Groups: e.bob}, func(org.Listed) bool { return false }, 0},
			"ann, group": {org.Filter{Groups: e.ann, Group: e.groups[0]}, func(l org.Listed) bool { return e.member[0][l.ID] }, 5},
			"alpha":      {org.Filter{Search: " ALPHA "}, begins("alpha"), 3},
			"älp":        {org.Filter{Search: "Älp"}, begins("älp"), 1},
			"beta 1":     {org.Filter{Search: "beta 1"}, begins("beta 1"), 1},
			"a word":     {org.Filter{Search: "real"}, begins("real"), 1},
			"ss":         {org.Filter{Search: "STRASSE"}, begins("strasse"), 2},
			"slug":       {org.Filter{Search: "C1"}, begins("c1"), 5},
			"ω":          {org.Filter{Search: "ω"}, begins("ω"), 1},
			"thumb":      {org.Filter{Search: "👍"}, begins("👍"), 1},
			"per cent":   {org.Filter{Search: "100%"}, begins("100%"), 1},
			"%":          {org.Filter{Search: "%"}, begins("%"), 0},
			"_":          {org.Filter{Search: "_"}, begins("_"), 0},
			"foreign":    {org.Filter{Search: "foreign"}, begins("foreign"), 0},
			"gold":       {org.Filter{Tag: " GOLD"}, func(l org.Listed) bool { return slices.Contains(l.Tags, "Gold") }, 9},
			"two words":  {org.Filter{Tag: "süd  west", State: access.Active}, func(l org.Listed) bool { return len(l.Tags) == 2 && l.State == access.Active }, 3},
			"no tag":     {org.Filter{Tag: "gol"}, func(org.Listed) bool { return false }, 0},
			"together":   {org.Filter{Search: "beta", State: access.Active, Kind: access.Customer, Groups: e.ann, Group: e.groups[0]}, func(l org.Listed) bool { return begins("beta")(l) && l.State == access.Active && e.member[0][l.ID] }, 0},
		} {
			for _, by := range org.Orders {
				var want []org.Listed
				for _, l := range e.all {
					if one.fits(l) {
						want = append(want, l)
					}
				}
				if len(want) != one.n {
					t.Errorf("%s: %d fit", name, len(want))
				}
				slices.SortFunc(want, func(a, b org.Listed) int {
					switch by {
					case org.ByCreated:
						return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
					case org.BySeats:
						return cmp.Or(a.Used-b.Used, cmp.Compare(a.ID, b.ID))
					}
					return cmp.Or(cmp.Compare(org.Fold(a.Name), org.Fold(b.Name)), cmp.Compare(a.ID, b.ID))
				})
				for _, order := range []org.Order{by, by.Down()} {
					one.Order = order
					for most := 1; most <= 15; most += 2 {
						if got := e.pages(one.Filter, most); !slices.EqualFunc(got, want, func(a, b org.Listed) bool { return reflect.DeepEqual(a, b) }) {
							t.Errorf("%s by %s, %d a page: %v instead of %v", name, order, most, got, want)
						}
					}
					slices.Reverse(want)
				}
			}
		}
		for _, l := range e.all {
			judged := !l.Health.Judged.IsZero()
			if l.Limit != 5 || judged != (l.Health.People == 9) || judged && (!l.Health.LastSignIn.Equal(now) || l.Health.Overdue != 1) {
				t.Errorf("listed %+v", l)
			}
			h, err := org.HealthOf(e.db.Read(t.Context()), l.ID)
			if err != nil || h != l.Health {
				t.Errorf("%+v is %+v alone (%v)", l.Health, h, err)
			}
		}
		for who, want := range map[id.Account][]string{"": {"Gold", "Süd West"}, e.ann: {"Gold", "Süd West"}, e.bob: nil} {
			if got, err := org.TagsBelow(e.db.Read(t.Context()), e.msp.ID, who); err != nil || !slices.Equal(got, want) {
				t.Errorf("tags for %q: %q (%v)", who, got, err)
			}
		}
		top, _, err := org.List(e.db.Read(t.Context()), e.msp.Parent, org.Filter{Most: 5})
		if err != nil || len(top) != 2 || top[0].Below != 14 || top[1].Below != 1 || top[0].ListPath() != "/o/contoso/orgs" || top[0].Limit != -1 {
			t.Errorf("the provider's list is %+v (%v)", top, err)
		}
	})
}

// What no page of ours asks for is refused.
func TestListRefuses(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		e := build(t, d)
		tx := e.db.Read(t.Context())
		_, mark, err := org.List(tx, e.msp.ID, org.Filter{Most: 3, Order: org.BySeats})
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]org.Filter{
			"state": {State: "odd"}, "kind": {Kind: access.Provider}, "group": {Group: "grp_1"}, "group'": {Group: "' or 1=1"}, "order": {Order: "id; drop table orgs"}, "minus": {Order: "--name"},
			"nul": {Search: "a\x00"}, "nul tag": {Tag: "a\x00"}, "long tag": {Tag: strings.Repeat("a", 300)}, "no text": {Search: "\xff"}, "long": {Search: strings.Repeat("ä", 200)}, "mark": {After: "alpha\x1forg_1"}, "another order's": {After: mark},
			"turned": {After: mark, Order: org.BySeats.Down()}, "a narrower list's": {After: mark, Order: org.BySeats, Search: "a"}, "somebody else's": {After: mark, Order: org.BySeats, Groups: e.ann},
			"no number": {Order: org.BySeats, After: sqldb.Mark(strings.Join([]string{"orgs", string(e.msp.ID), "seats", "", "", "", "", "", ""}, "\x00"), "x", "org_1")},
		} {
			f.Most = 3
			if got, _, err := org.List(tx, e.msp.ID, f); !refusal.Is(err, refusal.Invalid) || got != nil {
				t.Errorf("%s: %d, %v", name, len(got), err)
			}
		}
		if _, _, err := org.List(tx, e.msp.Parent, org.Filter{Most: 3, Order: org.BySeats, After: mark}); !refusal.Is(err, refusal.Invalid) {
			t.Errorf("another organisation's mark: %v", err)
		}
	})
}
