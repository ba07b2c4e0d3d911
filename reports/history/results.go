package history

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// resultRow is a packed row of table results.
type resultRow struct {
	run                         int64
	outcomes, durations, suites []byte
}

func scanResults(rows *sql.Rows) (w resultRow, err error) {
	var sum int64
	if err := rows.Scan(&w.run, &w.outcomes, &w.durations, &w.suites, &sum); err != nil {
		return w, err
	}
	if sum != checksum(w.run, w.outcomes, w.durations, w.suites) {
		return w, fmt.Errorf("results of run %d: %w", w.run, errSum)
	}
	return w, nil
}

const selectResults = "SELECT run_id, outcomes, durations, suites, sum FROM results "

// Results reads all results of a run.
func (r *Reader) Results(run int64) (*reports.Results, error) {
	out, o, err := r.outline(run)
	if err != nil {
		return nil, err
	}
	return out, r.fill(out.Specs, o)
}

// Outline reads the results of a run without the messages, outputs and attachments of its specs, which
// take most of the memory. [Reader.FillTexts] adds them for individual specs.
func (r *Reader) Outline(run int64) (*reports.Results, error) {
	out, _, err := r.outline(run)
	return out, err
}

// FillTexts reads the messages, outputs and attachments of specs of an outline. It does not change specs that the
// run does not contain.
func (r *Reader) FillTexts(run int64, specs []*reports.Spec) error {
	if len(specs) == 0 {
		return nil
	}
	out, o, err := r.outline(run)
	if err != nil {
		return err
	}
	want := make(map[reports.Digest]*reports.Spec, len(specs))
	for _, s := range specs {
		want[s.Digest()] = s
	}
	into := map[int]*reports.Spec{} // by index in out.Specs
	for i := range out.Specs {
		if s := want[out.Specs[i].Digest()]; s != nil {
			into[i] = s
		}
	}
	for _, texts := range []*[]sparse{&o.messages, &o.outputs, &o.attached} {
		*texts = slices.DeleteFunc(*texts, func(t sparse) bool { return into[o.place(t.at)] == nil })
	}
	if err := r.fill(out.Specs, o); err != nil {
		return err
	}
	for i, s := range into {
		s.Message, s.Output, s.Attachments = out.Specs[i].Message, out.Specs[i].Output, out.Specs[i].Attachments
	}
	return nil
}

// outline reads the results without messages, outputs and attachments. Their blob IDs are in the
// outcomes that it returns.
func (r *Reader) outline(run int64) (*reports.Results, *outcomes, error) {
	rows, err := collect(r.ctx, r.db, selectResults+"WHERE run_id = ?", []any{run}, scanResults)
	if err != nil {
		return nil, nil, err
	}
	if len(rows) == 0 {
		return nil, nil, fmt.Errorf("its results are missing: %w", errSum)
	}
	w := rows[0]
	content, err := r.unpack(w.suites)
	if err != nil {
		return nil, nil, err
	}
	var out reports.Results
	if err := unlist(string(content), &out.Suites); err != nil {
		return nil, nil, err
	}
	if content, err = r.unpack(w.outcomes); err != nil {
		return nil, nil, err
	}
	o, err := unpackOutcomes(content)
	if err != nil {
		return nil, nil, err
	}
	durations, err := r.durations(w, len(o.codes))
	if err != nil {
		return nil, nil, err
	}
	out.Specs, err = r.specs(o, durations)
	return &out, o, err
}

func (r *Reader) durations(w resultRow, n int) ([]time.Duration, error) {
	content, err := r.unpack(w.durations)
	if err != nil {
		return nil, err
	}
	return unpackDurations(content, n)
}

// specs assembles specs from the columns, without messages, outputs and attachments.
func (r *Reader) specs(o *outcomes, durations []time.Duration) ([]reports.Spec, error) {
	if len(o.codes) == 0 && len(o.rosters) == 0 {
		return nil, nil
	}
	all := make([]reports.Spec, len(o.codes))
	n := 0
	for _, id := range o.rosters {
		content, err := r.roster(id)
		if err != nil {
			return nil, err
		}
		roster, err := unpackRoster(content)
		if err != nil {
			return nil, err
		}
		if n+len(roster.ids) > len(all) {
			return nil, fmt.Errorf("more specs than the %d states: %w", len(all), errSum)
		}
		for i, number := range roster.ids {
			s, ok, err := r.Name(number)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, fmt.Errorf("name %d is missing: %w", number, errSum)
			}
			s.File, s.Line, s.Labels = roster.files[i], roster.lines[i], roster.labels[i]
			s.State, s.Retried = reports.States[o.codes[n]&^BothBit], o.codes[n]&BothBit != 0
			s.Attempts, s.Duration = o.attempts[n], durations[n]
			all[o.place(n)] = s
			n++
		}
	}
	if n != len(all) {
		return nil, fmt.Errorf("%d specs and %d states: %w", n, len(all), errSum)
	}
	return all, r.texts(o.details, func(at int, text string) {
		s := &all[o.place(at)]
		s.Detail = text
		s.Retried = s.Retried && !s.BothWays()
	})
}

// fill adds messages, outputs and attachments to specs.
func (r *Reader) fill(specs []reports.Spec, o *outcomes) error {
	var undecoded error
	err := errors.Join(
		r.texts(o.messages, func(at int, text string) { specs[o.place(at)].Message = text }),
		r.texts(o.outputs, func(at int, text string) { specs[o.place(at)].Output = text }),
		r.texts(o.attached, func(at int, text string) {
			if err := unlist(text, &specs[o.place(at)].Attachments); err != nil {
				undecoded = fmt.Errorf("attachments: %w", err)
			}
		}))
	return errors.Join(err, undecoded)
}

// blobsAtOnce is the maximum number of blobs that one query reads.
const blobsAtOnce = 500

// texts reads the texts and calls set with each; at is that of the sparse entry. Specs with equal
// texts share one string.
func (r *Reader) texts(of []sparse, set func(at int, text string)) error {
	of = slices.Clone(of)
	slices.SortFunc(of, func(x, y sparse) int { return cmp.Compare(x.blob, y.blob) })
	for len(of) > 0 {
		var ids []int64
		n := 0
		for ; n < len(of) && (len(ids) < blobsAtOnce || of[n].blob == of[n-1].blob); n++ {
			if len(ids) == 0 || of[n].blob != ids[len(ids)-1] {
				ids = append(ids, of[n].blob)
			}
		}
		if err := r.textsOf(ids, of[:n], set); err != nil {
			return err
		}
		of = of[n:]
	}
	return nil
}

// textsOf reads the blobs with the given IDs and calls set for each entry of of. Both are sorted by
// blob.
func (r *Reader) textsOf(ids []int64, of []sparse, set func(at int, text string)) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	err = each(r.ctx, r.db, "SELECT id, digest, packed FROM blobs WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", []any{string(list)}, func(rows *sql.Rows) error {
		var id int64
		var sum, packed sql.RawBytes
		if err := rows.Scan(&id, &sum, &packed); err != nil {
			return err
		}
		content, err := r.checked(id, sum, packed)
		if err != nil {
			return err
		}
		text := string(content)
		for len(of) > 0 && of[0].blob == id {
			set(of[0].at, text)
			of = of[1:]
		}
		return nil
	})
	if err == nil && len(of) > 0 {
		return missingBlob(of[0].blob)
	}
	return err
}

func missingBlob(id int64) error { return fmt.Errorf("shared content %d is missing: %w", id, errSum) }

// checked unpacks the content of a blob and compares it with its digest. The result may share memory
// with packed.
func (r *Reader) checked(id int64, sum, packed []byte) ([]byte, error) {
	content, err := r.unpack(packed)
	if err != nil || !bytes.Equal(digest(content), sum) {
		return nil, errors.Join(fmt.Errorf("shared content %d: %w", id, errSum), err)
	}
	return content, nil
}

// roster returns the packed content of a roster. It is cached, because most runs of a history share
// their rosters.
func (r *Reader) roster(id int64) ([]byte, error) {
	if content, ok := r.rosters[id]; ok {
		return content, nil
	}
	type row struct{ sum, packed []byte }
	rows, err := collect(r.ctx, r.db, "SELECT digest, packed FROM blobs WHERE id = ?", []any{id}, func(rows *sql.Rows) (w row, err error) {
		err = rows.Scan(&w.sum, &w.packed)
		return w, err
	})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, missingBlob(id)
	}
	content, err := r.checked(id, rows[0].sum, rows[0].packed)
	if err != nil {
		return nil, err
	}
	r.rosters[id] = content
	return content, nil
}
