package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

// sample is a made-up text with a secret in it. What must be gone is list.
type sample struct {
	name, text string
	list       []string
}

// maker makes up secrets: they are drawn when the test runs, so that none is in the source.
type maker struct {
	rng  *rand.Rand
	list []sample
}

const (
	lower    = "abcdefghijklmnopqrstuvwxyz"
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits   = "0123456789"
	alnum    = lower + upper + digits
	hexChars = digits + "abcdef"
	urlChars = alnum + "_-"
)

// of draws n characters, at least one of them a digit where the alphabet has any.
func (m *maker) of(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[m.rng.IntN(len(alphabet))]
	}
	if strings.Contains(alphabet, digits) {
		b[n/2] = digits[m.rng.IntN(len(digits))]
	}
	return string(b)
}

// word is a password without a digit; pass one with digits and signs.
func (m *maker) word() string { return m.of(lower, 9+m.rng.IntN(4)) }
func (m *maker) pass() string {
	return m.of(lower, 4) + m.of(digits, 2) + "!" + m.of(alnum, 4)
}

func (m *maker) base64(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.rng.IntN(256))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// add makes a sample: each %s of the text is a secret.
func (m *maker) add(name, text string, secrets ...string) {
	args := make([]any, len(secrets))
	for i, s := range secrets {
		args[i] = s
	}
	m.list = append(m.list, sample{name, fmt.Sprintf(text, args...), secrets})
}

// named are secrets that only the name next to them gives away.
func (m *maker) named() {
	for _, name := range []string{"DB_PASS", "MYSQL_PWD", "PGPASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "SECRET_KEY_BASE", "ENCRYPTION_KEY", "DJANGO_SECRET_KEY", "FLASK_SECRET", "APP_KEY",
		"JWT_SIGNING_KEY", "SESSION_SECRET", "API_KEY_PROD", "AUTH_TOKEN", "SMTP_PASS", "GPG_PASSPHRASE", "VAULT_UNSEAL_KEY", "CLIENT_SECRET", "NPM_TOKEN", "ADMIN_CREDENTIALS", "RAILS_MASTER_KEY", "KEYSTORE_PASSWORD", "TF_VAR_db_password"} {
		m.add("env "+name, name+"=%s", m.pass())
		m.add("env in a command "+name, "run "+name+"=%s ./server --port 80", m.word())
	}
	for _, name := range []string{"password", "passwd", "dbPassword", "client-secret", "passphrase", "x-api-key", "apiKey", "secret_access_key", "credentials", "private_key", "pwd", "userPass"} {
		m.add("quoted "+name, "set "+name+" = \"%s\" and go", m.word())
		m.add("yaml "+name, "server:\n  port: 80\n  "+name+": %s\n  host: db\n", m.pass())
		m.add("json field "+name, `{"a":1,"`+name+`":"%s"}`, m.word())
		m.add("escaped json "+name, `sent {\"`+name+`\":\"%s\"} to it`, m.word())
	}
	for _, name := range []string{"password", "secret", "passphrase"} {
		m.add("yaml word "+name, "user: bob\n"+name+": %s\n", m.word())
		m.add("ini word "+name, "[db]\nuser = bob\n"+name+" = %s\n", m.word())
		m.add("toml "+name, "[db]\n"+name+" = '%s'\n", m.word())
		m.add("go struct "+name, "got {User:bob "+strings.ToUpper(name[:1])+name[1:]+":%s Port:5432}", m.word())
		m.add("go struct first "+name, "&{"+strings.ToUpper(name[:1])+name[1:]+":%s Port:5432}", m.word())
		m.add("go syntax "+name, "main.Config{User:\"bob\", "+strings.ToUpper(name[:1])+name[1:]+":\"%s\"}", m.word())
		m.add("go map "+name, "map["+name+":%s user:bob]", m.word())
		m.add("xml element "+name, "<conf><user>bob</user><"+name+">%s</"+name+"></conf>", m.word())
		m.add("xml attribute "+name, `<db user="bob" `+name+`="%s"/>`, m.word())
		m.add("option "+name, "tool --user bob --"+name+" %s --port 80", m.word())
		m.add("option equals "+name, "tool --"+name+"=%s run", m.word())
		m.add("option list "+name, `exec ["tool", "--`+name+`", "%s"]`, m.word())
		m.add("python "+name, "{'user': 'bob', '"+name+"': '%s'}", m.word())
		m.add("ruby "+name, "{:user=>\"bob\", :"+name+"=>\"%s\"}", m.word())
	}
	m.add("xml property", `<property name="password">%s</property>`, m.word())
	m.add("secret of a token", "jwt_secret: %s\n", m.word())
	m.add("token without a digit", "access_token: %s\n", m.word())
	m.add("one-time password", "OTP: %s", m.of(digits, 6))
	m.add("bind password", "rootpw %s\n", m.word())
	m.add("auth pair", "auth=bob:%s", m.word())
	m.add("sentence", "the password is '%s'", m.word())
	m.add("7z", "7z x -p%s a.7z", m.word())
	m.add("xml namespace", `<wsse:Password Type="text">%s</wsse:Password>`, m.word())
	m.add("xml pair", `<add key="DbPassword" value="%s" />`, m.word())
	m.add("xml escaped json", "{&quot;password&quot;:&quot;%s&quot;}", m.word())
	m.add("yaml env pair", "- name: DB_PASSWORD\n  value: %s\n", m.word())
	m.add("json pair", `{"name":"Authorization","value":"%s"}`, m.word())
	m.add("yaml block", "password: |\n  %s\nuser: bob\n", m.word())
	m.add("typed declaration", "const dbPassword string = \"%s\"", m.word())
	m.add("typescript declaration", "const password: string = '%s';", m.word())
	m.add("assign :=", "password := \"%s\"", m.word())
	m.add("passphrase of words", "passphrase = \"%s\"", m.word()+" "+m.word()+" "+m.word())
	m.add("number in json", `{"user":"bob","password":%s}`, "9"+m.of(digits, 8))
}

// phrases are secrets that words around them give away.
func (m *maker) phrases() {
	m.add("mysql", "CREATE USER 'bob'@'%%' IDENTIFIED BY '%s';", m.word())
	m.add("mysql with", "ALTER USER bob IDENTIFIED WITH caching_sha2_password BY '%s'", m.word())
	m.add("oracle", "create user bob identified by \"%s\"", m.word())
	m.add("postgres role", "CREATE ROLE bob WITH LOGIN PASSWORD '%s'", m.word())
	m.add("postgres user", "alter user bob with encrypted password '%s'", m.word())
	m.add("netrc lines", "machine example.com\n  login bob\n  password %s\n", m.word())
	m.add("netrc line", "machine example.com login bob password %s", m.word())
	m.add("npmrc token", "//registry.npmjs.org/:_authToken=%s", m.of(hexChars, 8)+"-"+m.of(hexChars, 12))
	m.add("npmrc auth", "_auth=%s", base64.StdEncoding.EncodeToString([]byte("bob:"+m.pass())))
	m.add("npmrc password", "//r.example.com/:_password=%s", m.base64(9))
	m.add("pgpass", "db.example.com:5432:shop:bob:%s", m.word())
	m.add("git credentials", "https://bob:%s@github.com", m.word())
	m.add("docker config", `{"auths":{"r.example.com":{"auth":"%s"}}}`, base64.StdEncoding.EncodeToString([]byte("bob:"+m.pass())))
	m.add("kubeconfig token", "users:\n- name: bob\n  user:\n    token: %s\n", m.of(alnum, 30))
	m.add("kubeconfig key", "    client-key-data: %s\n", m.base64(60))
	m.add("curl user", "curl -s -u bob:%s https://example.com/x", m.word())
	m.add("curl --user", "curl --user bob:%s https://example.com/x", m.pass())
	m.add("http -a", "wget --password=%s https://example.com", m.word())
	m.add("mysql -p", "mysql -u root -p%s shop", m.word())
	m.add("sshpass", "sshpass -p %s ssh bob@host", m.word())
	m.add("docker login", "docker login -u bob -p %s r.example.com", m.word())
	m.add("redis-cli", "redis-cli -h host -a %s ping", m.word())
	m.add("redis.conf", "port 6379\nrequirepass %s\n", m.word())
	m.add("ldapsearch", "ldapsearch -D cn=admin -w %s -b dc=x", m.word())
	m.add("sqlcmd", "sqlcmd -S host -U sa -P %s", m.pass())
	m.add("smbclient", "smbclient //host/share -U bob%%%s", m.word())
	m.add("openssl", "openssl rsa -passin pass:%s -in key.pem", m.word())
	m.add("aws configure", "aws configure set aws_secret_access_key %s", m.of(alnum, 40))
	m.add("kubectl", "kubectl create secret generic x --from-literal=password=%s", m.word())
	m.add("ftp", "USER bob\r\nPASS %s\r\n", m.word())
	m.add("smtp", "AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00bob\x00"+m.pass())))
	m.add("basic", "Authorization: Basic %s", base64.StdEncoding.EncodeToString([]byte("bob:"+m.pass())))
	m.add("bearer", "curl -H 'Authorization: Bearer %s' https://example.com", m.of(urlChars, 32))
	m.add("bearer words", "Authorization: Bearer %s", m.word()+m.word())
	m.add("bearer alone", "sent Bearer %s to it", m.of(hexChars, 24))
	m.add("token header", "Authorization: Token %s", m.of(hexChars, 40))
	m.add("digest header", `Authorization: Digest username="bob", realm="x", nonce="1", uri="/", response="%s"`, m.of(hexChars, 32))
	m.add("go header", "map[Accept:[*/*] Authorization:[Bearer %s]]", m.of(alnum, 24))
	m.add("api key header", "X-Api-Key: %s", m.of(alnum, 24))
	m.add("cookie", "Cookie: theme=dark; session=%s; a=b", m.of(alnum, 20))
	m.add("set-cookie", "Set-Cookie: sid=%s; Path=/; HttpOnly", m.of(alnum, 20))
	m.add("gitlab header", "PRIVATE-TOKEN: %s", m.of(urlChars, 20))
	m.add("proxy header", "Proxy-Authorization: Basic %s", base64.StdEncoding.EncodeToString([]byte("bob:"+m.word())))
}

// addresses are secrets in URLs and connection strings.
func (m *maker) addresses() {
	for _, scheme := range []string{"postgres", "mysql", "redis", "amqp", "mongodb+srv", "https", "ftp", "smtp"} {
		m.add("url "+scheme, "dial "+scheme+"://bob:%s@db.example.com/x?y=1: refused", m.word())
	}
	m.add("url without user", "redis://:%s@cache:6379/0", m.word())
	m.add("url with token", "git clone https://%s@github.com/a/b", m.of(hexChars, 40))
	m.add("url with @ in the password", "postgres://bob:%s@db/x", m.word()+"@"+m.word())
	m.add("ado", "Server=db;Database=shop;User Id=bob;Password=%s;Encrypt=true", m.word())
	m.add("ado with spaces", "Server=db;Password=%s;Encrypt=true", m.word()+" "+m.word())
	m.add("ado pwd", "Data Source=db;uid=bob;pwd=%s", m.word())
	m.add("jdbc", "jdbc:postgresql://db/shop?user=bob&password=%s", m.word())
	m.add("jdbc sqlserver", "jdbc:sqlserver://db:1433;databaseName=shop;user=bob;password=%s;", m.word())
	m.add("jdbc oracle", "jdbc:oracle:thin:bob/%s@db:1521:shop", m.word())
	m.add("libpq", "host=db user=bob password=%s dbname=shop", m.word())
	m.add("libpq quoted", "host=db password='%s' dbname=shop", m.word())
	m.add("go mysql", "bob:%s@tcp(db:3306)/shop", m.word())
	m.add("azure storage", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=%s;EndpointSuffix=core.windows.net", m.base64(64))
	m.add("service bus", "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=%s", m.base64(32))
	m.add("sas", "https://x.blob.core.windows.net/c/b?sv=2022-11-02&sp=r&sig=%s", url.QueryEscape(m.base64(32)))
	m.add("short sas", "https://x/?a=1&sig=%s", m.of(lower, 1)+"0")
	m.add("s3", "https://b.s3.amazonaws.com/k?X-Amz-Date=20260101T000000Z&X-Amz-Signature=%s", m.of(hexChars, 64))
	m.add("s3 token", "https://b.s3.amazonaws.com/k?X-Amz-Security-Token=%s&a=b", m.of(alnum, 60))
	m.add("s3 v2", "https://b.s3.amazonaws.com/k?Expires=1700000000&Signature=%s", url.QueryEscape(m.base64(20)))
	m.add("gcs", "https://storage.googleapis.com/b/k?X-Goog-Signature=%s", m.of(hexChars, 64))
	m.add("query key", "GET /v1/x?api_key=%s&page=2", m.word())
	m.add("query token", "GET /v1/x?page=2&access_token=%s", m.word())
	m.add("form", "grant_type=password&username=bob&password=%s&scope=x", m.word())
	m.add("percent", "next=%%2Fx%%3Fpassword%%3D%s%%26a%%3Db", m.word())
	m.add("slack webhook", "https://hooks.slack.com/services/T%s", m.of(upper+digits, 8)+"/B"+m.of(upper+digits, 8)+"/"+m.of(alnum, 24))
	m.add("discord webhook", "https://discord.com/api/webhooks/%s", m.of(digits, 18)+"/"+m.of(urlChars, 68))
}

// keys are secrets of a form of their own.
func (m *maker) keys() {
	for name, secret := range map[string]string{
		"aws": "AKIA" + m.of(upper+"234567", 16), "aws session": "ASIA" + m.of(upper+"234567", 16), "github": "ghp" + "_" + m.of(alnum, 36), "github oauth": "gho" + "_" + m.of(alnum, 36),
		"github app": "ghs" + "_" + m.of(alnum, 36), "github fine": "github" + "_pat_" + m.of(alnum, 22) + "_" + m.of(alnum, 59), "gitlab": "glpat" + "-" + m.of(urlChars, 20), "gitlab runner": "glrt" + "-" + m.of(urlChars, 20),
		"gitlab trigger": "glptt" + "-" + m.of(hexChars, 40), "slack bot": "xoxb" + "-" + m.of(digits, 12) + "-" + m.of(digits, 12) + "-" + m.of(alnum, 24), "slack app": "xapp" + "-1-A" + m.of(upper+digits, 10) + "-" + m.of(digits, 13) + "-" + m.of(hexChars, 64),
		"stripe": "sk" + "_live_" + m.of(alnum, 24), "stripe restricted": "rk" + "_live_" + m.of(alnum, 24), "stripe webhook": "whsec" + "_" + m.of(alnum, 32), "openai": "sk" + "-" + m.of(alnum, 48), "openai project": "sk" + "-proj-" + m.of(urlChars, 74),
		"anthropic": "sk" + "-ant-api03-" + m.of(urlChars, 93) + "AA", "google": "AI" + "za" + m.of(urlChars, 35), "google oauth": "ya" + "29." + m.of(urlChars, 60), "google client": "GOC" + "SPX-" + m.of(urlChars, 28),
		"sendgrid": "SG" + "." + m.of(urlChars, 22) + "." + m.of(urlChars, 43), "twilio": "SK" + m.of(hexChars, 32), "npm": "npm" + "_" + m.of(alnum, 36), "pypi": "pypi" + "-AgEIcHlwaS5vcmc" + m.of(urlChars, 80),
		"docker hub": "dckr" + "_pat_" + m.of(urlChars, 27), "hugging face": "hf" + "_" + m.of(alnum, 34), "digitalocean": "dop" + "_v1_" + m.of(hexChars, 64), "shopify": "shpat" + "_" + m.of(hexChars, 32),
		"square": "sq0atp" + "-" + m.of(urlChars, 22), "mailgun": "key" + "-" + m.of(hexChars, 32), "telegram": m.of(digits, 9) + ":AA" + m.of(urlChars, 33), "discord": "M" + m.of(alnum, 23) + "." + m.of(urlChars, 6) + "." + m.of(urlChars, 38),
		"linear": "lin" + "_api_" + m.of(alnum, 40), "notion": "ntn" + "_" + m.of(alnum, 46), "notion old": "secret" + "_" + m.of(alnum, 43), "databricks": "dapi" + m.of(hexChars, 32), "vault": "hvs" + "." + m.of(urlChars, 90),
		"terraform": m.of(alnum, 14) + ".atlas" + "v1." + m.of(urlChars, 67), "new relic": "NRAK" + "-" + m.of(upper+digits, 27), "grafana": "glsa" + "_" + m.of(alnum, 32) + "_" + m.of(hexChars, 8), "grafana cloud": "glc" + "_" + m.base64(60),
		"sentry": "sntrys" + "_" + m.base64(60), "doppler": "dp" + ".pt." + m.of(alnum, 43), "fly": "fm2" + "_" + m.base64(60), "supabase": "sbp" + "_" + m.of(hexChars, 40), "planetscale": "pscale" + "_tkn_" + m.of(urlChars, 43),
		"postman": "PMAK" + "-" + m.of(hexChars, 24) + "-" + m.of(hexChars, 34), "atlassian": "ATATT3xFfGF0" + m.of(urlChars, 180), "bitbucket": "ATBB" + m.of(alnum, 32), "azure client": m.of(alnum, 3) + "8Q" + "~" + m.of(alnum, 34),
		"alibaba": "LTAI" + m.of(alnum, 20), "tencent": "AKID" + m.of(alnum, 32), "age": "AGE-SECRET" + "-KEY-1" + m.of(upper+digits, 58), "tailscale": "tskey" + "-auth-" + m.of(alnum, 12) + "-" + m.of(alnum, 32),
		"mailchimp": m.of(hexChars, 32) + "-us12", "rubygems": "rubygems" + "_" + m.of(hexChars, 48), "pulumi": "pul" + "-" + m.of(hexChars, 40), "figma": "figd" + "_" + m.of(urlChars, 40), "groq": "gsk" + "_" + m.of(alnum, 52),
		"xai": "xai" + "-" + m.of(alnum, 80), "perplexity": "pplx" + "-" + m.of(alnum, 48), "nvidia": "nvapi" + "-" + m.of(urlChars, 64), "replicate": "r8" + "_" + m.of(alnum, 37), "dynatrace": "dt0c01" + "." + m.of(upper+digits, 24) + "." + m.of(upper+digits, 64),
		"hubspot": "pat" + "-na1-" + m.of(hexChars, 8) + "-" + m.of(hexChars, 4) + "-" + m.of(hexChars, 12), "brevo": "xkeysib" + "-" + m.of(hexChars, 64) + "-" + m.of(alnum, 16), "random": m.of(alnum, 40), "random base64": m.base64(48),
	} {
		m.add("key of "+name, "use %s here", secret)
	}
	jwt := "ey" + "J" + m.of(alnum, 20) + ".ey" + "J" + m.of(alnum, 40) + "." + m.of(urlChars, 43)
	m.add("jwt", "jwt %s, ok", jwt)
	for _, sort := range []string{"RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", ""} {
		body := m.base64(48) + "\n" + m.base64(40)
		m.add("pem "+sort, "key:\n-----BEGIN "+sort+"PRIVATE"+" KEY-----\n%s\n-----END "+sort+"PRIVATE KEY-----\nend", body)
		one := m.base64(48) + `\n` + m.base64(40)
		m.add("pem in a line "+sort, `key: "-----BEGIN `+sort+"PRIVATE"+` KEY-----\n%s\n-----END `+sort+`PRIVATE KEY-----\n"`, one)
	}
	m.add("pgp", "-----BEGIN PGP PRIVATE"+" KEY BLOCK-----\n\n%s\n-----END PGP PRIVATE KEY BLOCK-----", m.base64(60))
	m.add("putty", "PuTTY-User-Key-File-3: ssh-ed25519\nComment: x\nPrivate-Lines: 1\n%s\nPrivate-MAC: 00\n", m.base64(32))
	m.add("ssh2", "---- BEGIN SSH2 ENCRYPTED PRIVATE"+" KEY ----\n%s\n---- END SSH2 ENCRYPTED PRIVATE KEY ----", m.base64(60))
}

// nested are secrets within encodings.
func (m *maker) nested() {
	asJSON := func(v any) string {
		out, _ := json.Marshal(v)
		return string(out)
	}
	inner := m.word()
	m.list = append(m.list, sample{"json in json", asJSON(map[string]string{"body": asJSON(map[string]string{"password": inner})}), []string{inner}})
	inner = m.word()
	m.list = append(m.list, sample{"json in json in json", asJSON([]string{asJSON(map[string]string{"a": asJSON(map[string]string{"apiKey": inner})})}), []string{inner}})
	inner = m.word()
	m.list = append(m.list, sample{"json lines", "{\"a\":1}\n" + asJSON(map[string]string{"token": inner}) + "\nend", []string{inner}})
	inner = m.word()
	m.list = append(m.list, sample{"data line", "event: x\ndata: " + asJSON(map[string]string{"token": inner}) + "\n\n", []string{inner}})
	inner = m.word()
	m.list = append(m.list, sample{"base64", "body " + base64.StdEncoding.EncodeToString([]byte("user=bob\npassword="+inner)), []string{inner, base64.StdEncoding.EncodeToString([]byte("user=bob\npassword=" + inner))}})
	inner = m.word()
	deep := base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(asJSON(map[string]string{"password": inner})))))
	m.list = append(m.list, sample{"json in base64 in base64", deep, []string{deep}})
	inner = m.word()
	m.list = append(m.list, sample{"json in percent", "/x?state=" + url.QueryEscape(asJSON(map[string]string{"password": inner})), []string{inner}})
	inner = m.word()
	m.list = append(m.list, sample{"json in html", html.EscapeString(asJSON(map[string]string{"password": inner})), []string{inner}})
	inner = m.word()
	m.list = append(m.list, sample{"known", "login " + inner + "1, password=" + inner + "1", []string{inner}})
	m.add("jwk", `{"kty":"OKP","crv":"Ed25519","d":"%s"}`, hex.EncodeToString([]byte(m.of(alnum, 16))))
}

func corpus() []sample {
	m := &maker{rng: rand.New(rand.NewPCG(11, 12))}
	m.named()
	m.phrases()
	m.addresses()
	m.keys()
	m.nested()
	return m.list
}

// At least 95% of the made-up secrets are found. Those that are not are listed.
func TestCorpusOfSecrets(t *testing.T) {
	list := corpus()
	found := 0
	for _, s := range list {
		got := new(Redactor).Text(s.text)
		missed := false
		for _, secret := range s.list {
			missed = missed || strings.Contains(got, secret)
		}
		if missed {
			t.Logf("missed: %s: %q became %q", s.name, s.text, got)
			continue
		}
		found++
		if again := new(Redactor).Text(got); again != got {
			t.Errorf("%s: redacted twice\n%q\n%q", s.name, got, again)
		}
	}
	t.Logf("%d of %d found", found, len(list))
	if len(list) < 300 || found*100 < len(list)*95 {
		t.Errorf("%d of %d found, want 95%%", found, len(list))
	}
}
