package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"image/png"
	"net/mail"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"

	"doorward/internal/locale"
)

//go:embed templates
var templates embed.FS

// Renderer turns letters into messages. It is safe for concurrent use.
type Renderer struct {
	catalogue *locale.Catalogue
	publicURL *url.URL
	host      string // right part of each Message-ID
	from      string
	text      *texttemplate.Template
	html      *htmltemplate.Template
}

// NewRenderer returns a renderer whose links start with publicURL and whose messages come from the address from, which may have a
// name: "Doorward <noreply@example.org>". The error says which of the two can't be used.
func NewRenderer(catalogue *locale.Catalogue, publicURL *url.URL, from string) (*Renderer, error) {
	host, err := mailHost(publicURL.Hostname())
	if err != nil {
		return nil, fmt.Errorf("public URL: %w", err)
	}
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("sender of mails: %q is not an address", from)
	}
	if sender.Address, err = asciiAddress(sender.Address); err != nil {
		return nil, fmt.Errorf("sender of mails: %q: %w", from, err)
	}
	sender.Name = clean(sender.Name, nameMax)
	text, err := texttemplate.ParseFS(templates, "templates/letter.txt")
	if err != nil {
		return nil, err
	}
	// html/template drops comments, and Outlook reads its instructions from them.
	outlook := func(markup string) htmltemplate.HTML {
		return htmltemplate.HTML("<!--[if mso]>" + markup + "<![endif]-->")
	}
	html, err := htmltemplate.New("").Funcs(htmltemplate.FuncMap{"outlook": outlook}).ParseFS(templates, "templates/letter.html")
	if err != nil {
		return nil, err
	}
	return &Renderer{catalogue, publicURL, host, sender.String(), text, html}, nil
}

// Our own colours, as pages have them.
var (
	ourLight = Paint{Fill: "#2e5bd9", Text: "#ffffff", Link: "#2e5bd9"}
	ourDark  = Paint{Fill: "#86a5ff", Text: "#0d1430", Link: "#86a5ff"}
)

// draft is a letter in the making: the content that both templates show, and what the kinds need to write it.
type draft struct {
	Language string
	Org      string
	Initial  string
	Look     Look
	Width    int // of the logo, at a height of Height
	Height   int
	Subject  string // also the page title of the HTML part
	Title    string
	Greeting string
	Intro    string
	Facts    []fact
	Code     string
	Action   link
	Links    []link // further things to open, each with its address as text
	Fallback string // sentence above the action's address, for programs that show no buttons
	Note     string // what happens next
	NotYou   string // what to do if it was not the receiver
	NotMe    link   // where that can be done at once
	SignIn   link
	Footer   string // why the receiver has this mail
	Closing  string // that nobody reads replies

	kind     string
	address  string
	printer  *locale.Printer
	location *time.Location
}

// fact is a line of the table of a letter; Line is both as one line of text.
type fact struct{ Label, Value, Line string }

// link is something to open; Line is its label as the line of text above the address.
type link struct{ Label, URL, Line string }

// Render writes a letter. The error is permanent when the receiver's address can't be written to; every other one is a mistake of
// ours, among them a kind that this version doesn't know, which a newer one may be about to send.
func (r *Renderer) Render(l Letter) (Message, error) {
	to, err := receiver(l.To)
	if err != nil {
		return Message{}, err
	}
	to.Name = clean(l.Name, nameMax)
	if !headerToken(l.ID) {
		return Message{}, errors.New("mail: the letter's id can't stand in a Message-ID")
	}
	if l.Data == nil {
		return Message{}, errors.New("mail: the letter has no content")
	}
	signIn, err := url.Parse(l.OrgURL)
	if err != nil || signIn.Host == "" || signIn.Scheme != "https" && signIn.Scheme != "http" {
		return Message{}, errors.New("mail: the organisation's sign-in page is not an absolute address")
	}
	d := &draft{
		Org:      clean(l.OrgName, nameMax),
		kind:     string(l.Data.Kind()),
		address:  clean(l.To, nameMax*3),
		printer:  r.catalogue.In(l.Language),
		location: l.Location,
		Look:     l.Look,
	}
	if d.Look.Light == (Paint{}) || d.Look.Dark == (Paint{}) {
		d.Look.Light, d.Look.Dark = ourLight, ourDark
	}
	if len(d.Look.Logo) > 0 {
		size, err := png.DecodeConfig(bytes.NewReader(d.Look.Logo))
		if err != nil {
			return Message{}, fmt.Errorf("mail: the logo: %w", err)
		}
		d.Width, d.Height = max(size.Width/2, 1), max(size.Height/2, 1)
	}
	if d.Org == "" {
		return Message{}, errors.New("mail: the letter names no organisation")
	}
	if d.location == nil {
		d.location = time.UTC
	}
	d.Language = string(d.printer.Language)
	d.Initial = initial(d.Org)
	d.Subject = d.own("subject")
	d.Title = d.own("title")
	d.Greeting = d.shared("greeting", "Name", to.Name)
	if to.Name == "" {
		d.Greeting = d.shared("greeting.nameless")
	}
	d.SignIn = d.link(d.shared("sign-in"), signIn.String())
	d.Footer = d.shared("footer", "Address", d.address)
	d.Closing = d.shared("closing")
	if err := r.write(d, l.Data); err != nil {
		return Message{}, err
	}
	var text, html strings.Builder
	if err := r.text.ExecuteTemplate(&text, "letter.txt", d); err != nil {
		return Message{}, err
	}
	if err := r.html.ExecuteTemplate(&html, "letter.html", d); err != nil {
		return Message{}, err
	}
	return Message{
		ID:       l.ID + "@" + r.host,
		From:     r.from,
		To:       to.String(),
		Subject:  d.Subject,
		Kind:     d.kind,
		Language: d.Language,
		Text:     text.String(),
		HTML:     html.String(),
		Logo:     d.Look.Logo,
	}, nil
}

// own returns a text of this kind of mail. All texts may name the organisation as {{.Org}}.
func (d *draft) own(name string, args ...any) string { return d.shared(d.kind+"."+name, args...) }

// shared returns a text that several kinds have in common.
func (d *draft) shared(name string, args ...any) string {
	return d.printer.T("mail."+name, append([]any{"Org", d.Org}, args...)...)
}

// fact adds a line to the table, unless the value is empty.
func (d *draft) fact(label, value string) {
	if value != "" {
		d.Facts = append(d.Facts, fact{label, value, d.shared("fact", "Label", label, "Value", value)})
	}
}

func (d *draft) link(label, to string) link { return link{label, to, d.shared("link", "Label", label)} }

// act sets the button and the sentence that leads to the same address as text.
func (d *draft) act(to *url.URL) {
	d.Action = d.link(d.own("action"), to.String())
	d.Fallback = d.shared("fallback")
}

// when writes a moment in the organisation's time zone, with the zone.
func (d *draft) when(t time.Time) string { return d.printer.DateTime(t.In(d.location)) }
