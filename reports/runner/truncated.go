package runner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports"
)

// toldSpec is a line that a suite told of one of its specs.
type toldSpec struct {
	Suite string // folder
	Ended bool   // else it began
	Spec  types.SpecReport
}

// readTold reads what the processes of the suites told. The last line of a process that
// was killed may be cut off.
func readTold(tmp string) (all []toldSpec) {
	for line := range linesTold(tmp) {
		var t toldSpec
		if json.Unmarshal(line, &t) == nil {
			all = append(all, t)
		}
	}
	return all
}

// linesTold are the lines that the processes have told so far, each process for itself.
func linesTold(tmp string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		paths, _ := filepath.Glob(filepath.Join(tmp, "told", "*.jsonl")) // the pattern is a good one
		for _, path := range paths {
			text, _ := os.ReadFile(path) // what cannot be read is as if it had not been told
			for line := range bytes.Lines(text) {
				if !yield(line) {
					return
				}
			}
		}
	}
}

// complete makes a report for each suite that has none, and adds to each that lacks
// specs of those that it announced: what they told before their process ended, what
// was running then, and what was not run.
func (g *ginkgo) complete(ctx context.Context, whole []types.Report, told []toldSpec, tmp string) []types.Report {
	var lacking []testPackage
	for _, s := range g.suites {
		i := slices.IndexFunc(whole, func(r types.Report) bool { return sameDir(r.SuitePath, s.Dir) })
		if i < 0 || specs(whole[i]) < whole[i].PreRunStats.TotalSpecs || notRun(&whole[i]) {
			lacking = append(lacking, s)
		}
	}
	if len(lacking) == 0 {
		return plainer(whole, ctx.Err() != nil)
	}
	expected := g.expected(ctx, lacking, tmp)
	for _, s := range lacking {
		i := slices.IndexFunc(whole, func(r types.Report) bool { return sameDir(r.SuitePath, s.Dir) })
		if i < 0 {
			whole, i = append(whole, types.Report{SuitePath: s.Dir}), len(whole)
		}
		mine := slices.DeleteFunc(slices.Clone(told), func(t toldSpec) bool { return t.Suite != s.Dir })
		fill(&whole[i], mine, expected[s.Dir], ctx.Err() != nil)
	}
	return plainer(whole, ctx.Err() != nil)
}

// notRun reports whether Ginkgo did not come to the suite before its time was over.
func notRun(r *types.Report) bool {
	return len(r.SpecialSuiteFailureReasons) == 1 && strings.HasPrefix(r.SpecialSuiteFailureReasons[0], "Suite did not run because")
}

// specs is how many specs a report has: the rest are nodes of the suite.
func specs(r types.Report) (n int) {
	for i := range r.SpecReports {
		if r.SpecReports[i].LeafNodeType == types.NodeTypeIt {
			n++
		}
	}
	return n
}

// expected asks the suites for their specs, by a dry run. What cannot be found out is
// not there.
func (g *ginkgo) expected(ctx context.Context, suites []testPackage, tmp string) map[string]*types.Report {
	found := map[string]*types.Report{}
	if ctx.Err() != nil {
		return found // somebody waits for the end
	}
	flags := g.flags
	for _, name := range []string{"timeout", "output-dir", "procs", "nodes", "junit-report", "gojson-report", "teamcity-report", "coverprofile"} {
		_, flags = takeFlag(flags, name)
	}
	flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == "-p" || f == "--p" || f == "-cover" || f == "--cover" })
	dir := filepath.Join(tmp, "expected")
	cmd := g.command(ctx, dir, suites, append([]string{"--dry-run"}, flags...))
	_, _ = child.RunGroup(ctx, cmd, g.guard) // what it lists counts
	all, err := readGinkgo(dir)
	if err != nil {
		return found
	}
	for i := range all {
		for _, s := range suites {
			if sameDir(all[i].SuitePath, s.Dir) {
				found[s.Dir] = &all[i]
			}
		}
	}
	return found
}

// fill completes the report of a suite that lost some of it.
func fill(r *types.Report, told []toldSpec, expected *types.Report, interrupted bool) {
	key := func(s *types.SpecReport) string {
		text, _ := json.Marshal([]any{s.ContainerHierarchyTexts, s.LeafNodeText, s.LeafNodeLocation.FileName, s.LeafNodeLocation.LineNumber})
		return string(text)
	}
	have := map[string]int{} // how many there are, since several may have one text and place
	for i := range r.SpecReports {
		have[key(&r.SpecReports[i])]++
	}
	reported := specs(*r)
	add := func(want map[string]int, s types.SpecReport) {
		k := key(&s)
		if want[k]++; want[k] > have[k] {
			have[k]++
			r.SpecReports = append(r.SpecReports, s)
		}
	}
	ended, began := map[string]int{}, map[string]int{}
	for _, t := range told {
		if t.Ended {
			add(ended, t.Spec)
		}
	}
	finished := specs(*r)
	for _, t := range told {
		if !t.Ended {
			t.Spec.State, t.Spec.NumAttempts = types.SpecStateInterrupted, 1
			t.Spec.Failure = types.Failure{Message: "the process of the suite ended while this spec ran", Location: t.Spec.LeafNodeLocation}
			add(began, t.Spec)
		}
	}
	announced := max(r.PreRunStats.TotalSpecs, specs(*r))
	if expected != nil {
		r.SuiteDescription, r.SuiteHasProgrammaticFocus = expected.SuiteDescription, expected.SuiteHasProgrammaticFocus
		announced = max(announced, specs(*expected))
		listed := map[string]int{}
		for _, s := range expected.SpecReports {
			if s.LeafNodeType != types.NodeTypeIt {
				continue
			}
			if s.State == types.SpecStatePassed {
				s.State = types.SpecStateSkipped
				s.Failure = types.Failure{Message: "not run: the suite ended before"}
			}
			add(listed, s)
		}
	}
	r.PreRunStats.TotalSpecs = announced
	why := fmt.Sprintf("%d of %d specs had ended", finished, announced)
	switch {
	case notRun(r), slices.ContainsFunc(r.SpecReports, func(s types.SpecReport) bool {
		return s.LeafNodeType.Is(types.NodeTypesForSuiteLevelNodes) && s.Failed()
	}):
		why = "" // the report says it already
	case interrupted && finished == 0:
		why = "the run was interrupted before a spec of it ended"
	case interrupted:
		why = "the run was interrupted: " + why
	case finished == 0 && announced == 0:
		why = "the suite gave no report and no spec began: does a test of the package call RunSpecs, and does nothing end the process before?"
	case reported == 0:
		why = "its process ended before it could report (a kill, a crash, or os.Exit): " + why
	default:
		why = "a process of it ended before the others (a kill, a crash, or os.Exit): " + why
	}
	r.SuiteSucceeded = false
	if why != "" {
		r.SpecialSuiteFailureReasons = append(r.SpecialSuiteFailureReasons, reports.Truncated+": "+why)
	}
}

// plainer lets what a compiler says begin with where it is. One that was interrupted
// has nothing to say.
func plainer(all []types.Report, interrupted bool) []types.Report {
	for i := range all {
		for j, reason := range all[i].SpecialSuiteFailureReasons {
			head, said, found := strings.Cut(reason, "\n")
			if !found || !strings.HasPrefix(head, "Failed to compile") {
				continue
			}
			if interrupted {
				all[i].SpecialSuiteFailureReasons[j] = reports.Truncated + ": the run was interrupted before the suite was compiled"
				continue
			}
			var lines []string
			for s := bufio.NewScanner(strings.NewReader(said)); s.Scan(); {
				if line := s.Text(); line != "" && !strings.HasPrefix(line, "# ") {
					lines = append(lines, line)
				}
			}
			all[i].SpecialSuiteFailureReasons[j] = "does not compile: " + strings.Join(lines, "\n")
		}
	}
	return all
}

// sameDir compares two folders as the file system does: a suite names the one that it
// runs in, where links are resolved.
func sameDir(a, b string) bool {
	if a == b {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
