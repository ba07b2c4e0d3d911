package redact

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// toldTexts hold a secret at %: w is a word of letters, d six digits, c a code of letters and
// digits, p words with spaces.
const toldTexts = `
w (password: %)
w login failed for user: bob, password: %
w password -> %
w the password is %
w curl -uadmin:% https://ci.example.org/api
w http -a bob:% GET example.org
w $ vault login %
w SET PASSWORD FOR 'bob'@'localhost' = '%';
w password: Some("%"), port: 1
w   'password' => string(8) "%"
w <key>password</key><string>%</string>
w password: !vault %
w ConvertTo-SecureString "%" -AsPlainText
w ssh-keygen -N '%' -f id
w snmpwalk -v2c -c % host
w os.Setenv("DB_PASSWORD", "%")
w page.fill("password", "%")
w setPassword("%")
w expected password to equal "%"
w invalid password "%" for user bob
w Enter password: %
w Password for bob: %
w start /password:%
w curl -H 'X-Api-Key: %' example.org
w password='it\'s %'
c SESSION=%
c curl -b "session=%" example.org
c using token %
c GET /cb?code=%&state=xyz
c SAMLResponse=%
d mfa_code=%
d Your one-time code is %
d Your verification code: %
c recovery code: %
p passphrase: must love %
p passphrase: is this %
p passphrase is "is this %"
`

// Values that no assignment gives are found, and stay redacted.
func TestValuesThatSentencesTell(t *testing.T) {
	m := &maker{rng: rand.New(rand.NewPCG(3, 4))}
	draw := map[byte]func() string{
		'w': m.word, 'd': func() string { return m.of(digits, 6) },
		'c': func() string { return m.of(lower, 4) + m.of(digits, 3) + m.of(lower, 4) + m.of(digits, 2) },
		'p': func() string { return m.word() + " " + m.word() },
	}
	for row := range strings.Lines(strings.TrimSpace(toldTexts)) {
		row = strings.TrimSuffix(row, "\n")
		secret := draw[row[0]]()
		text := strings.Replace(row[2:], "%", secret, 1)
		got := new(Redactor).Text(text)
		for part := range strings.FieldsSeq(secret) {
			if strings.Contains(got, part) {
				t.Errorf("%q became %q", text, got)
			}
		}
		if again := new(Redactor).Text(got); again != got {
			t.Errorf("redacted twice: %q, %q", got, again)
		}
	}
}

// Texts of the same shapes that hold no secret.
func TestSentencesWithoutValues(t *testing.T) {
	for _, s := range []string{
		"the password is required", "the password is wrong.", "the password is hashed", "(password: string)", "user: bob, password: incorrect", "password -> hash", "password -> password_hash",
		"vault login failed", "vault login -method=oidc", "SET PASSWORD policy is unsupported", "passphrase must not be empty", "passphrase: must not be empty", "password: is required",
		"passphrase: could not read file", "exit code: 137", "status code = 503", "GET /x?code=404&a=b", "session: 3 of 10", "SESSION=closed", "session_timeout=30m", "verification code is invalid",
		"using token from file", "with password authentication", "curl -u https://example.org", "curl -uadmin:$PASS example.org", "license key is missing", "-ApiKey $key", "curl -b cookies.txt example.org",
	} {
		if got := new(Redactor).Text(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// One secret of each form of the table is found.
func TestEveryForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, list := range formsBy {
		for _, f := range list {
			if f.rule == "jwt" {
				continue // needs three parts
			}
			var in string
			for c := range 128 {
				if b := byte(c); f.class[b] && (isLetter(b) || isDigit(b)) {
					in += string(rune(b))
				}
			}
			b := make([]byte, f.least)
			for i := range b {
				b[i] = in[rng.IntN(len(in))]
			}
			b[len(b)/2] = '7'
			secret := f.prefix + string(b)
			if got := new(Redactor).Text("value " + secret + " given"); strings.Contains(got, string(b)) {
				t.Errorf("%q became %q", secret, got)
			}
		}
	}
}
