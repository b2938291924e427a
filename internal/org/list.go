package org

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Listed is an organisation in the list of those below one, with the figures that its parent looks at.
type Listed struct {
	ID      id.Org
	Kind    access.OrgKind
	State   access.State
	Slug    string
	Name    string
	Created time.Time
	Limit   int // of seats; -1: none
	Used    int // seats
	Below   int // organisations directly below it
	Tags    []string
	Leads   Leading
	Health  Health
}

// Leading is whether an organisation can work by itself.
type Leading int

// The stages, by its administrators.
const (
	NobodyLeads   Leading = iota // none, or all are disabled
	LeaderAwaited                // one is invited
	Led                          // one is active
)

// HomePath is the path of the organisation's dashboard.
func (l Listed) HomePath() string { return Org{Slug: l.Slug}.HomePath() }

// ListPath is the path of the list of the organisations below it.
func (l Listed) ListPath() string { return l.HomePath() + "orgs" }

// Health is what the rules about second factors found when they last judged an organisation's people (signin.Health).
type Health struct {
	People, Covered, Pending, Overdue, Exempt int

	LastSignIn time.Time // of anybody; zero: never
	Judged     time.Time // zero: never, and nothing else counts
}

// Order is what the list is sorted by, descending with a minus sign before it.
type Order string

// The orders. Between equal ones the id decides.
const (
	ByName    Order = "name"
	ByCreated Order = "created"
	BySeats   Order = "seats" // in use
)

// Orders lists them, each ascending.
var Orders = []Order{ByName, ByCreated, BySeats}

// Down is the same order descending.
func (o Order) Down() Order { return "-" + o }

// Filter narrows the list; what is empty does not. After is List's mark of the page before, with the same filter.
type Filter struct {
	Search string // beginning of the name, of a word in it, or of the tenant domain
	State  access.State
	Kind   access.OrgKind
	Tag    string     // those that have it, however it is spelled
	Group  id.Group   // those in it alone
	Groups id.Account // those in a group of this account alone (access.Rights.GroupsOnly)
	Order  Order      // ByName when empty
	After  string
	Most   int
}

// scope is what a mark is good for.
func (f Filter) scope(parent id.Org) string {
	return strings.Join([]string{"orgs", string(parent), string(f.Order), f.Search, string(f.State), string(f.Kind), f.Tag, string(f.Group), string(f.Groups)}, "\x00")
}

// check returns a refusal of a filter that no page of ours asks for.
func (f Filter) check() error {
	plain := func(s string) bool { return len(s) <= 254 && utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
	ok := plain(f.Search) && plain(f.Tag) && slices.Contains([]access.State{"", access.Active, access.Suspended, access.Deleting}, f.State) &&
		slices.Contains([]access.OrgKind{"", access.MSP, access.Customer}, f.Kind)
	if _, is := id.Parse[id.Group](string(f.Group)); f.Group != "" && !is {
		ok = false
	}
	if !ok {
		return refusal.New(refusal.Invalid, "error.query")
	}
	return nil
}

// orders says how each order is read. The index of all names is no help: of its rows only few are below one parent.
var orders = map[Order]struct {
	key string
	of  func(Listed) string
	n   bool // it is a number
}{
	ByName:    {`o.name_key || ''`, func(l Listed) string { return Fold(l.Name) }, false},
	ByCreated: {`o.created_at`, func(l Listed) string { return strconv.FormatInt(sqldb.Micros(l.Created), 10) }, true},
	BySeats:   {`coalesce(s.used, 0)`, func(l Listed) string { return strconv.Itoa(l.Used) }, true},
}

func scanListed(row sqldb.Row) (l Listed, err error) {
	return l, row(&l.ID, &l.Kind, &l.State, &l.Slug, &l.Name, sqldb.Time(&l.Created), &l.Limit, &l.Used, &l.Below, &l.Leads, &l.Health.People, &l.Health.Covered,
		&l.Health.Pending, &l.Health.Overdue, &l.Health.Exempt, sqldb.Time(&l.Health.LastSignIn), sqldb.Time(&l.Health.Judged))
}

// List returns a page of the organisations directly below parent, and the mark of the next page; it is empty at the end. What the filter does not
// know and a mark of another list are Invalid refusals. The children are found through their parent, narrowed and sorted, a few microseconds each;
// the figures are read in the same statement for the rows of the page alone.
func List(tx sqldb.Tx, parent id.Org, f Filter) (list []Listed, next string, err error) {
	if err := f.check(); err != nil {
		return nil, "", err
	}
	if f.Order == "" {
		f.Order = ByName
	}
	by, down := strings.CutPrefix(string(f.Order), "-")
	order, ok := orders[Order(by)]
	if !ok {
		return nil, "", refusal.New(refusal.Invalid, "error.query")
	}
	than, direction := `>`, ``
	from, after := any(""), ""
	if order.n {
		from = int64(-1)
	}
	if down {
		than, direction = `<`, ` desc`
		from, after = "\U0010ffff", "\U0010ffff"
		if order.n {
			from = int64(1<<63 - 1)
		}
	}
	if f.After != "" {
		keys, ok := sqldb.Unmark(f.scope(parent), f.After, 2)
		if !ok {
			return nil, "", refusal.New(refusal.Invalid, "error.query")
		}
		from, after = keys[0], keys[1]
		if order.n {
			if from, err = strconv.ParseInt(keys[0], 10, 64); err != nil {
				return nil, "", refusal.New(refusal.Invalid, "error.query")
			}
		}
	}
	key := Fold(strings.Join(strings.Fields(f.Search), " "))
	list, err = sqldb.All(tx, scanListed, `select n.id, n.kind, n.state, o.slug, o.name, o.created_at, coalesce(s.seat_limit, -1), coalesce(s.used, 0),
		(select count(*) from org_nodes c where c.parent_id = n.id),
		coalesce((select max(case a.state when 'active' then 2 when 'invited' then 1 else 0 end) from assignments r join accounts a on a.id = r.account_id
			where r.org_id = n.id and r.role = 'administrator'), 0), coalesce(h.people, 0), coalesce(h.covered, 0), coalesce(h.pending, 0),
		coalesce(h.overdue, 0), coalesce(h.exempt, 0), coalesce(h.last_sign_in_at, 0), coalesce(h.judged_at, 0)
		from (select n.id as found, `+order.key+` as place from org_nodes n join orgs o on o.id = n.id left join seats s on s.org_id = n.id where n.parent_id = $1
			and ($2 = '' or n.state = $2) and ($3 = '' or n.kind = $3)
			and ($4 = '' or n.id in (select member_id from org_group_orgs where group_id = $4))
			and ($5 = '' or n.id in (select go.member_id from org_group_accounts ga join org_group_orgs go on go.group_id = ga.group_id where ga.account_id = $5))
			and ($6 = '' or n.id in (select org_id from org_tags where tag_key = $6))
			and ($7 = '' or o.slug_key >= $7 and o.slug_key < $8 or ' ' || o.name_key like $9 escape '\')
			and (`+order.key+` `+than+` $10 or `+order.key+` = $10 and n.id `+than+` $11)
			order by `+order.key+direction+`, n.id`+direction+` limit $12) sifted
		join org_nodes n on n.id = found join orgs o on o.id = found left join seats s on s.org_id = found left join org_health h on h.org_id = found
		order by place`+direction+`, found`+direction,
		parent, f.State, f.Kind, f.Group, f.Groups, Fold(strings.Join(strings.Fields(f.Tag), " ")), key, key+"\U0010ffff", sqldb.Beginning(key), from, after, f.Most+1)
	if err != nil || len(list) == 0 {
		return nil, "", err
	}
	if len(list) > f.Most {
		list = list[:f.Most]
		last := list[f.Most-1]
		next = sqldb.Mark(f.scope(parent), order.of(last), string(last.ID))
	}
	return list, next, tag(tx, list, f.Most)
}

// tag adds the tags of a page in one statement. It names as many organisations as a full page has, so that its text does not depend on how full
// it is.
func tag(tx sqldb.Tx, list []Listed, most int) error {
	args, in := make([]any, most), make([]string, most)
	for i := range most {
		args[i], in[i] = list[min(i, len(list)-1)].ID, `$`+strconv.Itoa(i+1)
	}
	type row struct {
		org id.Org
		tag string
	}
	tags, err := sqldb.All(tx, func(scan sqldb.Row) (r row, err error) { return r, scan(&r.org, &r.tag) },
		`select org_id, tag from org_tags where org_id in (`+strings.Join(in, `, `)+`) order by org_id, tag_key`, args...)
	of := map[id.Org][]string{}
	for _, t := range tags {
		of[t.org] = append(of[t.org], t.tag)
	}
	for i := range list {
		list[i].Tags = of[list[i].ID]
	}
	return err
}

// mostTagsBelow is how many tags TagsBelow returns.
const mostTagsBelow = 200

// TagsBelow returns the tags of the organisations directly below parent in the order of their folded form, each once; groups limits them to the
// organisations in the groups of that account.
func TagsBelow(tx sqldb.Tx, parent id.Org, groups id.Account) ([]string, error) {
	return sqldb.All(tx, sqldb.Value[string], `select min(t.tag) from org_nodes n join org_tags t on t.org_id = n.id where n.parent_id = $1
		and ($2 = '' or n.id in (select go.member_id from org_group_accounts ga join org_group_orgs go on go.group_id = ga.group_id where ga.account_id = $2))
		group by t.tag_key order by t.tag_key limit $3`, parent, groups, mostTagsBelow)
}

// HealthOf returns what the rules found when they last judged an organisation's people; its Judged is zero when they never did.
func HealthOf(tx sqldb.Tx, o id.Org) (Health, error) {
	h, err := sqldb.One(tx, func(row sqldb.Row) (h Health, err error) {
		return h, row(&h.People, &h.Covered, &h.Pending, &h.Overdue, &h.Exempt, sqldb.Time(&h.LastSignIn), sqldb.Time(&h.Judged))
	}, `select people, covered, pending, overdue, exempt, last_sign_in_at, judged_at from org_health where org_id = $1`, o)
	if errors.Is(err, sqldb.ErrNone) {
		return h, nil
	}
	return h, err
}
