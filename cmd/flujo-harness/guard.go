package main

import (
	"fmt"
	"os"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/spf13/cobra"
)

// guardLine is the command line of a process that runs [guardCommand].
func guardLine() ([]string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to end the tests if this run is killed: %w", err)
	}
	return []string{exe, "guard"}, nil
}

// guardCommand is the guard's side: not for people.
func guardCommand() *cobra.Command {
	return &cobra.Command{
		Use: "guard", Hidden: true, Args: cobra.NoArgs,
		Short: "Read the number of a process, and kill its group when standard input ends without \"done\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := child.ServeGuard(cmd.InOrStdin()); err != nil {
				return usage(err)
			}
			return nil
		},
	}
}
