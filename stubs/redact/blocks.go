package redact

import "strings"

// blockMost is how many bytes of a block after its head are looked at.
const blockMost = 2048

// blockNames head blocks of YAML all of whose values are secrets.
var blockNames = words(`secrets secret credentials creds passwords tokens stringdata apikeys api_keys api-keys secretdata secret_data`)

// blockPlain are names in such a block whose values are none.
var blockPlain = words(`username user users name type host hostname port url uri id ids email kind namespace region file external environment source target key keys enabled path engine backend
	version labels annotations apiversion driver mode provider store ref optional description secretname items defaultmode method realm login account database db_name`)

// block looks at a block of YAML that begins at the line end after position at: "credentials:" with
// its values, or the data of a Secret of Kubernetes.
func (sc *scanner) yamlBlock(at, end int) {
	s := sc.s
	if end >= len(s) || s[end] != ':' || at < sc.blockEnd || !lineStart(s, at) {
		return
	}
	eol := skipBlank(s, end+1)
	if eol >= len(s) || s[eol] != '\n' && s[eol] != '\r' {
		return
	}
	name := strings.ToLower(s[at:end])
	whole := name == "data" && sc.inSecret(at)
	if !whole && !blockNames[name] {
		return
	}
	indent := sc.indent(at)
	from := eol
	stop := min(len(s), eol+blockMost)
	sc.r.work.add(stop - from)
	for from < stop {
		for from < stop && (s[from] == '\n' || s[from] == '\r') {
			from++
		}
		to := upTo(s[:stop], from, "\r\n")
		first := from
		for first < to && (s[first] == ' ' || s[first] == '\t') {
			first++
		}
		if first-from <= indent || first == to {
			break
		}
		sc.blockLine(first, to, whole)
		from = to
	}
	sc.blockEnd = from
}

// blockLine looks at "name: value" between two positions.
func (sc *scanner) blockLine(from, to int, whole bool) {
	s := sc.s
	line := s[from:to]
	name, _, ok := strings.Cut(line, ": ")
	if !ok {
		return
	}
	from, to = trimmed(s, from+len(name)+2, to)
	if from < to && (s[from] == '"' || s[from] == '\'') && s[to-1] == s[from] && to-from > 1 {
		from, to = from+1, to-1
	}
	name = strings.ToLower(strings.Trim(name, " -\"'"))
	if v := s[from:to]; len(v) >= 3 && (whole || !blockPlain[name] && hasLetter(v) && v[0] != '{' && v[0] != '[' && v[0] != '&' && v[0] != '*' && v[0] != '|' && v[0] != '>' && !strings.ContainsAny(name, " (")) &&
		(whole || !strings.Contains(v, " ")) && !isPlaceholder(v) && !IsMarker(v) && !isWord(v) {
		sc.later(from, to, "field")
	}
}

func (sc *scanner) indent(at int) int {
	n := 0
	for n < at && n < 64 && sc.s[at-n-1] == ' ' {
		n++
	}
	return n
}

// inSecret reports whether the object of Kubernetes around position at is a Secret.
func (sc *scanner) inSecret(at int) bool {
	s := sc.s[max(0, at-longestCommand):min(len(sc.s), at+longestCommand)]
	sc.r.work.add(len(s))
	return strings.Contains(s, "kind: Secret\n") || strings.HasSuffix(s, "kind: Secret")
}

// declared looks at variable "db_password" { default = "x" } and output "token" { value = "x" }.
func (sc *scanner) declared(at, end int) {
	s := sc.s
	if w := s[at:end]; w != "variable" && w != "output" && w != "parameter" {
		return
	}
	from, to, ok := quotedValue(s, skipBlank(s, end))
	if !ok || to-from > longestName {
		return
	}
	k := sc.r.classify(s[from:to])
	open := skipBlank(s, to+1)
	if k == noSecret || open >= len(s) || s[open] != '{' {
		return
	}
	body := s[open:min(len(s), open+longestCommand)]
	sc.r.work.add(len(body))
	if i := strings.Index(body, "\n}"); i >= 0 {
		body = body[:i]
	}
	for _, name := range []string{"default", "value"} {
		i := strings.Index(body, name)
		if i < 0 {
			continue
		}
		eq := skipBlank(s, open+i+len(name))
		if eq >= len(s) || s[eq] != '=' {
			continue
		}
		if from, to, ok := quotedValue(s, skipBlank(s, eq+1)); ok && sc.acceptLiteral(s[from:to], k) {
			sc.later(from, to, "field")
		}
	}
}
