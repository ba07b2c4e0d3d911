package core_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// returned is a backend that gives back a run as somebody has left it, and takes all
// that is saved.
type returned struct {
	core.Backend
	snap core.Snapshot
}

func (b returned) Load(context.Context, core.RunKey) (core.Snapshot, error) { return b.snap, nil }

func (b returned) Claim(context.Context, core.RunKey, int64) (core.Lease, core.Snapshot, error) {
	return core.Lease{ID: 1, Epoch: 2}, b.snap, nil
}

func (returned) Step(context.Context, core.Lease, core.StepRecord) error { return nil }

func (returned) Finish(context.Context, core.Lease, core.FinishRecord) error { return nil }

// resumable is a pipeline of most of what records can belong to.
func resumable(t testing.TB) *core.Pipeline[doc] {
	return plan(t,
		core.Fallback("f", step("bad", fails("no")), step("good", appending)),
		core.Loop("l", 3, func(d doc) (bool, error) { return len(d.Text) > 40, nil }, step("more", appending), core.MaxIsSuccess()),
		core.Parallel("fan", texts, core.Branches(core.Then("x", step("a", appending), approve("sign")), step("b", appending))),
		approve("end"),
	)
}

// Whatever the records of a run say, it is replayed and resumed, or refused with an error:
// nothing panics, and a run that is taken for completed is the one that was saved.
func FuzzResumeStored(f *testing.F) {
	p := resumable(f)
	b := core.NewMemory()
	e := core.NewEngine(core.WithBackend(b))
	ctx, key := context.Background(), core.RunKey{Run: "r"}
	add := func() {
		snap, err := b.Load(ctx, key)
		if err != nil {
			f.Fatal(err)
		}
		text, err := json.Marshal(snap)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	res, err := core.Run(ctx, e, p, key, doc{Text: "a"})
	for ; err == nil && res.Status == core.Paused; add() {
		add()
		res, err = core.Signal(ctx, e, p, key, res.Pauses[0].Token, "yes")
	}
	if err != nil || res.Status != core.Completed {
		f.Fatal(res.Status, err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var snap core.Snapshot
		if json.Unmarshal(data, &snap) != nil {
			return
		}
		snap.Start.Plan = p.Fingerprint()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // of a run that would not end
		defer cancel()
		replayed, err := core.Replay(ctx, p, snap)
		if err == nil && snap.Status == core.Completed {
			if text, err := json.Marshal(replayed.Scope); err != nil || string(text) != string(snap.State) {
				t.Errorf("replayed to %s, %v; saved is %s", text, err, snap.State)
			}
		}
		_, _ = core.Resume(ctx, core.NewEngine(core.WithBackend(returned{snap: snap})), p, snap.Start.Key)
		if ctx.Err() != nil {
			t.Error("it did not end")
		}
	})
}
