package signin

import (
	"context"
	"errors"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// errDisabled: wrong codes that disabled the second factor do not make the password alone enough.
var errDisabled = refusal.New(refusal.Forbidden, "factor.disabled")

// ProveAgain takes a fresh proof from who is signed in: the code of an enrolled authenticator app, or the password of who has none, not even a disabled one. Those of a
// linked account are its home's. The session goes on with a new secret, and its proof counts from now.
func (d *Desk) ProveAgain(ctx context.Context, v Visitor, typed secret.Text) (secret.Text, error) {
	read := d.DB.Read(ctx)
	factors, err := factor.List(read, v.Home.ID)
	if err != nil {
		return "", err
	}
	if len(factor.Seconds(factors, factor.Active)) == 0 {
		if len(factor.Seconds(factors, factor.Disabled)) > 0 {
			return "", errDisabled
		}
		if err := d.comparePassword(ctx, v, "password", typed); err != nil {
			return "", err
		}
		return d.provedAgain(ctx, v, nil)
	}
	code, fault := factor.CleanCode(string(typed))
	if fault != nil {
		return "", fault
	}
	if err := d.takeOwn(ctx, v, string(factor.TOTP)); err != nil {
		return "", err
	}
	fresh, err := d.provedAgain(ctx, v, func(tx sqldb.Tx) error {
		if err := throttle.Clear(tx, account.CodeTries(string(factor.TOTP), v.Home.ID)); err != nil { // first, as everybody locks the counter first
			return err
		}
		_, err := factor.ProveTOTP(tx, d.Vault, d.Now(), v.Home.ID, factor.Active, code, "")
		return err
	})
	return fresh, d.ownFailure(ctx, v, policy.AskTOTP, err)
}

func (d *Desk) provedAgain(ctx context.Context, v Visitor, prove func(tx sqldb.Tx) error) (fresh secret.Text, err error) {
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		if prove != nil {
			if err := prove(tx); err != nil {
				return err
			}
		}
		if fresh, err = d.renew(tx, v.Actor, v.Session.Seq, true); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: v.Org.ID, Action: audit.IdentityProvedAgain, Actor: v.Actor, Target: audit.TargetOf(v.Session.ID)})
	})
	return fresh, err
}

// takeOwn counts a try of someone signed in on the same counter as at sign-in; past the bound the factor goes out of use here too.
func (d *Desk) takeOwn(ctx context.Context, v Visitor, kind string) error {
	key := account.CodeTries(kind, v.Home.ID)
	if kind == string(factor.Password) {
		key = account.PasswordTries(v.Home.ID)
	}
	failures, err := d.Gate.Take(ctx, key)
	if err == nil && failures > throttle.Disable {
		err = errDisabled
	}
	return err
}

// ownFailure records a wrong answer of someone signed in.
func (d *Desk) ownFailure(ctx context.Context, v Visitor, step policy.Step, err error) error {
	if !refusal.Is(err, refusal.Invalid) {
		return err
	}
	return errors.Join(err, d.DB.Write(ctx, func(tx sqldb.Tx) error {
		return audit.Record(tx, d.Now(), audit.Event{Org: v.Org.ID, Action: audit.SignInFailed, Outcome: audit.Refused, Reason: string(step),
			Actor: v.Actor, Target: audit.TargetOf(v.Account.ID)})
	}))
}

// comparePassword counts a try and compares; the refusal is at that field.
func (d *Desk) comparePassword(ctx context.Context, v Visitor, field string, typed secret.Text) error {
	if typed == "" {
		return refusal.Field(field, "password.missing")
	}
	if len(typed) > 4096 {
		return refusal.Field(field, "password.too_long", "Most", policy.MaxLength)
	}
	if err := d.takeOwn(ctx, v, string(factor.Password)); err != nil {
		return err
	}
	phc, _, err := factor.PasswordOf(d.DB.Read(ctx), v.Home.ID)
	if err != nil {
		return err
	}
	ok, _, err := d.Hasher.Verify(ctx, factor.Normalize(typed), phc, nil)
	if err != nil {
		return err
	}
	if !ok {
		return d.ownFailure(ctx, v, policy.AskPassword, refusal.Field(field, "password.wrong"))
	}
	return d.DB.Write(ctx, func(tx sqldb.Tx) error { return throttle.Clear(tx, account.PasswordTries(v.Home.ID)) })
}

// ChangePassword replaces the password of who is signed in. All other sessions end; this one goes on with a new secret. Refusals are at
// the fields password, new_password, confirm_password.
func (d *Desk) ChangePassword(ctx context.Context, v Visitor, current, typed, again secret.Text) (secret.Text, error) {
	if err := d.mayChange(v); err != nil {
		return "", err
	}
	least := account.MinLength(v.Org, v.Roles, d.Now())
	if fault := factor.CheckNew(typed, again, least, account.Personal(v.Org, v.Account), d.Breached); fault != nil {
		return "", fault
	}
	if err := d.comparePassword(ctx, v, "password", current); err != nil {
		return "", err
	}
	if err := factor.CheckUnused(ctx, d.Gate, d.Hasher, v.Account.ID, typed, v.Org.Rules.History); err != nil {
		return "", err
	}
	phc, err := d.Hasher.Hash(ctx, factor.Normalize(typed))
	if err != nil {
		return "", err
	}
	var fresh secret.Text
	err = d.Book.Do(ctx, v.Actor, audit.PasswordChanged, func(tx sqldb.Tx) error {
		now := d.Now()
		if err := lockActive(tx, v); err != nil {
			return err
		}
		if err := factor.SetPassword(tx, now, v.Org.ID, v.Account.ID, phc, v.Org.Rules.History); err != nil {
			return err
		}
		if err := factor.DropPending(tx, v.Account.ID); err != nil {
			return err
		}
		if err := account.Tell(tx, d.Queue, v.Org.ID, v.Account.ID, outbox.PasswordChanged{At: now}); err != nil {
			return err
		}
		if err := audit.Record(tx, now, audit.Event{Org: v.Org.ID, Action: audit.PasswordChanged, Actor: v.Actor, Target: audit.TargetOf(v.Account.ID)}); err != nil {
			return err
		}
		seq, err := revoke.Subject(tx, now, revoke.Account, v.Account.ID)
		if err != nil {
			return err
		}
		fresh, err = d.renew(tx, v.Actor, seq, false)
		return err
	})
	return fresh, err
}

// mayChange refuses to change password or factors on a proof that is too old, and those of a linked account, which are its home's, anyhow.
func (d *Desk) mayChange(v Visitor) error {
	if v.Account.Linked() {
		return account.ErrLinked
	}
	return v.Actor.RequireFresh(d.Now())
}

// lockActive makes the transaction the only one that changes this account's factors, and refuses when it is no longer active, or the
// session was ended meanwhile: what renews it must not revive it.
func lockActive(tx sqldb.Tx, v Visitor) error {
	n, err := tx.Exec(`update accounts set state = state where id = $1 and org_id = $2 and state = 'active'`, v.Account.ID, v.Org.ID)
	if err != nil {
		return err
	}
	void, err := revoke.Since(tx, v.Account.ID, v.Org.ID, v.Session.Seq)
	if err == nil && (n == 0 || void) {
		err = ErrSignedOut
	}
	return err
}

// mayEnrolFirst refuses the first second factor to who has proved nothing but a password: a link used less than 48 hours ago has to vouch for the
// mailbox (mission C1). Where sign-in itself asks for a second factor, nobody comes here without one.
func (d *Desk) mayEnrolFirst(tx sqldb.Tx, v Visitor) error {
	list, err := factor.List(tx, v.Account.ID)
	if err != nil || len(factor.Seconds(list, factor.Active)) > 0 {
		return err
	}
	a, err := account.Find(tx, v.Org.ID, v.Account.ID)
	if err != nil || !a.LinkUsed.IsZero() && d.Now().Sub(a.LinkUsed) < policy.LinkTrust {
		return err
	}
	return refusal.New(refusal.Conflict, "factor.unvouched")
}

// BeginOwnTOTP makes a pending authenticator app for who is signed in.
func (d *Desk) BeginOwnTOTP(ctx context.Context, v Visitor) (setup factor.TOTPSetup, err error) {
	if err := d.mayChange(v); err != nil {
		return setup, err
	}
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		if err := lockActive(tx, v); err != nil {
			return err
		}
		if err := d.mayEnrolFirst(tx, v); err != nil {
			return err
		}
		if setup, err = factor.BeginTOTP(tx, d.Vault, d.Now(), v.Org.ID, v.Account.ID, v.Org.Name, v.Account.Email); err != nil {
			return err
		}
		return throttle.Clear(tx, account.CodeTries("enrol-totp", v.Account.ID)) // what was guessed at is gone
	})
	return setup, err
}

// OwnTOTP returns the pending app of who is signed in, false when there is none.
func (d *Desk) OwnTOTP(ctx context.Context, v Visitor) (factor.TOTPSetup, bool, error) {
	if err := d.mayChange(v); err != nil {
		return factor.TOTPSetup{}, false, err
	}
	return factor.PendingTOTP(d.DB.Read(ctx), d.Vault, v.Account.ID, v.Org.Name, v.Account.Email)
}

// ConfirmOwnTOTP proves the pending app of who is signed in with its first code, and gives it a name. It returns the recovery codes that come
// with a first second factor, to be shown once; nil when the account has some.
func (d *Desk) ConfirmOwnTOTP(ctx context.Context, v Visitor, typed, name string) (codes []string, err error) {
	if err := d.mayChange(v); err != nil {
		return nil, err
	}
	code, codeFault := factor.CleanCode(typed)
	name, nameFault := factor.CleanName(name)
	if err := refusal.All(codeFault, nameFault); err != nil {
		return nil, err
	}
	if err := d.takeOwn(ctx, v, "enrol-totp"); err != nil {
		return nil, err
	}
	set, err := d.codesForApp(ctx, v.Account.ID, code)
	if err != nil {
		return nil, err
	}
	err = d.Book.Do(ctx, v.Actor, audit.FactorEnrolled, func(tx sqldb.Tx) (err error) {
		codes = nil
		if err := lockActive(tx, v); err != nil {
			return err
		}
		if err := d.mayEnrolFirst(tx, v); err != nil {
			return err
		}
		if err := d.activateTOTP(tx, v.Org, v.Account, v.Actor, code, name); err != nil {
			return err
		}
		if codes, err = d.giveCodes(tx, v.Actor, v.Org.ID, v.Account.ID, set); err != nil {
			return err
		}
		return throttle.Clear(tx, account.CodeTries("enrol-totp", v.Account.ID))
	})
	if err = d.ownFailure(ctx, v, policy.EnrolTOTP, err); err != nil {
		return nil, err
	}
	return codes, nil
}

// RemoveFactor takes away one of the second factors of who is signed in, but never the last one that the rules demand (mission C5). The
// person is mailed.
func (d *Desk) RemoveFactor(ctx context.Context, v Visitor, f id.Factor) error {
	return d.Book.Do(ctx, v.Actor, audit.FactorRemoved, func(tx sqldb.Tx) error {
		if err := d.mayChange(v); err != nil {
			return err
		}
		if err := lockActive(tx, v); err != nil {
			return err
		}
		list, err := factor.List(tx, v.Account.ID)
		if err != nil {
			return err
		}
		left, there, kind := 0, false, factor.Kind("")
		for _, s := range append(factor.Seconds(list, factor.Active), factor.Seconds(list, factor.Disabled)...) {
			switch {
			case s.ID == f:
				there, kind = true, s.Kind
			case s.State == factor.Active:
				left++
			}
		}
		if !there {
			return refusal.New(refusal.NotFound, "error.not_found")
		}
		administrative := false
		for _, r := range v.Roles {
			administrative = administrative || access.Administrative(v.Org.Kind, r)
		}
		now := d.Now()
		if left == 0 && v.Org.Rules.Demands(administrative, now) {
			return refusal.New(refusal.Conflict, "factor.last")
		}
		if _, err := factor.Remove(tx, v.Account.ID, f); err != nil {
			return err
		}
		if left == 0 { // what stands in for a second factor goes with the last one
			if _, err := factor.RemoveSeconds(tx, v.Account.ID); err != nil {
				return err
			}
		}
		if err := distrust(tx, v.Account.ID); err != nil {
			return err
		}
		if err := account.Tell(tx, d.Queue, v.Org.ID, v.Account.ID, outbox.FactorRemoved{Factors: []string{string(kind)}, At: now}); err != nil {
			return err
		}
		return audit.Record(tx, now, audit.Event{Org: v.Org.ID, Action: audit.FactorRemoved, Actor: v.Actor, Target: audit.TargetOf(v.Account.ID),
			Data: map[string]any{"factor": string(kind), "id": string(f)}})
	})
}
