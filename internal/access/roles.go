package access

import (
	"errors"
	"slices"
	"strings"
	"time"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Role is an own role: a name for permissions that an organisation chose. An assignment holds its id as the role's key.
//
// It counts in the organisation that made it and, where its makers chose so, in the organisations below that are in the holder's groups,
// as an Editor's does. It never gives more than the Administrator of that kind of organisation has there, and always the look at the
// organisation, without which nobody gets to any page.
type Role struct {
	ID          id.Role
	Org         id.Org
	Kind        OrgKind // of the organisation
	Name        string
	NameKey     string       // the form in which names are compared
	Permissions []Permission // sorted, with OrgView
	Below       bool         // also in the organisations below
	Rev         int64        // counts changes
	Created     time.Time
}

// IsOwn tells whether a role key is that of an own role.
func IsOwn(key string) bool {
	_, ok := id.Parse[id.Role](key)
	return ok
}

// Has tells whether a permission was chosen for the role.
func (r Role) Has(p Permission) bool { return slices.Contains(r.Permissions, p) }

// scope is where the role gives a permission.
func (r Role) scope(p Permission) scope {
	if !r.Has(p) {
		return 0
	}
	s := own
	if r.Below {
		s = both
	}
	return s & table[p][column{r.Kind, Administrator}]
}

// Where tells where the role gives a permission: in its own organisation, in those below.
func (r Role) Where(p Permission) (here, under bool) {
	s := r.scope(p)
	return s&own != 0, s&below != 0
}

// Definable lists the permissions that an own role of that kind of organisation can give, sorted; with under also those that count in the
// organisations below alone.
func Definable(k OrgKind, under bool) []Permission {
	return slices.DeleteFunc(Permissions(), func(p Permission) bool {
		here, low := Reach(k, Administrator, p)
		return !here && !(low && under)
	})
}

// WithLooks returns permissions, sorted and each once, with those that they are of no use without.
func WithLooks(list []Permission) []Permission {
	all := append([]Permission{OrgView}, list...)
	for _, p := range list {
		if look, ok := looks[p]; ok {
			all = append(all, look)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

const roleColumns = `r.id, r.org_id, n.kind, r.name, r.name_key, r.permissions, r.reach, r.rev, r.created_at`

const fromRoles = ` from roles r join org_nodes n on n.id = r.org_id`

func scanRole(row sqldb.Row) (r Role, err error) {
	var permissions, reach string
	err = row(&r.ID, &r.Org, &r.Kind, &r.Name, &r.NameKey, &permissions, &reach, &r.Rev, sqldb.Time(&r.Created))
	r.Permissions, r.Below = readPermissions(permissions), reach == "below"
	return r, err
}

func readPermissions(s string) (list []Permission) {
	for _, p := range strings.Fields(s) {
		list = append(list, Permission(p))
	}
	return list
}

func (r Role) written() (permissions, reach string) {
	words := make([]string, 0, len(r.Permissions))
	for _, p := range r.Permissions {
		words = append(words, string(p))
	}
	reach = "here"
	if r.Below {
		reach = "below"
	}
	return strings.Join(words, " "), reach
}

// OwnRoles returns an organisation's own roles in the order of their names.
func OwnRoles(tx sqldb.Tx, org id.Org) ([]Role, error) {
	return sqldb.All(tx, scanRole, `select `+roleColumns+fromRoles+` where r.org_id = $1 order by r.name_key`, org)
}

// FindRole returns an own role of an organisation, or a NotFound refusal, also for another organisation's.
func FindRole(tx sqldb.Tx, org id.Org, role id.Role) (Role, error) {
	r, err := sqldb.One(tx, scanRole, `select `+roleColumns+fromRoles+` where r.org_id = $1 and r.id = $2`, org, role)
	if errors.Is(err, sqldb.ErrNone) {
		return r, denied(refusal.NotFound, "error.not_found")
	}
	return r, err
}

// CreateRole writes a new own role with a new id. A name that the organisation has already breaks its unique key (sqldb.Unique).
func CreateRole(tx sqldb.Tx, now time.Time, r Role) (id.Role, error) {
	r.ID = id.New[id.Role](now)
	permissions, reach := r.written()
	_, err := tx.Exec(`insert into roles (id, org_id, name, name_key, permissions, reach, rev, created_at) values ($1, $2, $3, $4, $5, $6, 1, $7)`,
		r.ID, r.Org, r.Name, r.NameKey, permissions, reach, sqldb.Micros(now))
	return r.ID, err
}

// UpdateRole changes an own role's name, permissions and reach; false means that somebody changed it since revision r.Rev.
func UpdateRole(tx sqldb.Tx, r Role) (bool, error) {
	permissions, reach := r.written()
	n, err := tx.Exec(`update roles set name = $1, name_key = $2, permissions = $3, reach = $4, rev = rev + 1 where id = $5 and org_id = $6 and rev = $7`,
		r.Name, r.NameKey, permissions, reach, r.ID, r.Org, r.Rev)
	return n == 1, err
}

// DeleteRole deletes an own role that nobody holds, with the assignments of it that have ended, and returns how many people hold it:
// 0 means that it is gone. The caller has locked the organisation.
func DeleteRole(tx sqldb.Tx, now time.Time, org id.Org, role id.Role) (int, error) {
	n, err := Holders(tx, now, org, string(role))
	if err != nil || n > 0 {
		return n, err
	}
	if _, err := tx.Exec(`delete from assignments where org_id = $1 and role = $2`, org, role); err != nil {
		return 0, err
	}
	_, err = tx.Exec(`delete from roles where id = $1 and org_id = $2`, role, org)
	return 0, err
}

// Holders counts the people who hold a role of an organisation now.
func Holders(tx sqldb.Tx, now time.Time, org id.Org, role string) (int, error) {
	return sqldb.One(tx, sqldb.Value[int], `select count(*) from assignments where org_id = $1 and role = $2 and (expires_at = 0 or expires_at > $3)`,
		org, role, sqldb.Micros(now))
}

// HolderCounts returns how many people hold each role of an organisation now, by the role's key.
func HolderCounts(tx sqldb.Tx, now time.Time, org id.Org) (map[string]int, error) {
	type count struct {
		role string
		n    int
	}
	list, err := sqldb.All(tx, func(row sqldb.Row) (c count, err error) { return c, row(&c.role, &c.n) },
		`select role, count(*) from assignments where org_id = $1 and (expires_at = 0 or expires_at > $2) group by role`, org, sqldb.Micros(now))
	counts := map[string]int{}
	for _, c := range list {
		counts[c.role] = c.n
	}
	return counts, err
}

// RoleNames returns the names of own roles in the place of their keys; keys of built-in roles stay. It is what mails say.
func RoleNames(tx sqldb.Tx, org id.Org, keys []string) ([]string, error) {
	names := slices.Clone(keys)
	if !slices.ContainsFunc(keys, IsOwn) {
		return names, nil
	}
	list, err := OwnRoles(tx, org)
	for _, r := range list {
		for i := range names {
			if names[i] == string(r.ID) {
				names[i] = r.Name
			}
		}
	}
	return names, err
}

// CheckRoles returns role keys without repetition. Each is the key of a built-in role, or the id or NameKey of an own one. An unknown word
// is an Invalid refusal at the field "roles"; the id of a role that is not here, be it gone or another organisation's, a Forbidden one.
func (r Rights) CheckRoles(roles []string) ([]string, error) {
	var list []string
	for _, key := range roles {
		i := slices.IndexFunc(r.Own, func(o Role) bool { return key == string(o.ID) || key == o.NameKey })
		switch {
		case slices.Contains(Roles(r.Org.Kind), key):
		case i >= 0:
			key = string(r.Own[i].ID)
		case IsOwn(key):
			return nil, denied(refusal.Forbidden, "roles.gone")
		default:
			known := Roles(r.Org.Kind)
			for _, o := range r.Own {
				known = append(known, o.Name)
			}
			return nil, refusal.Field("roles", "roles.unknown", "Role", cut(key), "Known", known)
		}
		if !slices.Contains(list, key) {
			list = append(list, key)
		}
	}
	return list, nil
}

// Covers tells whether the actor has everything that a role of the organisation gives, everywhere that it does. Nobody who is bound to
// groups covers what counts below: the groups of another person may be larger.
func (r Rights) Covers(role string) bool {
	if r.all {
		return true
	}
	give := func(p Permission) scope { return table[p][column{r.Org.Kind, role}] }
	if IsOwn(role) {
		i := slices.IndexFunc(r.Own, func(o Role) bool { return string(o.ID) == role })
		if i < 0 {
			return false
		}
		give = r.Own[i].scope
	} else if !slices.Contains(Roles(r.Org.Kind), role) {
		return false
	}
	for p := range table {
		if s := give(p); s&own != 0 && !r.May(p) || s&below != 0 && !r.mayBelow(p) {
			return false
		}
	}
	return true
}

// Beyond returns those of an own role's permissions that the actor does not have everywhere where the role would give them.
func (r Rights) Beyond(role Role) []Permission {
	if r.all {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(role.Permissions), func(p Permission) bool {
		s := role.scope(p)
		return (s&own == 0 || r.May(p)) && (s&below == 0 || r.mayBelow(p))
	})
}

// mayBelow tells whether the actor has a permission in all organisations under this one, in groups or not.
func (r Rights) mayBelow(p Permission) bool {
	return slices.ContainsFunc(r.grants, func(g grant) bool {
		return g.made == nil && table[p][g.column]&below != 0 && !restricted(g.column)
	})
}

// HoldsOwn tells whether the actor's rights come from this own role, among others.
func (r Rights) HoldsOwn(role id.Role) bool {
	return slices.ContainsFunc(r.grants, func(g grant) bool { return g.made != nil && g.made.ID == role })
}

// InGroups tells whether a role of the organisation shows its holder only the organisations below that are in the holder's groups.
func (r Rights) InGroups(role string) bool {
	if IsOwn(role) {
		return slices.ContainsFunc(r.Own, func(o Role) bool { return string(o.ID) == role && o.Below })
	}
	return restricted(column{r.Org.Kind, role})
}
