package license_test

import (
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

func TestSeats(t *testing.T) {
	for _, row := range []struct {
		limit, used int
		free        bool
		left        int
		share       float64
	}{
		{5, 0, true, 5, 0}, {5, 4, true, 1, 0.8}, {5, 5, false, 0, 1}, {5, 7, false, 0, 1}, {0, 0, false, 0, 0}, {0, 3, false, 0, 0},
		{license.Unlimited, 0, true, license.Unlimited, 0}, {license.Unlimited, 1000, true, license.Unlimited, 0},
	} {
		s := license.Seats{Limit: row.limit, Used: row.used}
		if s.Free() != row.free || s.Left() != row.left || s.Share() != row.share {
			t.Errorf("%+v: free %v, left %d, share %v", s, s.Free(), s.Left(), s.Share())
		}
	}
}

func TestTakeSeat(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
		write := func(fn func(tx sqldb.Tx) error) error { return db.Write(t.Context(), fn) }
		orgs := map[access.OrgKind]id.Org{}
		for _, kind := range []access.OrgKind{access.Provider, access.MSP, access.Customer} {
			orgs[kind] = id.New[id.Org](now)
			if err := write(func(tx sqldb.Tx) error {
				if err := access.Attach(tx, access.Node{ID: orgs[kind], Kind: kind, State: access.Active}); err != nil {
					return err
				}
				return license.Open(tx, orgs[kind], kind)
			}); err != nil {
				t.Fatal(err)
			}
		}
		seats := func(kind access.OrgKind, limit, used int) {
			t.Helper()
			s, err := license.SeatsOf(db.Read(t.Context()), orgs[kind])
			if err != nil || s != (license.Seats{Limit: limit, Used: used}) {
				t.Errorf("the %s has %+v (%v), want %d of %d", kind, s, err, used, limit)
			}
		}
		seats(access.Provider, license.Unlimited, 0)
		seats(access.MSP, license.Unlimited, 0)
		seats(access.Customer, 5, 0)
		take := func(kind access.OrgKind) error {
			return write(func(tx sqldb.Tx) error { return license.TakeSeat(tx, now, orgs[kind]) })
		}
		for range 5 {
			for _, kind := range []access.OrgKind{access.Provider, access.MSP, access.Customer} {
				if err := take(kind); err != nil {
					t.Error(err)
				}
			}
		}
		if err := take(access.MSP); err != nil {
			t.Error(err)
		}
		r := refusal.As(take(access.Customer))
		if r == nil || r.Code != refusal.Conflict || r.Key != "seats.full" || r.Args["Limit"] != 5 {
			t.Errorf("the sixth: %#v", r)
		}
		seats(access.Customer, 5, 5)
		seats(access.MSP, license.Unlimited, 6)
		limit := func(n int) {
			t.Helper()
			if err := write(func(tx sqldb.Tx) error { return license.SetLimit(tx, orgs[access.Customer], n) }); err != nil {
				t.Error(err)
			}
		}
		back := func() error {
			return write(func(tx sqldb.Tx) error { return license.ReturnSeat(tx, now, orgs[access.Customer]) })
		}
		limit(2)
		seats(access.Customer, 2, 5)
		if err := back(); err != nil {
			t.Error(err)
		}
		if take(access.Customer) == nil {
			t.Error("a seat is taken above the limit")
		}
		limit(license.Unlimited)
		if err := take(access.Customer); err != nil {
			t.Error(err)
		}
		seats(access.Customer, license.Unlimited, 5)
		for range 5 {
			if err := back(); err != nil {
				t.Error(err)
			}
		}
		if err := back(); err == nil || refusal.As(err) != nil {
			t.Errorf("more are returned than taken: %v", err)
		}
		seats(access.Customer, license.Unlimited, 0)
		if err := write(func(tx sqldb.Tx) error { return license.TakeSeat(tx, now, id.New[id.Org](now)) }); err == nil || refusal.As(err) != nil {
			t.Errorf("a seat of an organisation without any: %v", err)
		}
	})
}
