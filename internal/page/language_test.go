package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"doorward/internal/locale"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

func TestLanguageOrder(t *testing.T) {
	b := newBench(t, "http://localhost")
	for _, c := range []struct {
		name, query, cookie, accept string
		person, org                 locale.Language
		card, console               locale.Language
		chosen                      bool
	}{
		{name: "nothing known", card: "en", console: "en"},
		{name: "browser", accept: "fr-CH, de;q=0.5", card: "fr", console: "fr"},
		{name: "unknown browser", accept: "nl", card: "en", console: "en"},
		{name: "organisation before browser", accept: "fr", org: "de", card: "de", console: "de"},
		{name: "person before organisation", accept: "en", person: "fr", org: "de", card: "fr", console: "fr"},
		{name: "switch on sign-in pages", cookie: "de", person: "fr", org: "en", card: "de", console: "fr", chosen: true},
		{name: "switch in the console without a setting", cookie: "de", org: "en", card: "de", console: "de", chosen: true},
		{name: "switch just used", query: "de", cookie: "fr", person: "fr", card: "de", console: "de", chosen: true},
		{name: "unknown values", query: "xx", cookie: "yy", accept: "de", card: "de", console: "de"},
	} {
		r := get("/?lang=" + c.query)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.Header.Set("Cookie", "door-lang="+c.cookie)
		}
		for layout, want := range map[page.Layout]locale.Language{page.LayoutCard: c.card, page.LayoutConsole: c.console} {
			res := b.serve(r, b.Handle(func(w http.ResponseWriter, r *http.Request) error {
				b.SetPreference(r, c.person, c.org)
				if lang, chosen := b.Language(r); lang != c.card || chosen != c.chosen {
					t.Errorf("%s: Language is %s, %v", c.name, lang, chosen)
				}
				d := newSample()
				d.Layout = layout
				return b.set.Render(w, r, http.StatusOK, "bare", d)
			}))
			if got := res.Header.Get("Content-Language"); got != string(want) {
				t.Errorf("%s, layout %d: %s instead of %s", c.name, layout, got, want)
			}
			has(t, body(t, res), `<html lang="`+string(want)+`"`)
		}
	}
}

func TestSwitches(t *testing.T) {
	b := newBench(t, "http://localhost")
	res := b.show(t, get("/login?next=%2Fa%26b&lang=fr&theme=dark"), "bare", newSample())
	set := strings.Join(res.Header.Values("Set-Cookie"), "\n")
	has(t, set, "door-lang=fr; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", "door-theme=dark; ")
	text := body(t, res)
	has(t, text, `<html lang="fr" data-theme="dark">`, `href="?lang=de&amp;next=%2Fa%26b"`, `href="?next=%2Fa%26b&amp;theme=light"`)

	res = b.show(t, get("/login?theme=auto", "door-theme=dark"), "bare", newSample())
	has(t, strings.Join(res.Header.Values("Set-Cookie"), "\n"), "door-theme=; Path=/; Max-Age=0")
	has(t, body(t, res), `<html lang="en">`)

	has(t, body(t, b.show(t, get("/", "door-theme=light"), "bare", newSample())), `data-theme="light"`)

	for _, r := range []*http.Request{get("/?lang=tlh&theme=pink"), get("/"), httptest.NewRequest(http.MethodPost, "/?lang=de&theme=dark", nil)} {
		if got := b.show(t, r, "bare", newSample()).Header.Values("Set-Cookie"); len(got) != 0 {
			t.Errorf("%s %s set %q", r.Method, r.URL, got)
		}
	}
}

// A newer version, on another node or before a way back, may have stored a language that this one does not speak.
func TestUnknownLanguage(t *testing.T) {
	b := newBench(t, "http://localhost")
	res := b.serve(get("/"), b.Handle(func(w http.ResponseWriter, r *http.Request) error {
		b.SetPreference(r, "it", "")
		return refusal.New(refusal.NotFound, "error.not_found")
	}))
	if got := res.Header.Get("Content-Language"); got != "en" {
		t.Errorf("it speaks %q", got)
	}
	has(t, body(t, res), `<html lang="en"`, `data-page="error"`)
}
