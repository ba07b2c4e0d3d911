package cassette

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs/redact"
)

// Mode says what a cassette does with a request. It can be a flag: flag.TextVar.
type Mode uint8

const (
	Replay Mode = iota // answer from the file; the real agent is never called
	Record             // call the real agent once for each request; Close writes the file
	Verify             // call the real agent and compare its answer with the file
	Once               // Record where there is no file, Replay where there is one
	Add                // answer from the file, and record what is not in it; Close adds it
)

var modes = [...]string{"replay", "record", "verify", "once", "add"}

func (m Mode) String() string {
	if int(m) < len(modes) {
		return modes[m]
	}
	return fmt.Sprintf("mode %d", m)
}

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(text []byte) error {
	i := slices.Index(modes[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is no mode of a cassette: use one of %q", text, modes)
	}
	*m = Mode(i)
	return nil
}

// Cassette is a recording of agents ([Recorded]) and of what they ask over HTTP
// ([Cassette.Transport]). It is safe for concurrent use.
//
// A recording is found by the hash of its request, the name of the agent, the full
// path of the step, and the how-manieth same request it is of its run and step. The
// run's key is not part of it: a recording is replayed for any run. The path is the
// full one, with the numbers of iterations and items, because calls of one such path
// are made one after the other: replay does not depend on the order of branches.
// So while recording, where two runs make the same request, the agent is called for
// one of them and the other gets the same answer, as both will when it is replayed.
//
// Secrets are redacted before a request is hashed, compared, shown or written; the
// secret may be another one when it is replayed. A replay answers what the file has:
// "[redacted:rule]" where a secret was.
//
// Life cycle: open, record or replay, [Cassette.Verify], [Cassette.Close].
type Cassette struct {
	file   string
	mode   Mode
	red    *redact.Redactor
	told   []string // secrets by value
	match  matching
	header []string                 // of responses, kept
	passes func(*http.Request) bool // to the real server
	age    time.Duration            // that recordings may have; 0: any
	today  time.Time
	part   *bool // the run is a partial one; nil: look at the flags

	allowAltered bool
	keepDelays   bool

	mu     sync.Mutex
	tracks map[slot]*track
	counts map[asker]int
	astray map[core.RunKey]error // runs that were found to differ from the file
	faults []error               // what must not be swallowed
	open   map[any]string        // response bodies by what they belong to
	wrong  []Altered             // of the file that was written
	asked  int
	closed bool
}

// slot is where a recording lies: the hash of its request and its number from 1.
type slot struct {
	key string
	n   int
}

type asker struct {
	run core.RunKey
	key string
}

// track is a recording in memory.
type track struct {
	interaction
	at   slot
	key  slot // in the file that is written
	line int  // in the file
	seq  int  // of asking
	used bool

	// While it is being recorded:
	by      core.RunKey
	done    chan struct{} // closed when the answer is there, or will not be
	dropped bool
	live    []byte // the output with its secrets
	err     error
	body    *tee // of the response, while its reader may not have read it to the end
	awaited bool // by another run
}

// Option changes how requests are compared and what is redacted.
type Option func(*Cassette)

// Secrets names values that must never be written, such as os.Getenv("API_KEY").
// It is for what no rule can know for a secret. A file that holds one is refused.
func Secrets(values ...string) Option {
	return func(c *Cassette) {
		c.told = append(c.told, slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })...)
	}
}

// RedactWith adds a rule that is given every text after all other rules. It must not
// change what it has redacted, and may be called concurrently.
func RedactWith(rule func(text string) string) Option {
	return func(c *Cassette) { c.red.AddRule(rule) }
}

// KeepFields names fields and query parameters whose values are no secrets although
// they look so: "next_token". Values of a known form are redacted even there.
func KeepFields(names ...string) Option {
	return func(c *Cassette) { c.red.KeepFields(names...) }
}

// KeepHeaders names more headers of responses to record. Those of requests are
// neither recorded nor compared.
func KeepHeaders(names ...string) Option {
	return func(c *Cassette) { c.header = append(c.header, names...) }
}

// Open opens a cassette. To record it needs no file; an existing one is
// replaced by Close, and not before.
func Open(path string, mode Mode, opts ...Option) (*Cassette, error) {
	c := &Cassette{
		file: path, mode: mode, red: new(redact.Redactor), header: slices.Clone(keptHeaders),
		tracks: map[slot]*track{}, counts: map[asker]int{}, open: map[any]string{}, astray: map[core.RunKey]error{},
	}
	for _, opt := range opts {
		opt(c)
	}
	c.match.tidy()
	for _, s := range c.told {
		if len(s) < redact.Shortest {
			return nil, c.bad(0, "a secret of %d bytes would be found where it is none: give Secrets %d or more", len(s), redact.Shortest)
		}
		c.red.Know(s)
	}
	if int(mode) >= len(modes) {
		return nil, c.bad(0, "%v: use Replay, Record, Verify, Once or Add", mode)
	}
	_, err := os.Stat(path)
	absent := errors.Is(err, os.ErrNotExist)
	switch {
	case mode == Once && absent:
		c.mode = Record
	case mode == Once:
		c.mode = Replay
	}
	if c.mode == Record || c.mode == Add {
		if err := c.makeFolder(); err != nil || c.mode == Record || absent {
			return c, err
		}
	}
	return c, c.load()
}

// take finds the recording of a request. Where it must be made, live is true, and
// the caller must call keep or drop.
func (c *Cassette) take(ctx context.Context, q interaction, run core.RunKey) (t *track, live bool, err error) {
	c.redact(&q)
	key := q.hash(c.match)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, c.fault(c.bad(0, "%s was called after the cassette was closed", q.what()))
	}
	if err := c.astray[run]; err != nil {
		return nil, false, err // nothing behind a difference can be compared
	}
	c.counts[asker{run, key}]++
	at := slot{key, c.counts[asker{run, key}]}
	for {
		t = c.tracks[at]
		switch {
		case t == nil && (c.mode == Record || c.mode == Add):
			c.asked++
			t = &track{interaction: q, at: at, seq: c.asked, by: run, done: make(chan struct{})}
			c.tracks[at] = t
			return t, true, nil
		case t == nil:
			return nil, false, c.fault(c.miss(q, at))
		case t.line > 0:
			t.used = true
			return t, false, nil
		}
		t.awaited = true
		if t.body != nil {
			go t.body.drain() // its reader may have stopped for good
		}
		c.mu.Unlock()
		select {
		case <-t.done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		c.mu.Lock()
		if err != nil {
			c.unasked(run, at)
		}
		if err != nil || !t.dropped {
			return t, false, err
		}
	}
}

// keep ends the recording of a request with its answer.
func (c *Cassette) keep(t *track, output []byte, err error) {
	answer := t.interaction
	answer.Output = output
	if err != nil {
		answer.Output, answer.Error = nil, failed(err)
	}
	c.redact(&answer)
	c.mu.Lock()
	defer c.mu.Unlock()
	t.interaction, t.live, t.err = answer, output, err
	close(t.done)
}

// drop ends the recording of a request that got no answer worth to be kept.
func (c *Cassette) drop(t *track) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tracks, t.at)
	c.unasked(t.by, t.at)
	t.dropped = true
	close(t.done)
}

// unasked takes back a request that got no answer: the run may be resumed and ask
// again. mu is held.
func (c *Cassette) unasked(run core.RunKey, at slot) {
	if who := (asker{run, at.key}); c.counts[who] == at.n {
		c.counts[who]--
	}
}

// unrecordable says that an error tells of the caller or the harness, not of the
// agent. That the time of an attempt is up tells of the agent.
func unrecordable(ctx context.Context, err error) bool {
	return errors.Is(err, core.ErrHarness) || errors.As(err, new(*core.BudgetError)) ||
		ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

// fault remembers what must not be swallowed, and returns it. mu is held.
func (c *Cassette) fault(err error) error {
	if len(c.faults) < 100 { // enough to explain
		c.faults = append(c.faults, err)
	}
	return err
}

// compare reports a real answer that is not the recorded one. live is redacted here.
func (c *Cassette) compare(t *track, run core.RunKey, output []byte, err error) error {
	live := t.interaction
	live.Output, live.Error = output, nil
	if err != nil {
		live.Output, live.Error = nil, failed(err)
	}
	c.redact(&live)
	diff := differences("", t.answer(c.match.Ignore), live.answer(c.match.Ignore))
	if len(diff) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found := &MismatchError{File: c.file, Line: t.line, Name: t.Name, Path: t.Path, Diff: diff}
	if run != (core.RunKey{}) {
		c.astray[run] = found
	}
	return c.fault(found)
}

// Verify reports, joined, every miss and every difference, also where the error was
// swallowed, the recordings that nobody asked for ([*UnusedError]), and those whose
// answers were redacted ([*AlteredError]).
func (c *Cassette) Verify() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := slices.Clone(c.faults)
	unused, altered := &UnusedError{File: c.file, Of: len(c.tracks)}, c.wrong
	for _, t := range c.inOrder() {
		switch {
		case t.line == 0: // recorded just now
		case c.mode == Add && !t.used:
			// of tests that did not run
		case t.used:
			altered = append(altered, alteredPlaces(&t.interaction, nil, nil, false, t.line)...)
		default:
			unused.Lines = append(unused.Lines, t.line)
			unused.What = append(unused.What, t.what())
		}
	}
	if len(unused.Lines) > 0 {
		errs = append(errs, unused)
	}
	return errors.Join(append(errs, c.altered(altered))...)
}

// inOrder is the recordings in the order of the file. mu is held.
func (c *Cassette) inOrder() []*track {
	return slices.SortedFunc(maps.Values(c.tracks), func(a, b *track) int { return a.line - b.line })
}

// altered is the error of altered answers, nil where they are allowed.
func (c *Cassette) altered(list []Altered) error {
	if len(list) == 0 || c.allowAltered {
		return nil
	}
	return &AlteredError{c.file, list}
}

// Close ends the use of the cassette. In the modes Record and Add it writes the file, in one
// piece: on an error the file that was there still is, and Close can be called
// again. What is wrong with a file that was written is reported after the writing:
// calls still under way, which are not in it, response bodies that were neither read to
// their end nor closed, and altered answers ([*AlteredError]).
func (c *Cassette) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.mode != Record && c.mode != Add {
		first := !c.closed
		c.closed = true
		if first {
			return c.leaked()
		}
		return nil
	}
	busy, err := c.store()
	if err != nil {
		return err
	}
	c.closed = true
	var errs []error
	if len(busy) > 0 {
		errs = append(errs, c.bad(0, "written without the calls that are still under way (%d): end them (an HTTP body: read it to its end or close it) before Close\n%s", len(busy), listed(busy)))
	}
	return errors.Join(append(errs, c.leaked(), c.altered(c.wrong))...)
}

// leaked names response bodies that nobody has ended. mu is held.
func (c *Cassette) leaked() error {
	if len(c.open) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Values(c.open))
	return c.bad(0, "response bodies that the client has neither read to their end nor closed, which leaks connections: %d\n%s", len(names), listed(names))
}

// opened notes a response body, and ended that its client is done with it.
func (c *Cassette) opened(body any, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[body] = what
}

func (c *Cassette) ended(body any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, body)
}
