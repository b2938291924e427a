package doortest

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/html"

	"doorward/internal/factor"
)

// Browser is a client that behaves like a browser: cookies, redirects, links and forms found on the page, Origin and Sec-Fetch-Site on
// POST. It has no JavaScript.
type Browser struct {
	World  *World
	Client *http.Client
	Base   string
	Header http.Header // sent with every request

	Status int
	Head   http.Header
	At     *url.URL // address of the page
	Body   string
	doc    *html.Node
}

// Browser returns a new browser without cookies.
func (w *World) Browser() *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return &Browser{World: w, Base: w.URL, Header: http.Header{}, Client: &http.Client{Jar: jar}}
}

// Do sends a request and reads the answer as the page, redirects followed.
func (b *Browser) Do(r *http.Request) *Browser {
	b.World.T.Helper()
	for k, v := range b.Header {
		r.Header[k] = v
	}
	res, err := b.Client.Do(r)
	if err != nil {
		b.World.T.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		b.World.T.Fatal(err)
	}
	b.Status, b.Head, b.At, b.Body = res.StatusCode, res.Header, res.Request.URL, string(body)
	if b.doc, err = html.Parse(strings.NewReader(b.Body)); err != nil {
		b.World.T.Fatal(err)
	}
	return b
}

// Get opens a path or address.
func (b *Browser) Get(path string) *Browser {
	b.World.T.Helper()
	r, err := http.NewRequestWithContext(b.World.T.Context(), http.MethodGet, b.address(path), nil)
	if err != nil {
		b.World.T.Fatal(err)
	}
	return b.Do(r)
}

// Post sends a form to a path.
func (b *Browser) Post(path string, values url.Values) *Browser {
	b.World.T.Helper()
	r, err := http.NewRequestWithContext(b.World.T.Context(), http.MethodPost, b.address(path), strings.NewReader(values.Encode()))
	if err != nil {
		b.World.T.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.Base)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.Do(r)
}

func (b *Browser) address(path string) string {
	if strings.HasPrefix(path, "http") {
		return path
	}
	if b.At != nil {
		if u, err := b.At.Parse(path); err == nil {
			return u.String()
		}
	}
	return b.Base + path
}

// Page returns data-page of the body, Reason its data-reason, Lang the language of the page.
func (b *Browser) Page() string   { return attr(find(b.doc, tag("body")), "data-page") }
func (b *Browser) Reason() string { return attr(find(b.doc, tag("body")), "data-reason") }
func (b *Browser) Lang() string   { return attr(find(b.doc, tag("html")), "lang") }

// Want fails the test unless this is the page.
func (b *Browser) Want(page string) *Browser {
	b.World.T.Helper()
	if b.Page() != page {
		b.World.T.Fatalf("page %q (reason %q, status %d) at %s, want %q:\n%s", b.Page(), b.Reason(), b.Status, b.At, page, squeeze(b.Text()))
	}
	return b
}

// WantStatus fails the test unless the page has that status.
func (b *Browser) WantStatus(status int) *Browser {
	b.World.T.Helper()
	if b.Status != status {
		b.World.T.Fatalf("status %d at %s, want %d:\n%s", b.Status, b.At, status, squeeze(b.Text()))
	}
	return b
}

// Text returns what the page says.
func (b *Browser) Text() string { return text(find(b.doc, tag("body"))) }

// ByID returns the text of the element with that id.
func (b *Browser) ByID(id string) string {
	return strings.TrimSpace(text(find(b.doc, func(n *html.Node) bool { return attr(n, "id") == id })))
}

// FieldError returns the message at a field.
func (b *Browser) FieldError(field string) string { return b.ByID(field + "-error") }

// Follow opens the first link whose text or address contains part.
func (b *Browser) Follow(part string) *Browser {
	b.World.T.Helper()
	a := find(b.doc, func(n *html.Node) bool {
		return n.Type == html.ElementNode && n.Data == "a" && attr(n, "href") != "" && (strings.Contains(text(n), part) || strings.Contains(attr(n, "href"), part))
	})
	if a == nil {
		b.World.T.Fatalf("no link %q at %s:\n%s", part, b.At, squeeze(b.Text()))
	}
	return b.Get(attr(a, "href"))
}

// Submit fills the first form that has all the named fields (or whose action contains the value of ":action") with the values and sends
// it, as the button that carries a named value would.
func (b *Browser) Submit(fields ...string) *Browser {
	b.World.T.Helper()
	action := ""
	set := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == ":action" {
			action = fields[i+1]
			continue
		}
		set.Add(fields[i], fields[i+1])
	}
	form := find(b.doc, func(n *html.Node) bool {
		if n.Type != html.ElementNode || n.Data != "form" || !strings.EqualFold(attr(n, "method"), "post") {
			return false
		}
		if action != "" && !strings.Contains(attr(n, "action"), action) {
			return false
		}
		for name := range set {
			if find(n, func(c *html.Node) bool { return attr(c, "name") == name }) == nil {
				return false
			}
		}
		return action != "" || !strings.Contains(attr(n, "action"), "/logout")
	})
	if form == nil {
		b.World.T.Fatalf("no form with %v at %s:\n%s", fields, b.At, squeeze(b.Text()))
	}
	values := url.Values{}
	walk(form, func(n *html.Node) {
		name := attr(n, "name")
		if name == "" || set.Has(name) {
			return
		}
		switch n.Data {
		case "input":
			switch t := attr(n, "type"); {
			case (t == "checkbox" || t == "radio") && !has(n, "checked"):
			default:
				values.Add(name, attr(n, "value"))
			}
		case "textarea":
			values.Add(name, text(n))
		case "select":
			chosen := find(n, func(o *html.Node) bool { return o.Data == "option" && has(o, "selected") })
			if chosen == nil {
				chosen = find(n, tag("option"))
			}
			values.Add(name, attr(chosen, "value"))
		}
	})
	for name, list := range set {
		values[name] = list
	}
	to := attr(form, "action")
	if to == "" {
		to = b.At.RequestURI()
	}
	return b.Post(to, values)
}

// SignInFirst signs someone in for the first time: password, authenticator app, dashboard.
func (b *Browser) SignInFirst(p *Person) *Browser {
	b.World.T.Helper()
	return b.Password(p).EnrolApp(p).Settle()
}

// EnrolApp sets up an authenticator app where a sign-in asks for a second factor; the recovery codes are next.
func (b *Browser) EnrolApp(p *Person) *Browser {
	b.World.T.Helper()
	b.Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
	p.Key = strings.ReplaceAll(b.ByID("totp-secret"), " ", "")
	code, err := factor.CodeAt(p.Key, b.World.Clock.Now())
	if err != nil {
		b.World.T.Fatal(err)
	}
	b.Submit("code", code).Want("login.recovery-codes")
	p.Recovery = b.Recovery()
	return b
}

// Recovery returns the recovery codes that the page shows.
func (b *Browser) Recovery() []string {
	var codes []string
	walk(b.doc, func(n *html.Node) {
		if n.Data == "li" && attr(n, "class") == "recovery-code" {
			codes = append(codes, text(n))
		}
	})
	return codes
}

// Settle goes on from the recovery codes of a first sign-in, past the passkey that is offered, to the dashboard.
func (b *Browser) Settle() *Browser {
	b.World.T.Helper()
	b.Want("login.recovery-codes").Submit("saved", "1").Want("login.passkey-offer")
	return b.Submit("choice", "later").Want("dashboard")
}

// Password takes a sign-in to behind the password.
func (b *Browser) Password(p *Person) *Browser {
	b.World.T.Helper()
	return b.Get("/o/"+p.Org.Slug+"/login").Want("login.identifier").Submit("identifier", p.Email).Want("login.password").Submit("password", Password)
}

// SignIn signs in someone who has an authenticator app.
func (b *Browser) SignIn(p *Person) *Browser {
	b.World.T.Helper()
	b.Password(p).Want("login.totp")
	return b.Submit("code", p.Code())
}

// Cookie returns the value of a cookie by the end of its name.
func (b *Browser) Cookie(name string) string {
	u, _ := url.Parse(b.Base)
	for _, c := range b.Client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, name) {
			return c.Value
		}
	}
	return ""
}

var spaces = regexp.MustCompile(`\s+`)

func squeeze(s string) string {
	s = spaces.ReplaceAllString(s, " ")
	if len(s) > 1500 {
		s = s[:1500] + "…"
	}
	return s
}

func tag(name string) func(*html.Node) bool {
	return func(n *html.Node) bool { return n.Type == html.ElementNode && n.Data == name }
}

func find(n *html.Node, match func(*html.Node) bool) *html.Node {
	if n == nil {
		return nil
	}
	if match(n) {
		return n
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if f := find(c, match); f != nil {
			return f
		}
	}
	return nil
}

func walk(n *html.Node, visit func(*html.Node)) {
	if n.Type == html.ElementNode {
		visit(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, visit)
	}
}

func attr(n *html.Node, name string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func text(n *html.Node) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	var down func(*html.Node)
	down = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			down(c)
		}
	}
	down(n)
	return b.String()
}
