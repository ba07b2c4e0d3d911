package redact

import "testing"

// What stands around a secret stays: of a struct that Go printed, whose marker must not be
// found again, and of a line with the colours of a terminal.
func TestTextAroundSecretsStays(t *testing.T) {
	for text, want := range map[string]string{
		"{Name:bob Password:marigold Expires:0}":                        "{Name:bob Password:[redacted:assignment] Expires:0}",
		"got &{Name:bob Token:hhazzepraznslqkzpdnw Expires:0}, want":    "got &{Name:bob Token:[redacted:assignment] Expires:0}, want",
		"login attempt [root/zeppelin] failed":                          "login attempt [root/[redacted:assignment]] failed",
		"<password><![CDATA[harpoon]]></password>":                      "<password><![CDATA[[redacted:field]]]></password>",
		`exec ["psql" "--password" "gherkin" "-c" "select"]`:            `exec ["psql" "--password" "[redacted:assignment]" "-c" "select"]`,
		"\x1b[36mpassword=\x1b[0mmarigold \x1b[36mport=\x1b[0m80":       "\x1b[36mpassword=\x1b[0m[redacted:assignment] \x1b[36mport=\x1b[0m80",
		"\x1b[1;31mpassword\x1b[0m: \x1b[33m\"marigold\"\x1b[0m, x: 1":  "\x1b[1;31mpassword\x1b[0m: \x1b[33m\"[redacted:assignment]\"\x1b[0m, x: 1",
		"\x1b[31m--- FAIL\x1b[0m: expected token IDENT, \x1b[got EOF":   "\x1b[31m--- FAIL\x1b[0m: expected token IDENT, \x1b[got EOF",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9gZ1r9vQy2Zk3p7w1n5m8b6": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9gZ1r9vQy2Zk3p7w1n5m8b6",
	} {
		got := new(Redactor).Text(text)
		if got != want {
			t.Errorf("%q became\n%q, want\n%q", text, got, want)
		}
		if again := new(Redactor).Text(got); again != got {
			t.Errorf("%q became %q again", got, again)
		}
	}
}
