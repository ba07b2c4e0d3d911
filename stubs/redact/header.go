package redact

import (
	"encoding/base64"
	"strings"
)

// schemes of the Authorization header.
var schemes = words(`basic bearer token digest apikey api-key key negotiate ntlm oauth jwt hawk geniekey sharedkey sharedkeylite googlelogin aws aws4-hmac-sha256 splunk
	snowflake ssws zoho-oauthtoken bot client-id pveapitoken sso-key`)

// headerValue looks at the value of Authorization or Cookie, to the end of the line or of the
// quotes around the header.
func (sc *scanner) headerValue(at, v int) int {
	s := sc.s
	stops := "\r\n\"'`\\"
	if from, to, ok := quotedValue(s, v); ok {
		return sc.headerText(at, from, to)
	}
	if s[v] == '[' && markerEnd(s[v:]) == 0 {
		v++
		stops += "]"
	}
	if v < len(s) && (s[v] == '"' || s[v] == '\'') {
		if from, to, ok := quotedValue(s, v); ok {
			return sc.headerText(at, from, to)
		}
		return 0
	}
	if at > 0 && s[at-1] == '\'' {
		stops = "\r\n'"
	} else if at == 0 || s[at-1] != '"' && s[at-1] != '`' {
		if word := s[v:min(len(s), v+7)]; strings.EqualFold(word, "digest ") {
			stops = "\r\n"
		}
	}
	to := near(s, v, stops)
	if next := sc.headerText(at, v, to); next == 0 || to < v+judged {
		return next
	}
	sc.found = sc.found[:len(sc.found)-1]
	return sc.add(v, upTo(s, to, stops), "header")
}

func (sc *scanner) headerText(at, from, to int) int {
	s := sc.s
	for to > from && isSpace(s[to-1]) {
		to--
	}
	v := s[from:to]
	if len(v) < 4 || isPlaceholder(v) || IsMarker(v) || isComplaint(v) {
		return 0
	}
	first, rest, ok := strings.Cut(v, " ")
	switch {
	case s[at]|0x20 == 'c' || s[at]|0x20 == 's': // cookies
		if !strings.Contains(v, "=") && !hasDigit(v) {
			return 0
		}
	case ok && schemes[strings.ToLower(first)]:
		if rest = strings.TrimSpace(rest); rest == "" || isPlaceholder(rest) || IsMarker(rest) || isWord(rest) || !hasDigit(rest) && strings.Contains(rest, " ") {
			return 0
		}
	case !hasDigit(v):
		return 0
	}
	if n := markerEnd(v); n > 0 && strings.Trim(v[n:], " ;,") == "" {
		return 0
	}
	sc.r.learn(v)
	return sc.add(from, to, "header")
}

func (sc *scanner) headerBefore(at int) bool {
	return strings.Contains(strings.ToLower(sc.s[max(0, at-20):at]), "authorization")
}

// scheme looks at the token after "Bearer" or "Basic".
func (sc *scanner) scheme(v int, bearer bool) int {
	s := sc.s
	to := v
	for to < len(s) && (inRun[s[to]] || s[to] == '.' || s[to] == '~' || s[to] == '=') {
		to++
	}
	for to > v && s[to-1] == '.' {
		to--
	}
	x := s[v:to]
	if len(x) < 8 {
		return 0
	}
	if !bearer {
		data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(x, "="))
		if err != nil || !isText(data, false) || !strings.Contains(string(data), ":") {
			return 0
		}
		return sc.give(v, to, "bearer")
	}
	bare := strings.TrimRight(x, "0123456789")
	if len(x)-len(bare) <= 2 && (strings.Trim(bare, "abcdefghijklmnopqrstuvwxyz") == "" || wordy(x)) && (len(bare) < 24 || strings.Contains(bare, "-")) {
		return 0 // "bearer authentication2 works"
	}
	if !hasDigit(x) && len(x) < 20 || strings.ContainsAny(x, "-/._") && !hasDigit(x) {
		return 0
	}
	return sc.give(v, to, "bearer")
}
