package publish

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/ci"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/render"
	"github.com/flujo/flujo-harness/stubs/redact"
	"github.com/flujo/flujo-harness/thresholds"
)

// MostComment is the maximum number of characters of a comment, and of the summary of a check, on
// GitHub.
const MostComment = 65_536

// Comment is the flag --comment.
type Comment struct {
	service string

	getenv   func(string) string // nil means os.Getenv
	readFile func(string) ([]byte, error)
	wait     func(context.Context, time.Duration) error // nil means sleep
}

// Register adds the flag.
func (c *Comment) Register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.service, "comment", "", `show the result as one comment on the pull request, which is updated: "github" (with GITHUB_TOKEN; also as a check) or "gitlab" (with GITLAB_TOKEN)`)
}

// Check returns an error for an invalid value.
func (c *Comment) Check() error {
	if c.service != "" && c.service != "github" && c.service != "gitlab" {
		return cli.Usage(fmt.Errorf(`--comment %s: use "github" or "gitlab"`, c.service))
	}
	return nil
}

// Asked reports whether a comment was requested.
func (c *Comment) Asked() bool { return c.service != "" }

// Content is the content of a comment and of a check.
type Content struct {
	Part     string // key of the comment: a change has one comment for each part
	Name     string // name of the check
	Title    string
	Outcome  thresholds.Outcome
	Complete bool
	Commit   string // commit that was tested; "" if unknown
	Details  string // address of the job's page; "" if unknown
	Write    func(w io.Writer, most int) error
}

func (c *Content) conclusion() string {
	switch {
	case !c.Complete:
		return "cancelled"
	case c.Outcome == thresholds.Held:
		return "success"
	case c.Outcome == thresholds.Inconclusive:
		return "neutral"
	}
	return "failure"
}

// Of returns the content for the runs of one change: that of one job, or those of all jobs of its
// pipeline.
func Of(runs []*analysis.Analysis) Content {
	runs = slices.Clone(runs)
	slices.SortStableFunc(runs, func(x, y *analysis.Analysis) int {
		return cli.Rank(y.Run.Outcome) - cli.Rank(x.Run.Outcome)
	})
	first := runs[0].Run
	c := Content{Part: strings.Join([]string{first.Origin.Module, first.Origin.Cell()}, "\n"), Name: "flujo-harness", Title: runs[0].Headline.Word + ": " + runs[0].Headline.Reason,
		Outcome: first.Outcome, Complete: first.Complete, Commit: first.Commit, Details: first.Origin.JobURL}
	if of := strings.Join(slices.DeleteFunc([]string{first.Origin.Job, first.Origin.Platform(), first.Origin.Shard}, func(s string) bool { return s == "" }), ", "); of != "" && len(runs) == 1 {
		c.Name += " (" + of + ")"
	}
	if len(runs) > 1 {
		c.Part = first.Origin.Module
		bad := 0
		for _, a := range runs {
			c.Complete = c.Complete && a.Run.Complete
			if a.Run.Outcome != thresholds.Held {
				bad++
			}
		}
		if bad > 0 {
			c.Title = fmt.Sprintf("%d of %d jobs; %s", bad, len(runs), c.Title)
		}
	}
	c.Write = func(w io.Writer, most int) error {
		shown := runs[:min(len(runs), most/render.LeastMarkdown/2)]
		most -= 200
		for i, a := range shown {
			var text bytes.Buffer
			if err := render.WriteComment(&text, a, most/(len(shown)-i)); err != nil {
				return err
			}
			most -= text.Len() + 1
			if _, err := fmt.Fprintf(w, "%s\n", text.Bytes()); err != nil {
				return err
			}
		}
		if more := len(runs) - len(shown); more > 0 {
			fmt.Fprintf(w, "and %d more jobs, which came to nothing worse\n", more)
		}
		return nil
	}
	return c
}

// Lines returns the content for the output of a command. about is the run that the output is
// about, or nil.
func Lines(command string, outcome thresholds.Outcome, lines []string, about *analysis.Analysis) Content {
	word := strings.ToUpper(outcome.String())
	c := Content{Part: command, Name: "flujo-harness " + command, Title: word, Outcome: outcome, Complete: true}
	var of Content
	if about != nil {
		of = Of([]*analysis.Analysis{about})
		c.Part, c.Name, c.Commit, c.Details = of.Part, of.Name+" "+command, of.Commit, of.Details
	}
	var secrets redact.Redactor
	c.Write = func(w io.Writer, most int) error {
		var text bytes.Buffer
		fmt.Fprintf(&text, "## %s: %s\n\n", word, command)
		render.WriteCode(&text, secrets.Text(strings.Join(lines, "\n")), most/2)
		text.WriteString("\n")
		if about != nil {
			var run bytes.Buffer
			if err := of.Write(&run, most-text.Len()); err != nil {
				return err
			}
			text.Write(run.Bytes())
		}
		_, err := w.Write(text.Bytes())
		return err
	}
	return c
}

// comment is an existing comment.
type comment struct {
	id     int64
	author string
	body   string
	url    string
}

// service is the part of a CI service's API that comments need.
type service interface {
	me(ctx context.Context) (author string, err error)
	head(ctx context.Context, pull string) (commit string, err error)
	comments(ctx context.Context, pull string) ([]comment, error)
	create(ctx context.Context, pull, body string) (url string, err error)
	update(ctx context.Context, pull string, id int64, body string) (url string, err error)
	remove(ctx context.Context, pull string, id int64) error
	permission() string
	pause(ctx context.Context, d time.Duration) error
}

func (c *client) pause(ctx context.Context, d time.Duration) error { return c.wait(ctx, d) }

// Post creates or updates the comment and, on GitHub, adds the check. It returns lines to print,
// and no error, because the outcome of a run does not depend on whether it was published.
func (c *Comment) Post(ctx context.Context, of Content) (lines []string) {
	if !c.Asked() {
		return nil
	}
	say := func(format string, args ...any) { lines = append(lines, reports.Visible(fmt.Sprintf(format, args...))) }
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	getenv, readFile := c.getenv, c.readFile
	if getenv == nil {
		getenv, readFile = os.Getenv, os.ReadFile
	}
	id := ci.Identify(getenv, readFile)
	if why := refusal(c.service, id, of.Commit); why != "" {
		say("comment: not made: %s", why)
		return lines
	}
	of.Title = reports.Visible(of.Title)
	if r := []rune(of.Title); len(r) > 200 {
		of.Title = string(r[:199]) + "…"
	}
	if c.service == "gitlab" {
		api, err := newGitLab(getenv)
		if err != nil {
			say("comment: not made: %v", err)
			return lines
		}
		api.wait = orSleep(c.wait)
		say("comment: %s", c.comment(ctx, api, id.Origin.PullRequest, id.Commit, of))
		return lines
	}
	api, err := newGitHub(getenv)
	if err != nil {
		say("comment: not made: %v", err)
		return lines
	}
	api.wait = orSleep(c.wait)
	pull := id.Origin.PullRequest
	if pull == "" && id.OnBehalf && id.HeadRepository != "" {
		pull, err = api.find(ctx, id.HeadRepository, id.Branch, id.Commit)
	}
	if err != nil {
		say("comment: not made: %s", explained(err, api.permission()))
	} else {
		say("comment: %s", c.comment(ctx, api, pull, id.Commit, of))
	}
	summary, err := written(of, MostComment-1)
	if err == nil {
		var url string
		if url, err = api.check(ctx, id.Commit, of, summary, cmp.Or(of.Details, id.Origin.JobURL)); err == nil {
			say("check: added: %s", url)
		}
	}
	if err != nil {
		say("check: not added: %s", explained(err, "the token must be allowed to write checks: permissions: checks: write"))
	}
	return lines
}

// refusal returns why no comment can be made, or "".
func refusal(service string, id ci.Identity, commit string) string {
	switch {
	case id.Origin.Service != service:
		return fmt.Sprintf("this is no job of %s", service)
	case id.Origin.Fork && !id.OnBehalf:
		return "the change is of a fork, and its job ran code of the fork: a job of the base comments, as that of the workflow flujo-harness-record, which init writes"
	case id.Commit == "":
		return "the commit of the job is not known"
	case commit != "" && !reports.SameCommit(commit, id.Commit):
		return fmt.Sprintf("the run is of commit %.12s, and the job of %.12s", commit, id.Commit)
	}
	return ""
}

// comment creates or updates the comment, and returns the result as a message.
func (c *Comment) comment(ctx context.Context, api service, pull, commit string, of Content) string {
	if pull == "" {
		return "not made: no open pull request is of this commit"
	}
	switch head, err := api.head(ctx, pull); {
	case err != nil:
		return "not made: " + explained(err, api.permission())
	case !reports.SameCommit(head, commit):
		return fmt.Sprintf("not made: %s is at commit %.12s by now, and the run is of %.12s", pull, head, commit)
	}
	marker := fmt.Sprintf("<!-- flujo-harness %x -->\n", sha256.Sum256([]byte(of.Part)))
	body, err := written(of, MostComment-len(marker))
	if err != nil {
		return fmt.Sprintf("not made: %v", err)
	}
	did, url, err := upsert(ctx, api, pull, marker, marker+body)
	if err != nil {
		return "not made: " + explained(err, api.permission())
	}
	return did + ": " + url
}

// written returns the text of a comment. The size is checked because GitHub refuses longer texts.
func written(of Content, most int) (string, error) {
	var body bytes.Buffer
	if err := of.Write(&body, most); err != nil {
		return "", err
	}
	if body.Len() > most {
		return "", fmt.Errorf("the text has %d bytes, at most %d are taken", body.Len(), most)
	}
	return body.String(), nil
}

// upsert creates or updates the comment with the marker. It changes only comments made with the
// same token, because anyone can copy a marker. If there are several, concurrent jobs made them;
// the first is kept.
func upsert(ctx context.Context, api service, pull, marker, body string) (did, url string, err error) {
	me, err := api.me(ctx)
	if err != nil {
		return "", "", err
	}
	for try := 1; ; try++ {
		all, err := api.comments(ctx, pull)
		if err != nil {
			return "", "", err
		}
		mine := slices.DeleteFunc(all, func(c comment) bool {
			return c.author != me || !strings.HasPrefix(strings.ReplaceAll(c.body, "\r\n", "\n"), marker)
		})
		if len(mine) == 0 {
			url, err := api.create(ctx, pull, body)
			if failed := new(apiError); try < tries && errors.As(err, &failed) && failed.inDoubt { // it may have been created: list the comments again
				if err := api.pause(ctx, time.Second<<(try-1)); err != nil {
					return "", "", err
				}
				continue
			}
			return "made", url, err
		}
		url, err := api.update(ctx, pull, mine[0].id, body)
		if statusOf(err) == 404 && try < tries { // deleted since it was listed
			continue
		}
		for _, more := range mine[1:] {
			_ = api.remove(ctx, pull, more.id) // if it fails, the next run tries again
		}
		return "updated", url, err
	}
}

// explained adds advice to an error.
func explained(err error, permission string) string {
	failed := new(apiError)
	switch status := statusOf(err); {
	case status == 401:
		return err.Error() + "; the token is not accepted: is it set, and has it expired?"
	case status == 403 || status == 404:
		return err.Error() + "; " + permission
	case errors.As(err, &failed) && status == 0:
		return err.Error() + "; is the server reachable from here?"
	}
	return err.Error()
}

func orSleep(wait func(context.Context, time.Duration) error) func(context.Context, time.Duration) error {
	if wait == nil {
		return sleep
	}
	return wait
}
