package quarantine_test

import (
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/quarantine"
)

// An entry covers the failures of its spec up to and including the day it expires.
func ExampleLedger_Covers() {
	ledger, err := quarantine.Parse("quarantine.toml", []byte(`
[[quarantine]]
suite = "shop"
spec = "is kept when the machine restarts"
owner = "ada"
reason = "times out on slow runners, ticket 4711"
added = "2026-11-01"
expires = "2026-11-30"
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	spec := &reports.Spec{Suite: "shop", Leaf: "is kept when the machine restarts", State: reports.Failed}
	for _, day := range []int{30, 31} {
		entry := ledger.Covers(spec, time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC))
		fmt.Println("day", day, "covered:", entry != nil)
	}
	// Output:
	// day 30 covered: true
	// day 31 covered: false
}
