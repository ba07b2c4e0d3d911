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
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	runs "github.com/flujo/flujo-harness/reports/store"
)

func historyMergeCommand(db *string) *cobra.Command {
	return &cobra.Command{
		Use: "merge OTHER.db|FOLDER...", Args: cobra.MinimumNArgs(1),
		Example: `  flujo-harness history merge laptop.db ci/*.db`,
		Short:   "Add the runs of other histories, each run once",
		Long: `Adds the runs of other history databases that this one lacks; creates this one if it does not
exist. The result does not depend on the order, and repeating the command adds nothing. The
other databases are not changed.

A FOLDER is one written by run --outbox. Files in it that are not valid runs are reported and
skipped, with exit code 3. In a GitHub Actions workflow triggered by workflow_run, the runs in
a folder come from a job that ran the code of a change, possibly from a fork. Their commit,
branch, pull request and fork are therefore taken from the event and not from the files, and a
run of a fork is never the baseline run of another.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			m := merging{project: p, ci: project.CIIdentity(os.Getenv)}
			defer m.close()
			for _, path := range args { // opens all of them before writing anything
				if err := m.open(cmd.Context(), path); err != nil {
					return cli.Fault(err)
				}
			}
			h, err := history.Open(cmd.Context(), p.History(*db))
			if err != nil {
				return cli.Fault(err)
			}
			defer h.Close()
			for _, from := range m.sources {
				taken, known, err := from.merge(cmd.Context(), h)
				fmt.Fprintln(cmd.OutOrStdout(), reports.Visible(fmt.Sprintf("%s: %d added, %d already known", workdir.ShortPath(from.path), taken, known)))
				if err != nil {
					return cli.Fault(fmt.Errorf("merge %s: %w", from.path, err))
				}
			}
			return reportSkipped(cmd.OutOrStdout(), m.refused)
		},
	}
}

// merging is the state of one history merge command.
type merging struct {
	project project.Project
	ci      project.CIRun
	sources []source
	opened  []*history.History
	refused []error
}

// source is a database or a folder whose runs are added.
type source struct {
	path  string
	merge func(context.Context, *history.History) (taken, known int, err error)
}

func (m *merging) close() {
	for _, h := range m.opened {
		_ = h.Close() // only read, so nothing can be lost
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

// maxStamped is the maximum number of runs accepted for one event, since the job that produced
// them is not trusted. It is the maximum number of jobs that a GitHub Actions matrix generates.
const maxStamped = 256

// folder adds the runs of a folder, whose content is not trusted.
func (m *merging) folder(ctx context.Context, h *history.History, folder *runs.Folder) (taken, known int, err error) {
	for name, err := range folder.List(ctx) {
		if err != nil {
			return taken, known, err
		}
		if m.ci.OnBehalf && taken+known == maxStamped {
			return taken, known, fmt.Errorf("the folder has more than %d runs, which no workflow produces: the others were not added", maxStamped)
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
		if r.Started.After(time.Now().Add(time.Hour)) { // it would remain the newest run until then
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
