package page

import (
	"html/template"
	"strings"
	"time"
)

// Field is one input with its label, hint and error: the argument of the partials "field", "password" and "code". Base.Field,
// Base.Password and Base.Code make one; the methods say what differs and return it again:
//
//	{{template "field" ((.Field "identifier" "login.identifier").Fill "username webauthn").Focus}}
type Field struct {
	ID, Name, Label, Hint, Error string
	Type, Autocomplete, Mode     string // attributes type, autocomplete, inputmode
	Value, Placeholder           string
	Rows                         int // 0: one line
	MaxLength                    int // 0: no limit
	Autofocus, Optional, Mono    bool
	Plain                        bool // no help from keyboard and spelling: names, addresses, codes
	Readonly                     bool
	Rules                        []Shown // of a new password
	Words                        string  // what a new password may not consist of
	Digits                       int     // length of a code that submits itself
	b                            *Base
}

// Field returns a text input. label is a catalogue key with its name, value pairs.
func (b *Base) Field(name, label string, args ...any) *Field {
	f := &Field{ID: name, Name: name, Label: b.P.T(label, args...), Type: "text", Value: b.typed(name), Error: b.Err(name), b: b}
	f.Autofocus = f.Error != "" && b.first == name
	return f
}

// Password returns an input for the current password, which is never filled in again.
func (b *Base) Password(name, label string, args ...any) *Field {
	f := b.Field(name, label, args...)
	f.Type, f.Autocomplete, f.Value = "password", "current-password", ""
	return f
}

// Code returns the input for a code of six digits. hint, a catalogue key, stands before it.
func (b *Base) Code(name, label, hint string, args ...any) *Field {
	f := b.Field(name, label)
	f.Autocomplete, f.Mode, f.Value, f.Digits, f.Plain = "one-time-code", "numeric", "", 6, true
	f.Hint = b.P.T(hint, args...)
	return f
}

// Help sets the hint under the label.
func (f *Field) Help(key string, args ...any) *Field { f.Hint = f.b.P.T(key, args...); return f }

// Fill sets autocomplete.
func (f *Field) Fill(autocomplete string) *Field { f.Autocomplete = autocomplete; return f }

// Focus puts the cursor here when the page opens, unless another field has an error.
func (f *Field) Focus() *Field { f.Autofocus = f.b.first == "" || f.b.first == f.Name; return f }

// Kind says what is typed: "email", "tel", "url", "number" choose the keyboard; "date", "datetime-local", "search" the input.
func (f *Field) Kind(kind string) *Field {
	switch kind {
	case "email", "tel", "url":
		f.Mode, f.Plain = kind, true // the input stays text: our sentences instead of the browser's bubble
	case "number":
		f.Mode = "numeric"
	default:
		f.Type = kind
	}
	return f
}

// Literal switches off spelling help and capitals: user names, tenant domains, keys.
func (f *Field) Literal() *Field { f.Plain = true; return f }

// Fixed shows it in a fixed-width font.
func (f *Field) Fixed() *Field { f.Mono, f.Plain = true, true; return f }

// Start sets the value that stands there before anything was typed.
func (f *Field) Start(value string) *Field {
	if !f.b.Form.Sent() {
		f.Value = value
	}
	return f
}

// StartDay is Start for a date input: the day of t in the page's time zone; empty for the zero time.
func (f *Field) StartDay(t time.Time) *Field {
	if t.IsZero() {
		return f
	}
	return f.Start(t.In(f.b.Location).Format(time.DateOnly))
}

// Example sets the placeholder: a sample value, never the label.
func (f *Field) Example(text string) *Field { f.Placeholder = text; return f }

// Lines makes it a text area of n rows.
func (f *Field) Lines(n int) *Field { f.Rows = n; return f }

// Max sets the most characters.
func (f *Field) Max(n int) *Field { f.MaxLength = n; return f }

// MayBeEmpty marks it as optional.
func (f *Field) MayBeEmpty() *Field { f.Optional = true; return f }

// Locked makes it readable only.
func (f *Field) Locked() *Field { f.Readonly = true; return f }

// As sets another id where a page has the name twice; its error's id follows.
func (f *Field) As(id string) *Field { f.ID = id; return f }

// New makes a password input one for a new password, with the rules as a checklist and a meter of its strength. words are what it
// may not consist of: the organisation, the name, the address.
func (f *Field) New(rules []Rule, words []string) *Field {
	f.Autocomplete, f.Words = "new-password", strings.Join(words, " ")
	for _, r := range rules {
		s := Shown{Test: r.Test, Text: f.b.P.T(r.Key, r.Args...)}
		for _, e := range f.b.Form.Errors {
			for _, key := range r.Broken {
				s.Broken = s.Broken || e.Field == f.Name && e.Key == key
			}
		}
		f.Rules = append(f.Rules, s)
	}
	return f
}

// Again makes a password input the repetition of a new one.
func (f *Field) Again(of string) *Field {
	f.Autocomplete, f.Words = "new-password", ""
	f.Rules = []Shown{{Test: "same:" + of, Text: f.b.P.T("field.password.same"), Broken: f.Error != ""}}
	return f
}

// meter tells whether the strength of what is typed is shown.
func (f *Field) meter() bool {
	return f.Autocomplete == "new-password" && (len(f.Rules) != 1 || !strings.HasPrefix(f.Rules[0].Test, "same:"))
}

// HTML returns the input with its label, hint and error: the partials "field", "password" and "code".
func (f *Field) HTML() template.HTML {
	m := newMarkup()
	m.html("<div class=\"field\">\n")
	switch {
	case f.Digits > 0: // the hint tells where to look for the code
		f.hint(m)
		f.label(m)
		f.code(m)
	case f.Type == "password":
		f.label(m)
		f.hint(m)
		f.password(m)
	default:
		f.label(m)
		f.hint(m)
		f.input(m)
	}
	m.html("\n")
	m.problem(f.ID, f.Error)
	if f.Type == "password" {
		f.checklist(m)
	}
	return m.html("\n</div>").whole()
}

func (f *Field) input(m *markup) {
	if f.Rows > 0 {
		m.html("<textarea").attr("id", f.ID).attr("name", f.Name).attr("rows", itoa(f.Rows)).flag(` class="mono"`, f.Mono).
			number("maxlength", int64(f.MaxLength)).some("placeholder", f.Placeholder).flag(` autocapitalize="none" spellcheck="false"`, f.Plain)
		f.state(m)
		m.html("\n").text(f.Value).html("</textarea>")
		return
	}
	m.html("<input").attr("id", f.ID).attr("name", f.Name).attr("type", f.Type).flag(` class="mono"`, f.Mono).some("value", f.Value).
		some("autocomplete", f.Autocomplete).some("inputmode", f.Mode).number("maxlength", int64(f.MaxLength)).some("placeholder", f.Placeholder).
		flag(` autocapitalize="none" autocorrect="off" spellcheck="false"`, f.Plain)
	f.state(m)
}

func (f *Field) code(m *markup) {
	m.html(`<input class="code"`).attr("id", f.ID).attr("name", f.Name).html(` type="text" inputmode="numeric" autocomplete="one-time-code"`).
		html(` autocapitalize="none" autocorrect="off" spellcheck="false" maxlength="16"`).attr("data-code", itoa(f.Digits))
	f.state(m)
}

// password writes the input with a button that shows what is typed.
func (f *Field) password(m *markup) {
	m.html(`<div class="secret"><input`).attr("id", f.ID).attr("name", f.Name).html(` type="password"`).attr("autocomplete", f.Autocomplete).
		html(` autocapitalize="none" autocorrect="off" spellcheck="false"`).some("data-words", f.Words)
	f.state(m)
	m.html(`<button class="show" type="button"`).attr("data-show", f.ID).attr("data-hide", f.b.P.T("field.password.hide")).
		html(` aria-pressed="false" hidden>`).text(f.b.P.T("field.password.show")).html("</button></div>")
}

func (f *Field) label(m *markup) {
	m.html("<label").attr("for", f.ID).html(">").text(f.Label)
	if f.Optional {
		m.html(` <span class="optional">`).text(f.b.P.T("field.optional")).html("</span>")
	}
	m.html("</label>\n")
}

func (f *Field) hint(m *markup) {
	if f.Hint != "" {
		m.html(`<p class="hint"`).attr("id", f.ID, "-hint").html(">").text(f.Hint).html("</p>")
	}
	m.html("\n")
}

// state ends the tag of an input with what it is at the moment.
func (f *Field) state(m *markup) {
	m.some("aria-describedby", f.describedBy()).flag(` aria-invalid="true"`, f.Error != "").flag(" readonly", f.Readonly).
		flag(" autofocus", f.Autofocus).html(">")
}

// checklist writes the rules of a new password and the meter of its strength. Screen readers are told how each rule stands.
func (f *Field) checklist(m *markup) {
	m.html("\n")
	if len(f.Rules) > 0 {
		m.html(`<ul class="rules`).flag(" again", !f.meter()).html(`"`).attr("id", f.ID, "-rules").attr("data-rules", f.ID).
			attr("data-met", f.b.P.T("field.rule.met")).attr("data-open", f.b.P.T("field.rule.open")).html(">")
		for _, r := range f.Rules {
			m.html("<li").attr("data-test", r.Test).flag(` class="broken"`, r.Broken).html("><span>").text(r.Text).
				html(` <span class="unseen"></span></span></li>`)
		}
		m.html("</ul>")
	}
	m.html("\n")
	if f.meter() {
		m.html(`<div class="strength"`).attr("data-strength", f.ID).attr("data-names", f.strengths()).
			html(` hidden><i></i><i></i><i></i><i></i><span aria-live="polite"></span></div>`)
	}
}

// problem writes what is wrong with an input.
func (m *markup) problem(id, sentence string) {
	if sentence != "" {
		m.html(`<p class="field-error"`).attr("id", id, "-error").html(`><span class="shape" aria-hidden="true"></span>`).
			text(sentence).html("</p>")
	}
}

// describedBy returns the ids of error, hint and rules, for aria-describedby.
func (f *Field) describedBy() string {
	ids := described(f.ID, f.Hint, f.Error)
	if len(f.Rules) > 0 {
		ids = strings.TrimPrefix(ids+" "+f.ID+"-rules", " ")
	}
	return ids
}

// Rule is one rule of a new password, checked live where the browser can.
type Rule struct {
	Test   string   // min:15, max:256, words (not made of the words), same:field; "" when only the server can tell
	Key    string   // catalogue key of its text
	Args   []any    // its name, value pairs
	Broken []string // keys of the refusals that mean it
}

// Shown is a rule in the page's language.
type Shown struct {
	Test, Text string
	Broken     bool
}

// PasswordRules are the rules that a person is told about: length, nothing personal, nothing common or breached.
func PasswordRules(least int) []Rule {
	return []Rule{
		{Test: "min:" + itoa(least), Key: "field.password.min", Args: []any{"Count", least}, Broken: []string{"password.too_short"}},
		{Test: "words", Key: "field.password.personal", Broken: []string{"password.too_own"}},
		{Key: "field.password.common", Broken: []string{"password.too_common", "password.too_simple"}},
	}
}

// strengths returns the words for the four strengths from weak to strong, separated by "|" for the script.
func (f *Field) strengths() string {
	names := make([]string, 4)
	for i := range names {
		names[i] = f.b.P.T("field.strength") + ": " + f.b.P.T("field.strength."+itoa(i))
	}
	return strings.Join(names, "|")
}
