package sqldb_test

import (
	"context"
	"errors"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/sqldb"
)

const put = `insert into throttles (key, failures, blocked_until, window_start, updated_at) values ($1, $2, 0, 0, 0)`

func count(t testing.TB, db *sqldb.DB, key string) int {
	t.Helper()
	n, err := sqldb.One(db.Read(context.Background()), sqldb.Value[int], `select coalesce(sum(failures), -1) from throttles where key = $1`, key)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWrite(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		ctx := t.Context()
		boom := errors.New("boom")

		t.Run("commits", func(t *testing.T) {
			seen := 0
			err := db.Write(ctx, func(tx sqldb.Tx) error {
				tx.OnCommit(func() { seen = count(t, db, "a") })
				n, err := tx.Exec(put, "a", 1)
				if n != 1 || seen != 0 {
					t.Errorf("%d rows, hook ran: %v", n, seen != 0)
				}
				return err
			})
			if err != nil || seen != 1 || count(t, db, "a") != 1 {
				t.Errorf("%v; the hook saw %d", err, seen)
			}
		})
		t.Run("rolls back on an error and returns it as it is", func(t *testing.T) {
			err := db.Write(ctx, func(tx sqldb.Tx) error {
				tx.OnCommit(func() { t.Error("a hook of a transaction that was rolled back ran") })
				if _, err := tx.Exec(put, "b", 1); err != nil {
					t.Error(err)
				}
				return boom
			})
			if !errors.Is(err, boom) || err.Error() != "boom" || count(t, db, "b") != -1 {
				t.Errorf("%v; %d", err, count(t, db, "b"))
			}
		})
		t.Run("rolls back on a panic, which passes through", func(t *testing.T) {
			func() {
				defer func() {
					if r := recover(); r != any(boom) {
						t.Errorf("recovered %v", r)
					}
				}()
				_ = db.Write(ctx, func(tx sqldb.Tx) error {
					tx.OnCommit(func() { t.Error("a hook ran after a panic") })
					if _, err := tx.Exec(put, "c", 1); err != nil {
						t.Error(err)
					}
					panic(boom)
				})
			}()
			if count(t, db, "c") != -1 {
				t.Error("a panic was committed")
			}
			if err := db.Write(ctx, func(tx sqldb.Tx) error { _, err := tx.Exec(put, "c", 2); return err }); err != nil { // the connection is free
				t.Error(err)
			}
		})
		t.Run("ends what it began when the caller goes away", func(t *testing.T) {
			gone, leave := context.WithCancel(ctx)
			err := db.Write(gone, func(tx sqldb.Tx) error {
				leave()
				_, err := tx.Exec(put, "d", 1)
				return err
			})
			if err != nil || count(t, db, "d") != 1 {
				t.Errorf("%v; %d", err, count(t, db, "d"))
			}
		})
		t.Run("an error of a statement ends it", func(t *testing.T) {
			tries := 0
			err := db.Write(ctx, func(tx sqldb.Tx) error {
				tries++
				_, err := tx.Exec(`update no_such_table set x = 1`)
				return err
			})
			if err == nil || tries != 1 {
				t.Errorf("%v after %d tries", err, tries)
			}
		})
		t.Run("tells duplicates from other errors", func(t *testing.T) {
			err := db.Write(ctx, func(tx sqldb.Tx) error { _, err := tx.Exec(put, "a", 1); return err })
			if !sqldb.Unique(err) {
				t.Errorf("a second primary key: %v", err)
			}
			hash := []byte{1, 2, 3}
			attempt := func(tx sqldb.Tx) error {
				_, err := tx.Exec(`insert into attempts (id, secret_hash, identifier, state, step, seq, rev, data, created_at, expires_at)
					values ($1, $2, '', '', '', 0, 0, '', 0, 0)`, id.New[id.Attempt](time.Now()), hash)
				return err
			}
			if err := db.Write(ctx, attempt); err != nil {
				t.Error(err)
			}
			if err := db.Write(ctx, attempt); !sqldb.Unique(err) {
				t.Errorf("a second unique value: %v", err)
			}
			missing := db.Write(ctx, func(tx sqldb.Tx) error {
				_, err := tx.Exec(`insert into seats (org_id, used) values ('org_none', 0)`)
				return err
			})
			if missing == nil || sqldb.Unique(missing) || sqldb.Unique(boom) || sqldb.Unique(nil) {
				t.Errorf("a missing parent row: %v", missing)
			}
		})
	})
}

func TestRead(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		ctx := t.Context()
		for i, k := range []string{"x", "y", "z"} {
			if err := db.Write(ctx, func(tx sqldb.Tx) error { _, err := tx.Exec(put, k, i); return err }); err != nil {
				t.Fatal(err)
			}
		}
		read := db.Read(ctx)
		read.OnCommit(func() { t.Error("a hook of a read ran") })
		if _, err := read.Exec(put, "never", 1); err == nil || count(t, db, "never") != -1 {
			t.Errorf("a change outside a transaction: %v", err)
		}
		if d == sqldb.SQLite { // the readers' connections are read-only; on PostgreSQL there is one pool
			if _, err := sqldb.All(read, sqldb.Value[string], `delete from throttles returning key`); err == nil {
				t.Error("a reader deleted rows")
			}
		}
		if got, err := sqldb.One(read, sqldb.Value[string], `select key from throttles where failures >= $1 order by key`, 1); err != nil || got != "y" {
			t.Errorf("One gives %q, %v", got, err)
		}
		if _, err := sqldb.One(read, sqldb.Value[string], `select key from throttles where key = $1`, "none"); !errors.Is(err, sqldb.ErrNone) {
			t.Errorf("One of nothing gives %v", err)
		}
		if got, err := sqldb.All(read, sqldb.Value[string], `select key from throttles order by key desc`); err != nil || !slices.Equal(got, []string{"z", "y", "x"}) {
			t.Errorf("All gives %v, %v", got, err)
		}
		if got, err := sqldb.All(read, sqldb.Value[string], `select key from throttles where key = ''`); err != nil || got != nil {
			t.Errorf("All of nothing gives %v, %v", got, err)
		}
		odd := errors.New("odd")
		bad := func(sqldb.Row) (int, error) { return 7, odd }
		if got, err := sqldb.One(read, bad, `select 1`); !errors.Is(err, odd) || got != 0 {
			t.Errorf("One with a scan error gives %d, %v", got, err)
		}
		if got, err := sqldb.All(read, bad, `select 1`); !errors.Is(err, odd) || got != nil {
			t.Errorf("All with a scan error gives %v, %v", got, err)
		}
		if _, err := sqldb.All(read, sqldb.Value[int], `select nothing from nowhere`); err == nil {
			t.Error("a wrong statement gives no error")
		}
		gone, leave := context.WithCancel(ctx)
		leave()
		if _, err := sqldb.One(db.Read(gone), sqldb.Value[int], `select 1`); !errors.Is(err, context.Canceled) {
			t.Errorf("a read of a caller who is gone gives %v", err)
		}
		if err := db.Ping(ctx); err != nil {
			t.Error(err)
		}
		var wg sync.WaitGroup // a prepared statement is shared by all
		for range 40 {
			wg.Go(func() {
				if n := count(t, db, "z"); n != 2 {
					t.Errorf("count is %d", n)
				}
			})
		}
		wg.Wait()
	})
}

// What goes in comes out again: texts, absent texts, times and bytes.
func TestRoundTrips(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		type row struct {
			org  id.Org
			text string
			box  []byte
			at   time.Time
		}
		trip := func(in row) (out row) {
			t.Helper()
			key := id.New[id.Attempt](time.Now())
			err := db.Write(t.Context(), func(tx sqldb.Tx) error {
				if in.org != "" {
					if _, err := tx.Exec(`insert into org_nodes (id, kind, state, access, rev) values ($1, 'customer', '', '', 0)`, in.org); err != nil {
						return err
					}
				}
				if _, err := tx.Exec(`insert into attempts (id, org_id, secret_hash, identifier, state, step, seq, rev, data, created_at, expires_at)
					values ($1, $2, $3, $4, '', '', 0, 0, '', $5, 0)`, key, sqldb.Null(in.org), append([]byte(key), in.box...), in.text, sqldb.Micros(in.at)); err != nil {
					return err
				}
				var err error
				out, err = sqldb.One(tx, func(scan sqldb.Row) (r row, err error) {
					return r, scan(sqldb.Text(&r.org), sqldb.Text(&r.text), &r.box, sqldb.Time(&r.at))
				}, `select org_id, identifier, secret_hash, created_at from attempts where id = $1`, key)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			out.box = out.box[len(key):]
			return out
		}
		for _, in := range []row{
			{},
			{org: id.New[id.Org](time.Now()), text: "x"},
			{text: "Grüße, 東京 👩‍💻 \u202e o'brien \"; drop table orgs; -- \n\t\\", box: []byte{0, 255, 39}},
			{text: strings.Repeat("é", 5000)},
			{at: time.Date(2026, 11, 21, 10, 0, 0, 123456000, time.UTC)},
			{at: time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC)},
			{at: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
			{at: time.Date(2026, 3, 29, 2, 30, 0, 0, time.FixedZone("", 3600))},
		} {
			out := trip(in)
			if out.org != in.org || out.text != in.text || string(out.box) != string(in.box) || !out.at.Equal(in.at) || out.at.IsZero() != in.at.IsZero() {
				t.Errorf("%+v comes back as %+v", in, out)
			}
			if !out.at.IsZero() && out.at.Location() != time.UTC {
				t.Errorf("%v comes back in %v", in.at, out.at.Location())
			}
		}
		var at time.Time
		if _, err := sqldb.One(db.Read(t.Context()), func(scan sqldb.Row) (int, error) { return 0, scan(sqldb.Time(&at)) }, `select 'noon'`); err == nil {
			t.Error("a text is scanned as a time")
		}
		var text id.Org
		if _, err := sqldb.One(db.Read(t.Context()), func(scan sqldb.Row) (int, error) { return 0, scan(sqldb.Text(&text)) }, `select 12`); err == nil {
			t.Error("a number is scanned as a text")
		}
	})
}

func TestMicros(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(math.MinInt64/1000, math.MaxInt64/1000).Draw(t, "µs")
		if got := sqldb.Micros(sqldb.At(us)); got != us {
			t.Fatalf("%d comes back as %d", us, got)
		}
	})
	if !sqldb.At(0).IsZero() || sqldb.Micros(time.Time{}) != 0 {
		t.Error("never is not 0")
	}
}

// Both databases keep texts in the order of their bytes, which is Go's: lists and pages are alike everywhere.
func TestOrder(t *testing.T) {
	words := []string{"", "A", "B", "Z", "a", "aa", "aB", "b", "z", "Ä", "ä", "Ö", "ö", "ß", "ss", "é", "e\u0301", "ÿ", "Ā", "α", "я", "中", "ﬀ", "\uffff", "👍", "👩‍💻",
		"\U0010ffff", "-", "_", ".", " ", "a b", "a-b", "a.b", "a_b", "0", "10", "9", "~", "'", `"`, "\\", "%", "a%"}
	want := slices.Clone(words)
	slices.Sort(want)
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		err := db.Write(t.Context(), func(tx sqldb.Tx) error {
			for _, w := range words {
				if _, err := tx.Exec(put, w, 0); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := sqldb.All(db.Read(t.Context()), sqldb.Value[string], `select key from throttles order by key`)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("order\n%q\nwant\n%q (%v)", got, want, err)
		}
		for _, from := range words { // a page begins where Go says it does
			got, err := sqldb.All(db.Read(t.Context()), sqldb.Value[string], `select key from throttles where key > $1 order by key`, from)
			i, _ := slices.BinarySearch(want, from)
			if err != nil || !slices.Equal(got, want[i+1:]) {
				t.Errorf("after %q come %q (%v)", from, got, err)
			}
		}
		if d == sqldb.Postgres {
			loose, err := sqldb.All(db.Read(t.Context()), sqldb.Value[string], `select table_name || '.' || column_name from information_schema.columns
				where table_schema = current_schema() and data_type = 'text' and coalesce(collation_name, '') <> 'C'`)
			if err != nil || len(loose) > 0 {
				t.Errorf("columns in the server's order: %v (%v)", loose, err)
			}
		}
	})
}

// Two processes that write the same rows lose nothing.
func TestManyWriters(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		dbs := handles(t, d, 2)
		if err := dbs[0].Write(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(put, "n", 0); return err }); err != nil {
			t.Fatal(err)
		}
		const writers, times = 6, 10
		var wg sync.WaitGroup
		var hooks atomic.Int64
		for i := range writers {
			wg.Go(func() {
				for range times {
					if err := dbs[i%2].Write(t.Context(), func(tx sqldb.Tx) error {
						tx.OnCommit(func() { hooks.Add(1) })
						_, err := tx.Exec(`update throttles set failures = failures + 1 where key = 'n'`)
						return err
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := count(t, dbs[1], "n"); n != writers*times || hooks.Load() != writers*times {
			t.Errorf("%d counted, %d hooks, want %d", n, hooks.Load(), writers*times)
		}
	})
}

// handles opens a fresh, migrated database n times, as n processes do.
func handles(t *testing.T, d sqldb.Dialect, n int) []*sqldb.DB {
	t.Helper()
	setting, dir := doortest.Database(t, d)
	var dbs []*sqldb.DB
	for range n {
		db, err := sqldb.Open(t.Context(), setting, dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		dbs = append(dbs, db)
	}
	if _, err := dbs[0].Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return dbs
}

// A transaction that the database could not run beside another one runs again, with the hooks of its last run alone.
func TestRetrySerialization(t *testing.T) {
	db := doortest.DB(t, sqldb.Postgres)
	if err := db.Write(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(put, "n", 0); return err }); err != nil {
		t.Fatal(err)
	}
	var tries, hooks atomic.Int64
	var both, wg sync.WaitGroup
	both.Add(2)
	for range 2 {
		first := true
		wg.Go(func() {
			if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
				tries.Add(1)
				tx.OnCommit(func() { hooks.Add(1) })
				if _, err := tx.Exec(`set transaction isolation level repeatable read`); err != nil {
					return err
				}
				n, err := sqldb.One(tx, sqldb.Value[int], `select failures from throttles where key = 'n'`)
				if err != nil {
					return err
				}
				if first { // both have read before either writes
					first = false
					both.Done()
					both.Wait()
				}
				_, err = tx.Exec(`update throttles set failures = $1 where key = 'n'`, n+1)
				return err
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(t, db, "n"); n != 2 || tries.Load() != 3 || hooks.Load() != 2 {
		t.Errorf("%d counted in %d tries with %d hooks, want 2 in 3 with 2", n, tries.Load(), hooks.Load())
	}
}

func TestRetryDeadlock(t *testing.T) {
	db := doortest.DB(t, sqldb.Postgres)
	if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
		_, err := tx.Exec(put, "a", 0)
		_, more := tx.Exec(put, "b", 0)
		return errors.Join(err, more)
	}); err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int64
	var both, wg sync.WaitGroup
	both.Add(2)
	for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		first := true
		wg.Go(func() {
			if err := db.Write(t.Context(), func(tx sqldb.Tx) error {
				tries.Add(1)
				if _, err := tx.Exec(`set local deadlock_timeout = '20ms'`); err != nil {
					return err
				}
				if _, err := tx.Exec(`update throttles set failures = failures + 1 where key = $1`, order[0]); err != nil {
					return err
				}
				if first {
					first = false
					both.Done()
					both.Wait()
				}
				_, err := tx.Exec(`update throttles set failures = failures + 1 where key = $1`, order[1])
				return err
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a, b := count(t, db, "a"), count(t, db, "b"); a != 2 || b != 2 || tries.Load() != 3 {
		t.Errorf("a %d, b %d in %d tries", a, b, tries.Load())
	}
}

// Another process holds SQLite's write lock for a while; then for good.
func TestRetryBusy(t *testing.T) {
	dbs := handles(t, sqldb.SQLite, 2)
	if _, err := dbs[1].Pool().ExecContext(t.Context(), `pragma busy_timeout = 0`); err != nil { // so that the retry is ours
		t.Fatal(err)
	}
	add := func() error {
		return dbs[1].Write(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(put, id.New[id.Event](time.Now()), 1); return err })
	}
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	hold := func() {
		go func() {
			done <- dbs[0].Write(context.Background(), func(sqldb.Tx) error { held <- struct{}{}; <-release; return nil })
		}()
		<-held
	}
	hold()
	time.AfterFunc(60*time.Millisecond, func() { release <- struct{}{} })
	if err := add(); err != nil {
		t.Errorf("while another writes: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	hold()
	err := add()
	if err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("while another never ends: %v", err)
	}
	release <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Faults of the setting and of the disk are one line that says what is wrong, and never the password.
func TestOpenFaults(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.Mkdir(garbage, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(garbage, "doorward.db"), []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, "doorward.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ setting, dir, want string }{
		{"mysql://localhost", dir, "postgres://"},
		{"sqlite", filepath.Join(file, "data"), "data folder"},
		{"sqlite", file, "data folder"},
		{"sqlite", folder, "database file"},
		{"sqlite", garbage, "not a database"},
		{"postgres://door:hunter2hunter2@127.0.0.1:1/doorward", dir, "cannot reach PostgreSQL"},
		{"postgres://door:hunter2hunter2@127.0.0.1:port/x", dir, "database"},
		{unknownUser(t), dir, "cannot reach PostgreSQL"},
	} {
		db, err := sqldb.Open(t.Context(), row.setting, row.dir)
		if err == nil {
			_ = db.Close()
			t.Errorf("%s in %s opens", row.setting, row.dir)
			continue
		}
		if s := err.Error(); !strings.Contains(s, row.want) || strings.Contains(s, "\n") || strings.Contains(s, "hunter2") {
			t.Errorf("%s in %s: %q", row.setting, row.dir, s)
		}
	}
}

// unknownUser is the address of the test server with a user that it does not have.
func unknownUser(t *testing.T) string {
	t.Helper()
	setting, _ := doortest.Database(t, sqldb.Postgres)
	u, err := url.Parse(setting)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody_by_this_name", "hunter2hunter2")
	return u.String()
}

// Without prepared statements, as some poolers need it, PostgreSQL is not asked for the types of arguments: we have to know them.
func TestUnprepared(t *testing.T) {
	for _, mode := range []string{"exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			setting, dir := doortest.Database(t, sqldb.Postgres)
			u, err := url.Parse(setting)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			q.Set("default_query_exec_mode", mode)
			u.RawQuery = q.Encode()
			db, err := sqldb.Open(t.Context(), u.String(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if _, err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := db.Write(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(put, "Grüße", 7); return err }); err != nil {
				t.Fatal(err)
			}
			if n := count(t, db, "Grüße"); n != 7 {
				t.Errorf("7 comes back as %d", n)
			}
			n, err := sqldb.One(db.Read(t.Context()), sqldb.Value[int64], `select count(*) from attempts where id <> $1 or secret_hash = $2 or created_at > $3`,
				id.New[id.Attempt](time.Now()), []byte{0, 255}, sqldb.Micros(time.Now()))
			if err != nil || n != 0 {
				t.Errorf("%d attempts, %v", n, err)
			}
		})
	}
}

func TestReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	open := func() error {
		db, err := sqldb.Open(t.Context(), "sqlite", filepath.Join(dir, "data"))
		if err == nil {
			err = db.Close()
		}
		return err
	}
	// The administrator of the machine may write everywhere, so this thread opens files as somebody else.
	asNobody := func(fn func() error) error {
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			if os.Geteuid() == 0 {
				if err := syscall.Setfsuid(65534); err != nil {
					done <- err
					return
				}
			}
			done <- fn()
		}()
		return <-done
	}
	oneLine := func(err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v", err)
		}
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	oneLine(asNobody(open)) // the folder cannot be made
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"data": 0o555, "data/doorward.db": 0o444} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	oneLine(asNobody(open)) // the file cannot be written
	for name, mode := range map[string]os.FileMode{"data": 0o755, "data/doorward.db": 0o644} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// The database file is for its owner's eyes alone.
func TestFileMode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	db, err := sqldb.Open(t.Context(), "", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v (%v)", info.Mode(), err)
	}
}
