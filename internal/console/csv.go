package console

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/license"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

// The import is one form in steps: a file or pasted lines, what its columns hold where the head does not say, what would become of each line, what
// became of it. The text travels in the form from step to step, so nothing of it is kept anywhere.

// The steps, by what a form asks for.
const (
	stepColumns = "columns" // to say what the columns hold
	stepCheck   = "check"   // what would become of each line
	stepRun     = "run"
	stepResult  = "result" // the result as a file
)

// MostUpload is the size of an uploaded file's request in bytes: more than an import takes, so that a large file is answered by a sentence.
const MostUpload = 20 << 20

// importDoc is where a file is chosen.
type importDoc struct {
	page.Base
	Action, Back string
	Seats        license.Seats
	Columns      []columnRow
	Lines, Size  int // at most
}

// columnRow says what a column may hold.
type columnRow struct{ Name, Key string }

// columnsDoc asks what the columns of a file hold.
type columnsDoc struct {
	page.Base
	carried
	Columns []columnChoice
}

// columnChoice is a column, with a cell or two from it.
type columnChoice struct {
	Field, Head, Sample string
	Options             []page.Option
}

// linesDoc says what would become, or became, of each line.
type linesDoc struct {
	page.Base
	carried
	Ran                   bool
	Results               []account.LineResult
	Added, There, Refused int
	Left                  string // the head and the lines that were refused, to be put right
	File                  string // the result, to be saved
}

// carried is what goes along from step to step.
type carried struct {
	Action, Back string
	Text         string
	Guessed      bool // how the file is written
	Later        bool
	Chosen       []account.Column
}

// Field returns the name under which the choice for a column is sent.
func (carried) Field(i int) string { return columnField(i) }

func columnField(i int) string { return "column_" + strconv.Itoa(i) }

func (c *Console) importForm(w http.ResponseWriter, r *http.Request, v visit) error {
	if !account.MayAdd(v.Actor, v.Rights, v.About.Rules) {
		return refusal.New(refusal.Forbidden, "policy.invite.refused")
	}
	return c.showImport(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showImport(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	doc := &importDoc{Base: c.base(v, "users.import", "csv.import.title"), Action: v.path("users/import"), Back: v.path("users"),
		Lines: account.MostLines, Size: account.MostSheet >> 10}
	doc.Form = f
	var err error
	if doc.Seats, err = license.SeatsOf(c.DB.Read(r.Context()), v.About.ID); err != nil {
		return err
	}
	for _, col := range account.ReadColumns {
		if col != account.GroupsColumn || withGroups(v.About.Kind) {
			doc.Columns = append(doc.Columns, columnRow{string(col), "csv.column." + string(col)})
		}
	}
	return c.pages.Render(w, r, status, "users.import", doc)
}

// importPeople takes every step of an import.
func (c *Console) importPeople(w http.ResponseWriter, r *http.Request, v visit) error {
	values, field, err := c.sheetForm(w, r, v)
	if err == nil {
		err = c.importStep(w, r, v, values)
	}
	if err == nil || !again(err) {
		return err
	}
	if e := refusal.As(err); e.Field == "text" {
		moved := *e
		moved.Field = field
		err = &moved
	}
	return c.showImport(w, r, v, status(w, err), page.FormOf(values, err))
}

// importStep answers the step that the form asks for; a refusal of it is shown where the import begins.
func (c *Console) importStep(w http.ResponseWriter, r *http.Request, v visit, values url.Values) error {
	typed, err := take(values, "text", "step", "guessed", "later")
	if err != nil {
		return err
	}
	if typed["step"] == stepResult {
		return saveResult(w, values)
	}
	sheet, fault := account.ReadSheet(typed["text"])
	if fault != nil {
		return fault
	}
	in := account.Lines{Sheet: sheet, Later: typed["later"] != ""}
	by := carried{Action: v.path("users/import"), Back: v.path("users/import"), Text: typed["text"], Guessed: typed["guessed"] != "", Later: in.Later}
	sure := true
	if values.Has(columnField(0)) {
		if in.Columns, err = columnsIn(values, len(sheet.Head)); err != nil {
			return err
		}
	} else {
		in.Columns, sure = sheet.Guess()
	}
	by.Chosen = in.Columns
	var results []account.LineResult
	switch step := typed["step"]; {
	case step == stepColumns, !sure && step != stepRun:
		return c.showColumns(w, r, v, http.StatusOK, by, sheet, page.Form{})
	case step == "" || step == stepCheck:
		results, err = c.Directory.CheckLines(r.Context(), v.Actor, v.About.ID, in)
	case step == stepRun:
		results, err = c.Directory.AddLines(r.Context(), v.Actor, v.About.ID, in)
	default:
		return refusal.New(refusal.Invalid, "error.form")
	}
	if e := refusal.As(err); e != nil && e.Field == "columns" {
		copied := *e
		copied.Field = ""
		return c.showColumns(w, r, v, http.StatusUnprocessableEntity, by, sheet, page.FormOf(nil, &copied))
	}
	if err != nil {
		return err
	}
	return c.showLines(w, r, v, by, in, results, typed["step"] == stepRun)
}

// columnsIn reads what the columns hold.
func columnsIn(values url.Values, n int) ([]account.Column, error) {
	columns := make([]account.Column, n)
	for i := range columns {
		text, fault := page.One(values, columnField(i))
		if fault != nil {
			return nil, fault
		}
		columns[i] = account.Column(text)
	}
	return columns, nil
}

func (c *Console) showColumns(w http.ResponseWriter, r *http.Request, v visit, status int, by carried, sheet account.Sheet, f page.Form) error {
	doc := &columnsDoc{Base: c.base(v, "users.import.columns", "csv.columns.title"), carried: by}
	doc.Form = f
	for i, head := range sheet.Head {
		one := columnChoice{Field: columnField(i), Head: head, Options: []page.Option{{Value: "", Key: "csv.column.none"}}}
		for _, col := range account.ReadColumns {
			one.Options = append(one.Options, page.Option{Value: string(col), Key: "csv.column." + string(col)})
		}
		for j := range one.Options {
			one.Options[j].Chosen = one.Options[j].Value == string(by.Chosen[i])
		}
		for _, l := range sheet.Lines {
			if i < len(l.Cells) && l.Cells[i] != "" {
				one.Sample = shortCell(l.Cells[i])
				break
			}
		}
		doc.Columns = append(doc.Columns, one)
	}
	doc.Form.Values = nil // the choices stand in the options
	return c.pages.Render(w, r, status, "users.import.columns", doc)
}

// shortCell is a cell as an example.
func shortCell(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

func (c *Console) showLines(w http.ResponseWriter, r *http.Request, v visit, by carried, in account.Lines, results []account.LineResult, ran bool) error {
	title := "csv.check.title"
	if ran {
		title = "csv.done.title"
	}
	doc := &linesDoc{Base: c.base(v, "users.import.lines", title), carried: by, Ran: ran, Results: results}
	doc.Added, doc.There, doc.Refused = account.Tally(results)
	if ran {
		say := c.Kit.Printer(r)
		file := [][]string{{"line", "email", "result", "reason"}}
		for _, res := range results {
			file = append(file, []string{strconv.Itoa(res.Line), res.Email, outcome(res), reason(res, say)})
		}
		doc.File = written(file)
		doc.Left = leftOver(in, results)
		doc.Back = v.path("users")
	}
	return c.pages.Render(w, r, http.StatusOK, "users.import.lines", doc)
}
