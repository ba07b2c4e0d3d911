package coretest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/flujo/flujo-harness/core"
)

// verb is what an operation does.
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

// operation is one call, as data: a history of them means the same to every
// backend, and rapid can make a failing one shorter.
type operation struct {
	Do     verb
	Key    core.RunKey // of the run it is about
	Lease  int         // 0: the newest of the run; n: the nth before; -1: one of the future; -2: of no run
	Skew   int         // how far its Seq, its Answers or its epoch is from the right one
	Any    bool        // of a claim: of whatever epoch; of an acquisition: by a snapshot without records
	Status core.Status // of a step or of an end
	Token  string
	Text   string // wherever a text is wanted
	State  bool   // whether it has one
	Number int64  // wherever a number is wanted
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

// casts are the keys of the three runs of a history: alike, of two tenants, printed the
// same, or of names that are hostile.
var casts = rapid.Custom(func(t *rapid.T) []core.RunKey {
	names := hostile()
	i := rapid.IntRange(0, len(names)-3).Draw(t, "name")
	switch rapid.IntRange(0, 2).Draw(t, "cast") {
	case 1: // of tenants that are alike
		return []core.RunKey{{Tenant: names[i], Run: "r"}, {Tenant: names[i+1], Run: "r"}, {Tenant: names[i+2], Run: "r"}}
	case 2: // of runs that are
		return []core.RunKey{{Tenant: names[i], Run: names[i]}, {Tenant: names[i], Run: names[i+1]}, {Tenant: names[i+1], Run: names[i]}}
	}
	return []core.RunKey{{Tenant: "a", Run: "b/c"}, {Tenant: "a/b", Run: "c"}, {Tenant: "a", Run: "B/c"}}
})

var (
	often = rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, -1, 1})
	// Mostly the same ones: what never meets shows nothing.
	which   = rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2})
	tokens  = rapid.SampledFrom([]string{"t", "t", "t", "T", "t\x00"})
	texts   = rapid.OneOf(rapid.SampledFrom([]string{"", "e\u0301", "\xff\x00'", strings.Repeat("x", 5000)}), rapid.String())
	numbers = rapid.OneOf(rapid.Int64Range(0, 9), rapid.Int64Range(0, 1<<50))
	// A step comes more often than what ends it, so that histories get somewhere.
	verbs = []verb{opStart, opStart, opStart, opStep, opStep, opStep, opStep, opStep, opFinish, opClaim, opAcquire, opRenew, opSignal, opSignal,
		opSignal, opLoad, opList, opPrune}
	kinds = []core.Status{core.Completed, core.Paused, core.Paused, core.Failed}
	ends  = []core.Status{core.Paused, core.Paused, core.Paused, core.Stopped, core.Stopped, core.Completed, core.Failed, core.Cancelled}
)

// histories makes them, with reopening for a backend that outlives its closing.
func histories(durable bool) *rapid.Generator[[]operation] {
	verbs := verbs
	if durable {
		verbs = append(slices.Repeat(verbs, 2), opReopen) // seldom: it takes longer than all others together
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
	// One slice has five operations on the average, which is too few to get anywhere,
	// and a larger least length could not be made shorter.
	return rapid.Custom(func(t *rapid.T) (all []operation) {
		cast := casts.Draw(t, "keys")
		part := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) operation { return one(t, cast) }), 0, 40)
		for range 6 {
			all = append(all, part.Draw(t, "part")...)
		}
		return all
	})
}

// moment is a time made of a number.
func (o operation) moment() time.Time { return at(0).Add(time.Duration(o.Number)) }

func (o operation) startRecord() core.StartRecord {
	rec := core.StartRecord{Key: o.Key, Pipeline: o.Text, Plan: uint64(o.Number) << 13, PlanText: fmt.Sprint("plan ", o.Number),
		State: fmt.Appendf(nil, "%q", o.Text), Holder: o.holder(), Time: o.moment()}
	if o.Number%3 == 0 {
		rec.Origin = core.Origin{Key: core.RunKey{Tenant: o.Text, Run: o.Text}, Seq: o.Number}
	}
	return rec
}

// holder is alive up to a time made of the number; sometimes there is none.
func (o operation) holder() core.Holder {
	if o.Number%4 == 0 {
		return core.Holder{}
	}
	return core.Holder{Executor: fmt.Sprint("executor", o.Number%3), Until: o.moment()}
}

// filter is for what is seen at a time made of the number.
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

// finishRecord has a state only at an end: a run that goes on has the ones of its steps.
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
