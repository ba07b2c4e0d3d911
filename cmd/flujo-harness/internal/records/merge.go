package records

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	runs "github.com/flujo/flujo-harness/reports/store"
)

func historyMergeCommand(db *string) *cobra.Command {
	return &cobra.Command{
		Use: "merge OTHER.db|FOLDER...", Args: cobra.MinimumNArgs(1),
		Example: `  flujo-harness history merge laptop.db ci/*.db`,
		Short:   "Take in the runs of other histories, each run once",
		Long: `Appends the runs of other history databases that this one does not have, and makes it where
it is missing. The order changes nothing, and doing it again adds nothing. The others stay as
they are.

A FOLDER is one of run --outbox. What is no run there is named and passed over, exit 3. In a
workflow of GitHub Actions that is started by workflow_run, the runs of a folder are those of a
job that ran the code of a change, perhaps of a fork: commit, branch, pull request and fork are
those of the event, whatever the runs say, and a run of a fork is no baseline for others.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			m := merging{project: p, ci: project.CIIdentity(os.Getenv)}
			defer m.close()
			for _, path := range args { // all are opened before anything is written
				if err := m.open(cmd.Context(), path); err != nil {
					return cli.Fault(err)
				}
			}
			h, err := history.Open(cmd.Context(), p.Path(*db, ".flujo/history.db"))
			if err != nil {
				return cli.Fault(err)
			}
			defer h.Close()
			for _, from := range m.sources {
				taken, known, err := from.merge(cmd.Context(), h)
				fmt.Fprintln(cmd.OutOrStdout(), reports.Visible(fmt.Sprintf("%s: %d taken, %d known", harness.ShortPath(from.path), taken, known)))
				if err != nil {
					return cli.Fault(fmt.Errorf("merge %s: %w", from.path, err))
				}
			}
			return passedOver(cmd.OutOrStdout(), m.refused)
		},
	}
}

// merging is one call of the command.
type merging struct {
	project project.Project
	ci      project.CIRun
	sources []source
	opened  []*history.History
	refused []error
}

// source is a database or a folder to take runs from.
type source struct {
	path  string
	merge func(context.Context, *history.History) (taken, known int, err error)
}

func (m *merging) close() {
	for _, h := range m.opened {
		_ = h.Close() // it was only read
	}
}

func (m *merging) open(ctx context.Context, path string) error {
	if !project.IsDir(path) {
		other, err := OpenRecorded(ctx, path)
		if err != nil {
			return err
		}
		m.opened = append(m.opened, other)
		m.sources = append(m.sources, source{path, func(ctx context.Context, h *history.History) (int, int, error) { return h.Merge(ctx, other) }})
		return nil
	}
	folder, err := runs.OpenFolder(path)
	if err != nil {
		return err
	}
	m.sources = append(m.sources, source{path, func(ctx context.Context, h *history.History) (int, int, error) { return m.folder(ctx, h, folder) }})
	return nil
}

// maxStamped is the most runs that are taken for one event: a matrix has fewer jobs.
const maxStamped = 256

// folder takes the runs of a folder, whose objects may be anybody's.
func (m *merging) folder(ctx context.Context, h *history.History, folder *runs.Folder) (taken, known int, err error) {
	for name, err := range folder.List(ctx) {
		if err != nil {
			return taken, known, err
		}
		if m.ci.OnBehalf && taken+known == maxStamped {
			return taken, known, fmt.Errorf("there are more than %d runs, which no workflow makes: nothing more is taken", maxStamped)
		}
		added, err := m.one(ctx, h, folder, name)
		switch bad := new(runs.ObjectError); {
		case errors.As(err, &bad):
			m.refused = append(m.refused, err)
		case err != nil:
			return taken, known, err
		case added.Known:
			known++
		default:
			taken++
		}
	}
	return taken, known, nil
}

func (m *merging) one(ctx context.Context, h *history.History, folder *runs.Folder, name string) (history.Appended, error) {
	object, err := folder.Get(ctx, name)
	if err != nil {
		return history.Appended{}, err
	}
	r, err := runs.Decode(name, object)
	if err != nil {
		return history.Appended{}, err
	}
	if m.ci.OnBehalf {
		if r.Started.After(time.Now().Add(time.Hour)) { // it would be the newest for long
			return history.Appended{}, &runs.ObjectError{Name: name, Err: fmt.Errorf("it started in the future, %v", r.Started)}
		}
		m.project.Stamp(ctx, &r, m.ci)
	}
	added, err := h.Append(ctx, r)
	if err != nil && !history.OfFile(err) {
		err = &runs.ObjectError{Name: name, Err: err}
	}
	return added, err
}
