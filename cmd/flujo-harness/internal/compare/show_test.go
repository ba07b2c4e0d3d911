package compare

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// A reason that many benchmarks share is printed once. Each package has a table of its own, in
// which names do not repeat its path.
func TestReasonsAreNotRepeated(t *testing.T) {
	r := Result{Seed: 1, Gone: []string{"example.org/a.BenchmarkGone"}, took: 3 * time.Second}
	add := func(pkg, name, reason, next string, o thresholds.Outcome, notes ...string) {
		d := &harness.Difference{Name: pkg + "." + name, Base: "old", Head: "new"}
		r.packages, r.Differences = append(r.packages, pkg), append(r.Differences, d)
		r.Verdicts = append(r.Verdicts, thresholds.Verdict{Workload: d.Name, Outcome: o, Reason: fmt.Sprintf("%s: new against old: %s", d.Name, reason), Next: next, Notes: notes})
	}
	for i := range 5 {
		add("example.org/a", fmt.Sprintf("Many/n=%d", i), "too little was measured", "allow more time", thresholds.Inconclusive)
	}
	add("example.org/a", "One", "slower: all blocks", "find it", thresholds.Broken)
	add("example.org/a/b", "Fine", "not slower", "nothing to do", thresholds.Held, "new is faster")
	r.Differences[0].Procs, r.Differences[6].Procs = 1, 1
	var out bytes.Buffer
	if err := r.show(&out, [2]revisions.Checkout{{Name: "old"}, {Name: "new"}}, 5, thresholds.Broken); err != nil {
		t.Fatal(err)
	}
	const want = `✗ BROKEN   1 of 7 benchmarks worse, 5 undecided, 1 not worse, 1 gone      3.00 s

new against old, margin 5%, seed 1

pkg: example.org/a
verdict       benchmark  base  head  time (95%, n)
INCONCLUSIVE  Many/n=0               not measured
              instructions not counted
INCONCLUSIVE  Many/n=1               not measured
              instructions not counted
INCONCLUSIVE  Many/n=2               not measured
              instructions not counted
INCONCLUSIVE  Many/n=3               not measured
              instructions not counted
INCONCLUSIVE  Many/n=4               not measured
              instructions not counted
BROKEN        One                    not measured
              instructions not counted

pkg: example.org/a/b
verdict  benchmark  base  head  time (95%, n)
HELD     Fine                   not measured
         instructions not counted

timed with GOMAXPROCS=1, which changes their time by less than 10%: 2 of 7 benchmarks; --cpu sets another

example.org/a.Many/n=0, example.org/a.Many/n=1, example.org/a.Many/n=2, and 2 more
  inconclusive: too little was measured
  allow more time

example.org/a.One
  broken: slower: all blocks
  find it

example.org/a/b.Fine
  note: new is faster

gone or renamed, so inconclusive: example.org/a.BenchmarkGone
`
	if got := out.String(); got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
}

// The table has the figure that the verdict is about.
func TestTimeOfTheLayoutsIsShown(t *testing.T) {
	d := &harness.Difference{Name: "a.One", Base: "old", Head: "new", Blocks: make([]harness.DifferenceBlock, 18),
		Ratio: harness.Estimate{Value: 0.99, Low: 0.95, High: 1.03, N: 18, Of: "blocks"}}
	r := Result{Differences: []*harness.Difference{d}, packages: []string{"a"},
		Verdicts: []thresholds.Verdict{{Workload: "a.One", Outcome: thresholds.Broken, Ratio: &harness.Estimate{Value: 1.07, Low: 1.05, High: 1.09, N: 8, Of: "layouts"}}}}
	sides := [2]revisions.Checkout{{Name: "old"}, {Name: "new"}}
	var screen bytes.Buffer
	if err := r.show(&screen, sides, 0.05, thresholds.Broken); err != nil {
		t.Fatal(err)
	}
	comment, err := r.comment(sides, 0.05, thresholds.Broken, "title", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"screen": screen.String(), "comment": string(comment)} {
		if !strings.Contains(text, "+7.00% (+5.00 to +9.00, n=8 layouts)") || strings.Contains(text, "-1.00%") || strings.Count(text, "layouts: the functions") != 1 {
			t.Errorf("%s:\n%s", what, text)
		}
	}
}
