package cassette

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs/redact"
)

// Altered is a place in an answer whose value was redacted.
type Altered struct {
	Line   int    // of the recording in the file
	What   string // agent, or method and URL, and step
	Path   string // in the answer: "output.token", "body.choices[].text", "chunks[].delta.text", "error"
	Values int    // number of values redacted there, summed over the elements of arrays and over events
}

// AlteredError reports answers that contained secrets: because these were redacted, a replay
// returns something other than the recorded agent did. It wraps core.ErrHarness. [AllowAltered]
// turns it off.
type AlteredError struct {
	File    string
	Altered []Altered
}

func (e *AlteredError) Error() string {
	var list []string
	for _, a := range e.Altered {
		list = append(list, fmt.Sprintf("line %d: %s: %s (%s)", a.Line, a.What, a.Path, counted(a.Values, "value")))
	}
	return fmt.Sprintf("cassette %s: secrets were redacted in answers, so a replay differs from what the agent returned\n%s"+
		"Name fields that hold no secrets in KeepFields; if the secrets are real and the test does not need them, use AllowAltered", e.File, listed(list))
}

// Unwrap returns core.ErrHarness.
func (e *AlteredError) Unwrap() error { return core.ErrHarness }

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// AllowAltered accepts that replays return "[redacted:rule]" in place of secrets. Without it,
// Close of a recording and [Cassette.Verify] report them as an [*AlteredError]; Close still
// writes the file.
func AllowAltered() Option { return func(c *Cassette) { c.allowAltered = true } }

// alterations counts altered values by their path.
type alterations map[string]int

// alteredPlaces returns the places where the recorded answer of q differs from the live one. If
// known is false, the live answer is not available, and the places are those with a marker.
func alteredPlaces(q *interaction, live []byte, liveErr error, known bool, line int) (list []Altered) {
	found := alterations{}
	if q.Error != nil {
		before := q.Error.Text
		if known && liveErr != nil {
			before = liveErr.Error()
		}
		found.walk("error", before, q.Error.Text, known)
	} else {
		root := ""
		if q.Kind == agentKind {
			root = "output"
		}
		after, err := parse(q.Output)
		if err != nil {
			return nil // reported where it is read
		}
		before := any(nil)
		if known {
			if before, err = parse(live); err != nil {
				return nil
			}
		}
		found.walk(root, before, after, known)
	}
	for path, n := range found {
		list = append(list, Altered{line, q.what(), strings.TrimPrefix(path, "."), n})
	}
	slices.SortFunc(list, func(a, b Altered) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

func (a alterations) walk(path string, before, after any, known bool) {
	switch after := after.(type) {
	case map[string]any:
		was, _ := before.(map[string]any)
		for _, k := range sortedKeys(after) {
			old, same := was[k]
			if hasMarker(k) && !same {
				a[path+".(name)"]++
				continue
			}
			a.walk(path+"."+k, old, after[k], known && same)
		}
	case []any:
		was, _ := before.([]any)
		for i, v := range after {
			if i < len(was) {
				a.walk(path+"[]", was[i], v, known)
			} else {
				a.walk(path+"[]", nil, v, false)
			}
		}
	case string:
		a.text(path, before, after, known)
	default:
		if known && string(canonical(before)) != string(canonical(after)) {
			a[path]++
		}
	}
}

// text compares two texts. JSON and the data lines of events in them are compared by field.
func (a alterations) text(path string, before any, after string, known bool) {
	was, isText := before.(string)
	if known && isText && was == after || !known && !hasMarker(after) {
		return
	}
	if tree, ok := parseContainer(after); ok {
		old, _ := parseContainer(was)
		a.walk(path, old, tree, known)
		return
	}
	if lines, old := dataLines(after), dataLines(was); len(lines) > 0 && (!known || len(lines) == len(old)) {
		for i, tree := range lines {
			if known {
				a.walk(path, old[i], tree, true)
			} else {
				a.walk(path, nil, tree, false)
			}
		}
		return
	}
	a[path]++
}

// dataLines returns the JSON values of the data lines of server-sent events.
func dataLines(s string) (trees []any) {
	for line := range strings.Lines(s) {
		if data, ok := strings.CutPrefix(line, "data:"); ok {
			if tree, ok := parseContainer(data); ok {
				trees = append(trees, tree)
			}
		}
	}
	return trees
}

// hasMarker reports whether a text contains a marker that redaction writes.
func hasMarker(s string) bool {
	return strings.Contains(s, "[redacted") && redact.Unnamed(s) != strings.ReplaceAll(redact.Unnamed(s), "[redacted]", "")
}
