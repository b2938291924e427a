// Package outbox owns the mails that are to go out: rows written in the transaction of the change that they tell of, and the worker
// that leases and delivers them. A mail exists exactly when its change does.
//
//	operation's tx: Enqueue ──> ready ──lease──> running ──delivered──> sent
//	                              ^                 ├─ fails for now ──> ready, later (back-off)
//	                              └─ lease ran out ─┘└─ fails for good, or too old ──> dead, with an event
//
// What a mail says is sealed in its row and erased when the row is sent or dead. Address and language are looked up at delivery.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// State is where a message stands.
type State string

// The states of a message.
const (
	Ready   State = "ready"
	Running State = "running"
	Sent    State = "sent"
	Dead    State = "dead"
)

// Message is one mail.
type Message struct {
	ID        id.Message
	Org       id.Org
	Kind      Kind
	Account   id.Account // whom it is for
	State     State
	Due       time.Time
	Tries     int
	LastError string
	Created   time.Time
	Expires   time.Time // not delivered later than this
	Sent      time.Time
	Data      Data // after Lease
	box       []byte
}

const messageColumns = `id, org_id, kind, account_id, state, due_at, tries, last_error, created_at, expires_at, sent_at, box`

func scanMessage(row sqldb.Row) (m Message, err error) {
	return m, row(&m.ID, &m.Org, &m.Kind, &m.Account, &m.State, sqldb.Time(&m.Due), &m.Tries, &m.LastError, sqldb.Time(&m.Created),
		sqldb.Time(&m.Expires), sqldb.Time(&m.Sent), &m.box)
}

// Queue writes messages and delivers them.
type Queue struct {
	DB    *sqldb.DB
	Vault *secret.Vault
	Now   func() time.Time
	Log   *slog.Logger

	// Deliver looks up the address, renders and sends one message. Permanent tells which of its errors no later try mends.
	Deliver   func(ctx context.Context, m Message) error
	Permanent func(error) bool

	wake chan struct{}
}

// NewQueue returns a queue that only writes until Deliver and Permanent are set.
func NewQueue(db *sqldb.DB, vault *secret.Vault, now func() time.Time, log *slog.Logger) *Queue {
	return &Queue{DB: db, Vault: vault, Now: now, Log: log, wake: make(chan struct{}, 1)}
}

// Enqueue writes a mail to an account in the caller's transaction. It is given up when it has not left after life.
func (q *Queue) Enqueue(tx sqldb.Tx, org id.Org, to id.Account, d Data, life time.Duration) error {
	now := q.Now()
	plain, err := json.Marshal(d)
	if err != nil {
		return err
	}
	m := id.New[id.Message](now)
	_, err = tx.Exec(`insert into outbox (id, org_id, kind, account_id, box, state, due_at, tries,
		last_error, created_at, expires_at, sent_at) values ($1, $2, $3, $4, $5, 'ready', $6, 0, '', $6, $7, 0)`,
		m, org, d.Kind(), to, q.Vault.Seal("outbox", "box", string(m), plain), sqldb.Micros(now), sqldb.Micros(now.Add(life)))
	tx.OnCommit(q.Wake)
	return err
}

// Wake makes a running worker look for due messages now.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Latest returns the newest mail of a kind to an account, or false when there is none.
func Latest(tx sqldb.Tx, account id.Account, kind Kind) (Message, bool, error) {
	m, err := sqldb.One(tx, scanMessage, `select `+messageColumns+` from outbox where account_id = $1 and kind = $2 order by id desc limit 1`,
		account, kind)
	if errors.Is(err, sqldb.ErrNone) {
		return m, false, nil
	}
	return m, err == nil, err
}

// Discard gives up the undelivered mails to an account: what they carry is no longer good.
func Discard(tx sqldb.Tx, account id.Account, kinds ...Kind) error {
	for _, k := range kinds {
		if _, err := tx.Exec(`update outbox set state = 'dead', box = null, last_error = 'withdrawn'
			where account_id = $1 and kind = $2 and state in ('ready', 'running')`, account, k); err != nil {
			return err
		}
	}
	return nil
}

const (
	leaseTime = 30 * time.Second
	sendTime  = 25 * time.Second // for one try: less than the lease, so that nobody else begins while it goes on
	batch     = 10
	mostTries = 15
)

// Run delivers due messages until ctx ends. It looks when it is woken, and each second for what other processes wrote.
func (q *Queue) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		n, err := q.Work(ctx)
		if err != nil && ctx.Err() == nil {
			q.Log.Error("outbox", "error", err)
		}
		if n == batch {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-tick.C:
		}
	}
}

// Work leases what is due, at most a batch, delivers it, and returns how many messages it took.
func (q *Queue) Work(ctx context.Context) (int, error) {
	now := q.Now()
	due, err := sqldb.One(q.DB.Read(ctx), sqldb.Value[int64], `select
		(select count(*) from (select 1 from outbox where state = 'ready' and due_at <= $1 limit 1) r) +
		(select count(*) from (select 1 from outbox where state = 'running' and due_at <= $1 limit 1) l)`, sqldb.Micros(now))
	if err != nil || due == 0 {
		return 0, err
	}
	var list []Message
	err = q.DB.Write(ctx, func(tx sqldb.Tx) (err error) {
		// While a message runs, due_at is when its lease ends: a worker that died is noticed by the same index.
		list, err = sqldb.All(tx, scanMessage, `update outbox set state = 'running', due_at = $1, tries = tries + 1
			where state in ('ready', 'running') and due_at <= $2 and id in
			(select id from outbox where state in ('ready', 'running') and due_at <= $2 order by due_at limit 10) returning `+messageColumns,
			sqldb.Micros(now.Add(leaseTime)), sqldb.Micros(now))
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, m := range list {
		if err := q.attempt(ctx, m); err != nil {
			return len(list), err
		}
	}
	return len(list), nil
}

func (q *Queue) attempt(ctx context.Context, m Message) error {
	now := q.Now()
	if now.Add(sendTime).After(m.Due) { // those before it in the batch took their time
		held, err := q.renew(ctx, m)
		if err != nil || !held {
			return err
		}
	}
	if !m.Expires.After(now) {
		return q.bury(ctx, m, "expired before it could be delivered")
	}
	var err error
	if m.Data, err = q.open(m); err != nil {
		return q.bury(ctx, m, err.Error())
	}
	send, cancel := context.WithTimeout(ctx, sendTime)
	err = q.Deliver(send, m)
	cancel()
	switch {
	case err == nil:
		return q.DB.Write(ctx, func(tx sqldb.Tx) error {
			_, err := tx.Exec(`update outbox set state = 'sent', box = null, sent_at = $1, last_error = '' where id = $2 and state = 'running'`,
				sqldb.Micros(q.Now()), m.ID)
			return err
		})
	case ctx.Err() != nil: // stopping: the lease runs out and someone else delivers it
		return nil
	case q.Permanent(err) || m.Tries >= mostTries:
		return q.bury(ctx, m, reason(err))
	}
	q.Log.Warn("mail not delivered yet", "message", m.ID, "kind", m.Kind, "try", m.Tries, "error", reason(err))
	return q.DB.Write(ctx, func(tx sqldb.Tx) error {
		_, dbErr := tx.Exec(`update outbox set state = 'ready', due_at = $1, last_error = $2 where id = $3 and state = 'running' and tries = $4`,
			sqldb.Micros(q.Now().Add(backoff(m.Tries))), reason(err), m.ID, m.Tries)
		return dbErr
	})
}

// renew takes a lease anew; false means that it ran out and someone else has the message now, or that it was withdrawn. The number of
// tries tells whose lease it is: each lease counts one.
func (q *Queue) renew(ctx context.Context, m Message) (bool, error) {
	var n int64
	err := q.DB.Write(ctx, func(tx sqldb.Tx) (err error) {
		n, err = tx.Exec(`update outbox set due_at = $1 where id = $2 and state = 'running' and tries = $3`,
			sqldb.Micros(q.Now().Add(leaseTime)), m.ID, m.Tries)
		return err
	})
	return n == 1, err
}

// backoff is the wait after the nth try: 5 s, 10 s, … up to an hour.
func backoff(tries int) time.Duration {
	return min(5*time.Second<<min(max(tries-1, 0), 12), time.Hour)
}

func reason(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// bury gives a message up: state dead, nothing of its content left, an event for the organisation's administrators.
func (q *Queue) bury(ctx context.Context, m Message, why string) error {
	q.Log.Error("mail given up", "message", m.ID, "kind", m.Kind, "error", why)
	return q.DB.Write(ctx, func(tx sqldb.Tx) error {
		n, err := tx.Exec(`update outbox set state = 'dead', box = null, last_error = $1 where id = $2 and state = 'running' and tries = $3`,
			why, m.ID, m.Tries)
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(tx, q.Now(), audit.Event{Org: m.Org, Action: audit.MailFailed, Outcome: audit.Refused, Reason: string(m.Kind),
			Actor: access.System(), Target: audit.TargetOf(m.Account), Person: map[string]any{"error": why}})
	})
}

func (q *Queue) open(m Message) (Data, error) {
	plain, err := q.Vault.Open("outbox", "box", string(m.ID), m.box)
	if err != nil {
		return nil, err
	}
	switch m.Kind {
	case KindInvite:
		return decode[Invite](plain)
	case KindReset:
		return decode[Reset](plain)
	case KindMailCode:
		return decode[MailCode](plain)
	case KindPasswordChanged:
		return decode[PasswordChanged](plain)
	case KindFactorAdded:
		return decode[FactorAdded](plain)
	case KindFactorRemoved:
		return decode[FactorRemoved](plain)
	case KindAccountState:
		return decode[AccountState](plain)
	case KindEmailConfirm:
		return decode[EmailConfirm](plain)
	case KindEmailChanging:
		return decode[EmailChanging](plain)
	case KindEmailChanged:
		return decode[EmailChanged](plain)
	case KindOrgState:
		return decode[OrgState](plain)
	case KindSeatsRequest:
		return decode[SeatsRequest](plain)
	case KindSeatsAnswer:
		return decode[SeatsAnswer](plain)
	case KindMoveAsked:
		return decode[MoveAsked](plain)
	case KindMoveDone:
		return decode[MoveDone](plain)
	case KindMoveDeclined:
		return decode[MoveDeclined](plain)
	case KindMoveCancelled:
		return decode[MoveCancelled](plain)
	case KindFactorDisabled:
		return decode[FactorDisabled](plain)
	case KindRecoveryUsed:
		return decode[RecoveryUsed](plain)
	case KindNewDevice:
		return decode[NewDevice](plain)
	case KindAccessCode:
		return decode[AccessCode](plain)
	case KindSetup:
		return decode[Setup](plain)
	case KindNotMeAlert:
		return decode[NotMeAlert](plain)
	case KindMyOrganisations:
		return decode[MyOrganisations](plain)
	case KindRoleChanged:
		return decode[RoleChanged](plain)
	case KindExpiry:
		return decode[Expiry](plain)
	case KindDeadline:
		return decode[Deadline](plain)
	case KindLinked:
		return decode[Linked](plain)
	case KindUnlinked:
		return decode[Unlinked](plain)
	case KindLinkedReset:
		return decode[LinkedReset](plain)
	case KindResetElsewhere:
		return decode[ResetElsewhere](plain)
	}
	return nil, fmt.Errorf("outbox: unknown kind %q", m.Kind)
}

func decode[D Data](plain []byte) (Data, error) {
	var d D
	err := json.Unmarshal(plain, &d)
	return d, err
}

// Reseal seals with the current key what an older key sealed, and returns how many rows it changed.
func Reseal(tx sqldb.Tx, v *secret.Vault) (int, error) {
	list, err := sqldb.All(tx, scanMessage, `select `+messageColumns+` from outbox where box is not null`)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, m := range list {
		if key, _, err := secret.KeyOf(m.box); err != nil || key == v.Sealing() {
			if err != nil {
				return n, err
			}
			continue
		}
		plain, err := v.Open("outbox", "box", string(m.ID), m.box)
		if err != nil {
			return n, err
		}
		if _, err := tx.Exec(`update outbox set box = $1 where id = $2 and box is not null`, v.Seal("outbox", "box", string(m.ID), plain), m.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// UsesKey tells whether a row is sealed with that key.
func UsesKey(tx sqldb.Tx, key string) (bool, error) {
	boxes, err := sqldb.All(tx, sqldb.Value[[]byte], `select box from outbox where box is not null`)
	if err != nil {
		return false, err
	}
	for _, b := range boxes {
		if name, _, err := secret.KeyOf(b); err != nil || name == key {
			return true, err
		}
	}
	return false, nil
}
