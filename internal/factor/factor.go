// Package factor owns what people prove themselves with: one table for all kinds, one file per kind. It gathers facts and compares;
// what a sign-in needs, and which password will do, policy decides.
package factor

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// Kind is a kind of factor.
type Kind string

// The kinds that exist.
const (
	Password       Kind = "password"
	TOTP           Kind = "totp"
	Passkey        Kind = "passkey"     // also used as a security key
	Recovery       Kind = "recovery"    // one row holds a whole set of codes
	AccessCodeKind Kind = "access-code" // temporary, issued by an administrator
)

// second tells whether a kind is a second factor that someone enrols; recovery and temporary codes only stand in for one.
func (k Kind) second() bool { return k == TOTP || k == Passkey }

// State is whether a factor can be used.
type State string

// The states of a factor.
const (
	Pending  State = "pending"  // enrolment began, not proved yet
	Active   State = "active"   //
	Disabled State = "disabled" // by too many consecutive failures: it has to be bound again
)

// Factor is one factor of one account. Its secret stays in the database.
type Factor struct {
	ID       id.Factor
	Org      id.Org
	Account  id.Account
	Kind     Kind
	Name     string
	State    State
	Counter  int64 // with TOTP: the last time step that was accepted
	Created  time.Time
	LastUsed time.Time // zero: never
	box      []byte
	data     string
}

const columns = `id, org_id, account_id, kind, name, state, counter, box, data, created_at, last_used_at`

func scan(row sqldb.Row) (f Factor, err error) {
	return f, row(&f.ID, &f.Org, &f.Account, &f.Kind, &f.Name, &f.State, &f.Counter, &f.box, &f.data, sqldb.Time(&f.Created),
		sqldb.Time(&f.LastUsed))
}

// List returns an account's factors of all kinds and states, oldest first.
func List(tx sqldb.Tx, account id.Account) ([]Factor, error) {
	return sqldb.All(tx, scan, `select `+columns+` from factors where account_id = $1 order by id`, account)
}

// Seconds returns those of a list that are second factors in that state.
func Seconds(list []Factor, s State) []Factor {
	var out []Factor
	for _, f := range list {
		if f.Kind.second() && f.State == s {
			out = append(out, f)
		}
	}
	return out
}

// mostName is the longest name of a factor, in characters.
const mostName = 60

// CleanName returns the name that someone gives a factor without the space around and between its words, or a refusal at the field "name"
// when it is too long or holds what nobody sees: control and format characters, such as those that turn the reading direction. An empty one
// stays empty.
func CleanName(s string) (string, *refusal.Error) {
	if len(s) > 8*mostName { // not looked at any further
		return "", refusal.Field("name", "text.long", "Most", mostName)
	}
	if !utf8.ValidString(s) {
		return "", refusal.Field("name", "name.form")
	}
	s = strings.Join(strings.Fields(norm.NFC.String(s)), " ")
	for _, c := range s {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) && c != '\u200d' { // U+200D joins emoji
			return "", refusal.Field("name", "name.form")
		}
	}
	if strings.Trim(s, "\u200d ") == "" {
		s = ""
	}
	if utf8.RuneCountInString(s) > mostName {
		return "", refusal.Field("name", "text.long", "Most", mostName)
	}
	return s, nil
}

// Covered returns how many of an organisation's active accounts have an active second factor.
func Covered(tx sqldb.Tx, org id.Org) (int, error) {
	return sqldb.One(tx, sqldb.Value[int], `select count(*) from accounts a where a.org_id = $1 and a.state = 'active' and exists
		(select 1 from factors f where f.account_id = a.id and f.kind in ('totp', 'passkey') and f.state = 'active')`, org)
}

// Disable takes a factor out of use until it is bound again; false means that somebody else did, or that it is gone.
func Disable(tx sqldb.Tx, f id.Factor) (bool, error) {
	n, err := tx.Exec(`update factors set state = 'disabled' where id = $1 and state = 'active'`, f)
	return n == 1, err
}

// Remove deletes one factor of an account; false means that it was not there.
func Remove(tx sqldb.Tx, account id.Account, f id.Factor) (bool, error) {
	n, err := tx.Exec(`delete from factors where id = $1 and account_id = $2`, f, account)
	return n == 1, err
}

// RemoveSeconds deletes all second factors of an account and returns the kinds of those that were in use or disabled.
func RemoveSeconds(tx sqldb.Tx, account id.Account) ([]string, error) {
	kinds, err := sqldb.All(tx, sqldb.Value[string], `delete from factors where account_id = $1 and kind <> 'password' returning
		case when state = 'pending' or kind in ('recovery', 'access-code') then '' else kind end`, account)
	var out []string
	for _, k := range kinds {
		if k != "" {
			out = append(out, k)
		}
	}
	return out, err
}

// RemoveDisabled deletes the second factors of an account that are disabled, and returns their kinds.
func RemoveDisabled(tx sqldb.Tx, account id.Account) ([]string, error) {
	return sqldb.All(tx, sqldb.Value[string], `delete from factors where account_id = $1 and kind in ('totp', 'passkey') and state = 'disabled' returning kind`, account)
}

// RemoveStandIns deletes what stands in for the second factors of an account: recovery codes and temporary codes.
func RemoveStandIns(tx sqldb.Tx, account id.Account) error {
	_, err := tx.Exec(`delete from factors where account_id = $1 and kind in ('recovery', 'access-code')`, account)
	return err
}

// RemoveAll deletes all factors of an account, its password too: from now on it is proved elsewhere.
func RemoveAll(tx sqldb.Tx, account id.Account) error {
	_, err := tx.Exec(`delete from factors where account_id = $1`, account)
	return err
}

// DropPending deletes the apps and keys of an account that somebody began to set up: whatever revokes the account does it, so that its owner never
// confirms one whose secret another person has seen.
func DropPending(tx sqldb.Tx, account id.Account) error {
	_, err := tx.Exec(`delete from factors where account_id = $1 and state = 'pending'`, account)
	return err
}

// Reseal seals with the current key what an older key sealed, and returns how many rows it changed.
func Reseal(tx sqldb.Tx, v *secret.Vault) (int, error) {
	list, err := sqldb.All(tx, scan, `select `+columns+` from factors where box is not null`)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, f := range list {
		key, _, err := secret.KeyOf(f.box)
		if err != nil {
			return n, err
		}
		if key == v.Sealing() {
			continue
		}
		plain, err := v.Open("factors", "box", string(f.ID), f.box)
		if err != nil {
			return n, err
		}
		if _, err := tx.Exec(`update factors set box = $1 where id = $2`, v.Seal("factors", "box", string(f.ID), plain), f.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// UsesKey tells whether a row is sealed with that key.
func UsesKey(tx sqldb.Tx, key string) (bool, error) {
	boxes, err := sqldb.All(tx, sqldb.Value[[]byte], `select box from factors where box is not null`)
	for _, b := range boxes {
		if name, _, keyErr := secret.KeyOf(b); keyErr == nil && name == key {
			return true, err
		}
	}
	return false, err
}
