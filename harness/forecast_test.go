package harness

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAForecastIsTheSumOfAllOperations(t *testing.T) {
	spec := Spec{Workload: "default", Durability: "process", Plan: Plan{Sessions: 2, Blocks: 2, Warmups: 1, Rounds: 3}}
	run := func(_ context.Context, s Session) (SessionResult, error) {
		res := SessionResult{Batch: map[string]int{}, Took: map[string]time.Duration{}}
		for _, arm := range s.Fit {
			res.Batch[arm], res.Took[arm] = 4, time.Millisecond
		}
		return res, nil
	}
	f, err := spec.Forecast(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	// Of each arm 2 blocks of 1+3*(1+4) operations, those of one block once more to be recorded, and
	// those that are counted.
	ops := len(costArms)*2*16 + 16 + 2*countAll
	if want := sessionStart + time.Duration(ops)*time.Millisecond; f.Session != want {
		t.Errorf("a session of %v, want %v", f.Session, want)
	}
	if want := 2 * (3*countedStart + (3*countWarm+countedPlain+3*countedSaving)*countedSlower*time.Millisecond); f.Counts(2) != want {
		t.Errorf("2 turns of counts take %v, want %v", f.Counts(2), want)
	}
	spec.Plan.Batch = map[string]int{}
	for _, arm := range costArms {
		spec.Plan.Batch[arm] = 8 // of a calibration: these are what will be measured
	}
	if more, err := spec.Forecast(t.Context(), run); err != nil || more.Session <= f.Session {
		t.Errorf("with larger batches %v, with smaller ones %v, error %v", more.Session, f.Session, err)
	}
	broken := errors.New("no such workload")
	if _, err := spec.Forecast(t.Context(), func(context.Context, Session) (SessionResult, error) { return SessionResult{}, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// A session that would end after the budget is not begun: the time of the others says so. Two
// are always made.
func TestNoSessionEndsAfterTheBudget(t *testing.T) {
	for _, tc := range []struct{ session, budget, want time.Duration }{
		{time.Second, 0, 5 * time.Second},
		{time.Second, 3500 * time.Millisecond, 3 * time.Second},
		{time.Second, 3 * time.Second, 3 * time.Second},
		{time.Second, time.Millisecond, 2 * time.Second},
		{time.Minute, 3 * time.Minute, 3 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			run := func(context.Context, Session) (SessionResult, error) {
				time.Sleep(tc.session)
				return SessionResult{}, nil
			}
			plan := Plan{Sessions: 5, Blocks: 1, Warmups: 1, Rounds: 1, SlowBy: 0.1, Budget: tc.budget, Batch: map[string]int{ArmNone: 1}}
			if complete, err := (Spec{}).each(t.Context(), plan, run, func(int, SessionResult) bool { return false }); err != nil || !complete {
				t.Errorf("complete %v, error %v", complete, err)
			}
			if took := time.Since(began); took != tc.want {
				t.Errorf("sessions of %v with a budget of %v took %v, want %v", tc.session, tc.budget, took, tc.want)
			}
		})
	}
}
