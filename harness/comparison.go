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
	ArmSlow    = "slow"    // the backend arm with an injected slow-down, which the self-check must find
	ArmStubs   = "stubs"   // the calls of the scripted agents alone, with no engine
)

// Names of the arms of an attribution, in addition to [ArmNone]. Each arm does what the one
// before it does and one thing more. Between ArmEncoded and ArmTraced there is an arm for each
// durability of the backend, with its name: first transactions that are never synced, then
// each stronger durability.
const (
	ArmCopies  = "copies"  // only the copies of the scope
	ArmEncoded = "encoded" // adds the encoding of scopes and outputs
	ArmTraced  = "traced"  // adds a log line and a span for every step, at the measured durability
	ArmTotal   = "total"   // the same as ArmTraced: the increments must add up to its time
)

// Estimate is a figure with its interval, unit and sample size.
type Estimate struct {
	Value  float64 `json:"value"`
	Low    float64 `json:"low"`   // lower end of the interval
	High   float64 `json:"high"`  // upper end of the interval
	Level  float64 `json:"level"` // confidence level of the interval, such as 0.95
	N      int     `json:"n"`     // number of the units that Of names
	Of     string  `json:"of"`    // "blocks", "sessions" or "layouts"
	Unit   string  `json:"unit"`  // "ratio", "us/run"
	Method string  `json:"method"`
}

// Finding is the outcome of one check of the audit, which verifies that the measurement
// measured what it says.
type Finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Comparison is the result of a measurement: facts without judgement.
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
	Cost      Estimate `json:"cost"`       // W-N, µs per run
	Injected  Estimate `json:"injected"`   // (S-N)/(W-N): the slow-down of the slow arm, as measured
	Scripts   Estimate `json:"scripts"`    // time of the scripted agents alone, µs per run; all arms but the floor include it

	Counters map[string]Counters   `json:"counters,omitempty"`         // by arm, per run: the minimum of all sessions
	Most     map[string]Counters   `json:"most_counters,omitempty"`    // the maximum of all sessions
	Counted  []map[string]Counters `json:"session_counters,omitempty"` // by session and arm: the values of the two above; nil in files of older versions

	Instructions *RunInstructions `json:"instructions,omitempty"` // per run; nil: not counted

	Conditions []Conditions `json:"conditions"` // by session

	Blocks   []Block   `json:"blocks"` // in the order measured
	Audit    []Finding `json:"audit"`
	Complete bool      `json:"complete"`          // false: interrupted, or a session failed
	Untimed  string    `json:"untimed,omitempty"` // why counts are judged and time is not; "": time is judged too
	Problem  string    `json:"problem,omitempty"` // why the figures must not be judged; "": they may
}

// Block has the statistics of one block, computed from the faster half of each arm's slots.
type Block struct {
	Session   int     `json:"session"`
	CostRatio float64 `json:"cost_ratio"` // (W-N)/F
	Overhead  float64 `json:"overhead"`   // (W-N)/N
	CostUS    float64 `json:"cost_us"`    // W-N, µs per run
	Twin      float64 `json:"twin"`       // (T-N)/(W-N): the A/A pair
	Slow      float64 `json:"slow"`       // (S-N)/F: the injected slow-down, on the scale of CostRatio
	Injected  float64 `json:"injected"`   // (S-N)/(W-N)
	ScriptsUS float64 `json:"scripts_us"` // the calls of the scripted agents alone, µs per run

	Slots map[string][]float64 `json:"slots,omitempty"` // arm -> ns per run, by round: the input of all the above
}

// Counters has counts of what one run of an arm does. They are the same on any machine
// where the same program does the same work.
type Counters struct {
	Allocs     float64 `json:"allocs" toml:"allocs"`           // heap objects allocated
	AllocBytes float64 `json:"alloc_bytes" toml:"alloc_bytes"` // bytes of these objects
	Commits    float64 `json:"commits" toml:"commits"`         // transactions
	Statements float64 `json:"statements" toml:"statements"`   // statements without BEGIN and COMMIT
	Pages      float64 `json:"pages" toml:"pages"`             // pages written to the write-ahead log
	Bytes      float64 `json:"bytes" toml:"bytes"`             // bytes written to files, checkpoints included
	Syncs      float64 `json:"syncs" toml:"syncs"`             // fsyncs
}

// each applies f to every counter of a and b.
func (a Counters) each(b Counters, f func(a, b float64) float64) Counters {
	return Counters{
		Allocs: f(a.Allocs, b.Allocs), AllocBytes: f(a.AllocBytes, b.AllocBytes), Commits: f(a.Commits, b.Commits), Statements: f(a.Statements, b.Statements),
		Pages: f(a.Pages, b.Pages), Bytes: f(a.Bytes, b.Bytes), Syncs: f(a.Syncs, b.Syncs),
	}
}

// Sessions returns the number of sessions that have blocks.
func (c *Comparison) Sessions() int {
	n := 0
	for _, b := range c.Blocks {
		n = max(n, b.Session)
	}
	return n
}

// Column returns one statistic of all blocks and the session of each, in the order measured.
func (c *Comparison) Column(of func(Block) float64) (values []float64, sessions []int) {
	values, sessions = make([]float64, len(c.Blocks)), make([]int, len(c.Blocks))
	for i, b := range c.Blocks {
		values[i], sessions[i] = of(b), b.Session
	}
	return values, sessions
}

// Valid reports whether every check of the audit passed and no session failed.
func (c *Comparison) Valid() bool {
	for _, f := range c.Audit {
		if !f.OK {
			return false
		}
	}
	return c.Problem == ""
}

// String returns a line such as "default at process: (W-N)/F is 1.31 (1.29 to 1.33, 95%, n=24
// blocks)", or the reason why there is no figure.
func (c *Comparison) String() string {
	switch {
	case c.Problem != "":
		return c.Name() + ": invalid: " + c.Problem
	case len(c.Blocks) == 0:
		return c.Name() + ": nothing was measured"
	}
	return c.Name() + ": (W-N)/F is " + c.CostRatio.String()
}

// Name returns the name of what was measured, such as "default at process".
func (c *Comparison) Name() string { return c.Workload + " at " + c.Durability }

// Bounded reports whether there were enough values for an interval.
func (e Estimate) Bounded() bool {
	return !math.IsNaN(e.Low) && !math.IsNaN(e.High) && e.High < math.MaxFloat64 && e.Low > -math.MaxFloat64
}

// String returns text such as "1.273 (1.261 to 1.285, 95%, n=20 blocks)", without an interval
// if there were too few values for one.
func (e Estimate) String() string {
	if !e.Bounded() {
		return fmt.Sprintf("%.4g (no interval, n=%d %s)", e.Value, e.N, e.Of)
	}
	return fmt.Sprintf("%.4g (%.4g to %.4g, %g%%, n=%d %s)", e.Value, e.Low, e.High, 100*e.Level, e.N, e.Of)
}
