package harness

import "time"

// Difference is what the comparison of two arms that claim to do the same work
// found: facts, no judgement. Package thresholds judges it by a margin.
type Difference struct {
	Schema      int         `json:"schema"` // 1
	Name        string      `json:"name"`   // of the benchmark or the plan
	Base        string      `json:"base"`   // what Head is compared with
	Head        string      `json:"head"`
	Started     time.Time   `json:"started"`
	Seconds     float64     `json:"seconds"`
	Seed        uint64      `json:"seed"`
	Environment Environment `json:"environment"`

	Ratio  Estimate `json:"ratio"`   // Head/Base, paired
	BaseNS Estimate `json:"base_ns"` // ns an operation
	HeadNS Estimate `json:"head_ns"` // ns an operation

	Blocks     []DifferenceBlock `json:"blocks"` // in the order measured
	Audit      []Finding         `json:"audit"`
	Notes      []string          `json:"notes,omitempty"`       // what a reader must know: "the samples were not interleaved"
	MoreAllocs bool              `json:"more_allocs,omitempty"` // Head allocates more objects an operation, exactly; see Notes
	Complete   bool              `json:"complete"`              // false: interrupted, or a session failed
	Problem    string            `json:"problem,omitempty"`
}

// DifferenceBlock is the statistics of one block.
type DifferenceBlock struct {
	Session int                  `json:"session"` // of the process it was measured in, from 1
	Ratio   float64              `json:"ratio"`   // Head/Base
	Twin    float64              `json:"twin"`    // Base once more, over Base: the A/A pair
	Slow    float64              `json:"slow,omitempty"`
	BaseNS  float64              `json:"base_ns"` // ns an operation
	HeadNS  float64              `json:"head_ns"`
	Slots   map[string][]float64 `json:"slots,omitempty"` // arm -> ns an operation, by round
}
