package account

import (
	"context"
	"errors"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// How somebody gets another e-mail address:
//
//	ChangeEmail ──> a link to the new address, a warning to the old one ── ConfirmEmail ──> changed, the old one told
//	                       └── StopEmail, "this wasn't me", the link's end: nothing has changed
//
// The pending change is the link itself: About is the new address. Who was never active gets a fresh invitation at the new address instead.

// ConfirmLife is how long a new address can be confirmed.
const ConfirmLife = 24 * time.Hour

// Changes of one account's address are few: each mails an address that somebody typed.
const (
	emailChanges = 5
	emailWindow  = time.Hour
)

// PendingEmail is a change of address that waits for its confirmation.
type PendingEmail struct {
	Email string // the new address; empty: there is none
	Until time.Time
}

// EmailPending returns the change of an account's address that waits, if there is one.
func EmailPending(tx sqldb.Tx, now time.Time, a Account) (PendingEmail, error) {
	l, err := sqldb.One(tx, scanLink, `select `+linkColumns+` from links where account_id = $1 and purpose = 'confirm-email' and state = 'open' order by id desc limit 1`, a.ID)
	if errors.Is(err, sqldb.ErrNone) {
		return PendingEmail{}, nil
	}
	if err != nil {
		return PendingEmail{}, err
	}
	void, err := revoke.Since(tx, a.ID, a.Org, l.Seq)
	if err != nil || void || !now.Before(l.Expires) {
		return PendingEmail{}, err
	}
	return PendingEmail{Email: l.About, Until: l.Expires}, nil
}

// mayEmail loads an account, for its own person or for who may edit it.
func (d *Directory) mayEmail(tx sqldb.Tx, actor access.Actor, o id.Org, a id.Account) (Account, []string, error) {
	if actor.Kind == access.AccountActor && actor.Account == a {
		acc, err := Find(tx, o, a)
		return acc, nil, err
	}
	acc, held, _, err := d.person(tx, actor, access.PeopleEdit, o, a)
	return acc, held, err
}

// ChangeEmail begins to change an account's address: a link goes to the new one, and the old one is told at once. Nothing changes until the link is used. An
// earlier change that waits is over. Of an account that was never active the address changes at once, and a fresh invitation goes there. Refusals
// are at the field "email". Unique in the organisation the address has to be when it is confirmed as well.
func (d *Directory) ChangeEmail(ctx context.Context, actor access.Actor, o id.Org, a id.Account, typed string) error {
	email, fault := ParseEmail("email", typed)
	if fault != nil {
		return fault
	}
	// Asked before the try is counted, and again in the transaction. It counts also where it is refused: the answer tells who is here.
	if _, _, err := d.mayEmail(d.DB.Read(ctx), actor, o, a); err != nil {
		return d.Book.Refusal(ctx, actor, audit.EmailAsked, err)
	}
	if err := actor.RequireFresh(d.Now()); err != nil {
		return err
	}
	if _, err := d.Gate.Take(ctx, throttle.Requests("email-change", string(a), emailChanges, emailWindow)); err != nil {
		return err
	}
	return d.Book.Do(ctx, actor, audit.EmailAsked, func(tx sqldb.Tx) error {
		acc, held, err := d.mayEmail(tx, actor, o, a)
		if err != nil {
			return err
		}
		if email.Key == acc.EmailKey {
			return refusal.Field("email", "email.same")
		}
		others, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from accounts where org_id = $1 and email_key = $2`, o, email.Key)
		if err != nil {
			return err
		}
		if others > 0 {
			return refusal.Field("email", "email.taken")
		}
		at, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		switch acc.State {
		case Invited:
			rights, err := d.Guard.Require(tx, actor, access.PeopleResend, o) // an invitation goes there
			if err == nil {
				err = requireAdd(actor, rights, at.Rules)
			}
			if err != nil {
				return err
			}
			return d.inviteAt(tx, actor, at, acc, email, held)
		case Active:
			return d.askEmail(tx, actor, acc, email)
		}
		return refusal.New(refusal.Conflict, "account.not_active")
	})
}

// askEmail asks the new address, and tells the old one.
func (d *Directory) askEmail(tx sqldb.Tx, actor access.Actor, acc Account, email Email) error {
	now := d.Now()
	// The row first: it is what a confirmation at the same moment meets.
	n, err := tx.Exec(`update accounts set state = state where id = $1 and org_id = $2 and state = 'active'`, acc.ID, acc.Org)
	if err != nil || n == 0 {
		return errors.Join(err, refusal.New(refusal.Conflict, "account.not_active"))
	}
	if err := d.dropEmail(tx, acc.ID); err != nil {
		return err
	}
	until := now.Add(ConfirmLife)
	by, asked := "", id.Account("")
	if actor.Account != acc.ID {
		asked = actor.Account
		if by, err = d.shown(tx, actor); err != nil {
			return err
		}
	}
	token, err := newLink(tx, now, acc.Org, acc.ID, ConfirmEmail, until, email.Text, asked)
	if err != nil {
		return err
	}
	if err := d.Queue.Enqueue(tx, acc.Org, acc.ID, outbox.EmailConfirm{New: email.Text, Old: acc.Email, By: by, Token: string(token), Until: until}, ConfirmLife); err != nil {
		return err
	}
	if err := Tell(tx, d.Queue, acc.Org, acc.ID, outbox.EmailChanging{Old: acc.Email, New: email.Text, By: by, At: now}); err != nil {
		return err
	}
	return audit.Record(tx, now, audit.Event{Org: acc.Org, Action: audit.EmailAsked, Actor: actor, Target: audit.TargetOf(acc.ID),
		Person: map[string]any{"email_before": acc.Email, "email": email.Text}})
}

// inviteAt gives an account that was never active another address, and invites it there.
func (d *Directory) inviteAt(tx sqldb.Tx, actor access.Actor, at org.Org, acc Account, email Email, held []string) error {
	n, err := tx.Exec(`update accounts set email = $1, email_key = $2 where id = $3 and org_id = $4 and state = 'invited'`, email.Text, email.Key, acc.ID, acc.Org)
	if sqldb.Unique(err) {
		return refusal.Field("email", "email.taken")
	}
	if err != nil || n == 0 {
		return errors.Join(err, refusal.New(refusal.Conflict, "account.not_pending"))
	}
	before := acc.Email
	acc.Email, acc.EmailKey = email.Text, email.Key
	if _, err := d.sendInvitation(tx, actor, at, acc, held); err != nil {
		return err
	}
	return d.noteEmail(tx, actor, acc, before, email.Text)
}

func (d *Directory) noteEmail(tx sqldb.Tx, actor access.Actor, acc Account, before, after string) error {
	return audit.Record(tx, d.Now(), audit.Event{Org: acc.Org, Action: audit.EmailChanged, Actor: actor, Target: audit.TargetOf(acc.ID),
		Person: map[string]any{"email_before": before, "email": after}})
}

// dropEmail ends a change of address that waits.
func (d *Directory) dropEmail(tx sqldb.Tx, a id.Account) error {
	if err := Void(tx, a, ConfirmEmail); err != nil {
		return err
	}
	return outbox.Discard(tx, a, outbox.KindEmailConfirm)
}

// StopEmail withdraws a change of address that waits.
func (d *Directory) StopEmail(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.EmailStopped, func(tx sqldb.Tx) error {
		acc, _, err := d.mayEmail(tx, actor, o, a)
		if err != nil {
			return err
		}
		waiting, err := EmailPending(tx, d.Now(), acc)
		if err != nil {
			return err
		}
		if waiting.Email == "" {
			return refusal.New(refusal.Conflict, "email.not_pending")
		}
		if err := d.dropEmail(tx, a); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.EmailStopped, Actor: actor, Target: audit.TargetOf(a),
			Person: map[string]any{"email": waiting.Email}})
	})
}

// NewEmail is the address that a link of ConfirmEmail confirms.
func (op Opened) NewEmail() string {
	if op.link.Purpose != ConfirmEmail {
		return ""
	}
	return op.link.About
}

// ConfirmEmail spends the link at the new address: it is the account's from now on. Links and codes that went to the old one are dead; sessions go on. Of any
// number at once one succeeds; the others get an Expired refusal. It is a Conflict when somebody else in the organisation has the address by now.
func (d *Directory) ConfirmEmail(ctx context.Context, token secret.Text, client access.Client) (Opened, error) {
	op, err := d.Open(ctx, ConfirmEmail, token)
	if err == nil && !op.Good {
		err = errNoLink
	}
	if err == nil {
		err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
			return d.confirmEmail(tx, op, token, access.Holder(op.Account.ID, op.Org.ID, client))
		})
	}
	return op, d.noteLost(ctx, ConfirmEmail, op, client, err)
}

func (d *Directory) confirmEmail(tx sqldb.Tx, op Opened, token secret.Text, actor access.Actor) error {
	now, o, a := d.Now(), op.Org.ID, op.Account.ID
	email, fault := ParseEmail("email", op.link.About)
	if fault != nil {
		return fault
	}
	// The account's row first: it is what parallel uses, disabling and deleting meet at. No link that went to the old address vouches any more.
	n, err := tx.Exec(`update accounts set link_used_at = 0 where id = $1 and org_id = $2 and state = 'active'`, a, o)
	if err != nil || n == 0 {
		return errors.Join(err, errNoLink)
	}
	fresh, err := d.open(tx, ConfirmEmail, token)
	if err != nil {
		return err
	}
	if !fresh.Good {
		return errNoLink
	}
	if err := d.stillAsks(tx, fresh.link.By, o, a); err != nil {
		return err
	}
	if err := spend(tx, now, fresh.link.ID); err != nil {
		return err
	}
	if err := d.putEmail(tx, fresh.Account, email); err != nil {
		return err
	}
	if err := d.noteEmail(tx, actor, fresh.Account, fresh.Account.Email, email.Text); err != nil {
		return err
	}
	return Tell(tx, d.Queue, o, a, outbox.EmailChanged{Old: fresh.Account.Email, New: email.Text, At: now})
}

// stillAsks refuses a change that somebody else asked for who may not any more: they are shut out, or the person has a role by now that they must not touch.
func (d *Directory) stillAsks(tx sqldb.Tx, by id.Account, o id.Org, a id.Account) error {
	if by == "" {
		return nil
	}
	who, err := Lookup(tx, by)
	if err == nil && who.State == Active {
		_, _, _, err = d.person(tx, access.Actor{Kind: access.AccountActor, Account: who.ID, Org: who.Org}, access.PeopleEdit, o, a)
	} else if err == nil {
		return errNoLink
	}
	if refusal.As(err) != nil {
		return errNoLink
	}
	return err
}

// putEmail gives an active account another address. What went to the old one and lets somebody in is void: links, codes, and the sign-ins that wait for one.
func (d *Directory) putEmail(tx sqldb.Tx, acc Account, email Email) error {
	_, err := tx.Exec(`update accounts set email = $1, email_key = $2, link_used_at = 0 where id = $3 and org_id = $4`, email.Text, email.Key, acc.ID, acc.Org)
	if sqldb.Unique(err) {
		return refusal.New(refusal.Conflict, "email.taken_meanwhile")
	}
	if err != nil {
		return err
	}
	for _, p := range []Purpose{Reset, Setup, Join, ConfirmEmail} {
		if err := Void(tx, acc.ID, p); err != nil {
			return err
		}
	}
	if err := outbox.Discard(tx, acc.ID, outbox.KindReset, outbox.KindSetup, outbox.KindMailCode, outbox.KindEmailConfirm); err != nil {
		return err
	}
	_, err = tx.Exec(`delete from attempts where account_id = $1 and org_id = $2`, acc.ID, acc.Org)
	return err
}

// takeBack gives an account the address again that a warning went to, when "this wasn't me" is the answer: the address may have been changed since, by whoever
// the warning is about, and what that answer mails is not for them. A change that waits is over. It tells whether the address is the account's now: somebody
// else in the organisation may have got it meanwhile.
func (d *Directory) takeBack(tx sqldb.Tx, op Opened, actor access.Actor) (bool, error) {
	if err := d.dropEmail(tx, op.Account.ID); err != nil {
		return false, err
	}
	// Each change left a warning at the address of before: the first one since this warning, or this warning itself, knows where this one went.
	was, err := sqldb.All(tx, sqldb.Value[string], `select about from links where account_id = $1 and purpose = 'not-me' and about like '%@%'
		and created_at >= (select created_at from links where id = $2) order by created_at, id limit 1`, op.Account.ID, op.link.ID)
	if err != nil || len(was) == 0 {
		return true, err
	}
	old, fault := ParseEmail("email", was[0])
	if fault != nil {
		return false, fault
	}
	acc, err := Find(tx, op.Org.ID, op.Account.ID)
	if err != nil || acc.EmailKey == old.Key {
		return true, err
	}
	others, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from accounts where org_id = $1 and email_key = $2`, acc.Org, old.Key)
	if err != nil || others > 0 {
		return false, err
	}
	if err := d.putEmail(tx, acc, old); err != nil {
		return false, err
	}
	// Who reads the mail of the addresses in between got warnings there: none of these takes it back once more.
	if _, err := tx.Exec(`update links set state = 'void' where account_id = $1 and purpose = 'not-me' and state = 'open' and id <> $2
		and created_at >= (select created_at from links where id = $2)`, acc.ID, op.link.ID); err != nil {
		return false, err
	}
	return true, d.noteEmail(tx, actor, acc, acc.Email, old.Text)
}
