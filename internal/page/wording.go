package page

import (
	"html/template"
	"text/template/parse"

	"doorward/internal/locale"
)

// wording is a page in one language.
type wording struct {
	page string
	lang locale.Language
}

// say puts the texts of a language into a page: one that takes no arguments, {{.T "key"}}, then stands there instead of being asked for at
// each rendering. It is escaped for where texts stand, between tags and in quoted attributes.
func say(t *template.Template, p *locale.Printer) {
	for _, part := range t.Templates() {
		if part.Tree != nil {
			sayIn(part.Tree.Root, p)
		}
	}
}

func sayIn(list *parse.ListNode, p *locale.Printer) {
	if list == nil {
		return
	}
	for i, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			if key := plainText(n.Pipe); key != "" {
				text := newMarkup().text(p.T(key)).whole()
				list.Nodes[i] = &parse.TextNode{NodeType: parse.NodeText, Pos: n.Pos, Text: []byte(text)}
			}
		case *parse.IfNode:
			sayIn(n.List, p)
			sayIn(n.ElseList, p)
		case *parse.WithNode:
			sayIn(n.List, p)
			sayIn(n.ElseList, p)
		case *parse.RangeNode:
			sayIn(n.List, p)
			sayIn(n.ElseList, p)
		}
	}
}

// plainText returns the key in .T "key", $.T "key" and the like, "" for everything else.
func plainText(pipe *parse.PipeNode) string {
	if len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 2 {
		return ""
	}
	var path []string
	switch f := pipe.Cmds[0].Args[0].(type) {
	case *parse.FieldNode:
		path = f.Ident
	case *parse.VariableNode:
		path = f.Ident
	}
	key, ok := pipe.Cmds[0].Args[1].(*parse.StringNode)
	if !ok || len(path) == 0 || path[len(path)-1] != "T" {
		return ""
	}
	return key.Text
}
