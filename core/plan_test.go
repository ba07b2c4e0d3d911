package core_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

func none(*doc, []core.Ended[doc]) error { return nil }

func items(doc) []doc { return nil }

func asks(doc) string { return "?" }

func answered(*doc, string) {}

func TestWhatIsWrongWithAPlanIsSaidBeforeAnyRun(t *testing.T) {
	a, b := work("a", appending), work("b", appending)
	yes := func(doc) (bool, error) { return true, nil }
	ok := atLeast(0)
	next := along("")
	agent := core.Func[string, string](appending)
	cache := core.NewMemoryCache(1)
	type nodes = []*core.Node[doc]
	for name, tc := range map[string]struct {
		nodes nodes
		text  string
	}{
		"no node":           {nil, `pipeline "p": there is no step to run: add at least one`},
		"nothing but Pass":  {nodes{core.Pass[doc]("x")}, `pipeline "p": there is no step to run: add at least one`},
		"nil node":          {nodes{a, nil}, `pipeline "p": node 2 is nil`},
		"no name":           {nodes{step("", appending)}, `pipeline "p": a node has no name: give it one`},
		"empty node":        {nodes{{}}, `pipeline "p": a node has no name: give it one`},
		"no name within":    {nodes{core.Then("g", step("", appending))}, `pipeline "p": step "g/": a node has no name: give it one`},
		"slash in a name":   {nodes{step("a/b", appending)}, `pipeline "p": step "a/b": a name may not contain '/' or '#': they separate the parts of a path`},
		"hash in a name":    {nodes{core.Then("g", step("a#1", appending))}, `pipeline "p": step "g/a#1": a name may not contain '/' or '#': they separate the parts of a path`},
		"same path twice":   {nodes{core.Then("g", a, work("a", says("x")))}, `pipeline "p": step "g/a": two nodes have this path: rename one`},
		"same node twice":   {nodes{a, a}, `pipeline "p": step "a": two nodes have this path: rename one`},
		"contains itself":   {nodes{itself()}, `pipeline "p": step "a/a": it contains itself: a plan must end`},
		"too many turns":    {nodes{core.Loop("l", 1<<40+1, yes, a)}, `pipeline "p": step "l": loops multiply to more than 2^40 iterations: lower a maximum`},
		"too many within":   {nodes{core.Loop("l", 1<<20, yes, core.Loop("m", 1<<20+1, yes, a))}, `pipeline "p": step "l/m": loops multiply to more than 2^40 iterations: lower a maximum`},
		"too many items":    {nodes{core.Map("m", 1<<40+1, items, a, none)}, `pipeline "p": step "m": loops multiply to more than 2^40 iterations: lower a maximum`},
		"too many reruns":   {nodes{core.Validate("v", ok, a, core.Rerun(1<<40))}, `pipeline "p": step "v": loops multiply to more than 2^40 iterations: lower a maximum`},
		"too many attempts": {nodes{core.Loop("l", 1<<39, yes, work("a", appending, core.Retries(2)))}, `pipeline "p": step "l/a": loops and retries multiply to more than 2^40 calls: lower a maximum`},

		"step without agent":        {nodes{core.Step[doc, string, string]("a", nil, read, write)}, `pipeline "p": step "a": no agent: a step needs one to call`},
		"step with a nil Func":      {nodes{step("a", nil)}, `pipeline "p": step "a": no agent: a step needs one to call`},
		"step without read":         {nodes{core.Step("a", agent, nil, write)}, `pipeline "p": step "a": no read function: it makes the agent's input from the scope`},
		"step without write":        {nodes{core.Step("a", agent, read, nil)}, `pipeline "p": step "a": no write function: it puts the agent's output into the scope`},
		"step with fewer retries":   {nodes{step("a", appending, core.Retries(-1))}, `pipeline "p": step "a": -1 retries: use 0 or more`},
		"step with less backoff":    {nodes{step("a", appending, core.Backoff(-time.Second, time.Second))}, `pipeline "p": step "a": backoff from -1s to 1s: use 0 <= base <= most`},
		"step with falling backoff": {nodes{step("a", appending, core.Backoff(2*time.Second, time.Second))}, `pipeline "p": step "a": backoff from 2s to 1s: use 0 <= base <= most`},
		"step with less timeout":    {nodes{step("a", appending, core.Timeout(-time.Second))}, `pipeline "p": step "a": a timeout of -1s: use 0 (none) or more`},
		"step with fewer tokens":    {nodes{step("a", appending, core.Reserve(-1, 0))}, `pipeline "p": step "a": -1 tokens and a cost of 0 reserved: use 0 or more`},
		"step with less cost":       {nodes{step("a", appending, core.Reserve(0, -1))}, `pipeline "p": step "a": 0 tokens and a cost of -1 reserved: use 0 or more`},

		"cached without name":        {nodes{asking("a", core.Cached("", cache, agent))}, `pipeline "p": step "a": the cached agent has no name: it keeps its outputs apart from those of others`},
		"cached without cache":       {nodes{asking("a", core.Cached("c", nil, agent))}, `pipeline "p": step "a": no cache: NewMemoryCache is one`},
		"cached without agent":       {nodes{asking("a", core.Cached[string, string]("c", cache, nil))}, `pipeline "p": step "a": no agent: a cached one needs one to call`},
		"cached in a wrong step":     {nodes{asking("a", core.Cached("c", cache, agent), core.Retries(-1))}, `pipeline "p": step "a": -1 retries: use 0 or more`},
		"cached within a cached one": {nodes{asking("a", core.Cached("c", cache, core.Cached("", cache, agent)))}, `pipeline "p": step "a": the cached agent has no name: it keeps its outputs apart from those of others`},

		"sequence without node": {nodes{core.Then[doc]("g")}, `pipeline "p": step "g": it is empty: add a step, or use Pass where nothing is to do`},
		"sequence of nil":       {nodes{core.Then("g", a, nil)}, `pipeline "p": step "g": node 2 is nil`},

		"branch without choice": {nodes{core.Branch("b", nil, a)}, `pipeline "p": step "b": no choose function: it names the case to run`},
		"branch without case":   {nodes{core.Branch("b", to)}, `pipeline "p": step "b": it has no case`},
		"branch of nil":         {nodes{core.Branch("b", to, a, nil)}, `pipeline "p": step "b": node 2 is nil`},

		"loop without turn":       {nodes{core.Loop("l", 0, yes, a)}, `pipeline "p": step "l": a maximum of 0 iterations: use 1 or more`},
		"loop with fewer stalls":  {nodes{core.Loop("l", 1, yes, a, core.NoProgress(-1))}, `pipeline "p": step "l": no progress after -1 iterations: use 1 or more`},
		"loop without condition":  {nodes{core.Loop("l", 1, nil, a)}, `pipeline "p": step "l": no condition: without one the loop can only fail; give one, or MaxIsSuccess`},
		"loop of nil":             {nodes{core.Loop("l", 1, yes, nil)}, `pipeline "p": step "l": node 1 is nil`},
		"parallel without merge":  {nodes{core.Parallel("x", nil, core.Branches(a))}, `pipeline "p": step "x": no merge function: it puts the results of the branches into the scope; Disjoint is one`},
		"parallel without branch": {nodes{core.Parallel("x", none, nil)}, `pipeline "p": step "x": it has no branch`},
		"parallel none at once":   {nodes{core.Parallel("x", none, core.Branches(a), core.AtOnce(0))}, `pipeline "p": step "x": 0 branches at once: use 1 or more`},
		"parallel of nil":         {nodes{core.Parallel("x", none, core.Branches(a, nil))}, `pipeline "p": step "x": node 2 is nil`},

		"map without item":  {nodes{core.Map("m", 0, items, a, none)}, `pipeline "p": step "m": a maximum of 0 items: use 1 or more`},
		"map without split": {nodes{core.Map[doc, doc]("m", 1, nil, a, none)}, `pipeline "p": step "m": no split function: it makes the items of the scope`},
		"map without merge": {nodes{core.Map("m", 1, items, a, nil)}, `pipeline "p": step "m": no merge function: it puts the results of the items into the scope`},
		"map none at once":  {nodes{core.Map("m", 1, items, a, none, core.AtOnce(-1))}, `pipeline "p": step "m": -1 branches at once: use 1 or more`},
		"map of nil":        {nodes{core.Map("m", 1, items, nil, none)}, `pipeline "p": step "m": node 1 is nil`},

		"human without ask":   {nodes{core.Human[doc, string]("h", nil, answered)}, `pipeline "p": step "h": no ask function: it makes the prompt`},
		"human without write": {nodes{core.Human[doc, string]("h", asks, nil)}, `pipeline "p": step "h": no write function: it puts the answer into the scope`},

		"fallback to nobody":     {nodes{core.Fallback("f", a)}, `pipeline "p": step "f": nothing to fall back to: add a node`},
		"fallback of nil":        {nodes{core.Fallback("f", nil, a)}, `pipeline "p": step "f": node 1 is nil`},
		"fallback to nil":        {nodes{core.Fallback("f", a, b, nil)}, `pipeline "p": step "f": node 3 is nil`},
		"fallback to the same":   {nodes{core.Fallback("f", a, a)}, `pipeline "p": step "f/a": two nodes have this path: rename one`},
		"validate without check": {nodes{core.Validate("v", nil, a)}, `pipeline "p": step "v": no check function: it returns what is wrong with the scope`},
		"validate fewer reruns":  {nodes{core.Validate("v", ok, a, core.Rerun(-1))}, `pipeline "p": step "v": -1 reruns: use 0 or more`},
		"validate of nil":        {nodes{core.Validate("v", ok, nil)}, `pipeline "p": step "v": node 1 is nil`},
		"redirect without next":  {nodes{core.Redirect("r", nil, a)}, `pipeline "p": step "r": no next function: it names the node that takes over`},
		"redirect without node":  {nodes{core.Redirect("r", next)}, `pipeline "p": step "r": it has no node`},
		"redirect to nil":        {nodes{core.Redirect("r", next, a, nil)}, `pipeline "p": step "r": node 2 is nil`},
		"redirect of twins":      {nodes{core.Redirect("r", next, a, b, a)}, `pipeline "p": step "r/a": two nodes have this path: rename one`},

		"sub without pipeline": {nodes{core.Sub[doc, doc]("s", nil, same, replaced)}, `pipeline "p": step "s": no pipeline: make it with New and look at its error`},
		"sub of an unmade one": {nodes{a, core.Sub("s", &core.Pipeline[doc]{}, same, replaced)}, `pipeline "p": step "s": no pipeline: make it with New and look at its error`},
		"sub without in":       {nodes{core.Sub("s", plan(t, a), nil, replaced)}, `pipeline "p": step "s": no in function: it makes the scope of the sub-pipeline`},
		"sub without out":      {nodes{core.Sub("s", plan(t, a), same, nil)}, `pipeline "p": step "s": no out function: it takes over the result of the sub-pipeline`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := core.New("p", tc.nodes...)
			wantText(t, err, tc.text)
			var bad *core.PlanError
			if !errors.As(err, &bad) || bad.Pipeline != "p" || p != nil {
				t.Errorf("pipeline %v, error %#v", p, err)
			}
		})
	}
}

// itself is a node that contains itself.
func itself() *core.Node[doc] {
	n := work("a", appending)
	*n = *core.Then("a", n)
	return n
}

func TestPipelineNeedsAName(t *testing.T) {
	_, err := core.New("", work("a", appending))
	wantText(t, err, `pipeline "": the pipeline has no name: give it one`)
}

func TestWorstCaseThatDoesNotFitANumberIsRefused(t *testing.T) {
	yes := func(doc) (bool, error) { return true, nil }
	for name, node := range map[string]*core.Node[doc]{
		"retries": step("a", appending, core.Retries(math.MaxInt)),
		"reruns":  core.Validate("a", atLeast(0), work("b", appending), core.Rerun(math.MaxInt)),
		"loops":   core.Loop("a", 1<<30, yes, core.Loop("b", 1<<62, yes, work("c", appending))),
		"maps":    core.Loop("a", 1<<30, yes, core.Map("b", 1<<62, items, work("c", appending), none)),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := core.New("p", node)
			if !errors.As(err, new(*core.PlanError)) {
				t.Errorf("error %v, most calls %v", err, p.MaxCalls())
			}
		})
	}
}

// everything is a plan with a node of each kind.
func everything(t *testing.T) *core.Pipeline[doc] {
	t.Helper()
	twice := core.Retries(1)
	return plan(t,
		work("a", appending, core.Retries(2)),
		core.Then("then", work("b", appending), core.Pass[doc]("pass")),
		core.Branch("branch", to, work("c", appending), core.Then("d", work("e", appending, twice))),
		core.Loop("loop", 3, never, core.Then("g", work("f", appending), core.Loop("inner", 2, never, work("g", appending, twice)))),
		core.Parallel("parallel", none, core.Branches(work("h", appending), work("i", appending, twice))),
		core.Map("map", 4, items, work("j", appending, twice), none),
		core.Human("human", asks, answered),
		core.Fallback("fallback", work("k", appending), work("l", appending, twice)),
		core.Validate("validate", atLeast(0), work("m", appending, twice), core.Rerun(2)),
		core.Redirect("redirect", along(""), work("n", appending), work("o", appending, twice)),
		core.Loop("subs", 2, never, core.Sub("sub", lengths(t, inc("p"), core.Loop("q", 3, nil, inc("r"), core.MaxIsSuccess())), ofText, intoNote)))
}

func TestPlanKnowsItsPathsInOrder(t *testing.T) {
	want := []string{"a", "then/b", "branch/c", "branch/d/e", "loop/g/f", "loop/g/inner/g", "parallel/h", "parallel/i", "map/j",
		"fallback/k", "fallback/l", "validate/m", "redirect/n", "redirect/o", "subs/sub/p", "subs/sub/q/r"}
	if d := cmp.Diff(want, everything(t).Paths()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Iterations of a loop follow each other and share a lane; items of a map do not.
func TestLaneOfAPath(t *testing.T) {
	p := everything(t)
	for path, want := range map[string]string{
		"a": "a", "loop#2/g#1/f": "loop/g/f", "loop/inner#3/g": "loop/inner/g", "map#1/j": "map#1/j", "subs#2/sub/q#1/r": "subs/sub/q/r", "validate#2/m": "validate/m",
	} {
		if got := p.LanePath(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestHowLongARunTook(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	if took := (core.RunInfo{Started: at(1), Saved: at(3)}).Took(); took != 2*time.Second {
		t.Errorf("running: %v", took)
	}
	if took := (core.RunInfo{Started: at(1), Saved: at(3), Ended: at(6)}).Took(); took != 5*time.Second {
		t.Errorf("ended: %v", took)
	}
}

func TestPlanKnowsItsMostCalls(t *testing.T) {
	want := map[string]int{"a": 3, "then/b": 1, "branch/c": 1, "branch/d/e": 2, "loop/g/f": 3, "loop/g/inner/g": 12, "parallel/h": 1, "parallel/i": 2,
		"map/j": 8, "fallback/k": 1, "fallback/l": 2, "validate/m": 6, "redirect/n": 1, "redirect/o": 2, "subs/sub/p": 2, "subs/sub/q/r": 6}
	if d := cmp.Diff(want, everything(t).MaxCalls()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestPlanKnowsItsLeastCalls(t *testing.T) {
	want := map[string]int{"a": 1, "then/b": 1, "branch/c": 0, "branch/d/e": 0, "loop/g/f": 1, "loop/g/inner/g": 1, "parallel/h": 1, "parallel/i": 1,
		"map/j": 0, "fallback/k": 1, "fallback/l": 0, "validate/m": 1, "redirect/n": 1, "redirect/o": 0, "subs/sub/p": 1, "subs/sub/q/r": 1}
	if d := cmp.Diff(want, everything(t).MinCalls()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestPlanGivesCopiesAway(t *testing.T) {
	p := everything(t)
	p.Paths()[0], p.MaxCalls()["a"], p.MinCalls()["a"] = "x", 99, 99
	if p.Paths()[0] != "a" || p.MaxCalls()["a"] != 3 || p.MinCalls()["a"] != 1 {
		t.Errorf("paths %q, most %d, least %d", p.Paths()[0], p.MaxCalls()["a"], p.MinCalls()["a"])
	}
}

func TestPlanDoesNotKeepTheSlicesItWasMadeOf(t *testing.T) {
	first, other := []*core.Node[doc]{work("a", appending)}, work("x", fails("changed"))
	cases, branches := []*core.Node[doc]{work("c", appending)}, core.Branches(work("b", appending))
	top := []*core.Node[doc]{core.Then("g", first...), core.Branch("choose", func(doc) (string, error) { return "c", nil }, cases...),
		core.Redirect("r", along(""), cases...), core.Parallel("par", keepFirst, branches)}
	p := plan(t, top...)
	first[0], cases[0], branches[0], top[0] = other, other, other, other
	if got := everyWay(t, p, doc{}); got.Err != nil || got.Scope.Text != "g/a choose/c r/c par/b" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestPathsOfARunAreFoundInThePlan(t *testing.T) {
	for path, want := range map[string]string{
		"a": "a", "g/a": "g/a", "l#3/a": "l/a", "o#1/i#22/a": "o/i/a", "s/l#1/a": "s/l/a", "m#2": "m", "": "",
	} {
		if got := core.PlanPath(path); got != want {
			t.Errorf("PlanPath(%q) = %q, want %q", path, got, want)
		}
	}
	p := recordable(t)
	known := p.MaxCalls()
	for _, rec := range everyWay(t, p, doc{}).Snap.Steps {
		if known[core.PlanPath(rec.Path)] == 0 {
			t.Errorf("%q is not in the plan", rec.Path)
		}
	}
}

func TestFingerprintFollowsTheStructure(t *testing.T) {
	one := func(nodes ...*core.Node[doc]) uint64 { return plan(t, nodes...).Fingerprint() }
	a, b := work("a", appending), work("b", appending)
	other, err := core.New("other", core.Then("g", a, b))
	if err != nil {
		t.Fatal(err)
	}
	prints := map[string]uint64{
		"sequence":              one(core.Then("g", a, b)),
		"another pipeline name": other.Fingerprint(),
		"another order":         one(core.Then("g", b, a)),
		"another name":          one(core.Then("h", a, b)),
		"another step":          one(core.Then("g", a, work("c", appending))),
		"a step less":           one(core.Then("g", a)),
		"flat":                  one(a, b),
		"split":                 one(core.Then("g", a), b),
		"a pass more":           one(core.Then("g", a, b, core.Pass[doc]("z"))),
		"branch":                one(core.Branch("g", to, a, b)),
		"parallel":              one(core.Parallel("g", none, core.Branches(a, b))),
		"fallback":              one(core.Fallback("g", a, b)),
		"redirect":              one(core.Redirect("g", along(""), a, b)),
		"loop":                  one(core.Loop("g", 1, never, a), b),
		"validate":              one(core.Validate("g", atLeast(0), a), b),
		"map":                   one(core.Map("g", 1, items, a, none), b),
		"sub":                   one(subOf(t, "g", plan(t, a, b))),
		"sub of one":            one(subOf(t, "g", plan(t, a))),
		"human":                 one(core.Human("g", asks, answered), a, b),
		"human for a step":      one(core.Human("a", asks, answered), b),
		"step for the human":    one(a, b, core.Pass[doc]("c")),
	}
	seen := map[uint64]string{}
	for name, print := range prints {
		if twin, ok := seen[print]; ok {
			t.Errorf("%q and %q have the same fingerprint", name, twin)
		}
		seen[print] = name
	}
}

func TestFingerprintIsTheSameWhateverTheFunctionsAndBudgets(t *testing.T) {
	with := func(f core.Func[string, string], n int, loops []core.LoopOption, forks []core.ForkOption, steps ...core.StepOption) *core.Pipeline[doc] {
		return plan(t,
			work("a", f, steps...),
			core.Loop("l", n, words(n), work("b", f), loops...),
			core.Map("m", n, items, work("c", f), none, forks...),
			core.Parallel("p", none, core.Branches(work("d", f)), forks...),
			core.Validate("v", atLeast(n), work("e", f), core.Rerun(n)),
			subOf(t, "s", plan(t, work("g", f)).Within(core.Budget{Calls: int64(n)})))
	}
	was := with(appending, 7, nil, nil)
	now := with(says("x"), 7, []core.LoopOption{core.MaxIsSuccess(), core.NoProgress(2)}, []core.ForkOption{core.AtOnce(2), core.CollectFailures()},
		core.Retries(3), core.Timeout(time.Second), core.Backoff(1, 2), core.Reserve(1, 2)).Within(core.Budget{Calls: 9})
	if was.Fingerprint() != now.Fingerprint() {
		t.Errorf("%x became %x", was.Fingerprint(), now.Fingerprint())
	}
}

// The fingerprint is stored with each run: another one cuts off all that are under way.
func TestFingerprintStaysTheSameFromReleaseToRelease(t *testing.T) {
	if got, want := everything(t).Fingerprint(), uint64(0xc6a85655a5afafbb); got != want {
		t.Errorf("fingerprint %#x, was %#x", got, want)
	}
}

func TestResumeWithOtherLimitsGoesOn(t *testing.T) {
	with := func(most int, f core.Func[string, string], opts ...core.StepOption) *core.Pipeline[doc] {
		return plan(t, core.Loop("l", most, words(3), work("a", f, opts...)), work("z", f))
	}
	b := &cutting{core.NewMemory(), 3, false}
	if got := once(t, stopped(b), with(3, appending), doc{}); !errors.Is(got.Err, errCut) {
		t.Fatalf("error %v", got.Err)
	}
	flaky := func(ctx context.Context, req core.Request[string]) (string, error) {
		if req.Attempt == 1 {
			return "", errors.New("no")
		}
		return appending(ctx, req)
	}
	res, err := core.Resume(t.Context(), stopped(b), with(9, flaky, core.Retries(1)), runR)
	wantText(t, err, `step "z" failed after 1 attempt: no`)
	if res.Scope.Text != "l#1/a l#2/a l#3/a" || res.Calls != 5 {
		t.Errorf("%+v", res)
	}
}
