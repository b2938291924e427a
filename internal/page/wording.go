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
		if part.Tree == nil {
			continue
		}
		for _, list := range lists(part.Tree.Root) {
			for i, n := range list.Nodes {
				if n, ok := n.(*parse.ActionNode); ok {
					if key := plainText(n.Pipe); key != "" {
						text := newMarkup().text(p.T(key)).whole()
						list.Nodes[i] = &parse.TextNode{NodeType: parse.NodeText, Pos: n.Pos, Text: []byte(text)}
					}
				}
			}
		}
	}
}

// lists returns a list of nodes and all that are inside of it.
func lists(root *parse.ListNode) []*parse.ListNode {
	all := []*parse.ListNode{root}
	for i := 0; i < len(all); i++ {
		for _, n := range all[i].Nodes {
			var b parse.BranchNode
			switch n := n.(type) {
			case *parse.IfNode:
				b = n.BranchNode
			case *parse.WithNode:
				b = n.BranchNode
			case *parse.RangeNode:
				b = n.BranchNode
			default:
				continue
			}
			all = append(all, b.List)
			if b.ElseList != nil {
				all = append(all, b.ElseList)
			}
		}
	}
	return all
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
