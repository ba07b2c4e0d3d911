package harness_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/harness"
)

// Two ways to join words, compared in this process. To decide anything a comparison needs the
// default plan and processes of its own: see [harness.ComparePlan.Exec].
func ExampleCompare() {
	words := strings.Fields(strings.Repeat("tea and sugar ", 50))
	var kept string
	plus := func() error {
		kept = ""
		for _, w := range words {
			kept += w
		}
		return nil
	}
	join := func() error {
		kept = strings.Join(words, "")
		return nil
	}

	differences, err := harness.Compare(context.Background(),
		harness.ComparePlan{Name: "words", Sessions: 2, Blocks: 1, Rounds: 2},
		harness.Func("join", join), harness.Func("plus", plus))
	if err != nil {
		fmt.Println(err)
		return
	}
	d := differences[0]
	fmt.Println(d.Name, "has", len(d.Blocks), "blocks, complete:", d.Complete)
	// fmt.Println(d) prints the ratio; thresholds.JudgeDifference(d, 0.05, 1) says whether plus
	// is more than 5% slower.
	// Output:
	// words has 2 blocks, complete: true
}

// Samples that another program took, in turns.
func ExampleFromSamples() {
	base, head := make([]float64, 60), make([]float64, 60)
	for i := range base {
		base[i] = 1000 + float64(i%7) // ns
		head[i] = base[i] * 1.2
	}
	d, err := harness.FromSamples("parse", base, head)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f\n", d.Ratio.Value)
	// Output:
	// 1.20
}
