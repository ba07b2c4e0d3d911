package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness"
)

// sessionCommand is what the program starts itself as for each session: not for people.
func sessionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "session", Hidden: true, Args: cobra.NoArgs,
		Short: "Run one measurement session: order as JSON on standard input, result on standard output",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := harness.ServeSession(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout()); err != nil {
				return fault(err)
			}
			return nil
		},
	}
}

// sessions runs every session in a fresh process, of this program or of the suite
// that has the workload. It returns the path of that program, too.
func (p project) sessions(spec harness.Spec) (run harness.Runner, program string, err error) {
	if spec.Suite != "" {
		program = p.program(spec.Suite)
		return harness.ExecTest(program, filepath.Join(p.root, filepath.FromSlash(spec.Suite)), spec.Workload), program, nil
	}
	if program, err = os.Executable(); err != nil {
		return nil, "", fmt.Errorf("find this program, to run sessions in processes of their own: %w", err)
	}
	return harness.Exec(program, "session"), program, nil
}
