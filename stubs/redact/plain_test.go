package redact

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// texts adds every string of a file of results to set: names, messages and output.
func texts(t *testing.T, file string, set map[string]bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(file, ".xml") {
		d := xml.NewDecoder(bytes.NewReader(data))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			switch x := token.(type) {
			case xml.StartElement:
				for _, a := range x.Attr {
					set[a.Value] = true
				}
			case xml.CharData:
				set[string(x)] = true
			}
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := token.(string); ok {
			set[s] = true
		}
	}
}

// Nothing in the names and messages of real results is a secret.
func TestRealResultsAreLeftAlone(t *testing.T) {
	files, err := filepath.Glob("../../reports/ingest/testdata/*-*-*-*.gz")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	set := map[string]bool{}
	for _, file := range files {
		texts(t, file, set)
	}
	t.Logf("%d distinct texts", len(set))
	if len(set) < 1000 {
		t.Fatalf("only %d texts", len(set))
	}
	for s := range set {
		if got := new(Redactor).Text(s); got != s {
			t.Errorf("%q\nbecame %q", s, got)
		}
	}
}

// ordinary are texts as tests, tools and people write them: near secrets, and none. One a line;
// \n stands for a line break.
const ordinary = `next_token = page2cursor
next_page_token: abc123def456
"next_page_token": "CAUQAA12345678"
nextPageToken=CAUQAA12345678
eos_token: </s>
eos_token_id = 50256
bos_token = <|startoftext|>
pad_token: [PAD]
max_tokens: 4096
max_tokens=4096
prompt_tokens: 12, completion_tokens: 30, total_tokens: 42
token count: 15339
"token": 15339
token: 15339
tokens = 15339
token_count=15339
tokens per second: 42.5
expected token ')' but found '}'
unexpected token: ')'
unexpected token "foobar1" in JSON at position 4
Unexpected token < in JSON at position 0
syntax error: unexpected token: identifier2
invalid token: unexpected end of input
token: string
token = parser.next(); if token == nil { return }
token := scanner.Next()
token, err := p.next()
if token != expectedToken { t.Fatal(token) }
Token: IDENT, Value: x
token.Pos: 12
token type: bearer
token_type: Bearer
"token_type": "Bearer"
token_endpoint: https://example.com/oauth/token
tokenUrl=https://example.com/oauth/token
token expired
token: expired
token is missing
the token of thanks
The bearer certificates of a basic understanding
bearer token2 works
Bearer authentication is required
Basic authentication2 works
Basic authentication works
Basic usage: see README
basic support for HTTP2 servers
uses basic auth
auth: failed
auth=none
auth=basic
authMethod: kerberos5
auth_mode: oauth2
authorization: required
Authorization: required
Authorization header is missing
Authorization: Bearer <token>
Authorization: Bearer ${TOKEN}
Authorization: Bearer $TOKEN
Authorization: Basic <base64>
Authorization failed: role admin2 needed
cookie: not found
Cookie: missing
cookies are disabled
password must not be empty
password: must not be empty
password: must be at least 8 characters long
"password": "must not be empty"
"password": "is required"
{"errors":{"password":"must be at least 8 characters"}}
{"password":["is too short","must contain a digit"]}
password: required
Password: required
password is wrong
wrong password
invalid password for user bob
password authentication failed for user "postgres"
pq: password authentication failed for user "bob"
FATAL: password authentication failed for user "app1"
password reset for bob2 sent
password policy: strong2
passwordPolicy=strict1
password_file: /run/secrets/db2
PASSWORD_FILE=/run/secrets/db2
--password-file /run/secrets/db2
--password-stdin
the --password flag is required
use --password to set it
--token flag cannot be empty
--password: required flag
flag needs an argument: --password
password=nil
password=""
password = ""
password: ''
password=***
password: ********
password=xxxxx
password=<redacted>
password=%s
password=%v user=%v
password=${DB_PASSWORD}
password=$DB_PASSWORD
password: ${{ secrets.DB_PASSWORD }}
password: {{ .Values.password }}
password = os.Getenv("DB_PASSWORD")
password = getPassword(user2)
password := cfg.Password
secret = config.secret
secret: vault.Read(path1)
secret_name: my-secret-2
secretName: db-credentials-v2
secretKeyRef:
secrets: 3
secret not found: db2
The secret ingredient = patience
secretary: bob1
the secret is out
Secrets are redacted before they are written
credentials: missing
no credentials found for host1
credential helper: osxkeychain2
credentials file: /home/bob/.aws/credentials2
apiKey is required
api_key: missing
api_key=None
API key not valid. Please pass a valid API key.
api_keys_count: 12
key: value
key: value1
key=value1
the key is abc123
cache_key=go-1.26-linux-abc123def4
cache key: linux-go-1a2b3c4d5e6f7a8b
primary_key: id2
primary key = user_id1
foreign_key=order_id2
public_key: ssh-ed25519
partition_key: tenant12
idempotency_key: 550e8400-e29b-41d4-a716-446655440000
sort_key=created_at1
keyboard: us1
monkey: 12abc34
keypath: a.b.c1
pass=5 fail=2
pass: 12, fail: 0
PASS: TestAddToQuery/4
--- PASS: TestElideKeyValues/1 (0.00s)
--- FAIL: TestPassword1 (0.01s)
PASS\nok  \texample.com/x1\t0.012s
ok  	github.com/onsi/gomega	0.361s
passed 12 of 13
pass rate: 98.7%
pass_rate=98.7%
bypass: true1
compass: n123
PWD=/home/bob/src/project2
OLDPWD=/tmp/x1
pwd: /home/bob1
pin: 13
pins: 4, 5, 6
session: closed1
session started at 12:00:01
session timeout: 30m
sid: 12
sig: SIGTERM
sig = os.Interrupt
signal: killed
signature: func(a int) string
signature mismatch: want 12 got 13
github.com/onsi/gomega v1.38.0 h1:c/WX+w8SLAinvuKKQFh77WEucCnPk4j2OTUr7lt7BeY=
github.com/google/go-cmp v0.7.0/go.mod h1:pXiqmnSA92OHEEa9HXL2W4E7lf9JzCmGUUdgjB3N/iU=
h1:dUUwHk2QECo/6vqA44rthZ8ie2QXMNeKRTHCNY2nXvo=
"integrity": "sha512-DtR4OaJyqOWQGHQCzVtO2nG1jr1WcBEvOSPUFsgXqXXVJoa5fZxhJFhcjpvLc3jZ4xVyzJlDH4QR8aBbVmKVVQ=="
integrity sha512-DtR4OaJyqOWQGHQCzVtO2nG1jr1WcBEvOSPUFsgXqXXVJoa5fZxhJFhcjpvLc3jZ4xVyzJlDH4QR8aBbVmKVVQ==
integrity="sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC"
sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDvo5xNqv5TLEIFYxc
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
commit 6a25b88f0d1c4e7f9a3b5c8d2e4f6071829304a5
token 6a25b88f0d1c4e7f9a3b5c8d2e4f6071829304a5
index 3f1a2b4..9c8d7e6 100644
550e8400-e29b-41d4-a716-446655440000
request_id=550e8400-e29b-41d4-a716-446655440000
trace_id: 4bf92f3577b34da6a3ce929d0e0e4736
etag: W/"9hJ2kL5mN8pQ1rS4tV7wX0yZ3aB6cD9e"
nonce="4f1a2b3c4d5e6f708192a3b4"
toolu_01A09q90qw90lq917835Xb7Kq9Zt is what id says
Expected\n    <string>: foo\nto equal\n    <string>: bar
Expected\n    <int>: 12\nto be >\n    <int>: 13
Expected\n    <*errors.errorString | 0xc000123450>: \n    EOF\n    {s: "EOF"}\nnot to have occurred
Expected\n    <token.Token>: 12\nto equal\n    <token.Token>: 13
Expected\n    <map[string]int | len:2>: {"a": 1, "b": 2}\nto have key\n    <string>: c
Expected\n    <[]string | len:2, cap:2>: ["a", "b"]\nto contain element matching\n    <string>: "c"
Expected <secrets.Secret>: nil
Timed out after 1.001s.\nExpected\n    <bool>: false\nto be true
Expected success, but got an error:\n    <*fs.PathError | 0xc0000a0cc0>: \n    open x: no such file or directory
Unexpected error: dial tcp 127.0.0.1:5432: connect: connection refused
panic: runtime error: invalid memory address or nil pointer dereference
panic: runtime error: index out of range [5] with length 3
goroutine 12 [running]:\nmain.main()\n\t/home/bob/src/x/main.go:12 +0x1d
goroutine 1 [chan receive, 2 minutes]:\ntesting.(*T).Run(0xc000107ba0, {0x5f0c3e?, 0x0?}, 0x600d50)
created by net/http.(*Server).Serve in goroutine 1\n\t/usr/local/go/src/net/http/server.go:3285 +0x4b4
/home/bob/go/pkg/mod/github.com/!masterminds/semver/v3@v3.4.0/constraints.go:12
./main.go:12:5: undefined: token
main.go:12:5: cannot use password (variable of type string) as int value in assignment
main_test.go:33: token = "a", want "b"
x_test.go:12: got secret = false, want true
a.go:1:2:b:c
image:8080:x:y
00:11:22:33:44:55
2001:db8:85a3:8d3:1319:8a2e:370:7348
2026-07-01T12:34:56.789012345Z
12:34:56.789
127.0.0.1:8080
user@example.com
git@github.com:flujo/flujo-harness.git
ssh://git@github.com/flujo/flujo-harness.git
https://github.com/flujo/flujo-harness/blob/main/core/engine.go#L42
https://example.com/search?q=cats&page=2
https://example.com/x?page_token=abc123
https://example.com/a?b=c%20d
https://user@example.com/x
http://localhost:8080/health?verbose=1
postgres://localhost:5432/shop?sslmode=disable
docker run -u 1000:1000 -p 8080:80 nginx
docker run -p 127.0.0.1:8080:80 nginx:1.27
mkdir -p /tmp/a1
cp -p a1 b1
ssh -p 2222 host1
go test -p 4 -run TestX ./...
curl -s -o /dev/null https://example.com/x1
grep -P 'a1+' file
git push -u origin main
psql -U postgres -d shop1
mysql -u root -P 3306 shop
zip -r a1.zip b
identified by its id
rows are identified by 'id'
CREATE TABLE users (id int, password_hash text, token_count int)
SELECT password FROM users WHERE id = 12
login with password authentication
machine learning with password managers
password managers like 1Password2
with password 'required'
sends a password by mail2
resets the password of user12
rejects a wrong password
accepts a token twice
shows token 2 of 3
TestPasswordIsHashed
TestTokenBucketRefill2
TestRecordedAgentIsReplayedWithoutTheRealOne2
github.com/flujo/flujo-harness/stubs_test.TestBadCassettes
OpAMD64VPERMQMasked512load
sk-learn-compatible-estimators are risk-free
sk-learn-compatible-estimators-for-tests-2
task-oriented-things-1234567890
re_compile_with_flags_and_groups_2
key-value-pairs-of-the-map-12
npm_config_registry=https://registry.npmjs.org
npm_package_version=1.2.3
hf_hub_download failed
AKIA is a prefix
ghp_ is a prefix of tokens
eyJ is how they begin
glpat- begins those of GitLab
dapi is the prefix
SKIPPED 12 tests
SK 1234
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789
aaaaaaaaaaaaaaaaaaaaaaaa1A
-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----
-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----
ssh-rsa is the kind of key
data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7
{"signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"}
{"type":"redacted_thinking","data":"EmwKAhgBEgy3va3pzix7LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpP"}
{"encrypted_content":"gAAAAABoISQ24OyVRYbkYfukdJoqdzWT-3uiErKInHDC-lgAaXeky44N77j7aibc"}
{"system_fingerprint":"fp_44709d6fcb9hJ2kL5mN8pQ1rS4tV7wX0"}
{"token":15339,"max_tokens":4096,"eos_token":"</s>"}
{"next_page_token":"CAUQAA12345678","items":[]}
{"token":"Hello","logprob":-0.5}
{"properties":{"password":{"type":"string","description":"of the user"}}}
{"required":["password","token"]}
{"type":"object","password":null,"secret":true}
{"secret_name":"db-2"}
{"key":"value1"}
{"id":"call_9hJ2kL5mN8pQ1rS4tV7wX0yZ"}
level=info msg="token refreshed" user=bob2
level=error msg="invalid password" attempt=3
time=2026-07-01T12:34:56Z level=INFO msg=started addr=:8080
{Name:bob Age:12 Token:<nil>}
{Name:bob Password: Age:12}
{Kind:token Value:x1}
&{Token:IDENT Pos:12}
map[a:1 b:2]
map[token:15339]
[redacted] and [redacted:api-key] stay
password=[redacted]
--token [redacted] --port 80
<password></password>
<password/>
<token>12</token>
<input type="password" name="password"/>
<label for="password">Password:</label>
<testcase name="password" classname="auth.PasswordTest" time="0.1"/>
<testcase classname="token.Parser" name="secret value"/>
name: password\nvalid: true
- name: token\n  type: string
type: string\nname: token
env:\n  - PASSWORD_MIN_LENGTH=12
MIN_PASSWORD_LENGTH=12
TOKEN_TTL=3600s
TOKEN_EXPIRY=24h0m0s
SESSION_TIMEOUT=30m
SECRET_COUNT=12
KEY_SIZE=4096
keySize: 2048
RSA key size: 2048
AES-256-GCM key length 32
api-version=2024-10-01
apikey: undefined
cookieName=session2
secure cookie: true
csrf token mismatch
jwt: token is expired by 5m0s
jwt expired
otp expired
bearer: 12
const tokenLimit = 12
type Token struct { Kind int }
func (t *Token) String() string
func password(s string) bool {
func NewToken(kind1 string) *Token
var ErrPassword = errors.New("wrong password")
return fmt.Errorf("token %q: %w", token, err)
t.Errorf("secret %d of %d", i1, n1)
tokens[0] = Token{Kind: 2}
password[0] == 'a'
secret == nil
secret != ""
auth.Token != nil
s.token = s.next()
this.password = password
self.token = token
let token = await getToken();
private String password;
String password = request.getParameter("password1");
token->next = head1;
std::string token = lexer.next1();
std::token::value1
a secret: never tell
secret: redacted
secret: 'string'
"secret": "string"
password: "required"
passphrase: incorrect
passphrase for key '/home/bob/.ssh/id_ed25519':
Enter passphrase (empty for no passphrase):
Password for 'https://bob@github.com':
remote: Invalid username or token. Password authentication is not supported.
fatal: Authentication failed for 'https://github.com/a/b1.git/'
401 Unauthorized: token expired at 2026-01-01T00:00:00Z
403 Forbidden: missing scope repo2
denied: requested access to the resource is denied
x509: certificate signed by unknown authority
tls: bad certificate
oauth2: cannot fetch token: 400 Bad Request
rpc error: code = Unauthenticated desc = token expired
adds an item to the cart
retries twice, then fails
100% of 12 tests
%d of %d
50%25 off
a+b=c1
x=1&y=2
C:\Users\bob\secret1\file.txt
/run/secrets/db_password2
secrets/db-password-2.txt
password1.txt
token_test.go:12
testdata/secret/key1.pem
reports/testdata/gomega-2024-10-29-eeca931.json.gz
/tmp/TestCanary2896473997/001/c.jsonl
/tmp/go-build3857912345/b001/exe/main
v0.0.0-20240102150405-0123456789ab
github.com/a/b/v2@v2.0.0-20240102150405-0123456789ab
1.26.0-rc.1+build.5
node_modules/.pnpm/react-dom@18.2.0_react@18.2.0
AbstractSingletonProxyFactoryBeanTest2
ExampleRedactor_Text_WithJSONInJSON
it("accepts a token", function1)
describe Password strength meter 2
should return 401 when token is invalid
when the api key is missing returns 403
with secret rotation enabled, keeps 2 versions
given a cookie without a value
handles authorization: none
supports password=false
sets password to null
param token=null
token=undefined
token = "EOF"
token: "IDENT"
got token "(" want token ")"
stop token: END2
first token = word1
last token: word2
page token: abc123
resume token: abc123def
sync_token=abc123def
cursor token = abc123def`

// Ordinary texts stay as they are.
func TestOrdinaryTextsAreLeftAlone(t *testing.T) {
	n := 0
	for line := range strings.SplitSeq(ordinary, "\n") {
		n++
		s := strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(line)
		if got := new(Redactor).Text(s); got != s {
			t.Errorf("%q\nbecame %q", s, got)
		}
	}
	if n < 300 {
		t.Errorf("only %d texts", n)
	}
}
