package harness

import (
	"context"
	"errors"
	"fmt"
)

// errSometimes is the error for a process that failed while another with the same order did not.
var errSometimes = errors.New("it fails in some processes and not in others")

// tries is the number of processes or sessions that must fail before a program counts as failing.
// One may fail by chance, or because the machine is busy.
const tries = 3

// confirmed returns the first failure unchanged if all further tries fail too. Otherwise the error
// wraps errSometimes, or [ErrNoTime] if the context ended before all tries were made.
func confirmed(ctx context.Context, first error, again func() error) error {
	for try := 1; try < tries; try++ {
		switch err := again(); {
		case ctx.Err() != nil:
			return fmt.Errorf("it failed, and %w to try it again: %w", ErrNoTime, first)
		case err == nil:
			return fmt.Errorf("%w: %d of %d failed: %w", errSometimes, try, try+1, first)
		}
	}
	return first
}

// confirmed runs a process that failed again, with a later deadline each time. It must print the
// benchmark of the given name, if there is one.
func (m *Benchmarks) confirmed(ctx context.Context, o benchOrder, name string, first error) error {
	return confirmed(ctx, first, func() error {
		o.deadline *= 2
		p, err := m.spec.run(ctx, o)
		if _, printed := p.printed[name]; err == nil && name != "" && !printed {
			err = ErrNoBenchmark
		}
		return err
	})
}
