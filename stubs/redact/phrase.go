package redact

import (
	"strings"
)

// separate looks for a value that only white space separates from its name.
func (sc *scanner) separate(at, end int) int {
	s := sc.s
	if end >= len(s) || s[end] != ' ' && s[end] != '\t' && s[end] != '(' {
		return 0
	}
	w := s[at:end]
	v := skipBlank(s, end)
	if v >= len(s) {
		return 0
	}
	if w[0] == '-' && len(w) > 2 && (at == 0 || strings.IndexByte(" \t\n\"'`[({|=\\", s[at-1]) >= 0) {
		return sc.option(w, v)
	}
	if !mayBeSecret(w) {
		return 0
	}
	if s[end] == '(' {
		if w == "PASSWORD" {
			if from, to, ok := quotedValue(s, end+1); ok {
				return sc.give(from, to, "assignment")
			}
		}
		return 0
	}
	switch k := sc.r.classify(w); {
	case k == noSecret || k == header:
		return 0
	case typed(s, v) > 0: // password string = "x"
		if from, to, ok := quotedValue(s, skipBlank(s, typed(s, v))); ok && sc.accept(w, k, s[from:to], quoted) {
			return sc.give(from, to, "assignment")
		}
	case k == password && strings.HasPrefix(s[v:], "is "):
		from, to, ok := quotedValue(s, skipBlank(s, v+3))
		if !ok {
			from, to = skipBlank(s, v+3), valueEnd(s, skipBlank(s, v+3))
		}
		if x := s[from:to]; x != "" && len(x) >= 4 && !isPlaceholder(x) && !IsMarker(x) && !isWord(x) && !isComplaint(x) && (ok || hasDigit(x) && hasLetter(x)) {
			return sc.give(from, to, "assignment")
		}
	case k == password && s[v] == '\'' && sc.sqlBefore(at, w):
		if from, to, ok := quotedValue(s, v); ok && !isWord(s[from:to]) {
			return sc.give(from, to, "assignment")
		}
	case k == password && (w == "password" || w == "passwd") && sc.login >= 0 && at-sc.login < lookBehind:
		to := valueEnd(s, v)
		if to > v && !isPlaceholder(s[v:to]) && !isWord(s[v:to]) && (sc.netrc(at) || hasDigit(s[v:to])) {
			return sc.give(v, to, "assignment")
		}
	case k == password && (strings.ContainsAny(w, "_-") || at > 0 && s[at-1] == ':') && (s[v] == '"' || s[v] == '\''):
		if from, to, ok := quotedValue(s, v); ok && sc.acceptLiteral(s[from:to], k) { // (setq smtp-password "x")
			return sc.give(from, to, "assignment")
		}
	case k == password && s[end] == '\t' && (at == 0 || s[at-1] == '\t' || s[at-1] == '\n'): // cells of a row
		if to := valueEnd(s, v); restBlank(s, to) && to-v >= 4 && sc.spoken(s[v:to]) && !metaWords[strings.ToLower(s[v:to])] && (to >= len(s) || s[to] != '\t') {
			return sc.give(v, to, "assignment")
		}
	case lineStart(s, at) && restBlank(s, valueEnd(s, v)) && (strings.ContainsAny(w, "_.") || w == "requirepass" || w == "masterauth" || w == "rootpw" || w == "bindpw"):
		if to := valueEnd(s, v); to > v && sc.accept(w, k, s[v:to], line) { // a setting: requirepass x
			return sc.give(v, to, "assignment")
		}
	case strings.ContainsAny(w, "_-.") && afterAny(s[max(0, at-40):at], " set ", " config ", " --secret "): // aws configure set aws_secret_access_key x
		if to := valueEnd(s, v); to > v && sc.accept(w, k, s[v:to], tight) {
			return sc.give(v, to, "assignment")
		}
	case k == password && (w == "aws_secret_access_key" || strings.HasPrefix(s[max(0, at-5):at], " set ")):
		if to := valueEnd(s, v); to > v && sc.accept(w, k, s[v:to], tight) {
			return sc.give(v, to, "assignment")
		}
	}
	return 0
}

// netrc reports whether a machine and its login stand before position at.
func (sc *scanner) netrc(at int) bool {
	before := sc.s[max(0, at-lookBehind):at]
	return strings.Contains(before, "machine ") && strings.Contains(before, "login ") || strings.Contains(before, "default login")
}

// sqlBefore reports whether a word of SQL stands before a password.
func (sc *scanner) sqlBefore(at int, w string) bool {
	if w == "PASSWORD" || w == "SECRET" {
		return true
	}
	switch strings.ToLower(lastWord(strings.TrimRight(sc.s[max(0, at-20):at], " "))) {
	case "with", "encrypted", "unencrypted", "user", "role", "login", "identified", "set":
		return true
	}
	return false
}

// option looks for the argument of an option: --password x.
func (sc *scanner) option(w string, v int) int {
	s := sc.s
	k := sc.r.classify(w)
	if rest, ok := strings.CutPrefix(w, "-pp"); ok && strings.HasPrefix(rest, "ass") { // -p with a stand-in: 7za a -ppassword f
		return 0
	}
	if strings.HasSuffix(w, "-fd") || strings.HasSuffix(w, "-command") { // where the secret comes from
		return 0
	}
	if to := valueEnd(s, v); k == noSecret && strings.HasSuffix(w, "-key") && to-v >= 24 && isDrawn(s[v:to]) {
		return sc.give(v, to, "assignment")
	}
	if k == noSecret || k == header {
		return sc.userOption(w, v)
	}
	from, to, ok := quotedValue(s, v)
	if !ok {
		from, to = v, valueEnd(s, v)
	}
	if to <= from || s[from] == '-' || s[from] == '|' || s[from] == '=' {
		return 0
	}
	arg := s[from:to]
	if isPlaceholder(arg) || IsMarker(arg) || !ok && (isWord(arg) || optionProse[strings.ToLower(arg)] || isCode(arg)) || isComplaint(arg) {
		return 0
	}
	return sc.give(from, to, "assignment")
}

// optionProse are words that follow an option in a sentence about it.
var optionProse = words(`flag flags option options instead argument arguments value values then will would can could needs need takes sets gives used use uses which where because
	only before after without does do did are be were requires until unless also but so it its as on per via into over more than once both either`)

// userOption looks for a password after the user: -u user:x, --user user:x.
func (sc *scanner) userOption(w string, v int) int {
	switch w {
	case "--user", "--proxy-user", "--username", "--auth", "--creds":
		return sc.userAndPassword(v)
	}
	return 0
}

func (sc *scanner) userAndPassword(v int) int {
	s := sc.s
	from, to, ok := quotedValue(s, v)
	if !ok {
		from, to = v, valueEnd(s, v)
	}
	user, pass, ok := strings.Cut(s[from:to], ":")
	if !ok || user == "" || pass == "" || isPlaceholder(pass) || IsMarker(pass) || !hasLetter(pass) && len(pass) < 6 || strings.HasPrefix(pass, "//") {
		return 0
	}
	return sc.give(to-len(pass), to, "assignment")
}

// keyword looks at words that say that a secret follows. at to end is the word, after which
// something stands.
func (sc *scanner) keyword(at, end int) int {
	s := sc.s
	w := s[at:end]
	v := skipBlank(s, end)
	if v >= len(s) {
		return 0
	}
	if w[0] == '-' && len(w) >= 2 && w[1] != '-' && s[end] != ':' && s[end] != '=' {
		return sc.shortOption(at, end, v)
	}
	if s[end] == ':' {
		return sc.colons(at, end)
	}
	switch len(w) {
	case 4, 5, 6, 7, 8, 10:
	default:
		return 0
	}
	if to := sc.protocol(at, end, v); to > 0 {
		return to
	}
	switch strings.ToLower(w) {
	case "bearer":
		if strings.HasSuffix(s[max(0, at-5):at], "type=") { // token_type=bearer
			return 0
		}
		return sc.scheme(v, true)
	case "basic":
		return sc.scheme(v, false)
	case "machine", "login":
		sc.login = at
		if w == "LOGIN" && at >= 2 && at < 12 && strings.IndexByte(s[:at-1], ' ') < 0 { // a1 LOGIN bob x
			return sc.lastArgument(v, 2)
		}
	case "identified":
		if before := strings.ToLower(lastWord(strings.TrimRight(s[max(0, at-20):at], " "))); before == "is" || before == "are" || before == "be" || before == "was" || before == "were" {
			return 0
		}
		return sc.identifiedBy(v)
	case "token", "apikey", "api-key":
		to := valueEnd(s, v)
		if x := s[v:to]; len(x) >= 20 && hasDigit(x) && hasLetter(x) && !wordy(x) && sc.headerBefore(at) {
			return sc.give(v, to, "bearer")
		}
	case "pass", "auth":
		if w[0] == 'P' && w[1] == 'A' && at > 0 && s[at-1] == '\n' && userLineBefore(s, at) {
			return sc.give(v, upTo(s, v, "\r\n"), "assignment")
		}
		if w == "AUTH" && s[end] == ' ' && (at < 3 || s[at-1] == '\n' || s[at-2] == '>') {
			return sc.authCommand(v)
		}
	}
	return 0
}

// userLineBefore reports whether the line before position at is a USER command.
func userLineBefore(s string, at int) bool {
	before := strings.TrimRight(s[max(0, at-80):at], "\r\n")
	line := strings.TrimPrefix(before[strings.LastIndexByte(before, '\n')+1:], "C: ")
	return strings.HasPrefix(line, "USER ") || strings.HasPrefix(line, "+OK")
}

// authCommand looks at AUTH of SMTP and Redis.
func (sc *scanner) authCommand(v int) int {
	s := sc.s
	for _, method := range []string{"PLAIN ", "LOGIN ", "XOAUTH2 "} {
		if rest, ok := strings.CutPrefix(s[v:], method); ok {
			from := len(s) - len(rest)
			if to := valueEnd(s, from); to-from >= 12 {
				return sc.give(from, to, "assignment")
			}
		}
	}
	return sc.lastArgument(v, 2)
}

// lastArgument marks the last of at most so many words from position v to the end of the line.
func (sc *scanner) lastArgument(v, most int) int {
	s := sc.s
	for range most {
		to := valueEnd(s, v)
		if to == v {
			return 0
		}
		if restBlank(s, to) {
			if x := s[v:to]; len(x) >= 4 && (hasLetter(x) || len(x) >= 6) && sc.spoken(x) && !optionProse[strings.ToLower(x)] {
				return sc.give(v, to, "assignment")
			}
			return 0
		}
		v = skipBlank(s, to)
	}
	return 0
}

// identifiedBy looks at IDENTIFIED [WITH plugin] BY 'x'.
func (sc *scanner) identifiedBy(v int) int {
	s := sc.s
	rest := s[v:min(len(s), v+80)]
	by := 0
	if len(rest) > 3 && strings.EqualFold(rest[:3], "by ") {
		by = v + 3
	} else if len(rest) > 5 && strings.EqualFold(rest[:5], "with ") {
		for _, word := range []string{" by ", " BY ", " as ", " AS "} {
			if i := strings.Index(rest, word); i >= 0 {
				by = v + i + 4
			}
		}
	}
	if by == 0 {
		return 0
	}
	from := skipBlank(s, by)
	for _, word := range []string{"PASSWORD ", "VALUES "} {
		if strings.HasPrefix(s[from:], word) {
			from = skipBlank(s, from+len(word))
		}
	}
	if from, to, ok := quotedValue(s, from); ok {
		return sc.give(from, to, "assignment")
	}
	if to := valueEnd(s, from); to > from && s[v] == 'B' && !isPlaceholder(s[from:to]) && (hasDigit(s[from:to]) || to == len(s) || s[to] != ' ' || !isLower(s[skipBlank(s, to)-b2i(skipBlank(s, to) == len(s))])) {
		return sc.give(from, to, "assignment")
	}
	return 0
}

// shortOption looks at -pass of OpenSSL, and at -u user:x of a program that is not known.
func (sc *scanner) shortOption(at, end, v int) int {
	s := sc.s
	switch w := s[at:end]; w {
	case "-passin", "-passout", "-pass":
		if s[v] == '"' || s[v] == '\'' {
			if from, to, ok := quotedValue(s, v); ok && strings.HasPrefix(s[from:to], "pass:") {
				return sc.give(from+len("pass:"), to, "assignment")
			}
		}
		if strings.HasPrefix(s[v:], "pass:") {
			if from, to, ok := quotedValue(s, v+len("pass:")); ok {
				return sc.give(from, to, "assignment")
			}
			return sc.give(v+len("pass:"), valueEnd(s, v), "assignment")
		}
	case "-u":
		_, pass, ok := strings.Cut(s[v:valueEnd(s, v)], ":")
		if ok && (at == 0 || s[at-1] == ' ') && hasDigit(pass) && hasLetter(pass) && !strings.ContainsAny(pass, "/:") {
			return sc.userAndPassword(v)
		}
	}
	return 0
}

// colons looks at texts whose parts are separated by colons: .pgpass, the driver of MySQL,
// Oracle's user/password@.
func (sc *scanner) colons(at, end int) int {
	s := sc.s
	if s[at:end] == "Private-Lines" { // a key of PuTTY
		from := upTo(s, end, "\r\n")
		if i := strings.Index(s[from:], "Private-MAC"); i >= 0 {
			return sc.add(skipSpace(s, from), upTo(s, from+i, "\r\n"), "private-key")
		}
		return sc.add(skipSpace(s, from), len(s), "private-key")
	}
	rest := s[end+1 : min(len(s), end+1+lookBehind)]
	stop := strings.IndexAny(rest, " \t\r\n\"'<>`")
	if stop >= 0 {
		rest = rest[:stop]
	}
	sc.r.work.add(len(rest))
	if pass, _, ok := strings.Cut(rest, "@tcp("); ok && pass != "" || ok2(rest, "@unix(", &pass) {
		return sc.give(end+1, end+1+len(pass), "url-password")
	}
	if s[at:end] == "thin" {
		if user, pass, ok := strings.Cut(rest, "/"); ok {
			if pass, _, ok := strings.Cut(pass, "@"); ok && pass != "" && !strings.Contains(user, "@") {
				from := end + 1 + len(user) + 1
				return sc.give(from, from+len(pass), "url-password")
			}
		}
	}
	if at > 0 && s[at-1] != '\n' || !lineAll(s, end+1+len(rest)) {
		return 0
	}
	parts := strings.Split(rest, ":")
	if len(parts) != 4 || len(parts[3]) < 4 || parts[0] != "*" && (len(parts[0]) < 3 || strings.Trim(parts[0], "0123456789") != "") || parts[1] == "" || parts[2] == "" {
		return 0
	}
	from := end + 1 + len(rest) - len(parts[3])
	return sc.give(from, end+1+len(rest), "assignment")
}

func ok2(rest, mark string, pass *string) bool {
	var ok bool
	*pass, _, ok = strings.Cut(rest, mark)
	return ok && *pass != ""
}

func lineAll(s string, at int) bool { return at == len(s) || s[at] == '\n' || s[at] == '\r' }
