package harness

import "testing"

func TestFactsInOneLine(t *testing.T) {
	ratio := Estimate{Value: 1.25, Low: 1.2, High: 1.3, Level: 0.95, N: 24, Of: "blocks"}
	for want, got := range map[string]string{
		"default at process: (W-N)/F is 1.25 (1.2 to 1.3, 95%, n=24 blocks)": (&Comparison{Workload: "default", Durability: "process", Blocks: make([]Block, 24), CostRatio: ratio}).String(),
		"default at process: nothing was measured":                           (&Comparison{Workload: "default", Durability: "process"}).String(),
		"default at process: invalid: the clock went back":                   (&Comparison{Workload: "default", Durability: "process", Blocks: make([]Block, 24), CostRatio: ratio, Problem: "the clock went back"}).String(),
		"encode: new/old is 1.25 (1.2 to 1.3, 95%, n=24 blocks)":             (&Difference{Name: "encode", Base: "old", Head: "new", Blocks: make([]DifferenceBlock, 24), Ratio: ratio}).String(),
		"encode: new/old: nothing was measured":                              (&Difference{Name: "encode", Base: "old", Head: "new"}).String(),
		"encode: new/old is invalid: they disagree":                          (&Difference{Name: "encode", Base: "old", Head: "new", Problem: "they disagree"}).String(),
		"encode: new/old: new fails: exit status 2":                          (&Difference{Name: "encode", Base: "old", Head: "new", HeadFails: "exit status 2"}).String(),
		"encode: new/old is not compared: it is skipped":                     (&Difference{Name: "encode", Base: "old", Head: "new", NotCompared: "it is skipped"}).String(),
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
