package sqldb_test

import (
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// Many write at once: what one of them breaks off, in whatever way, leaves the others' changes alone, and whoever is told that it is done finds
// it done.
func TestTogether(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		ctx := t.Context()
		if err := db.Write(ctx, func(tx sqldb.Tx) error { _, err := tx.Exec(put, "taken", 1); return err }); err != nil {
			t.Fatal(err)
		}
		boom := errors.New("boom")
		const each = 60
		var good, hooks atomic.Int64
		var all sync.WaitGroup
		write := func(key string, end func(tx sqldb.Tx) error) error {
			return db.Write(ctx, func(tx sqldb.Tx) error {
				tx.OnCommit(func() { hooks.Add(1) })
				if _, err := tx.Exec(put, key, 7); err != nil {
					return err
				}
				return end(tx)
			})
		}
		for i := range each {
			n := strconv.Itoa(i)
			all.Go(func() {
				if err := write("good"+n, func(sqldb.Tx) error { return nil }); err != nil {
					t.Errorf("good%s: %v", n, err)
				} else if count(t, db, "good"+n) != 7 {
					t.Errorf("good%s is said to be there, and is not", n)
				}
				good.Add(1)
			})
			all.Go(func() {
				if err := write("error"+n, func(sqldb.Tx) error { return boom }); !errors.Is(err, boom) {
					t.Errorf("error%s: %v", n, err)
				}
			})
			all.Go(func() {
				if err := write("twice"+n, func(tx sqldb.Tx) error { _, err := tx.Exec(put, "taken", 1); return err }); !sqldb.Unique(err) {
					t.Errorf("twice%s: %v", n, err)
				}
			})
			all.Go(func() {
				defer func() {
					if recover() != boom {
						t.Errorf("panic%s did not come through", n)
					}
				}()
				_ = write("panic"+n, func(sqldb.Tx) error { panic(boom) })
			})
			all.Go(func() { _ = write("exit"+n, func(sqldb.Tx) error { runtime.Goexit(); return nil }) })
		}
		all.Wait()
		rows, err := sqldb.All(db.Read(ctx), sqldb.Value[string], `select key from throttles order by key`)
		if err != nil || len(rows) != each+1 || good.Load() != each || hooks.Load() != each {
			t.Errorf("%d rows, %d hooks, %v: %q", len(rows), hooks.Load(), err, rows)
		}
	})
}

// A commit that fails has failed for everybody in it, and the next one works.
func TestCommitFails(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		ctx := t.Context()
		if err := db.Write(ctx, func(tx sqldb.Tx) error {
			if _, err := tx.Exec(`create table parents (id text primary key)`); err != nil {
				return err
			}
			_, err := tx.Exec(`create table children (parent text not null references parents (id) deferrable initially deferred)`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			var told atomic.Int64
			var all sync.WaitGroup
			for i := range 40 {
				all.Go(func() {
					err := db.Write(ctx, func(tx sqldb.Tx) error {
						if i == 20 { // checked at the commit only
							if _, err := tx.Exec(`insert into children (parent) values ('nobody')`); err != nil {
								return err
							}
						}
						_, err := tx.Exec(put, "k"+strconv.Itoa(i), 1)
						return err
					})
					if err == nil {
						told.Add(1)
					} else if i == 20 {
						told.Add(1000)
					}
				})
			}
			all.Wait()
			orphans, err := sqldb.One(db.Read(ctx), sqldb.Value[int64], `select count(*) from children`)
			rows, err2 := sqldb.One(db.Read(ctx), sqldb.Value[int64], `select count(*) from throttles`)
			if err != nil || err2 != nil || orphans != 0 || told.Load() != rows+1000 {
				t.Errorf("%d orphans, %d rows, told %d: %v, %v", orphans, rows, told.Load(), err, err2)
			}
			if err := db.Write(ctx, func(tx sqldb.Tx) error { _, err := tx.Exec(`delete from throttles`); return err }); err != nil {
				t.Fatal(err)
			}
		}
	})
}
