package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"
)

// Results names the files that a command writes its results to; "-" is standard output.
type Results struct {
	JSON     string
	Benchfmt string
}

// Check reports, before any work is done, why the files could not be written.
func (r *Results) Check() error {
	if r.JSON == "-" && r.Benchfmt == "-" {
		return Usage(errors.New("--json - and --benchfmt -: only one of them can go to standard output"))
	}
	return CheckOutputs(r.JSON, r.Benchfmt)
}

// Messages returns the writer for messages, see [Talk].
func (r *Results) Messages(cmd *cobra.Command) io.Writer { return Talk(cmd, r.JSON, r.Benchfmt) }
