package compare

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/perf/benchfmt"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// show prints the table.
func (r Result) show(to io.Writer, sides [2]revisions.Checkout, margin float64) error {
	fmt.Fprintf(to, "%s against %s, margin %.3g%%, seed %d\n", sides[1].Name, sides[0].Name, margin, r.Seed)
	for _, side := range sides {
		if side.Of.Commit != "" {
			fmt.Fprintf(to, "revision: %s\n", side.Of)
		}
	}
	if len(r.Differences) > 0 {
		table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "verdict\tbenchmark\tbase\thead\ttime (95%, n)\tinstructions (95%, n)\tother figures")
		for i, d := range r.Differences {
			figures := "\t\t"
			if len(d.Blocks) > 0 {
				figures = fmt.Sprintf("%s\t%s\t%s", cli.Micros(d.BaseNS.Value/1e3), cli.Micros(d.HeadNS.Value/1e3), change(d.Ratio))
			}
			executed := "not counted"
			if e := r.Verdicts[i].Instructions; e != nil {
				executed = change(*e)
			}
			var counts []string
			for _, c := range d.Counts {
				counts = append(counts, c.String())
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", strings.ToUpper(r.Verdicts[i].Outcome.String()), d.Name, figures, executed, strings.Join(counts, ", "))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		r.geomeans(to)
		for _, v := range r.Verdicts {
			if v.Outcome != thresholds.Held {
				fmt.Fprintf(to, "%s\n  %s\n", v.Reason, v.Next)
			}
			for _, note := range v.Notes {
				fmt.Fprintf(to, "  %s: note: %s\n", v.Workload, note)
			}
		}
	}
	for _, profile := range r.Profiles {
		fmt.Fprint(to, profile)
	}
	for _, pkg := range r.Identical {
		fmt.Fprintf(to, "HELD  %s: the test binaries and the files of the package are identical\n", pkg)
	}
	for _, l := range []struct {
		what  string
		names []string
	}{{"new, not judged", r.New}, {"gone or renamed, so inconclusive", r.Gone}, {"left out by build constraints, not judged", r.Excluded}} {
		if len(l.names) > 0 {
			fmt.Fprintf(to, "%s: %s\n", l.what, strings.Join(l.names, ", "))
		}
	}
	for _, said := range r.NotBuilt {
		fmt.Fprintf(to, "not built, so inconclusive: %s\n", said)
	}
	return nil
}

// change is "+1.23% (+1.20 to +1.25, n=5)"; without an interval where there is none.
func change(e harness.Estimate) string {
	percent := func(v float64) float64 { return 100 * (v - 1) }
	if !e.Bounded() {
		return fmt.Sprintf("%+.2f%% (n=%d)", percent(e.Value), e.N)
	}
	return fmt.Sprintf("%+.2f%% (%+.2f to %+.2f, n=%d)", percent(e.Value), percent(e.Low), percent(e.High), e.N)
}

// geomeans prints the geometric mean of head/base for every unit of which all figures are
// above zero. It is not judged.
func (r Result) geomeans(to io.Writer) {
	logs := map[string][]float64{}
	add := func(unit string, ratio float64) {
		if ratio > 0 && !math.IsInf(ratio, 0) {
			logs[unit] = append(logs[unit], math.Log(ratio))
		}
	}
	for i, d := range r.Differences {
		if len(d.Blocks) > 0 {
			add("time", d.Ratio.Value)
		}
		if e := r.Verdicts[i].Instructions; e != nil {
			add("instructions", e.Value)
		}
		for _, c := range d.Counts {
			add(c.Unit, (c.HeadLow+c.HeadHigh)/(c.BaseLow+c.BaseHigh))
		}
	}
	var all []string
	for _, unit := range slices.Sorted(maps.Keys(logs)) {
		if v := logs[unit]; len(v) > 1 {
			sum := 0.0
			for _, x := range v {
				sum += x
			}
			all = append(all, fmt.Sprintf("%s %+.2f%% (n=%d)", unit, 100*(math.Exp(sum/float64(len(v)))-1), len(v)))
		}
	}
	if len(all) > 0 {
		fmt.Fprintf(to, "geometric means of head/base: %s\n", strings.Join(all, ", "))
	}
}

// write writes the results in each form that was asked for.
func (c *comparing) write(r *Result, sides [2]revisions.Checkout, cmd *cobra.Command) error {
	if c.out.JSON != "" {
		if err := cli.WriteJSON(c.out.JSON, r, cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	if c.out.Benchfmt == "" {
		return nil
	}
	var text bytes.Buffer
	if err := r.writeBenchmarks(&text, sides); err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	if c.out.Benchfmt == "-" {
		_, err := cmd.OutOrStdout().Write(text.Bytes())
		return err
	}
	return os.WriteFile(c.out.Benchfmt, text.Bytes(), 0o644)
}

// writeBenchmarks writes a line for each process, which benchstat -col side reads.
func (r *Result) writeBenchmarks(to io.Writer, sides [2]revisions.Checkout) error {
	out := benchfmt.NewWriter(to)
	for _, d := range r.Differences {
		pkg, _, _ := strings.Cut(d.Name, ".Benchmark")
		if len(d.Samples) > 0 {
			pkg = strings.TrimSuffix(d.Name, "."+d.Samples[0].Name)
		}
		for _, s := range d.Samples {
			side, i := "base", 0
			if s.Head {
				side, i = "head", 1
			}
			res := &benchfmt.Result{Name: benchfmt.Name(strings.ReplaceAll(s.Name, " ", "_")), Iters: max(1, s.Ops)}
			for _, kv := range [][2]string{{"goos", d.Environment.OS}, {"goarch", d.Environment.Arch}, {"pkg", pkg}, {"cpu", d.Environment.CPU}, {"side", side}, {"revision", sides[i].Name}} {
				if kv[1] != "" {
					res.Config = append(res.Config, benchfmt.Config{Key: kv[0], Value: []byte(kv[1]), File: true})
				}
			}
			if s.NS > 0 {
				res.Values = append(res.Values, benchfmt.Value{Value: s.NS, Unit: "ns/op"})
			}
			for _, unit := range slices.Sorted(maps.Keys(s.Counts)) {
				res.Values = append(res.Values, benchfmt.Value{Value: s.Counts[unit], Unit: unit})
			}
			if err := out.Write(res); err != nil {
				return err
			}
		}
	}
	return nil
}
