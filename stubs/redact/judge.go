package redact

import "strings"

// accept reports whether a value of that name and place is a secret, and not a word of a
// sentence, a piece of code, or what stands for a value.
func (sc *scanner) accept(name string, k kind, v string, where place) bool {
	if v == "" || IsMarker(v) || isPlaceholder(v) || isRepetition(v) {
		return false
	}
	digit, letter := hasDigit(v), hasLetter(v)
	folded := fold(name)
	short := len(folded) <= 4 && folded != "pwd" // pass, auth, sig: words of many meanings
	if folded == "pwd" && (v[0] == '/' || v[0] == '.' || name == "PWD" && where == tight && !hasDigit(v)) || folded == "oldpwd" {
		return false // the working directory
	}
	switch k {
	case code:
		return digit && len(v) >= 3 && len(v) <= 64 && strings.Trim(v, alphanumeric+"-") == "" && !wordy(v) && (len(v) >= 6 || !strings.ContainsAny(v, upperLetters))
	case opaque:
		return (where == strict || where == tight) && len(v) >= 8 && digit && letter && !isCode(v) && !wordy(v)
	}
	if where == strict {
		return !isComplaint(v)
	}
	if k != password && where != quoted && !letter && folded != "pin" || strings.HasSuffix(folded, "pin") && (len(v) < 4 || letter) {
		return false // a count
	}
	if where == quoted {
		switch {
		case isComplaint(v), k != password && strings.Contains(v, " "):
			return false
		case k == password:
			return len(v) >= 4 || digit
		case short || strings.ToUpper(v) == v && !digit:
			return digit && len(v) >= 6
		case k == key, k == token && len(folded) >= len("apitoken") || isEnv(name):
			drawn := len(v) >= 16 && digit && strings.ContainsAny(v, "!@#$%^*=+") // keys of Django hold brackets
			return len(v) >= 4 && !isWord(v) && (!isCode(v) || drawn)
		}
		return digit && len(v) >= 4 || len(v) >= 8
	}
	if isCode(v) && !(k == password && len(folded) > 4 && sc.dotted(v)) || isWord(v) {
		return false
	}
	if folded == "pass" && where == line && name == folded && letter && len(v) >= 5 && sc.spoken(v) {
		return true
	}
	if folded == "pass" && (where == loose || name != folded && where == line) {
		return false // "PASS: TestX"
	}
	if (folded == "otp" || folded == "totp" || folded == "pin") && where != loose && !letter && len(v) >= 4 {
		return true
	}
	if user, pass, ok := strings.Cut(v, ":"); ok && strings.HasSuffix(folded, "auth") && where != loose && len(user) > 0 && len(pass) >= 6 {
		return true
	}
	if short {
		return len(v) >= 6 && digit && letter || k == password && where == tight && (letter && len(v) >= 4 && !isNumber(v) || len(v) >= 6)
	}
	switch where {
	case tight:
		switch k {
		case password:
			return len(v) >= 3
		case token:
			return digit || len(v) >= 8 || isEnv(name) && len(v) >= 4
		}
		return digit && len(v) >= 4 || len(v) >= 8 || len(v) >= 4 && isEnv(name)
	case line:
		if k == password {
			return len(v) >= 4
		}
		return digit && len(v) >= 6 || len(v) >= 16 || len(folded) > len("apikey") && len(v) >= 5 && (len(v) >= 8 || sc.spoken(v)) || strings.Contains(name, "-") && len(v) >= 4 && sc.spoken(v)
	}
	if i := strings.IndexByte(v, ':'); i > 0 && i <= longestName && !hasDigit(v[:i]) {
		return false // the next field of a struct
	}
	return len(v) >= 6 && letter && (digit || k == password && strings.ContainsAny(v, "!@#$%^*~+="))
}

// isEnv reports whether a name is that of an environment variable: DB_TOKEN.
func isEnv(name string) bool {
	return strings.Contains(name, "_") && strings.ToUpper(name) == name
}

// codeHeads begin, and codeTails end, what code reads a value from: cfg.password, req.body.
var (
	codeHeads = words(`config cfg conf opts options arg args req request res resp response this self user users data form input event e env environ process params props ctx context settings
		credentials creds account state store test t s r p m c x val value node token parser os app auth db client server row item obj o body session process.env vars local module var faker`)
	codeTails = words(`value text data string get next current literal pass password passwd pw pwd secret token key length name id val raw plain body input field field1 target trim`)
)

// dotted reports whether two words with a dot between them are a password and not code.
func (sc *scanner) dotted(v string) bool {
	head, tail, _ := strings.Cut(v, ".")
	return head != "" && tail != "" && strings.Trim(v, alphanumeric+".") == "" && strings.Count(v, ".") == 1 && !codeHeads[strings.ToLower(head)] && !codeTails[strings.ToLower(tail)] && sc.r.classify(tail) == noSecret && sc.r.classify(head) == noSecret
}

// isNumber reports whether v is a number with a unit at most: "12", "1.5s", "98%".
func isNumber(v string) bool {
	rest := strings.TrimLeft(v, "0123456789.,/")
	return rest != v && len(rest) <= 2
}

// standIns are words that stand where a value would.
var standIns = words(`nil null none true false undefined empty string int bool bytes byte required missing invalid optional redacted hidden omitted unset default yes no on off
	eof error errors unknown expired wrong incorrect failed failure ok valid set present absent found provided given enabled disabled basic bearer digest plain kerberos ntlm oauth
	oauth2 saml ldap mtls tls gssapi negotiate password passwd secret token key username user admin-password any object array number integer float boolean text value
	identifier ident keyword operator literal punctuator comma semicolon colon whitespace newline comment changed updated rejected accepted denied unauthorized forbidden revoked mismatch
	mismatched malformed unexpected expected not must is cannot should too the a an this that your my from for with and or in of to at by if when was were has have being been
	interactive prompt env file stdin keychain keyring vault manager same different self this.password encrypted plaintext cleartext sensitive masked confidential changeme? todo tbd n/a na
	pass fail passed skipped skip pending reader parser lexer got want actual stored cached reused refreshed verified checked tested match matches matched parameter argument flag
	authentication authorization credentials credential login session cookie header policy reset length strength rotation expiry expiration`)

// isWord reports whether a value is a word that says something about the value.
func isWord(v string) bool {
	return standIns[strings.ToLower(strings.TrimRight(v, ".,;:!?)]}"))]
}

// isPlaceholder reports whether v stands for a value that is elsewhere: ${TOKEN}, <token>,
// ****, %s, {{ .Password }}.
func isPlaceholder(v string) bool {
	if strings.TrimLeft(v, v[:1]) == "" && strings.IndexByte("*xX.-_#•", v[0]) >= 0 || strings.HasPrefix(v, "***") || strings.HasPrefix(v, "•") || strings.HasPrefix(v, "…") {
		return true
	}
	low := strings.ToLower(v)
	if strings.HasPrefix(low, "your-") || strings.HasPrefix(low, "your_") || strings.HasPrefix(low, "<your") {
		return true
	}
	switch low {
	case "nil", "null", "none", "true", "false", "undefined", "<nil>", "string", "redacted", "hidden", "omitted", "(nil)", "required":
		return true
	}
	switch v[0] {
	case '$':
		rest := v[1:]
		return rest != "" && (standIns[rest] || rest[0] == '{' || rest[0] == '(' || strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == "" || strings.HasPrefix(rest, "env:"))
	case '<':
		return strings.HasSuffix(v, ">")
	case '{':
		return strings.HasPrefix(v, "{{") || strings.HasSuffix(v, "}") && strings.Trim(v, "{}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.") == ""
	case '%':
		return len(v) <= 3 && !hasDigit(v) || len(v) > 2 && v[len(v)-1] == '%' || strings.HasPrefix(v, "%(")
	case '@':
		return strings.HasPrefix(v, "@@") || strings.HasPrefix(v, "@Microsoft.KeyVault")
	}
	return false
}

// isCode reports whether a value is an expression: parser.next(), os.Getenv, s[i], *token.
func isCode(v string) bool {
	if strings.ContainsAny(v, "()") || strings.Contains(v, "->") || strings.Contains(v, "::") && len(v) < 48 || strings.Contains(v, "=>") {
		return true
	}
	if len(v) > 1 && (v[0] == '&' || v[0] == '*' || v[0] == '!') && isLetter(v[1]) && !hasDigit(v) {
		return true
	}
	if open := strings.IndexByte(v, '['); open >= 0 && markerEnd(v[open:]) == 0 && strings.IndexByte(v[open:], ']') > 0 {
		return true
	}
	if strings.IndexByte(v, '.') > 0 && !hasDigit(v) { // a.b.c
		return strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.") == ""
	}
	if v[0] == '{' || v[0] == '/' && strings.Count(v, "/") > 1 && !strings.ContainsAny(v, "+=") {
		return true // an object, a path
	}
	return strings.HasPrefix(v, "0x") && len(v) <= 18 || strings.HasPrefix(v, "./") || strings.HasPrefix(v, "../") || strings.HasPrefix(v, "http://") || strings.HasPrefix(v, "https://")
}

// complaints begin what a validation says of a field.
var complaints = words(`must is are cannot can't may should shall required invalid missing too has have was were wrong incorrect expired does doesn't needs need already contains`)

// musts follow "must" and "is" in what a validation says.
var musts = words(`be not have contain match include start begin end differ use consist exist come only also at no in out less more shorter longer greater equal between`)

// isComplaint reports whether a value is a sentence about the value: "must not be empty".
func isComplaint(v string) bool {
	first, rest, ok := strings.Cut(v, " ")
	if !ok {
		return false
	}
	second, _, _ := strings.Cut(rest, " ")
	if first == "must" || first == "is" { // a passphrase may begin with them
		return musts[second] || isWord(second) && second != "this" || states[second] || strings.HasSuffix(second, "ed")
	}
	if complaints[strings.ToLower(first)] {
		return true
	}
	switch strings.ToLower(first) {
	case "not":
		switch second {
		case "found", "set", "provided", "allowed", "valid", "empty", "required", "specified", "given", "be":
			return true
		}
	case "the", "your", "this", "a", "password", "token", "field", "value":
		return strings.Contains(rest, " ") && (complaints[lastWord(rest)] || complaints[strings.ToLower(second)] || strings.Contains(rest, " is ") || strings.Contains(rest, " must "))
	}
	return false
}

func lastWord(s string) string {
	if i := strings.LastIndexByte(s, ' '); i >= 0 {
		return s[i+1:]
	}
	return s
}
