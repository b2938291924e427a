package account

import (
	"context"
	"slices"
	"strconv"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// MostGroups is how many groups an organisation can have, MostGrouped how many organisations and people go into or out of one at once.
const (
	MostGroups  = 200
	MostGrouped = 500
)

// CreateGroup makes an empty organisation group. The refusal is at the field "name".
func (d *Directory) CreateGroup(ctx context.Context, actor access.Actor, o id.Org, name string) (id.Group, error) {
	name, fault := org.CheckName(name)
	if fault != nil {
		return "", fault
	}
	var g id.Group
	err := d.Book.Do(ctx, actor, audit.GroupCreated, func(tx sqldb.Tx) error {
		if err := d.requireGroups(tx, actor, o); err != nil {
			return err
		}
		there, err := access.Groups(tx, o)
		if err != nil {
			return err
		}
		if len(there) >= MostGroups {
			return refusal.Field("name", "groups.many", "Most", MostGroups)
		}
		if g, err = access.CreateGroup(tx, d.Now(), o, name, roleKey(name)); err != nil {
			return nameTaken(err, "groups.name_taken")
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.GroupCreated, Actor: actor, Target: audit.TargetOf(g),
			Data: map[string]any{"name": name}})
	})
	return g, err
}

// requireGroups locks the organisation and refuses who may not manage its groups. A customer has none.
func (d *Directory) requireGroups(tx sqldb.Tx, actor access.Actor, o id.Org) error {
	if err := access.Lock(tx, o); err != nil {
		return err
	}
	rights, err := d.Guard.Require(tx, actor, access.GroupManage, o)
	if err != nil {
		return err
	}
	if rights.Org.Kind == access.Customer {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	// Who is bound to groups could widen their own, or give others what they do not see themselves.
	if rights.GroupsOnly() {
		return deniedRole("groups.beyond")
	}
	return nil
}

// RenameGroup changes a group's name. The refusal is at the field "name".
func (d *Directory) RenameGroup(ctx context.Context, actor access.Actor, o id.Org, g id.Group, name string) error {
	name, fault := org.CheckName(name)
	return d.changeGroup(ctx, actor, o, g, audit.GroupChanged, func(tx sqldb.Tx, before access.OrgGroup) (map[string]any, error) {
		if fault != nil {
			return nil, fault
		}
		if name == before.Name {
			return nil, nil
		}
		if err := access.RenameGroup(tx, o, g, name, roleKey(name)); err != nil {
			return nil, nameTaken(err, "groups.name_taken")
		}
		return map[string]any{"before": before.Name, "after": name}, nil
	})
}

// DeleteGroup deletes a group. Its people no longer see the organisations that they saw through it, from the next request on.
func (d *Directory) DeleteGroup(ctx context.Context, actor access.Actor, o id.Org, g id.Group) error {
	return d.changeGroup(ctx, actor, o, g, audit.GroupDeleted, func(tx sqldb.Tx, before access.OrgGroup) (map[string]any, error) {
		return map[string]any{"name": before.Name, "customers": before.Customers, "people": before.People}, access.DeleteGroup(tx, o, g)
	})
}

// Grouped are organisations and people that go into a group or out of it.
type Grouped struct {
	Customers []id.Org
	People    []id.Account
}

// AddToGroup puts organisations and people into a group, from the next request on. Only children of the organisation and its own people
// get in: for any other id nothing is written, and the refusal is Forbidden.
func (d *Directory) AddToGroup(ctx context.Context, actor access.Actor, o id.Org, g id.Group, in Grouped) error {
	return d.changeGroup(ctx, actor, o, g, audit.GroupChanged, func(tx sqldb.Tx, _ access.OrgGroup) (map[string]any, error) {
		return moveGrouped("added", in, func(c id.Org) (bool, error) { return access.AddCustomer(tx, o, g, c) },
			func(a id.Account) (bool, error) { return d.intoGroup(tx, o, g, a) })
	})
}

// RemoveFromGroup takes organisations and people out of a group, from the next request on.
func (d *Directory) RemoveFromGroup(ctx context.Context, actor access.Actor, o id.Org, g id.Group, in Grouped) error {
	return d.changeGroup(ctx, actor, o, g, audit.GroupChanged, func(tx sqldb.Tx, _ access.OrgGroup) (map[string]any, error) {
		return moveGrouped("removed", in, func(c id.Org) (bool, error) { return access.RemoveCustomer(tx, o, g, c) },
			func(a id.Account) (bool, error) { return access.RemovePerson(tx, o, g, a) })
	})
}

// intoGroup puts an account of the organisation into one of its groups.
func (d *Directory) intoGroup(tx sqldb.Tx, o id.Org, g id.Group, a id.Account) (bool, error) {
	if _, err := Find(tx, o, a); err != nil {
		if refusal.Is(err, refusal.NotFound) {
			return false, deniedRole("groups.gone")
		}
		return false, err
	}
	return access.AddPerson(tx, o, g, a)
}

// changeGroup runs a change of one group and records the facts that it returns; nil facts mean that nothing changed.
func (d *Directory) changeGroup(ctx context.Context, actor access.Actor, o id.Org, g id.Group, action audit.Action,
	change func(tx sqldb.Tx, before access.OrgGroup) (map[string]any, error)) error {
	return d.Book.Do(ctx, actor, action, func(tx sqldb.Tx) error {
		if err := d.requireGroups(tx, actor, o); err != nil {
			return err
		}
		before, err := access.FindGroup(tx, o, g)
		if err != nil {
			return err
		}
		facts, err := change(tx, before)
		if err != nil || facts == nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: action, Actor: actor, Target: audit.TargetOf(g), Data: facts})
	})
}

func moveGrouped(word string, in Grouped, customer func(id.Org) (bool, error), person func(id.Account) (bool, error)) (map[string]any, error) {
	if len(in.Customers)+len(in.People) == 0 {
		return nil, refusal.New(refusal.Conflict, "groups.nothing")
	}
	if len(in.Customers)+len(in.People) > MostGrouped {
		return nil, refusal.New(refusal.Conflict, "groups.too_many", "Most", MostGrouped)
	}
	var customers, people []string
	for _, c := range in.Customers {
		moved, err := customer(c)
		if err != nil {
			return nil, err
		}
		if moved {
			customers = append(customers, string(c))
		}
	}
	for _, a := range in.People {
		moved, err := person(a)
		if err != nil {
			return nil, err
		}
		if moved {
			people = append(people, string(a))
		}
	}
	if len(customers)+len(people) == 0 {
		return nil, nil
	}
	return map[string]any{word + "_customers": customers, word + "_people": people}, nil
}

// checkGroups returns groups that someone who is invited may be put into, each once. It refuses who may not manage groups, and groups of
// others like those that do not exist.
func (d *Directory) checkGroups(tx sqldb.Tx, actor access.Actor, o id.Org, groups []id.Group) ([]id.Group, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	if err := d.requireGroups(tx, actor, o); err != nil {
		return nil, err
	}
	there, err := access.Groups(tx, o)
	if err != nil {
		return nil, err
	}
	var list []id.Group
	for _, g := range groups {
		if !slices.ContainsFunc(there, func(t access.OrgGroup) bool { return t.ID == g }) {
			return nil, deniedRole("groups.gone")
		}
		if !slices.Contains(list, g) {
			list = append(list, g)
		}
	}
	return list, nil
}

// Member is an organisation or a person on a group's page.
type Member struct {
	ID   string
	Name string // may be empty for a person
	Note string // tenant domain, or address
}

func scanMember(row sqldb.Row) (m Member, err error) { return m, row(&m.ID, &m.Name, &m.Note) }

// GroupCustomers returns the organisations of a group in the order of their tenant domains, those after the one given, and the last one's
// when there are more.
func GroupCustomers(tx sqldb.Tx, g id.Group, after string, most int) ([]Member, string, error) {
	list, err := sqldb.All(tx, scanMember, `select o.id, o.name, o.slug from org_group_orgs m join orgs o on o.id = m.member_id
		where m.group_id = $1 and o.slug_key > $2 order by o.slug_key limit $3`, g, after, most+1)
	return stretch(list, most, err)
}

// GroupPeople returns the people of a group by address, those after the one given, and the last one's when there are more.
func GroupPeople(tx sqldb.Tx, g id.Group, after string, most int) ([]Member, string, error) {
	list, err := sqldb.All(tx, scanMember, `select a.id, a.name, a.email_key from org_group_accounts m join accounts a on a.id = m.account_id
		where m.group_id = $1 and a.email_key > $2 order by a.email_key limit $3`, g, after, most+1)
	return stretch(list, most, err)
}

// stretch cuts a list that was read with one too many.
func stretch(list []Member, most int, err error) ([]Member, string, error) {
	if len(list) <= most {
		return list, "", err
	}
	return list[:most], list[most-1].Note, err
}

// FindCustomers returns organisations under o whose name begins with search and that are not in the group, by name.
func FindCustomers(tx sqldb.Tx, o id.Org, g id.Group, search string, most int) ([]Member, error) {
	key := org.Fold(search)
	return sqldb.All(tx, scanMember, `select o.id, o.name, o.slug from orgs o join org_nodes n on n.id = o.id
		where n.parent_id = $1 and o.name_key >= $2 and o.name_key < $3 and not exists
		(select 1 from org_group_orgs m where m.group_id = $4 and m.member_id = o.id) order by o.name_key, o.id limit $5`,
		o, key, key+"\U0010ffff", g, most)
}

// FindGroupable returns people of o whose address begins with search, who hold one of these roles and are not in the group, by address.
func FindGroupable(tx sqldb.Tx, o id.Org, g id.Group, search string, roles []string, most int) ([]Member, error) {
	if len(roles) == 0 {
		return nil, nil
	}
	key := org.Fold(search)
	args := []any{o, key, key + "\U0010ffff", g}
	in := ""
	for i, r := range roles {
		if i > 0 {
			in += ", "
		}
		args = append(args, r)
		in += `$` + strconv.Itoa(len(args))
	}
	args = append(args, most)
	return sqldb.All(tx, scanMember, `select a.id, a.name, a.email_key from accounts a
		where a.org_id = $1 and a.email_key >= $2 and a.email_key < $3 and not exists
		(select 1 from org_group_accounts m where m.group_id = $4 and m.account_id = a.id)
		and exists (select 1 from assignments s where s.account_id = a.id and s.org_id = a.org_id and s.role in (`+in+`))
		order by a.email_key limit $`+strconv.Itoa(len(args)), args...)
}
