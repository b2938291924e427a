package page

import (
	"net/url"
	"slices"

	"doorward/internal/refusal"
)

// Form is what was typed and what is wrong with it. The zero value is a form that nobody sent yet.
type Form struct {
	Values url.Values
	Errors []*refusal.Error
}

// FormOf returns the form to show again after err: its refusals, and the typed values without those of the secret fields
// (passwords, codes). An err that is no refusal adds none.
func FormOf(v url.Values, err error, secretFields ...string) Form {
	f := Form{Values: url.Values{}}
	for field, list := range v {
		f.Values[field] = list
	}
	for _, field := range secretFields {
		f.Values.Del(field)
	}
	if e := refusal.As(err); e != nil {
		f.Errors = append([]*refusal.Error{e}, e.More...)
	}
	return f
}

// Sent tells whether the form comes back to the person, rather than being shown for the first time.
func (f Form) Sent() bool { return f.Values != nil }

// Err returns the first error of a field as a sentence, "" when there is none.
func (b *Base) Err(field string) string {
	for _, e := range b.Form.Errors {
		if e.Field == field {
			if b.placed == nil {
				b.placed = map[string]bool{}
			}
			b.placed[field] = true
			return b.P.TMap(e.Key, e.Args)
		}
	}
	return ""
}

// typed returns what was typed into a field.
func (b *Base) typed(field string) string { return b.Form.Values.Get(field) }

// problems returns the sentences of the errors that belong to no field of the page.
func (b *Base) problems() []string {
	b.listed = true
	var list []string
	for _, e := range b.Form.Errors {
		if e.Field == "" || b.second && !b.placed[e.Field] {
			if text := b.P.TMap(e.Key, e.Args); !slices.Contains(list, text) {
				list = append(list, text)
			}
		}
	}
	return list
}

// overlooked is problems for a frame: nothing as long as the page itself asks for them.
func (b *Base) overlooked() []string {
	if !b.second || b.listed {
		return nil
	}
	return b.problems()
}

// alert writes sentences as a box that screen readers read at once.
func (m *markup) alert(sentences []string) *markup {
	if len(sentences) == 0 {
		return m
	}
	m.html(`<div class="notice bad" role="alert"><span class="shape" aria-hidden="true"></span><div>`)
	for _, s := range sentences {
		m.html("<p>").text(s).html("</p>")
	}
	return m.html("</div></div>")
}

// identity writes the hidden fields that say who the page was made for and about which organisation.
func (m *markup) identity(b *Base) *markup {
	return m.hidden("_account", b.Account).hidden("_org", b.Org)
}

// hidden writes a hidden field where it has a value.
func (m *markup) hidden(name, value string) *markup {
	if value == "" {
		return m
	}
	return m.html(`<input type="hidden"`).attr("name", name).attr("value", value).html(">")
}

// unplaced tells, after the first rendering, whether an error was shown nowhere, and prepares the second one.
func (b *Base) unplaced() bool {
	lost := false
	for _, e := range b.Form.Errors {
		if e.Field == "" && !b.listed || e.Field != "" && !b.placed[e.Field] {
			lost = true
		}
	}
	b.second = lost
	return lost
}
