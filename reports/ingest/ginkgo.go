package ingest

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// ErrNoSuites reports a file of results without suites. It is an error, because "0 of 0 passed" would
// look like success.
var ErrNoSuites = errors.New("it contains no suite")

// ReadGinkgo reads the JSON report of Ginkgo (--json-report) and no other format; see [Read]. The
// report is an array with one object per suite. Specs are decoded one at a time.
//
// A failure outside the specs (of BeforeSuite and other nodes of the suite, a timeout of the suite, a
// dry run, fewer specs than the suite announced) becomes a [reports.SuiteFailure]. An incomplete or
// inconsistent report is a [*FormatError].
func ReadGinkgo(r io.Reader, root string) (*reports.Results, error) {
	in, err := unpack(r)
	if err != nil {
		return nil, err
	}
	reading := &Reading{Format: reports.FormatGinkgo, Results: &reports.Results{}}
	c := newCollector(reading, root)
	defer c.files.close()
	if err := readGinkgo(in, c); err != nil {
		return nil, err
	}
	return reading.Results, nil
}

// readGinkgo reads the report. A [FormatError] also contains the path of the suite that was read.
func readGinkgo(in *input, c *collector) error {
	d := newValues(in, reports.FormatGinkgo)
	g := ginkgoReader{c: c, d: d}
	err := d.whole('[', func() error {
		return d.rest(g.suite)
	})
	if err == nil && len(c.results.Suites) == 0 {
		err = d.fault(ErrNoSuites)
	}
	if f := (*FormatError)(nil); errors.As(err, &f) {
		f.Suite = g.path
	}
	return err
}

type ginkgoReader struct {
	c    *collector
	d    *values
	path string // path of the suite being read
}

// asGinkgo makes the decoder accept the output of encoding/json, which Ginkgo uses.
var asGinkgo = json.JoinOptions(jsonv1.FormatDurationAsNano(true), jsonv1.ReportErrorsWithLegacySemantics(false))

// suite reads one suite. Its other members may precede or follow its specs, so they are collected in
// rest and decoded at the end.
func (g *ginkgoReader) suite() error {
	g.path = ""
	s := ginkgoSuite{c: g.c, first: len(g.c.results.Specs)}
	rest := []byte{'{'}
	err := g.d.object(func(name string) error {
		if name == "SpecReports" {
			return g.d.array(func() error {
				var node types.SpecReport
				if err := g.d.decode(&node, asGinkgo); err != nil {
					return err
				}
				return s.node(&node)
			})
		}
		value, err := g.d.value()
		if err != nil {
			return err
		}
		if len(rest)+len(value) > maxValue {
			return fmt.Errorf("%w: more than %d MiB of a suite in addition to its specs", ErrTooBig, maxValue>>20)
		}
		if name == "SuitePath" {
			_ = json.Unmarshal(value, &g.path) // another type is an error when rest is decoded
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		quoted, err := jsontext.AppendQuote(nil, name)
		if err != nil {
			return err
		}
		rest = append(append(append(rest, quoted...), ':'), value...)
		return nil
	})
	if err != nil {
		return err
	}
	var report types.Report
	if err := json.Unmarshal(append(rest, '}'), &report, asGinkgo); err != nil {
		return g.d.fault(plainJSON(err))
	}
	if err := s.end(&report); err != nil {
		return g.d.fault(err)
	}
	return nil
}

// ginkgoSuite converts the nodes of one suite.
type ginkgoSuite struct {
	c      *collector
	first  int     // index of its first spec in the results
	places []place // locations of the specs
	failed bool    // a spec failed
	suite  reports.Suite
}

func (s *ginkgoSuite) node(node *types.SpecReport) error {
	switch {
	case node.LeafNodeType == types.NodeTypeIt:
		spec, err := s.spec(node)
		if err != nil {
			return err
		}
		s.failed = s.failed || spec.State == reports.Failed
		if err := s.measured(node); err != nil {
			return err
		}
		s.places = append(s.places, place{file: node.LeafNodeLocation.FileName, line: node.LeafNodeLocation.LineNumber})
		return s.c.add(spec)
	case node.LeafNodeType == types.NodeTypeInvalid:
		return fmt.Errorf("node %q has a type that is unknown to this version", node.LeafNodeText)
	case node.Failed():
		at := node.Failure.Location
		return s.c.fail(&s.suite, node.LeafNodeType.String(), message(node.Failure), at.FileName, at.LineNumber)
	}
	return nil
}

// end converts the data of the suite itself, and adds it to the results.
func (s *ginkgoSuite) end(report *types.Report) error {
	if report.SuitePath == "" {
		return errors.New("a suite has no SuitePath: is this a Ginkgo report?")
	}
	s.suite.Path, s.suite.Description = s.c.relative(report.SuitePath), report.SuiteDescription
	s.suite.Started, s.suite.Duration = report.StartTime, max(0, report.RunTime) // negative if the wall clock was set back while parallel processes ran
	s.suite.Seed, s.suite.Focused = report.SuiteConfig.RandomSeed, report.SuiteHasProgrammaticFocus
	specs := s.c.results.Specs[s.first:]
	reasons := slices.Clone(report.SpecialSuiteFailureReasons)
	explained := s.failed || len(s.suite.Failures)+len(reasons) > 0
	for _, reason := range append(reasons, implied(report, len(specs), explained)...) {
		name := "suite"
		if why, ok := strings.CutPrefix(reason, reports.Truncated+": "); ok {
			name, reason = reports.Truncated, why
		}
		if err := s.c.fail(&s.suite, name, reason, "", 0); err != nil {
			return err
		}
	}
	for i := range specs {
		specs[i].Suite = s.suite.Path
	}
	s.c.number(s.first, s.places)
	s.c.reading.during(report.StartTime)
	s.c.reading.during(report.EndTime)
	return s.c.suite(s.suite)
}

// Messages that the readers of all formats of Ginkgo share.
const (
	dryRun            = "a dry run: Ginkgo reports specs as passed without running them; run it without --dry-run"
	failedUnexplained = "the suite failed, but the report contains no reason: see the output of the suite"
)

// implied returns failures that the report implies but does not list. specs is the number of specs
// in it, explained whether it contains any failure.
func implied(report *types.Report, specs int, explained bool) (found []string) {
	if report.SuiteConfig.DryRun {
		found = append(found, dryRun)
	}
	// A failed suite may stop before its last spec; one that succeeded may not.
	if report.SuiteSucceeded && specs != report.PreRunStats.TotalSpecs {
		found = append(found, fmt.Sprintf("the suite announced %d specs and reports %d", report.PreRunStats.TotalSpecs, specs))
	}
	if !report.SuiteSucceeded && !explained {
		found = append(found, failedUnexplained)
	}
	return found
}

func (s *ginkgoSuite) spec(node *types.SpecReport) (reports.Spec, error) {
	at, text := node.LeafNodeLocation, failureText(node)
	spec := reports.Spec{
		Containers: slices.Clone(node.ContainerHierarchyTexts),
		Leaf:       node.LeafNodeText,
		Attempts:   node.NumAttempts,
		Duration:   node.RunTime,
		Labels:     node.Labels(),
	}
	switch {
	case node.Failed():
		spec.State = reports.Failed
		if node.State != types.SpecStateFailed {
			spec.Detail = node.State.String()
		}
		if node.Failure.Location.FileName != "" {
			at = s.c.ownFrame(node)
		}
		spec.Output = ginkgoOutput(node)
	case node.State == types.SpecStatePassed:
		spec.State = reports.Passed
		// Further attempts follow a failure, except with MustPassRepeatedly.
		spec.Retried = node.NumAttempts > 1 && node.MaxMustPassRepeatedly <= 1
		if spec.Retried && len(node.AdditionalFailures) > 0 {
			text = message(node.AdditionalFailures[0].Failure)
		}
	case node.State == types.SpecStateSkipped:
		spec.State = reports.Skipped
	case node.State == types.SpecStatePending:
		spec.State = reports.Pending
	default:
		return reports.Spec{}, fmt.Errorf("spec %q has a state that is unknown to this version", node.FullText())
	}
	if spec.State == reports.Passed || spec.State == reports.Failed {
		spec.Attempts = max(spec.Attempts, 1) // the report may lack the number
	}
	if node.NumAttempts < 0 {
		return reports.Spec{}, fmt.Errorf("spec %q has %d attempts", node.FullText(), node.NumAttempts)
	}
	if node.RunTime < 0 {
		return reports.Spec{}, fmt.Errorf("spec %q ran for %v", node.FullText(), node.RunTime)
	}
	spec.Attachments = s.c.entries(node.ReportEntries)
	spec.Message = reports.Shorten(text)
	spec.File, spec.Line = s.c.relative(at.FileName), at.LineNumber
	return spec, nil
}

// stackFrame matches the location of a frame in a stack trace of Go.
var stackFrame = regexp.MustCompile(`(?m)^\s*(\S.*\.go):(\d+)(?: |$)`)

// ownFrame returns the location of a failure. Ginkgo reports a panic such as an assignment to a nil
// map at the location in Go's runtime that raised it. Then ownFrame returns the first frame in the
// module, or else the location of the spec, or, if no module is known, the first frame outside the
// runtime.
func (c *collector) ownFrame(node *types.SpecReport) types.CodeLocation {
	at := node.Failure.Location
	if node.State != types.SpecStatePanicked || !ofRuntime(at.FileName) {
		return at
	}
	own := node.LeafNodeLocation
	for _, frame := range stackFrame.FindAllStringSubmatch(at.FullStackTrace, -1) {
		line, err := strconv.Atoi(frame[2])
		if err != nil || ofRuntime(frame[1]) {
			continue
		}
		own = types.CodeLocation{FileName: frame[1], LineNumber: line}
		if c.root == "" || c.relative(frame[1]) != frame[1] {
			break
		}
	}
	if c.root != "" && c.relative(own.FileName) == own.FileName && c.relative(node.LeafNodeLocation.FileName) != node.LeafNodeLocation.FileName {
		return node.LeafNodeLocation // no frame is of the module
	}
	return own
}

// ofRuntime reports whether a file belongs to Go's runtime.
func ofRuntime(file string) bool {
	file = strings.ReplaceAll(file, "\\", "/")
	return strings.Contains(file, "/src/runtime/") || strings.Contains(file, "/src/internal/runtime/")
}

// measured adds the comparison in the report entries of a spec. If the spec was retried, the entry of
// the last attempt counts.
func (s *ginkgoSuite) measured(node *types.SpecReport) error {
	for _, entry := range slices.Backward(node.ReportEntries) {
		if entry.Name != thresholds.OverheadEntry {
			continue
		}
		var m thresholds.Judged
		if err := json.Unmarshal([]byte(entry.Value.AsJSON), &m, asGinkgo); err != nil {
			return fmt.Errorf("the comparison of spec %q: %w", node.FullText(), err)
		}
		if m.Comparison == nil {
			return fmt.Errorf("the report entry of spec %q contains no comparison", node.FullText())
		}
		s.c.results.Measured = append(s.c.results.Measured, m)
		return nil
	}
	return nil
}

// failureText joins the messages of the failures of a node: the first one, and those that followed in
// other nodes such as AfterEach, each with its location.
func failureText(node *types.SpecReport) string {
	var all faults
	all.add(message(node.Failure))
	for _, more := range node.AdditionalFailures {
		if !node.Failed() {
			break // the failures are those of attempts before the pass
		}
		f := more.Failure
		text := fmt.Sprintf("[%s] %s", f.FailureNodeType, message(f))
		if f.Location.FileName != "" {
			text += fmt.Sprintf("\nat %s:%d", f.Location.FileName, f.Location.LineNumber)
		}
		all.add(text)
	}
	return all.String()
}

// entries returns the report entries that name a file of the module or a URL, as attachments. Ginkgo
// has no attachments of its own.
func (c *collector) entries(all types.ReportEntries) (attached []reports.Attachment) {
	for _, entry := range all {
		var value string
		if entry.Name == thresholds.OverheadEntry || json.Unmarshal([]byte(entry.Value.AsJSON), &value) != nil || strings.ContainsAny(value, "\n") {
			continue
		}
		c.files.open(c.root)
		if file, web, ok := c.located(value); ok && (web != "" || c.files.stat(file) != nil) {
			attached = c.attach(attached, entry.Name, "", value)
		}
	}
	return attached
}

// ginkgoOutput joins what a spec wrote to GinkgoWriter, to stdout and stderr, and to report entries.
func ginkgoOutput(node *types.SpecReport) string {
	var all excerpt
	for _, text := range []string{node.CapturedGinkgoWriterOutput, node.CapturedStdOutErr} {
		if text = strings.TrimSpace(text); text != "" {
			all.add(text)
			all.add("\n")
		}
	}
	for _, entry := range node.ReportEntries {
		if entry.Name == thresholds.OverheadEntry { // in Results.Measured
			continue
		}
		all.add(strings.TrimSpace("report entry: "+entry.Name+"\n"+entryText(&entry.Value)) + "\n")
	}
	return strings.TrimSpace(all.String())
}

// message returns the message of a failure, with the value of a panic.
func message(f types.Failure) string {
	if f.ForwardedPanic != "" && !strings.Contains(f.Message, f.ForwardedPanic) {
		return strings.TrimSpace(f.Message + "\n" + f.ForwardedPanic)
	}
	return f.Message
}

// entryText returns the value of a report entry as Ginkgo prints it, or else its JSON.
func entryText(v *types.ReportEntryValue) string {
	if v.Representation != "" || v.AsJSON == "null" {
		return v.Representation
	}
	return v.AsJSON
}
