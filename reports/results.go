package reports

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/thresholds"
)

// State of a spec at the end of a run.
type State string

// The states that are kept apart. Ginkgo's panicked, timedout, aborted and
// interrupted are Failed, with that word in [Spec.Detail].
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Skipped State = "skipped" // filtered out, or skipped by itself
	Pending State = "pending" // declared without running
)

// BothWays is the [Spec.Detail] of a spec that passed and failed in the runs of [Repeated].
const BothWays = "flaky"

// Other is the [Spec.Detail] of a spec that is [Pending] because its report gives it the
// status "other": it neither passed, failed nor was skipped.
const Other = "other"

// ByGoTest is a label of a [Spec] that go test ran beside the specs of a Ginkgo suite.
const ByGoTest = "runner:go-test"

// Spec is the result of one spec (an It of Ginkgo).
type Spec struct {
	Suite      string        // path of the suite, relative to the module where it lies in it
	Containers []string      // texts of the containers, outermost first
	Leaf       string        // text of the spec itself
	Occurrence int           // 1, and 2, 3, … where one suite has the same text again
	State      State         //
	Detail     string        // the runner's own word where it says more: "panicked"; or [BothWays]
	Attempts   int           // runs of the spec within this one result; 0 where it did not run
	Retried    bool          // passed, but only after an attempt that failed
	Duration   time.Duration // of all attempts
	Message    string        // of the failure, the skip, or the failed attempt before a pass
	File       string        // of the failure, else of the spec
	Line       int
	Labels     []string
	Output     string // what a spec that failed wrote to stdout and stderr, where the runner keeps it apart; bounded as a message
}

// BothWays reports whether the spec failed, and passed as well, in the runs of [Repeated].
func (s *Spec) BothWays() bool { return s.State == Failed && s.Detail == BothWays }

// Key identifies the spec from run to run: its suite, its texts in one, and its
// occurrence. Labels, file and line are not part of it: relabelling or moving a spec
// must not cut its history. Nor is where one text ends and the next begins, which
// JUnit XML does not say: a run has the same keys whichever file it is read from.
// Specs that differ in nothing else differ in Occurrence. The three stand on a line each.
func (s *Spec) Key() string {
	b := s.AppendName(make([]byte, 0, 256))
	return string(strconv.AppendInt(append(b, '\n'), int64(s.Occurrence), 10))
}

// Digest identifies a spec as its [Spec.Key] does, in 16 bytes: what keeps something for each of
// many specs uses it, because keys are long. It is the beginning of the SHA-256 of the key.
type Digest [16]byte

// Digest returns the digest of the key.
func (s *Spec) Digest() Digest {
	var room [512]byte
	b := append(s.AppendName(room[:0]), '\n')
	sum := sha256.Sum256(strconv.AppendInt(b, int64(s.Occurrence), 10))
	return Digest(sum[:16])
}

// AppendName appends the suite and the text of the spec.
func (s *Spec) AppendName(b []byte) []byte {
	return s.AppendText(append(appendWords(b, len(b), s.Suite), '\n'))
}

// AppendText appends the texts in one.
func (s *Spec) AppendText(b []byte) []byte {
	start := len(b)
	for _, text := range s.Containers {
		b = appendWords(b, start, text)
	}
	return appendWords(b, start, s.Leaf)
}

// appendWords appends a text behind what is there from start on, with single spaces,
// and with U+FFFD for what XML cannot hold.
func appendWords(b []byte, start int, text string) []byte {
	space := len(b) > start
	for _, r := range text {
		switch {
		case '!' <= r && r <= '~':
		case unicode.IsSpace(r):
			space = len(b) > start
			continue
		case r < ' ', r == 0xfffe, r == 0xffff:
			r = utf8.RuneError
		}
		if space {
			b, space = append(b, ' '), false
		}
		if r < utf8.RuneSelf {
			b = append(b, byte(r))
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// EncodeTexts is the spec with its texts apart and nothing else, as the history keeps it.
func (s *Spec) EncodeTexts() string {
	texts, _ := json.Marshal([]any{s.Suite, s.Containers, s.Leaf, s.Occurrence}) // strings and numbers always encode
	return string(texts)
}

// DecodeTexts is the way back.
func DecodeTexts(texts string) (s Spec, err error) {
	err = json.Unmarshal([]byte(texts), &[]any{&s.Suite, &s.Containers, &s.Leaf, &s.Occurrence})
	return s, err
}

// Name is the texts of the spec as one reads them, behind its suite.
func (s *Spec) Name() string {
	parts := make([]string, 0, len(s.Containers)+2)
	parts = append(parts, path.Base(s.Suite))
	for _, text := range append(s.Containers[:len(s.Containers):len(s.Containers)], s.Leaf) {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " > ")
}

// SuiteFailure is a failure of a suite that no spec carries: of a BeforeSuite, a
// time-out, a report that is cut short.
type SuiteFailure struct {
	Node    string `json:"node"` // "BeforeSuite", or "suite"
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// Truncated is the node of a [SuiteFailure] that says that the process of a suite ended
// before its report: the specs that it had told of until then are there, the others
// are skipped.
const Truncated = "truncated"

// Suite is one suite of a run.
type Suite struct {
	Path        string // as in [Spec.Suite]
	Description string
	Started     time.Time
	Duration    time.Duration
	Seed        int64          // of the order of the specs
	Focused     bool           // programmatic focus: not every spec was asked for
	Failures    []SuiteFailure // none: the suite itself is sound
}

// Results are the specs of one run of the suites.
type Results struct {
	Suites   []Suite
	Specs    []Spec
	Measured []thresholds.Judged // what suites have measured of their own; a [Run] has them among its comparisons
}

// Counts of specs by state.
type Counts struct {
	Passed, Failed, Skipped, Pending int
	Retried                          int // of those passed
}

// All is the number of specs.
func (c Counts) All() int { return c.Passed + c.Failed + c.Skipped + c.Pending }

// Counts counts the specs.
func (r *Results) Counts() Counts {
	var c Counts
	for i := range r.Specs {
		c.Add(&r.Specs[i])
	}
	return c
}

func (c *Counts) Add(s *Spec) {
	switch s.State {
	case Passed:
		c.Passed++
	case Skipped:
		c.Skipped++
	case Pending:
		c.Pending++
	default: // a state that nobody knows speaks for nothing good
		c.Failed++
	}
	if s.Retried {
		c.Retried++
	}
}

// SuiteFailures is the number of failures that no spec carries.
func (r *Results) SuiteFailures() int {
	n := 0
	for _, s := range r.Suites {
		n += len(s.Failures)
	}
	return n
}

// Empty reports whether they say nothing.
func (r *Results) Empty() bool { return len(r.Specs) == 0 && r.SuiteFailures() == 0 }

// Focused reports whether a suite has programmatic focus.
func (r *Results) Focused() bool {
	for _, s := range r.Suites {
		if s.Focused {
			return true
		}
	}
	return false
}

// Green reports whether specs ran and all that ran passed, with no failure of a
// suite. A run in which nothing ran is not green.
func (r *Results) Green() bool {
	c := r.Counts()
	return c.Passed > 0 && c.Failed == 0 && r.SuiteFailures() == 0
}

// Label is the rest of the first label with this beginning.
func Label(s *Spec, beginning string) (value string, ok bool) {
	for _, l := range s.Labels {
		if value, ok := strings.CutPrefix(l, beginning); ok && value != "" {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// MaxMessage is the most bytes kept of one failure's message: matchers print whole
// objects, and a history keeps every run.
const MaxMessage = 16 << 10

// Shorten cuts a message at maxMessage bytes, between two runes, and says so.
func Shorten(s string) string {
	if len(s) <= MaxMessage {
		return s
	}
	end := MaxMessage
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s\n… %d more bytes", s[:end], len(s)-end)
}

// States in the order of their codes; never change it.
var States = []State{Passed, Failed, Skipped, Pending}

// OwnerOf is the owner that a label names, "" where none does.
func OwnerOf(s *Spec) string {
	owner, _ := Label(s, "owner:")
	return owner
}
