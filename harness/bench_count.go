package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/harness/instructions"
)

// Instructions has the numbers of instructions that one operation executes in user space,
// counted in several processes of each side. Processes of two sizes are counted and their
// counts subtracted, so that the start of a process is not included. Code that a benchmark
// runs while its timer is stopped is included.
type Instructions struct {
	Tool    string    `json:"tool,omitempty"`    // the counting tool, "valgrind" or "perf"
	Ops     int       `json:"ops,omitempty"`     // number of operations between the two sizes
	Base    []float64 `json:"base,omitempty"`    // per operation, by process
	Head    []float64 `json:"head,omitempty"`    // per operation, by process
	Waits   float64   `json:"waits"`             // share of its time that an operation waits for anything but the processor; the larger of both sides; 1 if unknown
	Problem string    `json:"problem,omitempty"` // why counting failed or ended early; "": it did not
}

const (
	// countFor is the time that the operations of a counted process should take without the
	// tool. At one to three instructions per nanosecond, the difference between the starts of
	// two Go programs (30,000 to 80,000 instructions) is at most 0.2% of their count.
	countFor = 20 * time.Millisecond
	// countAtMost is the longest operation that is counted. Under valgrind it takes about 50
	// times as long.
	countAtMost = 250 * time.Millisecond
	// countMemory limits what the operations of a counted process allocate, in bytes, because
	// no garbage is collected there.
	countMemory = 256 << 20

	// Numbers of processes of each side.
	firstCounts  = 2 // in the first round
	furtherCount = 1 // in each further round
	mostCounts   = 9 // in all
	smallCounts  = 2 // of the small size

	// enoughCounts is the number of counts of each side that shows a difference, and that is made
	// where no rule decides after each of them.
	enoughCounts = 5

	// atOnce is the largest number of processes that are counted at once. Beside other busy
	// processes, more of them get a larger share of the processors.
	atOnce = 8
)

// places returns how many processes are counted at once: fewer than atOnce if their operations
// would allocate more than 1 GB together, and one if they fail beside each other.
func (c *counting) places() int {
	if c.alone {
		return 1
	}
	if each := c.bytes * float64(c.result.Ops); each > 0 {
		return min(atOnce, max(2, int(4*countMemory/each)))
	}
	return atOnce
}

// countEnv returns environment variables that make counts repeatable: one thread runs Go code,
// no garbage is collected unless memory runs out, and goroutines are not preempted by signals,
// of which there are more on a busy machine.
func countEnv() []string {
	debug := "asyncpreemptoff=1"
	if have := os.Getenv("GODEBUG"); have != "" {
		debug = have + "," + debug
	}
	return []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=" + debug, "GOMEMLIMIT=2GiB"}
}

// counting counts the instructions of one benchmark, of both sides.
type counting struct {
	result *Instructions
	tool   *instructions.Tool
	order  func(side int) benchOrder // the process of the base (0) or the head (1), without its benchtime
	once   bool                      // the benchmark can run one operation only
	alone  bool                      // processes are counted one after the other, because they fail beside each other
	ns     float64                   // time of an operation
	bytes  float64                   // bytes that an operation allocates
	count  func(context.Context, benchOrder) (float64, error)
	use    func(context.Context, benchOrder) (u use, known bool)

	unknown bool       // the processes that would show whether an operation waits failed
	small   [2]float64 // instructions of a process of the small size, by side
	sizes   [2]string  // -test.benchtime of both sizes; "" for the small size runs no benchmark
}

// prepare chooses the sizes, or records why the benchmark is not counted.
func (c *counting) prepare() {
	took := time.Duration(c.ns)
	switch {
	case c.tool == nil:
		return
	case took > countAtMost:
		c.result.Problem = fmt.Sprintf("an operation takes %v: too long to count (at most %v)", took.Round(time.Millisecond), countAtMost)
		return
	case c.once || took > countFor/2: // it may be unable to run two operations; its set-up is counted too
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

// mostWaiting is the largest share of waiting with which an operation is counted. If it waits
// more, its instructions say too little about its time.
const mostWaiting = 0.2

// possible reports whether further counts can be made.
func (c *counting) possible() bool {
	return c.tool != nil && c.result.Problem == "" && len(c.result.Base) < mostCounts
}

// next returns how many processes of each side are counted next. If the counts of one side exceed
// all of the other, those that show a difference are counted at once.
func (c *counting) next() int {
	base, head := c.result.Base, c.result.Head
	n := len(base)
	switch {
	case n == 0:
		return firstCounts
	case n < enoughCounts && (slices.Min(head) > slices.Max(base) || slices.Max(head) < slices.Min(base)):
		return enoughCounts - n
	}
	return furtherCount
}

// more counts both sides. Several processes run at a time, which does not change their counts.
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
		for range c.next() {
			all = append(all, &process{side: side, size: 1})
		}
	}
	places := make(chan struct{}, c.places())
	var wg sync.WaitGroup
	count := func(p *process) {
		o := c.order(p.side)
		o.tool, o.env, o.times = c.tool, countEnv(), c.sizes[p.size]
		o.deadline *= 2 // countFor takes 1 to 2 s under valgrind, longer on a busy machine
		if o.times == "" {
			o.pattern, o.times = "^$", "1x"
		}
		if p.n, p.err = c.count(ctx, o); errors.Is(p.err, errHangs) && ctx.Err() == nil {
			o.deadline *= 2
			p.n, p.err = c.count(ctx, o)
		}
	}
	for _, p := range all {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			count(p)
		})
	}
	wg.Wait()
	for _, p := range all { // processes that use the same file or port may have failed beside each other
		if p.err == nil {
			continue
		}
		if count(p); p.err != nil {
			break
		}
		c.alone = true
	}
	if ctx.Err() != nil {
		return
	}
	var failed error
	for _, p := range all {
		failed = errors.Join(failed, p.err)
		if p.size == 0 && (c.small[p.side] == 0 || p.n < c.small[p.side]) {
			c.small[p.side] = p.n // the minimum: other activity in a process only adds to its count
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

// use describes how a process used its time.
type use struct {
	wall    time.Duration    // from its start to its end
	busy    time.Duration    // the part of wall in which its threads ran or were ready to run
	ready   time.Duration    // the part of busy in which they were ready, but did not run
	cpu     time.Duration    // processor time
	printed map[string]Bench // by name, like benchProcess.printed
}

// waitFor is the approximate duration of the operations that show whether a benchmark waits.
const waitFor = 60 * time.Millisecond

// waitTries is how often a benchmark that seems to wait is examined. One that waits always seems
// to; one that does not may seem to in one try, on a machine with many busy processes.
const waitTries = 6

// leastSeen is the shortest duration of operations that can be examined.
const leastSeen = 2 * time.Millisecond

// waited returns the share of their time that the operations of one process waited, and their
// processor time. It subtracts the figures of a process without operations.
func (c *counting) waited(ctx context.Context, o benchOrder) (share float64, cpu time.Duration, known bool) {
	all, known := c.use(ctx, o)
	o.pattern = "^$"
	start, knownToo := c.use(ctx, o)
	if !known || !knownToo {
		return 1, 0, false
	}
	if all.wall-start.wall > leastSeen { // shorter ones cannot be told from variations of the start
		share = max(0, 1-float64(max(0, all.busy-start.busy))/float64(all.wall-start.wall))
	}
	return share, all.cpu - start.cpu, true
}

// waiting measures, without the tool, which share of its time an operation waits. On a busy
// machine, where operations seemed longer than they are, it also increases the large size.
func (c *counting) waiting(ctx context.Context) {
	c.result.Waits = 0
	ops := 1 // it may be unable to run two operations
	if c.sizes[0] != "" {
		ops = max(1, int(float64(waitFor)/max(c.ns, 0.5)))
	}
	needs := time.Duration(0) // processor time of the operations that are counted
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
