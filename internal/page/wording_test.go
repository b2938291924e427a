package page

import (
	"html/template"
	"strings"
	"testing"

	"doorward/internal/locale"
)

// A text without arguments stands in the page of its language; whatever else a template says is left to the rendering.
func TestWording(t *testing.T) {
	catalogue, err := locale.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	const text = `{{define "part"}}{{.T "page.or"}}{{end}}{{define "main"}}<p title="{{.T "page.menu"}}">{{if .Wide}}{{$.T "page.or"}}{{else}}{{.P.T "page.menu"}}{{end}}` +
		`{{with .Self}}{{.T "<no>&\"key'+"}}{{else}}{{.T "page.or"}}{{end}}{{range .Notices}}{{$.T "page.or"}}{{end}}</p>{{template "part" .}}` +
		`{{.T "page.signed_in" "Name" .Account "Organisation" .Org}}{{$x := .T "page.or"}}{{$x}}{{.Err "page.or"}}{{.T .Title}}{{.T "page.or" | print}}{{end}}`
	for _, l := range locale.Languages {
		asked, said := template.Must(template.New("").Parse(text)), template.Must(template.New("").Parse(text))
		say(said, catalogue.In(l))
		left := 0
		for _, part := range said.Templates() {
			if part.Tree != nil {
				left += strings.Count(part.Tree.Root.String(), ".T ")
			}
		}
		if left != 4 {
			t.Errorf("%d texts are still asked for, 4 cannot be known before", left)
		}
		for _, wide := range []bool{false, true} {
			b := &Base{P: catalogue.In(l), Wide: wide, Title: "page.or", Account: "<a>", Org: "o", Notices: make([]Flash, 2)}
			var want, got strings.Builder
			if err := asked.ExecuteTemplate(&want, "main", b); err != nil {
				t.Fatal(err)
			}
			if err := said.ExecuteTemplate(&got, "main", b); err != nil || got.String() != want.String() {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got.String(), want.String())
			}
		}
	}
}
