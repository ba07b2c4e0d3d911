package main

import (
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	"github.com/google/go-cmp/cmp"
)

func TestIdentityOfACIRun(t *testing.T) {
	for name, test := range map[string]struct {
		env  string
		want ciRun
	}{
		"none":                {"", ciRun{}},
		"CI=false":            {"CI=false BUILD_ID=3", ciRun{}},
		"CI without a number": {"CI=true GIT_COMMIT=c", ciRun{}},
		"GitHub": {"CI=true GITHUB_ACTIONS=true GITHUB_REPOSITORY=a/b GITHUB_RUN_ID=7 GITHUB_RUN_ATTEMPT=2 GITHUB_JOB=test GITHUB_SHA=c GITHUB_REF_NAME=main GITHUB_SERVER_URL=https://github.com",
			ciRun{id: "github/a/b/7/2/test", commit: "c", branch: "main", facts: []reports.Fact{{Name: "CI service", Value: "github"}, {Name: "CI job", Value: "test"},
				{Name: "CI page", Value: "https://github.com/a/b/actions/runs/7"}}}},
		"GitHub, a pull request": {"GITHUB_ACTIONS=true GITHUB_RUN_ID=7 GITHUB_HEAD_REF=fix GITHUB_REF_NAME=9/merge",
			ciRun{id: "github/7", commit: "", branch: "fix", facts: []reports.Fact{{Name: "CI service", Value: "github"}}}},
		"GitLab": {"CI=true GITLAB_CI=true CI_PROJECT_PATH=a/b CI_PIPELINE_ID=5 CI_JOB_ID=6 CI_JOB_NAME=test CI_COMMIT_SHA=c CI_COMMIT_REF_NAME=main",
			ciRun{id: "gitlab/a/b/5/6", commit: "c", branch: "main", facts: []reports.Fact{{Name: "CI service", Value: "gitlab"}, {Name: "CI job", Value: "test"}}}},
		"another": {"CI=1 JOB_NAME=shop BUILD_NUMBER=12 GIT_COMMIT=c GIT_BRANCH=main",
			ciRun{id: "ci/shop/12", commit: "c", branch: "main", facts: []reports.Fact{{Name: "CI service", Value: "CI"}, {Name: "CI job", Value: "shop"}}}},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(test.env) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		got := ciIdentity(func(name string) string { return env[name] })
		got.origin = reports.Origin{} // package ci tests it
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(ciRun{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
