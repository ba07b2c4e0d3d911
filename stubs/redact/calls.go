package redact

import "strings"

// How functions take a secret, by the words of their names in lower case.
var (
	// setVerbs begin the names of functions that take the value of what they are named after.
	setVerbs = words(`set with use using update change put provide enter input type fill save store assign override replace given new make test mock fake check verify validate compare
		hash encrypt assert must add register configure default expect reset match matches is to has`)
	// pairVerbs take a name, and then its value.
	pairVerbs = words(`setenv putenv env set setitem setproperty property define put add addheader header setheader append withheader withenv setattribute setparameter param queryparam formparam
		field insert store option setoption setdefault setstring setcookie cookie addcookie environ envvar update register secret setsecret addsecret variable setvariable
		stubenv fetch getenv getenvdefault getenvor envor envordefault lookupenv getordefault`)
	// fillVerbs type into a field that their first argument, or the call before them, names.
	fillVerbs = words(`fill type sendkeys entertext fillin fillfield typetext setvalue inputtext clearandtype presssequentially entry enter input clearandfill val`)
	// equalVerbs compare with a value.
	equalVerbs = words(`equal equals equalvalues assertequals assertequal assertsame eq is same strcmp strictequal deepequal tobe toequal tostrictequal isequalto isequal eql be equalfold constanttimecompare
		equalsignorecase compare comparedigest assertthat want require expect have notequal assertnotequals notequals tohavevalue haveexactvalue hasvalue to`)
	// loginVerbs take a user and then a secret.
	loginVerbs = words(`login logon signin loginas dologin loginwith loginuser authenticate authenticateuser auth basicauth setbasicauth httpbasicauth withbasicauth basic credentials
		networkcredential usernamepasswordcredentials usernamepasswordcredential usernamepasswordauthenticationtoken passwordauthentication userpassword userpass setcredentials withcredentials
		setauth withauth basiccredentials setuserpassword newcredentials staticcredentials newstaticcredentials authtuple proxyauth httpauth digestauth httpdigestauth ldapbind bind
		withuserpassword newbasicauth usercredentials pscredential`)
	// thirdSecrets take an address, a user and then a secret; or an identity, a user and a secret.
	thirdSecrets = words(`plainauth getconnection pdo mysqli mysqliconnect mysqlconnect connectdb newconnection ldapconnect`)
	// dialVerbs take a secret after a variable that is a user.
	dialVerbs = words(`dial connect open newclient client conn attach mount session newsession bind dialuser sshconnect`)
	// keyed functions of cryptography, and which argument is the key or the password.
	keyed = map[string]int{"createhmac": 1, "createcipheriv": 1, "createdecipheriv": 1, "pgpsymencrypt": 1, "pgpsymdecrypt": 1, "crypt": 0, "aesencrypt": 1, "aesdecrypt": 1, "encryptbypassphrase": 0,
		"fernet": 0, "pbkdf2": 0, "scrypt": 0, "bcrypt": 0, "hashsync": 0, "comparesync": 0, "hashpw": 0, "checkpw": 0, "newcipher": 0, "hashhmac": 2, "secretkeyspec": 0, "pbekeyspec": 0, "generatefrompassword": 0, "cookieparser": 0}
	// keyedOwners are packages whose functions of common names take a key.
	keyedOwners = map[string]map[string]int{
		"jwt": {"sign": 1, "verify": 1, "decode": 1, "encode": 1}, "jsonwebtoken": {"sign": 1, "verify": 1}, "hmac": {"new": 1, "digest": 0}, "bcrypt": {"hash": 0, "compare": 0}, "argon2": {"hash": 0, "verify": 1},
		"aes": {"new": 0, "newcipher": 0, "encrypt": 1, "decrypt": 1}, "cryptojs": {"encrypt": 1, "decrypt": 1}, "aescbc": {"new": 0},
	}
	// userMakers take a user and, last, the secret of the user.
	userMakers = words(`createuser createsuperuser adduser registeruser`)
	// readVerbs begin the names of functions that only read or name a secret.
	readVerbs = words(`get find delete remove list fetch load read lookup parse decode missing revoke create no without generate need needs require expired lost forgot show hide print log mask redact`)
	// formatVerbs fill values into a text.
	formatVerbs = words(`printf sprintf fprintf errorf logf infof debugf warnf fatalf format`)
	userNames   = words(`user username login email account uid userid name principal user_name`)
)

// longestCall is how many bytes of the arguments of a call are looked at.
const longestCall = 320

// argument of a call: its text, and the literal in it.
type callArg struct {
	text     string
	from, to int // the inside of the quotes, or 0 and 0
}

// call looks for secrets among the arguments of the function whose name ends at the "(" at position end.
func (sc *scanner) call(at, end int) {
	s := sc.s
	w := s[at:end]
	if len(w) > longestName {
		return
	}
	dot := strings.LastIndexByte(strings.TrimRight(w, "."), '.') + 1
	name, owner := w[dot:], strings.Trim(w[:dot], ".")
	parts := splitName(name)
	if len(parts) == 0 {
		return
	}
	folded := strings.Join(parts, "")
	k := sc.r.classify(name)
	if k == noSecret && strings.HasSuffix(folded, "passwordhash") && (setVerbs[parts[0]] || len(parts) == 2) {
		k = password
	}
	fixed, isKeyed := keyed[folded]
	if of, ok := keyedOwners[fold(owner[strings.LastIndexByte(owner, '.')+1:])][folded]; ok {
		fixed, isKeyed = of, true
	}
	pair, fill, equal, login, third, dial := pairVerbs[folded], fillVerbs[folded], equalVerbs[folded], loginVerbs[folded], thirdSecrets[folded], dialVerbs[folded]
	maker, format := userMakers[folded], formatVerbs[folded]
	if k == noSecret && !maker && !format && !isKeyed && !pair && !fill && !equal && !login && !third && !dial {
		return
	}
	args, _ := sc.callArgs(end + 1)
	if len(args) == 0 {
		return
	}
	literal := func(i int, name string, k kind) {
		if i >= len(args) || args[i].to == 0 {
			return
		}
		if v := s[args[i].from:args[i].to]; sc.acceptLiteral(v, k) {
			sc.later(args[i].from, args[i].to, "argument")
		}
	}
	switch {
	case isKeyed:
		if args[min(fixed, len(args)-1)].to == 0 && folded == "new" {
			fixed = 0
		}
		literal(fixed, "key", password)
	case pair && len(args) >= 2 && args[1].to > 0:
		if k := sc.r.classify(strings.Trim(strings.TrimPrefix(args[0].text, "String"), "'\"`:")); k != noSecret && k != opaque {
			literal(1, args[0].text, k)
		}
	case login && len(args) >= 2 || third && len(args) >= 3:
		i := 1 + b2i(third)
		if login && len(args) >= 3 && args[0].to == 0 && args[1].to > 0 && args[2].to > 0 { // Login(ctx, "user", "secret")
			i = 2
		}
		if folded == "credentials" && len(args) == 4 { // realm, host, user, secret
			i = 3
		}
		if args[i].to > 0 && !strings.ContainsAny(s[args[i].from:args[i].to], "@/:") || args[i].to > 0 && hasDigit(s[args[i].from:args[i].to]) {
			literal(i, "password", password)
		}
	case maker:
		if v := literals(args); len(v) >= 2 && strings.IndexByte(args[v[len(v)-1]].text, '@') < 0 {
			literal(v[len(v)-1], "password", password)
		}
	case format:
		for i, a := range args[:len(args)-1] {
			if a.to > 0 && strings.ContainsAny(a.text, "%{") && sc.namesSecret(a.text) {
				literal(i+1, "password", password)
			}
		}
	case (folded == "connect" || folded == "dial") && len(args) >= 3 && args[0].to > 0 && args[1].to > 0 && args[2].to > 0 && hasLetter(s[args[2].from:args[2].to]):
		literal(2, "password", password)
	case dial && len(args) >= 2:
		for i := range args[:len(args)-1] {
			if args[i].to == 0 && userNames[lastOf(splitName(args[i].text))] {
				literal(i+1, "password", password)
			}
		}
	case fill && len(args) >= 2:
		if sc.namesSecret(args[0].text) {
			literal(len(args)-1, "password", password)
		}
	case fill:
		if sc.namesSecret(sc.chained(at)) {
			literal(0, "password", password)
		}
	case equal && k == noSecret:
		named := sc.namesSecret(owner)
		for _, a := range args {
			named = named || a.to == 0 && sc.r.classify(a.text[strings.LastIndexAny(a.text, ".>")+1:]) == password
		}
		if named || sc.namesSecret(sc.chained(at)) {
			for i := range args {
				literal(i, "password", password)
			}
		}
	case k == password || k == token || k == key:
		if v := literals(args); len(parts) > 1 && setVerbs[parts[0]] && len(v) > 0 {
			literal(v[len(v)-1], name, k)
			if verb := parts[0]; len(v) == 2 && len(args) == 2 && (verb == "change" || verb == "compare" || verb == "match") {
				literal(v[0], name, k)
			}
		} else if len(parts) > 1 && len(v) == 1 && len(args) == 1 && !readVerbs[parts[0]] && (k == password || isDrawn(s[args[0].from:args[0].to])) {
			literal(0, name, k)
		} else if len(parts) == 1 && len(v) == 1 && len(args) == 1 && (k == password && folded != "secret" && folded != "secrets" && folded != "credential" && folded != "credentials" || hasDigit(s[args[0].from:args[0].to])) {
			literal(0, name, k)
		}
	}
}

// fallback looks at the literal after "||", "??", "?:" or in "? x :", where a name of a secret stands
// before it; at is the position of the operator.
func (sc *scanner) fallback(at int) {
	s := sc.s
	v := at + 1
	for v < len(s) && v < at+4 && strings.IndexByte("|?:= ", s[v]) >= 0 {
		v++
	}
	from, to, ok := quotedValue(s, v)
	if !ok || !sc.acceptLiteral(s[from:to], password) {
		return
	}
	before := s[max(0, at-chainMost):at]
	if sc.namesSecret(before[strings.LastIndexAny(before, "\n;")+1:]) {
		sc.later(from, to, "assignment")
	}
}

// tupleNames are parameters that take a user and a secret.
var tupleNames = words(`auth basic_auth basicauth credentials creds login httpauth http_auth proxy_auth`)

// tuple looks at auth=("user", "secret"); at is the position after the "(".
func (sc *scanner) tuple(at int) {
	if args, _ := sc.callArgs(at); len(args) == 2 && args[1].to > 0 && sc.acceptLiteral(sc.s[args[1].from:args[1].to], password) {
		sc.later(args[1].from, args[1].to, "argument")
	}
}

func lastOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

func literals(args []callArg) (list []int) {
	for i, a := range args {
		if a.to > 0 {
			list = append(list, i)
		}
	}
	return list
}

// acceptLiteral reports whether a literal that a function takes as a secret is one.
func (sc *scanner) acceptLiteral(v string, k kind) bool {
	if len(v) < 3 || isPlaceholder(v) || IsMarker(v) || isComplaint(v) || isWord(v) || strings.ContainsAny(v, "\n") || strings.Contains(v, "://") || strings.Contains(v, "[redacted") {
		return false
	}
	switch k {
	case password:
		return true
	case header:
		return hasDigit(v) && len(v) >= 6 || len(v) >= 12
	case code:
		return hasDigit(v)
	}
	return len(v) >= 4 && hasLetter(v) && !strings.Contains(v, " ")
}

// namesSecret reports whether a word of a text is the name of a password: "#password", "input[name=pw]".
func (sc *scanner) namesSecret(text string) bool {
	sc.r.work.add(len(text))
	for at := 0; at < len(text); at++ {
		if !inName[text[at]] {
			continue
		}
		end := at
		for end < len(text) && inName[text[end]] {
			end++
		}
		w := text[at:end]
		if k := sc.r.classify(w[strings.LastIndexByte(w, '.')+1:]); k == password {
			return true
		}
		at = end
	}
	return false
}

// chainMost is how many bytes before a method are looked at for the call that it is a method of.
const chainMost = 64

// chained is the call before the method at position at: getByLabel("Password").fill(, or the call
// around it: Expect(cfg.Password).To(Equal(.
func (sc *scanner) chained(at int) string {
	before := sc.s[max(0, at-chainMost):at]
	before = before[strings.LastIndexAny(before, "\n;,")+1:]
	if !strings.HasSuffix(before, ")") && !strings.HasSuffix(before, "(") && !(at < len(sc.s) && sc.s[at] == '.') {
		return ""
	}
	return before
}

// callArgs are the arguments that begin at position at, after the "(", and the position of the ")".
func (sc *scanner) callArgs(at int) (list []callArg, end int) {
	s := sc.s[:min(len(sc.s), at+longestCall)]
	begin, depth, from := at, 0, at
	add := func(to int) {
		a, b := trimmed(s, from, to)
		if a == b {
			return
		}
		x := callArg{text: s[a:b]}
		if lit := literalAt(s, a, b); lit > 0 {
			if f, t, ok := quotedValue(s[:b], lit); ok {
				x.from, x.to = f, t
			}
		}
		list = append(list, x)
	}
loop:
	for ; at < len(s) && len(list) < 8; at++ {
		switch c := s[at]; c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth == 0 {
				add(at)
				break loop
			}
			depth--
		case ',':
			if depth == 0 {
				add(at)
				from = at + 1
			}
		case '\\':
			if _, to, ok := quotedValue(s, at); ok {
				at = to + 1
			}
		case '"', '\'', '`':
			if _, to, ok := quotedValue(s, at); ok {
				at = to
			} else if at+1 < len(s) && s[at+1] == c {
				at++
			} else {
				break loop
			}
		}
	}
	sc.r.work.add(2 * (at - begin))
	return list, at
}

func trimmed(s string, from, to int) (int, int) {
	for from < to && isSpace(s[from]) {
		from++
	}
	for to > from && isSpace(s[to-1]) {
		to--
	}
	return from, to
}

// literalAt is the position of the quote of an argument that is a literal, or of one that is only
// converted: []byte("x"), new String("x"), x.encode().
func literalAt(s string, from, to int) int {
	text := s[from:to]
	i := strings.IndexAny(text, "\"'`")
	if i < 0 {
		return -1
	}
	if i > 0 && text[i-1] == '\\' {
		i-- // the call is in a string
	}
	switch before := text[:i]; before {
	case "", "b", "r", "f", "u", "@", "&", "$", "[]byte(", "string(", "String(", "new String(", "Buffer.from(", "bytes(", "SecureString(", "String.valueOf(", "[]rune(", "aws.String(", "pulumi.String(", "ptr(", "to.Ptr(":
	default:
		if name, ok := strings.CutSuffix(strings.TrimSpace(before), ":"); !ok || strings.Trim(name, alphanumeric+"_") != "" {
			return -1
		}
	}
	return from + i
}
