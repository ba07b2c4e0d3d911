package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
)

// WriteCSV writes a row for each failure outside the specs, each spec of the run, and each spec that
// is gone or could not run. Column "outside" is the node of a failure outside the specs, and empty
// for specs. Cells that a spreadsheet would interpret as formulas begin with an apostrophe, and
// control characters are written as escapes.
func WriteCSV(w io.Writer, a *analysis.Analysis) error {
	out := csv.NewWriter(w)
	write := func(cells ...string) {
		for i := range cells {
			cells[i] = guarded(cells[i])
		}
		_ = out.Write(cells) // Flush returns the error
	}
	write("run", "id", "suite", "name", "state", "before", "transition", "attempts", "retried", "duration_ms", "file", "line", "owner", "labels", "message", "outside")
	moves := map[reports.Digest]*analysis.Move{}
	for i := range a.Moves {
		moves[a.Moves[i].Spec.Digest()] = &a.Moves[i]
	}
	row := func(s *reports.Spec, state reports.State, m *analysis.Move) {
		before, kind := string(state), ""
		switch {
		case m != nil:
			before, kind = string(m.Before), string(m.Kind)
		case !a.Matrix.Compared:
			before = ""
		}
		write(fmt.Sprint(a.Run.ID), specID(s), s.Suite, s.Name(), string(state), before, kind, strconv.Itoa(s.Attempts), strconv.FormatBool(s.Retried),
			strconv.FormatFloat(float64(s.Duration)/float64(time.Millisecond), 'f', -1, 64), s.File, strconv.Itoa(s.Line), reports.OwnerOf(s), strings.Join(s.Labels, " "), s.Message, "")
	}
	for i := range a.Outside {
		o := &a.Outside[i]
		s := o.Spec()
		before := reports.Failed
		if o.Now && o.Kind != reports.StillFailing {
			before = ""
		}
		write(fmt.Sprint(a.Run.ID), specID(&s), s.Suite, o.Name(), string(s.State), string(before), string(o.Kind), "", "", "", s.File, strconv.Itoa(s.Line), "", "", s.Message, o.Failure.Node)
	}
	if a.Run.Suites != nil {
		for i := range a.Run.Suites.Specs {
			s := &a.Run.Suites.Specs[i]
			row(s, s.State, moves[s.Digest()])
		}
	}
	for i := range a.Moves {
		if m := &a.Moves[i]; m.Now == "" {
			row(m.Spec, "", m)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

// guarded returns a cell that no spreadsheet interprets as a formula.
func guarded(s string) string {
	s = reports.Visible(s)
	if first := strings.TrimLeft(s, " \u00a0"); first != "" && strings.ContainsRune("=+-@|", rune(first[0])) {
		return "'" + s
	}
	return s
}
