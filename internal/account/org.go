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
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/sqldb"
)

// What is done to an organisation as a whole. It concerns its people, who are told, signed out, or gone with it.
//
//	active ── Suspend ──> suspended ── Resume ──> active
//	active, suspended ── RequestDeletion ──> deleting ── CancelDeletion ──> as before
//	                                            └── the waiting time is over: Purge ──> gone
//
// One that is suspended stays so while it is being deleted: only those above it, who may cancel that, come in.

// EditOrg changes an organisation's profile. rev is the revision that the actor saw: when it was changed since, nothing happens but a Conflict
// refusal. Other refusals are at the fields of org.CheckProfile.
func (d *Directory) EditOrg(ctx context.Context, actor access.Actor, o id.Org, rev int64, p org.Profile) error {
	return d.Book.Do(ctx, actor, audit.OrgChanged, func(tx sqldb.Tx) error {
		if _, err := d.Guard.Require(tx, actor, access.OrgEdit, o); err != nil {
			return err
		}
		p, err := org.CheckProfile(p)
		if err != nil {
			return err
		}
		was, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		tags, err := org.Tags(tx, o)
		if err != nil {
			return err
		}
		ok, err := org.SaveProfile(tx, o, rev, p)
		if err != nil {
			return err
		}
		if !ok {
			return refusal.New(refusal.Conflict, "org.changed_meanwhile")
		}
		before := org.Profile{Name: was.Name, Language: was.Language, TimeZone: was.TimeZone, Country: was.Country, Tags: tags}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.OrgChanged, Actor: actor, Target: audit.TargetOf(o),
			Data: map[string]any{"before": profileFacts(before), "after": profileFacts(p)}})
	})
}

func profileFacts(p org.Profile) map[string]any {
	return map[string]any{"name": p.Name, "language": string(p.Language), "time_zone": p.TimeZone, "country": p.Country, "tags": p.Tags}
}

// mostReason is the longest reason for something that is done to an organisation, in characters.
const mostReason = 100

// Suspend shuts an organisation: its people are signed out at once and nobody signs in, and nobody of it works in the organisations below. typed is
// its tenant domain, as a confirmation. Its administrators are told why.
func (d *Directory) Suspend(ctx context.Context, actor access.Actor, o id.Org, typed, reason string) error {
	return d.Book.Do(ctx, actor, audit.OrgSuspended, func(tx sqldb.Tx) error {
		it, err := d.dangerous(tx, actor, access.OrgSuspend, o, "confirm_suspend", typed)
		if err != nil {
			return err
		}
		why, fault := checkReason(reason)
		if fault != nil {
			return fault
		}
		if err := d.turn(tx, o, access.Active, access.Suspended); err != nil {
			return err
		}
		if err := d.tellOrg(tx, it, actor, outbox.OrgState{State: string(access.Suspended), Organisation: it.Name, Reason: why}); err != nil {
			return err
		}
		if err := audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.OrgSuspended, Actor: actor, Target: audit.TargetOf(o),
			Person: map[string]any{"reason": why}}); err != nil {
			return err
		}
		if err := d.noteAbove(tx, it, actor, audit.OrgSuspended); err != nil {
			return err
		}
		_, err = revoke.Subject(tx, d.Now(), revoke.Org, o)
		return err
	})
}

// Resume opens a suspended organisation again. Who was signed out signs in anew.
func (d *Directory) Resume(ctx context.Context, actor access.Actor, o id.Org) error {
	return d.Book.Do(ctx, actor, audit.OrgResumed, func(tx sqldb.Tx) error {
		if _, err := d.Guard.Require(tx, actor, access.OrgSuspend, o); err != nil {
			return err
		}
		it, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		if err := d.turn(tx, o, access.Suspended, access.Active); err != nil {
			return err
		}
		if err := d.tellOrg(tx, it, actor, outbox.OrgState{State: string(access.Active), Organisation: it.Name}); err != nil {
			return err
		}
		if err := audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.OrgResumed, Actor: actor, Target: audit.TargetOf(o)}); err != nil {
			return err
		}
		return d.noteAbove(tx, it, actor, audit.OrgResumed)
	})
}

// RequestDeletion starts the waiting time of an organisation that is to go with all its people (mission D7): from now on only its administrators sign
// in, who can cancel it, and nobody where it is suspended. Organisations below have to go first. typed is its tenant domain, as a confirmation.
func (d *Directory) RequestDeletion(ctx context.Context, actor access.Actor, o id.Org, typed string) (until time.Time, err error) {
	err = d.Book.Do(ctx, actor, audit.OrgDeletionAsked, func(tx sqldb.Tx) error {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
		it, err := d.dangerous(tx, actor, access.OrgDelete, o, "confirm_delete", typed)
		if err != nil {
			return err
		}
		below, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from org_nodes where parent_id = $1`, o)
		if err != nil {
			return err
		}
		if it.Kind == access.Provider || below > 0 {
			return refusal.New(refusal.Conflict, "org.delete.below", "Count", below)
		}
		if err := d.turn(tx, o, it.State, access.Deleting); err != nil || it.State == access.Deleting {
			return errors.Join(err, refusal.New(refusal.Conflict, "org.state_changed"))
		}
		until = d.Now().Add(org.Waiting(it.Kind))
		if _, err := tx.Exec(`update orgs set delete_at = $1, rev = rev + 1 where id = $2`, sqldb.Micros(until), o); err != nil {
			return err
		}
		if err := d.tellOrg(tx, it, actor, outbox.OrgState{State: string(access.Deleting), Organisation: it.Name, Until: until,
			Suspended: it.Suspended()}); err != nil {
			return err
		}
		if err := audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.OrgDeletionAsked, Actor: actor, Target: audit.TargetOf(o),
			Data: map[string]any{"until": until.UTC().Format(time.RFC3339)}}); err != nil {
			return err
		}
		return d.noteAbove(tx, it, actor, audit.OrgDeletionAsked)
	})
	return until, err
}

// CancelDeletion keeps an organisation whose waiting time is not over. It is again what it was before: one that was suspended is not opened by it.
func (d *Directory) CancelDeletion(ctx context.Context, actor access.Actor, o id.Org) error {
	return d.Book.Do(ctx, actor, audit.OrgDeletionCancelled, func(tx sqldb.Tx) error {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
		if _, err := d.Guard.Require(tx, actor, access.OrgDelete, o); err != nil {
			return err
		}
		it, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		if !d.Now().Before(it.DeleteAt) { // it is going already
			return refusal.New(refusal.Conflict, "org.state_changed")
		}
		back := access.Active
		if it.Suspended() {
			back = access.Suspended
		}
		if err := d.turn(tx, o, access.Deleting, back); err != nil {
			return err
		}
		if _, err := tx.Exec(`update orgs set delete_at = 0, rev = rev + 1 where id = $1`, o); err != nil {
			return err
		}
		if err := d.tellOrg(tx, it, actor, outbox.OrgState{State: "kept", Organisation: it.Name, Suspended: it.Suspended()}); err != nil {
			return err
		}
		if err := audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.OrgDeletionCancelled, Actor: actor, Target: audit.TargetOf(o),
			Data: map[string]any{"state": string(back)}}); err != nil {
			return err
		}
		if err := d.noteAbove(tx, it, actor, audit.OrgDeletionCancelled); err != nil || back == access.Active {
			return err
		}
		_, err = revoke.Subject(tx, d.Now(), revoke.Org, o)
		return err
	})
}

// dangerous checks what every operation needs that shuts or ends an organisation: the right, a fresh proof, the tenant domain typed.
func (d *Directory) dangerous(tx sqldb.Tx, actor access.Actor, p access.Permission, o id.Org, field, typed string) (org.Org, error) {
	if _, err := d.Guard.Require(tx, actor, p, o); err != nil {
		return org.Org{}, err
	}
	if err := actor.RequireFresh(d.Now()); err != nil {
		return org.Org{}, err
	}
	it, err := org.Find(tx, o)
	if err != nil {
		return it, err
	}
	if key, fault := org.FoldSlug(typed); fault != nil || key != it.Slug {
		return it, refusal.Field(field, "org.confirm", "Slug", it.Slug)
	}
	return it, nil
}

func checkReason(s string) (string, *refusal.Error) {
	why, fault := org.CheckName(s)
	switch {
	case fault != nil && fault.Key == "name.missing":
		return "", refusal.Field("reason", "reason.missing")
	case fault != nil:
		return "", refusal.Field("reason", "text.long", "Most", mostReason)
	}
	return why, nil
}

// turn changes an organisation's state, or refuses because it is not in the first one any more.
func (d *Directory) turn(tx sqldb.Tx, o id.Org, from, to access.State) error {
	ok, err := access.SetState(tx, o, from, to)
	if err == nil && !ok {
		err = refusal.New(refusal.Conflict, "org.state_changed")
	}
	return err
}

// noteAbove tells the log of the organisation above as well.
func (d *Directory) noteAbove(tx sqldb.Tx, it org.Org, actor access.Actor, action audit.Action) error {
	if it.Parent == "" {
		return nil
	}
	return audit.Record(tx, d.Now(), audit.Event{Org: it.Parent, Action: action, Actor: actor, Target: audit.TargetOf(it.ID), Data: map[string]any{"slug": it.Slug}})
}

// stateMailLife is how long such a mail is tried to be delivered.
const stateMailLife = 24 * time.Hour

// tellOrg mails the administrators of an organisation what became of it.
func (d *Directory) tellOrg(tx sqldb.Tx, it org.Org, actor access.Actor, m outbox.OrgState) error {
	by, err := d.shown(tx, actor)
	if err != nil {
		return err
	}
	m.By, m.At = by, d.Now()
	list, err := Administrators(tx, it.ID, d.Now())
	if err != nil {
		return err
	}
	for _, a := range list {
		if err := d.Queue.Enqueue(tx, it.ID, a.ID, m, stateMailLife); err != nil {
			return err
		}
	}
	return nil
}

// purgedAtOnce is how many rows go in one transaction, so that others get their turn.
const purgedAtOnce = 500

// Purge removes the organisations whose waiting time is over. It runs again and again, on every node: what is gone already is not there for the other
// one. Their tenant domains rest; the organisation above keeps one event that sums up what went.
func (d *Directory) Purge(ctx context.Context) error {
	due, err := sqldb.All(d.DB.Read(ctx), sqldb.Value[id.Org], `select id from orgs where delete_at > 0 and delete_at <= $1 order by delete_at limit 20`,
		sqldb.Micros(d.Now()))
	var failed []error
	for _, o := range due {
		failed = append(failed, d.purge(ctx, o))
	}
	return errors.Join(append(failed, err)...)
}

func (d *Directory) purge(ctx context.Context, o id.Org) error {
	for _, part := range []string{
		`delete from outbox where id in (select id from outbox where org_id = $1 limit 500)`,
		`delete from attempts where id in (select id from attempts where org_id = $1 limit 500)`,
		`delete from visits where org_id = $1 and account_id in (select account_id from visits where org_id = $1 limit 500)`,
		`delete from event_persons where event_id in (select e.id from events e join event_persons p on p.event_id = e.id where e.org_id = $1 limit 500)`,
		`delete from events where id in (select id from events where org_id = $1 limit 500)`,
		`delete from job_rows where job_id in (select id from jobs where org_id = $1) and n in (select r.n from job_rows r join jobs j on j.id = r.job_id where j.org_id = $1 limit 500)`,
		`delete from job_keys where job_id in (select id from jobs where org_id = $1) and key in (select k.key from job_keys k join jobs j on j.id = k.job_id where j.org_id = $1 limit 500)`,
		`delete from jobs where id in (select id from jobs where org_id = $1 limit 500)`, // the parts go along
		`delete from assignments where id in (select id from assignments where org_id = $1 limit 500)`,
	} {
		for {
			n := int64(0)
			if err := d.DB.Write(ctx, func(tx sqldb.Tx) error {
				still, err := d.going(tx, o)
				if err != nil || !still {
					n = 0
					return err
				}
				n, err = tx.Exec(part, o)
				return err
			}); err != nil {
				return err
			}
			if n < purgedAtOnce {
				break
			}
		}
	}
	if err := d.purgePeopleOf(ctx, o); err != nil {
		return err
	}
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		if still, err := d.going(tx, o); err != nil || !still {
			return err
		}
		it, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		for _, statement := range []string{
			`delete from org_group_accounts where group_id in (select id from org_groups where org_id = $1)`,
			`delete from org_group_orgs where group_id in (select id from org_groups where org_id = $1)`,
			`delete from org_group_orgs where member_id = $1`,
			`delete from org_groups where org_id = $1`,
			`delete from roles where org_id = $1`,
			`delete from moves where org_id = $1`,
			`delete from moves where from_id = $1`,
			`delete from moves where to_id = $1`,
			`delete from seat_requests where org_id = $1`,
			`delete from seat_marks where org_id = $1`,
			`delete from seats where org_id = $1`,
			`delete from org_health where org_id = $1`,
			`delete from expiry_warnings where org_id = $1`,
			`delete from org_logos where org_id = $1`,
			`delete from orgs where id = $1`,
			`delete from org_tree where org_id = $1`,
			`delete from org_nodes where id = $1`,
		} {
			if _, err := tx.Exec(statement, o); err != nil {
				return err
			}
		}
		now := d.Now()
		if _, err := tx.Exec(`insert into slugs_gone (slug_key, until) values ($1, $2) on conflict (slug_key) do update set until = excluded.until`,
			it.Slug, sqldb.Micros(now.Add(org.SlugRests))); err != nil {
			return err
		}
		if err := audit.Record(tx, now, audit.Event{Org: it.Parent, Action: audit.OrgDeleted, Actor: access.System(), Target: audit.TargetOf(o),
			Data: map[string]any{"slug": it.Slug, "name": it.Name, "kind": string(it.Kind)}}); err != nil {
			return err
		}
		list, err := Administrators(tx, it.Parent, now)
		if err != nil {
			return err
		}
		for _, a := range list {
			if err := d.Queue.Enqueue(tx, it.Parent, a.ID, outbox.OrgState{State: "gone", Organisation: it.Name, At: now}, stateMailLife); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	// goneAtOnce is how many people of an organisation go in one transaction,
	goneAtOnce = 20
	// forgottenAtOnce is how many events of one of them are looked at in it.
	forgottenAtOnce = 100
)

// purgePeopleOf removes the people of an organisation that goes, each when the logs of the others do not say any more who they were. Links, factors, sessions
// and devices go along.
func (d *Directory) purgePeopleOf(ctx context.Context, o id.Org) error {
	after := id.Event("") // up to here the events of the first who is still there are looked at
	for more := true; more; {
		var last id.Event
		if err := d.DB.Write(ctx, func(tx sqldb.Tx) (err error) {
			if more, err = d.going(tx, o); err != nil || !more {
				return err
			}
			last, more, err = dismiss(tx, o, after)
			return err
		}); err != nil {
			return err
		}
		after = last
	}
	return nil
}

// dismiss removes some people of an organisation, the first in the order of their ids, and takes them out of events of any log. It tells whether there may
// be more; when the events of one were too many, that one stays, and the last of those events that it came to is returned.
func dismiss(tx sqldb.Tx, o id.Org, after id.Event) (last id.Event, more bool, err error) {
	people, err := sqldb.All(tx, sqldb.Value[id.Account], `select id from accounts where org_id = $1 order by id limit $2`, o, goneAtOnce)
	for _, a := range people {
		if err != nil {
			return "", false, err
		}
		var rest bool
		if last, rest, err = audit.ForgetActor(tx, string(a), after, forgottenAtOnce); err != nil || rest {
			return last, true, err
		}
		after = ""
		_, err = tx.Exec(`delete from accounts where id = $1 and org_id = $2`, a, o)
	}
	return "", len(people) == goneAtOnce, err
}

// going tells whether an organisation's waiting time is over, and holds it so until the end of the transaction.
func (d *Directory) going(tx sqldb.Tx, o id.Org) (bool, error) {
	n, err := tx.Exec(`update orgs set rev = rev + 1 where id = $1 and delete_at > 0 and delete_at <= $2`, o, sqldb.Micros(d.Now()))
	return n == 1, err
}
