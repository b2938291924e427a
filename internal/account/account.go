// Package account owns people: their accounts, states, invitations and one-time links.
//
//	Invite ──> invited ──link used──> active ──> disabled ──> active
//	              │  └── Withdraw: the row is gone     (enabled again: invited, when it was never activated)
//	              └── Resend: a new link, the old one dead
//
// Who is deleted is in a fourth state first, see delete.go.
//
// Each operation is a method of Directory: one transaction with its rights, its event and its mail.
package account

import (
	"errors"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// State is where an account stands.
type State string

// The states of an account.
const (
	Invited  State = "invited"
	Active   State = "active"
	Disabled State = "disabled"
	Deleting State = "deleting" // until Account.DeleteAt
)

// shut tells whether nobody gets in, and nothing is mailed to get in with.
func (s State) shut() bool { return s == Disabled || s == Deleting }

// Account is one person's way into one organisation.
type Account struct {
	ID         id.Account
	Org        id.Org
	Email      string
	EmailKey   string
	Username   string // may be empty
	Name       string // may be empty
	Language   locale.Language
	TimeZone   string // empty: the organisation's
	State      State
	Created    time.Time
	InvitedAt  time.Time
	Activated  time.Time // zero: never
	LastSignIn time.Time // zero: never
	LinkUsed   time.Time // when a link last vouched for the mailbox; zero once that is spent
	Offers     int       // how often a passkey was offered and put off
	OfferedAt  time.Time // when last

	Home         id.Account // of a linked account: where its password and factors are, in an organisation above
	ExemptUntil  time.Time  // an exception from the second factor ends then; zero: none
	ExemptReason string

	DeleteAt time.Time // in the state Deleting: when the account goes
}

// Linked tells whether the account has its home in an organisation above.
func (a Account) Linked() bool { return a.Home != "" }

// Shown is the name, or the address of who has not given one.
func (a Account) Shown() string {
	if a.Name != "" {
		return a.Name
	}
	return a.Email
}

const columns = `id, org_id, email, email_key, username, name, language, time_zone, state, created_at, invited_at, activated_at,
	last_sign_in_at, link_used_at, offers, offered_at, home_id, exempt_until, exempt_reason, delete_at`

func scan(row sqldb.Row) (a Account, err error) {
	return a, row(&a.ID, &a.Org, &a.Email, &a.EmailKey, sqldb.Text(&a.Username), &a.Name, &a.Language, &a.TimeZone, &a.State,
		sqldb.Time(&a.Created), sqldb.Time(&a.InvitedAt), sqldb.Time(&a.Activated), sqldb.Time(&a.LastSignIn), sqldb.Time(&a.LinkUsed),
		&a.Offers, sqldb.Time(&a.OfferedAt), sqldb.Text(&a.Home), sqldb.Time(&a.ExemptUntil), &a.ExemptReason, sqldb.Time(&a.DeleteAt))
}

func found(a Account, err error) (Account, error) {
	if errors.Is(err, sqldb.ErrNone) {
		e := refusal.New(refusal.NotFound, "error.not_found")
		e.Denied = true // a foreign id is answered like a missing one, and noted like a refused right
		return a, e
	}
	return a, err
}

// Find returns an account of an organisation, or a NotFound refusal, also for another organisation's account.
func Find(tx sqldb.Tx, o id.Org, a id.Account) (Account, error) {
	return found(sqldb.One(tx, scan, `select `+columns+` from accounts where org_id = $1 and id = $2`, o, a))
}

// Lookup returns an account by its id alone, for what holds the id from a row of its own: sessions, messages.
func Lookup(tx sqldb.Tx, a id.Account) (Account, error) {
	return found(sqldb.One(tx, scan, `select `+columns+` from accounts where id = $1`, a))
}

// ByIdentifier returns the account of an organisation with that e-mail address or user name, however it is spelled, and false when
// there is none.
func ByIdentifier(tx sqldb.Tx, o id.Org, identifier string) (Account, bool, error) {
	column, key := `username_key`, FoldIdentifier(identifier)
	if strings.Contains(identifier, "@") {
		column = `email_key`
		if _, fault := ParseEmail("identifier", identifier); fault != nil { // what is no address is nobody's, whatever it folds to
			return Account{}, false, nil
		}
	}
	a, err := sqldb.One(tx, scan, `select `+columns+` from accounts where org_id = $1 and `+column+` = $2`, o, key)
	if errors.Is(err, sqldb.ErrNone) {
		return a, false, nil
	}
	return a, err == nil, err
}

// LinkedIn returns the account of an organisation that is linked to a home account, and false when there is none.
func LinkedIn(tx sqldb.Tx, o id.Org, home id.Account) (Account, bool, error) {
	a, err := sqldb.One(tx, scan, `select `+columns+` from accounts where home_id = $1 and org_id = $2`, home, o)
	if errors.Is(err, sqldb.ErrNone) {
		return a, false, nil
	}
	return a, err == nil, err
}

// FoldIdentifier returns the form in which an e-mail address or a user name is compared.
func FoldIdentifier(s string) string {
	if strings.Contains(s, "@") {
		if e, fault := ParseEmail("identifier", s); fault == nil {
			return e.Key
		}
	}
	return org.Fold(strings.TrimSpace(s))
}

// Administrators returns the accounts that administer an organisation now, for people who need someone to ask: five at most. A linked one counts as long
// as its home is open.
func Administrators(tx sqldb.Tx, o id.Org, now time.Time) ([]Account, error) {
	return sqldb.All(tx, scan, `select `+columns+` from accounts where org_id = $1 and state = 'active' and id in
		(select account_id from assignments where org_id = $1 and role = 'administrator' and (expires_at = 0 or expires_at > $2))
		and (home_id is null or exists (select 1 from accounts h where h.id = accounts.home_id and h.state = 'active'))
		order by email_key limit 5`, o, sqldb.Micros(now))
}

// Directory runs the operations on people.
type Directory struct {
	DB     *sqldb.DB
	Book   *audit.Book
	Guard  access.Guard
	Gate   throttle.Gate
	Queue  *outbox.Queue
	Vault  *secret.Vault
	Hasher *secret.Hasher
	Now    func() time.Time

	Breached *factor.Breached // nil: none
	Press    *org.Press       // for logos
}

// checkPersonName returns a person's name without outer space, or a refusal at the field "name".
func checkPersonName(s string) (string, *refusal.Error) {
	if strings.TrimSpace(s) == "" {
		return "", nil
	}
	return org.CheckName(s)
}
