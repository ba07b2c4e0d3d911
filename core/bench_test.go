package core_test

import (
	"context"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// BenchmarkNoBackend is what the engine itself costs: three steps that do nothing,
// on a scope without pointers, nothing saved. Read it against its own floor arm,
// the same agents called in a loop.
func BenchmarkNoBackend(b *testing.B) {
	type scope struct{ A, B, C int }
	agent := core.Func[int, int](func(_ context.Context, r core.Request[int]) (int, error) { return r.Input + 1, nil })
	var nodes []*core.Node[scope]
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, core.Step(name, agent, func(s scope) int { return s.A }, func(s *scope, out int) { s.A = out }))
	}
	p, err := core.New("p", nodes...)
	if err != nil {
		b.Fatal(err)
	}
	e, key := core.NewEngine(), core.RunKey{Run: "r"}
	b.Run("engine", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := core.Run(b.Context(), e, p, key, scope{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("agents alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var s scope
			for range 3 {
				s.A, err = agent.Call(b.Context(), core.Request[int]{Input: s.A, Run: key, Path: "a", Attempt: 1})
			}
		}
	})
}
