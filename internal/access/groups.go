package access

import (
	"errors"
	"time"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// OrgGroup is an organisation group: organisations under an MSP or the provider, and the people there who see only those (mission D3).
type OrgGroup struct {
	ID        id.Group
	Org       id.Org
	Name      string
	Customers int // how many organisations are in it
	People    int
}

const groupColumns = `g.id, g.org_id, g.name,
	(select count(*) from org_group_orgs o where o.group_id = g.id), (select count(*) from org_group_accounts a where a.group_id = g.id)`

func scanGroup(row sqldb.Row) (g OrgGroup, err error) {
	return g, row(&g.ID, &g.Org, &g.Name, &g.Customers, &g.People)
}

// Groups returns an organisation's groups in the order of their names.
func Groups(tx sqldb.Tx, org id.Org) ([]OrgGroup, error) {
	return sqldb.All(tx, scanGroup, `select `+groupColumns+` from org_groups g where g.org_id = $1 order by g.name_key`, org)
}

// GroupsOf returns the groups of an organisation that an account is in, by name.
func GroupsOf(tx sqldb.Tx, org id.Org, account id.Account) ([]OrgGroup, error) {
	return sqldb.All(tx, scanGroup, `select `+groupColumns+` from org_group_accounts ga join org_groups g on g.id = ga.group_id
		where ga.account_id = $1 and g.org_id = $2 order by g.name_key`, account, org)
}

// FindGroup returns a group of an organisation, or a NotFound refusal, also for another organisation's.
func FindGroup(tx sqldb.Tx, org id.Org, group id.Group) (OrgGroup, error) {
	g, err := sqldb.One(tx, scanGroup, `select `+groupColumns+` from org_groups g where g.org_id = $1 and g.id = $2`, org, group)
	if errors.Is(err, sqldb.ErrNone) {
		return g, denied(refusal.NotFound, "error.not_found")
	}
	return g, err
}

// CreateGroup makes an empty group; key is the form in which its name is compared. A name that the organisation has already breaks its
// unique key (sqldb.Unique).
func CreateGroup(tx sqldb.Tx, now time.Time, org id.Org, name, key string) (id.Group, error) {
	g := id.New[id.Group](now)
	_, err := tx.Exec(`insert into org_groups (id, org_id, name, name_key) values ($1, $2, $3, $4)`, g, org, name, key)
	return g, err
}

// RenameGroup changes a group's name.
func RenameGroup(tx sqldb.Tx, org id.Org, group id.Group, name, key string) error {
	_, err := tx.Exec(`update org_groups set name = $1, name_key = $2 where id = $3 and org_id = $4`, name, key, group, org)
	return err
}

// DeleteGroup deletes a group: who was in it no longer sees its organisations through it.
func DeleteGroup(tx sqldb.Tx, org id.Org, group id.Group) error {
	for _, q := range []string{`delete from org_group_orgs where group_id = $1 and org_id = $2`,
		`delete from org_group_accounts where group_id = $1 and org_id = $2`, `delete from org_groups where id = $1 and org_id = $2`} {
		if _, err := tx.Exec(q, group, org); err != nil {
			return err
		}
	}
	return nil
}

// AddCustomer puts an organisation into a group. Only a child of the group's organisation gets in: for any other, and for what does not
// exist, it returns a Forbidden refusal. False means that it was there already.
func AddCustomer(tx sqldb.Tx, org id.Org, group id.Group, customer id.Org) (bool, error) {
	// The updated row is the lock: it does not move away meanwhile.
	child, err := tx.Exec(`update org_nodes set rev = rev + 1 where id = $1 and parent_id = $2`, customer, org)
	if err != nil {
		return false, err
	}
	if child == 0 {
		return false, denied(refusal.Forbidden, "groups.gone")
	}
	n, err := tx.Exec(`insert into org_group_orgs (org_id, group_id, member_id) values ($1, $2, $3) on conflict (group_id, member_id) do nothing`,
		org, group, customer)
	return n == 1, err
}

// AddPerson puts an account of the group's organisation into a group; that it is one is the caller's business. False means that it was
// there already.
func AddPerson(tx sqldb.Tx, org id.Org, group id.Group, account id.Account) (bool, error) {
	n, err := tx.Exec(`insert into org_group_accounts (org_id, group_id, account_id) values ($1, $2, $3) on conflict (account_id, group_id) do nothing`,
		org, group, account)
	return n == 1, err
}

// RemoveCustomer takes an organisation out of a group; false means that it was not in it.
func RemoveCustomer(tx sqldb.Tx, org id.Org, group id.Group, customer id.Org) (bool, error) {
	n, err := tx.Exec(`delete from org_group_orgs where group_id = $1 and member_id = $2 and org_id = $3`, group, customer, org)
	return n == 1, err
}

// RemovePerson takes an account out of a group; false means that it was not in it.
func RemovePerson(tx sqldb.Tx, org id.Org, group id.Group, account id.Account) (bool, error) {
	n, err := tx.Exec(`delete from org_group_accounts where account_id = $1 and group_id = $2 and org_id = $3`, account, group, org)
	return n == 1, err
}

// Group makes a group with all that is to be in it, unchecked: for the demo's world and for tests.
func Group(tx sqldb.Tx, now time.Time, org id.Org, name string, customers []id.Org, people []id.Account) (id.Group, error) {
	g, err := CreateGroup(tx, now, org, name, name)
	if err != nil {
		return "", err
	}
	for _, c := range customers {
		if _, err := tx.Exec(`insert into org_group_orgs (org_id, group_id, member_id) values ($1, $2, $3)`, org, g, c); err != nil {
			return "", err
		}
	}
	for _, p := range people {
		if _, err := AddPerson(tx, org, g, p); err != nil {
			return "", err
		}
	}
	return g, nil
}
