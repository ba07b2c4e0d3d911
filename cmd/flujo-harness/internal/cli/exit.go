package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// Rank orders outcomes from best to worst: held, inconclusive, broken, invalid.
func Rank(o thresholds.Outcome) int {
	return slices.Index([]thresholds.Outcome{thresholds.Held, thresholds.Inconclusive, thresholds.Broken, thresholds.Invalid}, o)
}

// Worse returns the worse of two outcomes, in the order of [Rank].
func Worse(a, b thresholds.Outcome) thresholds.Outcome {
	if Rank(b) > Rank(a) {
		return b
	}
	return a
}

// ExitCode returns the exit code for the worst outcome of a command.
func ExitCode(o thresholds.Outcome, strict bool) int {
	switch {
	case o == thresholds.Invalid:
		return ExitFault
	case o == thresholds.Broken:
		return ExitBroken
	case o == thresholds.Inconclusive && strict:
		return ExitInconclusive
	}
	return ExitHeld
}

const (
	ExitHeld         = 0
	ExitBroken       = 1 // specs failed, or a limit was exceeded
	ExitUsage        = 2
	ExitFault        = 3 // fault of the harness: invalid result, unreadable input, damaged database
	ExitInconclusive = 4 // with --strict
	ExitInterrupted  = 130
	ExitFocused      = 197 // programmatic focus, the same code as Ginkgo's
)

// ExitError carries the exit code of a command. Err may be nil, if all that there is to report
// has been printed.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// CodeOf returns the exit code that an error carries, or that of a usage error if it carries
// none.
func CodeOf(err error) int {
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		return exit.Code
	}
	return ExitUsage
}

// Usage marks err as a mistake of the caller.
func Usage(err error) error { return &ExitError{ExitUsage, err} }

// Fault marks err as a fault of the harness, or of the files that it reads and writes.
func Fault(err error) error { return &ExitError{ExitFault, err} }

// AsFault marks err as a fault unless it already has an exit code.
func AsFault(err error) error {
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		return err
	}
	return Fault(err)
}

// VisibleLines returns a message of several lines with control characters escaped. Texts in it
// may come from a file, and a CI service executes a line that begins with one of its commands.
func VisibleLines(message string) string {
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		lines[i] = reports.Visible(strings.ReplaceAll(line, "\t", "    "))
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "::") || strings.HasPrefix(trimmed, "##") {
			lines[i] = "| " + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}

// NoEmptyValues returns an error if a flag was given with an empty value, as in
// --limits-from="$BASE" if that variable is not set. Otherwise the command would run as if the
// flag had not been given.
func NoEmptyValues(cmd *cobra.Command) (err error) {
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
			err = Usage(fmt.Errorf("--%s has an empty value: give one, or leave the flag out (is a variable in the command line not set?)", f.Name))
		}
	})
	return err
}
