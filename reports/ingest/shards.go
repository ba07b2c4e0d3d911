package ingest

import "github.com/flujo/flujo-harness/reports"

// Combine makes one run of the files of its parts. A spec that ran in one file and was
// left out in others is as it ran. One that ran in several failed if it failed in any
// of them: they may be of two machines, and one machine's pass is no retry of the
// other's failure. several is the number of results that were joined so.
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

// joinSpec takes in the result of the same spec in another file, and reports whether it
// had run in both.
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
