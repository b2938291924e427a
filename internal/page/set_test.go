package page_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"doorward/internal/page"
	"doorward/internal/refusal"
)

// sound checks what every page keeps: nothing that the CSP stops, no text that the escaper cut, and references that lead somewhere.
func sound(t *testing.T, name, text string) {
	t.Helper()
	if !strings.HasPrefix(text, "<!doctype html>") {
		t.Errorf("%s does not begin with a doctype", name)
	}
	for _, bad := range []string{"ZgotmplZ", "<no value>", "%!", " style=", "javascript:", "<style", "<b>&#34;Ada", `<b>"Ada`, "<protection>", "<Tu>", "<n>"} {
		if strings.Contains(text, bad) {
			t.Errorf("%s holds %s", name, bad)
		}
	}
	if m := regexp.MustCompile(`<script(?:\s[^>]*)?>[^<]|\son[a-z]+=`).FindString(text); m != "" {
		t.Errorf("%s holds inline script: %s", name, m)
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if ids[m[1]] {
			t.Errorf("%s has the id %s twice", name, m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`\s(?:for|aria-describedby|aria-labelledby|data-copy|data-dialog|data-show|data-rules|data-strength)="([^"]*)"`).
		FindAllStringSubmatch(text, -1) {
		for ref := range strings.FieldsSeq(m[1]) {
			if !ids[ref] {
				t.Errorf("%s refers to %s, which is not there", name, ref)
			}
		}
	}
	for _, form := range regexp.MustCompile(`(?s)<form[^>]*method="post".*?</form>`).FindAllString(text, -1) {
		if !strings.Contains(form, `name="_account" value="acc_1"`) || !strings.Contains(form, `name="_org" value="org_1"`) {
			t.Errorf("%s has a form without identity: %s", name, form)
		}
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1) {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s has a broken drawing: %v in %s", name, err, svg)
			}
		}
	}
}

func TestPagesAreSound(t *testing.T) {
	b := newBench(t, "https://door.example")
	for _, lang := range []string{"en", "de", "fr"} {
		for _, sent := range []bool{false, true} {
			for name, doc := range map[string]*sample{"card": newSample(), "gallery": gallery()} {
				if sent {
					doc.Form = page.FormOf(url.Values{"identifier": {doc.Typed}, "emails": {doc.Typed}, "password": {"canary"}, "new_password": {"canary"}, "code": {"123456"}},
						refusal.All(refusal.Field("identifier", "error.text.invalid"), refusal.Field("new_password", "error.text.invalid"), refusal.Field("password", "error.text.invalid"),
							refusal.Field("code", "error.text.invalid"), refusal.Field("emails", "error.text.invalid"), refusal.Field("language", "error.text.invalid"),
							refusal.Field("roles", "error.text.invalid"), refusal.Field("remember", "error.text.invalid"), refusal.Field("confirm", "error.text.invalid")),
						"password", "new_password")
				}
				res := b.show(t, get("/?lang="+lang), name, doc)
				text := body(t, res)
				if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
					t.Fatalf("%s: %d %s", name, res.StatusCode, b.log)
				}
				sound(t, name+" "+lang, text)
				hasNot(t, text, "canary", "123456")
				if sent != strings.Contains(text, `class="field-error"`) {
					t.Errorf("%s %s, sent %v: errors are wrong", name, lang, sent)
				}
			}
		}
	}
	if b.log.Len() > 0 {
		t.Errorf("logged: %s", b.log)
	}
}

func TestCard(t *testing.T) {
	b := newBench(t, "https://door.example")
	d := newSample()
	d.Reason, d.Me, d.Wide = "no_role", &page.Me{Email: "ada@x.example", OrgName: "Contoso"}, true
	d.Scripts, d.Brand.Stylesheet = []string{"extra.js"}, "/o/fabrikam/accent.css"
	d.Strip = &page.Strip{Key: "page.menu"}
	text := body(t, b.show(t, get("/"), "card", d))
	has(t, text, `<title>Your account · Fabrikam</title>`, `<h1>Your account</h1>`, `<body class="door" data-page="sample" data-reason="no_role"`, `<main class="card wide" id="main">`,
		`href="/o/fabrikam/accent.css"`, b.Asset("extra.js"), `<p id="below">`, `Signed in as ada@x.example, Contoso`, ">Doorward<", `>F</span>`,
		`autocomplete="username webauthn"`, `autocapitalize="none"`, ` autofocus>`, `autocomplete="current-password"`, `data-webauthn="get"`, `type="button"`,
		`inputmode="numeric" autocomplete="one-time-code"`, `data-code="6"`)
	hint, input := strings.Index(text, `id="code-hint"`), strings.Index(text, `id="code"`)
	if hint < 0 || hint > input {
		t.Error("the hint of the code does not stand before it")
	}
	if n := strings.Count(text, `name="code"`); n != 1 {
		t.Errorf("the code has %d inputs", n)
	}

	unknown := newSample()
	unknown.Brand = page.Brand{}
	text = body(t, b.show(t, get("/"), "card", unknown))
	has(t, text, "<title>Your account</title>")
	hasNot(t, text, `class="brand"`, "Fabrikam")
}

func TestConsole(t *testing.T) {
	b := newBench(t, "https://door.example")
	text := body(t, b.show(t, get("/"), "gallery", gallery()))
	has(t, text, `<body class="console" data-page="sample"`, `aria-current="page"`, `Mail &lt;protection&gt;`, `<h2>Menu</h2>`, `class="count">214<`, `action="/search"`, `action="/logout"`,
		"1 of 2", `href="/leave"`, `Ada Okafor`, `href="/orgs"`, `<span id="bar"></span>`, `href="#sure" data-dialog="sure" id="ask"`, `download`, `aria-sort="ascending"`,
		`value="2026-11-21"`, `data-until="1795262442000"`, `<option value="a" selected>`, `<option value="c" disabled>`, `data-test="min:15"`, `data-words="Fabrikam ada@fabrikam.example"`,
		`data-test="same:new_password"`, `value="typed"`, "1,204", `<progress aria-label="Menu" max="2000" value="1204">`, `<progress aria-label="Search">`,
		`<time datetime="2026-11-21T09:00:00Z" title="21 November 2026, 09:00 UTC">3 hours ago</time>`, `21 November 2026, 12:00 UTC</time> –`, `aria-label="Menu: 80%"`, `aria-label="Menu: Menu 3, Search 1"`)
	if n := strings.Count(text, "<h2>Your account</h2>"); n != 1 {
		t.Errorf("a group of the navigation has %d headings", n)
	}
}

func TestSentFormKeepsWhatWasTyped(t *testing.T) {
	b := newBench(t, "https://door.example")
	d := gallery()
	d.Form = page.FormOf(url.Values{"emails": {"a@b"}, "language": {"b"}, "roles": {"b", "c"}, "pick": {"a", "b"}, "secret": {"mine"}}, refusal.All(
		refusal.Field("new_password", "password.too_short", "Least", 15, "Most", 256), refusal.Field("confirm", "error.text.twice")), "new_password")
	text := body(t, b.show(t, get("/"), "gallery", d))
	has(t, text, ">\na@b</textarea>", `<option value="b" selected>`, `value="mine"`, `value="b" checked`, `value="c" checked disabled`, `<dialog class="dialog" id="sure" aria-labelledby="sure-title" open data-open>`,
		`<li data-test="min:15" class="broken">`, `aria-describedby="new_password-error new_password-rules" aria-invalid="true" autofocus>`, `id="new_password-error"`)
	hasNot(t, text, `<option value="a" selected>`, `value="typed"`, `id="remember" name="remember" value="1" checked`)
	if n := strings.Count(text, "autofocus"); n != 1 {
		t.Errorf("%d fields take the focus", n)
	}
}

func TestNoErrorIsLost(t *testing.T) {
	b := newBench(t, "https://door.example")
	form := page.FormOf(nil, refusal.All(refusal.Field("elsewhere", "error.text.twice"), refusal.New(refusal.Invalid, "error.text.invalid"), refusal.Field("other", "error.text.twice")))
	for _, name := range []string{"card", "bare"} { // the one lists problems itself, the other does not
		d := newSample()
		d.Form = form
		text := body(t, b.show(t, get("/"), name, d))
		if n := strings.Count(text, `role="alert"`); n != 1 {
			t.Errorf("%s: %d lists of problems", name, n)
		}
		for _, s := range []string{"This field was sent twice.", "cannot be stored"} {
			if n := strings.Count(text, s); n != 1 {
				t.Errorf("%s: %q stands there %d times", name, s, n)
			}
		}
	}
}

func TestParse(t *testing.T) {
	b := newBench(t, "https://door.example")
	names := b.set.Names()
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "bare card gallery" {
		t.Errorf("pages: %s", got)
	}
	card, err := b.set.Template("card")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.set.Template("_shared"); card.Lookup("main") == nil || err == nil {
		t.Error("templates are not what was parsed")
	}
	if card.Lookup("username") == nil || card.Lookup("tabs") != nil {
		t.Error("a page has other partials than those that it calls")
	}
	for name, text := range map[string]string{"without main": "<p>", "broken": `{{define "main"}}{{.X`,
		"lost": `{{define "main"}}{{if .X}}<p>{{else}}{{template "nowhere" .}}{{end}}{{end}}`} {
		set, err := b.Parse(fstest.MapFS{"x.html": {Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.Template("x"); err == nil || !strings.Contains(err.Error(), "x") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRenderWritesNothingWhenItFails(t *testing.T) {
	b := newBench(t, "https://door.example")
	set, err := b.Parse(fstest.MapFS{"wrong.html": {Data: []byte(`{{define "main"}}half {{.Nowhere}}{{end}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wrong", "none"} {
		res := b.serve(get("/"), b.Handle(func(w http.ResponseWriter, r *http.Request) error {
			return set.Render(w, r, http.StatusOK, name, newSample())
		}))
		if res.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
		hasNot(t, body(t, res), "half")
	}
}

func TestHead(t *testing.T) {
	b := newBench(t, "https://door.example")
	res := b.show(t, httptest.NewRequest(http.MethodHead, "/", nil), "bare", newSample())
	if res.Header.Get("Content-Length") == "0" || body(t, res) != "" {
		t.Errorf("HEAD answered %s bytes", res.Header.Get("Content-Length"))
	}
}

func TestRefresh(t *testing.T) {
	b := newBench(t, "https://door.example")
	for to, want := range map[string]string{
		"https://app.example/cb?code=a&state=b": `<meta http-equiv="refresh" content="0; url=https://app.example/cb?code=a&amp;state=b">`,
		"http://127.0.0.1:8080/cb":              `<meta http-equiv="refresh" content="0; url=http://127.0.0.1:8080/cb">`,
		"/login/next":                           `<meta http-equiv="refresh" content="0; url=/login/next">`,
		"":                                      "", "javascript:alert(1)": "", "data:text/html,x": "", "//evil": "", "https:evil": "", `https://x/"><script>`: "", "https://x/;url=y": "", "https://x/'": "",
	} {
		d := newSample()
		d.Refresh = to
		text := body(t, b.show(t, get("/"), "bare", d))
		if want == "" {
			hasNot(t, text, "refresh")
		} else {
			has(t, text, want)
		}
	}
}
