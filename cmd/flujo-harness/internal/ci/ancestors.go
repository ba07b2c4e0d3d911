package ci

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// MaxAncestors is the maximum number of commits in the ancestry of a run. The base branch can be
// that many commits ahead of its newest recorded run.
const MaxAncestors = 100

// Git runs git in the clone and returns its standard output without surrounding space.
type Git func(ctx context.Context, args ...string) (string, error)

var commitID = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// Ancestors asks git for the commits that the tested commit can be compared with, newest first.
// branch is the branch of the change, and base the one that it is merged into, or "" if unknown.
// merged means that commit is a merge of the change into base, as CI services create it for a
// pull request; the comparison then starts at its first parent.
func Ancestors(ctx context.Context, git Git, commit, branch, base string, merged bool) reports.Ancestry {
	if !commitID.MatchString(commit) {
		return reports.Ancestry{} // a name in place of a hash
	}
	if _, err := git(ctx, "cat-file", "-e", commit+"^{commit}"); err != nil {
		return reports.Ancestry{Problem: fmt.Sprintf("commit %.12s is not in this clone", commit)}
	}
	from := firstParent(ctx, git, commit)
	onBase := merged || base == "" || branch == base
	if !onBase {
		ref := baseRef(ctx, git, base)
		if ref == "" {
			return reports.Ancestry{Problem: fmt.Sprintf("branch %s is not in this clone: git fetch origin %[1]s:refs/remotes/origin/%[1]s", base)}
		}
		at, err := git(ctx, "merge-base", commit, ref)
		switch {
		case err == nil && at != commit: // a commit that is on the base branch is compared with its parent
			from = at
		case err != nil && isShallow(ctx, git):
			return reports.Ancestry{Problem: fmt.Sprintf("the clone is shallow and does not reach the merge base with %s: git fetch --unshallow origin (on GitHub Actions: fetch-depth: 0)", base)}
		case err != nil:
			return reports.Ancestry{Problem: fmt.Sprintf("it has no commit in common with branch %s: the histories are unrelated, or %[1]s was rewritten", base)}
		}
	}
	if from == "" {
		return reports.Ancestry{}
	}
	a := reports.Ancestry{Commits: []string{short(from)}}
	if out, err := git(ctx, "rev-list", "--first-parent", fmt.Sprintf("--max-count=%d", MaxAncestors), from); err == nil {
		a.Commits = nil
		for line := range strings.Lines(out) {
			a.Commits = append(a.Commits, short(strings.TrimSpace(line)))
		}
	}
	if len(a.Commits) < MaxAncestors && isShallow(ctx, git) {
		a.Problem = fmt.Sprintf("the clone is shallow: it reaches back %d commits: git fetch --unshallow origin (on GitHub Actions: fetch-depth: 0)", len(a.Commits))
	}
	return a
}

func short(commit string) string { return commit[:min(len(commit), 12)] }

// firstParent reads the parent from the commit object, because in a shallow clone other git
// commands hide parents that are missing.
func firstParent(ctx context.Context, git Git, commit string) string {
	text, err := git(ctx, "cat-file", "commit", commit)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if parent, ok := strings.CutPrefix(strings.TrimSpace(line), "parent "); ok {
			return parent
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	return ""
}

// baseRef returns the full name of the base branch in the clone. It prefers the remote's branch,
// because the local one may be outdated.
func baseRef(ctx context.Context, git Git, base string) string {
	for _, ref := range []string{"refs/remotes/origin/" + base, "refs/heads/" + base} {
		if _, err := git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}"); err == nil {
			return ref
		}
	}
	return ""
}

// DefaultBranch returns the default branch of the remote as the clone knows it. Without one it
// returns main, master or trunk, whichever exists, or "".
func DefaultBranch(ctx context.Context, git Git) string {
	ref, err := git(ctx, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
	if name, ok := strings.CutPrefix(ref, "refs/remotes/origin/"); err == nil && ok {
		return name
	}
	for _, name := range []string{"main", "master", "trunk"} {
		if baseRef(ctx, git, name) != "" {
			return name
		}
	}
	return ""
}

func isShallow(ctx context.Context, git Git) bool {
	out, err := git(ctx, "rev-parse", "--is-shallow-repository")
	return err == nil && out == "true"
}
