package signin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// Session is a finished sign-in of one account.
type Session struct {
	ID        id.Session
	Org       id.Org
	Account   id.Account
	Via       id.Session // of a linked account: the home account's session that this one stands on
	State     string     // open, ended
	Seq       int64
	AMR       []string // how the person proved who they are (RFC 8176): pwd, otp, mfa
	Address   string
	UserAgent string
	Proved    time.Time // when the strongest factor was last proved
	Created   time.Time
	LastUsed  time.Time // within a minute
	Expires   time.Time // at the latest

	void bool // the account, or its organisation, was revoked since; only where it is honoured
}

const sessionColumns = `id, org_id, account_id, via_id, state, seq, amr, address, user_agent, proved_at, created_at, last_used_at, expires_at`

func scanSession(row sqldb.Row) (s Session, err error) {
	var amr string
	err = row(&s.ID, &s.Org, &s.Account, sqldb.Text(&s.Via), &s.State, &s.Seq, &amr, &s.Address, &s.UserAgent, sqldb.Time(&s.Proved), sqldb.Time(&s.Created),
		sqldb.Time(&s.LastUsed), sqldb.Time(&s.Expires))
	s.AMR = strings.Fields(amr)
	return s, err
}

// openSession returns the open session that where finds by of, or ErrSignedOut, with whether it was revoked since it was made.
func openSession(tx sqldb.Tx, where string, of any) (Session, error) {
	var later int64
	s, err := sqldb.One(tx, func(row sqldb.Row) (Session, error) {
		return scanSession(func(dest ...any) error { return row(append(dest, &later)...) })
	}, `select `+sessionColumns+`, `+revoke.Later("sessions")+` from sessions where `+where+` = $1 and state = 'open'`, of)
	if errors.Is(err, sqldb.ErrNone) {
		err = ErrSignedOut
	}
	s.void = later > 0
	return s, err
}

// finish makes the session of an attempt that Decide let through. The unique attempt id holds against a second one. The session that the
// browser held before ends.
func (d *Desk) finish(tx sqldb.Tx, a Attempt, s scene, seq int64, client access.Client, held Held) (*Finished, error) {
	now := d.Now()
	ses := Session{ID: id.New[id.Session](now), Org: a.Org, Account: a.Account, State: "open", Seq: seq,
		Address: client.Address, UserAgent: cutAgent(client.UserAgent), Proved: now, Created: now, LastUsed: now, Expires: now.Add(s.Facts.Rules.Absolute)}
	ses.AMR = amr(a)
	if a.Proved.Second == 0 && len(s.seconds) > 0 { // on a remembered device: the factor was not proved now, so step-up asks for it
		ses.Proved = time.Time{}
	}
	if held.Session != "" {
		old, err := endHeld(tx, held.Session)
		if err != nil {
			return nil, err
		}
		for _, o := range old {
			// It is the old account's own doing: another organisation's log learns nothing of the new one.
			actor := access.Actor{Kind: access.AccountActor, Account: o.Account, Org: o.Org, Session: o.ID, Client: client}
			if err := audit.Record(tx, now, audit.Event{Org: o.Org, Action: audit.SessionEnded, Actor: actor,
				Target: audit.TargetOf(o.ID), Reason: "replaced"}); err != nil {
				return nil, err
			}
		}
	}
	fresh := secret.Token("dws_")
	if err := insertSession(tx, ses, string(a.ID), fresh); err != nil {
		return nil, err
	}
	if a.Proved.Password > 0 { // who knows the password needs no reset
		if err := account.Void(tx, a.Account, account.Reset); err != nil {
			return nil, err
		}
	}
	if _, err := tx.Exec(`update accounts set last_sign_in_at = $1 where id = $2 and org_id = $3`, sqldb.Micros(now), a.Account, a.Org); err != nil {
		return nil, err
	}
	if err := audit.Record(tx, now, audit.Event{Org: a.Org, Action: audit.SignedIn, Actor: personActor(s.Account, client), Target: audit.TargetOf(a.Account),
		Data: map[string]any{"amr": ses.AMR, "session": string(ses.ID)}}); err != nil {
		return nil, err
	}
	device, isNew, err := d.noteDevice(tx, a, s, seq, client, held.Device)
	if err != nil {
		return nil, err
	}
	if isNew {
		if err := account.Tell(tx, d.Queue, a.Org, a.Account, outbox.NewDevice{Device: ses.Device(), Address: ses.Address, At: now}); err != nil {
			return nil, err
		}
	}
	f := &Finished{Session: ses, Secret: fresh, Device: device, To: a.Proved.To}
	if f.To == "" {
		f.To = s.Org.HomePath()
		if several, err := d.several(tx, a, s.Account, s.Org); err != nil {
			return nil, err
		} else if several {
			f.To = ChoosePath
		}
	}
	if t := s.Target; t.Org.ID != "" {
		switch {
		case t.Linked.ID != "" && t.Delegated: // both: the person chooses at the door
			f.Choose = t.Org.Slug
		case t.Linked.ID != "":
			if f.Session, f.Secret, err = d.enter(tx, ses, t, seq, client); err != nil {
				return nil, err
			}
		}
		if err := d.noteVisit(tx, a.Account, t.Org.ID); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func insertSession(tx sqldb.Tx, s Session, attempt string, fresh secret.Text) error {
	_, err := tx.Exec(`insert into sessions (id, org_id, account_id, attempt_id, secret_hash, state, seq, amr, address, user_agent, proved_at,
		created_at, last_used_at, expires_at, via_id) values ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $10, $11, $11, $12, $13)`,
		s.ID, s.Org, s.Account, attempt, secret.Hash(fresh), s.Seq, strings.Join(s.AMR, " "), s.Address, s.UserAgent,
		sqldb.Micros(s.Proved), sqldb.Micros(s.Created), sqldb.Micros(s.Expires), sqldb.Null(s.Via))
	return err
}

// amr returns how the person proved who they are, in the words of RFC 8176.
func amr(a Attempt) []string {
	var list []string
	if a.Proved.Password > 0 {
		list = append(list, "pwd")
	}
	switch {
	case a.Proved.Alone:
		return append(list, "hwk", "user", "mfa")
	case a.Proved.Second == 0: // also on a remembered device
		return list
	case a.Proved.Method == string(factor.Passkey):
		return append(list, "hwk", "mfa")
	}
	return append(list, "otp", "mfa")
}

func cutAgent(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "")
	}
	return s
}

// Visitor is who is signed in: resolved anew for each request.
type Visitor struct {
	Session  Session
	Account  account.Account
	Org      org.Org // the account's own organisation
	Roles    []string
	Actor    access.Actor
	Home     account.Account // of a linked account: who it is at home, where password and factors are; otherwise the account itself
	HomeOrg  org.Org         // of Home
	Deadline time.Time       // a second factor that the person has not enrolled yet is demanded from then on; zero: nothing is coming
	Due      bool            // the rules ask for a second factor that this session has not proved: it opens nothing until the person signed in anew
}

// Administrative tells whether one of the roles administers.
func (v Visitor) Administrative() bool {
	return slices.ContainsFunc(v.Roles, func(role string) bool { return access.Administrative(v.Org.Kind, role) })
}

// ErrSignedOut is what a request without a good session is answered with.
var ErrSignedOut = refusal.New(refusal.Unauthenticated, "error.unauthenticated")

// Resolve returns who holds a session's secret, or ErrSignedOut. This is the one place where a session is honoured: it must be open,
// within its limits and not revoked, its account active with a role that counts, its organisation neither suspended nor gone.
func (d *Desk) Resolve(ctx context.Context, s secret.Text, client access.Client) (Visitor, error) {
	var v Visitor
	if s == "" || len(s) > 100 {
		return v, ErrSignedOut
	}
	tx := d.DB.Read(ctx)
	var err error
	if v.Session, err = openSession(tx, "secret_hash", secret.Hash(s)); err != nil {
		return v, err
	}
	if v, err = d.honour(tx, v.Session); err != nil {
		return v, err
	}
	now := d.Now()
	if now.Sub(v.Session.LastUsed) >= v.Org.Rules.IdleFor(v.Administrative()) {
		return v, ErrSignedOut
	}
	if now.Sub(v.Session.LastUsed) >= time.Minute { // to the minute is enough, and spares a write per request
		if err := d.DB.Write(ctx, func(tx sqldb.Tx) error {
			_, err := tx.Exec(`update sessions set last_used_at = $1 where (id = $2 or id = $3) and last_used_at < $1`, sqldb.Micros(now), v.Session.ID, v.Session.Via)
			return err
		}); err != nil {
			return v, err
		}
	}
	v.Actor = access.Actor{Kind: access.AccountActor, Account: v.Account.ID, Org: v.Org.ID, Session: v.Session.ID, ProvedAt: v.Session.Proved,
		Name: v.Account.Email, Client: client}
	return v, nil
}

// honour returns who an open session is of, or ErrSignedOut. How long it has been idle is not asked.
func (d *Desk) honour(tx sqldb.Tx, s Session) (Visitor, error) {
	v, now := Visitor{Session: s}, d.Now()
	if s.void || !now.Before(s.Expires) {
		return v, ErrSignedOut
	}
	var err error
	if v.Account, err = account.Find(tx, v.Session.Org, v.Session.Account); err != nil {
		return v, notFoundIsSignedOut(err)
	}
	if v.Org, err = org.Find(tx, v.Session.Org); err != nil {
		return v, notFoundIsSignedOut(err)
	}
	if v.Roles, err = access.Held(tx, v.Session.Org, v.Session.Account, now); err != nil {
		return v, err
	}
	if v.Org.State == access.Deleting && !v.Administrative() { // who administers it may cancel that
		return v, ErrSignedOut
	}
	if v.Account.State != account.Active || v.Org.Suspended() || len(v.Roles) == 0 {
		return v, ErrSignedOut
	}
	f := policy.Facts{Now: now, Rules: v.Org.Rules, Administrative: v.Administrative(), Exempt: v.Account.ExemptUntil}
	if v.Home, v.HomeOrg = v.Account, v.Org; v.Session.Via != "" {
		if err := d.resolveHome(tx, &v, &f); err != nil {
			return v, err
		}
	} else if v.Account.Linked() { // it was linked since: the way in is the home's now
		return v, ErrSignedOut
	}
	if !slices.Contains(v.Session.AMR, "mfa") || f.Rules.KeysOnly() { // else the rules are satisfied, whatever they are
		factors, err := factor.List(tx, v.Home.ID)
		if err != nil {
			return v, err
		}
		seconds := factor.Seconds(factors, factor.Active)
		v.Due = due(f, v.Session.AMR, len(seconds) > 0)
		if !slices.ContainsFunc(seconds, func(one factor.Factor) bool { return f.Rules.Counts(policy.Kind(one.Kind)) }) {
			v.Deadline, _ = f.Deadline()
		}
	}
	return v, nil
}

// Stands returns nil as long as the session that an actor works from would open the pages of that organisation, however long it has been idle; else
// ErrSignedOut. What goes on without its actor asks it again and again.
func (d *Desk) Stands(ctx context.Context, actor access.Actor, o id.Org) error {
	tx := d.DB.Read(ctx)
	s, err := openSession(tx, "id", actor.Session)
	if err != nil {
		return err
	}
	v, err := d.honour(tx, s)
	if err != nil {
		return err
	}
	if !v.Due && o != v.Org.ID {
		about, err := org.Find(tx, o)
		if err != nil {
			return notFoundIsSignedOut(err)
		}
		if v.Due, err = d.DueIn(ctx, v, about); err != nil {
			return err
		}
	}
	if v.Due {
		return ErrSignedOut
	}
	return nil
}

// resolveHome honours a linked account's session only as long as the session of its home account would be.
func (d *Desk) resolveHome(tx sqldb.Tx, v *Visitor, f *policy.Facts) error {
	home, err := openSession(tx, "id", v.Session.Via)
	if err != nil {
		return err
	}
	if v.Home, err = account.Find(tx, home.Org, home.Account); err != nil {
		return notFoundIsSignedOut(err)
	}
	o, err := org.Find(tx, home.Org)
	if err != nil {
		return notFoundIsSignedOut(err)
	}
	if home.void || !d.Now().Before(home.Expires) || v.Home.State != account.Active || o.Suspended() || v.Account.Home != v.Home.ID {
		return ErrSignedOut
	}
	v.HomeOrg = o
	f.Rules = f.Rules.With(o.Rules)
	return nil
}

// joinSignedOut makes a row that is not there any more a session that is over.
func joinSignedOut(err error) error {
	if err == nil || errors.Is(err, sqldb.ErrNone) {
		return ErrSignedOut
	}
	return err
}

func notFoundIsSignedOut(err error) error {
	if refusal.Is(err, refusal.NotFound) {
		return ErrSignedOut
	}
	return err
}

// Sessions returns an account's sessions that are still good, newest first.
func (d *Desk) Sessions(ctx context.Context, o id.Org, a id.Account) ([]Session, error) {
	tx := d.DB.Read(ctx)
	list, err := sqldb.All(tx, scanSession, `select `+sessionColumns+` from sessions where account_id = $1 and state = 'open'
		and expires_at > $2 and org_id = $3 and seq >= coalesce((select max(seq) from revocations where kind = 'account' and subject = $1), 0)
		order by id desc limit 100`, a, sqldb.Micros(d.Now()), o)
	return list, err
}

// EndSession ends one session of the actor's own account, or of someone whose sessions the actor may end.
func (d *Desk) EndSession(ctx context.Context, actor access.Actor, o id.Org, a id.Account, s id.Session) error {
	return d.Book.Do(ctx, actor, audit.SessionEnded, func(tx sqldb.Tx) error {
		if err := d.mayEnd(tx, actor, o, a); err != nil {
			return err
		}
		n, err := tx.Exec(`update sessions set state = 'ended' where id = $1 and account_id = $2 and org_id = $3 and state = 'open'`, s, a, o)
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal.New(refusal.NotFound, "error.not_found")
		}
		if err := d.endHomes(tx, `select via_id from sessions where id = $1 and via_id is not null`, string(s)); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.SessionEnded, Actor: actor, Target: audit.TargetOf(s)})
	})
}

// EndSessions ends all sessions of an account: the actor's own ("sign out everywhere"), or someone's whose sessions the actor may end.
func (d *Desk) EndSessions(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.SessionsEnded, func(tx sqldb.Tx) error {
		if err := d.mayEnd(tx, actor, o, a); err != nil {
			return err
		}
		// The account's row, so that a session that is being renewed meets this, see lockActive.
		if _, err := tx.Exec(`update accounts set state = state where id = $1 and org_id = $2`, a, o); err != nil {
			return err
		}
		if err := d.endHomes(tx, `select via_id from sessions where account_id = $1 and state = 'open' and via_id is not null`, string(a)); err != nil {
			return err
		}
		if err := factor.DropPending(tx, a); err != nil { // what somebody began to enrol is nobody's any more
			return err
		}
		if err := audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.SessionsEnded, Actor: actor, Target: audit.TargetOf(a)}); err != nil {
			return err
		}
		_, err := revoke.Subject(tx, d.Now(), revoke.Account, a)
		return err
	})
}

// endHomes ends the sessions at home that linked sessions stand on which end: nobody holds their secrets.
func (d *Desk) endHomes(tx sqldb.Tx, which, of string) error {
	homes, err := sqldb.All(tx, scanSession, `update sessions set state = 'ended' where state = 'open' and id in (`+which+`) returning `+sessionColumns, of)
	for _, s := range homes {
		if err == nil {
			err = audit.Record(tx, d.Now(), audit.Event{Org: s.Org, Action: audit.SessionEnded, Actor: access.System(), Target: audit.TargetOf(s.ID), Reason: "linked"})
		}
	}
	return err
}

func (d *Desk) mayEnd(tx sqldb.Tx, actor access.Actor, o id.Org, a id.Account) error {
	if actor.Account == a && actor.Org == o {
		return nil
	}
	r, err := d.Guard.Require(tx, actor, access.PeopleSessions, o)
	if err != nil {
		return err
	}
	if _, err := account.Find(tx, o, a); err != nil {
		return err
	}
	held, err := access.Held(tx, o, a, d.Now())
	if err != nil {
		return err
	}
	return r.RequireOver(access.PeopleSessions, held)
}

// SignOut ends the session that a browser holds. It returns nil when there is none.
func (d *Desk) SignOut(ctx context.Context, s secret.Text, client access.Client) error {
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		ended, err := endHeld(tx, s)
		if err != nil {
			return err
		}
		for _, o := range ended {
			actor := access.Actor{Kind: access.AccountActor, Account: o.Account, Org: o.Org, Session: o.ID, Client: client}
			if err := audit.Record(tx, d.Now(), audit.Event{Org: o.Org, Action: audit.SignedOut, Actor: actor, Target: audit.TargetOf(o.ID)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// endHeld ends the session that a browser holds and, when that is a linked account's, the one at home that it stands on: nobody holds its secret.
// It returns those that were open.
func endHeld(tx sqldb.Tx, s secret.Text) ([]Session, error) {
	ended, err := sqldb.All(tx, scanSession, `update sessions set state = 'ended' where secret_hash = $1 and state = 'open' returning `+sessionColumns,
		secret.Hash(s))
	if err != nil || len(ended) == 0 || ended[0].Via == "" {
		return ended, err
	}
	home, err := sqldb.All(tx, scanSession, `update sessions set state = 'ended' where id = $1 and state = 'open' returning `+sessionColumns, ended[0].Via)
	return append(ended, home...), err
}

// renew gives this session a new secret and the newest revocation number: it survives what ends the account's other sessions. A fresh
// proof also counts anew for step-up.
func (d *Desk) renew(tx sqldb.Tx, actor access.Actor, seq int64, proved bool) (secret.Text, error) {
	fresh := secret.Token("dws_")
	at := sqldb.Micros(actor.ProvedAt)
	if proved {
		at = sqldb.Micros(d.Now())
	}
	n, err := tx.Exec(`update sessions set secret_hash = $1, seq = $2, proved_at = $3 where id = $4 and account_id = $5 and state = 'open'`,
		secret.Hash(fresh), seq, at, actor.Session, actor.Account)
	if err == nil && n == 0 {
		err = ErrSignedOut
	}
	return fresh, err
}

// Sweep deletes attempts and sessions that ended a while ago.
func (d *Desk) Sweep(ctx context.Context) error {
	old := sqldb.Micros(d.Now().Add(-24 * time.Hour))
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		if _, err := tx.Exec(`delete from attempts where expires_at < $1`, old); err != nil {
			return err
		}
		_, err := tx.Exec(`delete from sessions where expires_at < $1`, old)
		return err
	})
}

// Device names the browser and system of a session from its User-Agent, as far as people recognise them: "Firefox, Android".
func (s Session) Device() string {
	browser, system := "", ""
	// The order matters: browsers name those that they descend from as well.
	for _, b := range [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"},
		{"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"}, {"curl", "curl"}} {
		if strings.Contains(s.UserAgent, b[0]) {
			browser = b[1]
			break
		}
	}
	for _, o := range [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS", "Mac"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}} {
		if strings.Contains(s.UserAgent, o[0]) {
			system = o[1]
			break
		}
	}
	switch {
	case browser != "" && system != "":
		return browser + ", " + system
	case browser+system != "":
		return browser + system
	}
	return "–"
}
