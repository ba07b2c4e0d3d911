package redact_test

import (
	"fmt"

	"github.com/flujo/flujo-harness/stubs/redact"
)

func ExampleRedactor() {
	var r redact.Redactor // one for all texts of a run: what one gives away is known in the next
	fmt.Println(r.Text("DB_PASS=tr0ub4dor&3 ./server"))
	fmt.Println(r.Text("login failed for tr0ub4dor&3"))
	fmt.Println(r.Text(`{"user": "bob", "apiKey": "correct-horse", "max_tokens": 4096}`))
	fmt.Println(r.Text("next_token = page2cursor"))
	// Output:
	// DB_PASS=[redacted:assignment] ./server
	// login failed for [redacted:known]
	// {"user": "bob", "apiKey": "[redacted:field]", "max_tokens": 4096}
	// next_token = page2cursor
}
