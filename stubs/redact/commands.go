package redact

import (
	"strconv"
	"strings"
)

// argRule is one way to give a program a secret.
type argRule struct {
	option   string // "" for an argument without option
	after    byte   // the secret follows this byte in the argument
	separate bool   // the secret is the next argument
	attached bool   // the secret follows the option in the same argument
	word     string // the secret follows this argument
	nth      int    // the secret is this argument without option, from 1
	most     int    // the secret is the last of more than so many
	letter   string // only if an option of letters holds it
	pairs    bool   // the values of NAME=VALUE
	login    bool   // user/secret@host
}

type command struct {
	sub   string
	rules []argRule
}

var commands = func() map[string][]command {
	list := map[string][]command{}
	for line := range strings.Lines(commandTable) {
		programs, rules, ok := strings.Cut(strings.TrimSpace(line), " : ")
		if !ok {
			continue
		}
		var parsed []argRule
		for f := range strings.FieldsSeq(rules) {
			parsed = append(parsed, parseRule(f))
		}
		for p := range strings.FieldsSeq(programs) {
			name, sub, _ := strings.Cut(p, "/")
			list[name] = append(list[name], command{sub, parsed})
		}
	}
	for _, name := range []string{"echo", "printf"} {
		list[name] = []command{{}}
	}
	return list
}()

func parseRule(f string) argRule {
	if f == "=" {
		return argRule{pairs: true}
	}
	if f == "@/" {
		return argRule{login: true}
	}
	if w, ok := strings.CutSuffix(f, ">"); ok {
		return argRule{word: w}
	}
	if letter, n, ok := strings.Cut(f, "#>"); ok {
		most, _ := strconv.Atoi(n)
		return argRule{letter: letter, most: most}
	}
	if n, ok := strings.CutPrefix(f, "#"); ok {
		nth, _ := strconv.Atoi(n[:1])
		return argRule{nth: nth, word: n[1:]}
	}
	last := f[len(f)-1]
	switch name := f[:len(f)-1]; last {
	case '*':
		return argRule{option: name, attached: true}
	case '+':
		return argRule{option: name, attached: true, separate: true}
	case ':', ',', '%', '=':
		return argRule{option: name, after: last, attached: true, separate: true}
	}
	return argRule{option: f, separate: true}
}

// arg is one argument of a command, with its quotes.
type arg struct{ from, to int }

const (
	longestCommand = 400 // bytes of a command line that are looked at
	mostArgs       = 40
)

// arguments splits what follows a program, up to the end of its command.
func (sc *scanner) arguments(at int) (list []arg, end int) {
	begin := at
	s := sc.s[:min(len(sc.s), at+longestCommand)]
	for at < len(s) && len(list) < mostArgs {
		for at < len(s) && (s[at] == ' ' || s[at] == '\t') {
			at++
		}
		from := at
	arg:
		for ; at < len(s); at++ {
			switch c := s[at]; c {
			case ' ', '\t', '\n', '\r', '|', '`':
				break arg
			case ';':
				if at+1 == len(s) || s[at+1] == ' ' || s[at+1] == '\n' {
					break arg
				}
			case '&':
				if at+1 < len(s) && s[at+1] == '&' {
					break arg
				}
			case '"', '\'':
				close := upTo(s, at+1, string([]byte{c, '\n'}))
				if close == len(s) || s[close] == '\n' {
					break arg // the quote around the command
				}
				at = close
			}
		}
		if at == from {
			break
		}
		list = append(list, arg{from, at})
		if s[from] == '#' {
			return list[:len(list)-1], from
		}
	}
	sc.r.work.add(2 * (at - begin))
	return list, at
}

// command looks for secrets among the arguments of the program that ends at position end.
func (sc *scanner) command(at, end int) {
	s := sc.s
	name := strings.TrimSuffix(s[at:end], ".exe")
	rows := commands[name]
	if rows == nil || end >= len(s) || s[end] != ' ' && s[end] != '\t' || at > 0 && strings.IndexByte(" \t\n/\"'`(|;&$\\", s[at-1]) < 0 {
		return
	}
	args, stop := sc.arguments(end)
	if len(args) == 0 {
		return
	}
	if name == "echo" || name == "printf" {
		sc.piped(args, stop)
		return
	}
	for _, row := range rows {
		if row.sub != "" && !sc.hasArg(args, row.sub) {
			continue
		}
		for _, rule := range row.rules {
			sc.apply(rule, args)
		}
	}
}

func (sc *scanner) hasArg(args []arg, word string) bool {
	for _, a := range args {
		if sc.s[a.from:a.to] == word {
			return true
		}
	}
	return false
}

// apply marks what one rule finds in the arguments.
func (sc *scanner) apply(rule argRule, args []arg) {
	s := sc.s
	var plain []arg // arguments that are no options
	letters := rule.letter == ""
	for i, a := range args {
		text := s[a.from:a.to]
		option := text[0] == '-' || text[0] == '/' && rule.most > 0 && len(text) > 1 && strings.Count(text, "/") == 1
		if !option {
			plain = append(plain, a)
		} else if rule.letter != "" && len(text) > 1 && text[1] != '-' && strings.Contains(text, rule.letter) {
			letters = true
		}
		next := arg{}
		if i+1 < len(args) {
			next = args[i+1]
		}
		switch {
		case rule.option != "" && text == rule.option:
			if rule.separate {
				sc.argument(next.from, next.to, rule.after)
			}
		case rule.after != 0 && len(rule.option) == 2 && len(text) > 2 && len(text) < 7 && text[len(text)-1] == rule.option[1] && strings.Trim(text[1:], alphanumeric[:52]) == "" && text[1] != rule.option[1]:
			sc.argument(next.from, next.to, rule.after) // -su user:x
		case rule.option != "" && rule.attached && strings.HasPrefix(text, rule.option) && (text[1] != '-' || rule.option[1] == '-' && rule.after == '='):
			sc.argument(a.from+len(rule.option), a.to, rule.after)
		case rule.word != "" && rule.nth == 0 && text == rule.word:
			if n := i + 2; next.to-next.from == 1 && isDigit(s[next.from]) && n < len(args) {
				next = args[n]
			}
			sc.prose(next)
		case rule.pairs && !option:
			if eq := strings.IndexByte(text, '='); eq > 0 && strings.Trim(text[:eq], alphanumeric+"_-") == "" {
				sc.argument(a.from+eq+1, a.to, 0)
			}
		case rule.login && !option:
			if slash, sign := strings.IndexByte(text, '/'), strings.LastIndexByte(text, '@'); slash > 0 && (sign > slash+1 || sign < 0) {
				if sign < 0 {
					sign = len(text)
				}
				sc.argument(a.from+slash+1, a.from+sign, 0)
			}
		}
	}
	switch {
	case rule.nth > 0 && len(plain) >= rule.nth && (rule.word == "" || s[plain[0].from:plain[0].to] == rule.word):
		sc.prose(plain[rule.nth-1])
	case rule.most > 0 && letters && len(plain) > rule.most && !strings.HasPrefix(s[plain[len(plain)-1].from:], `\\`):
		sc.prose(plain[len(plain)-1])
	}
}

// argument marks an argument, or the part of it after a byte, as secret.
func (sc *scanner) argument(from, to int, after byte) {
	s := sc.s
	from, to = unquoted(s, from, to)
	if from >= to {
		return
	}
	if after != 0 {
		i := strings.IndexByte(s[from:to], after)
		if i < 0 || strings.HasPrefix(s[from+i:], "://") {
			return
		}
		from += i + 1
	}
	for to > from && strings.IndexByte(")]}", s[to-1]) >= 0 && !strings.ContainsAny(s[from:to], "([{") {
		to--
	}
	v := s[from:to]
	if v == "" || v[0] == '-' || isPlaceholder(v) || IsMarker(v) || !hasLetter(v) && len(v) < 6 || isComplaint(v) || optionProse[strings.ToLower(v)] || after == 0 && isWord(v) {
		return
	}
	sc.later(from, to, "assignment")
}

// prose is argument where a sentence may stand: "vault login failed", "cargo login works".
func (sc *scanner) prose(a arg) {
	from, to := unquoted(sc.s, a.from, a.to)
	if v := sc.s[from:to]; len(v) >= 4 && (from > a.from || sc.spoken(v)) && !optionProse[strings.ToLower(strings.Trim(v, ".,:"))] && !complaints[strings.ToLower(v)] && strings.IndexByte(v, '=') < 0 {
		sc.argument(a.from, a.to, 0)
	}
}

// unquoted is an argument without the quotes around it.
func unquoted(s string, from, to int) (int, int) {
	if from < to && s[from] == '=' {
		from++
	}
	if to-from >= 2 && (s[from] == '"' || s[from] == '\'') && s[to-1] == s[from] {
		return from + 1, to - 1
	}
	if to-from >= 4 && s[from] == '\\' && s[to-2] == '\\' && s[from+1] == s[to-1] {
		return from + 2, to - 2
	}
	return from, to
}

// stdinSinks are the words of commands that read a secret from their standard input.
var stdinSinks = words(`--password-stdin --with-token --token-stdin --stdin --passphrase-fd --pass-stdin password_stdin stdin chpasswd passwd smbpasswd htpasswd -S cryptsetup kinit secret secrets
	keyctl ssh-add login add-authtoken insert vncpasswd`)

// sinkMost is how many bytes after a pipe are looked at for what reads a secret.
const sinkMost = 80

func readsSecret(sink string) bool {
	for w := range strings.FieldsSeq(sink[:min(len(sink), sinkMost)]) {
		if stdinSinks[w] {
			return true
		}
	}
	return false
}

// piped looks at echo x | program, where the program reads a secret.
func (sc *scanner) piped(args []arg, stop int) {
	s := sc.s
	if stop+1 < len(s) && (s[stop] == '"' || s[stop] == '\'') && s[stop+1] == ' ' {
		stop++ // sh -c 'echo x' |
	}
	stop = skipBlank(s, stop)
	if stop >= len(s) || s[stop] != '|' {
		return
	}
	sink := s[stop+1 : near(s, stop, "\n")]
	sc.r.work.add(sinkMost)
	if !readsSecret(sink) {
		return
	}
	for len(args) > 1 && (s[args[0].from] == '-' || strings.Contains(s[args[0].from:args[0].to], "%s")) {
		args = args[1:]
	}
	from, to := args[0].from, args[len(args)-1].to
	if len(args) == 1 {
		from, to = unquoted(s, from, to)
		if n := len(strings.TrimSuffix(s[from:to], `\n`)); n > 0 {
			to = from + n
		}
	}
	after := byte(0)
	if strings.Contains(sink, "chpasswd") {
		after = ':'
	}
	if len(args) > 1 {
		if v := s[from:to]; !isPlaceholder(v) && !strings.Contains(v, "[redacted") {
			sc.later(from, to, "assignment")
		}
		return
	}
	sc.argument(from, to, after)
}

// hereString looks at program <<< x, where the program reads a secret; at is the position of "<<<".
func (sc *scanner) hereString(at int) {
	s := sc.s
	before := s[max(0, at-sinkMost):at]
	sc.r.work.add(len(before))
	before = before[strings.LastIndexByte(before, '\n')+1:]
	name := strings.TrimRight(before, " ")
	pipe := near(s, at, "|\n")
	if !readsSecret(before) && sc.r.classify(name[strings.LastIndexByte(name, ' ')+1:]) == noSecret && (pipe >= len(s) || s[pipe] != '|' || !readsSecret(s[pipe+1:near(s, pipe, "\n")])) {
		return
	}
	if args, _ := sc.arguments(at + len("<<<")); len(args) > 0 {
		sc.argument(args[0].from, args[0].to, 0)
	}
}

// workflow looks at commands of workflows: ::add-mask::x, ::set-output name=token::x.
func (sc *scanner) workflow(at, end int) {
	s := sc.s
	if !strings.HasPrefix(s[end:], "::") {
		return
	}
	if s[at:end] != "add-mask" && !(afterAny(s[max(0, at-5):at], "name=") && sc.r.classify(s[at:end]) != noSecret) {
		return
	}
	from := end + len("::")
	to := near(s, from, "\r\n\"'`")
	if v := s[from:to]; v != "" && !isPlaceholder(v) && !strings.Contains(v, "[redacted") {
		sc.later(from, to, "assignment")
	}
}
