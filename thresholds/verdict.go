package thresholds

import (
	"fmt"

	"github.com/flujo/flujo-harness/harness"
)

// Outcome of judging one limit.
type Outcome int

// The zero value says nothing in anybody's favour.
const (
	Inconclusive Outcome = iota
	Held
	Broken
	Invalid // the harness itself is at fault
)

var outcomes = [...]string{"inconclusive", "held", "broken", "invalid"}

// String returns the lower-case name.
func (o Outcome) String() string { return outcomes[o] }

// MarshalText writes the name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a name.
func (o *Outcome) UnmarshalText(text []byte) error {
	for i, name := range outcomes {
		if name == string(text) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("verdict %q: use one of %q", text, outcomes)
}

// Check is a part of the self-check that each judged measurement carries.
type Check struct {
	Name    string  `json:"name"` // "A/A pair", "+25% injected"
	Want    Outcome `json:"want"`
	Got     Outcome `json:"got"`
	Above   int     `json:"above"` // blocks above the boundary
	N       int     `json:"n"`     // blocks
	Explain string  `json:"explain"`
}

// Verdict on one limit. It is made here and nowhere recomputed.
type Verdict struct {
	Outcome    Outcome  `json:"outcome"`
	Workload   string   `json:"workload"`
	Metric     string   `json:"metric"` // "cost_ratio"
	Durability string   `json:"durability"`
	Limit      float64  `json:"limit"`    // the calibrated ceiling: baseline x (1 + margin); 0 where there is none
	Boundary   float64  `json:"boundary"` // what blocks are compared with: baseline x sqrt(1 + margin)
	Baseline   float64  `json:"baseline"`
	Margin     float64  `json:"margin"`
	Above      int      `json:"above"` // blocks above the boundary
	N          int      `json:"n"`     // blocks
	Self       []Check  `json:"self_check"`
	Reason     string   `json:"reason"` // one sentence: why this outcome
	Next       string   `json:"next"`   // one sentence: what to do
	Notes      []string `json:"notes"`  // what else must be said: foreign class, dirty tree, …
	Source     string   `json:"source"` // limits file

	Notices float64 `json:"notices,omitempty"` // the smallest slow-down that the limit notices here, a share: boundary over the estimate; 0 where there is no limit of this class

	// Of a difference only.
	Against      string            `json:"against,omitempty"`      // the base: "main"
	By           string            `json:"by,omitempty"`           // what decided: "counts", "time" or "instructions"
	Ratio        *harness.Estimate `json:"ratio,omitempty"`        // Head/Base of the time; nil: not measured
	Instructions *harness.Estimate `json:"instructions,omitempty"` // Head/Base; nil: not counted
}
