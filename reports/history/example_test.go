package history_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Appending a run that the history already contains has no effect.
func Example() {
	dir, err := os.MkdirTemp("", "history")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	h, err := history.Open(ctx, filepath.Join(dir, "history.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()

	run := reports.Run{
		Started: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC),
		Suites: &reports.Results{
			Suites: []reports.Suite{{Path: "shop"}},
			Specs:  []reports.Spec{{Suite: "shop", Leaf: "takes an order", State: reports.Passed}},
		},
		Complete: true,
	}
	for range 2 {
		added, err := h.Append(ctx, run)
		fmt.Printf("run %d, known: %v, %v\n", added.ID, added.Known, err)
	}
	// Output:
	// run 1, known: false, <nil>
	// run 1, known: true, <nil>
}
