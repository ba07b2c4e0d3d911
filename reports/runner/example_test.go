package runner_test

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/runner"
)

// The tests of the module in the working folder, run once. It has no output here, as it takes the
// Go command and the module's time.
func ExampleFind() {
	ctx := context.Background()
	tests, err := runner.Find(ctx, runner.Options{Root: ".", Packages: []string{"./..."}})
	if err != nil {
		fmt.Println(err) // what is wrong with the request; nothing has run
		return
	}
	_, outcome, err := tests.Repeat(ctx, 1, func(n live.News) { fmt.Println(n.Stage, len(n.Specs), "specs ended") })
	if err != nil {
		fmt.Println(err)
		return
	}
	if outcome.Problem != "" {
		fmt.Println("not to be trusted:", outcome.Problem)
	}
	fmt.Println(outcome.Results.Counts().PassRate())
}
