package project

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
)

// Git runs git in the folder of the project and returns its standard output without the
// spaces around it. Every call of git is made here.
func (p Project) Git(ctx context.Context, args ...string) (string, error) {
	out, err := p.gitBytes(ctx, args...)
	return strings.TrimSpace(string(out)), err
}

// gitBytes is git for output that is taken byte by byte.
//
// Replace refs and grafts are ignored: both make a commit read as another one, and both can
// be put into a clone by whoever prepares it, so that a change would be judged by limits of
// its own under the name of the base branch.
func (p Project) gitBytes(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = p.Root
	cmd.Env = append(os.Environ(), "GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE="+os.DevNull+"/none")
	out, err := child.Output(cmd)
	if err != nil {
		err = fmt.Errorf("git %s: %w", args[0], child.Explained(err))
	}
	return out, err
}

// Revision is a commit, and the name by which somebody asked for it.
type Revision struct {
	Asked  string // as it was given: "origin/main"
	ref    string // the full name of the branch or tag: "refs/remotes/origin/main"; "" where it is none
	Commit string // all digits of it
}

// String names the commit and what it was found by.
func (r Revision) String() string {
	if r.ref == "" || r.ref == r.Asked {
		return fmt.Sprintf("%s, commit %.12s", r.Asked, r.Commit)
	}
	return fmt.Sprintf("%s, which is %s, commit %.12s", r.Asked, r.ref, r.Commit)
}

// refName is what a revision begins with: the name of a ref, or an abbreviated commit.
var refName = regexp.MustCompile(`^[^~^:@{]+`)

// CommitOf resolves a revision of the project. A name that can be read in two ways is an
// error: git would take the tag before the branch, and a branch before one of a remote.
func (p Project) CommitOf(ctx context.Context, asked string) (r Revision, err error) {
	if strings.HasPrefix(asked, "-") {
		return r, errors.New("a revision cannot begin with a dash")
	}
	if _, err := p.Git(ctx, "rev-parse", "--git-dir"); err != nil {
		return r, p.noRepository(err)
	}
	commit, err := p.Git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", asked+"^{commit}")
	if err != nil {
		return r, p.noRevision(ctx, asked)
	}
	name := refName.FindString(asked)
	refs, err := p.refsNamed(ctx, name)
	if err != nil {
		return r, err
	}
	if len(refs) > 1 {
		return r, fmt.Errorf("%q is ambiguous: it is %s: give the full name of the one that is meant", name, strings.Join(refs, " and "))
	}
	if len(refs) == 1 {
		if r.ref = refs[0]; name == asked {
			err = p.ofRemote(ctx, name, r.ref)
		}
	}
	return Revision{asked, r.ref, commit}, err
}

// noRepository says why git knows no repository, and what to do.
func (p Project) noRepository(err error) error {
	dir := harness.ShortPath(p.Root)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return err
	case strings.Contains(err.Error(), "dubious ownership"):
		return fmt.Errorf("git does not read the repository of %s, which belongs to another user: if you trust it, call: git config --global --add safe.directory %s",
			dir, harness.ShellLine(p.Root))
	}
	return fmt.Errorf("%s is in no git repository: call it in a clone, or make one: git init && git add . && git commit (%w)", dir, err)
}

// noRevision says why there is no such revision, and what to do.
func (p Project) noRevision(ctx context.Context, asked string) error {
	if _, err := p.Git(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
		return fmt.Errorf("there is no revision %q here: the repository has no commit yet: make one first: git add . && git commit", asked)
	}
	advice := "name a commit, branch or tag; in CI, fetch it first, as with git fetch origin main:refs/remotes/origin/main"
	remotes, _ := p.Git(ctx, "remote")
	for remote := range strings.FieldsSeq(remotes) {
		branch, ok := strings.CutPrefix(strings.TrimPrefix(asked, "refs/remotes/"), remote+"/")
		if name := refName.FindString(branch); ok && name != "" {
			advice = "fetch it first: " + harness.ShellLine("git", "fetch", remote, name+":refs/remotes/"+remote+"/"+name)
		}
	}
	if out, err := p.Git(ctx, "rev-parse", "--is-shallow-repository"); err == nil && out == "true" {
		advice += "; the clone is shallow, so that older commits are not in it either: git fetch --unshallow (on GitHub Actions: fetch-depth: 0)"
	}
	return fmt.Errorf("there is no revision %q here: %s", asked, advice)
}

// RepositoryProblem says why git does not read the repository that the project is in; "" where it
// does, and where there is none.
func (p Project) RepositoryProblem(ctx context.Context) string {
	if _, err := p.Git(ctx, "rev-parse", "--git-dir"); err != nil && strings.Contains(err.Error(), "dubious ownership") {
		return p.noRepository(err).Error()
	}
	return ""
}

var (
	wholeHash = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)
	shortHash = regexp.MustCompile(`^[0-9a-fA-F]{4,63}$`)
)

// refsNamed are the full names of the refs that a short name may mean, and the commits that
// it abbreviates, where it is both. All digits of a commit mean that commit, whatever refs
// there are.
func (p Project) refsNamed(ctx context.Context, name string) (refs []string, err error) {
	if wholeHash.MatchString(name) || name == "" || name == "HEAD" {
		return nil, nil
	}
	// The rules of gitrevisions(7), in their order.
	candidates := []string{"refs/" + name, "refs/tags/" + name, "refs/heads/" + name, "refs/remotes/" + name, "refs/remotes/" + name + "/HEAD"}
	if strings.HasPrefix(name, "refs/") {
		candidates = append(candidates, name)
	}
	out, err := p.Git(ctx, append([]string{"for-each-ref", "--format=%(refname)", "--"}, candidates...)...)
	if err != nil {
		return nil, err
	}
	for ref := range strings.Lines(out) {
		if ref = strings.TrimSpace(ref); slices.Contains(candidates, ref) { // not what is below it
			refs = append(refs, ref)
		}
	}
	if len(refs) > 0 && shortHash.MatchString(name) {
		objects, err := p.Git(ctx, "rev-parse", "--disambiguate="+name)
		if err != nil {
			return nil, err
		}
		refs = append(refs, strings.Fields(objects)...)
	}
	return refs, nil
}

// ofRemote refuses a tag or a local branch whose name is that of a branch of a remote: the
// branch of the remote is meant, and is not here.
func (p Project) ofRemote(ctx context.Context, name, ref string) error {
	remotes, err := p.Git(ctx, "remote")
	if err != nil {
		return err
	}
	for remote := range strings.Lines(remotes) {
		branch, ok := strings.CutPrefix(name, strings.TrimSpace(remote)+"/")
		if ok && (ref == "refs/tags/"+name || ref == "refs/heads/"+name) {
			return fmt.Errorf("%q is %s here, and not a branch of the remote %[3]s: fetch that one (git fetch %[3]s %[4]s:refs/remotes/%[1]s) and name refs/remotes/%[1]s, or name %[2]s if it is meant",
				name, ref, strings.TrimSpace(remote), branch)
		}
	}
	return nil
}
