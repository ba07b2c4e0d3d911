// Command flujo-harness runs the test suites of a project, measures the cost of durability,
// judges it by calibrated limits, and writes reports. "flujo-harness help" lists its commands and
// exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/bisect"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/compare"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/complete"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/gate"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/inspect"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/measure"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/scaffold"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/selftest"
)

func main() {
	interrupts := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores SIGHUP; otherwise the suites would outlive a closed terminal
		interrupts = append(interrupts, syscall.SIGHUP)
	}
	os.Exit(run(interruptible(interrupts...), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// interruptible returns a context that the first of the signals ends. A second one ends the program
// immediately, even while it waits for input. So the signals are no longer caught when the context
// ends: whoever learns of the first one, such as the tests of a run, may already cause the second.
func interruptible(signals ...os.Signal) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan os.Signal, 1)
	signal.Notify(first, signals...)
	go func() {
		<-first
		signal.Stop(first)
		cancel()
	}()
	return ctx
}

// run runs the program and returns its exit code. Errors without an exit code are usage errors
// from cobra, which occur before any work is done.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := command()
	root.SetArgs(args)
	root.SetIn(stdin)
	stderr = cli.NewInert(stderr)
	root.SetOut(cli.NewInert(stdout))
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return cli.ExitHeld
	}
	code := cli.ExitUsage
	var exit *cli.ExitError
	if errors.As(err, &exit) {
		code = exit.Code
	}
	if ctx.Err() != nil { // the interruption is the cause of the error
		code = cli.ExitInterrupted
	}
	if exit == nil || exit.Err != nil {
		fmt.Fprintf(stderr, "flujo-harness: %s\n", cli.VisibleLines(err.Error()))
	}
	if near := cli.Meant(root, args); exit == nil && near != "" && strings.Contains(err.Error(), "unknown command") {
		fmt.Fprintf(stderr, "did you mean: flujo-harness %s?\n", near)
	}
	if exit == nil && code == cli.ExitUsage {
		fmt.Fprintln(stderr, `"flujo-harness help" lists the commands, "flujo-harness help COMMAND" its flags.`)
	}
	return code
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "flujo-harness",
		Short: "Test durable agent pipelines, measure what durability costs, and judge it",
		Long: `flujo-harness runs the tests of a Go module and reports what changed, compares the benchmarks of
two revisions, measures what durability costs, and judges that by calibrated limits.

Defaults of flags can be set in a file .flujo.toml next to go.mod (db, out, store, limits,
limits-from, target, source-url) or in variables such as FLUJO_DB, which override the file.

Exit codes: 0 held; 1 specs failed or a limit broke; 2 usage or configuration error; 3 fault of
the harness (an invalid measurement, unreadable input, a damaged database); 4 inconclusive, with
--strict; 130 interrupted; 197 focused specs.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.NoEmptyValues(cmd); err != nil {
				return err
			}
			if cmd.Hidden { // an internal process of this program, such as a session
				return nil
			}
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			return cli.ApplySettings(cmd, p.Root)
		},
	}
	root.AddCommand(runCommand(), benchCommand(), mergeCommand(), measure.CalibrateCommand(), gate.Command(), quarantineCommand(), bisect.Command(), ingestCommand(), records.Command(), reportCommand(), serveCommand(), selftest.Command(), inspect.DoctorCommand(), measure.CostCommand(), compare.Command(),
		sessionCommand(), selftest.BurnCommand(), cli.GuardCommand(), inspect.RunsCommand(), inspect.TraceCommand(), scaffold.Command(), complete.ManCommand(cli.Date()))
	cli.Dress(root, map[string]string{
		"run": cli.GroupTest, "ingest": cli.GroupTest, "merge": cli.GroupTest, "gate": cli.GroupTest, "quarantine": cli.GroupTest, "bisect": cli.GroupTest, "init": cli.GroupTest,
		"compare": cli.GroupMeasure, "bench": cli.GroupMeasure, "cost": cli.GroupMeasure, "calibrate": cli.GroupMeasure,
		"report": cli.GroupLook, "serve": cli.GroupLook, "history": cli.GroupLook, "runs": cli.GroupLook, "trace": cli.GroupLook,
		"selftest": cli.GroupTrust, "doctor": cli.GroupTrust, "man": cli.GroupLook,
	})
	if err := complete.Values(root); err != nil {
		panic(err) // two completions were registered for one flag
	}
	return root
}
