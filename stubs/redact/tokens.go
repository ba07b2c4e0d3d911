package redact

import (
	"fmt"
	"strconv"
	"strings"
)

// form is the shape of a secret that gives itself away: a prefix, and how many characters of
// which class follow it.
type form struct {
	prefix      string
	class       *[256]bool
	least, most int  // characters after the prefix; most 0 is without limit
	digit       bool // at least one of them is a digit, or it is a word
	rule        string
}

// classes of characters, by the letter that forms uses for them.
var classes = map[byte]*[256]bool{
	'a': charset("", true, true, true), 'w': charset("_-", true, true, true), 'U': charset("", false, true, true), 'l': charset("", true, false, true),
	'h': charset("abcdef", false, false, true), 'd': charset("_-.", true, true, true), 'b': charset("+/=_-", true, true, true), 't': charset("_-.~", true, true, true),
	'e': charset("_-.=", true, true, true), 'p': charset("_-.:/+=%~", true, true, true), 'H': charset("abcdefABCDEF", false, false, true),
}

func charset(more string, lower, upper, digits bool) *[256]bool {
	var in [256]bool
	for c := range in {
		b := byte(c)
		in[c] = lower && isLower(b) || upper && isUpper(b) || digits && isDigit(b) || b != 0 && strings.IndexByte(more, b) >= 0
	}
	return &in
}

// forms lists them as the documentation of each provider states them: prefix, class, least
// length, "!" where a digit is required, and the rule that is named in the marker.
const formTable = `
AKIA U 16-16 aws
ASIA U 16-16 aws
ABIA U 16-16 aws
ACCA U 16-16 aws
ABSK b 40 aws
bedrock-api-key- b 16 aws
AIza w 30 google
ya29. d 16 google
GOCSPX- w 20 google
1//0 w 30 google
ghp_ w 16 github
gho_ w 16 github
ghu_ w 16 github
ghs_ w 16 github
ghr_ w 16 github
github_pat_ w 16 github
glpat- d 16 gitlab
gldt- d 16 gitlab
glrt- d 16 gitlab
glrtr- d 16 gitlab
glcbt- d 16 gitlab
glptt- d 16 gitlab
glft- d 16 gitlab
glimt- d 16 gitlab
glagent- d 16 gitlab
gloas- d 16 gitlab
glsoat- d 16 gitlab
glffct- d 16 gitlab
glwt- d 16 gitlab
GR1348941 w 16 gitlab
ATBB a 20! api-key
ATATT3 b 20 api-key
ATCTT3 b 20 api-key
xoxa- w 8 slack
xoxb- w 8 slack
xoxc- w 8 slack
xoxd- p 8 slack
xoxe- w 8 slack
xoxe. d 8 slack
xoxo- w 8 slack
xoxp- w 8 slack
xoxr- w 8 slack
xoxs- w 8 slack
xapp- w 8! slack
xwfp- w 8! slack
hooks.slack.com/services/ p 10 slack
hooks.slack.com/workflows/ p 10 slack
hooks.slack.com/triggers/ p 10 slack
discord.com/api/webhooks/ p 20 discord
discordapp.com/api/webhooks/ p 20 discord
sk-proj- w 16 api-key
sk-svcacct- w 16 api-key
sk-admin- w 16! api-key
sk-ant- w 16 api-key
sk-or- w 16! api-key
sk-lf- w 16! api-key
sk- w 16! api-key
sk_ w 16! api-key
sk_live_ w 10 api-key
sk_test_ w 10 api-key
rk_live_ w 10 api-key
rk_test_ w 10 api-key
pk_live_ w 10 api-key
pk_test_ w 10 api-key
whsec_ b 16 api-key
gsk_ w 16! api-key
gsk- w 16! api-key
xai- w 16! api-key
xai_ w 16! api-key
pplx- w 16! api-key
pplx_ w 16! api-key
csk- w 20! api-key
nvapi- w 20 api-key
r8_ w 20! api-key
jina_ w 20! api-key
tvly- w 16! api-key
pcsk_ w 20! api-key
lsv2_pt_ w 20 api-key
lsv2_sk_ w 20 api-key
fw_ a 20! api-key
hf_ w 30 api-key
api_org_ w 30 api-key
npm_ w 30 api-key
pypi- w 16! api-key
dckr_pat_ w 16 api-key
dckr_oat_ w 16 api-key
rubygems_ h 32 api-key
oy2 l 43-43 api-key
cio a 32-32! api-key
AKCp a 10! api-key
CLOJARS_ a 40 api-key
SG. d 30! api-key
SK h 32-32 api-key
key- h 32-32 api-key
xkeysib- w 20 api-key
xsmtpsib- w 20 api-key
re_ w 20! api-key
dop_v1_ h 32 api-key
doo_v1_ h 32 api-key
dor_v1_ h 32 api-key
shpat_ w 16 api-key
shpss_ w 16 api-key
shpca_ w 16 api-key
shppa_ w 16 api-key
sq0atp- w 16 api-key
sq0csp- w 16 api-key
EAAA w 40! api-key
EAAC w 40! api-key
EAAG w 40! api-key
access-sandbox- w 20! api-key
access-production- w 20! api-key
access-development- w 20! api-key
EZAK a 30 api-key
EZTK a 30 api-key
FLWSECK- w 12! api-key
FLWSECK_TEST- w 12! api-key
lin_api_ w 16 api-key
lin_oauth_ w 16 api-key
ntn_ w 20! api-key
secret_ a 32! api-key
dapi h 32 api-key
dose h 32-32! api-key
dkea h 32-32! api-key
hvs. w 16! api-key
hvb. w 16! api-key
hvr. w 16! api-key
s. a 24-24! api-key
NRAK- w 16 api-key
NRII- w 16 api-key
NRAA- w 16 api-key
NRJS- w 16 api-key
NRBR- w 16 api-key
glsa_ w 16 api-key
glc_ b 16 api-key
eyJrIjoi b 20 api-key
sntrys_ p 16 api-key
sntryu_ w 16 api-key
dp.pt. d 16 api-key
dp.st. d 16 api-key
dp.ct. d 16 api-key
dp.sa. d 16 api-key
dp.scim. d 16 api-key
dp.audit. d 16 api-key
fm1_ b 20 api-key
fm1a_ b 20 api-key
fm1r_ b 20 api-key
fm2_ b 20 api-key
fo1_ w 20 api-key
sbp_ w 16! api-key
sb_secret_ w 16 api-key
pscale_tkn_ d 16 api-key
pscale_pw_ d 16 api-key
pscale_oauth_ d 16 api-key
PMAK- w 20! api-key
LTAI a 12! api-key
AKID a 13! api-key
AQVN w 30! api-key
y0_ w 30! api-key
t1.9eu d 20 api-key
tskey- w 12! api-key
nfp_ w 20 api-key
vcp_ w 20! api-key
rnd_ w 20! api-key
pul- h 40-40 api-key
pnu_ a 30! api-key
pat-na1- w 20 api-key
pat-eu1- w 20 api-key
figd_ w 16 api-key
tfp_ w 20! api-key
CFPAT- w 20 api-key
aio_ a 20! api-key
dt0c01. d 20 api-key
dt0s01. d 20 api-key
fio-u- w 20! api-key
rdme_ a 40! api-key
bkua_ a 20! api-key
CCIPAT_ w 16 api-key
squ_ h 32 api-key
sqp_ h 32 api-key
sqa_ h 32 api-key
perm: e 20! api-key
perm- e 20! api-key
hcaik_ a 20! api-key
hcxik_ a 20! api-key
phx_ a 20! api-key
ops_eyJ b 20 api-key
A3- w 20! api-key
napi_ a 20! api-key
mdb_sa_sk_ w 16 api-key
CCDB1_ w 20! api-key
duffel_test_ w 20! api-key
duffel_live_ w 20! api-key
sl.u. w 20 api-key
sl. w 60! api-key
HRKU- w 20! api-key
AGE-SECRET-KEY-1 U 20 private-key
AGE-PLUGIN- w 60! private-key
eyJ w 8 jwt
`

// forms by their first byte, and which second bytes they have there.
var formsBy, formSeconds = func() (by [256][]form, seconds [256][256]bool) {
	for line := range strings.Lines(formTable) {
		f := strings.Fields(line)
		if len(f) != 4 {
			continue
		}
		lengths, digit := strings.CutSuffix(f[2], "!")
		least, most, limited := strings.Cut(lengths, "-")
		x := form{prefix: f[0], class: classes[f[1][0]], digit: digit, rule: f[3]}
		var err error
		if x.least, err = strconv.Atoi(least); err == nil && limited {
			x.most, err = strconv.Atoi(most)
		}
		if err != nil {
			panic(fmt.Sprintf("form %q: %v", line, err)) // a mistake in the table
		}
		by[x.prefix[0]] = append(by[x.prefix[0]], x)
		seconds[x.prefix[0]][x.prefix[1]] = true
	}
	return by, seconds
}()

// byForm finds the secret that begins at position at by its own form; to is 0 where none does.
func byForm(s string, at int) (to int, rule string) {
	if at+Shortest > len(s) || !formSeconds[s[at]][s[at+1]] {
		return 0, ""
	}
	for i := range formsBy[s[at]] {
		f := &formsBy[s[at]][i]
		rest, ok := strings.CutPrefix(s[at:], f.prefix)
		if !ok {
			continue
		}
		n, digit := 0, false
		for n < len(rest) && f.class[rest[n]] {
			digit = digit || isDigit(rest[n])
			n++
		}
		for n > 0 && (rest[n-1] == '.' || rest[n-1] == ':' || rest[n-1] == '/') {
			n-- // the end of a sentence
		}
		if n < f.least || f.most > 0 && n > f.most || f.digit && !digit {
			continue
		}
		to = at + len(f.prefix) + n
		switch {
		case f.most > 0 && to < len(s) && (isLetter(s[to]) || isDigit(s[to]) || s[to] == '_'):
			continue // part of a longer word
		case f.digit && wordy(rest[:n]):
			continue
		case f.rule == "jwt":
			if to = jwtEnd(s, to); to == 0 {
				continue
			}
		}
		return to, f.rule
	}
	return 0, ""
}

// wordy reports whether a token is made of words and numbers that hyphens or underscores
// separate: "learn-compatible-estimators-2", "build_go1_26_linux".
func wordy(s string) bool {
	parts, short := 0, 0
	for part := range strings.FieldsFuncSeq(s, func(c rune) bool { return c == '-' || c == '_' || c == '.' }) {
		parts++
		letters := strings.TrimRight(part, "0123456789")
		if len(part)-len(letters) > 4 {
			return false
		}
		if letters == "" || strings.Trim(letters, "abcdefghijklmnopqrstuvwxyz") == "" || strings.Trim(letters[1:], "abcdefghijklmnopqrstuvwxyz") == "" {
			short++
		}
	}
	return parts >= 3 && short == parts
}

// jwtEnd is the end of a JSON Web Token whose first part ends at position at, or 0.
func jwtEnd(s string, at int) int {
	part := classes['w']
	for n := range 4 { // five parts, where it is encrypted
		if at >= len(s) || s[at] != '.' {
			return 0
		}
		end := at + 1
		for end < len(s) && part[s[end]] {
			end++
		}
		if n == 0 && end-at < 9 {
			return 0
		}
		at = end
		if at >= len(s) || s[at] != '.' {
			return at
		}
	}
	return at
}

// byStructure finds secrets that have no prefix but parts of known lengths, in the word that
// begins at position at: tokens of Discord bots and of Telegram bots, client secrets of Azure,
// keys of Mailchimp, tokens of Terraform.
func byStructure(s string, at, end int) (to int) {
	w := s[at:end]
	switch {
	case len(w) >= 8 && len(w) <= 10 && end < len(s) && s[end] == ':' && strings.Trim(w, "0123456789") == "":
		n := end + 1
		for n < len(s) && classes['w'][s[n]] {
			n++
		}
		if n-end-1 == 35 {
			return n
		}
	case len(w) >= 50 && strings.Contains(w, ".atlasv1."):
		return end
	case len(w) >= 58 && strings.Count(w, ".") == 2 && strings.IndexByte("MNO", w[0]) >= 0:
		parts := strings.Split(w, ".")
		if len(parts[0]) >= 23 && len(parts[0]) <= 28 && len(parts[1]) >= 6 && len(parts[1]) <= 7 && len(parts[2]) >= 27 && hasDigit(w) {
			return end
		}
	case len(w) >= 36 && len(w) <= 37 && w[32] == '-' && w[33:35] == "us" && strings.Trim(w[:32], "0123456789abcdef") == "" && hasDigit(w):
		return end
	case len(w) >= 2 && len(w) <= 5 && end < len(s) && s[end] == '~' && w[len(w)-1] == 'Q' && len(w) >= 5 && isDigit(w[len(w)-2]):
		n := end + 1
		for n < len(s) && classes['t'][s[n]] {
			n++
		}
		if n-end > 30 {
			return n
		}
	}
	return 0
}
