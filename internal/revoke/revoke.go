// Package revoke owns the answer to "is this still good": Subject makes everything of an account or organisation that was made before
// now void. Sessions, attempts and links carry the number that was current when they were made; whoever resolves one compares it with
// the newest number of its account and organisation.
//
// The number comes from one row that is updated, never from a sequence, so numbers become visible in the order in which they are
// given. Call Subject last in a transaction: from there on other revocations wait.
package revoke

import (
	"time"

	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// Kind is a kind of subject.
type Kind string

// The kinds of subjects.
const (
	Account Kind = "account"
	Org     Kind = "org"
)

// Subject makes everything of the subject that carries an older number void, and returns the new number.
func Subject[K id.Kind](tx sqldb.Tx, now time.Time, kind Kind, subject K) (int64, error) {
	seq, err := sqldb.One(tx, sqldb.Value[int64], `update revocation_head set seq = seq + 1 where id = 1 returning seq`)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(`insert into revocations (kind, subject, seq, at) values ($1, $2, $3, $4)
		on conflict (kind, subject) do update set seq = excluded.seq, at = excluded.at`, kind, subject, seq, sqldb.Micros(now))
	return seq, err
}

// Newest is Head as a column or value of another statement.
const Newest = `(select seq from revocation_head where id = 1)`

// Head returns the newest number. What is made now carries it; read it before the state is checked that the thing rests on, or with it.
func Head(tx sqldb.Tx) (int64, error) {
	return sqldb.One(tx, sqldb.Value[int64], `select seq from revocation_head where id = 1`)
}

// Since tells whether the account, or its organisation, was revoked after seq.
func Since(tx sqldb.Tx, account id.Account, org id.Org, seq int64) (bool, error) {
	n, err := sqldb.One(tx, sqldb.Value[int64], `select
		(select count(*) from revocations where kind = 'account' and subject = $1 and seq > $2) +
		(select count(*) from revocations where kind = 'org' and subject = $3 and seq > $2)`, account, seq, org)
	return n > 0, err
}

// Later is Since as a column beside those of a table that has account_id, org_id and seq: more than 0 when the row is void.
func Later(table string) string {
	return `(select count(*) from revocations r where r.kind = 'account' and r.subject = ` + table + `.account_id and r.seq > ` + table + `.seq) +
		(select count(*) from revocations r where r.kind = 'org' and r.subject = ` + table + `.org_id and r.seq > ` + table + `.seq)`
}
