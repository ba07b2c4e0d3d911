package render_test

import (
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/render"
	"github.com/flujo/flujo-harness/thresholds"
)

func Example() {
	results, err := ingest.ReadGinkgo(strings.NewReader(`[{
		"SuitePath": "/home/me/shop/orders", "SuiteSucceeded": false, "PreRunStats": {"TotalSpecs": 3},
		"SpecReports": [
			{"LeafNodeType": "It", "LeafNodeText": "takes an order", "State": "passed", "NumAttempts": 1},
			{"LeafNodeType": "It", "LeafNodeText": "refunds it", "State": "failed", "NumAttempts": 1},
			{"LeafNodeType": "It", "LeafNodeText": "ships it", "State": "skipped"}
		]}]`), "/home/me/shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	run := reports.Run{Suites: results, Outcome: thresholds.Broken, ExitCode: 1, Complete: true}
	for _, line := range render.Summary(analysis.Alone(run), "") {
		fmt.Println(line)
	}
	// Output:
	// BROKEN: 1 of 2 specs failed
	// specs: 1 of 2 specs passed (50%, 33.33% of all, 95% band 9.5 to 90.5%); 1 skipped
	// failing: orders > refunds it (no earlier run to compare with)
	// durability: not measured
	// next: mend the specs and suites that failed, then run again
}
