package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	runs "github.com/flujo/flujo-harness/reports/store"
	_ "github.com/flujo/flujo-harness/reports/store/postgres"
)

func historyMergeCommand(db *string) *cobra.Command {
	return &cobra.Command{
		Use: "merge OTHER.db...", Args: cobra.MinimumNArgs(1),
		Short: "Take in the runs of other histories, each run once",
		Long: `Appends the runs of other history databases that this one does not have, and makes it where
it is missing. The order changes nothing, and doing it again adds nothing. The others stay as
they are.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			var others []*history.History
			for _, path := range args { // all are opened before anything is written
				other, err := openRecorded(cmd.Context(), path)
				if err != nil {
					return cli.Fault(err)
				}
				defer other.Close()
				others = append(others, other)
			}
			h, err := history.Open(cmd.Context(), p.Path(*db, ".flujo/history.db"))
			if err != nil {
				return cli.Fault(err)
			}
			defer h.Close()
			for i, other := range others {
				taken, known, err := h.Merge(cmd.Context(), other)
				fmt.Fprintln(cmd.OutOrStdout(), reports.Visible(fmt.Sprintf("%s: %d taken, %d known", harness.ShortPath(args[i]), taken, known)))
				if err != nil {
					return cli.Fault(fmt.Errorf("merge %s: %w", args[i], err))
				}
			}
			return nil
		},
	}
}

func historySyncCommand(db *string) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use: "sync", Args: cobra.NoArgs,
		Short: "Send runs to a shared store, and take in those of others",
		Long: `Sends the runs that the store does not have and takes in those that the history does not
have, without their secrets. A run is an object that is never overwritten: jobs at once lose
nothing. The store is file:///FOLDER, a folder that the machines share. An object that is damaged
or is no run is named and passed over, exit 3.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if address == "" {
				address = os.Getenv("FLUJO_STORE")
			}
			if address == "" {
				return cli.Usage(fmt.Errorf("history sync: name the store with --store file:///FOLDER or FLUJO_STORE"))
			}
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			s, err := runs.Open(cmd.Context(), address, runs.Options{Dir: p.Root})
			if wrong := new(runs.AddressError); errors.As(err, &wrong) {
				return cli.Usage(err)
			}
			if err != nil {
				return cli.Fault(err)
			}
			defer s.Close()
			h, err := history.Open(cmd.Context(), p.Path(*db, ".flujo/history.db"))
			if err != nil {
				return cli.Fault(err)
			}
			defer h.Close()
			done, err := runs.Sync(cmd.Context(), h, s)
			fmt.Fprintf(cmd.OutOrStdout(), "%d sent, %d taken\n", done.Sent, done.Taken)
			if err != nil {
				return cli.Fault(err)
			}
			for _, bad := range done.Refused {
				fmt.Fprintln(cmd.OutOrStdout(), reports.Visible("passed over: "+bad.Error()))
			}
			if len(done.Refused) > 0 {
				return cli.Fault(fmt.Errorf("%s of the store cannot be used", cli.Plural(int64(len(done.Refused)), "object")))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "store", "", "address of the store: file:///FOLDER (default $FLUJO_STORE)")
	return cmd
}
