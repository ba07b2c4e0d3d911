package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness"
)

// The tests of this file fail if something new is missing in a place that must mention it.
// CONTRIBUTING.md lists the places for each kind. For formats of result files, see
// TestFormatsAreNamedFromOneTable.

// nodeConstructors returns the exported functions of the sources that return a *Node.
func nodeConstructors(sources map[string]string) (names []string, err error) {
	for file, text := range sources {
		f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || fn.Type.Results == nil || len(fn.Type.Results.List) != 1 {
				continue
			}
			star, ok := fn.Type.Results.List[0].Type.(*ast.StarExpr)
			if !ok {
				continue
			}
			if generic, ok := star.X.(*ast.IndexExpr); ok {
				if id, ok := generic.X.(*ast.Ident); ok && id.Name == "Node" {
					names = append(names, fn.Name.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// nodeGaps returns which places, given by name and text, do not mention which nodes.
func nodeGaps(nodes []string, places map[string]string) (gaps []string) {
	// The kill experiments cannot wait; TestWaitAndDeadlineSurviveRestarts in core interrupts
	// waits.
	exempt := map[string]string{"Wait": "core/coretest/every.go"}
	forms := map[string]func(string) []string{
		"core/coretest/every.go": func(n string) []string { return []string{"core." + n + "(", "core." + n + "["} },
		"core/doc.go":            func(n string) []string { return []string{"[" + n + "]"} },
		"core/README.md":         func(n string) []string { return []string{"`" + n + "`"} },
	}
	for _, place := range slices.Sorted(maps.Keys(places)) {
		for _, n := range nodes {
			named := slices.ContainsFunc(forms[place](n), func(form string) bool { return strings.Contains(places[place], form) })
			if !named && exempt[n] != place {
				gaps = append(gaps, place+" does not have "+n)
			}
		}
	}
	return gaps
}

func readTree(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Every node is in the pipeline that is killed at every save, in the package documentation and in
// the README.
func TestEveryNodeIsCovered(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "core", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for _, p := range paths {
		if !strings.HasSuffix(p, "_test.go") {
			sources[p] = readTree(t, "core/"+filepath.Base(p))
		}
	}
	nodes, err := nodeConstructors(sources)
	if err != nil || len(nodes) < 12 {
		t.Fatalf("nodes %v, error %v", nodes, err)
	}
	places := map[string]string{}
	for _, name := range []string{"core/coretest/every.go", "core/doc.go", "core/README.md"} {
		places[name] = readTree(t, name)
	}
	for _, gap := range nodeGaps(nodes, places) {
		t.Error(gap)
	}
}

// The check finds a missing node.
func TestAForgottenNodeIsFound(t *testing.T) {
	nodes, err := nodeConstructors(map[string]string{"race.go": "package core\nfunc Race[S any](nodes ...*Node[S]) *Node[S] { return nil }\nfunc New[S any]() *Pipeline[S] { return nil }\n"})
	if err != nil || !slices.Equal(nodes, []string{"Race"}) {
		t.Fatalf("nodes %v, error %v", nodes, err)
	}
	gaps := nodeGaps(nodes, map[string]string{"core/coretest/every.go": "core.Race(a, b)", "core/doc.go": "Race", "core/README.md": "| `Race` |"})
	if !slices.Equal(gaps, []string{"core/doc.go does not have Race"}) {
		t.Errorf("gaps %q", gaps)
	}
}

// Every workload is in the README's table. For variants of a workload, the suffix is enough.
func TestEveryWorkloadIsInTheREADME(t *testing.T) {
	readme := readTree(t, "harness/README.md")
	all, err := harness.Workloads()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all {
		_, end, _ := strings.Cut(w.Name, "-")
		if !strings.Contains(readme, "`"+w.Name+"`") && (end == "" || !strings.Contains(readme, "`-"+end+"`")) {
			t.Errorf("the README does not name the workload %s", w.Name)
		}
	}
}

// Every backend is tested by every part of coretest.
func TestEveryBackendPassesTheWholeSuite(t *testing.T) {
	backends, err := filepath.Glob(filepath.Join("..", "..", "core", "*", "backend.go"))
	if err != nil || len(backends) < 2 {
		t.Fatalf("backends %v, error %v", backends, err)
	}
	for _, b := range backends {
		tests, err := filepath.Glob(filepath.Join(filepath.Dir(b), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, file := range tests {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
		for _, part := range []string{"Conformance(", "Model(", "Recovery(", "Fencing(", "Rivals(", "Main("} {
			if !strings.Contains(all.String(), "coretest."+part) {
				t.Errorf("the tests of %s do not call coretest.%s…)", filepath.Base(filepath.Dir(b)), part)
			}
		}
	}
}
