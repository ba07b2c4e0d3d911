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

// Locate completes the origin of a run whose commit and branch are known: the head of a pull
// request in place of the commit that merges it, the base branch, and what it can be compared
// with. of is what CI says.
func (p Project) Locate(ctx context.Context, r *reports.Run, of CIRun) {
	o := of.origin
	o.Selection = r.Origin.Selection
	merge := o.MergeCommit
	o.MergeCommit = ""
	tested := r.Commit
	if merge != "" && r.Commit == merge && p.merges(ctx, merge, of.Commit) { // else the head itself is checked out
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

// Stamp replaces what a run says of itself by what the event of CI says: it was made by a job that
// ran the code of a change, which could write what it likes. What it says of its place in the
// matrix stays, and, where git does not know the commit here, its ancestors.
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

// merges reports whether a commit of the clone merges the head of a pull request.
func (p Project) merges(ctx context.Context, merge, head string) bool {
	text, err := p.Git(ctx, "cat-file", "commit", merge)
	if err != nil {
		return false
	}
	header, _, _ := strings.Cut(text, "\n\n")
	parents := slices.DeleteFunc(strings.Split(header, "\n"), func(line string) bool { return !strings.HasPrefix(line, "parent ") })
	return len(parents) == 2 && parents[1] == "parent "+head
}

// Platform names the system that the tests of a run are built for, where CI does not.
func Platform(o *reports.Origin) {
	if o.OS == "" {
		o.OS = runtime.GOOS
	}
	if o.Arch == "" {
		o.Arch = runtime.GOARCH
	}
	if parts := strings.SplitN(runtime.Version(), ".", 3); strings.HasPrefix(parts[0], "go1") && len(parts) > 1 {
		o.Go = parts[0] + "." + parts[1] // a patch is no other row of a matrix
	}
}

// Ancestry asks git for the ancestors of a run that does not record them.
func (p Project) Ancestry() func(context.Context, reports.Run, string) reports.Ancestry {
	return func(ctx context.Context, r reports.Run, base string) reports.Ancestry {
		commit := r.Commit
		if r.Origin.MergeCommit != "" {
			commit = r.Origin.MergeCommit
		}
		return ci.Ancestors(ctx, p.Git, commit, r.Branch, base, r.Origin.MergeCommit != "")
	}
}

// Quarantine reads the ledger of the module; an empty one where there is none.
func (p Project) Quarantine() (*quarantine.Ledger, error) {
	return quarantine.Read(p.Path("", "thresholds/quarantine.toml"))
}
