package console

import (
	"net/http"
	"net/url"
	"strconv"
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

// settingsDoc is the page of an organisation's settings, and of what is done to it as a whole.
type settingsDoc struct {
	page.Base
	Org       org.Org
	At        string
	Rev       int64
	Languages []page.Option
	Zones     []page.Option
	Countries []page.Option
	Tags      string
	People    int            // who would be signed out, or gone
	Below     int            // organisations that would have to go first
	Waiting   int            // days
	Seats     *license.Seats // for who sets them

	Move string // where it is moved to another MSP; empty for who may not start that

	MayEdit, MaySuspend, MayDelete bool
}

func (c *Console) orgSettings(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showSettings(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showSettings(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	o := v.About
	doc := &settingsDoc{Base: c.base(v, "org.settings", "org.settings.title"), Org: o, At: v.path("settings"), Rev: o.Rev,
		Waiting: int(org.Waiting(o.Kind) / (24 * time.Hour)), MayEdit: v.Rights.May(access.OrgEdit)}
	if typed, err := strconv.ParseInt(f.Values.Get("rev"), 10, 64); err == nil { // what was typed belongs to the revision that was seen
		doc.Rev = typed
	}
	tx := c.DB.Read(r.Context())
	tags, err := org.Tags(tx, o.ID)
	if err != nil {
		return err
	}
	doc.Tags = strings.Join(tags, ", ")
	if f.Values == nil {
		f.Values = url.Values{}
	}
	for name, present := range map[string]string{"name": o.Name, "tags": doc.Tags} {
		if !f.Values.Has(name) {
			f.Values.Set(name, present)
		}
	}
	doc.Form, doc.Scripts = f, []string{"countries.js"}
	chosen := func(name, present string) string {
		if f.Values.Has(name) {
			return f.Values.Get(name)
		}
		return present
	}
	for _, l := range locale.Languages {
		doc.Languages = append(doc.Languages, page.Option{Value: string(l), Text: l.Name(), Chosen: string(l) == chosen("language", string(o.Language))})
	}
	doc.Zones = zones(chosen("time_zone", o.TimeZone), true)
	doc.Countries = countries(chosen("country", o.Country))
	counts, err := account.Count(tx, o.ID)
	if err != nil {
		return err
	}
	doc.People = counts.Active + counts.Invited + counts.Disabled + counts.Deleting
	if v.Rights.May(access.SeatsSet) {
		seats, err := license.SeatsOf(tx, o.ID)
		if err != nil {
			return err
		}
		doc.Seats = &seats
	}
	list, _, err := org.List(tx, o.ID, org.Filter{Most: 1})
	if err != nil {
		return err
	}
	doc.Below = len(list)
	doc.MaySuspend = o.State != access.Deleting && v.Rights.May(access.OrgSuspend)
	doc.MayDelete = o.Kind != access.Provider && v.Rights.May(access.OrgDelete)
	if o.Kind == access.Customer && o.State == access.Active && v.Rights.May(access.OrgMoveStart) {
		doc.Move = v.path("move")
	}
	return c.pages.Render(w, r, status, "org.settings", doc)
}

// countries are the options of a country's field, by their codes: the names of all in each language would weigh two megabytes of the binary, and
// browsers know them (countries.js).
func countries(chosen string) []page.Option {
	list := []page.Option{{Value: "", Key: "org.country.none", Chosen: chosen == ""}}
	for _, code := range org.Countries() {
		list = append(list, page.Option{Value: code, Text: code, Chosen: code == chosen})
	}
	return list
}

func (c *Console) editOrg(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err == nil {
		var typed map[string]string
		if typed, err = take(values, "name", "language", "time_zone", "country", "tags", "rev"); err == nil {
			rev, bad := strconv.ParseInt(typed["rev"], 10, 64)
			if bad != nil {
				rev = -1
			}
			err = c.Directory.EditOrg(r.Context(), v.Actor, v.About.ID, rev, org.Profile{Name: typed["name"], Language: locale.Language(typed["language"]),
				TimeZone: typed["time_zone"], Country: typed["country"], Tags: org.SplitTags(typed["tags"])})
		}
	}
	if err == nil {
		return c.done(w, r, v.path("settings"), "org.settings.saved")
	}
	if !again(err) {
		return err
	}
	if refusal.Is(err, refusal.Conflict) { // what they typed stays, and the next time it counts against what is there now
		values.Del("rev")
	}
	return c.showSettings(w, r, v, status(w, err), page.FormOf(values, err))
}

// whole runs what is done to an organisation as a whole.
func (c *Console) whole(w http.ResponseWriter, r *http.Request, v visit, key string, operation func(url.Values) error) error {
	values, err := c.form(w, r, v)
	if err == nil {
		err = operation(values)
	}
	if err == nil {
		return c.done(w, r, v.path("settings"), key, "Organisation", v.About.Name)
	}
	if !again(err) {
		return err
	}
	return c.showSettings(w, r, v, status(w, err), page.FormOf(values, err))
}

func (c *Console) suspend(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.whole(w, r, v, "org.suspend.done", func(values url.Values) error {
		typed, err := take(values, "confirm_suspend", "reason")
		if err != nil {
			return err
		}
		return c.Directory.Suspend(r.Context(), v.Actor, v.About.ID, typed["confirm_suspend"], typed["reason"])
	})
}

func (c *Console) resume(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.whole(w, r, v, "org.resume.done", func(url.Values) error { return c.Directory.Resume(r.Context(), v.Actor, v.About.ID) })
}

func (c *Console) deleteOrg(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.whole(w, r, v, "org.delete.done", func(values url.Values) error {
		typed, err := take(values, "confirm_delete")
		if err != nil {
			return err
		}
		_, err = c.Directory.RequestDeletion(r.Context(), v.Actor, v.About.ID, typed["confirm_delete"])
		return err
	})
}

func (c *Console) keepOrg(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.whole(w, r, v, "org.keep.done", func(url.Values) error { return c.Directory.CancelDeletion(r.Context(), v.Actor, v.About.ID) })
}

// stateNotice is the banner on every page of an organisation that is not as usual; nil when it is.
func stateNotice(v visit) *page.Flash {
	f := page.Flash{Href: v.path("settings"), Link: "org.state.look"}
	if !v.Rights.May(access.OrgDelete) && !v.Rights.May(access.OrgSuspend) {
		f.Href = ""
	}
	switch v.About.State {
	case access.Deleting:
		f.Kind, f.Key, f.Args = "bad", "org.state.deleting", []any{"Organisation", v.About.Name, "When", v.About.DeleteAt.In(v.location())}
	case access.Suspended:
		f.Kind, f.Key, f.Args = "warn", "org.state.suspended", []any{"Organisation", v.About.Name}
	default:
		return nil
	}
	return &f
}
