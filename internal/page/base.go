package page

import (
	"html/template"
	"net/http"
	"net/url"
	"time"
	"unicode"

	"doorward/internal/locale"
)

// Layout is one of the two frames that a page stands in.
type Layout int

// The layouts.
const (
	LayoutCard    Layout = iota // one card in the middle: everything before a session
	LayoutConsole               // navigation at the left, top bar: everything with one
)

// Doc is what a template gets: a pointer to a struct that embeds Base.
type Doc interface{ base() *Base }

// Base is what every page has. The surface sets the first part, Render fills the second. Templates that need its methods where the
// embedding struct has a field of the same name go through Self.
type Base struct {
	Layout    Layout
	Wide      bool   // a card for lists and codes: 560 instead of 400
	Page      string // data-page of the body
	Reason    string // data-reason of the body, "" for none
	Brand     Brand
	Title     string // catalogue key of the title
	TitleArgs []any  // its name, value pairs
	Flash     *Flash // shown once; Render also picks up the one that SetFlash kept
	Notices   []Flash
	Form      Form
	Nav       []NavItem
	Orgs      *OrgMenu // console: the organisation switcher; nil for a name alone
	Search    string   // console: where the top bar's search leads (GET, field q); "" for none
	Me        *Me
	Strip     *Strip
	Account   string         // go into every form (partial "identity")
	Org       string         //
	Location  *time.Location // of the times on the page; nil: UTC
	Scripts   []string       // further scripts, by the name of the static file
	Refresh   string         // address that the page goes on to by itself; "" for none

	Lang  locale.Language
	Theme string // light, dark or "" for the system's
	Now   time.Time
	P     *locale.Printer

	kit    *Kit
	query  url.Values
	first  string          // the field of the first error
	placed map[string]bool // fields whose error the page shows
	listed bool            // "problems" was there
	second bool            // the second rendering, which shows the rest
}

// Brand is the organisation that a page speaks for. The zero value is an organisation that does not exist: no name, no logo.
type Brand struct {
	Name       string
	LogoURL    string // "" for a tile with the name's first letter
	Href       string // where the name leads, "" for nowhere
	Stylesheet string // address of the organisation's accent colours, "" for ours
}

// Initial returns the first letter of the name for the tile.
func (b Brand) Initial() string { return initial(b.Name) }

// NavItem is a line of a navigation, menu or row of tabs.
type NavItem struct {
	Key     string // catalogue key of its text
	Text    string // or the text itself
	Href    string
	Icon    string // name of an icon, "" for a dot
	Current bool
	Group   string // catalogue key of the heading that it stands under; items of a group follow each other
	Count   int    // figure at the right, 0 for none
	Post    string // address that it posts to as a button, instead of Href
	Slug    string // with Post: the value of the field "slug", "" for none
}

// OrgMenu is the organisation switcher: the ones visited last, a search and the way to all.
type OrgMenu struct {
	Recent []NavItem
	All    string // address of the list, which a search leads to as well (GET, field q); "" for none
}

// Me is who is signed in.
type Me struct {
	Name, Email, OrgName string
	Href                 string // the own account
}

// Initial returns the first letter of the name for the tile.
func (m Me) Initial() string {
	if m.Name == "" {
		return initial(m.Email)
	}
	return initial(m.Name)
}

func initial(s string) string {
	for _, c := range s {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return string(unicode.ToUpper(c))
		}
	}
	return ""
}

// Strip is the coloured line over everything while somebody works in another organisation.
type Strip struct {
	Key   string // catalogue key: whose data, as whom, until when
	Args  []any
	Roles []Word // what somebody is there: the sentence's argument "Roles"
	Leave string // address that leaves
	Post  bool   // by a form's POST
}

// Word is a name that the catalogue has or that somebody gave.
type Word struct {
	Key  string // catalogue key, "" for a given name
	Text string
}

func (b *Base) base() *Base { return b }

// Self returns the Base itself.
func (b *Base) Self() *Base { return b }

func (b *Base) fill(k *Kit, r *http.Request) {
	b.kit = k
	b.Lang = k.language(r, b.Layout)
	b.P = k.catalogue.In(b.Lang)
	b.Lang = b.P.Language // English where a newer version knows a language that this one does not
	b.Theme = requestOf(r).theme
	b.Now = k.now()
	b.query = nil
	if r.URL.RawQuery != "" {
		b.query = r.URL.Query()
	}
	if b.Location == nil {
		b.Location = time.UTC
	}
	b.placed, b.listed, b.second, b.first = nil, false, false, ""
	for _, e := range b.Form.Errors {
		if e.Field != "" {
			b.first = e.Field
			break
		}
	}
}

// T returns the text of a catalogue key; args are name, value pairs.
func (b *Base) T(key string, args ...any) string { return b.P.T(key, args...) }

// Heading returns the page's title without the organisation.
func (b *Base) Heading() string {
	if b.Title == "" {
		return ""
	}
	return b.P.T(b.Title, b.TitleArgs...)
}

// stripText returns the sentence of the strip.
func (b *Base) stripText() string {
	var roles []string
	for _, w := range b.Strip.Roles {
		if w.Key != "" {
			w.Text = b.P.T(w.Key)
		}
		roles = append(roles, w.Text)
	}
	return b.P.T(b.Strip.Key, append(b.Strip.Args[:len(b.Strip.Args):len(b.Strip.Args)], "Roles", roles)...)
}

// Name returns a navigation item's text.
func (b *Base) Name(n NavItem) string {
	if n.Key != "" {
		return b.P.T(n.Key)
	}
	return n.Text
}

// Time returns how long ago t was, or the date when it lies ahead, with the exact time on hover; a dash for the zero time.
func (b *Base) Time(t time.Time) template.HTML {
	if t.After(b.Now) {
		return b.stamp(t, b.P.DateTime(t.In(b.Location)))
	}
	return b.stamp(t, b.P.Ago(t.In(b.Location), b.Now))
}

// Date returns the day of t in the page's time zone, with the exact time on hover.
func (b *Base) Date(t time.Time) template.HTML { return b.stamp(t, b.P.Date(t.In(b.Location))) }

// DateTime returns day and time of t in the page's time zone.
func (b *Base) DateTime(t time.Time) template.HTML {
	return b.stamp(t, b.P.DateTime(t.In(b.Location)))
}

func (b *Base) stamp(t time.Time, text string) template.HTML {
	if t.IsZero() {
		return "–"
	}
	m := newMarkup()
	return m.html("<time").attr("datetime", t.UTC().Format(time.RFC3339)).attr("title", b.P.DateTime(t.In(b.Location))).
		html(">").text(text).html("</time>").whole()
}
