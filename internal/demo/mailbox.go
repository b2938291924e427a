package demo

import (
	"context"
	"embed"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/account"
	"doorward/internal/config"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

//go:embed templates/*.html static
var files embed.FS

// mailbox serves the pages of what arrived and of who there is.
type mailbox struct {
	*Demo
	kit   *page.Kit
	pages *page.Set
}

// newMailbox returns the handler of the mailbox page.
func newMailbox(d *Demo) (http.Handler, error) {
	public, err := url.Parse(d.Mailbox)
	if err != nil {
		return nil, err
	}
	catalogue, err := locale.Load(nil)
	if err != nil {
		return nil, err
	}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	m := &mailbox{Demo: d}
	if m.kit, err = page.New(page.Options{PublicURL: public, Catalogue: catalogue, Log: d.house.Log, Static: []fs.FS{static}}); err != nil {
		return nil, err
	}
	templates, err := fs.Sub(files, "templates")
	if err != nil {
		return nil, err
	}
	if m.pages, err = m.kit.Parse(templates); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/assets/", m.kit.Assets())
	mux.Handle("GET /{$}", m.kit.Handle(m.home))
	mux.Handle("GET /messages/{number}", m.kit.Handle(m.message))
	mux.Handle("GET /messages/{number}/html", m.kit.Handle(m.html))
	return m.kit.Wrap(m.local(m.kit.Routes(mux))), nil
}

// local refuses requests for other names than this machine's, so that no website can read the page by letting its own name point here.
func (m *mailbox) local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !config.Loopback(host) {
			http.Error(w, "This page answers on this machine alone.", http.StatusMisdirectedRequest) // RFC 9110 section 15.5.20
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fewLetters is how many messages the first page shows at once.
const fewLetters = 6

// mailboxDoc is the first page.
type mailboxDoc struct {
	page.Base
	Letters []letter
	Hidden  int // older messages that are not shown
	Orgs    []orgPart
}

// orgPart is an organisation with its people.
type orgPart struct {
	org.Org
	Seats  license.Seats
	SignIn string
	People []personRow
}

// personRow is a line of an organisation's people.
type personRow struct {
	account.Listed
	Password   string // empty: none, or not ours to know
	Changed    bool   // it was ours, and the person changed it
	Code       string // what the authenticator app shows; empty without one
	Late       bool   // the invitation's link has ended
	Shows      string // catalogue key of what the account shows
	Invitation int    // number of the newest invitation, with an account that is invited
}

func (m *mailbox) home(w http.ResponseWriter, r *http.Request) error {
	doc := &mailboxDoc{}
	var err error
	if doc.Base, doc.Letters, err = m.base("demo.mailbox", "demo.title"); err != nil {
		return err
	}
	doc.Scripts = []string{"demo.js"}
	if r.URL.Query().Get("all") == "" && len(doc.Letters) > fewLetters {
		doc.Hidden = len(doc.Letters) - fewLetters
		doc.Letters = doc.Letters[:fewLetters]
	}
	orgs, err := org.All(r.Context(), m.house.DB)
	if err != nil {
		return err
	}
	slices.SortStableFunc(orgs, func(a, b org.Org) int { return m.scene(a.Slug) - m.scene(b.Slug) })
	tx := m.house.DB.Read(r.Context())
	for _, o := range orgs {
		part := orgPart{Org: o, SignIn: m.Public + o.SignInPath()}
		if part.Seats, err = license.SeatsOf(tx, o.ID); err != nil {
			return err
		}
		if part.People, err = m.people(r.Context(), tx, o); err != nil {
			return err
		}
		doc.Orgs = append(doc.Orgs, part)
	}
	return m.pages.Render(w, r, http.StatusOK, "mailbox", doc)
}

// base starts a page. It returns the messages that there are too, newest first.
func (m *mailbox) base(name, title string, args ...any) (page.Base, []letter, error) {
	if err := m.box.collect(time.Time{}); err != nil {
		return page.Base{}, nil, err
	}
	letters := m.box.all()
	b := page.Base{Layout: page.LayoutConsole, Page: name, Title: title, TitleArgs: args, Location: time.Local,
		Brand: page.Brand{Name: "Doorward", Href: "/", Stylesheet: m.kit.Asset("demo.css")},
		Nav: []page.NavItem{{Key: "demo.messages", Href: "/", Icon: "mail", Group: "demo.title", Current: true},
			{Key: "demo.accounts", Href: "/#accounts", Icon: "people", Group: "demo.title"}}}
	for slug, o := range inOrder() {
		b.Nav = append(b.Nav, page.NavItem{Text: o, Href: m.Public + "/o/" + slug + "/login", Icon: "external", Group: "demo.signin"})
	}
	return b, letters, nil
}

// people returns the rows of an organisation: the cast in its order, then whoever was added since.
func (m *mailbox) people(ctx context.Context, tx sqldb.Tx, o org.Org) ([]personRow, error) {
	list, _, err := account.People(tx, o.ID, account.Filter{Most: 200})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b account.Listed) int { return m.place(a.ID) - m.place(b.ID) })
	var rows []personRow
	for _, a := range list {
		row := personRow{Listed: a, Shows: "demo.shows.added"}
		if i := m.place(a.ID); i < len(m.People) {
			p := m.People[i]
			row.Shows = p.says()
			_, now, err := factor.PasswordOf(tx, a.ID)
			if err != nil {
				return nil, err
			}
			row.Password, row.Changed = string(p.Password), p.Password != "" && p.password != now
		}
		if a.State == account.Invited {
			if l, ok := m.box.newest(a.Email, "invite"); ok {
				row.Invitation, row.Late = l.Number, time.Since(l.At) > o.Rules.LinkLife
			}
		}
		if row.Code, err = m.code(ctx, a.ID); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// scene returns where an organisation stands in the cast; behind all for one that is not in it.
func (d *Demo) scene(slug string) int {
	i := slices.IndexFunc(d.People, func(p Person) bool { return p.Org == slug })
	if i < 0 {
		return len(d.People)
	}
	return i
}

// place returns where someone stands in the cast; behind all for who is not in it.
func (d *Demo) place(a id.Account) int {
	i := slices.IndexFunc(d.People, func(p Person) bool { return p.account == a })
	if i < 0 {
		return len(d.People)
	}
	return i
}

// codeStep is how long an authenticator app shows a code (RFC 6238 section 4.1).
const codeStep = 30 * time.Second

// code returns what the newest authenticator app of an account shows, also one that is being set up; nothing when there is none. A code is
// good once: after it was used, the next one shows, which a sign-in takes half a minute early (RFC 6238 section 5.2), and after that an
// ellipsis until there is another.
func (d *Demo) code(ctx context.Context, a id.Account) (string, error) {
	tx := d.house.DB.Read(ctx)
	list, err := factor.List(tx, a)
	if err != nil {
		return "", err
	}
	apps := slices.DeleteFunc(list, func(f factor.Factor) bool { return f.Kind != factor.TOTP || f.State == factor.Disabled })
	if len(apps) == 0 {
		return "", nil
	}
	now := d.clock.Now()
	step := now.Unix() / int64(codeStep.Seconds())
	switch used := apps[len(apps)-1].Counter; {
	case used == step:
		now = now.Add(codeStep)
	case used > step:
		return "…", nil
	}
	key, err := factor.TOTPKey(tx, d.house.Vault, a)
	if err != nil {
		return "", err
	}
	return factor.CodeAt(key, now)
}

// messageDoc is the page of one message.
type messageDoc struct {
	page.Base
	Letter letter
}

// Lines are the lines of the text part.
func (m *messageDoc) Lines() []textLine {
	var list []textLine
	for line := range strings.Lines(m.Letter.Text) {
		line = strings.TrimRight(line, "\n")
		list = append(list, textLine{line, strings.HasPrefix(line, "http://") || strings.HasPrefix(line, "https://")})
	}
	return list
}

// textLine is a line of a text part; a link stands alone on its line.
type textLine struct {
	Text string
	Link bool
}

// find returns the message in the address.
func (m *mailbox) find(r *http.Request, letters []letter) (letter, error) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 || n > len(letters) {
		return letter{}, refusal.New(refusal.NotFound, "error.not_found")
	}
	return letters[len(letters)-n], nil
}

func (m *mailbox) message(w http.ResponseWriter, r *http.Request) error {
	base, letters, err := m.base("demo.message", "demo.message.title")
	if err != nil {
		return err
	}
	l, err := m.find(r, letters)
	if err != nil {
		return err
	}
	base.TitleArgs = []any{"Subject", l.Subject}
	h := w.Header()
	h.Set("Content-Security-Policy", h.Get("Content-Security-Policy")+"; frame-src 'self'")
	return m.pages.Render(w, r, http.StatusOK, "message", &messageDoc{Base: base, Letter: l})
}

// htmlPolicy is for the HTML part in its frame: an origin of its own, no script, nothing loaded, no form. Its links open new windows, which
// are not bound by it.
const htmlPolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'self'"

func (m *mailbox) html(w http.ResponseWriter, r *http.Request) error {
	l, err := m.find(r, m.box.all())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", htmlPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(strings.Replace(l.HTML, "<head>", `<head><base target="_blank">`, 1)))
	return nil
}
