package project

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/ci"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/quarantine"
)

// Locate completes the origin of a run whose commit and branch are known: it adds the base
// branch and the commits to compare with, and replaces CI's merge commit of a pull request by
// the head of the pull request. of describes the CI run.
func (p Project) Locate(ctx context.Context, r *reports.Run, of CIRun) {
	o := of.origin
	o.Selection = r.Origin.Selection
	merge := o.MergeCommit
	o.MergeCommit = ""
	tested := r.Commit
	if merge != "" && r.Commit == merge && p.merges(ctx, merge, of.Commit) { // otherwise the head itself is checked out
		tested, r.Commit, o.MergeCommit = merge, of.Commit, merge
	}
	if o.BaseBranch == "" {
		o.BaseBranch = ci.DefaultBranch(ctx, p.Git)
	}
	if tested != "" {
		a := ci.Ancestors(ctx, p.Git, tested, r.Branch, o.BaseBranch, o.MergeCommit != "")
		o.Ancestors, o.Problem = a.Commits, a.Problem
	}
	r.Origin = o
	p.name(ctx, r)
}

// Stamp replaces the identity that a run recorded by that of the CI event, because the job that
// recorded the run executed code of a change that is not trusted. The run keeps its coordinates
// in the matrix and, if this clone does not have the commit, its ancestors.
func (p Project) Stamp(ctx context.Context, r *reports.Run, of CIRun) {
	was := r.Origin
	r.Commit, r.Branch = of.Commit, of.Branch
	p.Locate(ctx, r, of)
	o := &r.Origin
	o.Job, o.OS, o.Arch, o.Go, o.Variant, o.Shard = was.Job, was.OS, was.Arch, was.Go, was.Variant, was.Shard
	if len(o.Ancestors) == 0 {
		o.Ancestors, o.Problem, o.MergeCommit = was.Ancestors, was.Problem, was.MergeCommit
	}
}

// merges reports whether the commit merge has two parents, the second of which is head.
func (p Project) merges(ctx context.Context, merge, head string) bool {
	text, err := p.Git(ctx, "cat-file", "commit", merge)
	if err != nil {
		return false
	}
	header, _, _ := strings.Cut(text, "\n\n")
	parents := slices.DeleteFunc(strings.Split(header, "\n"), func(line string) bool { return !strings.HasPrefix(line, "parent ") })
	return len(parents) == 2 && parents[1] == "parent "+head
}

// Platform fills in the system and the Go version that the tests are built for, unless CI
// provides them.
func Platform(o *reports.Origin) {
	if o.OS == "" {
		o.OS = runtime.GOOS
	}
	if o.Arch == "" {
		o.Arch = runtime.GOARCH
	}
	if parts := strings.SplitN(runtime.Version(), ".", 3); strings.HasPrefix(parts[0], "go1") && len(parts) > 1 {
		o.Go = parts[0] + "." + parts[1] // without the patch, which must not start a new matrix cell
	}
}

// Ancestry returns a function that asks git for the ancestors of a run without recorded ones.
func (p Project) Ancestry() func(context.Context, reports.Run, string) reports.Ancestry {
	return func(ctx context.Context, r reports.Run, base string) reports.Ancestry {
		commit := r.Commit
		if r.Origin.MergeCommit != "" {
			commit = r.Origin.MergeCommit
		}
		return ci.Ancestors(ctx, p.Git, commit, r.Branch, base, r.Origin.MergeCommit != "")
	}
}

// Quarantine reads the module's quarantine ledger. A missing file is an empty ledger.
func (p Project) Quarantine() (*quarantine.Ledger, error) {
	return quarantine.Read(p.Path("", "thresholds/quarantine.toml"))
}
