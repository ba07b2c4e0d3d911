// Package ci derives from the variables of a CI service which change and which job a run belongs
// to.
//
// The services are the rows of a table (services.go), which follows their public documentation. A
// service that is not in the table is recognized by CI=true and by variables that most services
// set. [Ancestors] asks git for the commits that a run can be compared with.
package ci

import (
	"cmp"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// Identity describes a run as its CI service does. The zero value means that there is no service.
type Identity struct {
	ID     string // identifies the job and its attempt; "" if the service does not
	Commit string // tested commit: for a pull request its head, not the merge commit
	Branch string // branch of the change: for a pull request the source branch
	Origin reports.Origin

	// OnBehalf means that the job processes results of another workflow, which may have run code
	// that is not trusted. The other fields then describe that workflow, according to the event.
	OnBehalf bool

	HeadRepository string // "owner/name" of the repository that has the commit of that workflow
}

// Identify reads the variables. readFile, usually os.ReadFile, reads the event of a GitHub job
// and the properties of a TeamCity build.
func Identify(getenv func(string) string, readFile func(string) ([]byte, error)) Identity {
	for i := range services {
		if s := &services[i]; s.is(getenv) {
			return s.identify(variables{getenv: getenv, readFile: readFile})
		}
	}
	return Identity{}
}

// variables are the variables of one job and the values from files.
type variables struct {
	getenv   func(string) string
	readFile func(string) ([]byte, error)
	more     map[string]string // values from files; their names begin with a dot
}

func (v variables) get(name string) string {
	if strings.HasPrefix(name, ".") {
		return v.more[name]
	}
	return strings.TrimSpace(v.getenv(name))
}

// first returns the value of the first variable that is set of names such as "A|B".
func (v variables) first(names string) string {
	for name := range strings.SplitSeq(names, "|") {
		if value := v.get(name); name != "" && value != "" && value != "false" && value != "undefined" {
			return value
		}
	}
	return ""
}

// commit is like [variables.first], but returns "" if the value is not a commit, such as "HEAD".
func (v variables) commit(names string) string {
	commit := strings.ToLower(v.first(names))
	if reports.CheckCommit(commit) != nil {
		return ""
	}
	return commit
}

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// fill replaces each ${A|B} in a template. It returns "" if one of them is not set.
func (v variables) fill(template string) string {
	missing := template == ""
	text := placeholder.ReplaceAllStringFunc(template, func(name string) string {
		value := v.first(name[2 : len(name)-1])
		missing = missing || value == ""
		return value
	})
	if missing {
		return ""
	}
	return text
}

func (s *service) identify(v variables) Identity {
	v.more = map[string]string{}
	if s.files != nil {
		s.files(v)
	}
	pull := v.first(s.pull)
	if pull != "" { // "123", "pull/123", "https://…/pull/123"
		pull = pull[strings.LastIndexByte(pull, '/')+1:]
	}
	branch := v.first(s.branch)
	if pull != "" && s.source != "" {
		branch = v.first(s.source)
	}
	base := v.first(s.def)
	if pull != "" {
		base = v.first(s.base)
	}
	c := Identity{Commit: v.commit(s.commit), Branch: branchName(branch)}
	if head := v.commit(s.head); pull != "" && head != "" && head != c.Commit {
		c.Origin.MergeCommit, c.Commit = c.Commit, head
	}
	v.more[".commit"] = c.Commit
	o := &c.Origin
	o.Service, o.BaseBranch, o.PullRequest = s.name, branchName(base), pull
	c.OnBehalf, c.HeadRepository = v.more[".behalf"] != "", v.more[".repository"]
	o.Fork = (pull != "" || c.OnBehalf) && s.fork != nil && s.fork(v)
	o.Pipeline, o.Job = v.first(s.pipeline), v.first(s.job)
	o.Attempt = number(v.first(s.attempt)) + s.attemptFrom
	if s.attempt == "" {
		o.Attempt = 0
	}
	o.OS, o.Arch = goName(v.first(s.os)), goName(v.first(s.arch))
	if platform, arch, ok := strings.Cut(o.OS, "/"); ok {
		o.OS, o.Arch = platform, arch
	}
	o.Variant = v.first(s.variant)
	if total := number(v.first(s.shards)); total > 1 {
		o.Shard = strconv.Itoa(number(v.first(s.shard))+s.shardFrom) + "/" + strconv.Itoa(total)
	}
	o.CommitURL, o.JobURL, o.FileURL = v.fill(s.commitURL), v.fill(s.jobURL), v.fill(s.fileURL)
	if c.ID = v.id(s, o); c.ID == "" && s.idName != "" { // CI is set by other programs too
		return Identity{}
	}
	return c
}

// id returns the ID of a run, or "" if the service does not identify it.
func (v variables) id(s *service, o *reports.Origin) string {
	unique := v.first(s.id)
	if unique == "" {
		return ""
	}
	parts := []string{cmp.Or(s.idName, s.name), v.first(s.repository), o.Pipeline, "", o.Job, unique, o.OS, o.Arch, o.Shard}
	if s.attempt != "" {
		parts[3] = v.first(s.attempt)
	}
	if unique == o.Pipeline {
		parts[5] = ""
	} else if o.Pipeline != "" && strings.Contains(s.id, "JOB_ID") { // the job's ID is enough
		parts[4] = ""
	}
	var there []string
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, "/")
}

// branchName removes the prefixes that git or Jenkins add to a branch.
func branchName(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/remotes/origin/", "origin/"} {
		if name, ok := strings.CutPrefix(ref, prefix); ok {
			return name
		}
	}
	return ref
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// goName returns Go's name for an operating system or a processor.
func goName(name string) string {
	name = strings.ToLower(name)
	for _, known := range [][2]string{{"windows", "windows"}, {"visual studio", "windows"}, {"macos", "darwin"}, {"osx", "darwin"}, {"darwin", "darwin"}, {"ubuntu", "linux"},
		{"x86_64", "amd64"}, {"x64", "amd64"}, {"amd64", "amd64"}, {"aarch64", "arm64"}} {
		if strings.HasPrefix(name, known[0]) && !strings.Contains(name, "/") {
			return known[1]
		}
	}
	return name
}

// githubEvent adds values that only the event of a GitHub job has: the head of a pull request,
// whether it comes from a fork, and the default branch.
func githubEvent(v variables) {
	if ref, ok := strings.CutPrefix(v.getenv("GITHUB_REF"), "refs/pull/"); ok {
		v.more[".pull"], _, _ = strings.Cut(ref, "/")
	}
	content, err := v.readFile(v.getenv("GITHUB_EVENT_PATH"))
	if err != nil {
		return
	}
	type side struct {
		SHA  string `json:"sha"`
		Repo struct {
			FullName string `json:"full_name"`
		} `json:"repo"`
	}
	var event struct {
		Number int `json:"number"` // number of the pull request
		Pull   struct {
			Head side `json:"head"`
			Base side `json:"base"`
		} `json:"pull_request"`
		Repository struct {
			Default  string `json:"default_branch"`
			FullName string `json:"full_name"`
		} `json:"repository"`
		Workflow workflowRun `json:"workflow_run"`
	}
	if json.Unmarshal(content, &event) != nil {
		return
	}
	if v.getenv("GITHUB_EVENT_NAME") == "workflow_run" {
		event.Workflow.add(v.more, event.Repository.FullName)
		v.more[".default"] = event.Repository.Default
		return
	}
	if event.Number > 0 && event.Pull.Head.SHA != "" { // also for pull_request_target
		v.more[".pull"] = strconv.Itoa(event.Number)
	}
	v.more[".head"], v.more[".default"] = event.Pull.Head.SHA, event.Repository.Default
	if event.Pull.Base.Repo.FullName != event.Pull.Head.Repo.FullName { // a deleted fork has no name
		v.more[".fork"] = "true"
	}
}

// workflowRun is the run of another workflow that triggered a job.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run
type workflowRun struct {
	ID      int64  `json:"id"`
	Attempt int    `json:"run_attempt"`
	SHA     string `json:"head_sha"`
	Branch  string `json:"head_branch"`
	Head    struct {
		FullName string `json:"full_name"`
	} `json:"head_repository"`
	Pulls []struct { // empty if the change comes from a fork
		Number int `json:"number"`
		Base   struct {
			Ref string `json:"ref"`
		} `json:"base"`
	} `json:"pull_requests"`
}

func (w *workflowRun) add(more map[string]string, repository string) {
	more[".behalf"], more[".repository"] = "true", w.Head.FullName
	more[".tested"], more[".branch"] = w.SHA, w.Branch
	more[".pipeline"], more[".attempt"] = strconv.FormatInt(w.ID, 10), strconv.Itoa(w.Attempt)
	if w.Head.FullName != repository { // a deleted fork has no name
		more[".fork"] = "true"
	}
	if len(w.Pulls) > 0 {
		more[".pull"], more[".base"] = strconv.Itoa(w.Pulls[0].Number), w.Pulls[0].Base.Ref
	}
}

// teamCityProperties adds the parameters of the build, because TeamCity does not pass all of them
// as variables.
func teamCityProperties(v variables) {
	system := properties(v, v.getenv("TEAMCITY_BUILD_PROPERTIES_FILE"))
	config := properties(v, system["teamcity.configuration.properties.file"])
	for name, key := range map[string]string{".branch": "teamcity.build.branch", ".default": "teamcity.build.vcs.branch.default", ".id": "teamcity.build.id",
		".pull": "teamcity.pullRequest.number", ".source": "teamcity.pullRequest.source.branch", ".target": "teamcity.pullRequest.target.branch"} {
		v.more[name] = cmp.Or(config[key], system[key])
	}
}

// properties reads a Java properties file.
func properties(v variables, path string) map[string]string {
	all := map[string]string{}
	if path == "" {
		return all
	}
	content, err := v.readFile(path)
	if err != nil {
		return all
	}
	for line := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			all[strings.TrimSpace(key)] = strings.NewReplacer(`\:`, ":", `\=`, "=", `\\`, `\`).Replace(strings.TrimSpace(value))
		}
	}
	return all
}

// Here returns the identity of this process.
func Here() Identity { return Identify(os.Getenv, os.ReadFile) }
