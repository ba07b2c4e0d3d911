package analysis

import (
	"slices"

	"github.com/flujo/flujo-harness/reports/history"
)

// PastFailure is one distinct failure of a spec in earlier runs. Messages that differ only in variable
// parts, such as numbers, addresses and times, are the same failure.
type PastFailure struct {
	Message string // message in the newest of Runs
	Runs    []int  // indexes in [Outcomes.Runs], in ascending order
	Same    bool   // this run has the same failure
}

// Limits on past failures, to bound time and memory.
const (
	pastSpecs    = 500 // number of specs, the first ones of Attention
	pastRuns     = 60  // number of newest runs in which any of these failed
	pastTexts    = 10  // number of different messages per spec that are compared
	pastFailures = 5   // number of distinct failures per spec, the newest ones
)

// recallFailures reads the messages that the specs that need attention had in earlier runs.
func (a *analyzer) recallFailures() error {
	if a.a.Run.Suites == nil || len(a.w.Runs) < 2 {
		return nil
	}
	names, keys := map[int64]bool{}, map[int64]int{} // keys: indexes in Attention by name ID
	for i := range a.a.Attention[:min(len(a.a.Attention), pastSpecs)] {
		t := &a.a.Attention[i]
		if t.Outside == nil { // its spec is in a run of the window
			id := a.ids[t.Spec.Digest()]
			names[id], keys[id] = true, i
		}
	}
	place := map[int64]int{}
	var runs []int64
	for at := len(a.w.Runs) - 1; at >= 0 && len(runs) < pastRuns; at-- {
		if run := a.w.Runs[at].ID; run != a.row.ID && a.failedIn(names, at) {
			runs, place[run] = append(runs, run), at
		}
	}
	said, err := a.Messages(runs, names)
	if err != nil {
		return err
	}
	a.a.Past = make(map[string][]PastFailure, len(said))
	for id, messages := range said {
		t := &a.a.Attention[keys[id]]
		a.a.Past[t.Spec.Key()] = groupFailures(messages, place, t.Message)
	}
	return nil
}

// failedIn reports whether any of the specs failed, or passed only when retried, in a run of the window.
func (a *analyzer) failedIn(names map[int64]bool, at int) bool {
	for id := range names {
		switch history.OutcomeOf(a.w.Codes[id][at]) {
		case history.Bad, history.Torn, history.Rescued:
			return true
		}
	}
	return false
}

// groupFailures groups messages by their pattern. Messages and groups are sorted newest first.
func groupFailures(messages []history.Message, place map[int64]int, now string) (all []PastFailure) {
	patterns, same := map[string]string{}, pattern(now)
	at := map[string]int{}
	for _, m := range messages {
		p, ok := patterns[m.Text]
		if !ok {
			if len(patterns) == pastTexts {
				continue
			}
			p = pattern(m.Text)
			patterns[m.Text] = p
		}
		i, ok := at[p]
		if !ok {
			if len(all) == pastFailures {
				continue
			}
			i = len(all)
			at[p] = i
			all = append(all, PastFailure{Message: m.Text, Same: p == same})
		}
		all[i].Runs = append(all[i].Runs, place[m.Run])
	}
	for i := range all {
		slices.Sort(all[i].Runs)
	}
	return all
}
