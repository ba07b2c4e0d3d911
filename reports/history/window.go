package history

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// Absent is the code of a spec that a run does not contain.
const Absent = 0xff

// Window holds the state of every spec in each of several runs.
type Window struct {
	Runs  []RunLine         // runs with results, oldest first
	Codes [][]byte          // codes of states by name ID and run; nil if no run contains the spec
	Timed int               // number of last runs whose durations were read
	Took  [][]time.Duration // durations by name ID and run, of the last Timed runs only
}

// SlowWindow is the number of runs in which package analysis looks for specs that became slower.
const SlowWindow = 60

// maxDurations is the approximate maximum number of durations in a window, 3.3 million of 8 bytes
// each (25 MiB). For runs of 100,000 specs the durations of the last 32 runs are read.
const maxDurations = 25 << 17

// Window reads the states of the given runs (oldest first), and the durations of at most the given
// number of last ones.
func (r *Reader) Window(runs []Record, durations int) (*Window, error) {
	w := &Window{}
	for i := range runs {
		if runs[i].Rated {
			w.Runs = append(w.Runs, runs[i].Line())
		}
	}
	if len(w.Runs) == 0 {
		return w, nil
	}
	w.Timed = min(durations, len(w.Runs))
	for i := range w.Runs {
		w.Timed = min(w.Timed, maxDurations/max(1, w.Runs[i].Counts.All()))
	}
	place := make(map[int64]int, len(w.Runs))
	low, high := w.Runs[0].ID, w.Runs[0].ID
	for i, l := range w.Runs {
		place[l.ID] = i
		low, high = min(low, l.ID), max(high, l.ID)
	}
	rosters := map[int64][]int64{}
	_, err := collect(r.ctx, r.db, selectResults+"WHERE run_id BETWEEN ? AND ?", []any{low, high}, func(rows *sql.Rows) (struct{}, error) {
		row, err := scanResults(rows)
		if err != nil {
			return struct{}{}, err
		}
		if at, ok := place[row.run]; ok {
			delete(place, row.run)
			return struct{}{}, r.column(w, at, row, rosters)
		}
		return struct{}{}, nil
	})
	if err != nil {
		return nil, err
	}
	for id := range place {
		return nil, fmt.Errorf("results of run %d are missing: %w", id, errSum)
	}
	return w, nil
}

// column adds the run with index at to w. rosters caches the name IDs by blob.
func (r *Reader) column(w *Window, at int, row resultRow, rosters map[int64][]int64) error {
	content, err := r.unpack(row.outcomes)
	if err != nil {
		return err
	}
	o, err := unpackCodes(&unpacker{b: content})
	if err != nil {
		return err
	}
	var durations []time.Duration
	from := len(w.Runs) - w.Timed
	if at >= from {
		if durations, err = r.durations(row, len(o.codes)); err != nil {
			return err
		}
	}
	i := 0
	for _, blob := range o.rosters {
		ids, ok := rosters[blob]
		if !ok {
			content, err := r.roster(blob)
			if err != nil {
				return err
			}
			u := unpacker{b: content}
			if ids = rosterIDs(&u); u.err != nil {
				return u.err
			}
			rosters[blob] = ids
		}
		for _, id := range ids {
			if i == len(o.codes) {
				return fmt.Errorf("run %d has more specs than states: %w", row.run, errSum)
			}
			cells := w.cells(id)
			cells[at] = o.codes[i]
			if durations != nil {
				w.Took[id][at-from] = durations[i]
			}
			i++
		}
	}
	if i != len(o.codes) {
		return fmt.Errorf("run %d has %d specs and %d states: %w", row.run, i, len(o.codes), errSum)
	}
	return nil
}

// cells returns the row of a spec and creates it if it does not exist.
func (w *Window) cells(id int64) []byte {
	for int64(len(w.Codes)) <= id {
		w.Codes, w.Took = append(w.Codes, nil), append(w.Took, nil)
	}
	if w.Codes[id] == nil {
		row := make([]byte, len(w.Runs))
		for i := range row {
			row[i] = Absent
		}
		w.Codes[id], w.Took[id] = row, make([]time.Duration, w.Timed)
	}
	return w.Codes[id]
}

// outcome classifies the code of a state in a [Window].
type outcome int

const (
	NotRun  outcome = iota // skipped, pending or absent
	Bad                    // failed
	Good                   // passed
	Rescued                // passed after a failed attempt
	Torn                   // failed and passed when one command ran it several times
)

// OutcomeOf classifies a code of [Window.Codes].
func OutcomeOf(code byte) outcome {
	switch {
	case code == Absent:
		return NotRun
	case reports.States[code&^BothBit] == reports.Failed && code&BothBit != 0:
		return Torn
	case reports.States[code&^BothBit] == reports.Failed:
		return Bad
	case reports.States[code&^BothBit] != reports.Passed:
		return NotRun
	case code&BothBit != 0:
		return Rescued
	}
	return Good
}
