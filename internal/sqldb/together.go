package sqldb

import (
	"context"
	"sync/atomic"
	"time"
)

// writing makes transactions of SQLite share a commit. SQLite has one writer, and what a commit costs is the wait for the disk: 0.1 ms here,
// milliseconds elsewhere. So whoever finds others waiting leaves the commit to them, and is told that it is done only when it is.
//
//	Write ──> turn ──> begin, or join what was left open ──> fn ──> does anybody wait? ── yes ──> pass the turn on; wait for their commit
//	                                                                                  └─ no ───> commit for all since begin
//
// A transaction that joins runs in a savepoint, so its failure undoes its own changes alone. Where the commit fails, it fails for all.
type writing struct {
	turn    chan struct{} // room for one: whoever has put something in runs
	waiting atomic.Int64  // who wants the turn, and will take it
	open    *commit       // begun and not committed; only for who has the turn
}

// mostTogether bounds how many share a commit, and with that how long the first waits for the last.
const mostTogether = 32

// commit is one transaction of the database, with what several have done in it.
type commit struct {
	*preparing
	end     context.CancelFunc
	members int           // whose changes are in it
	done    chan struct{} // closed when it is over
	err     error         // why it failed
}

// together runs fn once.
func (db *DB) together(ctx context.Context, fn func(tx Tx) error) error {
	w := &db.writing
	w.waiting.Add(1)
	w.turn <- struct{}{}
	w.waiting.Add(-1)
	if w.open == nil {
		begun, end := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
		t, err := db.writer.BeginTx(begun, nil)
		if err != nil {
			end()
			<-w.turn
			return err
		}
		w.open = &commit{preparing: &preparing{Tx: t, db: db}, end: end, done: make(chan struct{})}
	}
	c := w.open
	after, err := c.run(ctx, w, fn)
	if err != nil {
		return err
	}
	<-c.done
	if c.err != nil {
		return c.err
	}
	for _, f := range after {
		f()
	}
	return nil
}

// run runs fn as a member, and then commits or passes on.
func (c *commit) run(ctx context.Context, w *writing, fn func(tx Tx) error) (after []func(), err error) {
	steady := context.WithoutCancel(ctx) // what holds the members apart is done whether this one still waits or not
	joins := c.members > 0
	good := false
	defer func() { // also where fn panics
		if !good && joins {
			c.err = c.back(steady)
		}
		c.leave(steady, w)
	}()
	if joins {
		if _, err := c.ExecContext(steady, `savepoint joined`); err != nil {
			return nil, err
		}
	}
	if err := fn(Tx{ctx: ctx, q: c, db: c.db, after: &after}); err != nil {
		return nil, err
	}
	if joins {
		if _, err := c.ExecContext(steady, `release joined`); err != nil {
			return nil, err
		}
	}
	good = true
	c.members++
	return after, nil
}

// back undoes a member that failed. Where that fails, the database has given the whole transaction up.
func (c *commit) back(ctx context.Context) error {
	if _, err := c.ExecContext(ctx, `rollback to joined`); err != nil {
		return err
	}
	_, err := c.ExecContext(ctx, `release joined`)
	return err
}

// leave gives the turn back: with the transaction open when somebody waits who will take it over, and over otherwise.
func (c *commit) leave(ctx context.Context, w *writing) {
	if c.err == nil && c.members > 0 && c.members < mostTogether && w.waiting.Load() > 0 {
		<-w.turn
		return
	}
	if c.err == nil && c.members > 0 {
		c.err = c.Commit()
	} else {
		_ = c.Rollback()
	}
	c.end()
	w.open = nil
	if c.err == nil {
		c.keep(ctx)
	}
	close(c.done)
	<-w.turn
}

// writeLimit is how long a transaction may take, and the wait for its connection.
const writeLimit = 30 * time.Second
