package main

import (
	"context"
	"errors"
	"fmt"
)

type dbCommand struct {
	Migrate dbMigrateCommand `cmd:"" help:"Bring the database to this program's schema."`
	Status  dbStatusCommand  `cmd:"" help:"Show how far the database is migrated."`
}

type dbMigrateCommand struct{}

// Run migrates, and makes the database when it is missing.
func (c *dbMigrateCommand) Run(ctx context.Context, t *terminal) (err error) {
	db, err := t.database(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	n, err := db.Migrate(ctx)
	if err != nil {
		return err
	}
	s, err := db.Status(ctx)
	if err != nil {
		return err
	}
	return t.say("Migrations applied: %d. The database is at %d.", n, s.Version)
}

type dbStatusCommand struct {
	JSON bool `help:"Write JSON."`
}

// Run shows where database and program stand. It fails when they do not fit, so that a script can ask.
func (c *dbStatusCommand) Run(ctx context.Context, t *terminal) (err error) {
	if err := t.existing(); err != nil {
		return err
	}
	db, err := t.database(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := db.Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		err = t.json(map[string]any{"dialect": db.Dialect, "version": s.Version, "newest": s.Newest})
	} else {
		err = t.say("%s: the database is at migration %d, this program at %d.", db.Dialect, s.Version, s.Newest)
	}
	if err == nil && !s.Current() {
		err = fmt.Errorf("%d migrations are not applied; run `doorward db migrate`", s.Newest-s.Version)
	}
	return err
}
