package signin

import (
	"context"
	"errors"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// Held is what the browser holds besides its attempt: the session that a new one replaces, and the secret by which it is known as a device.
type Held struct {
	Session secret.Text
	Device  secret.Text
}

// Device is a browser that an account was used from. A remembered one spares the second factor until its date, unless the account was revoked
// since: then it is only known.
type Device struct {
	ID        id.Device
	Org       id.Org
	Account   id.Account
	UserAgent string
	Address   string
	Seq       int64
	Trusted   time.Time // remembered until then; zero: not
	Created   time.Time
	LastUsed  time.Time
}

// Name names the browser and system as people recognise them.
func (d Device) Name() string { return Session{UserAgent: d.UserAgent}.Device() }

const deviceColumns = `id, org_id, account_id, user_agent, address, seq, trusted_until, created_at, last_used_at`

func scanDevice(row sqldb.Row) (d Device, err error) {
	return d, row(&d.ID, &d.Org, &d.Account, &d.UserAgent, &d.Address, &d.Seq, sqldb.Time(&d.Trusted), sqldb.Time(&d.Created), sqldb.Time(&d.LastUsed))
}

// recognised returns the account's device that holds that secret; false when it is new to the account.
func recognised(tx sqldb.Tx, a id.Account, s secret.Text) (Device, bool, error) {
	if s == "" {
		return Device{}, false, nil
	}
	d, err := sqldb.One(tx, scanDevice, `select `+deviceColumns+` from devices where account_id = $1 and secret_hash = $2`, a, secret.Hash(s))
	if errors.Is(err, sqldb.ErrNone) {
		return d, false, nil
	}
	return d, err == nil, err
}

// trusted tells whether a recognised device is still a remembered one.
func trusted(tx sqldb.Tx, a id.Account, o id.Org, device string, now time.Time) (bool, error) {
	d, err := sqldb.One(tx, scanDevice, `select `+deviceColumns+` from devices where account_id = $1 and id = $2`, a, device)
	if errors.Is(err, sqldb.ErrNone) {
		return false, nil
	}
	if err != nil || !now.Before(d.Trusted) {
		return false, err
	}
	void, err := revoke.Since(tx, a, o, d.Seq)
	return !void, err
}

// distrust ends what an account's remembered devices spare: its second factors have changed.
func distrust(tx sqldb.Tx, a id.Account) error {
	_, err := tx.Exec(`update devices set trusted_until = 0 where account_id = $1`, a)
	return err
}

// noteDevice keeps the device that a sign-in finished on, and tells whether it is new to an account that has others. The browser gets a fresh
// secret when it is new to the account or is remembered from now on; the other accounts that know it go on with that one. Who learned the old
// secret, or planted it, holds nothing then.
func (d *Desk) noteDevice(tx sqldb.Tx, a Attempt, s scene, seq int64, client access.Client, held secret.Text) (fresh secret.Text, isNew bool, err error) {
	now := d.Now()
	var until time.Time
	if a.Proved.Remember && s.Facts.Rules.Remember > 0 && !s.Facts.Administrative && a.Proved.Second > 0 {
		until = now.Add(s.Facts.Rules.Remember)
	}
	known, ok, err := recognised(tx, a.Account, held)
	if err != nil {
		return "", false, err
	}
	if ok && until.IsZero() { // what was remembered stays, as long as nothing was revoked
		until, seq = known.Trusted, known.Seq
	} else {
		fresh = secret.Token("dwd_")
		if held != "" {
			if _, err := tx.Exec(`update devices set secret_hash = $1 where secret_hash = $2`, secret.Hash(fresh), secret.Hash(held)); err != nil {
				return "", false, err
			}
		}
	}
	if ok {
		_, err = tx.Exec(`update devices set last_used_at = $1, user_agent = $2, address = $3, trusted_until = $4, seq = $5 where id = $6`,
			sqldb.Micros(now), cutAgent(client.UserAgent), client.Address, sqldb.Micros(until), seq, known.ID)
		return fresh, false, err
	}
	others, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from devices where account_id = $1`, a.Account)
	if err != nil {
		return "", false, err
	}
	_, err = tx.Exec(`insert into devices (id, org_id, account_id, secret_hash, user_agent, address, seq, trusted_until, created_at, last_used_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`,
		id.New[id.Device](now), a.Org, a.Account, secret.Hash(fresh), cutAgent(client.UserAgent), client.Address, seq, sqldb.Micros(until), sqldb.Micros(now))
	return fresh, others > 0, err
}

// Devices returns the browsers that an account was used from, the latest first.
func (d *Desk) Devices(ctx context.Context, o id.Org, a id.Account) ([]Device, error) {
	return sqldb.All(d.DB.Read(ctx), scanDevice, `select `+deviceColumns+` from devices where account_id = $1 and org_id = $2 order by last_used_at desc limit 50`, a, o)
}

// ForgetDevice takes a device of the actor's own account off the list: it is not remembered any more, and new when it comes again.
func (d *Desk) ForgetDevice(ctx context.Context, actor access.Actor, device id.Device) error {
	return d.Book.Do(ctx, actor, audit.DeviceForgotten, func(tx sqldb.Tx) error {
		n, err := tx.Exec(`delete from devices where id = $1 and account_id = $2 and org_id = $3`, device, actor.Account, actor.Org)
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal.New(refusal.NotFound, "error.not_found")
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: actor.Org, Action: audit.DeviceForgotten, Actor: actor, Target: audit.TargetOf(actor.Account)})
	})
}
