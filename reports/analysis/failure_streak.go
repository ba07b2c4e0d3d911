package analysis

import (
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// addStreaks determines since when each failed spec fails. Runs in which a spec did not run neither
// end its streak of failures nor lengthen it. If necessary it reads runs before the window.
func (a *analyzer) addStreaks() error {
	a.streaks = make(map[*reports.Spec]Age, a.a.Counts.Failed)
	if a.a.Run.Suites == nil {
		return nil
	}
	for i := range a.a.Run.Suites.Specs {
		if s := &a.a.Run.Suites.Specs[i]; s.State == reports.Failed {
			a.streaks[s] = Age{}
		}
	}
	w, oldest, rest := a.w, a.all[0], a.rest
	for {
		open := false
		for s, age := range a.streaks {
			if !age.Known {
				age.lookBack(w, a.ids[s.Digest()])
				a.streaks[s] = age
			}
			open = open || !age.Known
		}
		if !open || rest == 0 {
			return nil
		}
		f := history.Filter{Which: a.past.Which, Args: append([]any{oldest.At, oldest.ID}, a.past.Args[2:]...)}
		rows, err := f.Before(a.Reader, DefaultWindow)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		oldest, rest = rows[0], rest-len(rows)
		if w, err = a.Window(rows, 0); err != nil {
			return err
		}
	}
}

// lookBack extends the streak by the runs of w.
func (age *Age) lookBack(w *history.Window, id int64) {
	var codes []byte
	if id < int64(len(w.Codes)) {
		codes = w.Codes[id]
	}
	if codes == nil {
		age.Known = len(w.Runs) > 0 // the spec did not exist before
		return
	}
	for i := len(codes) - 1; i >= 0; i-- {
		switch history.OutcomeOf(codes[i]) {
		case history.Bad:
			age.Runs++
			age.Since = &w.Runs[i]
		case history.Good, history.Rescued, history.Torn:
			age.LastPassed, age.Known = &w.Runs[i], true
			return
		}
	}
	age.Known = codes[0] == history.Absent // the spec did not exist in these runs
}
