package signin

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// Code answers the step that asks for an authenticator app's code. remember asks to spare it on this device from now on, where the rules allow
// that. Comparing takes no time, so the try is counted, compared and recorded in one transaction: whoever tries at the same moment waits for it.
func (d *Desk) Code(ctx context.Context, k Key, typed string, remember bool, client access.Client, held Held) (Progress, error) {
	code, fault := factor.CleanCode(typed)
	if fault != nil {
		return Progress{}, fault
	}
	var tried Attempt
	p, err := d.answer(ctx, k, policy.AskTOTP, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		tried = *a
		around, err := d.countCode(tx, *a, *s, policy.AskTOTP, string(factor.TOTP), client)
		if err != nil {
			return err
		}
		if _, err := factor.ProveTOTPAmong(tx, d.Vault, d.Now(), s.factors, factor.Active, code, ""); refusal.Is(err, refusal.Invalid) {
			return &wrongAnswer{err, around}
		} else if err != nil {
			return err
		}
		a.Proved.Second, a.Proved.Method, a.Proved.Remember = sqldb.Micros(d.Now()), string(factor.TOTP), remember
		s.steady = true
		return throttle.Clear(tx, account.CodeTries(string(factor.TOTP), a.Account))
	})
	if errors.Is(err, errTooMany) {
		err = d.tooMany(ctx, tried, string(factor.TOTP))
	}
	return p, err
}

// takeCode checks that a step is due and counts a try at its code, for codes whose comparison takes time: it is done once this is committed.
func (d *Desk) takeCode(ctx context.Context, k Key, step policy.Step, kind string, client access.Client) (a Attempt, around []throttle.Key, err error) {
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		var s scene
		if a, s, err = d.due(tx, k, step); err != nil {
			return err
		}
		around, err = d.countCode(tx, a, s, step, kind, client)
		return err
	})
	if errors.Is(err, errTooMany) {
		err = d.tooMany(ctx, a, kind)
	}
	return a, around, err
}

// errTooMany is what countCode answers after the hundredth consecutive failure.
var errTooMany = errors.New("signin: too many wrong codes")

// countCode counts a try at a code of the account. It returns the counters that a failure adds to.
func (d *Desk) countCode(tx sqldb.Tx, a Attempt, s scene, step policy.Step, kind string, client access.Client) ([]throttle.Key, error) {
	failures, err := d.Gate.TakeIn(tx, account.CodeTries(kind, a.Account))
	if err != nil {
		return nil, err
	}
	around := a.around(client)
	if err := d.Gate.Blocked(tx, around...); err != nil {
		return nil, err
	}
	if failures > throttle.Disable && slices.Contains(policy.Ways(s.Facts), step) {
		return nil, errTooMany
	}
	return around, nil
}

// tooMany disables the account's factors of a kind after the hundredth consecutive failure, and starts again.
func (d *Desk) tooMany(ctx context.Context, a Attempt, kind string) error {
	list, err := factor.List(d.DB.Read(ctx), a.Account)
	if err != nil {
		return err
	}
	for _, f := range list {
		if string(f.Kind) == kind && f.State == factor.Active {
			if err := d.disableFactor(ctx, a, f.ID, f.Kind); err != nil {
				return err
			}
		}
	}
	return ErrStartAgain
}

const (
	mailCodeLife  = 10 * time.Minute
	mailCodeTries = 5
)

// mailCode makes a code for the attempt and mails it.
func (d *Desk) mailCode(tx sqldb.Tx, a *Attempt) error {
	now := d.Now()
	code := secret.Digits()
	a.Proved.MailCode = d.Vault.Seal("attempts", "mail_code", string(a.ID), []byte(code))
	a.Proved.MailUntil, a.Proved.MailTries = sqldb.Micros(now.Add(mailCodeLife)), 0
	if err := outbox.Discard(tx, a.Account, outbox.KindMailCode); err != nil {
		return err
	}
	if err := d.Queue.Enqueue(tx, a.Org, a.Account, outbox.MailCode{Code: string(code), Until: now.Add(mailCodeLife)}, mailCodeLife); err != nil {
		return err
	}
	return audit.Record(tx, now, audit.Event{Org: a.Org, Action: audit.MailCodeSent, Actor: access.System(), Target: audit.TargetOf(a.Account)})
}

// MailAgain mails another code; the old one is void. A Limited refusal says when.
func (d *Desk) MailAgain(ctx context.Context, k Key, client access.Client) (Progress, error) {
	read := d.DB.Read(ctx)
	a, _, err := d.due(read, k, policy.ProveMailbox)
	if err != nil {
		return Progress{}, err
	}
	if _, err := d.Gate.Take(ctx, throttle.Requests("mail-code", string(a.Account), 5, time.Hour)); err != nil {
		return Progress{}, err
	}
	return d.answer(ctx, k, policy.ProveMailbox, client, Held{}, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		return d.mailCode(tx, a)
	})
}

// Mailbox answers the step that asks for the mailed code.
func (d *Desk) Mailbox(ctx context.Context, k Key, typed string, client access.Client, held Held) (Progress, error) {
	code, fault := factor.CleanCode(typed)
	if fault != nil {
		return Progress{}, fault
	}
	a, around, err := d.takeCode(ctx, k, policy.ProveMailbox, "mail-code", client)
	if err != nil {
		return Progress{}, err
	}
	var wrong error
	p, err := d.answer(ctx, k, policy.ProveMailbox, client, held, func(tx sqldb.Tx, a *Attempt, s *scene) error {
		wrong = nil
		plain := []byte{}
		if a.Proved.MailCode != nil {
			var err error
			if plain, err = d.Vault.Open("attempts", "mail_code", string(a.ID), a.Proved.MailCode); err != nil {
				return err
			}
		}
		switch {
		case a.Proved.MailTries >= mailCodeTries, !d.Now().Before(sqldb.At(a.Proved.MailUntil)):
			wrong = refusal.Field("code", "code.ended")
			return wrong
		case subtle.ConstantTimeCompare(plain, []byte(code)) != 1:
			wrong = factor.ErrWrongCode
			a.Proved.MailTries++
			return nil // kept: the count of wrong codes is part of the attempt
		}
		a.Proved.MailCode, a.Proved.Mailbox = nil, sqldb.Micros(d.Now())
		return throttle.Clear(tx, account.CodeTries("mail-code", a.Account))
	})
	if wrong != nil {
		return p, d.failed(ctx, a, policy.ProveMailbox, client, wrong, around...)
	}
	return p, err
}
