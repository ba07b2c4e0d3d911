package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// pkg is a package's source files with their types.
type pkg struct {
	ImportPath, Name, Dir string
	GoFiles               []string

	fset  *token.FileSet
	files []*ast.File
	info  types.Info
}

// load reads one package; the types of its imports come from the build cache.
func load(pattern string) (*pkg, error) {
	list := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Name,Dir,GoFiles,Export,DepOnly", pattern)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", pattern, err)
	}
	p := &pkg{fset: token.NewFileSet(), info: types.Info{Types: map[ast.Expr]types.TypeAndValue{}}}
	exports := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var one struct {
			pkg
			Export  string
			DepOnly bool
		}
		if err := dec.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[one.ImportPath] = one.Export
		if !one.DepOnly {
			if p.ImportPath != "" {
				return nil, fmt.Errorf("%s is more than one package", pattern)
			}
			p.ImportPath, p.Name, p.Dir, p.GoFiles = one.ImportPath, one.Name, one.Dir, one.GoFiles
		}
	}
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(p.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	conf := types.Config{Importer: importer.ForCompiler(p.fset, "gc", lookup)}
	_, err = conf.Check(p.ImportPath, p.fset, p.files, &p.info)
	return p, err
}

// mutant is one change.
type mutant struct {
	id   int
	at   token.Position
	what string
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d:%d %s", filepath.Base(m.at.Filename), m.at.Line, m.at.Column, m.what)
}

// edit replaces the bytes from, to of a source file. Where edits begin at the same byte, the
// order is: what closes an inner expression, what closes an outer one, what opens an outer
// one, what opens an inner one.
type edit struct {
	from, to, order int
	text            string
}

// rewriter makes the mutants of one file.
type rewriter struct {
	*pkg
	file  *token.File
	src   []byte
	base  int // mutants of the files before
	found []mutant
	edits []edit
	depth int
}

func (p *pkg) rewrite(f *ast.File, name string, base int) ([]byte, []mutant, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	r := &rewriter{pkg: p, file: p.fset.File(f.Pos()), src: src, base: base}
	r.visit(f)
	slices.SortStableFunc(r.edits, func(a, b edit) int { return cmp.Or(a.from-b.from, a.order-b.order) })
	var out bytes.Buffer
	at := 0
	for _, e := range r.edits {
		out.Write(src[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(src[at:])
	return out.Bytes(), r.found, nil
}

// add notes a mutant and returns its number; numbers start at 1.
func (r *rewriter) add(at token.Pos, format string, args ...any) int {
	id := r.base + len(r.found) + 1
	r.found = append(r.found, mutant{id, r.fset.Position(at), fmt.Sprintf(format, args...)})
	return id
}

// wrap puts text around a node.
func (r *rewriter) wrap(n ast.Node, before, after string) {
	from, to := r.file.Offset(n.Pos()), r.file.Offset(n.End())
	r.edits = append(r.edits, edit{from, from, r.depth, before}, edit{to, to, -r.depth, after})
}

func (r *rewriter) text(n ast.Node) string {
	s := strings.Join(strings.Fields(string(r.src[r.file.Offset(n.Pos()):r.file.Offset(n.End())])), " ")
	if len(s) > 60 {
		s = s[:57] + "..."
	}
	return s
}

// visit walks the tree and leaves out what no mutant may be in.
func (r *rewriter) visit(root ast.Node) {
	var post ast.Stmt              // post statement of a loop: a change there makes it endless
	initial := map[ast.Stmt]bool{} // first parts of if and switch statements: no block may stand there
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			r.depth--
			return true
		}
		r.depth++
		switch n := n.(type) {
		case *ast.GenDecl:
			if n.Tok == token.CONST || n.Tok == token.TYPE || n.Tok == token.IMPORT {
				r.depth--
				return false
			}
		case *ast.ForStmt:
			post = n.Post
			if n.Cond != nil {
				r.condition(n.Cond)
			}
		case *ast.IfStmt:
			initial[n.Init] = true
			r.condition(n.Cond)
		case *ast.SwitchStmt:
			initial[n.Init] = true
		case *ast.TypeSwitchStmt:
			initial[n.Init] = true
		case *ast.BinaryExpr:
			r.binary(n)
		case *ast.UnaryExpr:
			if n.Op == token.SUB && r.numeric(n) {
				id := r.add(n.Pos(), "-x => x: %s", r.text(n))
				r.wrap(n, fmt.Sprintf("mutateNegate(%d, ", id), ")")
			}
		case *ast.IncDecStmt:
			if ast.Stmt(n) != post && !initial[n] {
				id := r.add(n.Pos(), "%s inverted: %s", n.Tok, r.text(n))
				other := map[token.Token]string{token.INC: "--", token.DEC: "++"}[n.Tok]
				r.wrap(n, fmt.Sprintf("if mutateIs(%d) { %s%s } else { ", id, string(r.src[r.file.Offset(n.X.Pos()):r.file.Offset(n.X.End())]), other), " }")
			}
		case *ast.AssignStmt:
			if (n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN) && r.numeric(n.Rhs[0]) && ast.Stmt(n) != post {
				id := r.add(n.TokPos, "%s inverted: %s", n.Tok, r.text(n))
				r.depth++
				r.wrap(n.Rhs[0], fmt.Sprintf("mutateNegate(%d, ", id), ")")
				r.depth--
			}
		case *ast.ExprStmt:
			if call, ok := n.X.(*ast.CallExpr); ok && !initial[n] && !r.builtin(call) {
				id := r.add(n.Pos(), "left out: %s", r.text(n))
				r.wrap(n, fmt.Sprintf("if !mutateIs(%d) { ", id), " }")
			}
		}
		return true
	})
}

// condition of a statement that is no comparison and no combination of some: it is negated.
func (r *rewriter) condition(e ast.Expr) {
	if _, ok := ast.Unparen(e).(*ast.BinaryExpr); ok || r.info.Types[e].Value != nil {
		return
	}
	id := r.add(e.Pos(), "negated: %s", r.text(e))
	r.wrap(e, fmt.Sprintf("bool(mutateNot(%d, ", id), "))")
}

func (r *rewriter) binary(n *ast.BinaryExpr) {
	if r.info.Types[n].Value != nil {
		return
	}
	call := func(name, args, end string) {
		at := r.file.Offset(n.OpPos)
		r.wrap(n, name+"("+args, end)
		r.edits = append(r.edits, edit{at, at + len(n.Op.String()), 0, ", "})
	}
	text := r.text(n)
	switch n.Op {
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		id := r.add(n.OpPos, "boundary of %s: %s", n.Op, text)
		r.add(n.OpPos, "negated %s: %s", n.Op, text)
		name := map[token.Token]string{token.LSS: "mutateLess", token.LEQ: "mutateLessEqual", token.GTR: "mutateGreater", token.GEQ: "mutateGreaterEqual"}[n.Op]
		call(name, fmt.Sprintf("%d, ", id), ")")
	case token.EQL, token.NEQ:
		id := r.add(n.OpPos, "negated %s: %s", n.Op, text)
		r.wrap(n, fmt.Sprintf("mutateNot(%d, ", id), ")")
	case token.LAND, token.LOR:
		id := r.add(n.OpPos, "%s inverted: %s", n.Op, text)
		at := r.file.Offset(n.OpPos)
		r.wrap(n, fmt.Sprintf("%s(%d, ", map[token.Token]string{token.LAND: "mutateAnd", token.LOR: "mutateOr"}[n.Op], id), ") })")
		r.edits = append(r.edits, edit{at, at + 2, 0, ", func() bool { return ("}) // a return would end at a line break after the operator
	case token.ADD, token.SUB, token.MUL, token.QUO:
		if !r.numeric(n) {
			return
		}
		other := map[token.Token]string{token.ADD: "-", token.SUB: "+", token.MUL: "/", token.QUO: "*"}[n.Op]
		id := r.add(n.OpPos, "%s => %s: %s", n.Op, other, text)
		call(map[token.Token]string{token.ADD: "mutateAdd", token.SUB: "mutateSubtract", token.MUL: "mutateMultiply", token.QUO: "mutateDivide"}[n.Op], fmt.Sprintf("%d, ", id), ")")
	case token.REM:
		id := r.add(n.OpPos, "%% => *: %s", text)
		call("mutateRemainder", fmt.Sprintf("%d, ", id), ")")
	}
}

// numeric reports whether an expression is a number that is not known to the compiler.
func (r *rewriter) numeric(e ast.Expr) bool {
	t := r.info.Types[e]
	if t.Type == nil || t.Value != nil && t.Value.Kind() != constant.Unknown {
		return false
	}
	basic, ok := t.Type.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsNumeric != 0 && basic.Info()&(types.IsComplex|types.IsUntyped) == 0
}

// builtin reports calls of panic, delete, copy and their like. To leave out a panic is a
// compile error where a function ends with it.
func (r *rewriter) builtin(call *ast.CallExpr) bool { return r.info.Types[call.Fun].IsBuiltin() }
