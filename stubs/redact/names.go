package redact

import (
	"slices"
	"strings"
	"unicode"
)

// kind is what the name of a value says about the value.
type kind uint8

const (
	noSecret kind = iota
	password      // also without a digit, also as a number
	token         // a number is a count, and next to "next" or "eos" it is a word of a language
	key           // long, and no word
	header        // to the end of the line
	code          // a code of a few digits or letters
	opaque        // only where the value is tight or a parameter and looks drawn: session=x, SAMLResponse=x
)

// stems make every name that holds them a secret, wherever in the folded name they are.
var stems = []struct {
	stem string
	kind kind
}{
	{"password", password}, {"passwd", password}, {"passphrase", password}, {"passwort", password}, {"passcode", password}, {"secret", password}, {"credential", password},
	{"kennwort", password}, {"contrase", password}, {"senha", password}, {"motdepasse", password}, {"parola", password}, {"пароль", password}, {"密码", password}, {"口令", password},
	{"パスワード", password}, {"비밀번호", password}, {"hasło", password}, {"lösenord", password}, {"şifre", password},
	{"mnemonic", password}, {"seedphrase", password}, {"recoverycode", password}, {"backupcode", password},
	{"apikey", key}, {"privatekey", key}, {"accesskey", key}, {"secretkey", key}, {"authkey", key}, {"encryptionkey", key}, {"signingkey", key}, {"masterkey", key},
	{"sharedkey", key}, {"accountkey", key}, {"subscriptionkey", key}, {"licensekey", key}, {"clientkeydata", key}, {"connectionstring", key},
	{"accesstoken", token}, {"authtoken", token}, {"refreshtoken", token}, {"sessionid", token}, {"sessid", token}, {"xamzsignature", token}, {"xgoogsignature", token},
	{"codeverifier", token}, {"clientassertion", token}, {"storagekey", key}, {"deploykey", key}, {"presharedkey", key}, {"hubsignature", token}, {"honeycombteam", key}, {"keystorepass", password}, {"storepass", password}, {"keypass", password},
}

// secretWords make a name a secret where they are a whole word of it.
var secretWords = map[string]kind{
	"pass": password, "pwd": password, "pw": password, "psk": password, "otp": password, "totp": password, "pin": password, "creds": password, "cred": password,
	"salt": key, "token": token, "jwt": token, "bearer": token, "auth": token, "sig": token, "sid": token, "pat": token,
	"authorization": header, "cookie": header, "cookies": header,
}

// keyOwners make a secret of the "key" that follows them.
var keyOwners = words(`api private secret access encryption encrypt crypt security payment tls ssl encrypting decryption signing sign master shared account storage auth authentication license hmac aes des
	rsa ssh gpg pgp ecdsa deploy service admin root subscription app application webhook consumer jwt session cookie cipher crypto vault unseal recovery write read ingest ingestion
	instrumentation integration function functions host jwk fernet wrapping kms data dek kek server client user developer dev prod live test stripe openai anthropic datadog google maps sendgrid
	twilio mailgun signature algolia cohere mistral groq gemini relic rollbar honeycomb segment`)

// metaWords, at the end of a name, say that the value only describes a secret.
var metaWords = words(`name names type types count counts len length size sizes limit limits max min number num file files filename path paths dir folder url uri endpoint
	ttl expiry expires expired expiration at age policy policies field fields format version status state valid validity enabled disabled required error errors index position pos offset line kind class manager
	provider store source ref reference rotation usage used remaining budget test tests spec hint help label description prompt placeholder input reset strength
	stdin env var variable algorithm alg method mode scope scopes issuer audience hash digest id ids by on count per rate bytes chars prefix suffix pattern regexp regex template
	exists set present found missing changed updated created handler helper util utils service validator generator factory parser reader writer store backend module package command
	mount volume map list array group role binding schema model table column entity event events message messages text title page view form box button cache timeout timeouts hasher hashers encoder encoders interval duration retries attempts delay days hours minutes seconds checker rule rules
	requirements complexity history lockout visibility toggle icon`)

// counters, directly before "token", say that it is a word of a text or a place in a list.
var counters = words(`next page eos bos pad padding unk sep cls mask stop start end begin continuation continue prev previous first last sync expected unexpected invalid max min num total
	special current cur peek image audio text cursor lexer pagination resume change paging marker prompt completion input output cached reasoning cancellation cancel decoded sampled draft
	think per syntax illegal missing bad no each every this that bearer-type keyword identifier string number eof`)

// keptFields are fields of providers whose values only look secret: pages of lists, and words
// of a model's language.
var keptFields = words(`encryptedcontent signature thoughtsignature systemfingerprint nextpagetoken pagetoken nexttoken eostoken bostoken padtoken tokentype cachekey idempotencykey publickey`)

// plainEnds are the ends of names whose values look random and are no secrets: identifiers,
// digests, payloads.
var plainEnds = []string{"id", "ids", "digest", "hash", "checksum", "sha1", "sha256", "sha512", "md5", "etag", "fingerprint", "base64", "signature", "integrity", "nonce", "encryptedcontent", "publickey", "sum", "pagetoken", "nexttoken", "continuationtoken", "cursor", "synctoken"}

// plainLabels are names before which, in a text that is no JSON, a random value is no secret.
var plainLabels = words(`etag integrity checksum encryptedcontent thoughtsignature nextpagetoken pagetoken nexttoken continuationtoken cursor nextcursor synctoken publickey digest`)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		set[w] = true
	}
	return set
}

// fold makes API-Key, api_key and apiKey one name.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, name)
}

func (r *Redactor) plainName(name string) bool {
	if name == "" {
		return false
	}
	n := fold(name)
	return r.keep[n] || slices.ContainsFunc(plainEnds, func(end string) bool { return strings.HasSuffix(n, end) })
}

// longestName bounds what is taken for a name, in bytes.
const longestName = 100

// classify says what the value of a name is.
func (r *Redactor) classify(name string) kind {
	if len(name) < 2 || len(name) > longestName || !mayBeSecret(name) || strings.HasPrefix(name, "[redacted") {
		return noSecret
	}
	if len(r.keep) > 0 && r.keep[fold(name)] {
		return noSecret
	}
	k := classifyWords(splitName(name))
	if n := len(name) - len("-signature"); k == noSecret && n > 0 && strings.EqualFold(name[n:], "-signature") {
		return header // Stripe-Signature, X-Hub-Signature
	}
	return k
}

// mayBeSecret is a quick test that most names fail: every secret name holds one of these
// pairs of letters.
func mayBeSecret(name string) bool {
	for i := range len(name) - 1 {
		if name[i] >= 0x80 {
			return true
		}
		switch name[i] | 0x20 {
		case 'p': // pass, pwd, pw, psk, pin, pat
			switch name[i+1] | 0x20 {
			case 'a', 'w', 's', 'i':
				return true
			}
		case 's': // secret, sess, sig, sid, seed, salt
			switch name[i+1] | 0x20 {
			case 'e', 'i', 'a':
				return true
			}
		case 'k': // key, token
			if name[i+1]|0x20 == 'e' {
				return true
			}
		case 'c': // cred, cookie, code
			switch name[i+1] | 0x20 {
			case 'r', 'o':
				return true
			}
		case 'a': // auth
			if name[i+1]|0x20 == 'u' {
				return true
			}
		case 'j', 'b', 'o', 'm': // jwt, bearer, otp, mnemonic
			switch name[i+1] | 0x20 {
			case 'w', 'e', 't', 'n':
				return true
			}
		}
	}
	return false
}

// splitName gives the words of a name in lower case: API-Key, api_key, apiKey and APIKey are
// api and key. Digits belong to no word.
func splitName(name string) []string {
	list := make([]string, 0, 6)
	from := -1
	add := func(to int) {
		if from >= 0 {
			list = append(list, strings.ToLower(name[from:to]))
		}
		from = -1
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case !isLetter(c) && c < 0x80:
			add(i)
		case from < 0:
			from = i
		case isUpper(c) && isLower(name[i-1]), // apiKey
			isUpper(c) && isUpper(name[i-1]) && i+1 < len(name) && isLower(name[i+1]) && !(name[i+1] == 's' && (i+2 == len(name) || !isLower(name[i+2]))): // APIKey, not PWDs
			add(i)
			from = i
		}
	}
	add(len(name))
	return list
}

// passOwners may be written in one word with "pass".
var passOwners = words(`db user mysql pg admin root ftp smtp ssh key store require master redis mail login my bind proxy imap ldap vpn wifi postgres mongo sudo trust`)

func classifyWords(list []string) kind {
	if len(list) == 0 {
		return noSecret
	}
	last := list[len(list)-1]
	folded := strings.Join(list, "")
	switch {
	case last == "session", folded == "samlresponse", folded == "samlrequest":
		return opaque
	case (last == "code" || last == "codes") && len(list) > 1 && codeOwners[list[len(list)-2]], folded == "cvv", folded == "cvc":
		return code
	}
	if keptFields[folded] {
		return noSecret
	}
	if strings.HasSuffix(folded, "accesskeyid") || folded == "secretid" || strings.HasSuffix(folded, "sessionid") {
		return token
	}
	if len(list) > 1 && metaWords[last] && !strings.HasSuffix(folded, "sessid") || last == "tokens" && !tokenOwner(list) {
		return noSecret
	}
	for _, stem := range []string{"password", "secret", "passphrase"} { // also of a token
		if at := strings.Index(folded, stem); at >= 0 && !strings.HasPrefix(folded[at:], "secretar") && !strings.HasPrefix(folded[at:], "secretly") && !strings.Contains(folded, "key") {
			return password
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		w := list[i]
		k := secretWords[w]
		if k == noSecret {
			k = secretWords[strings.TrimSuffix(w, "s")]
		}
		switch {
		case k == token && strings.HasPrefix(w, "token"):
			if i > 0 && counters[list[i-1]] || i+1 < len(list) && i+2 == len(list) && metaWords[list[i+1]] {
				return noSecret
			}
			return token
		case w == "auth" && len(list) > 1 && i != len(list)-1, w == "pass" && i != len(list)-1 && len(list) > 1,
			(w == "pat" || w == "sid" || w == "sig" || w == "pin" || w == "cred") && i != len(list)-1:
			// "auth_mode" is a setting, "pass_rate" a figure.
		case k != noSecret:
			return k
		case (w == "key" || w == "keys") && i > 0 && keyOwners[list[i-1]]:
			return key
		}
	}
	for _, s := range stems {
		if at := strings.Index(folded, s.stem); at >= 0 {
			if s.stem == "secret" && (strings.HasPrefix(folded[at:], "secretar") || strings.HasPrefix(folded[at:], "secretly")) {
				continue
			}
			return s.kind
		}
	}
	switch {
	case strings.HasSuffix(last, "pwd"):
		return password
	case last == "masterauth" || strings.HasSuffix(last, "pw") && passOwners[strings.TrimSuffix(last, "pw")]:
		return password
	case strings.HasSuffix(last, "pass") && passOwners[strings.TrimSuffix(last, "pass")]:
		return password
	case strings.HasSuffix(last, "token"):
		for before := range counters {
			if strings.HasSuffix(strings.TrimSuffix(last, "token"), before) {
				return noSecret
			}
		}
		return token
	}
	return noSecret
}

// tokenOwner reports whether tokens are of the kind that opens something.
func tokenOwner(list []string) bool {
	return len(list) > 1 && slices.Contains([]string{"access", "api", "auth", "refresh", "bearer"}, list[len(list)-2])
}
