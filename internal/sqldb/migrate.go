package sqldb

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewer is returned when the database was migrated by a newer program.
var ErrNewer = errors.New("the database was migrated by a newer version of Doorward; start that version, or restore a back-up made before it")

// Status tells how far a database is migrated.
type Status struct {
	Version int64 // newest migration applied, 0 for an empty database
	Newest  int64 // newest migration that this program has
}

// Current tells whether nothing is left to do.
func (s Status) Current() bool { return s.Version == s.Newest }

// Newest returns the newest migration that this program has.
func Newest() int64 {
	var newest int64
	names, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is a constant and valid
	for _, n := range names {
		digits, _, _ := strings.Cut(path.Base(n), "_")
		if v, err := strconv.ParseInt(digits, 10, 64); err == nil {
			newest = max(newest, v)
		}
	}
	return newest
}

// Status reads how far the database is migrated. The error is ErrNewer when it is ahead of this program.
func (db *DB) Status(ctx context.Context) (Status, error) {
	s := Status{Newest: Newest()}
	exists := `select count(*) from sqlite_master where name = 'schema_version'`
	if db.Dialect == Postgres {
		exists = `select count(*) from information_schema.tables where table_schema = current_schema() and table_name = 'schema_version'`
	}
	n, err := One(db.Read(ctx), Value[int64], exists)
	if err != nil || n == 0 {
		return s, err
	}
	s.Version, err = One(db.Read(ctx), Value[int64], `select coalesce(max(version_id), 0) from schema_version where is_applied`)
	if err == nil && s.Version > s.Newest {
		err = ErrNewer
	}
	return s, err
}

var textColumn = regexp.MustCompile(`\btext\b`)

// Migrate brings the database to this program's newest migration. Several nodes may start at once: one migrates, the others wait.
// It returns how many migrations were applied.
func (db *DB) Migrate(ctx context.Context) (int, error) {
	st, err := db.Status(ctx)
	if err != nil || st.Current() {
		return 0, err
	}
	unlock, err := db.lockMigrations(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, err
	}
	dialect := database.DialectSQLite3
	if db.Dialect == Postgres {
		dialect = database.DialectPostgres
		// Bytewise order on both databases: the one word in which the migrations differ.
		if dir, err = rewrite(dir, func(sql string) string { return textColumn.ReplaceAllString(sql, `text collate "C"`) }); err != nil {
			return 0, err
		}
	}
	store, err := database.NewStore(dialect, "schema_version")
	if err != nil {
		return 0, err
	}
	p, err := goose.NewProvider("", db.writer, dir, goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return 0, err
	}
	done, err := p.Up(ctx)
	if err == nil {
		return len(done), nil
	}
	// Another process may have been faster with one of them: it goes on, as long as it gets further.
	n := 0
	if partial := (*goose.PartialError)(nil); errors.As(err, &partial) {
		n = len(partial.Applied)
	}
	for patience, version := migrationPatience, st.Version; patience > 0; patience-- {
		switch now, statusErr := db.Status(ctx); {
		case statusErr == nil && now.Current():
			return n, nil
		case statusErr == nil && now.Version > version:
			patience, version = migrationPatience, now.Version
		}
		time.Sleep(50 * time.Millisecond)
	}
	return n, fmt.Errorf("migrate: %w", err)
}

// migrationPatience is for how many looks nothing may have happened before a migration that failed counts as our own failure.
const migrationPatience = 20

// lockMigrations holds a row lock on PostgreSQL until unlock is called. SQLite has one writer anyway.
func (db *DB) lockMigrations(ctx context.Context) (unlock func(), err error) {
	if db.Dialect == SQLite {
		return func() {}, nil
	}
	for _, q := range []string{`create table if not exists migration_lock (id bigint primary key)`,
		`insert into migration_lock (id) values (1) on conflict (id) do nothing`} {
		for try := 0; ; try++ {
			if _, err = db.writer.ExecContext(ctx, q); err == nil {
				break
			}
			if try == 20 { // two "create table if not exists" at once can collide in the catalogue
				return nil, err
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `update migration_lock set id = 1 where id = 1`); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return func() { _ = tx.Commit() }, nil
}

func rewrite(dir fs.FS, change func(string) string) (fs.FS, error) {
	out := fstest.MapFS{}
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		out[name] = &fstest.MapFile{Data: []byte(change(string(b))), Mode: 0o444}
		return nil
	})
	return out, err
}
