package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
)

// Bulk collects rows of one table and writes many with one statement, inside DB.Fill.
type Bulk struct {
	insert  string // into the table with its columns
	columns int
	rows    int     // of one statement
	below   []*Bulk // refer to these rows, so theirs are written after them
	held    bool    // is below another one
	args    []any
	dialect Dialect
	tx      *sql.Tx
	many    *sql.Stmt
}

// NewBulk returns what collects rows of a table with those columns.
func NewBulk(table string, columns ...string) *Bulk {
	return &Bulk{insert: `insert into ` + table + ` (` + strings.Join(columns, `, `) + `) values (`, columns: len(columns), rows: max(1, 1200/len(columns))}
}

// Below makes rows of these be written after those that they refer to.
func (b *Bulk) Below(others ...*Bulk) {
	for _, o := range others {
		o.held = true
	}
	b.below = append(b.below, others...)
}

// Fill runs fn in one transaction that the rows of bulks are written in, and commits. It is for filling a database that nobody else uses: there is
// no time limit, and the transaction is not tried again.
func (db *DB) Fill(ctx context.Context, bulks []*Bulk, fn func() error) error {
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, b := range bulks {
		b.tx, b.dialect = tx, db.Dialect
	}
	err = fn()
	for _, b := range bulks {
		if err == nil {
			err = b.flush(ctx)
		}
		b.close()
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// BeginFill prepares the database for Fill, EndFill does what it otherwise does in its own time: statistics, and for SQLite moving the log into
// the file.
func (db *DB) BeginFill(ctx context.Context) error {
	if db.Dialect == Postgres {
		return nil
	}
	_, err := db.writer.ExecContext(ctx, `pragma cache_size = -1000000; pragma wal_autocheckpoint = 50000`) // of the one connection that writes
	return err
}

// EndFill ends what BeginFill began, for those tables.
func (db *DB) EndFill(ctx context.Context, tables ...string) error {
	statement := `pragma wal_checkpoint(truncate)`
	if db.Dialect == Postgres {
		statement = `vacuum (analyze) ` + strings.Join(tables, `, `)
	}
	_, err := db.writer.ExecContext(ctx, statement)
	return err
}

func (b *Bulk) statement(rows int) string {
	var s strings.Builder
	s.WriteString(b.insert)
	for i := range rows * b.columns {
		switch {
		case i == 0:
		case i%b.columns == 0:
			s.WriteString(`), (`)
		default:
			s.WriteString(`, `)
		}
		if b.dialect == Postgres {
			s.WriteString(`$` + strconv.Itoa(i+1))
		} else {
			s.WriteString(`?`) // SQLite's driver looks a numbered one up among all others
		}
	}
	return s.String() + `)`
}

// Add adds a row: a value for each column.
func (b *Bulk) Add(ctx context.Context, values ...any) error {
	b.args = append(b.args, values...)
	if b.held || len(b.args) < b.rows*b.columns {
		return nil
	}
	return b.write(ctx)
}

// write writes all full statements.
func (b *Bulk) write(ctx context.Context) (err error) {
	n := b.rows * b.columns
	for len(b.args) >= n {
		if b.many == nil {
			if b.many, err = b.tx.PrepareContext(ctx, b.statement(b.rows)); err != nil { //nolint:sqlclosecheck // close does
				return err
			}
		}
		if _, err := b.many.ExecContext(ctx, b.args[:n]...); err != nil {
			return err
		}
		b.args = append(b.args[:0], b.args[n:]...)
	}
	if len(b.args) > 0 {
		return nil
	}
	for _, o := range b.below {
		if err := o.write(ctx); err != nil {
			return err
		}
	}
	return nil
}

// flush writes everything.
func (b *Bulk) flush(ctx context.Context) error {
	if err := b.write(ctx); err != nil || len(b.args) == 0 {
		return err
	}
	_, err := b.tx.ExecContext(ctx, b.statement(len(b.args)/b.columns), b.args...)
	b.args = b.args[:0]
	return err
}

func (b *Bulk) close() {
	if b.many != nil {
		_ = b.many.Close()
	}
	b.args, b.many, b.tx = b.args[:0], nil, nil
}
