// Package sqldb opens the database (SQLite or PostgreSQL), runs transactions with retry, migrates, and scans rows. It knows no
// table. One SQL text serves both: parameters are $1, $2, … numbered by first appearance, times are microseconds, truth values are
// 0 and 1, absent times are 0.
//
//	Open ──> DB ── Write(ctx, fn(Tx)) ──> one transaction: commit, then the OnCommit hooks; retried on serialization failures
//	            └─ Read(ctx) ──────────> Tx without a transaction, for single statements, on the readers' pool
package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite" // registers "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Dialect is which database it is.
type Dialect string

// The two databases.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// ErrNone is returned by One when no row matches.
var ErrNone = sql.ErrNoRows

// DB is an open database.
type DB struct {
	Dialect Dialect
	// Trace, when it is set before the first statement, is called with each one before it runs: for the test that asks for their plans.
	Trace   func(query string, args []any)
	writer  *sql.DB
	reader  *sql.DB // the same as writer on PostgreSQL
	stmts   sync.Map
	writing writing // of SQLite
	// What the writer of SQLite has prepared, by its text, and how many.
	writes  sync.Map
	written atomic.Int64
}

// Open opens the database that the setting names: "sqlite" means the file doorward.db in the data folder, anything that begins with
// postgres:// or postgresql:// a PostgreSQL server. It creates the data folder and file (readable by the owner alone) when they are
// missing. The error is one line for the operator.
func Open(ctx context.Context, setting, dataDir string) (*DB, error) {
	switch {
	case setting == "" || setting == "sqlite":
		return openSQLite(ctx, filepath.Join(dataDir, "doorward.db"))
	case strings.HasPrefix(setting, "postgres://"), strings.HasPrefix(setting, "postgresql://"):
		return openPostgres(ctx, setting)
	}
	return nil, errors.New(`database: the setting must be "sqlite" or begin with postgres://`)
}

func openSQLite(ctx context.Context, file string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	// FULL, not NORMAL: an acknowledged commit must survive the loss of power.
	dsn := func(more url.Values) string {
		v := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
		for k, l := range more {
			v[k] = append(v[k], l...)
		}
		return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + v.Encode()
	}
	w, err := sql.Open("sqlite", dsn(url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return nil, err
	}
	w.SetMaxOpenConns(1)
	w.SetMaxIdleConns(1)
	r, err := sql.Open("sqlite", dsn(url.Values{"_pragma": {"query_only(1)"}}))
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	n := max(4, 2*runtime.NumCPU())
	r.SetMaxOpenConns(n)
	r.SetMaxIdleConns(n)
	db := &DB{Dialect: SQLite, writer: w, reader: r, writing: writing{turn: make(chan struct{}, 1)}}
	err = w.PingContext(ctx)
	for try := 1; try < 20 && retryable(err); try++ { // two processes that turn on WAL at once: SQLite does not wait there
		time.Sleep(50 * time.Millisecond)
		err = w.PingContext(ctx)
	}
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("database %s: %w", file, err)
	}
	return db, nil
}

func openPostgres(ctx context.Context, dsn string) (*DB, error) {
	c, err := stdlib.GetDefaultDriver().(*stdlib.Driver).OpenConnector(dsn)
	if err != nil {
		return nil, errors.New("database: the postgres:// setting does not parse")
	}
	w := sql.OpenDB(connector{c})
	n := max(8, 4*runtime.NumCPU())
	w.SetMaxOpenConns(n)
	w.SetMaxIdleConns(n) // an idle pool below the maximum costs a connection set-up per burst
	db := &DB{Dialect: Postgres, writer: w, reader: w}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := w.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("database: cannot reach PostgreSQL: %w", redact(err))
	}
	return db, nil
}

// connector tells each connection which type of PostgreSQL stands for each Go type that statements take. It is asked where the setting has
// default_query_exec_mode=exec or simple_protocol, as some poolers need; our build leaves out pgx's own table (see the Makefile).
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if pg, ok := conn.(*stdlib.Conn); ok {
		types := pg.Conn().TypeMap()
		types.RegisterDefaultPgType(int(0), "int8")
		types.RegisterDefaultPgType(int64(0), "int8")
		types.RegisterDefaultPgType("", "text")
		types.RegisterDefaultPgType([]byte(nil), "bytea")
		types.RegisterDefaultPgType(false, "bool")
	}
	return conn, err
}

// redact keeps the server's answer, on one line, and drops the connection string, which may hold a password.
func redact(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return errors.New(pg.Message)
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) && connect.Unwrap() != nil {
		err = connect.Unwrap()
	}
	tries := slices.Compact(strings.Split(err.Error(), "\n")) // one try with TLS, one without
	return errors.New(strings.Join(tries, "; "))
}

// Close closes all connections.
func (db *DB) Close() error {
	for _, stmts := range []*sync.Map{&db.stmts, &db.writes} {
		stmts.Range(func(_, s any) bool { _ = s.(*sql.Stmt).Close(); return true })
	}
	err := db.writer.Close()
	if db.reader != db.writer {
		err = errors.Join(err, db.reader.Close())
	}
	return err
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	_, err := One(db.Read(ctx), func(row Row) (n int64, err error) { return n, row(&n) }, `select 1`)
	return err
}

// Pool exposes the writers' pool to migrations and to back-up, which need the driver itself.
func (db *DB) Pool() *sql.DB { return db.writer }

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Tx is a running transaction, or with DB.Read a handle for single reads. Functions that take one join it.
type Tx struct {
	ctx   context.Context
	q     querier
	db    *DB
	after *[]func()
}

// Context returns the context that the transaction runs under: cancellation and the request's id.
func (tx Tx) Context() context.Context { return tx.ctx }

// OnCommit runs fn once the transaction has been committed, and not when it is rolled back.
func (tx Tx) OnCommit(fn func()) {
	if tx.after != nil {
		*tx.after = append(*tx.after, fn)
	}
}

// statement returns the context for the next statement, or why there is none. On SQLite a statement that has begun is not interrupted: it is over
// in microseconds, and to watch its context costs two goroutines.
func (tx Tx) statement() (context.Context, error) {
	if tx.db.Dialect == SQLite {
		return context.WithoutCancel(tx.ctx), tx.ctx.Err()
	}
	return tx.ctx, nil
}

func (tx Tx) query(query string, args []any) (*sql.Rows, error) {
	if tx.db.Trace != nil {
		tx.db.Trace(query, args)
	}
	ctx, err := tx.statement()
	if err != nil {
		return nil, err
	}
	return tx.q.QueryContext(ctx, query, args...)
}

// Exec runs a statement and returns how many rows it changed.
func (tx Tx) Exec(query string, args ...any) (int64, error) {
	if tx.db.Trace != nil {
		tx.db.Trace(query, args)
	}
	ctx, err := tx.statement()
	if err != nil {
		return 0, err
	}
	res, err := tx.q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Read returns a handle for single reads outside a transaction.
func (db *DB) Read(ctx context.Context) Tx { return Tx{ctx: ctx, q: db, db: db} }

// QueryContext and ExecContext let DB.Read use prepared statements on the readers' pool.
func (db *DB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if db.Dialect == Postgres { // pgx caches statements per connection itself
		return db.reader.QueryContext(ctx, query, args...)
	}
	if s, ok := db.stmts.Load(query); ok {
		return s.(*sql.Stmt).QueryContext(ctx, args...)
	}
	s, err := db.reader.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if old, loaded := db.stmts.LoadOrStore(query, s); loaded {
		_ = s.Close() //nolint:sqlclosecheck // two asked at once: the other's statement is kept
		s = old.(*sql.Stmt)
	}
	return s.QueryContext(ctx, args...)
}

// ExecContext refuses: what changes data needs Write.
func (db *DB) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errors.New("sqldb: a change outside a transaction")
}

// Write runs fn in one transaction and commits it. It runs fn again when the database asks for that (serialization failure,
// deadlock, busy), so fn must have no effect but through tx. The error of fn rolls everything back and is returned as it is.
//
// On SQLite transactions that wait for each other share a commit; see together.go.
func (db *DB) Write(ctx context.Context, fn func(tx Tx) error) error {
	const tries = 12
	for i := 1; ; i++ {
		err := db.once(ctx, fn)
		if err == nil || i == tries || !retryable(err) || ctx.Err() != nil {
			return err
		}
		wait := time.Duration(1<<min(i, 7)) * time.Millisecond
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (db *DB) once(ctx context.Context, fn func(tx Tx) error) error {
	// A client that hangs up must not leave an operation half-acknowledged: once begun, it ends by itself.
	ctx = context.WithoutCancel(ctx)
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	if db.Dialect == SQLite {
		return db.together(ctx, fn)
	}
	t, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	var after []func()
	done := false
	defer func() {
		if !done { // an error, or a panic passing through
			_ = t.Rollback()
		}
	}()
	if err := fn(Tx{ctx: ctx, q: t, db: db, after: &after}); err != nil {
		return err
	}
	done = true
	if err := t.Commit(); err != nil {
		return err
	}
	for _, f := range after {
		f()
	}
	return nil
}

func retryable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		code := lite.Code() & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	}
	return false
}

// Unique tells whether err is the refusal of a duplicate by a unique index.
func Unique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// Row scans the current row into its destinations.
type Row func(dest ...any) error

// One returns the first row, or ErrNone.
func One[T any](tx Tx, scan func(Row) (T, error), query string, args ...any) (T, error) {
	var zero T
	rows, err := tx.query(query, args)
	if err != nil {
		return zero, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return zero, err
		}
		return zero, ErrNone
	}
	v, err := scan(rows.Scan)
	if err != nil {
		return zero, err
	}
	return v, rows.Close()
}

// All returns every row.
func All[T any](tx Tx, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.query(query, args)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// Value scans a row of one column.
func Value[T any](row Row) (v T, err error) { return v, row(&v) }

// Micros returns t as the database keeps it: microseconds since 1970 UTC, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// At returns the time that Micros stored, in UTC; the zero time for 0.
func At(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Time scans a microseconds column into t.
func Time(t *time.Time) sql.Scanner { return timeScanner{t} }

type timeScanner struct{ t *time.Time }

func (s timeScanner) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("sqldb: %T is not a time column", v)
	}
	*s.t = At(n)
	return nil
}

// Null returns v for the database, nil when it is empty.
func Null[T ~string](v T) any {
	if v == "" {
		return nil
	}
	return string(v)
}

// Text scans a nullable text column into s, empty for null.
func Text[T ~string](s *T) sql.Scanner { return textScanner[T]{s} }

type textScanner[T ~string] struct{ s *T }

func (t textScanner[T]) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t.s = ""
	case string:
		*t.s = T(v)
	case []byte:
		*t.s = T(v)
	default:
		return fmt.Errorf("sqldb: %T is not a text column", v)
	}
	return nil
}
