package signin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// Attempt is an unfinished sign-in. It opens nothing but its own next step.
type Attempt struct {
	ID         id.Attempt
	Org        id.Org     // empty while the organisation is not known, or not known to exist
	Account    id.Account // empty while the identifier finds none
	Identifier string     // as it was typed
	State      string     // open, finished, refused
	Step       policy.Step
	Seq        int64 // revocation number at the start
	Rev        int64 // counts changes: who changes it second is told
	Proved     Proved
	Created    time.Time
	Expires    time.Time

	void bool  // the account, or its organisation, was revoked since the start
	head int64 // the newest revocation number when it was read: what is revoked later has a higher one
}

// Proved is what the attempt knows besides its columns: the proofs, and where the person wanted to go.
type Proved struct {
	General   bool              `json:"general,omitempty"`    // it began at the general page, see Unplaced
	Slug      string            `json:"slug"`                 // tenant domain as in the address
	To        string            `json:"to,omitempty"`         // path to go on to
	Target    string            `json:"target,omitempty"`     // tenant domain of another organisation that To leads into
	Password  int64             `json:"password,omitempty"`   // when, in microseconds
	Second    int64             `json:"second,omitempty"`     //
	Method    string            `json:"method,omitempty"`     // kind of the second factor
	Alone     bool              `json:"alone,omitempty"`      // a passkey that verified the person stands for password and second factor
	Code      int64             `json:"code,omitempty"`       // a temporary access code was proved
	Asking    string            `json:"asking,omitempty"`     // step that the person chose
	Remember  bool              `json:"remember,omitempty"`   // the person wants this device remembered
	Device    string            `json:"device,omitempty"`     // the device that was recognised, when it is a remembered one
	Mailbox   int64             `json:"mailbox,omitempty"`    //
	Enrolling string            `json:"enrolling,omitempty"`  // kind of factor chosen
	MailCode  []byte            `json:"mail_code,omitempty"`  // sealed
	MailUntil int64             `json:"mail_until,omitempty"` // when the code ends
	MailTries int               `json:"mail_tries,omitempty"` // wrong codes so far
	Question  *factor.Challenge `json:"question,omitempty"`   // to an authenticator; good once
	Options   json.RawMessage   `json:"options,omitempty"`    // what the browser needs for it, or to make a passkey
	Codes     []byte            `json:"codes,omitempty"`      // recovery codes until they are confirmed, sealed
	Later     bool              `json:"later,omitempty"`      // the person does not want the passkey that was offered
	SetUp     bool              `json:"set_up,omitempty"`     // the person wants to enrol before they have to
	Noticed   bool              `json:"noticed,omitempty"`    // the person put the notice of a coming demand off
	Reason    string            `json:"reason,omitempty"`     // why it was refused
	Request   string            `json:"request,omitempty"`    // the request that was refused, to quote
}

const attemptColumns = `id, org_id, account_id, identifier, state, step, seq, rev, data, created_at, expires_at`

func scanAttempt(row sqldb.Row) (a Attempt, err error) {
	var data string
	if err := row(&a.ID, sqldb.Text(&a.Org), sqldb.Text(&a.Account), &a.Identifier, &a.State, &a.Step, &a.Seq, &a.Rev, &data,
		sqldb.Time(&a.Created), sqldb.Time(&a.Expires)); err != nil {
		return a, err
	}
	return a, json.Unmarshal([]byte(data), &a.Proved)
}

// attemptLife is how long a sign-in may take.
const attemptLife = 30 * time.Minute

// ErrStartAgain is what an attempt is answered with that is over, expired, void, or not this browser's.
var ErrStartAgain = refusal.New(refusal.Expired, "login.start_again")

// Key is what a browser holds of an attempt.
type Key struct {
	ID     id.Attempt
	Secret secret.Text
}

// String returns the key as its cookie has it.
func (k Key) String() string { return string(k.ID) + "." + string(k.Secret) }

func load(tx sqldb.Tx, k Key) (Attempt, error) {
	var later, head int64
	a, err := sqldb.One(tx, func(row sqldb.Row) (Attempt, error) {
		return scanAttempt(func(dest ...any) error { return row(append(dest, &later, &head)...) })
	}, `select `+attemptColumns+`, `+revoke.Later("attempts")+`, `+revoke.Newest+` from attempts where secret_hash = $1 and id = $2`, secret.Hash(k.Secret), k.ID)
	if errors.Is(err, sqldb.ErrNone) {
		return a, ErrStartAgain
	}
	a.void, a.head = a.Account != "" && later > 0, head
	return a, err
}

func (d *Desk) open(tx sqldb.Tx, k Key) (Attempt, error) {
	a, err := load(tx, k)
	if err != nil {
		return a, err
	}
	return a, d.still(a)
}

// still returns ErrStartAgain unless an attempt was still under way when it was loaded.
func (d *Desk) still(a Attempt) error {
	if a.State != "open" || a.void || !d.Now().Before(a.Expires) {
		return ErrStartAgain
	}
	return nil
}

// insertAttempt writes a new attempt. It carries the newest revocation number.
func insertAttempt(tx sqldb.Tx, a Attempt, s secret.Text) error {
	data, err := json.Marshal(a.Proved)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into attempts (id, org_id, account_id, secret_hash, identifier, state, step, seq, rev, data, created_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, `+revoke.Newest+`, 0, $8, $9, $10)`, a.ID, sqldb.Null(a.Org), sqldb.Null(a.Account), secret.Hash(s), a.Identifier,
		a.State, a.Step, string(data), sqldb.Micros(a.Created), sqldb.Micros(a.Expires))
	return err
}

// save writes a changed attempt, unless someone else changed it since it was read: then ErrStartAgain. Where a proof was added, the
// secret is replaced, so that nobody who knew the old one goes on with what this browser proved.
func save(tx sqldb.Tx, a Attempt, fresh secret.Text) error {
	data, err := json.Marshal(a.Proved)
	if err != nil {
		return err
	}
	var n int64
	if fresh == "" {
		n, err = tx.Exec(`update attempts set state = $1, step = $2, data = $3, account_id = $4, org_id = $5, seq = $6, rev = rev + 1
			where id = $7 and rev = $8 and state = 'open'`, a.State, a.Step, string(data), sqldb.Null(a.Account), sqldb.Null(a.Org), a.Seq, a.ID, a.Rev)
	} else {
		n, err = tx.Exec(`update attempts set state = $1, step = $2, data = $3, account_id = $4, org_id = $5, seq = $6, rev = rev + 1, secret_hash = $7
			where id = $8 and rev = $9 and state = 'open'`, a.State, a.Step, string(data), sqldb.Null(a.Account), sqldb.Null(a.Org), a.Seq, secret.Hash(fresh),
			a.ID, a.Rev)
	}
	if err == nil && n == 0 {
		err = ErrStartAgain
	}
	return err
}

// scene is everything around an attempt that its decision and its pages need.
type scene struct {
	Org     org.Org         // zero when it does not exist
	Account account.Account // zero when the identifier finds none
	Facts   policy.Facts
	Target  target // where the person wants to go on to, when that is another organisation
	factors []factor.Factor
	seconds []factor.Factor // those of them that are second factors in use
	roles   []access.Assignment
	steady  bool // a proof says: the account and its factors are as they were read, as far as facts go
}

// look reads the facts of an attempt: how the account stands, and what was proved. The order matters to finish: the revocation number is read
// before, the states here.
func (d *Desk) look(tx sqldb.Tx, a Attempt) (scene, error) { return d.lookAgain(tx, a, scene{}) }

// lookAgain is look after a proof in the same transaction. A proof changes the attempt, and unless it says that it is steady the account and its
// factors, but neither the account's organisation nor its roles: these are taken from what was seen before the proof, when that was the same account.
func (d *Desk) lookAgain(tx sqldb.Tx, a Attempt, before scene) (s scene, err error) {
	now := d.Now()
	s.Facts = policy.Facts{Now: now, Rules: policy.Defaults()}
	if a.Org == "" {
		return s, nil
	}
	same := a.Account != "" && before.Account.ID == a.Account && before.Org.ID == a.Org
	if same {
		s.Org, s.roles = before.Org, before.roles
	} else if s.Org, err = org.Find(tx, a.Org); err != nil {
		return s, err
	}
	s.Facts.Rules = s.Org.Rules
	if a.Account == "" {
		return s, nil
	}
	if same && before.steady {
		s.Account, s.factors = before.Account, before.factors
	} else {
		s.Account, err = account.Find(tx, a.Org, a.Account)
		if refusal.Is(err, refusal.NotFound) || err == nil && s.Account.Linked() { // withdrawn, or linked, meanwhile
			return s, ErrStartAgain
		}
		if err != nil {
			return s, err
		}
		if s.factors, err = factor.List(tx, a.Account); err != nil {
			return s, err
		}
	}
	if !same {
		if s.roles, err = access.Assignments(tx, a.Account); err != nil {
			return s, err
		}
	}
	s.Facts = standing(now, s.Org, s.Account, s.factors, s.roles)
	s.seconds = factor.Seconds(s.factors, factor.Active)
	f := &s.Facts
	f.PasswordProved = a.Proved.Password > 0
	f.PasskeyAlone = a.Proved.Alone
	f.SecondProved = a.Proved.Second > 0
	if k := policy.Kind(a.Proved.Method); k == policy.TOTP || k == policy.Passkey {
		f.Method = k
	}
	f.CodeProved = a.Proved.Code > 0
	f.MailProved = a.Proved.Mailbox > 0
	f.Asking = policy.Step(a.Proved.Asking)
	f.CodesUnseen = a.Proved.Codes != nil
	f.SetUp, f.NoticeSeen = a.Proved.SetUp, a.Proved.Noticed
	f.Enrolling = map[string]policy.Step{string(factor.TOTP): policy.EnrolTOTP, string(factor.Passkey): policy.EnrolPasskey}[a.Proved.Enrolling]
	f.Offer = offers(s.Account, now) && !slices.Contains(f.Enrolled, policy.AskPasskey) && f.PasswordProved && f.SecondProved &&
		a.Proved.Method != string(factor.Recovery) && !a.Proved.Later
	if a.Proved.Device != "" {
		if f.Trusted, err = trusted(tx, a.Account, a.Org, a.Proved.Device, now); err != nil {
			return s, err
		}
	}
	if a.Proved.Target != "" {
		if s.Target, err = d.target(tx, s.Account, a.Proved.Target); err != nil {
			return s, err
		}
		s.Target.bind(f)
	}
	return s, nil
}

// password returns the hash of the account's password and the factor's id, from what was read when the scene is that account's.
func (s scene) password(tx sqldb.Tx, a id.Account) (phc string, f id.Factor, err error) {
	if a != "" && s.Account.ID == a {
		return factor.PasswordAmong(s.factors)
	}
	return factor.PasswordOf(tx, a)
}

// standing returns how an account stands before anything is proved: its own state, what it has enrolled, what it may. For a linked account factors
// are those of its home account. It is the one reading of these; sign-ins, previews, the campaign and explanations all judge by it.
func standing(now time.Time, o org.Org, a account.Account, factors []factor.Factor, assignments []access.Assignment) policy.Facts {
	f := policy.Facts{Now: now, Rules: o.Rules, Known: true, Active: a.State == account.Active, Suspended: o.Suspended(),
		Deleting: o.State == access.Deleting, LinkUsed: a.LinkUsed, Exempt: a.ExemptUntil}
	seconds := factor.Seconds(factors, factor.Active)
	for _, kind := range []struct {
		kind factor.Kind
		step policy.Step
	}{{factor.Passkey, policy.AskPasskey}, {factor.TOTP, policy.AskTOTP}} {
		if slices.ContainsFunc(seconds, func(one factor.Factor) bool { return one.Kind == kind.kind }) {
			f.Enrolled = append(f.Enrolled, kind.step)
		}
	}
	f.SecondDisabled = len(seconds) == 0 && len(factor.Seconds(factors, factor.Disabled)) > 0
	for _, one := range factors {
		f.Recovery = f.Recovery || one.Kind == factor.Recovery && one.State == factor.Active && one.Left() > 0
		f.AccessCode = f.AccessCode || one.Kind == factor.AccessCodeKind && one.State == factor.Active && now.Before(one.Until())
	}
	for _, as := range assignments {
		switch {
		case as.Org != o.ID:
		case as.Holds(now):
			f.Roles++
			f.Administrative = f.Administrative || access.Administrative(o.Kind, as.Role)
		default:
			f.EndedRoles++
		}
	}
	return f
}

// A passkey is offered three times in all, and not again within a month.
const betweenOffers = 30 * 24 * time.Hour

func offers(a account.Account, now time.Time) bool {
	return a.Offers < policy.MostOffers && now.Sub(a.OfferedAt) >= betweenOffers
}

// proved tells whether it was proved who somebody is: by a password, or a passkey that stands for it.
func (a Attempt) proved() bool { return a.Proved.Password > 0 || a.Proved.Alone }

// around are the counters that a wrong answer to an attempt adds to.
func (a Attempt) around(client access.Client) []throttle.Key {
	return []throttle.Key{throttle.Address(client.Address), throttle.Org(string(a.Org), a.Proved.Slug)}
}

// Origin returns the tenant domain that an attempt is at, empty at the general page, and the path that it was to lead to, also when it is over; false when
// there is none. It tells nothing that the address of the page did not.
func (d *Desk) Origin(ctx context.Context, attempt string) (slug, to string, ok bool, err error) {
	a, err := sqldb.One(d.DB.Read(ctx), scanAttempt, `select `+attemptColumns+` from attempts where id = $1`, attempt)
	if errors.Is(err, sqldb.ErrNone) {
		return "", "", false, nil
	}
	return a.Proved.Slug, a.Proved.To, err == nil, err
}

// ParseKey reads a key as its cookie has it.
func ParseKey(s string) (Key, bool) {
	name, rest, _ := strings.Cut(s, ".")
	a, ok := id.Parse[id.Attempt](name)
	return Key{ID: a, Secret: secret.Text(rest)}, ok && len(s) <= 200
}
