package reports

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/flujo/flujo-harness/thresholds"
)

// FormatError is a file of results that cannot be taken at its word: empty, cut
// short, of another format, or at odds with itself.
type FormatError struct {
	Format string // "Ginkgo JSON"
	Suite  string // path of the suite, where one was reached
	Err    error
}

func (e *FormatError) Error() string {
	where := ""
	if e.Suite != "" {
		where = fmt.Sprintf(" in suite %q", e.Suite)
	}
	return fmt.Sprintf("read %s%s: %v: no result was taken from it; run the suites again and let them finish", e.Format, where, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// ErrNoSuites is a file of results without a single suite: never "0 of 0 passed".
var ErrNoSuites = errors.New("there is no suite in it")

// maxMessage is the most bytes kept of one failure's message: matchers print whole
// objects, and a history keeps every run.
const maxMessage = 16 << 10

// ReadGinkgo reads the JSON report of Ginkgo (--json-report): an array with one
// object a suite. Paths below root, the folder of the module, are made relative to
// it; an empty root leaves them as they are. Suites are decoded one at a time.
//
// A failure outside the specs (BeforeSuite and its like, a time-out of the suite, a
// dry run, fewer specs than the suite announced) becomes a [SuiteFailure]. What is
// not a complete, consistent report is a [*FormatError].
func ReadGinkgo(r io.Reader, root string) (*Results, error) {
	g := ginkgoReader{root: root, results: &Results{}, seen: map[string]int{}}
	suite, err := g.read(r)
	if err != nil {
		return nil, &FormatError{Format: "Ginkgo JSON", Suite: suite, Err: err}
	}
	return g.results, nil
}

type ginkgoReader struct {
	root    string
	results *Results
	seen    map[string]int // occurrences by key
}

// read names the suite at fault beside the error.
func (g *ginkgoReader) read(r io.Reader) (suite string, err error) {
	d := json.NewDecoder(bufio.NewReader(r))
	open, err := d.Token()
	if errors.Is(err, io.EOF) {
		return "", errors.New("the file is empty")
	}
	if err != nil {
		return "", err
	}
	if open != json.Delim('[') {
		return "", fmt.Errorf("it starts with %v where an array of suites is needed", open)
	}
	for d.More() {
		var report types.Report
		if err := d.Decode(&report); err != nil {
			return "", cutShort(err)
		}
		if err := g.add(&report); err != nil {
			return report.SuitePath, err
		}
	}
	if _, err := d.Token(); err != nil {
		return "", cutShort(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("there is more behind the end of the report")
	}
	if len(g.results.Suites) == 0 {
		return "", ErrNoSuites
	}
	return "", nil
}

// cutShort says what an unexpected end means.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is cut short: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func (g *ginkgoReader) add(report *types.Report) error {
	if report.SuitePath == "" {
		return errors.New("a suite has no SuitePath: is this a Ginkgo report?")
	}
	suite := Suite{
		Path:        g.relative(report.SuitePath),
		Description: report.SuiteDescription,
		Started:     report.StartTime,
		Duration:    max(0, report.RunTime), // across processes it is a difference of wall clocks
		Seed:        report.SuiteConfig.RandomSeed,
		Focused:     report.SuiteHasProgrammaticFocus,
	}
	var specs []Spec
	var places []types.CodeLocation // of the specs, wherever they failed
	failed := false
	for i := range report.SpecReports {
		node := &report.SpecReports[i]
		switch {
		case node.LeafNodeType == types.NodeTypeIt:
			spec, err := g.spec(node, suite.Path)
			if err != nil {
				return err
			}
			failed = failed || spec.State == Failed
			if err := g.measured(node); err != nil {
				return err
			}
			specs = append(specs, spec)
			places = append(places, node.LeafNodeLocation)
		case node.LeafNodeType == types.NodeTypeInvalid:
			return fmt.Errorf("node %q has a type that this version does not know", node.LeafNodeText)
		case node.Failed():
			suite.Failures = append(suite.Failures, SuiteFailure{
				Node:    node.LeafNodeType.String(),
				Message: shorten(message(node.Failure)),
				File:    g.relative(node.Failure.Location.FileName),
				Line:    node.Failure.Location.LineNumber,
			})
		}
	}
	for _, reason := range report.SpecialSuiteFailureReasons {
		failure := SuiteFailure{Node: "suite", Message: shorten(reason)}
		if why, ok := strings.CutPrefix(reason, Truncated+": "); ok {
			failure = SuiteFailure{Node: Truncated, Message: why}
		}
		suite.Failures = append(suite.Failures, failure)
	}
	suite.Failures = append(suite.Failures, g.untold(report, len(specs), failed || len(suite.Failures) > 0)...)
	g.number(specs, places)
	g.results.Suites = append(g.results.Suites, suite)
	g.results.Specs = append(g.results.Specs, specs...)
	return nil
}

// untold finds failures that a suite does not spell out.
func (g *ginkgoReader) untold(report *types.Report, specs int, told bool) []SuiteFailure {
	var found []SuiteFailure
	add := func(format string, args ...any) {
		found = append(found, SuiteFailure{Node: "suite", Message: fmt.Sprintf(format, args...)})
	}
	if report.SuiteConfig.DryRun {
		add("a dry run: Ginkgo reports specs as passed that it never ran; run it without --dry-run")
	}
	// A failed suite may stop before its last spec; one that succeeded may not.
	if report.SuiteSucceeded && specs != report.PreRunStats.TotalSpecs {
		add("the suite announced %d specs and reports %d", report.PreRunStats.TotalSpecs, specs)
	}
	if !report.SuiteSucceeded && !told {
		add("the suite failed, and no spec or node of it says why: see its own output")
	}
	return found
}

func (g *ginkgoReader) spec(node *types.SpecReport, suite string) (Spec, error) {
	at, text := node.LeafNodeLocation, message(node.Failure)
	spec := Spec{
		Suite:      suite,
		Containers: slices.Clone(node.ContainerHierarchyTexts),
		Leaf:       node.LeafNodeText,
		Attempts:   node.NumAttempts,
		Duration:   node.RunTime,
		Labels:     node.Labels(),
	}
	switch {
	case node.Failed():
		spec.State = Failed
		if node.State != types.SpecStateFailed {
			spec.Detail = node.State.String()
		}
		if node.Failure.Location.FileName != "" {
			at = node.Failure.Location
		}
	case node.State == types.SpecStatePassed:
		spec.State = Passed
		// Attempts beyond the first are asked for by MustPassRepeatedly, and a sign
		// of a failure otherwise.
		spec.Retried = node.NumAttempts > 1 && node.MaxMustPassRepeatedly <= 1
		if spec.Retried && len(node.AdditionalFailures) > 0 {
			text = message(node.AdditionalFailures[0].Failure)
		}
	case node.State == types.SpecStateSkipped:
		spec.State = Skipped
	case node.State == types.SpecStatePending:
		spec.State = Pending
	default:
		return Spec{}, fmt.Errorf("spec %q has a state that this version does not know", node.FullText())
	}
	if node.RunTime < 0 {
		return Spec{}, fmt.Errorf("spec %q ran for %v", node.FullText(), node.RunTime)
	}
	spec.Message = shorten(text)
	spec.File, spec.Line = g.relative(at.FileName), at.LineNumber
	return spec, nil
}

// measured takes the comparison that a spec has made, the last where it has retried.
func (g *ginkgoReader) measured(node *types.SpecReport) error {
	for _, entry := range slices.Backward(node.ReportEntries) {
		if entry.Name != thresholds.OverheadEntry {
			continue
		}
		var m thresholds.Judged
		if err := json.Unmarshal([]byte(entry.Value.AsJSON), &m); err != nil {
			return fmt.Errorf("the comparison of spec %q: %w", node.FullText(), err)
		}
		if m.Comparison == nil {
			return fmt.Errorf("the comparison of spec %q is not there", node.FullText())
		}
		g.results.Measured = append(g.results.Measured, m)
		return nil
	}
	return nil
}

// message is what a failure says; a panic has its value apart.
func message(f types.Failure) string {
	if f.ForwardedPanic != "" && !strings.Contains(f.Message, f.ForwardedPanic) {
		return strings.TrimSpace(f.Message + "\n" + f.ForwardedPanic)
	}
	return f.Message
}

// number tells specs of the same texts apart: by place in the source, so that a
// random order of running does not swap them.
func (g *ginkgoReader) number(specs []Spec, places []types.CodeLocation) {
	order := make([]int, len(specs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(strings.Compare(places[a].FileName, places[b].FileName),
			cmp.Compare(places[a].LineNumber, places[b].LineNumber))
	})
	for _, i := range order {
		key := specs[i].Key() // of occurrence 0
		g.seen[key]++
		specs[i].Occurrence = g.seen[key]
	}
}

// relative is name below the root, with slashes; name as it is where it lies elsewhere.
func (g *ginkgoReader) relative(name string) string {
	if g.root == "" || !filepath.IsAbs(name) {
		return name
	}
	rel, err := filepath.Rel(g.root, name)
	if err != nil {
		return name
	}
	rel = filepath.ToSlash(rel)
	if rel == ".." || strings.HasPrefix(rel, "../") {
		return name
	}
	return path.Clean(rel)
}

// shorten cuts a message at maxMessage bytes, between two runes, and says so.
func shorten(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s\n… %d more bytes", s[:end], len(s)-end)
}
