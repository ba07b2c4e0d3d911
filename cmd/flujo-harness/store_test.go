package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// storeCommands are commands for the scripts.
var storeCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"action": runAction,
	// exits CODE ARGUMENT... runs the program, which must exit with the code, or with one of
	// several: 0,1.
	"exits": func(ts *testscript.TestScript, _ bool, args []string) {
		code := 0
		if exit := new(exec.ExitError); errors.As(ts.Exec("flujo-harness", args[1:]...), &exit) {
			code = exit.ExitCode()
		}
		if !slices.Contains(strings.Split(args[0], ","), strconv.Itoa(code)) {
			ts.Fatalf("exit code %d, want %s", code, args[0])
		}
	},
	// unprivileged CODE ARGUMENT... is like exits, but without root's right to write any file.
	"unprivileged": func(ts *testscript.TestScript, _ bool, args []string) {
		name, words := "flujo-harness", args[1:]
		if os.Geteuid() == 0 {
			if _, err := exec.LookPath("setpriv"); err != nil {
				ts.Fatalf("as root this needs setpriv, of util-linux")
			}
			name, words = "setpriv", append([]string{"--bounding-set=-all", "--inh-caps=-all", "--", "flujo-harness"}, words...)
		}
		code := 0
		if exit := new(exec.ExitError); errors.As(ts.Exec(name, words...), &exit) {
			code = exit.ExitCode()
		}
		if strconv.Itoa(code) != args[0] {
			ts.Fatalf("exit code %d, want %s", code, args[0])
		}
	},
	// advised CODE REGEXP finds advice in the last output with a pattern, and runs the text of
	// its group in a shell, which must exit with the code.
	"advised": func(ts *testscript.TestScript, _ bool, args []string) {
		m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout") + ts.ReadFile("stderr"))
		if len(m) != 2 {
			ts.Fatalf("no advice like %s", args[1])
		}
		code := 0
		if exit := new(exec.ExitError); errors.As(ts.Exec("sh", "-c", m[1]), &exit) {
			code = exit.ExitCode()
		}
		if strconv.Itoa(code) != args[0] {
			ts.Fatalf("%s: exit code %d, want %s", m[1], code, args[0])
		}
	},
	// caches sets the variables of the go command's caches, which it cannot find without a home
	// folder.
	"caches": func(ts *testscript.TestScript, _ bool, _ []string) {
		for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
			out, err := exec.Command("go", "env", name).Output()
			ts.Check(err)
			ts.Setenv(name, strings.TrimSpace(string(out)))
		}
	},
	// without PROGRAM sets PATH to go, git and flujo-harness, without the named program.
	"without": func(ts *testscript.TestScript, _ bool, args []string) {
		dir := ts.MkAbs("without-" + args[0])
		ts.Check(os.Mkdir(dir, 0o755))
		for _, name := range []string{"go", "git", "flujo-harness"} {
			path, err := exec.LookPath(name)
			if ts.Check(err); name != args[0] {
				ts.Check(os.Symlink(path, filepath.Join(dir, name)))
			}
		}
		ts.Setenv("PATH", dir)
	},
	// record FILE KIND writes the runs of a kind. The bytes are the same every time.
	"record": func(ts *testscript.TestScript, _ bool, args []string) {
		b, err := sqlite.Open(context.Background(), ts.MkAbs(args[0]), sqlite.Process)
		ts.Check(err)
		ts.Check(errors.Join(kinds[args[1]](b), b.Close()))
	},
	// sql FILE STATEMENT changes a database without the engine.
	"sql": func(ts *testscript.TestScript, _ bool, args []string) {
		db, err := sqlitedb.Open(ts.MkAbs(args[0]), sqlite.Process)
		ts.Check(err)
		_, err = db.Exec(args[1])
		ts.Check(errors.Join(err, db.Close()))
	},
}

var kinds = map[string]func(core.Backend) error{
	"shop":    recordShop,
	"hostile": recordHostile,
	"empty":   func(core.Backend) error { return nil },
	"paper":   func(b core.Backend) error { return recordPaper(b, "") },
	"changed": func(b core.Backend) error { return recordPaper(b, ", and then some") },
}

// bench is an engine whose clock advances only while an agent works.
type bench struct {
	*core.Engine
	now    time.Time
	tokens int
}

func newBench(b core.Backend) *bench {
	w := &bench{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	w.Engine = core.NewEngine(core.WithExecutor("worker-1"), core.WithBackend(b), core.WithClock(func() time.Time { return w.now }), core.WithTokens(func() string {
		w.tokens++
		return fmt.Sprintf("token-%d", w.tokens)
	}))
	return w
}

type article struct {
	Topic, Notes, Draft, Remarks, Facts, Style, Link string
	Approved                                         bool
}

func topic(a article) string { return a.Topic }

// agent returns an agent that works for d, uses tokens, and fails as often as failures says.
func (w *bench) agent(d time.Duration, tokens int64, failures map[string]int, why error) core.Func[string, string] {
	return func(_ context.Context, r core.Request[string]) (string, error) {
		w.now = w.now.Add(d)
		if err := r.Spend(tokens, 3*tokens); err != nil {
			return "", err
		}
		if r.Attempt <= failures[r.Run.Run] {
			return "", why
		}
		return fmt.Sprintf("%s of %q", r.Path, r.Input), nil
	}
}

func (w *bench) pipeline() (*core.Pipeline[article], error) {
	down := errors.New("503 Service Unavailable: the model is overloaded, please try again later; request id req_011CSHoEeqs5C35K2UUqR7Fy")
	return core.New("article",
		core.Step("gather", w.agent(1234*time.Millisecond, 800, map[string]int{"order-1": 1}, errors.New("the source list is empty")), topic,
			func(a *article, out string) { a.Notes = out }, core.Retries(2)),
		core.Loop("refine", 3, func(a article) (bool, error) { return strings.Contains(a.Draft, "#2") || a.Topic == "bees", nil },
			core.Then("pass",
				core.Step("draft", w.agent(4*time.Second, 2100, nil, nil), topic, func(a *article, out string) { a.Draft = out }),
				core.Step("review", w.agent(850*time.Millisecond, 400, nil, nil), func(a article) string { return a.Draft }, func(a *article, out string) { a.Remarks = out }))),
		core.Parallel("checks", func(into *article, ended []core.Ended[article]) error {
			into.Facts, into.Style = ended[0].Scope.Facts, ended[1].Scope.Style
			return nil
		}, core.Branches(
			core.Step("facts", w.agent(2*time.Second, 500, map[string]int{"crashed": 1}, core.ErrHarness), topic, func(a *article, out string) { a.Facts = out }),
			core.Step("style", w.agent(70*time.Millisecond, 0, nil, nil), topic, func(a *article, out string) { a.Style = out }),
		), core.AtOnce(1)),
		core.Fallback("publish",
			core.Step("blog", w.agent(300*time.Millisecond, 0, map[string]int{"order-1": 9, "order-2": 9}, down), topic, func(a *article, out string) { a.Link = out }, core.Retries(1)),
			core.Step("mail", w.agent(95*time.Microsecond, 0, map[string]int{"order-2": 9}, errors.New("no such mailbox:\n\teditors@example.com")), topic, func(a *article, out string) { a.Link = out })),
		core.Human("approve", func(a article) string {
			return fmt.Sprintf("May the article on %s go out?\nIt is at %s.", a.Topic, a.Link)
		},
			func(a *article, ok bool) { a.Approved = ok }))
}

// recordShop writes a run of each status.
func recordShop(b core.Backend) error {
	w, ctx := newBench(b), context.Background()
	p, err := w.pipeline()
	if err != nil {
		return err
	}
	run := func(tenant, name, topic string, want core.Status, budget core.Budget) error {
		res, err := core.Run(ctx, w.Engine, p.Within(budget), core.RunKey{Tenant: tenant, Run: name}, article{Topic: topic})
		w.now = w.now.Add(time.Minute)
		if res.Status != want {
			return fmt.Errorf("run %s: %v, %w", name, res.Status, err)
		}
		return nil
	}
	if err := errors.Join(
		run("acme", "order-1", "whales", core.Paused, core.Budget{}),
		run("acme", "order-2", "bees", core.Failed, core.Budget{}),
		run("globex", "order-1", "bees", core.Paused, core.Budget{}),
		run("", "crashed", "bees", core.Running, core.Budget{}),
		run("", "dear", "bees", core.Stopped, core.Budget{Tokens: 3000}),
	); err != nil {
		return err
	}
	w.now = w.now.Add(2 * time.Hour)
	_, err = core.Signal(ctx, w.Engine, p, core.RunKey{Tenant: "acme", Run: "order-1"}, "token-1", true)
	return err
}

// recordHostile writes texts that would control a terminal, wherever a run has texts. One of its
// runs has a name that can be typed.
func recordHostile(b core.Backend) error {
	const evil = "x\x1b[2J\x1b]0;owned\x07\u009b31m\u202etxt\x7f\x00"
	const worse = evil + "\xff" // invalid UTF-8, which no scope, output or answer may contain
	w, ctx := newBench(b), context.Background()
	p, err := core.New("p"+evil,
		core.Step("s"+evil, w.agent(time.Second, 0, map[string]int{"plain": 1}, errors.New("feedback\r\n"+worse)), topic, func(a *article, out string) { a.Notes = out }, core.Retries(1)),
		core.Human("h"+evil, topic, func(*article, string) {}),
		core.Step("t"+evil, w.agent(time.Second, 0, map[string]int{"plain": 1, "r" + worse: 1}, errors.New("error\n"+worse)), topic, func(a *article, out string) { a.Notes = out }))
	if err != nil {
		return err
	}
	for i, key := range []core.RunKey{{Tenant: "t" + worse, Run: "r" + worse}, {Tenant: evil, Run: "plain"}} {
		if _, err := core.Run(ctx, w.Engine, p, key, article{Topic: evil}); err != nil {
			return err
		}
		if _, err := core.Signal(ctx, w.Engine, p, key, fmt.Sprintf("token-%d", i+1), "a"+evil); err == nil {
			return errors.New("the last step has not failed")
		}
	}
	return nil
}

// recordPaper writes runs of a pipeline with the plan of the default workload. more is appended
// to the output in the final text.
func recordPaper(b core.Backend, more string) error {
	type paper struct { // as in the workload
		Topic    string   `json:"topic"`
		Context  string   `json:"context"`
		Draft    string   `json:"draft"`
		Remarks  []string `json:"remarks"`
		Final    string   `json:"final"`
		Turn     int      `json:"turn"`
		Approved bool     `json:"approved"`
	}
	w, ctx := newBench(b), context.Background()
	fail := map[string]error{"failed": errors.New("no paper"), "crashed": core.ErrHarness}
	p, err := core.New("default",
		core.Step("draft", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { return "a draft", nil }),
			func(s paper) string { return s.Topic }, func(s *paper, out string) { s.Draft = out }),
		core.Step("review", core.Func[string, []string](func(_ context.Context, r core.Request[string]) ([]string, error) {
			return []string{"shorter"}, fail[r.Run.Run]
		}),
			func(s paper) string { return s.Draft }, func(s *paper, out []string) { s.Remarks = out }),
		core.Step("final", core.Func[[]string, string](func(context.Context, core.Request[[]string]) (string, error) { return "a text", nil }),
			func(s paper) []string { return s.Remarks }, func(s *paper, out string) { s.Final = out + more }))
	if err != nil {
		return err
	}
	for _, name := range []string{"good", "failed", "crashed"} {
		if res, err := core.Run(ctx, w.Engine, p, core.RunKey{Run: name}, paper{Topic: "saves"}); err != nil && fail[name] == nil {
			return fmt.Errorf("run %s: %v, %w", name, res.Status, err)
		}
	}
	return nil
}
