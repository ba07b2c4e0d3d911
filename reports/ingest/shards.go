package ingest

import "github.com/flujo/flujo-harness/reports"

// Combine joins the files of the parts of one run. A spec that ran in only one file has the result
// of that file. One that ran in several failed if it failed in any of them: the files may come from
// two machines, and a pass on one is not a retry of a failure on the other. several is the number
// of results that were joined in this way.
func Combine(readings ...*Reading) (all *reports.Results, several int) {
	if len(readings) == 1 {
		return readings[0].Results, 0
	}
	all = &reports.Results{}
	at := map[string]int{}
	for _, r := range readings {
		all.Suites = append(all.Suites, r.Results.Suites...)
		all.Measured = append(all.Measured, r.Results.Measured...)
		for _, s := range r.Results.Specs {
			i, known := at[s.Key()]
			if !known {
				at[s.Key()] = len(all.Specs)
				all.Specs = append(all.Specs, s)
				continue
			}
			if joinSpec(&all.Specs[i], s) {
				several++
			}
		}
	}
	return all, several
}

// joinSpec adds the result o of the same spec in another file to s, and reports whether the spec
// ran in both files.
func joinSpec(s *reports.Spec, o reports.Spec) bool {
	ran := func(s reports.State) bool { return s != reports.Skipped && s != reports.Pending }
	if !ran(s.State) || !ran(o.State) {
		if ran(o.State) {
			*s = o
		}
		return false
	}
	attempts, took, retried := s.Attempts+o.Attempts, s.Duration+o.Duration, s.Retried || o.Retried
	if s.State == reports.Passed && (o.State != reports.Passed || o.Retried) {
		*s = o
	}
	s.Attempts, s.Duration, s.Retried = attempts, took, retried && s.State == reports.Passed
	return true
}
