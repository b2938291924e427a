package page

import (
	"html/template"
	"slices"
)

// Option is one of several that a person may choose.
type Option struct {
	Value   string
	Key     string // catalogue key of its text
	Args    []any  // name, value pairs of the text
	Text    string // or the text itself
	Hint    string // catalogue key of a line below it, "" for none
	Note    string // or the line itself
	Chosen  bool   // before anything was sent
	Refused string // catalogue key of why it cannot be chosen, "" when it can
}

// Picked is an Option in the page's language.
type Picked struct {
	Value, Text, Hint string
	On, Disabled      bool
}

// Choosing is a choice with its label, hint and error: the argument of the partials "select", "checks" and "radios".
type Choosing struct {
	ID, Name, Label, Hint, Error string
	Options                      []Picked
	b                            *Base
}

// Select returns one choice out of options. label is a catalogue key with its name, value pairs.
func (b *Base) Select(name, label string, options []Option, args ...any) *Choosing {
	c := &Choosing{ID: name, Name: name, Label: b.P.T(label, args...), Error: b.Err(name), b: b}
	for _, o := range options {
		p := Picked{Value: o.Value, Text: o.Text, Hint: o.Note, On: o.Chosen}
		if o.Key != "" {
			p.Text = b.P.T(o.Key, o.Args...)
		}
		if o.Hint != "" {
			p.Hint = b.P.T(o.Hint)
		}
		if o.Refused != "" {
			p.Disabled, p.Hint = true, b.P.T(o.Refused)
		}
		if b.Form.Sent() {
			p.On = slices.Contains(b.Form.Values[name], o.Value)
		}
		c.Options = append(c.Options, p)
	}
	return c
}

// Choice is Select under the name that reads well for the partials "checks" and "radios".
func (b *Base) Choice(name, label string, options []Option, args ...any) *Choosing {
	return b.Select(name, label, options, args...)
}

// Help sets the hint under the label.
func (c *Choosing) Help(key string, args ...any) *Choosing { c.Hint = c.b.P.T(key, args...); return c }

// As sets another id where a page has the name twice; its error's id follows.
func (c *Choosing) As(id string) *Choosing { c.ID = id; return c }

// DescribedBy returns the ids of hint and error, for aria-describedby.
func (c *Choosing) DescribedBy() string { return described(c.ID, c.Hint, c.Error) }

// Tick is one check box: the argument of the partial "check".
type Tick struct {
	ID, Name, Value, Label, Hint, Error string
	On, Disabled                        bool
	b                                   *Base
}

// Check returns a check box that sends value "1". label is a catalogue key with its name, value pairs.
func (b *Base) Check(name, label string, args ...any) *Tick {
	return &Tick{ID: name, Name: name, Value: "1", Label: b.P.T(label, args...), Error: b.Err(name), On: b.typed(name) != "", b: b}
}

// Help sets the line below the label.
func (t *Tick) Help(key string, args ...any) *Tick { t.Hint = t.b.P.T(key, args...); return t }

// Start says whether it is ticked before anything was sent.
func (t *Tick) Start(on bool) *Tick {
	if !t.b.Form.Sent() {
		t.On = on
	}
	return t
}

// Sends sets another value; then it is ticked when that value was sent.
func (t *Tick) Sends(value string) *Tick {
	t.Value, t.ID = value, t.Name+"-"+value
	t.On = slices.Contains(t.b.Form.Values[t.Name], value)
	return t
}

// Off shows it without letting it be changed, and why.
func (t *Tick) Off(key string, args ...any) *Tick {
	t.Disabled, t.Hint = true, t.b.P.T(key, args...)
	return t
}

// HTML returns it with its hint and error: the partial "check".
func (t *Tick) HTML() template.HTML {
	m := newMarkup()
	m.html("<div class=\"field\">\n<label class=\"tick\"><input type=\"checkbox\"").attr("id", t.ID).attr("name", t.Name).attr("value", t.Value).
		flag(" checked", t.On).flag(" disabled", t.Disabled).some("aria-describedby", described(t.ID, t.Hint, t.Error)).
		flag(` aria-invalid="true"`, t.Error != "").html("><span>").text(t.Label)
	if t.Hint != "" {
		m.html("<small").attr("id", t.ID, "-hint").html(">").text(t.Hint).html("</small>")
	}
	m.html("</span></label>\n")
	m.problem(t.ID, t.Error)
	return m.html("\n</div>").whole()
}

func described(id, hint, problem string) string {
	switch {
	case hint != "" && problem != "":
		return id + "-error " + id + "-hint"
	case problem != "":
		return id + "-error"
	case hint != "":
		return id + "-hint"
	}
	return ""
}
