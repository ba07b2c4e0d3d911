package reports_test

import (
	"fmt"

	"github.com/flujo/flujo-harness/reports"
)

// A rate has a denominator, so that its uncertainty can be computed.
func ExampleRate() {
	c := reports.Counts{Passed: 18, Failed: 2, Skipped: 5}
	fmt.Println(c.PassRate())
	fmt.Println(c.PassRateOfAll())
	// Output:
	// 18 of 20 (90%, 95% band 69.9 to 97.2%)
	// 18 of 25 (72%, 95% band 52.4 to 85.7%)
}
