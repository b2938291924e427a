package access

import (
	"slices"
	"time"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Assignment gives an account a role in an organisation, optionally until a date.
type Assignment struct {
	ID      id.Assignment
	Org     id.Org
	Account id.Account
	Role    string    // key of a built-in role, or the id of an own one
	Expires time.Time // zero: never
	Name    string    // the own role's name; empty for a built-in one
}

// Holds tells whether the assignment counts at that time.
func (a Assignment) Holds(now time.Time) bool { return a.Expires.IsZero() || a.Expires.After(now) }

const assignmentColumns = `s.id, s.org_id, s.account_id, s.role, s.expires_at, coalesce(r.name, '')`

func scanAssignment(row sqldb.Row) (a Assignment, err error) {
	return a, row(&a.ID, &a.Org, &a.Account, &a.Role, sqldb.Time(&a.Expires), &a.Name)
}

// Assignments returns all assignments of an account, ended ones too.
func Assignments(tx sqldb.Tx, account id.Account) ([]Assignment, error) {
	return sqldb.All(tx, scanAssignment, `select `+assignmentColumns+` from assignments s left join roles r on r.id = s.role and r.org_id = s.org_id
		where s.account_id = $1 order by s.role`, account)
}

// Held returns the role keys that an account holds in its organisation at that time.
func Held(tx sqldb.Tx, org id.Org, account id.Account, now time.Time) ([]string, error) {
	return sqldb.All(tx, sqldb.Value[string], `select role from assignments
		where account_id = $1 and org_id = $2 and (expires_at = 0 or expires_at > $3) order by role`, account, org, sqldb.Micros(now))
}

// CheckRoles returns roles without repetition, or an Invalid refusal at the field "roles" when one is not a role of that kind.
func CheckRoles(kind OrgKind, roles []string) ([]string, error) {
	var list []string
	for _, r := range roles {
		if !slices.Contains(Roles(kind), r) {
			return nil, refusal.Field("roles", "roles.unknown", "Role", cut(r), "Known", Roles(kind))
		}
		if !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	return list, nil
}

func cut(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// Assign gives a role, or changes when it ends.
func Assign(tx sqldb.Tx, now time.Time, org id.Org, account id.Account, role string, expires time.Time) error {
	_, err := tx.Exec(`insert into assignments (id, org_id, account_id, role, expires_at, created_at) values ($1, $2, $3, $4, $5, $6)
		on conflict (account_id, org_id, role) do update set expires_at = excluded.expires_at`,
		id.New[id.Assignment](now), org, account, role, sqldb.Micros(expires), sqldb.Micros(now))
	return err
}

// Unassign takes a role away; it does nothing when it was not held.
func Unassign(tx sqldb.Tx, org id.Org, account id.Account, role string) error {
	_, err := tx.Exec(`delete from assignments where account_id = $1 and org_id = $2 and role = $3`, account, org, role)
	return err
}

// UnassignAll takes all roles of an account in an organisation away.
func UnassignAll(tx sqldb.Tx, org id.Org, account id.Account) error {
	if _, err := tx.Exec(`delete from assignments where account_id = $1 and org_id = $2`, account, org); err != nil {
		return err
	}
	_, err := tx.Exec(`delete from org_group_accounts where account_id = $1 and org_id = $2`, account, org)
	return err
}
