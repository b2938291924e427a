// Package account owns people: their accounts, states, invitations and one-time links.
//
//	Invite ──> invited ──link used──> active ──> disabled ──> active
//	              │  └── Withdraw: the row is gone     (enabled again: invited, when it was never activated)
//	              └── Resend: a new link, the old one dead
//
// Each operation is a method of Directory: one transaction with its rights, its event and its mail.
package account

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

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
)

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
}

// Shown is the name, or the address of who has not given one.
func (a Account) Shown() string {
	if a.Name != "" {
		return a.Name
	}
	return a.Email
}

const columns = `id, org_id, email, email_key, username, name, language, time_zone, state, created_at, invited_at, activated_at,
	last_sign_in_at, link_used_at, offers, offered_at`

func scan(row sqldb.Row) (a Account, err error) {
	return a, row(&a.ID, &a.Org, &a.Email, &a.EmailKey, sqldb.Text(&a.Username), &a.Name, &a.Language, &a.TimeZone, &a.State,
		sqldb.Time(&a.Created), sqldb.Time(&a.InvitedAt), sqldb.Time(&a.Activated), sqldb.Time(&a.LastSignIn), sqldb.Time(&a.LinkUsed),
		&a.Offers, sqldb.Time(&a.OfferedAt))
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

// FoldIdentifier returns the form in which an e-mail address or a user name is compared.
func FoldIdentifier(s string) string {
	if strings.Contains(s, "@") {
		if e, fault := ParseEmail("identifier", s); fault == nil {
			return e.Key
		}
	}
	return org.Fold(strings.TrimSpace(s))
}

// Listed is an account in the people list.
type Listed struct {
	Account
	Roles   []access.Assignment
	Seconds int // active second factors
}

// Filter narrows the people list.
type Filter struct {
	Search string // beginning of the address
	State  State  // empty: any
	After  string // EmailKey to go on after
	Most   int
}

// People returns a stretch of an organisation's people in the order of their addresses, and where to go on.
func People(tx sqldb.Tx, o id.Org, f Filter) (list []Listed, next string, err error) {
	args := []any{o, f.After}
	where := `org_id = $1 and email_key > $2`
	if f.State != "" {
		args = append(args, f.State)
		where += ` and state = $3`
	}
	if s := org.Fold(strings.TrimSpace(norm.NFC.String(f.Search))); s != "" {
		args = append(args, s, s+"\U0010ffff")
		where += ` and email_key >= $` + digit(len(args)-1) + ` and email_key < $` + digit(len(args))
	}
	args = append(args, f.Most+1)
	accounts, err := sqldb.All(tx, scan, `select `+columns+` from accounts where `+where+` order by email_key limit $`+digit(len(args)), args...)
	if err != nil {
		return nil, "", err
	}
	if len(accounts) > f.Most {
		accounts = accounts[:f.Most]
		next = accounts[f.Most-1].EmailKey
	}
	if len(accounts) == 0 {
		return nil, "", nil
	}
	roles, seconds, err := details(tx, o, accounts[0].EmailKey, accounts[len(accounts)-1].EmailKey)
	if err != nil {
		return nil, "", err
	}
	for _, a := range accounts {
		list = append(list, Listed{Account: a, Roles: roles[a.ID], Seconds: seconds[a.ID]})
	}
	return list, next, nil
}

// details reads the roles and factor counts of a stretch of the list in two statements.
func details(tx sqldb.Tx, o id.Org, first, last string) (map[id.Account][]access.Assignment, map[id.Account]int, error) {
	roles := map[id.Account][]access.Assignment{}
	list, err := sqldb.All(tx, func(row sqldb.Row) (s access.Assignment, err error) {
		return s, row(&s.ID, &s.Org, &s.Account, &s.Role, sqldb.Time(&s.Expires))
	}, `select s.id, s.org_id, s.account_id, s.role, s.expires_at from accounts a join assignments s on s.account_id = a.id and s.org_id = a.org_id
		where a.org_id = $1 and a.email_key >= $2 and a.email_key <= $3 order by s.role`, o, first, last)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range list {
		roles[s.Account] = append(roles[s.Account], s)
	}
	type count struct {
		account id.Account
		n       int
	}
	counts, err := sqldb.All(tx, func(row sqldb.Row) (c count, err error) { return c, row(&c.account, &c.n) },
		`select a.id, count(*) from accounts a join factors f on f.account_id = a.id
		where a.org_id = $1 and a.email_key >= $2 and a.email_key <= $3 and f.kind <> 'password' and f.state = 'active' group by a.id`, o, first, last)
	seconds := map[id.Account]int{}
	for _, c := range counts {
		seconds[c.account] = c.n
	}
	return roles, seconds, err
}

func digit(n int) string { return string(rune('0' + n)) }

// Counts is how many people an organisation has in each state.
type Counts struct{ Invited, Active, Disabled int }

// Count counts an organisation's people.
func Count(tx sqldb.Tx, o id.Org) (c Counts, err error) {
	type row struct {
		state State
		n     int
	}
	rows, err := sqldb.All(tx, func(scan sqldb.Row) (r row, err error) { return r, scan(&r.state, &r.n) },
		`select state, count(*) from accounts where org_id = $1 group by state`, o)
	for _, r := range rows {
		switch r.state {
		case Invited:
			c.Invited = r.n
		case Active:
			c.Active = r.n
		case Disabled:
			c.Disabled = r.n
		}
	}
	return c, err
}

// Administrators returns the accounts that administer an organisation now, for people who need someone to ask: five at most.
func Administrators(tx sqldb.Tx, o id.Org, now time.Time) ([]Account, error) {
	return sqldb.All(tx, scan, `select `+columns+` from accounts where org_id = $1 and state = 'active' and id in
		(select account_id from assignments where org_id = $1 and role = 'administrator' and (expires_at = 0 or expires_at > $2))
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
}

// checkPersonName returns a person's name without outer space, or a refusal at the field "name".
func checkPersonName(s string) (string, *refusal.Error) {
	if strings.TrimSpace(s) == "" {
		return "", nil
	}
	return org.CheckName(s)
}
