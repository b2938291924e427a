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
	made  *Role     // the own role that it is; nil for a built-in one
	until time.Time // when the assignment ends; zero: never
}

// gives tells whether the role gives a permission here.
func (g grant) gives(p Permission) bool {
	if g.made != nil {
		return g.made.scope(p)&g.where != 0
	}
	return table[p][g.column]&g.where != 0
}

// Rights are all rights of an actor in one organisation, for pages that ask several questions at once.
type Rights struct {
	Org    Node
	Own    []Role // the organisation's own roles by name, whoever holds them
	all    bool   // the operator, or Doorward itself
	grants []grant
}

// Rights returns what the actor may do in org. A missing organisation gives a NotFound refusal; a foreign one gives rights that allow
// nothing.
func (g Guard) Rights(tx sqldb.Tx, a Actor, org id.Org) (Rights, error) {
	n, err := Find(tx, org)
	if err != nil {
		return Rights{}, err
	}
	return g.RightsIn(tx, a, n)
}

// RightsIn is Rights in an organisation that was read a moment ago.
func (g Guard) RightsIn(tx sqldb.Tx, a Actor, n Node) (Rights, error) {
	r, org := Rights{Org: n}, n.ID
	account := a.Account
	if a.Kind != AccountActor {
		account = ""
	}
	// One statement: the roles held in org or above it, with what they give when they are own ones, and whether one of the holder's groups
	// contains it; behind them the organisation's own roles.
	type found struct {
		Role
		key     string
		depth   int64
		grouped int64
		until   time.Time
	}
	list, err := sqldb.All(tx, func(row sqldb.Row) (f found, err error) {
		var permissions, reach string
		err = row(&f.Kind, &f.key, &f.depth, &f.grouped, &f.Org, &f.Name, &f.NameKey, &permissions, &reach, &f.Rev, sqldb.Time(&f.Created), sqldb.Time(&f.until))
		f.ID, f.Permissions, f.Below = id.Role(f.key), readPermissions(permissions), reach == "below"
		return f, err
	}, `select n.kind, s.role, t.depth,
		(select count(*) from org_group_accounts ga join org_group_orgs go on go.group_id = ga.group_id
		  where ga.account_id = $1 and ga.org_id = s.org_id and go.member_id = $2),
		coalesce(r.org_id, ''), coalesce(r.name, ''), coalesce(r.name_key, ''), coalesce(r.permissions, ''), coalesce(r.reach, ''), coalesce(r.rev, 0),
		coalesce(r.created_at, 0), s.expires_at
		from assignments s join org_nodes n on n.id = s.org_id join org_tree t on t.ancestor_id = s.org_id and t.org_id = $2
		left join roles r on r.id = s.role and r.org_id = s.org_id
		where s.account_id = $1 and (s.expires_at = 0 or s.expires_at > $3) and n.state <> 'suspended' and n.kept_state <> 'suspended'
		union all
		select '', id, -1, 0, org_id, name, name_key, permissions, reach, rev, created_at, 0 from roles where org_id = $2
		order by 3, 7, 2`,
		account, org, sqldb.Micros(g.Now()))
	if err != nil {
		return r, err
	}
	r.all = a.Kind == OperatorActor || a.Kind == SystemActor
	for _, f := range list {
		made := f.Role
		if f.depth < 0 {
			made.Kind = n.Kind
			r.Own = append(r.Own, made)
			continue
		}
		gr := grant{column: column{f.Kind, f.key}, where: own, until: f.until}
		bound := restricted(gr.column)
		if IsOwn(f.key) {
			if made.Org == "" { // no such role any more
				continue
			}
			gr.made, bound = &made, true
		}
		switch {
		case f.depth == 0:
			r.grants = append(r.grants, gr)
		case (gr.made == nil || made.Below) && (!bound || f.grouped > 0):
			gr.where = below
			r.grants = append(r.grants, gr)
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
		if gr.gives(p) {
			return true
		}
	}
	return false
}

// Delegated tells whether the rights come from an ancestor organisation alone.
func (r Rights) Delegated() bool {
	return !r.all && len(r.grants) > 0 && !slices.ContainsFunc(r.grants, func(g grant) bool { return g.where == own })
}

// Until returns when the last of the roles ends that the rights come from; the zero time when one of them never does.
func (r Rights) Until() time.Time {
	var last time.Time
	for _, g := range r.grants {
		if g.until.IsZero() {
			return g.until
		}
		if g.until.After(last) {
			last = g.until
		}
	}
	return last
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

// Name returns the name of an own role that the rights come from or that the organisation has; empty for a built-in one.
func (r Rights) Name(key string) string {
	for _, g := range r.grants {
		if g.made != nil && string(g.made.ID) == key {
			return g.made.Name
		}
	}
	for _, o := range r.Own {
		if string(o.ID) == key {
			return o.Name
		}
	}
	return ""
}

// Assignable returns the role keys that may be given in the organisation, the built-in ones first, strongest first, then the own ones by
// name.
func (r Rights) Assignable() []string {
	var list []string
	for _, role := range Roles(r.Org.Kind) {
		if r.mayAssign(role) {
			list = append(list, role)
		}
	}
	for _, o := range r.Own {
		if r.mayAssign(string(o.ID)) {
			list = append(list, string(o.ID))
		}
	}
	return list
}

// mayAssign is "May assign" of rights.md. Who may appoint an Administrator may give every own role, since none gives more. The holder of
// an own role with role.assign gives what they have themselves, and no more.
func (r Rights) mayAssign(role string) bool {
	if r.all {
		return true
	}
	asked := role
	if IsOwn(role) {
		asked = Administrator
	}
	for _, g := range r.grants {
		if g.made == nil && slices.Contains(assignable(g.column, g.where, r.Org.Kind), asked) ||
			g.made != nil && g.gives(RoleAssign) && r.Covers(role) {
			return true
		}
	}
	return false
}

// MayTouch tells whether a permission over people holds for someone with these roles. A co-manager leaves administrators, co-managers,
// auditors and the holders of own roles beyond the co-manager's rights alone; who has the permission from an own role touches only people
// who may do no more than they.
func (r Rights) MayTouch(p Permission, targetRoles []string) bool {
	if r.all {
		return true
	}
	beyond := func(role string) bool { return !r.Covers(role) }
	for _, gr := range r.grants {
		switch {
		case !gr.gives(p):
			continue
		case gr.made != nil && slices.ContainsFunc(targetRoles, beyond):
			continue
		case gr.made == nil && gr.column == customerCoManager && slices.ContainsFunc(targetRoles, func(s string) bool {
			return slices.Contains(beyondCoManager, s) || IsOwn(s) && beyond(s)
		}):
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

// OfCreated returns the rights in an organisation of that kind that the actor makes under this one. Groups do not count yet: who may make one furnishes
// it, though they may not find it again before it is in a group of theirs.
func (r Rights) OfCreated(kind OrgKind) Rights {
	made := Rights{Org: Node{Parent: r.Org.ID, Kind: kind, State: Active}, all: r.all}
	for _, g := range r.grants {
		if g.made == nil || g.made.Below {
			g.where = below
			made.grants = append(made.grants, g)
		}
	}
	return made
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
func (r Rights) GroupsOnly() bool { return r.GroupsOnlyTo(OrgView) }

// GroupsOnlyTo is GroupsOnly for a permission other than seeing them.
func (r Rights) GroupsOnlyTo(p Permission) bool {
	if r.all {
		return false
	}
	return !slices.ContainsFunc(r.grants, func(g grant) bool {
		return g.made == nil && table[p][g.column]&below != 0 && (!restricted(g.column) || g.where == below)
	})
}

// SeesBelow tells whether the actor sees children of the organisation at all: all of them, or with GroupsOnly those in their groups.
func (r Rights) SeesBelow() bool {
	return r.all || slices.ContainsFunc(r.grants, func(g grant) bool {
		return g.made == nil && table[OrgView][g.column]&below != 0 || g.made != nil && g.made.Below && g.where == own
	})
}

func denied(code refusal.Code, key string) error {
	e := refusal.New(code, key)
	e.Denied = true
	return e
}
