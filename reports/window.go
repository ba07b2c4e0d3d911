package reports

import (
	"database/sql"
	"fmt"
	"time"
)

// absent is the code of a spec that a run does not have.
const absent = 0xff

// window is the states of specs by run, for what looks at many runs at once.
type window struct {
	runs  []RunLine // that have results, the oldest first
	codes [][]byte  // by the number of the name, then by run; nil: in no run
	timed int       // of the runs, the last ones: their durations are here
	took  [][]time.Duration
}

// slowWindow is the runs whose durations are looked at.
const slowWindow = 60

// window reads the states of runs, and the durations of the last few of them.
func (r *reader) window(runs []runRecord, durations int) (*window, error) {
	w := &window{}
	for i := range runs {
		if runs[i].rated {
			w.runs = append(w.runs, runs[i].line())
		}
	}
	w.timed = min(durations, len(w.runs))
	if len(w.runs) == 0 {
		return w, nil
	}
	place := make(map[int64]int, len(w.runs))
	low, high := w.runs[0].ID, w.runs[0].ID
	for i, l := range w.runs {
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

// column puts one run into its place in w.
func (r *reader) column(w *window, at int, row resultRow, rosters map[int64][]int64) error {
	content, err := r.unpack(row.outcomes)
	if err != nil {
		return err
	}
	o, err := unpackCodes(&unpacker{b: content})
	if err != nil {
		return err
	}
	var durations []time.Duration
	from := len(w.runs) - w.timed
	if at >= from {
		if durations, err = r.durations(row, len(o.codes)); err != nil {
			return err
		}
	}
	i := 0
	for _, blob := range o.rosters {
		ids, ok := rosters[blob]
		if !ok {
			content, err := r.blob(blob)
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
				w.took[id][at-from] = durations[i]
			}
			i++
		}
	}
	if i != len(o.codes) {
		return fmt.Errorf("run %d has %d specs and %d states: %w", row.run, i, len(o.codes), errSum)
	}
	return nil
}

// cells is the row of a spec, made where it is missing.
func (w *window) cells(id int64) []byte {
	for int64(len(w.codes)) <= id {
		w.codes, w.took = append(w.codes, nil), append(w.took, nil)
	}
	if w.codes[id] == nil {
		row := make([]byte, len(w.runs))
		for i := range row {
			row[i] = absent
		}
		w.codes[id], w.took[id] = row, make([]time.Duration, w.timed)
	}
	return w.codes[id]
}

// outcome of a code.
type outcome int

const (
	notRun outcome = iota // skipped, pending or absent
	bad
	good
	rescued // good after a failed attempt
	torn    // bad in some runs of one command and good in others
)

func outcomeOf(code byte) outcome {
	switch {
	case code == absent:
		return notRun
	case states[code&^bothBit] == Failed && code&bothBit != 0:
		return torn
	case states[code&^bothBit] == Failed:
		return bad
	case states[code&^bothBit] != Passed:
		return notRun
	case code&bothBit != 0:
		return rescued
	}
	return good
}
