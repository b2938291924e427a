package signin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/sqldb"
)

// remindDays are the distances, in days, at which somebody is reminded of their deadline, the farthest first.
var remindDays = []int{14, 7, 3, 1}

// near tells whether a deadline lies ahead and within the farthest distance.
func near(deadline, now time.Time) bool {
	return deadline.After(now) && distance(deadline, now) > 0
}

// distance returns the nearest distance that has come; 0 when none has.
func distance(deadline, now time.Time) int {
	nearest := 0
	for _, days := range remindDays {
		if !deadline.After(now.AddDate(0, 0, days)) {
			nearest = days
		}
	}
	return nearest
}

// remindedAtOnce is how many mails are written in one transaction.
const remindedAtOnce = 100

// remindDue reminds the people of one organisation whose deadline has come near: once for each deadline and distance, however often it runs, on
// however many nodes, and of several distances that passed without a server only the nearest. Who has enrolled, is excepted or disabled is left alone.
func (d *Desk) remindDue(ctx context.Context, of id.Org) error {
	now, read := d.Now(), d.DB.Read(ctx)
	o, err := org.Find(read, of)
	if err != nil || o.State != access.Active {
		return err
	}
	type sent struct {
		account  id.Account
		deadline time.Time
		days     int
	}
	list, err := sqldb.All(read, func(row sqldb.Row) (s sent, err error) { return s, row(&s.account, sqldb.Time(&s.deadline), &s.days) },
		`select account_id, deadline_at, days from reminders where org_id = $1 and days > 0`, of)
	if err != nil {
		return err
	}
	before := map[sent]bool{}
	for _, s := range list {
		before[s] = true
	}
	var due []Member
	if err := d.roll(read, o, func(m *Member) error {
		if toRemind(m, now) && near(m.Deadline, now) && !before[sent{m.ID, m.Deadline.UTC(), distance(m.Deadline, now)}] {
			due = append(due, *m)
		}
		return nil
	}); err != nil {
		return err
	}
	for chunk := range slices.Chunk(due, remindedAtOnce) {
		if err := d.DB.Write(ctx, func(tx sqldb.Tx) error {
			n := 0
			for _, m := range chunk {
				fresh, err := d.remind(tx, o, m, m.Deadline, distance(m.Deadline, now), "")
				if err != nil {
					return err
				}
				if fresh {
					n++
				}
			}
			if n == 0 { // another node was first
				return nil
			}
			return audit.Record(tx, now, audit.Event{Org: of, Action: audit.Reminded, Actor: access.System(), Target: audit.TargetOf(of), Data: map[string]any{"people": n}})
		}); err != nil {
			return err
		}
	}
	return nil
}

// toRemind tells whether a reminder would be of use: the person still has to enrol, is not excepted, and may sign in at all.
func toRemind(m *Member, now time.Time) bool {
	return (m.Standing == policy.Pending || m.Standing == policy.Overdue) && !now.Before(m.facts.Exempt) && len(m.Roles) > 0
}

// remind writes one mail, unless that distance of that deadline was told before; then false. With days 0 it is one by hand, and key is the day.
func (d *Desk) remind(tx sqldb.Tx, o org.Org, m Member, key time.Time, days int, by string) (bool, error) {
	now := d.Now()
	n, err := tx.Exec(`insert into reminders (account_id, org_id, deadline_at, days, sent_at) values ($1, $2, $3, $4, $5)
		on conflict (account_id, deadline_at, days) do nothing`, m.ID, o.ID, sqldb.Micros(key), days, sqldb.Micros(now))
	if err != nil || n == 0 {
		return false, err
	}
	if err := outbox.Discard(tx, m.ID, outbox.KindDeadline); err != nil { // an older one that is still under way
		return false, err
	}
	life := 3 * 24 * time.Hour
	if left := m.Deadline.Sub(now); !m.Deadline.IsZero() && left < life {
		life = left
	}
	return true, d.Queue.Enqueue(tx, o.ID, m.ID, outbox.Deadline{From: m.Deadline, Keys: m.facts.Rules.KeysOnly(), By: by}, life)
}

// Reminded is what became of reminders that were sent by hand.
type Reminded struct {
	Sent  int
	Early int // were reminded within the last day already
	Other int // need no reminder, are not there any more, or are none of the actor's business
}

// Remind mails reminders to some people of an organisation, or with none named to everybody who is pending or overdue: each person once a day at
// most, whoever asks. Who needs none, or whom the actor may not touch, is left out.
func (d *Desk) Remind(ctx context.Context, actor access.Actor, of id.Org, people []id.Account) (Reminded, error) {
	var r Reminded
	now, read := d.Now(), d.DB.Read(ctx)
	o, err := org.Find(read, of)
	if err != nil {
		return r, err
	}
	rights, err := d.Guard.Require(read, actor, access.PeopleFactors, of)
	if err != nil {
		return r, d.Book.Refusal(ctx, actor, audit.Reminded, err)
	}
	var list []Member
	found := 0
	if err := d.roll(read, o, func(m *Member) error {
		if len(people) > 0 && !slices.Contains(people, m.ID) {
			return nil
		}
		if found++; !toRemind(m, now) {
			r.Other++
			return nil
		}
		roles := make([]string, 0, len(m.Roles))
		for _, as := range m.Roles {
			roles = append(roles, as.Role)
		}
		if !rights.MayTouch(access.PeopleFactors, roles) {
			r.Other++
			return nil
		}
		list = append(list, *m)
		return nil
	}); err != nil {
		return r, err
	}
	if len(people) == 0 {
		r.Other = 0 // nobody asked for them
	}
	r.Other += max(0, len(people)-found)
	by := ""
	if actor.Kind == access.AccountActor {
		who, err := account.Lookup(read, actor.Account)
		if err != nil {
			return r, err
		}
		by = who.Shown()
	}
	year, month, day := now.In(o.Location()).Date()
	today := time.Date(year, month, day, 0, 0, 0, 0, o.Location())
	for chunk := range slices.Chunk(list, remindedAtOnce) {
		sent, early := 0, 0
		if err := d.Book.Do(ctx, actor, audit.Reminded, func(tx sqldb.Tx) error {
			if _, err := d.Guard.Require(tx, actor, access.PeopleFactors, of); err != nil {
				return err
			}
			sent, early = 0, 0
			if err := reminded(tx, of, chunk); err != nil {
				return err
			}
			for _, m := range chunk {
				fresh := now.Sub(m.Reminded) >= 24*time.Hour
				var err error
				if fresh {
					fresh, err = d.remind(tx, o, m, today, 0, by)
				}
				switch {
				case err != nil:
					return err
				case fresh:
					sent++
				default:
					early++
				}
			}
			if sent == 0 {
				return nil
			}
			return audit.Record(tx, now, audit.Event{Org: of, Action: audit.Reminded, Actor: actor, Target: audit.TargetOf(of), Data: map[string]any{"people": sent}})
		}); err != nil {
			return r, err
		}
		r.Sent += sent
		r.Early += early
	}
	return r, nil
}

// reminded sets when each of some people was last reminded.
func reminded(tx sqldb.Tx, o id.Org, list []Member) error {
	type last struct {
		account id.Account
		at      time.Time
	}
	for from := 0; from < len(list); from += stretch {
		part := list[from:min(len(list), from+stretch)]
		args, in := []any{o}, make([]string, 0, len(part))
		for _, m := range part {
			args = append(args, m.ID)
			in = append(in, dollar(len(args)))
		}
		found, err := sqldb.All(tx, func(row sqldb.Row) (l last, err error) { return l, row(&l.account, sqldb.Time(&l.at)) },
			`select account_id, max(sent_at) from reminders where org_id = $1 and account_id in (`+strings.Join(in, ", ")+`) group by account_id`, args...)
		if err != nil {
			return err
		}
		for _, l := range found {
			for i := range part {
				if part[i].ID == l.account {
					part[i].Reminded = l.at
				}
			}
		}
	}
	return nil
}

func dollar(n int) string { return "$" + strconv.Itoa(n) }

// parseAfter and formatAfter read and write where a list of organisations goes on.
func parseAfter(s string) (overdue int, o id.Org) {
	n, rest, ok := strings.Cut(s, ".")
	overdue, err := strconv.Atoi(n)
	if !ok || err != nil {
		return 1 << 40, ""
	}
	return overdue, id.Org(rest)
}

func formatAfter(overdue int, o id.Org) string { return strconv.Itoa(overdue) + "." + string(o) }
