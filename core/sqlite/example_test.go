package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// Each step of a run is saved. If the run has finished, Run returns the saved result and calls no
// agent.
func Example() {
	dir, err := os.MkdirTemp("", "runs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	backend, err := sqlite.Open(ctx, filepath.Join(dir, "runs.db"), sqlite.Process)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close()

	loud := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		fmt.Println("the agent is asked")
		return strings.ToUpper(req.Input), nil
	})
	p, err := core.New("loud", core.Step("say", loud,
		func(s string) string { return s },
		func(s *string, said string) { *s = said }))
	if err != nil {
		fmt.Println(err)
		return
	}
	engine := core.NewEngine(core.WithBackend(backend))
	for range 2 {
		res, err := core.RunOrResume(ctx, engine, p, core.RunKey{Run: "first"}, "hello")
		fmt.Println(res.Status, res.Scope, err)
	}
	// Output:
	// the agent is asked
	// completed HELLO <nil>
	// completed HELLO <nil>
}
