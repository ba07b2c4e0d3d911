// Command flujo-harness runs the suites of a project, measures what durability
// costs, judges it by calibrated limits and reports. "flujo-harness help" lists
// its commands and exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flujo/flujo-harness/reports"
)

// Exit codes.
const (
	exitHeld         = 0
	exitBroken       = 1 // specs failed or a limit broke
	exitUsage        = 2
	exitFault        = 3 // of the harness: invalid, unreadable input, damaged database
	exitInconclusive = 4 // under --strict
	exitInterrupted  = 130
	exitFocused      = 197 // programmatic focus, as Ginkgo has it
)

func main() {
	interrupts := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it; else the suites would outlive a closed terminal
		interrupts = append(interrupts, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), interrupts...)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once, also where it waits for input
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// exitError carries the exit code of a command. Its error may be nil: then
// everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks an error as the caller's.
func usage(err error) error { return &exitError{exitUsage, err} }

// fault marks an error as the harness's, or of what it reads and writes.
func fault(err error) error { return &exitError{exitFault, err} }

// marked is an error that nobody has marked yet as a fault.
func marked(err error) error {
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return err
	}
	return fault(err)
}

// run is the whole program. Errors that no command has marked are usage errors:
// they come from cobra, before anything was done.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := command()
	root.SetArgs(args)
	root.SetIn(stdin)
	stderr = newInert(stderr)
	root.SetOut(newInert(stdout))
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitHeld
	}
	code := exitUsage
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	if ctx.Err() != nil { // what failed, failed for that
		code = exitInterrupted
	}
	if exit == nil || exit.err != nil {
		fmt.Fprintf(stderr, "flujo-harness: %s\n", visibleLines(err.Error()))
	}
	if exit == nil && code == exitUsage {
		fmt.Fprintln(stderr, `"flujo-harness help" lists the commands, "flujo-harness help COMMAND" its flags.`)
	}
	return code
}

// visibleLines makes a message of several lines visible. Its texts may be those of a file,
// and a CI service obeys a line that begins with a command of its own.
func visibleLines(message string) string {
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		lines[i] = reports.Visible(strings.ReplaceAll(line, "\t", "    "))
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "::") || strings.HasPrefix(trimmed, "##") {
			lines[i] = "| " + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "flujo-harness",
		Short: "Test durable agent pipelines, measure what durability costs, and judge it",
		Long: `flujo-harness runs the suites of a project, measures what durability costs, judges
it by calibrated limits and reports.

Exit codes: 0 held; 1 specs failed or a limit broke; 2 usage or configuration;
3 fault of the harness (an invalid measurement, unreadable input, a damaged
database); 4 inconclusive, under --strict; 130 interrupted; 197 focused specs.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return noEmptyValues(cmd) },
	}
	root.AddCommand(runCommand(), benchCommand(), mergeCommand(), calibrateCommand(), gateCommand(), quarantineCommand(), ingestCommand(), historyCommand(), reportCommand(), serveCommand(), selftestCommand(), doctorCommand(), campaignCommand(), costCommand(), compareCommand(),
		sessionCommand(), burnCommand(), guardCommand(), runsCommand(), traceCommand(), initCommand())
	return root
}

// noEmptyValues refuses a flag that was given without a value, as in --base="$BASE" where
// that variable is not set: the command would go on as if the flag had not been asked for.
func noEmptyValues(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		empty := func(s string) bool { return strings.TrimSpace(s) == "" }
		if f.Name == "tenant" {
			return // "" is the tenant without a name
		}
		if err == nil && (len(values) == 0 || slices.ContainsFunc(values, empty)) {
			err = usage(fmt.Errorf("--%s has an empty value: give one, or leave the flag out (is a variable in the command line not set?)", f.Name))
		}
	})
	return err
}
