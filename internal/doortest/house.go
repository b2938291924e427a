package doortest

import (
	"log/slog"
	"testing"
	"time"

	"doorward/internal/config"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// Each runs a test for SQLite and for PostgreSQL.
func Each(t *testing.T, test func(t *testing.T, d sqldb.Dialect)) {
	t.Helper()
	for _, d := range []sqldb.Dialect{sqldb.SQLite, sqldb.Postgres} {
		t.Run(string(d), func(t *testing.T) { test(t, d) })
	}
}

// DB opens a fresh, migrated database. It closes with the test.
func DB(t testing.TB, d sqldb.Dialect) *sqldb.DB {
	t.Helper()
	setting, dir := Database(t, d)
	db, err := sqldb.Open(t.Context(), setting, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// House opens the domain on a fresh database: no surfaces, and nobody delivers mail. It closes with the test.
func House(t testing.TB, d sqldb.Dialect) (*server.House, *Clock) {
	t.Helper()
	database, dir := Database(t, d)
	clock := &Clock{now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	return Node(t, config.Settings{PublicURL: "http://localhost", Data: dir, Database: database, Argon2: "m=64,t=1,p=1"}, clock), clock
}

// Node opens the domain with those settings: the first node on a database, or a further one. It closes with the test.
func Node(t testing.TB, s config.Settings, clock *Clock) *server.House {
	t.Helper()
	h, err := server.Open(t.Context(), s, clock.Now, slog.New(slog.DiscardHandler), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}
