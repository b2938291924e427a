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
	"doorward/internal/sqldb"
)

// warnDays are the distances, in days, at which the end of the last administrator's access is told, the farthest first.
var warnDays = []int{14, 3}

// ending is an organisation whose last administrator's access ends.
type ending struct {
	org     org.Org
	account id.Account // who keeps it longest
	at      time.Time
	days    int // the distance that is due
}

// WarnExpiry mails the administrators of each organisation whose last administrator's access ends within 14 or 3 days, and those of its
// parent (mission D10), once for each end and distance: however often it runs, on however many nodes, and also when none ran on the day
// itself. An organisation with an active administrator whose access has no end is none of them.
func (d *Directory) WarnExpiry(ctx context.Context) error {
	now := d.Now()
	read := d.DB.Read(ctx)
	orgs, err := sqldb.All(read, sqldb.Value[id.Org], `select distinct org_id from assignments where role = 'administrator' and expires_at > $1 and expires_at <= $2`,
		sqldb.Micros(now), sqldb.Micros(now.AddDate(0, 0, warnDays[0])))
	if err != nil {
		return err
	}
	var failed []error
	for _, o := range orgs {
		e, due, err := lastEnding(read, o, now)
		if err == nil && due {
			err = d.DB.Write(ctx, func(tx sqldb.Tx) error { return d.warnExpiry(tx, e) })
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// lastEnding tells whether a warning about an organisation is due that was not sent yet.
func lastEnding(tx sqldb.Tx, o id.Org, now time.Time) (e ending, due bool, err error) {
	type last struct {
		account id.Account
		ends    time.Time
	}
	l, err := sqldb.One(tx, func(row sqldb.Row) (l last, err error) { return l, row(&l.account, sqldb.Time(&l.ends)) },
		`select s.account_id, s.expires_at from assignments s join accounts a on a.id = s.account_id
		where s.org_id = $1 and s.role = 'administrator' and (s.expires_at = 0 or s.expires_at > $2) and a.state = 'active'
		and (a.home_id is null or exists (select 1 from accounts h where h.id = a.home_id and h.state = 'active'))
		order by case when s.expires_at = 0 then 0 else 1 end, s.expires_at desc, s.account_id limit 1`, o, sqldb.Micros(now))
	if errors.Is(err, sqldb.ErrNone) || err == nil && l.ends.IsZero() {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	e = ending{account: l.account, at: l.ends}
	for _, days := range warnDays {
		if !l.ends.After(now.AddDate(0, 0, days)) {
			e.days = days
		}
	}
	if e.days == 0 {
		return e, false, nil
	}
	sent, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from expiry_warnings where org_id = $1 and ends_at = $2 and days = $3`,
		o, sqldb.Micros(e.at), e.days)
	if err != nil || sent > 0 {
		return e, false, err
	}
	e.org, err = org.Find(tx, o)
	return e, e.org.State != access.Deleting, err
}

func (d *Directory) warnExpiry(tx sqldb.Tx, e ending) error {
	now := d.Now()
	n, err := tx.Exec(`insert into expiry_warnings (org_id, ends_at, days, sent_at) values ($1, $2, $3, $4) on conflict (org_id, ends_at, days) do nothing`,
		e.org.ID, sqldb.Micros(e.at), e.days, sqldb.Micros(now))
	if err != nil || n == 0 { // another node was first
		return err
	}
	who, err := Find(tx, e.org.ID, e.account)
	if err != nil {
		return err
	}
	mail := outbox.Expiry{Organisation: e.org.Name, Person: who.Shown(), Until: e.at}
	for _, o := range []id.Org{e.org.ID, e.org.Parent} {
		if o == "" {
			continue
		}
		admins, err := sqldb.All(tx, sqldb.Value[id.Account], `select a.id from assignments s join accounts a on a.id = s.account_id
			where s.org_id = $1 and s.role = 'administrator' and (s.expires_at = 0 or s.expires_at > $2) and a.state = 'active' order by a.id`, o, sqldb.Micros(now))
		if err != nil {
			return err
		}
		for _, a := range admins {
			if err := d.Queue.Enqueue(tx, o, a, mail, e.at.Sub(now)); err != nil {
				return err
			}
		}
	}
	return audit.Record(tx, now, audit.Event{Org: e.org.ID, Action: audit.ExpiryWarned, Actor: access.System(), Target: audit.TargetOf(e.account),
		Data: map[string]any{"until": written(e.at), "days": e.days}})
}
