package account

import (
	"context"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// NewOrg describes an organisation that is to be made, with what it begins with.
type NewOrg struct {
	org.New
	Seats *int   // how many people it may have, license.Unlimited for no limit; nil: what its kind begins with
	Admin string // address of its first administrator, who is invited; empty: nobody yet
}

// Established is what Establish made.
type Established struct {
	Org   org.Org
	Admin Outcome // zero without a first administrator
}

// CreateOrg is Establish for an organisation without anything.
func (d *Directory) CreateOrg(ctx context.Context, actor access.Actor, n org.New) (org.Org, error) {
	made, err := d.Establish(ctx, actor, NewOrg{New: n})
	return made.Org, err
}

// Establish makes an organisation under its parent, with its seats, and invites its first administrator: all of it or nothing. It returns refusals at
// the fields kind, slug, name, language, time_zone, country, tags, seat_limit and admin, of as many as can be told at once. Whoever appoints an
// administrator needs a fresh proof, here too.
func (d *Directory) Establish(ctx context.Context, actor access.Actor, n NewOrg) (Established, error) {
	var made Established
	var email Email
	var adminFault *refusal.Error
	if n.Admin != "" {
		email, adminFault = ParseEmail("admin", n.Admin)
	}
	err := d.Book.Do(ctx, actor, audit.OrgCreated, func(tx sqldb.Tx) error {
		made = Established{}
		rights, err := d.Guard.Require(tx, actor, access.OrgCreate, n.Parent)
		if err != nil {
			return err
		}
		if !rights.MayCreate(n.Kind) {
			return refusal.Field("kind", "org.kind")
		}
		there := rights.OfCreated(n.Kind)
		if err := d.mayFurnish(actor, there, n); err != nil {
			return err
		}
		if err := access.Lock(tx, n.Parent); err != nil { // it is not asked to be deleted meanwhile
			return err
		}
		above, err := access.Find(tx, n.Parent)
		if err != nil {
			return err
		}
		if above.State != access.Active {
			return refusal.New(refusal.Conflict, "org.parent_shut")
		}
		o, err := org.Create(tx, d.Now(), actor, n.New)
		if err == nil {
			err = openSeats(tx, o, n.Seats)
		}
		if err != nil && !refusal.Is(err, refusal.Invalid) {
			return err
		}
		if err := refusal.All(append(refusal.Each(err), adminFault)...); err != nil {
			return err
		}
		made.Org = o
		if n.Admin == "" {
			return nil
		}
		made.Admin.Email = email.Text
		return atSeats(d.enter(tx, actor, there, o, Invitation{Roles: []string{access.Administrator}}, email, &made.Admin))
	})
	if err != nil {
		return Established{}, err
	}
	return made, nil
}

// mayFurnish refuses what the actor may not set in an organisation that they make.
func (d *Directory) mayFurnish(actor access.Actor, there access.Rights, n NewOrg) error {
	if n.Seats != nil {
		if err := there.Require(access.SeatsSet); err != nil {
			return err
		}
	}
	if n.Admin == "" {
		return nil
	}
	if err := there.Require(access.PeopleInvite); err != nil {
		return err
	}
	return d.checkGrant(actor, there, []string{access.Administrator})
}

func openSeats(tx sqldb.Tx, o org.Org, limit *int) error {
	if limit == nil {
		return license.Open(tx, o.ID, o.Kind)
	}
	return license.OpenWith(tx, o.ID, o.Kind, *limit)
}

// atSeats puts the refusal of an administrator for whom there is no seat at the field that is to blame.
func atSeats(err error) error {
	if e := refusal.As(err); e != nil && e.Key == "seats.full" {
		return refusal.Field("seat_limit", "org.new.no_seat")
	}
	return err
}

// How often somebody may ask whether a tenant domain is free.
const (
	slugsAsked = 120
	slugsSpan  = 10 * time.Minute
)

// CheckSlug returns nil when the actor could make an organisation with that tenant domain under parent, else the refusal that Establish would return at
// the field "slug": it tells that one is taken, and nothing of who has it (mission D9).
func (d *Directory) CheckSlug(ctx context.Context, actor access.Actor, parent id.Org, slug string) error {
	read := d.DB.Read(ctx)
	rights, err := d.Guard.Require(read, actor, access.OrgCreate, parent)
	if err == nil && !rights.MayCreate(access.MSP) && !rights.MayCreate(access.Customer) {
		err = refusal.New(refusal.Forbidden, "error.forbidden")
	}
	if err != nil {
		return d.Book.Refusal(ctx, actor, audit.OrgCreated, err)
	}
	if _, err := d.Gate.Take(ctx, throttle.Requests("slugs", string(actor.Account), slugsAsked, slugsSpan)); err != nil {
		return err
	}
	key, fault := org.FoldSlug(slug)
	if fault != nil {
		return fault
	}
	return org.Free(read, d.Now(), key)
}
