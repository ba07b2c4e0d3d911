package analysis

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// specBody returns the code of a spec in a Go file, without comments and layout. The spec is an It, an
// Entry (with the bodies of its table) or a Test function. It is found by its texts, so that it may
// have moved. ok is false if it is not found, or if several calls match equally well.
func specBody(src []byte, s reports.Spec) (body string, ok bool) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, "", src, parser.SkipObjectResolution) // no comments
	if err != nil {
		return "", false
	}
	outermost := s.Leaf
	if len(s.Containers) > 0 {
		outermost = s.Containers[0]
	}
	outermost, _, _ = strings.Cut(outermost, "/") // for a subtest, its top-level test
	for _, d := range f.Decls {
		if fn, is := d.(*ast.FuncDecl); is && strings.HasPrefix(outermost, "Test") && fn.Recv == nil && fn.Name.Name == outermost {
			return printed(files, fn)
		}
	}
	search := bodySearch{spec: s}
	ast.Walk(&search, f)
	if search.node == nil || search.ties > 0 {
		return "", false
	}
	return printed(files, search.node...)
}

// printed returns the code of nodes with normalized white space, one line each.
func printed(files *token.FileSet, nodes ...ast.Node) (string, bool) {
	var out bytes.Buffer
	for _, n := range nodes {
		var one bytes.Buffer
		if err := printer.Fprint(&one, files, n); err != nil {
			return "", false
		}
		out.WriteString(strings.Join(strings.Fields(one.String()), " "))
		out.WriteByte('\n')
	}
	return out.String(), true
}

// bodySearch searches a file for the call that defines a spec. Such calls, and those of containers,
// have the text as their first argument.
type bodySearch struct {
	spec  reports.Spec
	stack []*ast.CallExpr // enclosing calls, nil for other nodes
	node  []ast.Node      // best match so far
	best  int             // number of enclosing calls that are containers of the spec
	ties  int             // number of other calls that match equally well
}

// Visit implements ast.Visitor.
func (b *bodySearch) Visit(n ast.Node) ast.Visitor {
	if n == nil {
		b.stack = b.stack[:len(b.stack)-1]
		return nil
	}
	call, _ := n.(*ast.CallExpr)
	if call != nil && callText(call) == b.spec.Leaf && b.spec.Leaf != "" {
		b.take(call)
	}
	b.stack = append(b.stack, call)
	return b
}

func (b *bodySearch) take(call *ast.CallExpr) {
	around, at := 0, 0
	nodes := []ast.Node{call}
	for _, c := range b.stack {
		if c == nil {
			continue
		}
		if strings.HasPrefix(callName(c), "DescribeTable") {
			for _, arg := range c.Args {
				if body, is := arg.(*ast.FuncLit); is {
					nodes = append(nodes, body)
				}
			}
		}
		for i := at; i < len(b.spec.Containers); i++ {
			if callText(c) == b.spec.Containers[i] {
				around, at = around+1, i+1
				break
			}
		}
	}
	switch {
	case b.node == nil || around > b.best:
		b.node, b.best, b.ties = nodes, around, 0
	case around == b.best:
		b.ties++
	}
}

// callText returns the first argument of a call if it is a string literal, or "".
func callText(c *ast.CallExpr) string {
	if c == nil || len(c.Args) == 0 {
		return ""
	}
	lit, is := c.Args[0].(*ast.BasicLit)
	if !is || lit.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return text
}

func callName(c *ast.CallExpr) string {
	switch fn := c.Fun.(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		return fn.Sel.Name
	}
	return ""
}
