package coretest

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// doc is the scope of the pipeline that uses every combinator. Every output is a digest of the text
// before it, so a step that is skipped, doubled or given other feedback changes everything after
// it.
type doc struct {
	Text   string
	Rounds int
}

// item is the scope of the map and of the sub-pipeline.
type item struct{ Text string }

// lanes is the number of branches that run concurrently, and so the maximum number of steps that
// are running when the process is killed.
const lanes = 2

// effects records the calls of agents as side effects: a file with one line per call. Each line has
// the round, so that calls of different processes can be distinguished.
type effects struct {
	path  string
	round int // 1 for the process that starts the run, one more after every kill
}

// note appends a line with a single write, so that a kill cannot tear it.
func (e effects) note(file string, fields ...any) error {
	f, err := os.OpenFile(e.path+file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(fmt.Sprintln(append([]any{e.round}, fields...)...))
	return errors.Join(err, f.Close())
}

// agent returns an agent that refuses its first refuse attempts and notes every attempt.
func (e effects) agent(refuse int) core.Agent[string, string] {
	return core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		if err := e.note(".effects", req.Key(), req.Attempt); err != nil {
			return "", fmt.Errorf("%w: %w", core.ErrHarness, err)
		}
		if err := req.Spend(10, 3); err != nil {
			return "", err
		}
		if req.Attempt <= refuse {
			return "", fmt.Errorf("attempt %d is refused", req.Attempt)
		}
		return req.Path + " " + digest(req.Input, req.Feedback), nil
	})
}

func digest(parts ...string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", parts)
	return base32.StdEncoding.EncodeToString(h.Sum(nil))[:12]
}

// Get and Put make effects a cache of files next to the file at path, so it outlives the process.
func (e effects) Get(_ context.Context, key string) ([]byte, bool, error) {
	value, err := os.ReadFile(e.cached(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	return value, err == nil, err
}

func (e effects) Put(_ context.Context, key string, value []byte) error {
	return os.WriteFile(e.cached(key), value, 0o600)
}

func (e effects) cached(key string) string { return e.path + ".cache-" + digest(key) }

// Paths of the steps that use the cache.
const (
	lookupPath = "lookup" // costs nothing if its process was killed after the call: the result is cached
	againPath  = "again"  // never calls its agent: the result is cached
)

// small stops the run in the second round of the loop, after smallSteps records. large is the
// budget for the rest.
var (
	small = core.Budget{Calls: 5}
	large = core.Budget{Calls: 200, Steps: 200, Tokens: 100_000, Cost: 100_000, Wall: time.Hour}
)

const smallSteps = 4

// exits are the saved exits of the loops in every.
const exits = `{"refine":{"reason":"condition","iterations":2}}`

// every returns the pipeline that uses every combinator.
func (e effects) every() (*core.Pipeline[doc], error) {
	step := func(name string, refuse int, opts ...core.StepOption) *core.Node[doc] {
		return core.Step(name, e.agent(refuse), docText, setText, opts...)
	}
	ask := func(name string) *core.Node[doc] {
		return core.Human(name, func(d doc) string { return name + " " + digest(d.Text) + "?" },
			func(d *doc, answer string) { d.Text += " | " + answer }, core.Accept(named(name)))
	}
	part := func(name string) *core.Node[item] {
		return core.Step(name, e.agent(0), func(i item) string { return i.Text }, func(i *item, out string) { i.Text = out })
	}
	// Both steps have the same input, so the second call is a cache hit.
	lookup := func(name string) *core.Node[doc] {
		cached := core.Cached("facts", e, e.agent(0))
		return core.Step(name, cached, func(doc) string { return "what is known?" },
			func(d *doc, out string) { d.Text += " | " + out }, core.Reserve(20, 5), core.Retries(1))
	}
	improve := core.Step("improve", e.agent(0), docText, func(d *doc, out string) {
		d.Text = out
		d.Rounds++
	})
	sub, err := core.New("inner", part("one"), part("two"))
	if err != nil {
		return nil, err
	}
	return core.New("every combinator",
		step("draft", 1, core.Retries(2), core.Reserve(20, 5)),
		core.Then("prepare", step("gather", 0), step("sort", 0)),
		core.Loop("refine", 5, func(d doc) (bool, error) { return d.Rounds >= 2, nil }, improve, core.NoProgress(2)),
		core.Branch("choose", func(d doc) (string, error) { return "long", nil }, step("long", 0), core.Pass[doc]("short")),
		core.Branch("skip", func(d doc) (string, error) { return "none", nil }, step("some", 0), core.Pass[doc]("default")),
		// The merge changes the scope, and the step after it restores the scope that was saved
		// last.
		core.Parallel("turn", turned, core.Branches(core.Pass[doc]("nothing"))),
		core.Step("back", e.agent(0), docText, func(d *doc, _ string) { d.Text = turnedBack(d.Text) }),
		core.Parallel("review", joined, core.Branches(
			core.Then("legal", step("read", 0), ask("sign"), step("file", 0)),
			core.Then("tech", step("try", 1, core.Retries(1)), step("note", 0)),
			ask("boss"),
		), core.AtOnce(lanes)),
		core.Map("score", 4, items, part("rate"), merged, core.AtOnce(lanes)),
		core.Fallback("publish", step("press", 9, core.Retries(1)), step("web", 0)),
		core.Validate("check", func(d doc) error {
			if !strings.HasPrefix(d.Text, "check#2/") {
				return fmt.Errorf("%s is refused", d.Text)
			}
			return nil
		}, step("proof", 0), core.Rerun(2)),
		lookup(lookupPath), lookup(againPath),
		core.Sub("inner", sub.Within(core.Budget{Calls: 10}), func(d doc) item { return item{d.Text} }, func(d *doc, i item) { d.Text = i.Text }),
		core.Redirect("route", func(_ doc, from string) (string, error) {
			return map[string]string{"a": "c", "c": "b"}[from], nil
		}, step("a", 0), step("b", 0), step("c", 0)),
		ask("approve"),
	)
}

func docText(d doc) string         { return d.Text }
func setText(d *doc, out string)   { d.Text = out }
func answerTo(path_ string) string { return path.Base(path_) + ": yes" }

// named returns a validator that accepts only the answer that answerTo returns.
func named(name string) func(string) error {
	return func(answer string) error {
		if answer != answerTo(name) {
			return fmt.Errorf("%q is no answer to %s", answer, name)
		}
		return nil
	}
}

func joined(into *doc, branches []core.Ended[doc]) error {
	into.Text = ""
	for _, b := range branches {
		into.Text += b.Name + "=" + b.Scope.Text + ";"
	}
	return nil
}

func turned(into *doc, _ []core.Ended[doc]) error {
	into.Text += turn
	return nil
}

const turn = " turned"

func turnedBack(text string) string { return strings.TrimSuffix(text, turn) }

func items(d doc) []item {
	return []item{{"1 " + d.Text}, {"2 " + d.Text}, {"3 " + d.Text}}
}

func merged(into *doc, items []core.Ended[item]) error {
	into.Text = ""
	for _, i := range items {
		into.Text += i.Scope.Text + ";"
	}
	return nil
}

// drive takes the run to its end from any state: it starts the run, resumes it, enlarges its budget
// and answers its pauses. If eager is set, it answers before it resumes, like a person who does not
// know that the process has died.
func (e effects) drive(b core.Backend, eager bool) (res core.Result[doc], err error) {
	whole, err := e.every()
	if err != nil {
		return res, err
	}
	engine := core.NewEngine(core.WithBackend(b))
	for range 100 { // more than any path to the end needs; the bound stops an endless loop if there is a defect
		snap, err := b.Load(ctx, key)
		p := whole.Within(large)
		if snap.Status != core.Stopped && len(snap.Steps) <= smallSteps {
			p = whole.Within(small)
		}
		pause, waits := unanswered(snap)
		switch {
		case errors.Is(err, core.ErrRunNotFound):
			res, err = core.Run(ctx, engine, p, key, doc{Text: "begin"})
		case err != nil:
		case snap.Status.Ended():
			return res, nil
		case waits && (eager || snap.Status == core.Paused):
			res, err = core.Signal(ctx, engine, p, key, pause.Token, answerTo(pause.Path))
		default:
			res, err = core.Resume(ctx, engine, p, key)
		}
		if err != nil && !errors.As(err, new(*core.BudgetError)) {
			return res, fmt.Errorf("round %d in %s: %w", e.round, filepath.Base(e.path), err)
		}
	}
	return res, errors.New("the run does not come to its end")
}

// unanswered returns a pause that has no answer.
func unanswered(s core.Snapshot) (core.StepRecord, bool) {
	for _, rec := range s.Steps {
		if rec.Status == core.Paused && answerIn(s, rec.Token) == nil {
			return rec, true
		}
	}
	return core.StepRecord{}, false
}

// answerIn returns the answer to a token, or nil if there is none.
func answerIn(s core.Snapshot, token string) []byte {
	for _, a := range s.Answers {
		if a.Token == token {
			return a.Answer
		}
	}
	return nil
}
