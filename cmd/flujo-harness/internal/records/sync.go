package records

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	runs "github.com/flujo/flujo-harness/reports/store"
)

func historySyncCommand(db *string) *cobra.Command {
	var shared StoreFlags
	var sendOnly, takeOnly bool
	cmd := &cobra.Command{
		Use: "sync", Args: cobra.NoArgs,
		Example: `  flujo-harness history sync --store git:origin
  flujo-harness history sync --store file:///mnt/runs --take-only`,
		Short: "Exchange runs with a shared store",
		Long: `Sends the runs that the store lacks, with secrets removed, and adds those that the history
lacks. A run is an object that is never overwritten, so concurrent jobs lose nothing. Runs that
were pruned here are not added again. Objects that are damaged or not runs are reported and
skipped, with exit code 3.

` + storeTable,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sendOnly && takeOnly {
				return cli.Usage(errors.New("history sync: --send-only and --take-only exclude each other: use one of them"))
			}
			p, s, err := shared.open(cmd.Context(), "history sync")
			if err != nil {
				return err
			}
			defer s.Close()
			h, err := history.Open(cmd.Context(), p.History(*db))
			if err != nil {
				return cli.Fault(err)
			}
			defer h.Close()
			var done runs.Synced
			switch {
			case sendOnly:
				done.Sent, err = runs.NewSyncer(h, s).Push(cmd.Context())
			case takeOnly:
				done.Taken, done.Refused, err = runs.NewSyncer(h, s).Pull(cmd.Context())
			default:
				done, err = runs.Sync(cmd.Context(), h, s)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d sent, %d received\n", done.Sent, done.Taken)
			if err != nil {
				return cli.Fault(err)
			}
			return reportSkipped(cmd.OutOrStdout(), done.Refused)
		},
	}
	shared.Register(cmd)
	cmd.Flags().BoolVar(&sendOnly, "send-only", false, "send runs, but receive none")
	cmd.Flags().BoolVar(&takeOnly, "take-only", false, "receive runs, but send none")
	return cmd
}

// storeTable describes the stores.
const storeTable = `The stores:

  git:REMOTE              a remote of the clone, such as git:origin, or its address. Each run is
                          a separate ref under refs/flujo/runs, which clones do not fetch. No
                          setup is needed.
  file:///FOLDER          a folder that the machines share
  postgres://HOST/NAME    a table of a database, which is created; ?repository=NAME separates
                          histories in one database
  s3:// gs:// azblob://   buckets; they need the program flujo-harness-buckets next to this one or
                          in PATH: go install .../cmd/flujo-harness-buckets@latest

Passwords in an address are never printed. In FLUJO_STORE they do not appear in process lists
either.`

func historyCompactCommand() *cobra.Command {
	var shared StoreFlags
	var olderThan string
	cmd := &cobra.Command{
		Use: "compact", Args: cobra.NoArgs,
		Example: `  flujo-harness history compact --store git:origin`,
		Short:   "Combine the old runs of a shared store into packs",
		Long: `Combines the objects of runs that started longer ago than --older-than into packs, reads each
pack back, and deletes the objects in it. No run is lost or changed, whatever other machines do
at the same time, including compact. Invalid objects are reported and kept, with exit code 3.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := parseAge(olderThan)
			if err != nil {
				return cli.Usage(err)
			}
			_, s, err := shared.open(cmd.Context(), "history compact")
			if err != nil {
				return err
			}
			defer s.Close()
			done, err := runs.Compact(cmd.Context(), s, time.Now().Add(-age))
			fmt.Fprintf(cmd.OutOrStdout(), "%s combined into %s\n", cli.Plural(int64(done.Joined), "run"), cli.Plural(int64(done.Packs), "pack"))
			if err != nil {
				return cli.Fault(err)
			}
			return reportSkipped(cmd.OutOrStdout(), done.Refused)
		},
	}
	shared.Register(cmd)
	cmd.Flags().StringVar(&olderThan, "older-than", "7d", `combine runs that started longer ago: "90d", "36h"`)
	return cmd
}

// open opens the store for a command that cannot do anything without one.
func (f *StoreFlags) open(ctx context.Context, command string) (project.Project, runs.Store, error) {
	if f.Address() == "" {
		return project.Project{}, nil, cli.Usage(fmt.Errorf("%s: name a store with --store or FLUJO_STORE: %s", command, runs.Addresses()))
	}
	p, err := project.Find()
	if err != nil {
		return p, nil, cli.Fault(err)
	}
	s, err := runs.Open(ctx, f.Address(), runs.Options{Dir: p.Root})
	if wrong := new(runs.AddressError); errors.As(err, &wrong) {
		return p, nil, cli.Usage(err)
	}
	if err != nil {
		return p, nil, cli.Fault(err)
	}
	return p, s, nil
}

// reportSkipped prints the invalid objects; if there are any, the command is a harness fault.
func reportSkipped(out io.Writer, refused []error) error {
	for _, bad := range refused {
		fmt.Fprintln(out, reports.Visible("skipped: "+bad.Error()))
	}
	if len(refused) > 0 {
		return cli.Fault(fmt.Errorf("skipped %s", cli.Plural(int64(len(refused)), "invalid object")))
	}
	return nil
}
