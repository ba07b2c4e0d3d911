package revisions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
)

// TreesPrefix is the prefix of the names of folders that revisions are checked out into.
const TreesPrefix = "flujo-harness-compare-"

// ForgetTrees removes work trees of killed comparisons, whose folders no longer exist (see
// package workdir), from the repository's list. It leaves other work trees alone: their
// folders may be on a disk that is not mounted.
func ForgetTrees(ctx context.Context, p project.Project) error {
	all, err := p.Git(ctx, "worktree", "list", "--porcelain")
	if err != nil {
		return nil // no repository: CheckOut reports it
	}
	for line := range strings.Lines(all) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "worktree ")
		if !ok || !strings.HasPrefix(filepath.Base(filepath.Dir(path)), TreesPrefix) {
			continue
		}
		if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
			if _, err := p.Git(context.WithoutCancel(ctx), "worktree", "remove", "--force", "--force", path); err != nil {
				return fmt.Errorf("remove the work tree of a killed comparison: %w", err)
			}
		}
	}
	return nil
}

// Checkout is a revision that is checked out in a folder.
type Checkout struct {
	Name string
	Of   project.Revision // zero for the working tree
	Dir  string           // folder of the module
	At   string           // commit of the working tree and whether it has changes, for messages; "" for other revisions, and outside of git
}

// String returns the name and the abbreviated commit. For the working tree it also says whether there
// are uncommitted changes. Outside of git it is the name alone.
func (c Checkout) String() string {
	switch {
	case c.Of.Commit != "":
		return c.Of.String()
	case c.At != "":
		return c.Name + ", " + c.At
	}
	return c.Name
}

// WorkingTree returns the working tree of the project, as it is.
func WorkingTree(ctx context.Context, p project.Project) Checkout {
	c := Checkout{Name: "working tree", Dir: p.Root}
	commit, dirty := p.Revision(ctx)
	if commit != "" {
		c.At = fmt.Sprintf("commit %.12s", commit)
	}
	if dirty {
		c.At += " with uncommitted changes"
	}
	return c
}

// CheckOut checks a revision out into a new work tree at the folder to. The caller must call
// remove.
func CheckOut(ctx context.Context, p project.Project, asked, to string) (c Checkout, remove func() error, err error) {
	of, err := p.CommitOf(ctx, asked)
	if err != nil {
		return c, nil, fmt.Errorf("compare revisions: %w", err)
	}
	within, err := p.Git(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		return c, nil, fmt.Errorf("compare revisions: %w", err)
	}
	ctx = context.WithoutCancel(ctx) // a killed git would leave an entry in the repository's list
	if _, err := p.Git(ctx, "worktree", "add", "--quiet", "--detach", to, of.Commit); err != nil {
		return c, nil, err
	}
	remove = func() error {
		_, err := p.Git(ctx, "worktree", "remove", "--force", to)
		return err
	}
	c = Checkout{Name: asked, Of: of, Dir: filepath.Join(to, filepath.FromSlash(within))}
	if _, err := os.Stat(filepath.Join(c.Dir, "go.mod")); err != nil {
		return c, nil, errors.Join(fmt.Errorf("revision %q has no %s: the module began later, or was elsewhere: name a commit that has it", asked, filepath.ToSlash(filepath.Join(within, "go.mod"))), remove())
	}
	return c, remove, nil
}
