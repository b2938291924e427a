package account

import (
	"context"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// Invitation is what the people who are invited together get.
type Invitation struct {
	Emails   []string   // as typed
	Roles    []string   // role keys, ids or names of own roles; none is allowed
	Groups   []id.Group // organisation groups, of a provider or an MSP
	Language locale.Language
	Expires  time.Time // when the roles end; zero: never
}

// Invited is the outcome for one address.
type Outcome struct {
	Email   string
	Account id.Account
	Token   secret.Text // the link's secret, for the operator alone; empty for everyone else
	Err     error       // refusal or failure: nothing was made for this address
}

// MostInvited is how many addresses may be invited at once.
const MostInvited = 200

// Invite adds people and mails each a link. Every address has its own transaction and outcome, in the order given. The error concerns
// them all: missing right, unknown role, proof too old.
func (d *Directory) Invite(ctx context.Context, actor access.Actor, o id.Org, in Invitation) ([]Outcome, error) {
	if len(in.Emails) == 0 {
		return nil, refusal.Field("emails", "email.missing")
	}
	if len(in.Emails) > MostInvited {
		return nil, refusal.Field("emails", "email.many", "Most", MostInvited)
	}
	read := d.DB.Read(ctx)
	rights, err := d.Guard.Require(read, actor, access.PeopleInvite, o)
	if err != nil {
		return nil, d.Book.Refusal(ctx, actor, audit.AccountInvited, err)
	}
	at, err := org.Find(read, o)
	if err != nil {
		return nil, err
	}
	if err := requireAdd(actor, rights, at.Rules); err != nil {
		return nil, d.Book.Refusal(ctx, actor, audit.AccountInvited, err)
	}
	if in.Roles, err = roleKeys(rights, in.Roles); err != nil {
		return nil, d.Book.Refusal(ctx, actor, audit.AccountInvited, err)
	}
	if err := d.checkGrant(actor, rights, in.Roles); err != nil {
		return nil, d.Book.Refusal(ctx, actor, audit.AccountInvited, err)
	}
	if in.Language != "" {
		if _, ok := locale.Parse(string(in.Language)); !ok {
			return nil, refusal.Field("language", "language.unknown")
		}
	}
	if fault := checkEnd(in.Expires, d.Now()); fault != nil {
		return nil, fault
	}
	if len(in.Groups) > 0 {
		if err := d.Book.Do(ctx, actor, audit.AccountInvited, func(tx sqldb.Tx) (err error) {
			in.Groups, err = d.checkGroups(tx, actor, o, in.Groups)
			return err
		}); err != nil {
			return nil, err
		}
	}
	out := make([]Outcome, 0, len(in.Emails))
	seen := map[string]bool{}
	for _, typed := range in.Emails {
		r := Outcome{Email: typed}
		email, fault := ParseEmail("emails", typed)
		switch {
		case fault != nil:
			r.Err = fault
		case seen[email.Key]:
			r.Err = refusal.Field("emails", "email.twice")
		default:
			seen[email.Key] = true
			r.Email = email.Text
			r.Err = d.Book.Do(ctx, actor, audit.AccountInvited, func(tx sqldb.Tx) error {
				return d.invite(tx, actor, o, in, email, &r)
			})
		}
		out = append(out, r)
	}
	return out, nil
}

// MayAdd tells whether the rules of an organisation let the actor, who has the permission, add people: where they let administrators alone, neither
// editors nor co-managers do, nor who has the permission from an own role.
func MayAdd(actor access.Actor, rights access.Rights, rules policy.Rules) bool {
	return !rules.AdministratorsInvite || actor.Kind != access.AccountActor || slices.Contains(rights.Roles(), access.Administrator)
}

func requireAdd(actor access.Actor, rights access.Rights, rules policy.Rules) error {
	if MayAdd(actor, rights, rules) {
		return nil
	}
	e := refusal.New(refusal.Forbidden, "policy.invite.refused")
	e.Denied = true
	return e
}

// checkGrant refuses roles that the actor may not give, and administrative ones without a fresh proof.
func (d *Directory) checkGrant(actor access.Actor, rights access.Rights, roles []string) error {
	if err := mayGive(rights, roles); err != nil {
		return err
	}
	if slices.ContainsFunc(roles, access.IsOwn) {
		return actor.RequireFresh(d.Now())
	}
	if slices.Contains(roles, access.Administrator) || slices.Contains(roles, access.CoManager) {
		return actor.RequireFresh(d.Now())
	}
	return nil
}

func (d *Directory) invite(tx sqldb.Tx, actor access.Actor, o id.Org, in Invitation, email Email, r *Outcome) error {
	// Checked again inside the transaction: the right, the role or the group may have gone since the first address. What can go is kept
	// from going until the person has it.
	if slices.ContainsFunc(in.Roles, access.IsOwn) || len(in.Groups) > 0 {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
	}
	rights, err := d.Guard.Require(tx, actor, access.PeopleInvite, o)
	if err != nil {
		return err
	}
	if _, err := rights.CheckRoles(in.Roles); err != nil {
		return err
	}
	if err := d.checkGrant(actor, rights, in.Roles); err != nil {
		return err
	}
	if _, err := d.checkGroups(tx, actor, o, in.Groups); err != nil {
		return err
	}
	to, err := org.Find(tx, o)
	if err != nil {
		return err
	}
	return d.enter(tx, actor, rights, to, in, email, r)
}

// enter makes the account of somebody invited and mails the link; the rights are checked.
func (d *Directory) enter(tx sqldb.Tx, actor access.Actor, rights access.Rights, to org.Org, in Invitation, email Email, r *Outcome) error {
	there, err := sqldb.All(tx, scan, `select `+columns+` from accounts where org_id = $1 and email_key = $2`, to.ID, email.Key)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return refusal.Field("emails", "email.there_"+string(there[0].State))
	}
	if err := requireAdd(actor, rights, to.Rules); err != nil {
		return err
	}
	if err := license.TakeSeat(tx, d.Now(), to.ID); err != nil {
		return err
	}
	now := d.Now()
	a := Account{ID: id.New[id.Account](now), Org: to.ID, Email: email.Text, EmailKey: email.Key, Language: in.Language, State: Invited, Created: now, InvitedAt: now}
	if err := insert(tx, a); err != nil {
		if sqldb.Unique(err) {
			return refusal.Field("emails", "email.there_invited")
		}
		return err
	}
	for _, role := range in.Roles {
		if err := access.Assign(tx, now, to.ID, a.ID, role, in.Expires); err != nil {
			return err
		}
	}
	for _, g := range in.Groups {
		if _, err := access.AddPerson(tx, to.ID, g, a.ID); err != nil {
			return err
		}
	}
	facts := map[string]any{"roles": in.Roles}
	if !in.Expires.IsZero() {
		facts["until"] = written(in.Expires)
	}
	if len(in.Groups) > 0 {
		facts["groups"] = in.Groups
	}
	if err := audit.Record(tx, now, audit.Event{Org: to.ID, Action: audit.AccountInvited, Actor: actor, Target: audit.TargetOf(a.ID),
		Data: facts, Person: map[string]any{"email": a.Email}}); err != nil {
		return err
	}
	r.Account = a.ID
	token, err := d.sendInvitation(tx, actor, to, a, in.Roles)
	if actor.Kind == access.OperatorActor {
		r.Token = token
	}
	return err
}

// Insert writes an account as it is given, with a new id: for the benchmark's world. It takes no seat.
func Insert(tx sqldb.Tx, now time.Time, a Account) (id.Account, error) {
	a.ID, a.Created = id.New[id.Account](now), now
	if a.State == Active {
		a.Activated = now
	}
	return a.ID, insert(tx, a)
}

func insert(tx sqldb.Tx, a Account) error {
	_, err := tx.Exec(`insert into accounts (id, org_id, email, email_key, username, username_key, name, language, time_zone, state, created_at,
		invited_at, activated_at, last_sign_in_at, link_used_at, offers) values ($1, $2, $3, $4, $5, $6, $7, $8, '', $9, $10, $10, $11, 0, 0, $12)`,
		a.ID, a.Org, a.Email, a.EmailKey, sqldb.Null(a.Username), sqldb.Null(org.Fold(a.Username)), a.Name, a.Language, a.State,
		sqldb.Micros(a.Created), sqldb.Micros(a.Activated), a.Offers)
	return err
}

// sendInvitation makes the account's one living activation link and mails it. Only the operator's command line is given the secret,
// and that is an event.
func (d *Directory) sendInvitation(tx sqldb.Tx, actor access.Actor, o org.Org, a Account, roles []string) (secret.Text, error) {
	token, until, err := d.issue(tx, o, a, Activate)
	if err != nil {
		return "", err
	}
	if err := outbox.Discard(tx, a.ID, outbox.KindInvite); err != nil {
		return "", err
	}
	inviter := ""
	if actor.Kind == access.AccountActor {
		who, err := Lookup(tx, actor.Account)
		if err != nil {
			return "", err
		}
		inviter = who.Shown()
	}
	names, err := access.RoleNames(tx, o.ID, roles)
	if err != nil {
		return "", err
	}
	if err := d.Queue.Enqueue(tx, o.ID, a.ID, outbox.Invite{Inviter: inviter, Roles: names, Token: string(token), Until: until}, o.Rules.LinkLife); err != nil {
		return "", err
	}
	if actor.Kind != access.OperatorActor {
		return "", nil
	}
	return token, audit.Record(tx, d.Now(), audit.Event{Org: o.ID, Action: audit.LinkPrinted, Actor: actor, Target: audit.TargetOf(a.ID),
		Data: map[string]any{"purpose": string(Activate)}})
}

// Founded is what Found made.
type Founded struct {
	Org     org.Org
	Account Account
	Token   secret.Text
}

// Found creates the provider and its first administrator. Only the operator may, and only once: afterwards it returns a Conflict
// refusal. The administrator is not mailed: the operator is given the activation link.
func (d *Directory) Found(ctx context.Context, actor access.Actor, name, slug, email string, language locale.Language) (Founded, error) {
	var f Founded
	if err := access.RequireOperator(actor); err != nil {
		return f, err
	}
	address, fault := ParseEmail("admin", email)
	if fault != nil {
		return f, fault
	}
	err := d.Book.Do(ctx, actor, audit.OrgCreated, func(tx sqldb.Tx) error {
		if _, err := org.Provider(tx); err == nil {
			return refusal.New(refusal.Conflict, "init.done")
		} else if !refusal.Is(err, refusal.NotFound) {
			return err
		}
		now := d.Now()
		o, err := org.Create(tx, now, actor, org.New{Kind: access.Provider, Slug: slug, Name: name, Language: language})
		if err != nil {
			return err
		}
		if err := license.Open(tx, o.ID, o.Kind); err != nil {
			return err
		}
		if err := license.TakeSeat(tx, d.Now(), o.ID); err != nil {
			return err
		}
		a := Account{ID: id.New[id.Account](now), Org: o.ID, Email: address.Text, EmailKey: address.Key, State: Invited, Created: now, InvitedAt: now}
		if err := insert(tx, a); err != nil {
			return err
		}
		if err := access.Assign(tx, now, o.ID, a.ID, access.Administrator, time.Time{}); err != nil {
			return err
		}
		if err := audit.Record(tx, now, audit.Event{Org: o.ID, Action: audit.AccountInvited, Actor: actor, Target: audit.TargetOf(a.ID),
			Data: map[string]any{"roles": []string{access.Administrator}}, Person: map[string]any{"email": a.Email}}); err != nil {
			return err
		}
		token, _, err := d.issue(tx, o, a, Activate)
		if err != nil {
			return err
		}
		f = Founded{Org: o, Account: a, Token: token}
		return audit.Record(tx, now, audit.Event{Org: o.ID, Action: audit.LinkPrinted, Actor: actor, Target: audit.TargetOf(a.ID),
			Data: map[string]any{"purpose": string(Activate)}})
	})
	if sqldb.Unique(err) { // two at once: the other was first
		err = refusal.New(refusal.Conflict, "init.done")
	}
	if err != nil {
		return Founded{}, err
	}
	return f, nil
}

// Resend mails a pending account a new link; the old one dies. The operator is given the secret.
func (d *Directory) Resend(ctx context.Context, actor access.Actor, o id.Org, a id.Account) (secret.Text, error) {
	var token secret.Text
	err := d.Book.Do(ctx, actor, audit.AccountResent, func(tx sqldb.Tx) error {
		acc, held, rights, err := d.person(tx, actor, access.PeopleResend, o, a)
		if err != nil {
			return err
		}
		if acc.State != Invited {
			return refusal.New(refusal.Conflict, "account.not_pending")
		}
		to, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		if err := requireAdd(actor, rights, to.Rules); err != nil {
			return err
		}
		if token, err = d.sendInvitation(tx, actor, to, acc, held); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.AccountResent, Actor: actor, Target: audit.TargetOf(a)})
	})
	return token, err
}

// Withdraw takes an invitation back: the account is gone, its link dead, its seat free, and the address can be invited anew.
func (d *Directory) Withdraw(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.AccountWithdrawn, func(tx sqldb.Tx) error {
		acc, _, _, err := d.person(tx, actor, access.PeopleWithdraw, o, a)
		if err != nil {
			return err
		}
		if err := access.UnassignAll(tx, o, a); err != nil {
			return err
		}
		if err := outbox.Discard(tx, a, outbox.KindInvite); err != nil {
			return err
		}
		// Only a pending account goes; one that was activated a moment ago stays. Of who was here before, PurgePeople takes the name out of the log as well.
		gone, args := `delete from accounts where id = $1 and org_id = $2 and state = 'invited' and activated_at = 0`, []any{a, o}
		if !acc.untouched() {
			gone = `update accounts set kept_state = state, state = 'deleting', delete_at = $1 where id = $2 and org_id = $3 and state = 'invited' and activated_at = 0`
			args = []any{sqldb.Micros(d.Now()), a, o}
		}
		n, err := tx.Exec(gone, args...)
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal.New(refusal.Conflict, "account.not_pending")
		}
		if err := license.ReturnSeat(tx, d.Now(), o); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.AccountWithdrawn, Actor: actor, Target: audit.TargetOf(a),
			Person: map[string]any{"email": acc.Email}})
	})
}
