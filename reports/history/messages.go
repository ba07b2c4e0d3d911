package history

import (
	"fmt"
	"slices"

	"github.com/flujo/flujo-harness/reports"
)

// Message is the failure message of a spec in one run: of its failure, or of a failed attempt before
// it passed.
type Message struct {
	Run  int64
	Text string
}

// Messages reads the failure messages of specs in runs. The result is keyed by name ID and has the
// order of runs. Specs that names does not contain and runs without results are skipped. Equal
// messages share one string.
func (r *Reader) Messages(runs []int64, names map[int64]bool) (map[int64][]Message, error) {
	all, known := map[int64][]Message{}, map[string]string{}
	for _, run := range runs {
		rows, err := collect(r.ctx, r.db, selectResults+"WHERE run_id = ?", []any{run}, scanResults)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			continue
		}
		content, err := r.unpack(rows[0].outcomes)
		if err != nil {
			return nil, err
		}
		o, err := unpackOutcomes(content)
		if err != nil {
			return nil, fmt.Errorf("run %d: %w", run, err)
		}
		ids, err := r.rosterNames(o)
		if err != nil {
			return nil, fmt.Errorf("run %d: %w", run, err)
		}
		o.messages = slices.DeleteFunc(o.messages, func(m sparse) bool {
			code := o.codes[m.at]
			return !names[ids[m.at]] || reports.States[code&^BothBit] != reports.Failed && code&BothBit == 0
		})
		err = r.texts(o.messages, func(at int, text string) {
			if same, ok := known[text]; ok {
				text = same
			}
			known[text] = text
			all[ids[at]] = append(all[ids[at]], Message{run, text})
		})
		if err != nil {
			return nil, fmt.Errorf("run %d: %w", run, err)
		}
	}
	return all, nil
}

// rosterNames returns the name IDs of the specs of a run, in the order of o.codes.
func (r *Reader) rosterNames(o *outcomes) (ids []int64, err error) {
	for _, blob := range o.rosters {
		content, err := r.roster(blob)
		if err != nil {
			return nil, err
		}
		u := unpacker{b: content}
		part := rosterIDs(&u)
		if u.err != nil {
			return nil, u.err
		}
		ids = append(ids, part...)
	}
	if len(ids) != len(o.codes) {
		return nil, fmt.Errorf("%d specs and %d states: %w", len(ids), len(o.codes), errSum)
	}
	return ids, nil
}
