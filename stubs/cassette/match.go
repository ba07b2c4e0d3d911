package cassette

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/stubs/redact"
)

// matching determines which parts of two requests must be equal for the requests to match. It is
// stored in the header of the file because the keys of the lines depend on it.
type matching struct {
	Ignore  []string `json:"ignore,omitempty"`
	Only    []string `json:"only,omitempty"`
	AnyHost bool     `json:"any_host,omitempty"`
	Compare bool     `json:"compare,omitempty"` // with a function, which the file cannot store

	compare func(field, text string) string
}

// IgnoreFields names fields of JSON objects, at any depth, and query parameters that change from
// run to run: they are written but not compared.
func IgnoreFields(names ...string) Option {
	return func(c *Cassette) { c.match.Ignore = append(c.match.Ignore, names...) }
}

// OnlyFields compares only the given fields of the body of a request or of the input of an
// agent, in addition to method, URL and query. The values of these fields are compared entirely.
// Bodies and inputs that are not objects are compared as without this option.
func OnlyFields(names ...string) Option {
	return func(c *Cassette) { c.match.Only = append(c.match.Only, names...) }
}

// AnyHost ignores the scheme, host and port of URLs. The servers of httptest, for example, have
// another port in every run.
func AnyHost() Option { return func(c *Cassette) { c.match.AnyHost = true } }

// Compare normalizes texts of requests for comparison; the file keeps the original texts. f
// receives the path of a field, such as "input.body.messages[].content", and its text. It must be
// deterministic and safe for concurrent use. Several functions are applied in order. [Dates] is
// an example.
func Compare(f func(field, text string) string) Option {
	return func(c *Cassette) {
		before := c.match.compare
		c.match.Compare = true
		c.match.compare = func(field, text string) string {
			if before != nil {
				text = before(field, text)
			}
			return f(field, text)
		}
	}
}

var dates = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?\b|` +
	`\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4}(?: \d{2}:\d{2}:\d{2}(?: GMT| [+-]\d{4})?)?`)

// Dates is a function for [Compare] that makes all dates equal, in the forms 2006-01-02 and
// Mon, 02 Jan 2006, with or without a time.
func Dates(_, text string) string { return dates.ReplaceAllString(text, "date") }

// Passthrough selects requests that are sent to the real server in every mode and are neither
// recorded nor compared, such as metrics or uploads to a server of the test.
func Passthrough(is func(*http.Request) bool) Option {
	return func(c *Cassette) { c.passes = is }
}

// tidy sorts the names and removes duplicates, so that their order does not change the header.
func (m *matching) tidy() {
	slices.Sort(m.Ignore)
	m.Ignore = slices.Compact(m.Ignore)
	slices.Sort(m.Only)
	m.Only = slices.Compact(m.Only)
}

// name returns the form of a name that is compared.
func (m matching) name(name string) string {
	name = redact.Unnamed(name)
	if h := host(name); m.AnyHost && h != "" {
		return strings.Replace(name, h, "http://host", 1)
	}
	return name
}

// request returns the parts of a request that are compared. It may change tree.
func (m matching) request(kind string, tree map[string]any) any {
	if len(m.Only) > 0 && kind == agentKind {
		m.only(tree, "input")
	}
	if in, ok := tree["input"].(map[string]any); ok && len(m.Only) > 0 && kind == httpKind {
		m.only(in, "body")
		m.only(in, "form")
	}
	if m.compare != nil {
		return leaves(tree, "", func(path, s string) string { return m.compare(strings.TrimPrefix(path, "."), s) })
	}
	return tree
}

// only removes all members of the object of[field] except those of OnlyFields.
func (m matching) only(of map[string]any, field string) {
	in, _ := of[field].(map[string]any)
	for name := range in {
		if !slices.Contains(m.Only, name) {
			delete(in, name)
		}
	}
}
