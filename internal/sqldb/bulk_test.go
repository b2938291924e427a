package sqldb_test

import (
	"errors"
	"fmt"
	"testing"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// Every row arrives, those that refer to others after them, however many there are; a failure leaves none of its transaction.
func TestFill(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		ctx := t.Context()
		if err := db.BeginFill(ctx); err != nil {
			t.Fatal(err)
		}
		nodes := sqldb.NewBulk(`org_nodes`, `id`, `kind`, `state`, `access`, `rev`)
		groups := sqldb.NewBulk(`org_groups`, `id`, `org_id`, `name`, `name_key`)
		nodes.Below(groups)
		all := []*sqldb.Bulk{nodes, groups}
		count := func(want ...int) {
			t.Helper()
			for i, table := range []string{"org_nodes", "org_groups"} {
				if n, err := sqldb.One(db.Read(ctx), sqldb.Value[int], `select count(*) from `+table); err != nil || n != want[i] {
					t.Errorf("%s has %d rows, want %d (%v)", table, n, want[i], err)
				}
			}
		}
		add := func(from, to int) func() error {
			return func() error {
				for i := from; i < to; i++ {
					node := fmt.Sprint("org_", i)
					if err := nodes.Add(ctx, node, "customer", "active", "table", i); err != nil {
						return err
					}
					for k := range i % 7 {
						if err := groups.Add(ctx, fmt.Sprint("grp_", i, ".", k), node, "it's", fmt.Sprint(k)); err != nil {
							return err
						}
					}
				}
				return nil
			}
		}
		rows := 0
		for i := range 1000 {
			rows += i % 7
		}
		for _, step := range [][2]int{{0, 1}, {1, 240}, {240, 241}, {241, 1000}, {1000, 1000}} {
			if err := db.Fill(ctx, all, add(step[0], step[1])); err != nil {
				t.Fatal(err)
			}
		}
		count(1000, rows)
		if err := db.Fill(ctx, all, add(990, 1500)); !sqldb.Unique(err) {
			t.Errorf("rows that are there already: %v", err)
		}
		stopped := errors.New("stopped")
		if err := db.Fill(ctx, all, func() error { return errors.Join(add(1000, 1700)(), stopped) }); !errors.Is(err, stopped) {
			t.Errorf("a fill that was stopped: %v", err)
		}
		count(1000, rows)
		if err := db.Fill(ctx, all, add(1000, 1001)); err != nil { // nothing of the failed ones is left over
			t.Error(err)
		}
		count(1001, rows+1000%7)
		if err := db.EndFill(ctx, "org_nodes", "org_groups"); err != nil {
			t.Error(err)
		}
	})
}
