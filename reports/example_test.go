package reports_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

func Example() {
	results, err := reports.ReadGinkgo(strings.NewReader(`[{
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
	for _, line := range reports.Summary(reports.Alone(run), "") {
		fmt.Println(line)
	}
	// Output:
	// BROKEN: 1 of 2 specs failed
	// specs: 1 of 2 specs passed (50%, 33.33% of all, 95% band 9.5 to 90.5%); 1 skipped
	// failing: orders > refunds it (no earlier run to compare with)
	// durability: not measured
	// next: mend the specs and suites that failed, then run again
}

// The report that this project began with, from the results: what it had right and
// what not.
func ExampleAccount_Dispute() {
	dir, err := os.MkdirTemp("", "seed")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	history, err := reports.SeedHistory(ctx, filepath.Join(dir, "history.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer history.Close()
	account, err := history.Account(ctx, reports.AccountOptions{Plan: reports.SeedPlan()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v; of all %d: %.2f%%\n", account.Rate, account.RateAll.Of, 100*account.RateAll.Share())
	fmt.Printf("%d fixes to go to 98.5%%\n", account.Target.ToGo)
	for _, sentence := range account.Dispute(reports.SeedClaims()) {
		fmt.Println("-", sentence)
	}
	// Output:
	// 2222 of 2275 (97.7%, 95% band 97 to 98.2%); of all 2283: 97.33%
	// 19 fixes to go to 98.5%
	// - 97.7% leaves 8 skipped specs out: it is 2,222 of the 2,275 that ran (97.67%); of all 2,283 it is 97.33%
	// - 66 failures of 2,275 is a pass rate of 97.10%, not 96.3%
	// - from 97.10% to 97.67% are 0.57 percentage points, not 1.4
	// - 19.7% fewer failures is 66 to 53, over all phases; Phase 4 went from 59 to 53 failures, 10.2% fewer
	// - 98.5% of 2,275 needs at most 34 failures, 19 fixes: with 35 it is 98.46%
}
