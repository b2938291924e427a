package entry

import (
	"io"
	"net/http"

	"doorward/internal/org"
	"doorward/internal/page"
)

// brandOf is what an organisation's pages look like.
func brandOf(o org.Org) page.Brand {
	return page.Brand{Name: o.Name, LogoURL: o.Brand.LogoPath(), Stylesheet: o.Brand.SheetPath()}
}

// brandFile serves logos and accent colours at addresses that say what is in them. They are the same for everybody, and a picture is nothing but one: a
// browser that is made to open it as a page runs nothing.
func (e *Entry) brandFile(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	if css, ok := org.Sheet(name); ok {
		lasting(w, "text/css; charset=utf-8")
		_, _ = io.WriteString(w, css)
		return nil
	}
	picture, err := org.Picture(r.Context(), e.DB, name)
	if err != nil {
		return err
	}
	lasting(w, "image/png")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, _ = w.Write(picture)
	return nil
}

// lasting begins a file that never changes.
func lasting(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // RFC 8246
}
