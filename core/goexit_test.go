package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
)

func exits(context.Context, core.Request[string]) (string, error) {
	runtime.Goexit()
	return "never", nil
}

// An agent or function that ends a goroutine of the engine has failed: retries, policies
// and fallbacks handle it, and the record of the run is whole. In the sequential part of
// a new run it ends the goroutine of the caller: the run is cut off, and fails when it is
// resumed.
func TestAgentThatEndsItsGoroutineFails(t *testing.T) {
	keep := func(into *doc, bs []core.Ended[doc]) error {
		for _, b := range bs {
			into.Text += fmt.Sprintf("%s %v; ", b.Name, errors.Is(b.Err, core.ErrGoexit))
		}
		return nil
	}
	split := func(d doc) []doc { return make([]doc, 4) }
	sub, err := core.New("sub", step("s", exits))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		node *core.Node[doc]
		text string // of the scope; empty: the run fails
		ends bool   // the goroutine of Run, and a resume fails
	}{
		"one branch":       {core.Parallel("n", keep, core.Branches(step("a", exits), step("b", appending))), "", false},
		"collected":        {core.Parallel("n", keep, core.Branches(step("a", exits), step("b", appending)), core.CollectFailures()), "a true; b false; ", false},
		"every item":       {core.Map("n", 9, split, step("s", exits), keep, core.AtOnce(2)), "", false},
		"collected items":  {core.Map("n", 9, split, step("s", exits), keep, core.AtOnce(2), core.CollectFailures()), "#1 true; #2 true; #3 true; #4 true; ", false},
		"with a deadline":  {step("n", exits, core.Timeout(time.Hour)), "", false},
		"within a branch":  {core.Parallel("n", keep, core.Branches(core.Then("t", core.Fallback("f", step("a", exits), step("b", appending)))), core.CollectFailures()), "t false; ", false},
		"sub-pipeline":     {core.Map("n", 9, split, core.Sub("u", sub, func(d doc) doc { return d }, func(*doc, doc) {}), keep), "", false},
		"saved sequence":   {core.Then("n", step("a", exits)), "", true},
		"retried":          {step("n", exits, core.Retries(2), core.Timeout(time.Hour)), "", false},
		"merge":            {core.Parallel("n", func(*doc, []core.Ended[doc]) error { runtime.Goexit(); return nil }, core.Branches(step("a", appending))), "", true},
		"condition":        {core.Loop("n", 2, func(doc) (bool, error) { runtime.Goexit(); return true, nil }, step("a", appending)), "", true},
		"check":            {core.Validate("n", func(doc) error { runtime.Goexit(); return nil }, step("a", appending)), "", true},
		"choice":           {core.Branch("n", func(doc) (string, error) { runtime.Goexit(); return "a", nil }, step("a", appending)), "", true},
		"redirect":         {core.Redirect("n", func(doc, string) (string, error) { runtime.Goexit(); return "", nil }, step("a", appending)), "", true},
		"split":            {core.Map("n", 9, func(doc) []doc { runtime.Goexit(); return nil }, step("a", appending), keep), "", true},
		"prompt":           {core.Human("n", func(doc) string { runtime.Goexit(); return "" }, func(*doc, bool) {}), "", true},
		"write":            {core.Step("n", core.Func[string, string](appending), read, func(*doc, string) { runtime.Goexit() }), "", true},
		"a merge's branch": {core.Parallel("n", keep, core.Branches(core.Validate("v", func(doc) error { runtime.Goexit(); return nil }, step("a", appending))), core.CollectFailures()), "v true; ", false},
	} {
		t.Run(name, func(t *testing.T) {
			p, b := plan(t, tc.node), core.NewMemory()
			key := core.RunKey{Run: "r"}
			done := make(chan struct{})
			var res core.Result[doc]
			var err error
			go func() {
				defer close(done)
				err = errEnded
				res, err = core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, key, doc{})
			}()
			<-done // where the run waits without end, go test prints all stacks
			if errors.Is(err, errEnded) != tc.ends {
				t.Fatalf("run: %v", err)
			}
			if tc.ends {
				// Another process takes it up at once: it does not wait for the lease to end.
				runs, listErr := b.List(t.Context(), core.Filter{Now: time.Now(), Due: true})
				if listErr != nil || len(runs) != 1 || len(load(t, b).Steps) > 1 {
					t.Errorf("due are %+v, %v", runs, listErr)
				}
				res, err = core.Resume(t.Context(), core.NewEngine(core.WithBackend(b)), p, key)
			}
			switch {
			case tc.text != "" && (err != nil || res.Scope.Text != tc.text):
				t.Errorf("scope %q, %v; want %q", res.Scope.Text, err, tc.text)
			case tc.text == "" && (res.Status != core.Failed || !errors.Is(err, core.ErrGoexit) || !strings.Contains(err.Error(), `"n`)):
				t.Errorf("%v, %v", res.Status, err)
			}
			if _, again := core.Replay(t.Context(), p, load(t, b)); fmt.Sprint(again) != fmt.Sprint(err) {
				t.Errorf("replay: %v\nrun: %v", again, err)
			}
		})
	}
}

// errEnded stands for the end of the goroutine in which a run was to be executed.
var errEnded = errors.New("the goroutine of Run was ended")

// Without a backend a sequence calls its agents in the goroutine of the caller,
// which they may end as every function that it calls; branches do not reach it.
func TestGoexitWithoutABackend(t *testing.T) {
	p := plan(t, core.Parallel("n", core.Disjoint[doc], core.Branches(step("a", exits), core.Step("b", core.Func[string, string](appending), read, func(*doc, string) {}))))
	if res, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, doc{}); !errors.Is(err, core.ErrGoexit) || res.Status != core.Failed || res.Calls != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	ended := make(chan bool, 1)
	go func() {
		returned := false
		defer func() { ended <- returned }()
		_, _ = core.Run(t.Context(), core.NewEngine(), plan(t, step("a", exits)), core.RunKey{Run: "r"}, doc{})
		returned = true
	}()
	if <-ended {
		t.Error("Run returned to a goroutine that has ended")
	}
}

// endsSteps is a backend that ends the goroutine in which it saves a step.
type endsSteps struct{ core.Backend }

func (endsSteps) Step(context.Context, core.Lease, core.StepRecord) error {
	runtime.Goexit()
	return nil
}

// Code that is called between agents and functions may end a branch, but the run notices.
func TestBranchThatIsEndedStopsTheRun(t *testing.T) {
	p := plan(t, core.Map("m", 9, func(doc) []doc { return make([]doc, 9) }, step("a", appending), func(*doc, []core.Ended[doc]) error { return nil }, core.AtOnce(2)))
	res, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(endsSteps{core.NewMemory()})), p, core.RunKey{Run: "r"}, doc{})
	if !errors.Is(err, core.ErrGoexit) || res.Status != core.Running || !strings.Contains(fmt.Sprint(err), `map "m": branch "#`) {
		t.Errorf("%+v, %v", res, err)
	}
}
