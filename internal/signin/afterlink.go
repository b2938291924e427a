package signin

import (
	"context"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/policy"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// BeginAfterLink goes straight on with a sign-in after a set-up link was used: the password that was chosen by it a moment ago counts as
// proved, everything else is asked for as always. op is what account.Directory.Use returned for that link; with anything else, or when
// something was revoked since, the refusal is Expired and no attempt is made.
func (d *Desk) BeginAfterLink(ctx context.Context, op account.Opened, client access.Client, held Held) (p Progress, err error) {
	now := d.Now()
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		who, seq, err := op.Vouched(tx, now)
		if err != nil {
			return err
		}
		a := Attempt{ID: id.New[id.Attempt](now), Org: who.Org, Account: who.ID, Identifier: who.Email, State: "open", Step: policy.AskPassword,
			Seq: seq, Created: now, Expires: now.Add(attemptLife), Proved: Proved{Slug: op.Org.Slug, Password: sqldb.Micros(now)}}
		first := secret.Token("dwt_") // nobody is given it: advance replaces it
		if err := insertAttempt(tx, a, first); err != nil {
			return err
		}
		p, err = d.advance(tx, Key{a.ID, first}, a, scene{}, seq, client, held)
		return err
	})
	if err != nil {
		return Progress{}, err
	}
	return p, nil
}
