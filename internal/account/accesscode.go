package account

import (
	"context"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// How long a temporary access code may live.
const (
	shortestCode = 10 * time.Minute
	longestCode  = 24 * time.Hour
)

// IssueAccessCode makes a temporary access code for someone who lost their second factor, and returns it for the administrator to hand over: it is
// shown once and mailed to nobody; that it exists is. It replaces only the second factor and lets enrol a new one. Nobody issues one for someone
// with more rights than they may touch.
func (d *Directory) IssueAccessCode(ctx context.Context, actor access.Actor, o id.Org, a id.Account, life time.Duration) (factor.AccessCode, error) {
	if life < shortestCode || life > longestCode {
		return factor.AccessCode{}, refusal.Field("life", "access_code.life")
	}
	// Asked before the hash is computed, and again in the transaction.
	if err := d.mayIssue(d.DB.Read(ctx), actor, o, a); err != nil {
		return factor.AccessCode{}, d.Book.Refusal(ctx, actor, audit.AccessCodeIssued, err)
	}
	code, err := factor.NewAccessCode(ctx, d.Hasher, d.Now().Add(life))
	if err != nil {
		return code, err
	}
	err = d.Book.Do(ctx, actor, audit.AccessCodeIssued, func(tx sqldb.Tx) error {
		if err := d.mayIssue(tx, actor, o, a); err != nil {
			return err
		}
		if err := factor.SetAccessCode(tx, d.Now(), o, a, code); err != nil {
			return err
		}
		if err := throttle.Clear(tx, CodeTries(string(factor.AccessCodeKind), a)); err != nil {
			return err
		}
		by, err := d.shown(tx, actor)
		if err != nil {
			return err
		}
		if err := Tell(tx, d.Queue, o, a, outbox.AccessCode{By: by, Until: code.Until}); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.AccessCodeIssued, Actor: actor, Target: audit.TargetOf(a),
			Data: map[string]any{"until": code.Until.Unix()}})
	})
	return code, err
}

func (d *Directory) mayIssue(tx sqldb.Tx, actor access.Actor, o id.Org, a id.Account) error {
	acc, _, _, err := d.person(tx, actor, access.PeopleAccessCode, o, a)
	switch {
	case err != nil:
		return err
	case actor.Account == a:
		return refusal.New(refusal.Conflict, "account.yourself")
	case acc.State != Active:
		return refusal.New(refusal.Conflict, "account.not_active")
	case acc.Linked():
		return ErrLinked
	}
	return actor.RequireFresh(d.Now())
}
