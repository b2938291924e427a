package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The rooms of the house, as ARCHITECTURE.md draws them. A package that is not here has no place yet: say what it owns, and put it where
// it belongs.
var (
	// Domain packages import only those before them, and the ground.
	domainOrder  = []string{"policy", "access", "audit", "outbox", "revoke", "throttle", "org", "license", "factor", "connection", "account", "signin", "grant"}
	groundRooms  = []string{"id", "refusal", "sqldb", "secret", "jose", "outbound", "locale", "config"}
	surfaceRooms = []string{"entry", "console", "oidcop", "scim", "api"} // over the domain, page and the ground; never each other
	topRooms     = []string{"mail", "demo", "server", "doortest"}        // cmd, each other and tests import them
	testKits     = []string{"doortest", "page/pagetest"}                 // tests import them
)

// outsiders says which packages alone may import what is not ours.
var outsiders = map[string][]string{
	"html/template":                   {"page", "mail"},
	"modernc.org/sqlite":              {"sqldb"},
	"github.com/jackc/pgx":            {"sqldb"},
	"github.com/pressly/goose":        {"sqldb"},
	"github.com/go-webauthn":          {"factor"},
	"github.com/pquerna/otp":          {"factor"},
	"github.com/coreos/go-oidc":       {"connection"},
	"github.com/crewjam/saml":         {"connection"},
	"github.com/go-jose":              {"jose"},
	"github.com/wneessen/go-mail":     {"mail"},
	"github.com/alecthomas/kong":      {"cmd/doorward"},
	"github.com/prometheus":           {"server"},
	"github.com/chromedp":             {"doortest"},
	"github.com/emersion/go-smtp":     {"doortest"},
	"net/http":                        slices.Concat(surfaceRooms, topRooms, testKits, []string{"page", "outbound", "cmd/doorward"}),
	"golang.org/x/crypto":             {"secret"},
	"github.com/nicksnyder/go-i18n":   {"locale"},
	"github.com/jba/templatecheck":    {"page/pagetest"},
	"testing":                         testKits,
	"github.com/rogpeppe/go-internal": nil,
	"github.com/google/go-cmp":        nil,
	"pgregory.net/rapid":              nil,
	"database/sql":                    {"sqldb"},
}

// listedPackage is what `go list` tells of a package.
type listedPackage struct {
	ImportPath, Name, Dir, Doc         string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

// roomOf is the package's path inside the module, without internal/.
func roomOf(importPath string) (string, bool) {
	path, ours := strings.CutPrefix(importPath, "doorward/")
	return strings.TrimPrefix(path, "internal/"), ours
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Dir,Doc,GoFiles,Imports,TestImports,XTestImports", "doorward/...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var list []listedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 20 {
		t.Fatalf("only %d packages are listed", len(list))
	}
	return list
}

func TestHouseImports(t *testing.T) {
	for _, p := range listPackages(t) {
		from, _ := roomOf(p.ImportPath)
		if !slices.Contains(slices.Concat(domainOrder, groundRooms, surfaceRooms, topRooms, testKits, []string{"page", "cmd/doorward"}), from) {
			t.Errorf("%s stands in no list of this test", from)
		}
		for _, path := range p.Imports {
			to, ours := roomOf(path)
			if ours {
				if why := breach(from, to); why != "" {
					t.Errorf("%s imports %s: %s", from, to, why)
				}
				continue
			}
			if from == "policy" && strings.Contains(path, ".") {
				t.Errorf("policy imports %s: it has the standard library only", path)
			}
			for prefix, may := range outsiders {
				if (path == prefix || prefix != "testing" && strings.HasPrefix(path, prefix+"/")) && !slices.Contains(may, from) {
					t.Errorf("%s imports %s, which is for %v alone", from, path, may)
				}
			}
		}
		for _, path := range p.TestImports {
			if to, ours := roomOf(path); ours && to == "doortest" && p.Name != "main" {
				t.Errorf("tests of %s use doortest from inside: they have to stand in package %s_test", from, p.Name)
			}
		}
	}
}

// breach says why one of our packages may not import another; empty when it may.
func breach(from, to string) string {
	is := func(list []string) func(string) bool { return func(s string) bool { return slices.Contains(list, s) } }
	isDomain, isGround, isSurface, isTop := is(domainOrder), is(groundRooms), is(surfaceRooms), is(topRooms)
	switch {
	case from == "doortest", strings.HasPrefix(to, "cmd/") && from == to:
		return ""
	case slices.Contains(testKits, to):
		return "that is a test kit"
	case strings.HasPrefix(to, "cmd/"):
		return "nobody imports a command"
	case to == "server" && !slices.Contains([]string{"cmd/doorward", "demo"}, from):
		return "only cmd, demo, doortest and tests import server"
	case from == "mail":
		if !isGround(to) && to != "outbox" {
			return "mail imports outbox and the ground only"
		}
	case from == "policy":
		return "policy has the standard library only"
	case from == "throttle":
		if !isGround(to) {
			return "throttle imports the ground only"
		}
	case isGround(from):
		if !isGround(to) {
			return "the ground imports only ground"
		}
	case isDomain(from):
		if !isGround(to) && !(isDomain(to) && slices.Index(domainOrder, to) < slices.Index(domainOrder, from)) {
			return "a domain package imports only those above it, and the ground"
		}
	case from == "page":
		if !isGround(to) && !isDomain(to) {
			return "page imports domain types and the ground only"
		}
	case from == "page/pagetest":
		if !isGround(to) && to != "page" {
			return "the kit for pages imports page and the ground only"
		}
	case isSurface(from):
		if isSurface(to) {
			return "surfaces never import each other: they meet by redirect"
		}
		if !isGround(to) && !isDomain(to) && to != "page" {
			return "a surface imports domain, page and the ground only"
		}
	case isTop(to) && !isTop(from) && from != "cmd/doorward":
		return "only cmd, the top and tests import it"
	}
	return ""
}

// The test of the rules is itself right about the clearest breaches.
func TestHouseBreach(t *testing.T) {
	for _, row := range []struct {
		from, to string
		may      bool
	}{
		{"access", "sqldb", true}, {"signin", "account", true}, {"console", "signin", true}, {"console", "page", true}, {"server", "console", true},
		{"cmd/doorward", "server", true}, {"demo", "server", true}, {"doortest", "server", true}, {"server", "mail", true}, {"sqldb", "refusal", true},
		{"account", "signin", false}, {"policy", "id", false}, {"throttle", "access", false}, {"access", "audit", false}, {"sqldb", "access", false},
		{"console", "entry", false}, {"entry", "server", false}, {"signin", "page", false}, {"page", "entry", false}, {"mail", "account", false},
		{"server", "doortest", false}, {"signin", "server", false}, {"console", "mail", false}, {"server", "cmd/doorward", false}, {"org", "mail", false},
		{"console", "page/pagetest", false},
	} {
		if why := breach(row.from, row.to); (why == "") != row.may {
			t.Errorf("%s imports %s: %q", row.from, row.to, why)
		}
	}
}

// Each package says what it is; none has an init function, or a variable that is more than a sentinel, a table or an embedded file.
func TestHousePackages(t *testing.T) {
	for _, p := range listPackages(t) {
		name, _ := roomOf(p.ImportPath)
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command doorward "
		}
		if len(p.GoFiles) > 0 && (!strings.HasPrefix(p.Doc, want) && !(p.Name == "main" && strings.HasPrefix(p.Doc, "Doorward "))) {
			t.Errorf("%s has no package comment that begins with %q: %q", name, want, p.Doc)
		}
		for _, file := range p.GoFiles {
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						t.Errorf("%s has a func init", set.Position(d.Pos()))
					}
				case *ast.GenDecl:
					if d.Tok == token.VAR {
						checkVars(t, set, name, d)
					}
				}
			}
		}
	}
}

func checkVars(t *testing.T, set *token.FileSet, name string, d *ast.GenDecl) {
	t.Helper()
	embedded := func(docs ...*ast.CommentGroup) bool {
		return slices.ContainsFunc(docs, func(g *ast.CommentGroup) bool {
			return g != nil && slices.ContainsFunc(g.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
		})
	}
	for _, spec := range d.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok || embedded(d.Doc, v.Doc) || name == "cmd/doorward" && v.Names[0].Name == "version" { // which the linker sets
			continue
		}
		if len(v.Values) == 0 {
			t.Errorf("%s: the variable %s has no value: it is state", set.Position(v.Pos()), v.Names[0])
		}
		for i, value := range v.Values {
			if !fixedValue(value) {
				t.Errorf("%s: the variable %s is no sentinel and no table", set.Position(v.Pos()), v.Names[i])
			}
		}
	}
}

// fixedValue tells whether a value looks like one that never changes.
func fixedValue(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.SelectorExpr:
		return true
	case *ast.CompositeLit:
		return len(e.Elts) > 0
	case *ast.CallExpr: // errors.New, regexp.MustCompile, …; not make or new
		_, ok := e.Fun.(*ast.SelectorExpr)
		return ok
	}
	return false
}
