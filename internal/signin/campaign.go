package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/sqldb"
)

// Member is one of an organisation's active people with how they stand to the rules about second factors: by the very decision that their next
// sign-in would meet.
type Member struct {
	account.Account
	Roles    []access.Assignment // that count now
	Standing policy.Standing
	Deadline time.Time // with Pending: when the second factor is demanded
	Reminded time.Time // zero: never; only in Campaign

	facts policy.Facts
	home  *policy.Rules // of a linked account: those of its home organisation, which hold as well
}

// judge sets how the person stands when those rules hold in the organisation.
func (m *Member) judge(rules policy.Rules) {
	m.facts.Rules = rules
	if m.home != nil {
		m.facts.Rules = m.home.With(rules)
	}
	m.Deadline = time.Time{}
	if m.Standing = policy.Stand(m.facts); m.Standing == policy.Pending {
		m.Deadline, _ = m.facts.Deadline()
	}
}

// Tally counts people by how they stand.
type Tally struct{ People, Covered, Pending, Overdue, Exempt int }

// Free is how many the rules ask nothing of.
func (t Tally) Free() int { return t.People - t.Covered - t.Pending - t.Overdue - t.Exempt }

// Share is how many of those that the rules ask something of are covered, between 0 and 1; 1 when they ask nothing of anybody.
func (t Tally) Share() float64 {
	if asked := t.Covered + t.Pending + t.Overdue + t.Exempt; asked > 0 {
		return float64(t.Covered) / float64(asked)
	}
	return 1
}

func (t *Tally) add(s policy.Standing) {
	t.People++
	switch s {
	case policy.Covered:
		t.Covered++
	case policy.Pending:
		t.Pending++
	case policy.Overdue:
		t.Overdue++
	case policy.Exempt:
		t.Exempt++
	case policy.Free:
	}
}

// stretch is how many people are read at once.
const stretch = 500

// roll goes through the active people of an organisation in the order of their addresses, each judged by the organisation's rules.
func (d *Desk) roll(tx sqldb.Tx, o org.Org, each func(*Member) error) error {
	now, homes := d.Now(), map[id.Org]org.Org{}
	for after := ""; ; {
		s, err := account.ReadStretch(tx, o.ID, after, stretch)
		if err != nil {
			return err
		}
		for _, a := range s.People {
			m := Member{Account: a}
			if m.facts, m.home, err = d.member(tx, now, o, a, s, homes); err != nil {
				return err
			}
			for _, r := range s.Roles[a.ID] {
				if r.Org == o.ID && r.Holds(now) {
					m.Roles = append(m.Roles, r)
				}
			}
			m.judge(o.Rules)
			if err := each(&m); err != nil {
				return err
			}
		}
		if s.Next == "" {
			return nil
		}
		after = s.Next
	}
}

// member reads the facts of one person out of a stretch. A linked account signs in at home, on the way here.
func (d *Desk) member(tx sqldb.Tx, now time.Time, o org.Org, a account.Account, s account.Stretch, homes map[id.Org]org.Org) (policy.Facts, *policy.Rules, error) {
	own := standing(now, o, a, s.Factors[a.ID], s.Roles[a.ID])
	if !a.Linked() {
		return own, nil, nil
	}
	home := s.Homes[a.Home]
	at, ok := homes[home.Org]
	if !ok {
		var err error
		if at, err = org.Find(tx, home.Org); err != nil {
			return own, nil, err
		}
		homes[home.Org] = at
	}
	f := standing(now, at, home, s.Factors[a.ID], s.Roles[home.ID])
	f.Administrative = f.Administrative || own.Administrative
	if own.Exempt.Before(f.Exempt) { // as target.bind has it: an exception at home is none here
		f.Exempt = own.Exempt
	}
	return f, &at.Rules, nil
}

// Health is what the rules found when every person of an organisation was last judged.
type Health struct {
	Org id.Org
	Tally
	LastSignIn time.Time // of anybody; zero: never
	Deadline   time.Time // the next one of somebody who is pending; zero: none
	Judged     time.Time
}

func (h *Health) add(m *Member) {
	h.Tally.add(m.Standing)
	if m.LastSignIn.After(h.LastSignIn) {
		h.LastSignIn = m.LastSignIn
	}
	if !m.Deadline.IsZero() && (h.Deadline.IsZero() || m.Deadline.Before(h.Deadline)) {
		h.Deadline = m.Deadline
	}
}

const healthColumns = `h.org_id, h.people, h.covered, h.pending, h.overdue, h.exempt, h.last_sign_in_at, h.deadline_at, h.judged_at`

func (h *Health) into() []any {
	return []any{&h.Org, &h.People, &h.Covered, &h.Pending, &h.Overdue, &h.Exempt, sqldb.Time(&h.LastSignIn), sqldb.Time(&h.Deadline), sqldb.Time(&h.Judged)}
}

// same tells whether two judgements found the same.
func (h Health) same(o Health) bool { h.Judged, o.Judged = time.Time{}, time.Time{}; return h == o }

// keep stores judgements. Of two nodes that judge at once the later one counts.
func (d *Desk) keep(ctx context.Context, list []Health) error {
	if len(list) == 0 {
		return nil
	}
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		for _, h := range list {
			if _, err := tx.Exec(`insert into org_health (org_id, people, covered, pending, overdue, exempt, last_sign_in_at, deadline_at, judged_at)
				values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (org_id) do update set people = excluded.people, covered = excluded.covered,
				pending = excluded.pending, overdue = excluded.overdue, exempt = excluded.exempt, last_sign_in_at = excluded.last_sign_in_at,
				deadline_at = excluded.deadline_at, judged_at = excluded.judged_at where org_health.judged_at <= excluded.judged_at`,
				h.Org, h.People, h.Covered, h.Pending, h.Overdue, h.Exempt, sqldb.Micros(h.LastSignIn), sqldb.Micros(h.Deadline), sqldb.Micros(h.Judged)); err != nil {
				return err
			}
		}
		return nil
	})
}

// stale is after how long an organisation is judged anew.
const stale = 15 * time.Minute

// keepFresh stores a judgement that was made for a page, unless nearly the same stands there.
func (d *Desk) keepFresh(ctx context.Context, h Health) error {
	before, err := healthOf(d.DB.Read(ctx), h.Org)
	if err != nil || before.same(h) && h.Judged.Sub(before.Judged) < stale {
		return err
	}
	return d.keep(ctx, []Health{h})
}

func healthOf(tx sqldb.Tx, o id.Org) (h Health, err error) {
	h, err = sqldb.One(tx, func(row sqldb.Row) (h Health, err error) { return h, row(h.into()...) },
		`select `+healthColumns+` from org_health h where h.org_id = $1`, o)
	if errors.Is(err, sqldb.ErrNone) {
		return h, nil
	}
	return h, err
}

// Campaign is how the people of an organisation stand, with the stretch of them that was asked for.
type Campaign struct {
	Health
	List []Member
	Next string
}

// Campaign judges every active person of an organisation, for who may view its rules. standing picks those to list, all when it is empty; after is
// the Next of the stretch before. What is found is kept for the organisations above.
func (d *Desk) Campaign(ctx context.Context, actor access.Actor, o org.Org, s policy.Standing, after string, most int) (Campaign, error) {
	tx := d.DB.Read(ctx)
	c := Campaign{Health: Health{Org: o.ID, Judged: d.Now()}}
	if _, err := d.Guard.Require(tx, actor, access.PolicyView, o.ID); err != nil {
		return c, d.Book.Refusal(ctx, actor, audit.Action(access.PolicyView), err)
	}
	if err := d.roll(tx, o, func(m *Member) error {
		c.add(m)
		switch {
		case most == 0 || s != "" && m.Standing != s || m.EmailKey <= after:
		case len(c.List) == most:
			c.Next = c.List[most-1].EmailKey
		default:
			c.List = append(c.List, *m)
		}
		return nil
	}); err != nil {
		return c, err
	}
	if err := reminded(tx, o.ID, c.List); err != nil {
		return c, err
	}
	return c, d.keepFresh(ctx, c.Health)
}

// OrgHealth is an organisation with what the rules found there.
type OrgHealth struct {
	Health
	Slug, Name string
}

// Below is how the people of the organisations below one stand.
type Below struct {
	Tally
	Orgs int // all of them
	List []OrgHealth
	Next string
}

// Below returns the organisations below one, those with most overdue people first, for who may view the rules there; groups limits them to the
// groups of that account. after is the Next of the stretch before. The figures are a quarter of an hour old at most.
func (d *Desk) Below(ctx context.Context, o id.Org, groups id.Account, after string, most int) (b Below, err error) {
	tx := d.DB.Read(ctx)
	args := []any{o}
	from := ` from org_tree t join org_health h on h.org_id = t.org_id join orgs o on o.id = t.org_id where t.ancestor_id = $1 and t.depth > 0`
	if groups != "" {
		args = append(args, groups)
		from += ` and exists (select 1 from org_group_orgs go join org_group_accounts ga on ga.group_id = go.group_id
			where go.member_id = t.org_id and ga.account_id = $2)`
	}
	if b.Orgs, err = sqldb.One(tx, func(row sqldb.Row) (n int, err error) {
		return n, row(&n, &b.People, &b.Covered, &b.Pending, &b.Overdue, &b.Exempt)
	}, `select count(*), cast(coalesce(sum(h.people), 0) as bigint), cast(coalesce(sum(h.covered), 0) as bigint), cast(coalesce(sum(h.pending), 0) as bigint), cast(coalesce(sum(h.overdue), 0) as bigint),
		cast(coalesce(sum(h.exempt), 0) as bigint)`+from, args...); err != nil {
		return b, err
	}
	overdue, org := parseAfter(after)
	n := len(args)
	args = append(args, overdue, org, most+1)
	b.List, err = sqldb.All(tx, func(row sqldb.Row) (h OrgHealth, err error) {
		return h, row(append(h.into(), &h.Slug, &h.Name)...)
	}, `select `+healthColumns+`, o.slug, o.name`+from+` and (h.overdue < `+dollar(n+1)+` or h.overdue = `+dollar(n+1)+` and h.org_id > `+dollar(n+2)+`)
		order by h.overdue desc, h.org_id limit `+dollar(n+3), args...)
	if len(b.List) > most {
		b.List = b.List[:most]
		last := b.List[most-1]
		b.Next = formatAfter(last.Overdue, last.Org)
	}
	return b, err
}

// judgedPerPass bounds the work of one pass, so that many organisations take turns.
const judgedPerPass = 1000

// Judge judges the organisations whose people were judged too long ago, or never, the oldest first, and sends the reminders that are due. It is run
// again and again, on every node: what two do at once is done twice and kept once, and a mail goes out once.
func (d *Desk) Judge(ctx context.Context) error {
	now := d.Now()
	read := d.DB.Read(ctx)
	type aged struct {
		org      id.Org
		judged   time.Time
		deadline time.Time
	}
	var old []aged
	var soon []id.Org
	for after := id.Org(""); ; {
		list, err := sqldb.All(read, func(row sqldb.Row) (a aged, err error) {
			return a, row(&a.org, sqldb.Time(&a.judged), sqldb.Time(&a.deadline))
		},
			`select o.id, coalesce(h.judged_at, 0), coalesce(h.deadline_at, 0) from org_nodes o left join org_health h on h.org_id = o.id
			where o.id > $1 order by o.id limit 1000`, after)
		if err != nil {
			return err
		}
		for _, a := range list {
			if now.Sub(a.judged) >= stale {
				old = append(old, a)
			} else if near(a.deadline, now) {
				soon = append(soon, a.org)
			}
		}
		if len(list) < 1000 {
			break
		}
		after = list[len(list)-1].org
	}
	slices.SortFunc(old, func(a, b aged) int { return a.judged.Compare(b.judged) })
	old = old[:min(len(old), judgedPerPass)]
	var failed []error
	var kept []Health
	for i, a := range old {
		h := Health{Org: a.org, Judged: now}
		o, err := org.Find(read, a.org)
		if err == nil {
			err = d.roll(read, o, func(m *Member) error { h.add(m); return nil })
		}
		if failed = append(failed, err); err == nil {
			kept = append(kept, h)
		}
		if near(h.Deadline, now) {
			soon = append(soon, a.org)
		}
		if len(kept) == 100 || i == len(old)-1 {
			failed, kept = append(failed, d.keep(ctx, kept)), nil
		}
	}
	for _, o := range soon {
		failed = append(failed, d.remindDue(ctx, o))
	}
	return errors.Join(failed...)
}
