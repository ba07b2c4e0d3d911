package runner

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/flujo/flujo-harness/reports"
)

func TestShares(t *testing.T) {
	for _, bad := range []string{"", "1", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "1 /2"} {
		if err := new(Share).Set(bad); err == nil {
			t.Errorf("--shard %q is accepted", bad)
		}
	}
	for _, tt := range []struct {
		seconds map[string]float64
		n       int
		want    []int
	}{
		{nil, 2, []int{0, 1, 0, 1, 0}}, // in turns
		{map[string]float64{"a": 0, "b": 0, "c": 0, "d": 0, "e": 0}, 2, []int{0, 1, 0, 1, 0}},
		{map[string]float64{"a": 1, "b": 1, "c": 1, "d": 1, "e": 10}, 2, []int{1, 1, 1, 1, 0}},
		{map[string]float64{"a": 8, "b": 2}, 2, []int{0, 1, 1, 1, 0}}, // the others take 5 each
		{map[string]float64{"a": 5, "b": 4, "c": 3, "d": 3, "e": 3}, 1, []int{0, 0, 0, 0, 0}},
	} {
		if diff := cmp.Diff(tt.want, deal([]string{"a", "b", "c", "d", "e"}, tt.seconds, tt.n)); diff != "" {
			t.Errorf("%v in %d: %s", tt.seconds, tt.n, diff)
		}
	}
}

// For any durations, each package is in one part, and no part takes longer than 4/3 of the best
// possible. The test uses a lower bound of the best: the mean per part, and the longest package.
func TestEveryPackageIsInOnePart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "parts")
		var packages []string
		seconds := map[string]float64{}
		for i := range rapid.IntRange(1, 30).Draw(t, "packages") {
			name := fmt.Sprintf("p%02d", i)
			packages, seconds[name] = append(packages, name), float64(rapid.IntRange(1, 1000).Draw(t, "seconds"))
		}
		parts := deal(packages, seconds, n)
		load, sum := make([]float64, n), 0.0
		for i, part := range parts {
			load[part] += seconds[packages[i]]
			sum += seconds[packages[i]]
		}
		all := slices.Sorted(func(yield func(float64) bool) {
			for _, s := range seconds {
				if !yield(s) {
					return
				}
			}
		})
		best := max(sum/float64(n), all[len(all)-1])
		if len(all) > n { // two of the n+1 longest are in one part
			best = max(best, all[len(all)-n]+all[len(all)-n-1])
		}
		if most := slices.Max(load); most > best*4/3+1e-9 {
			t.Fatalf("a part takes %v, the lower bound is %v", most, best)
		}
		var dealt []reports.Dealt
		for part := range n {
			var mine []int
			for i := range parts {
				if parts[i] == part {
					mine = append(mine, i)
				}
			}
			dealt = append(dealt, newDealt(packages, mine, n))
		}
		if err := reports.Fit(dealt); err != nil {
			t.Fatal(err)
		}
		broken := slices.Clone(dealt)
		at := rapid.IntRange(0, n-1).Draw(t, "broken part")
		switch way := rapid.SampledFrom([]string{"without", "twice", "list"}).Draw(t, "way"); {
		case way == "without" && len(broken[at].Mine) > 0:
			broken[at].Mine = broken[at].Mine[1:]
		case way == "twice" && n > 1 && len(broken[at].Mine) > 0:
			other := (at + 1) % n
			broken[other].Mine = append(slices.Clone(broken[other].Mine), broken[at].Mine[0])
		case way == "list" && n > 1:
			broken[at].Of = "another"
		default:
			return
		}
		if err := reports.Fit(broken); err == nil || !strings.Contains(err.Error(), "run all parts") {
			t.Fatalf("%v is accepted as one run: %v", broken, err)
		}
	})
}
