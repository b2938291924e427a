// Package pagetest checks the pages of a surface in its tests: each template against the type of its document, and each document that
// a test gives in every language.
package pagetest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"doorward/internal/locale"
	"doorward/internal/page"
)

// Now is the time on the clock of the Kit.
var Now = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// Kit returns a toolkit as the server makes it. A text that a page asks for and a catalogue lacks fails the test.
func Kit(t testing.TB) *page.Kit {
	t.Helper()
	catalogue, err := locale.Load(func(l locale.Language, key string, err error) { t.Errorf("%s: %s: %v", l, key, err) })
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{PublicURL: &url.URL{Scheme: "https", Host: "door.example"}, Catalogue: catalogue,
		Now: func() time.Time { return Now }})
	if err != nil {
		t.Fatal(err)
	}
	return kit
}

// Check holds that every page of the set has documents here and every name here a page, that all templates of a page fit the type of
// its documents, also where none of them leads, and that each document renders in all languages with every argument in place. The
// documents of a page have one type; the first one counts.
func Check(t *testing.T, kit *page.Kit, set *page.Set, docs map[string][]page.Doc) {
	for _, name := range set.Names() {
		t.Run(name, func(t *testing.T) {
			if len(docs[name]) == 0 {
				t.Fatal("the page has no document in the table of this test")
			}
			parsed, err := set.Template(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"main", "below", "bar"} {
				if its := parsed.Lookup(part); its != nil {
					if err := templatecheck.CheckHTML(its, docs[name][0]); err != nil {
						t.Errorf("%s: %v", part, err)
					}
				}
			}
			for i, doc := range docs[name] {
				if reflect.TypeOf(doc) != reflect.TypeOf(docs[name][0]) {
					t.Fatalf("document %d is a %T, the first one a %T", i, doc, docs[name][0])
				}
				for _, l := range locale.Languages {
					render(t, kit, set, name, fmt.Sprintf("document %d in %s", i, l.Name()), l, doc)
				}
			}
		})
	}
	for name := range docs {
		if !slices.Contains(set.Names(), name) {
			t.Errorf("there is no page %q any more", name)
		}
	}
}

// wrong is what a template that runs through can still leave on a page: arguments that a sentence lacks, addresses and values that
// html/template does not trust, verbs of package fmt, and things that were printed instead of one of their fields.
var wrong = []string{"no value", "ZgotmplZ", "%!", "&lt;nil&gt;", "map[", "0x"}

var ids = regexp.MustCompile(`\b([a-z]{3}_)[0-9a-z]{26}\b`)

func render(t *testing.T, kit *page.Kit, set *page.Set, name, what string, l locale.Language, doc page.Doc) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/?lang="+string(l), nil)
	w := httptest.NewRecorder()
	kit.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := set.Render(w, r, http.StatusOK, name, doc); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	})).ServeHTTP(w, r)
	body := w.Body.String()
	if !strings.Contains(body, `<html lang="`+string(l)+`"`) || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		t.Errorf("%s is not a whole page", what)
	}
	body = ids.ReplaceAllString(body, "$1") // they are random, and any letters may meet in them
	for _, s := range wrong {
		if at := strings.Index(body, s); at >= 0 {
			t.Errorf("%s shows %q: …%s…", what, s, body[max(0, at-120):min(len(body), at+60)])
		}
	}
}

// Bench measures a page of the set as a browser asks for it: through Wrap and Handle, with the cookies of a sign-in.
func Bench(b *testing.B, kit *page.Kit, set *page.Set, name string, doc page.Doc) {
	b.Run(name, func(b *testing.B) {
		h := kit.Wrap(kit.Handle(func(w http.ResponseWriter, r *http.Request) error {
			return set.Render(w, r, http.StatusOK, name, doc)
		}))
		r := httptest.NewRequest(http.MethodGet, "/o/contoso/", nil)
		r.Header.Set("Accept-Language", "de-CH,de;q=0.9,en;q=0.8")
		r.Header.Set("Cookie", kit.Cookie("session")+"=dws_01234567890123456789; "+kit.Cookie("device")+"=dwd_01234567890123456789; other=1")
		h.ServeHTTP(&nobody{header: http.Header{}}, r) // reads the template
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(&nobody{header: http.Header{}}, r)
		}
	})
}

// nobody is a browser that does not look.
type nobody struct{ header http.Header }

func (n *nobody) Header() http.Header               { return n.header }
func (n *nobody) WriteHeader(int)                   {}
func (n *nobody) Write(b []byte) (int, error)       { return len(b), nil }
func (n *nobody) WriteString(s string) (int, error) { return len(s), nil }
