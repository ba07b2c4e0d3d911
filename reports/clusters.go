package reports

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
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

// matched begins the messages of matchers: they say what was compared, not why it
// went wrong, and two of them are one failure only at one place. So are two panics
// whose stack is not in their message: the place is the first line of it.
var matched = regexp.MustCompile(`(?i)^\s*(expected|error trace|not equal|assert)`)

// clusters puts failures together that say the same.
func clusters(specs []Spec) []Cluster {
	type key struct{ pattern, place string }
	at := map[key]int{}
	var all []Cluster
	for i := range specs {
		s := &specs[i]
		if s.State != Failed {
			continue
		}
		k := key{pattern: pattern(s.Message)}
		if matched.MatchString(s.Message) || k.pattern == "" || s.Detail == "panicked" && !strings.Contains(s.Message, "goroutine ") {
			k.place = where(s.File, s.Line)
		}
		n, ok := at[k]
		if !ok {
			n = len(all)
			at[k] = n
			all = append(all, Cluster{Message: s.Message, Pattern: k.pattern, Place: where(s.File, s.Line)})
		}
		if all[n].Place != where(s.File, s.Line) {
			all[n].Place = ""
		}
		all[n].Specs = append(all[n].Specs, *s)
	}
	slices.SortStableFunc(all, func(x, y Cluster) int { return cmp.Compare(len(y.Specs), len(x.Specs)) })
	return all
}
