package org

import (
	"strconv"
	"strings"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// Below returns the organisations anywhere under top whose name or tenant domain begins with search, in the order of their names, those after the
// one named by after. groups limits them to the groups of that account (access.Rights.GroupsOnly).
//
// In the whole installation they are read along the index of the names, until the page is full; those under an MSP are found through the tree.
func Below(tx sqldb.Tx, top id.Org, groups id.Account, search, after string, most int) (Page, error) {
	node, err := access.Find(tx, top)
	if err != nil {
		return Page{}, err
	}
	b := under(top, groups)
	if node.Parent == "" {
		b = everywhere(top, groups)
	}
	name, last, _ := strings.Cut(after, "\x1f")
	n, o := b.arg(name), b.arg(last)
	b.where += ` and o.name_key >= ` + n + ` and (o.name_key > ` + n + ` or o.id > ` + o + `)`
	if key := Fold(strings.TrimSpace(search)); key != "" {
		from, to := b.arg(key), b.arg(key+"\U0010ffff")
		b.where += ` and (o.name_key >= ` + from + ` and o.name_key < ` + to + ` or o.slug_key >= ` + from + ` and o.slug_key < ` + to + `)`
	}
	list, err := sqldb.All(tx, scan, `select `+columns+from+` where o.id in (select o.id from `+b.tables+b.where+` order by o.name_key, o.id limit `+b.arg(most+1)+`)
		order by o.name_key, o.id`, b.args...)
	p := Page{Orgs: list}
	if len(list) > most {
		p.Orgs = list[:most]
		last := p.Orgs[most-1]
		p.Next = Fold(last.Name) + "\x1f" + string(last.ID)
	}
	return p, err
}

// Among returns those of the named organisations that Below would list, by their ids.
func Among(tx sqldb.Tx, top id.Org, groups id.Account, names []id.Org) (map[id.Org]Org, error) {
	found := map[id.Org]Org{}
	if len(names) == 0 {
		return found, nil
	}
	b := under(top, groups)
	in := make([]string, 0, len(names))
	for _, n := range names {
		in = append(in, b.arg(n))
	}
	b.where += ` and t.org_id in (` + strings.Join(in, ", ") + `)`
	list, err := sqldb.All(tx, scan, `select `+columns+from+` join org_tree t on t.org_id = o.id`+b.where, b.args...)
	for _, o := range list {
		found[o.ID] = o
	}
	return found, err
}

// Begins tells whether the organisation's name or tenant domain begins with a text, as Below compares them.
func (o Org) Begins(search string) bool {
	key := Fold(strings.TrimSpace(search))
	return strings.HasPrefix(Fold(o.Name), key) || strings.HasPrefix(o.Slug, key)
}

// selection is a statement in the making that reads organisations under one.
type selection struct {
	tables string
	where  string
	args   []any
}

func under(top id.Org, groups id.Account) *selection {
	b := &selection{tables: `org_tree t join orgs o on o.id = t.org_id`}
	b.where = ` where t.ancestor_id = ` + b.arg(top) + ` and t.depth > 0`
	return b.in(groups)
}

// everywhere is under for the provider: every other organisation is.
func everywhere(top id.Org, groups id.Account) *selection {
	b := &selection{tables: `orgs o`}
	b.where = ` where o.id <> ` + b.arg(top)
	return b.in(groups)
}

func (b *selection) in(groups id.Account) *selection {
	if groups != "" {
		b.where += ` and exists (select 1 from org_group_orgs go join org_group_accounts ga on ga.group_id = go.group_id
			where go.member_id = o.id and ga.account_id = ` + b.arg(groups) + `)`
	}
	return b
}

func (b *selection) arg(v any) string {
	b.args = append(b.args, v)
	return "$" + strconv.Itoa(len(b.args))
}
