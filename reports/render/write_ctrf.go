package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/ingest"
)

type ctrfOut struct {
	Format      string         `json:"reportFormat"`
	SpecVersion string         `json:"specVersion"`
	GeneratedBy string         `json:"generatedBy"`
	Results     ctrfResultsOut `json:"results"`
}

type ctrfResultsOut struct {
	Tool        map[string]string `json:"tool"`
	Summary     ctrfSummaryOut    `json:"summary"`
	Tests       *ingest.Items     `json:"tests"` // of ctrfTestOut
	Environment map[string]string `json:"environment,omitempty"`
	Extra       map[string]any    `json:"extra"` // of exactName: the suites
}

type ctrfSummaryOut struct {
	Tests   int   `json:"tests"`
	Passed  int   `json:"passed"`
	Failed  int   `json:"failed"`
	Pending int   `json:"pending"`
	Skipped int   `json:"skipped"`
	Other   int   `json:"other"`
	Flaky   int   `json:"flaky"`
	Suites  int   `json:"suites"`
	Start   int64 `json:"start"` // ms since 1970
	Stop    int64 `json:"stop"`
}

type ctrfTestOut struct {
	Name     string   `json:"name"`
	Status   string   `json:"status"`
	Duration float64  `json:"duration"` // ms
	Suite    []string `json:"suite,omitempty"`
	Message  string   `json:"message,omitempty"`
	Raw      string   `json:"rawStatus,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	File     string   `json:"filePath,omitempty"`
	Line     int      `json:"line,omitempty"`
	Stdout   []string `json:"stdout,omitempty"`
	Retries  int      `json:"retries,omitempty"` // of a spec that failed in between
	Flaky    bool     `json:"flaky,omitempty"`

	Attached []ctrfAttachmentOut `json:"attachments,omitempty"`

	Extra map[string]*ingest.ExactSpec `json:"extra,omitempty"` // of exactName
}

type ctrfAttachmentOut struct {
	Name string `json:"name"`
	Type string `json:"contentType"`
	Path string `json:"path"` // from the root of the module, or an address
}

// WriteCTRF writes the specs of the run in the Common Test Report Format
// (https://ctrf.io). A failure outside the specs becomes a failed test, because the format has no
// other place for it. Facts that its fields cannot express are in "extra", so that [ingest.Read]
// returns the same results.
func WriteCTRF(w io.Writer, a *analysis.Analysis) error {
	out := ctrfOut{Format: "CTRF", SpecVersion: "1.0.0", GeneratedBy: "flujo-harness", Results: ctrfResultsOut{Tool: map[string]string{"name": "flujo-harness"}}}
	r := &out.Results
	if !a.Run.Started.IsZero() {
		r.Summary.Start = a.Run.Started.UnixMilli()
		r.Summary.Stop = r.Summary.Start + int64(a.Run.Seconds*1000)
	}
	if a.Run.Commit != "" {
		r.Environment = map[string]string{"commit": a.Run.Commit}
		if a.Run.Branch != "" {
			r.Environment["branchName"] = a.Run.Branch
		}
	}
	var outside []ctrfTestOut // failures that no spec carries
	add := func(t ctrfTestOut) {
		r.Summary.add(&t)
		outside = append(outside, t)
	}
	if a.Run.SuiteError != "" {
		add(ctrfTestOut{Name: "[results]", Status: "failed", Suite: []string{"suites"}, Message: a.Run.SuiteError, Extra: extraOf(ingest.ExactNode(&reports.SuiteFailure{Node: "results"}))})
	}
	if s := a.Run.Suites; s != nil {
		at := map[string]int{} // parts of one suite are one
		suites := []ingest.ExactSuite{}
		for _, suite := range s.Suites {
			i, known := at[suite.Path]
			if !known {
				i, at[suite.Path] = len(suites), len(suites)
				suites = append(suites, ingest.ExactSuite{Path: suite.Path})
			}
			suites[i].Add(&suite)
			for _, f := range suite.Failures {
				add(ctrfTestOut{Name: "[" + f.Node + "]", Status: "failed", Suite: []string{suite.Path}, Message: f.Message, File: f.File, Line: f.Line, Extra: extraOf(ingest.ExactNode(&f))})
			}
		}
		r.Summary.Suites = len(suites)
		r.Extra = map[string]any{ingest.ExactName: suites}
		for i := range s.Specs {
			t := newCTRFTest(&s.Specs[i])
			r.Summary.add(&t)
		}
	}
	if r.Extra == nil {
		r.Extra = map[string]any{ingest.ExactName: []ingest.ExactSuite{}}
	}
	r.Tests = &ingest.Items{N: r.Summary.Tests, At: func(i int) any {
		if i < len(outside) {
			return outside[i]
		}
		return newCTRFTest(&a.Run.Suites.Specs[i-len(outside)])
	}}
	if err := ingest.EncodeVisibly(w, out, " ", r.Tests); err != nil {
		return fmt.Errorf("write CTRF: %w", err)
	}
	return nil
}

func newCTRFTest(s *reports.Spec) ctrfTestOut {
	t := ctrfTestOut{Name: leafName(s), Status: string(s.State), Duration: float64(s.Duration) / float64(time.Millisecond), Suite: append([]string{s.Suite}, s.Containers...),
		Message: s.Message, Raw: s.Detail, Tags: s.Labels, File: s.File, Line: max(0, s.Line), Flaky: s.Retried}
	switch s.State {
	case reports.Pending:
		if s.Detail == reports.Other {
			t.Status = reports.Other
		}
	case reports.Passed, reports.Failed, reports.Skipped:
	default:
		t.Status, t.Raw = "failed", string(s.State)
	}
	if s.Retried || s.State == reports.Failed { // a spec that passed each time is not one that needed to be tried again
		t.Retries = max(0, s.Attempts-1)
	}
	pathless := false // the format wants a path
	for _, one := range safe(s.Attachments) {
		if one.Path == "" {
			pathless = true
			continue
		}
		t.Attached = append(t.Attached, ctrfAttachmentOut{one.Name, one.Type, one.Path})
	}
	if s.Output != "" {
		t.Stdout = strings.Split(s.Output, "\n")
	}
	attempts := 1 + t.Retries
	if s.State == reports.Skipped || s.State == reports.Pending {
		attempts = 0
	}
	if t.Name != s.Leaf || t.Raw != "" || s.Attempts != attempts || s.Retried && s.Attempts < 2 || s.Occurrence != 1 || s.Suite == "" || pathless {
		t.Extra = extraOf(ingest.NewExact(s))
	}
	return t
}

func extraOf(e *ingest.ExactSpec) map[string]*ingest.ExactSpec {
	return map[string]*ingest.ExactSpec{ingest.ExactName: e}
}

// add counts a test.
func (s *ctrfSummaryOut) add(t *ctrfTestOut) {
	s.Tests++
	switch t.Status {
	case "passed":
		s.Passed++
	case "skipped":
		s.Skipped++
	case "pending":
		s.Pending++
	case reports.Other:
		s.Other++
	default:
		s.Failed++
	}
	if t.Flaky {
		s.Flaky++
	}
}
