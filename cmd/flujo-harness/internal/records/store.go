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
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	runs "github.com/flujo/flujo-harness/reports/store"
	_ "github.com/flujo/flujo-harness/reports/store/postgres"
)

// storePatience is how long a command other than "history sync" waits for a shared store, each
// way: the run is more important.
const storePatience = time.Minute

// StoreFlags name the store that a command shares with other machines.
type StoreFlags struct {
	address string
	Outbox  string // folder for the object of a run that is not to be sent; "": it is sent
}

func (f *StoreFlags) Register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.address, "store", "", "store of runs that machines share: "+runs.Addresses()+" (default $FLUJO_STORE)")
}

// RegisterOutbox is for the commands that make a run.
func (f *StoreFlags) RegisterOutbox(cmd *cobra.Command) {
	f.Register(cmd)
	cmd.Flags().StringVar(&f.Outbox, "outbox", "", "write the run into this folder in place of sending it, for a job that may: history merge FOLDER takes it in there")
}

// Named is the address, of the flag or the environment; "": none.
func (f *StoreFlags) Named() string { return cmp.Or(f.address, os.Getenv("FLUJO_STORE")) }

// Shared is a history with its store. A store out of reach is no error: the methods do nothing,
// and lines says so. The methods of nil, where no store was named, do nothing.
type Shared struct {
	address string
	outbox  string
	history *history.History
	store   runs.Store // nil: out of reach
	syncer  *runs.Syncer

	Newest  int64 // run that was here before any was taken; 0: none
	taken   int
	sent    int
	pushed  bool
	kept    string // why the run was not sent, where that is on purpose
	problem error  // why the store was not reached
	refused []error
}

// Connect opens the store. Its error is of the address, which is the user's mistake.
func (f *StoreFlags) Connect(ctx context.Context, p project.Project, h *history.History) (*Shared, error) {
	if f.Named() == "" && f.Outbox == "" {
		return nil, nil
	}
	s := &Shared{address: f.Named(), outbox: f.Outbox, history: h}
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

func (s *Shared) Close() {
	if s != nil && s.store != nil {
		_ = s.store.Close() // nothing depends on it
	}
}

// Pull takes the runs of others.
func (s *Shared) Pull(ctx context.Context) {
	if s == nil || s.store == nil {
		return
	}
	lines, _, err := s.history.Lines(ctx, 1)
	if err != nil {
		s.problem = err
		return
	}
	if len(lines) > 0 && s.Newest == 0 {
		s.Newest = lines[0].ID
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	var taken int
	taken, s.refused, s.problem = s.syncer.Pull(ctx)
	s.taken += taken
}

// Push sends the runs that the store does not have, or writes the run r to the outbox. A run of a
// fork is never sent: what its job says may be anybody's.
func (s *Shared) Push(ctx context.Context, r reports.Run) {
	switch {
	case s == nil:
	case s.outbox != "":
		s.kept = "the run is in " + harness.ShortPath(s.outbox)
		if err := toFolder(ctx, s.outbox, r); err != nil {
			s.kept, s.problem = "", fmt.Errorf("write the run to %s: %w", s.outbox, err)
		}
	case r.Origin.Fork:
		s.kept = "a run of a fork is not sent: keep it with --outbox, and take it in by a workflow of the base"
	case s.store != nil && s.problem == nil:
		ctx, cancel := context.WithTimeout(ctx, storePatience)
		defer cancel()
		sent, err := s.syncer.Push(ctx)
		s.sent, s.problem, s.pushed = s.sent+sent, err, true
	}
}

// toFolder writes the object of a run.
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

// OutOfReach is what a report must say of the store: that runs of others may be missing. "" where
// they are here.
func (s *Shared) OutOfReach() string {
	if s == nil || s.problem == nil || s.pushed {
		return ""
	}
	return fmt.Sprintf("%s is out of reach: compared only with the runs that are here (%v)", runs.Shown(s.address), s.problem)
}

// Lines say what became of the runs of both sides.
func (s *Shared) Lines() (lines []string) {
	if s == nil {
		return nil
	}
	name := "outbox"
	if s.address != "" {
		name = "store " + runs.Shown(s.address)
	}
	say := func(format string, args ...any) {
		lines = append(lines, reports.Visible(name+": "+fmt.Sprintf(format, args...)))
	}
	switch {
	case s.problem != nil && s.pushed:
		say("%d taken; not all could be sent: they are kept here and sent the next time (%v)", s.taken, s.problem)
	case s.problem != nil:
		say("out of reach: compared only with the runs that are here; what is new here is sent the next time (%v)", s.problem)
	case s.pushed:
		say("%d taken, %d sent", s.taken, s.sent)
	case s.store != nil:
		say("%d taken", s.taken)
	}
	if s.kept != "" {
		say("%s", s.kept)
	}
	if len(s.refused) > 0 {
		say("%s cannot be used, the first: %v", cli.Plural(int64(len(s.refused)), "object"), s.refused[0])
	}
	return lines
}

func (s *Shared) Say(out io.Writer) {
	for _, line := range s.Lines() {
		fmt.Fprintln(out, line)
	}
}

// OpenShared opens the history of a command that only reads it, and takes in the runs of others.
// Without a store the history must be there; with one it is made.
func (f *StoreFlags) OpenShared(ctx context.Context, p project.Project, path string) (*history.History, *Shared, error) {
	if f.Named() == "" {
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

// KeepPulling takes the runs of others again and again, until ctx ends or stop is called, which
// also closes the store. It prints a line where that fails, or works again.
func (s *Shared) KeepPulling(ctx context.Context, every time.Duration, out io.Writer) (stop func()) {
	if s == nil || s.store == nil {
		s.Say(out)
		return s.Close
	}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for said := ""; ; {
			if line := strings.Join(s.Lines(), "\n"); (s.problem != nil || said != "") && line != said {
				fmt.Fprintln(out, line)
				if said = line; s.problem == nil {
					said = ""
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
