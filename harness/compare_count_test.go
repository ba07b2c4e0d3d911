package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/harness/instructions"
)

var mixed uint64

// mixing is a subject that executes instructions in proportion to n.
func mixing(name string, n int) Subject {
	return Func(name, func() error {
		for range n {
			mixed ^= mixed<<13 + 1
		}
		return nil
	})
}

// Where two sessions are not enough, the instructions of both subjects are counted in processes
// of their own.
func TestCompareCountsInstructions(t *testing.T) {
	tool, err := instructions.Find(t.Context())
	if errors.Is(err, instructions.ErrNone) || runtime.GOOS != "linux" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	sessions := 0
	plan := ComparePlan{Name: "mixing", Sessions: 3, Blocks: 1, Rounds: 2, Exec: TestProcess(t.Name()), find: func(context.Context) (*instructions.Tool, error) { return tool, nil },
		Enough: func(d []*Difference) bool {
			sessions = len(d[0].Blocks)
			return d[0].Instructions != nil && (len(d[0].Instructions.Base) > 0 || d[0].Instructions.Problem != "")
		}}
	all, err := Compare(t.Context(), plan, mixing("base", 20_000), mixing("head", 30_000))
	if err != nil {
		t.Fatal(err)
	}
	i := all[0].Instructions
	if i == nil || i.Problem != "" || len(i.Base) != firstCounts || len(i.Head) != firstCounts || i.Tool != tool.Name || sessions != 2 {
		t.Fatalf("after %d sessions: %+v, notes %q", sessions, i, all[0].Notes)
	}
	if ratio := i.Head[0] / i.Base[0]; math.Abs(ratio-1.5) > 0.03 || i.Base[0] < 20_000 || i.Waits > mostWaiting {
		t.Errorf("the head executes %v of the instructions, want 1.5: %+v", ratio, i)
	}
}

// What is not counted is said, unless nobody wants it.
func TestCompareSaysWhyInstructionsAreNotCounted(t *testing.T) {
	none := fmt.Errorf("%w: install valgrind", instructions.ErrNone)
	asked := 0
	for _, tc := range []struct {
		name     string
		timeOnly bool
		enough   func([]*Difference) bool
		asked    int
		note     string
	}{
		{"no tool", false, nil, 1, "judged by time alone: no program here counts instructions: install valgrind"},
		{"by time alone", true, nil, 0, ""},
		{"decided by two sessions", false, func([]*Difference) bool { return true }, 0, ""},
	} {
		asked = 0
		plan := ComparePlan{Name: tc.name, Sessions: 3, Blocks: 1, Rounds: 2, Exec: TestProcess(t.Name()), TimeOnly: tc.timeOnly, Enough: tc.enough,
			find: func(context.Context) (*instructions.Tool, error) { asked++; return nil, none }}
		all, err := Compare(t.Context(), plan, mixing("base", 20_000), mixing("head", 20_000))
		if errors.Is(err, ErrOtherComparison) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(all[0].Notes, "; "); got != tc.note || asked != tc.asked || all[0].Instructions != nil {
			t.Errorf("%s: notes %q, tool looked for %d times, %+v", tc.name, got, asked, all[0].Instructions)
		}
	}
}

// A counted process makes operations of one subject, and nothing else.
func TestAProcessMakesOperationsOfOneSubject(t *testing.T) {
	made, closed := 0, 0
	one := Subject{Name: "one", Open: func(context.Context) (func(int) error, func() error, error) {
		return func(i int) error {
				if i != made {
					t.Errorf("operation %d is called %d", made, i)
				}
				if made++; made > 5 {
					return errors.New("worn out")
				}
				return nil
			}, func() error {
				closed++
				return nil
			}, nil
	}}
	other := Func("other", func() error { t.Error("made"); return nil })
	subjects := []Subject{other, one}
	if err := (subjectCount{"one", 4}).run(t.Context(), subjects); err != nil || made != 4 || closed != 1 {
		t.Errorf("%d operations, closed %d times, error %v", made, closed, err)
	}
	made = 0
	if err := (subjectCount{"one", 9}).run(t.Context(), subjects); err == nil || closed != 2 {
		t.Errorf("a failing operation: closed %d times, error %v", closed, err)
	}
	if err := (subjectCount{"none", 1}).run(t.Context(), subjects); err == nil {
		t.Error("a subject that is not there was counted")
	}
	p := ComparePlan{Name: "x"}
	for times, want := range map[string]int{"7x": 7, "": 0} {
		o := benchOrder{side: BenchSide{Revision: "one"}, times: times}
		if times == "" {
			o.pattern, o.times = "^$", "1x"
		}
		if order, err := p.subjectOrder(o); err != nil || order.Count.Ops != want || order.Count.Subject != "one" {
			t.Errorf("%q: %+v, error %v", times, order.Count, err)
		}
	}
	if _, err := p.subjectOrder(benchOrder{times: time.Second.String()}); err == nil {
		t.Error("a duration was taken for a number of operations")
	}
}
