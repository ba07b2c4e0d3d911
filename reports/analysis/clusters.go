package analysis

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// maxPattern is the bytes of a message that two failures must share the pattern of.
const maxPattern = 2 << 10

// Parts of a message that differ from run to run, in the order in which they are
// taken out.
var variable = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`), "<uuid>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?`), "<time>"},
	{regexp.MustCompile(`0x[0-9a-fA-F]+`), "<address>"},
	{regexp.MustCompile(`(?m)^goroutine \d+ .*$`), "goroutine"},
	{regexp.MustCompile(`(/[\w.@+-]+)+/([\w.@+-]+)`), "$2"}, // folders differ between machines
	{regexp.MustCompile(`"(\\.|[^"\\\n])*"`), `"…"`},
	{regexp.MustCompile("`[^`\n]*`"), "`…`"},
	{regexp.MustCompile(`\b[0-9a-f]{12,64}\b`), "<hash>"},
	{regexp.MustCompile(`\d+([.,]\d+)*`), "#"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// pattern is a message with all that varies taken out.
func pattern(message string) string {
	if len(message) > maxPattern {
		message = message[:maxPattern]
	}
	for _, v := range variable {
		message = v.what.ReplaceAllString(message, v.by)
	}
	return strings.TrimSpace(message)
}

// addClusters groups what failed, in the specs and outside of them.
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

// caused begins the part of a message that another error has put there: of a matcher that
// expected no error. That error is the cause, wherever it was noticed.
var caused = regexp.MustCompile(`(?is)\b(?:got an error|unexpected error|error occurred)\b[^\n:]{0,40}:\s*(.+)`)

// around is what testify prints behind an error: the name of the test, and its own words.
var around = regexp.MustCompile(`(?m)^\s*(Test|Messages):\s.*$`)

// cause is the error that a message passes on, "" where it has none.
func cause(message string) string {
	m := caused.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	return around.ReplaceAllString(m[1], "")
}

// matched begins the messages of matchers: they say what was compared, not why it
// went wrong, and two of them are one failure only at one place. So are two panics
// whose stack is not in their message: the place is the first line of it.
var matched = regexp.MustCompile(`(?i)^\s*(expected|error trace|not equal|assert)`)

// Clusters puts failures together that say the same: two at least make a group.
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
