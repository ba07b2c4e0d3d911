package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports/history"
)

// outputFlags name the history and the folder of the report.
type outputFlags struct {
	db  string
	out string
}

func (f *outputFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.db, "db", "", "history database (default .flujo/history.db of the module)")
	cmd.Flags().StringVar(&f.out, "out", "", "folder of the HTML report (default .flujo/report of the module)")
}

// check returns an error if the outputs would go to a module that is not writable.
func (f *outputFlags) check(p project.Project) error {
	var missing []string
	if f.db == "" {
		missing = append(missing, "--db FILE")
	}
	if f.out == "" {
		missing = append(missing, "--out FOLDER")
	}
	return needWritable(p, missing)
}

// needWritable returns an error that names the missing flags if the module, to which outputs go
// without them, is not writable.
func needWritable(p project.Project, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	dir, err := workdir.Folder(p.Root)
	if err == nil {
		err = workdir.Writable(dir)
	}
	if err != nil {
		return cli.Usage(fmt.Errorf("results are kept in the folder .flujo of the module, which cannot be written to: %w: name a place elsewhere: %s", err, strings.Join(missing, " and ")))
	}
	return nil
}

// open opens the history and creates the folder of the report.
func (f *outputFlags) open(ctx context.Context, p project.Project) (h *history.History, out string, err error) {
	out = p.Path(f.out, ".flujo/report")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, "", fmt.Errorf("make the folder of the report: %w", err)
	}
	h, err = history.Open(ctx, p.History(f.db))
	return h, out, err
}
