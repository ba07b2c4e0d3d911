package thresholds_test

import (
	"fmt"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// This example judges two differences by a margin of 5%.
func ExampleJudgeDifference() {
	base, head := make([]float64, 200), make([]float64, 200)
	for i := range base {
		base[i] = 1000 + float64(i%9) // ns
		head[i] = base[i] * 1.3
	}
	for _, samples := range [][]float64{base, head} {
		d, err := harness.FromSamples("encode", base, samples)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(thresholds.JudgeDifference(d, 0.1, 1).Outcome)
	}
	// Output:
	// held
	// broken
}
