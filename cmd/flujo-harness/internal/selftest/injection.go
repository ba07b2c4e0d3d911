package selftest

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// injection is a deliberate change of the sources of a module, and the margin that it is judged
// with.
type injection struct {
	comments bool    // only comments change
	slower   float64 // percent of additional work in every benchmark; if 0, only the layout of the binary changes
	margin   float64 // percent
}

func (i injection) String() string {
	switch {
	case i.comments:
		return "comments only"
	case i.slower == 0:
		return "layout only"
	}
	return fmt.Sprintf("%+.3g%%", i.slower)
}

// parseInjection parses a change and a margin, such as "comments@5", "layout@5" or "2@1".
func parseInjection(text string) (i injection, err error) {
	change, margin, ok := strings.Cut(text, "@")
	if i.margin, err = strconv.ParseFloat(margin, 64); !ok || err != nil || !(i.margin > 0 && i.margin <= 100) {
		return i, fmt.Errorf("--row %q: write a change and a margin in percent, such as 5@5, comments@5 or layout@5", text)
	}
	switch change {
	case "comments":
		i.comments = true
	case "layout":
	default:
		if i.slower, err = strconv.ParseFloat(change, 64); err != nil || !(i.slower > 0 && i.slower <= 1000) {
			return i, fmt.Errorf("--row %q: the change is a percentage above 0, \"comments\" or \"layout\"", text)
		}
	}
	return i, nil
}

// sources holds the Go files of some packages, which can be changed and restored.
type sources struct {
	names map[string]string // package name by folder
	files map[string][]byte // content by path
	added []string          // files added by the current injection
}

func readSources(packages map[string]string) (*sources, error) {
	s := &sources{names: packages, files: map[string][]byte{}}
	for dir := range packages {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if s.files[path], err = os.ReadFile(path); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// change applies an injection to the original sources; different seeds give different results.
// The zero injection gives the base of the comparison, in which loops have the same form as in
// the changed sources. change returns the functions that have such loops.
func (s *sources) change(i injection, seed uint64) (longer []string, err error) {
	for _, path := range s.added {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	s.added = nil
	for path, text := range s.files {
		if i.comments {
			text = append(fmt.Appendf(nil, "// Changed on purpose, for the %d. time.\n\n", seed), text...)
		}
		if strings.HasSuffix(path, "_test.go") {
			changed, in, err := lengthen(filepath.Base(path), text, i.slower)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
			}
			text, longer = changed, append(longer, in...)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return nil, err
		}
	}
	if i.comments || i == (injection{}) {
		return nil, nil
	}
	for dir, name := range s.names {
		path := filepath.Join(dir, "a_changed_layout.go") // sorts before the other files, so that their functions move
		if err := os.WriteFile(path, layout(name, rand.New(rand.NewPCG(seed, 0x1a90))), 0o644); err != nil {
			return nil, err
		}
		s.added = append(s.added, path)
	}
	return longer, nil
}

// layout returns a file with functions of random sizes. They are never called, but the linker
// cannot know that, so it keeps them, and all functions after them move.
func layout(pkg string, rng *rand.Rand) []byte {
	var b, calls bytes.Buffer
	fmt.Fprintf(&b, "package %s\n\nimport \"os\"\n", pkg)
	for n := range 1 + rng.IntN(6) {
		fmt.Fprintf(&b, "\n//go:noinline\nfunc changedLayout%d(x uint64) uint64 {\n", n)
		for range 1 + rng.IntN(40) {
			fmt.Fprintf(&b, "\tx = x*%d + %d\n", rng.Uint32()|1, rng.Uint32())
		}
		b.WriteString("\treturn x\n}\n")
		fmt.Fprintf(&calls, "\t\tprintln(changedLayout%d(%d))\n", n, n)
	}
	fmt.Fprintf(&b, "\nfunc init() {\n\tif len(os.Args) > 1<<20 {\n%s\t}\n}\n", calls.String())
	return b.Bytes()
}

// lengthen makes the loops of benchmarks longer by a percentage. A loop "for i := 0; i < b.N;
// i++" runs that share of b.N more iterations, rounded down, while the benchmark still reports
// b.N. So time, instructions and allocations per operation all grow by the same share. lengthen
// returns the functions with such loops.
//
// The share is a variable, so that the code is the same for all shares, 0 included. With a
// constant the compiler generates different loops, and one instruction less is 1.5% of a
// benchmark of 70. The name of the variable contains the name of the file, because a package can
// have several such files. The variable is never 0, because the linker places variables that are
// 0 elsewhere.
func lengthen(name string, text []byte, percent float64) (changed []byte, in []string, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	type edit struct {
		from, to token.Pos
		text     string
	}
	var edits []edit
	share := fmt.Sprintf("changedShare%x", name)
	more := func(n ast.Expr) string {
		s := string(text[files.Position(n.Pos()).Offset:files.Position(n.End()).Offset])
		return fmt.Sprintf("int(int64(%s)*%s/100000)", s, share)
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		before := len(edits)
		ast.Inspect(f, func(n ast.Node) bool {
			switch loop := n.(type) {
			case *ast.ForStmt:
				start, ok := loop.Init.(*ast.AssignStmt)
				cond, ok2 := loop.Cond.(*ast.BinaryExpr)
				if ok && ok2 && start.Tok == token.DEFINE && len(start.Lhs) == 1 && cond.Op == token.LSS && isBN(cond.Y) {
					edits = append(edits, edit{start.Lhs[0].End(), start.Lhs[0].End(), ", changedN"}, edit{start.Rhs[0].End(), start.Rhs[0].End(), ", " + more(cond.Y)},
						edit{cond.Y.Pos(), cond.Y.End(), "changedN"})
				}
			case *ast.RangeStmt:
				if isBN(loop.X) {
					edits = append(edits, edit{loop.X.Pos(), loop.X.End(), more(loop.X)})
				}
			}
			return true
		})
		if len(edits) > before {
			in = append(in, f.Name.Name)
		}
	}
	if len(edits) > 0 {
		text = fmt.Appendf(slices.Clip(text), "\nvar %s = int64(%d)\n", share, shareOf(percent))
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(b.from, a.from) }) // last one first, so that offsets stay valid
	changed = slices.Clone(text)
	for _, e := range edits {
		changed = slices.Replace(changed, files.Position(e.from).Offset, files.Position(e.to).Offset, []byte(e.text)...)
	}
	return changed, in, nil
}

// lengthened returns the number of iterations of a loop that lengthen changed.
func lengthened(n int, percent float64) int { return int(int64(n) * shareOf(percent) / 100_000) }

// shareOf returns the value of the variable that lengthen adds: 100,000 and 1,000 for each percent.
func shareOf(percent float64) int64 { return 100_000 + int64(percent*1000+0.5) }

// injected returns the percentage that lengthen added to the operations of a benchmark which decided:
// those that are counted, or else those that are timed. It differs from percent if they are few,
// because iterations are whole. It is nil if the number of operations is unknown.
func injected(d *harness.Difference, by string, percent float64) *float64 {
	few, many := 0, 0 // operations of the processes whose difference decides
	if i := d.Instructions; by != thresholds.ByTime && i != nil && len(i.Head) > 0 {
		if few = 2; i.Ops == 1 {
			few = 0 // see harness: a single operation is compared with none
		}
		many = few + i.Ops
	} else if len(d.Samples) > 0 {
		many = d.Samples[0].Ops
	}
	if many == 0 {
		return nil
	}
	added := 100 * (float64(lengthened(many, percent)-lengthened(few, percent))/float64(many-few) - 1)
	return &added
}

// isBN reports whether an expression is the field N of a variable, as in "b.N".
func isBN(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "N" {
		return false
	}
	_, ok = s.X.(*ast.Ident)
	return ok
}
