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

// Mode determines what a cassette does with a request. It can be used as a flag with flag.TextVar.
type Mode uint8

const (
	Replay Mode = iota // answer from the file; the real agent is never called
	Record             // call the real agent once for each request; Close writes the file
	Verify             // call the real agent and compare its answer with the file
	Once               // Record if the file does not exist, otherwise Replay
	Add                // answer from the file and record requests that are not in it; Close adds them
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
		return fmt.Errorf("%q is not a mode of a cassette: use one of %q", text, modes)
	}
	*m = Mode(i)
	return nil
}

// Cassette is a recording of agents ([Recorded]) and of HTTP requests
// ([Cassette.Transport]). It is safe for concurrent use.
//
// A recording is identified by the hash of its request, the name of the agent, the full path of
// the step, and its number among equal requests of its run and step. The key of the run is not
// part of it, so that a recording can be replayed for any run. The path includes the numbers of
// iterations and items: calls with the same path are sequential, so replay does not depend on
// the order in which branches are scheduled. If two runs make the same request during recording,
// the agent is called for one of them and both get its answer, as they will in a replay.
//
// Secrets are redacted before a request is hashed, compared, printed or written, so a replay may
// use another secret. It returns "[redacted:rule]" where an answer contained a secret.
//
// Life cycle: open, record or replay, [Cassette.Verify], [Cassette.Close].
type Cassette struct {
	file    string
	mode    Mode
	red     *redact.Redactor
	secrets []string // values given to Secrets
	match   matching
	header  []string                 // response headers to record
	passes  func(*http.Request) bool // requests that bypass the cassette, see Passthrough
	age     time.Duration            // maximum age of recordings; 0 means any
	today   time.Time
	part    *bool // whether only a part of the tests runs; nil: derived from the flags

	allowAltered bool
	keepDelays   bool

	mu     sync.Mutex
	tracks map[slot]*track
	counts map[asker]int
	astray map[core.RunKey]error // first difference of each run that differs from the file
	faults []error               // errors that Verify reports even if the caller swallowed them
	open   map[any]string        // open response bodies, with a description of their requests
	wrong  []Altered             // places altered in the file that was written
	asked  int
	closed bool
}

// slot identifies a recording: the hash of its request and its number among equal ones, from 1.
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
	line int  // in the file that was read; 0 if it was recorded in this process
	seq  int  // order of the requests
	used bool

	// Used during recording:
	by      core.RunKey
	done    chan struct{} // closed when the answer is complete or was dropped
	dropped bool
	live    []byte // output including its secrets
	err     error
	body    *tee // body of the response, which its reader may not have read completely
	awaited bool // another run is waiting for the answer
}

// Option changes how requests are compared and what is redacted.
type Option func(*Cassette)

// Secrets lists values that must never be written, such as os.Getenv("API_KEY"). It is for
// secrets whose form no rule can recognise. A file that contains one of them is rejected.
func Secrets(values ...string) Option {
	return func(c *Cassette) {
		c.secrets = append(c.secrets, slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })...)
	}
}

// RedactWith adds a rule that is applied to every text after all other rules. It must be
// idempotent and safe for concurrent use.
func RedactWith(rule func(text string) string) Option {
	return func(c *Cassette) { c.red.AddRule(rule) }
}

// KeepFields names fields and query parameters whose values are not secrets although their names
// suggest it, such as "next_token". Values in the form of a known kind of secret are still redacted.
func KeepFields(names ...string) Option {
	return func(c *Cassette) { c.red.KeepFields(names...) }
}

// KeepHeaders names additional response headers to record. Request headers are neither
// recorded nor compared.
func KeepHeaders(names ...string) Option {
	return func(c *Cassette) { c.header = append(c.header, names...) }
}

// Open opens a cassette. Recording does not require a file; an existing one is replaced only by
// Close.
func Open(path string, mode Mode, opts ...Option) (*Cassette, error) {
	c := &Cassette{
		file: path, mode: mode, red: new(redact.Redactor), header: slices.Clone(keptHeaders),
		tracks: map[slot]*track{}, counts: map[asker]int{}, open: map[any]string{}, astray: map[core.RunKey]error{},
	}
	for _, opt := range opts {
		opt(c)
	}
	c.match.tidy()
	for _, s := range c.secrets {
		if len(s) < redact.Shortest {
			return nil, c.bad(0, "a secret of %d bytes would also match ordinary text: give Secrets values of %d or more", len(s), redact.Shortest)
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

// take returns the recording of a request. If live is true, the request has to be recorded: the
// caller must call the agent and then keep or drop.
func (c *Cassette) take(ctx context.Context, q interaction, run core.RunKey) (t *track, live bool, err error) {
	c.redact(&q)
	key := q.hash(c.match)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, c.fault(c.bad(0, "%s was called after the cassette was closed", q.what()))
	}
	if err := c.astray[run]; err != nil {
		return nil, false, err // after a difference, later requests of the run cannot be compared
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
			go t.body.drain() // its reader may never read the rest
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

// drop ends the recording of a request without an answer that could be replayed.
func (c *Cassette) drop(t *track) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tracks, t.at)
	c.unasked(t.by, t.at)
	t.dropped = true
	close(t.done)
}

// unasked reverts the count of a request without an answer: the run may be resumed and make the
// request again. mu is held.
func (c *Cassette) unasked(run core.RunKey, at slot) {
	if who := (asker{run, at.key}); c.counts[who] == at.n {
		c.counts[who]--
	}
}

// unrecordable reports whether an error was caused by the caller or the harness rather than by
// the agent. The timeout of an attempt counts as the agent's.
func unrecordable(ctx context.Context, err error) bool {
	return errors.Is(err, core.ErrHarness) || errors.As(err, new(*core.BudgetError)) ||
		ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

// fault remembers err for Verify, in case the caller swallows it, and returns it. mu is held.
func (c *Cassette) fault(err error) error {
	if len(c.faults) < 100 { // more explain nothing further
		c.faults = append(c.faults, err)
	}
	return err
}

// compare returns an error if a real answer differs from the recorded one. It redacts the real
// answer first.
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

// Verify returns a joined error: every miss and every difference, even if the caller swallowed
// it, the recordings that were not requested ([*UnusedError]), and those whose answers were
// redacted ([*AlteredError]).
func (c *Cassette) Verify() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := slices.Clone(c.faults)
	unused, altered := &UnusedError{File: c.file, Of: len(c.tracks)}, c.wrong
	for _, t := range c.inOrder() {
		switch {
		case t.line == 0: // recorded in this process
		case c.mode == Add && !t.used:
			// may belong to tests that did not run
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

// inOrder returns the recordings in the order of the file. mu is held.
func (c *Cassette) inOrder() []*track {
	return slices.SortedFunc(maps.Values(c.tracks), func(a, b *track) int { return a.line - b.line })
}

// altered returns an error about altered answers, or nil if they are allowed.
func (c *Cassette) altered(list []Altered) error {
	if len(list) == 0 || c.allowAltered {
		return nil
	}
	return &AlteredError{c.file, list}
}

// Close ends the use of the cassette. In the modes Record and Add it writes the file atomically:
// after an error the previous file is unchanged, and Close can be called again. Problems that do
// not prevent writing are reported after it: calls in progress, which are missing from the file,
// response bodies that were neither read completely nor closed, and altered answers
// ([*AlteredError]).
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
		errs = append(errs, c.bad(0, "written without the calls that are still in progress (%d): end them before Close (read an HTTP body completely or close it)\n%s", len(busy), listed(busy)))
	}
	return errors.Join(append(errs, c.leaked(), c.altered(c.wrong))...)
}

// leaked returns an error about response bodies that were not closed. mu is held.
func (c *Cassette) leaked() error {
	if len(c.open) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Values(c.open))
	return c.bad(0, "response bodies that the client has neither read completely nor closed, which leaks connections: %d\n%s", len(names), listed(names))
}

// opened registers a response body, and ended removes it once its client has read or closed it.
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
