package suites

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/onsi/gomega/types"
	"github.com/shirou/gopsutil/v4/process"
	"go.uber.org/goleak"
)

// LeakNothing calls a func() or func() error, and succeeds if no additional goroutine runs and no
// additional file is open afterwards. It waits up to 1 s for goroutines to end. An error of the
// function is an error of the matcher. Nothing else may run in the process meanwhile. On systems
// that do not list open files, it checks only goroutines.
func LeakNothing() types.GomegaMatcher { return &leaks{} }

type leaks struct{ found string }

// Match implements types.GomegaMatcher.
func (m *leaks) Match(actual any) (bool, error) {
	var err error
	files, filesErr := openFiles()
	before := goleak.IgnoreCurrent()
	switch f := actual.(type) {
	case func():
		f()
	case func() error:
		err = f()
	default:
		return false, wrongType("LeakNothing", "a func() or func() error, which it calls", actual)
	}
	if err != nil {
		return false, fmt.Errorf("the result is unknown, because the function failed: %w", err)
	}
	var found []string
	for range 3 { // on a busy machine they may not have run yet
		if err = goleak.Find(before); err == nil {
			break
		}
	}
	if err != nil {
		found = append(found, err.Error())
	}
	if filesErr == nil {
		now, err := openFiles()
		if err != nil {
			return false, fmt.Errorf("list the open files: %w", err)
		}
		for _, path := range more(files, now) {
			found = append(found, "open file: "+path)
		}
	}
	m.found = strings.Join(found, "\n")
	return m.found == "", nil
}

// openFiles counts the descriptors of this process by the files that they refer to.
func openFiles() (map[string]int, error) {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return nil, err
	}
	all, err := p.OpenFiles()
	if err != nil {
		return nil, errors.Join(err, errors.ErrUnsupported)
	}
	count := map[string]int{}
	for _, f := range all {
		switch {
		case strings.HasPrefix(f.Path, "anon_inode:"): // pollers of the runtime
		case strings.HasPrefix(f.Path, "/proc/"): // opened to read this list
		default:
			count[strings.TrimSuffix(f.Path, " (deleted)")]++
		}
	}
	return count, nil
}

// more lists the files with more descriptors than before.
func more(before, now map[string]int) (paths []string) {
	for path, n := range now {
		if n > before[path] {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// FailureMessage implements types.GomegaMatcher.
func (m *leaks) FailureMessage(any) string {
	return "Expected the function to leak nothing, but it left\n" + m.found
}

// NegatedFailureMessage implements types.GomegaMatcher.
func (m *leaks) NegatedFailureMessage(any) string {
	return "Expected the function to leak something, but it left no goroutine and no open file"
}
