package stubs

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// redactor takes secrets out of what a cassette keeps, shows and compares, and
// puts "[redacted:rule]" in their place. To redact twice changes nothing more: a
// replay meets texts that were redacted when they were recorded.
//
// A secret that was found by the name of its field is known from then on, wherever
// it occurs. Not found is what looks like a word: that is what [Secrets] is for.
type redactor struct {
	custom func(string) string
	keep   map[string]bool // folded names whose values are no secrets

	mu      sync.RWMutex
	known   map[string]bool  // values
	lengths map[string][]int // that they have, by their first leastSecret bytes
}

// leastSecret is the length of the shortest value that is looked for wherever it occurs,
// in bytes.
const leastSecret = 8

// secretNames are the folded ends of names whose values are secret.
var secretNames = []string{
	"password", "passwd", "passphrase", "secret", "token", "apikey", "secretkey", "privatekey", "accesskey", "accesskeyid",
	"subscriptionkey", "authorization", "cookie", "credential", "sessionid", "xamzsignature",
}

// plainNames hold what looks random and is no secret: identifiers, digests, payloads.
var plainNames = []string{"id", "ids", "digest", "hash", "checksum", "sha1", "sha256", "sha512", "md5", "etag", "fingerprint", "base64", "signature"}

// fold makes API-Key, api_key and apiKey one name.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, name)
}

func (r *redactor) secretName(name string) bool {
	n := fold(name)
	if r.keep[n] || strings.HasPrefix(name, "[redacted:") {
		return false
	}
	switch n {
	case "pwd", "auth", "bearer", "jwt", "otp", "sig":
		return true
	}
	if !strings.HasSuffix(n, "tokens") { // these are counted, or words
		n = strings.TrimSuffix(n, "s")
	}
	return slices.ContainsFunc(secretNames, func(end string) bool { return strings.HasSuffix(n, end) })
}

func (r *redactor) plainName(name string) bool {
	n := fold(name)
	return r.keep[n] || slices.ContainsFunc(plainNames, func(end string) bool { return strings.HasSuffix(n, end) })
}

// tree redacts a JSON tree, in place where it can. It goes over it twice: a value
// may stand in front of the field that gives it away.
func (r *redactor) tree(v any) any { return r.value(r.value(v, "", false), "", false) }

func (r *redactor) value(v any, field string, secret bool) any {
	switch v := v.(type) {
	case map[string]any:
		_, logprob := v["logprob"] // there a "token" is a piece of text
		pair := false              // {"name": "Authorization", "value": …}
		for _, k := range []string{"name", "key"} {
			s, ok := v[k].(string)
			pair = pair || ok && r.secretName(s)
		}
		if chunks, ok := v["chunks"].([]any); ok {
			r.deltas(chunks)
		}
		for _, k := range sortedKeys(v) {
			hide := secret && !r.keep[fold(k)] || r.secretName(k) && !(logprob && k == "token") || pair && k == "value"
			child := r.value(v[k], k, hide)
			delete(v, k)
			v[cut(k, 0, len(k), r.spans(k, false))] = child
		}
		return v
	case []any:
		for i := range v {
			v[i] = r.value(v[i], field, secret)
		}
		return v
	case string:
		if secret && v != "" && !isMarker(v) {
			r.learn(v)
			return "[redacted:field]"
		}
		return r.text(v, field)
	case number:
		if secret {
			return number("0") // still a number, for the type it is decoded into
		}
	}
	return v
}

// learn makes a value known, if it is long and odd enough not to be a word.
func (r *redactor) learn(value string) {
	if _, rest, ok := strings.Cut(value, " "); ok { // "Bearer …"
		value = rest
	}
	if len(value) >= leastSecret && (len(value) >= 20 || strings.ContainsAny(value, "0123456789")) && !strings.ContainsAny(value, " \t\r\n") {
		r.know(value)
	}
}

func (r *redactor) know(value string) {
	if strings.Contains(value, "[redacted:") {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known, r.lengths = map[string]bool{}, map[string][]int{}
	}
	for _, v := range []string{value, url.QueryEscape(value), url.PathEscape(value)} {
		r.known[v] = true
		if begin := v[:leastSecret]; !slices.Contains(r.lengths[begin], len(v)) {
			r.lengths[begin] = append(r.lengths[begin], len(v))
		}
	}
}

// learned is how many values are known.
func (r *redactor) learned() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.known)
}

// repeated finds known values, in one pass: a file of results may give away many.
func (r *redactor) repeated(s string) (found []span) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.known) == 0 {
		return nil
	}
	for at := 0; at+leastSecret <= len(s); at++ {
		for _, n := range r.lengths[s[at:at+leastSecret]] {
			if at+n <= len(s) && r.known[s[at:at+n]] {
				found = append(found, span{at, at + n, "[redacted:known]"})
			}
		}
	}
	return found
}

// headers makes the secrets of a request known: an answer may repeat them.
func (r *redactor) headers(req *http.Request) {
	for name, values := range req.Header {
		if r.secretName(name) {
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

// text redacts a string, and JSON and events in it.
func (r *redactor) text(s, field string) string {
	if out, ok := eachData(s, func(v any) any { return r.value(v, field, false) }, func(line string) string { return r.text(line, field) }); ok {
		return out
	}
	s = cut(s, 0, len(s), r.spans(s, !r.plainName(field)))
	if r.custom != nil {
		s = r.custom(s)
	}
	return s
}

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

// pattern is a rule for texts: group 1 is the secret, or all of the match where
// there is no group.
type pattern struct {
	name string
	re   *regexp.Regexp
	fits func(s string) bool // nil for always
	keep bool                // the value is known from then on
}

const nameInText = `[a-z0-9_.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|secret[_-]?key|private[_-]?key|access[_-]?key|subscription[_-]?key|session[_-]?id|authorization|cookie|credential)`

var patterns = []pattern{
	{name: "private-key", re: regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\z)`)},
	{name: "jwt", re: regexp.MustCompile(`\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?`)},
	{name: "api-key", re: regexp.MustCompile(`\b(?:sk|gsk|xai|pplx)[-_][\w-]{16,}|\b[rsp]k_(?:live|test)_\w{10,}`), fits: hasDigit},
	{name: "github", re: regexp.MustCompile(`\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bnpm_\w{30,}|\bhf_\w{30,}`)},
	{name: "slack", re: regexp.MustCompile(`\bxox[a-z]-[\w-]{8,}`)},
	{name: "aws", re: regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`)},
	{name: "google", re: regexp.MustCompile(`\bAIza[\w-]{30,}|\bya29\.[\w-]{16,}`)},
	{name: "bearer", re: regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+([a-z0-9+/._~-]{8,}=*)`), keep: true,
		fits: func(s string) bool { return hasDigit(s) || len(s) >= 20 }}, // not "bearer certificates"
	{name: "url-password", re: regexp.MustCompile(`://[^/\s:@"']*:([^/\s@"']+)@`), keep: true},
	{name: "assignment", re: regexp.MustCompile(`(?i)` + nameInText + `\\*["']?\s*(?::=|=>|=|:)\s*\\*["']([^"'\\\n]{4,})`), keep: true},
	{name: "assignment", re: regexp.MustCompile(`(?i)` + nameInText + `\s*[:=]\s*([\w+/=.~!@#$%^*-]{6,})`), keep: true,
		fits: func(s string) bool { return hasDigit(s) && strings.ContainsFunc(s, unicode.IsLetter) }}, // not "token: string"
	{name: "header", re: regexp.MustCompile(`(?i)\b(?:authorization|cookie)\s*:\s*([^\r\n"'\\]{4,})`), fits: hasDigit},
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

var (
	queryParam  = regexp.MustCompile(`[?&]([\w.~%-]+)=([^&\s"'#<>]+)`)
	base64Runs  = []*regexp.Regexp{regexp.MustCompile(`[A-Za-z0-9+/]{16,}={0,2}`), regexp.MustCompile(`[\w-]{16,}={0,2}`)}
	randomToken = regexp.MustCompile(`[\w+/-]{24,}={0,2}`)
	markers     = regexp.MustCompile(`\[redacted(?::[a-z0-9-]+)?\]`)
)

// isMarker reports whether all of s is what took the place of a secret.
func isMarker(s string) bool {
	at := markers.FindStringIndex(s)
	return at != nil && at[0] == 0 && at[1] == len(s)
}

// spans finds what is secret in a text: in order, and none over another. random
// says whether also to look for what is merely random.
func (r *redactor) spans(s string, random bool) []span {
	found := r.repeated(s)
	if suspicious(s) {
		found = append(found, r.ruled(s, random)...)
	}
	return disjoint(found)
}

// ruled finds what the form of a text gives away.
func (r *redactor) ruled(s string, random bool) (found []span) {
	marked := markers.FindAllStringIndex(s, -1)
	add := func(from, to int, rule string, keep bool) {
		within := func(m []int) bool { return m[0] < from && from < m[1] || m[0] == from && m[1] == to }
		if slices.ContainsFunc(marked, within) {
			return // what was redacted, by whatever rule, stays
		}
		found = append(found, span{from, to, "[redacted:" + rule + "]"})
		if keep {
			r.learn(s[from:to])
		}
	}
	for _, p := range patterns {
		for _, m := range p.re.FindAllStringSubmatchIndex(s, -1) {
			from, to := m[len(m)-2], m[len(m)-1]
			if p.fits == nil || p.fits(s[from:to]) {
				add(from, to, p.name, p.keep)
			}
		}
	}
	for _, m := range queryParam.FindAllStringSubmatchIndex(s, -1) {
		if name, err := url.QueryUnescape(s[m[2]:m[3]]); err == nil && r.secretName(name) {
			add(m[4], m[5], "field", true)
		}
	}
	found = append(found, r.encoded(s)...)
	if random {
		for _, m := range randomToken.FindAllStringIndex(s, -1) {
			if isRandom(s[m[0]:m[1]]) {
				add(m[0], m[1], "entropy", false)
			}
		}
	}
	return found
}

// suspicious reports whether any rule could find something: most names of tests are
// words, and there are up to a million of them. A secret has a colon or an equals sign before
// it, or "bearer" or "basic", or is a run of 10 letters, digits and signs at least.
func suspicious(s string) bool {
	run := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == ':' || c == '=' || c >= utf8.RuneSelf: // beyond ASCII a letter may be another's other case
			return true
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_+/-", c) >= 0:
			if run++; run >= 10 {
				return true
			}
			for _, word := range [...]string{"bearer", "basic"} {
				if len(s)-i >= len(word) && strings.EqualFold(s[i:i+len(word)], word) {
					return true
				}
			}
		default:
			run = 0
		}
	}
	return false
}

// disjoint puts spans in order and makes one of those that overlap.
func disjoint(found []span) []span {
	slices.SortStableFunc(found, func(a, b span) int { return a.from - b.from })
	var out []span
	for _, p := range found {
		if last := len(out) - 1; last >= 0 && p.from < out[last].to {
			out[last].to = max(out[last].to, p.to)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// encoded redacts texts within base64, such as a []byte of a Go struct. They stay
// base64, for the type they are decoded into.
func (r *redactor) encoded(s string) (found []span) {
	for _, re := range base64Runs {
		for _, m := range re.FindAllStringIndex(s, -1) {
			if data, enc := base64Text(s[m[0]:m[1]]); enc != nil {
				if text := r.text(data, ""); text != data {
					found = append(found, span{m[0], m[1], enc.EncodeToString([]byte(text))})
				}
			}
		}
	}
	return found
}

// base64Text decodes a text in base64; nothing random is one.
func base64Text(s string) (string, *base64.Encoding) {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if data, err := enc.DecodeString(s); err == nil && utf8.Valid(data) {
			return string(data), enc
		}
	}
	return "", nil
}
