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

// State is the state of a spec at the end of a run.
type State string

// States of a spec. Ginkgo's panicked, timedout, aborted and interrupted are Failed, with
// Ginkgo's word in [Spec.Detail].
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Skipped State = "skipped" // filtered out, or called Skip
	Pending State = "pending" // marked as pending, did not run
)

// BothWays is the [Spec.Detail] of a spec that both passed and failed in the runs of [Repeated].
const BothWays = "flaky"

// Other is the [Spec.Detail] of a spec that is [Pending] because its report has the status
// "other" for it (CTRF), neither passed, failed nor skipped.
const Other = "other"

// ByGoTest is the label of tests that go test ran in a package with a Ginkgo suite.
const ByGoTest = "runner:go-test"

// Spec is the result of one spec (a Ginkgo It), or of one test of another runner.
type Spec struct {
	Suite      string        // path of the suite, relative to the module if it is inside
	Containers []string      // texts of the containers, outermost first
	Leaf       string        // text of the spec itself
	Occurrence int           // 1, or 2, 3, … for further specs of the suite with equal texts
	State      State         //
	Detail     string        // the runner's word if it is more specific, such as "panicked"; or [BothWays]
	Attempts   int           // attempts within this result; 0 if the spec did not run
	Retried    bool          // passed after a failed attempt
	Duration   time.Duration // sum over all attempts
	Message    string        // message of the failure, of the skip, or of a failed attempt before the pass
	File       string        // file of the failure, otherwise of the spec
	Line       int
	Labels     []string
	Output     string // output of a failed spec, if the runner records it per spec; limited to [MaxMessage]

	Attachments []Attachment `json:",omitempty"` // at most [MaxAttachments]
}

// BothWays reports whether the spec both failed and passed in the runs of [Repeated].
func (s *Spec) BothWays() bool { return s.State == Failed && s.Detail == BothWays }

// Key identifies the spec across runs. It has three lines: the suite, the joined texts, and the
// occurrence. Labels, file and line are not part of it, so that relabelling or moving a spec
// keeps its history. The boundaries between texts are not part of it either, because JUnit XML
// does not record them: a run has the same keys whichever format it is read from.
func (s *Spec) Key() string {
	b := s.AppendName(make([]byte, 0, 256))
	return string(strconv.AppendInt(append(b, '\n'), int64(s.Occurrence), 10))
}

// Digest is the first 16 bytes of the SHA-256 of a [Spec.Key]. Maps with an entry per spec use
// it, because keys are long. With a million specs, the probability that any two collide is
// about 10⁻²⁷.
type Digest [16]byte

// Digest returns the digest of the spec's key.
func (s *Spec) Digest() Digest {
	var room [512]byte
	b := append(s.AppendName(room[:0]), '\n')
	sum := sha256.Sum256(strconv.AppendInt(b, int64(s.Occurrence), 10))
	return Digest(sum[:16])
}

// AppendName appends the suite, a line break and the joined texts of the spec to b.
func (s *Spec) AppendName(b []byte) []byte {
	return s.AppendText(append(appendWords(b, len(b), s.Suite), '\n'))
}

// AppendText appends the joined texts of the spec to b.
func (s *Spec) AppendText(b []byte) []byte {
	start := len(b)
	for _, text := range s.Containers {
		b = appendWords(b, start, text)
	}
	return appendWords(b, start, s.Leaf)
}

// appendWords appends a text to b with white space collapsed to single spaces, and with U+FFFD in
// place of characters that XML cannot represent. It separates the text by a space from the bytes
// of b that follow start.
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

// EncodeTexts encodes the suite, the texts and the occurrence of the spec as the history stores
// them.
func (s *Spec) EncodeTexts() string {
	texts, _ := json.Marshal([]any{s.Suite, s.Containers, s.Leaf, s.Occurrence}) // strings and numbers always encode
	return string(texts)
}

// DecodeTexts decodes the result of [Spec.EncodeTexts].
func DecodeTexts(texts string) (s Spec, err error) {
	err = json.Unmarshal([]byte(texts), &[]any{&s.Suite, &s.Containers, &s.Leaf, &s.Occurrence})
	return s, err
}

// Name returns the name of the suite and the texts of the spec, for people: "shop > cart > adds".
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

// SuiteFailure is a failure that belongs to a suite rather than to a spec: of a BeforeSuite, a
// timeout, or a truncated report.
type SuiteFailure struct {
	Node    string `json:"node"` // "BeforeSuite", or "suite"
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// Truncated is the Node of a [SuiteFailure] which reports that the suite's process ended before
// it wrote its report. Specs that had reported until then have their results; the others are
// skipped.
const Truncated = "truncated"

// Suite is one suite of a run.
type Suite struct {
	Path        string // as in [Spec.Suite]
	Description string
	Started     time.Time
	Duration    time.Duration
	Seed        int64          // random seed of the order of the specs
	Focused     bool           // has programmatic focus, so that some specs did not run
	Failures    []SuiteFailure // failures outside of specs
}

// Results are the specs of one run of the suites.
type Results struct {
	Suites   []Suite
	Specs    []Spec
	Measured []thresholds.Judged // measurements made by the suites themselves; a [Run] lists them in Comparisons
}

// Counts holds the number of specs by state.
type Counts struct {
	Passed, Failed, Skipped, Pending int
	Retried                          int // included in Passed
}

// All returns the number of specs.
func (c Counts) All() int { return c.Passed + c.Failed + c.Skipped + c.Pending }

// Counts counts the specs.
func (r *Results) Counts() Counts {
	var c Counts
	for i := range r.Specs {
		c.Add(&r.Specs[i])
	}
	return c
}

// Add counts a spec.
func (c *Counts) Add(s *Spec) {
	switch s.State {
	case Passed:
		c.Passed++
	case Skipped:
		c.Skipped++
	case Pending:
		c.Pending++
	default: // an unknown state counts as a failure
		c.Failed++
	}
	if s.Retried {
		c.Retried++
	}
}

// SuiteFailures returns the number of failures outside of specs.
func (r *Results) SuiteFailures() int {
	n := 0
	for _, s := range r.Suites {
		n += len(s.Failures)
	}
	return n
}

// Empty reports whether there are neither specs nor failures.
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

// Green reports whether at least one spec passed, none failed, and no suite has a failure. A run
// without specs is not green.
func (r *Results) Green() bool {
	c := r.Counts()
	return c.Passed > 0 && c.Failed == 0 && r.SuiteFailures() == 0
}

// Label returns the value of the first label of the spec that starts with prefix, such as
// "owner:". ok is false if there is none.
func Label(s *Spec, prefix string) (value string, ok bool) {
	for _, l := range s.Labels {
		if value, ok := strings.CutPrefix(l, prefix); ok && value != "" {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// MaxMessage is the maximum length of a stored message, in bytes. Matchers print whole objects,
// and the history stores every run.
const MaxMessage = 16 << 10

// Shorten truncates a message at [MaxMessage] bytes, between two runes, and appends the number
// of bytes removed.
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

// States lists the states in the order of their codes in the history, which must not change.
var States = []State{Passed, Failed, Skipped, Pending}

// OwnerOf returns the value of the spec's label "owner:", or "".
func OwnerOf(s *Spec) string {
	owner, _ := Label(s, "owner:")
	return owner
}
