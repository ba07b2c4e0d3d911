package analysis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/reports/quarantine"
)

// Held is a spec in quarantine.
type Held struct {
	Entry  quarantine.Entry
	Failed reports.Rate // runs of the window in which it failed, of those in which it ran
	Passes int          // number of its latest runs without a failure
}

// addQuarantine counts the failures of quarantined specs in the window, and adds notes on the
// effect on the run: the pass rate includes these specs, and the note states the rate without them.
func (a *analyzer) addQuarantine() error {
	l := a.o.Quarantine
	if l == nil || len(l.Entries) == 0 {
		return nil
	}
	names, err := a.Names()
	if err != nil {
		return err
	}
	byName := map[string][]byte{}
	for id, s := range names {
		if id < int64(len(a.w.Codes)) && a.w.Codes[id] != nil && s.Occurrence <= 1 {
			byName[string(s.AppendName(nil))] = a.w.Codes[id]
		}
	}
	for _, e := range l.Entries {
		h := Held{Entry: e}
		for _, code := range slices.Backward(byName[e.Suite+"\n"+e.Spec]) {
			switch o := history.OutcomeOf(code); o {
			case history.NotRun:
			case history.Good:
				h.Failed.Of++
				if h.Failed.Good == 0 {
					h.Passes++
				}
			default:
				h.Failed.Of++
				h.Failed.Good++
			}
		}
		a.a.Quarantine = append(a.a.Quarantine, h)
	}
	if held := a.a.Of(Quarantined); len(held) > 0 {
		rest := a.a.Counts
		for _, f := range held {
			if f.Outside == nil {
				rest.Failed--
			}
		}
		a.note("%s in quarantine failed (pass rate %s, %s without them): %s", text.Plural(len(held), "spec"), a.a.Rate.Percent(), rest.PassRate().Percent(), firstOfFailures(held))
	}
	for _, e := range l.Expired(a.o.Now) {
		a.note("the quarantine of %q expired on %s: fix the spec and remove the entry, or renew it in review", text.OneLine(e.Spec), e.Expires)
	}
	return nil
}

// addWhose adds notes on failures that the change of a branch did not cause.
func (a *analyzer) addWhose() {
	b := a.a.Baseline
	if b == nil || a.a.Run.Branch == "" || a.a.Run.Branch == b.Branch {
		return
	}
	for _, whose := range []Whose{RedOnMain, KnownFlaky, Unknown} {
		if of := a.a.Of(whose); len(of) > 0 {
			a.note("%s: %s: %s", whose, firstOfFailures(of), of[0].Why)
		}
	}
}

// firstOfFailures returns the names of the first three failures and the number of the rest.
func firstOfFailures(all []Failure) string {
	const most = 3
	var names []string
	for i := range all[:min(len(all), most)] {
		names = append(names, text.OneLine(all[i].Name()))
	}
	if more := len(all) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
