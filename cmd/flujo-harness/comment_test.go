package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

// A workflow of the base branch that processes results of a fork comments on the pull request,
// which it finds by the commit, about all jobs of that pipeline and no others. Whether or not the
// comment can be made, the exit code is that of the report.
func TestReportCommentsForAFork(t *testing.T) {
	const head = "1111111111111111111111111111111111111111"
	var body string
	refuse := false
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent map[string]any
		_ = json.NewDecoder(r.Body).Decode(&sent)
		switch r.Method + " " + r.URL.Path {
		case "POST /graphql":
			fmt.Fprint(w, `{"data": {"viewer": {"login": "github-actions[bot]"}}}`)
		case "GET /repos/us/shop/pulls":
			if r.URL.Query().Get("head") != "them:fix" {
				t.Errorf("asked for %s", r.URL.RawQuery)
			}
			fmt.Fprintf(w, `[{"number": 7, "head": {"sha": %q}}]`, head)
		case "GET /repos/us/shop/pulls/7":
			fmt.Fprintf(w, `{"head": {"sha": %q}}`, head)
		case "GET /repos/us/shop/issues/7/comments":
			fmt.Fprint(w, `[]`)
		case "POST /repos/us/shop/issues/7/comments":
			if refuse {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			body = sent["body"].(string)
			fmt.Fprint(w, `{"html_url": "https://example.com/7"}`)
		default:
			w.WriteHeader(http.StatusForbidden) // no permission to write checks
		}
	}))
	defer api.Close()
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("go.mod", []byte("module example.com/shop\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	event := filepath.Join(dir, "event.json")
	if err := os.WriteFile(event, []byte(`{"repository": {"full_name": "us/shop", "default_branch": "main"}, "workflow_run": {"id": 55, "run_attempt": 1, "head_sha": "`+head+`", "head_branch": "fix",
		"head_repository": {"full_name": "them/shop"}, "pull_requests": []}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "a-token", "GITHUB_REPOSITORY": "us/shop", "GITHUB_API_URL": api.URL, "GITHUB_GRAPHQL_URL": "", "GITHUB_SHA": strings.Repeat("2", 40), "GITHUB_REF": "refs/heads/main",
		"GITHUB_RUN_ID": "99", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": event, "GITHUB_SERVER_URL": "https://example.com", "GITHUB_STEP_SUMMARY": ""} {
		t.Setenv(name, value)
	}
	h, err := history.Open(t.Context(), "h.db")
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range []struct {
		pipeline, os string
		outcome      thresholds.Outcome
		spec         string
	}{{"54", "darwin", thresholds.Broken, "of another pipeline"}, {"55", "windows", thresholds.Broken, "red on Windows @everybody"}, {"55", "linux", thresholds.Held, "green"}} {
		state := reports.Failed
		if job.outcome == thresholds.Held {
			state = reports.Passed
		}
		_, err := h.Append(t.Context(), reports.Run{Commit: head, Branch: "fix", Complete: true, Outcome: job.outcome, Format: reports.FormatGoTest,
			Origin: reports.Origin{Service: "github", Module: "example.com/shop", Fork: true, PullRequest: "", Pipeline: job.pipeline, Attempt: 1, Job: "test", OS: job.os},
			Suites: &reports.Results{Specs: []reports.Spec{{Suite: "example.com/shop", Leaf: job.spec, Occurrence: 1, State: state, Attempts: 1}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	call := func() string {
		var out strings.Builder
		if code := run(t.Context(), []string{"report", "--db", "h.db", "--comment", "github"}, strings.NewReader(""), &out, &out); code != cli.ExitHeld {
			t.Errorf("exit code %d", code)
		}
		return out.String()
	}
	if said := call(); !strings.Contains(said, "comment: made: https://example.com/7") || !strings.Contains(said, "check: not added: POST /repos/us/shop/check-runs: status 403") {
		t.Error(said)
	}
	for text, want := range map[string]bool{"<code>shop &gt; red on Windows @everybody</code>": true, "✓ HELD: 1 spec passed": true, "of another pipeline": false} {
		if strings.Contains(body, text) != want {
			t.Errorf("%q in the comment: %v, want %v\n%s", text, !want, want, body)
		}
	}
	refuse = true
	if said := call(); !strings.Contains(said, "comment: not made: POST /repos/us/shop/issues/7/comments: status 403") {
		t.Error(said)
	}
}
