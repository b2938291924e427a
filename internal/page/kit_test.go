package page_test

import (
	"bytes"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"doorward/internal/locale"
	"doorward/internal/page"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// bench is a kit over the pages of testdata, with its log.
type bench struct {
	*page.Kit
	set *page.Set
	log *bytes.Buffer
}

func newBench(t *testing.T, public string) bench {
	t.Helper()
	u, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := locale.Load(func(l locale.Language, key string, err error) {
		if key != "no.such.key" {
			t.Errorf("no text %q in %s: %v", key, l, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b := bench{log: new(bytes.Buffer)}
	b.Kit, err = page.New(page.Options{
		PublicURL: u, Catalogue: catalogue, Log: slog.New(slog.NewTextHandler(b.log, nil)), Now: func() time.Time { return noon },
		Static: []fs.FS{fstest.MapFS{"extra.js": {Data: []byte("// kept as it is\n  1;\n")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.set, err = b.Parse(os.DirFS("testdata/pages")); err != nil {
		t.Fatal(err)
	}
	return b
}

// sample is a page with everything that the templates of testdata ask for.
type sample struct {
	page.Base
	Typed                       string
	Items                       []page.NavItem
	Days                        []page.Bar
	Halves                      []page.Part
	Rules                       []page.Rule
	Words                       []string
	Choices                     []page.Option
	Soon, Past, Never           time.Time
	Self, P, Lang, Account, Org bool // a page may have fields of these names: the layouts do not mind
}

func newSample() *sample {
	return &sample{
		Base:   page.Base{Page: "sample", Title: "page.account", Account: "acc_1", Org: "org_1", Brand: page.Brand{Name: "Fabrikam"}},
		Typed:  `<b>"Ada" & Bea's</b>`,
		Items:  []page.NavItem{{Key: "page.menu", Href: "/a", Current: true}, {Text: "B & C", Href: "/b", Count: 1204}},
		Days:   []page.Bar{{Label: "Mo", Value: 12, Href: "/list?day=1&x=2"}, {Title: "<Tu>", Value: 0}},
		Halves: []page.Part{{Key: "page.menu", Count: 3, Kind: "good"}, {Key: "page.search", Count: 1, Kind: "bad", Href: "/list"}},
		Rules:  page.PasswordRules(15), Words: []string{"Fabrikam", "ada@fabrikam.example"},
		Choices: []page.Option{{Value: "a", Key: "page.menu", Hint: "page.or", Chosen: true}, {Value: "b", Text: "B & C", Note: "<n>"},
			{Value: "c", Text: "C", Refused: "page.or"}},
		Soon: noon.Add(42 * time.Second), Past: noon.Add(-3 * time.Hour),
	}
}

// gallery is sample in the console, with everything that frame can hold.
func gallery() *sample {
	d := newSample()
	d.Layout, d.Search = page.LayoutConsole, "/search"
	d.Brand = page.Brand{Name: "Contoso", Href: "/"}
	d.Nav = []page.NavItem{{Text: "Mail <protection>", Href: "/s", Icon: "mail", Group: "page.menu"},
		{Key: "page.account", Href: "/p", Group: "page.account", Current: true, Count: 214}, {Key: "page.search", Href: "/q", Group: "page.account"}}
	d.Orgs = &page.OrgMenu{Recent: []page.NavItem{{Text: "Contoso", Href: "/", Current: true}}, All: "/orgs"}
	d.Me = &page.Me{Name: "Ada Okafor", Email: "ada@contoso.example", OrgName: "Contoso", Href: "/me"}
	d.Strip = &page.Strip{Key: "page.progress", Args: []any{"Done", 1, "Total", 2}, Leave: "/leave"}
	d.Notices = []page.Flash{{Kind: "warn", Key: "page.menu", Href: "/x", Link: "page.after"}}
	return d
}

// show sends a request through the whole chain to a handler that renders name with doc.
func (b bench) show(t *testing.T, r *http.Request, name string, doc page.Doc) *http.Response {
	t.Helper()
	return b.serve(r, b.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return b.set.Render(w, r, http.StatusOK, name, doc)
	}))
}

func (b bench) serve(r *http.Request, h http.Handler) *http.Response {
	w := httptest.NewRecorder()
	b.Wrap(h).ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	var s strings.Builder
	if _, err := io.Copy(&s, res.Body); err != nil {
		t.Fatal(err)
	}
	return s.String()
}

func get(path string, cookies ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if len(cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(cookies, "; "))
	}
	return r
}

func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("not there: %s\nin: %s", p, text)
		}
	}
}

func hasNot(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("there: %s\nin: %s", p, text)
		}
	}
}
