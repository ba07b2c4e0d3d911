package render

import (
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
)

// specDetails is what the page of a spec shows in addition to its row of the table.
type specDetails struct {
	Whose      string        `json:"whose,omitempty"` // origin of the failure, with the evidence
	Quarantine string        `json:"quarantine,omitempty"`
	Green      string        `json:"green,omitempty"` // systems on which it passes
	Failures   []pastFailure `json:"failures,omitempty"`

	Attached []attachedView `json:"attached,omitempty"` // attachments of a spec without a card; a card contains its own
}

// pastFailure is one distinct message of a spec in earlier runs.
type pastFailure struct {
	Runs  []int       `json:"runs"`  // indexes in specTable.Runs
	Same  bool        `json:"same"`  // the message is that of this run, except for numbers
	Lines [][2]string `json:"lines"` // "-" if a line is only in that message, "+" only in that of this run, " " in both
}

// newDetails returns the details of the specs that have a card, by ID.
func newDetails(a *analysis.Analysis) map[string]specDetails {
	by, all := failuresOf(a), map[string]specDetails{}
	for i := range a.Attention[:min(len(a.Attention), maxAttention)] {
		t := &a.Attention[i]
		if t.Outside != nil {
			continue
		}
		var d specDetails
		if f := by[t.Spec.Digest()]; f != nil {
			d.Whose = reports.Visible(strings.TrimSuffix(string(f.Whose)+": "+f.Why, ": "))
			d.Green = reports.Visible(strings.Join(f.Green, ", "))
			if f.Entry != nil {
				d.Quarantine = reports.Visible(f.Entry.Reason + ", by " + f.Entry.Owner + " until " + f.Entry.Expires)
			}
		}
		for _, past := range a.Past[t.Spec.Key()] {
			d.Failures = append(d.Failures, pastFailure{Runs: past.Runs, Same: past.Same, Lines: pastLines(past, t)})
		}
		all[shortID(t.Spec)] = d
	}
	return all
}

// pastLines returns the lines of a message. If the spec failed in this run with another message, it
// compares the two.
func pastLines(past analysis.PastFailure, now *analysis.Attention) (all [][2]string) {
	was := messageText(past.Message)
	if past.Same || now.Spec.State != reports.Failed {
		for _, line := range strings.Split(was, "\n") {
			all = append(all, [2]string{" ", line})
		}
		return all
	}
	for _, l := range difference(was, messageText(now.Message)) {
		all = append(all, [2]string{string(l.Op), l.Text()})
	}
	return all
}
