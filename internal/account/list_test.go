package account_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// hall is a town with an organisation of many people, thrown so that there are ties in everything but the address.
type hall struct {
	*town
	people []account.Listed // all of them, as they are in the database
}

func fill(w *town, n int) *hall {
	h := &hall{town: w}
	names := []string{"", "Ada Berg", "ada berg", "Ümit Öztürk", "Zoe", "Łukasz von Berg", "100% Real_Name", "Émile"}
	states := []account.State{account.Active, account.Active, account.Active, account.Invited, account.Disabled}
	roles := []string{access.Core, access.Core, access.Viewer, access.Auditor, ""}
	seen := []time.Duration{0, 0, time.Hour, 5 * 24 * time.Hour, 40 * 24 * time.Hour, 40 * 24 * time.Hour, 100 * 24 * time.Hour}
	w.must(w.DB.Write(w.Context(), func(tx sqldb.Tx) error {
		for i := range n {
			now := w.Now().Add(time.Duration(i/3) * time.Second) // three of each moment
			email := fmt.Sprintf("p%d@x.example", i)
			a, err := account.Insert(tx, now, account.Account{Org: w.fabrikam.ID, Email: strings.ToUpper(email[:1]) + email[1:], EmailKey: email, Name: names[i%len(names)], State: states[i%len(states)]})
			if err != nil {
				return err
			}
			if role := roles[i*7%len(roles)]; role != "" {
				if err := access.Assign(tx, now, w.fabrikam.ID, a, role, time.Time{}); err != nil {
					return err
				}
			}
			last := int64(0)
			if s := seen[i*3%len(seen)]; s > 0 {
				last = sqldb.Micros(w.Now().Add(-s))
			}
			var home any
			if i%11 == 10 {
				home = string(id.New[id.Account](now))
			}
			if _, err := tx.Exec(`update accounts set last_sign_in_at = $1, home_id = $2 where id = $3`, last, home, a); err != nil {
				return err
			}
			for k, kind := range [][]string{nil, {"totp"}, {"passkey"}, {"totp", "totp", "passkey"}, nil}[i%5] {
				state := "active"
				if i%25 == 1 {
					state = "disabled"
				}
				if _, err := tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, lookup, counter, data, created_at, last_used_at)
					values ($1, $2, $3, $4, '', $5, $6, 0, '{}', 0, 0)`, id.New[id.Factor](now), w.fabrikam.ID, a, kind, state, fmt.Sprintf("%d.%d", i, k)); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at)
				values ($1, $2, $3, 'recovery', '', 'active', 0, '{}', 0, 0)`, id.New[id.Factor](now), w.fabrikam.ID, a); err != nil {
				return err
			}
		}
		return nil
	}))
	all, next, err := account.People(w.DB.Read(w.Context()), w.fabrikam.ID, account.Filter{Most: n + 10})
	w.must(err)
	if len(all) != n+1 || next != "" { // Bea as well
		w.Fatalf("%d of %d people", len(all), n+1)
	}
	h.people = all
	return h
}

// pages walks through a list in pages of that size.
func (h *hall) pages(f account.Filter, most int) (list []account.Listed) {
	h.Helper()
	f.Most, f.Now = most, h.Now()
	for range 2000 {
		some, next, err := account.People(h.DB.Read(h.Context()), h.fabrikam.ID, f)
		if err != nil || len(some) > most || len(some) < most && next != "" {
			h.Fatalf("%d of %d, next %q (%v)", len(some), most, next, err)
		}
		list = append(list, some...)
		if next == "" {
			return list
		}
		f.After = next
	}
	h.Fatal("the pages never end")
	return nil
}

// key is what an order compares, before the id.
func key(o account.Order) func(a, b account.Listed) int {
	ascii := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				return r + 32
			}
			return r
		}, s)
	}
	return func(a, b account.Listed) int {
		switch o {
		case account.ByName:
			return cmp.Or(cmp.Compare(ascii(cmp.Or(a.Name, a.EmailKey)), ascii(cmp.Or(b.Name, b.EmailKey))), cmp.Compare(a.ID, b.ID))
		case account.BySeen:
			return cmp.Or(a.LastSignIn.Compare(b.LastSignIn), cmp.Compare(a.ID, b.ID))
		case account.ByCreated:
			return cmp.Compare(a.ID, b.ID)
		}
		return cmp.Compare(a.EmailKey, b.EmailKey)
	}
}

func ids(list []account.Listed) (out []id.Account) {
	for _, l := range list {
		out = append(out, l.ID)
	}
	return out
}

// In each order, up and down, with each filter and every size of a page, everybody who belongs there comes exactly once and in their place.
func TestPeople(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		h := fill(build(t, d), 90)
		has := func(role string) func(account.Listed) bool {
			return func(l account.Listed) bool {
				return slices.ContainsFunc(l.Roles, func(a access.Assignment) bool { return a.Role == role })
			}
		}
		before := func(days int) func(account.Listed) bool {
			return func(l account.Listed) bool {
				return !l.LastSignIn.IsZero() && !l.LastSignIn.After(h.Now().AddDate(0, 0, -days))
			}
		}
		begins := func(s string) func(account.Listed) bool {
			return func(l account.Listed) bool {
				return strings.HasPrefix(l.EmailKey, s) || strings.Contains(" "+strings.ToLower(l.Name), " "+s)
			}
		}
		for name, one := range map[string]struct {
			account.Filter
			fits func(account.Listed) bool
		}{
			"everybody": {account.Filter{}, func(account.Listed) bool { return true }},
			"spaces":    {account.Filter{Search: " \u00a0"}, func(account.Listed) bool { return true }},
			"active":    {account.Filter{State: account.Active}, func(l account.Listed) bool { return l.State == account.Active }},
			"disabled":  {account.Filter{State: account.Disabled}, func(l account.Listed) bool { return l.State == account.Disabled }},
			"auditors":  {account.Filter{Role: access.Auditor}, has(access.Auditor)},
			"no role":   {account.Filter{Role: "rol_none"}, func(account.Listed) bool { return false }},
			"linked":    {account.Filter{Source: account.LinkedSource}, func(l account.Listed) bool { return l.Linked() }},
			"own":       {account.Filter{Source: account.OwnSource}, func(l account.Listed) bool { return !l.Linked() }},
			"a factor":  {account.Filter{Factor: account.WithFactor}, func(l account.Listed) bool { return l.Seconds() > 0 }},
			"no factor": {account.Filter{Factor: account.WithoutFactor}, func(l account.Listed) bool { return l.Seconds() == 0 && !l.Linked() }},
			"an app":    {account.Filter{Factor: account.WithApp}, func(l account.Listed) bool { return l.Apps > 0 }},
			"a passkey": {account.Filter{Factor: account.WithPasskey}, func(l account.Listed) bool { return l.Passkeys > 0 }},
			"never":     {account.Filter{Seen: account.SeenNever}, func(l account.Listed) bool { return l.LastSignIn.IsZero() }},
			"this week": {account.Filter{Seen: account.SeenWeek}, func(l account.Listed) bool { return l.LastSignIn.After(h.Now().AddDate(0, 0, -7)) }},
			"a month":   {account.Filter{Seen: account.SeenMonth}, before(30)},
			"a quarter": {account.Filter{Seen: account.SeenQuarter}, before(90)},
			"p1":        {account.Filter{Search: " P1"}, begins("p1")},
			"a word":    {account.Filter{Search: "berg"}, begins("berg")},
			"two words": {account.Filter{Search: "ADA  be"}, begins("ada be")},
			"ümit":      {account.Filter{Search: "ümit ö"}, begins("ümit ö")},
			"ÖZTÜRK":    {account.Filter{Search: "ÖZTÜRK"}, begins("öztürk")},
			"łu":        {account.Filter{Search: "łu"}, begins("łu")},
			"per cent":  {account.Filter{Search: "100%"}, begins("100%")},
			"percents":  {account.Filter{Search: "%"}, func(account.Listed) bool { return false }},
			"line":      {account.Filter{Search: "_"}, func(account.Listed) bool { return false }},
			"middle":    {account.Filter{Search: "x.example"}, func(account.Listed) bool { return false }},
			"most":      {account.Filter{Search: "\U0010ffff"}, func(account.Listed) bool { return false }},
			"all at once": {account.Filter{Search: "p", State: account.Active, Role: access.Core, Factor: account.WithApp, Source: account.OwnSource, Seen: account.SeenMonth},
				func(l account.Listed) bool {
					return begins("p")(l) && l.State == account.Active && has(access.Core)(l) && l.Apps > 0 && !l.Linked() && before(30)(l)
				}},
		} {
			for _, by := range account.Orders {
				var want []account.Listed
				for _, l := range h.people {
					if one.fits(l) {
						want = append(want, l)
					}
				}
				slices.SortFunc(want, key(by))
				for _, order := range []account.Order{by, by.Down()} {
					one.Order = order
					for _, most := range []int{1, 7, len(want), len(want) + 1, 100} {
						if most == 0 || most == 1 && len(want) > 30 {
							continue
						}
						if got := h.pages(one.Filter, most); !slices.Equal(ids(got), ids(want)) {
							t.Errorf("%s by %q, %d a page: %d people in another order than %d", name, order, most, len(got), len(want))
						}
					}
					slices.Reverse(want)
				}
			}
		}
		c, err := account.Count(h.DB.Read(t.Context()), h.fabrikam.ID)
		if want := (account.Counts{Invited: 18, Active: 55, Disabled: 18}); err != nil || c != want {
			t.Errorf("counts %+v (%v)", c, err)
		}
		if got, _, err := account.People(h.DB.Read(t.Context()), h.tailspin.ID, account.Filter{Most: 5}); err != nil || len(got) != 0 {
			t.Errorf("an organisation without people lists %v (%v)", got, err)
		}
		h.exec(`delete from accounts where email_key like 'p%'`) // they took no seats
	})
}

// What no page of ours asks for is refused: it neither reaches the database nor shows another list.
func TestPeopleRefuses(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		h := fill(build(t, d), 12)
		tx := h.DB.Read(t.Context())
		_, mark, err := account.People(tx, h.fabrikam.ID, account.Filter{Most: 3, Order: account.BySeen})
		h.must(err)
		_, narrow, err := account.People(tx, h.fabrikam.ID, account.Filter{Most: 3, Search: "p"})
		h.must(err)
		for name, f := range map[string]account.Filter{
			"state": {State: "odd"}, "state'": {State: "active' or 1=1 --"}, "factor": {Factor: "password"}, "source": {Source: "foreign"}, "seen": {Seen: "1"}, "order": {Order: "password_hash"},
			"order'": {Order: "email; drop table accounts"}, "minus": {Order: "--email"}, "only minus": {Order: "-"}, "nul": {Search: "a\x00b"}, "no text": {Search: "a\xff"},
			"long": {Search: strings.Repeat("a", 255)}, "long role": {Role: strings.Repeat("a", 255)}, "role nul": {Role: "\x00"}, "mark": {After: "p1@x.example"}, "long mark": {After: strings.Repeat("A", 10000)},
			"mark of another order": {After: mark, Order: account.ByName}, "of the order turned": {After: mark, Order: account.BySeen.Down()}, "of a narrower list": {After: narrow},
			"of another search": {After: narrow, Search: "P"}, "no number": {Order: account.BySeen, After: sqldb.Mark(strings.Join([]string{"people", string(h.fabrikam.ID), "seen", "", "", "", "", "", ""}, "\x00"), "x", "acc_1")},
		} {
			f.Most = 3
			if got, _, err := account.People(tx, h.fabrikam.ID, f); !refusal.Is(err, refusal.Invalid) || got != nil {
				t.Errorf("%s: %d people, %v", name, len(got), err)
			}
		}
		if _, _, err := account.People(tx, h.tailspin.ID, account.Filter{Most: 3, Order: account.BySeen, After: mark}); !refusal.Is(err, refusal.Invalid) {
			t.Errorf("another organisation's mark: %v", err)
		}
		if got, _, err := account.People(tx, h.fabrikam.ID, account.Filter{Most: 3, Role: "' or '1'='1"}); err != nil || len(got) != 0 {
			t.Errorf("a role of nobody: %v (%v)", got, err)
		}
		h.exec(`delete from accounts where email_key like 'p%'`)
	})
}

// exec changes the database behind Doorward's back.
func (w *town) exec(query string, args ...any) {
	w.Helper()
	w.must(w.DB.Write(w.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(query, args...); return err }))
}
