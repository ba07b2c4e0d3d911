package harness

import (
	"fmt"
	"math"
	"time"

	"github.com/flujo/flujo-harness/harness/machine"
)

// Names of the arms of a durability measurement.
const (
	ArmNone    = "none"    // the pipeline with no backend
	ArmBackend = "backend" // the same with the backend
	ArmFloor   = "floor"   // the same bytes by bare driver calls
	ArmTwin    = "twin"    // the backend arm once more: the A/A pair of the self-check
	ArmSlow    = "slow"    // the backend arm with an injected slow-down: the other half of it
	ArmStubs   = "stubs"   // the calls of the scripted agents alone, with no engine
)

// Names of the arms of an attribution, in addition to [ArmNone]: each adds one thing to the
// one before.
const (
	ArmCopies  = "copies"  // the copies of the scope alone
	ArmEncoded = "encoded" // + encoding of states and outputs
	// Then the levels of the backend, by their durability: + transactions that wait for nothing, + what surviving this and that takes.
	ArmTraced = "traced" // + a log line and a span for every step, at the durability that is measured
	ArmTotal  = "total"  // the last of them once more: what the increments must add up to
)

// Estimate is a figure with what is needed to read it.
type Estimate struct {
	Value  float64 `json:"value"`
	Low    float64 `json:"low"`  // of the interval
	High   float64 `json:"high"` // of the interval
	Level  float64 `json:"level"`
	N      int     `json:"n"`    // of what Of names
	Of     string  `json:"of"`   // "blocks" or "sessions"
	Unit   string  `json:"unit"` // "ratio", "us/run"
	Method string  `json:"method"`
}

// Finding is one check of the audit: that the measurement measured what it says.
type Finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Comparison is what a measurement found: facts, no judgement.
type Comparison struct {
	Schema      int                 `json:"schema"` // 1
	Workload    string              `json:"workload"`
	Suite       string              `json:"suite,omitempty"` // package of the module that has the workload; empty for a built-in one
	Durability  string              `json:"durability"`
	Started     time.Time           `json:"started"`
	Seconds     float64             `json:"seconds"`
	Seed        uint64              `json:"seed"`
	Plan        Plan                `json:"plan"`
	Environment machine.Environment `json:"environment"`

	CostRatio Estimate `json:"cost_ratio"` // (W-N)/F
	Overhead  Estimate `json:"overhead"`   // (W-N)/N
	Cost      Estimate `json:"cost"`       // W-N, us per run
	Injected  Estimate `json:"injected"`   // (S-N)/(W-N) of the slow arm: what the injection came to
	Scripts   Estimate `json:"scripts"`    // what the scripted agents cost alone, us per run: in every other arm but the floor's

	Counters map[string]Counters   `json:"counters,omitempty"`         // by arm, of one run: the fewest of any session
	Most     map[string]Counters   `json:"most_counters,omitempty"`    // the most of any session
	Counted  []map[string]Counters `json:"session_counters,omitempty"` // by session and arm: what the two above are computed from; nil in files from before it was kept

	Instructions *RunInstructions `json:"instructions,omitempty"` // of one run; nil: not counted

	Conditions []Conditions `json:"conditions"` // by session

	Blocks   []Block   `json:"blocks"` // one row a block, in the order measured
	Audit    []Finding `json:"audit"`
	Complete bool      `json:"complete"`          // false: interrupted, or a session failed
	Untimed  string    `json:"untimed,omitempty"` // why the time is not judged, but what a run counts; "": it is
	Problem  string    `json:"problem,omitempty"` // why the figures must not be judged
}

// Block is the statistics of one block, of the quicker half of each arm's slots.
type Block struct {
	Session   int     `json:"session"`
	CostRatio float64 `json:"cost_ratio"` // (W-N)/F
	Overhead  float64 `json:"overhead"`   // (W-N)/N
	CostUS    float64 `json:"cost_us"`    // W-N, us per run
	Twin      float64 `json:"twin"`       // (T-N)/(W-N): the A/A pair
	Slow      float64 `json:"slow"`       // (S-N)/F: the injected slow-down, on the scale of CostRatio
	Injected  float64 `json:"injected"`   // (S-N)/(W-N)
	ScriptsUS float64 `json:"scripts_us"` // the calls of the scripted agents alone, us per run

	Slots map[string][]float64 `json:"slots,omitempty"` // arm -> ns per run, by round: what all of it was computed from
}

// Counters are what one run of an arm does, counted and not timed. They are the
// same wherever the same program does the same work.
type Counters struct {
	Allocs     float64 `json:"allocs" toml:"allocs"`           // objects put on the heap
	AllocBytes float64 `json:"alloc_bytes" toml:"alloc_bytes"` // bytes of them
	Commits    float64 `json:"commits" toml:"commits"`         // transactions
	Statements float64 `json:"statements" toml:"statements"`   // of them, BEGIN and COMMIT aside
	Pages      float64 `json:"pages" toml:"pages"`             // written to the log
	Bytes      float64 `json:"bytes" toml:"bytes"`             // written to files, checkpoints included
	Syncs      float64 `json:"syncs" toml:"syncs"`             // fsyncs
}

// each applies f to every counter of both.
func (a Counters) each(b Counters, f func(a, b float64) float64) Counters {
	return Counters{
		Allocs: f(a.Allocs, b.Allocs), AllocBytes: f(a.AllocBytes, b.AllocBytes), Commits: f(a.Commits, b.Commits), Statements: f(a.Statements, b.Statements),
		Pages: f(a.Pages, b.Pages), Bytes: f(a.Bytes, b.Bytes), Syncs: f(a.Syncs, b.Syncs),
	}
}

// Sessions is the number of sessions that gave blocks.
func (c *Comparison) Sessions() int {
	n := 0
	for _, b := range c.Blocks {
		n = max(n, b.Session)
	}
	return n
}

// Column is one statistic of all blocks, with the session of each, in the order measured.
func (c *Comparison) Column(of func(Block) float64) (values []float64, sessions []int) {
	values, sessions = make([]float64, len(c.Blocks)), make([]int, len(c.Blocks))
	for i, b := range c.Blocks {
		values[i], sessions[i] = of(b), b.Session
	}
	return values, sessions
}

// Valid reports whether every finding of the audit is good and nothing failed.
func (c *Comparison) Valid() bool {
	for _, f := range c.Audit {
		if !f.OK {
			return false
		}
	}
	return c.Problem == ""
}

// String is one line for people: "default at process: (W-N)/F is 1.31 (1.29 to 1.33, 95%, n=24
// blocks)", or why there is no figure.
func (c *Comparison) String() string {
	switch {
	case c.Problem != "":
		return c.Name() + ": invalid: " + c.Problem
	case len(c.Blocks) == 0:
		return c.Name() + ": nothing was measured"
	}
	return c.Name() + ": (W-N)/F is " + c.CostRatio.String()
}

// Name of what was measured: "default at process".
func (c *Comparison) Name() string { return c.Workload + " at " + c.Durability }

// Bounded reports whether there were enough values for an interval.
func (e Estimate) Bounded() bool {
	return !math.IsNaN(e.Low) && !math.IsNaN(e.High) && e.High < math.MaxFloat64 && e.Low > -math.MaxFloat64
}

// String is "1.273 (1.261 to 1.285, 95%, n=20 blocks)", without an interval where there were
// too few values for one.
func (e Estimate) String() string {
	if !e.Bounded() {
		return fmt.Sprintf("%.4g (no interval, n=%d %s)", e.Value, e.N, e.Of)
	}
	return fmt.Sprintf("%.4g (%.4g to %.4g, %g%%, n=%d %s)", e.Value, e.Low, e.High, 100*e.Level, e.N, e.Of)
}
