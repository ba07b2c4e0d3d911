package reports

import (
	"fmt"
	"strings"
)

// Repeated combines the results of several runs of the same specs, each in separate processes.
// It returns nil if there are none. A spec that failed in any run has failed; its message starts
// with its failure rate and contains the first failure, and if it also passed, its Detail is
// [BothWays]. Every run counts, whatever the earlier ones resulted in, so failure rates are not
// censored. Attempts and durations are sums. Measurements of suites are those of the first run.
func Repeated(runs []*Results) *Results {
	switch len(runs) {
	case 0:
		return nil
	case 1:
		return runs[0]
	}
	all := &Results{Measured: runs[0].Measured}
	suites, specs := map[string]int{}, map[string][]*Spec{}
	var order []string
	for i, r := range runs {
		for _, s := range r.Suites {
			all.addSuite(s, i+1, suites)
		}
		for j := range r.Specs {
			key := r.Specs[j].Key()
			if specs[key] == nil {
				order = append(order, key)
				specs[key] = make([]*Spec, len(runs))
			}
			specs[key][i] = &r.Specs[j]
		}
	}
	for _, key := range order {
		all.Specs = append(all.Specs, repeated(specs[key]))
	}
	return all
}

// addSuite merges a suite of the run with the given number; at maps paths to indexes in
// r.Suites.
func (r *Results) addSuite(s Suite, run int, at map[string]int) {
	failures := s.Failures
	s.Failures = nil
	i, known := at[s.Path]
	if !known {
		i = len(r.Suites)
		at[s.Path] = i
		r.Suites = append(r.Suites, s)
	} else {
		r.Suites[i].Duration += s.Duration
		r.Suites[i].Focused = r.Suites[i].Focused || s.Focused
	}
	for _, f := range failures {
		f.Message = fmt.Sprintf("run %d: %s", run, f.Message)
		r.Suites[i].Failures = append(r.Suites[i].Failures, f)
	}
}

// repeated combines the results of a spec; runs without the spec are nil.
func repeated(runs []*Spec) Spec {
	var passed, failed *Spec
	var all, last Spec
	var c Counts
	var words []string
	for _, s := range runs {
		if s == nil {
			words = append(words, "-")
			continue
		}
		last = *s
		all.Attempts, all.Duration, all.Retried = all.Attempts+s.Attempts, all.Duration+s.Duration, all.Retried || s.Retried
		words = append(words, string(s.State))
		switch s.State {
		case Failed:
			c.Failed++
			if failed == nil {
				failed = s
			}
		case Passed:
			c.Passed++
			if passed == nil || s.Retried {
				passed = s // keeps the message of a failed attempt
			}
		}
	}
	one := last
	switch {
	case failed != nil:
		one = *failed
		one.Message = Shorten(fmt.Sprintf("failed in %s runs: %s\n\n%s", Rate{c.Failed, c.Failed + c.Passed}, strings.Join(words, ", "), failed.Message))
		if passed != nil {
			one.Detail = BothWays
		}
		all.Retried = false // only passed specs are retried
	case passed != nil:
		one = *passed
	}
	one.Attempts, one.Duration, one.Retried = all.Attempts, all.Duration, all.Retried
	return one
}
