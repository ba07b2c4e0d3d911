package history

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/stubs/redact"
)

// Censor removes secrets from runs before they are stored, so that no report can contain them. The
// result for a run depends only on that run, so that equal runs stay equal. Results for names,
// which recur in every run, are cached. The zero value is ready for use, also concurrently.
type Censor struct {
	names sync.Map     // of string to string
	known atomic.Int64 // approximate number of cached names
}

// maxRemembered is the maximum number of cached names, since a file with a million specs contains
// each name only once.
const maxRemembered = 100_000

// Run returns a copy of r without secrets. It does not change r, and the copy shares the parts of r
// without secrets. If it finds a secret, it makes a second pass, since the secret may also occur in
// earlier texts where its form does not reveal it.
func (c *Censor) Run(r reports.Run) reports.Run {
	reading := censoring{Censor: c}
	clean := reading.run(r)
	if reading.found {
		clean = reading.run(r)
	}
	return clean
}

// censoring processes one run.
type censoring struct {
	*Censor
	secrets redact.Redactor
	found   bool // a secret was found in a text of this run
	changed bool // a text was changed since the flag was reset
}

// redacted returns s without its secrets. The markers do not name the rule that found a secret,
// because that depends on the texts read before, and a name must be the same in every run.
func redacted(r *redact.Redactor, s string) string {
	if s == "" {
		return s
	}
	clean := r.Text(s)
	if clean == s {
		return s
	}
	return redact.Unnamed(clean)
}

func (c *censoring) text(s *string) {
	if clean := redacted(&c.secrets, *s); clean != *s {
		*s, c.found, c.changed = clean, true, true
	}
}

// name processes a text that recurs in other runs. Its result depends on the text alone, unless this
// run contains a secret.
func (c *censoring) name(s *string) {
	was := *s
	if known, ok := c.names.Load(was); ok {
		*s = known.(string)
	} else {
		*s = redacted(new(redact.Redactor), was)
		if c.known.Add(1) <= maxRemembered {
			c.names.Store(was, *s)
		}
	}
	if c.found {
		*s = redacted(&c.secrets, *s)
	}
	c.changed = c.changed || *s != was
}

// all applies do to each text and returns a copy if any text changed.
func all(texts []string, do func(*string)) []string {
	clean := texts
	for i, text := range texts {
		if do(&text); text == texts[i] {
			continue
		}
		if &clean[0] == &texts[0] {
			clean = slices.Clone(texts)
		}
		clean[i] = text
	}
	return clean
}

func (c *censoring) run(r reports.Run) reports.Run {
	c.text(&r.Command)
	c.text(&r.SuiteError)
	r.Facts = slices.Clone(r.Facts)
	for i := range r.Facts {
		c.text(&r.Facts[i].Value)
	}
	o := &r.Origin
	for _, text := range []*string{&o.Module, &o.Repository, &o.Subject, &o.Problem, &o.Job, &o.Variant, &o.CommitURL, &o.JobURL, &o.FileURL, &o.Selection.Asked} {
		c.text(text)
	}
	if r.Suites != nil {
		r.Suites = c.results(*r.Suites)
	}
	r.Comparisons = slices.Clone(r.Comparisons)
	for i := range r.Comparisons {
		m := &r.Comparisons[i]
		c.text(&m.Problem)
		m.Audit = slices.Clone(m.Audit)
		for j, f := range m.Audit {
			c.text(&f.Detail)
			m.Audit[j] = harness.Finding{Check: f.Check, OK: f.OK, Detail: f.Detail}
		}
	}
	r.Benchmarks = slices.Clone(r.Benchmarks)
	for i := range r.Benchmarks {
		c.name(&r.Benchmarks[i].Name)
	}
	r.Verdicts = slices.Clone(r.Verdicts)
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		c.text(&v.Reason)
		c.text(&v.Next)
		v.Notes = all(v.Notes, c.text)
	}
	return r
}

func (c *censoring) results(r reports.Results) *reports.Results {
	r.Suites = slices.Clone(r.Suites)
	for i := range r.Suites {
		s := &r.Suites[i]
		c.name(&s.Path)
		c.name(&s.Description)
		s.Failures = slices.Clone(s.Failures)
		for j := range s.Failures {
			c.name(&s.Failures[j].Node)
			c.text(&s.Failures[j].Message)
		}
	}
	var changed []int
	for i, s := range r.Specs {
		c.changed = false
		c.text(&s.Message)
		c.text(&s.Output)
		s.Attachments = c.attachments(s.Attachments)
		c.name(&s.Suite)
		c.name(&s.Leaf)
		c.name(&s.Detail)
		s.Containers, s.Labels = all(s.Containers, c.name), all(s.Labels, c.name)
		if !c.changed {
			continue
		}
		if changed == nil {
			r.Specs = slices.Clone(r.Specs)
		}
		r.Specs[i], changed = s, append(changed, i)
	}
	renumber(r.Specs, changed)
	return &r
}

func (c *censoring) attachments(all []reports.Attachment) []reports.Attachment {
	clean := slices.Clone(all)
	for i := range clean {
		c.text(&clean[i].Name)
		c.text(&clean[i].Path)
	}
	return clean
}

// renumber assigns new occurrences to specs whose names became equal because they differed only in a
// secret. changed holds the indexes of specs with changed texts, in ascending order.
func renumber(specs []reports.Spec, changed []int) {
	if changed == nil {
		return
	}
	taken := map[string]bool{}
	for i := range specs {
		if _, is := slices.BinarySearch(changed, i); !is {
			taken[specs[i].Key()] = true
		}
	}
	for _, i := range changed {
		s := &specs[i]
		for taken[s.Key()] {
			s.Occurrence++
		}
		taken[s.Key()] = true
	}
}
