package live_test

import (
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/live"
)

func Example() {
	before := &reports.Results{Specs: []reports.Spec{
		{Suite: "orders", Leaf: "adds", Duration: time.Second}, {Suite: "orders", Leaf: "pays", Duration: 3 * time.Second}}}
	now := time.Unix(0, 0)
	tracker := live.NewTracker(live.Run{Command: "run ./orders"}, live.Expect(before, []string{"orders"}), func() time.Time { return now })

	tracker.Add(live.News{Suites: []string{"orders"}, Begun: []string{"orders"}})
	now = now.Add(2 * time.Second)
	tracker.Add(live.News{Specs: []reports.Spec{{Suite: "orders", Leaf: "adds", State: reports.Passed}}})

	run := tracker.Run()
	fmt.Printf("%d of %d specs, %g s left\n", run.Done(), run.Known, run.Left)
	// Output: 1 of 2 specs, 6 s left
}
