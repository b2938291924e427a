// Package page is the toolkit of the web surfaces: it renders their templates in one of two layouts, reads their forms, turns
// errors into pages, keeps flash messages, sets the security headers, serves the static files and knows the language and the
// theme of a request. It holds no rules, no routes and no texts of its own beside those of the toolkit.
//
//	request -> Wrap (ref, headers, language, theme) -> the surface's mux -> Handle -> handler -> Set.Render
//	                                                                             \-> error -> Fail
package page

import (
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"doorward/internal/locale"
)

// Options are what a Kit is made of.
type Options struct {
	PublicURL *url.URL          // links, cookie names and Secure derive from it
	Catalogue *locale.Catalogue // the texts
	Log       *slog.Logger      // where internal errors go; nil: slog's default
	Now       func() time.Time  // the clock; nil: time.Now
	Static    []fs.FS           // further static files of the surfaces, at the top of each file system
}

// Kit is the toolkit of one server. It is safe for concurrent use.
type Kit struct {
	catalogue *locale.Catalogue
	log       *slog.Logger
	now       func() time.Time
	secure    bool
	prefix    string      // of every cookie's name
	headers   http.Header // of every answer; their values are never written to
	assets    *assets
	toolkit   func() (*template.Template, error)
	own       *Set // the toolkit's own pages
}

// New returns a Kit, or an error that names what is missing or does not parse.
func New(o Options) (*Kit, error) {
	if o.PublicURL == nil || o.Catalogue == nil {
		return nil, errors.New("page: a public URL and a catalogue are needed")
	}
	k := &Kit{catalogue: o.Catalogue, log: o.Log, now: o.Now, secure: o.PublicURL.Scheme == "https", prefix: "door-"}
	if k.log == nil {
		k.log = slog.Default()
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.secure {
		// RFC 6265bis section 4.1.3.2: a browser takes such a cookie only when it is Secure, has Path=/ and no Domain, so no
		// sibling host can plant one.
		k.prefix = "__Host-door-"
	}
	k.headers = headers(k.secure)
	var err error
	if k.assets, err = loadAssets(o.Static); err != nil {
		return nil, err
	}
	k.toolkit = sync.OnceValues(func() (*template.Template, error) {
		return template.New("").Funcs(pieces).ParseFS(files, "templates/*.html")
	})
	pages, err := fs.Sub(files, "templates/pages")
	if err != nil {
		return nil, err
	}
	if k.own, err = k.Parse(pages); err != nil {
		return nil, err
	}
	return k, nil
}
