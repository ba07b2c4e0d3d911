package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/thresholds"
)

const (
	head  = "1111111111111111111111111111111111111111"
	newer = "2222222222222222222222222222222222222222"
	token = "the-token-of-the-job"
)

// note is a comment on the fake server.
type note struct {
	ID   int64
	By   string
	Body string
}

// fake implements the used parts of the APIs of GitHub and GitLab, with injected faults.
type fake struct {
	*httptest.Server
	mu     sync.Mutex
	notes  []note
	checks []map[string]any
	head   string // head of the pull request
	open   string // "owner:branch" with an open pull request
	last   int64
	calls  []string
	page   int // comments per page
	fault  func(call string, n int, w http.ResponseWriter) (done bool)
	made   map[string]int // number of calls by method and path
}

func newFake(t *testing.T) *fake {
	f := &fake{head: head, page: 2, last: 100, made: map[string]int{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := r.Method + " " + r.URL.Path
	f.calls = append(f.calls, call)
	f.made[call]++
	if f.fault != nil && f.fault(call, f.made[call], w) {
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token && r.Header.Get("Private-Token") != token {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"message": "Bad credentials"}`)
		return
	}
	var body map[string]any
	text, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(text, &body)
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	id, _ := strconv.ParseInt(path.Base(r.URL.Path), 10, 64)
	shown := func(n note) map[string]any {
		return map[string]any{"id": n.ID, "body": n.Body, "html_url": fmt.Sprintf("https://ci.example.com/%d", n.ID), "user": map[string]string{"login": n.By}, "author": map[string]any{"id": len(n.By)}}
	}
	at := slices.IndexFunc(f.notes, func(n note) bool { return n.ID == id })
	switch {
	case call == "POST /graphql":
		answer(map[string]any{"data": map[string]any{"viewer": map[string]string{"login": "flujo[bot]"}}})
	case call == "GET /user":
		answer(map[string]any{"id": len("flujo[bot]")})
	case call == "GET /repos/us/shop/pulls":
		if r.URL.Query().Get("head") == f.open {
			answer([]any{map[string]any{"number": 7, "head": map[string]string{"sha": f.head}}})
			return
		}
		answer([]any{})
	case call == "GET /repos/us/shop/pulls/7", call == "GET /projects/3/merge_requests/7":
		answer(map[string]any{"head": map[string]string{"sha": f.head}, "sha": f.head})
	case r.Method == "GET" && (strings.HasSuffix(r.URL.Path, "/comments") || strings.HasSuffix(r.URL.Path, "/notes")):
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		page = max(page, 1)
		from, to := min(len(f.notes), (page-1)*f.page), min(len(f.notes), page*f.page)
		if to < len(f.notes) {
			q := r.URL.Query()
			q.Set("page", strconv.Itoa(page+1))
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next", <x>; rel="last"`, f.URL, r.URL.Path, q.Encode()))
		}
		all := []any{}
		for _, n := range f.notes[from:to] {
			all = append(all, shown(n))
		}
		answer(all)
	case r.Method == "POST" && (strings.HasSuffix(r.URL.Path, "/comments") || strings.HasSuffix(r.URL.Path, "/notes")):
		answer(shown(f.add("flujo[bot]", body["body"].(string))))
	case (r.Method == "PATCH" || r.Method == "PUT") && at >= 0:
		f.notes[at].Body = body["body"].(string)
		answer(shown(f.notes[at]))
	case r.Method == "DELETE" && at >= 0:
		f.notes = slices.Delete(f.notes, at, at+1)
		w.WriteHeader(http.StatusNoContent)
	case call == "POST /repos/us/shop/check-runs":
		f.checks = append(f.checks, body)
		answer(map[string]any{"html_url": "https://ci.example.com/check"})
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message": "Not Found"}`)
	}
}

func (f *fake) add(by, body string) note {
	f.last++
	f.notes = append(f.notes, note{f.last, by, body})
	return f.notes[len(f.notes)-1]
}

// job is the environment of a job.
type job struct {
	env   map[string]string
	event string
	waits []time.Duration
}

func (f *fake) github() *job {
	return &job{env: map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": token, "GITHUB_REPOSITORY": "us/shop", "GITHUB_API_URL": f.URL, "GITHUB_SHA": head, "GITHUB_RUN_ID": "55", "GITHUB_RUN_ATTEMPT": "1",
		"GITHUB_REF": "refs/pull/7/merge", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": "event", "GITHUB_JOB": "test", "GITHUB_SERVER_URL": "https://ci.example.com"},
		event: `{"number": 7, "pull_request": {"head": {"sha": "` + head + `", "repo": {"full_name": "us/shop"}}, "base": {"repo": {"full_name": "us/shop"}}}, "repository": {"full_name": "us/shop", "default_branch": "main"}}`}
}

func (f *fake) gitlab() *job {
	return &job{env: map[string]string{"GITLAB_CI": "true", "GITLAB_TOKEN": token, "CI_API_V4_URL": f.URL, "CI_PROJECT_ID": "3", "CI_MERGE_REQUEST_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "7", "CI_COMMIT_SHA": head, "CI_JOB_ID": "66",
		"CI_MERGE_REQUEST_PROJECT_URL": "https://ci.example.com/us/shop", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "us/shop", "CI_MERGE_REQUEST_PROJECT_PATH": "us/shop"}}
}

func (j *job) post(t *testing.T, service string, of Content) string {
	t.Helper()
	c := Comment{service: service, getenv: func(name string) string { return j.env[name] },
		readFile: func(string) ([]byte, error) { return []byte(j.event), nil },
		wait:     func(_ context.Context, d time.Duration) error { j.waits = append(j.waits, d); return nil }}
	lines := strings.Join(c.Post(t.Context(), of), "\n")
	if strings.Contains(lines, token) {
		t.Errorf("the token is printed: %s", lines)
	}
	return lines
}

func content(text string) Content {
	return Content{Part: "shop", Name: "flujo-harness", Title: "BROKEN: " + text, Outcome: thresholds.Broken, Complete: true, Commit: head,
		Write: func(w io.Writer, most int) error { _, err := io.WriteString(w, text); return err }}
}

func (f *fake) bodies(by string) (all []string) {
	for _, n := range f.notes {
		if n.By == by {
			_, text, _ := strings.Cut(n.Body, "\n")
			all = append(all, text)
		}
	}
	return all
}

// The first run creates the comment, and later ones update it, wherever it is among other
// comments. Each part has a comment of its own.
func TestOneCommentIsUpdated(t *testing.T) {
	for _, service := range []string{"github", "gitlab"} {
		f := newFake(t)
		j := f.github()
		if service == "gitlab" {
			j = f.gitlab()
		}
		for i := range 5 {
			f.add(fmt.Sprintf("somebody %d", i), "looks good")
		}
		if said := j.post(t, service, content("first")); !strings.Contains(said, "comment: made: https://ci.example.com/") {
			t.Errorf("%s: %s", service, said)
		}
		for i := range 5 {
			f.add(fmt.Sprintf("somebody %d", i), "looks better")
		}
		other := content("of another part")
		other.Part = "compare"
		j.post(t, service, other)
		if said := j.post(t, service, content("second")); !strings.Contains(said, "comment: updated: https://ci.example.com/") {
			t.Errorf("%s: %s", service, said)
		}
		if diff := cmp.Diff([]string{"second", "of another part"}, f.bodies("flujo[bot]")); diff != "" {
			t.Errorf("%s: %s", service, diff)
		}
		if len(f.notes) != 12 {
			t.Errorf("%s: %d comments, want 12", service, len(f.notes))
		}
	}
}

// Only comments made with the same token are changed, because anyone can copy the marker. If
// concurrent jobs created two comments, the first is kept.
func TestOnlyOwnCommentsAreChanged(t *testing.T) {
	f := newFake(t)
	j := f.github()
	j.post(t, "github", content("first"))
	marked := f.notes[0].Body
	f.notes[0].By = "mallory"
	f.add("flujo[bot]", "quoted\n"+marked)
	said := j.post(t, "github", content("second"))
	if !strings.Contains(said, "comment: made") || f.notes[0].Body != marked || len(f.notes) != 3 {
		t.Errorf("%s\n%v", said, f.notes)
	}
	f.add("flujo[bot]", f.notes[2].Body)
	f.add("mallory", f.notes[2].Body)
	j.post(t, "github", content("third"))
	if diff := cmp.Diff([]string{marked[strings.Index(marked, "<!--"):], "third"}, f.bodies("flujo[bot]")); diff != "" || len(f.notes) != 4 {
		t.Errorf("%d comments, %s", len(f.notes), diff)
	}
}

func TestCheckOfTheCommit(t *testing.T) {
	f := newFake(t)
	j := f.github()
	if said := j.post(t, "github", content("text")); !strings.Contains(said, "check: added: https://ci.example.com/check") {
		t.Error(said)
	}
	want := map[string]any{"name": "flujo-harness", "head_sha": head, "status": "completed", "conclusion": "failure", "details_url": "https://ci.example.com/us/shop/actions/runs/55",
		"output": map[string]any{"title": "BROKEN: text", "summary": "text"}}
	if diff := cmp.Diff([]map[string]any{want}, f.checks); diff != "" {
		t.Error(diff)
	}
	for o, want := range map[thresholds.Outcome]string{thresholds.Held: "success", thresholds.Inconclusive: "neutral", thresholds.Invalid: "failure"} {
		if got := (&Content{Outcome: o, Complete: true}).conclusion(); got != want {
			t.Errorf("%v: %s, want %s", o, got, want)
		}
	}
	// A push has a check but no pull request.
	j.env["GITHUB_REF"], j.event = "refs/heads/main", `{"repository": {"default_branch": "main"}}`
	if said := j.post(t, "github", content("text")); !strings.Contains(said, "comment: not made: no open pull request is of this commit") || len(f.checks) != 2 {
		t.Errorf("%s, %d checks", said, len(f.checks))
	}
}

// The event says whether a change comes from a fork. A job of the fork sends nothing. A job of
// the base finds the pull request by branch and commit.
func TestForks(t *testing.T) {
	f := newFake(t)
	j := f.github()
	j.event = strings.Replace(j.event, `"repo": {"full_name": "us/shop"}}, "base"`, `"repo": {"full_name": "them/shop"}}, "base"`, 1)
	for _, name := range []string{"pull_request", "pull_request_target"} {
		j.env["GITHUB_EVENT_NAME"] = name
		if said := j.post(t, "github", content("text")); !strings.Contains(said, "the change is of a fork") || len(f.calls) != 0 {
			t.Errorf("%s: %s; calls %v", name, said, f.calls)
		}
	}
	g := f.gitlab()
	g.env["CI_MERGE_REQUEST_SOURCE_PROJECT_PATH"] = "them/shop"
	if said := g.post(t, "gitlab", content("text")); !strings.Contains(said, "the change is of a fork") || len(f.calls) != 0 {
		t.Errorf("gitlab: %s; calls %v", said, f.calls)
	}

	j = f.github()
	j.env["GITHUB_EVENT_NAME"], j.env["GITHUB_REF"], j.env["GITHUB_SHA"] = "workflow_run", "refs/heads/main", newer
	j.event = `{"repository": {"full_name": "us/shop", "default_branch": "main"}, "workflow_run": {"id": 55, "run_attempt": 1, "head_sha": "` + head + `", "head_branch": "fix me", "head_repository": {"full_name": "them/shop"}, "pull_requests": []}}`
	f.open = "them:fix me"
	if said := j.post(t, "github", content("text")); !strings.Contains(said, "comment: made") || !strings.Contains(said, "check: added") || f.checks[0]["head_sha"] != head {
		t.Errorf("%s", said)
	}
	f.open = "them:another"
	if said := j.post(t, "github", content("text")); !strings.Contains(said, "no open pull request is of this commit") {
		t.Errorf("%s", said)
	}
}

// Results are not published if their commit is no longer the newest, or is not that of the job.
func TestResultsOfOtherCommits(t *testing.T) {
	f := newFake(t)
	j := f.github()
	f.head = newer
	if said := j.post(t, "github", content("text")); !strings.Contains(said, "7 is at commit 222222222222 by now, and the run is of 111111111111") || len(f.notes) != 0 {
		t.Error(said)
	}
	other := content("text")
	other.Commit = newer
	f.calls = nil
	if said := j.post(t, "github", other); !strings.Contains(said, "the run is of commit 222222222222, and the job of 111111111111") || len(f.calls) != 0 {
		t.Error(said)
	}
}

// Temporary faults are retried within bounds. If a response is lost, the comment is not created
// twice.
func TestFaultsOfTheServer(t *testing.T) {
	comments := "POST /repos/us/shop/issues/7/comments"
	for name, tt := range map[string]struct {
		fault   func(f *fake) func(call string, n int, w http.ResponseWriter) bool
		say     string
		waits   []time.Duration
		notes   int
		without string // call that must not occur
	}{
		"an error of the server": {func(*fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if strings.HasPrefix(call, "GET") && n <= 2 {
					w.WriteHeader(http.StatusBadGateway)
					return true
				}
				return false
			}
		}, "comment: made", []time.Duration{time.Second, 2 * time.Second, time.Second, 2 * time.Second}, 1, ""},
		"errors without end": {func(*fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if strings.HasSuffix(call, "pulls/7") {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				return strings.HasSuffix(call, "pulls/7")
			}
		}, "comment: not made: GET /repos/us/shop/pulls/7: status 503: 503 Service Unavailable", []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, 0, comments},
		"a limit of the rate": {func(*fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if call == comments && n == 1 {
					w.Header().Set("Retry-After", "7")
					w.WriteHeader(http.StatusTooManyRequests)
					return true
				}
				return false
			}
		}, "comment: made", []time.Duration{7 * time.Second}, 1, ""},
		"a second limit, without a time": {func(*fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if call == comments && n == 1 {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprint(w, `{"message": "You have exceeded a secondary rate limit."}`)
					return true
				}
				return false
			}
		}, "comment: made", []time.Duration{time.Minute}, 1, ""},
		"a limit for an hour": {func(*fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, `{"message": "API rate limit exceeded"}`)
				return true
			}
		}, "API rate limit exceeded; it may be tried again after ", nil, 0, comments},
		"no permission": {func(*fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if call == comments {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprint(w, `{"message": "Resource not accessible by integration\n::error::x"}`)
				}
				return call == comments
			}
		}, `comment: not made: POST /repos/us/shop/issues/7/comments: status 403: Resource not accessible by integration\n::error::x; the token must be allowed to write comments: permissions: pull-requests: write`, nil, 0, ""},
		"no permission for checks": {func(*fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if strings.HasSuffix(call, "/check-runs") {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprint(w, `{"message": "Resource not accessible by integration"}`)
				}
				return strings.HasSuffix(call, "/check-runs")
			}
		}, "check: not added: POST /repos/us/shop/check-runs: status 403: Resource not accessible by integration; the token must be allowed to write checks: permissions: checks: write", nil, 1, ""},
		"a comment whose answer is lost": {func(f *fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if call == comments && n == 1 {
					f.add("flujo[bot]", f.marked(content("text")))
					w.WriteHeader(http.StatusBadGateway)
					return true
				}
				return false
			}
		}, "comment: updated", []time.Duration{time.Second}, 1, ""},
		"a connection that breaks": {func(f *fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if call == comments && n <= 2 {
					panic(http.ErrAbortHandler)
				}
				return false
			}
		}, "comment: made", []time.Duration{time.Second, 2 * time.Second}, 1, ""},
		"what is no JSON": {func(f *fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if strings.HasSuffix(call, "pulls/7") {
					fmt.Fprint(w, "<html>")
				}
				return strings.HasSuffix(call, "pulls/7")
			}
		}, "comment: not made: GET /repos/us/shop/pulls/7: the answer is not as expected", nil, 0, comments},
		"a redirect": {func(f *fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(http.StatusTemporaryRedirect)
				return true
			}
		}, "status 307", nil, 0, comments},
		"a next page elsewhere": {func(f *fake) func(string, int, http.ResponseWriter) bool {
			return func(call string, n int, w http.ResponseWriter) bool {
				if strings.HasPrefix(call, "GET") && strings.HasSuffix(call, "/comments") {
					w.Header().Set("Link", `<https://elsewhere.example/>; rel="next"`)
					fmt.Fprint(w, "[]")
				}
				return strings.HasPrefix(call, "GET") && strings.HasSuffix(call, "/comments")
			}
		}, "its next page is at another server", nil, 0, comments},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.fault = tt.fault(f)
			j := f.github()
			said := j.post(t, "github", content("text"))
			if !strings.Contains(said, tt.say) {
				t.Errorf("said %q, want %q", said, tt.say)
			}
			if tt.waits != nil && !slices.Equal(j.waits, tt.waits) {
				t.Errorf("waited %v, want %v", j.waits, tt.waits)
			}
			var waited time.Duration
			for _, d := range j.waits {
				waited += d
			}
			if waited > patience {
				t.Errorf("waited %v in all", waited)
			}
			if len(f.notes) != tt.notes {
				t.Errorf("%d comments, want %d", len(f.notes), tt.notes)
			}
			if tt.without != "" && slices.Contains(f.calls, tt.without) {
				t.Errorf("%s was called", tt.without)
			}
		})
	}
}

// marked returns a comment as the program writes it.
func (f *fake) marked(of Content) string {
	var made string
	c := &Comment{}
	c.comment(context.Background(), capture{&made}, "7", head, of)
	return made
}

// capture is a service that stores the text of the comment.
type capture struct{ body *string }

func (c capture) me(context.Context) (string, error)                  { return "flujo[bot]", nil }
func (c capture) head(context.Context, string) (string, error)        { return head, nil }
func (c capture) comments(context.Context, string) ([]comment, error) { return nil, nil }
func (c capture) create(_ context.Context, _, body string) (string, error) {
	*c.body = body
	return "", nil
}
func (c capture) update(context.Context, string, int64, string) (string, error) {
	return "", errors.ErrUnsupported
}
func (c capture) remove(context.Context, string, int64) error { return errors.ErrUnsupported }
func (c capture) permission() string                          { return "" }
func (c capture) pause(context.Context, time.Duration) error  { return nil }

// If something is missing, the message says what to do, and nothing is sent.
func TestWhatIsMissing(t *testing.T) {
	f := newFake(t)
	for name, tt := range map[string]struct {
		service string
		change  func(env map[string]string)
		say     string
	}{
		"no token":        {"github", func(env map[string]string) { delete(env, "GITHUB_TOKEN") }, "GITHUB_TOKEN is not set: add to the step: env: GITHUB_TOKEN: ${{ github.token }}, and to the job: permissions: pull-requests: write"},
		"no GitLab token": {"gitlab", func(env map[string]string) { delete(env, "GITLAB_TOKEN") }, "GITLAB_TOKEN is not set: make an access token"},
		"no job":          {"github", func(env map[string]string) { clear(env) }, "this is no job of github"},
		"another service": {"gitlab", func(env map[string]string) { clear(env); env["GITHUB_ACTIONS"] = "true"; env["GITHUB_RUN_ID"] = "1" }, "this is no job of gitlab"},
		"readable":        {"github", func(env map[string]string) { env["GITHUB_API_URL"] = "http://api.example.com" }, "must begin with https://: a token is sent there"},
		"no address":      {"gitlab", func(env map[string]string) { delete(env, "CI_API_V4_URL") }, "the address of the API"},
		"another server":  {"github", func(env map[string]string) { env["GITHUB_GRAPHQL_URL"] = "https://elsewhere.example" }, "is at another server"},
		"no project":      {"gitlab", func(env map[string]string) { delete(env, "CI_PROJECT_ID"); delete(env, "CI_MERGE_REQUEST_PROJECT_ID") }, "must be a number"},
	} {
		j := f.github()
		if tt.service == "gitlab" {
			j = f.gitlab()
		}
		tt.change(j.env)
		if said := j.post(t, tt.service, content("text")); !strings.Contains(said, tt.say) {
			t.Errorf("%s: %s", name, said)
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("calls %v", f.calls)
	}
	j := f.github()
	j.env["GITHUB_TOKEN"] = "expired"
	if said := j.post(t, "github", content("text")); !strings.Contains(said, "status 401: Bad credentials; the token is not accepted") {
		t.Error(said)
	}
	f.Close()
	if said := f.github().post(t, "github", content("text")); !strings.Contains(said, "is the server reachable from here?") {
		t.Error(said)
	}
}

// The comment of a run respects GitHub's limit, however much it has to contain, and contains no
// secrets.
func TestCommentOfRuns(t *testing.T) {
	secret := "ghp_" + "canary1abcdefghij1234567890"
	var runs []*analysis.Analysis
	for i := range 40 {
		r := reports.Run{Format: reports.FormatGoTest, Outcome: thresholds.Broken, Complete: true, Commit: head, Origin: reports.Origin{Module: "example.com/shop", Job: "test", OS: "linux", Variant: fmt.Sprint(i)}, Suites: &reports.Results{}}
		if i == 0 {
			r.Outcome = thresholds.Held
		}
		for k := range 60 {
			r.Suites.Specs = append(r.Suites.Specs, reports.Spec{Suite: "example.com/shop", Leaf: fmt.Sprintf("spec %d %s", k, strings.Repeat("é", 100)), Occurrence: 1, State: reports.Failed, Message: strings.Repeat("a line\n", 40) + "key " + secret})
		}
		runs = append(runs, analysis.AnalyzeSingleRun(r))
	}
	for _, n := range []int{1, 2, 40} {
		f := newFake(t)
		if said := f.github().post(t, "github", Of(runs[:n])); !strings.Contains(said, "comment: made") || !strings.Contains(said, "check: added") {
			t.Fatal(said)
		}
		body := f.notes[0].Body
		if len(body) > MostComment || len(body) < 10_000 {
			t.Errorf("%d runs: %d bytes", n, len(body))
		}
		if strings.Contains(body, secret) || !strings.Contains(body, "BROKEN") && n > 1 {
			t.Errorf("%d runs: a secret, or no verdict", n)
		}
		if n > 1 && strings.Index(body, "BROKEN") > strings.Index(body+"HELD", "HELD") {
			t.Errorf("%d runs: the worst is not the first", n)
		}
		if title := f.checks[0]["output"].(map[string]any)["title"].(string); n == 40 && !strings.HasPrefix(title, "39 of 40 jobs; BROKEN: ") {
			t.Error(title)
		}
	}
	lines := Lines("gate", thresholds.Broken, []string{"BROKEN  run 1: key " + secret, "```", "@all"}, runs[1])
	text, err := written(lines, MostComment)
	if err != nil || strings.Contains(text, secret) || !strings.HasPrefix(text, "## BROKEN: gate\n\n````text\n  BROKEN  run 1: key [redacted") {
		t.Errorf("%v: %.200s", err, text)
	}
}
