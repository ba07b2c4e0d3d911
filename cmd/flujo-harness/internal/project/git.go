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

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/workdir"
)

// Git runs git in the project's folder and returns its standard output without surrounding
// space. An error contains git's standard error output.
func (p Project) Git(ctx context.Context, args ...string) (string, error) {
	out, err := p.gitBytes(ctx, args...)
	return strings.TrimSpace(string(out)), err
}

// gitBytes runs git and returns its standard output unchanged.
//
// It disables replace refs and grafts, which substitute one commit for another. Anyone who
// prepares a clone can add them, so a change could pass off limits of its own as those of the
// base branch.
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

// Revision is a commit together with the name that the user gave for it.
type Revision struct {
	Asked  string // name as given, such as "origin/main"
	ref    string // full name of the branch or tag, such as "refs/remotes/origin/main"; "" if it is neither
	Commit string // unabbreviated hash
}

// String returns the name as given, the full name if it differs, and the abbreviated commit.
func (r Revision) String() string {
	if r.ref == "" || r.ref == r.Asked {
		return fmt.Sprintf("%s, commit %.12s", r.Asked, r.Commit)
	}
	return fmt.Sprintf("%s, which is %s, commit %.12s", r.Asked, r.ref, r.Commit)
}

// refName matches the start of a revision: the name of a ref, or a commit.
var refName = regexp.MustCompile(`^[^~^:@{]+`)

// CommitOf resolves a revision of the project. An ambiguous name is an error, although git would
// prefer a tag over a branch, and a branch over a remote's branch (gitrevisions(7)).
func (p Project) CommitOf(ctx context.Context, asked string) (r Revision, err error) {
	if strings.HasPrefix(asked, "-") {
		return r, errors.New("a revision cannot start with a dash")
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
		return r, fmt.Errorf("%q is ambiguous, it matches %s: use a full name", name, strings.Join(refs, " and "))
	}
	if len(refs) == 1 {
		if r.ref = refs[0]; name == asked {
			err = p.ofRemote(ctx, name, r.ref)
		}
	}
	return Revision{asked, r.ref, commit}, err
}

// noRepository returns the error for a folder in which git finds no repository, with a remedy.
func (p Project) noRepository(err error) error {
	dir := workdir.ShortPath(p.Root)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return err
	case strings.Contains(err.Error(), "dubious ownership"):
		return fmt.Errorf("git does not read the repository of %s, which belongs to another user: if you trust it, run git config --global --add safe.directory %s",
			dir, child.ShellLine(p.Root))
	}
	return fmt.Errorf("%s is not in a git repository: change to a clone, or create one with git init && git add . && git commit (%w)", dir, err)
}

// noRevision returns the error for a revision that does not exist, with a remedy.
func (p Project) noRevision(ctx context.Context, asked string) error {
	if _, err := p.Git(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
		return fmt.Errorf("no revision %q: the repository has no commit yet: create one with git add . && git commit", asked)
	}
	advice := "name a commit, branch or tag; in CI, fetch it first, for example with git fetch origin main:refs/remotes/origin/main"
	remotes, _ := p.Git(ctx, "remote")
	for remote := range strings.FieldsSeq(remotes) {
		branch, ok := strings.CutPrefix(strings.TrimPrefix(asked, "refs/remotes/"), remote+"/")
		if name := refName.FindString(branch); ok && name != "" {
			advice = "fetch it first: " + child.ShellLine("git", "fetch", remote, name+":refs/remotes/"+remote+"/"+name)
		}
	}
	if out, err := p.Git(ctx, "rev-parse", "--is-shallow-repository"); err == nil && out == "true" {
		advice += "; the clone is shallow and lacks older commits: git fetch --unshallow (on GitHub Actions: fetch-depth: 0)"
	}
	return fmt.Errorf("no revision %q: %s", asked, advice)
}

// RepositoryProblem returns the reason why git does not read the project's repository, or "" if it
// does or if there is none.
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

// refsNamed returns the full names of the refs that a short name matches. If there are any, it
// adds the objects whose hash the name abbreviates. A complete hash always means that commit,
// even if a ref has the same name.
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
		if ref = strings.TrimSpace(ref); slices.Contains(candidates, ref) { // git also lists refs below a candidate
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

// ofRemote returns an error if ref is a tag or a local branch named like a branch of a remote
// ("origin/main"): the user probably means the remote's branch, which was not fetched.
func (p Project) ofRemote(ctx context.Context, name, ref string) error {
	remotes, err := p.Git(ctx, "remote")
	if err != nil {
		return err
	}
	for remote := range strings.Lines(remotes) {
		branch, ok := strings.CutPrefix(name, strings.TrimSpace(remote)+"/")
		if ok && (ref == "refs/tags/"+name || ref == "refs/heads/"+name) {
			return fmt.Errorf("%q is %s here, not a branch of the remote %[3]s: fetch the branch (git fetch %[3]s %[4]s:refs/remotes/%[1]s) and name refs/remotes/%[1]s, or name %[2]s",
				name, ref, strings.TrimSpace(remote), branch)
		}
	}
	return nil
}
