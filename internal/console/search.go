package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

// hitsShown is how many of each kind a search shows.
const hitsShown = 8

// searchDoc is what a search found; the top bar's panel takes its results out of this page.
type searchDoc struct {
	page.Base
	Query  string
	pages  []page.NavItem
	Orgs   []placeRow
	More   string // the chooser, when there are more
	People []personHit
	Unseen bool // people below are not searched: the session has no second factor
}

// personHit is a person who was found.
type personHit struct {
	account.Account
	Href string
	Org  string // empty in the organisation that the page is about
}

// Mark is the letter of the tile.
func (h personHit) Mark() string { return page.Me{Name: h.Name, Email: h.Email}.Initial() }

// Pages returns the pages whose name has a word that begins with what is searched; all of them when that is nothing.
func (d *searchDoc) Pages() (list []page.NavItem) {
	sought := org.Fold(d.Query)
	for _, p := range d.pages {
		if strings.Contains(" "+org.Fold(d.Name(p)), " "+sought) {
			list = append(list, p)
		}
	}
	return list
}

// Count is how many hits there are.
func (d *searchDoc) Count() int { return len(d.Pages()) + len(d.Orgs) + len(d.People) }

// search finds pages, organisations and people, as far as the visitor may see them.
func (c *Console) search(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query().Get("q")
	if !plainText(q, 200) {
		return refusal.New(refusal.Invalid, "error.query")
	}
	doc := &searchDoc{Base: c.base(v, "search", "search.title"), Query: strings.Join(strings.Fields(q), " "), pages: c.destinations(v)}
	if doc.Query == "" {
		return c.pages.Render(w, r, http.StatusOK, "search", doc)
	}
	tx := c.DB.Read(r.Context())
	if err := c.findPeople(tx, v, doc); err != nil {
		return err
	}
	p, err := c.Desk.Places(r.Context(), v.Visitor, doc.Query, "")
	if err != nil {
		return err
	}
	if v.Session.Via != "" {
		p = signin.Places{} // only the way back home, which the strip has
	}
	if home := v.Visitor.Org; home.ID != v.About.ID && home.Begins(doc.Query) {
		doc.Orgs = append(doc.Orgs, rowOf(signin.Place{Org: home}))
	}
	for _, l := range p.Linked {
		doc.Orgs = append(doc.Orgs, rowOf(l))
	}
	for _, o := range p.Below.Orgs {
		doc.Orgs = append(doc.Orgs, rowOf(signin.Place{Org: o}))
	}
	if len(doc.Orgs) > hitsShown || p.Below.Next != "" {
		doc.Orgs = doc.Orgs[:min(len(doc.Orgs), hitsShown)]
		doc.More = signin.ChoosePath + "?" + url.Values{"q": {doc.Query}}.Encode()
	}
	return c.pages.Render(w, r, http.StatusOK, "search", doc)
}

// findPeople looks in the organisation that the page is about, then at home, then below home. Who came with less than a second factor sees nobody
// below: what the organisations there ask of a sign-in is not known to be met.
func (c *Console) findPeople(tx sqldb.Tx, v visit, doc *searchDoc) error {
	home, rights := v.Visitor.Org, v.Rights
	if home.ID != v.About.ID {
		var err error
		if rights, err = c.Guard.Rights(tx, v.Actor, home.ID); err != nil {
			return err
		}
	}
	add := func(a account.Account, name, slug string) {
		if len(doc.People) >= hitsShown || slices.ContainsFunc(doc.People, func(h personHit) bool { return h.ID == a.ID }) {
			return
		}
		h := personHit{Account: a, Href: "/o/" + slug + "/users/" + string(a.ID), Org: name}
		if a.Org == v.About.ID {
			h.Org = ""
		}
		doc.People = append(doc.People, h)
	}
	within := func(r access.Rights, o org.Org) error {
		if !r.May(access.PeopleView) {
			return nil
		}
		list, _, err := account.People(tx, o.ID, account.Filter{Search: doc.Query, Most: hitsShown})
		for _, l := range list {
			add(l.Account, o.Name, o.Slug)
		}
		return err
	}
	if err := within(v.Rights, v.About); err != nil {
		return err
	}
	if home.ID != v.About.ID {
		if err := within(rights, home); err != nil {
			return err
		}
	}
	if !rights.MayBelow(access.PeopleView) || len(doc.People) >= hitsShown {
		return nil
	}
	if doc.Unseen = !slices.Contains(v.Session.AMR, "mfa"); doc.Unseen {
		return nil
	}
	groups := v.Account.ID
	if !rights.GroupsOnlyTo(access.PeopleView) {
		groups = ""
	}
	list, err := account.Search(tx, home.ID, groups, doc.Query, hitsShown)
	for _, f := range list {
		add(f.Account, f.OrgName, f.OrgSlug)
	}
	return err
}

// doings are the pages that the navigation does not have, since they are reached from others.
func doings(v visit) []doing {
	return []doing{
		{access.PeopleInvite, "users.invite.title", "users/invite", "people", ""},
		{access.PeopleImport, "csv.import.title", "users/import", "people", ""},
		{access.PeopleExport, "csv.export.title", "users/export", "people", ""},
		{access.OrgCreate, "org.new.title." + string(v.About.Kind), "orgs/new", "building", access.Customer},
		{access.RoleDefine, "roles.new", "roles/new", "star", ""},
		{access.OrgEdit, "branding.title", "settings/branding", "gear", ""},
	}
}

type doing struct {
	permission access.Permission
	key, path  string
	icon       string
	not        access.OrgKind
}

// destinations are the pages that a search finds by their names: those of the navigation, and what is done from them.
func (c *Console) destinations(v visit) []page.NavItem {
	list := c.nav(v, "")
	for _, d := range doings(v) {
		if v.Rights.May(d.permission) && v.About.Kind != d.not {
			list = append(list, page.NavItem{Key: d.key, Href: v.path(d.path), Icon: d.icon})
		}
	}
	return list
}
