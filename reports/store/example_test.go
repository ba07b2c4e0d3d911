package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/store"
)

// Two machines exchange their runs by a store.
func ExampleSync() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	shared, err := store.OpenFolder(filepath.Join(dir, "shared"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()

	for i, machine := range []string{"ada", "bert"} {
		h, err := history.Open(ctx, filepath.Join(dir, machine+".db"))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer h.Close()
		run := reports.Run{
			Started:  time.Date(2026, 11, 28, 12+i, 0, 0, 0, time.UTC),
			Suites:   &reports.Results{Suites: []reports.Suite{{Path: machine}}},
			Complete: true,
		}
		if _, err := h.Append(ctx, run); err != nil {
			fmt.Println(err)
			return
		}
		synced, err := store.Sync(ctx, h, shared)
		fmt.Println(machine, "sent", synced.Sent, "took", synced.Taken, err)
	}
	// Output:
	// ada sent 1 took 0 <nil>
	// bert sent 1 took 1 <nil>
}
