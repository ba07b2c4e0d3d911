package reports

import (
	"regexp"
	"slices"
	"sync"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/thresholds"
)

// censor takes secrets out of what tests wrote, before it is kept: what is not in the
// history is in no page either. Names recur from run to run, so what became of them is
// remembered until another secret is found. Its zero value is ready to use, by several
// goroutines at once.
type censor struct {
	secrets stubs.Redactor
	names   sync.Map // of string to string
}

// redaction is what takes the place of a secret. By which rule one was found depends
// on what was read before, and a name must be the same in every run.
var redaction = regexp.MustCompile(`\[redacted:[a-z0-9-]+\]`)

func (c *censor) text(s string) string {
	clean := redaction.ReplaceAllString(c.secrets.Text(s), "[redacted]")
	if clean != s {
		c.names.Clear() // they may hold what is known only now
	}
	return clean
}

// run returns a copy of r without secrets. It looks twice: a secret that one text
// gives away by its form is taken out of the texts before it too.
func (c *censor) run(r Run) Run {
	c.once(r)
	return c.once(r)
}

func (c *censor) once(r Run) Run {
	r.Command, r.SuiteError = c.text(r.Command), c.text(r.SuiteError)
	if r.Suites != nil {
		r.Suites = c.results(*r.Suites)
	}
	r.Comparisons = slices.Clone(r.Comparisons)
	for i := range r.Comparisons {
		m := &r.Comparisons[i]
		m.Problem = c.text(m.Problem)
		m.Audit = slices.Clone(m.Audit)
		for j, f := range m.Audit {
			m.Audit[j] = harness.Finding{Check: f.Check, OK: f.OK, Detail: c.text(f.Detail)}
		}
	}
	r.Verdicts = slices.Clone(r.Verdicts)
	for i := range r.Verdicts {
		c.verdict(&r.Verdicts[i])
	}
	return r
}

func (c *censor) verdict(v *thresholds.Verdict) {
	v.Reason, v.Next, v.Notes = c.text(v.Reason), c.text(v.Next), c.texts(v.Notes)
}

func (c *censor) results(r Results) *Results {
	r.Suites, r.Specs = slices.Clone(r.Suites), slices.Clone(r.Specs)
	for i := range r.Suites {
		s := &r.Suites[i]
		s.Description = c.name(s.Description)
		s.Failures = slices.Clone(s.Failures)
		for j := range s.Failures {
			s.Failures[j].Node, s.Failures[j].Message = c.name(s.Failures[j].Node), c.text(s.Failures[j].Message)
		}
	}
	for i := range r.Specs {
		s := &r.Specs[i]
		s.Leaf, s.Containers, s.Labels = c.name(s.Leaf), c.namesOf(s.Containers), c.namesOf(s.Labels)
		s.Detail, s.Message = c.name(s.Detail), c.text(s.Message)
	}
	return &r
}

// name is a text that recurs.
func (c *censor) name(s string) string {
	if s == "" {
		return s
	}
	if known, ok := c.names.Load(s); ok {
		return known.(string)
	}
	clean := c.text(s)
	c.names.Store(s, clean)
	return clean
}

func (c *censor) namesOf(all []string) []string {
	for i, s := range all {
		if clean := c.name(s); clean != s {
			all = slices.Clone(all)
			all[i] = clean
		}
	}
	return all
}

func (c *censor) texts(all []string) []string {
	out := slices.Clone(all)
	for i := range out {
		out[i] = c.text(out[i])
	}
	return out
}
