package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// packageDocs has what the documentation of a package contains.
type packageDocs struct {
	name     string
	exported int // functions and types
	doc      bool
	examples int
}

// docsOf reads the Go files of one folder. The error is fs.ErrNotExist if there are none.
func docsOf(dir string) (p packageDocs, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return p, err
	}
	if len(files) == 0 {
		return p, fs.ErrNotExist
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return p, err
		}
		isTest := strings.HasSuffix(path, "_test.go")
		if !isTest {
			p.name = f.Name.Name
			p.doc = p.doc || f.Doc != nil
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				switch {
				case isTest && d.Recv == nil && strings.HasPrefix(d.Name.Name, "Example"):
					p.examples++
				case !isTest && d.Recv == nil && d.Name.IsExported():
					p.exported++
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if t, ok := s.(*ast.TypeSpec); ok && !isTest && t.Name.IsExported() {
						p.exported++
					}
				}
			}
		}
	}
	return p, nil
}

// problem returns what the documentation is missing, or "".
func (p packageDocs) problem() string {
	switch {
	case p.name == "" || p.name == "main" || p.exported == 0:
		return ""
	case !p.doc:
		return "has no package comment"
	case p.examples == 0:
		return "has no example: add a function Example to an example_test.go"
	}
	return ""
}

// Every importable package has a package comment and an example of its main use.
func TestEveryPackageHasAnExample(t *testing.T) {
	root, packages := filepath.Join("..", ".."), 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); name != ".." && strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "internal", "example"}, name) {
			return fs.SkipDir
		}
		p, err := docsOf(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		packages++
		if bad := p.problem(); bad != "" {
			t.Errorf("%s %s", path, bad)
		}
		return nil
	})
	if err != nil || packages < 20 {
		t.Errorf("%d packages read, error %v", packages, err)
	}
}

func TestMissingDocumentationIsFound(t *testing.T) {
	for _, tc := range []struct {
		p   packageDocs
		bad bool
	}{
		{packageDocs{name: "a", exported: 1, doc: true, examples: 1}, false},
		{packageDocs{name: "a", exported: 1, doc: true}, true},
		{packageDocs{name: "a", exported: 1, examples: 1}, true},
		{packageDocs{name: "a", doc: true}, false},
		{packageDocs{name: "main", exported: 1}, false},
	} {
		if got := tc.p.problem() != ""; got != tc.bad {
			t.Errorf("%+v: found %v, want %v", tc.p, got, tc.bad)
		}
	}
}
