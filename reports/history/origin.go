package history

import (
	"encoding/json"
	"reflect"

	"github.com/flujo/flujo-harness/reports"
)

// insertOrigin stores the change and the CI job that a run belongs to, if they are known. The fields
// by which queries select runs have columns; the rest is JSON.
func (w *rowWriter) insertOrigin(run int64, o reports.Origin) error {
	if reflect.ValueOf(o).IsZero() {
		return nil
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	details, err := w.pack(text)
	if err != nil {
		return err
	}
	row := []any{run, o.BaseBranch, o.Cell(), bit(o.Fork), bit(o.Selection.Partial), details}
	_, err = w.tx.ExecContext(w.ctx, "INSERT INTO origins (run_id, base_branch, cell, fork, partial, details, sum) VALUES (?, ?, ?, ?, ?, ?, ?)",
		append(row, checksum(row...))...)
	return err
}
