package console

import (
	"net/http"
	"net/url"
	"strings"

	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

// The addresses that go into a linked account and back out of it.
const (
	enterPath = "/me/enter"
	leavePath = "/me/leave"
)

// chooserDoc asks someone signed in where they want to go.
type chooserDoc struct {
	page.Base
	Home   org.Org
	Groups []placeGroup
	Query  string
	Many   bool // there is something to search
	Next   string
	Two    bool // the question is in which of two ways
}

// placeGroup is some places under one heading, a catalogue key.
type placeGroup struct {
	Title string
	Rows  []placeRow
}

// placeRow is a place to go to: a link, or a button that goes into a linked account or back from it.
type placeRow struct {
	org.Org
	Href       string
	Post       string
	As         string // name of the linked account
	Technician bool   // the other of two ways
}

// Mark is the letter of the tile.
func (r placeRow) Mark() string { return page.Brand{Name: r.Name}.Initial() }

func rowOf(p signin.Place) placeRow {
	if p.As.ID != "" {
		return placeRow{Org: p.Org, Post: enterPath, As: p.As.Shown()}
	}
	return placeRow{Org: p.Org, Href: p.Org.HomePath()}
}

func (d *chooserDoc) add(title string, places ...signin.Place) {
	g := placeGroup{Title: title}
	for _, p := range places {
		g.Rows = append(g.Rows, rowOf(p))
	}
	if len(g.Rows) > 0 {
		d.Groups = append(d.Groups, g)
	}
}

// choose shows where someone can go; with to, a path into an organisation that can be entered in two ways, it asks which.
func (c *Console) choose(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	search, after := q.Get("q"), q.Get("after")
	if !plainText(search, 200) || !plainText(after, 500) {
		return refusal.New(refusal.Invalid, "error.query")
	}
	doc := &chooserDoc{Base: c.base(v, "login.chooser", "choose.title"), Query: strings.TrimSpace(search), Home: v.Visitor.Org}
	doc.Layout, doc.Wide, doc.Notices, doc.Strip = page.LayoutCard, true, nil, nil
	if err := c.twoWays(r, v, doc, page.LocalPath(q.Get("to"))); err != nil || doc.Two {
		if err != nil {
			return err
		}
		return c.pages.Render(w, r, http.StatusOK, "login.chooser", doc)
	}
	p, err := c.Desk.Places(r.Context(), v.Visitor, search, after)
	if err != nil {
		return err
	}
	doc.Home, doc.Many = p.Home, p.Many
	switch {
	case v.Session.Via != "":
		doc.Groups = []placeGroup{{Title: "choose.own", Rows: []placeRow{{Org: p.Home, Post: leavePath}}}}
	case doc.Query == "" && after == "":
		doc.add("choose.own", signin.Place{Org: p.Home})
	}
	if p.Below.Next != "" || len(p.Below.Orgs) > len(p.Recent) { // where the list below shows no more, it is enough
		doc.add("page.recent", p.Recent...)
	}
	doc.add("choose.linked", p.Linked...)
	below := make([]signin.Place, 0, len(p.Below.Orgs))
	for _, o := range p.Below.Orgs {
		below = append(below, signin.Place{Org: o})
	}
	doc.add("orgs.title."+string(v.Visitor.Org.Kind), below...)
	if p.Below.Next != "" {
		doc.Next = "?" + url.Values{"q": {search}, "after": {p.Below.Next}}.Encode()
	}
	return c.pages.Render(w, r, http.StatusOK, "login.chooser", doc)
}

// twoWays makes it the question how to go into the organisation that a path leads into, if there are two ways.
func (c *Console) twoWays(r *http.Request, v visit, doc *chooserDoc, to string) error {
	rest, ok := strings.CutPrefix(to, "/o/")
	if !ok {
		return nil
	}
	slug, _, _ := strings.Cut(rest, "/")
	p, both, err := c.Desk.Ways(r.Context(), v.Visitor, slug)
	if err != nil || !both {
		return err
	}
	doc.Two, doc.Title, doc.TitleArgs = true, "choose.two.title", []any{"Organisation", p.Org.Name}
	linked := rowOf(p)
	doc.Groups = []placeGroup{{Rows: []placeRow{{Org: p.Org, Href: to, Technician: true}, linked}}}
	return nil
}

// menu is the organisation switcher of the console's top bar, nil for who has nowhere else to go.
func (c *Console) menu(r *http.Request, v visit) (*page.OrgMenu, error) {
	recent, more, err := c.Desk.Menu(r.Context(), v.Visitor)
	if err != nil || !more {
		return nil, err
	}
	if v.Session.Via != "" {
		return &page.OrgMenu{Recent: []page.NavItem{{Text: v.About.Name, Href: v.About.HomePath(), Current: true}, {Text: v.HomeOrg.Name, Post: leavePath}}}, nil
	}
	home := v.Visitor.Org
	m := &page.OrgMenu{All: signin.ChoosePath, Recent: []page.NavItem{{Text: home.Name, Href: home.HomePath(), Current: v.About.ID == home.ID}}}
	for _, p := range recent {
		item := page.NavItem{Text: p.Org.Name, Href: p.Org.HomePath(), Current: v.About.ID == p.Org.ID}
		if p.As.ID != "" {
			item.Post, item.Slug = enterPath, p.Org.Slug
		}
		m.Recent = append(m.Recent, item)
	}
	return m, nil
}
