package coretest

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// contest is something that two processes compete for.
type contest string

const (
	forAnswer contest = "answer" // to answer one pause
	forClaim  contest = "claim"  // to claim one epoch
	forRun    contest = "run"    // to run to the end, each with its own engine
)

var contests = []contest{forAnswer, forClaim, forRun}

// Outcomes of a contest for one process.
const (
	saidWon  = "won"
	saidLost = "lost"
)

// few is the number of rounds of a contest without -coretest.rounds.
const few = 12

// Rivals lets two processes with the same database compete: to answer one pause, to claim one
// epoch, to take one run to its end. Only one answer and one claim may win, and no record may be
// doubled. As a control, backends that accept what they should refuse must be detected.
// -coretest.rounds adds that many rounds to each contest.
func Rivals(t *testing.T, open Opener) {
	for _, c := range contests {
		t.Run(string(c), func(t *testing.T) {
			n := few + *rounds
			won, errs := compete(t, c, n, open, false)
			for _, err := range errs {
				t.Errorf("%v\n%s", err, repeat(t))
			}
			t.Logf("%d rounds, %d won by the other process: %d with two winners or a doubled record", n, won, len(errs))
		})
		t.Run("control: "+string(c)+" by a backend that refuses nothing", func(t *testing.T) {
			_, errs := compete(t, c, few, open, true)
			doubled := 0
			for _, err := range errs {
				if errors.Is(err, errDoubled) {
					doubled++
				}
			}
			if doubled == 0 {
				t.Errorf("in %d rounds no record was doubled; the check found: %v", few, errs)
			}
			t.Logf("%d rounds: %d doubled", few, doubled)
		})
	}
}

// spoilt wraps b so that it refuses no answer, claim or save.
func spoilt(b core.Backend) core.Backend { return unfence(agreeable{greedy{b}}) }

// compete runs n rounds of a contest against a child. It returns the number of rounds that the
// child won, and the errors.
func compete(t *testing.T, c contest, n int, open Opener, spoil bool) (won int, errs []error) {
	path := filepath.Join(t.TempDir(), "runs")
	b, err := open(ctx, path)
	check(t, "open", err, nil)
	defer func() { check(t, "close", b.Close(), nil) }()
	mine := b
	if spoil {
		mine = spoilt(b)
	}
	w := hire(t, job{Path: path, Contest: c, Unfenced: spoil})
	rng := rand.New(rand.NewPCG(*seed, uint64(n)))
	for round := range n {
		k := core.RunKey{Run: fmt.Sprint(round)}
		check(t, "create the run", c.prepare(b, k), nil)
		_, err := fmt.Fprintln(w, k.Run)
		check(t, "start the round in the child", err, nil)
		for range rng.IntN(400) { // give the child some time
			runtime.Gosched()
		}
		other := ""
		hear := func() error { // the child is in its step, or has finished
			other, err = w.says()
			if err == nil && other == saidReady {
				_, err = fmt.Fprintln(w, "go on")
			}
			return err
		}
		if spoil && c != forRun { // one after the other, which shows the defect more reliably
			check(t, "wait for the child", hear(), nil)
		}
		own := c.enter(mine, k, 1, func() error {
			if other != "" && other != saidReady {
				return nil // the child has finished
			}
			return hear()
		})
		for other == "" || other == saidReady {
			check(t, "wait for the child", hear(), nil)
		}
		if other == saidWon {
			won++
		}
		if err := c.judge(b, k, own, other); err != nil {
			errs = append(errs, fmt.Errorf("round %d: %w", round, err))
		}
	}
	_, err = fmt.Fprintln(w)
	check(t, "let the child exit", err, nil)
	check(t, "wait for the child", w.wait(), nil)
	return won, errs
}

// rival takes part in the contests as the child.
func (j job) rival(open Opener) (err error) {
	b, err := open(ctx, j.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if j.Unfenced {
		b = spoilt(b)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan() && in.Text() != ""; {
		fmt.Println(j.Contest.enter(b, core.RunKey{Run: in.Text()}, 2, func() error {
			fmt.Println(saidReady)
			in.Scan()
			return in.Err()
		}))
	}
	return nil
}

// prepare leaves a run in the state in which a process that died would leave it.
func (c contest) prepare(b core.Backend, k core.RunKey) error {
	p, err := effects{}.steps(nil)
	if err != nil {
		return err
	}
	rec := startOf(k)
	rec.Pipeline, rec.Plan, rec.State = "fencing", p.Fingerprint(), []byte(`{"Text":"","Rounds":0}`)
	lease, err := b.Start(ctx, rec)
	if err != nil || c != forAnswer {
		return err
	}
	return errors.Join(b.Step(ctx, lease, pauseOf(1, "t")), b.Finish(ctx, lease, core.FinishRecord{Status: core.Paused, Time: at(2)}))
}

// enter tries to win. A process that claims also saves a step, so that a second claim is detected.
// inside is called in each step of the engine, so that both processes are in a step at the same
// time.
func (c contest) enter(b core.Backend, k core.RunKey, who int64, inside func() error) string {
	var err error
	switch c {
	case forAnswer:
		err = b.Signal(ctx, k, answerOf("t", who, fmt.Sprint(who)))
	case forClaim:
		var lease core.Lease
		if lease, _, err = b.Claim(ctx, k, 1); err == nil {
			err = b.Step(ctx, lease, stepOf(1))
		}
	case forRun:
		var p *core.Pipeline[doc]
		p, err = effects{}.steps(func(string) error { return inside() })
		if err == nil {
			_, err = core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, k)
		}
	}
	for _, refused := range []error{core.ErrAnswered, core.ErrFenced, core.ErrRunFinished} {
		if errors.Is(err, refused) {
			return saidLost
		}
	}
	if err != nil {
		return err.Error()
	}
	return saidWon
}

// judge checks the outcomes of both processes and the saved run.
func (c contest) judge(b core.Backend, k core.RunKey, own, other string) error {
	snap, err := b.Load(ctx, k)
	if err != nil {
		return err
	}
	said := fmt.Sprintf("outcomes %q and %q", own, other)
	switch {
	case own == saidWon && other == saidWon:
		return fmt.Errorf("%w: %s", errDoubled, said)
	case own != saidWon && other != saidWon:
		return fmt.Errorf("%w: %s", errDiffers, said)
	}
	times := map[string]int{}
	for _, rec := range snap.Steps {
		if times[rec.Path]++; times[rec.Path] > 1 {
			return fmt.Errorf("%w: %s", errDoubled, rec.Path)
		}
	}
	winner := map[bool]string{true: "1", false: "2"}[own == saidWon]
	switch {
	case c == forAnswer && (len(snap.Answers) != 1 || string(snap.Answers[0].Answer) != winner):
		return fmt.Errorf("%w: %s, and the answers are %v", errDiffers, said, snap.Answers)
	case c == forClaim && (len(snap.Steps) != 1 || snap.Epoch != 2):
		return fmt.Errorf("%w: %s, and there are %d records at epoch %d", errDiffers, said, len(snap.Steps), snap.Epoch)
	case c == forRun && (snap.Status != core.Completed || len(snap.Steps) != 3):
		return fmt.Errorf("%w: %s, and the run is %v with %d records", errDiffers, said, snap.Status, len(snap.Steps))
	}
	return nil
}
