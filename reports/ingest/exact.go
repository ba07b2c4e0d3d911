package ingest

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/reports"
)

// ExactName is the name under which package render adds the facts to its files that the format
// cannot express: as a property of a testcase or testsuite in JUnit XML, as a member of "extra" in
// CTRF. With them, reading a file yields the results that it was written from.
const ExactName = "flujo-harness"

// ExactSpec contains the facts about a spec, or about a failure outside the specs, that its test
// case cannot express.
type ExactSpec struct {
	Node       *string       `json:"node,omitempty"` // node of a failure outside the specs; nil for a spec
	Containers []string      `json:"containers,omitempty"`
	Leaf       string        `json:"leaf,omitempty"`
	Occurrence int           `json:"occurrence,omitempty"`
	State      reports.State `json:"state,omitempty"`
	Detail     string        `json:"detail,omitempty"`
	Attempts   int           `json:"attempts,omitempty"`
	Retried    bool          `json:"retried,omitempty"`
	Labels     []string      `json:"labels,omitempty"`

	Attachments []reports.Attachment `json:"attachments,omitempty"`
}

// ExactSuite contains the same for a suite.
type ExactSuite struct {
	Path        string `json:"path"`
	Description string `json:"description,omitempty"`
	Seed        int64  `json:"seed,omitempty"`
	Focused     bool   `json:"focused,omitempty"`
}

func NewExact(s *reports.Spec) *ExactSpec {
	if !slices.Contains(reports.States, s.State) { // an unknown state counts as failed
		failed := *s
		failed.State, failed.Detail = reports.Failed, string(s.State)
		s = &failed
	}
	return &ExactSpec{Containers: s.Containers, Leaf: s.Leaf, Occurrence: s.Occurrence, State: s.State, Detail: s.Detail, Attempts: s.Attempts, Retried: s.Retried, Labels: s.Labels, Attachments: s.Attachments}
}

func ExactNode(f *reports.SuiteFailure) *ExactSpec { return &ExactSpec{Node: &f.Node} }

// Add adds a part of the suite.
func (e *ExactSuite) Add(s *reports.Suite) {
	e.Description, e.Seed = cmp.Or(e.Description, s.Description), cmp.Or(e.Seed, s.Seed)
	e.Focused = e.Focused || s.Focused
}

// ExactText encodes v as JSON, with escapes for control characters and for all characters that XML
// does not allow.
func ExactText(v any) string {
	var b bytes.Buffer
	_ = EncodeVisibly(&b, v, "") // strings and numbers always encode, and a buffer takes all
	return string(bytes.TrimSpace(b.Bytes()))
}

// fill sets the exact values of a spec that was read from a test case. found is the state according
// to the test case. A contradiction is an error, so that an edited file cannot turn a failure into
// a pass.
func (e *ExactSpec) fill(s *reports.Spec, found reports.State) error {
	same := e.State == found || e.State == reports.Pending && found == reports.Skipped
	switch {
	case e.Occurrence < 1 || e.Attempts < 0:
		return fmt.Errorf("%s of test %q: occurrence %d and %d attempts", ExactName, e.Leaf, e.Occurrence, e.Attempts)
	case !same || e.Retried && found != reports.Passed:
		return fmt.Errorf("%s of test %q says %s, retried %v, and its test case %s", ExactName, e.Leaf, e.State, e.Retried, found)
	}
	s.Containers, s.Leaf, s.Occurrence, s.State, s.Detail = e.Containers, e.Leaf, e.Occurrence, e.State, e.Detail
	s.Attempts, s.Retried, s.Labels = e.Attempts, e.Retried, e.Labels
	if len(e.Attachments) > 0 {
		s.Attachments = nil
	}
	for _, a := range e.Attachments[:min(len(e.Attachments), reports.MaxAttachments)] {
		s.Attachments = append(s.Attachments, a.Safe())
	}
	return nil
}

var errNoFailure = errors.New(ExactName + " names a failure outside the specs in a test case that does not fail")

// EncodeVisibly writes v as JSON and a line end. Control characters, which could change a terminal,
// are written as \u escapes, which are equivalent in JSON. The elements of the lists, which v
// contains in the given order, are created and written one by one.
func EncodeVisibly(w io.Writer, v any, indent string, lists ...*Items) error {
	for _, l := range lists {
		l.mark = rand.Text()
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	rest := text.Bytes()
	for _, l := range lists {
		before, after, ok := bytes.Cut(rest, []byte(`"`+l.mark+`"`))
		if !ok {
			return errors.New("a list is missing or not in its order")
		}
		if _, err := w.Write(escapeActing(before)); err != nil {
			return err
		}
		line := before[bytes.LastIndexByte(before, '\n')+1:]
		outer := string(line[:len(line)-len(bytes.TrimLeft(line, " "))])
		if err := l.write(w, outer, indent); err != nil {
			return err
		}
		rest = after
	}
	_, err := w.Write(escapeActing(rest))
	return err
}

// Items is a list of N elements for [EncodeVisibly], created by At one by one, so that a list of a
// hundred thousand elements is never completely in memory.
type Items struct {
	N    int
	At   func(i int) any
	mark string // random placeholder of the list while the rest is encoded
}

// MarshalJSON is for [EncodeVisibly] only.
func (l *Items) MarshalJSON() ([]byte, error) {
	if l.mark == "" {
		return nil, errors.New("a list of Items was not given to EncodeVisibly")
	}
	return json.Marshal(l.mark)
}

// write writes the list as [json.Indent] would, in a line that begins with outer.
func (l *Items) write(w io.Writer, outer, indent string) error {
	if l.N == 0 {
		_, err := io.WriteString(w, "[]")
		return err
	}
	end := "\n"
	if indent == "" {
		end, outer = "", ""
	}
	for i := range l.N {
		text, err := json.Marshal(l.At(i))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		out.WriteString(map[bool]string{true: "[", false: ","}[i == 0] + end + outer + indent)
		if indent == "" {
			out.Write(text)
		} else if err := json.Indent(&out, text, outer+indent, indent); err != nil {
			return err
		}
		if _, err := w.Write(escapeActing(out.Bytes())); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, end+outer+"]")
	return err
}

// command matches the beginning of a command to a CI service that is recognised anywhere in a line.
var command = regexp.MustCompile(`##([A-Za-z]*)\[`)

// escapeActing escapes control characters and the beginnings of commands. They can only be inside
// strings, since JSON has no control characters but line ends between tokens.
func escapeActing(text []byte) []byte {
	if bytes.Contains(text, []byte("##")) {
		text = command.ReplaceAll(text, []byte(`##$1\u005b`))
	}
	hidden := func(r rune) bool { return r != '\n' && reports.IsControl(r) }
	if !bytes.ContainsFunc(text, hidden) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if hidden(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	return out
}
