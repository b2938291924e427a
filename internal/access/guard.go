// Package access owns the tree of organisations, groups, roles and assignments, and Guard, the one function that says who may do
// what where (rights.md is its table). It neither audits nor mails.
//
//	Actor + Permission + the record's own organisation ──> Guard ──> nil, NotFound (may not even see it), Forbidden
//
// An account's rights in an organisation come from the roles that it holds there ("own") and in an ancestor ("below", by
// delegation). A foreign organisation is answered like one that does not exist.
package access

import (
	"slices"
	"time"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Guard decides. Now is the injected clock: assignments end.
type Guard struct {
	Now func() time.Time
}

// grant is a role that counts in the organisation asked about.
type grant struct {
	column
	where scope
}

// Rights are all rights of an actor in one organisation, for pages that ask several questions at once.
type Rights struct {
	Org    Node
	all    bool // the operator, or Doorward itself
	grants []grant
}

// Rights returns what the actor may do in org. A missing organisation gives a NotFound refusal; a foreign one gives rights that allow
// nothing.
func (g Guard) Rights(tx sqldb.Tx, a Actor, org id.Org) (Rights, error) {
	n, err := Find(tx, org)
	if err != nil {
		return Rights{}, err
	}
	r := Rights{Org: n}
	switch a.Kind {
	case OperatorActor, SystemActor:
		r.all = true
		return r, nil
	case AccountActor:
	default:
		return r, nil
	}
	// One statement: the roles held in org or above it, and whether one of the holder's groups contains it.
	type found struct {
		kind    OrgKind
		role    string
		depth   int64
		grouped int64
	}
	list, err := sqldb.All(tx, func(row sqldb.Row) (f found, err error) {
		return f, row(&f.kind, &f.role, &f.depth, &f.grouped)
	}, `select n.kind, s.role, t.depth,
		(select count(*) from org_group_accounts ga join org_group_orgs go on go.group_id = ga.group_id
		  where ga.account_id = $1 and go.member_id = $2)
		from assignments s join org_nodes n on n.id = s.org_id join org_tree t on t.ancestor_id = s.org_id and t.org_id = $2
		where s.account_id = $1 and (s.expires_at = 0 or s.expires_at > $3) and n.state <> 'suspended'
		order by t.depth, s.role`,
		a.Account, org, sqldb.Micros(g.Now()))
	if err != nil {
		return r, err
	}
	for _, f := range list {
		c := column{f.kind, f.role}
		switch {
		case f.depth == 0:
			r.grants = append(r.grants, grant{c, own})
		case !restricted(c) || f.grouped > 0:
			r.grants = append(r.grants, grant{c, below})
		}
	}
	return r, nil
}

// May tells whether a permission is among the rights.
func (r Rights) May(p Permission) bool {
	if r.all {
		return true
	}
	for _, gr := range r.grants {
		if table[p][gr.column]&gr.where != 0 {
			return true
		}
	}
	return false
}

// Delegated tells whether the rights come from an ancestor organisation alone.
func (r Rights) Delegated() bool {
	return !r.all && len(r.grants) > 0 && !slices.ContainsFunc(r.grants, func(g grant) bool { return g.where == own })
}

// Roles returns the role keys that the rights come from, those held in the organisation itself first.
func (r Rights) Roles() []string {
	var list []string
	for _, g := range r.grants {
		if !slices.Contains(list, g.role) {
			list = append(list, g.role)
		}
	}
	return list
}

// Assignable returns the role keys that may be given in the organisation, strongest first.
func (r Rights) Assignable() []string {
	if r.all {
		return Roles(r.Org.Kind)
	}
	var list []string
	for _, role := range Roles(r.Org.Kind) {
		for _, g := range r.grants {
			if slices.Contains(assignable(g.column, g.where, r.Org.Kind), role) {
				list = append(list, role)
				break
			}
		}
	}
	return list
}

// MayTouch tells whether a permission over people holds for someone with these roles: a co-manager leaves administrators,
// co-managers and auditors alone.
func (r Rights) MayTouch(p Permission, targetRoles []string) bool {
	if r.all {
		return true
	}
	for _, gr := range r.grants {
		if table[p][gr.column]&gr.where == 0 {
			continue
		}
		if gr.column == customerCoManager && slices.ContainsFunc(targetRoles, func(s string) bool { return slices.Contains(beyondCoManager, s) }) {
			continue
		}
		return true
	}
	return false
}

// MayCreate tells whether an organisation of that kind may be made under this one: MSPs and standalone customers under the provider,
// customers under an MSP (mission D1).
func (r Rights) MayCreate(kind OrgKind) bool {
	switch r.Org.Kind {
	case Provider:
		return (kind == MSP || kind == Customer) && r.May(OrgCreate)
	case MSP:
		return kind == Customer && r.May(OrgCreate)
	}
	return false
}

// Require returns nil when the actor has the permission in org; else a NotFound refusal when the actor may not even see the
// organisation, so that a foreign one is answered like a missing one, or a Forbidden refusal.
func (g Guard) Require(tx sqldb.Tx, a Actor, p Permission, org id.Org) (Rights, error) {
	r, err := g.Rights(tx, a, org)
	if err != nil {
		return r, err
	}
	return r, r.Require(p)
}

// Require returns the refusal of Guard.Require for rights already loaded.
func (r Rights) Require(p Permission) error {
	switch {
	case r.May(p):
		return nil
	case !r.May(OrgView):
		return denied(refusal.NotFound, "error.not_found")
	}
	return denied(refusal.Forbidden, "error.forbidden")
}

// RequireOver is Require for an operation on a person who holds targetRoles.
func (r Rights) RequireOver(p Permission, targetRoles []string) error {
	if err := r.Require(p); err != nil {
		return err
	}
	if !r.MayTouch(p, targetRoles) {
		return denied(refusal.Forbidden, "error.forbidden")
	}
	return nil
}

// RequireOperator refuses everyone but the command line.
func RequireOperator(a Actor) error {
	if a.Kind != OperatorActor {
		return denied(refusal.Forbidden, "error.forbidden")
	}
	return nil
}

// GroupsOnly tells whether the actor sees only those children of the organisation that are in one of their groups. Lists of children
// filter by it in SQL.
func (r Rights) GroupsOnly() bool {
	if r.all {
		return false
	}
	return !slices.ContainsFunc(r.grants, func(g grant) bool {
		return table[OrgView][g.column]&below != 0 && (!restricted(g.column) || g.where == below)
	})
}

func denied(code refusal.Code, key string) error {
	e := refusal.New(code, key)
	e.Denied = true
	return e
}
