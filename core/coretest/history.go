package coretest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/flujo/flujo-harness/core"
)

// verb is the kind of an operation.
type verb string

const (
	opStart   verb = "start"
	opStep    verb = "step"
	opFinish  verb = "finish"
	opClaim   verb = "claim"
	opAcquire verb = "acquire"
	opRenew   verb = "renew"
	opSignal  verb = "signal"
	opLoad    verb = "load"
	opList    verb = "list"
	opPrune   verb = "prune"
	opReopen  verb = "reopen"
)

// operation is one call as data: a history of operations means the same on every backend, and rapid
// can shrink a failing one.
type operation struct {
	Do     verb
	Key    core.RunKey // the run that the operation uses
	Lease  int         // 0: the newest of the run; n: the nth before it; -1: a future one; -2: one of no run
	Skew   int         // difference of Seq, Answers or the epoch from the correct value
	Any    bool        // for a claim: any epoch; for an acquire: the known snapshot has no records
	Status core.Status // for a step or a finish
	Token  string
	Text   string // used for all texts
	State  bool   // whether the record has a state
	Number int64  // used for all numbers
}

func (o operation) String() string {
	s := fmt.Sprintf("%s run %.40q", o.Do, o.Key)
	switch o.Do {
	case opStep, opFinish:
		s += fmt.Sprintf(" by lease %d, skew %d: %v, token %q, text %.20q, state %v", o.Lease, o.Skew, o.Status, o.Token, o.Text, o.State)
	case opClaim, opAcquire:
		s += fmt.Sprintf(" any %v, skew %d", o.Any, o.Skew)
	case opRenew:
		s += fmt.Sprintf(" by lease %d up to %d", o.Lease, o.Number)
	case opList, opPrune:
		s += fmt.Sprintf(" of status %v at %d", o.Status, o.Number)
	case opSignal:
		s += fmt.Sprintf(" token %q, %d", o.Token, o.Number)
	}
	return s
}

// casts generates the keys of the three runs of a history: similar names of tenants or of runs,
// keys that print the same, and hostile names.
var casts = rapid.Custom(func(t *rapid.T) []core.RunKey {
	names := hostile()
	i := rapid.IntRange(0, len(names)-3).Draw(t, "name")
	switch rapid.IntRange(0, 2).Draw(t, "cast") {
	case 1: // similar tenants
		return []core.RunKey{{Tenant: names[i], Run: "r"}, {Tenant: names[i+1], Run: "r"}, {Tenant: names[i+2], Run: "r"}}
	case 2: // similar runs
		return []core.RunKey{{Tenant: names[i], Run: names[i]}, {Tenant: names[i], Run: names[i+1]}, {Tenant: names[i+1], Run: names[i]}}
	}
	return []core.RunKey{{Tenant: "a", Run: "b/c"}, {Tenant: "a/b", Run: "c"}, {Tenant: "a", Run: "B/c"}}
})

var (
	often = rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, -1, 1})
	// Mostly the same run, because operations on different runs do not interact.
	which   = rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2})
	tokens  = rapid.SampledFrom([]string{"t", "t", "t", "T", "t\x00"})
	texts   = rapid.OneOf(rapid.SampledFrom([]string{"", "e\u0301", "\xff\x00'", strings.Repeat("x", 5000)}), rapid.String())
	numbers = rapid.OneOf(rapid.Int64Range(0, 9), rapid.Int64Range(0, 1<<50))
	// Steps are more frequent than operations that end a run, so that runs get long enough.
	verbs = []verb{opStart, opStart, opStart, opStep, opStep, opStep, opStep, opStep, opFinish, opClaim, opAcquire, opRenew, opSignal, opSignal,
		opSignal, opLoad, opList, opPrune}
	kinds = []core.Status{core.Completed, core.Paused, core.Paused, core.Failed}
	ends  = []core.Status{core.Paused, core.Paused, core.Paused, core.Stopped, core.Stopped, core.Completed, core.Failed, core.Cancelled}
)

// histories returns a generator of histories. If durable is set, they include reopening.
func histories(durable bool) *rapid.Generator[[]operation] {
	verbs := verbs
	if durable {
		verbs = append(slices.Repeat(verbs, 2), opReopen) // rare: it takes longer than all others together
	}
	one := func(t *rapid.T, cast []core.RunKey) operation {
		o := operation{
			Do:  rapid.SampledFrom(verbs).Draw(t, "do"),
			Key: cast[which.Draw(t, "run")],
		}
		switch o.Do {
		case opStep, opFinish, opRenew:
			o.Lease = rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 1, 2, -1, -2}).Draw(t, "lease")
			o.Skew = often.Draw(t, "skew")
			o.Status = rapid.SampledFrom(map[verb][]core.Status{opStep: kinds, opFinish: ends, opRenew: ends}[o.Do]).Draw(t, "status")
			o.Token, o.Text, o.State = tokens.Draw(t, "token"), texts.Draw(t, "text"), rapid.Bool().Draw(t, "state")
		case opList, opPrune:
			o.Status = rapid.SampledFrom([]core.Status{0, 0, core.Running, core.Paused, core.Stopped, core.Failed}).Draw(t, "status")
			o.Any = rapid.Bool().Draw(t, "any")
		case opClaim, opAcquire:
			o.Any, o.Skew = rapid.Bool().Draw(t, "any"), often.Draw(t, "skew")
		case opSignal:
			o.Token, o.Text = tokens.Draw(t, "token"), texts.Draw(t, "text")
		}
		o.Number = numbers.Draw(t, "number")
		return o
	}
	// A slice alone has five operations on average, which is too few, and with a larger minimum
	// length it could not be shrunk.
	return rapid.Custom(func(t *rapid.T) (all []operation) {
		cast := casts.Draw(t, "keys")
		part := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) operation { return one(t, cast) }), 0, 40)
		for range 6 {
			all = append(all, part.Draw(t, "part")...)
		}
		return all
	})
}

// moment returns a time derived from the number.
func (o operation) moment() time.Time { return at(0).Add(time.Duration(o.Number)) }

func (o operation) startRecord() core.StartRecord {
	rec := core.StartRecord{Key: o.Key, Pipeline: o.Text, Plan: uint64(o.Number) << 13, PlanText: fmt.Sprint("plan ", o.Number),
		State: fmt.Appendf(nil, "%q", o.Text), Holder: o.holder(), Time: o.moment()}
	if o.Number%3 == 0 {
		rec.Origin = core.Origin{Key: core.RunKey{Tenant: o.Text, Run: o.Text}, Seq: o.Number}
	}
	return rec
}

// holder returns a holder that is alive until a time derived from the number, or none.
func (o operation) holder() core.Holder {
	if o.Number%4 == 0 {
		return core.Holder{}
	}
	return core.Holder{Executor: fmt.Sprint("executor", o.Number%3), Until: o.moment()}
}

// filter returns a filter whose time is derived from the number.
func (o operation) filter() core.Filter {
	return core.Filter{Status: o.Status, Now: o.moment(), Due: o.Any && o.Number%3 == 0, CutOff: o.Any && o.Number%3 == 1, Live: o.Any && o.Number%3 == 2}
}

func (o operation) stepRecord(seq int64) core.StepRecord {
	rec := core.StepRecord{
		Seq: seq, Path: fmt.Sprintf("%d%s", seq, o.Text), Status: o.Status, Attempts: int(o.Number % 7), Token: o.Token,
		Usage:    core.Usage{Calls: o.Number, Tokens: o.Number / 2, Cost: o.Number / 3},
		Feedback: o.Text, Error: o.Text, Started: o.moment(), Ended: o.moment().Add(time.Second),
	}
	if o.Status != core.Failed {
		rec.Output = fmt.Appendf(nil, "%q", o.Text)
	}
	if o.State {
		rec.State = fmt.Append(nil, o.Number)
	}
	if o.Status == core.Paused && o.Number%2 == 0 {
		rec.For, rec.Due = o.Text, o.moment().Add(time.Hour)
	}
	return rec
}

// finishRecord sets a state only for final ends; other runs keep the state of their steps.
func (o operation) finishRecord(seq, answers int64) core.FinishRecord {
	rec := core.FinishRecord{Status: o.Status, Error: o.Text, Answers: int(answers), Time: o.moment()}
	if o.State {
		rec.Exits = fmt.Append(nil, o.Number)
	}
	if o.Status == core.Paused && o.Number%2 == 0 {
		rec.Wake = o.moment()
	}
	if o.State && o.Status.Ended() {
		rec.State, rec.Seq = fmt.Appendf(nil, "[%d]", o.Number), seq
	}
	return rec
}
