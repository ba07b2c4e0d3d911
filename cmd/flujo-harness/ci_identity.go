package main

import (
	"cmp"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// ciRun is what the variables of a CI service say of the run that it makes.
type ciRun struct {
	id     string // of the job and its attempt; "" outside of CI
	commit string
	branch string
	facts  []reports.Fact
}

// ciIdentity reads the variables of GitHub Actions, GitLab CI or, of any other service
// that sets CI, the names that most of them share.
func ciIdentity(getenv func(string) string) ciRun {
	first := func(names ...string) string {
		var values []string
		for _, name := range names {
			values = append(values, getenv(name))
		}
		return cmp.Or(values...)
	}
	var c ciRun
	var service, job, url string
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		service, job = "github", getenv("GITHUB_JOB")
		c.id = joined("github", getenv("GITHUB_REPOSITORY"), getenv("GITHUB_RUN_ID"), getenv("GITHUB_RUN_ATTEMPT"), job)
		c.commit, c.branch = getenv("GITHUB_SHA"), first("GITHUB_HEAD_REF", "GITHUB_REF_NAME")
		if getenv("GITHUB_SERVER_URL") != "" && getenv("GITHUB_RUN_ID") != "" {
			url = joined(getenv("GITHUB_SERVER_URL"), getenv("GITHUB_REPOSITORY"), "actions/runs", getenv("GITHUB_RUN_ID"))
		}
	case getenv("GITLAB_CI") != "":
		service, job, url = "gitlab", getenv("CI_JOB_NAME"), getenv("CI_JOB_URL")
		c.id = joined("gitlab", getenv("CI_PROJECT_PATH"), getenv("CI_PIPELINE_ID"), getenv("CI_JOB_ID"))
		c.commit, c.branch = getenv("CI_COMMIT_SHA"), first("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME")
	case getenv("CI") != "" && getenv("CI") != "false":
		service, job, url = "CI", first("JOB_NAME", "CI_JOB_NAME", "BUILD_NAME"), first("BUILD_URL", "CI_JOB_URL")
		number := first("BUILD_ID", "BUILD_NUMBER", "CI_BUILD_ID", "CI_JOB_ID")
		if number == "" {
			return c // nothing says which run it is
		}
		c.id = joined("ci", job, number)
		c.commit, c.branch = first("GIT_COMMIT", "COMMIT_SHA", "CI_COMMIT_SHA"), first("GIT_BRANCH", "BRANCH_NAME", "CI_COMMIT_REF_NAME")
	default:
		return c
	}
	for _, f := range []reports.Fact{{Name: "CI service", Value: service}, {Name: "CI job", Value: job}, {Name: "CI page", Value: url}} {
		if f.Value != "" {
			c.facts = append(c.facts, f)
		}
	}
	return c
}

// joined leaves out what is not there.
func joined(parts ...string) string {
	var there []string
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, "/")
}
