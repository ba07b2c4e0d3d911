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
	for _, line := range render.Summary(analysis.AnalyzeSingleRun(run), render.Screen{}) {
		fmt.Println(line)
	}
	// Output:
	// ✗ BROKEN   1 of 2 specs failed
	//
	//   ✗ orders > refunds it
	//
	//   specs        1 passed · 1 failed · 1 skipped     50% (33.33% of all)
}
