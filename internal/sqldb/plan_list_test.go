package sqldb_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/sqldb"
)

// Each list, in all its orders and with each of its filters, on its first page and on a later one, reads along an index on both databases, with the
// statistics of ANALYZE and without them: on SQLite nobody may ever have gathered them.
func TestListPlans(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		h, clock := doortest.House(t, d)
		w := &walk{T: t, House: h, clock: clock}
		w.found()
		crowd(t, h.DB, w.provider.ID, w.customer.ID)
		type traced struct {
			query string
			args  []any
		}
		var statements []traced
		seen := map[string]bool{}
		h.DB.Trace = func(query string, args []any) {
			if key := query + fmt.Sprint(args); !seen[key] {
				seen[key] = true
				statements = append(statements, traced{query, args})
			}
		}
		w.allLists()
		h.DB.Trace = nil
		if len(statements) < 150 {
			t.Errorf("only %d statements were traced", len(statements))
		}
		conn, err := h.DB.Pool().Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		look := func(when string) {
			for _, s := range statements {
				plan := explain(t, conn, d, s.query, s.args)
				for _, line := range wholeTables(d, plan) {
					if !mayScan(s.query, line) {
						t.Errorf("%s: %s %v\n\treads a whole table: %s\n%s", when, s.query, s.args, line, strings.Join(plan, "\n"))
					}
				}
				plain := strings.Contains(s.query, "from accounts where org_id = $1") && !strings.Contains(s.query, "sifted")
				for _, line := range plan {
					if plain && (strings.Contains(line, "TEMP B-TREE") || strings.Contains(line, "Sort")) {
						t.Errorf("%s: %s\n\tsorts everybody\n%s", when, s.query, strings.Join(plan, "\n"))
					}
				}
			}
		}
		if d == sqldb.Postgres {
			set(t, conn, "seqscan", "hashjoin", "mergejoin", "sort", "bitmapscan") // see TestPlans
			look("told to use an index")
			return
		}
		look("with statistics")
		// SQLite reads its statistics when it opens the database.
		if _, err := conn.ExecContext(t.Context(), `delete from sqlite_stat1`); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), `analyze sqlite_schema`); err != nil {
			t.Fatal(err)
		}
		look("without statistics")
	})
}

// set switches ways of PostgreSQL's planner off.
func set(t *testing.T, conn *sql.Conn, ways ...string) {
	t.Helper()
	for _, way := range ways {
		if _, err := conn.ExecContext(t.Context(), `set enable_`+way+` = off`); err != nil {
			t.Fatal(err)
		}
	}
}

// allLists reads the first page and the second of each list.
func (w *walk) allLists() {
	tx := w.DB.Read(w.Context())
	for _, f := range []account.Filter{{}, {Search: "p"}, {State: account.Active}, {Role: access.Core}, {Factor: account.WithFactor}, {Factor: account.WithoutFactor}, {Factor: account.WithApp},
		{Source: account.OwnSource}, {Source: account.LinkedSource}, {Seen: account.SeenMonth},
		{Search: "p", State: account.Active, Role: access.Core, Factor: account.WithApp, Source: account.OwnSource, Seen: account.SeenMonth}} {
		for _, by := range account.Orders {
			for _, f.Order = range []account.Order{by, by.Down()} {
				f.After, f.Most, f.Now = "", 3, w.Now()
				_, next, err := account.People(tx, w.customer.ID, f)
				w.must(err)
				if f.After = next; next != "" {
					_, _, err = account.People(tx, w.customer.ID, f)
					w.must(err)
				}
			}
		}
	}
	for _, f := range []org.Filter{{}, {Search: "name 1"}, {State: access.Active}, {Kind: access.Customer}, {Group: id.New[id.Group](w.Now())}, {Groups: "acc_7"},
		{Search: "s", State: access.Active, Kind: access.Customer, Groups: "acc_7"}} {
		for _, by := range org.Orders {
			for _, f.Order = range []org.Order{by, by.Down()} {
				f.After, f.Most = "", 3
				_, next, err := org.List(tx, "org_2", f)
				w.must(err)
				if f.After = next; next != "" {
					_, _, err = org.List(tx, "org_2", f)
					w.must(err)
				}
			}
		}
	}
	_, err := outbox.LatestAmong(tx, outbox.KindInvite, []id.Account{"acc_60", "acc_120"}, 50)
	w.must(err)
	_, err = access.Groups(tx, "org_1")
	w.must(err)
}
