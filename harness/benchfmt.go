package harness

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/harness/machine"
	"golang.org/x/perf/benchfmt"
)

// Units of the benchmark format beyond those of package testing.
const unitCostRatio = "cost-ratio" // (W-N)/F of a block, on the line of the backend arm

// WriteBenchmarks writes the results in the Go benchmark format, which benchstat
// reads: one line for every block and arm, with the median of its rounds in ns/op and
// the counters of the arm, if there are any. A comparison without blocks has no lines.
func (r Results) WriteBenchmarks(w io.Writer) error {
	// benchstat does not compare lines of different seeds or commits unless they are ignored. It
	// skips lines that are not in the format, such as this one.
	if _, err := fmt.Fprintln(w, "# compare two of these files: benchstat -ignore seed,commit OLD NEW"); err != nil {
		return fmt.Errorf("write benchmarks: %w", err)
	}
	out := benchfmt.NewWriter(w)
	for _, m := range benchUnits {
		for _, rec := range []benchfmt.UnitMetadata{meta(m.unit, "better", "lower"), meta(m.unit, "assume", m.assume)} {
			if err := out.Write(&rec); err != nil {
				return fmt.Errorf("write benchmarks: %w", err)
			}
		}
	}
	for i := range r.Comparisons {
		c := &r.Comparisons[i]
		config := r.benchConfig(c)
		for _, b := range c.Blocks {
			for _, arm := range costArms {
				if len(b.Slots[arm]) == 0 {
					continue
				}
				if err := out.Write(&benchfmt.Result{Config: config, Name: benchName(c, arm), Iters: len(b.Slots[arm]) * c.Plan.Batch[arm], Values: c.benchValues(b, arm)}); err != nil {
					return fmt.Errorf("write benchmarks: %w", err)
				}
			}
		}
	}
	return nil
}

func meta(unit, key, value string) benchfmt.UnitMetadata {
	return benchfmt.UnitMetadata{UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: unit, Key: key}, OrigUnit: unit, Value: value}
}

// benchUnits has the units with metadata for benchstat. Counts are exact: they do not vary, and
// need no statistics.
var benchUnits = []struct{ unit, assume string }{
	{unitCostRatio, "nothing"}, {"allocs/op", "exact"}, {"B/op", "exact"}, {"commits/op", "exact"}, {"statements/op", "exact"},
	{"pages/op", "exact"}, {"written-B/op", "exact"}, {"fsyncs/op", "exact"},
}

// benchConfig returns the configuration keys of a comparison. benchstat makes a table for each
// combination of their values.
func (r Results) benchConfig(c *Comparison) []benchfmt.Config {
	var config []benchfmt.Config
	for _, kv := range [][2]string{
		{"goos", c.Environment.OS}, {"goarch", c.Environment.Arch}, {"cpu", c.Environment.CPU}, {"pkg", "github.com/flujo/flujo-harness/harness"},
		{"durability", c.Durability}, {"filesystem", c.Environment.Filesystem}, {"seed", strconv.FormatUint(c.Seed, 10)}, {"commit", r.revision()},
	} {
		if kv[1] != "" {
			config = append(config, benchfmt.Config{Key: kv[0], Value: []byte(kv[1]), File: true})
		}
	}
	return config
}

// revision returns the revision of the measured tree, "" if it is unknown.
func (r Results) revision() string {
	if r.Dirty {
		return r.Commit + "+changes"
	}
	return r.Commit
}

// benchName returns the name of a line. It ends with the number of processors, as package
// testing has it.
func benchName(c *Comparison, arm string) benchfmt.Name {
	// Names have no spaces in this format. Package testing replaces those of sub-benchmarks too.
	workload := strings.Join(strings.Fields(c.Workload), "_")
	name := fmt.Sprintf("Durability/workload=%s/durability=%s/arm=%s", workload, c.Durability, arm)
	if c.Environment.Cores > 1 {
		name += fmt.Sprintf("-%d", c.Environment.Cores)
	}
	return benchfmt.Name(name)
}

func (c *Comparison) benchValues(b Block, arm string) []benchfmt.Value {
	values := []benchfmt.Value{{Value: machine.Median(b.Slots[arm]), Unit: "ns/op"}}
	if n, ok := c.Counters[arm]; ok {
		values = append(values, benchfmt.Value{Value: n.AllocBytes, Unit: "B/op"}, benchfmt.Value{Value: n.Allocs, Unit: "allocs/op"},
			benchfmt.Value{Value: n.Commits, Unit: "commits/op"}, benchfmt.Value{Value: n.Statements, Unit: "statements/op"},
			benchfmt.Value{Value: n.Pages, Unit: "pages/op"}, benchfmt.Value{Value: n.Bytes, Unit: "written-B/op"}, benchfmt.Value{Value: n.Syncs, Unit: "fsyncs/op"})
	}
	if arm == ArmBackend {
		values = append(values, benchfmt.Value{Value: b.CostRatio, Unit: unitCostRatio})
	}
	return values
}
