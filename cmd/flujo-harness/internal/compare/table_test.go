package compare

import (
	"bytes"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

func estimate(value, low, high float64, n int, of string) *harness.Estimate {
	return &harness.Estimate{Value: value, Low: low, High: high, Level: 0.95, N: n, Of: of, Unit: "ratio"}
}

// The table fits into 80 columns and has every name and figure in full, whatever the lengths of the
// names: next to the times, above them, or on several lines.
func TestTheTableFitsIntoATerminal(t *testing.T) {
	r := Result{Seed: 1}
	add := func(pkg, name string, o thresholds.Outcome, baseNS, headNS float64, time, instructions *harness.Estimate, counts ...harness.Count) {
		d := &harness.Difference{Name: pkg + "." + name, Base: "old", Head: "new", Counts: counts}
		if time != nil {
			d.Blocks, d.BaseNS.Value, d.HeadNS.Value = make([]harness.DifferenceBlock, 3), baseNS, headNS
		}
		r.packages, r.Differences = append(r.packages, pkg), append(r.Differences, d)
		r.Verdicts = append(r.Verdicts, thresholds.Verdict{Workload: d.Name, Outcome: o, Ratio: time, Instructions: instructions})
	}
	count := func(unit string, baseLow, baseHigh, headLow, headHigh float64) harness.Count {
		return harness.Count{Unit: unit, BaseLow: baseLow, BaseHigh: baseHigh, HeadLow: headLow, HeadHigh: headHigh}
	}
	const invoices, text, store = "example.com/shop/internal/billing/invoices", "example.com/shop/internal/text", "example.com/shop/internal/store"
	add(invoices, "Total-2", thresholds.Broken, 1690, 3090, estimate(1.8226, 1.7292, 1.9212, 12, "blocks"), estimate(1.5002, 1.4987, 1.5017, 5, "counts"), count("B/op", 0, 0, 0, 0), count("allocs/op", 0, 0, 0, 0))
	add(invoices, "RenderInvoiceWithManyPositions/positions=1000/rounding=half-even-2", thresholds.Held, 943e3, 944e3, estimate(0.9841, 0.8112, 1.1938, 12, "blocks"), nil, count("B/op", 1.4969e6, 1.4969e6, 1.4969e6, 1.49706e6), count("MB/s", 242.33, 549.89, 139.02, 246.15), count("allocs/op", 1899, 1899, 1899, 1899))
	add(text, "Join/"+strings.Repeat("separator=comma/", 7)+"n=4-2", thresholds.Inconclusive, 123.4, 234.5, estimate(10.2479, 7.1495, 12.859, 18, "layouts"), nil)
	add(text, "Join-2", thresholds.Invalid, 0, 0, nil, nil)
	add(store, strings.Repeat("x", 90), thresholds.Held, 10, 10, estimate(1, 0.99, 1.01, 3, "blocks"), nil)
	var out bytes.Buffer
	if err := r.show(&out, [2]revisions.Checkout{{Name: "old"}, {Name: "new"}}, 5, thresholds.Broken); err != nil {
		t.Fatal(err)
	}
	const want = `
pkg: example.com/shop/internal/billing/invoices
verdict  benchmark  base     head     time (95%, n)
BROKEN   Total-2    1.69 µs  3.09 µs  +82.26% (+72.92 to +92.12, n=12)
         instructions +50.02% (+49.87 to +50.17, n=5), B/op 0, allocs/op 0
HELD     RenderInvoiceWithManyPositions/positions=1000/rounding=half-even-2
                    943 µs   944 µs   -1.59% (-18.88 to +19.38, n=12)
         instructions not counted, B/op 1.4969e+06 -> 1.4969e+06 to 1.49706e+06,
         MB/s 242.33 to 549.89 -> 139.02 to 246.15, allocs/op 1899

pkg: example.com/shop/internal/text
verdict       benchmark
  base    head    time (95%, n)
INCONCLUSIVE  Join/separator=comma/separator=comma/separator=comma/
              separator=comma/separator=comma/separator=comma/separator=comma/
              n=4-2
  123 ns  234 ns  +924.79% (+614.95 to +1185.90, n=18 layouts)
  instructions not counted
INVALID       Join-2
                  not measured
  instructions not counted

pkg: example.com/shop/internal/store
verdict  benchmark  base   head   time (95%, n)
HELD     xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
         xxxxxxxxxxxxxxxxxxx
                    10 ns  10 ns  +0.00% (-1.00 to +1.00, n=3)
         instructions not counted
`
	_, got, _ := strings.Cut(out.String(), "seed 1\n")
	if got, _, _ = strings.Cut(got, "\ngeometric"); !strings.HasPrefix(got, want) {
		got, _, _ = strings.Cut(got, "\nexample.com")
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
	for line := range strings.SplitSeq(want, "\n") {
		if n := ansi.StringWidth(line); n > tableWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// No cell is lost, and no line is too wide, whatever the lengths are.
func TestTablesOfAnyLengths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := []tableRow{{verdict: "verdict", name: "benchmark", base: "base", head: "head", time: "time (95%, n)"}}
		cells := rapid.StringMatching(`[a-zµ0-9]{1,9}`)
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			rows = append(rows, tableRow{verdict: rapid.SampledFrom([]string{"HELD", "INCONCLUSIVE"}).Draw(t, "verdict"), name: rapid.StringMatching(`[a-zµ/=]{1,200}`).Draw(t, "name"),
				base: cells.Draw(t, "base"), head: cells.Draw(t, "head"), time: rapid.StringMatching(`[+0-9]{1,44}`).Draw(t, "time"), others: rapid.SliceOfN(rapid.StringMatching(`[a-zµ]{1,50}`), 0, 6).Draw(t, "others")})
		}
		lines := tableLines(rows)
		all := strings.Join(strings.Fields(strings.Join(lines, " ")), "")
		for _, line := range lines {
			if n := ansi.StringWidth(line); n > tableWidth {
				t.Fatalf("%d columns: %s", n, line)
			}
		}
		for _, r := range rows {
			want := strings.ReplaceAll(r.verdict+r.name+r.base+r.head+r.time+strings.Join(r.others, ","), " ", "")
			if !strings.Contains(all, want) {
				t.Fatalf("no %s in\n%s", want, strings.Join(lines, "\n"))
			}
		}
	})
}
