package page

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Set is the pages of one surface.
type Set struct {
	kit   *Kit
	pages map[string]*template.Template
}

// Parse reads the *.html files of fsys, one page each, together with the toolkit's layouts and partials. A page's name is its
// file's without ".html"; it defines "main" and, if it likes, "below" (under the card) and "bar" (right end of the console's top
// bar). Files whose name begins with "_" hold partials for all pages of the set. The error names the file.
func (k *Kit) Parse(fsys fs.FS) (*Set, error) {
	names, err := fs.Glob(fsys, "*.html")
	if err != nil {
		return nil, err
	}
	shared, err := k.toolkit.Clone()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			if shared, err = shared.ParseFS(fsys, name); err != nil {
				return nil, err
			}
		}
	}
	s := &Set{kit: k, pages: map[string]*template.Template{}}
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			continue
		}
		t, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if t, err = t.ParseFS(fsys, name); err != nil {
			return nil, err
		}
		if t.Lookup("main") == nil {
			return nil, fmt.Errorf("page: %s does not define main", name)
		}
		s.pages[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return s, nil
}

// Template returns the templates of a page, nil when there is no such page. Look up "card", "console" or "main" in it.
func (s *Set) Template(name string) *template.Template { return s.pages[name] }

// Names returns the names of all pages, in no order.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.pages))
	for name := range s.pages {
		names = append(names, name)
	}
	return names
}

// Render writes a page with that status. Nothing is written when it returns an error: the name is unknown or the template and doc
// do not fit.
func (s *Set) Render(w http.ResponseWriter, r *http.Request, status int, name string, doc Doc) error {
	t := s.pages[name]
	if t == nil {
		return fmt.Errorf("page: no page %q", name)
	}
	b := doc.base()
	b.fill(s.kit, r)
	if b.Flash == nil {
		b.Flash = s.kit.takeFlash(w, r)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, b.Layout.template(), doc); err != nil {
		return err
	}
	if b.unplaced() {
		// A field of the refusal is not on this page. Once more, and "problems" tells what would be lost.
		out.Reset()
		if err := t.ExecuteTemplate(&out, b.Layout.template(), doc); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(b.Lang))
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes()) // the browser went away: nothing to tell it
	}
	return nil
}
