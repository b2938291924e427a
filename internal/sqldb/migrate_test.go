package sqldb_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

func TestMigrate(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		setting, dir := doortest.Database(t, d)
		db, err := sqldb.Open(t.Context(), setting, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if st, err := db.Status(t.Context()); err != nil || st.Version != 0 || st.Newest != sqldb.Newest() || st.Current() {
			t.Errorf("an empty database: %+v (%v)", st, err)
		}
		if n, err := db.Migrate(t.Context()); err != nil || n < 1 {
			t.Errorf("the first time %d migrations (%v)", n, err)
		}
		if st, err := db.Status(t.Context()); err != nil || st.Version != sqldb.Newest() || !st.Current() {
			t.Errorf("a migrated database: %+v (%v)", st, err)
		}
		if n, err := db.Migrate(t.Context()); err != nil || n != 0 {
			t.Errorf("the second time %d migrations (%v)", n, err)
		}
		if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := tx.Exec(`insert into schema_version (version_id, is_applied) values ($1, $2)`, sqldb.Newest()+1, true)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Status(t.Context()); !errors.Is(err, sqldb.ErrNewer) {
			t.Errorf("status of a newer database: %v", err)
		}
		if n, err := db.Migrate(t.Context()); !errors.Is(err, sqldb.ErrNewer) || n != 0 {
			t.Errorf("migrating a newer database: %d, %v", n, err)
		}
	})
}

// Of nodes that start at once each migration is applied by one, and all go on.
func TestMigrateAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		setting, dir := doortest.Database(t, d)
		var wg sync.WaitGroup
		var applied atomic.Int64
		ready := make(chan struct{})
		for range 3 {
			wg.Go(func() {
				<-ready
				db, err := sqldb.Open(t.Context(), setting, dir)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				n, err := db.Migrate(t.Context())
				if err != nil {
					t.Error(err)
				}
				applied.Add(int64(n))
				if st, err := db.Status(t.Context()); err != nil || !st.Current() {
					t.Errorf("after migrating: %+v (%v)", st, err)
				}
			})
		}
		close(ready)
		wg.Wait()
		if applied.Load() != sqldb.Newest() {
			t.Errorf("%d migrations were applied", applied.Load())
		}
	})
}
