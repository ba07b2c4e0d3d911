package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness/child"
)

// GuardLine returns the command line of a process that runs [GuardCommand].
func GuardLine() ([]string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to end the tests if this run is killed: %w", err)
	}
	return []string{exe, "guard"}, nil
}

// GuardCommand returns the command that the guard process runs. It is hidden from the help.
func GuardCommand() *cobra.Command {
	return &cobra.Command{
		Use: "guard", Hidden: true, Args: cobra.NoArgs,
		Short: "Read the number of a process, and kill its group when standard input ends without \"done\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := child.ServeGuard(cmd.InOrStdin()); err != nil {
				return Usage(err)
			}
			return nil
		},
	}
}
