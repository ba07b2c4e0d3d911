package redact

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// isContainer reports whether a text looks like a JSON object or array.
func isContainer(s string) bool {
	t := strings.TrimSpace(s)
	return len(t) >= 2 && (t[0] == '{' && t[len(t)-1] == '}' || t[0] == '[' && t[len(t)-1] == ']')
}

// container reports whether a text is a JSON object or array.
func (r *Redactor) container(s string) bool {
	if !isContainer(s) || IsMarker(s) {
		return false
	}
	r.work.add(len(s))
	return json.Valid([]byte(s))
}

// node is a value in the text of a JSON document.
type node struct {
	from, to int
	key      string // name in the object around it
	keyFrom  int    // where that name is, with its quotes; -1 outside of objects
	keyTo    int
	kids     []node
}

// nodes reads the value that begins at or after position at of s, which is valid JSON.
func nodes(s string, at int) node {
	at = skipSpace(s, at)
	n := node{from: at, keyFrom: -1}
	switch s[at] {
	case '{', '[':
		object := s[at] == '{'
		for at = skipSpace(s, at+1); s[at] != '}' && s[at] != ']'; {
			var kid node
			if object {
				end := stringEnd(s, at)
				colon := skipSpace(s, end)
				kid = nodes(s, colon+1)
				kid.key, kid.keyFrom, kid.keyTo = unquote(s[at:end]), at, end
			} else {
				kid = nodes(s, at)
			}
			n.kids = append(n.kids, kid)
			if at = skipSpace(s, kid.to); s[at] == ',' {
				at = skipSpace(s, at+1)
			}
		}
		n.to = at + 1
	case '"':
		n.to = stringEnd(s, at)
	default:
		for n.to = at; n.to < len(s) && strings.IndexByte(",]} \t\r\n", s[n.to]) < 0; n.to++ {
		}
	}
	return n
}

func skipSpace(s string, at int) int {
	for at < len(s) && (s[at] == ' ' || s[at] == '\t' || s[at] == '\n' || s[at] == '\r') {
		at++
	}
	return at
}

// stringEnd is the position after the JSON string that begins at position at.
func stringEnd(s string, at int) int {
	for at++; s[at] != '"'; at++ {
		if s[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func unquote(quoted string) string {
	var s string
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	_ = json.Unmarshal([]byte(quoted), &s) // it is valid
	return s
}

func quote(s string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // strings can be written
	return strings.TrimSuffix(out.String(), "\n")
}

// document finds the secrets of a text that is a JSON value.
func (r *Redactor) document(s string, l layer) []span {
	r.work.add(2 * len(s))
	d := documentReader{r: r, s: s, layer: l.within()}
	d.value(nodes(s, 0), "", noSecret)
	return disjoint(d.found)
}

type documentReader struct {
	r     *Redactor
	s     string
	layer layer
	found []span
}

// value looks at n. hidden is the kind of secret that the names around it make of it.
func (d *documentReader) value(n node, field string, hidden kind) {
	switch d.s[n.from] {
	case '{':
		d.object(n, hidden)
	case '[':
		if k := d.pairOf(n); k != noSecret && hidden == noSecret {
			d.value(n.kids[1], field, k)
			return
		}
		for _, kid := range n.kids {
			d.value(kid, field, hidden)
		}
	case '"':
		d.text(n, field, hidden)
	default:
		c := d.s[n.from]
		if (c == '-' || isDigit(c)) && hidden == password && d.s[n.from:n.to] != "0" {
			d.found = append(d.found, span{n.from, n.to, "0"}) // still a number, for the type it is decoded into
		}
	}
}

// pairOf is the kind of secret in an array of a name and its value: ["x-api-key", "…"].
func (d *documentReader) pairOf(n node) kind {
	if len(n.kids) != 2 || d.s[n.kids[0].from] != '"' || d.s[n.kids[1].from] != '"' {
		return noSecret
	}
	name := unquote(d.s[n.kids[0].from:n.kids[0].to])
	if strings.ContainsAny(name, "{}[]():;,\"'\\/\r\n") {
		return noSecret // a text in which a secret is named: lines of a stream, words of a log
	}
	k := d.r.classify(name)
	if v := unquote(d.s[n.kids[1].from:n.kids[1].to]); k == opaque || k == code || d.r.classify(v) != noSecret || !hasDigit(v) && k != password || len(v) < 4 || isWord(v) || isPlaceholder(v) {
		return noSecret // a list of names
	}
	return k
}

// object looks at the members of an object.
func (d *documentReader) object(n node, hidden kind) {
	member := func(names ...string) (string, bool) {
		for _, kid := range n.kids {
			if d.s[kid.from] == '"' && slices.Contains(names, strings.ToLower(kid.key)) {
				return unquote(d.s[kid.from:kid.to]), true
			}
		}
		return "", false
	}
	has := func(name string) bool {
		return slices.ContainsFunc(n.kids, func(k node) bool { return k.key == name })
	}
	pair := noSecret // {"name": "Authorization", "value": …}
	for _, name := range []string{"name", "key", "field", "header", "path", "id", "property", "variable", "param"} {
		if of, ok := member(name); ok && pair == noSecret {
			pair = d.r.classify(of[strings.LastIndexByte(of, '/')+1:])
		}
	}
	_, login := member("username", "user", "login")
	kindOf, _ := member("type")
	object, _ := member("kind")
	schema := has("$ref") || has("description") && has("type")
	if hidden == token || schema || kindOf == "string" {
		hidden = noSecret // a token of a language, or the description of a field
	}
	jwk := has("kty")
	for _, kid := range n.kids {
		k := hidden
		switch named := d.r.classify(kid.key); {
		case d.r.keep[fold(kid.key)] || keptFields[fold(kid.key)]:
			k = noSecret
		case named == token && has("logprob"): // a piece of text
		case named != noSecret:
			k = named
		case pair != noSecret && strings.EqualFold(kid.key, "value"):
			k = pair
		case login && kid.key == "key" && kid.to-kid.from >= 18 && hasDigit(d.s[kid.from:kid.to]):
			k = key // {"username": "x", "key": "…"}
		case object == "Secret" && (kid.key == "data" || kid.key == "stringData"):
			k = password // of Kubernetes
		case jwk && slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi", "k"}, kid.key):
			k = password
		}
		field := kid.key
		if field == "data" && kindOf == "redacted_thinking" {
			field = "signature" // sealed by the provider, which wants it back as it was
		}
		d.key(kid)
		d.value(kid, field, k)
	}
}

// key looks at the name of a member: it may be a secret itself.
func (d *documentReader) key(n node) {
	if len(n.key) < Shortest {
		return
	}
	l := d.layer
	l.plain = false
	if found := d.r.find(n.key, l); len(found) > 0 {
		d.found = append(d.found, span{n.keyFrom, n.keyTo, quote(cut(n.key, 0, len(n.key), found))})
	}
}

func (d *documentReader) text(n node, field string, hidden kind) {
	if n.to-n.from == 2 {
		return
	}
	s := unquote(d.s[n.from:n.to])
	if hidden != noSecret {
		kindOfToken := hidden == token && fold(field) == "token" && len(s) <= 16 && strings.Trim(s, upperLetters+"_") == "" // of a language: IDENT
		if !IsMarker(s) && !isComplaint(s) && !kindOfToken {
			d.r.learn(s)
			d.found = append(d.found, span{n.from, n.to, `"[redacted:field]"`})
			return
		}
	}
	l := d.layer
	l.plain = d.r.plainName(field)
	if found := d.r.find(s, l); len(found) > 0 {
		if clean := cut(s, 0, len(s), found); clean != s {
			d.found = append(d.found, span{n.from, n.to, quote(clean)})
		}
	}
}
