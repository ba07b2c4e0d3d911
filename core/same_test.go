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

	"github.com/flujo/flujo-harness/core"
)

// What functions of the user receive is the same in a run that nothing disturbs and
// in one that is cut off at any of its saves and resumed. The test has a pipeline
// with every kind of node, whose functions note their arguments.

// seen is what the functions of one run received, by their names and in order.
type seen struct {
	mu    sync.Mutex
	calls map[string][]string
}

// note writes down the arguments of a function: their texts in Go syntax, with the
// codes of errors, the zones and monotonic readings of times, and the stacks of panics.
func (s *seen) note(name string, args ...any) {
	var text strings.Builder
	for _, arg := range args {
		describe(&text, arg)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name] = append(s.calls[name], text.String())
}

const errBusy = core.Code("busy")

var errOwn = errors.New("an error of the package that wrote the agent")

func describe(text *strings.Builder, arg any) {
	switch x := arg.(type) {
	case parcel:
		fmt.Fprintf(text, " %q %v %q %q nil=%v %v", x.Words, x.Count, x.When.String(), x.When.Location(), x.Words == nil, x.Zone.text())
	case error:
		var failed *core.RecordedError
		var stack string
		if errors.As(x, &failed) {
			stack = failed.Stack
		}
		fmt.Fprintf(text, " %T %v own=%v busy=%v late=%v panic=%v exit=%v\n%s", x, x, errors.Is(x, errOwn), errors.Is(x, errBusy),
			errors.Is(x, context.DeadlineExceeded), errors.Is(x, core.ErrPanic), errors.Is(x, core.ErrGoexit), stack)
	case []core.Ended[parcel]:
		for _, b := range x {
			text.WriteString(" " + b.Name)
			describe(text, b.Scope)
			if b.Err != nil {
				describe(text, b.Err)
			}
		}
	default:
		fmt.Fprintf(text, " %#v", x)
	}
}

// parcel is a scope with what storage does not keep all of: times, and a type with
// marshal methods that leave a part out.
type parcel struct {
	Words []string
	Count int
	When  time.Time
	Zone  forgetful
}

type forgetful struct{ kept, dropped string }

func (f forgetful) MarshalText() ([]byte, error) { return []byte(f.kept), nil }
func (f *forgetful) UnmarshalText(b []byte) error {
	*f = forgetful{kept: string(b)}
	return nil
}
func (f forgetful) text() string { return f.kept + "/" + f.dropped }

// allNodes is a pipeline of every kind of node, whose functions report to s.
func allNodes(t *testing.T, s *seen) *core.Pipeline[parcel] {
	t.Helper()
	type out struct {
		Word string
		When time.Time
		Zone forgetful
	}
	far := time.FixedZone("far", 2*3600)
	step := func(name string, f func(r core.Request[parcel]) (string, error), opts ...core.StepOption) *core.Node[parcel] {
		agent := core.Func[parcel, out](func(_ context.Context, r core.Request[parcel]) (out, error) {
			s.note("agent "+r.Path, r.Input, r.Attempt, r.Feedback, r.Key())
			word, err := f(r)
			return out{word, time.Now().In(far), forgetful{word, "dropped"}}, err
		})
		return core.Step(name, agent, func(p parcel) parcel {
			s.note("read "+name, p)
			return p
		}, func(p *parcel, o out) {
			s.note("write "+name, *p, o.Word, o.Zone.text(), o.When.Location().String(), strings.Contains(o.When.String(), "m="))
			p.Words, p.Count, p.Zone = append(p.Words, o.Word+o.Zone.dropped), p.Count+1, o.Zone
			p.When = time.Date(2026, 1, 2, 3, 4, 5, p.Count, far)
		}, opts...)
	}
	say := func(r core.Request[parcel]) (string, error) { return r.Path, nil }
	fail := func(err error) func(core.Request[parcel]) (string, error) {
		return func(core.Request[parcel]) (string, error) { return "", err }
	}
	merge := func(name string) func(into *parcel, bs []core.Ended[parcel]) error {
		return func(into *parcel, bs []core.Ended[parcel]) error {
			s.note("merge "+name, *into, bs)
			for _, b := range bs {
				word := b.Name
				switch {
				case errors.Is(b.Err, errOwn):
					word += " own"
				case errors.Is(b.Err, errBusy):
					word += " busy"
				case errors.Is(b.Err, context.DeadlineExceeded):
					word += " late"
				case errors.Is(b.Err, core.ErrPanic):
					word += " panicked"
				}
				into.Words = append(into.Words, word)
			}
			return nil
		}
	}
	inner, err := core.New("inner", step("deep", say))
	if err != nil {
		t.Fatal(err)
	}
	p, err := core.New("everything",
		step("first", say),
		core.Parallel("fan", merge("fan"), core.Branches(
			step("own", fail(fmt.Errorf("call: %w", errOwn))),
			step("busy", fail(fmt.Errorf("call: %w", errBusy)), core.Retries(1)),
			step("late", fail(context.DeadlineExceeded)),
			step("odd", fail(errors.New("not text: \xff\x00"))),
			step("panics", func(core.Request[parcel]) (string, error) { panic("boom") }),
			core.Branch("chooses", func(parcel) (string, error) { panic("no choice") }, step("never", say)),
			core.Fallback("instead", step("x", fail(core.Final(errBusy)), core.Retries(3)), step("y", say)),
		), core.CollectFailures(), core.AtOnce(1)),
		core.Loop("loop", 3, func(p parcel) (bool, error) {
			s.note("until", p)
			return p.Count >= 4, nil
		}, step("body", say)),
		core.Branch("branch", func(p parcel) (string, error) {
			s.note("choose", p)
			return p.Words[len(p.Words)-1][:1], nil
		}, step("l", say), step("default", say)),
		core.Validate("valid", func(p parcel) error {
			s.note("check", p)
			if strings.HasPrefix(p.Words[len(p.Words)-1], "valid#1") {
				return errors.New("once more")
			}
			return nil
		}, step("checked", say), core.Rerun(1)),
		core.Redirect("redirect", func(p parcel, from string) (string, error) {
			s.note("next", p, from)
			return map[string]string{"a": "b"}[from], nil
		}, step("a", say), step("b", say)),
		core.Map("map", 3, func(p parcel) []parcel {
			s.note("split", p)
			return []parcel{p, {Words: []string{}}, {}}
		}, step("item", func(r core.Request[parcel]) (string, error) {
			if strings.HasPrefix(r.Path, "map#2") {
				return "", fmt.Errorf("item: %w", errOwn)
			}
			return r.Path, nil
		}), merge("map"), core.CollectFailures(), core.AtOnce(1)),
		core.Sub("sub", inner, func(p parcel) parcel {
			s.note("in", p)
			return p
		}, func(p *parcel, q parcel) {
			s.note("out", *p, q)
			*p = q
		}),
		core.Human("human", func(p parcel) string {
			s.note("ask", p)
			return p.Words[0]
		}, func(p *parcel, a parcel) {
			s.note("answer", *p, a)
			p.Words = append(p.Words, a.Words...)
		}),
		step("last", say))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// killedAt refuses the nth save and all that follow, as a process does that is killed.
type killedAt struct {
	core.Backend
	mu   sync.Mutex
	left int
}

func (c *killedAt) dead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		return errors.New("killed")
	}
	return nil
}

func (c *killedAt) Step(ctx context.Context, l core.Lease, r core.StepRecord) error {
	if err := c.dead(); err != nil {
		return err
	}
	return c.Backend.Step(ctx, l, r)
}

func (c *killedAt) Finish(ctx context.Context, l core.Lease, r core.FinishRecord) error {
	if err := c.dead(); err != nil {
		return err
	}
	return c.Backend.Finish(ctx, l, r)
}

func TestFunctionsReceiveTheSameAfterEveryResume(t *testing.T) {
	began := parcel{When: time.Now(), Zone: forgetful{"start", "dropped"}, Words: []string{"start"}}
	began.When = began.When.Add(-time.Hour)
	key := core.RunKey{Tenant: "t", Run: "r"}
	// through runs it to its end, past the pause; cut is the save that is refused, 0 for none.
	through := func(t *testing.T, cut int) (calls map[string][]string, last core.Result[parcel], saves int) {
		s := &seen{calls: map[string][]string{}}
		p := allNodes(t, s)
		b := core.NewMemory()
		var err error
		if cut > 0 {
			_, err = core.Run(t.Context(), core.NewEngine(core.WithBackend(&killedAt{Backend: b, left: cut - 1})), p, key, began)
			if err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("not cut off: %v", err)
			}
			s.calls = map[string][]string{}
		}
		e := core.NewEngine(core.WithBackend(b))
		if cut > 0 {
			last, err = core.Resume(t.Context(), e, p, key)
		} else {
			last, err = core.Run(t.Context(), e, p, key, began)
		}
		if err != nil || last.Status != core.Paused {
			t.Fatalf("%v, %v", last.Status, err)
		}
		saves = int(b.Counts().Saves) - 1 // the start is not among those that are refused
		last, err = core.Signal(t.Context(), e, p, key, last.Pauses[0].Token, parcel{Words: []string{"yes"}})
		if err != nil || last.Status != core.Completed {
			t.Fatalf("%v, %v", last.Status, err)
		}
		snap, err := b.Load(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := core.Replay(t.Context(), p, snap); err != nil {
			t.Errorf("cut off at save %d: %v", cut, err)
		}
		return s.calls, last, saves
	}
	want, end, saves := through(t, 0)
	if saves < 20 {
		t.Fatalf("%d saves: the pipeline lost its steps", saves)
	}
	for cut := 1; cut <= saves; cut++ {
		got, resumed, _ := through(t, cut)
		for name, calls := range got {
			for _, call := range calls {
				if !slices.Contains(want[name], call) {
					t.Errorf("cut off at save %d: %s received\n%s\nin an undisturbed run\n%s", cut, name, call, strings.Join(want[name], "\n"))
				}
			}
		}
		if d := cmp.Diff(end.Scope, resumed.Scope, cmp.AllowUnexported(forgetful{})); d != "" {
			t.Errorf("cut off at save %d: scope (-undisturbed +resumed)\n%s", cut, d)
		}
	}
}
