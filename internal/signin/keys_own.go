package signin

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// BeginOwnPasskey makes a pending passkey for who is signed in and returns what the browser needs.
func (d *Desk) BeginOwnPasskey(ctx context.Context, v Visitor) (options json.RawMessage, err error) {
	if err := d.mayChange(v); err != nil {
		return nil, err
	}
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		if err := lockActive(tx, v); err != nil {
			return err
		}
		if err := d.mayEnrolFirst(tx, v); err != nil {
			return err
		}
		options, err = d.Relying.Begin(tx, d.Now(), v.Org.ID, v.Account.ID, v.Account.Email, v.Account.Name)
		return err
	})
	return options, err
}

// ConfirmOwnPasskey takes the browser's answer to BeginOwnPasskey. The challenge is spent whatever the answer. It returns the recovery codes that
// come with a first second factor, to be shown once; nil when the account has some.
func (d *Desk) ConfirmOwnPasskey(ctx context.Context, v Visitor, answer, name string) (codes []string, err error) {
	if err := d.mayChange(v); err != nil {
		return nil, err
	}
	set, err := d.codesForKey(ctx, v.Account.ID, answer, name)
	if err != nil {
		return nil, err
	}
	var wrong error
	err = d.Book.Do(ctx, v.Actor, audit.FactorEnrolled, func(tx sqldb.Tx) (err error) {
		wrong, codes = nil, nil
		if err := lockActive(tx, v); err != nil {
			return err
		}
		if err := d.mayEnrolFirst(tx, v); err != nil {
			return err
		}
		if err := d.activatePasskey(tx, v.Org, v.Account, v.Actor, answer, name); err != nil {
			if wrong = err; refusalOnly(err) != nil {
				return err
			}
			return d.Relying.Spend(tx, v.Account.ID)
		}
		codes, err = d.giveCodes(tx, v.Actor, v.Org.ID, v.Account.ID, set)
		return err
	})
	if err == nil && wrong != nil {
		err = d.ownFailure(ctx, v, policy.EnrolPasskey, wrong)
	}
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// NewCodes replaces the recovery codes of who is signed in and returns the new ones, which are shown once.
func (d *Desk) NewCodes(ctx context.Context, v Visitor) ([]string, error) {
	if err := d.mayChange(v); err != nil {
		return nil, err
	}
	set, err := factor.NewRecovery(ctx, d.Hasher)
	if err != nil {
		return nil, err
	}
	err = d.Book.Do(ctx, v.Actor, audit.RecoveryMade, func(tx sqldb.Tx) error {
		if err := lockActive(tx, v); err != nil {
			return err
		}
		list, err := factor.List(tx, v.Account.ID)
		if err != nil {
			return err
		}
		if len(factor.Seconds(list, factor.Active)) == 0 { // codes stand in for a second factor
			return refusal.New(refusal.Conflict, "recovery.no_factor")
		}
		if err := d.setCodes(tx, v.Actor, v.Org.ID, v.Account.ID, set); err != nil {
			return err
		}
		return account.Tell(tx, d.Queue, v.Org.ID, v.Account.ID, outbox.FactorAdded{Factor: string(factor.Recovery), At: d.Now()})
	})
	return set.Codes, err
}

// Proof is what a fresh proof of who is signed in takes.
type Proof string

// The proofs, strongest that the account has.
const (
	ProofCode     Proof = "code"
	ProofKey      Proof = "key"
	ProofPassword Proof = "password"
)

// Proofs returns what an account, of a linked one its home, can prove itself with again: its second factors, or the password when it has none. There is
// nothing, and a Forbidden refusal, where wrong codes disabled what it had.
func (d *Desk) Proofs(ctx context.Context, a id.Account) ([]Proof, error) {
	list, err := factor.List(d.DB.Read(ctx), a)
	if err != nil {
		return nil, err
	}
	var out []Proof
	for _, f := range factor.Seconds(list, factor.Active) {
		switch {
		case f.Kind == factor.TOTP && !slices.Contains(out, ProofCode):
			out = append(out, ProofCode)
		case f.Kind == factor.Passkey && !slices.Contains(out, ProofKey):
			out = append(out, ProofKey)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case len(factor.Seconds(list, factor.Disabled)) > 0:
		return nil, errDisabled
	}
	return []Proof{ProofPassword}, nil
}

// AskOwnKey asks the keys of who is signed in for a fresh proof, and returns what the browser needs and the key of the question.
func (d *Desk) AskOwnKey(ctx context.Context, v Visitor) (Key, json.RawMessage, error) {
	if _, err := d.Gate.Take(ctx, throttle.Requests("attempts", v.Actor.Client.Address, 3000, 10*time.Minute)); err != nil {
		return Key{}, nil, err
	}
	now := d.Now()
	s := secret.Token("dwt_")
	a := Attempt{ID: id.New[id.Attempt](now), Org: v.Org.ID, Account: v.Account.ID, Identifier: v.Account.Email, State: "open", Step: policy.AskPassword,
		Created: now, Expires: now.Add(10 * time.Minute), Proved: Proved{Slug: v.Org.Slug}}
	var options json.RawMessage
	err := d.DB.Write(ctx, func(tx sqldb.Tx) error {
		question, text, err := d.Relying.Ask(tx, now, v.Home.ID)
		if err != nil {
			return err
		}
		a.Proved.Question, options = &question, text
		return insertAttempt(tx, a, s)
	})
	return Key{a.ID, s}, options, err
}

// ProveKeyAgain takes a fresh proof by a key or passkey from who is signed in. The question is spent whatever the answer.
func (d *Desk) ProveKeyAgain(ctx context.Context, v Visitor, k Key, answer string) (fresh secret.Text, err error) {
	var wrong error
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		wrong = nil
		a, err := d.open(tx, k)
		if err != nil && refusal.As(err) == nil {
			return err
		}
		if err != nil || a.Account != v.Account.ID || a.Proved.Question == nil {
			return refusal.Field("credential", "passkey.ended")
		}
		question := a.Proved.Question
		a.Proved.Question, a.State = nil, "finished"
		if err := save(tx, a, ""); err != nil {
			return err
		}
		if _, _, err := d.Relying.Prove(tx, d.Now(), v.Home.ID, *question, answer, false); err != nil {
			wrong = err
			return refusalOnly(err)
		}
		if fresh, err = d.renew(tx, v.Actor, v.Session.Seq, true); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: v.Org.ID, Action: audit.IdentityProvedAgain, Actor: v.Actor, Target: audit.TargetOf(v.Session.ID)})
	})
	if err == nil && wrong != nil {
		return "", d.ownFailure(ctx, v, policy.AskPasskey, wrong)
	}
	return fresh, err
}
