package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/harness"
)

func specsNamed(names ...string) (specs []harness.Spec) {
	for _, name := range names {
		specs = append(specs, harness.Spec{Workload: name, Durability: "process", Plan: harness.Plan{Sessions: 24}})
	}
	return specs
}

func TestThePlanSaysTheOrderTheTimeAndWhatFits(t *testing.T) {
	needs := []Need{{Least: 40 * time.Second, Most: 8 * time.Minute}, {Least: 1900 * time.Millisecond, Most: 24 * time.Second}, {}, {Least: 30 * time.Second, Most: 30 * time.Second}}
	specs := specsNamed("large-1m", "default", "broken", "counted")
	for _, tc := range []struct {
		whole, left time.Duration
		want        string
	}{
		{0, 0, `plan: 4 measurements, about 1m12s to 8m54s in all, in this order:
  broken at process: an unknown time
  default at process: about 1.9s to 24s
  counted at process: about 30s
  large-1m at process: about 40s to 8m0s`},
		{time.Minute, 58 * time.Second, `plan: 4 measurements, about 1m12s to 8m54s in all, in this order:
  broken at process: an unknown time
  default at process: about 1.9s to 24s
  counted at process: about 30s
  large-1m at process: about 40s to 8m0s; does not fit into --time 1m0s
3 of 4 fit: --time 1m29s is enough for all`},
	} {
		got := newQueue(specs, needs, tc.whole).lines(tc.left)
		if diff := cmp.Diff(tc.want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("--time %v (-want +got)\n%s", tc.whole, diff)
		}
	}
}

// Measurements start in the expected order and get the expected budgets. Only they advance the
// clock.
func TestTheTimeOfAllMeasurementsIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name   string
		budget time.Duration
		least  []time.Duration // forecast of each spec
		takes  []time.Duration // actual time; at most the budget if that is shorter
		want   string
		ends   time.Duration
	}{
		{"no bound", 0, []time.Duration{3, 1, 2}, []time.Duration{30, 1, 2}, "b 0s, c 0s, a 0s", 33 * time.Second},
		{"shares of what is left", 12, []time.Duration{3, 1, 2}, []time.Duration{30, 1, 30}, "b 2s, c 4.4s, a 6.6s", 12 * time.Second},
		{"what does not fit is not begun", 4, []time.Duration{3, 1, 2}, []time.Duration{3, 1, 2}, "b 1.333333333s, c 3s, a late: 3s of 1s", 3 * time.Second},
		{"longer than forecast", 10, []time.Duration{3, 2, 1}, []time.Duration{3, 99, 1}, "c 1.666666666s, b 3.6s cut off, a late: 3s of 0s", 10 * time.Second},
		{"one alone has all", 5, []time.Duration{0}, []time.Duration{4}, "a 5s", 4 * time.Second},
		{"one alone is cut off", 5, []time.Duration{0}, []time.Duration{99}, "a 5s cut off", 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := Flags{Budget: tc.budget * time.Second}
				specs := specsNamed([]string{"a", "b", "c"}[:len(tc.least)]...)
				began := time.Now()
				var got []string
				index := func(name string) int { return slices.Index([]string{"a", "b", "c"}, name) }
				var text bytes.Buffer
				f.Each(t.Context(), specs, cli.NewProgress(&text), func(_ context.Context, spec harness.Spec) (Need, error) {
					return Need{Least: tc.least[index(spec.Workload)] * time.Second}, nil
				}, func(ctx context.Context, i int, spec harness.Spec) {
					needs := tc.takes[i] * time.Second
					if needs < 90*time.Second && spec.Plan.Budget > 0 { // sessions stop at their budget
						needs = min(needs, spec.Plan.Budget)
					}
					says := fmt.Sprintf("%s %v", spec.Workload, spec.Plan.Budget)
					select {
					case <-time.After(needs):
					case <-ctx.Done():
						if !errors.Is(context.Cause(ctx), ErrNoTime) {
							t.Errorf("cause %v", context.Cause(ctx))
						}
						says += " cut off"
					}
					got = append(got, says)
				}, func(i int, why error) {
					if !errors.Is(why, ErrNoTime) {
						t.Errorf("late: %v", why)
					}
					left := f.Budget - time.Since(began)
					got = append(got, fmt.Sprintf("%s late: %v of %v", specs[i].Workload, tc.least[i]*time.Second, left))
				})
				if took := time.Since(began); strings.Join(got, ", ") != tc.want || took.Round(time.Millisecond) != tc.ends {
					t.Errorf("after %v of %v:\n got %s\nwant %s", took, tc.ends, strings.Join(got, ", "), tc.want)
				}
				if planned := strings.Contains(text.String(), "plan: "); planned != (len(specs) > 1) {
					t.Errorf("printed %q", text.String())
				}
			})
		})
	}
}

// Counts of instructions follow the sessions, so the budget of the sessions does not include
// their time.
func TestSessionsLeaveTimeForCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := Flags{Budget: 20 * time.Second}
		f.Each(t.Context(), specsNamed("a", "b"), cli.NewProgress(new(bytes.Buffer)), func(context.Context, harness.Spec) (Need, error) {
			return Need{Least: 10 * time.Second, After: 8 * time.Second}, nil
		}, func(_ context.Context, _ int, spec harness.Spec) {
			if spec.Plan.Budget != 2*time.Second {
				t.Errorf("%s has %v for its sessions, want 2s", spec.Workload, spec.Plan.Budget)
			}
			time.Sleep(10 * time.Second)
		}, func(i int, why error) { t.Errorf("%d: %v", i, why) })
	})
}

// An interrupt ends all measurements and is not reported as missing time.
func TestAnInterruptEndsThePlan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := Flags{Budget: time.Hour}
	n := 0
	f.Each(ctx, specsNamed("a", "b", "c"), cli.NewProgress(new(bytes.Buffer)), func(context.Context, harness.Spec) (Need, error) { return Need{}, nil },
		func(context.Context, int, harness.Spec) { n++; cancel() }, func(i int, why error) { t.Errorf("%d: %v", i, why) })
	if n != 1 {
		t.Errorf("%d measurements after the first was interrupted", n)
	}
}
