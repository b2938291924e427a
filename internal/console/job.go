package console

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

const (
	rowsPerPage  = 100
	rowsAtOnce   = 1000 // of a file
	jobRefreshes = "3"  // seconds
	stepCancel   = "cancel"
)

// jobDoc is a job: how far it is, what it asks, what became of each row.
type jobDoc struct {
	page.Base
	columnsAsked
	Job      account.Job
	At, Back string
	Mine     bool // the visitor made it
	RoleName string
	Group    string
	Rows     []account.JobRow
	Only     account.RowState
	Next     string
	File     string // address of the result; empty while there is none
}

// Lines tells whether its rows are lines of a file.
func (d *jobDoc) Lines() bool { return d.Job.Kind == account.ActImport }

// Until is when a job that is over, and its result, is removed.
func (d *jobDoc) Until() time.Time { return d.Job.Finished.Add(account.JobStays) }

// Seen returns the views of the result, all of it and what was refused.
func (d *jobDoc) Seen() []page.NavItem {
	return []page.NavItem{{Key: "job.all", Href: d.At, Current: d.Only == "", Count: d.Job.Done},
		{Key: "job.refused", Href: d.At + "?only=refused", Current: d.Only == account.RowRefused, Count: d.Job.Refused}}
}

// findJob returns the job in the address. One that the visitor may not see is answered like one that does not exist.
func (c *Console) findJob(r *http.Request, v visit) (account.Job, error) {
	missing := refusal.New(refusal.NotFound, "error.not_found")
	missing.Denied = true
	job, err := inPath[id.Job](r, "job")
	if err != nil {
		return account.Job{}, err
	}
	it, err := account.FindJob(c.DB.Read(r.Context()), v.About.ID, job)
	if err == nil && !it.SeenBy(v.Rights) {
		err = missing
	}
	return it, c.Book.Refusal(r.Context(), v.Actor, audit.JobBegun, err)
}

func (c *Console) job(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showJob(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showJob(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	it, err := c.findJob(r, v)
	if err != nil {
		return err
	}
	doc := &jobDoc{Base: c.base(v, "job", "bulk.act."+string(it.Kind)), Job: it, At: v.path("jobs/" + string(it.ID)), Back: v.path("users"), Mine: it.Actor.Account == v.Account.ID}
	doc.Form = f
	tx := c.DB.Read(r.Context())
	if role := it.Params.Role; role != "" {
		if doc.RoleName = v.Rights.Name(role); doc.RoleName == "" && access.IsOwn(role) {
			doc.RoleName = "–" // it is gone
		}
	}
	if it.Params.Group != "" {
		g, err := access.FindGroup(tx, v.About.ID, it.Params.Group)
		if err != nil && !refusal.Is(err, refusal.NotFound) {
			return err
		}
		doc.Group = g.Name
	}
	switch {
	case it.Works():
		w.Header().Set("Refresh", jobRefreshes+"; url="+doc.At) // not in the page: there it would count as one that moves under its reader
	case it.State == account.JobColumns:
		doc.columnsAsked = askColumns(it.Params.Head, it.Params.Columns, func(i int) string {
			if i < len(it.Params.Sample) {
				return it.Params.Sample[i]
			}
			return ""
		})
		doc.Form.Values = nil // the choices stand in the options
	case it.State == account.JobChecked:
		doc.Rows, err = account.JobRows(tx, it.ID, account.RowRefused, -1, account.MostFaults)
	case it.Over():
		err = c.jobRows(r, doc)
	}
	if err != nil {
		return err
	}
	return c.pages.Render(w, r, status, "job", doc)
}

// jobRows reads a page of what became of the rows of a job that is over.
func (c *Console) jobRows(r *http.Request, doc *jobDoc) (err error) {
	q := r.URL.Query()
	after := -1
	if text := q.Get("after"); text != "" {
		if after, err = strconv.Atoi(text); err != nil || after < 0 {
			return refusal.New(refusal.Invalid, "error.query")
		}
	}
	switch q.Get("only") {
	case "":
	case string(account.RowRefused):
		doc.Only = account.RowRefused
	default:
		return refusal.New(refusal.Invalid, "error.query")
	}
	if doc.Rows, err = account.JobRows(c.DB.Read(r.Context()), doc.Job.ID, doc.Only, after, rowsPerPage+1); err != nil {
		return err
	}
	if len(doc.Rows) > rowsPerPage {
		doc.Rows = doc.Rows[:rowsPerPage]
		next := url.Values{"after": {strconv.Itoa(doc.Rows[rowsPerPage-1].N)}}
		if doc.Only != "" {
			next.Set("only", string(doc.Only))
		}
		doc.Next = doc.At + "?" + next.Encode()
	}
	if doc.Job.Done > 0 {
		doc.File = doc.At + "/result"
	}
	return nil
}

// changeJob takes what the page of a job asks: what the columns hold, to go on, to cancel.
func (c *Console) changeJob(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err != nil && !again(err) {
		return err
	}
	it, missing := c.findJob(r, v)
	if missing != nil {
		return missing
	}
	var typed map[string]string
	if err == nil {
		typed, err = take(values, "step", "later")
	}
	if err == nil {
		switch typed["step"] {
		case stepColumns:
			err = c.Jobs.Ask(r.Context(), v.Actor, v.About.ID, it.ID)
		case stepCheck:
			var columns []account.Column
			if columns, err = columnsIn(values, len(it.Params.Head)); err == nil {
				err = c.Jobs.SetColumns(r.Context(), v.Actor, v.About.ID, it.ID, columns)
			}
		case stepRun:
			err = c.Jobs.RunImport(r.Context(), v.Actor, v.About.ID, it.ID, typed["later"] != "")
		case stepCancel:
			err = c.Jobs.Cancel(r.Context(), v.Actor, v.About.ID, it.ID)
		default:
			err = refusal.New(refusal.Invalid, "error.form")
		}
	}
	if err == nil {
		return seeOther(w, r, v.path("jobs/"+string(it.ID)))
	}
	if !again(err) {
		return err
	}
	e := *refusal.As(err)
	if e.Field == "columns" {
		e.Field = ""
	}
	return c.showJob(w, r, v, status(w, err), page.FormOf(values, &e))
}

// jobResult saves what became of each row as a file.
func (c *Console) jobResult(w http.ResponseWriter, r *http.Request, v visit) error {
	it, err := c.findJob(r, v)
	if err != nil {
		return err
	}
	if !it.Over() || it.Done == 0 {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	say := func(key string, args refusal.Args) string { return c.Kit.Say(r, &refusal.Error{Key: key, Args: args}) }
	attach(w, v.About.Slug+"-result.csv")
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180 section 2
	head := []string{say("job.row", nil), say("users.email", nil), say("users.invite.result", nil), say("csv.result.reason", nil)}
	if it.Kind == account.ActImport {
		head[0] = say("csv.result.line", nil)
	}
	err = out.Write(head)
	for after := -1; err == nil; {
		var rows []account.JobRow
		if rows, err = account.JobRows(c.DB.Read(r.Context()), it.ID, "", after, rowsAtOnce); err != nil {
			break
		}
		for _, row := range rows {
			why := ""
			if row.Err != nil {
				why = say(row.Err.Key, row.Err.Args)
			}
			if err = out.Write([]string{strconv.Itoa(row.N), account.Harmless(row.Email), say(resultKey(it.Kind, row.State), nil), account.Harmless(why)}); err != nil {
				break
			}
			after = row.N
		}
		if out.Flush(); err == nil {
			err = out.Error()
		}
		if len(rows) < rowsAtOnce {
			break
		}
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the file is broken off; no page can follow it
	}
	return nil
}

// resultKey is the catalogue key of what became of a row.
func resultKey(kind account.Act, state account.RowState) string {
	switch {
	case state == account.RowRefused:
		return "csv.refused"
	case state == account.RowThere:
		return "csv.there"
	case state == account.RowWaits:
		return "job.not_done"
	case kind == account.ActImport:
		return "csv.added"
	}
	return "bulk.done"
}
