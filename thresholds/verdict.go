package thresholds

import (
	"fmt"

	"github.com/flujo/flujo-harness/harness"
)

// Outcome is the outcome of judging one limit.
type Outcome int

// Outcomes. The zero value is Inconclusive, so that a missing verdict never passes.
const (
	Inconclusive Outcome = iota
	Held
	Broken
	Invalid // the measurement is at fault, not the program under test
)

var outcomes = [...]string{"inconclusive", "held", "broken", "invalid"}

// String returns the lower-case name.
func (o Outcome) String() string { return outcomes[o] }

// MarshalText returns the lower-case name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText parses a lower-case name.
func (o *Outcome) UnmarshalText(text []byte) error {
	for i, name := range outcomes {
		if name == string(text) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("verdict %q: use one of %q", text, outcomes)
}

// Check is the result of one part of the self-check of a judged measurement.
type Check struct {
	Name    string  `json:"name"` // "A/A pair", "+25% injected"
	Want    Outcome `json:"want"`
	Got     Outcome `json:"got"`
	Above   int     `json:"above"` // blocks above the boundary
	N       int     `json:"n"`     // blocks
	Explain string  `json:"explain"`
}

// Verdict is the result of judging one limit, or one difference. No other package computes
// verdicts.
type Verdict struct {
	Outcome    Outcome  `json:"outcome"`
	Workload   string   `json:"workload"`
	Metric     string   `json:"metric"` // "cost_ratio"
	Durability string   `json:"durability"`
	Limit      float64  `json:"limit"`    // baseline x (1 + margin); 0 if there is none
	Boundary   float64  `json:"boundary"` // value that blocks are compared with: baseline x sqrt(1 + margin)
	Baseline   float64  `json:"baseline"`
	Margin     float64  `json:"margin"`
	Stale      bool     `json:"stale,omitempty"` // the program is so far below the limit that the margin would not be noticed
	Above      int      `json:"above"`           // blocks above the boundary
	N          int      `json:"n"`               // blocks
	Self       []Check  `json:"self_check"`
	Reason     string   `json:"reason"` // one sentence: why this outcome
	Next       string   `json:"next"`   // one sentence: the remedy
	Notes      []string `json:"notes"`  // further facts, such as a limit of another class of machine
	Source     string   `json:"source"` // limits file

	Notices float64 `json:"notices,omitempty"` // smallest slow-down that the limit detects here, a share: boundary/estimate - 1; 0 without a limit of this class

	// For differences only.
	Against      string            `json:"against,omitempty"`      // name of the base, such as "main"
	By           string            `json:"by,omitempty"`           // what decided: "counts", "time" or "instructions"
	Ratio        *harness.Estimate `json:"ratio,omitempty"`        // Head/Base of the times, over the layouts of the binaries if these decided; nil if not measured
	Instructions *harness.Estimate `json:"instructions,omitempty"` // Head/Base of the instructions; nil if not counted
}
