package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	lib "modernc.org/sqlite/lib"
)

// sector is the number of bytes that a disk writes atomically.
const sector = 512

// film holds all operations on the files of a database in order, with the saves that were
// acknowledged in between.
type film struct {
	path   string
	mu     sync.Mutex
	base   map[string][]byte // contents on the disk at the beginning, by suffix of the name
	begun  []int             // number of saves at the beginning, by run
	events []event
	size   int64 // size of the log as far as it was observed
}

// event is an operation on a file or an acknowledged save.
type event struct {
	fileOp
	ack int // number of the run if op is acked
}

const acked = "acked"

// newFilm starts with the current files, all of them synced.
func newFilm(path string, begun []int) (*film, error) {
	f := &film{path: path, begun: slices.Clone(begun), base: map[string][]byte{}}
	for _, end := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + end)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		f.base[end] = content
	}
	f.size = int64(len(f.base["-wal"]))
	return f, nil
}

// tap records an operation. It implements [tap].
func (f *film) tap(op fileOp) int32 {
	switch op.op {
	case opWrite, opTruncate, opSync, opDelete:
	default:
		return lib.SQLITE_OK
	}
	if op.end == "-shm" { // recreated by the first process that opens the database
		return lib.SQLITE_OK
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if op.end == "-wal" {
		f.extended()
		switch op.op {
		case opWrite:
			f.size = max(f.size, op.at+int64(len(op.data)))
		case opTruncate:
			f.size = op.at
		case opDelete:
			f.size = 0
		}
	}
	op.data = bytes.Clone(op.data)
	f.events = append(f.events, event{fileOp: op})
	return lib.SQLITE_OK
}

// extended records the work of [pad], which does not use the VFS.
func (f *film) extended() {
	fi, err := os.Stat(f.path + "-wal")
	if err != nil || fi.Size() <= f.size {
		return
	}
	for at := f.size; at < fi.Size(); {
		n := min(256<<10, fi.Size()-at)
		f.events = append(f.events, event{fileOp: fileOp{op: opWrite, end: "-wal", at: at, data: make([]byte, n)}})
		at += n
	}
	f.events = append(f.events, event{fileOp: fileOp{op: opSync, end: "-wal"}})
	f.size = fi.Size()
}

func (f *film) acknowledged(run int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event{fileOp: fileOp{op: acked}, ack: run})
}

// saves returns the number of acknowledged saves.
func (f *film) saves() (n int) {
	for _, e := range f.events {
		if e.op == acked {
			n++
		}
	}
	return n
}

// disk is one file on the disk with the writes that have not been synced.
type disk struct {
	content []byte
	gone    bool
	pending []event
}

// sync makes all pending writes durable.
func (d *disk) sync() {
	for _, e := range d.pending {
		d.apply(e)
	}
	d.pending = nil
}

func (d *disk) apply(e event) {
	switch e.op {
	case opWrite:
		d.write(e.at, e.data)
		d.gone = false
	case opTruncate:
		d.resize(e.at)
	case opDelete:
		d.content, d.gone = nil, true
	}
}

func (d *disk) resize(n int64) {
	if n <= int64(len(d.content)) {
		d.content = d.content[:n:n]
		return
	}
	d.content = append(d.content, make([]byte, n-int64(len(d.content)))...)
}

func (d *disk) write(at int64, data []byte) {
	if end := at + int64(len(data)); end > int64(len(d.content)) {
		d.resize(end)
	}
	copy(d.content[at:], data)
}

// fate says what happens to writes that were not synced.
type fate int

const (
	allKept    fate = iota // as after kill -9
	allDropped             // the disk had not started to write
	inOrder                // all before one write, which is torn
	anyOrder               // each write is kept, dropped or torn
	garbled                // the same, and torn writes contain sectors with neither old nor new data
	fates
)

func (f fate) String() string {
	return [fates]string{"all unsynced writes kept", "all dropped", "kept up to one that is torn", "each kept, dropped or torn", "each kept, dropped or torn with rubbish"}[f]
}

// developed returns the file after a loss of power.
func (d *disk) developed(f fate, rng *rand.Rand) *disk {
	to := &disk{content: bytes.Clone(d.content), gone: d.gone}
	last := 0
	if f == inOrder {
		last = rng.IntN(len(d.pending) + 1)
	}
	for i, e := range d.pending {
		switch {
		case f == allKept, f == inOrder && i < last, f >= anyOrder && rng.IntN(3) == 0:
			to.apply(e)
		case f == inOrder && i == last, f >= anyOrder && rng.IntN(2) == 0:
			to.tear(e, f == garbled, rng)
		}
	}
	return to
}

// tear writes some sectors of a write, and possibly garbage to others.
func (d *disk) tear(e event, garble bool, rng *rand.Rand) {
	if e.op != opWrite {
		return // other operations are not torn
	}
	for at := e.at; at < e.at+int64(len(e.data)); {
		end := min((at/sector+1)*sector, e.at+int64(len(e.data)))
		part := e.data[at-e.at : end-e.at]
		switch n := rng.IntN(8); {
		case n == 0 && garble:
			part = bytes.Clone(part)
			for i := range part {
				part[i] = byte(rng.Uint32())
			}
			d.write(at, part)
		case n < 4:
			d.write(at, part)
		}
		at = end
	}
}

// put writes the file, with a hole for the zeros at its end.
func (d *disk) put(path string) error {
	if d.gone {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.TrimRight(d.content, "\x00"))
	return errors.Join(err, f.Truncate(int64(len(d.content))), f.Close())
}

// images simulates a loss of power at n moments of the film: it writes the resulting files to path
// and calls look with the number of saves that had been acknowledged, by run. how describes the
// loss for messages.
func (f *film) images(n int, rng *rand.Rand, path string, look func(path, how string, acked []int) error) error {
	var moments []int // indexes of the events before which power is lost
	for i, e := range f.events {
		if e.op != acked {
			moments = append(moments, i)
		}
	}
	moments = append(moments, len(f.events))
	take := map[int]int{}
	for range n {
		take[moments[rng.IntN(len(moments))]]++
	}
	disks := map[string]*disk{"": {}, "-wal": {}, "-journal": {gone: true}}
	for end, content := range f.base {
		disks[end].content, disks[end].gone = bytes.Clone(content), content == nil
	}
	done := slices.Clone(f.begun)
	for i := 0; i <= len(f.events); i++ {
		for range take[i] {
			how := fate(rng.IntN(int(fates)))
			to := filepath.Join(path, "r.db")
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
			for _, end := range []string{"", "-wal", "-journal"} {
				if err := disks[end].developed(how, rng).put(to + end); err != nil {
					return err
				}
			}
			err := look(to, fmt.Sprintf("power lost before event %d of %d, %v", i, len(f.events), how), done)
			if err := errors.Join(err, os.RemoveAll(path)); err != nil {
				return err
			}
		}
		if i == len(f.events) {
			break
		}
		switch e := f.events[i]; e.op {
		case acked:
			done[e.ack]++
		case opSync:
			disks[e.end].sync()
		default:
			disks[e.end].pending = append(disks[e.end].pending, e)
		}
	}
	return nil
}
