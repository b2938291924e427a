package page

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"doorward/internal/locale"
	"doorward/internal/refusal"
)

// The themes that the switch knows; "" follows the system.
const (
	light = "light"
	dark  = "dark"
	auto  = "auto"
)

const choiceLives = 365 * 24 * time.Hour

// choices reads ?lang= and ?theme=, keeps what they chose in a cookie, and falls back to what the cookies say. Only GET and HEAD
// choose, and only values that exist.
func (k *Kit) choices(w http.ResponseWriter, r *http.Request, q *request) {
	if v, ok := k.ReadCookie(r, "lang"); ok {
		q.switched, _ = locale.Parse(v)
	}
	if v, ok := k.ReadCookie(r, "theme"); ok && (v == light || v == dark) {
		q.theme = v
	}
	if r.URL.RawQuery == "" || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return
	}
	query := r.URL.Query()
	if l, ok := locale.Parse(query.Get("lang")); ok {
		q.asked, q.switched = l, l
		k.SetCookie(w, "lang", string(l), choiceLives)
	}
	switch v := query.Get("theme"); v {
	case light, dark:
		q.theme = v
		k.SetCookie(w, "theme", v, choiceLives)
	case auto:
		q.theme = ""
		k.SetCookie(w, "theme", "", -1)
	}
}

// SetPreference tells the request's language settings of the person and of the organisation that its page is about; "" where there
// is none. Surfaces call it as soon as they know.
func (k *Kit) SetPreference(r *http.Request, person, org locale.Language) {
	q := requestOf(r)
	q.person, q.org = person, org
}

// Language returns the language of a sign-in page and whether the person chose it with the switch: the switch, the person's
// setting, the organisation's, the browser's, English.
func (k *Kit) Language(r *http.Request) (lang locale.Language, chosen bool) {
	q := requestOf(r)
	return spoken(r, q.asked, q.switched, q.person, q.org), q.switched != ""
}

// language is Language for either layout. In the console a setting that the person made outranks a switch used at some sign-in.
func (k *Kit) language(r *http.Request, l Layout) locale.Language {
	if l == LayoutConsole {
		q := requestOf(r)
		return spoken(r, q.asked, q.person, q.switched, q.org)
	}
	lang, _ := k.Language(r)
	return lang
}

// spoken returns the first of languages that is set, else the browser's, else English.
func spoken(r *http.Request, languages ...locale.Language) locale.Language {
	for _, l := range languages {
		if l != "" {
			return l
		}
	}
	if l, ok := locale.Match(strings.Join(r.Header.Values("Accept-Language"), ",")); ok {
		return l
	}
	return locale.English
}

// switchLink returns the request's own address with one query value exchanged: a relative reference, so that nothing of the path
// has to be trusted.
func switchLink(query url.Values, key, value string) string {
	if len(query) == 0 {
		return "?" + key + "=" + value // none of the values needs escaping
	}
	other := url.Values{key: {value}}
	for k, v := range query {
		if k != "lang" && k != "theme" {
			other[k] = v
		}
	}
	return "?" + other.Encode()
}

// Say returns a refusal's sentence in the language of a console page, for answers to scripts.
func (k *Kit) Say(r *http.Request, e *refusal.Error) string {
	return k.catalogue.In(k.language(r, LayoutConsole)).TMap(e.Key, e.Args)
}
