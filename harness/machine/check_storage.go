package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
)

const (
	syncs       = 200 // writes of each kind, and saves per durability
	storageTime = 1500 * time.Millisecond
	leastSyncs  = 20
	page        = 4096
	// Programming a flash cell takes hundreds of µs. A faster sync has ended in a cache, with a
	// battery or capacitors or without.
	honestSync = 50 // µs
)

// latencies are quantiles of the time of one kind of operation, in µs, from n samples.
type latencies struct {
	p50, p95 float64
	n        int
}

// latency runs op up to syncs times, and stops after storageTime if at least leastSyncs samples
// exist. Quantiles are nearest-rank.
func (s *site) latency(ctx context.Context, op func(i int) error) (latencies, error) {
	var took []float64
	began := s.now()
	for i := range syncs {
		from := s.now()
		if err := errors.Join(context.Cause(ctx), op(i)); err != nil {
			return latencies{}, err
		}
		to := s.now()
		took = append(took, to.Sub(from).Seconds()*1e6)
		if len(took) >= leastSyncs && to.Sub(began) > storageTime {
			break
		}
	}
	slices.Sort(took)
	q := func(p float64) float64 { return stat.Quantile(p, stat.Empirical, took, nil) }
	return latencies{q(0.5), q(0.95), len(took)}, nil
}

func (l latencies) String() string {
	return fmt.Sprintf("%s/%s µs (n=%d)", threeDigits(l.p50), threeDigits(l.p95), l.n)
}

func (l latencies) figures(name string) []Figure {
	return []Figure{{name + " p50", l.p50, "us", l.n}, {name + " p95", l.p95, "us", l.n}}
}

// threeDigits formats a positive number with three significant digits, or as an integer from
// 100 on.
func threeDigits(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// checkSync times a write of 4 KiB followed by fsync, once appending to a file and once
// overwriting it. Appending also changes the file's metadata, which the sync must write.
func (s *site) checkSync(ctx context.Context) (c Check, err error) {
	fail := func(err error) (Check, error) {
		return c, fmt.Errorf("time fsync in %s: %w", s.dir, err)
	}
	f, err := os.Create(filepath.Join(s.scratch, "fsync"))
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data := make([]byte, page)
	written := 0
	write := func(i int) error {
		data[0] = byte(i) // a page with equal content might not be written
		_, err := f.WriteAt(data, int64(i)*page)
		return errors.Join(err, s.sync(f))
	}
	add, err := s.latency(ctx, func(i int) error { written++; return write(i) })
	if err != nil {
		return fail(err)
	}
	over, err := s.latency(ctx, func(i int) error { return write(i % written) })
	if err != nil {
		return fail(err)
	}
	c = Check{Mark: MarkOK, Figures: append(add.figures("append"), over.figures("overwrite")...)}
	c.Finding = fmt.Sprintf("4 KiB, p50/p95: append %v, overwrite %v", add, over)
	if min(add.p50, over.p50) < honestSync {
		c.Mark, c.Bars = MarkWarn, ProcessOnly
		c.Finding += fmt.Sprintf("; p50 under %d µs", honestSync)
		c.Do = `the device acknowledges writes from a cache: durability "power" holds here only if that is a power-protected cache: ask the operator of the storage`
	}
	return c, nil
}

// checkSaves times saves of the backend at each of its durabilities. Opening it also verifies its
// settings: a backend refuses a database that ignored one.
func (s *site) checkSaves(ctx context.Context) (Check, error) {
	c := Check{Mark: MarkOK}
	var timed []latencies
	var names, missing, texts []string
	for _, level := range s.backend.Levels() {
		d := level.Durability
		if d == corebench.Unsynced {
			continue
		}
		l, warnings, err := s.saves(ctx, d)
		if err != nil {
			return Check{Mark: MarkBad, Bars: NoTimings, Finding: strings.ReplaceAll(err.Error(), "\n", "; "),
				Do: "the backend does not work here: name a folder on a local disk with --dir"}, nil
		}
		if timed == nil {
			missing = warnings
		}
		timed, names, texts = append(timed, l), append(names, d), append(texts, fmt.Sprintf("%s %v", d, l))
		c.Figures = append(c.Figures, l.figures(d)...)
	}
	c.Finding = "save p50/p95: " + strings.Join(texts, ", ")
	if first, last := timed[0], timed[len(timed)-1]; len(timed) > 1 && first.p50 > 0 {
		c.Figures = append(c.Figures, Figure{names[len(names)-1] + "/" + names[0] + " p50", last.p50 / first.p50, "ratio", min(first.n, last.n)})
		c.Finding += fmt.Sprintf(", x%.1f", last.p50/first.p50)
	}
	if len(missing) > 0 {
		c.Mark = MarkWarn
		c.Finding += "; " + strings.Join(missing, "; ")
		c.Do = "a protection of saved runs is not available here: use a local disk, see the finding"
	}
	return c, nil
}

// saves times step saves of about 100 bytes, then counts the records over another connection,
// so that a backend that acknowledges without saving is an error.
// missing are the protections that the database lacks here.
func (s *site) saves(ctx context.Context, durability string) (l latencies, missing []string, err error) {
	path := filepath.Join(s.scratch, durability+".db")
	b, err := s.open(ctx, path, durability)
	if err != nil {
		return l, nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if w, ok := b.(interface{ Warnings() []string }); ok {
		missing = w.Warnings()
	}
	start := s.now()
	lease, err := b.Start(ctx, core.StartRecord{Key: core.RunKey{Run: "doctor"}, Pipeline: "doctor", State: []byte(`{}`), Time: start})
	if err != nil {
		return l, nil, err
	}
	output := []byte(`"` + strings.Repeat("x", 100) + `"`)
	l, err = s.latency(ctx, func(i int) error {
		return b.Step(ctx, lease, core.StepRecord{Seq: int64(i + 1), Path: "save", Status: core.Completed, Attempts: 1, Output: output, Started: start, Ended: start})
	})
	if err != nil {
		return l, nil, err
	}
	rows, err := s.backend.Count(ctx, path)
	if want := int64(l.n + 1); err == nil && rows.Records != want { // with the record of the start
		err = fmt.Errorf("another connection finds %d of %d saves", rows.Records, want)
	}
	return l, missing, err
}
