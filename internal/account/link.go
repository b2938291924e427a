package account

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// Purpose is what a one-time link is for. It stands in the token's prefix too, so that a token is good for nothing else.
type Purpose string

// The purposes.
const (
	Activate Purpose = "activate"
	Reset    Purpose = "reset"
	Setup    Purpose = "setup"  // a new password, and on to a second factor
	NotMe    Purpose = "not-me" // the answer to a warning
	Join     Purpose = "join"   // an account of its own becomes a linked one; no mail carries it

	ConfirmEmail Purpose = "confirm-email" // a new address is its holder's
)

// traits is what sets a purpose apart.
type traits struct {
	prefix string
	state  State // in which the account has to be
	lasts  bool  // outlives a revocation of the account: whoever is in must not be able to take the way out from its owner
}

var purposes = map[Purpose]traits{
	Activate: {prefix: "dwa_", state: Invited},
	Reset:    {prefix: "dwr_", state: Active},
	Setup:    {prefix: "dwp_", state: Active},
	NotMe:    {prefix: "dwn_", state: Active, lasts: true},
	Join:     {prefix: "dwl_", state: Active},

	ConfirmEmail: {prefix: "dwe_", state: Active},
}

// Path is the path of the page that a token opens.
func (p Purpose) Path(token secret.Text) string {
	return "/" + string(p) + "/" + url.PathEscape(string(token))
}

// link is a one-time link. It dies by use, by a newer one, by its time, and when its account is revoked.
type link struct {
	ID      id.Link
	Org     id.Org
	Account id.Account
	Purpose Purpose
	State   string // open, used, void
	Seq     int64
	Expires time.Time
	About   string     // with NotMe: what it takes away again, see warnedOf; with ConfirmEmail: the new address
	By      id.Account // with ConfirmEmail: who asked for it, when that was not the person; empty for the operator
}

const linkColumns = `id, org_id, account_id, purpose, state, seq, expires_at, about, by_id`

func scanLink(row sqldb.Row) (l link, err error) {
	return l, row(&l.ID, &l.Org, &l.Account, &l.Purpose, &l.State, &l.Seq, sqldb.Time(&l.Expires), &l.About, &l.By)
}

// issue makes the account's one living link of a purpose.
func (d *Directory) issue(tx sqldb.Tx, o org.Org, a Account, p Purpose) (secret.Text, time.Time, error) {
	now := d.Now()
	life := o.Rules.LinkLife
	if p == Reset {
		life = o.Rules.ResetLife
	}
	if err := Void(tx, a.ID, p); err != nil {
		return "", time.Time{}, err
	}
	until := now.Add(life)
	token, err := newLink(tx, now, o.ID, a.ID, p, until, "", "")
	return token, until, err
}

// newLink writes a link beside those that there are.
func newLink(tx sqldb.Tx, now time.Time, o id.Org, a id.Account, p Purpose, until time.Time, about string, by id.Account) (secret.Text, error) {
	seq, err := revoke.Head(tx)
	if err != nil {
		return "", err
	}
	token := secret.Token(purposes[p].prefix)
	_, err = tx.Exec(`insert into links (id, org_id, account_id, purpose, token_hash, state, seq, created_at, expires_at, used_at, about, by_id)
		values ($1, $2, $3, $4, $5, 'open', $6, $7, $8, 0, $9, $10)`,
		id.New[id.Link](now), o, a, p, secret.Hash(token), seq, sqldb.Micros(now), sqldb.Micros(until), about, by)
	return token, err
}

// spend uses an open link up. Of any number at once, one succeeds; the others get an Expired refusal.
func spend(tx sqldb.Tx, now time.Time, l id.Link) error {
	n, err := tx.Exec(`update links set state = 'used', used_at = $1 where id = $2 and state = 'open' and expires_at > $1`, sqldb.Micros(now), l)
	if err == nil && n == 0 {
		err = errNoLink
	}
	return err
}

// LinkEnds returns when an account's living link for a purpose ends; the zero time when it has none.
func LinkEnds(tx sqldb.Tx, a id.Account, p Purpose) (time.Time, error) {
	us, err := sqldb.One(tx, sqldb.Value[int64], `select coalesce(max(expires_at), 0) from links where account_id = $1 and purpose = $2 and state = 'open'`, a, p)
	return sqldb.At(us), err
}

// Void ends an account's open links of a purpose.
func Void(tx sqldb.Tx, a id.Account, p Purpose) error {
	_, err := tx.Exec(`update links set state = 'void' where account_id = $1 and purpose = $2 and state = 'open'`, a, p)
	return err
}

// Opened is what a link's page needs to know.
type Opened struct {
	Org     org.Org
	Account Account
	Good    bool // the link can be used now
	Done    bool // it cannot, because the account is active already: with Activate
	MinPass int  // shortest password
	link    link
	used    use
}

// use is when a link was spent, and the revocation number of that moment; zero until Directory.Use has done it.
type use struct{ at, seq int64 }

var errNoLink = refusal.New(refusal.Expired, "link.expired")

// Open looks a link up and changes nothing. A token that was never issued gives an Expired refusal; one that is no longer good gives
// Good false.
func (d *Directory) Open(ctx context.Context, p Purpose, token secret.Text) (Opened, error) {
	return d.open(d.DB.Read(ctx), p, token)
}

func (d *Directory) open(tx sqldb.Tx, p Purpose, token secret.Text) (Opened, error) {
	var op Opened
	is := purposes[p]
	if !strings.HasPrefix(string(token), is.prefix) || len(token) > 100 {
		return op, errNoLink
	}
	l, err := sqldb.One(tx, scanLink, `select `+linkColumns+` from links where token_hash = $1 and purpose = $2`, secret.Hash(token), p)
	if errors.Is(err, sqldb.ErrNone) {
		return op, errNoLink
	}
	if err != nil {
		return op, err
	}
	op.link = l
	if op.Org, err = org.Find(tx, l.Org); err != nil {
		return op, err
	}
	if op.Account, err = Find(tx, l.Org, l.Account); err != nil {
		return op, err
	}
	void, err := revoke.Since(tx, l.Account, l.Org, l.Seq)
	if err != nil {
		return op, err
	}
	op.Good = l.State == "open" && (is.lasts || !void) && d.Now().Before(l.Expires) && op.Account.State == is.state &&
		(p == NotMe || p == ConfirmEmail || !op.Account.Linked())
	op.Done = p == Activate && op.Account.State == Active && l.State == "used"
	held, err := access.Held(tx, l.Org, l.Account, d.Now())
	op.MinPass = op.Org.Rules.MinLength(administrative(op.Org.Kind, held), d.Now())
	return op, err
}

func administrative(k access.OrgKind, roles []string) bool {
	for _, r := range roles {
		if access.Administrative(k, r) {
			return true
		}
	}
	return false
}

// personal are the words that a password must not consist of.
func (op Opened) personal() []string { return Personal(op.Org, op.Account) }

// Personal returns the words that someone's password must not consist of.
func Personal(o org.Org, a Account) []string {
	return []string{a.Email, a.Name, a.Username, o.Name, o.Slug, "doorward"}
}

// Use spends a link of Activate, Reset or Setup: the account gets the password and, with Activate, becomes active. It does not sign in. Of
// any number of parallel uses one succeeds; the others get an Expired refusal. The mailbox is proved by it: the link vouches for a first
// factor, and all other links are void.
func (d *Directory) Use(ctx context.Context, p Purpose, token, password, again secret.Text, client access.Client) (Opened, error) {
	op, err := d.Open(ctx, p, token)
	if err != nil && !refusal.Is(err, refusal.Expired) {
		return op, err
	}
	if !op.Good || p != Activate && p != Reset && p != Setup {
		return op, d.noteLost(ctx, p, op, client, errNoLink)
	}
	if fault := factor.CheckNew(password, again, op.MinPass, op.personal(), d.Breached); fault != nil {
		return op, fault
	}
	if err := factor.CheckUnused(ctx, d.Gate, d.Hasher, op.Account.ID, password, op.Org.Rules.History); err != nil {
		return op, err
	}
	phc, err := d.Hasher.Hash(ctx, factor.Normalize(password)) // not inside the transaction: it takes its time
	if err != nil {
		return op, err
	}
	actor := access.Holder(op.Account.ID, op.Org.ID, client)
	var used use
	err = d.DB.Write(ctx, func(tx sqldb.Tx) error {
		now := d.Now()
		// The account's row first: it is what parallel uses, disabling and withdrawing meet at.
		var n int64
		var err error
		if p == Activate {
			n, err = tx.Exec(`update accounts set state = 'active', activated_at = $1, link_used_at = $1 where id = $2 and org_id = $3 and state = 'invited'`,
				sqldb.Micros(now), op.Account.ID, op.Org.ID)
		} else {
			n, err = tx.Exec(`update accounts set link_used_at = $1 where id = $2 and org_id = $3 and state = 'active'`,
				sqldb.Micros(now), op.Account.ID, op.Org.ID)
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
		if void, err := revoke.Since(tx, op.Account.ID, op.Org.ID, fresh.link.Seq); err != nil || void {
			return errors.Join(err, errNoLink)
		}
		if _, err := tx.Exec(`update links set state = 'void' where account_id = $1 and state = 'open'`, op.Account.ID); err != nil {
			return err
		}
		if err := factor.SetPassword(tx, now, op.Org.ID, op.Account.ID, phc, op.Org.Rules.History); err != nil {
			return err
		}
		if err := throttle.Clear(tx, PasswordTries(op.Account.ID)); err != nil {
			return err
		}
		if err := factor.DropPending(tx, op.Account.ID); err != nil {
			return err
		}
		if p == Setup {
			if err := d.bindAgain(tx, op, actor); err != nil {
				return err
			}
		}
		action := audit.AccountActivated
		if p != Activate {
			action = audit.PasswordReset
			if err := Tell(tx, d.Queue, op.Org.ID, op.Account.ID, outbox.PasswordChanged{At: now}); err != nil {
				return err
			}
		}
		if err := audit.Record(tx, now, audit.Event{Org: op.Org.ID, Action: action, Actor: actor, Target: audit.TargetOf(op.Account.ID),
			Data: map[string]any{"purpose": string(p)}}); err != nil {
			return err
		}
		// Whoever may have been in, or half in, before the mailbox's owner came is out.
		seq, err := revoke.Subject(tx, now, revoke.Account, op.Account.ID)
		used = use{sqldb.Micros(now), seq}
		return err
	})
	if err != nil {
		return op, d.noteLost(ctx, p, op, client, err)
	}
	op.used = used
	return op, nil
}

// bindAgain takes away the second factors that too many wrong codes disabled: by having the set-up link sent, an administrator started to bind
// them again. The sign-in that follows enrols another one.
func (d *Directory) bindAgain(tx sqldb.Tx, op Opened, actor access.Actor) error {
	now := d.Now()
	kinds, err := factor.RemoveDisabled(tx, op.Account.ID)
	if err != nil || len(kinds) == 0 {
		return err
	}
	if err := Tell(tx, d.Queue, op.Org.ID, op.Account.ID, outbox.FactorRemoved{Factors: kinds, At: now}); err != nil {
		return err
	}
	return audit.Record(tx, now, audit.Event{Org: op.Org.ID, Action: audit.FactorRemoved, Actor: actor, Target: audit.TargetOf(op.Account.ID),
		Data: map[string]any{"factors": kinds, "purpose": string(Setup)}})
}

// Vouched returns the account that Use has just given a new password by a set-up link, and the revocation number of that use. It returns
// an Expired refusal unless op is what Use returned a moment ago, the account is active, and nothing was revoked or vouched for since.
func (op Opened) Vouched(tx sqldb.Tx, now time.Time) (Account, int64, error) {
	a, err := Find(tx, op.Org.ID, op.Account.ID)
	if err != nil {
		return a, 0, err
	}
	void, err := revoke.Since(tx, a.ID, a.Org, op.used.seq)
	if err != nil {
		return a, 0, err
	}
	if op.used.seq == 0 || op.link.Purpose != Setup || void || a.State != Active || sqldb.Micros(a.LinkUsed) != op.used.at ||
		now.Sub(a.LinkUsed) > time.Minute {
		return a, 0, errNoLink
	}
	return a, op.used.seq, nil
}

// Presenting links that are no longer good leaves so many events per client address, so that nobody fills the log.
const (
	lostNoted  = 60
	lostWindow = 10 * time.Minute
)

// noteLost records that a link was presented that is no longer good, or never was, and returns err. The event stands in the log of the
// link's organisation, or the provider's when there is no such link.
func (d *Directory) noteLost(ctx context.Context, p Purpose, op Opened, client access.Client, err error) error {
	if !refusal.Is(err, refusal.Expired) {
		return err
	}
	if _, limit := d.Gate.Take(ctx, throttle.Requests("links", client.Address, lostNoted, lostWindow)); limit != nil {
		if refusal.Is(limit, refusal.Limited) {
			return err
		}
		return errors.Join(err, limit)
	}
	recErr := d.DB.Write(ctx, func(tx sqldb.Tx) error {
		e := audit.Event{Org: op.Org.ID, Action: audit.LinkRefused, Outcome: audit.Refused, Reason: string(p), Actor: access.Visitor(client)}
		if op.Account.ID != "" {
			e.Actor, e.Target = access.Holder(op.Account.ID, op.Org.ID, client), audit.TargetOf(op.Account.ID)
		} else {
			provider, err := org.Provider(tx)
			if err != nil {
				return err
			}
			e.Org = provider.ID
		}
		return audit.Record(tx, d.Now(), e)
	})
	return errors.Join(err, recErr)
}

// PasswordTries is the throttle's key of an account's password.
func PasswordTries(a id.Account) throttle.Key { return throttle.Subject("password", string(a)) }

// CodeTries is the throttle's key of an account's second factors of a kind.
func CodeTries(kind string, a id.Account) throttle.Key { return throttle.Subject(kind, string(a)) }

// Mails that a stranger can cause are few: per account, and per client address.
const (
	mailsPerAccount = 3
	mailsPerAddress = 30
	mailsWindow     = time.Hour
)

// AskAgain mails the holder of an old activation link a new one. It returns nil whatever the token was, so that the page tells nothing;
// a Limited refusal comes only from the client's own address.
func (d *Directory) AskAgain(ctx context.Context, token secret.Text, client access.Client) (Opened, error) {
	if _, err := d.Gate.Take(ctx, throttle.Requests("mail-address", client.Address, mailsPerAddress, mailsWindow)); err != nil {
		return Opened{}, err
	}
	op, err := d.Open(ctx, Activate, token)
	if refusal.As(err) != nil {
		return op, nil
	}
	if err != nil {
		return op, err
	}
	return op, d.mailLink(ctx, op.Org, op.Account, access.Holder(op.Account.ID, op.Org.ID, client), audit.LinkRequested)
}

// Forgot mails a reset link to the account that the identifier finds, or a fresh invitation to one that was never activated. It returns
// nil whatever it finds; a Limited refusal comes only from the client's own address. Who has a linked account is mailed where its password lives.
func (d *Directory) Forgot(ctx context.Context, o org.Org, identifier string, client access.Client) error {
	if _, err := d.Gate.Take(ctx, throttle.Requests("mail-address", client.Address, mailsPerAddress, mailsWindow)); err != nil {
		return err
	}
	a, ok, err := ByIdentifier(d.DB.Read(ctx), o.ID, identifier) // an organisation that does not exist answers alike
	if err != nil {
		return err
	}
	if !ok || a.State.shut() || o.State != access.Active {
		return d.askedInVain(ctx, o, a, identifier, client)
	}
	return d.mailLink(ctx, o, a, access.Visitor(client), audit.ResetRequested)
}

// askedInVain records that somebody asked for a link that nobody gets. It does so for the log, and because an answer that came sooner than the others
// would tell that there is no such account: it counts and writes as mailLink does.
func (d *Directory) askedInVain(ctx context.Context, o org.Org, a Account, identifier string, client access.Client) error {
	key := throttle.Requests("mail-account", string(o.ID)+"\x00"+FoldIdentifier(identifier), mailsPerAccount, mailsWindow)
	if _, err := d.Gate.Take(ctx, key); err != nil {
		if refusal.Is(err, refusal.Limited) {
			return nil
		}
		return err
	}
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		at := o.ID
		if at == "" {
			provider, err := org.Provider(tx)
			if err != nil {
				return err
			}
			at = provider.ID
		}
		e := audit.Event{Org: at, Action: audit.ResetRequested, Outcome: audit.Refused, Reason: "unknown", Actor: access.Visitor(client),
			Person: map[string]any{"identifier": identifier}}
		if a.ID != "" { // one that is shut: the event is about it, and forgets it with the others
			e.Target = audit.TargetOf(a.ID)
		}
		return audit.Record(tx, d.Now(), e)
	})
}

// mailLink mails the link that fits the account's state, unless it had enough of them this hour. A disabled account gets none, nor does one that is being deleted.
func (d *Directory) mailLink(ctx context.Context, o org.Org, a Account, actor access.Actor, action audit.Action) error {
	if a.State.shut() || o.State != access.Active {
		return nil
	}
	if _, err := d.Gate.Take(ctx, throttle.Requests("mail-account", string(a.ID), mailsPerAccount, mailsWindow)); err != nil {
		if refusal.Is(err, refusal.Limited) {
			return nil // told to nobody: the answer must not depend on the account
		}
		return err
	}
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		a, err := Find(tx, o.ID, a.ID)
		if err != nil {
			return err
		}
		now := d.Now()
		switch {
		case a.State == Invited:
			held, err := access.Held(tx, o.ID, a.ID, now)
			if err != nil {
				return err
			}
			if _, err := d.sendInvitation(tx, actor, o, a, held); err != nil {
				return err
			}
		case a.State == Active && a.Linked() && action == audit.ResetRequested:
			if err := d.sendElsewhere(tx, a); err != nil {
				return err
			}
		case a.State == Active && action == audit.ResetRequested:
			if err := d.sendReset(tx, o, a); err != nil {
				return err
			}
		default:
			return nil
		}
		return audit.Record(tx, now, audit.Event{Org: o.ID, Action: action, Actor: actor, Target: audit.TargetOf(a.ID)})
	})
}

// sendReset mails the account's one living reset link.
func (d *Directory) sendReset(tx sqldb.Tx, o org.Org, a Account) error {
	token, until, err := d.issue(tx, o, a, Reset)
	if err != nil {
		return err
	}
	if err := outbox.Discard(tx, a.ID, outbox.KindReset); err != nil {
		return err
	}
	return d.Queue.Enqueue(tx, o.ID, a.ID, outbox.Reset{Token: string(token), Until: until}, o.Rules.ResetLife)
}

// MinLength is the shortest password that an account may choose.
func MinLength(o org.Org, held []string, now time.Time) int {
	return o.Rules.MinLength(administrative(o.Kind, held), now)
}
