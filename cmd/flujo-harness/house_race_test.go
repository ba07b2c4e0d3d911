package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// concurrent is what a package has that starts goroutines, or expects to be called by several.
	concurrent = regexp.MustCompile(`(?m)\bgo func\b|\.Go\(|^\s*go [a-zA-Z.]+\(|\bsync\.|\batomic\.`)
	comment    = regexp.MustCompile(`(?m)(^|\s)//.*$`)
)

// concurrentPackages are the packages of this module whose sources match concurrent, those of nested
// modules left out.
func concurrentPackages(t *testing.T) map[string]bool {
	t.Helper()
	root, found := filepath.Join("..", ".."), map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir, name := filepath.Dir(path), d.Name()
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if nested := path != root && err == nil; nested || name == "testdata" || name == "templates" || strings.HasPrefix(name, ".") && name != ".." {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if concurrent.Match(comment.ReplaceAll(text, nil)) {
			rel, err := filepath.Rel(root, dir)
			if err != nil {
				return err
			}
			found[filepath.ToSlash(rel)] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// lists are the lines of a list of .ci/run, in words.
func lists(t *testing.T, script, name string) (all [][]string) {
	t.Helper()
	m := regexp.MustCompile(`(?ms)^` + name + `='\n(.*?)^'$`).FindStringSubmatch(script)
	if m == nil {
		t.Fatalf(".ci/run has no list %s", name)
	}
	for line := range strings.Lines(m[1]) {
		if words := strings.Fields(line); len(words) > 0 {
			all = append(all, words)
		}
	}
	return all
}

// The race detector is slow, so .ci/run says which tests it looks at. A package that begins to start
// goroutines must be in one of its lists, and a test that is renamed must be renamed there.
func TestEveryPackageIsRacedOrSaysWhyNot(t *testing.T) {
	script, want := readTree(t, ".ci/run"), concurrentPackages(t)
	if !strings.Contains(script, "go tool ginkgo --race ") || !want["suites"] {
		t.Error("the suites are raced by Ginkgo's command")
	}
	delete(want, "suites")
	listed := map[string]string{}
	for _, list := range []string{"raced", "raced_tests", "not_raced"} {
		for _, words := range lists(t, script, list) {
			pkg := words[0]
			if at := listed[pkg]; at != "" && !(at == list && list == "raced_tests") {
				t.Errorf("%s is listed twice, in %s and in %s", pkg, at, list)
			}
			if listed[pkg] = list; !want[pkg] {
				t.Errorf("%s is in %s of .ci/run and neither starts goroutines nor holds locks: take it out", pkg, list)
			}
			if missing := namesNoTest(t, pkg, words[1:]); len(missing) > 0 {
				t.Errorf("%s of .ci/run: %s has no test %s", list, pkg, strings.Join(missing, ", "))
			}
			if (len(words) > 1) != (list == "raced_tests") {
				t.Errorf("%s of .ci/run: %q", list, words)
			}
		}
	}
	for pkg := range want {
		if listed[pkg] == "" {
			t.Errorf("%s starts goroutines or holds locks, and .ci/run does not say which of its tests are raced: put it in raced, raced_tests or not_raced", pkg)
		}
	}
	if !want["core"] || want["thresholds"] || want["core/worker"] {
		t.Errorf("the control: packages with goroutines are %v", want)
	}
}

// namesNoTest returns the names that are no test of a package.
func namesNoTest(t *testing.T, pkg string, names []string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			tests = append(tests, m[1])
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(tests, name) })
}
