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

// Rank orders outcomes: held, inconclusive, broken, invalid.
func Rank(o thresholds.Outcome) int {
	return slices.Index([]thresholds.Outcome{thresholds.Held, thresholds.Inconclusive, thresholds.Broken, thresholds.Invalid}, o)
}

// Worse of two outcomes: invalid, broken, inconclusive, held.
func Worse(a, b thresholds.Outcome) thresholds.Outcome {
	if Rank(b) > Rank(a) {
		return b
	}
	return a
}

// ExitCode of the worst outcome.
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

// Exit codes.
const (
	ExitHeld         = 0
	ExitBroken       = 1 // specs failed or a limit broke
	ExitUsage        = 2
	ExitFault        = 3 // of the harness: invalid, unreadable input, damaged database
	ExitInconclusive = 4 // under --strict
	ExitInterrupted  = 130
	ExitFocused      = 197 // programmatic focus, as Ginkgo has it
)

// ExitError carries the exit code of a command. Its error may be nil: then
// everything has been said.
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

// CodeOf is the exit code that an error carries, that of a usage error where it carries none.
func CodeOf(err error) int {
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		return exit.Code
	}
	return ExitUsage
}

// Usage marks an error as the caller's.
func Usage(err error) error { return &ExitError{ExitUsage, err} }

// Fault marks an error as the harness's, or of what it reads and writes.
func Fault(err error) error { return &ExitError{ExitFault, err} }

// marked is an error that nobody has marked yet as a fault.
func AsFault(err error) error {
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		return err
	}
	return Fault(err)
}

// VisibleLines makes a message of several lines visible. Its texts may be those of a file,
// and a CI service obeys a line that begins with a command of its own.
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

// NoEmptyValues refuses a flag that was given without a value, as in --limits-from="$BASE" where
// that variable is not set: the command would go on as if the flag had not been asked for.
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
