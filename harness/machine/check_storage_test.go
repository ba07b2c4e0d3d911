package machine

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/flujo/flujo-harness/core"
)

func TestSyncCheck(t *testing.T) {
	takes := func(d time.Duration) func(*site, *hands, fstest.MapFS) {
		return func(s *site, h *hands, _ fstest.MapFS) {
			s.sync = func(*os.File) error { h.at = h.at.Add(d); return nil }
		}
	}
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkSync }, change{
		"a disk":       {nil, said{MarkOK, "", "4 KiB, p50/p95: append 200/200 µs (n=200), overwrite 200/200 µs (n=200)", ""}},
		"a slow disk":  {takes(30 * time.Millisecond), said{MarkOK, "", "append 30000/30000 µs (n=50)", ""}},
		"a crawl":      {takes(time.Second), said{MarkOK, "", "(n=20)", ""}},
		"a liar":       {takes(40 * time.Microsecond), said{MarkWarn, ProcessOnly, "append 40/40 µs (n=200), overwrite 40/40 µs (n=200); p50 under 50 µs", "power-protected cache"}},
		"just no liar": {takes(50*time.Microsecond - 50), said{MarkOK, "", "append 50/50 µs", ""}},
		"a liar over old data": {func(s *site, h *hands, _ fstest.MapFS) {
			n := 0
			s.sync = func(*os.File) error {
				if n++; n <= syncs {
					h.at = h.at.Add(time.Millisecond)
				}
				return nil
			}
		}, said{MarkWarn, ProcessOnly, "append 1000/1000 µs", ""}},
	})
}

func TestSQLiteCheck(t *testing.T) {
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkSaves }, change{
		"good": {nil, said{MarkOK, "", "save p50/p95: process 30/30 µs (n=200), power 240/240 µs (n=200), x8.0", ""}},
		"no WAL": {func(s *site, _ *hands, _ fstest.MapFS) {
			s.open = func(context.Context, string, string) (core.Backend, error) {
				return nil, errors.New(`journal_mode is "delete" where "wal" is needed`)
			}
		}, said{MarkBad, NoTimings, `journal_mode is "delete"`, "local disk"}},
		"only power fails": {func(s *site, _ *hands, _ fstest.MapFS) {
			open := s.open
			s.open = func(ctx context.Context, path, d string) (core.Backend, error) {
				if d == "power" {
					return nil, errors.New("disk I/O error")
				}
				return open(ctx, path, d)
			}
		}, said{MarkBad, NoTimings, "disk I/O error", ""}},
		"lost saves": {func(s *site, _ *hands, _ fstest.MapFS) {
			open := s.open
			s.open = func(ctx context.Context, path, d string) (core.Backend, error) {
				b, err := open(ctx, path, d)
				return forgetful{b}, err
			}
		}, said{MarkBad, NoTimings, "another connection finds 1 of 201 saves", ""}},
		"a protection is missing": {func(s *site, _ *hands, _ fstest.MapFS) {
			open := s.open
			s.open = func(ctx context.Context, path, d string) (core.Backend, error) {
				b, err := open(ctx, path, d)
				return warning{b}, err
			}
		}, said{MarkWarn, "", "; this system has no locks that hold", "local disk"}},
	})
}

// warning is a backend that lacks a protection.
type warning struct{ core.Backend }

func (warning) Warnings() []string { return []string{"this system has no locks that hold"} }

// forgetful is a backend whose steps are never saved.
type forgetful struct{ core.Backend }

func (forgetful) Step(context.Context, core.Lease, core.StepRecord) error { return nil }
