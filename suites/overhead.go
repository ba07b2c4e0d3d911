package suites

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/thresholds"
)

// DescribeOverhead measures the cost of durability of a pipeline in separate processes and judges
// it by its limit. limits is the directory of the limits files, relative to the package.
//
// args are the durabilities to measure (by default sqlite.Process) and Ginkgo decorators. It must be
// called at package level, so that it can detect that this process was started for a session:
//
//	var _ = suites.DescribeOverhead(harness.NewWorkload("review", "…", pipeline, input), "../thresholds/limits")
//
// If the directory has no limit for this class of machine, but one for any machine (any.toml,
// created by flujo-harness calibrate --instructions --suite), the instructions are counted under
// valgrind and judged by that limit.
//
// The spec fails if the limit is broken or the measurement is invalid. It is skipped if the verdict is
// inconclusive, if there is no limit (flujo-harness calibrate --suite creates one), and if the
// program was built with the race detector or for coverage. The report entry
// [thresholds.OverheadEntry] contains the comparison and the verdict, as a table in text and
// completely in JSON.
func DescribeOverhead(w harness.Workload, limits string, args ...any) bool {
	here := types.NewCodeLocation(1)
	first := workloads.reserve(w.Name)
	if first {
		harness.Serve(w)
	}
	var durabilities []sqlite.Durability
	decorated := []any{here, Serial, labelled("workload", w.Name)}
	for _, a := range args {
		if d, ok := a.(sqlite.Durability); ok {
			durabilities = append(durabilities, d)
		} else {
			decorated = append(decorated, a)
		}
	}
	if durabilities == nil {
		durabilities = []sqlite.Durability{sqlite.Process}
	}
	return Describe("What durability costs "+w.Name, append(decorated, func() {
		if !first {
			workloads.refuse(w.Name, here)
			return
		}
		for _, d := range durabilities {
			It(fmt.Sprintf("holds its limit at durability %s", d), here, Label("category:persistence-overhead"), func(ctx SpecContext) {
				if instrumented || testing.CoverMode() != "" {
					Skip("a program built with -race or -cover has other costs: run this spec without these flags")
				}
				judged, err := overhead(ctx, w, d, limits)
				Expect(err).NotTo(HaveOccurred())
				AddReportEntry(thresholds.OverheadEntry, judged)
				if v := judged.Verdict; v.Outcome == thresholds.Inconclusive {
					Skip(strings.Join(append([]string{v.Reason, v.Next}, v.Notes...), "; "))
				}
				Expect(judged).To(Hold())
			})
		}
	})...)
}

// overhead measures and judges a workload of this test program.
func overhead(ctx context.Context, w harness.Workload, d sqlite.Durability, limits string) (j thresholds.Judged, err error) {
	file, err := thresholds.Load(limits, machine.Class())
	if err != nil {
		return j, err
	}
	anyMachine, err := thresholds.Load(limits, thresholds.AnyClass)
	if err != nil {
		return j, err
	}
	here, err := os.Getwd()
	if err != nil {
		return j, err
	}
	root := workdir.ModuleRoot(here)
	suite, err := filepath.Rel(root, here)
	if err != nil {
		return j, fmt.Errorf("find the module of this package: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return j, err
	}
	dir, remove, err := workdir.Scratch(root)
	if err != nil {
		return j, err
	}
	DeferCleanup(remove)
	spec := harness.Spec{Workload: w.Name, Suite: "./" + filepath.ToSlash(suite), Durability: string(d),
		Plan: harness.DefaultPlan(), Seed: uint64(GinkgoRandomSeed()), Dir: dir}
	run := harness.ExecTest(program, "", w.Name)
	if j, err = thresholds.Measure(ctx, spec, file, run, func(*harness.Comparison) {}); err == nil && j.NeedsCount(file, anyMachine, false) {
		j.Count(ctx, spec, file, anyMachine, run)
	}
	return j, err
}
