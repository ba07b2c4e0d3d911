package harness

import (
	"fmt"
	"math"
	"time"

	"github.com/flujo/flujo-harness/harness/machine"
)

// Difference is the result of comparing two arms that should do the same work: facts
// without judgement. Package thresholds judges it by a margin.
type Difference struct {
	Schema      int                 `json:"schema"` // 1
	Name        string              `json:"name"`   // name of the benchmark or the plan
	Base        string              `json:"base"`   // the arm that Head is compared with
	Head        string              `json:"head"`
	Started     time.Time           `json:"started"`
	Seconds     float64             `json:"seconds"`
	Seed        uint64              `json:"seed"`
	Environment machine.Environment `json:"environment"`
	Procs       int                 `json:"procs,omitempty"` // GOMAXPROCS of the timed processes if it is not that of the name; 0: it is

	Ratio  Estimate `json:"ratio"`   // Head/Base, paired
	BaseNS Estimate `json:"base_ns"` // ns per operation
	HeadNS Estimate `json:"head_ns"` // ns per operation

	CPU Estimate `json:"cpu,omitzero"` // Head/Base of the processor time, paired; zero if unknown

	Instructions *Instructions `json:"instructions,omitempty"` // nil: not counted

	Blocks      []DifferenceBlock `json:"blocks"`            // in the order measured
	Layouts     []float64         `json:"layouts,omitempty"` // Head/Base of the time, one value per layout: both programs linked with their functions in another order
	Audit       []Finding         `json:"audit"`
	Notes       []string          `json:"notes,omitempty"`         // warnings for the reader, such as "the samples were not interleaved"
	Counts      []Count           `json:"counts,omitempty"`        // what benchmarks printed in addition to their time, by unit
	Samples     []BenchSample     `json:"-"`                       // what each process of a benchmark printed, in the order measured
	Complete    bool              `json:"complete"`                // false: interrupted, or a session failed
	Problem     string            `json:"problem,omitempty"`       // why the figures are invalid; "": they are valid
	HeadFails   string            `json:"head_fails,omitempty"`    // how Head failed while Base did not
	FailsAtBase bool              `json:"fails_at_base,omitempty"` // Base failed; NotCompared says how
	Untimed     string            `json:"untimed,omitempty"`       // why time does not decide; "": it may
	NotCompared string            `json:"not_compared,omitempty"`  // why there is no time to compare: the benchmark is skipped, or fails at Base
}

// Count is a figure that a benchmark printed in addition to its time, in each of its processes.
type Count struct {
	Unit     string  `json:"unit"` // "allocs/op", "B/op", or a unit of b.ReportMetric
	BaseLow  float64 `json:"base_low"`
	BaseHigh float64 `json:"base_high"`
	HeadLow  float64 `json:"head_low"`
	HeadHigh float64 `json:"head_high"`
	Base     int     `json:"base"` // number of processes
	Head     int     `json:"head"` // number of processes
}

// String returns text such as "allocs/op 2 -> 3", with ranges if the processes of a revision
// differ.
func (c Count) String() string {
	side := func(low, high float64) string {
		if low == high {
			return fmt.Sprintf("%.6g", low)
		}
		return fmt.Sprintf("%.6g to %.6g", low, high)
	}
	base, head := side(c.BaseLow, c.BaseHigh), side(c.HeadLow, c.HeadHigh)
	if base == head {
		return c.Unit + " " + base
	}
	return c.Unit + " " + base + " -> " + head
}

// DifferenceBlock has the statistics of one block.
type DifferenceBlock struct {
	Session int                  `json:"session"`         // number of the process that measured it, from 1
	Ratio   float64              `json:"ratio"`           // Head/Base
	Twin    float64              `json:"twin"`            // Base once more, over Base: the A/A pair
	Slow    float64              `json:"slow,omitempty"`  // Head with an injected slow-down, over Base
	BaseNS  float64              `json:"base_ns"`         // ns per operation
	HeadNS  float64              `json:"head_ns"`         // ns per operation
	CPU     float64              `json:"cpu,omitempty"`   // Head/Base of the processor time; 0 if unknown
	Slots   map[string][]float64 `json:"slots,omitempty"` // arm -> ns per operation, by round
}

// add appends the blocks of a session.
func (d *Difference) add(session int, blocks []map[string][]float64) error {
	for i, slots := range blocks {
		b := DifferenceBlock{Session: session, Slots: map[string][]float64{}}
		ratio := func(of, to string) (float64, error) {
			var r []float64
			for k, v := range slots[of] {
				w := slots[to][k]
				if !(v > 0) || !(w > 0) || math.IsInf(v, 0) || math.IsInf(w, 0) {
					return 0, fmt.Errorf("session %d, block %d, round %d: slots of %v and %v ns: %w", session, i+1, k+1, v, w, errNotPositive)
				}
				r = append(r, v/w)
			}
			return machine.Median(r), nil
		}
		var err error
		if b.Ratio, err = ratio(d.Head, d.Base); err != nil {
			return err
		}
		if b.Twin, err = ratio(d.Base+twinSuffix, d.Base); err != nil {
			return err
		}
		if b.Slow, err = ratio(d.Head+slowSuffix, d.Base); err != nil {
			return err
		}
		b.BaseNS, b.HeadNS = machine.Median(slots[d.Base]), machine.Median(slots[d.Head])
		for _, name := range []string{d.Base, d.Head, d.Base + twinSuffix, d.Head + slowSuffix} {
			b.Slots[name] = slots[name]
		}
		d.Blocks = append(d.Blocks, b)
	}
	d.Estimate()
	return nil
}

// Estimate computes the figures from the blocks so far. It is exported for blocks that were
// recorded before.
func (d *Difference) Estimate() {
	figure := func(unit string, of func(DifferenceBlock) float64) Estimate {
		values, sessions := d.Column(of)
		return estimate(values, sessions, unit)
	}
	d.Ratio = figure("ratio", func(b DifferenceBlock) float64 { return b.Ratio })
	d.BaseNS = figure("ns/op", func(b DifferenceBlock) float64 { return b.BaseNS })
	d.HeadNS = figure("ns/op", func(b DifferenceBlock) float64 { return b.HeadNS })
	d.CPU = Estimate{}
	if values, sessions := d.CPUColumn(); len(values) > 0 {
		d.CPU = estimate(values, sessions, "ratio")
	}
}

// String returns a line such as "encode: head/base is 1.02 (1.01 to 1.03, 95%, n=60 blocks)",
// or the reason why there is no figure.
func (d *Difference) String() string {
	title := fmt.Sprintf("%s: %s/%s", d.Name, d.Head, d.Base)
	switch {
	case d.Problem != "":
		return title + " is invalid: " + d.Problem
	case d.HeadFails != "":
		return title + ": " + d.Head + " fails: " + d.HeadFails
	case d.NotCompared != "":
		return title + " is not compared: " + d.NotCompared
	case len(d.Blocks) == 0:
		return title + ": nothing was measured"
	}
	return title + " is " + d.Ratio.String()
}

// Column returns one statistic of all blocks and the session of each.
func (d *Difference) Column(of func(DifferenceBlock) float64) (values []float64, sessions []int) {
	for _, b := range d.Blocks {
		values, sessions = append(values, of(b)), append(sessions, b.Session)
	}
	return values, sessions
}

// CPUColumn returns the ratios of processor time of all blocks that have one, and the session
// of each.
func (d *Difference) CPUColumn() (values []float64, sessions []int) {
	for _, b := range d.Blocks {
		if b.CPU > 0 {
			values, sessions = append(values, b.CPU), append(sessions, b.Session)
		}
	}
	return values, sessions
}
