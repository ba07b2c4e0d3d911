package live

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness/workdir"
)

const (
	prefix   = "live-"
	fileName = "live.json"
)

// File is a file by which other processes on the machine can follow a run. A lock, which the operating
// system releases when the process ends, shows whether the process that writes it is alive.
type File struct {
	path   string
	remove func() error
}

// Create creates the file in a new folder in base, the folder of a module for local data. It also
// removes the folders of runs that were killed.
func Create(base string) (*File, error) {
	dir, remove, err := workdir.Temporary(base, prefix)
	if err != nil {
		return nil, fmt.Errorf("create the file by which other processes follow the run: %w", err)
	}
	return &File{path: filepath.Join(dir, fileName), remove: remove}, nil
}

// Write replaces the content of the file atomically.
func (f *File) Write(r Run) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return workdir.Replace(f.path, func(part string) error { return os.WriteFile(part, data, 0o600) })
}

// Close removes the file. Call it when the run has been recorded or has failed.
func (f *File) Close() error { return f.remove() }

// Following is the state of a run of another process.
type Following struct {
	Run
	CutOff bool // the process ended before the run was complete
}

// Follow reads the states of the runs in base that will be written to a history, in the order of their
// start. It ignores files that cannot be read, for example because they are being created.
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
		f.CutOff = workdir.Abandoned(dir)
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b Following) int { return a.Started.Compare(b.Started) })
	return all
}
