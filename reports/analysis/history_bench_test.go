package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/shirou/gopsutil/v4/process"
)

// bigRuns returns n runs of 2,300 specs in 40 suites, one hour apart. About 50 specs fail for days, 8
// are skipped, and 10 are flaky. One suite is edited before every run, so that its lines move. Durations
// are log-normal, and the order of suites is random.
func bigRuns(n int, do func(reports.Run) error) error {
	const suites, specs = 40, 2300
	random := rand.New(rand.NewPCG(7, 11))
	lines := make([]int, suites)
	failing := map[int]bool{}
	for i := range n {
		lines[random.IntN(suites)] += 1 + random.IntN(9)
		for len(failing) < 50 {
			failing[random.IntN(specs)] = true
		}
		for k := range failing {
			if random.IntN(20) == 0 {
				delete(failing, k)
			}
		}
		r := reports.Run{Started: sample.Noon.Add(time.Duration(i) * time.Hour), Seconds: 60, Commit: fmt.Sprintf("%040x", i), Branch: "main",
			Key: fmt.Sprint("job ", i), Format: "Ginkgo JSON", Complete: true, Suites: &reports.Results{}}
		for _, suite := range random.Perm(suites) {
			path := fmt.Sprintf("internal/part%02d", suite)
			r.Suites.Suites = append(r.Suites.Suites, reports.Suite{Path: path, Description: "Part " + path, Started: r.Started, Duration: 3 * time.Second, Seed: int64(random.Uint32())})
			for k := suite; k < specs; k += suites {
				s := reports.Spec{Suite: path, Containers: []string{"a pipeline of part " + path, fmt.Sprintf("with %d steps and a pause", k%7)},
					Leaf: fmt.Sprintf("resumes after a crash in step %d of its plan", k), Occurrence: 1, State: reports.Passed, Attempts: 1,
					Duration: time.Duration(1e6 * math.Exp(float64(k%9)+0.2*random.NormFloat64())), File: path + "/resume_test.go", Line: lines[suite] + 12*k/suites,
					Labels: []string{fmt.Sprintf("category:%d", k%5)}}
				switch {
				case failing[k]:
					s.State, s.Message = reports.Failed, fmt.Sprintf("Expected\n    <int>: %d\nto equal\n    <int>: 5 in step %d", random.IntN(9), k)
				case k < 8:
					s.State, s.Attempts, s.Duration = reports.Skipped, 0, 0
				case k < 18 && random.IntN(5) == 0:
					s.Retried, s.Attempts, s.Message = true, 2, "timed out after 1.000s"
				}
				r.Suites.Specs = append(r.Suites.Specs, s)
			}
		}
		if err := do(r); err != nil {
			return err
		}
	}
	return nil
}

// cpu returns the processor time of this process in s, which does not include the load of other
// processes.
func cpu(b *testing.B) float64 {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		b.Fatal(err)
	}
	times, err := p.Times()
	if err != nil {
		b.Fatal(err)
	}
	return times.User + times.System
}

// BenchmarkHistory appends 1,000 runs of 2,300 specs (100 with -short), then analyzes the newest. It
// reports the time to append all runs in s, the size of the file in MB, the time to open it in ms, and
// the elapsed time and the processor time of the analysis in ms.
func BenchmarkHistory(b *testing.B) {
	runs := 1000
	if testing.Short() {
		runs = 100
	}
	path := filepath.Join(b.TempDir(), "h.db")
	h, err := history.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	var ingested time.Duration
	err = bigRuns(runs, func(r reports.Run) error {
		began := time.Now()
		_, err := h.Append(b.Context(), r)
		ingested += time.Since(began)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := h.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if h, err = history.Open(b.Context(), path); err != nil {
		b.Fatal(err)
	}
	opened := time.Since(began)
	defer h.Close()
	busy := cpu(b)
	for b.Loop() {
		if _, err := Analyze(b.Context(), h, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(b)-busy)/float64(b.N)*1e3, "cpu-ms/account")
	b.ReportMetric(ingested.Seconds(), "s/append")
	b.ReportMetric(float64(info.Size())/1e6, "MB")
	b.ReportMetric(opened.Seconds()*1e3, "ms/open")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1e3, "ms/account")
	b.ReportMetric(0, "ns/op")
}
