package access

import "slices"

// MayBelow tells whether the actor has a permission in organisations under this one: in all of them, or with GroupsOnly in those of their groups.
func (r Rights) MayBelow(p Permission) bool {
	return r.all || slices.ContainsFunc(r.grants, func(g grant) bool {
		return g.made == nil && table[p][g.column]&below != 0 || g.made != nil && g.where == own && g.made.scope(p)&below != 0
	})
}
