package revisions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// Rules are the limits that a command judges by: those of the work tree or, with --limits-from,
// those of another revision, usually the base branch, which the change under test cannot loosen.
type Rules struct {
	tree  string            // folder of the limits files in the work tree
	Base  *project.Revision // revision of --limits-from, nil without it
	files fs.FS             // the same folder at Base
}

// FindRules finds the limits in the folder dir of the work tree and, if base is not empty, in
// the same folder at that revision.
func FindRules(ctx context.Context, p project.Project, dir, base string) (Rules, error) {
	r := Rules{tree: p.Path(dir, "thresholds/limits")}
	if base == "" {
		if dir != "" && !project.IsDir(dir) { // without limits no verdict could be broken
			return r, cli.Usage(fmt.Errorf("--limits %s: no such folder: name the folder of the limits files", dir))
		}
		return r, nil
	}
	of, err := p.CommitOf(ctx, base)
	if err != nil {
		return r, cli.Usage(fmt.Errorf("--limits-from %s: %w", base, err))
	}
	r.Base = &of
	if r.files, err = filesAt(ctx, p, of.Commit, r.tree); err != nil {
		return r, cli.Usage(fmt.Errorf("--limits-from %s: %w", base, err))
	}
	return r, nil
}

// Ruled holds the limits that one comparison is judged by.
type Ruled struct {
	Limits  *thresholds.File    // nil if there are none
	changes []thresholds.Change // from base to the work tree
	base    string
	head    *thresholds.File
}

// For returns the limits for a class of machine, see machine.Class.
func (r Rules) For(class string) (Ruled, error) {
	head, err := thresholds.Load(r.tree, class)
	if err != nil {
		return Ruled{}, cli.Usage(err)
	}
	if head != nil {
		head.Path = workdir.ShortPath(head.Path)
	}
	if r.Base == nil {
		return Ruled{Limits: head}, nil
	}
	base, err := thresholds.LoadFS(r.files, r.Base.Asked+":"+filepath.ToSlash(workdir.ShortPath(r.tree)), class)
	if err != nil {
		return Ruled{}, cli.Usage(err)
	}
	if base == nil && class == thresholds.AnyClass {
		return Ruled{Limits: head, head: head, base: r.Base.Asked}, nil // limits that a change adds apply to it
	}
	if base == nil {
		return Ruled{}, cli.Usage(fmt.Errorf("--limits-from %s: no limits in %s at %.12s: name a later revision, or omit --limits-from until that revision has limits",
			r.Base.Asked, workdir.ShortPath(r.tree), r.Base.Commit))
	}
	return Ruled{Limits: thresholds.Base(base, head), changes: thresholds.Diff(base, head), base: r.Base.Asked, head: head}, nil
}

// Judge calls [thresholds.Judge] and adds the notes of [Ruled.Note].
func (r Ruled) Judge(c *harness.Comparison, now time.Time) thresholds.Verdict {
	return r.Note(thresholds.Judge(c, r.Limits, now))
}

// Note adds to a verdict how the limits of the work tree differ from those that it was judged
// by.
func (r Ruled) Note(v thresholds.Verdict) thresholds.Verdict {
	for _, change := range r.changes {
		if l := change.Limit(); l.Workload != v.Workload || l.Metric != v.Metric || l.Durability != v.Durability {
			continue
		}
		if change.Kind == thresholds.Added {
			v.Source = r.head.Path
			v.Notes = append(v.Notes, fmt.Sprintf("%s has no such limit: judged by the limit that this change adds", r.base))
			continue
		}
		v.Notes = append(v.Notes, fmt.Sprintf("judged by the limit of %s, not of this change: %s", r.base, change))
	}
	return v
}

// PrintBase prints the commit of --limits-from, if the flag was given.
func (r Rules) PrintBase(out io.Writer) {
	if r.Base != nil {
		fmt.Fprintf(out, "limits from %s\n", *r.Base)
	}
}

// PrintChanges prints the differences between the limits of the base and of the work tree.
func (r Ruled) PrintChanges(out io.Writer) {
	for _, c := range r.changes {
		by := r.base
		if c.Kind == thresholds.Added {
			by = "this change"
		}
		fmt.Fprintf(out, "%s: judged by %s\n", c, by)
	}
}

// PlanAt reads the plan at a revision. It returns nil if the revision has none.
func PlanAt(ctx context.Context, p project.Project, ref, named string) (*reports.Plan, error) {
	of, err := p.CommitOf(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("--limits-from %s: %w", ref, err)
	}
	file := p.Path(named, "thresholds/plan.toml")
	folder, err := filesAt(ctx, p, of.Commit, filepath.Dir(file))
	if err != nil {
		return nil, nil // the revision lacks the folder, too
	}
	text, err := fs.ReadFile(folder, filepath.Base(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--limits-from %s: %w", ref, err)
	}
	return reports.ParsePlan(ref+":"+filepath.ToSlash(workdir.ShortPath(file)), text)
}

// filesAt returns the content of a project's folder at a commit.
func filesAt(ctx context.Context, p project.Project, commit, dir string) (fs.FS, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(p.Root, abs)
	if err != nil {
		return nil, err
	}
	if rel = filepath.ToSlash(rel); !strings.HasPrefix(rel, "../") { // otherwise git resolves it relative to the root of the repository
		rel = "./" + rel
	}
	g := gitFolder{show: func(args ...string) (string, error) { return p.Git(ctx, args...) }, tree: commit + ":" + rel}
	if g.names, err = g.show("ls-tree", "--full-tree", "--name-only", "-z", g.tree); err != nil {
		return nil, fmt.Errorf("no folder %s at %.12s: name a later revision, or omit --limits-from until that revision has limits", workdir.ShortPath(dir), commit)
	}
	return g, nil
}

// gitFolder reads the files of a folder from git.
type gitFolder struct {
	show  func(args ...string) (string, error) // git
	tree  string                               // commit:./folder
	names string                               // file names, each followed by a zero byte
}

// Open implements fs.FS. It is not supported: fs.Glob and fs.ReadFile use the methods below.
func (g gitFolder) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
}

func (g gitFolder) Glob(pattern string) (found []string, err error) {
	for name := range strings.SplitSeq(g.names, "\x00") {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			found = append(found, name)
		}
	}
	return found, nil
}

func (g gitFolder) ReadFile(name string) ([]byte, error) {
	for known := range strings.SplitSeq(g.names, "\x00") {
		if known == name {
			text, err := g.show("cat-file", "blob", g.tree+"/"+name)
			return []byte(text), err
		}
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}

// RegisterLimitsFrom adds the flag --limits-from to a command.
func RegisterLimitsFrom(cmd *cobra.Command, ref *string) {
	cmd.Flags().StringVar(ref, "limits-from", "", "judge by the limits of this git revision, and print how the limits of the work tree differ")
}

// ReadPlan reads the file of a plan, by default thresholds/plan.toml of the module. It returns
// nil if the default file does not exist.
func ReadPlan(p project.Project, named string) (*reports.Plan, error) {
	plan, err := reports.ReadPlan(p.Path(named, "thresholds/plan.toml"))
	if named == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return plan, err
}
