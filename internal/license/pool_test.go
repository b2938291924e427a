package license_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// tree makes an MSP and n customers below it, each with the limit.
func tree(t *testing.T, db *sqldb.DB, n, limit int) (msp id.Org, customers []id.Org) {
	t.Helper()
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	root := id.New[id.Org](now)
	msp = id.New[id.Org](now)
	if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
		for _, one := range []access.Node{{ID: root, Kind: access.Provider, State: access.Active}, {ID: msp, Parent: root, Kind: access.MSP, State: access.Active}} {
			if err := access.Attach(tx, one); err != nil {
				return err
			}
			if err := license.Open(tx, one.ID, one.Kind); err != nil {
				return err
			}
		}
		for range n {
			c := id.New[id.Org](now)
			customers = append(customers, c)
			if err := access.Attach(tx, access.Node{ID: c, Parent: msp, Kind: access.Customer, State: access.Active}); err != nil {
				return err
			}
			if err := license.OpenWith(tx, c, access.Customer, limit); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return msp, customers
}

// wantRefusal wants a refusal with that key; none when key is empty.
func wantRefusal(t *testing.T, what string, err error, key string) {
	t.Helper()
	r := refusal.As(err)
	if key == "" && err != nil || key != "" && (r == nil || r.Key != key) {
		t.Errorf("%s: %v, want %q", what, err, key)
	}
}

func TestPool(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		msp, customers := tree(t, db, 3, 5)
		write := func(fn func(tx sqldb.Tx) error) error { return db.Write(t.Context(), fn) }
		limit := func(o id.Org, n int) error {
			return write(func(tx sqldb.Tx) error { return license.SetLimit(tx, o, n) })
		}
		pool := func(o id.Org, n int) error {
			return write(func(tx sqldb.Tx) error { return license.SetPool(tx, o, n) })
		}
		want := func(size, given, open, left int) {
			t.Helper()
			p, err := license.PoolOf(db.Read(t.Context()), msp)
			if err != nil || p != (license.Pool{Size: size, Given: given, Open: open}) || p.Left() != left {
				t.Errorf("the pool is %+v with %d left (%v), want %d of %d, %d without a limit, %d left", p, p.Left(), err, given, size, open, left)
			}
		}
		want(license.Unlimited, 15, 0, license.Unlimited)
		wantRefusal(t, "a customer without a limit", limit(customers[0], license.Unlimited), "")
		want(license.Unlimited, 10, 1, license.Unlimited)
		wantRefusal(t, "a pool above a customer without a limit", pool(msp, 100), "seats.pool_open")
		wantRefusal(t, "a limit again", limit(customers[0], 5), "")
		wantRefusal(t, "a pool below what is given out", pool(msp, 14), "seats.pool_given")
		wantRefusal(t, "a pool of what is given out", pool(msp, 15), "")
		want(15, 15, 0, 0)
		wantRefusal(t, "a limit beyond the pool", limit(customers[0], 6), "seats.pool_left")
		if r := refusal.As(limit(customers[0], 6)); r == nil || r.Field != "seat_limit" || r.Args["Pool"] != 15 || r.Args["Given"] != 10 || r.Args["Left"] != 5 {
			t.Errorf("the refusal says %+v", r)
		}
		wantRefusal(t, "no limit under a pool", limit(customers[0], license.Unlimited), "seats.pool_unlimited")
		wantRefusal(t, "the same limit", limit(customers[0], 5), "")
		wantRefusal(t, "a lower one", limit(customers[0], 1), "")
		want(15, 11, 0, 4)
		wantRefusal(t, "what became free", limit(customers[1], 9), "")
		wantRefusal(t, "the MSP's own limit is no part of it", limit(msp, 100), "")
		open := func(n int) error {
			return write(func(tx sqldb.Tx) error {
				o := id.New[id.Org](time.Now())
				if err := access.Attach(tx, access.Node{ID: o, Parent: msp, Kind: access.Customer, State: access.Active}); err != nil {
					return err
				}
				return license.OpenWith(tx, o, access.Customer, n)
			})
		}
		wantRefusal(t, "a new customer beyond the pool", open(1), "seats.pool_left")
		wantRefusal(t, "a new customer of no seats", open(0), "")
		wantRefusal(t, "a limit that is none", open(-2), "seats.form")
		wantRefusal(t, "a pool that is none", pool(msp, license.MostSeats+1), "seats.form")
		wantRefusal(t, "the pool of a customer", pool(customers[0], 5), "seats.pool_kind")
		wantRefusal(t, "no pool", pool(msp, license.Unlimited), "")
		wantRefusal(t, "no limit without a pool", limit(customers[0], license.Unlimited), "")
	})
}

// Of two customers raised at once where the pool has enough for one, one is; a pool that shrinks meanwhile never ends below what is given.
func TestPoolAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		msp, customers := tree(t, db, 20, 5)
		if err := db.Write(t.Context(), func(tx sqldb.Tx) error { return license.SetPool(tx, msp, 120) }); err != nil {
			t.Fatal(err)
		}
		errs := make([]error, 2*len(customers))
		var all sync.WaitGroup
		for i, c := range customers {
			all.Go(func() {
				errs[2*i] = db.Write(t.Context(), func(tx sqldb.Tx) error { return license.SetLimit(tx, c, 10) })
			})
			all.Go(func() {
				errs[2*i+1] = db.Write(t.Context(), func(tx sqldb.Tx) error { return license.SetPool(tx, msp, 118-i) })
			})
		}
		all.Wait()
		raised := 0
		for i, err := range errs {
			switch r := refusal.As(err); {
			case err == nil && i%2 == 0:
				raised++
			case err != nil && (r == nil || r.Field == ""):
				t.Error(err)
			}
		}
		p, err := license.PoolOf(db.Read(t.Context()), msp)
		if err != nil || p.Given != 100+5*raised || p.Given > p.Size || raised == 0 {
			t.Errorf("%d were raised, the pool is %+v (%v)", raised, p, err)
		}
	})
}

func TestMarks(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		_, customers := tree(t, db, 2, 50)
		o := customers[0]
		change := func(month, day, n int) time.Time {
			t.Helper()
			now := time.Date(2026, time.Month(month), day, 12, 0, 0, 0, time.UTC)
			for range max(n, -n) {
				if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
					if n < 0 {
						return license.ReturnSeat(tx, now, o)
					}
					return license.TakeSeat(tx, now, o)
				}); err != nil {
					t.Fatal(err)
				}
			}
			return now
		}
		change(3, 5, 4)
		change(3, 6, -1)  // March: most 4, ends with 3
		change(6, 2, -2)  // June begins with 3, ends with 1
		change(6, 20, 1)  // 2
		change(9, 30, 7)  // September: 9
		change(10, 1, -9) // October begins with 9, ends with none
		for _, row := range []struct {
			now  time.Time
			want string
		}{
			{time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC), "[0 0 4 3 3 3 2 2 9 9 0]"},
			{time.Date(2026, 10, 2, 0, 0, 0, 0, time.FixedZone("", 7*3600)), "[0 0 0 4 3 3 3 2 2 9 9]"},
		} {
			marks, err := license.Marks(db.Read(t.Context()), row.now, o, 11)
			if err != nil {
				t.Fatal(err)
			}
			var list []int
			for i, m := range marks {
				list = append(list, m.Most)
				if want := license.MonthOf(row.now).Before(10 - i); m.Month != want {
					t.Errorf("month %d is %s, want %s", i, m.Month, want)
				}
				in, err := license.MarksIn(db.Read(t.Context()), m.Month, customers, 5)
				if err != nil || in[o] != m.Most || in[customers[1]] != 0 || len(in) != 2 {
					t.Errorf("%s: %v (%v), want %d", m.Month, in, err, m.Most)
				}
			}
			if got := fmt.Sprint(list); got != row.want {
				t.Errorf("%s: %s, want %s", row.now, got, row.want)
			}
		}
	})
}

func TestParseMonth(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, s := range []string{"2026-11", "2026-01", "2000-01"} {
		if m, err := license.ParseMonth(s, now); err != nil || string(m) != s {
			t.Errorf("%s: %s, %v", s, m, err)
		}
	}
	for _, s := range []string{"", "2026-12", "1999-12", "2026-13", "2026-1", "26-11", "2026-11-01", "2026-11' or 1=1", "-2026-11", "20260-11", "２０２６-11", "2026-11\x00"} {
		if _, err := license.ParseMonth(s, now); !refusal.Is(err, refusal.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestRequests(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		_, customers := tree(t, db, 2, 5)
		now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
		ask := func(o id.Org) license.Request {
			return license.Request{ID: id.New[id.SeatRequest](now), Org: o, Wanted: 9, Reason: "new office", Account: id.New[id.Account](now), Made: now}
		}
		write := func(fn func(tx sqldb.Tx) error) error { return db.Write(t.Context(), fn) }
		q := ask(customers[0])
		wantRefusal(t, "a request", write(func(tx sqldb.Tx) error { return license.Ask(tx, q) }), "")
		wantRefusal(t, "another one", write(func(tx sqldb.Tx) error { return license.Ask(tx, ask(customers[0])) }), "seats.ask.open")
		wantRefusal(t, "one of another organisation", write(func(tx sqldb.Tx) error { return license.Ask(tx, ask(customers[1])) }), "")
		answer := func(o id.Org, to license.RequestState) error {
			return write(func(tx sqldb.Tx) error { _, err := license.Answer(tx, now, o, q.ID, to, "no"); return err })
		}
		wantRefusal(t, "as another organisation's", answer(customers[1], license.RequestGranted), "seats.request.answered")
		wantRefusal(t, "an answer", answer(customers[0], license.RequestDeclined), "")
		wantRefusal(t, "a second one", answer(customers[0], license.RequestGranted), "seats.request.answered")
		if last, there, err := license.LastRequest(db.Read(t.Context()), customers[0]); err != nil || !there || last.State != license.RequestDeclined || last.Answer != "no" ||
			!last.Answered.Equal(now) || last.Wanted != 9 || last.Reason != "new office" || last.Account != q.Account {
			t.Errorf("%+v, %v, %v", last, there, err)
		}
		wantRefusal(t, "anew", write(func(tx sqldb.Tx) error { return license.Ask(tx, ask(customers[0])) }), "")
	})
}
