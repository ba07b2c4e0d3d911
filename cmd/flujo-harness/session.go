package main

import (
	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/harness"
)

// sessionCommand returns the hidden command that the program starts for each session.
func sessionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "session", Hidden: true, Args: cobra.NoArgs,
		Short: "Run one measurement session: order as JSON on standard input, result on standard output",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := harness.ServeSession(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout()); err != nil {
				return cli.Fault(err)
			}
			return nil
		},
	}
}
