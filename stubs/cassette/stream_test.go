package cassette

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/stubs/redact"
)

// A model streams in pieces: no event holds the whole secret.
func TestSecretsAcrossEvents(t *testing.T) {
	var r redact.Redactor
	r.Know("tr0ub4dor&3")
	n := 0
	event := func(s string) any {
		n = (n + 4) % 32
		return string(canonical(map[string]any{"id": "same-same", "part": "9hJ2kL5mN8pQ1rS4tV7wX0yZ3aB6cD9e"[n : n+4], "delta": map[string]any{"content": s}}))
	}
	var chunks []any
	for _, s := range []string{"the key is s", "k-", "abcdefgh", "1234567890", " and tr0ub", "4dor&3", " is the other, 9hJ2kL5mN8pQ", "1rS4tV7wX0yZ3aB6cD9e", " the third"} {
		chunks = append(chunks, event(s))
	}
	deltas(&r, chunks)
	var got []string
	for _, c := range chunks {
		var e struct {
			Part  string
			Delta struct{ Content string }
		}
		if err := json.Unmarshal([]byte(c.(string)), &e); err != nil {
			t.Fatal(err)
		}
		if len(e.Part) != 4 {
			t.Errorf("what is no text was taken for one: %q", e.Part)
		}
		got = append(got, e.Delta.Content)
	}
	want := []string{"the key is [redacted:api-key]", "", "", "", " and [redacted:known]", "", " is the other, [redacted:entropy]", "", " the third"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What gives a secret away may be in another event than the secret.
func TestSecretsWhoseNameIsInAnotherEvent(t *testing.T) {
	chunks := []any{`data: {"text":"the password: \""}` + "\n\n", `data: {"text":"correcthorse"}` + "\n\n", `data: {"text":"\", it says"}` + "\n\n"}
	deltas(new(redact.Redactor), chunks)
	if got := fmt.Sprint(chunks...); strings.Contains(got, "correcthorse") || !strings.Contains(got, "it says") {
		t.Errorf("%s", got)
	}
}
