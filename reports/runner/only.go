package runner

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Only says which tests of a package to run. The zero value is all of them.
type Only struct {
	Tests []string // top-level tests of go test
	Specs []string // whole texts of Ginkgo specs
}

func (o Only) whole() bool { return len(o.Tests)+len(o.Specs) == 0 }

// of is what to run of a package; ok is false where that is nothing. The keys of only are import
// paths, or folders relative to root.
func (o *Options) of(pkg testPackage) (all Only, ok bool) {
	if o.Only == nil {
		return Only{}, true
	}
	whole := false
	for _, key := range o.names(pkg) {
		if one, is := o.Only[key]; is {
			ok, whole = true, whole || one.whole()
			all.Tests, all.Specs = append(all.Tests, one.Tests...), append(all.Specs, one.Specs...)
		}
	}
	if whole {
		all = Only{}
	}
	return all, ok
}

// names are those that a package has as a suite: its import path, and its folder.
func (o *Options) names(pkg testPackage) []string {
	names := []string{pkg.ImportPath}
	if rel, err := filepath.Rel(o.Root, pkg.Dir); err == nil {
		names = append(names, filepath.ToSlash(rel))
	}
	return slices.Compact(names)
}

// seconds is how long the packages take, as far as it is known, by import path. One with a suite
// and other tests has two results.
func (o *Options) seconds(packages []testPackage) map[string]float64 {
	all := map[string]float64{}
	for _, pkg := range packages {
		for _, name := range o.names(pkg) {
			if s, ok := o.Seconds[name]; ok {
				all[pkg.ImportPath] += s
			}
		}
	}
	return all
}

// choose drops the packages, and the tests of packages, that are not to run.
func (o *Options) choose(packages []testPackage) (chosen []testPackage) {
	for _, pkg := range packages {
		only, ok := o.of(pkg)
		if !ok {
			continue
		}
		if pkg.only = only; !only.whole() {
			pkg.plain = slices.DeleteFunc(slices.Clone(pkg.plain), func(name string) bool { return !slices.Contains(only.Tests, name) })
			if len(only.Specs) == 0 {
				pkg.suite, pkg.entries = "", nil
			}
		}
		chosen = append(chosen, pkg)
	}
	return chosen
}

// focus is the flags by which Ginkgo runs only the chosen specs of the suites: none where all of
// one of them is to run.
func focus(suites []testPackage) (flags []string) {
	for _, s := range suites {
		if len(s.only.Specs) == 0 {
			return nil
		}
		for _, text := range s.only.Specs {
			flags = append(flags, "--focus="+regexp.QuoteMeta(text)+"$")
		}
	}
	return flags
}

// runOf is the flag by which go test runs only the chosen tests of a package; "": all of them.
func (t *testPackage) runOf() string {
	if len(t.only.Tests) == 0 {
		return ""
	}
	names := slices.Clone(t.only.Tests)
	slices.Sort(names)
	for i := range names {
		names[i] = regexp.QuoteMeta(names[i])
	}
	return "-run=^(" + strings.Join(slices.Compact(names), "|") + ")$"
}
