package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flujo/flujo-harness/core"
)

// callLog notes what agents are called with. It travels in the context, so that
// one pipeline can be run many times with agents that keep nothing themselves.
type callLog struct {
	mu    sync.Mutex
	calls []string
}

type callLogKey struct{}

func (l *callLog) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, callLogKey{}, l)
}

// unsaved are the calls of steps that have no record.
func unsaved(calls []string, snap core.Snapshot) []string {
	var missing []string
	for _, call := range calls {
		path, _, _ := strings.Cut(call, " ")
		if !slices.ContainsFunc(snap.Steps, func(s core.StepRecord) bool { return s.Path == path }) {
			missing = append(missing, call)
		}
	}
	return missing
}

// noted notes each call as: path, attempt, input, feedback.
func noted[In, Out any](f core.Func[In, Out]) core.Func[In, Out] {
	return func(ctx context.Context, req core.Request[In]) (Out, error) {
		if l, ok := ctx.Value(callLogKey{}).(*callLog); ok {
			l.mu.Lock()
			l.calls = append(l.calls, fmt.Sprintf("%s %d %q %q", req.Path, req.Attempt, fmt.Sprint(req.Input), req.Feedback))
			l.mu.Unlock()
		}
		return f(ctx, req)
	}
}

// work is a step whose calls are noted.
func work(name string, f core.Func[string, string], opts ...core.StepOption) *core.Node[doc] {
	return step(name, noted(f), opts...)
}

// says is an agent with one answer, fails one without.
func says(text string) core.Func[string, string] {
	return func(context.Context, core.Request[string]) (string, error) { return text, nil }
}

func fails(text string) core.Func[string, string] {
	return func(context.Context, core.Request[string]) (string, error) { return "", errors.New(text) }
}

// cutting fails the save with the given number, as a crash before it would; where
// it is kept, as a crash right behind it would.
type cutting struct {
	*core.Memory
	left int
	kept bool
}

func (c *cutting) cut(save func() error) error {
	if c.left--; c.left != 0 {
		return save()
	}
	if c.kept {
		if err := save(); err != nil {
			return err
		}
	}
	return errCut
}

func (c *cutting) Start(ctx context.Context, r core.StartRecord) (lease core.Lease, err error) {
	err = c.cut(func() error {
		lease, err = c.Memory.Start(ctx, r)
		return err
	})
	return lease, err
}

func (c *cutting) Step(ctx context.Context, l core.Lease, r core.StepRecord) error {
	return c.cut(func() error { return c.Memory.Step(ctx, l, r) })
}

func (c *cutting) Finish(ctx context.Context, l core.Lease, r core.FinishRecord) error {
	return c.cut(func() error { return c.Memory.Finish(ctx, l, r) })
}

// outcome is what a run came to.
type outcome[S any] struct {
	core.Result[S]
	Err  error
	Seen []string // the calls
	Snap core.Snapshot
}

// end is what must be the same however a run comes to it.
func (o outcome[S]) end() map[string]any {
	return map[string]any{"status": o.Status, "scope": o.Scope, "exits": o.Exits, "usage": o.Usage, "error": errText(o.Err)}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	if d := cmp.Diff(want, errText(err)); d != "" {
		t.Errorf("text of the error (-want +got):\n%s", d)
	}
}

func wantSeen(t *testing.T, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

func wantExits(t *testing.T, got, want map[string]core.Exit) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("exits (-want +got):\n%s", d)
	}
}

var runR = core.RunKey{Run: "r"}

// stopped is a clock that stands, so that snapshots can be compared.
func stopped(b core.Backend) *core.Engine {
	return core.NewEngine(core.WithBackend(b), core.WithClock(func() time.Time { return time.Time{} }))
}

// once runs p as run r.
func once[S any](t *testing.T, e *core.Engine, p *core.Pipeline[S], scope S) outcome[S] {
	t.Helper()
	log := &callLog{}
	res, err := core.Run(log.in(t.Context()), e, p, runR, scope)
	return outcome[S]{Result: res, Err: err, Seen: log.calls}
}

// load loads run r.
func load(t *testing.T, b core.Backend) core.Snapshot {
	t.Helper()
	snap, err := b.Load(t.Context(), runR)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// everyWay runs p without a backend, with one, and cut off at each of its saves and
// resumed. All must come to the same end by the same calls, and leave the same
// records. The agents must depend on their requests alone and be noted; branches
// that run at the same time have no order to compare.
func everyWay[S any](t *testing.T, p *core.Pipeline[S], scope S) outcome[S] {
	t.Helper()
	b := core.NewMemory()
	want := once(t, stopped(b), p, scope)
	want.Snap = load(t, b)
	if len(want.Seen) == 0 {
		t.Fatal("no call was noted: there is nothing to compare")
	}
	without := once(t, core.NewEngine(), p, scope)
	if d := cmp.Diff(want.end(), without.end()); d != "" {
		t.Errorf("end with and without a backend (-with +without):\n%s", d)
	}
	if d := cmp.Diff(want.Seen, without.Seen); d != "" {
		t.Errorf("calls with and without a backend (-with +without):\n%s", d)
	}
	everyCut(t, p, scope, want)
	oneSaveALife(t, p, scope, want)
	return want
}

// everyCut cuts p off at each of its saves, before and behind it, and resumes it.
func everyCut[S any](t *testing.T, p *core.Pipeline[S], scope S, want outcome[S]) {
	t.Helper()
	saves := len(want.Snap.Steps) + 1
	if want.Status != core.Running {
		saves++ // its end
	}
	for n := 1; n <= saves; n++ {
		for _, kept := range []bool{false, true} {
			at := fmt.Sprintf("cut off at save %d of %d, kept %v", n, saves, kept)
			b := &cutting{core.NewMemory(), n, kept}
			e := stopped(b)
			if got := once(t, e, p, scope); !errors.Is(got.Err, errCut) || got.Status != core.Running {
				t.Fatalf("%s: %v, error %v", at, got.Status, got.Err)
			}
			if n == 1 && !kept {
				if _, err := core.Resume(t.Context(), e, p, runR); !errors.Is(err, core.ErrRunNotFound) {
					t.Errorf("%s: a run that was not started resumes: %v", at, err)
				}
				continue
			}
			missing := unsaved(want.Seen, load(t, b))
			if ended := want.Status == core.Completed || want.Status == core.Failed; n == saves && kept && ended {
				if _, err := core.Resume(t.Context(), e, p, runR); !errors.Is(err, core.ErrRunFinished) {
					t.Errorf("%s: a run that has ended resumes: %v", at, err)
				}
			} else {
				log := &callLog{}
				res, err := core.Resume(log.in(t.Context()), e, p, runR)
				got := outcome[S]{Result: res, Err: err}
				if d := cmp.Diff(want.end(), got.end()); d != "" {
					t.Errorf("%s: end (-whole +resumed):\n%s", at, d)
				}
				if d := cmp.Diff(missing, log.calls); d != "" {
					t.Errorf("%s: calls (-missing from the records +made):\n%s", at, d)
				}
			}
			if d := cmp.Diff(want.Snap, load(t, b), cmpopts.IgnoreFields(core.Snapshot{}, "Epoch", "Holder")); d != "" {
				t.Errorf("%s: records (-whole +resumed):\n%s", at, d)
			}
		}
	}
}

// oneSaveALife lets p die behind each of its saves, and resumes it each time.
func oneSaveALife[S any](t *testing.T, p *core.Pipeline[S], scope S, want outcome[S]) {
	t.Helper()
	b := &cutting{Memory: core.NewMemory(), left: 2}
	e := stopped(b)
	got := once(t, e, p, scope)
	lives := 1
	for ; errors.Is(got.Err, errCut) && lives < 1000; lives++ {
		b.left = 2
		got.Result, got.Err = core.Resume(t.Context(), e, p, runR)
	}
	saves := len(want.Snap.Steps) + 1
	if want.Status != core.Running {
		saves++
	}
	if d := cmp.Diff(want.end(), got.end()); d != "" || lives != saves {
		t.Errorf("%d lives for %d saves, end (-whole +resumed):\n%s", lives, saves, d)
	}
}

// recordable is a plan with something of each kind that replays without a person.
func recordable(t *testing.T) *core.Pipeline[doc] {
	t.Helper()
	return plan(t,
		work("a", appending),
		core.Fallback("f", work("bad", fails("no")), work("good", appending)),
		core.Loop("l", 3, words(4), work("b", appending)),
		subOf(t, "s", plan(t, work("c", appending))),
		work("d", appending))
}

// words is the condition that the text has n words.
func words(n int) func(doc) (bool, error) {
	return func(d doc) (bool, error) { return len(strings.Fields(d.Text)) >= n, nil }
}

// subOf runs p on the text.
func subOf(t *testing.T, name string, p *core.Pipeline[doc]) *core.Node[doc] {
	t.Helper()
	return core.Sub(name, p, func(d doc) doc { return d }, func(d *doc, got doc) { *d = got })
}

// replay replays a run and makes sure that no agent is called.
func replay(t *testing.T, p *core.Pipeline[doc], snap core.Snapshot) (core.Result[doc], error) {
	t.Helper()
	log := &callLog{}
	res, err := core.Replay(log.in(t.Context()), p, snap)
	if len(log.calls) > 0 || res.Calls != 0 || res.Steps != 0 {
		t.Errorf("a replay made the calls %q; it says %d calls and %d steps", log.calls, res.Calls, res.Steps)
	}
	return res, err
}

func TestReplayOfACompletedRunEndsAsItDid(t *testing.T) {
	p := recordable(t)
	was := everyWay(t, p, doc{})
	if was.Status != core.Completed || was.Scope.Text != "a f/good l#1/b l#2/b s/c d" {
		t.Fatalf("run: %+v, error %v", was.Result, was.Err)
	}
	res, err := replay(t, p, was.Snap)
	if d := cmp.Diff(was.end(), outcome[doc]{Result: res, Err: err}.end()); d != "" {
		t.Errorf("end (-run +replay):\n%s", d)
	}
}

func TestReplayOfAFailedRunFailsWithItsText(t *testing.T) {
	p := plan(t, work("a", appending), core.Loop("l", 3, words(9), work("b", fails("no"), core.Retries(1))))
	was := everyWay(t, p, doc{})
	const text = `loop "l" ended after 1 iteration: body error: step "l#1/b" failed after 2 attempts: no`
	res, err := replay(t, p, was.Snap)
	wantText(t, err, text)
	var failed *core.StepError
	var recorded *core.RecordedError
	if !errors.As(err, &failed) || failed.Attempts != 2 || !errors.As(err, &recorded) || recorded.Text != "no" {
		t.Errorf("error %#v", err)
	}
	if was.Snap.Error != text || res.Status != core.Failed || res.Scope.Text != "a" {
		t.Errorf("recorded error %q, replayed %+v", was.Snap.Error, res)
	}
}

func TestReplayOfAPausedRunPausesAtTheSameToken(t *testing.T) {
	ask := core.Human("ask", func(d doc) string { return d.Text + "?" }, func(d *doc, yes bool) { d.Note = fmt.Sprint(yes) })
	p := plan(t, work("a", appending), ask, work("b", appending))
	b := core.NewMemory()
	e := core.NewEngine(core.WithBackend(b), core.WithTokens(func() string { return "token" }))
	if got := once(t, e, p, doc{}); got.Status != core.Paused || got.Err != nil {
		t.Fatalf("run: %+v, error %v", got.Result, got.Err)
	}
	res, err := replay(t, p, load(t, b))
	want := []core.Pause{{Path: "ask", Token: "token", Prompt: "a?"}}
	if d := cmp.Diff(want, res.Pauses); d != "" || err != nil || res.Status != core.Paused || res.Scope.Text != "a" {
		t.Errorf("replay: %+v, error %v, pauses (-want +got):\n%s", res, err, d)
	}
	if _, err := core.Signal(t.Context(), e, p, runR, "token", true); err != nil {
		t.Fatal(err)
	}
	res, err = replay(t, p, load(t, b))
	if err != nil || res.Status != core.Completed || res.Scope != (doc{Text: "a b", Note: "true"}) || res.Pauses != nil {
		t.Errorf("replay of the answered run: %+v, error %v", res, err)
	}
}

func TestReplayOfACutOffRunEndsBehindItsLastRecord(t *testing.T) {
	p := plan(t, work("a", appending), work("b", appending), work("c", appending))
	for saved, scope := range []string{"", "a", "a b"} {
		b := &cutting{core.NewMemory(), saved + 2, false}
		if got := once(t, stopped(b), p, doc{}); !errors.Is(got.Err, errCut) {
			t.Fatalf("run: error %v", got.Err)
		}
		res, err := replay(t, p, load(t, b))
		wantText(t, err, fmt.Sprintf("replay run r: step %q: step is not recorded", []string{"a", "b", "c"}[saved]))
		if !errors.Is(err, core.ErrNotRecorded) || res.Status != core.Running || res.Scope.Text != scope {
			t.Errorf("%d steps saved: %+v, error %v", saved, res, err)
		}
	}
}

func TestReplayOfAStoppedRunEndsBehindItsLastRecord(t *testing.T) {
	p := plan(t, work("a", appending), work("b", appending)).Within(core.Budget{Calls: 1})
	was := everyWay(t, p, doc{})
	if was.Status != core.Stopped {
		t.Fatalf("run: %v, error %v", was.Status, was.Err)
	}
	res, err := replay(t, p, was.Snap)
	wantText(t, err, `replay run r: step "b": step is not recorded`)
	if res.Scope.Text != "a" {
		t.Errorf("scope %+v", res.Scope)
	}
}

func TestReplaySavesNothing(t *testing.T) {
	b := core.NewMemory()
	p := recordable(t)
	once(t, stopped(b), p, doc{})
	before, snap := b.Counts(), load(t, b)
	if _, err := replay(t, p, load(t, b)); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(before, b.Counts()); d != "" {
		t.Errorf("counts (-before +behind):\n%s", d)
	}
	if d := cmp.Diff(snap, load(t, b)); d != "" {
		t.Errorf("records (-before +behind):\n%s", d)
	}
}

func TestReplayNamesTheFirstStepThatWritesOtherwise(t *testing.T) {
	with := func(w func(*doc, string)) *core.Pipeline[doc] {
		return plan(t, work("a", appending), core.Step("b", noted(appending), read, w), work("c", appending))
	}
	was := everyWay(t, with(write), doc{})
	if res, err := replay(t, with(func(d *doc, out string) { d.Text = out }), was.Snap); err != nil || res.Scope.Text != "a b c" {
		t.Fatalf("unchanged: %+v, error %v", res, err)
	}
	res, err := replay(t, with(func(d *doc, out string) { d.Text = strings.ToUpper(out) }), was.Snap)
	wantText(t, err, "replay: step \"b\" makes another scope than the recorded one:\n"+
		"  recorded {\"Text\":\"a b\",\"Note\":\"\"}\n  replayed {\"Text\":\"A B\",\"Note\":\"\"}")
	var other *core.ReplayError
	if !errors.As(err, &other) || other.Path != "b" || string(other.Want) != `{"Text":"a b","Note":""}` || res.Status != core.Running {
		t.Errorf("%v, error %#v", res.Status, err)
	}
}

func TestReplayNamesAStepThatNoLongerLeavesTheScope(t *testing.T) {
	with := func(w func(*doc, string)) *core.Pipeline[doc] {
		return plan(t, work("a", appending), core.Step("look", noted(appending), read, w), work("c", appending))
	}
	was := everyWay(t, with(func(*doc, string) {}), doc{})
	if was.Snap.Steps[1].State != nil {
		t.Fatalf("a step that changed nothing has the state %s", was.Snap.Steps[1].State)
	}
	_, err := replay(t, with(func(d *doc, _ string) { d.Note = "seen" }), was.Snap)
	var other *core.ReplayError
	if !errors.As(err, &other) || other.Path != "look" {
		t.Errorf("error %v", err)
	}
}

func TestReplayNamesAStepWithinASubPipeline(t *testing.T) {
	with := func(w func(*doc, string)) *core.Pipeline[doc] {
		return plan(t, work("a", appending), subOf(t, "s", plan(t, core.Step("b", noted(appending), read, w))))
	}
	was := everyWay(t, with(write), doc{})
	_, err := replay(t, with(func(d *doc, out string) { d.Text = out + "!" }), was.Snap)
	var other *core.ReplayError
	if !errors.As(err, &other) || other.Path != "s/b" {
		t.Errorf("error %v", err)
	}
}

func TestReplayTellsWhereAChangedConditionGoes(t *testing.T) {
	with := func(n int) *core.Pipeline[doc] {
		return plan(t, core.Loop("l", 5, words(n), work("a", appending)), work("z", appending))
	}
	was := everyWay(t, with(3), doc{})
	_, err := replay(t, with(2), was.Snap)
	wantText(t, err, `run r: run went another way than its records: it would end while other steps have 1 saved record left: `+
		`conditions, choices and merges must depend on the scope alone`)
	if !errors.Is(err, core.ErrDiverged) {
		t.Errorf("one iteration less: error %v", err)
	}
	_, err = replay(t, with(4), was.Snap)
	wantText(t, err, `run r: run went another way than its records: step "l#4/a" is next, but other steps have 1 saved record left: `+
		`conditions, choices and merges must depend on the scope alone`)
}

func TestReplayByAnotherPlanIsRefused(t *testing.T) {
	was := everyWay(t, plan(t, work("a", appending)), doc{})
	other, err := core.New("q", work("a", appending))
	if err != nil {
		t.Fatal(err)
	}
	_, err = replay(t, other, was.Snap)
	wantText(t, err, `replay run r: pipeline differs from the one the run was started with: the first difference is pipeline "q", where it was pipeline "p": `+
		`use the pipeline of the start, or start a new run`)
	if !errors.Is(err, core.ErrPlanChanged) {
		t.Errorf("error %v", err)
	}
}

func TestResumeDecodesTheSavedScopeOverNothing(t *testing.T) {
	type bag struct{ Items map[string]int }
	set := func(name string, items map[string]int) *core.Node[bag] {
		return core.Step(name, noted(core.Func[int, map[string]int](func(context.Context, core.Request[int]) (map[string]int, error) { return items, nil })),
			func(b bag) int { return len(b.Items) }, func(b *bag, out map[string]int) { b.Items = out })
	}
	looking := core.Branch("look", func(b bag) (string, error) { return "default", nil }, core.Pass[bag]("default"))
	p, err := core.New("p", set("a", map[string]int{"x": 1}), looking, set("b", map[string]int{"y": 2}), set("c", map[string]int{"z": 3}))
	if err != nil {
		t.Fatal(err)
	}
	got := everyWay(t, p, bag{})
	if d := cmp.Diff(bag{map[string]int{"z": 3}}, got.Scope); d != "" {
		t.Errorf("scope (-want +got):\n%s", d)
	}
}

// What comes behind the last step is compared as well.
func TestReplayComparesTheEnd(t *testing.T) {
	merging := func(note string) *core.Pipeline[doc] {
		return plan(t, core.Parallel("fan", func(into *doc, _ []core.Ended[doc]) error { into.Note = note; return nil }, core.Branches(step("a", appending))))
	}
	b, key := core.NewMemory(), core.RunKey{Run: "r"}
	if _, err := run(t, merging("then"), doc{}, core.WithBackend(b)); err != nil {
		t.Fatal(err)
	}
	snap, err := b.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.Replay(t.Context(), merging("then"), snap); err != nil {
		t.Errorf("the same pipeline: %v", err)
	}
	_, err = core.Replay(t.Context(), merging("now"), snap)
	wantText(t, err, "replay: the run ends with another scope than the recorded one:\n"+
		`  recorded {"Text":"","Note":"then"}`+"\n"+`  replayed {"Text":"","Note":"now"}`)
}
