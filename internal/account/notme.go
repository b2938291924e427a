package account

import (
	"context"
	"errors"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/outbox"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

const (
	warningLife = 24 * time.Hour     // of the mail: it is given up then
	notMeLife   = 7 * 24 * time.Hour // of its link
)

// Tell mails someone of something that they may not have done, in the caller's transaction. Every such mail goes through here and gets
// a link "this wasn't me" of its own. Who is not active is told nothing: there is no session and no password to save.
func Tell(tx sqldb.Tx, q *outbox.Queue, o id.Org, a id.Account, w outbox.Warning) error {
	who, err := Find(tx, o, a)
	if err != nil || who.State != Active {
		return err
	}
	now := q.Now()
	token, err := newLink(tx, now, o, a, NotMe, now.Add(notMeLife))
	if err != nil {
		return err
	}
	return q.Enqueue(tx, o, a, w.WithNotMe(string(token)), warningLife)
}

// NotMe takes the answer "this wasn't me" to a warning and spends its link: everyone is signed out of the account, its password is out
// of use until a reset binds a new one, and the link of that reset is mailed. Of any number of parallel uses one succeeds; the others
// get an Expired refusal.
func (d *Directory) NotMe(ctx context.Context, token secret.Text, client access.Client) (Opened, error) {
	op, err := d.Open(ctx, NotMe, token)
	if err == nil && !op.Good {
		err = errNoLink
	}
	if err == nil {
		err = d.DB.Write(ctx, func(tx sqldb.Tx) error { return d.notMe(tx, op, access.Holder(op.Account.ID, op.Org.ID, client)) })
	}
	return op, d.noteLost(ctx, NotMe, op, client, err)
}

func (d *Directory) notMe(tx sqldb.Tx, op Opened, actor access.Actor) error {
	now, o, a := d.Now(), op.Org.ID, op.Account.ID
	// The account's row first: it is what a change of the password at the same moment waits for. No link vouches for it any more.
	n, err := tx.Exec(`update accounts set link_used_at = 0 where id = $1 and org_id = $2 and state = 'active'`, a, o)
	if err != nil || n == 0 {
		return errors.Join(err, errNoLink)
	}
	if err := spend(tx, now, op.link.ID); err != nil {
		return err
	}
	_, password, err := factor.PasswordOf(tx, a)
	if err != nil {
		return err
	}
	if password != "" {
		if err := factor.Disable(tx, password); err != nil {
			return err
		}
	}
	if err := audit.Record(tx, now, audit.Event{Org: o, Action: audit.AccountNotMe, Actor: actor, Target: audit.TargetOf(a)}); err != nil {
		return err
	}
	if _, err := revoke.Subject(tx, now, revoke.Account, a); err != nil {
		return err
	}
	return d.sendReset(tx, op.Org, op.Account) // after the revocation, which its link has to outlive
}
