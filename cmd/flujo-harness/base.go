package main

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

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
	"github.com/spf13/cobra"
)

// rules are the limits that a command judges by: those of the work tree or, with
// --base, those of the base branch, which a change cannot loosen for itself.
type rules struct {
	tree  string    // folder of the limits files of the work tree
	base  *revision // nil: the work tree alone
	files fs.FS     // the folder as it is in base
}

// findRules finds the limits in a folder, and those of the base if there is one.
func findRules(ctx context.Context, p project, dir, base string) (rules, error) {
	r := rules{tree: p.path(dir, "thresholds/limits")}
	if base == "" {
		if dir != "" && !isDir(dir) { // or every verdict would be without a limit, and none broken
			return r, usage(fmt.Errorf("--limits %s: there is no such folder: name the one that has the limits files", dir))
		}
		return r, nil
	}
	of, err := p.commitOf(ctx, base)
	if err != nil {
		return r, usage(fmt.Errorf("--base %s: %w", base, err))
	}
	r.base = &of
	if r.files, err = filesAt(ctx, p, of.commit, r.tree); err != nil {
		return r, usage(fmt.Errorf("--base %s: %w", base, err))
	}
	return r, nil
}

// ruled is what one comparison is judged by.
type ruled struct {
	limits  *thresholds.File    // nil: there are none
	changes []thresholds.Change // base -> work tree
	base    string
	head    *thresholds.File
}

// of returns the limits for a class of machine.
func (r rules) of(class string) (ruled, error) {
	head, err := thresholds.Load(r.tree, class)
	if err != nil {
		return ruled{}, usage(err)
	}
	if head != nil {
		head.Path = harness.ShortPath(head.Path)
	}
	if r.base == nil {
		return ruled{limits: head}, nil
	}
	base, err := thresholds.LoadFS(r.files, r.base.asked+":"+filepath.ToSlash(harness.ShortPath(r.tree)), class)
	if err != nil {
		return ruled{}, usage(err)
	}
	if base == nil {
		return ruled{}, usage(fmt.Errorf("--base %s: there are no limits in %s at %.12s: name a later revision, or leave --base out until limits are in it",
			r.base.asked, harness.ShortPath(r.tree), r.base.commit))
	}
	return ruled{limits: thresholds.Base(base, head), changes: thresholds.Diff(base, head), base: r.base.asked, head: head}, nil
}

// judge is [thresholds.Judge], and says by what it judged.
func (r ruled) judge(c *harness.Comparison, now time.Time) thresholds.Verdict {
	return r.note(thresholds.Judge(c, r.limits, now))
}

// note says in a verdict how the change at hand differs from what it was judged by.
func (r ruled) note(v thresholds.Verdict) thresholds.Verdict {
	for _, change := range r.changes {
		if l := change.Limit(); l.Workload != v.Workload || l.Metric != v.Metric || l.Durability != v.Durability {
			continue
		}
		if change.Kind == thresholds.Added {
			v.Source = r.head.Path
			v.Notes = append(v.Notes, fmt.Sprintf("%s has no such limit: judged by the one that this change adds", r.base))
			continue
		}
		v.Notes = append(v.Notes, fmt.Sprintf("judged by the limit of %s, not of this change: %s", r.base, change))
	}
	return v
}

// sayBase prints the commit whose limits and plan decide, where one was given.
func (r rules) sayBase(out io.Writer) {
	if r.base != nil {
		fmt.Fprintf(out, "base: %s\n", *r.base)
	}
}

// say prints the difference that a change makes to the limits.
func (r ruled) say(out io.Writer) {
	for _, c := range r.changes {
		by := r.base
		if c.Kind == thresholds.Added {
			by = "this change"
		}
		fmt.Fprintf(out, "%s: judged by %s\n", c, by)
	}
}

// planAt is the plan as it is in a revision; nil where it has none.
func planAt(ctx context.Context, p project, ref, named string) (*reports.Plan, error) {
	of, err := p.commitOf(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("--base %s: %w", ref, err)
	}
	file := p.path(named, "thresholds/plan.toml")
	folder, err := filesAt(ctx, p, of.commit, filepath.Dir(file))
	if err != nil {
		return nil, nil // it has not even the folder
	}
	text, err := fs.ReadFile(folder, filepath.Base(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--base %s: %w", ref, err)
	}
	return reports.ParsePlan(ref+":"+filepath.ToSlash(harness.ShortPath(file)), text)
}

// filesAt is a folder of the project as it is in a commit.
func filesAt(ctx context.Context, p project, commit, dir string) (fs.FS, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(p.root, abs)
	if err != nil {
		return nil, err
	}
	if rel = filepath.ToSlash(rel); !strings.HasPrefix(rel, "../") { // git takes it from the root of the tree otherwise
		rel = "./" + rel
	}
	g := gitFolder{show: func(args ...string) (string, error) { return p.git(ctx, args...) }, tree: commit + ":" + rel}
	if g.names, err = g.show("ls-tree", "--full-tree", "--name-only", "-z", g.tree); err != nil {
		return nil, fmt.Errorf("there is no folder %s at %.12s: name a later revision, or leave --base out until limits are in it", harness.ShortPath(dir), commit)
	}
	return g, nil
}

// gitFolder reads the files of a folder out of git.
type gitFolder struct {
	show  func(args ...string) (string, error) // git
	tree  string                               // commit:./folder
	names string                               // each followed by a zero byte
}

// Open is what an fs.FS must have; limits are read by the two below.
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

func registerBase(cmd *cobra.Command, base *string) {
	cmd.Flags().StringVar(base, "base", "", "judge by the limits of this git revision, and print how those of the work tree differ")
}

// readPlan reads the file of the plan, by default the one of the module; nil where that is
// not there.
func readPlan(p project, named string) (*reports.Plan, error) {
	plan, err := reports.ReadPlan(p.path(named, "thresholds/plan.toml"))
	if named == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return plan, err
}
