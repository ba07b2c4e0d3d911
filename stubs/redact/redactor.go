package redact

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Shortest is the length, in bytes, of the shortest value that is looked for wherever it
// occurs. Shorter ones would be found where they are none.
const Shortest = 8

// Redactor takes secrets out of texts. Its zero value is ready to use. KeepFields and
// AddRule must be called before the first text; all other methods may be called by several
// goroutines at once.
type Redactor struct {
	keep map[string]bool // folded names whose values are no secrets
	rule func(string) string
	known
	work workCounter
}

// KeepFields names fields and query parameters whose values are no secrets although their
// names look so. Values of a known form are redacted even there.
func (r *Redactor) KeepFields(names ...string) {
	if r.keep == nil {
		r.keep = map[string]bool{}
	}
	for _, n := range names {
		r.keep[fold(n)] = true
	}
}

// AddRule adds a rule that is given every text after all other rules. It must not change what
// it has redacted, and may be called concurrently.
func (r *Redactor) AddRule(rule func(text string) string) { r.rule = rule }

// Text returns s without the secrets in it.
func (r *Redactor) Text(s string) string { return r.Field("", s) }

// Field returns s, the value of a field of that name, without the secrets in it. In fields
// that hold identifiers or digests nothing is redacted for looking random. The name does not
// make the value a secret.
func (r *Redactor) Field(name, s string) string {
	return r.settle(s, func(s string) []span { return r.find(s, layer{plain: r.plainName(name)}) })
}

// JSON returns a JSON value without the secrets in it, as JSON of the same shape. The caller
// must have checked that data is JSON.
func (r *Redactor) JSON(data []byte) []byte {
	return []byte(r.settle(string(data), func(s string) []span { return r.document(s, layer{}) }))
}

// Pieces redacts one text that comes in pieces, such as the answer of a model. A secret may
// lie across several pieces, or its name in one and its value in the next: the marker stands
// in the piece in which the secret begins. random says whether to redact what merely looks
// random.
func (r *Redactor) Pieces(pieces []string, random bool) []string {
	whole := strings.Join(pieces, "")
	found := r.find(whole, layer{plain: !random})
	out, at := make([]string, len(pieces)), 0
	for i, piece := range pieces {
		out[i] = cut(whole, at, at+len(piece), found)
		at += len(piece)
	}
	return out
}

// Request makes the secrets of a request known: an answer may repeat them.
func (r *Redactor) Request(req *http.Request) {
	for name, values := range req.Header {
		if k := r.classify(name); k != noSecret {
			for _, v := range values {
				r.learn(v)
			}
		}
	}
	for _, cookie := range req.Cookies() {
		r.learn(cookie.Value)
	}
	if _, password, _ := req.BasicAuth(); password != "" {
		r.learn(password)
	}
	if password, ok := req.URL.User.Password(); ok {
		r.learn(password)
	}
}

// mostPasses bounds how often a text is redacted again after something was found in it: what
// was learned may stand in front of the name that gave it away.
const mostPasses = 4

// settle redacts s until nothing more is found, so that redacting it again changes nothing.
// A text that does not settle is replaced as a whole.
func (r *Redactor) settle(s string, find func(string) []span) string {
	for range mostPasses {
		found := find(s)
		if len(found) == 0 {
			return s
		}
		next := cut(s, 0, len(s), found)
		if next == s {
			return s
		}
		s = next
	}
	if found := find(s); len(found) == 0 || cut(s, 0, len(s), found) == s {
		return s
	}
	if isContainer(s) || strings.HasPrefix(s, `"`) {
		return `"[redacted:text]"`
	}
	return "[redacted:text]"
}

// layer says what a text is part of.
type layer struct {
	depth int  // encodings around it
	plain bool // it is the value of a field in which random text is no sign of a secret
}

func (l layer) within() layer { return layer{depth: l.depth + 1} }

// mostDepth is how many encodings may lie around a text for it to be opened further.
const mostDepth = 8

// span is a part of a text and what takes its place.
type span struct {
	from, to int
	with     string
}

// cut returns the part of s from a to b with its spans replaced. A span that begins
// before a has been replaced there.
func cut(s string, a, b int, spans []span) string {
	var out strings.Builder
	for _, p := range spans {
		if p.to <= a || p.from >= b {
			continue
		}
		if p.from >= a {
			out.WriteString(s[a:p.from] + p.with)
		}
		a = min(p.to, b)
	}
	return out.String() + s[a:b]
}

// disjoint puts spans in order and makes one of those that overlap. A marker wins over a
// text that was encoded anew.
func disjoint(found []span) []span {
	slices.SortStableFunc(found, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	out := found[:0]
	for _, p := range found {
		last := len(out) - 1
		if last < 0 || p.from >= out[last].to {
			out = append(out, p)
			continue
		}
		if !IsMarker(out[last].with) && (IsMarker(p.with) || p.to > out[last].to) {
			out[last].with = "[redacted:encoded]"
			if IsMarker(p.with) {
				out[last].with = p.with
			}
		}
		out[last].to = max(out[last].to, p.to)
	}
	return out
}

var markers = regexp.MustCompile(`\[redacted(?::[a-z0-9-]+)?\]`)

// Unnamed returns s with every marker written "[redacted]". Which rule finds a secret may
// depend on what was known by then; texts that are compared must not.
func Unnamed(s string) string {
	if !strings.Contains(s, "[redacted:") {
		return s
	}
	return markers.ReplaceAllString(s, "[redacted]")
}

// IsMarker reports whether all of s is what took the place of a secret.
func IsMarker(s string) bool {
	return strings.HasPrefix(s, "[redacted") && markerEnd(s) == len(s)
}

// markerEnd is the length of the marker that s begins with, or 0.
func markerEnd(s string) int {
	rest, ok := strings.CutPrefix(s, "[redacted")
	if !ok {
		return 0
	}
	if rest != "" && rest[0] == ':' {
		n := 1
		for n < len(rest) && (isLower(rest[n]) || isDigit(rest[n]) || rest[n] == '-') {
			n++
		}
		if n == 1 {
			return 0
		}
		rest = rest[n:]
	}
	if rest == "" || rest[0] != ']' {
		return 0
	}
	return len(s) - len(rest) + 1
}
