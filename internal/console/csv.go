package console

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"doorward/internal/account"
	"doorward/internal/id"
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

// MostUpload is the size of an uploaded file's request in bytes.
const MostUpload = 20 << 20

// importDoc is where a file is chosen.
type importDoc struct {
	page.Base
	Action, Back string
	Seats        license.Seats
	Columns      []account.Column // that it may have
	Lines, Size  int              // at most; megabytes
	Few          int              // lines that are worked off at once
}

// columnsDoc asks what the columns of a file hold.
type columnsDoc struct {
	page.Base
	carried
	columnsAsked
}

// columnsAsked are the columns of a file whose content is asked for.
type columnsAsked struct{ Columns []columnChoice }

// columnChoice is a column, with a cell or two from it.
type columnChoice struct {
	Field, Head, Sample string
	Options             []page.Option
}

// Asked returns the choice for a column, named after its head, for a page.
func (columnsAsked) Asked(d *page.Base, c columnChoice) *page.Choosing {
	s := d.Select(c.Field, "csv.columns.title", c.Options)
	s.Label = d.T("csv.columns.one", "Column", c.Head)
	if c.Sample != "" {
		s.Help("csv.columns.sample", "Sample", c.Sample)
	}
	return s
}

// linesDoc says what would become, or became, of each line.
type linesDoc struct {
	page.Base
	carried
	Ran                   bool
	Results               []account.LineResult
	Added, There, Refused int
	Left                  string // the head and the lines that were refused, to be put right
}

// carried is what goes along from step to step.
type carried struct {
	Action, Back string
	Text         string
	Guessed      bool // how the file is written
	Later        bool
	Chosen       []account.Column
}

// Kept returns the fields of the form that the page carries on.
func (k carried) Kept() []kept {
	list := []kept{{"text", k.Text}}
	if k.Guessed {
		list = append(list, kept{"guessed", "1"})
	}
	return list
}

// Held returns what was chosen for the columns, as fields of the form.
func (k carried) Held() (list []kept) {
	for i, col := range k.Chosen {
		list = append(list, kept{columnField(i), string(col)})
	}
	return list
}

func columnField(i int) string { return "column_" + strconv.Itoa(i) }

func (c *Console) importForm(w http.ResponseWriter, r *http.Request, v visit) error {
	if !account.MayAdd(v.Actor, v.Rights, v.About.Rules) {
		return refusal.New(refusal.Forbidden, "policy.invite.refused")
	}
	return c.showImport(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showImport(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	doc := &importDoc{Base: c.base(v, "users.import", "csv.import.title"), Action: v.path("users/import"), Back: v.path("users"),
		Lines: account.MostJobLines, Size: MostUpload >> 20, Few: account.MostLines}
	doc.Form = f
	var err error
	if doc.Seats, err = license.SeatsOf(c.DB.Read(r.Context()), v.About.ID); err != nil {
		return err
	}
	for _, col := range account.ReadColumns {
		if col != account.GroupsColumn || withGroups(v.About.Kind) {
			doc.Columns = append(doc.Columns, col)
		}
	}
	return c.pages.Render(w, r, status, "users.import", doc)
}

// importPeople takes every step of an import.
func (c *Console) importPeople(w http.ResponseWriter, r *http.Request, v visit) error {
	values, field, long, err := c.sheetForm(w, r, v)
	if err == nil && long != "" {
		return seeOther(w, r, v.path("jobs/"+string(long)))
	}
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
		if field == "file" {
			values.Del("text")
		}
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
	doc.columnsAsked = askColumns(sheet.Head, by.Chosen, func(i int) string {
		for _, l := range sheet.Lines {
			if i < len(l.Cells) && l.Cells[i] != "" {
				return l.Cells[i]
			}
		}
		return ""
	})
	doc.Form.Values = nil // the choices stand in the options
	return c.pages.Render(w, r, status, "users.import.columns", doc)
}

// askColumns returns the choices for the columns of a head. sample returns a cell of one.
func askColumns(head []string, held []account.Column, sample func(i int) string) (asked columnsAsked) {
	for i, h := range head {
		one := columnChoice{Field: columnField(i), Head: h, Sample: shortCell(sample(i)), Options: []page.Option{{Value: "", Key: "csv.column.none"}}}
		for _, col := range account.ReadColumns {
			one.Options = append(one.Options, page.Option{Value: string(col), Key: "csv.column." + string(col)})
		}
		for j := range one.Options {
			one.Options[j].Chosen = i < len(held) && one.Options[j].Value == string(held[i])
		}
		asked.Columns = append(asked.Columns, one)
	}
	return asked
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
		title, by.Back = "csv.done.title", v.path("users")
	}
	doc := &linesDoc{Base: c.base(v, "users.import.lines", title), carried: by, Ran: ran, Results: results}
	doc.Added, doc.There, doc.Refused = account.Tally(results)
	if ran {
		doc.Left = leftOver(in, results)
	}
	return c.pages.Render(w, r, http.StatusOK, "users.import.lines", doc)
}

// leftOver is the text of the lines that were refused, under their head; empty when none can be put right.
func leftOver(in account.Lines, results []account.LineResult) string {
	rows := [][]string{in.Head}
	for i, res := range results {
		if res.Err != nil && in.Lines[i].Fault == nil {
			rows = append(rows, in.Lines[i].Cells)
		}
	}
	if len(rows) == 1 {
		return ""
	}
	return sheetText(rows)
}

func sheetText(rows [][]string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.WriteAll(rows) // a Builder takes everything
	return b.String()
}

// File returns the result of each line as a text to be saved, in the page's language.
func (d *linesDoc) File() string {
	rows := [][]string{{d.T("csv.result.line"), d.T("users.email"), d.T("users.invite.result"), d.T("csv.result.reason")}}
	for _, res := range d.Results {
		word, why := d.T("csv.added"), ""
		switch {
		case res.There:
			word = d.T("csv.there")
		case res.Err != nil:
			word, why = d.T("csv.refused"), d.P.TMap(res.Err.Key, res.Err.Args)
		}
		rows = append(rows, []string{strconv.Itoa(res.Line), res.Email, word, why})
	}
	return sheetText(rows)
}

// saveResult sends the result that the page before has shown as a file. Whatever it is, no spreadsheet computes it.
func saveResult(w http.ResponseWriter, values url.Values) error {
	text, fault := page.One(values, "result")
	if fault != nil {
		return fault
	}
	in := csv.NewReader(strings.NewReader(text))
	in.FieldsPerRecord = -1
	rows, err := in.ReadAll()
	if err != nil || len(rows) == 0 {
		return refusal.New(refusal.Invalid, "error.form")
	}
	attach(w, "import-result.csv")
	out := csv.NewWriter(w)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = account.Harmless(cell)
		}
		if err := out.Write(row); err != nil {
			panic(http.ErrAbortHandler) // the file is broken off; no page can follow it
		}
	}
	if out.Flush(); out.Error() != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// attach begins a file. Spreadsheets take UTF-8 for what it is when a byte order mark says so.
func attach(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "text/csv; header=present; charset=utf-8") // RFC 4180 section 3
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = io.WriteString(w, "\ufeff")
}

// sheetForm decodes a step of an import: the form of a page, or the upload of a file, whose text then stands in the field "text". It returns the
// field at which the text's faults are told. A long file becomes a job instead, which it returns.
func (c *Console) sheetForm(w http.ResponseWriter, r *http.Request, v visit) (values url.Values, field string, long id.Job, err error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		values, err = c.form(w, r, v)
		return values, "text", "", err
	}
	if r.ContentLength < 0 || r.ContentLength > account.MostSheet {
		leave, err := c.Jobs.Room(r.Context())
		if err != nil {
			return url.Values{}, "text", "", err
		}
		defer leave()
	}
	values, raw, err := readUpload(r, "file", MostUpload)
	if err != nil {
		return url.Values{}, "text", "", err
	}
	r.PostForm = values // for the page that interrupts it, see askProof
	if err := c.rendered(v, values); err != nil {
		return values, "text", "", err
	}
	if len(raw) == 0 {
		return values, "text", "", nil
	}
	text, guessed, fault := account.DecodeSheet(raw)
	if fault != nil {
		return values, "file", "", fault
	}
	if account.Long(text) {
		long, err = c.Jobs.Store(r.Context(), v.Actor, v.About.ID, text, guessed)
		return values, "file", long, err
	}
	values.Set("text", text)
	if guessed {
		values.Set("guessed", "1")
	}
	return values, "file", "", nil
}

// readUpload reads the fields of a form with a file, and the file in the field of that name, of which it takes so many bytes. Of one that is too large
// it keeps no more than shows that, but reads it to its end: else a browser would not read the answer.
func readUpload(r *http.Request, field string, most int64) (values url.Values, file []byte, err error) {
	broken := refusal.New(refusal.Invalid, "error.form")
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, nil, broken
	}
	values = url.Values{}
	for n := 0; ; n++ {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) && n > 0 {
			return values, file, nil
		}
		var body []byte
		if err == nil && n < 20 {
			body, err = io.ReadAll(io.LimitReader(part, most+1))
		}
		if err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if large := new(http.MaxBytesError); errors.As(err, &large) {
			return nil, nil, err
		}
		if err != nil || n >= 20 {
			return nil, nil, broken
		}
		switch name := part.FormName(); {
		case name == field:
			file = body
		case !utf8.ValidString(name), !utf8.Valid(body), bytes.IndexByte(body, 0) >= 0:
			return nil, nil, refusal.New(refusal.Invalid, "error.text.invalid")
		default:
			values.Add(name, string(body))
		}
	}
}

// exportDoc is where the columns of an export are chosen.
type exportDoc struct {
	page.Base
	Action, Back string
	Narrowed     bool // to what the list finds
	Columns      []page.Option
}

func (c *Console) exportForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showExport(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showExport(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	l, _ := c.peopleFilter(r.URL.Query())
	doc := &exportDoc{Base: c.base(v, "users.export", "csv.export.title"), Action: v.path("users/export") + sameQuery(r), Back: v.path("users") + sameQuery(r),
		Narrowed: l.narrowed()}
	doc.Form = f
	for _, col := range account.Columns {
		if col != account.GroupsColumn || withGroups(v.About.Kind) {
			doc.Columns = append(doc.Columns, page.Option{Value: string(col), Key: "csv.column." + string(col), Chosen: true})
		}
	}
	return c.pages.Render(w, r, status, "users.export", doc)
}

func (c *Console) exportPeople(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	begun := false
	if err == nil {
		var columns []account.Column
		for _, col := range values["columns"] {
			columns = append(columns, account.Column(col))
		}
		l, f := c.peopleFilter(r.URL.Query())
		if !l.query.Has("sort") {
			f.Order = "" // oldest first
		}
		err = c.Directory.Export(r.Context(), v.Actor, v.About.ID, f, columns, func() io.Writer {
			begun = true
			attach(w, v.About.Slug+"-"+c.Now().In(v.location()).Format(time.DateOnly)+".csv")
			return w
		})
	}
	switch {
	case err == nil || !begun && !again(err):
		return err
	case begun:
		panic(http.ErrAbortHandler) // the file is broken off; no page can follow it
	}
	return c.showExport(w, r, v, status(w, err), page.FormOf(values, err))
}
