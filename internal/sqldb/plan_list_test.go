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
		w.must(h.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			if _, err := tx.Exec(`insert into org_tags (org_id, tag_key, tag) select id, 'gold ' || id, 'Gold' from org_nodes where id not in (select org_id from org_tags)`); err != nil {
				return err
			}
			_, err := tx.Exec(`insert into org_health (org_id, people, covered, pending, overdue, exempt, last_sign_in_at, deadline_at, judged_at)
				select id, 1, 1, 0, 0, 0, 0, 0, 0 from org_nodes where id not in (select org_id from org_health)`)
			return err
		}))
		if _, err := h.DB.Pool().ExecContext(t.Context(), `analyze`); err != nil {
			t.Fatal(err)
		}
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
		look := func(when string, fault func(query string, plan []string) string) {
			for _, s := range statements {
				plan := explain(t, conn, d, s.query, s.args)
				if f := fault(s.query, plan); f != "" {
					t.Errorf("%s: %s\n\t%s: %s %q", when, f, s.query, strings.Join(plan, "\n"), s.args)
				}
			}
		}
		whole := func(query string, plan []string) string {
			for _, line := range wholeTables(d, plan) {
				if !mayScan(query, line) {
					return "reads a whole table: " + line
				}
			}
			return ""
		}
		sorts := func(query string, plan []string) string {
			everybody := strings.Contains(query, "from accounts where org_id = $1") && strings.Contains(query, "limit") && !strings.Contains(query, "sifted")
			for _, line := range plan {
				if everybody && (strings.Contains(line, "TEMP B-TREE") || strings.Contains(line, "Sort")) {
					return "sorts everybody"
				}
			}
			return ""
		}
		if d == sqldb.Postgres {
			set(t, conn, "seqscan", "hashjoin", "mergejoin") // see TestPlans
			look("told to use an index", whole)
			set(t, conn, "bitmapscan", "sort") // of some dozen rows it would do both
			look("told not to sort", sorts)
			return
		}
		look("with statistics", whole)
		look("with statistics", sorts)
		// SQLite reads its statistics when it opens the database, and when it is told to.
		for _, q := range []string{`delete from sqlite_stat1`, `analyze sqlite_schema`} {
			if _, err := conn.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		look("without statistics", whole)
		look("without statistics", sorts)
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
	for _, f := range []org.Filter{{}, {Search: "name 1"}, {State: access.Active}, {Kind: access.Customer}, {Tag: "gold"}, {Group: id.New[id.Group](w.Now())}, {Groups: "acc_7"},
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
	for _, who := range []id.Account{"", "acc_7"} {
		_, err = org.TagsBelow(tx, "org_2", who)
		w.must(err)
	}
	_, err = access.Groups(tx, "org_1")
	w.must(err)
}
