package console

import (
	"maps"
	"net/http"
	"slices"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

const orgsPerPage = 50

// orgsDoc is the list of the organisations below one.
type orgsDoc struct {
	page.Base
	listing
	Orgs     []orgRow
	Kind     access.OrgKind // of the one they are below
	Query    string
	States   []page.Option
	Kinds    []page.Option // none below an MSP: all are customers
	Tags     []page.Option // none where there are none
	Groups   []page.Option // none where there are none
	Sorts    []page.Option
	Filtered bool
	All      string // the plain list
	Next     string
	New      string // empty for who may not make one
	Moves    string // empty for who may do nothing about moves
}

// Head returns the head of a column that sorts.
func (d *orgsDoc) Head(order, label string) *page.Column {
	return d.head(&d.Base, order, label, order != string(org.ByName))
}

// orgRow is a line of the list, or of the tree that the provider's list unfolds into.
type orgRow struct {
	org.Listed
	Toggle string // unfolds what is below it, or folds it; empty: nothing is below
	Open   bool
	Child  bool
	All    string // instead of an organisation: the list of all that are below the one above
	Of     string // whose
}

// Seats is its limit and use.
func (o orgRow) Seats() license.Seats { return license.Seats{Limit: o.Limit, Used: o.Used} }

// Tally is how its people stood when they were last judged.
func (o orgRow) Tally() signin.Tally {
	h := o.Health
	return signin.Tally{People: h.People, Covered: h.Covered, Pending: h.Pending, Overdue: h.Overdue, Exempt: h.Exempt}
}

// groupsOf returns whose groups limit the organisations that are listed; empty when nothing does. Who sees none, whatever group they are
// in, is limited to the groups of nobody.
func groupsOf(v visit) id.Account {
	switch {
	case !v.Rights.SeesBelow():
		return "nobody"
	case v.Rights.GroupsOnly():
		return v.Account.ID
	}
	return ""
}

func (c *Console) orgs(w http.ResponseWriter, r *http.Request, v visit) error {
	if v.About.Kind == access.Customer {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	q := r.URL.Query()
	doc := &orgsDoc{Base: c.base(v, "orgs", "orgs.title."+string(v.About.Kind)), listing: listed(q, string(org.ByName), "q", "state", "kind", "tag", "group"),
		Kind: v.About.Kind, All: v.path("orgs")}
	doc.Query = doc.query.Get("q")
	f := org.Filter{Search: doc.Query, State: access.State(doc.query.Get("state")), Kind: access.OrgKind(doc.query.Get("kind")), Tag: doc.query.Get("tag"), Group: id.Group(doc.query.Get("group")),
		Groups: groupsOf(v), Order: org.Order(doc.sort), After: q.Get("after"), Most: orgsPerPage}
	tx := c.DB.Read(r.Context())
	list, next, err := org.List(tx, v.About.ID, f)
	if err != nil {
		return err
	}
	if err := doc.unfold(tx, list, q["open"], f.Groups); err != nil {
		return err
	}
	groups, err := c.groupsShown(tx, v)
	if err != nil {
		return err
	}
	tags, err := org.TagsBelow(tx, v.About.ID, f.Groups)
	if err != nil {
		return err
	}
	doc.offer(f, groups, tags)
	if next != "" {
		doc.Next = doc.with("after", next)
	}
	if v.Rights.May(access.OrgCreate) {
		doc.New = v.path("orgs/new")
	}
	if account.SeesMoves(v.Rights) {
		doc.Moves = v.path("move")
	}
	return c.pages.Render(w, r, http.StatusOK, "orgs", doc)
}

const (
	mostOpen     = 10 // branches of the tree at once
	branchLength = 20
)

// unfold sets the lines: an MSP whose tenant domain is among the open ones is followed by its customers, the first of them.
func (d *orgsDoc) unfold(tx sqldb.Tx, list []org.Listed, open []string, groups id.Account) error {
	open = open[:min(len(open), mostOpen)]
	for _, o := range list {
		row := orgRow{Listed: o, Open: slices.Contains(open, o.Slug)}
		if o.Kind == access.MSP && o.Below > 0 {
			others := slices.DeleteFunc(slices.Clone(open), func(slug string) bool { return slug == o.Slug })
			if !row.Open {
				others = append(others, o.Slug)
			}
			row.Toggle = d.unfolded(others) + "#" + o.Slug
		}
		d.Orgs = append(d.Orgs, row)
		if !row.Open || row.Toggle == "" {
			continue
		}
		below, next, err := org.List(tx, o.ID, org.Filter{Groups: groups, Most: branchLength})
		if err != nil {
			return err
		}
		for _, b := range below {
			d.Orgs = append(d.Orgs, orgRow{Listed: b, Child: true})
		}
		if next != "" {
			d.Orgs = append(d.Orgs, orgRow{Child: true, All: o.ListPath(), Of: o.Name})
		}
	}
	return nil
}

// unfolded is the address of the list as it is, with other branches open.
func (l listing) unfolded(open []string) string {
	q := maps.Clone(l.query)
	q["open"] = open
	return "?" + q.Encode()
}

// groupsShown returns the groups that a visitor may look into: their own where nothing else is seen.
func (c *Console) groupsShown(tx sqldb.Tx, v visit) ([]access.OrgGroup, error) {
	if v.Rights.GroupsOnly() {
		return access.GroupsOf(tx, v.About.ID, v.Account.ID)
	}
	return access.Groups(tx, v.About.ID)
}

// offer sets what can be chosen.
func (d *orgsDoc) offer(f org.Filter, groups []access.OrgGroup, tags []string) {
	d.States = chosen(string(f.State), page.Option{Value: "", Key: "users.state.any"}, page.Option{Value: string(access.Active), Key: "orgs.state.active"},
		page.Option{Value: string(access.Suspended), Key: "orgs.state.suspended"}, page.Option{Value: string(access.Deleting), Key: "orgs.state.deleting"})
	if d.Kind == access.Provider {
		d.Kinds = chosen(string(f.Kind), page.Option{Value: "", Key: "users.state.any"}, page.Option{Value: string(access.MSP), Key: "org.kind.msp"},
			page.Option{Value: string(access.Customer), Key: "org.kind.customer"})
	}
	if len(groups) > 0 {
		d.Groups = []page.Option{{Value: "", Key: "users.state.any"}}
		for _, g := range groups {
			d.Groups = append(d.Groups, page.Option{Value: string(g.ID), Text: g.Name})
		}
		chosen(string(f.Group), d.Groups...)
	}
	if len(tags) > 0 {
		d.Tags = []page.Option{{Value: "", Key: "users.state.any"}}
		for _, t := range tags {
			d.Tags = append(d.Tags, page.Option{Value: t, Text: t})
		}
		chosen(f.Tag, d.Tags...)
	}
	d.Sorts = chosen(d.sort, page.Option{Value: string(org.ByName), Key: "users.sort.name"}, page.Option{Value: string(org.ByName.Down()), Key: "users.sort.name_down"},
		page.Option{Value: string(org.BySeats.Down()), Key: "orgs.sort.seats_down"}, page.Option{Value: string(org.BySeats), Key: "orgs.sort.seats"},
		page.Option{Value: string(org.ByCreated.Down()), Key: "users.sort.created_down"}, page.Option{Value: string(org.ByCreated), Key: "users.sort.created"})
	d.Filtered = d.Query != "" || f.State != "" || f.Kind != "" || f.Tag != "" || f.Group != "" || f.After != ""
}
