package selftest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/thresholds"
)

// Selftest runs every mutant; otherwise it is not known that its guard works.
func TestSelftestRunsEveryMutant(t *testing.T) {
	var run []harness.Mutant
	for _, c := range corruptions {
		run = append(run, c.mutant)
	}
	for _, m := range harness.Mutants() {
		if !slices.Contains(run, m) {
			t.Errorf("selftest has no row for the mutant %q", m)
		}
	}
}

// root is the folder of go.mod.
var root = filepath.Join("..", "..", "..", "..")

// testsOf returns the names of the tests and fuzz targets of a package.
func testsOf(t *testing.T, pkg string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", pkg, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// Every experiment names existing tests. One whose test was renamed would run nothing and hold.
func TestExperimentsNameTestsThatAreThere(t *testing.T) {
	for _, p := range proofs {
		var all []string
		for _, pkg := range p.in {
			names := testsOf(t, pkg)
			all = append(all, names...)
			top := regexp.MustCompile(`/\w+`).ReplaceAllString(p.run, "") // without the names of subtests
			if !slices.ContainsFunc(names, regexp.MustCompile(top).MatchString) {
				t.Errorf("experiment %s: no test of %s is %s", p.name, pkg, p.run)
			}
		}
		for part := range strings.SplitSeq(strings.Trim(p.run, "^()$"), "|") {
			part, _, _ = strings.Cut(part, "/")
			if !slices.ContainsFunc(all, func(name string) bool { return strings.Contains(name, part) }) {
				t.Errorf("experiment %s: there is no %s", p.name, part)
			}
		}
	}
}

func TestEveryFuzzTargetIsInAnExperiment(t *testing.T) {
	for _, f := range ingest.Formats() {
		if !slices.Contains(readerTargets(), f.Fuzz) {
			t.Errorf("no experiment fuzzes %s", f.Name)
		}
	}
	var packages []string
	for _, pattern := range []string{"*", "*/*", "*/*/*", "*/*/*/*"} {
		files, err := filepath.Glob(filepath.Join(root, pattern, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			packages = append(packages, strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), filepath.ToSlash(root)+"/"))
		}
	}
	for _, pkg := range slices.Compact(packages) {
		for _, name := range testsOf(t, pkg) {
			in := func(p proof) bool {
				return p.n == fuzzFlag && p.in[0] == "./"+pkg && slices.Contains(strings.Split(p.run, "|"), name)
			}
			if strings.HasPrefix(name, "Fuzz") && !slices.ContainsFunc(proofs, in) {
				t.Errorf("no experiment fuzzes %s of %s", name, pkg)
			}
		}
	}
}

// An inconclusive verdict on a noisy machine is reported as undecided, not as a missed
// corruption.
func TestMarkDistinguishesMissedFromUndecided(t *testing.T) {
	slower := corruption{want: thresholds.Broken, says: "above its limit"}
	idle := corruption{want: thresholds.Held}
	for _, row := range []struct {
		of   corruption
		v    thresholds.Verdict
		want mark
	}{
		{slower, thresholds.Verdict{Outcome: thresholds.Broken, Reason: "cost is above its limit"}, noticed},
		{slower, thresholds.Verdict{Outcome: thresholds.Broken, Reason: "another"}, missed},
		{slower, thresholds.Verdict{Outcome: thresholds.Broken, Notes: []string{"above its limit"}}, noticed},
		{slower, thresholds.Verdict{Outcome: thresholds.Held, Reason: "above its limit"}, missed},
		{slower, thresholds.Verdict{Outcome: thresholds.Inconclusive, Reason: "too noisy"}, undecided},
		{slower, thresholds.Verdict{Outcome: thresholds.Invalid, Reason: "audit"}, missed},
		{idle, thresholds.Verdict{Outcome: thresholds.Held}, noticed},
		{idle, thresholds.Verdict{Outcome: thresholds.Broken}, missed},
		{idle, thresholds.Verdict{Outcome: thresholds.Inconclusive}, undecided},
	} {
		if got := row.of.mark(row.v); got != row.want {
			t.Errorf("want %s %q, verdict %+v: %s, want %s", row.of.want, row.of.says, row.v, got, row.want)
		}
	}
}
