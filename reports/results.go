package reports

import (
	"encoding/json"
	"iter"
	"path"
	"slices"
	"strings"
	"time"
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
}

// Key identifies the spec from run to run. Labels, file and line are not part of
// it: relabelling or moving a spec must not cut its history.
func (s *Spec) Key() string {
	// JSON keeps ["a", "b c"] and ["a b", "c"] apart; strings and numbers always encode.
	key, _ := json.Marshal([]any{s.Suite, s.Containers, s.Leaf, s.Occurrence})
	return string(key)
}

// identity is the Key without where one text ends and the next begins, which JUnit XML
// does not say: a run has the same identities whichever file it is read from. Specs
// that differ in nothing else differ in Occurrence.
func (s *Spec) identity() string {
	key, _ := json.Marshal([]any{s.Suite, s.text(), s.Occurrence}) // strings and numbers always encode
	return string(key)
}

// text is the texts of the spec in one.
func (s *Spec) text() string { return strings.Join(slices.Collect(s.words()), " ") }

// words are those of the texts, with U+FFFD for what XML cannot hold.
func (s *Spec) words() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(s.Containers) + 1 {
			text := s.Leaf
			if i < len(s.Containers) {
				text = s.Containers[i]
			}
			for word := range strings.FieldsSeq(text) {
				if strings.ContainsFunc(word, notInXML) || !utf8.ValidString(word) {
					word = strings.Map(func(r rune) rune {
						if notInXML(r) {
							return utf8.RuneError
						}
						return r
					}, word)
				}
				if !yield(word) {
					return
				}
			}
		}
	}
}

// notInXML reports whether XML 1.0 has no place for the character, or it stands for a
// byte that was none.
func notInXML(r rune) bool { return r < ' ' || r == 0xfffe || r == 0xffff || r == utf8.RuneError }

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
		c.add(&r.Specs[i])
	}
	return c
}

func (c *Counts) add(s *Spec) {
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
