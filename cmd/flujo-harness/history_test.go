package main

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

func init() {
	storeCommands["recordspecs"] = recordSpecs
	storeCommands["damagecomparison"] = damageComparison
}

// damagecomparison FILE RUN changes the checksum of the figures of a run.
func damageComparison(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damagecomparison FILE RUN")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec("UPDATE benchmarks SET sum = sum + 1 WHERE run_id = ?", args[1])
	ts.Check(err)
}

// recordspecs FILE RUN... appends runs to a history, an hour apart. A run is written as its
// commit and a character for each spec, "abc:..FRsp", where "-" means that the spec does not
// exist. The commit may be empty, and may be followed by "+" for uncommitted changes and
// "@branch" (default main). A prefix "!" makes the run interrupted, "*" focused, and "?" one
// whose suites gave no results. "=abc:3" is a comparison of so many benchmarks at commit abc, which
// broke.
func recordSpecs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: recordspecs FILE RUN...")
	}
	ctx := context.Background()
	h, err := history.Open(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	defer h.Close()
	for i, arg := range args[1:] {
		commit, cells, _ := strings.Cut(strings.TrimLeft(arg, "!*?="), ":")
		commit, branch, named := strings.Cut(commit, "@")
		if !named {
			branch = "main"
		}
		commit, dirty := strings.CutSuffix(commit, "+")
		r := reports.Run{Started: time.Date(2026, 11, 23, 12+i, 0, 0, 0, time.UTC), Commit: commit, Dirty: dirty, Branch: branch, Format: "Ginkgo JSON",
			Complete: arg[0] != '!', Outcome: thresholds.Held}
		switch arg[0] {
		case '?':
			r.SuiteError = "the report is cut short"
		case '=':
			n, err := strconv.Atoi(cells)
			ts.Check(err)
			r.Format, r.Command, r.Outcome = "", "flujo-harness compare main", thresholds.Broken
			for i := range n {
				name := fmt.Sprintf("example.com/shop.Of%d", i+1)
				r.Benchmarks = append(r.Benchmarks, reports.Benchmark{Name: name, Unit: "sec/op", Values: []float64{1e-6}}, reports.Benchmark{Name: name, Unit: "B/op", Values: []float64{8}})
				r.Verdicts = append(r.Verdicts, thresholds.Verdict{Outcome: thresholds.Broken, Workload: name, Metric: thresholds.MetricRatio, Against: "main", Reason: "slower", Next: "find out why"})
			}
		default:
			r.Suites = specsOf(cells, arg[0] == '*')
		}
		_, err := h.Append(ctx, r)
		ts.Check(err)
	}
}

func specsOf(cells string, focused bool) *reports.Results {
	r := &reports.Results{Suites: []reports.Suite{{Path: "shop", Focused: focused}}}
	for i, c := range cells {
		if c == '-' {
			continue
		}
		s := reports.Spec{Suite: "shop", Containers: []string{"an order"}, Leaf: fmt.Sprintf("is kept %d", i+1), Occurrence: 1, Attempts: 1, File: "shop/order_test.go", Line: 10 + i}
		switch c {
		case 'F':
			s.State, s.Message = reports.Failed, "it is lost"
		case 's':
			s.State, s.Attempts = reports.Skipped, 0
		case 'p':
			s.State, s.Attempts = reports.Pending, 0
		case 'R':
			s.State, s.Retried, s.Attempts = reports.Passed, true, 2
		default:
			s.State = reports.Passed
		}
		r.Specs = append(r.Specs, s)
	}
	return r
}
