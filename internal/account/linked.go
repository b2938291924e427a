package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// A linked account lives in an organisation, and has its home in one above it:
//
//	invited ── link of the invitation ─┐
//	                                   ├─ and a session at home ──> active, linked ── Unlink ──> invited
//	active ─── link of BeginLink ──────┘
//
// It has no password and no factors of its own, and takes no seat. A home account is never linked itself.

// ErrLinked answers what would change the password or the factors of a linked account: they are those of its home account.
var ErrLinked = refusal.New(refusal.Conflict, "account.linked")

// HomeOrg returns the organisation in which a linked account has its home.
func HomeOrg(tx sqldb.Tx, a Account) (org.Org, error) {
	home, err := Lookup(tx, a.Home)
	if err != nil {
		return org.Org{}, err
	}
	return org.Find(tx, home.Org)
}

// ManagedBy returns for the linked ones among some accounts the name of the organisation in which they have their home.
func ManagedBy(tx sqldb.Tx, list []Account) (map[id.Account]string, error) {
	names := map[id.Account]string{}
	for _, a := range list {
		if !a.Linked() {
			continue
		}
		o, err := HomeOrg(tx, a)
		if err != nil {
			return nil, err
		}
		names[a.ID] = o.Name
	}
	return names, nil
}

// Below is an account that is linked to another one, and the organisation where it lives.
type Below struct {
	Account
	Org org.Org
}

// LinkedTo returns the accounts whose home an account is, in the order of the names of their organisations.
func LinkedTo(tx sqldb.Tx, home id.Account) ([]Below, error) {
	accounts, err := sqldb.All(tx, scan, `select `+columns+` from accounts where home_id = $1`, home)
	if err != nil {
		return nil, err
	}
	list := make([]Below, 0, len(accounts))
	for _, a := range accounts {
		o, err := org.Find(tx, a.Org)
		if err != nil {
			return nil, err
		}
		list = append(list, Below{a, o})
	}
	slices.SortFunc(list, func(a, b Below) int { return strings.Compare(org.Fold(a.Org.Name), org.Fold(b.Org.Name)) })
	return list, nil
}

// JoinLife is how long somebody has to sign in at home after BeginLink.
const JoinLife = 30 * time.Minute

// BeginLink makes the one-time link (Join) with which the actor's own account can be linked to one of an organisation above. It is for this
// browser alone, and mailed to nobody. The home organisation's part is a session there, see Link.
func (d *Directory) BeginLink(ctx context.Context, actor access.Actor) (secret.Text, error) {
	var token secret.Text
	err := d.Book.Do(ctx, actor, audit.LinkBegun, func(tx sqldb.Tx) error {
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		a, err := Find(tx, actor.Org, actor.Account)
		switch {
		case err != nil:
			return err
		case a.Linked():
			return ErrLinked
		case a.State != Active:
			return refusal.New(refusal.Conflict, "account.not_active")
		}
		if err := Void(tx, a.ID, Join); err != nil {
			return err
		}
		now := d.Now()
		if token, err = newLink(tx, now, a.Org, a.ID, Join, now.Add(JoinLife), "", ""); err != nil {
			return err
		}
		return audit.Record(tx, now, audit.Event{Org: a.Org, Action: audit.LinkBegun, Actor: actor, Target: audit.TargetOf(a.ID)})
	})
	return token, err
}

// Link makes the account of a one-time link one that has its home in the actor's account. Both sides are proved: the account by the link, of its
// invitation (Activate) or of BeginLink (Join); the home by a session whose proof is fresh, with seq as its revocation number. The account is
// active from then on, without password and factors of its own, and its seat is free. Of any number at once one succeeds; the others get an
// Expired refusal. It is a Conflict when the home is not in an organisation above, is linked itself, or has a linked account there already.
func (d *Directory) Link(ctx context.Context, p Purpose, token secret.Text, home access.Actor, seq int64) (Opened, error) {
	op, err := d.Open(ctx, p, token)
	if err != nil && !refusal.Is(err, refusal.Expired) {
		return op, err
	}
	if !op.Good || p != Activate && p != Join {
		return op, d.noteLost(ctx, p, op, home.Client, errNoLink)
	}
	if home.Kind != access.AccountActor {
		return op, refusal.New(refusal.Forbidden, "error.forbidden")
	}
	if err := home.RequireFresh(d.Now()); err != nil {
		return op, err
	}
	err = d.Book.Do(ctx, home, audit.AccountLinked, func(tx sqldb.Tx) error { return d.link(tx, p, op, token, home, seq) })
	return op, d.noteLost(ctx, p, op, home.Client, err)
}

func (d *Directory) link(tx sqldb.Tx, p Purpose, op Opened, token secret.Text, by access.Actor, seq int64) error {
	now, a := d.Now(), op.Account
	if err := access.Lock(tx, a.Org); err != nil { // it does not move out from under the home meanwhile
		return err
	}
	// The account's row first: it is what parallel uses, disabling and withdrawing meet at. The home's comes after it, always: up the tree.
	n, err := tx.Exec(`update accounts set state = 'active', home_id = $1, activated_at = case when activated_at > 0 then activated_at else $2 end,
		link_used_at = 0 where id = $3 and org_id = $4 and state = $5 and home_id is null`,
		by.Account, sqldb.Micros(now), a.ID, a.Org, purposes[p].state)
	if sqldb.Unique(err) {
		return refusal.New(refusal.Conflict, "linked.already")
	}
	if err != nil || n == 0 {
		return errors.Join(err, errNoLink)
	}
	fresh, err := d.open(tx, p, token)
	if err != nil {
		return err
	}
	if err := spend(tx, now, fresh.link.ID); err != nil {
		return err
	}
	if void, err := revoke.Since(tx, a.ID, a.Org, fresh.link.Seq); err != nil || void {
		return errors.Join(err, errNoLink)
	}
	home, at, err := d.homeFor(tx, op, by, seq)
	if err != nil {
		return err
	}
	if a.Name == "" { // as it is called at home, until the person says otherwise
		if _, err := tx.Exec(`update accounts set name = $1 where id = $2 and org_id = $3`, home.Name, a.ID, a.Org); err != nil {
			return err
		}
	}
	if err := d.stripped(tx, a); err != nil {
		return err
	}
	if err := license.ReturnSeat(tx, d.Now(), a.Org); err != nil {
		return err
	}
	action := audit.AccountActivated
	if p == Join {
		action = audit.AccountLinked
	}
	// Here the person is who they are here: of the home, this log names the organisation and the address.
	here := access.Holder(a.ID, a.Org, by.Client)
	here.Name = home.Email
	if err := audit.Record(tx, now, audit.Event{Org: a.Org, Action: action, Actor: here, Target: audit.TargetOf(a.ID),
		Data: map[string]any{"purpose": string(p), "home": at.Slug}, Person: map[string]any{"home": home.Email}}); err != nil {
		return err
	}
	if err := audit.Record(tx, now, audit.Event{Org: home.Org, Action: audit.AccountLinked, Actor: by, Target: audit.TargetOf(home.ID),
		Data: map[string]any{"slug": op.Org.Slug}, Person: map[string]any{"account": a.Email}}); err != nil {
		return err
	}
	w := outbox.Linked{Organisation: op.Org.Name, Address: a.Email, Home: at.Name, HomeAddress: home.Email, Own: p == Join, At: now}
	if err := Tell(tx, d.Queue, home.Org, home.ID, w); err != nil {
		return err
	}
	if p == Join && a.EmailKey != home.EmailKey { // another mailbox: whoever reads it may not know
		if err := Tell(tx, d.Queue, a.Org, a.ID, w); err != nil {
			return err
		}
	}
	_, err = revoke.Subject(tx, now, revoke.Account, a.ID)
	return err
}

// homeFor returns the account that is to be the home, once it is sure that it can be, and its organisation.
func (d *Directory) homeFor(tx sqldb.Tx, op Opened, by access.Actor, seq int64) (Account, org.Org, error) {
	// Its row is the lock: it is not disabled, and not linked itself, while others become linked to it.
	if _, err := tx.Exec(`update accounts set state = state where id = $1 and org_id = $2`, by.Account, by.Org); err != nil {
		return Account{}, org.Org{}, err
	}
	home, err := Find(tx, by.Org, by.Account)
	if err != nil {
		return home, org.Org{}, err
	}
	void, err := revoke.Since(tx, home.ID, home.Org, seq)
	if err != nil {
		return home, org.Org{}, err
	}
	above, err := access.Above(tx, home.Org, op.Org.ID)
	if err != nil {
		return home, org.Org{}, err
	}
	others, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from accounts where home_id = $1`, op.Account.ID)
	if err != nil {
		return home, org.Org{}, err
	}
	switch {
	case void || home.State != Active:
		return home, org.Org{}, refusal.New(refusal.Unauthenticated, "error.unauthenticated")
	case home.Linked(), others > 0: // no chains
		return home, org.Org{}, refusal.New(refusal.Conflict, "linked.chain")
	case !above:
		return home, org.Org{}, refusal.New(refusal.Conflict, "linked.not_above")
	}
	at, err := org.Find(tx, home.Org)
	return home, at, err
}

// stripped takes away with what an account was proved, its open links, and the mails that carry them.
func (d *Directory) stripped(tx sqldb.Tx, a Account) error {
	if err := factor.RemoveAll(tx, a.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(`delete from devices where account_id = $1`, a.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(`update links set state = 'void' where account_id = $1 and state = 'open'`, a.ID); err != nil {
		return err
	}
	return outbox.Discard(tx, a.ID, outbox.KindInvite, outbox.KindReset, outbox.KindSetup, outbox.KindMailCode)
}

// Unlink makes a linked account one of its own again. Without password and factors it is an invited one: a fresh invitation goes to its address,
// its roles stay, and it takes a seat or is refused. Its sessions end. The person may, from either side, and who may edit people.
func (d *Directory) Unlink(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.AccountUnlinked, func(tx sqldb.Tx) error {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
		acc, err := d.mayUnlink(tx, actor, o, a)
		if err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		switch {
		case !acc.Linked():
			return refusal.New(refusal.Conflict, "account.not_linked")
		case acc.State != Active:
			return refusal.New(refusal.Conflict, "account.not_active")
		}
		if err := d.keepAdministrator(tx, o, a); err != nil {
			return err
		}
		if err := license.TakeSeat(tx, d.Now(), o); err != nil {
			return err
		}
		return d.unlink(tx, acc, actor, Invited)
	})
}

// mayUnlink loads an account, for its own person or for who may edit it.
func (d *Directory) mayUnlink(tx sqldb.Tx, actor access.Actor, o id.Org, a id.Account) (Account, error) {
	acc, err := Find(tx, o, a)
	if err == nil && actor.Kind == access.AccountActor && acc.Linked() && (actor.Account == a || actor.Account == acc.Home) {
		return acc, nil
	}
	acc, _, _, err = d.person(tx, actor, access.PeopleEdit, o, a)
	return acc, err
}

// unlink takes an account off its home. The seat of an invited one is the caller's business; Disabled needs none, and mails no invitation.
func (d *Directory) unlink(tx sqldb.Tx, a Account, actor access.Actor, to State) error {
	now := d.Now()
	n, err := tx.Exec(`update accounts set state = $1, home_id = null, activated_at = 0, invited_at = $2, link_used_at = 0
		where id = $3 and org_id = $4 and home_id = $5 and state = 'active'`, to, sqldb.Micros(now), a.ID, a.Org, a.Home)
	if err != nil {
		return err
	}
	if n == 0 {
		return refusal.New(refusal.Conflict, "account.not_linked")
	}
	if err := d.stripped(tx, a); err != nil {
		return err
	}
	o, err := org.Find(tx, a.Org)
	if err != nil {
		return err
	}
	home, err := Lookup(tx, a.Home)
	if err != nil {
		return err
	}
	at, err := org.Find(tx, home.Org)
	if err != nil {
		return err
	}
	by := ""
	if actor.Account != a.ID && actor.Account != home.ID {
		if by, err = d.shown(tx, actor); err != nil {
			return err
		}
	}
	here := actor
	if actor.Account == home.ID { // the same person, as this log knows them
		here = access.Actor{Kind: access.AccountActor, Account: a.ID, Org: a.Org, Name: home.Email, Client: actor.Client}
	}
	if err := audit.Record(tx, now, audit.Event{Org: a.Org, Action: audit.AccountUnlinked, Actor: here, Target: audit.TargetOf(a.ID),
		Data: map[string]any{"home": at.Slug, "state": string(to)}, Person: map[string]any{"home": home.Email}}); err != nil {
		return err
	}
	there := actor
	if actor.Account == a.ID {
		there = access.Actor{Kind: access.AccountActor, Account: home.ID, Org: home.Org, Name: home.Email, Client: actor.Client}
	}
	if err := audit.Record(tx, now, audit.Event{Org: home.Org, Action: audit.AccountUnlinked, Actor: there, Target: audit.TargetOf(home.ID),
		Data: map[string]any{"slug": o.Slug}, Person: map[string]any{"account": a.Email}}); err != nil {
		return err
	}
	if err := d.Queue.Enqueue(tx, home.Org, home.ID, outbox.Unlinked{Organisation: o.Name, Address: a.Email, By: by, Invited: to == Invited, At: now},
		warningLife); err != nil {
		return err
	}
	if _, err := revoke.Subject(tx, now, revoke.Account, a.ID); err != nil {
		return err
	}
	if to != Invited {
		return nil
	}
	held, err := access.Held(tx, a.Org, a.ID, now)
	if err != nil {
		return err
	}
	_, err = d.sendInvitation(tx, access.System(), o, a, held) // after the revocation, which its link has to outlive
	return err
}

// disown answers "this wasn't me" of a linked account: it comes off its home, and the mailbox decides anew. Where no seat is free for that, it
// is disabled, for an administrator to look at.
func (d *Directory) disown(tx sqldb.Tx, a Account, actor access.Actor) error {
	switch err := license.TakeSeat(tx, d.Now(), a.Org); {
	case refusal.Is(err, refusal.Conflict):
		return d.unlink(tx, a, actor, Disabled)
	case err != nil:
		return err
	}
	return d.unlink(tx, a, actor, Invited)
}

// tellBelow records and mails, in each organisation with an account linked to a home, what somebody else did to that home. Its linked sessions
// end with those of the home, see signin.Desk.Resolve.
func (d *Directory) tellBelow(tx sqldb.Tx, home Account, what audit.Action) error {
	list, err := LinkedTo(tx, home.ID)
	if err != nil || len(list) == 0 {
		return err
	}
	at, err := org.Find(tx, home.Org)
	if err != nil {
		return err
	}
	now := d.Now()
	for _, below := range list {
		if below.Account.State != Active {
			continue
		}
		// Doorward tells it: who did it at home is that organisation's business.
		if err := audit.Record(tx, now, audit.Event{Org: below.Org.ID, Action: what, Actor: access.System(), Target: audit.TargetOf(below.Account.ID),
			Data: map[string]any{"home": at.Slug}, Person: map[string]any{"home": home.Email}}); err != nil {
			return err
		}
		admins, err := d.others(tx, below.Org.ID, below.Account.ID)
		if err != nil {
			return err
		}
		for _, admin := range admins {
			if err := d.Queue.Enqueue(tx, admin.Org, admin.ID, outbox.LinkedReset{Person: below.Shown(), Address: below.Email, Home: at.Name,
				Disabled: what == audit.HomeDisabled, Slug: below.Org.Slug, Account: string(below.Account.ID), At: now}, warningLife); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendElsewhere mails the person of a linked account where its password lives.
func (d *Directory) sendElsewhere(tx sqldb.Tx, a Account) error {
	at, err := HomeOrg(tx, a)
	if err != nil {
		return err
	}
	if err := outbox.Discard(tx, a.ID, outbox.KindResetElsewhere); err != nil {
		return err
	}
	return d.Queue.Enqueue(tx, a.Org, a.ID, outbox.ResetElsewhere{Home: at.Name, Slug: at.Slug}, warningLife)
}
