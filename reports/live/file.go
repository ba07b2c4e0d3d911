package live

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
)

const (
	prefix   = "live-"
	fileName = "live.json"
)

// File is where a run can be followed by other processes of the machine. Whether the process
// that writes it is alive is seen by a lock, which the system releases however it ends.
type File struct {
	path   string
	remove func() error
}

// Create makes the file in a folder of its own in base, the folder of a module for what is kept
// on this machine. What runs have left that were killed is removed.
func Create(base string) (*File, error) {
	dir, remove, err := harness.Temporary(base, prefix)
	if err != nil {
		return nil, fmt.Errorf("make a file by which the run can be followed: %w", err)
	}
	return &File{path: filepath.Join(dir, fileName), remove: remove}, nil
}

// Write replaces what is in the file.
func (f *File) Write(r Run) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return harness.Replace(f.path, func(part string) error { return os.WriteFile(part, data, 0o600) })
}

// Close removes the file: the run is in the history, or has failed.
func (f *File) Close() error { return f.remove() }

// Following is a run as another process sees it.
type Following struct {
	Run
	CutOff bool // its process ended before the run did
}

// Follow reads the runs in base that are to be written to a history, in the order of their start.
// A file that cannot be read, as one that is being made, is none.
func Follow(base, history string) (all []Following) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		dir := filepath.Join(base, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, fileName))
		var f Following
		if err != nil || json.Unmarshal(data, &f.Run) != nil || f.Version != version || f.History != history {
			continue
		}
		f.CutOff = harness.Abandoned(dir)
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b Following) int { return a.Started.Compare(b.Started) })
	return all
}
