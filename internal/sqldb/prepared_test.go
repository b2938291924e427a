package sqldb_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// A statement's text is run by many transactions, one after the other and at once; what it was prepared for in one must not show in another.
func TestSameStatement(t *testing.T) {
	const next = `update throttles set failures = failures + $1 where key = $2 returning failures`
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		add := func(tx sqldb.Tx, key string, n int) (int, error) {
			return sqldb.One(tx, sqldb.Value[int], next, n, key)
		}
		for i := range 4 {
			key := "k" + strconv.Itoa(i)
			if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
				if _, err := tx.Exec(put, key, i); err != nil {
					return err
				}
				for n := range 3 {
					if got, err := add(tx, key, 10); err != nil || got != i+10*(n+1) {
						t.Errorf("%s: %d, %v", key, got, err)
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}

		// Rolled back, and refused by the database: the next one finds it as it was.
		boom := errors.New("boom")
		if err := db.Write(t.Context(), func(tx sqldb.Tx) error { _, err := add(tx, "k0", 1000); return errors.Join(err, boom) }); !errors.Is(err, boom) {
			t.Error(err)
		}
		for range 2 {
			if err := db.Write(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(put, "k0", 1); return err }); !sqldb.Unique(err) {
				t.Errorf("a duplicate gives %v", err)
			}
			if err := db.Write(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(`update no_such_table set a = 1`); return err }); err == nil {
				t.Error("a table that there is not was changed")
			}
		}
		if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
			if _, err := add(tx, "none", 1); !errors.Is(err, sqldb.ErrNone) {
				t.Errorf("a row that there is not gives %v", err)
			}
			return nil
		}); err != nil || count(t, db, "k0") != 30 {
			t.Errorf("%v; k0 is at %d", err, count(t, db, "k0"))
		}

		// The schema changes under a prepared statement.
		if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := tx.Exec(`alter table throttles add column later bigint not null default 0`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := db.Write(t.Context(), func(tx sqldb.Tx) error { _, err := add(tx, "k1", 1); return err }); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := count(t, db, "k1"); n != 51 {
			t.Errorf("k1 is at %d after 20 at once", n)
		}
	})
}
