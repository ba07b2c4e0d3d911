package sqlitebench

import (
	"context"
	"database/sql/driver"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
)

// Recorder is a backend that records everything it commits and counts everything it writes. It is
// slower than one that is measured, but does the same.
type Recorder struct {
	store
	tape *tape
	io   *ioCounter
}

// OpenRecorder opens the database at path as [sqlite.Open] does.
func OpenRecorder(ctx context.Context, path string, d sqlite.Durability) (*Recorder, error) {
	io, err := countIO(path)
	if err != nil {
		return nil, err
	}
	r := &Recorder{tape: &tape{known: map[string]int{}}, io: io}
	r.store.Backend, err = sqlite.OpenProbed(ctx, path, d, probe.Probe{VFS: countingVFS, Conn: func(c driver.Conn) driver.Conn { return taped{c, r.tape} }})
	if err != nil {
		io.stop()
		return nil, err
	}
	return r, nil
}

// Mark marks the end of an operation: everything committed since the previous mark belongs to it.
// It must not be called during a save.
func (r *Recorder) Mark() { r.tape.mark() }

// Recording returns what was committed so far. It must not be called during a save.
func (r *Recorder) Recording() (corebench.Recording, error) { return r.tape.recording(), nil }

// IO returns what was written so far.
func (r *Recorder) IO() corebench.IOStats { return r.io.stats() }

// Close closes the backend and ends the counting.
func (r *Recorder) Close() error {
	defer r.io.stop()
	return r.Backend.Close()
}

// Discard closes the backend as [sqlite.Backend.Discard] does and ends the counting.
func (r *Recorder) Discard() error {
	defer r.io.stop()
	return r.Backend.Discard()
}
