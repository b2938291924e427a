package console

import (
	"net/http"
	"net/url"
	"slices"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/outbox"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

const peoplePerPage = 50

// peopleDoc is the people list.
type peopleDoc struct {
	page.Base
	listing
	People   []personRow
	Seats    license.Seats
	Query    string
	States   []page.Option
	Roles    []page.Option
	Factors  []page.Option
	Sources  []page.Option
	Seen     []page.Option
	Sorts    []page.Option
	Columns  []page.Option
	Shows    map[string]bool // columns
	More     bool            // something is chosen that stands behind "more"
	Filtered bool
	All      string // the plain list
	Next     string
	Invite   string // empty for who may not
	Closed   bool   // the rules let administrators alone invite
	Import   string // empty for who may not
	Export   string
	Acts     []page.Option // what can be done to several; none for who may do nothing
	Bulk     string        // where that is sent
}

// noteJobs says on a page which jobs of the visitor are not over.
func (c *Console) noteJobs(r *http.Request, v visit, b *page.Base) error {
	jobs, err := account.OpenJobs(c.DB.Read(r.Context()), v.About.ID)
	for _, j := range jobs {
		if j.Actor.Account != v.Account.ID {
			continue
		}
		n := page.Flash{Kind: "warn", Key: "job.open", Args: []any{"Done", j.Done, "Total", j.Total}, Href: v.path("jobs/" + string(j.ID)), Link: "job.look"}
		if !j.Works() {
			n.Key, n.Args = "job.asks", nil
		}
		b.Notices = append(b.Notices, n)
	}
	return err
}

// Head returns the head of a column that sorts.
func (d *peopleDoc) Head(order, label string) *page.Column {
	return d.head(&d.Base, order, label, order == string(account.BySeen) || order == string(account.ByCreated))
}

// Picked tells whether somebody was ticked in a form that came back.
func (d *peopleDoc) Picked(a id.Account) bool {
	return slices.Contains(d.Form.Values["account"], string(a))
}

// personRow is a line of the people list.
type personRow struct {
	account.Listed
	Href string
	Mail string // why the invitation could not be delivered; empty when nothing is wrong
	Late bool   // the invitation's link has ended
	Home string // of a linked account: name of the organisation that manages it
}

// The columns of the people list, beside the person.
var (
	peopleColumns   = []string{"roles", "second", "state", "seen", "created", "source", "username"}
	standardColumns = []string{"roles", "second", "state", "seen"}
)

func (c *Console) people(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showPeople(w, r, v, http.StatusOK, page.Form{})
}

// peopleFilter returns what an address of the list asks for.
func (c *Console) peopleFilter(q url.Values) (listing, account.Filter) {
	l := listed(q, string(account.ByAddress), "q", "state", "role", "factor", "source", "seen")
	return l, account.Filter{Search: l.query.Get("q"), State: account.State(l.query.Get("state")), Role: l.query.Get("role"), Factor: l.query.Get("factor"),
		Source: l.query.Get("source"), Seen: l.query.Get("seen"), Now: c.Now(), Order: account.Order(l.sort)}
}

// showPeople shows the list: as its address asks, or with a form of it that is wrong.
func (c *Console) showPeople(w http.ResponseWriter, r *http.Request, v visit, status int, form page.Form) error {
	q := r.URL.Query()
	l, f := c.peopleFilter(q)
	doc := &peopleDoc{Base: c.base(v, "users", "users.title"), listing: l, All: v.path("users"), Query: f.Search, Acts: chosen(form.Values.Get("action"), actOptions(v)...), Bulk: v.path("users/bulk") + sameQuery(r)}
	doc.Form = form
	var ok bool
	if doc.Shows, ok = doc.columns(q["col"], standardColumns, peopleColumns); !ok {
		return refusal.New(refusal.Invalid, "error.query")
	}
	f.After, f.Most = q.Get("after"), peoplePerPage
	tx := c.DB.Read(r.Context())
	list, next, err := account.People(tx, v.About.ID, f)
	if err != nil {
		return err
	}
	if doc.People, err = c.personRows(r, v, list); err != nil {
		return err
	}
	if doc.Seats, err = license.SeatsOf(tx, v.About.ID); err != nil {
		return err
	}
	doc.offer(v, f)
	if next != "" {
		doc.Next = doc.with("after", next)
	}
	if v.Rights.May(access.PeopleInvite) {
		doc.Invite, doc.Closed = v.path("users/invite"), !account.MayAdd(v.Actor, v.Rights, v.About.Rules)
	}
	if v.Rights.May(access.PeopleImport) && account.MayAdd(v.Actor, v.Rights, v.About.Rules) {
		doc.Import = v.path("users/import")
	}
	if v.Rights.May(access.PeopleExport) {
		doc.Export = v.path("users/export")
		if l.narrowed() {
			doc.Export += "?" + doc.query.Encode()
		}
	}
	if err := c.noteJobs(r, v, &doc.Base); err != nil {
		return err
	}
	return c.pages.Render(w, r, status, "users", doc)
}

// personRows adds what became of the invitations of those who have not come yet.
func (c *Console) personRows(r *http.Request, v visit, list []account.Listed) ([]personRow, error) {
	var pending []id.Account
	accounts := make([]account.Account, 0, len(list))
	for _, a := range list {
		accounts = append(accounts, a.Account)
		if a.State == account.Invited {
			pending = append(pending, a.ID)
		}
	}
	mails, err := outbox.LatestAmong(c.DB.Read(r.Context()), outbox.KindInvite, pending, peoplePerPage)
	if err != nil {
		return nil, err
	}
	homes, err := account.ManagedBy(c.DB.Read(r.Context()), accounts)
	if err != nil {
		return nil, err
	}
	var rows []personRow
	for _, a := range list {
		row := personRow{Listed: a, Href: v.path("users/" + string(a.ID)), Home: homes[a.ID]}
		if m, ok := mails[a.ID]; ok {
			if m.State == outbox.Dead {
				row.Mail = m.LastError
			}
			row.Late = c.Now().Sub(m.Created) > v.About.Rules.LinkLife
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// offer sets what can be chosen.
func (d *peopleDoc) offer(v visit, f account.Filter) {
	d.States = chosen(string(f.State), page.Option{Value: "", Key: "users.state.any"}, page.Option{Value: string(account.Active), Key: "users.state.active"},
		page.Option{Value: string(account.Invited), Key: "users.state.invited"}, page.Option{Value: string(account.Disabled), Key: "users.state.disabled"},
		page.Option{Value: string(account.Deleting), Key: "users.state.deleting"})
	roles := []page.Option{{Value: "", Key: "users.state.any"}}
	for _, role := range access.Roles(v.About.Kind) {
		roles = append(roles, page.Option{Value: role, Key: "role." + role})
	}
	for _, own := range v.Rights.Own {
		roles = append(roles, page.Option{Value: string(own.ID), Text: own.Name})
	}
	d.Roles = chosen(f.Role, roles...)
	d.Factors = chosen(f.Factor, page.Option{Value: "", Key: "users.state.any"}, page.Option{Value: account.WithFactor, Key: "users.factor.any"},
		page.Option{Value: account.WithoutFactor, Key: "users.factor.none"}, page.Option{Value: account.WithApp, Key: "factor.totp"},
		page.Option{Value: account.WithPasskey, Key: "factor.passkey"})
	d.Sources = chosen(f.Source, page.Option{Value: "", Key: "users.state.any"}, page.Option{Value: account.OwnSource, Key: "users.source.own"},
		page.Option{Value: account.LinkedSource, Key: "users.source.linked"})
	d.Seen = chosen(f.Seen, page.Option{Value: "", Key: "users.state.any"}, page.Option{Value: account.SeenWeek, Key: "users.seen.week"},
		page.Option{Value: account.SeenMonth, Key: "users.seen.month"}, page.Option{Value: account.SeenQuarter, Key: "users.seen.quarter"},
		page.Option{Value: account.SeenNever, Key: "users.seen.never"})
	d.Sorts = chosen(d.sort, page.Option{Value: string(account.ByAddress), Key: "users.sort.email"}, page.Option{Value: string(account.ByAddress.Down()), Key: "users.sort.email_down"},
		page.Option{Value: string(account.ByName), Key: "users.sort.name"}, page.Option{Value: string(account.ByName.Down()), Key: "users.sort.name_down"},
		page.Option{Value: string(account.BySeen.Down()), Key: "users.sort.seen_down"}, page.Option{Value: string(account.BySeen), Key: "users.sort.seen"},
		page.Option{Value: string(account.ByCreated.Down()), Key: "users.sort.created_down"}, page.Option{Value: string(account.ByCreated), Key: "users.sort.created"})
	d.Columns = []page.Option{{Value: "roles", Key: "users.roles"}, {Value: "second", Key: "users.second"}, {Value: "state", Key: "users.state"},
		{Value: "seen", Key: "users.last"}, {Value: "created", Key: "users.created"}, {Value: "source", Key: "users.source"}, {Value: "username", Key: "me.username"}}
	for i, o := range d.Columns {
		d.Columns[i].Chosen = d.Shows[o.Value]
	}
	narrowed := f.Role != "" || f.Factor != "" || f.Source != "" || f.Seen != ""
	d.More = narrowed || d.query.Has("col")
	d.Filtered = narrowed || d.Query != "" || f.State != "" || f.After != ""
}
