package page

import (
	"html/template"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Badge is a status as word, colour and shape: the argument of the partial "badge".
type Badge struct {
	Kind string // good, warn, bad, or "" for neutral
	Text string
}

// Badge returns a status. kind is good, warn, bad or "" for neutral; key a catalogue key with its name, value pairs.
func (b *Base) Badge(kind, key string, args ...any) Badge { return Badge{kind, b.P.T(key, args...)} }

// HTML returns it: the partial "badge".
func (x Badge) HTML() template.HTML {
	m := newMarkup()
	return m.html("<span").attr("class", "badge ", x.Kind).html(`><span class="shape" aria-hidden="true"></span>`).
		text(x.Text).html("</span>").whole()
}

// Notice is a paragraph that stands out: the argument of the partial "notice".
type Notice struct {
	Kind       string // good, warn, bad, or "" for neutral
	Text       string
	Href, Link string
}

// Notice returns a paragraph that stands out. kind is good, warn, bad or "" for neutral.
func (b *Base) Notice(kind, key string, args ...any) *Notice {
	return &Notice{Kind: kind, Text: b.P.T(key, args...)}
}

// To puts a link behind it.
func (n *Notice) To(href, text string) *Notice { n.Href, n.Link = href, text; return n }

// HTML returns it: the partial "notice".
func (n *Notice) HTML() template.HTML {
	m := newMarkup()
	m.notice(n.Kind, "", n.Text, n.Href, n.Link)
	return m.whole()
}

// notice writes a paragraph that stands out, with a link behind it where href is one.
func (m *markup) notice(kind string, role literal, text, href, link string) {
	m.html("<div").attr("class", "notice ", kind).html(role).html(`><span class="shape" aria-hidden="true"></span><p>`).text(text)
	if href != "" {
		m.html(" <a").attr("href", href).html(">").text(link).html("</a>")
	}
	m.html("</p></div>")
}

// Stat is a figure of a dashboard: the argument of the partial "stat".
type Stat struct {
	Label, Value, Note, Href string
	Chart                    template.HTML
	Kind                     string // good, warn, bad, or ""
	b                        *Base
}

// Stat returns a figure. label is a catalogue key.
func (b *Base) Stat(label, value string) *Stat { return &Stat{Label: b.P.T(label), Value: value, b: b} }

// Noted sets the line below the figure.
func (s *Stat) Noted(key string, args ...any) *Stat { s.Note = s.b.P.T(key, args...); return s }

// To makes the card lead to the list behind the figure.
func (s *Stat) To(href string) *Stat { s.Href = href; return s }

// Draw puts a chart below the figure.
func (s *Stat) Draw(chart template.HTML) *Stat { s.Chart = chart; return s }

// Filled draws a bar of that share, 0 to 1.
func (s *Stat) Filled(share float64) *Stat { s.Chart = s.b.share(share, s.Label); return s }

// As colours the figure: good, warn or bad.
func (s *Stat) As(kind string) *Stat { s.Kind = kind; return s }

// HTML returns it: the partial "stat".
func (s *Stat) HTML() template.HTML {
	m := newMarkup()
	m.html(`<div class="stat`).flag(" ", s.Kind != "").text(s.Kind).html(`"><p class="stat-label">`)
	if s.Href != "" {
		m.html("<a").attr("href", s.Href).html(">").text(s.Label).html("</a>")
	} else {
		m.text(s.Label)
	}
	m.html(`</p><p class="figure">`).text(s.Value).html("</p>")
	if s.Chart != "" {
		m.html(`<div class="stat-chart">`).safe(s.Chart).html("</div>")
	}
	if s.Note != "" {
		m.html(`<p class="stat-note">`).text(s.Note).html("</p>")
	}
	return m.html("</div>").whole()
}

// Progress is something long that runs: the argument of the partial "progress".
type Progress struct {
	Label, Figure string
	Done, Total   int
}

// Progress returns how far something is. label is a catalogue key; a total of 0 means that nobody knows yet.
func (b *Base) Progress(label string, done, total int) Progress {
	p := Progress{Label: b.P.T(label), Done: done, Total: total}
	if total > 0 {
		p.Figure = b.P.T("page.progress", "Done", b.P.Number(done), "Total", b.P.Number(total))
	}
	return p
}

// Empty is a list without lines: what it will hold and the next step. The argument of the partial "empty".
type Empty struct {
	Title, Text string
	Icon        template.HTML
	Action      *Button
	b           *Base
}

// Empty returns an empty state; title and text are catalogue keys.
func (b *Base) Empty(icon, title, text string, args ...any) *Empty {
	return &Empty{Title: b.P.T(title, args...), Text: b.P.T(text, args...), Icon: b.Icon(icon), b: b}
}

// Next sets the button that names the next step.
func (e *Empty) Next(x *Button) *Empty { e.Action = x; return e }

// Pager leads through a list with keyset paging: the argument of the partial "pager".
type Pager struct{ Newer, Older, NewerText, OlderText, Figure string }

// Pager returns the links to the part of a list before and after this one, "" for none, with a text such as "1,204 people".
func (b *Base) Pager(before, after, figure string) Pager {
	return Pager{Newer: before, Older: after, NewerText: b.P.T("page.before"), OlderText: b.P.T("page.after"), Figure: figure}
}

// Copy is a value to copy to another system: the argument of the partial "copy".
type Copy struct{ ID, Label, Value, CopyText, DoneText string }

// Copy returns a value with a button that copies it. label is a catalogue key; id is unique on the page.
func (b *Base) Copy(id, label, value string) Copy {
	return Copy{ID: id, Label: b.P.T(label), Value: value, CopyText: b.P.T("page.copy"), DoneText: b.P.T("page.copied")}
}

// Dialog is a question before something dangerous: the argument of the partials "dialog" and "dialog-end", which enclose its
// contents. Button.Opens opens it; without script it is a part of the page that the link jumps to.
type Dialog struct {
	ID, Title, CloseText string
	CloseIcon            template.HTML
	Open                 bool // at once: the form inside came back with errors
	b                    *Base
}

// Dialog returns a dialog; title is a catalogue key.
func (b *Base) Dialog(id, title string, args ...any) *Dialog {
	return &Dialog{ID: id, Title: b.P.T(title, args...), CloseText: b.P.T("page.close"), CloseIcon: b.Icon("close"), b: b}
}

// Again opens it at once when one of these fields has an error.
func (d *Dialog) Again(fields ...string) *Dialog {
	for _, e := range d.b.Form.Errors {
		for _, f := range fields {
			d.Open = d.Open || e.Field == f
		}
	}
	return d
}

// Column is the head of a table's column: the argument of the partial "th".
type Column struct {
	Label, Href, Sort string // Sort: ascending, descending or ""
	Number            bool
	b                 *Base
}

// Column returns a column's head; label is a catalogue key, "" for a column of buttons.
func (b *Base) Column(label string) *Column {
	c := &Column{b: b}
	if label != "" {
		c.Label = b.P.T(label)
	}
	return c
}

// Sorts makes it a link that sorts; direction is how it is sorted now: ascending, descending or "" for not at all.
func (c *Column) Sorts(href, direction string) *Column { c.Href, c.Sort = href, direction; return c }

// Right aligns it for numbers.
func (c *Column) Right() *Column { c.Number = true; return c }

// Chip is who a step is about, with the way to be somebody else: the argument of the partial "chip".
type Chip struct{ Text, Initial, Href, Link string }

// Chip returns it; text is the person as typed, href leads back, key is the catalogue key of that link.
func (b *Base) Chip(text, href, key string) Chip { return Chip{text, initial(text), href, b.P.T(key)} }

// HTML returns it: the partial "chip".
func (c Chip) HTML() template.HTML {
	m := newMarkup()
	return m.html(`<p class="chip"><span class="face" aria-hidden="true">`).text(c.Initial).
		html(`</span><span class="chip-text">`).text(c.Text).
		html("</span><a").attr("href", c.Href).html(">").text(c.Link).html("</a></p>").whole()
}

// Tabs leads between the parts of one thing: the argument of the partial "tabs".
type Tabs struct {
	Label string
	Items []Tab
}

// Tab is one of them in the page's language.
type Tab struct {
	Text, Href, Count string
	Current           bool
}

// Tabs returns the parts of one thing; label is the catalogue key of what they belong to, for screen readers.
func (b *Base) Tabs(label string, items []NavItem) Tabs {
	t := Tabs{Label: b.P.T(label)}
	for _, n := range items {
		tab := Tab{Text: b.Name(n), Href: n.Href, Current: n.Current}
		if n.Count > 0 {
			tab.Count = b.P.Number(n.Count)
		}
		t.Items = append(t.Items, tab)
	}
	return t
}
