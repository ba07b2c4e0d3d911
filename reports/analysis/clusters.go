package analysis

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// maxPattern is the number of bytes at the start of a message that are compared.
const maxPattern = 2 << 10

// variable contains the parts of a message that may differ between equal failures, in the order in
// which they are replaced.
var variable = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`), "<uuid>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?`), "<time>"},
	{regexp.MustCompile(`0x[0-9a-fA-F]+`), "<address>"},
	{regexp.MustCompile(`(?m)^goroutine \d+ .*$`), "goroutine"},
	{regexp.MustCompile(`(/[\w.@+-]+)+/([\w.@+-]+)`), "$2"}, // keeps only the file name, because folders differ between machines
	{regexp.MustCompile(`"(\\.|[^"\\\n])*"`), `"…"`},
	{regexp.MustCompile("`[^`\n]*`"), "`…`"},
	{regexp.MustCompile(`\b[0-9a-f]{12,64}\b`), "<hash>"},
	{regexp.MustCompile(`\d+([.,]\d+)*`), "#"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// pattern returns a message with its variable parts replaced.
func pattern(message string) string {
	message = message[:min(len(message), maxPattern)]
	for _, v := range variable {
		message = v.what.ReplaceAllString(message, v.by)
	}
	return strings.TrimSpace(message)
}

// addClusters groups the failures of specs and those outside the specs.
func (a *analyzer) addClusters() {
	var failed []*reports.Spec
	for i := range a.a.Outside {
		if o := &a.a.Outside[i]; o.Now {
			spec := o.Spec()
			failed = append(failed, &spec)
		}
	}
	for i := range a.a.Run.Suites.Specs {
		if s := &a.a.Run.Suites.Specs[i]; s.State == reports.Failed {
			failed = append(failed, s)
		}
	}
	a.a.Clusters = Clusters(failed)
}

// caused matches an unexpected error in the message of a matcher or an assertion. That error is the
// cause of the failure, wherever it was checked.
var caused = regexp.MustCompile(`(?is)\b(?:got an error|unexpected error|error occurred)\b[^\n:]{0,40}:\s*(.+)`)

// around matches the lines that testify prints after an error: the name and the messages of the test.
var around = regexp.MustCompile(`(?m)^\s*(Test|Messages):\s.*$`)

// cause returns the unexpected error in a message, or "".
func cause(message string) string {
	m := caused.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	return around.ReplaceAllString(m[1], "")
}

// matched matches the start of messages of matchers and assertions. They contain what was compared
// rather than a cause, so that two failures are equal only if they have the same location, too. The
// same applies to panics whose message contains no stack.
var matched = regexp.MustCompile(`(?i)^\s*(expected|error trace|not equal|assert)`)

// Clusters groups failures with the same message, apart from variable parts. A group has at least two
// failures.
func Clusters(specs []*reports.Spec) []Cluster {
	type key struct{ pattern, place string }
	at := map[key]int{}
	var all []Cluster
	for _, s := range specs {
		if s.State != reports.Failed {
			continue
		}
		k := key{pattern: pattern(s.Message)}
		if why := cause(s.Message); why != "" {
			k.pattern = pattern(why)
		} else if matched.MatchString(s.Message) || k.pattern == "" || s.Detail == "panicked" && !strings.Contains(s.Message, "goroutine ") {
			k.place = text.Where(s.File, s.Line)
		}
		n, ok := at[k]
		if !ok {
			n = len(all)
			at[k] = n
			all = append(all, Cluster{Message: s.Message, Pattern: k.pattern, Place: text.Where(s.File, s.Line)})
		}
		if all[n].Place != text.Where(s.File, s.Line) {
			all[n].Place = ""
		}
		all[n].Specs = append(all[n].Specs, s)
	}
	all = slices.DeleteFunc(all, func(c Cluster) bool { return len(c.Specs) < 2 })
	slices.SortStableFunc(all, func(x, y Cluster) int { return cmp.Compare(len(y.Specs), len(x.Specs)) })
	return all
}
