package page

import (
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"text/template/parse"

	"doorward/internal/locale"
)

// Set is the pages of one surface. A page is parsed when it is first asked for in a language: a server starts in milliseconds, and a test
// parses them all.
type Set struct {
	kit   *Kit
	pages map[string]func() (*template.Template, error)
	ready map[wording]func() (*template.Template, error) // what Render executes
}

// Parse finds the *.html files of fsys, one page each, which go together with the toolkit's partials. A page's name is its
// file's without ".html"; it defines "main" and, if it likes, "below" (under the card) and "bar" (right end of the console's top
// bar). Files whose name begins with "_" hold partials for all pages of the set. The error names the file.
func (k *Kit) Parse(fsys fs.FS) (*Set, error) {
	names, err := fs.Glob(fsys, "*.html")
	if err != nil {
		return nil, err
	}
	var partials, pages []string
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			partials = append(partials, name)
		} else {
			pages = append(pages, name)
		}
	}
	shared := sync.OnceValues(func() (*template.Template, error) {
		toolkit, err := k.toolkit()
		if err != nil || len(partials) == 0 {
			return toolkit, err
		}
		if toolkit, err = toolkit.Clone(); err != nil {
			return nil, err
		}
		return toolkit.ParseFS(fsys, partials...)
	})
	s := &Set{kit: k, pages: map[string]func() (*template.Template, error){}, ready: map[wording]func() (*template.Template, error){}}
	for _, name := range pages {
		parse := func() (*template.Template, error) {
			partials, err := shared()
			if err != nil {
				return nil, err
			}
			t, err := template.New("").Funcs(pieces).ParseFS(fsys, name)
			if err != nil {
				return nil, err
			}
			if t.Lookup("main") == nil {
				return nil, fmt.Errorf("page: %s does not define main", name)
			}
			return t, borrow(t, partials)
		}
		called := strings.TrimSuffix(path.Base(name), ".html")
		s.pages[called] = parse
		for _, l := range locale.Languages {
			s.ready[wording{called, l}] = sync.OnceValues(func() (*template.Template, error) {
				t, err := parse()
				if err == nil {
					say(t, k.catalogue.In(l))
				}
				return t, err
			})
		}
	}
	return s, nil
}

// borrow gives a page copies of the partials that it calls, and of those that they call. Each page needs its own, since html/template
// rewrites what it escapes; after a Clone it would have all of them and be several times as large.
func borrow(t, partials *template.Template) error {
	called := t.Templates()
	for i := 0; i < len(called); i++ {
		tree := called[i].Tree
		if tree == nil {
			continue // what has the page's name is outside of all its definitions
		}
		for _, list := range lists(tree.Root) {
			for _, n := range list.Nodes {
				call, ok := n.(*parse.TemplateNode)
				if !ok || t.Lookup(call.Name) != nil {
					continue
				}
				partial := partials.Lookup(call.Name)
				if partial == nil {
					location, _ := tree.ErrorContext(call)
					return fmt.Errorf("page: %s calls %q, which nobody defines", location, call.Name)
				}
				added, err := t.AddParseTree(call.Name, partial.Tree.Copy())
				if err != nil {
					return err
				}
				called = append(called, added)
			}
		}
	}
	return nil
}

// Template returns the templates of a page as its file has them: "main", and "below" and "bar" where it has them. The error names the file
// that does not parse or calls what nobody defines, or the page that there is not.
func (s *Set) Template(name string) (*template.Template, error) {
	parse := s.pages[name]
	if parse == nil {
		return nil, fmt.Errorf("page: no page %q", name)
	}
	return parse()
}

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
	b := doc.base()
	b.fill(s.kit, r)
	ready := s.ready[wording{name, b.Lang}]
	if ready == nil {
		return fmt.Errorf("page: no page %q", name)
	}
	t, err := ready()
	if err != nil {
		return err
	}
	if b.Flash == nil {
		b.Flash = s.kit.takeFlash(w, r)
	}
	out, err := b.whole(t, doc)
	if err == nil && b.unplaced() {
		// A field of the refusal is not on this page. Once more, and "problems" tells what would be lost.
		out, err = b.whole(t, doc)
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(b.Lang))
	h.Set("Content-Length", itoa(len(out)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, out) // the browser went away: nothing to tell it
	}
	return nil
}

// whole returns the page with its frame. Go writes the frame and the parts that are everywhere (type markup), html/template what the page
// itself says.
func (b *Base) whole(t *template.Template, doc Doc) (string, error) {
	var m markup
	m.out.Grow(8 << 10) // most pages are smaller
	err := b.frame(&m, func(name string) error {
		if t.Lookup(name) == nil {
			return nil
		}
		return t.ExecuteTemplate(&m.out, name, doc)
	})
	return m.out.String(), err
}
