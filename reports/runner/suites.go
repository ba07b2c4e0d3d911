package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/workdir"
)

const ginkgoPackage = "github.com/onsi/ginkgo/v2"

// testPackage is a package with tests.
type testPackage struct {
	Dir                       string
	ImportPath                string
	TestGoFiles, XTestGoFiles []string

	suite   string   // package clause of the files that import Ginkgo, or "" if there are none
	entries []string // tests of a suite that run its specs
	plain   []string // tests, fuzz tests and examples for go test, without entries
	only    Only     // the selected ones of these
}

// testPackages lists the packages with tests that match the patterns. Of the flags, which are those of
// go test, it passes on to go list the ones that affect which files belong to a package.
func testPackages(ctx context.Context, patterns, flags []string) ([]testPackage, error) {
	if err := child.BuildCache(); err != nil {
		return nil, err
	}
	args := append([]string{"list"}, ListFlags(flags)...)
	args = append(append(args, "-json=Dir,ImportPath,TestGoFiles,XTestGoFiles", "--"), patterns...)
	cmd := exec.CommandContext(ctx, "go", args...)
	out, err := child.Output(cmd)
	if err != nil {
		return nil, fmt.Errorf("list packages %s: %w", strings.Join(patterns, " "), child.Explained(err))
	}
	var all []testPackage
	matched := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; matched++ {
		var pkg testPackage
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("list packages %s: %w", strings.Join(patterns, " "), err)
		}
		if len(pkg.TestGoFiles)+len(pkg.XTestGoFiles) > 0 {
			pkg.suite = pkg.ginkgo()
			pkg.entries, pkg.plain = pkg.tests()
			all = append(all, pkg)
		}
	}
	switch {
	case matched == 0:
		return nil, fmt.Errorf("no package matches %s: name folders of this module, as ./... or ./orders%s", strings.Join(patterns, " "), wholeModule())
	case len(all) == 0:
		return nil, fmt.Errorf("no tests in %s: name packages that have *_test.go files, or use flujo-harness bench to measure only", strings.Join(patterns, " "))
	}
	return all, nil
}

// wholeModule returns advice for a user in a subfolder of a module, or "".
func wholeModule() string {
	dir, err := os.Getwd()
	root := workdir.ModuleRoot(dir)
	if err != nil || root == "" || root == dir {
		return ""
	}
	up, err := filepath.Rel(dir, root)
	if err != nil {
		return ""
	}
	return "; this folder is part of a module; to run all of it: " + child.ShellLine("cd", up) + " && flujo-harness run"
}

// ginkgo returns the package clause of the first test file that imports Ginkgo, or "".
func (t testPackage) ginkgo() string {
	for _, name := range slices.Concat(t.TestGoFiles, t.XTestGoFiles) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(t.Dir, name), nil, parser.ImportsOnly)
		if err != nil {
			continue // the compiler will report it
		}
		for _, i := range f.Imports {
			if i.Path.Value == `"`+ginkgoPackage+`"` {
				return f.Name.Name
			}
		}
	}
	return ""
}

// tests finds the tests of the package that go test runs: tests, fuzz tests, and examples with an
// output. entries are those tests of a suite that call RunSpecs; if none does, a helper must call it,
// and any test may be the one that calls the helper.
func (t testPackage) tests() (entries, plain []string) {
	for _, name := range slices.Concat(t.TestGoFiles, t.XTestGoFiles) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(t.Dir, name), nil, parser.ParseComments)
		if err != nil {
			continue // the compiler will report it
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			switch {
			case !ok || fn.Recv != nil || fn.Name.Name == "TestMain":
			case t.suite != "" && isTest(fn.Name.Name, "Test") && runsSpecs(fn):
				entries = append(entries, fn.Name.Name)
			case isTest(fn.Name.Name, "Test"), isTest(fn.Name.Name, "Fuzz"):
				plain = append(plain, fn.Name.Name)
			}
		}
		for _, e := range doc.Examples(f) {
			if e.Output != "" || e.EmptyOutput {
				plain = append(plain, "Example"+e.Name)
			}
		}
	}
	if t.suite != "" && entries == nil { // see above
		return plain, nil
	}
	return entries, plain
}

// isTest reports whether a function with this name is a test of this kind ("Test" or "Fuzz").
func isTest(name, kind string) bool {
	rest, ok := strings.CutPrefix(name, kind)
	first, _ := utf8.DecodeRuneInString(rest)
	return ok && !unicode.IsLower(first)
}

// runsSpecs reports whether a function mentions RunSpecs.
func runsSpecs(fn *ast.FuncDecl) (runs bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		runs = runs || ok && name.Name == "RunSpecs"
		return !runs
	})
	return runs
}

// distinct returns an error if Ginkgo would write the reports of two suites to the same file. The name
// of the file is the path of the folder with "_" instead of separators.
func distinct(suites []testPackage) error {
	seen := map[string]string{}
	for _, s := range suites {
		name := strings.NewReplacer(string(filepath.Separator), "_", " ", "_").Replace(s.Dir)
		if other, ok := seen[name]; ok {
			return fmt.Errorf("the suites in %s and %s have the same name for Ginkgo, and the report of one would be lost: rename a folder, or run them one by one", workdir.ShortPath(other), workdir.ShortPath(s.Dir))
		}
		seen[name] = s.Dir
	}
	return nil
}

// Flags that the user cannot pass on, with the alternative.
var (
	takenOfGinkgo = map[string]string{
		"json-report":           "use --json of flujo-harness, or call Ginkgo itself",
		"keep-separate-reports": "the report is needed whole: call Ginkgo itself",
		"dry-run":               "nothing would be run: call Ginkgo itself",
		"repeat":                "it stops at the first failure and keeps only the last report: use --runs of flujo-harness",
		"until-it-fails":        "it stops at the first failure and keeps only the last report: use --runs of flujo-harness",
		"skip-package":          "a skipped suite could not be distinguished from a lost one: name the packages to run",
		"r":                     "name the packages to run, as in ./...",
	}
	takenOfGoTest = map[string]string{
		"json": "its output is read, not shown: call go test itself",
		"c":    "nothing would be run: call go test itself",
		"list": "nothing would be run: call go test itself",
		"n":    "nothing would be run: call go test itself",
	}
)

// refuse returns an error if one of the user's flags is in taken.
func refuse(flags []string, taken map[string]string) error {
	for _, f := range flags {
		if !strings.HasPrefix(f, "-") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		if name == "" || name == "args" {
			return nil // the rest is for the test program
		}
		if advice, ok := taken[name]; ok {
			return fmt.Errorf("%s cannot be passed on: %s", f, advice)
		}
	}
	return nil
}

// forGoTest returns the flags of Ginkgo that have the same meaning for go test.
func forGoTest(flags []string) (shared []string) {
	for _, name := range []string{"tags", "timeout", "mod", "modfile", "ldflags", "gcflags", "asmflags"} {
		if value, _ := takeFlag(flags, name); value != "" {
			shared = append(shared, "-"+name+"="+value)
		}
	}
	for _, f := range flags {
		if f == "--" {
			break
		}
		if name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "="); slices.Contains([]string{"race", "msan", "asan", "trimpath"}, name) {
			shared = append(shared, f)
		}
	}
	return shared
}

// ListFlags returns the flags that go list has as well and that affect which files belong to a
// package.
func ListFlags(flags []string) (shared []string) {
	return slices.DeleteFunc(forGoTest(flags), func(f string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		return !slices.Contains([]string{"tags", "mod", "modfile", "race", "msan", "asan"}, name)
	})
}

// takeFlag returns the value of a flag and the flags without it.
func takeFlag(flags []string, name string) (value string, rest []string) {
	for i := 0; i < len(flags); i++ {
		flag, given, joined := strings.Cut(flags[i], "=")
		switch {
		case flags[i] == "--":
			return value, append(rest, flags[i:]...)
		case flag != "-"+name && flag != "--"+name:
			rest = append(rest, flags[i])
		case joined:
			value = given
		case i+1 < len(flags):
			i++
			value = flags[i]
		}
	}
	return value, rest
}
