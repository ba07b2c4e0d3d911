package sqlitebench_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitebench"
)

// The rows that one run saves, counted in the file over a separate connection.
func ExampleCountRows() {
	dir, err := os.MkdirTemp("", "runs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx, path := context.Background(), filepath.Join(dir, "runs.db")
	backend, err := sqlite.Open(ctx, path, sqlite.Process)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close()
	p, err := core.New("loud", core.Step("say",
		core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) { return req.Input + "!", nil }),
		func(s string) string { return s },
		func(s *string, said string) { *s = said }))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := core.Run(ctx, core.NewEngine(core.WithBackend(backend)), p, core.RunKey{Run: "first"}, "hello"); err != nil {
		fmt.Println(err)
		return
	}
	rows, err := sqlitebench.CountRows(ctx, path)
	fmt.Println(rows.Runs, "run,", rows.Finished, "finished,", rows.Records, "records", err)
	// Output:
	// 1 run, 1 finished, 2 records <nil>
}
