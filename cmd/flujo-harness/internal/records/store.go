package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	runs "github.com/flujo/flujo-harness/reports/store"
	_ "github.com/flujo/flujo-harness/reports/store/postgres"
)

// storePatience is how long commands other than history sync wait for a shared store, once for
// pulling and once for pushing. A store that does not respond must not fail a run.
const storePatience = time.Minute

// StoreFlags are the flags that select a store of runs shared with other machines.
type StoreFlags struct {
	address string
	Outbox  string // folder to write the run to in place of sending it; empty to send it
}

// Register adds the flag --store to a command.
func (f *StoreFlags) Register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.address, "store", "", "store of runs shared between machines: "+runs.Addresses()+" (default $FLUJO_STORE)")
}

// RegisterOutbox adds --store and --outbox to a command that records a run.
func (f *StoreFlags) RegisterOutbox(cmd *cobra.Command) {
	f.Register(cmd)
	cmd.Flags().StringVar(&f.Outbox, "outbox", "", "write the run to this folder in place of sending it; a later job with access to the store adds it with history merge FOLDER")
}

// StoreAt returns flags as if an address had been given.
func StoreAt(address string) *StoreFlags { return &StoreFlags{address: address} }

// Address returns the store's address from the flag or from FLUJO_STORE, or "" if there is none.
func (f *StoreFlags) Address() string { return cmp.Or(f.address, os.Getenv("FLUJO_STORE")) }

// Shared is a history together with its store. An unreachable store is not an error: the methods
// do nothing, and Lines reports it. A nil *Shared means that no store is in use; its methods do
// nothing.
type Shared struct {
	address string
	outbox  string
	history *history.History
	store   runs.Store // nil if unreachable
	syncer  *runs.Syncer

	Newest  int64 // newest local run before the first pull; 0 if there was none
	tests   int64 // as Newest, without runs that only measured; Newest if there was none
	taken   int
	sent    int
	pushed  bool
	kept    string // why the run was deliberately not sent
	problem error  // error of the last access to the store
	refused []error
}

// Connect opens the store. Its error reports an invalid address; an unreachable store is not an
// error. It returns nil if neither a store nor an outbox is in use.
func (f *StoreFlags) Connect(ctx context.Context, p project.Project, h *history.History) (*Shared, error) {
	if f.Address() == "" && f.Outbox == "" {
		return nil, nil
	}
	s := &Shared{address: f.Address(), outbox: f.Outbox, history: h}
	if s.address == "" {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	opened, err := runs.Open(ctx, s.address, runs.Options{Dir: p.Root})
	if wrong := new(runs.AddressError); errors.As(err, &wrong) {
		return nil, cli.Usage(err)
	}
	if s.problem = err; err == nil {
		s.store, s.syncer = opened, runs.NewSyncer(h, opened)
	}
	return s, nil
}

// Close closes the store, but not the history.
func (s *Shared) Close() {
	if s != nil && s.store != nil {
		_ = s.store.Close() // every write was acknowledged before
	}
}

// Pull adds the runs of other machines to the history.
func (s *Shared) Pull(ctx context.Context) {
	if s == nil || s.store == nil {
		return
	}
	newest, tests, err := newestRuns(ctx, s.history)
	if err != nil {
		s.problem = err
		return
	}
	if s.Newest == 0 {
		s.Newest, s.tests = newest, tests
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	var taken int
	taken, s.refused, s.problem = s.syncer.Pull(ctx)
	s.taken += taken
}

// Push sends the runs that the store lacks, or writes r to the outbox. Runs of forks are never
// sent, because code of the fork could have written them.
func (s *Shared) Push(ctx context.Context, r reports.Run) {
	switch {
	case s == nil:
	case s.outbox != "":
		s.kept = "the run was written to " + workdir.ShortPath(s.outbox)
		if err := toFolder(ctx, s.outbox, r); err != nil {
			s.kept, s.problem = "", fmt.Errorf("write the run to %s: %w", s.outbox, err)
		}
	case r.Origin.Fork:
		s.kept = "runs of forks are not sent: write the run with --outbox, and add it in a workflow of the base repository"
	case s.store != nil && s.problem == nil:
		ctx, cancel := context.WithTimeout(ctx, storePatience)
		defer cancel()
		sent, err := s.syncer.Push(ctx)
		s.sent, s.problem, s.pushed = s.sent+sent, err, true
	}
}

// toFolder writes a run to a folder store.
func toFolder(ctx context.Context, dir string, r reports.Run) error {
	folder, err := runs.OpenFolder(dir)
	if err != nil {
		return err
	}
	name, object, err := runs.Encode(r)
	if err != nil {
		return err
	}
	_, err = folder.Put(ctx, name, object)
	return err
}

// OutOfReach returns the warning that runs of other machines may be missing from a report, or ""
// if the store was reached.
func (s *Shared) OutOfReach() string {
	if s == nil || s.problem == nil || s.pushed {
		return ""
	}
	return fmt.Sprintf("%s is unreachable: compared only with local runs (%v)", runs.Shown(s.address), s.problem)
}

// Lines reports the result of pulling and pushing, for the user.
func (s *Shared) Lines() (lines []string) {
	if s == nil {
		return nil
	}
	name := "outbox"
	if s.address != "" {
		name = "store " + runs.Shown(s.address)
	}
	report := func(format string, args ...any) {
		lines = append(lines, reports.Visible(name+": "+fmt.Sprintf(format, args...)))
	}
	switch {
	case s.problem != nil && s.pushed:
		report("%d received; not all local runs could be sent, the next command sends them (%v)", s.taken, s.problem)
	case s.problem != nil:
		report("unreachable: compared only with local runs; the next command sends new runs (%v)", s.problem)
	case s.pushed:
		report("%d received, %d sent", s.taken, s.sent)
	case s.store != nil:
		report("%d received", s.taken)
	}
	if s.kept != "" {
		report("%s", s.kept)
	}
	if len(s.refused) > 0 {
		report("skipped %s, the first: %v", cli.Plural(int64(len(s.refused)), "invalid object"), s.refused[0])
	}
	return lines
}

// Print writes Lines to out.
func (s *Shared) Print(out io.Writer) {
	for _, line := range s.Lines() {
		fmt.Fprintln(out, line)
	}
}

// OpenShared opens the history for a command that only reads it, and pulls the runs of other
// machines. Without a store the history must exist; with one it is created.
func (f *StoreFlags) OpenShared(ctx context.Context, p project.Project, path string) (*history.History, *Shared, error) {
	if f.Address() == "" {
		h, err := OpenRecorded(ctx, path)
		if err != nil {
			return nil, nil, cli.Fault(err)
		}
		return h, nil, nil
	}
	h, err := history.Open(ctx, path)
	if err != nil {
		return nil, nil, cli.Fault(err)
	}
	s, err := f.Connect(ctx, p, h)
	if err != nil {
		return nil, nil, errors.Join(err, h.Close())
	}
	s.Pull(ctx)
	return h, s, nil
}

// KeepPulling pulls the runs of other machines at an interval until ctx ends or stop is called.
// stop also closes the store. It prints a line when pulling starts to fail or works again.
func (s *Shared) KeepPulling(ctx context.Context, every time.Duration, out io.Writer) (stop func()) {
	if s == nil || s.store == nil {
		s.Print(out)
		return s.Close
	}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for printed := ""; ; {
			if line := strings.Join(s.Lines(), "\n"); (s.problem != nil || printed != "") && line != printed {
				fmt.Fprintln(out, line)
				if printed = line; s.problem == nil {
					printed = ""
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.Pull(ctx)
			}
		}
	})
	return func() {
		cancel()
		ended.Wait()
		s.Close()
	}
}
