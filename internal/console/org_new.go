package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

// newOrgDoc is the form that makes an organisation.
type newOrgDoc struct {
	page.Base
	Action    string
	Back      string
	Check     string // answers whether a tenant domain is free
	Kinds     []page.Option
	Languages []page.Option
	Zones     []page.Option
	Countries []page.Option
	MaySeats  bool
	MayAdmin  bool
	Pool      license.Pool // of the MSP that it is made under
}

func (c *Console) newOrgForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showNewOrg(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showNewOrg(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	doc := &newOrgDoc{Base: c.base(v, "org.new", "org.new.title."+string(v.About.Kind)), Action: v.path("orgs/new"), Back: v.path("orgs"), Check: v.path("orgs/check"),
		Pool: license.Pool{Size: license.Unlimited}}
	doc.Form = f
	chosen := func(name, present string) string {
		if f.Values.Has(name) {
			return f.Values.Get(name)
		}
		return present
	}
	for _, k := range []access.OrgKind{access.MSP, access.Customer} {
		if v.Rights.MayCreate(k) {
			there := v.Rights.OfCreated(k)
			doc.MaySeats = doc.MaySeats || there.May(access.SeatsSet)
			doc.MayAdmin = doc.MayAdmin || there.May(access.PeopleInvite) && slices.Contains(there.Assignable(), access.Administrator)
			doc.Kinds = append(doc.Kinds, page.Option{Value: string(k), Key: "org.kind." + string(k), Hint: "org.kind." + string(k) + ".hint", Chosen: len(doc.Kinds) == 0})
		}
	}
	if len(doc.Kinds) == 0 {
		return refusal.New(refusal.Forbidden, "error.forbidden")
	}
	if v.About.Kind == access.MSP && doc.MaySeats {
		var err error
		if doc.Pool, err = license.PoolOf(c.DB.Read(r.Context()), v.About.ID); err != nil {
			return err
		}
	}
	for _, l := range locale.Languages {
		doc.Languages = append(doc.Languages, page.Option{Value: string(l), Text: l.Name(), Chosen: string(l) == chosen("language", string(v.About.Language))})
	}
	doc.Zones = zones(chosen("time_zone", v.About.TimeZone), true)
	doc.Countries = countries(chosen("country", v.About.Country))
	doc.Scripts = []string{"neworg.js", "countries.js"}
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
	var made account.Established
	if err == nil {
		made, err = c.establish(r, v, values)
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showNewOrg(w, r, v, status(w, err), page.FormOf(values, err))
	}
	o := made.Org
	seen, err := c.Guard.Rights(c.DB.Read(r.Context()), v.Actor, o.ID)
	if err != nil {
		return err
	}
	switch {
	case !seen.May(access.OrgView): // it is in no group of theirs yet
		return c.done(w, r, v.path("orgs"), "org.new.done_group", "Organisation", o.Name)
	case made.Admin.Email != "":
		return c.done(w, r, "/o/"+o.Slug+"/users", "org.new.done_admin", "Organisation", o.Name, "Email", made.Admin.Email)
	}
	return c.done(w, r, "/o/"+o.Slug+"/users/invite", "org.new.done", "Organisation", o.Name) // the next thing that it needs is its first administrator
}

func (c *Console) establish(r *http.Request, v visit, values url.Values) (account.Established, error) {
	typed, err := take(values, "kind", "name", "slug", "language", "time_zone", "country", "tags", "seat_limit", "admin")
	if err != nil {
		return account.Established{}, err
	}
	kind := access.OrgKind(typed["kind"])
	if kind == "" && v.About.Kind == access.MSP {
		kind = access.Customer
	}
	n := account.NewOrg{Admin: strings.TrimSpace(typed["admin"]), New: org.New{Kind: kind, Parent: v.About.ID, Slug: typed["slug"], Name: typed["name"],
		Language: locale.Language(typed["language"]), TimeZone: typed["time_zone"], Country: typed["country"], Tags: org.SplitTags(typed["tags"])}}
	if text := typed["seat_limit"]; trim(text) != "" {
		limit := seatsIn(text)
		n.Seats = &limit
	}
	return c.Directory.Establish(r.Context(), v.Actor, n)
}

// checkSlug answers the form's script: whether a tenant domain is free, and the sentence that says so. It says what the form's own answer would.
func (c *Console) checkSlug(w http.ResponseWriter, r *http.Request, v visit) error {
	answer := struct {
		Free bool   `json:"free"`
		Text string `json:"text"`
	}{Free: true}
	err := c.Directory.CheckSlug(r.Context(), v.Actor, v.About.ID, r.URL.Query().Get("slug"))
	e := refusal.As(err)
	switch {
	case err == nil:
		e = refusal.New(refusal.Invalid, "slug.free")
	case e == nil || e.Code != refusal.Invalid:
		return err
	default:
		answer.Free = false
	}
	answer.Text = c.Kit.Say(r, e)
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}
