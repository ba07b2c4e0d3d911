package suites

import (
	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// likeness holds the parts of a run that must be equal in every execution of a case, however often
// it was interrupted: everything except times, tokens, sequence numbers and usage.
type likeness struct {
	Status  string
	Error   string
	Scope   string // as JSON
	Exits   string // as JSON
	Records int
	Steps   map[string]step
	Answers map[string]string // by path of the pause
}

type step struct {
	Status                  string
	Attempts                int
	Output, Feedback, Error string
}

func likenessOf(s core.Snapshot) likeness {
	l := likeness{Status: s.Status.String(), Error: s.Error, Scope: string(s.State), Exits: string(s.Exits),
		Records: len(s.Steps), Steps: map[string]step{}, Answers: map[string]string{}}
	paths := map[string]string{}
	for _, rec := range s.Steps {
		l.Steps[rec.Path] = step{rec.Status.String(), rec.Attempts, string(rec.Output), rec.Feedback, rec.Error}
		paths[rec.Token] = rec.Path
	}
	for _, a := range s.Answers {
		l.Answers[paths[a.Token]] = string(a.Answer)
	}
	if s.Status == core.Paused || s.Status == core.Stopped {
		l.Scope = "" // it could be the state of any branch
	}
	return l
}

// unlike returns the difference of two runs of one case, or "".
func unlike(want, got core.Snapshot) string { return cmp.Diff(likenessOf(want), likenessOf(got)) }
