package access

import (
	"errors"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// State is whether an organisation works.
type State string

// The states of an organisation.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Deleting  State = "deleting"
)

// Node is what the guard knows of an organisation.
type Node struct {
	ID     id.Org
	Parent id.Org // empty for the provider
	Kind   OrgKind
	State  State
}

const nodeColumns = `id, parent_id, kind, state`

func scanNode(row sqldb.Row) (n Node, err error) {
	return n, row(&n.ID, sqldb.Text(&n.Parent), &n.Kind, &n.State)
}

// Find returns the node of an organisation, or a NotFound refusal.
func Find(tx sqldb.Tx, org id.Org) (Node, error) {
	n, err := sqldb.One(tx, scanNode, `select `+nodeColumns+` from org_nodes where id = $1`, org)
	if errors.Is(err, sqldb.ErrNone) {
		return n, refusal.New(refusal.NotFound, "error.not_found")
	}
	return n, err
}

// Attach puts a new organisation into the tree. The parent is empty for the provider.
func Attach(tx sqldb.Tx, n Node) error {
	if _, err := tx.Exec(`insert into org_nodes (id, parent_id, kind, state, access, rev) values ($1, $2, $3, $4, 'table', 0)`,
		n.ID, sqldb.Null(n.Parent), n.Kind, n.State); err != nil {
		return err
	}
	if _, err := tx.Exec(`insert into org_tree (ancestor_id, org_id, depth) values ($1, $1, 0)`, n.ID); err != nil {
		return err
	}
	if n.Parent == "" {
		return nil
	}
	_, err := tx.Exec(`insert into org_tree (ancestor_id, org_id, depth)
		select ancestor_id, $1, depth + 1 from org_tree where org_id = $2`, n.ID, n.Parent)
	return err
}

// Above tells whether an organisation is an ancestor of another one; none is its own.
func Above(tx sqldb.Tx, ancestor, org id.Org) (bool, error) {
	n, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from org_tree where ancestor_id = $1 and org_id = $2 and depth > 0`, ancestor, org)
	return n > 0, err
}

// Reattach puts an organisation that has none below it under another parent; it leaves the groups of the old one. False means that it is not under the
// first one. The caller has locked all three.
func Reattach(tx sqldb.Tx, org, from, to id.Org) (bool, error) {
	n, err := tx.Exec(`update org_nodes set parent_id = $1 where id = $2 and parent_id = $3`, to, org, from)
	if err != nil || n == 0 {
		return false, err
	}
	if _, err := tx.Exec(`delete from org_tree where org_id = $1 and depth > 0`, org); err != nil {
		return false, err
	}
	if _, err := tx.Exec(`insert into org_tree (ancestor_id, org_id, depth)
		select ancestor_id, $1, depth + 1 from org_tree where org_id = $2`, org, to); err != nil {
		return false, err
	}
	_, err = tx.Exec(`delete from org_group_orgs where member_id = $1`, org)
	return err == nil, err
}

// SetState changes an organisation's state from one to another; false means that it was not in the first one. One that is being deleted keeps what it was.
func SetState(tx sqldb.Tx, org id.Org, from, to State) (bool, error) {
	kept := State("")
	if to == Deleting {
		kept = from
	}
	n, err := tx.Exec(`update org_nodes set state = $1, kept_state = $2 where id = $3 and state = $4`, to, kept, org, from)
	return n == 1, err
}

// Lock makes the transaction the only one that works on what spans several rows of an organisation: its last administrator, its
// seats, its place in the tree. On both databases the updated row is the lock. Lock two organisations in the order of their ids.
func Lock(tx sqldb.Tx, org id.Org) error {
	n, err := tx.Exec(`update org_nodes set rev = rev + 1 where id = $1`, org)
	if err == nil && n == 0 {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	return err
}
