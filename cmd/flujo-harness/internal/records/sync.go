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
		Short: "Send runs to a shared store, and take in those of others",
		Long: `Sends the runs that the store does not have and takes in those that the history does not
have, without their secrets. A run is an object that is never overwritten: jobs at once lose
nothing. Runs that were pruned here are not taken in again. An object that is damaged or is no
run is named and passed over, exit 3.

` + storeTable,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sendOnly && takeOnly {
				return cli.Usage(errors.New("history sync: --send-only and --take-only together do nothing: leave one out"))
			}
			p, s, err := shared.MustOpen(cmd.Context(), "history sync")
			if err != nil {
				return err
			}
			defer s.Close()
			h, err := history.Open(cmd.Context(), p.Path(*db, ".flujo/history.db"))
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
			fmt.Fprintf(cmd.OutOrStdout(), "%d sent, %d taken\n", done.Sent, done.Taken)
			if err != nil {
				return cli.Fault(err)
			}
			return passedOver(cmd.OutOrStdout(), done.Refused)
		},
	}
	shared.Register(cmd)
	cmd.Flags().BoolVar(&sendOnly, "send-only", false, "send, and take nothing in")
	cmd.Flags().BoolVar(&takeOnly, "take-only", false, "take in, and send nothing")
	return cmd
}

// storeTable describes the stores.
const storeTable = `The stores:

  git:REMOTE              a remote of the clone, such as git:origin, or its address. Each run is
                          a ref of its own below refs/flujo/runs; nothing has to be set up, and
                          clones do not fetch them.
  file:///FOLDER          a folder that the machines share
  postgres://HOST/NAME    a table of a database, which is made; ?repository=NAME keeps several
                          histories apart
  s3:// gs:// azblob://   buckets; they need the program flujo-harness-buckets next to this one or
                          in PATH: go install .../cmd/flujo-harness-buckets@latest

What an address has of a password is printed nowhere; in FLUJO_STORE it is in no command line
either.`

func historyCompactCommand() *cobra.Command {
	var shared StoreFlags
	var olderThan string
	cmd := &cobra.Command{
		Use: "compact", Args: cobra.NoArgs,
		Example: `  flujo-harness history compact --store git:origin`,
		Short:   "Join the old runs of a shared store to few objects",
		Long: `Joins the objects of runs that started longer ago than --older-than to packs, reads each
pack back, and deletes the objects that are in it. No run is lost or changed, whatever other
machines do at the same time; they may compact, too. Objects that cannot be used are named and
stay, exit 3.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := parseAge(olderThan)
			if err != nil {
				return cli.Usage(err)
			}
			_, s, err := shared.MustOpen(cmd.Context(), "history compact")
			if err != nil {
				return err
			}
			defer s.Close()
			done, err := runs.Compact(cmd.Context(), s, time.Now().Add(-age))
			fmt.Fprintf(cmd.OutOrStdout(), "%s joined to %s\n", cli.Plural(int64(done.Joined), "run"), cli.Plural(int64(done.Packs), "pack"))
			if err != nil {
				return cli.Fault(err)
			}
			return passedOver(cmd.OutOrStdout(), done.Refused)
		},
	}
	shared.Register(cmd)
	cmd.Flags().StringVar(&olderThan, "older-than", "7d", `join runs that started longer ago: "90d", "36h"`)
	return cmd
}

// MustOpen opens the store of a command that is for nothing else.
func (f *StoreFlags) MustOpen(ctx context.Context, command string) (project.Project, runs.Store, error) {
	if f.Named() == "" {
		return project.Project{}, nil, cli.Usage(fmt.Errorf("%s: name the store with --store or FLUJO_STORE: %s", command, runs.Addresses()))
	}
	p, err := project.Find()
	if err != nil {
		return p, nil, cli.Fault(err)
	}
	s, err := runs.Open(ctx, f.Named(), runs.Options{Dir: p.Root})
	if wrong := new(runs.AddressError); errors.As(err, &wrong) {
		return p, nil, cli.Usage(err)
	}
	if err != nil {
		return p, nil, cli.Fault(err)
	}
	return p, s, nil
}

// passedOver names what could not be used.
func passedOver(out io.Writer, refused []error) error {
	for _, bad := range refused {
		fmt.Fprintln(out, reports.Visible("passed over: "+bad.Error()))
	}
	if len(refused) > 0 {
		return cli.Fault(fmt.Errorf("%s cannot be used", cli.Plural(int64(len(refused)), "object")))
	}
	return nil
}
