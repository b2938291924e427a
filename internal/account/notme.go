package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
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
	about, err := warnedOf(tx, a, w)
	if err != nil {
		return err
	}
	now := q.Now()
	token, err := newLink(tx, now, o, a, NotMe, now.Add(notMeLife), about, "")
	if err != nil {
		return err
	}
	return q.Enqueue(tx, o, a, w.WithNotMe(string(token)), warningLife)
}

// warnedOf returns the id of what a warning tells of, where "this wasn't me" takes it away again: the second factor that was added, the
// temporary code that was issued, the device that was signed in on. Each was written in the transaction of its warning. It is "" with other
// warnings. Of a change of the address it is the old one, see takeBack.
func warnedOf(tx sqldb.Tx, a id.Account, w outbox.Warning) (string, error) {
	var is func(factor.Factor) bool
	switch w := w.(type) {
	case outbox.FactorAdded:
		is = func(f factor.Factor) bool {
			return string(f.Kind) == w.Factor && f.State == factor.Active && sqldb.Micros(f.Created) == sqldb.Micros(w.At)
		}
	case outbox.AccessCode:
		is = func(f factor.Factor) bool { return f.Kind == factor.AccessCodeKind }
	case outbox.NewDevice:
		d, err := sqldb.One(tx, sqldb.Value[string], `select id from devices where account_id = $1 and address = $2 and created_at >= $3
			order by created_at, id limit 1`, a, w.Address, sqldb.Micros(w.At))
		if errors.Is(err, sqldb.ErrNone) {
			err = nil
		}
		return d, err
	case outbox.EmailChanging:
		return w.Old, nil
	case outbox.EmailChanged:
		return w.Old, nil
	default:
		return "", nil
	}
	list, err := factor.List(tx, a)
	for _, f := range slices.Backward(list) {
		if is(f) {
			return string(f.ID), err
		}
	}
	return "", err
}

// NotMe takes the answer "this wasn't me" to a warning and spends its link: everyone is signed out of the account, its password is out
// of use until a reset binds a new one, and the link of that reset is mailed. A factor or a device that the warning told of is gone, and no
// other. The administrators of the organisation are told. Of any number of parallel uses one succeeds; the others get an Expired refusal.
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
	ours, err := d.takeBack(tx, op, actor)
	if err != nil {
		return err
	}
	acc, err := Find(tx, o, a)
	if err != nil {
		return err
	}
	if err := factor.DropPending(tx, a); err != nil {
		return err
	}
	_, password, err := factor.PasswordOf(tx, a)
	if err != nil {
		return err
	}
	if password != "" {
		if _, err := factor.Disable(tx, password); err != nil {
			return err
		}
	}
	alert := outbox.NotMeAlert{Person: acc.Shown(), Address: acc.Email, Slug: op.Org.Slug, Account: string(a), At: now}
	e := audit.Event{Org: o, Action: audit.AccountNotMe, Actor: actor, Target: audit.TargetOf(a)}
	switch about := map[string]any{"about": op.link.About}; {
	case strings.Contains(op.link.About, "@"):
		e.Person = about
	case op.link.About != "":
		e.Data = about
	}
	if err := audit.Record(tx, now, e); err != nil {
		return err
	}
	if alert.Removed, err = d.undo(tx, op, actor); err != nil {
		return err
	}
	if err := d.alert(tx, o, alert); err != nil {
		return err
	}
	switch {
	case acc.Linked() && !ours:
		return d.unlink(tx, acc, actor, Disabled)
	case acc.Linked():
		return d.disown(tx, acc, actor)
	}
	if _, err := revoke.Subject(tx, now, revoke.Account, a); err != nil {
		return err
	}
	if !ours { // what is mailed to the account goes to whoever has its address now: it is shut until an administrator has decided whose it is
		return d.shutStolen(tx, acc, actor)
	}
	return d.sendReset(tx, op.Org, acc) // after the revocation, which its link has to outlive
}

// shutStolen disables an account whose address is not its person's any more, and cannot be theirs again.
func (d *Directory) shutStolen(tx sqldb.Tx, acc Account, actor access.Actor) error {
	if _, err := tx.Exec(`update accounts set state = 'disabled' where id = $1 and org_id = $2`, acc.ID, acc.Org); err != nil {
		return err
	}
	if err := license.ReturnSeat(tx, d.Now(), acc.Org); err != nil {
		return err
	}
	return audit.Record(tx, d.Now(), audit.Event{Org: acc.Org, Action: audit.AccountDisabled, Actor: actor, Target: audit.TargetOf(acc.ID),
		Data: map[string]any{"before": string(acc.State)}})
}

// undo takes away what the warning told of, if it is still there, and returns the kind of a factor; "" when it was none. With the last second
// factor goes what stands in for one: whoever made it has seen the recovery codes that came with it. One that is disabled stays: only an
// administrator starts binding it again.
func (d *Directory) undo(tx sqldb.Tx, op Opened, actor access.Actor) (removed string, err error) {
	now, o, a := d.Now(), op.Org.ID, op.Account.ID
	if device, ok := id.Parse[id.Device](op.link.About); ok {
		n, err := tx.Exec(`delete from devices where id = $1 and account_id = $2 and org_id = $3`, device, a, o)
		if err != nil || n == 0 {
			return "", err
		}
		return "", audit.Record(tx, now, audit.Event{Org: o, Action: audit.DeviceForgotten, Actor: actor, Target: audit.TargetOf(a)})
	}
	list, err := factor.List(tx, a)
	at := slices.IndexFunc(list, func(f factor.Factor) bool { return string(f.ID) == op.link.About && f.State != factor.Disabled })
	if err != nil || at < 0 {
		return "", err
	}
	gone := list[at]
	if _, err := factor.Remove(tx, a, gone.ID); err != nil {
		return "", err
	}
	if len(factor.Seconds(slices.Delete(list, at, at+1), factor.Active)) == 0 {
		if err := factor.RemoveStandIns(tx, a); err != nil {
			return "", err
		}
	}
	removed = string(gone.Kind)
	if err := Tell(tx, d.Queue, o, a, outbox.FactorRemoved{Factors: []string{removed}, At: now}); err != nil {
		return "", err
	}
	return removed, audit.Record(tx, now, audit.Event{Org: o, Action: audit.FactorRemoved, Actor: actor, Target: audit.TargetOf(a),
		Data: map[string]any{"factor": removed, "id": string(gone.ID)}})
}

// alert tells the administrators of an organisation, but for the person, that someone said "this wasn't me"; those above where there is nobody else.
func (d *Directory) alert(tx sqldb.Tx, o id.Org, what outbox.NotMeAlert) error {
	admins, err := d.others(tx, o, id.Account(what.Account))
	for _, who := range admins {
		if err == nil {
			err = d.Queue.Enqueue(tx, who.Org, who.ID, what, warningLife)
		}
	}
	return err
}

// others returns the administrators of an organisation without one account; where that leaves nobody, those of the organisation above.
func (d *Directory) others(tx sqldb.Tx, o id.Org, but id.Account) ([]Account, error) {
	admins, err := Administrators(tx, o, d.Now())
	if err != nil {
		return nil, err
	}
	if admins = slices.DeleteFunc(admins, func(a Account) bool { return a.ID == but }); len(admins) > 0 {
		return admins, nil
	}
	n, err := access.Find(tx, o)
	if err != nil || n.Parent == "" {
		return nil, err
	}
	return Administrators(tx, n.Parent, d.Now())
}
