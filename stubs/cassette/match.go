package cassette

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/stubs/redact"
)

// matching says which parts of two requests make them the same. It is in the header of the
// file, since the keys of the lines follow from it.
type matching struct {
	Ignore  []string `json:"ignore,omitempty"`
	Only    []string `json:"only,omitempty"`
	AnyHost bool     `json:"any_host,omitempty"`
	Compare bool     `json:"compare,omitempty"` // by a function, which the file does not have

	compare func(field, text string) string
}

// IgnoreFields names fields of JSON objects and query parameters, at any depth, that
// change from run to run: they are written but not compared.
func IgnoreFields(names ...string) Option {
	return func(c *Cassette) { c.match.Ignore = append(c.match.Ignore, names...) }
}

// OnlyFields compares nothing but the given fields of the body of a request, or of the
// input of an agent, next to method, URL and query. What is within them is compared as a
// whole. Bodies and inputs that are no objects are compared as ever.
func OnlyFields(names ...string) Option {
	return func(c *Cassette) { c.match.Only = append(c.match.Only, names...) }
}

// AnyHost does not compare scheme, host and port of URLs: servers of httptest have another
// port in every run.
func AnyHost() Option { return func(c *Cassette) { c.match.AnyHost = true } }

// Compare changes texts of requests before they are compared; what is written stays. f is
// given the path of the field, such as "input.body.messages[].content", and its text. It
// must always return the same for the same, and may be called concurrently. Several are
// applied in order. [Dates] is one.
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

// Dates is for [Compare]: all dates of the form 2006-01-02, with or without a time, and of
// the form Mon, 02 Jan 2006 are the same.
func Dates(_, text string) string { return dates.ReplaceAllString(text, "date") }

// Passthrough names requests that go to the real server in every mode, and are neither
// recorded nor compared: uploads to a server of the test, metrics.
func Passthrough(is func(*http.Request) bool) Option {
	return func(c *Cassette) { c.passes = is }
}

// tidy puts the names in order.
func (m *matching) tidy() {
	slices.Sort(m.Ignore)
	m.Ignore = slices.Compact(m.Ignore)
	slices.Sort(m.Only)
	m.Only = slices.Compact(m.Only)
}

// name is a name as it is compared.
func (m matching) name(name string) string {
	name = redact.Unnamed(name)
	if h := host(name); m.AnyHost && h != "" {
		return strings.Replace(name, h, "http://host", 1)
	}
	return name
}

// request makes of the tree of a request what is compared.
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

// only keeps the named members of an object within another one.
func (m matching) only(of map[string]any, field string) {
	in, _ := of[field].(map[string]any)
	for name := range in {
		if !slices.Contains(m.Only, name) {
			delete(in, name)
		}
	}
}
