package cassette

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/core"
)

// FileError reports a cassette that cannot be read, written or used. It wraps core.ErrHarness.
type FileError struct {
	File    string
	Line    int // 0 if the problem is not in one line
	Problem string
	Err     error // underlying error; may be nil
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("cassette %s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("cassette %s:%d: %s", e.File, e.Line, e.Problem)
}

// Unwrap returns core.ErrHarness and the underlying error.
func (e *FileError) Unwrap() []error {
	if e.Err == nil {
		return []error{core.ErrHarness}
	}
	return []error{core.ErrHarness, e.Err}
}

func (c *Cassette) bad(line int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &FileError{File: c.file, Line: line, Problem: err.Error(), Err: errors.Unwrap(err)}
}

// refuse returns the same error as bad and remembers it for Verify.
func (c *Cassette) refuse(line int, format string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault(c.bad(line, format, args...))
}

// MissError reports a request that was not recorded. It wraps core.ErrHarness. Its texts are
// redacted.
type MissError struct {
	File       string
	Name, Path string   // agent (or method and URL) and step
	N          int      // number of the request among equal ones of its run and step
	Recorded   int      // number of equal requests that are recorded
	Asked      string   // request, as JSON
	Line       int      // line of the nearest recording; 0 if there is none of its kind
	Nearest    string   // agent (or method and URL) and step of the nearest recording
	Diff       []string // differences between the nearest recording and the request, by field
}

func (e *MissError) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out, "cassette %s has no recording of request %d of %s\n  asked: %s\n", e.File, e.N, describe(e.Name, e.Path), e.Asked)
	switch {
	case e.Recorded > 0:
		fmt.Fprintf(&out, "  this request is recorded %s and was made more often\n", counted(e.Recorded, "time"))
	case e.Line > 0:
		fmt.Fprintf(&out, "  nearest: line %d, %s\n%s", e.Line, e.Nearest, listed(e.Diff))
	default:
		out.WriteString("  no similar request is recorded\n")
	}
	out.WriteString("Record it again: run once in mode cassette.Record with the real agent. Name fields that change on every run in cassette.IgnoreFields")
	return out.String()
}

// Unwrap returns core.ErrHarness.
func (e *MissError) Unwrap() error { return core.ErrHarness }

// MismatchError reports a real answer that differs from the recorded one. It does not wrap
// core.ErrHarness because it is a finding about the agent: it fails the step. All further calls
// of the run return the same error, since after a difference nothing can be compared.
type MismatchError struct {
	File       string
	Line       int
	Name, Path string
	Diff       []string // differences between the recorded answer and the real one, by field, redacted
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s gave another answer than that recorded in %s:%d\n%s"+
		"If the new answer is right, record it again in mode cassette.Record; name fields that change on every run in cassette.IgnoreFields",
		describe(e.Name, e.Path), e.File, e.Line, listed(e.Diff))
}

// UnusedError reports recordings that no call requested. It wraps core.ErrHarness.
type UnusedError struct {
	File  string
	Of    int      // number of all recordings
	Lines []int    // lines of the unused ones
	What  []string // names and steps of the unused ones, in the order of Lines
}

func (e *UnusedError) Error() string {
	var list []string
	for i, line := range e.Lines {
		list = append(list, fmt.Sprintf("line %d: %s", line, e.What[i]))
	}
	return fmt.Sprintf("cassette %s: %d of %d recordings were not requested\n%s"+
		"Calls are missing, or the pipeline has changed since the recording: record it again", e.File, len(e.Lines), e.Of, listed(list))
}

// Unwrap returns core.ErrHarness.
func (e *UnusedError) Unwrap() error { return core.ErrHarness }

func describe(name, path string) string {
	if method, url, ok := strings.Cut(name, " "); ok && strings.Contains(url, "://") {
		name = method + " " + url
	} else {
		name = fmt.Sprintf("agent %q", name)
	}
	if path != "" {
		name += fmt.Sprintf(", step %q", path)
	}
	return name
}

func (q *interaction) what() string { return describe(q.Name, q.Path) }

// listed returns up to ten of the lines, indented, and the number of the rest.
func listed(lines []string) string {
	var out strings.Builder
	for i, line := range lines {
		if i == 10 {
			fmt.Fprintf(&out, "    and %d more\n", len(lines)-i)
			break
		}
		fmt.Fprintf(&out, "    %s\n", line)
	}
	return out.String()
}

// miss returns the error of a request without a recording. The nearest recording is, in this
// order, one of the same agent or URL, of the same URL at another host, of the same step, and the
// one with the shortest list of differences. mu is held.
func (c *Cassette) miss(q interaction, at slot) *MissError {
	e := &MissError{File: c.file, Name: q.Name, Path: q.Path, N: at.n, Asked: show(q.request(matching{}), "")}
	asked := q.request(c.match)
	var best []int
	for _, t := range c.tracks {
		switch {
		case t.Kind != q.Kind:
			continue
		case t.at.key == at.key:
			e.Recorded++
			continue
		}
		diff := differences("", t.request(c.match), asked)
		name := differ(t.Name, q.Name)
		if from, to := host(t.Name), host(q.Name); name > 0 && strings.Replace(t.Name, from, to, 1) == q.Name {
			diff = append([]string{fmt.Sprintf("host: recorded %s, now %s (AnyHost does not compare it)", from, to)}, diff...)
		} else {
			name *= 2
		}
		far := []int{name, differ(core.PlanPath(t.Path), core.PlanPath(q.Path)), len(strings.Join(diff, "")), differ(t.Path, q.Path), t.line}
		if best == nil || slices.Compare(far, best) < 0 {
			best, e.Line, e.Nearest, e.Diff = far, t.line, t.what(), diff
		}
	}
	if len(e.Diff) == 0 && e.Line > 0 {
		e.Diff = []string{"the same request by another agent or step"}
	}
	return e
}

// host returns the scheme and host of a name that consists of a method and a URL, else "".
func host(name string) string {
	_, address, ok := strings.Cut(name, " ")
	if u, err := url.Parse(address); ok && err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return ""
}

func differ(a, b string) int {
	if a == b {
		return 0
	}
	return 1
}

// failure is a recorded error.
type failure struct {
	Text    string   `json:"text"`
	Timeout bool     `json:"timeout,omitempty"`
	Codes   []string `json:"codes,omitempty"` // see core.Code: the engine decides by them whether to retry
}

func failed(err error) *failure {
	var n net.Error
	var codes []string
	for _, code := range core.AsRecorded(err).Codes {
		if !slices.Contains(unrecordedCodes, code) {
			codes = append(codes, code)
		}
	}
	return &failure{Text: err.Error(), Codes: codes, Timeout: errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()}
}

// unrecordedCodes are codes of errors that a cassette records in another way or not at all.
var unrecordedCodes = append(core.AsRecorded(context.DeadlineExceeded).Codes,
	append(core.AsRecorded(context.Canceled).Codes, string(core.ErrPanic))...)

// replayed returns the recorded error for the caller of a replay.
func (f *failure) replayed() error {
	err := &core.RecordedError{Text: f.Text, Codes: f.Codes}
	if f.Timeout {
		return &timeoutError{err}
	}
	return err
}

// timeoutError is recognised as a timeout by errors.Is and by net.Error, for callers that retry
// only timeouts.
type timeoutError struct{ *core.RecordedError }

func (e *timeoutError) Unwrap() error      { return e.RecordedError }
func (*timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
func (*timeoutError) Timeout() bool        { return true }
