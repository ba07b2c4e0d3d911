package suites

import (
	"context"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// children run cases, to be killed in the middle of them.
var children = coretest.Children[killing]{Variable: "FLUJO_SUITES_CASE"}

// killing is the run of a case in a child process that ends itself by kill -9.
type killing struct {
	Pipeline, Case string
	Path           string // of the database
	Commit         int    // at which one, from 1
	Before         bool   // it, rather than behind it
}

// serve runs the case of a killing in this process, and does not come back from it.
func serve[S, A any](name string, subjects []*subject[S, A]) {
	children.Serve(func(k killing) bool { return k.Pipeline == name }, func(k killing) error {
		for _, c := range subjects {
			if c.Name == k.Case {
				return c.die(k)
			}
		}
		return fmt.Errorf("pipeline %q has no case %q", name, k.Case)
	})
}

func (c *subject[S, A]) die(k killing) (err error) {
	ctx := context.Background()
	b, err := sqlite.Open(ctx, k.Path, sqlite.Process)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	ran, err := c.to(ctx, drive{key: caseKey, open: kept(coretest.Mortal(b, k.Commit, k.Before))})
	if err == nil && ran.Err != nil && ran.Result.Status == core.Running {
		err = ran.Err
	}
	return err
}

// kept opens the same backend again and again, and leaves it to others to close it.
func kept(b core.Backend) func(context.Context) (core.Backend, error) {
	return func(context.Context) (core.Backend, error) { return held{b}, nil }
}

type held struct{ core.Backend }

func (held) Close() error { return nil }

// killed kills the case at the given commit in a child, and takes the run to its end
// here.
func (c *subject[S, A]) killed(ctx context.Context, k killing) (*Ran[S], error) {
	died, err := children.Spawn(k)
	if err == nil && !died {
		err = errors.New("the run ended before it was to be killed")
	}
	if err != nil {
		return nil, fmt.Errorf("kill case %q at commit %d: %w", c.Name, k.Commit, err)
	}
	return c.to(ctx, drive{key: caseKey, open: file(k.Path)})
}

// file opens the database at a path.
func file(path string) func(context.Context) (core.Backend, error) {
	return func(ctx context.Context) (core.Backend, error) { return sqlite.Open(ctx, path, sqlite.Process) }
}
