package ingest

import (
	"cmp"
	"fmt"

	"github.com/flujo/flujo-harness/reports"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Files of WriteCTRF contain, in members "extra", data for which CTRF has no members: see ExactName.

// exactOf returns the data of WriteCTRF in the "extra" of a test, or nil if there is none.
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

// ownSuites reads the data of WriteCTRF in the "extra" of the results. If there is any, the file was
// written by WriteCTRF.
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

// own adds a test of a file of WriteCTRF. It is a spec, or a failure outside the specs if e has a
// node. s has the data that CTRF can represent.
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

// endExact adds the suites of a file of WriteCTRF, in the order in which it lists them.
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
