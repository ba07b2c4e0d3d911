// Package complete provides shell completion of flags and arguments, and writes the manual pages.
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

// values returns the possible values, or none if they cannot be determined.
type values func(cmd *cobra.Command) []string

func fixed(all ...string) values { return func(*cobra.Command) []string { return all } }

// Values registers the completions of flags, by the name of the flag, and of arguments, by the
// command.
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
			if cmd.LocalFlags().Lookup(name) == nil || name == "suite" && cmd.Name() != "add" { // for other commands, --suite is a package
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

// each calls f for cmd and all commands below it.
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

// offer returns a completion function for the values that begin with the typed text.
func offer(of values) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) (some []string, _ cobra.ShellCompDirective) {
		for _, v := range of(cmd) {
			if strings.HasPrefix(v, typed) && v == reports.Visible(v) { // names with control characters are not offered
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

// revisions returns the branches and tags in the repository, newest first.
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

const maxSpecs = 1000 // maximum number of offered specs

// specs returns the names of the specs of the newest run, failed ones first.
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

// newest returns the specs of the newest run of the history that --db names. It does not create a
// history.
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
	lines, err := h.LinesOfTests(cmd.Context(), 20)
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

// ManCommand returns the command that writes the manual pages. date is the date in the pages:
// that of the program, so that the output is reproducible.
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
