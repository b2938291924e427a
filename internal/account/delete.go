package account

import (
	"context"
	"errors"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// How somebody is deleted:
//
//	never activated ── Delete ──> gone
//	active, disabled ── Delete ──> deleting ── Keep ──> as before
//	                                  └── the waiting time is over: PurgePeople ──> gone

// DeletionWaits is how long somebody who was active can still be kept.
const DeletionWaits = 7 * 24 * time.Hour

var errDeleting = refusal.New(refusal.Conflict, "account.deleting")

// untouched tells whether an account was never used: of who was here once, the log has more than the invitation.
func (a Account) untouched() bool { return a.Activated.IsZero() && a.LastSignIn.IsZero() }

// Delete takes somebody out of an organisation. Who was never active is gone at once. Anybody else is shut out at once, with sessions, attempts and links
// void and the seat free, and gone after DeletionWaits; until then Keep undoes it. A linked account's home is not touched. The last administrator
// stays, and nobody deletes themself.
func (d *Directory) Delete(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.AccountDeletionAsked, func(tx sqldb.Tx) error {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
		if _, _, _, err := d.person(tx, actor, access.PeopleDelete, o, a); err != nil {
			return err
		}
		if actor.Account == a {
			return refusal.New(refusal.Conflict, "account.yourself")
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		if err := d.keepAdministrator(tx, o, a); err != nil {
			return err
		}
		until := d.Now().Add(DeletionWaits)
		states, err := sqldb.All(tx, sqldb.Value[State], `update accounts set kept_state = state, state = 'deleting', delete_at = $1, link_used_at = 0
			where id = $2 and org_id = $3 and state <> 'deleting' returning kept_state`, sqldb.Micros(until), a, o)
		if err != nil {
			return err
		}
		if len(states) == 0 {
			return errDeleting
		}
		acc, err := Find(tx, o, a)
		if err != nil { // the row is ours now: what it says holds
			return err
		}
		if states[0] != Disabled && !acc.Linked() {
			if err := license.ReturnSeat(tx, d.Now(), o); err != nil {
				return err
			}
		}
		if acc.untouched() {
			if err := audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.AccountWithdrawn, Actor: actor, Target: audit.TargetOf(a),
				Person: map[string]any{"email": acc.Email}}); err != nil {
				return err
			}
			return d.remove(tx, acc)
		}
		return d.shut(tx, actor, acc, states[0], until)
	})
}

// shut is what becomes of somebody at once who is going to be deleted.
func (d *Directory) shut(tx sqldb.Tx, actor access.Actor, acc Account, was State, until time.Time) error {
	if was == Active {
		if err := d.tellBelow(tx, acc, audit.HomeDisabled); err != nil {
			return err
		}
	}
	if err := outbox.Discard(tx, acc.ID, outbox.KindInvite, outbox.KindReset, outbox.KindSetup, outbox.KindMailCode, outbox.KindEmailConfirm); err != nil {
		return err
	}
	if _, err := tx.Exec(`update links set state = 'void' where account_id = $1 and state = 'open'`, acc.ID); err != nil {
		return err
	}
	if err := errors.Join(factor.DropPending(tx, acc.ID), factor.DropAccessCode(tx, acc.ID)); err != nil {
		return err
	}
	if err := d.tellState(tx, actor, acc, outbox.AccountState{State: string(Deleting), Until: until}); err != nil {
		return err
	}
	if err := audit.Record(tx, d.Now(), audit.Event{Org: acc.Org, Action: audit.AccountDeletionAsked, Actor: actor, Target: audit.TargetOf(acc.ID),
		Data: map[string]any{"before": string(was), "until": until.UTC().Format(time.RFC3339)}}); err != nil {
		return err
	}
	_, err := revoke.Subject(tx, d.Now(), revoke.Account, acc.ID)
	return err
}

// Keep undoes Delete before the waiting time is over: the account is as it was before, without the sessions and links that ended. It takes a seat again, unless
// it is linked or was disabled, or is refused.
func (d *Directory) Keep(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.AccountKept, func(tx sqldb.Tx) error {
		if _, _, _, err := d.person(tx, actor, access.PeopleDelete, o, a); err != nil {
			return err
		}
		n, err := tx.Exec(`update accounts set state = kept_state, kept_state = '', delete_at = 0 where id = $1 and org_id = $2 and state = 'deleting' and delete_at > $3`,
			a, o, sqldb.Micros(d.Now()))
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal.New(refusal.Conflict, "account.not_deleting")
		}
		acc, err := Find(tx, o, a)
		if err != nil {
			return err
		}
		if acc.State != Disabled && !acc.Linked() {
			if err := license.TakeSeat(tx, d.Now(), o); err != nil {
				return err
			}
		}
		if err := d.tellState(tx, actor, acc, outbox.AccountState{State: "kept"}); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.AccountKept, Actor: actor, Target: audit.TargetOf(a),
			Data: map[string]any{"state": string(acc.State)}})
	})
}

// tellState mails somebody what became of their account.
func (d *Directory) tellState(tx sqldb.Tx, actor access.Actor, acc Account, m outbox.AccountState) (err error) {
	if m.By, err = d.shown(tx, actor); err != nil {
		return err
	}
	m.At = d.Now()
	return d.Queue.Enqueue(tx, acc.Org, acc.ID, m, stateMailLife)
}

// PurgePeople removes the people whose waiting time is over. It runs again and again, on every node: what is gone already is not there for the other one.
// Of the log, the events stay; names, addresses and whatever else is personal go out of them.
func (d *Directory) PurgePeople(ctx context.Context) error {
	for {
		due, err := sqldb.All(d.DB.Read(ctx), scan, `select `+columns+` from accounts where delete_at > 0 and delete_at <= $1 order by delete_at limit 20`,
			sqldb.Micros(d.Now()))
		if err != nil || len(due) == 0 {
			return err
		}
		for _, a := range due {
			if err := d.purgePerson(ctx, a); err != nil {
				return err
			}
		}
	}
}

// purgePerson removes somebody, in transactions that each do a bounded piece.
func (d *Directory) purgePerson(ctx context.Context, a Account) error {
	var after, last id.Event // after moves on when a slice is committed: one that is rolled back is read again
	for _, slice := range []func(tx sqldb.Tx) (more bool, err error){
		func(tx sqldb.Tx) (bool, error) { return d.orphan(tx, a) },
		func(tx sqldb.Tx) (bool, error) {
			n, err := tx.Exec(`delete from outbox where id in (select id from outbox where account_id = $1 limit 500)`, a.ID)
			return n == purgedAtOnce, err
		},
		func(tx sqldb.Tx) (bool, error) { return audit.ForgetTarget(tx, a.Org, string(a.ID), purgedAtOnce) },
		func(tx sqldb.Tx) (more bool, err error) {
			last, more, err = audit.ForgetActor(tx, string(a.ID), after, purgedAtOnce)
			return more, err
		},
		func(tx sqldb.Tx) (bool, error) {
			n, err := tx.Exec(`delete from sessions where id in (select id from sessions where account_id = $1 limit 500)`, a.ID)
			return n == purgedAtOnce, err
		},
		func(tx sqldb.Tx) (bool, error) {
			// The last event of this log about the person names nobody.
			if err := audit.Record(tx, d.Now(), audit.Event{Org: a.Org, Action: audit.AccountDeleted, Actor: access.System(), Target: audit.TargetOf(a.ID)}); err != nil {
				return false, err
			}
			return false, d.remove(tx, a)
		},
	} {
		for more := true; more; {
			if err := d.DB.Write(ctx, func(tx sqldb.Tx) error {
				still, err := d.leaving(tx, a.ID)
				if err != nil || !still {
					more = false
					return err
				}
				more, err = slice(tx)
				return err
			}); err != nil {
				return err
			}
			after = last
		}
	}
	return nil
}

// leaving tells whether somebody's waiting time is over, and holds it so until the end of the transaction.
func (d *Directory) leaving(tx sqldb.Tx, a id.Account) (bool, error) {
	n, err := tx.Exec(`update accounts set delete_at = delete_at where id = $1 and state = 'deleting' and delete_at > 0 and delete_at <= $2`, a, sqldb.Micros(d.Now()))
	return n == 1, err
}

// orphan takes one of the accounts off a home that goes, and tells whether there may be another one. It is shut, for the administrators there to look at: they
// can open it again, as one of its own.
func (d *Directory) orphan(tx sqldb.Tx, home Account) (more bool, err error) {
	list, err := sqldb.All(tx, scan, `select `+columns+` from accounts where home_id = $1 order by org_id limit 1`, home.ID)
	if err != nil || len(list) == 0 {
		return false, err
	}
	a, now := list[0], d.Now()
	if _, err := tx.Exec(`update accounts set state = case when state = 'deleting' then state else 'disabled' end, kept_state = case when state = 'deleting' then 'disabled' else '' end,
		home_id = null, link_used_at = 0, activated_at = case when state = 'deleting' then activated_at else 0 end where id = $1 and org_id = $2`, a.ID, a.Org); err != nil {
		return false, err
	}
	if err := d.stripped(tx, a); err != nil {
		return false, err
	}
	if err := audit.Record(tx, now, audit.Event{Org: a.Org, Action: audit.AccountUnlinked, Actor: access.System(), Target: audit.TargetOf(a.ID),
		Reason: "home_deleted", Data: map[string]any{"state": string(Disabled)}}); err != nil {
		return false, err
	}
	_, err = revoke.Subject(tx, now, revoke.Account, a.ID)
	return true, err
}

// remove deletes an account with all that is only its own: links, factors, sessions, devices, visits and reminders go along with the row. Of a linked
// account, the home is not touched.
func (d *Directory) remove(tx sqldb.Tx, a Account) error {
	if err := access.UnassignAll(tx, a.Org, a.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(`update seat_requests set reason = '' where account_id = $1 and state <> 'open'`, a.ID); err != nil { // wherever they asked
		return err
	}
	for _, kind := range []factor.Kind{factor.TOTP, factor.Recovery, factor.AccessCodeKind} {
		if err := throttle.Clear(tx, CodeTries(string(kind), a.ID)); err != nil { // so that nothing keeps the counters; first, as a sign-in locks them
			return err
		}
	}
	if err := throttle.Clear(tx, PasswordTries(a.ID)); err != nil {
		return err
	}
	for _, statement := range []string{
		`delete from outbox where account_id = $1 and org_id = $2`,
		`delete from attempts where account_id = $1 and org_id = $2`,
		`delete from accounts where id = $1 and org_id = $2`,
	} {
		if _, err := tx.Exec(statement, a.ID, a.Org); err != nil {
			return err
		}
	}
	return nil
}
