package signin

import (
	"context"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// target is another organisation that someone wants to go on into, and how they may: by delegation from their home, by an account there that is
// linked to theirs, or both; then they choose at the door.
type target struct {
	Org       org.Org // zero when it does not exist
	Delegated bool
	Linked    account.Account // zero when there is none
	Roles     []string        // that the linked account holds now
	Reason    policy.Reason   // why a linked account does not let them in
}

// target reads what an account may do in the organisation with that tenant domain. One that does not exist is answered like one that does not let
// them in.
func (d *Desk) target(tx sqldb.Tx, a account.Account, slug string) (t target, err error) {
	t.Org, err = org.BySlug(tx, slug)
	if refusal.Is(err, refusal.NotFound) {
		return target{}, nil
	}
	if err != nil {
		return t, err
	}
	r, err := d.Guard.Rights(tx, access.Actor{Kind: access.AccountActor, Account: a.ID, Org: a.Org}, t.Org.ID)
	if err != nil {
		return t, err
	}
	t.Delegated = r.May(access.OrgView)
	linked, ok, err := account.LinkedIn(tx, t.Org.ID, a.ID)
	if err != nil || !ok {
		return t, err
	}
	assignments, err := access.Assignments(tx, linked.ID)
	if err != nil {
		return t, err
	}
	f := standing(d.Now(), t.Org, linked, nil, assignments)
	switch {
	case !f.Active:
		t.Reason = policy.AccountDisabled
	case f.Suspended:
		t.Reason = policy.OrgSuspended
	case f.Deleting && !f.Administrative:
		t.Reason = policy.OrgDeleting
	case f.Roles == 0 && f.EndedRoles > 0:
		t.Reason = policy.AccessEnded
	case f.Roles == 0:
		t.Reason = policy.NoRole
	default:
		t.Linked = linked
		t.Roles, err = access.Held(tx, t.Org.ID, linked.ID, d.Now())
	}
	return t, err
}

// bind adds what holds in the target to the facts of a sign-in: its rules as well as those of the home.
func (t target) bind(f *policy.Facts) {
	f.Target, f.TargetAllowed, f.TargetReason = true, t.Delegated || t.Linked.ID != "", t.Reason
	if !f.TargetAllowed {
		return
	}
	f.Rules = f.Rules.With(t.Org.Rules)
	switch { // an exception at home is none there
	case t.Delegated:
		f.Exempt = time.Time{}
	case t.Linked.ExemptUntil.Before(f.Exempt):
		f.Exempt = t.Linked.ExemptUntil
	}
	for _, role := range t.Roles {
		f.Administrative = f.Administrative || access.Administrative(t.Org.Kind, role)
	}
}

// enter opens the session of a linked account on top of its home account's. Both organisations' logs tell it.
func (d *Desk) enter(tx sqldb.Tx, home Session, t target, seq int64, client access.Client) (Session, secret.Text, error) {
	now := d.Now()
	ses := Session{ID: id.New[id.Session](now), Org: t.Org.ID, Account: t.Linked.ID, Via: home.ID, State: "open", Seq: seq, AMR: home.AMR,
		Address: client.Address, UserAgent: cutAgent(client.UserAgent), Proved: home.Proved, Created: now, LastUsed: now,
		Expires: earlier(home.Expires, now.Add(t.Org.Rules.Absolute))}
	fresh := secret.Token("dws_")
	// The secret that the browser held is void: it has the linked session's now, and gets a new one when it leaves. The row is the lock, too: of
	// two who enter at once, the first one's session ends.
	n, err := tx.Exec(`update sessions set secret_hash = $1 where id = $2 and state = 'open'`, secret.Hash(secret.Token("dws_")), home.ID)
	if err != nil || n == 0 {
		return ses, "", joinSignedOut(err)
	}
	left, err := sqldb.All(tx, scanSession, `update sessions set state = 'ended' where via_id = $1 and state = 'open' returning `+sessionColumns, home.ID)
	if err != nil {
		return ses, "", err
	}
	for _, l := range left {
		if err := d.noteLeft(tx, home, l, client); err != nil {
			return ses, "", err
		}
	}
	if err := insertSession(tx, ses, "via "+string(ses.ID), fresh); err != nil {
		return ses, "", err
	}
	if _, err := tx.Exec(`update accounts set last_sign_in_at = $1 where id = $2 and org_id = $3`, sqldb.Micros(now), t.Linked.ID, t.Org.ID); err != nil {
		return ses, "", err
	}
	there := access.Actor{Kind: access.AccountActor, Account: t.Linked.ID, Org: t.Org.ID, Session: ses.ID, Name: t.Linked.Email, Client: client}
	if err := audit.Record(tx, now, audit.Event{Org: t.Org.ID, Action: audit.SignedIn, Actor: there, Target: audit.TargetOf(t.Linked.ID),
		Data: map[string]any{"amr": ses.AMR, "session": string(ses.ID), "via": "home"}}); err != nil {
		return ses, "", err
	}
	here := access.Actor{Kind: access.AccountActor, Account: home.Account, Org: home.Org, Session: home.ID, Client: client}
	return ses, fresh, audit.Record(tx, now, audit.Event{Org: home.Org, Action: audit.LinkedEntered, Actor: here, Target: audit.TargetOf(t.Org.ID),
		Data: map[string]any{"slug": t.Org.Slug}})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// noteLeft records in both organisations that a linked account's session ended for the one at home, or for another one that stands on it.
func (d *Desk) noteLeft(tx sqldb.Tx, home, left Session, client access.Client) error {
	there := access.Actor{Kind: access.AccountActor, Account: left.Account, Org: left.Org, Session: left.ID, Client: client}
	if err := audit.Record(tx, d.Now(), audit.Event{Org: left.Org, Action: audit.SignedOut, Actor: there, Target: audit.TargetOf(left.ID)}); err != nil {
		return err
	}
	here := access.Actor{Kind: access.AccountActor, Account: home.Account, Org: home.Org, Session: home.ID, Client: client}
	return audit.Record(tx, d.Now(), audit.Event{Org: home.Org, Action: audit.LinkedLeft, Actor: here, Target: audit.TargetOf(left.Org)})
}

// Enter goes from a session of the home account, or of another account that is linked to it, on into an organisation where a linked account of it
// lives, and returns the session cookie's new secret. When the rules there ask for more than this session has proved, the refusal is StepUp: the
// person signs in again, on the way there.
func (d *Desk) Enter(ctx context.Context, v Visitor, slug string) (fresh secret.Text, to string, err error) {
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		seq, err := revoke.Head(tx) // before any state is read: what is revoked later has a higher number
		if err != nil {
			return err
		}
		home := v.Session
		if v.Session.Via != "" {
			if home, err = openSession(tx, "id", v.Session.Via); err != nil {
				return err
			}
		}
		t, err := d.target(tx, v.Home, slug)
		if err != nil {
			return err
		}
		if t.Linked.ID == "" {
			return refusal.New(refusal.NotFound, "error.not_found")
		}
		assignments, err := access.Assignments(tx, v.Home.ID)
		if err != nil {
			return err
		}
		f := standing(d.Now(), v.HomeOrg, v.Home, nil, assignments)
		t.bind(&f)
		if due(f, home.AMR, false) {
			return refusal.New(refusal.StepUp, "error.step_up")
		}
		to = t.Org.HomePath()
		if _, fresh, err = d.enter(tx, home, t, seq, v.Actor.Client); err != nil {
			return err
		}
		return d.noteVisit(tx, v.Home.ID, t.Org.ID)
	})
	return fresh, to, err
}

// Leave goes back from a linked account to the home account's session, and returns the session cookie's new secret and the home's address.
func (d *Desk) Leave(ctx context.Context, v Visitor) (fresh secret.Text, to string, err error) {
	if v.Session.Via == "" {
		return "", "", refusal.New(refusal.NotFound, "error.not_found")
	}
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		n, err := tx.Exec(`update sessions set state = 'ended' where id = $1 and state = 'open'`, v.Session.ID)
		if err != nil || n == 0 {
			return joinSignedOut(err)
		}
		fresh = secret.Token("dws_")
		home, err := sqldb.One(tx, scanSession, `update sessions set secret_hash = $1, last_used_at = $2 where id = $3 and state = 'open' returning `+sessionColumns,
			secret.Hash(fresh), sqldb.Micros(d.Now()), v.Session.Via)
		if err != nil {
			return joinSignedOut(err)
		}
		o, err := org.Find(tx, home.Org)
		if err != nil {
			return err
		}
		to = o.HomePath()
		return d.noteLeft(tx, home, v.Session, v.Actor.Client)
	})
	return fresh, to, err
}

// noteVisit remembers where someone goes, for the chooser.
func (d *Desk) noteVisit(tx sqldb.Tx, a id.Account, o id.Org) error {
	_, err := tx.Exec(`insert into visits (account_id, org_id, at) values ($1, $2, $3) on conflict (account_id, org_id) do update set at = excluded.at`,
		a, o, sqldb.Micros(d.Now()))
	return err
}

// DueIn tells whether the rules of an organisation ask for more than a session has proved, of who works there by delegation: what the sign-in on
// the way there would have asked holds as well for who comes with a session from home.
func (d *Desk) DueIn(ctx context.Context, v Visitor, o org.Org) (bool, error) {
	f := policy.Facts{Now: d.Now(), Rules: v.Org.Rules, Administrative: v.Administrative(), Exempt: v.Account.ExemptUntil}
	target{Org: o, Delegated: true}.bind(&f)
	if slices.Contains(v.Session.AMR, "mfa") && !f.Rules.KeysOnly() {
		return false, nil
	}
	factors, err := factor.List(d.DB.Read(ctx), v.Account.ID)
	return due(f, v.Session.AMR, len(factor.Seconds(factors, factor.Active)) > 0), err
}

// due tells whether the rules ask for more than a session has proved: a second factor that was never asked for, or one of a kind that no longer
// counts. enrolled says that the person has a second factor which a remembered device may have spared.
func due(f policy.Facts, amr []string, enrolled bool) bool {
	if !f.Rules.Demands(f.Administrative, f.Now) || f.Now.Before(f.Exempt) {
		return false
	}
	switch {
	case f.Rules.KeysOnly():
		return !slices.Contains(amr, "hwk")
	case slices.Contains(amr, "mfa"):
		return false
	}
	return !enrolled || f.Administrative || f.Rules.Remember == 0
}
