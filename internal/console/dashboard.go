package console

import (
	"net/http"
	"strconv"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/sqldb"
)

// dashboardDoc is the first page of an organisation.
type dashboardDoc struct {
	page.Base
	Kind    access.OrgKind
	Roles   []string
	Names   map[string]string // of own roles among them
	People  *peopleFigures    // nil for who may not see people
	Orgs    bool              // there may be organisations below
	OrgsTo  string
	Below   []orgRow  // the first of them by name
	Asking  int       // open requests for more seats of those below, for who answers them
	Came    []entered // who came from the organisations above, for who reads the log
	Invite  string    // empty for who may not invite
	Since   time.Time
	Factors string // own second factors
}

// peopleFigures are the numbers and pictures about an organisation's people.
type peopleFigures struct {
	Counts  account.Counts
	Seats   license.Seats
	Covered int // of whom Judged says how many were looked at
	Judged  int
	SignIns int
	Days    []page.Bar
	Href    string
}

// Share is how many of the active people have a second factor.
func (p peopleFigures) Share() float64 {
	if p.Judged == 0 {
		return 0
	}
	return float64(p.Covered) / float64(p.Judged)
}

// Unknown tells whether nobody was looked at, though there are people.
func (p peopleFigures) Unknown() bool { return p.Judged == 0 && p.Counts.Active > 0 }

// entered is a visit of somebody from an organisation above.
type entered struct {
	Who, Home string // address, name of their organisation
	At        time.Time
}

// cameOnDashboard is how many visits the dashboard lists.
const cameOnDashboard = 5

// countedLive is up to how many active people the dashboard looks at each one's factors. Above, it shows what was found when they were last judged.
const countedLive = 1000

// orgsOnDashboard is how many organisations the dashboard lists.
const orgsOnDashboard = 6

// daysShown is how many days the picture of sign-ins spans.
const daysShown = 14

func (c *Console) dashboard(w http.ResponseWriter, r *http.Request, v visit) error {
	doc := &dashboardDoc{Base: c.base(v, "dashboard", "dashboard.title"), Kind: v.About.Kind, Roles: v.Rights.Roles(), Names: map[string]string{},
		Orgs: v.About.Kind != access.Customer, OrgsTo: v.path("orgs"), Since: v.Account.LastSignIn}
	for _, role := range doc.Roles {
		if name := v.Rights.Name(role); name != "" {
			doc.Names[role] = name
		}
	}
	if doc.Orgs {
		list, _, err := org.List(c.DB.Read(r.Context()), v.About.ID, org.Filter{Groups: groupsOf(v), Most: orgsOnDashboard})
		if err != nil {
			return err
		}
		for _, o := range list {
			doc.Below = append(doc.Below, orgRow{Listed: o})
		}
	}
	if v.Rights.May(access.AuditView) {
		came, err := audit.NewestOf(c.DB.Read(r.Context()), v.About.ID, audit.OrgEntered, cameOnDashboard)
		if err != nil {
			return err
		}
		for _, e := range came {
			home, _ := e.Data["home"].(string)
			doc.Came = append(doc.Came, entered{e.Actor.Name, home, e.At})
		}
	}
	if answersSeats(v) {
		asking, err := license.AskingBelow(c.DB.Read(r.Context()), v.About.ID, boundTo(v, access.SeatsSet), askingShown)
		if err != nil {
			return err
		}
		doc.Asking = len(asking)
	}
	if v.Rights.May(access.PeopleInvite) && account.MayAdd(v.Actor, v.Rights, v.About.Rules) {
		doc.Invite = v.path("users/invite")
	}
	if v.Rights.May(access.PeopleView) {
		tx := c.DB.Read(r.Context())
		f := &peopleFigures{Href: v.path("users")}
		var err error
		if f.Counts, err = account.Count(tx, v.About.ID); err != nil {
			return err
		}
		if f.Seats, err = license.SeatsOf(tx, v.About.ID); err != nil {
			return err
		}
		if err = f.cover(tx, v.About.ID); err != nil {
			return err
		}
		now := c.Now().In(v.location())
		midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
		days := make([]time.Time, daysShown)
		for i := range days {
			days[i] = midnight.AddDate(0, 0, i-daysShown+1)
		}
		counts, err := audit.CountByDay(tx, v.About.ID, audit.SignedIn, days)
		if err != nil {
			return err
		}
		for i, n := range counts {
			f.SignIns += n
			f.Days = append(f.Days, page.Bar{Label: days[i].Format("2"), Title: days[i].Format("2006-01-02") + ": " + strconv.Itoa(n), Value: n})
		}
		doc.People = f
	}
	awaited, err := c.movesNotice(r, v)
	if err != nil {
		return err
	}
	if awaited != nil {
		doc.Notices = append(doc.Notices, *awaited)
	}
	return c.pages.Render(w, r, http.StatusOK, "dashboard", doc)
}

// cover counts who has a second factor.
func (p *peopleFigures) cover(tx sqldb.Tx, o id.Org) (err error) {
	if p.Counts.Active <= countedLive {
		p.Judged = p.Counts.Active
		p.Covered, err = factor.Covered(tx, o)
		return err
	}
	h, err := org.HealthOf(tx, o)
	p.Covered, p.Judged = h.Covered, h.People
	return err
}
