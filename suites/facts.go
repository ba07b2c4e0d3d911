package suites

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/flujo/flujo-harness/core"
)

// facts holds the information about a run that a matcher received. Nil fields are unknown.
type facts struct {
	what   string
	result *core.Result[any]
	err    error
	saved  *core.Snapshot
	saves  *int64
}

type factual interface{ facts() facts }

// factsOf converts the actual value of a matcher; takes describes the accepted types.
func factsOf(matcher, takes string, actual any) (facts, error) {
	if v := reflect.ValueOf(actual); v.Kind() == reflect.Pointer && v.IsNil() {
		return facts{}, fmt.Errorf("%s wants %s; it got a %T that is nil", matcher, takes, actual)
	}
	switch v := actual.(type) {
	case factual:
		return v.facts(), nil
	case interface{ Untyped() core.Result[any] }:
		result := v.Untyped()
		return facts{what: "the run", result: &result}, nil
	case core.Snapshot:
		return factsSaved(v)
	case *core.Snapshot:
		return factsSaved(*v)
	case core.Backend:
		n := v.Counts().Saves
		return facts{what: "the backend", saves: &n}, nil
	case core.Counts:
		return facts{what: "the backend", saves: &v.Saves}, nil
	case error:
		return facts{what: "the run", err: v}, nil
	}
	return facts{}, wrongType(matcher, takes, actual)
}

func wrongType(matcher, takes string, actual any) error {
	return fmt.Errorf("%s wants %s; it got %T", matcher, takes, actual)
}

// factsSaved reads the saved records of a run.
func factsSaved(s core.Snapshot) (facts, error) {
	result := core.Result[any]{Status: s.Status, Steps: len(s.Steps)}
	if s.Exits != nil {
		if err := json.Unmarshal(s.Exits, &result.Exits); err != nil {
			return facts{}, fmt.Errorf("exits of run %q: %w", s.Start.Key, err)
		}
	}
	for _, rec := range s.Steps {
		if rec.Status == core.Paused && !answered(s, rec.Token) {
			result.Pauses = append(result.Pauses, core.Pause{Path: rec.Path, Token: rec.Token})
		}
	}
	f := facts{what: fmt.Sprintf("run %q of pipeline %q", s.Start.Key.String(), s.Start.Pipeline), result: &result, saved: &s}
	return f, nil
}

func answered(s core.Snapshot, token string) bool {
	return slices.ContainsFunc(s.Answers, func(a core.AnswerRecord) bool { return a.Token == token })
}

// ended returns an error unless the run has ended regularly. The outcome of a run that has not ended,
// or that ended because of the test, is unknown.
func (f facts) ended() error {
	if err := f.valid(); err != nil {
		return err
	}
	switch f.result.Status {
	case core.Completed, core.Failed, core.Paused, core.Stopped:
		return nil
	}
	cause := "it was interrupted or is in progress"
	if f.err != nil {
		cause = f.err.Error()
	}
	return fmt.Errorf("unknown: %s has not ended: %s\n%s", f.what, cause, f.table())
}

// valid returns an error if the test is at fault.
func (f facts) valid() error {
	if errors.Is(f.err, core.ErrHarness) {
		return fmt.Errorf("INVALID: the test is at fault, not %s: %w", f.what, f.err)
	}
	return nil
}

// told describes how the run ended.
func (f facts) told() string {
	if f.result == nil {
		return f.err.Error()
	}
	text := "it has " + map[core.Status]string{core.Completed: "completed", core.Failed: "failed", core.Paused: "paused",
		core.Stopped: "stopped", core.Running: "not ended"}[f.result.Status]
	switch {
	case f.err != nil:
		text += ": " + f.err.Error()
	case f.result.Status == core.Paused:
		text += fmt.Sprintf(" at %q", pausePaths(f.result.Pauses))
	case f.saved != nil && f.saved.Error != "":
		text += ": " + f.saved.Error
	}
	return text
}

func pausePaths(pauses []core.Pause) (paths []string) {
	for _, p := range pauses {
		paths = append(paths, p.Path)
	}
	slices.Sort(paths)
	return paths
}

// table formats the records and saves of the run, as far as they are known.
func (f facts) table() string {
	var b strings.Builder
	switch {
	case f.saved != nil:
		tabulate(&b, f.saved)
	case f.result != nil:
		fmt.Fprintf(&b, "  steps: %d, calls: %d\n", f.result.Steps, f.result.Calls)
	}
	if f.result != nil {
		for _, path := range slices.Sorted(maps.Keys(f.result.Exits)) {
			fmt.Fprintf(&b, "  %v\n", &core.LoopError{Path: path, Exit: f.result.Exits[path]})
		}
	}
	if f.saves != nil {
		fmt.Fprintf(&b, "  save count of the backend: %d\n", *f.saves)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// tabulate writes a line for each record.
func tabulate(to io.Writer, s *core.Snapshot) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	paths := map[string]string{} // by token
	fmt.Fprint(w, "save\twhat\tstatus\tattempts\twhy\n1\tstart\t\t\t\n")
	for _, rec := range s.Steps {
		paths[rec.Token] = rec.Path
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\n", rec.Seq+1, rec.Path, rec.Status, rec.Attempts, oneLine(rec.Error))
	}
	for _, a := range s.Answers {
		fmt.Fprintf(w, "+\tanswer to %s\t\t\t%s\n", paths[a.Token], oneLine(string(a.Answer)))
	}
	if s.Status != core.Running {
		fmt.Fprintf(w, "+\tend\t%s\t\t%s\n", s.Status, oneLine(s.Error))
	}
	w.Flush() // writes to memory and cannot fail
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(to, "  "+strings.TrimRight(line, " \n"))
	}
}

func oneLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if runes := []rune(line); len(runes) > 120 {
		line, more = string(runes[:120]), true
	}
	if more {
		line += " …"
	}
	return line
}
