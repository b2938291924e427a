package page

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"html/template"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"doorward/internal/locale"
	"doorward/internal/refusal"
)

// hostile are values as somebody writes them who wants more than text.
var hostile = []string{
	"", "plain", "O'Reilly <b>&\"x\"+=", `"><script>alert(1)</script>`, `' onmouseover='x`, "</textarea></title><img src=x>", "&amp;&lt;", "{{.}}",
	"\x00\x01\r\n\t", "\xff\xfe\xc3\"", "`${x}`", "<!-- -->", "]]>", "ü – 名\u2028\ufeff", "javascript:alert(1)", "JaVaScRiPt:x", " javascript:x", "java\nscript:x",
	"\tvbscript:x", "data:text/html,<script>", "//evil.example/", "/a?b=c&d='e'#f", "?x=%3C%22%zz%", "#top", "mailto:a@b?subject=x y", "HTTPS://x.example/ü",
	"http:x", "/javascript:x", "a/b:c", ":x", "x:", "/(a)*[b]!~",
}

// What markup writes is what html/template writes, to the byte, for texts, attributes and addresses.
func TestMarkupEscapes(t *testing.T) {
	like := template.Must(template.New("").Parse(`<a href="{{.}}">{{.}}</a><img src="{{.}}"><form action="{{.}}" data-x="{{.}}" title="a{{.}}b"><title>{{.}}</title>`))
	for _, s := range hostile {
		var want bytes.Buffer
		if err := like.Execute(&want, s); err != nil {
			t.Fatal(err)
		}
		m := newMarkup()
		m.html("<a").attr("href", s).html(">").text(s).html("</a><img").attr("src", s).html("><form").attr("action", s).attr("data-x", s).
			attr("title", "a", s, "b").html("><title>").text(s).html("</title>")
		if got := string(m.whole()); got != want.String() {
			t.Errorf("%q is\n%s\nand not\n%s", s, got, want.String())
		}
	}
}

// Only constants and the tables of this package are called HTML of our own; only markup and the drawings of figures make template.HTML.
func TestMarkupTakesConstantsOnly(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || strings.HasSuffix(name, "_test.go") {
				return true
			}
			if to, ok := call.Fun.(*ast.Ident); ok && to.Name == "literal" {
				if _, ok := call.Args[0].(*ast.BasicLit); !ok {
					t.Errorf("%s makes a literal of something that is none", name)
				}
			}
			if to, ok := call.Fun.(*ast.SelectorExpr); ok && to.Sel.Name == "HTML" && len(call.Args) == 1 && name != "markup.go" && name != "chart.go" {
				t.Errorf("%s makes HTML beside markup", name)
			}
			return true
		})
	}
}

func TestMarkupLeavesOut(t *testing.T) {
	got := newMarkup().html("<i").some("a", "").some("b", "1").number("c", 0).number("d", -2).flag(" e", false).flag(" f", true).html(">").
		icon("").hidden("g", "").alert(nil).whole()
	if want := template.HTML(`<i b="1" d="-2" f>`); got != want {
		t.Errorf("%s", got)
	}
}

// An address that a browser would run leads nowhere, however its scheme is written.
func TestAddress(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "/": "/", "/a?b=c&d=e#f": "/a?b=c&d=e#f", "?lang=de": "?lang=de", "https://x.example/": "https://x.example/", "MAILTO:a@b": "MAILTO:a@b",
		"/a b": "/a%20b", `/"'<>`: "/%22%27%3c%3e", "/%41%4": "/%41%254", "a/b:c": "a/b:c", "/ü": "/%c3%bc",
		"javascript:x": "#ZgotmplZ", "JAVASCRIPT:x": "#ZgotmplZ", " javascript:x": "#ZgotmplZ", "java\tscript:x": "#ZgotmplZ", "data:x": "#ZgotmplZ",
		"vbscript:x": "#ZgotmplZ", "blob:x": "#ZgotmplZ", ":x": "#ZgotmplZ", "http\x00:x": "#ZgotmplZ", "view-source:http://x/": "#ZgotmplZ",
	} {
		if got := address(s); got != want {
			t.Errorf("%q leads to %q, want %q", s, got, want)
		}
	}
}

// Whatever stands in them, the parts and the frames keep their elements and attributes: only values and texts differ.
func TestPiecesKeepTheirShape(t *testing.T) {
	catalogue, err := locale.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(b *Base, s string) template.HTML{
		"field": func(b *Base, s string) template.HTML {
			return b.Field("x", "page.or").Example(s).Fill(s).Max(9).As(s).HTML()
		},
		"area": func(b *Base, s string) template.HTML { return b.Field("x", "page.or").Lines(3).MayBeEmpty().HTML() },
		"password": func(b *Base, s string) template.HTML {
			return b.Password("x", "page.or").New([]Rule{{Test: s, Key: "page.or"}}, []string{s, s}).HTML()
		},
		"code":  func(b *Base, s string) template.HTML { return b.Code(s, "page.or", "page.or").HTML() },
		"check": func(b *Base, s string) template.HTML { return b.Check("x", "page.or").Sends(s).Help("page.or").HTML() },
		"button": func(b *Base, s string) template.HTML {
			return b.Button("page.or").Text(s).Sends(s, s).Of(s).As(s).HTML()
		},
		"link":   func(b *Base, s string) template.HTML { return b.Button("page.or").Text(s).To(s).Marked("key").HTML() },
		"opens":  func(b *Base, s string) template.HTML { return b.Button("page.or").Opens(s).HTML() },
		"badge":  func(_ *Base, s string) template.HTML { return Badge{Kind: s, Text: s}.HTML() },
		"notice": func(_ *Base, s string) template.HTML { return (&Notice{Kind: s, Text: s, Href: s, Link: s}).HTML() },
		"stat":   func(b *Base, s string) template.HTML { return b.Stat("page.or", s).As(s).To(s).HTML() },
		"chip":   func(b *Base, s string) template.HTML { return b.Chip(s, s, "page.or").HTML() },
		"brand":  func(_ *Base, s string) template.HTML { return Brand{Name: s, LogoURL: s}.HTML() },
		"time":   func(b *Base, _ string) template.HTML { return b.DateTime(b.Now) },
		"card": func(b *Base, s string) template.HTML {
			b.Brand, b.Me, b.Flash, b.Strip = Brand{Name: s, Stylesheet: s}, &Me{Email: s, OrgName: s}, &Flash{Kind: s, Key: "page.or", Href: s}, &Strip{Leave: s, Post: true}
			return framed(t, b)
		},
		"console": func(b *Base, s string) template.HTML {
			b.Layout, b.Search, b.Account, b.Org = LayoutConsole, s, s, s
			b.Brand, b.Me = Brand{Name: s, LogoURL: s, Href: s}, &Me{Name: s, Email: s, OrgName: s, Href: s}
			b.Nav, b.Notices = []NavItem{{Text: s, Href: s, Group: s, Count: 1}}, []Flash{{Kind: s, Key: "page.or", Href: s}}
			b.Orgs = &OrgMenu{Recent: []NavItem{{Text: s, Post: s, Slug: s}, {Text: s, Href: s}}, All: s}
			return framed(t, b)
		},
	} {
		shape := ""
		for _, s := range hostile[1:] { // an empty value leaves some out
			b := &Base{Page: s, Reason: s, P: catalogue.In(locale.English), kit: &Kit{assets: &assets{byName: map[string]string{"door.svg": s, "door.css": s,
				"door.js": s, "console.css": s, "search.js": s}}}, Now: time.Unix(1e9, 0), Location: time.UTC}
			b.Form = FormOf(map[string][]string{"x": {s}}, refusal.All(refusal.Field("x", "password.too_short", "Least", s)))
			got := outline(t, string(write(b, s)))
			if shape == "" {
				shape = got
			} else if got != shape {
				t.Errorf("%s of %q is\n%s\nand not\n%s", name, s, got, shape)
			}
		}
	}
}

func framed(t *testing.T, b *Base) template.HTML {
	t.Helper()
	m := newMarkup()
	if err := b.frame(m, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return m.whole()
}

// outline returns the tags of some HTML with the names of their attributes, and holds that no attribute leads to a script.
func outline(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	for z := html.NewTokenizer(strings.NewReader(text)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return out.String()
		case html.StartTagToken, html.EndTagToken, html.CommentToken, html.DoctypeToken:
			token := z.Token()
			out.WriteString(kind.String() + " " + token.Data)
			for _, a := range token.Attr {
				out.WriteString(" " + a.Key)
				switch value := strings.ToLower(strings.TrimSpace(a.Val)); a.Key {
				case "href", "src", "action":
					if strings.HasPrefix(value, "java") || strings.HasPrefix(value, "data:") || strings.HasPrefix(value, "vb") {
						t.Errorf("%s leads to %s", token.Data, value)
					}
				}
			}
			out.WriteString("\n")
		}
	}
}
