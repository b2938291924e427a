package page

import (
	"html/template"
	"strconv"
	"strings"
)

// markup writes HTML: the frames and the parts that are on every page, where html/template would take several times as long. Nothing
// reaches it unescaped: html takes only what is written in our source, everything else goes through attr and text, which know what
// html/template knows. The zero value is empty.
type markup struct{ out strings.Builder }

// Piece is a part of a page that writes itself.
type Piece interface{ HTML() template.HTML }

// pieces are what the partials call instead of methods: html/template makes the type of a method anew each time it looks for one.
var pieces = template.FuncMap{
	"piece":    Piece.HTML,
	"identity": func(d Doc) template.HTML { return newMarkup().identity(d.base()).whole() },
	"problems": func(d Doc) template.HTML { return newMarkup().alert(d.base().problems()).whole() },
	"switches": func(d Doc) template.HTML {
		m := newMarkup()
		d.base().switches(m)
		return m.whole()
	},
}

// newMarkup returns one with room for most parts.
func newMarkup() *markup {
	m := new(markup)
	m.out.Grow(512)
	return m
}

// literal is HTML of our own. A variable of type string is not assignable to it, so what came from elsewhere does not compile.
type literal string

// html writes our own tags. A tag whose attributes follow is left open: html("<a").attr("href", to).html(">").text(name).html("</a>").
func (m *markup) html(s literal) *markup {
	m.out.WriteString(string(s))
	return m
}

// safe writes what is HTML already: drawings, parts.
func (m *markup) safe(h template.HTML) *markup {
	m.out.WriteString(string(h))
	return m
}

// text writes s as text.
func (m *markup) text(s string) *markup {
	from := 0
	for i := 0; i < len(s); i++ {
		if e := entity(s[i]); e != "" {
			m.out.WriteString(s[from:i])
			m.out.WriteString(e)
			from = i + 1
		}
	}
	m.out.WriteString(s[from:])
	return m
}

// entity returns what stands for a character that has a meaning in HTML or in some old way of reading it, "" for all others: the same
// ones as in html/template.
func entity(c byte) string {
	switch c {
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '&':
		return "&amp;"
	case '"':
		return "&#34;"
	case '\'':
		return "&#39;"
	case '+':
		return "&#43;"
	case 0:
		return "\uFFFD"
	}
	return ""
}

// attr writes an attribute whose value is the parts together. One that leads somewhere leads nowhere when its scheme is not http, https or
// mailto.
func (m *markup) attr(name literal, parts ...string) *markup {
	m.html(" ").html(name).html(`="`)
	switch name {
	case "href", "src", "action":
		m.text(address(strings.Join(parts, "")))
	default:
		for _, p := range parts {
			m.text(p)
		}
	}
	return m.html(`"`)
}

// some writes an attribute that there is only with a value.
func (m *markup) some(name literal, value string) *markup {
	if value == "" {
		return m
	}
	return m.attr(name, value)
}

// number writes an attribute that there is only with a number.
func (m *markup) number(name literal, n int64) *markup {
	if n == 0 {
		return m
	}
	return m.attr(name, strconv.FormatInt(n, 10))
}

// flag writes our own HTML, mostly an attribute without a value, where on.
func (m *markup) flag(s literal, on bool) *markup {
	if on {
		m.html(s)
	}
	return m
}

// whole returns what was written.
func (m *markup) whole() template.HTML { return template.HTML(m.out.String()) } //nolint:gosec // see the type

// address returns a URL as it may stand in a quoted attribute after text has escaped it: "#ZgotmplZ", html/template's mark, for one whose
// scheme a browser might run; quotes, spaces and whatever else no URL holds (RFC 3986 section 2) percent-encoded.
func address(s string) string {
	scheme, _, found := strings.Cut(s, ":")
	if found && !strings.Contains(scheme, "/") && !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") &&
		!strings.EqualFold(scheme, "mailto") {
		return "#ZgotmplZ"
	}
	var out strings.Builder
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~!#$&*+,/:;=?@[]", c) >= 0 ||
			c == '%' && i+2 < len(s) && hexadecimal(s[i+1]) && hexadecimal(s[i+2]) {
			continue
		}
		const digits = "0123456789abcdef"
		out.WriteString(s[from:i])
		out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		from = i + 1
	}
	if from == 0 {
		return s
	}
	return out.String() + s[from:]
}

func hexadecimal(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
