package page

import (
	"html/template"
	"net/url"
)

// TextFile is a small text that a link lets people download, without asking the server once more.
type TextFile struct {
	Link template.URL
}

// NewTextFile returns a text as a file: its address holds it (RFC 2397).
func NewTextFile(text string) TextFile {
	return TextFile{template.URL("data:text/plain;charset=utf-8," + url.PathEscape(text))} //nolint:gosec // escaped, and no script in any browser
}
