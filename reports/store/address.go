package store

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Shown returns an address without the parts that may be secret: user, password and query.
func Shown(address string) string {
	scheme, rest, ok := strings.Cut(address, ":")
	if !ok {
		return "of this address" // not an address, possibly a password
	}
	before := ""
	if i := strings.Index(rest, "//"); i >= 0 {
		before, rest = rest[:i+2], rest[i+2:] // "git:https://user@host/x" keeps its inner scheme
	}
	host := rest[:len(rest)-len(strings.TrimLeftFunc(rest, func(r rune) bool { return !strings.ContainsRune("/?#", r) }))]
	switch at := strings.LastIndex(rest, "@"); {
	case strings.Contains(host, "@"):
		rest = rest[strings.LastIndex(host, "@")+1:]
	case at >= 0 && strings.Contains(host, ":"): // a password with an unescaped slash
		rest = rest[at+1:]
	}
	rest = before + rest
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	return scheme + ":" + rest
}

// secretsOf returns the parts of an address that must not appear in messages, longest first.
func secretsOf(address string) (secrets []string) {
	add := func(texts ...string) {
		for _, s := range texts {
			if len(s) > 1 && !slices.Contains(secrets, s) {
				secrets = append(secrets, s)
			}
		}
	}
	at := strings.LastIndex(address, "@")
	for _, index := range []func(string, string) int{strings.Index, strings.LastIndex} {
		if at < 0 {
			break
		}
		user := address[:at]
		if i := index(user, "//"); i >= 0 {
			user = user[i+2:]
		}
		name, password, two := strings.Cut(user, ":")
		if two {
			add(password)
			if plain, err := url.PathUnescape(password); err == nil {
				add(plain)
			}
		} else if strings.Contains(address, "//") {
			add(name) // a token in place of a user
		}
	}
	if _, query, ok := strings.Cut(address, "?"); ok {
		for pair := range strings.SplitSeq(query, "&") {
			key, value, _ := strings.Cut(pair, "=")
			if namesSecret(key) {
				add(value)
				if plain, err := url.QueryUnescape(value); err == nil {
					add(plain)
				}
			}
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // a shorter one may be part of a longer one
	return secrets
}

var secretKey = regexp.MustCompile(`(?i)pass|pwd|secret|token|key|sig|credential`)

func namesSecret(key string) bool { return secretKey.MatchString(key) }

// inURL matches the user and the password of an address within a text.
var inURL = regexp.MustCompile(`://[^/\s'"]*@`)

// hidden is an error with secrets removed from its text.
type hidden struct {
	text string
	err  error
}

func (e *hidden) Error() string { return e.text }
func (e *hidden) Unwrap() error { return e.err }

// hide removes secrets from the text of an error. errors.Is and errors.As still match it.
func hide(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, s := range secrets {
		clean = strings.ReplaceAll(clean, s, "***")
	}
	clean = inURL.ReplaceAllString(clean, "://")
	if clean == text {
		return err
	}
	return &hidden{clean, err}
}
