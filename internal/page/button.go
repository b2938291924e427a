package page

import (
	"html/template"
	"time"
)

// Button is a button or a link that looks like one: the argument of the partial "button". The first one of a form is its main
// action; all others are Secondary or quieter.
type Button struct {
	Label, Name, Value, Href string
	Look                     string // primary, secondary, danger, quiet
	Small                    bool
	Icon                     template.HTML
	Disabled                 bool
	Reason                   string // why it is disabled
	Form                     string // id of a form elsewhere on the page
	Until                    int64  // milliseconds since 1970 until which it waits; 0 for not at all
	Dialog                   string // id of the dialog that it opens
	WebAuthn                 string // create or get
	ID                       string
	Download                 bool
	b                        *Base
}

// Button returns a form's main button. key is a catalogue key with its name, value pairs.
func (b *Base) Button(key string, args ...any) *Button {
	return &Button{Label: b.P.T(key, args...), Look: "primary", b: b}
}

// Secondary is for every action beside the main one.
func (x *Button) Secondary() *Button { x.Look = "secondary"; return x }

// Danger is for what destroys something.
func (x *Button) Danger() *Button { x.Look = "danger"; return x }

// Quiet looks like a link.
func (x *Button) Quiet() *Button { x.Look = "quiet"; return x }

// Compact is 32 instead of 40 high: toolbars and rows.
func (x *Button) Compact() *Button { x.Small = true; return x }

// Sends makes it send name=value with its form.
func (x *Button) Sends(name, value string) *Button { x.Name, x.Value = name, value; return x }

// To makes it a link.
func (x *Button) To(href string) *Button { x.Href = href; return x }

// Saves makes a link download what it leads to.
func (x *Button) Saves(href string) *Button { x.Href, x.Download = href, true; return x }

// Text replaces the label by a text that is no catalogue key.
func (x *Button) Text(s string) *Button { x.Label = s; return x }

// Marked puts an icon before the label.
func (x *Button) Marked(icon string) *Button { x.Icon = x.b.Icon(icon); return x }

// Off disables it; the reason, a catalogue key, stands beside it.
func (x *Button) Off(key string, args ...any) *Button {
	x.Disabled, x.Reason = true, x.b.P.T(key, args...)
	return x
}

// Of lets it submit a form elsewhere on the page.
func (x *Button) Of(form string) *Button { x.Form = form; return x }

// Waits keeps it from being used before t, with a count-down. Without script it can be pressed, and the server refuses.
func (x *Button) Waits(t time.Time) *Button {
	if t.After(x.b.Now) {
		x.Until = t.UnixMilli()
	}
	return x
}

// Opens makes it open a dialog of the page.
func (x *Button) Opens(dialog string) *Button { x.Dialog = dialog; return x }

// Passkey makes it start a WebAuthn ceremony: "create" or "get".
func (x *Button) Passkey(ceremony string) *Button { x.WebAuthn = ceremony; return x }

// As sets its id.
func (x *Button) As(id string) *Button { x.ID = id; return x }

// HTML returns it: the partial "button".
func (x *Button) HTML() template.HTML {
	m := newMarkup()
	switch {
	case x.Dialog != "":
		m.html("<a")
		x.look(m)
		m.attr("href", "#", x.Dialog).attr("data-dialog", x.Dialog).some("id", x.ID)
		x.face(m)
		m.html("</a>")
	case x.Href != "":
		m.html("<a")
		x.look(m)
		m.attr("href", x.Href).flag(" download", x.Download).some("id", x.ID)
		x.face(m)
		m.html("</a>")
	default:
		m.flag(`<span class="held">`, x.Reason != "").html("<button")
		x.look(m)
		kind := literal("submit")
		if x.WebAuthn != "" {
			kind = "button"
		}
		m.html(` type="`).html(kind).html(`"`).some("id", x.ID)
		if x.Name != "" {
			m.attr("name", x.Name).attr("value", x.Value)
		}
		m.some("form", x.Form).some("data-webauthn", x.WebAuthn).number("data-until", x.Until).flag(" disabled", x.Disabled)
		x.face(m)
		m.html("</button>")
		if x.Reason != "" {
			m.html(` <small class="reason">`).text(x.Reason).html("</small></span>")
		}
	}
	return m.whole()
}

func (x *Button) look(m *markup) {
	m.html(` class="button `).text(x.Look).flag(" small", x.Small).html(`"`)
}

// face ends the tag and writes what is seen.
func (x *Button) face(m *markup) {
	m.html(">").safe(x.Icon).html("<span>").text(x.Label).html("</span>")
}
