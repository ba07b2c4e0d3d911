package suites

import (
	"context"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// children are processes that are killed while they run a case.
var children = coretest.Children[killing]{Variable: "FLUJO_SUITES_CASE"}

// killing configures a child process that runs a case and kills itself with SIGKILL.
type killing struct {
	Pipeline, Case string
	Path           string // path of the database
	Commit         int    // number of the commit at which the process is killed, from 1
	Before         bool   // before the commit instead of after it
}

// serve runs the case of a killing in this process and does not return.
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

// kept returns an opener that always returns b, whose Close method does nothing.
func kept(b core.Backend) func(context.Context) (core.Backend, error) {
	return func(context.Context) (core.Backend, error) { return held{b}, nil }
}

type held struct{ core.Backend }

func (held) Close() error { return nil }

// killed runs the case in a child process that is killed at the given commit, and executes the rest
// of the run in this process.
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
