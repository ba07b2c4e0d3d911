package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/reports"
)

func reportCommand() *cobra.Command {
	var output outputFlags
	var id int64
	cmd := &cobra.Command{
		Use: "report", Args: cobra.NoArgs,
		Short: "Show a recorded run again, from the history",
		Long: `Renders the HTML report of a recorded run, the latest by default, and prints its
summary. Nothing is measured and no verdict is made anew.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := findProject()
			if err != nil {
				return fault(err)
			}
			ctx := cmd.Context()
			history, err := reports.OpenHistory(ctx, p.path(output.db, ".flujo/history.db"))
			if err != nil {
				return fault(err)
			}
			defer history.Close()
			earlier, err := history.Latest(ctx, 200)
			if err != nil {
				return fault(err)
			}
			if len(earlier) == 0 {
				return fault(errors.New("the history has no run yet: make one with flujo-harness run"))
			}
			r := earlier[0]
			if id != 0 {
				chosen, err := history.Load(ctx, id)
				if err != nil {
					return fault(err)
				}
				r = *chosen
			}
			page, err := reports.WriteReport(p.path(output.out, "reports/out"), r, earlier)
			if err != nil {
				return fault(err)
			}
			for _, line := range reports.Summary(r, reports.Previous(r, earlier), short(page)) {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			return nil
		},
	}
	output.register(cmd)
	cmd.Flags().Int64Var(&id, "run", 0, "number of the run (default the latest)")
	return cmd
}
