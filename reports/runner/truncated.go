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

// specEvent is a line by which a suite reports that a spec started or ended: see
// reporter_test.go.tmpl.
type specEvent struct {
	Suite string // folder
	Ended bool   // if false, the spec started
	Spec  types.SpecReport
}

// readEvents reads the events of all processes of the suites. The last line of a killed process may be
// incomplete and is ignored then.
func readEvents(tmp string) (all []specEvent) {
	for line := range eventLines(tmp) {
		var t specEvent
		if json.Unmarshal(line, &t) == nil {
			all = append(all, t)
		}
	}
	return all
}

// eventLines returns the lines that the processes have written so far, one process after the other.
func eventLines(tmp string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		paths, _ := filepath.Glob(filepath.Join(tmp, "events", "*.jsonl")) // the only error is an invalid pattern
		for _, path := range paths {
			text, _ := os.ReadFile(path) // an unreadable file has no events
			for line := range bytes.Lines(text) {
				if !yield(line) {
					return
				}
			}
		}
	}
}

// complete adds a report for each suite without one, and adds missing specs to reports that contain
// fewer specs than the suite announced: those that had ended according to the events, those that were
// running when the process ended, and those that did not run.
func (g *ginkgo) complete(ctx context.Context, whole []types.Report, events []specEvent, tmp string) []types.Report {
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
		mine := slices.DeleteFunc(slices.Clone(events), func(t specEvent) bool { return t.Suite != s.Dir })
		fill(&whole[i], mine, expected[s.Dir], ctx.Err() != nil)
	}
	return plainer(whole, ctx.Err() != nil)
}

// notRun reports whether Ginkgo did not start the suite, because the time for all suites was over.
func notRun(r *types.Report) bool {
	return len(r.SpecialSuiteFailureReasons) == 1 && strings.HasPrefix(r.SpecialSuiteFailureReasons[0], "Suite did not run because")
}

// specs returns the number of specs in a report, without nodes of the suite such as BeforeSuite.
func specs(r types.Report) (n int) {
	for i := range r.SpecReports {
		if r.SpecReports[i].LeafNodeType == types.NodeTypeIt {
			n++
		}
	}
	return n
}

// expected lists the specs of suites by a dry run. Suites whose specs cannot be listed are missing in
// the result.
func (g *ginkgo) expected(ctx context.Context, suites []testPackage, tmp string) map[string]*types.Report {
	found := map[string]*types.Report{}
	if ctx.Err() != nil {
		return found // interrupted: the user waits for the end
	}
	flags := g.flags
	for _, name := range []string{"timeout", "output-dir", "procs", "nodes", "junit-report", "gojson-report", "teamcity-report", "coverprofile"} {
		_, flags = takeFlag(flags, name)
	}
	flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == "-p" || f == "--p" || f == "-cover" || f == "--cover" })
	dir := filepath.Join(tmp, "expected")
	cmd := g.command(ctx, dir, suites, append([]string{"--dry-run"}, flags...))
	_, _ = child.RunGroup(ctx, cmd, g.guard) // a failed suite may still have a report
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

// fill completes the report of a suite: see complete. expected is the report of a dry run, or nil. It
// also adds the reason why specs are missing, as a failure of the suite.
func fill(r *types.Report, events []specEvent, expected *types.Report, interrupted bool) {
	key := func(s *types.SpecReport) string {
		text, _ := json.Marshal([]any{s.ContainerHierarchyTexts, s.LeafNodeText, s.LeafNodeLocation.FileName, s.LeafNodeLocation.LineNumber})
		return string(text)
	}
	have := map[string]int{} // number of specs by key, since several may have the same text and location
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
	for _, t := range events {
		if t.Ended {
			add(ended, t.Spec)
		}
	}
	finished := specs(*r)
	for _, t := range events {
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
		why = "" // the report contains the reason
	case interrupted && finished == 0:
		why = "the run was interrupted before a spec of it ended"
	case interrupted:
		why = "the run was interrupted: " + why
	case finished == 0 && announced == 0:
		why = "the suite wrote no report and no spec started: make sure that a test of the package calls RunSpecs and that nothing exits before"
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

// plainer rewrites the reason of a suite that does not compile, so that it starts with the location of
// the error. If the run was interrupted, the compiler was, too, and its message is dropped.
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

// sameDir reports whether two paths name the same folder. They may differ, because a suite reports its
// working folder with symbolic links resolved.
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
