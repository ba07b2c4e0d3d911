// Package complete gives the values that a shell offers for flags and arguments, and writes the
// manual pages.
package complete

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports"
)

// values are what there is to choose from. What cannot be found out is not offered.
type values func(cmd *cobra.Command) []string

func fixed(all ...string) values { return func(*cobra.Command) []string { return all } }

// Values registers what a shell offers: for flags of all commands by their name, for arguments by
// the command.
func Values(root *cobra.Command) error {
	flags := map[string]values{
		"workload": workloads, "durability": fixed("process", "power"), "judge": fixed("time", "instructions", "counts"),
		"against": revisions, "limits-from": revisions, "good": revisions, "bad": revisions,
		"comment": fixed("github", "gitlab"), "annotations": fixed("github", "none"), "suite": suites,
	}
	folders := []string{"limits", "out", "outbox"}
	arguments := map[string]values{"bisect": specs, "quarantine add": specs, "compare": revisions}
	return each(root, func(cmd *cobra.Command) error {
		for name, of := range flags {
			if cmd.LocalFlags().Lookup(name) == nil || name == "suite" && cmd.Name() != "add" { // else it is a package
				continue
			}
			if err := cmd.RegisterFlagCompletionFunc(name, offer(of)); err != nil {
				return err
			}
		}
		for _, name := range folders {
			if cmd.LocalFlags().Lookup(name) != nil {
				if err := cmd.MarkFlagDirname(name); err != nil {
					return err
				}
			}
		}
		if of, ok := arguments[strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")]; ok {
			cmd.ValidArgsFunction = offer(of)
		}
		return nil
	})
}

// each calls f with all commands.
func each(cmd *cobra.Command, f func(*cobra.Command) error) error {
	if err := f(cmd); err != nil {
		return err
	}
	for _, c := range cmd.Commands() {
		if err := each(c, f); err != nil {
			return err
		}
	}
	return nil
}

// offer gives those values that begin with what was typed.
func offer(of values) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) (some []string, _ cobra.ShellCompDirective) {
		for _, v := range of(cmd) {
			if strings.HasPrefix(v, typed) && v == reports.Visible(v) { // a name that acts on a screen is typed by nobody
				some = append(some, v)
			}
		}
		return some, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func workloads(*cobra.Command) []string {
	all, err := harness.Workloads()
	if err != nil {
		return nil
	}
	names := []string{"all"}
	for _, w := range all {
		names = append(names, w.Name)
	}
	return names
}

// revisions are the branches and tags that git knows, the newest first.
func revisions(cmd *cobra.Command) []string {
	p, err := project.Find()
	if err != nil {
		return nil
	}
	out, err := p.Git(cmd.Context(), "for-each-ref", "--sort=-committerdate", "--count=200", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes")
	if err != nil {
		return nil
	}
	return strings.Fields(out)
}

const maxSpecs = 1000 // offered

// specs are those of the newest run, the failed first.
func specs(cmd *cobra.Command) (names []string) {
	all := newest(cmd)
	slices.SortStableFunc(all, func(a, b reports.Spec) int { return rank(a) - rank(b) })
	for i := range all[:min(len(all), maxSpecs)] {
		names = append(names, all[i].Name())
	}
	return names
}

func rank(s reports.Spec) int {
	if s.State == reports.Failed {
		return 0
	}
	return 1
}

func suites(cmd *cobra.Command) (names []string) {
	for _, s := range newest(cmd) {
		names = append(names, s.Suite)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// newest are the specs of the newest run of the history that --db names. A history that is not
// there is not made.
func newest(cmd *cobra.Command) []reports.Spec {
	p, err := project.Find()
	if err != nil {
		return nil
	}
	db := ""
	if f := cmd.Flags().Lookup("db"); f != nil {
		db = f.Value.String()
	}
	h, err := records.OpenRecorded(cmd.Context(), p.History(db))
	if err != nil {
		return nil
	}
	defer h.Close()
	lines, _, err := h.Lines(cmd.Context(), 20)
	if err != nil {
		return nil
	}
	for _, line := range lines {
		if !line.Rated {
			continue
		}
		if run, err := h.Load(cmd.Context(), line.ID); err == nil && run.Suites != nil {
			return run.Suites.Specs
		}
	}
	return nil
}

// ManCommand writes the manual pages. date is of the program; it stands in the pages, so that the
// same program writes the same.
func ManCommand(date time.Time) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Args: cobra.ExactArgs(1),
		Short: "Write the manual pages of all commands",
		Long: `Writes a manual page for each command into a folder, which is created if it does not exist. The
pages are for packages of the program and for man -l. Completion scripts for shells are written by:
flujo-harness completion bash|zsh|fish|powershell.`,
		Example: `  flujo-harness man /usr/local/share/man/man1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return cli.Usage(fmt.Errorf("write the manual pages: %w: name another folder", err))
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			head := &doc.GenManHeader{Section: "1", Source: root.Name() + " " + root.Version, Manual: root.Name(), Date: &date}
			if err := doc.GenManTree(root, head, dir); err != nil {
				return cli.Fault(fmt.Errorf("write the manual pages: %w", err))
			}
			pages, err := filepath.Glob(filepath.Join(dir, root.Name()+"*.1"))
			if err != nil {
				return cli.Fault(err)
			}
			return cli.Print(cmd.OutOrStdout(), fmt.Sprintf("%d pages are in %s: man -l %s\n", len(pages), dir, child.ShellLine(filepath.Join(dir, root.Name()+".1"))))
		},
	}
}
