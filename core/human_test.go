package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// approve asks about the text and appends the answer.
func approve(name string) *core.Node[doc] {
	return core.Human(name, func(d doc) string { return "approve " + d.Text + "?" },
		func(d *doc, a string) { d.Text = strings.TrimSpace(d.Text + " " + a) },
		core.Accept(func(a string) error {
			if a != "yes" && a != "no" {
				return fmt.Errorf("say yes or no, not %q", a)
			}
			return nil
		}))
}

// paused makes a run that waits for its answer.
func paused(t *testing.T, nodes ...*core.Node[doc]) (*core.Engine, *core.Memory, *core.Pipeline[doc], core.Result[doc]) {
	t.Helper()
	b := core.NewMemory()
	e, p := core.NewEngine(core.WithBackend(b)), plan(t, nodes...)
	res, err := core.Run(t.Context(), e, p, core.RunKey{Run: "r"}, doc{Text: "in"})
	if err != nil || res.Status != core.Paused || len(res.Pauses) == 0 {
		t.Fatalf("result %+v, error %v", res, err)
	}
	return e, b, p, res
}

func TestPauseIsSavedAndAnsweredAndTheRunGoesOn(t *testing.T) {
	e, b, p, res := paused(t, step("a", appending), approve("ask"), step("b", appending))
	if got := res.Pauses[0]; got.Path != "ask" || got.Prompt != "approve in a?" || len(got.Token) < 20 {
		t.Errorf("pause %+v", got)
	}
	key := core.RunKey{Run: "r"}
	snap, err := b.Load(t.Context(), key)
	if err != nil || snap.Status != core.Paused || snap.Steps[1].Token != res.Pauses[0].Token {
		t.Errorf("saved: %+v, %v", snap, err)
	}
	// A resume without an answer changes nothing and asks the same.
	again, err := core.Resume(t.Context(), e, p, key)
	if err != nil || again.Status != core.Paused || again.Pauses[0] != res.Pauses[0] || again.Calls != 0 {
		t.Errorf("resumed without an answer: %+v, %v", again, err)
	}
	end, err := core.Signal(t.Context(), e, p, key, res.Pauses[0].Token, "yes")
	if err != nil || end.Status != core.Completed || end.Scope.Text != "in a yes b" || end.Calls != 1 {
		t.Errorf("answered: %+v, %v", end, err)
	}
	if snap, err = b.Load(t.Context(), key); err != nil || len(snap.Answers) != 1 || string(snap.Answers[0].Answer) != `"yes"` {
		t.Errorf("saved answers %+v, %v", snap.Answers, err)
	}
}

func TestPauseIsPossibleEverywhere(t *testing.T) {
	for name, node := range map[string]func() *core.Node[doc]{
		"last step": func() *core.Node[doc] { return approve("ask") },
		"loop":      func() *core.Node[doc] { return core.Loop("l", 2, nil, approve("ask"), core.MaxIsSuccess()) },
		"branch": func() *core.Node[doc] {
			return core.Branch("b", func(doc) (string, error) { return "ask", nil }, approve("ask"))
		},
		"parallel": func() *core.Node[doc] { return core.Parallel("f", texts, core.Branches(approve("a"), approve("b"))) },
		"fallback": func() *core.Node[doc] { return core.Fallback("f", step("x", fails("no")), approve("ask")) },
		"validate": func() *core.Node[doc] { return core.Validate("v", func(doc) error { return nil }, approve("ask")) },
		"redirect": func() *core.Node[doc] {
			return core.Redirect("r", func(doc, string) (string, error) { return "", nil }, approve("ask"))
		},
		"loop in parallel": func() *core.Node[doc] {
			return core.Parallel("f", texts, core.Branches(core.Loop("l", 2, nil, approve("ask"), core.MaxIsSuccess()), step("s", appending)))
		},
		"parallel in loop": func() *core.Node[doc] {
			return core.Loop("l", 2, nil, core.Parallel("f", texts, core.Branches(approve("a"), step("s", appending))), core.MaxIsSuccess())
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, b, p, res := paused(t, node())
			answers := 0
			for res.Status == core.Paused {
				var err error
				answers++
				if res, err = core.Signal(t.Context(), e, p, core.RunKey{Run: "r"}, res.Pauses[0].Token, "yes"); err != nil {
					t.Fatal(err)
				}
			}
			snap, err := b.Load(t.Context(), core.RunKey{Run: "r"})
			if err != nil || res.Status != core.Completed || strings.Count(res.Scope.Text, "yes") == 0 || len(snap.Answers) != answers {
				t.Errorf("after %d answers: %+v; %d saved; %v", answers, res, len(snap.Answers), err)
			}
			var state doc
			if err := json.Unmarshal(snap.State, &state); err != nil || state != res.Scope {
				t.Errorf("saved state %s, want %+v; %v", snap.State, res.Scope, err)
			}
		})
	}
}

func TestAnswersThatAreNotTaken(t *testing.T) {
	e, b, p, res := paused(t, approve("ask"), step("a", appending))
	key, token := core.RunKey{Run: "r"}, res.Pauses[0].Token
	refuse := func(name string, want error, text string, err error) {
		t.Helper()
		var s *core.SignalError
		if !errors.As(err, &s) || want != nil && !errors.Is(err, want) || err.Error() != text {
			t.Errorf("%s: error\n%v\nwant\n%s", name, err, text)
		}
	}
	_, err := core.Signal(t.Context(), e, p, key, "nonsense", "yes")
	refuse("wrong token", core.ErrNoPause, `answer to run r, token "nonsense": no pause has this token: take the token from the result of the run, or from its trace`, err)
	_, err = core.Signal(t.Context(), e, p, key, "", "yes")
	refuse("no token", core.ErrNoPause, `answer to run r, token "": no pause has this token: take the token from the result of the run, or from its trace`, err)
	_, err = core.Signal(t.Context(), e, p, key, token, "perhaps")
	refuse("refused", nil, `answer to "ask" of run r: refused: say yes or no, not "perhaps": answer again`, err)
	_, err = core.Signal(t.Context(), e, p, core.RunKey{Tenant: "x", Run: "r"}, token, "yes")
	refuse("other tenant", core.ErrRunNotFound, `answer to run x/r, token "`+token+`": run x/r: run not found`, err)
	_, err = core.Signal(t.Context(), e, plan(t, step("a", appending), approve("ask")), key, token, "yes")
	refuse("other plan", core.ErrPlanChanged, `answer to "ask" of run r: resume run r: pipeline differs from the one the run was started with: `+
		`the first difference is step "a", where it was human "ask": use the pipeline of the start, or start a new run; its records do not fit: `+
		`run r: run went another way than its records: step "a" is next, but other steps have 1 saved record left: `+
		`conditions, choices and merges must depend on the scope alone`, err)
	if _, err := core.Signal(t.Context(), e, p, key, token, 7); err == nil || !strings.Contains(err.Error(), "it is not a string") {
		t.Errorf("answer of another type: %v", err)
	}
	if snap, err := b.Load(t.Context(), key); err != nil || len(snap.Answers) != 0 || snap.Status != core.Paused {
		t.Errorf("a refused answer left its mark: %+v, %v", snap, err)
	}
	if res, err := core.Signal(t.Context(), e, p, key, token, json.RawMessage(`"no"`)); err != nil || res.Scope.Text != "in no a" {
		t.Errorf("answer as JSON: %+v, %v", res, err)
	}
	_, err = core.Signal(t.Context(), e, p, key, token, "yes")
	refuse("after the end", core.ErrRunFinished, `answer to "ask" of run r: run is finished: it has completed: start a new run under another key`, err)
}

// An answer comes from outside: what could mean two things, is more than one answer, or
// costs more than it can be worth is refused before it is recorded.
func TestHostileAnswersAreRefused(t *testing.T) {
	type sums struct {
		Sum int
		In  *struct{ Yes bool }
	}
	type part struct {
		sums
		A      int
		Id, ID int
	}
	type choice struct {
		Yes   bool
		Notes map[string]any     `json:",omitzero"`
		Parts map[string][]*part `json:",omitzero"`
	}
	b := core.NewMemory()
	e := core.NewEngine(core.WithBackend(b))
	p := plan(t, core.Human("ask", func(doc) string { return "well?" }, func(*doc, choice) {}))
	key := core.RunKey{Run: "r"}
	res, err := core.Run(t.Context(), e, p, key, doc{})
	if err != nil {
		t.Fatal(err)
	}
	const deep = 1 << 20
	for name, tc := range map[string]struct{ answer, says string }{
		"a name twice":               {`{"Yes":false,"Yes":true}`, `it says "Yes" twice`},
		"a name twice within":        {`{"Notes":{"a":[{"b":1,"c":{"b":1},"b":2}]}}`, `it says "b" twice`},
		"a name in two cases":        {`{"Yes":false,"yes":true}`, `it says "yes" twice`},
		"a name in two cases within": {`{"Parts":{"a":[{"A":1,"Sum":1,"\u017fum":2}]}}`, `it says "ſum" twice`},
		"one of two names so":        {`{"Parts":{"a":[{"Id":1,"ID":2,"iD":3}]}}`, `it says "iD" twice`},
		"an embedded name so":        {`{"Parts":{"a":[{"In":{"Yes":true,"YES":false}}]}}`, `it says "YES" twice`},
		"a second value":             {`{"Yes":true}{"Yes":false}`, "invalid character"},
		"half of one":                {`{"Yes":true`, "unexpected end"},
		"arrays in each other":       {`{"Notes":{"a":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + "}}", "depth"},
		"objects in each other":      {strings.Repeat(`{"Notes":`, deep) + "null" + strings.Repeat("}", deep), "depth"},
		"a name that is not there":   {`{"Yes":true,"No":true}`, `unknown field "No"`},
		"another kind":               {`[true]`, "cannot unmarshal array"},
		"a number that is too large": {`{"Notes":{"a":1e999}}`, "cannot unmarshal number"},
		"nothing":                    {``, "unexpected end"},
	} {
		if _, err := core.Signal(t.Context(), e, p, key, res.Pauses[0].Token, json.RawMessage(tc.answer)); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: error %.200v, want %q", name, err, tc.says)
		}
	}
	if snap, err := b.Load(t.Context(), key); err != nil || len(snap.Answers) != 0 || snap.Status != core.Paused {
		t.Errorf("a refused answer left its mark: %+v, %v", snap, err)
	}
	good := `{"Notes":{"A":1,"a":[{"b":1,"B":1},{"b":1}],"b":"a"},"yes":true,"Parts":{"a":[],"A":[{"sum":1,"Id":1,"ID":2}]}}`
	if res, err := core.Signal(t.Context(), e, p, key, res.Pauses[0].Token, json.RawMessage(good)); err != nil || res.Status != core.Completed {
		t.Errorf("a good answer: %v, %v", res.Status, err)
	}
}

// Two answers race: one is taken, the others are told so, and no step runs twice.
func TestOneOfManyAnswersWins(t *testing.T) {
	for range 50 {
		var calls sync.Map
		once := func(ctx context.Context, req core.Request[string]) (string, error) {
			if _, twice := calls.LoadOrStore(req.Key(), true); twice {
				t.Errorf("%s was called twice", req.Key())
			}
			return appending(ctx, req)
		}
		e, b, p, res := paused(t, approve("ask"), step("a", once), step("b", once))
		key := core.RunKey{Run: "r"}
		var wg sync.WaitGroup
		won := make(chan core.Result[doc], 8)
		for i := range 8 {
			wg.Go(func() {
				got, err := core.Signal(t.Context(), e, p, key, res.Pauses[0].Token, []string{"yes", "no"}[i%2])
				switch {
				case err == nil:
					won <- got
				case !errors.Is(err, core.ErrAnswered) && !errors.Is(err, core.ErrRunFinished):
					t.Errorf("loser got %v", err)
				}
			})
		}
		wg.Wait()
		close(won)
		if len(won) != 1 {
			t.Fatalf("%d answers won", len(won))
		}
		if got := <-won; got.Status != core.Completed {
			t.Errorf("the winner's run: %+v", got)
		}
		if snap, err := b.Load(t.Context(), key); err != nil || snap.Status != core.Completed || len(snap.Answers) != 1 || len(snap.Steps) != 3 {
			t.Errorf("saved: %+v, %v", snap, err)
		}
	}
}

// An answer that comes while another branch still works must not be left lying.
func TestAnswerDuringARunIsTakenIn(t *testing.T) {
	b := core.NewMemory()
	var e *core.Engine
	var p *core.Pipeline[doc]
	key := core.RunKey{Run: "r"}
	asked := make(chan string, 1)
	slow := func(ctx context.Context, req core.Request[string]) (string, error) {
		res, err := core.Signal(ctx, e, p, key, <-asked, "yes")
		if err != nil || res.Status != core.Running {
			t.Errorf("signal to a running run: %+v, %v", res, err)
		}
		return appending(ctx, req)
	}
	var log bytes.Buffer
	e = core.NewEngine(core.WithBackend(tokenTap{b, asked}), core.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	p = plan(t, core.Parallel("f", texts, core.Branches(approve("ask"), step("slow", slow))), step("last", appending))
	res, err := core.Run(t.Context(), e, p, key, doc{Text: "in"})
	if err != nil || res.Status != core.Completed || res.Scope.Text != "ask=in yes, slow=in f/slow last" || res.Steps != 3 || res.Calls != 2 {
		t.Errorf("result %+v, error %v", res, err)
	}
	if want := fmt.Sprintf("status=completed steps=%d calls=%d ", res.Steps, res.Calls); !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %q as the result does:\n%s", want, log.String())
	}
}

// Who answered is told so also where another executor, not this one, has taken the run
// to its end.
func TestAnswerToARunThatSomebodyElseEnds(t *testing.T) {
	for name, before := range map[string]string{"right after it is recorded": "signal", "before it is claimed": "claim"} {
		t.Run(name, func(t *testing.T) {
			e, b, p, res := paused(t, approve("ask"), step("a", appending))
			key := core.RunKey{Run: "r"}
			other := func() {
				if end, err := core.Resume(t.Context(), e, p, key); err != nil || end.Status != core.Completed {
					t.Errorf("the other executor: %+v, %v", end, err)
				}
			}
			late := core.NewEngine(core.WithBackend(&overtaken{Memory: b, before: before, other: other}))
			got, err := core.Signal(t.Context(), late, p, key, res.Pauses[0].Token, "yes")
			if err != nil || got.Status != core.Running || got.Calls != 0 {
				t.Errorf("%+v, error %v", got, err)
			}
		})
	}
}

// overtaken lets another executor act after an answer was recorded.
type overtaken struct {
	*core.Memory
	before string
	other  func()
}

func (b *overtaken) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	err := b.Memory.Signal(ctx, k, rec)
	if b.before == "signal" {
		b.other()
	}
	return err
}

func (b *overtaken) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (core.Lease, core.Snapshot, error) {
	if b.before == "claim" {
		b.other()
	}
	return b.Memory.Acquire(ctx, known, h)
}

// tokenTap tells the token of a pause once it is saved.
type tokenTap struct {
	*core.Memory
	tokens chan string
}

func (b tokenTap) Step(ctx context.Context, l core.Lease, r core.StepRecord) error {
	err := b.Memory.Step(ctx, l, r)
	if r.Status == core.Paused && err == nil {
		b.tokens <- r.Token
	}
	return err
}

func TestPauseNeedsABackend(t *testing.T) {
	_, err := run(t, plan(t, approve("ask")), doc{})
	if want := `run r: step "ask": the engine has no backend: give it one: a pause lives in it`; !errors.Is(err, core.ErrNoBackend) || fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Branches come to their pauses in any order; the result has them in that of their paths.
func TestPausesAreInTheOrderOfTheirPaths(t *testing.T) {
	ask := func(name string) *core.Node[doc] {
		return core.Human(name, func(doc) string { return "?" }, func(*doc, bool) {})
	}
	want := []string{"p/a", "p/m#1/x", "p/m#2/x", "p/m#3/x", "p/m#4/x", "p/m#5/x", "p/m#6/x", "p/m#7/x", "p/m#8/x", "p/m#9/x", "p/m#10/x", "p/z"}
	p := plan(t, core.Parallel("p", core.Disjoint[doc], core.Branches(ask("z"),
		core.Map("m", 10, func(doc) []doc { return make([]doc, 10) }, ask("x"), func(*doc, []core.Ended[doc]) error { return nil }, core.AtOnce(10)), ask("a"))))
	for i := range 20 {
		b := core.NewMemory()
		e, key := core.NewEngine(core.WithBackend(b)), core.RunKey{Run: fmt.Sprint(i)}
		for _, res := range []core.Result[doc]{must(core.Run(t.Context(), e, p, key, doc{})), must(core.Resume(t.Context(), e, p, key))} {
			var got []string
			for _, pause := range res.Pauses {
				got = append(got, pause.Path)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("pauses (-want +got):\n%s", d)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
