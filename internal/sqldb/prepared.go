package sqldb

import (
	"context"
	"database/sql"
)

// mostPrepared bounds the statements that the writer keeps prepared. The program has a few hundred.
const mostPrepared = 1000

// preparing runs the statements of a transaction as prepared ones, on SQLite. There, parsing and planning a statement costs what running it
// does, and database/sql does both each time. pgx prepares by itself.
type preparing struct {
	*sql.Tx
	db      *DB
	unknown []string // texts that were met for the first time
}

// QueryContext runs a query.
func (p *preparing) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := p.statement(ctx, query); s != nil { //nolint:sqlclosecheck // database/sql closes it with the transaction
		return s.QueryContext(ctx, args...)
	}
	return p.Tx.QueryContext(ctx, query, args...)
}

// ExecContext runs a statement.
func (p *preparing) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := p.statement(ctx, query); s != nil { //nolint:sqlclosecheck // database/sql closes it with the transaction
		return s.ExecContext(ctx, args...)
	}
	return p.Tx.ExecContext(ctx, query, args...)
}

// statement returns the prepared statement of a text that an earlier transaction ran, nil for a new one. database/sql closes it with the
// transaction and keeps what the connection prepared.
func (p *preparing) statement(ctx context.Context, query string) *sql.Stmt {
	if s, ok := p.db.writes.Load(query); ok {
		return p.StmtContext(ctx, s.(*sql.Stmt))
	}
	p.unknown = append(p.unknown, query)
	return nil
}

// keep prepares the new texts once the transaction is over: while it runs, it has the only connection that writes. A text that does not
// parse is left out: its statement failed already.
func (p *preparing) keep(ctx context.Context) {
	for _, query := range p.unknown {
		if _, ok := p.db.writes.Load(query); ok || p.db.written.Load() >= mostPrepared {
			continue
		}
		s, err := p.db.writer.PrepareContext(ctx, query)
		if err != nil {
			continue
		}
		if _, loaded := p.db.writes.LoadOrStore(query, s); loaded {
			_ = s.Close() //nolint:sqlclosecheck // two met it at once: the other's statement is kept
			continue
		}
		p.db.written.Add(1)
	}
}
