package runner

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Only selects tests of a package. The zero value selects all.
type Only struct {
	Tests []string // top-level tests of go test
	Specs []string // full texts of Ginkgo specs
}

func (o Only) whole() bool { return len(o.Tests)+len(o.Specs) == 0 }

// of returns the selected tests of a package; ok is false if none is selected. Options.Only may
// contain the package twice, by import path and by folder.
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

// names returns the names that results use for a package: its import path, and its folder relative to
// the root.
func (o *Options) names(pkg testPackage) []string {
	names := []string{pkg.ImportPath}
	if rel, err := filepath.Rel(o.Root, pkg.Dir); err == nil {
		names = append(names, filepath.ToSlash(rel))
	}
	return slices.Compact(names)
}

// seconds returns the known durations of packages in s, by import path. It adds up the two results of a
// package with a suite and other tests.
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

// choose returns the selected packages with the selected tests.
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

// focus returns the flags that make Ginkgo run only the selected specs of the suites. The flags apply
// to all suites, so there are none if one suite is to run all of its specs.
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

// runOf returns the flag that makes go test run only the selected tests of a package, or "" for all.
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
