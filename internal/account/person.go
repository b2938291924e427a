package account

import (
	"context"
	"errors"
	"slices"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// person loads an account and checks that the actor has the permission over it: on the account's own organisation, and over someone
// with its roles. It returns the roles that the account holds now.
func (d *Directory) person(tx sqldb.Tx, actor access.Actor, p access.Permission, o id.Org, a id.Account) (Account, []string, access.Rights, error) {
	rights, err := d.Guard.Require(tx, actor, p, o)
	if err != nil {
		return Account{}, nil, rights, err
	}
	acc, err := Find(tx, o, a)
	if err != nil {
		return acc, nil, rights, err
	}
	held, err := access.Held(tx, o, a, d.Now())
	if err != nil {
		return acc, held, rights, err
	}
	return acc, held, rights, rights.RequireOver(p, held)
}

// keepAdministrator refuses what would leave an organisation without an active administrator (mission D10). The organisation is locked
// first, so that two who remove each other are told one after the other.
func (d *Directory) keepAdministrator(tx sqldb.Tx, o id.Org, without id.Account) error {
	admins, err := Administrators(tx, o, d.Now())
	if err != nil {
		return err
	}
	was := slices.ContainsFunc(admins, func(a Account) bool { return a.ID == without })
	if was && len(admins) == 1 {
		return refusal.New(refusal.Conflict, "account.last_administrator")
	}
	return nil
}

// Disable shuts an account: no way in, its sessions, attempts and links void at once, its seat free.
func (d *Directory) Disable(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.AccountDisabled, func(tx sqldb.Tx) error {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
		acc, _, _, err := d.person(tx, actor, access.PeopleDisable, o, a)
		if err != nil {
			return err
		}
		if actor.Account == a {
			return refusal.New(refusal.Conflict, "account.yourself")
		}
		if acc.State == Deleting {
			return errDeleting
		}
		if err := d.keepAdministrator(tx, o, a); err != nil {
			return err
		}
		homes, err := sqldb.All(tx, sqldb.Value[string], `update accounts set state = 'disabled', link_used_at = 0
			where id = $1 and org_id = $2 and state in ('invited', 'active') returning coalesce(home_id, '')`, a, o)
		if err != nil {
			return err
		}
		if len(homes) == 0 {
			return refusal.New(refusal.Conflict, "account.disabled_already")
		}
		if homes[0] == "" { // a linked account takes none
			if err := license.ReturnSeat(tx, d.Now(), o); err != nil {
				return err
			}
		}
		if err := d.tellBelow(tx, acc, audit.HomeDisabled); err != nil {
			return err
		}
		if err := outbox.Discard(tx, a, outbox.KindInvite, outbox.KindReset, outbox.KindSetup, outbox.KindMailCode, outbox.KindEmailConfirm); err != nil {
			return err
		}
		if err := Void(tx, a, NotMe); err != nil { // the others are void by the revocation
			return err
		}
		if err := errors.Join(factor.DropPending(tx, a), factor.DropAccessCode(tx, a)); err != nil {
			return err
		}
		if err := audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.AccountDisabled, Actor: actor, Target: audit.TargetOf(a),
			Data: map[string]any{"before": string(acc.State)}}); err != nil {
			return err
		}
		_, err = revoke.Subject(tx, d.Now(), revoke.Account, a)
		return err
	})
}

// Enable opens a disabled account again: active, or invited when it was never activated. It takes a seat, unless it is linked, or is refused.
func (d *Directory) Enable(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.AccountEnabled, func(tx sqldb.Tx) error {
		acc, _, _, err := d.person(tx, actor, access.PeopleDisable, o, a)
		if err != nil {
			return err
		}
		if acc.State == Deleting {
			return errDeleting
		}
		homes, err := sqldb.All(tx, sqldb.Value[string], `update accounts set state = case when activated_at > 0 then 'active' else 'invited' end
			where id = $1 and org_id = $2 and state = 'disabled' returning coalesce(home_id, '')`, a, o)
		if err != nil {
			return err
		}
		if len(homes) == 0 {
			return refusal.New(refusal.Conflict, "account.enabled_already")
		}
		if homes[0] == "" { // a linked account takes none
			if err := license.TakeSeat(tx, d.Now(), o); err != nil {
				return err
			}
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.AccountEnabled, Actor: actor, Target: audit.TargetOf(a)})
	})
}

// shown is what a mail calls the actor; empty for the command line and for Doorward itself.
func (d *Directory) shown(tx sqldb.Tx, actor access.Actor) (string, error) {
	if actor.Kind != access.AccountActor {
		return "", nil
	}
	a, err := Lookup(tx, actor.Account)
	return a.Shown(), err
}

func minus(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// ResetFactors takes an account's second factors away, so that it enrols anew after a mailed code: any link that vouched is spent.
// Its sessions end, and the person is mailed.
func (d *Directory) ResetFactors(ctx context.Context, actor access.Actor, o id.Org, a id.Account, reason string) error {
	if len([]rune(reason)) > 300 {
		return refusal.Field("reason", "text.long", "Most", 300)
	}
	return d.Book.Do(ctx, actor, audit.FactorsReset, func(tx sqldb.Tx) error {
		acc, _, _, err := d.person(tx, actor, access.PeopleFactors, o, a)
		switch {
		case err != nil:
			return err
		case actor.Account == a:
			return refusal.New(refusal.Conflict, "account.yourself")
		case acc.Linked():
			return ErrLinked
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		now := d.Now()
		for _, k := range []factor.Kind{factor.TOTP, factor.Recovery, factor.AccessCodeKind} { // a sign-in locks the counter before the factor, too
			if err := throttle.Clear(tx, CodeTries(string(k), a)); err != nil {
				return err
			}
		}
		kinds, err := factor.RemoveSeconds(tx, a)
		if err != nil {
			return err
		}
		if len(kinds) == 0 {
			return refusal.New(refusal.Conflict, "account.no_factors")
		}
		if _, err := tx.Exec(`update accounts set link_used_at = 0 where id = $1 and org_id = $2`, a, o); err != nil {
			return err
		}
		by, err := d.shown(tx, actor)
		if err != nil {
			return err
		}
		if err := Tell(tx, d.Queue, o, a, outbox.FactorRemoved{Factors: kinds, By: by, Reason: reason, At: now}); err != nil {
			return err
		}
		if err := audit.Record(tx, now, audit.Event{Org: o, Action: audit.FactorsReset, Actor: actor, Target: audit.TargetOf(a),
			Data: map[string]any{"factors": kinds}, Person: map[string]any{"reason": reason}}); err != nil {
			return err
		}
		if err := d.tellBelow(tx, acc, audit.HomeReset); err != nil {
			return err
		}
		_, err = revoke.Subject(tx, now, revoke.Account, a)
		return err
	})
}

// SendSetup mails an active account a link with which the person chooses a new password and sets up a second factor in one go; an
// earlier one dies. Nothing else changes until it is used.
func (d *Directory) SendSetup(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.SetupSent, func(tx sqldb.Tx) error {
		acc, _, _, err := d.person(tx, actor, access.PeopleFactors, o, a)
		if err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		switch {
		case acc.State != Active:
			return refusal.New(refusal.Conflict, "account.not_active")
		case acc.Linked():
			return ErrLinked
		}
		to, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		token, until, err := d.issue(tx, to, acc, Setup)
		if err != nil {
			return err
		}
		by, err := d.shown(tx, actor)
		if err != nil {
			return err
		}
		if err := outbox.Discard(tx, a, outbox.KindSetup); err != nil {
			return err
		}
		if err := d.Queue.Enqueue(tx, o, a, outbox.Setup{Token: string(token), Until: until, By: by}, to.Rules.LinkLife); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.SetupSent, Actor: actor, Target: audit.TargetOf(a)})
	})
}

// Profile is what people set for themselves.
type Profile struct {
	Name     string
	Username string
	Language string // empty: the organisation's
	TimeZone string // empty: the organisation's
}

// EditProfile changes the actor's own profile. Refusals are at the fields name, username, language, time_zone.
func (d *Directory) EditProfile(ctx context.Context, actor access.Actor, p Profile) error {
	name, nameFault := checkPersonName(p.Name)
	username, usernameKey, userFault := parseUsername(p.Username)
	var languageFault, zoneFault *refusal.Error
	if _, ok := locale.Parse(p.Language); p.Language != "" && !ok {
		languageFault = refusal.Field("language", "language.unknown")
	}
	if p.TimeZone != "" {
		zoneFault = org.CheckTimeZone(p.TimeZone)
	}
	if err := refusal.All(nameFault, userFault, languageFault, zoneFault); err != nil {
		return err
	}
	return d.Book.Do(ctx, actor, audit.AccountChanged, func(tx sqldb.Tx) error {
		before, err := Find(tx, actor.Org, actor.Account)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`update accounts set name = $1, username = $2, username_key = $3, language = $4, time_zone = $5
			where id = $6 and org_id = $7`,
			name, sqldb.Null(username), sqldb.Null(usernameKey), p.Language, p.TimeZone, actor.Account, actor.Org); err != nil {
			if sqldb.Unique(err) {
				return refusal.Field("username", "username.taken")
			}
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: actor.Org, Action: audit.AccountChanged, Actor: actor, Target: audit.TargetOf(actor.Account),
			Data:   map[string]any{"language": p.Language, "time_zone": p.TimeZone},
			Person: map[string]any{"name_before": before.Name, "name": name, "username_before": before.Username, "username": username}})
	})
}

// NoteView records that someone of another organisation opened a person's page.
func (d *Directory) NoteView(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.AccountViewed, Actor: actor, Target: audit.TargetOf(a)})
	})
}
