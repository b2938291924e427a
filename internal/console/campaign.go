package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/page"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

const (
	membersPerPage = 50
	healthPerPage  = 50
)

// campaignDoc shows how people stand to the rules about second factors: here, and in the organisations below.
type campaignDoc struct {
	page.Base
	Own       bool // the visitor sees the people here …
	Campaign  signin.Campaign
	Standings []page.NavItem
	Standing  policy.Standing // that the list is limited to; empty: none
	People    string          // address of the people's pages
	Next      string
	Remind    string // where reminders are asked for; empty for who may not
	Rules     string // address of the rules; empty for who may not see them

	Under     bool // … and the organisations below
	Kind      access.OrgKind
	Below     signin.Below
	BelowNext string
}

// standings lists the standings in the order in which they are shown, each with the kind of its colour and shape.
var standings = []struct {
	standing policy.Standing
	kind     string
}{{policy.Covered, "good"}, {policy.Pending, "warn"}, {policy.Overdue, "bad"}, {policy.Exempt, ""}, {policy.Free, "rest"}}

func countOf(t signin.Tally, s policy.Standing) int {
	return map[policy.Standing]int{policy.Covered: t.Covered, policy.Pending: t.Pending, policy.Overdue: t.Overdue, policy.Exempt: t.Exempt, policy.Free: t.Free()}[s]
}

// standingParts are the parts of the chart; at is the address of the list, empty for none.
func standingParts(t signin.Tally, at string) []page.Part {
	var parts []page.Part
	for _, s := range standings {
		p := page.Part{Key: "campaign.standing." + string(s.standing), Count: countOf(t, s.standing), Kind: s.kind}
		if at != "" && p.Count > 0 {
			p.Href = at + "?standing=" + string(s.standing)
		}
		parts = append(parts, p)
	}
	return parts
}

func (c *Console) campaign(w http.ResponseWriter, r *http.Request, v visit) error {
	doc := &campaignDoc{Base: c.base(v, "campaign", "campaign.title"), Own: v.Rights.May(access.PolicyView), Kind: v.About.Kind,
		Under: seesHealth(v), People: v.path("users/"), Standing: policy.Standing(r.URL.Query().Get("standing"))}
	if !doc.Own && !doc.Under {
		return c.Book.Refusal(r.Context(), v.Actor, audit.Action(access.PolicyView), v.Rights.Require(access.PolicyView))
	}
	q := r.URL.Query()
	after, orgsAfter := q.Get("after"), q.Get("orgs_after")
	known := doc.Standing == ""
	for _, s := range standings {
		known = known || s.standing == doc.Standing
	}
	if !known || !plainText(after, 400) || !plainText(orgsAfter, 100) {
		return refusal.New(refusal.Invalid, "error.query")
	}
	var err error
	if doc.Own {
		if err := c.members(r, v, doc, after); err != nil {
			return err
		}
	}
	if doc.Under {
		if doc.Below, err = c.Desk.Below(r.Context(), v.About.ID, groupsOf(v), orgsAfter, healthPerPage); err != nil {
			return err
		}
		if doc.Below.Next != "" {
			doc.BelowNext = "?" + url.Values{"orgs_after": {doc.Below.Next}}.Encode() + "#below"
		}
	}
	return c.pages.Render(w, r, http.StatusOK, "campaign", doc)
}

// seesHealth tells whether the visitor sees how the people of the organisations below stand.
func seesHealth(v visit) bool {
	return v.About.Kind != access.Customer && v.Rights.SeesBelow() && v.Rights.MayBelow(access.PolicyView)
}

func (c *Console) members(r *http.Request, v visit, doc *campaignDoc, after string) (err error) {
	if doc.Campaign, err = c.Desk.Campaign(r.Context(), v.Actor, v.About, doc.Standing, after, membersPerPage); err != nil {
		return err
	}
	at := v.path("security")
	doc.Standings = []page.NavItem{{Key: "campaign.all", Href: at, Count: doc.Campaign.People, Current: doc.Standing == ""}}
	for _, s := range standings {
		doc.Standings = append(doc.Standings, page.NavItem{Key: "campaign.standing." + string(s.standing), Href: at + "?standing=" + string(s.standing),
			Count: countOf(doc.Campaign.Tally, s.standing), Current: s.standing == doc.Standing})
	}
	if doc.Campaign.Next != "" {
		doc.Next = "?" + url.Values{"standing": {string(doc.Standing)}, "after": {doc.Campaign.Next}}.Encode()
	}
	if v.Rights.May(access.PeopleFactors) {
		doc.Remind = v.path("security/remind")
	}
	doc.Rules = v.path("settings/sign-in")
	return nil
}

// Figures are the people here by how they stand.
func (d *campaignDoc) Figures() []page.Part {
	return standingParts(d.Campaign.Tally, d.Standings[0].Href)
}

// BelowFigures are the people of the organisations below.
func (d *campaignDoc) BelowFigures() []page.Part { return standingParts(d.Below.Tally, "") }

// RolesOf names the roles of a person; nothing for who has none.
func (d *campaignDoc) RolesOf(m signin.Member) string { return rolesText(d.Self(), m) }

func rolesText(b *page.Base, m signin.Member) string {
	var names []string
	for _, r := range m.Roles {
		if r.Name == "" {
			r.Name = b.T("role." + r.Role)
		}
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}

// Stands is how a person stands, as word, colour and shape.
func (d *campaignDoc) Stands(m signin.Member) page.Badge {
	kind := map[policy.Standing]string{policy.Covered: "good", policy.Pending: "warn", policy.Overdue: "bad"}[m.Standing]
	return d.Badge(kind, "campaign.standing."+string(m.Standing))
}

// Remindable tells whether a reminder to a person would be of use, and none went out within the last day.
func (d *campaignDoc) Remindable(m signin.Member) bool {
	return d.Remind != "" && (m.Standing == policy.Pending || m.Standing == policy.Overdue) && len(m.Roles) > 0 &&
		!m.ExemptUntil.After(d.Now) && d.Now.Sub(m.Reminded) >= 24*time.Hour
}

// Todo tells whether anybody still has to enrol.
func (d *campaignDoc) Todo() bool { return d.Campaign.Pending+d.Campaign.Overdue > 0 }

func (c *Console) remind(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err != nil {
		return err
	}
	typed, err := take(values, "all")
	if err != nil {
		return err
	}
	to := v.path("security")
	var people []id.Account
	for _, text := range values["account"] {
		if a, ok := id.Parse[id.Account](text); ok {
			people = append(people, a)
		}
	}
	if typed["all"] != "" {
		people = nil
	} else if len(people) == 0 {
		return c.sorry(w, r, to, refusal.New(refusal.Conflict, "campaign.choose"))
	}
	out, err := c.Desk.Remind(r.Context(), v.Actor, v.About.ID, people)
	switch {
	case err != nil:
		return c.sorry(w, r, to, err)
	case out.Sent > 0:
		return c.done(w, r, to, "campaign.reminded", "Count", out.Sent)
	case out.Early > 0:
		return c.sorry(w, r, to, refusal.New(refusal.Conflict, "campaign.reminded_today"))
	}
	return c.sorry(w, r, to, refusal.New(refusal.Conflict, "campaign.reminded_none"))
}

// exception is the part of a person's page about an exception from the second factor.
type exception struct {
	MayExempt bool
	Excepted  bool
}

// MostExempt is how many days ahead an exception may end.
func (exception) MostExempt() int { return account.MostExempt }

func (c *Console) exempt(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.exempted", func(a id.Account, values url.Values) error {
		typed, err := take(values, "exempt_until", "exempt_reason")
		if err != nil {
			return err
		}
		until, fault := account.ParseExemptUntil(typed["exempt_until"], v.About.Location(), c.Now())
		if fault != nil {
			return fault
		}
		return c.Directory.Exempt(r.Context(), v.Actor, v.About.ID, a, until, typed["exempt_reason"])
	})
}

func (c *Console) endExemption(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.exemption_ended", func(a id.Account, _ url.Values) error {
		return c.Directory.EndExemption(r.Context(), v.Actor, v.About.ID, a)
	})
}
