package console

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

const (
	// monthsShown is how many months the picture of marks spans, and the choice of a month.
	monthsShown = 12
	// askingShown is how many requests are listed; more follow when these are answered.
	askingShown = 50
	// marksAtOnce is how many organisations a file of marks reads at a time.
	marksAtOnce = 200
)

// seatsDoc is the page of an organisation's seats: what it has and had, its request for more, and the organisations below it.
type seatsDoc struct {
	page.Base
	Kind    access.OrgKind
	Own     bool // the visitor sees what it has itself …
	Seats   license.Seats
	History []license.Mark // the present month last
	At      string

	Pool    *license.Pool // of an MSP, for who may see it
	MaySet  bool          // limit and pool: the visitor comes from above
	MayAsk  bool
	Request *asked // the open one
	Last    *license.Request

	MayWithdraw bool

	Asking []license.Asking // open requests of those below
	Under  bool             // … and what those below have
	Month  license.Month    // that it is about
	Marks  []markRow
	Next   string
	File   string
}

// asked is an open request with the name of who made it.
type asked struct {
	license.Request
	By string // empty when the account is gone
}

// markRow is an organisation in the table of marks.
type markRow struct {
	org.Listed
	Most int
}

// Seats is its limit and use.
func (m markRow) Seats() license.Seats { return license.Seats{Limit: m.Limit, Used: m.Used} }

// SeatsPath is the path of its page of seats.
func (m markRow) SeatsPath() string { return m.HomePath() + "seats" }

// Top is the most in use in the present month.
func (d *seatsDoc) Top() int { return d.History[len(d.History)-1].Most }

// Named returns a month in the page's language.
func (d *seatsDoc) Named(m license.Month) string {
	at := m.Start()
	return d.T("month."+strconv.Itoa(int(at.Month()))) + " " + strconv.Itoa(at.Year())
}

// Pillars are the months as bars of the picture.
func (d *seatsDoc) Pillars() []page.Bar {
	var bars []page.Bar
	for _, m := range d.History {
		bars = append(bars, page.Bar{Label: strconv.Itoa(int(m.Month.Start().Month())), Title: d.Named(m.Month) + ": " + d.P.Number(m.Most), Value: m.Most})
	}
	return bars
}

// Months are the months that can be chosen: those of the picture, the present one first, and the one that was asked for.
func (d *seatsDoc) Months() []page.Option {
	var list []page.Option
	known := false
	for i := range monthsShown {
		m := license.MonthOf(d.Now).Before(i)
		list = append(list, page.Option{Value: string(m), Text: d.Named(m), Chosen: m == d.Month})
		known = known || m == d.Month
	}
	if !known {
		list = append(list, page.Option{Value: string(d.Month), Text: d.Named(d.Month), Chosen: true})
	}
	return list
}

// seesSeats tells whether the visitor sees an organisation's seats: who sees its people, who may invite, and who sets the limit.
func seesSeats(v visit) bool {
	return v.Rights.May(access.PeopleView) || v.Rights.May(access.PeopleInvite) || v.Rights.May(access.SeatsSet)
}

// seesMarks tells whether the visitor sees the seats of the organisations below.
func seesMarks(v visit) bool {
	return v.About.Kind != access.Customer && v.Rights.SeesBelow() && v.Rights.MayBelow(access.PeopleView)
}

// answersSeats tells whether the visitor answers the requests of the organisations below.
func answersSeats(v visit) bool {
	return v.About.Kind != access.Customer && v.Rights.MayBelow(access.SeatsSet)
}

// boundTo returns the account whose groups limit a permission below; empty when nothing does.
func boundTo(v visit, p access.Permission) id.Account {
	if v.Rights.GroupsOnlyTo(p) {
		return v.Account.ID
	}
	return ""
}

func (c *Console) seats(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showSeats(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showSeats(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	own, under := seesSeats(v), seesMarks(v)
	if !own && !under {
		return c.Book.Refusal(r.Context(), v.Actor, audit.Action(access.PeopleView), v.Rights.Require(access.PeopleView))
	}
	o := v.About
	doc := &seatsDoc{Base: c.base(v, "seats", "seats.title"), Kind: o.Kind, Own: own, Under: under, At: v.path("seats"), MaySet: v.Rights.May(access.SeatsSet) && o.Parent != "",
		MayWithdraw: v.Rights.May(access.PeopleInvite)}
	doc.Form = f
	tx := c.DB.Read(r.Context())
	var err error
	if own {
		if err := doc.ownSeats(tx, v, c.Now()); err != nil {
			return err
		}
	}
	if o.Kind == access.MSP && (doc.MaySet || answersSeats(v)) {
		p, err := license.PoolOf(tx, o.ID)
		if err != nil {
			return err
		}
		doc.Pool = &p
	}
	if answersSeats(v) {
		if doc.Asking, err = license.AskingBelow(tx, o.ID, boundTo(v, access.SeatsSet), askingShown); err != nil {
			return err
		}
	}
	if under {
		if err := c.marksBelow(r, v, doc); err != nil {
			return err
		}
	}
	doc.fill()
	return c.pages.Render(w, r, status, "seats", doc)
}

// ownSeats adds what the organisation has itself, and its request for more.
func (d *seatsDoc) ownSeats(tx sqldb.Tx, v visit, now time.Time) (err error) {
	if d.Seats, err = license.SeatsOf(tx, v.About.ID); err != nil {
		return err
	}
	if d.History, err = license.Marks(tx, now, v.About.ID, monthsShown); err != nil || v.About.Parent == "" {
		return err
	}
	q, there, err := license.LastRequest(tx, v.About.ID)
	if err != nil {
		return err
	}
	open := there && q.State == license.RequestOpen
	d.MayAsk = !open && !d.MaySet && d.Seats.Limit != license.Unlimited && v.Rights.May(access.PeopleInvite) && account.MayAdd(v.Actor, v.Rights, v.About.Rules)
	switch {
	case open:
		d.Request = &asked{Request: q}
		who, err := account.Lookup(tx, q.Account)
		if err != nil && !refusal.Is(err, refusal.NotFound) {
			return err
		}
		d.Request.By = who.Shown()
	case there && q.State == license.RequestDeclined:
		d.Last = &q
	}
	return nil
}

// fill sets what stands in the fields before anything is typed, also in the forms beside the one that was sent.
func (d *seatsDoc) fill() {
	number := func(n int) string {
		if n == license.Unlimited {
			return ""
		}
		return strconv.Itoa(n)
	}
	present := map[string]string{"seat_limit": number(d.Seats.Limit)}
	if d.Request != nil {
		present["seat_limit"] = number(d.Request.Wanted)
	}
	if d.Pool != nil {
		present["pool"] = number(d.Pool.Size)
	}
	if d.Form.Values == nil {
		d.Form.Values = url.Values{}
	}
	for name, value := range present {
		if !d.Form.Values.Has(name) {
			d.Form.Values.Set(name, value)
		}
	}
}

// monthIn reads the month of the address; without one it is the present month.
func (c *Console) monthIn(q url.Values) (license.Month, error) {
	if !q.Has("month") {
		return license.MonthOf(c.Now()), nil
	}
	return license.ParseMonth(q.Get("month"), c.Now())
}

// marksBelow adds a page of the table of the organisations below.
func (c *Console) marksBelow(r *http.Request, v visit, doc *seatsDoc) (err error) {
	if doc.Month, err = c.monthIn(r.URL.Query()); err != nil {
		return err
	}
	var after string
	if doc.Marks, after, err = c.marks(r, v, doc.Month, r.URL.Query().Get("after"), orgsPerPage); err != nil {
		return err
	}
	if after != "" {
		doc.Next = "?" + url.Values{"month": {string(doc.Month)}, "after": {after}}.Encode()
	}
	doc.File = v.path("seats/marks.csv") + "?" + url.Values{"month": {string(doc.Month)}}.Encode()
	return nil
}

// marks returns up to most organisations below with their marks, and the mark of the next page.
func (c *Console) marks(r *http.Request, v visit, month license.Month, after string, most int) ([]markRow, string, error) {
	tx := c.DB.Read(r.Context())
	list, next, err := org.List(tx, v.About.ID, org.Filter{Groups: boundTo(v, access.PeopleView), After: after, Most: most})
	if err != nil {
		return nil, "", err
	}
	ids := make([]id.Org, len(list))
	for i, o := range list {
		ids[i] = o.ID
	}
	marks, err := license.MarksIn(tx, month, ids, most)
	if err != nil {
		return nil, "", err
	}
	rows := make([]markRow, len(list))
	for i, o := range list {
		rows[i] = markRow{o, marks[o.ID]}
	}
	return rows, next, nil
}

// marksFile sends the marks of a month as a file, for the invoice. The names of the columns are the same in every language.
func (c *Console) marksFile(w http.ResponseWriter, r *http.Request, v visit) error {
	if !seesMarks(v) {
		if v.About.Kind == access.Customer {
			return refusal.New(refusal.NotFound, "error.not_found")
		}
		return c.Book.Refusal(r.Context(), v.Actor, audit.Action(access.PeopleView), v.Rights.Require(access.PeopleView))
	}
	month, err := c.monthIn(r.URL.Query())
	if err != nil {
		return err
	}
	rows, next, err := c.marks(r, v, month, "", marksAtOnce)
	if err != nil {
		return err
	}
	attach(w, v.About.Slug+"-seats-"+string(month)+".csv")
	out := csv.NewWriter(w)
	_ = out.Write([]string{"month", "tenant_domain", "organisation", "kind", "most", "used_now", "limit_now"}) // told by Error below
	for {
		for _, m := range rows {
			limit := ""
			if m.Limit != license.Unlimited {
				limit = strconv.Itoa(m.Limit)
			}
			_ = out.Write([]string{string(month), account.Harmless(m.Slug), account.Harmless(m.Name), string(m.Kind), strconv.Itoa(m.Most),
				strconv.Itoa(m.Used), limit})
		}
		if out.Flush(); out.Error() != nil {
			panic(http.ErrAbortHandler) // the file is broken off; no page can follow it
		}
		if next == "" {
			return nil
		}
		if rows, next, err = c.marks(r, v, month, next, marksAtOnce); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// seatsForm runs what is sent from the page of seats: fields are those that it reads.
func (c *Console) seatsForm(w http.ResponseWriter, r *http.Request, v visit, key string, operation func(typed map[string]string) error, fields ...string) error {
	values, err := c.form(w, r, v)
	if err == nil {
		var typed map[string]string
		if typed, err = take(values, fields...); err == nil {
			for _, f := range fields {
				if !values.Has(f) { // nothing typed is not the same as no field
					delete(typed, f)
				}
			}
			err = operation(typed)
		}
	}
	if err == nil {
		return c.done(w, r, v.path("seats"), key, "Organisation", v.About.Name)
	}
	if !again(err) {
		return err
	}
	return c.showSeats(w, r, v, status(w, err), page.FormOf(values, err))
}

// limitIn reads a number of seats, where nothing typed stands for no limit. What is no number is one that every operation refuses at its field.
func limitIn(typed map[string]string, field string) int {
	text, there := typed[field]
	if there && trim(text) == "" {
		return license.Unlimited
	}
	return seatsIn(text)
}

func seatsIn(text string) int {
	n, err := strconv.Atoi(trim(text))
	if err != nil || n < 0 || strings.HasPrefix(trim(text), "+") {
		return license.MostSeats + 1
	}
	return n
}

// requestID reads which request is meant; another one than the open one is answered already.
func requestID(text string) id.SeatRequest {
	q, _ := id.Parse[id.SeatRequest](text)
	return q
}

func (c *Console) setSeats(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.seatsForm(w, r, v, "seats.limit.done", func(typed map[string]string) error {
		return c.Directory.SetSeats(r.Context(), v.Actor, v.About.ID, limitIn(typed, "seat_limit"))
	}, "seat_limit")
}

func (c *Console) setPool(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.seatsForm(w, r, v, "seats.pool.done", func(typed map[string]string) error {
		return c.Directory.SetPool(r.Context(), v.Actor, v.About.ID, limitIn(typed, "pool"))
	}, "pool")
}

func (c *Console) askSeats(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.seatsForm(w, r, v, "seats.ask.done", func(typed map[string]string) error {
		return c.Directory.AskSeats(r.Context(), v.Actor, v.About.ID, seatsIn(typed["wanted"]), typed["reason"])
	}, "wanted", "reason")
}

func (c *Console) withdrawSeats(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.seatsForm(w, r, v, "seats.withdraw.done", func(typed map[string]string) error {
		return c.Directory.WithdrawSeats(r.Context(), v.Actor, v.About.ID, requestID(typed["request"]))
	}, "request")
}

func (c *Console) grantSeats(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.seatsForm(w, r, v, "seats.grant.done", func(typed map[string]string) error {
		return c.Directory.GrantSeats(r.Context(), v.Actor, v.About.ID, requestID(typed["request"]), seatsIn(typed["seat_limit"]))
	}, "request", "seat_limit")
}

func (c *Console) declineSeats(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.seatsForm(w, r, v, "seats.decline.done", func(typed map[string]string) error {
		return c.Directory.DeclineSeats(r.Context(), v.Actor, v.About.ID, requestID(typed["request"]), typed["reason"])
	}, "request", "reason")
}
