package ingest

import (
	"cmp"
	"fmt"

	"github.com/flujo/flujo-harness/reports"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The part of the reader of CTRF for files that WriteCTRF has written: what a test does not
// say is in its "extra", see exactName.

// exactOf is our member of the "extra" of a test, nil where it has none.
func exactOf(extra jsontext.Value) (*ExactSpec, error) {
	if extra.Kind() != '{' {
		return nil, nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(extra, &members); err != nil {
		return nil, err
	}
	value, ok := members[ExactName]
	if !ok {
		return nil, nil
	}
	var e ExactSpec
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, fmt.Errorf("extra.%s: %w", ExactName, err)
	}
	return &e, nil
}

// ownSuites reads our member of the "extra" of the results.
func (r *ctrfReader) ownSuites(extra jsontext.Value) error {
	if extra.Kind() != '{' {
		return nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(extra, &members); err != nil {
		return err
	}
	value, ok := members[ExactName]
	if !ok {
		return nil
	}
	r.exact = true
	if err := json.Unmarshal(value, &r.suites); err != nil {
		return fmt.Errorf("extra.%s: %w", ExactName, err)
	}
	return nil
}

// own takes a test that we have written, with what it said itself.
func (r *ctrfReader) own(e *ExactSpec, s reports.Spec, at place) error {
	if err := r.c.keep(len(s.Suite)); err != nil {
		return err
	}
	if e.Node == nil {
		if err := e.fill(&s, s.State); err != nil {
			return err
		}
		r.places = append(r.places, at)
		return r.c.add(s)
	}
	if s.State != reports.Failed {
		return errNoFailure
	}
	f := reports.SuiteFailure{Node: *e.Node, Message: s.Message, File: s.File, Line: s.Line}
	r.outside = append(r.outside, outsideTest{s.Suite, f})
	return r.c.keep(len(f.Message) + overhead)
}

// endExact makes the suites of a file of our own.
func (r *ctrfReader) endExact() error {
	at := map[string]int{}
	var suites []reports.Suite
	suite := func(path string) *reports.Suite {
		i, known := at[path]
		if !known {
			i, at[path] = len(suites), len(suites)
			suites = append(suites, reports.Suite{Path: path, Started: r.c.reading.Started})
		}
		return &suites[i]
	}
	for _, e := range r.suites {
		s := suite(e.Path)
		s.Description, s.Seed, s.Focused = cmp.Or(s.Description, e.Description), cmp.Or(s.Seed, e.Seed), s.Focused || e.Focused
	}
	for _, f := range r.outside {
		if err := r.c.fail(suite(f.suite), f.Node, f.Message, f.File, f.Line); err != nil {
			return err
		}
	}
	for i := range r.c.results.Specs {
		spec := &r.c.results.Specs[i]
		suite(spec.Suite).Duration += spec.Duration
	}
	for _, s := range suites {
		if err := r.c.suite(s); err != nil {
			return err
		}
	}
	return nil
}
