package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

const orgsPerPage = 50

// orgsDoc is the list of the organisations below one.
type orgsDoc struct {
	page.Base
	Orgs     []orgRow
	Kind     access.OrgKind // of the one they are below
	Query    string
	Filtered bool
	Next     string
	New      string // empty for who may not make one
}

// orgRow is a line of the list.
type orgRow struct {
	org.Org
	Seats license.Seats
}

// groupsOf returns whose groups limit the organisations that are listed; empty when nothing does.
func groupsOf(v visit) id.Account {
	if v.Rights.GroupsOnly() {
		return v.Account.ID
	}
	return ""
}

func (c *Console) orgs(w http.ResponseWriter, r *http.Request, v visit) error {
	if v.About.Kind == access.Customer {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	q := r.URL.Query()
	search, after := q.Get("q"), q.Get("after")
	if !plainText(search, 200) || !plainText(after, 500) {
		return refusal.New(refusal.Invalid, "error.query")
	}
	tx := c.DB.Read(r.Context())
	list, err := org.Children(tx, v.About.ID, groupsOf(v), search, after, orgsPerPage)
	if err != nil {
		return err
	}
	doc := &orgsDoc{Base: c.base(v, "orgs", "orgs.title."+string(v.About.Kind)), Kind: v.About.Kind, Query: search, Filtered: search != "" || after != ""}
	for _, o := range list.Orgs {
		row := orgRow{Org: o}
		if row.Seats, err = license.SeatsOf(tx, o.ID); err != nil {
			return err
		}
		doc.Orgs = append(doc.Orgs, row)
	}
	if list.Next != "" {
		doc.Next = "?" + url.Values{"q": {search}, "after": {list.Next}}.Encode()
	}
	if v.Rights.May(access.OrgCreate) {
		doc.New = v.path("orgs/new")
	}
	return c.pages.Render(w, r, http.StatusOK, "orgs", doc)
}

// newOrgDoc is the form that makes an organisation.
type newOrgDoc struct {
	page.Base
	Action    string
	Back      string
	Kinds     []page.Option
	Languages []page.Option
	Zones     []page.Option
	Prefix    string // what stands before the tenant domain in addresses
}

func (c *Console) newOrgForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showNewOrg(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showNewOrg(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	doc := &newOrgDoc{Base: c.base(v, "org.new", "org.new.title."+string(v.About.Kind)), Action: v.path("orgs/new"), Back: v.path("orgs")}
	doc.Form = f
	for _, k := range []access.OrgKind{access.MSP, access.Customer} {
		if v.Rights.MayCreate(k) {
			doc.Kinds = append(doc.Kinds, page.Option{Value: string(k), Key: "org.kind." + string(k), Hint: "org.kind." + string(k) + ".hint", Chosen: len(doc.Kinds) == 0})
		}
	}
	if len(doc.Kinds) == 0 {
		return refusal.New(refusal.Forbidden, "error.forbidden")
	}
	for _, l := range locale.Languages {
		doc.Languages = append(doc.Languages, page.Option{Value: string(l), Text: l.Name(), Chosen: l == v.About.Language})
	}
	doc.Zones = zones(v.About.TimeZone, true)
	return c.pages.Render(w, r, status, "org.new", doc)
}

// commonZones are the time zones offered; any other that the organisation has is added.
var commonZones = []string{"UTC", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Berlin", "Europe/Zurich", "Europe/Vienna", "Europe/Paris",
	"Europe/Brussels", "Europe/Amsterdam", "Europe/Luxembourg", "Europe/Madrid", "Europe/Rome", "Europe/Stockholm", "Europe/Copenhagen", "Europe/Oslo",
	"Europe/Warsaw", "Europe/Prague", "Europe/Athens", "Europe/Helsinki", "America/New_York", "America/Chicago", "America/Denver",
	"America/Los_Angeles", "America/Toronto", "America/Sao_Paulo", "Asia/Dubai", "Asia/Kolkata", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney",
	"Pacific/Auckland"}

func zones(chosen string, required bool) []page.Option {
	var list []page.Option
	if !required {
		list = append(list, page.Option{Value: "", Key: "me.zone_org", Chosen: chosen == ""})
	}
	if chosen != "" && !slices.Contains(commonZones, chosen) {
		list = append(list, page.Option{Value: chosen, Text: chosen, Chosen: true})
	}
	for _, z := range commonZones {
		if _, err := time.LoadLocation(z); err == nil {
			list = append(list, page.Option{Value: z, Text: z, Chosen: z == chosen})
		}
	}
	return list
}

func (c *Console) newOrg(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var o org.Org
	if err == nil {
		var typed map[string]string
		if typed, err = take(values, "kind", "name", "slug", "language", "time_zone"); err == nil {
			kind := access.OrgKind(typed["kind"])
			if kind == "" && v.About.Kind == access.MSP {
				kind = access.Customer
			}
			o, err = c.Directory.CreateOrg(r.Context(), v.Actor, org.New{Kind: kind, Parent: v.About.ID, Slug: typed["slug"], Name: typed["name"],
				Language: locale.Language(typed["language"]), TimeZone: typed["time_zone"]})
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showNewOrg(w, r, v, status(w, err), page.FormOf(values, err))
	}
	// The next thing that a new organisation needs is its first administrator.
	return c.done(w, r, "/o/"+o.Slug+"/users/invite", "org.new.done", "Organisation", o.Name)
}
