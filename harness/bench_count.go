package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/harness/instructions"
)

// Instructions are what one operation executes in user space, counted in several processes
// of each side. Two sizes are counted and subtracted, so that what a process does to start
// is not in them. What a benchmark does while its timer is stopped is.
type Instructions struct {
	Tool    string    `json:"tool,omitempty"` // that counted: "valgrind" or "perf"
	Ops     int       `json:"ops,omitempty"`  // operations of a process that were counted
	Base    []float64 `json:"base,omitempty"` // of one operation, by process
	Head    []float64 `json:"head,omitempty"`
	Waits   float64   `json:"waits"`             // share of its time that an operation waits for something other than the processor: the more of both sides; 1 where it is not known
	Problem string    `json:"problem,omitempty"` // why there are no counts, or no more of them
}

const (
	// countFor is how long the operations of a counted process take without the tool. At
	// one to three instructions a nanosecond the difference of two starts of a Go program
	// (30,000 to 80,000 instructions) is 0.2% of them at most.
	countFor = 20 * time.Millisecond
	// countAtMost is the longest operation that is counted: under valgrind it takes 50 times
	// as long.
	countAtMost = 250 * time.Millisecond
	// countMemory bounds what the operations of a counted process allocate: no garbage is
	// collected in it.
	countMemory  = 256 << 20
	firstCounts  = 2 // of each side
	furtherCount = 1 // of each side, at a time
	mostCounts   = 9 // of each side
	smallCounts  = 2 // of each side, of the smaller size
)

// countEnv makes runs alike: one thread runs Go code, no garbage is collected unless memory
// runs out, and no signals interrupt goroutines: on a busy machine there are more of them.
func countEnv() []string {
	debug := "asyncpreemptoff=1"
	if have := os.Getenv("GODEBUG"); have != "" {
		debug = have + "," + debug
	}
	return []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=" + debug, "GOMEMLIMIT=2GiB"}
}

// counting counts one benchmark of both sides.
type counting struct {
	result *Instructions
	tool   *instructions.Tool
	order  func(side int) benchOrder // of the base (0) and the head (1), times left open
	once   bool                      // the benchmark can make one operation only
	ns     float64                   // an operation
	bytes  float64                   // that it allocates
	count  func(context.Context, benchOrder) (float64, error)
	use    func(context.Context, benchOrder) (u use, known bool)

	unknown bool       // whether an operation waits: its processes failed
	small   [2]float64 // instructions of a process of the smaller size
	sizes   [2]string  // -test.benchtime of the two sizes; "" of the smaller: no benchmark at all
}

// prepare chooses the sizes, or says why the benchmark is not counted.
func (c *counting) prepare() {
	took := time.Duration(c.ns)
	switch {
	case c.tool == nil:
		return
	case took > countAtMost:
		c.result.Problem = fmt.Sprintf("an operation takes %v: too long to count (at most %v)", took.Round(time.Millisecond), countAtMost)
		return
	case c.once || took > countFor/2: // it may not be able to make two; its set-up is counted with it
		c.result.Ops, c.sizes = 1, [2]string{"", "1x"}
	default:
		ops := float64(countFor) / max(c.ns, 0.5)
		if c.bytes > 0 {
			ops = min(ops, countMemory/c.bytes)
		}
		c.result.Ops = max(1, int(ops))
		c.sizes = [2]string{"2x", fmt.Sprintf("%dx", 2+c.result.Ops)}
	}
	c.result.Tool = c.tool.Name
}

// mostWaiting is the share of its time beyond which an operation is not counted: a change of
// what it executes would say little about the whole.
const mostWaiting = 0.2

// possible reports whether there can be more counts.
func (c *counting) possible() bool {
	return c.tool != nil && c.result.Problem == "" && len(c.result.Base) < mostCounts
}

// more counts both sides, several processes at a time: they do not disturb each other.
func (c *counting) more(ctx context.Context) {
	first := len(c.result.Base) == 0
	if first {
		if c.waiting(ctx); c.result.Waits > mostWaiting && c.unknown {
			c.result.Problem = "it is not known whether an operation waits: run again where less else is running"
			return
		} else if c.result.Waits > mostWaiting {
			c.result.Problem = fmt.Sprintf("an operation waits for %.0f%% of its time", 100*c.result.Waits)
			return
		}
	}
	type process struct {
		side, size int
		n          float64
		err        error
	}
	var all []*process
	for side := range 2 {
		if first {
			for range smallCounts {
				all = append(all, &process{side: side})
			}
		}
		n := furtherCount
		if first {
			n = firstCounts
		}
		for range n {
			all = append(all, &process{side: side, size: 1})
		}
	}
	places := make(chan struct{}, min(8, 2*runtime.GOMAXPROCS(0)))
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			o := c.order(p.side)
			o.tool, o.env, o.times = c.tool, countEnv(), c.sizes[p.size]
			o.deadline *= 2 // countFor takes 1 to 2 s under valgrind, and a busy machine has its part
			if o.times == "" {
				o.pattern, o.times = "^$", "1x"
			}
			if p.n, p.err = c.count(ctx, o); errors.Is(p.err, errHangs) && ctx.Err() == nil {
				o.deadline *= 2
				p.n, p.err = c.count(ctx, o)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return
	}
	var failed error
	for _, p := range all {
		failed = errors.Join(failed, p.err)
		if p.size == 0 && (c.small[p.side] == 0 || p.n < c.small[p.side]) {
			c.small[p.side] = p.n // what else happens in a process only adds to it
		}
	}
	if failed != nil {
		c.result.Problem = fmt.Sprintf("it cannot be run under %s: %.300s", c.tool.Name, failed)
		return
	}
	for _, p := range all {
		if p.size != 1 {
			continue
		}
		to := &c.result.Base
		if p.side == 1 {
			to = &c.result.Head
		}
		n := (p.n - c.small[p.side]) / float64(c.result.Ops)
		if !(n > 0) || math.IsInf(n, 0) {
			c.result.Problem = fmt.Sprintf("%d operations executed no more instructions than none", c.result.Ops)
			return
		}
		*to = append(*to, n)
	}
}

// use is how a process used its time.
type use struct {
	wall time.Duration // since its start
	busy time.Duration // of it, its threads ran or were ready to run
	cpu  time.Duration // of the processor
}

// waitFor is about how long the operations take by which it is seen whether they wait.
const waitFor = 60 * time.Millisecond

// waitTries is how often it is looked at an operation that seems to wait. One that does always
// seems to; on a machine with many busy processes one that does not may seem to, once.
const waitTries = 6

// leastSeen is the least time of operations of which it can be seen how they spend it.
const leastSeen = 2 * time.Millisecond

// waited is the share of their time that the operations of one process waited, and their time of
// the processor: those of the process, less those of one that makes none.
func (c *counting) waited(ctx context.Context, o benchOrder) (share float64, cpu time.Duration, known bool) {
	all, known := c.use(ctx, o)
	o.pattern = "^$"
	start, knownToo := c.use(ctx, o)
	if !known || !knownToo {
		return 1, 0, false
	}
	if all.wall-start.wall > leastSeen { // else they are too short to be seen among the time to start
		share = max(0, 1-float64(max(0, all.busy-start.busy))/float64(all.wall-start.wall))
	}
	return share, all.cpu - start.cpu, true
}

// waiting finds how much of its time an operation waits, without the tool; and on a busy
// machine, where operations seemed longer than they are, makes the larger size larger.
func (c *counting) waiting(ctx context.Context) {
	c.result.Waits = 0
	ops := 1 // it may not be able to make two
	if c.sizes[0] != "" {
		ops = max(1, int(float64(waitFor)/max(c.ns, 0.5)))
	}
	needs := time.Duration(0) // of the processor, the operations that are counted
	for side := range 2 {
		o := c.order(side)
		o.env, o.times = countEnv(), fmt.Sprintf("%dx", ops)
		least, used, seen := 1.0, time.Duration(0), false
		for try := 0; try < waitTries && least > mostWaiting && ctx.Err() == nil; try++ {
			share, cpu, known := c.waited(ctx, o)
			if known {
				least, used, seen = min(least, share), cpu, true
			}
		}
		c.unknown = c.unknown || !seen
		needs += max(0, used) * time.Duration(c.result.Ops) / time.Duration(ops) / 2
		c.result.Waits = max(c.result.Waits, least)
	}
	if c.result.Ops > 1 && needs > 0 && needs < countFor/2 {
		more := float64(c.result.Ops) * min(50, float64(countFor)/float64(needs))
		if c.bytes > 0 {
			more = min(more, countMemory/c.bytes)
		}
		c.result.Ops = max(c.result.Ops, int(more))
		c.sizes[1] = fmt.Sprintf("%dx", 2+c.result.Ops)
	}
}
