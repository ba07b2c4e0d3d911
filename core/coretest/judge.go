package coretest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// Errors found in a run that was killed and then taken to its end.
var (
	errLost     = errors.New("an acknowledged commit is lost")
	errDoubled  = errors.New("a step is recorded twice")
	errRepeated = errors.New("a step was called again")
	errGhost    = errors.New("a save of the process that died was accepted")
	errDiffers  = errors.New("it differs from the unharmed run")
)

// evidence is everything that a run leaves.
type evidence struct {
	behind  []core.Snapshot // after each kill; zero if there was no run yet
	final   core.Snapshot
	effects []line
	acks    []line
	result  core.Result[doc] // result of the last round; zero if nothing was left to do
}

// line is one line of a file that [effects.note] writes.
type line struct {
	round  int
	fields []string
}

func lines(path string) (all []line, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // killed before it did anything
	}
	for s := range strings.Lines(string(text)) {
		f := strings.Fields(s)
		var l line
		if _, err := fmt.Sscan(f[0], &l.round); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, s, err)
		}
		l.fields = f[1:]
		all = append(all, l)
	}
	return all, err
}

// records returns the records by path, without the fields that differ between any two runs.
func records(s core.Snapshot) map[string]core.StepRecord {
	all := map[string]core.StepRecord{}
	for _, rec := range s.Steps {
		if rec.Token != "" {
			rec.Token = "answered: " + string(answerIn(s, rec.Token))
		}
		if rec.Path == lookupPath {
			rec.Usage = core.Usage{}
		}
		rec.Seq, rec.Started, rec.Ended = 0, time.Time{}, time.Time{}
		all[rec.Path] = rec
	}
	return all
}

// calls returns the set of lines in effects without their rounds.
func calls(effects []line) map[string]bool {
	all := map[string]bool{}
	for _, l := range effects {
		all[strings.Join(l.fields, " ")] = true
	}
	return all
}

// verdict holds the counts of defects and the errors.
type verdict struct {
	lost, doubled, repeated int
	underWay                int // steps called again because their records had not been saved
	errs                    []error
}

// add adds the counts of w.
func (v *verdict) add(w verdict) {
	v.lost, v.doubled, v.repeated, v.underWay = v.lost+w.lost, v.doubled+w.doubled, v.repeated+w.repeated, v.underWay+w.underWay
}

func (v *verdict) bad(kind error, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("%w: %.1000s", kind, fmt.Sprintf(format, args...)))
}

// judge compares a run that was killed with one that was not.
func judge(want, got evidence) verdict {
	var v verdict
	v.acknowledged(got)
	v.called(want, got)
	seen := map[string]bool{}
	for _, rec := range got.final.Steps {
		if seen[rec.Path] {
			v.doubled++
			v.bad(errDoubled, "%s", rec.Path)
		}
		seen[rec.Path] = true
	}
	if d := cmp.Diff(records(want.final), records(got.final)); d != "" {
		v.bad(errDiffers, "records (-unharmed +harmed):\n%s", d)
	}
	w, g := want.final, got.final
	if g.Status != core.Completed || string(g.State) != string(w.State) || string(g.Exits) != exits || g.Error != "" || g.Ended.IsZero() {
		v.bad(errDiffers, "%v %q with scope %s and exits %s, want %v with %s and %s", g.Status, g.Error, g.State, g.Exits, w.Status, w.State, exits)
	}
	if len(g.Answers) != len(w.Answers) {
		v.bad(errDiffers, "%d answers, unharmed %d", len(g.Answers), len(w.Answers))
	}
	v.returned(got)
	return v
}

// acknowledged checks that every acknowledged commit was found after the kill.
func (v *verdict) acknowledged(e evidence) {
	for i, s := range e.behind {
		saved, last := records(s), line{}
		for _, l := range e.acks {
			if l.round > i+1 {
				continue
			}
			last = l
			_, found := saved[l.fields[len(l.fields)-1]]
			switch l.fields[0] {
			case ackStep:
			case ackSignal:
				found = answerIn(s, l.fields[1]) != nil
			default:
				found = s.Start.Key == key
			}
			if !found {
				v.lost++
				v.bad(errLost, "%v is missing after kill %d", l.fields, i+1)
			}
		}
		status := core.Running.String()
		if len(last.fields) > 0 && last.fields[0] == ackFinish {
			status = last.fields[1]
		}
		// An answer does not change the status, so the check is skipped after one.
		if len(last.fields) > 0 && last.fields[0] != ackSignal && s.Status.String() != status {
			v.lost++
			v.bad(errLost, "the run is %v after %v", s.Status, last.fields)
		}
	}
}

// called checks the effects: a step whose record was saved must not be called again.
func (v *verdict) called(want, got evidence) {
	if d := cmp.Diff(calls(want.effects), calls(got.effects)); d != "" {
		v.bad(errDiffers, "calls (-unharmed +harmed):\n%s", d)
	}
	once := map[string]bool{}  // calls that have occurred, by round
	round := map[string]int{}  // the last round in which a step was called
	cut := map[[2]any]bool{}   // steps that were running at a kill
	under := make(map[int]int) // number of them, by the round that was killed
	for _, l := range got.effects {
		call := fmt.Sprint(l)
		path := strings.TrimPrefix(l.fields[0], key.String()+"#")
		if once[call] {
			v.repeated++
			v.bad(errRepeated, "%s twice in round %d", l.fields, l.round)
		}
		once[call] = true
		for i := range min(l.round-1, len(got.behind)) {
			if _, saved := records(got.behind[i])[path]; saved {
				v.repeated++
				v.bad(errRepeated, "%s in round %d, although kill %d found its record", path, l.round, i+1)
			}
		}
		if before := round[path]; before != 0 && before != l.round && !cut[[2]any{before, path}] {
			cut[[2]any{before, path}] = true
			under[before]++
			v.underWay++
		}
		round[path] = l.round
	}
	for killed, n := range under {
		if n > lanes {
			v.repeated += n - lanes
			v.bad(errRepeated, "%d steps were running at kill %d, but at most %d run concurrently", n, killed, lanes)
		}
	}
}

// returned checks the result that the caller of the last round got, and replays the records.
func (v *verdict) returned(e evidence) {
	if e.result.Status != 0 {
		var sum core.Usage
		for _, rec := range e.final.Steps {
			sum.Calls += rec.Usage.Calls
			sum.Steps++
			sum.Tokens += rec.Usage.Tokens
			sum.Cost += rec.Usage.Cost
		}
		if e.result.Usage != sum {
			v.bad(errDiffers, "the result has used %+v, its records %+v", e.result.Usage, sum)
		}
	}
	p, err := effects{}.every()
	if err != nil {
		v.bad(errDiffers, "%v", err)
		return
	}
	replayed, err := core.Replay(context.Background(), p.Within(large), e.final)
	var saved doc
	err = errors.Join(err, json.Unmarshal(e.final.State, &saved))
	if err != nil || replayed.Scope != saved || e.result.Status != 0 && replayed.Scope != e.result.Scope {
		v.bad(errDiffers, "replayed to %+v, %v; saved is %+v, and the result was %+v", replayed.Scope, err, saved, e.result.Scope)
	}
}
