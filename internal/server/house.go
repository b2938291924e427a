// Package server is the only place that knows every room: it opens the house (database, keys, domain), builds the surfaces, routes,
// runs and stops.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/config"
	"doorward/internal/factor"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/secret"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// House is the domain, opened and wired, without any surface. Commands and the server work with it alike.
type House struct {
	Settings  config.Settings
	DB        *sqldb.DB
	Vault     *secret.Vault
	Hasher    *secret.Hasher
	Breached  *factor.Breached
	Book      *audit.Book
	Guard     access.Guard
	Gate      throttle.Gate
	Queue     *outbox.Queue
	Directory *account.Directory
	Jobs      *account.Jobs
	Desk      *signin.Desk
	Now       func() time.Time
	Log       *slog.Logger
}

// ErrWrongKey is returned when the key file is not the one that this database was sealed with.
var ErrWrongKey = errors.New("the key file does not fit the database: it lacks a key that the database was sealed with; check --key-file and --data, or bring over the file of the node that added the key")

// Open opens the database and the key file, migrates when migrate is set, and wires the domain. The clock is injected; nil is the real
// one. The error is one line for the operator.
func Open(ctx context.Context, s config.Settings, now func() time.Time, log *slog.Logger, migrate bool) (*House, error) {
	if now == nil {
		now = time.Now
	}
	cost, err := s.Cost()
	if err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, s.Database, s.Data)
	if err != nil {
		return nil, err
	}
	h, err := furnish(ctx, s, db, cost, now, log, migrate)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return h, nil
}

func furnish(ctx context.Context, s config.Settings, db *sqldb.DB, cost secret.Cost, now func() time.Time, log *slog.Logger, migrate bool) (*House, error) {
	status, err := db.Status(ctx)
	if err != nil {
		return nil, err
	}
	if !status.Current() {
		if !migrate {
			return nil, fmt.Errorf("the database is at migration %d, this program at %d; run `doorward db migrate`", status.Version, status.Newest)
		}
		if _, err := db.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	sealed, err := sqldb.All(db.Read(ctx), sqldb.Value[string], `select key_id from key_checks`)
	if err != nil {
		return nil, err
	}
	// A database that was sealed before needs its own key file: a fresh one would only hide the loss.
	vault, err := secret.OpenVault(s.KeyPath(), len(sealed) == 0)
	if err != nil {
		return nil, err
	}
	if err := checkKeys(ctx, db, vault, len(sealed) == 0); err != nil {
		return nil, err
	}
	// A container's share of the machine may be less than its cores; MakeRoom makes it more than them.
	slots := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	h := &House{Settings: s, DB: db, Vault: vault, Hasher: secret.NewHasher(cost, slots), Breached: factor.BreachedAt(s.PasswordsPath()), Now: now, Log: log,
		Book: &audit.Book{DB: db, Now: now}, Guard: access.Guard{Now: now}, Gate: throttle.Gate{DB: db, Now: now},
		Queue: outbox.NewQueue(db, vault, now, log)}
	h.Directory = &account.Directory{DB: db, Book: h.Book, Guard: h.Guard, Gate: h.Gate, Queue: h.Queue, Vault: vault, Hasher: h.Hasher, Now: now}
	public, err := s.Public()
	if err != nil {
		return nil, err
	}
	relying, err := factor.NewRelying(public)
	if err != nil {
		return nil, err
	}
	h.Desk = &signin.Desk{Relying: relying, DB: db, Book: h.Book, Guard: h.Guard, Gate: h.Gate, Queue: h.Queue, Vault: vault, Hasher: h.Hasher, Now: now}
	h.Directory.Breached, h.Desk.Breached = h.Breached, h.Breached
	h.Jobs = account.NewJobs(h.Directory, log)
	h.Jobs.EndSessions, h.Jobs.Stands = h.Desk.EndSessions, h.Desk.Stands
	h.Directory.Press = org.NewPress()
	return h, nil
}

// Close closes the database.
func (h *House) Close() error { return h.DB.Close() }

// checkKeys opens the canary of each key that the database knows, and writes the first one.
func checkKeys(ctx context.Context, db *sqldb.DB, v *secret.Vault, first bool) error {
	if first {
		return db.Write(ctx, func(tx sqldb.Tx) error { return WriteKeyCheck(tx, v) })
	}
	type check struct {
		key string
		box []byte
	}
	list, err := sqldb.All(db.Read(ctx), func(row sqldb.Row) (c check, err error) { return c, row(&c.key, &c.box) }, `select key_id, box from key_checks`)
	if err != nil {
		return err
	}
	for _, c := range list {
		if _, err := v.Open("key_checks", "box", c.key, c.box); err != nil {
			if errors.Is(err, secret.ErrNoKey) {
				return ErrWrongKey
			}
			return err
		}
	}
	return nil
}

// WriteKeyCheck leaves a canary sealed with the present sealing key.
func WriteKeyCheck(tx sqldb.Tx, v *secret.Vault) error {
	key := v.Sealing()
	_, err := tx.Exec(`insert into key_checks (key_id, box) values ($1, $2) on conflict (key_id) do nothing`,
		key, v.Seal("key_checks", "box", key, []byte("doorward")))
	return err
}
