package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/flujo/flujo-harness/core"
)

func TestRunsAndStepsAreLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	clock := time.Unix(0, 0)
	tick := func() time.Time { clock = clock.Add(time.Second); return clock }
	p := plan(t, step("secret", spending(5, 7)), step("bad", func(_ context.Context, r core.Request[string]) (string, error) {
		return "", errors.New("no record of " + r.Input)
	}, core.Retries(1)))
	_, _ = run(t, p, doc{Text: "confidential"}, core.WithLogger(log), core.WithBackend(core.NewMemory()), core.WithClock(tick))
	want := `level=DEBUG msg=step run=r path=secret status=completed attempts=1 took=1s tokens=5 cost=7 error=""
level=DEBUG msg=step run=r path=bad status=failed attempts=2 took=1s tokens=0 cost=0 error="step \"bad\" failed after 2 attempts"
level=WARN msg=run run=r status=failed steps=2 calls=3 abandoned=0 error="step \"bad\" failed after 2 attempts"
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
	if strings.Contains(out.String(), "confidential") {
		t.Error("a scope was logged")
	}
	out.Reset()
	_, _ = run(t, p, doc{Text: "confidential"}, core.WithLogger(log), core.WithErrorTexts())
	if !strings.Contains(out.String(), "no record of confidential") {
		t.Errorf("with the option: %s", out.String())
	}
}

// tracer remembers the ended spans, children before their parents.
type tracer struct {
	noop.Tracer
	mu    sync.Mutex
	spans []string
	links []trace.SpanContext
}

type span struct {
	noop.Span
	t          *tracer
	name, note string
	status     string // attribute flujo.status
}

type parentKey struct{}

func (tr *tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	config := trace.NewSpanStartConfig(opts...)
	for _, l := range config.Links() {
		tr.mu.Lock()
		tr.links = append(tr.links, l.SpanContext)
		tr.mu.Unlock()
	}
	parent, _ := ctx.Value(parentKey{}).(string)
	s := &span{t: tr, name: parent + ">" + name}
	return trace.ContextWithSpan(context.WithValue(ctx, parentKey{}, name), s), s
}

func (s *span) SetAttributes(all ...attribute.KeyValue) {
	for _, a := range all {
		if a.Key == "flujo.status" {
			s.status = " [" + a.Value.AsString() + "]"
		}
	}
}
func (s *span) SetStatus(c codes.Code, text string)          { s.note = fmt.Sprint(" ", c, " ", text) }
func (s *span) AddEvent(name string, _ ...trace.EventOption) { s.note = " " + name }
func (s *span) End(...trace.SpanEndOption) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	s.t.spans = append(s.t.spans, s.name+s.note+s.status)
}

func TestEveryNodeHasASpan(t *testing.T) {
	tr := &tracer{}
	p := plan(t, core.Loop("l", 1, nil, step("a", appending), core.MaxIsSuccess()),
		core.Fallback("f", step("x", fails("no")), approve("ask")))
	if _, err := run(t, p, doc{}, core.WithTracer(tr), core.WithBackend(core.NewMemory())); err != nil {
		t.Fatal(err)
	}
	want := []string{"l>l#1/a", "run p>l", `f>f/x Error step "f/x" failed after 1 attempt`, "f>f/ask paused", "run p>f paused", ">run p [paused]"}
	if !slices.Equal(tr.spans, want) {
		t.Errorf("spans\n%s\nwant\n%s", strings.Join(tr.spans, "\n"), strings.Join(want, "\n"))
	}
}

// A trace shows how each execution of a run ended, and the error of one that failed or stopped.
func TestSpansHaveTheStatusOfTheRun(t *testing.T) {
	var cancel context.CancelCauseFunc
	for name, tt := range map[string]struct {
		node *core.Node[doc]
		want []string
	}{
		"completes": {step("a", appending), []string{"run p>a", ">run p [completed]"}},
		"fails":     {step("a", fails("no")), []string{`run p>a Error step "a" failed after 1 attempt: no`, `>run p Error step "a" failed after 1 attempt: no [failed]`}},
		"stops": {step("a", func(ctx context.Context, _ core.Request[string]) (string, error) {
			cancel(errors.New("deployment"))
			<-ctx.Done()
			return "", context.Cause(ctx)
		}), []string{`run p>a Error run r stopped in step "a": deployment`, `>run p Error run r stopped in step "a": deployment [running]`}},
	} {
		var ctx context.Context
		ctx, cancel = context.WithCancelCause(t.Context())
		tr := &tracer{}
		e := core.NewEngine(core.WithTracer(tr), core.WithErrorTexts())
		_, _ = core.Run(ctx, e, plan(t, tt.node), core.RunKey{Run: "r"}, doc{})
		if d := cmp.Diff(tt.want, tr.spans); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		cancel(nil)
	}
}

func TestAPauseIsLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, err := run(t, plan(t, approve("ask")), doc{}, core.WithLogger(log), core.WithBackend(core.NewMemory())); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "msg=step run=r path=ask status=paused attempts=0") {
		t.Error(out.String())
	}
}

// A run and its resumes are found together, and apart from runs of other names.
func TestExecutionsOfARunLinkToOneContext(t *testing.T) {
	tr, b := &tracer{}, core.NewMemory()
	p := plan(t, approve("ask"), step("a", appending))
	key := core.RunKey{Tenant: "t", Run: "r"}
	engine := func() *core.Engine { return core.NewEngine(core.WithTracer(tr), core.WithBackend(b)) } // of another process
	res, err := core.Run(t.Context(), engine(), p, key, doc{})
	if err != nil || res.Status != core.Paused {
		t.Fatalf("%v, %v", res.Status, err)
	}
	if res, err = core.Signal(t.Context(), engine(), p, key, res.Pauses[0].Token, "yes"); err != nil || res.Status != core.Completed {
		t.Fatalf("%v, %v", res.Status, err)
	}
	if want := key.SpanContext(); len(tr.links) != 2 || !tr.links[0].Equal(want) || !tr.links[1].Equal(want) || !want.IsValid() {
		t.Errorf("links %v, want twice %v", tr.links, want)
	}
	if (core.RunKey{Tenant: "a/b", Run: "c"}).SpanContext().Equal((core.RunKey{Tenant: "a", Run: "b/c"}).SpanContext()) {
		t.Error("two runs have one context")
	}
}
