package analysis_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
)

// The second of two runs is compared with the first.
func ExampleAnalyze() {
	dir, err := os.MkdirTemp("", "analysis")
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

	for i, state := range []reports.State{reports.Passed, reports.Failed} {
		_, err := h.Append(ctx, reports.Run{
			Started: time.Date(2026, 11, 28, 12+i, 0, 0, 0, time.UTC),
			Suites: &reports.Results{
				Suites: []reports.Suite{{Path: "shop"}},
				Specs:  []reports.Spec{{Suite: "shop", Leaf: "takes an order", State: state}},
			},
			Complete: true,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	a, err := analysis.Analyze(ctx, h, analysis.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range a.Moves {
		fmt.Println(m.Kind, m.Spec.Leaf)
	}
	// Output:
	// broke takes an order
}
