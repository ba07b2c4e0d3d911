package suites

import (
	"context"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
)

// DescribeBackend describes the requirements of package coretest for a backend, one spec each. open
// opens the backend whose file or directory is at a path, and creates it if it does not exist. If
// the backend is durable (coretest.Durable), child processes are killed at commits of a run, which
// depend on Ginkgo's random seed, and suspended during a run.
//
// It must be called at package level, because the child processes run this test program again.
//
//	var _ = suites.DescribeBackend("postgres", open, coretest.Durable)
func DescribeBackend(name string, open coretest.Opener, life coretest.Life, decorators ...any) bool {
	here := types.NewCodeLocation(1)
	first := backends.reserve(name)
	if first {
		coretest.Serve(name, open)
	}
	return Describe("The backend "+name, append(decorators, here, func() {
		if !first {
			backends.refuse(name, here)
			return
		}
		its := func(what, category string, cases []coretest.Case) {
			Describe(what, here, Label("category:"+category), func() {
				for _, c := range cases {
					It(c.Name, here, func() { c.Check(GinkgoTB()) })
				}
			})
		}
		its("meets the requirements:", "conformance", coretest.ConformanceCases(func(t testing.TB) core.Backend {
			b, err := open(context.Background(), filepath.Join(t.TempDir(), "runs"))
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			return b
		}))
		its("in generated histories:", "conformance", coretest.ModelCases(open, life))
		if life == coretest.Durable {
			its("after kill -9:", "recovery", coretest.RecoveryCases(name, open, everyFourth))
			its("with a process that wakes up late:", "recovery", coretest.FencingCases(name, open))
		}
	})...)
}

// everyFourth selects a quarter of the moments by Ginkgo's random seed.
func everyFourth(moment int) bool { return (int64(moment)+GinkgoRandomSeed())%4 == 0 }
