package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"
)

// Results are the files that a command writes its results to, "-" for standard output.
type Results struct {
	JSON     string
	Benchfmt string
}

// Check finds before any work what would stop the writing.
func (r *Results) Check() error {
	if r.JSON == "-" && r.Benchfmt == "-" {
		return Usage(errors.New("--json - and --benchfmt -: only one of them can go to standard output"))
	}
	return CheckOutputs(r.JSON, r.Benchfmt)
}

// Messages is where messages for people go: not standard output where results go there.
func (r *Results) Messages(cmd *cobra.Command) io.Writer { return Talk(cmd, r.JSON, r.Benchfmt) }
