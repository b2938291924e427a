package server_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

// keyArguments says which arguments of a function or method are catalogue keys, in Go and in templates. A name with its package goes
// before the name alone. After a key that stands last may follow its name, value pairs.
var keyArguments = map[string][]int{
	// the catalogue, the refusals
	"T": {0}, "New": {1}, "denied": {1},
	// the surfaces
	"console.base": {2}, "entry.base": {1}, "done": {3}, "act": {3}, "SetFlash": {3},
	// the toolkit; Field is the one of refusals as well, and in both the key comes second
	"Field": {1}, "Password": {1}, "Code": {1, 2}, "Select": {1}, "Choice": {1}, "Check": {1}, "Help": {0}, "Off": {0},
	"Button": {0}, "Badge": {1}, "Notice": {1}, "Stat": {0}, "Noted": {0}, "Progress": {0}, "Empty": {1, 2}, "Copy": {1}, "Dialog": {1},
	"Column": {0}, "Chip": {2}, "Tabs": {0}, "Spark": {1}, "Bars": {0}, "Shares": {0},
}

// bare are those of them that take no name, value pairs.
var bare = []string{"Column", "Chip", "Tabs", "Stat", "Progress", "Copy"}

// keyFields are the fields of composite literals, and of assignments, that hold catalogue keys.
var keyFields = []string{"Key", "Hint", "Refused", "Link", "Group", "Title"}

// kept are texts that nothing shows at the moment: the general sentences for refusals that have no better one.
var kept = []string{"error.conflict", "error.expired", "error.invalid"}

// families are the keys that are put together: what the code writes, with * for what it fills in, and all values of that; nil where
// the values are names of the code's own, each written there in quotation marks.
func families() map[string][]string {
	var roles, hints []string
	for _, kind := range []access.OrgKind{access.Provider, access.MSP, access.Customer} {
		for _, role := range access.Roles(kind) {
			roles = append(roles, role)
			hints = append(hints, string(kind)+"."+role)
		}
	}
	var areas []string
	for _, a := range access.Areas {
		areas = append(areas, a.Name)
	}
	reasons := strs(policy.NotAdded, policy.NoRole, policy.AccessEnded, policy.AccountDisabled, policy.OrgSuspended, policy.OrgDeleting,
		policy.FactorDisabled)
	kinds := strs(access.Provider, access.MSP, access.Customer)
	parents := strs(access.Provider, access.MSP)
	codes := append(strs(refusal.Invalid, refusal.Unauthenticated, refusal.Forbidden, refusal.NotFound, refusal.Conflict, refusal.Expired,
		refusal.Limited, refusal.StepUp), "internal")
	states := strs(account.Invited, account.Active, account.Disabled, account.Deleting)
	actors := strs(access.AccountActor, access.OperatorActor, access.LinkActor, access.SystemActor, access.VisitorActor)
	links := append(strs(account.Activate, account.Reset), "setup-link")
	mails := strs(outbox.KindInvite, outbox.KindReset, outbox.KindMailCode, outbox.KindPasswordChanged, outbox.KindFactorAdded,
		outbox.KindFactorRemoved, outbox.KindRoleChanged, outbox.KindNewDevice, outbox.KindRecoveryUsed, outbox.KindFactorDisabled,
		outbox.KindAccessCode, outbox.KindAccountState, outbox.KindEmailConfirm, outbox.KindEmailChanging, outbox.KindEmailChanged, outbox.KindOrgState, outbox.KindMoveAsked, outbox.KindMoveDone, outbox.KindMoveDeclined, outbox.KindMoveCancelled, outbox.KindSeatsRequest, outbox.KindSeatsAnswer, outbox.KindSetup, outbox.KindMyOrganisations, outbox.KindExpiry, outbox.KindLinked, outbox.KindUnlinked, outbox.KindLinkedReset, outbox.KindResetElsewhere, outbox.KindNotMeAlert, outbox.KindDeadline)
	return map[string][]string{
		"*.title":                links,
		"*.lead":                 links,
		"*.button":               links,
		"bulk.act.*":             append(strs(account.Acts...), "import"),
		"bulk.text.*":            strs(account.Acts...),
		"csv.column.*":           strs(account.Columns...),
		"csv.column.*.hint":      strs(account.ReadColumns...),
		"dashboard.orgs.*":       parents,
		"dashboard.orgs_open.*":  parents,
		"dashboard.seats_note_*": {"true", "false"},
		"demo.shows.*":           nil, // what an account of the demo is there for
		"email.there_*":          states,
		"error.next.*":           codes,
		"error.title.*":          codes,
		"event.*":                strs(audit.Actions...),
		"event.actor.*":          actors,
		"event.outcome.*":        strs(audit.Refused, audit.Denied),
		"explain.demand.*":       strs(policy.Administrators, policy.Everyone),
		"explain.reason.*":       reasons,
		"explain.step.*": strs(policy.AskPassword, policy.AskPasskey, policy.AskTOTP, policy.AskRecovery, policy.AskAccessCode, policy.ProveMailbox,
			policy.ChooseFactor, policy.EnrolTOTP, policy.EnrolPasskey, policy.ShowRecovery, policy.OfferPasskey, policy.Notice),
		"factor.*":              append(strs(factor.Password, factor.TOTP), "passkey", "recovery", "access-code"),
		"field.strength.*":      {"0", "1", "2", "3"},
		"login.denied.*.text":   reasons,
		"login.denied.*.title":  reasons,
		"login.way.*":           strs(policy.AskTOTP, policy.AskPasskey, policy.AskRecovery, policy.AskAccessCode),
		"mail.*":                nil, // see source.own
		"mail.*.subject":        mails,
		"mail.*.title":          mails,
		"month.*":               {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"},
		"move.asked.*":          strs(account.Sides...),
		"move.rules.newly_*":    {"true", "false"},
		"move.side.*":           strs(account.Sides...),
		"move.state.*":          strs(account.MoveDone, account.MoveRefused, account.MoveCancelled, account.MoveExpired),
		"nav.orgs.*":            parents,
		"org.kind.*":            kinds,
		"org.kind.*.hint":       strs(access.MSP, access.Customer),
		"org.new.title.*":       parents,
		"orgs.lead.*":           parents,
		"orgs.none.*":           parents,
		"orgs.none_text.*":      parents,
		"orgs.state.*":          {"active", "suspended", "deleting"},
		"orgs.title.*":          parents,
		"password.*":            strs(policy.TooShort, policy.TooLong, policy.TooOwn, policy.TooCommon, policy.TooBreached, policy.TooSimple),
		"policy.demand.*":       {"off", "administrators", "everyone"},
		"policy.demand.*_from":  {"administrators", "everyone"},
		"policy.field.*":        strs(signin.Fields...),
		"policy.mode.*":         strs(policy.Off, policy.Administrators, policy.Everyone),
		"policy.preview.shut_*": {"true", "false"},
		"campaign.standing.*":   strs(policy.Covered, policy.Pending, policy.Overdue, policy.Exempt, policy.Free),
		"role.*":                roles,
		"role.*.hint":           hints,
		"groups.lead.*":         parents,
		"groups.no_customers.*": parents,
		"groups.none_text.*":    parents,
		"permission.*":          strs(access.Permissions()...),
		"permission.area.*":     areas,
		"roles.reach.*":         parents,
		"roles.reach_label.*":   parents,
		"theme.*":               {"auto", "light", "dark"},
		"user.access_code.*":    {"1h", "4h", "24h"},
	}
}

func strs[S ~string](list ...S) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

// use is a place where a key is given to something that shows its text.
type use struct {
	where string
	key   string   // with * where something is filled in
	args  []string // names of its arguments, where they can be read
	known bool     // the arguments can be read
}

// source is what the code of the module says about texts.
type source struct {
	uses     []use
	literals map[string]bool // every text in quotation marks: those that equal a key are taken for a use
	own      []string        // mails: names of texts that each kind of mail may have
	files    int
}

const root = "../.."

func read(t *testing.T) *source {
	t.Helper()
	s := &source{literals: map[string]bool{}}
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
				return s.code(path)
			case strings.HasSuffix(path, ".html"):
				return s.page(path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.files < 100 || len(s.uses) < 300 {
		t.Fatalf("only %d files with %d texts were found: this test looks in the wrong place", s.files, len(s.uses))
	}
	return s
}

// code reads a Go file.
func (s *source) code(path string) error {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	s.files++
	at := func(n ast.Node) string { return strings.TrimPrefix(files.Position(n.Pos()).String(), root+"/") }
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if text, ok := literal(n); ok {
				s.literals[text] = true
			}
		case *ast.BinaryExpr:
			if key := pattern(n); strings.Contains(key, "*") && regexp.MustCompile(`^[a-z][a-z_]*\.[a-z_.]*\*`).MatchString(key) {
				s.uses = append(s.uses, use{where: at(n), key: key})
				return false
			}
		case *ast.CallExpr:
			s.call(f.Name.Name, at(n), n)
		case *ast.KeyValueExpr:
			if name, ok := n.Key.(*ast.Ident); ok && slices.Contains(keyFields, name.Name) {
				s.field(at(n), n.Value)
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if sel, ok := left.(*ast.SelectorExpr); ok && slices.Contains(keyFields, sel.Sel.Name) && len(n.Rhs) == len(n.Lhs) {
					s.field(at(n), n.Rhs[i])
				}
			}
		}
		return true
	})
	return nil
}

func (s *source) field(where string, value ast.Expr) {
	if key := pattern(value); key != "*" && strings.Contains(key, ".") && !strings.Contains(key, " ") {
		s.uses = append(s.uses, use{where: where, key: key})
	}
}

func (s *source) call(pkg, where string, n *ast.CallExpr) {
	name := ""
	switch f := n.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	if pkg == "mail" && len(n.Args) > 0 {
		// The mails' texts begin with "mail.", their own ones with the kind after that.
		if key := pattern(n.Args[0]); name == "own" && key != "*" {
			s.own = append(s.own, key)
		} else if name == "shared" && !strings.Contains(key, "*") {
			s.uses = append(s.uses, use{where: where, key: "mail." + key})
		}
		return
	}
	positions, ok := keyArguments[pkg+"."+name]
	if !ok {
		positions = keyArguments[name]
	}
	for i, p := range positions {
		if p >= len(n.Args) {
			continue
		}
		key := pattern(n.Args[p])
		if !strings.Contains(key, ".") {
			continue
		}
		u := use{where: where, key: key, known: !n.Ellipsis.IsValid()}
		if name == "base" && len(n.Args) == p+1 {
			u.known = false // the title's arguments may follow once they are known
		}
		if i == len(positions)-1 && !slices.Contains(bare, name) {
			for a := p + 1; a < len(n.Args); a += 2 {
				arg, isText := literal(n.Args[a])
				u.args, u.known = append(u.args, arg), u.known && isText
			}
		}
		s.uses = append(s.uses, u)
	}
}

// pattern returns a text that is put together, with * for each part that is not written there.
func pattern(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, ok := literal(e); ok {
			return text
		}
	case *ast.ParenExpr:
		return pattern(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return squeezed(pattern(e.X) + pattern(e.Y))
		}
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" {
			return verb.ReplaceAllString(pattern(e.Args[0]), "*")
		}
	}
	return "*"
}

var verb = regexp.MustCompile(`%[a-z]`)

// squeezed makes one * of those that only a dot separates.
func squeezed(s string) string { return strings.ReplaceAll(s, "*.*", "*") }

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// page reads a template.
func (s *source) page(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.files++
	tree := parse.New(path)
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	if _, err := tree.Parse(string(b), "", "", set); err != nil {
		return err
	}
	for _, part := range set {
		s.node(part, strings.TrimPrefix(path, root+"/"), part.Root)
	}
	return nil
}

func (s *source) node(tree *parse.Tree, path string, n parse.Node) {
	walk := func(nodes ...parse.Node) {
		for _, child := range nodes {
			s.node(tree, path, child)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			walk(n.Nodes...)
		}
	case *parse.ActionNode:
		walk(n.Pipe)
	case *parse.IfNode:
		walk(n.Pipe, n.List, n.ElseList)
	case *parse.WithNode:
		walk(n.Pipe, n.List, n.ElseList)
	case *parse.RangeNode:
		walk(n.Pipe, n.List, n.ElseList)
	case *parse.TemplateNode:
		walk(n.Pipe)
	case *parse.PipeNode:
		if n != nil {
			for _, c := range n.Cmds {
				walk(c)
			}
		}
	case *parse.CommandNode:
		where, _ := tree.ErrorContext(n)
		s.command(path+strings.TrimPrefix(where, tree.ParseName), n)
		walk(n.Args...)
	case *parse.ChainNode:
		walk(n.Node)
	case *parse.StringNode:
		s.literals[n.Text] = true
	}
}

func (s *source) command(where string, n *parse.CommandNode) {
	var path []string
	switch f := n.Args[0].(type) {
	case *parse.FieldNode:
		path = f.Ident
	case *parse.VariableNode:
		path = f.Ident
	case *parse.ChainNode:
		path = f.Field
	}
	if len(path) == 0 {
		return
	}
	name, args := path[len(path)-1], n.Args[1:]
	positions := keyArguments[name]
	for i, p := range positions {
		if p >= len(args) {
			continue
		}
		key := written(args[p])
		if !strings.Contains(key, ".") {
			continue
		}
		u := use{where: where, key: key, known: true}
		if i == len(positions)-1 && !slices.Contains(bare, name) {
			for a := p + 1; a < len(args); a += 2 {
				u.args = append(u.args, written(args[a]))
			}
		}
		s.uses = append(s.uses, u)
	}
}

// written is pattern for templates: (print "a." .B) and (printf "a.%s" .B) are put together.
func written(n parse.Node) string {
	switch n := n.(type) {
	case *parse.StringNode:
		return n.Text
	case *parse.PipeNode:
		if len(n.Cmds) != 1 || len(n.Cmds[0].Args) < 2 {
			return "*"
		}
		c := n.Cmds[0]
		switch f, _ := c.Args[0].(*parse.IdentifierNode); {
		case f == nil:
		case f.Ident == "print":
			key := ""
			for _, a := range c.Args[1:] {
				key += written(a)
			}
			return squeezed(key)
		case f.Ident == "printf":
			return verb.ReplaceAllString(written(c.Args[1]), "*")
		}
	}
	return "*"
}

// english returns the texts of the English catalogue, all forms of one behind each other; the other catalogues agree with it, see
// locale.TestCataloguesAgree.
func english(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(root + "/internal/locale/catalogues/en.json")
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for key, value := range raw {
		texts[key] = string(value)
	}
	return texts
}

// Every text that the code asks for is in the catalogues, with the arguments that it is given; and every text there is asked for.
func TestTexts(t *testing.T) {
	texts, s, computed := english(t), read(t), families()
	used := map[string]bool{}
	for text := range s.literals {
		used[text] = true
	}
	met := map[string]bool{}
	for _, u := range s.uses {
		if strings.Contains(u.key, "*") {
			met[u.key] = true
			if _, ok := computed[u.key]; !ok {
				t.Errorf("%s: %q is put together; add its values to the families of this test", u.where, u.key)
			}
			continue
		}
		used[u.key] = true
		text, ok := texts[u.key]
		if !ok {
			t.Errorf("%s: no text %q", u.where, u.key)
			continue
		}
		for _, m := range argument.FindAllStringSubmatch(text, -1) {
			if u.known && !slices.Contains(u.args, m[1]) {
				t.Errorf("%s: the text %q takes %s, which it is not given", u.where, u.key, m[1])
			}
		}
		if strings.HasPrefix(text, "{") != slices.Contains(u.args, "Count") && u.known {
			t.Errorf("%s: %q is given a Count without having plural forms, or the other way round", u.where, u.key)
		}
	}
	for family, values := range computed {
		if !met[family] && family != "mail.*.title" && family != "mail.*.subject" {
			t.Errorf("nothing puts %q together any more; take it out of the families of this test", family)
		}
		for _, v := range values {
			key := strings.Replace(family, "*", v, 1)
			used[key] = true
			if _, ok := texts[key]; !ok {
				t.Errorf("no text %q", key)
			}
		}
	}
	for _, name := range s.own {
		if !slices.ContainsFunc(computed["mail.*.title"], func(kind string) bool { _, ok := texts["mail."+kind+"."+name]; return ok }) {
			t.Errorf("no kind of mail has a text %q", name)
		}
		for _, kind := range computed["mail.*.title"] {
			used["mail."+kind+"."+name] = true
		}
	}
	for family, values := range computed {
		before, _, _ := strings.Cut(family, "*")
		for literal := range s.literals {
			used[before+literal] = used[before+literal] || values == nil
		}
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		if !used[key] && !slices.Contains(kept, key) {
			t.Errorf("nothing shows the text %q", key)
		}
	}
}

var argument = regexp.MustCompile(`\{\{\.([A-Za-z]+)\}\}`)
