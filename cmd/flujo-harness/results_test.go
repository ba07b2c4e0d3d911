package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// A results file is an artifact that CI stores, so secrets are removed from it as from the
// history.
func TestNothingSecretGoesToResults(t *testing.T) {
	secret := "ghp_" + "canary1abcdefghij1234567890"
	specs := &reports.Results{Specs: []reports.Spec{{Suite: "shop", Leaf: "asks", State: reports.Failed, Message: "key " + secret}}}
	run := reports.Run{Command: "run -- --token=" + secret, Suites: specs, Verdicts: []thresholds.Verdict{{Reason: "key " + secret}}}
	f := resultFlags{Results: cli.Results{JSON: filepath.Join(t.TempDir(), "results.json")}, part: &records.Part{Shard: "1/1", Runs: []*reports.Results{specs}, Problem: "key " + secret}}
	if err := f.write(run, io.Discard); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "[redacted]"); n != 4 || strings.Contains(string(text), secret) {
		t.Errorf("%d of 4 redacted:\n%s", n, text)
	}
	if !strings.Contains(specs.Specs[0].Message, secret) {
		t.Error("the results at hand were changed")
	}
}
