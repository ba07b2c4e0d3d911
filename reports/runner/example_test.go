package runner_test

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/runner"
)

// Run the tests of the module in the working folder once. The example is compiled but not run.
func ExampleFind() {
	ctx := context.Background()
	tests, err := runner.Find(ctx, runner.Options{Root: ".", Packages: []string{"./..."}})
	if err != nil {
		fmt.Println(err) // the request is invalid; nothing has run
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
