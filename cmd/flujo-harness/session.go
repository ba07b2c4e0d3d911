package main

import (
	"fmt"
	"os"

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

// sessions runs every session in a fresh process of this program.
func sessions() (harness.Runner, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to run sessions in processes of their own: %w", err)
	}
	return harness.Exec(exe, "session"), nil
}
