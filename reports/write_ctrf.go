package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
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
	Tests       []ctrfTestOut     `json:"tests"`
	Environment map[string]string `json:"environment,omitempty"`
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
	Retries  int      `json:"retries,omitempty"`
	Flaky    bool     `json:"flaky,omitempty"`
}

// WriteCTRF writes the specs of the run in the Common Test Report Format
// (https://ctrf.io). A failure that no spec carries is a failed test: the format has no
// other place for it.
func WriteCTRF(w io.Writer, a *Account) error {
	out := ctrfOut{Format: "CTRF", SpecVersion: "1.0.0", GeneratedBy: "flujo-harness", Results: ctrfResultsOut{Tool: map[string]string{"name": "flujo-harness"}, Tests: []ctrfTestOut{}}}
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
	if a.Run.SuiteError != "" {
		r.add(ctrfTestOut{Name: "[results]", Status: "failed", Suite: []string{"suites"}, Message: a.Run.SuiteError})
	}
	if s := a.Run.Suites; s != nil {
		paths := map[string]bool{} // parts of one suite are one
		for _, suite := range s.Suites {
			paths[suite.Path] = true
			for _, f := range suite.Failures {
				r.add(ctrfTestOut{Name: "[" + f.Node + "]", Status: "failed", Suite: []string{suite.Path}, Message: f.Message, File: f.File, Line: f.Line})
			}
		}
		r.Summary.Suites = len(paths)
		for i := range s.Specs {
			r.add(newCTRFTest(&s.Specs[i]))
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("write CTRF: %w", err)
	}
	return nil
}

func newCTRFTest(s *Spec) ctrfTestOut {
	t := ctrfTestOut{Name: leafName(s), Status: string(s.State), Duration: float64(s.Duration) / float64(time.Millisecond), Suite: append([]string{s.Suite}, s.Containers...),
		Message: s.Message, Raw: s.Detail, Tags: s.Labels, File: s.File, Line: max(0, s.Line), Retries: max(0, s.Attempts-1), Flaky: s.Retried}
	switch s.State {
	case Passed, Failed, Skipped, Pending:
	default:
		t.Status, t.Raw = "failed", string(s.State)
	}
	return t
}

func (r *ctrfResultsOut) add(t ctrfTestOut) {
	s := &r.Summary
	s.Tests++
	switch t.Status {
	case "passed":
		s.Passed++
	case "skipped":
		s.Skipped++
	case "pending":
		s.Pending++
	default:
		s.Failed++
	}
	if t.Flaky {
		s.Flaky++
	}
	r.Tests = append(r.Tests, t)
}
