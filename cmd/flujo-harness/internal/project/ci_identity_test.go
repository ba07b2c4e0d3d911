package project

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
)

func TestIdentityOfACIRun(t *testing.T) {
	for name, test := range map[string]struct {
		env  string
		want CIRun
	}{
		"none":                {"", CIRun{}},
		"CI=false":            {"CI=false BUILD_ID=3", CIRun{}},
		"CI without a number": {"CI=true GIT_COMMIT=c0ffee0", CIRun{}},
		"GitHub": {"CI=true GITHUB_ACTIONS=true GITHUB_REPOSITORY=a/b GITHUB_RUN_ID=7 GITHUB_RUN_ATTEMPT=2 GITHUB_JOB=test GITHUB_SHA=c0ffee0 GITHUB_REF_NAME=main GITHUB_SERVER_URL=https://github.com",
			CIRun{ID: "github/a/b/7/2/test", Commit: "c0ffee0", Branch: "main", Facts: []reports.Fact{{Name: "CI service", Value: "github"}, {Name: "CI job", Value: "test"},
				{Name: "CI page", Value: "https://github.com/a/b/actions/runs/7"}}}},
		"GitHub, a pull request": {"GITHUB_ACTIONS=true GITHUB_RUN_ID=7 GITHUB_HEAD_REF=fix GITHUB_REF_NAME=9/merge",
			CIRun{ID: "github/7", Commit: "", Branch: "fix", Facts: []reports.Fact{{Name: "CI service", Value: "github"}}}},
		"GitLab": {"CI=true GITLAB_CI=true CI_PROJECT_PATH=a/b CI_PIPELINE_ID=5 CI_JOB_ID=6 CI_JOB_NAME=test CI_COMMIT_SHA=c0ffee0 CI_COMMIT_REF_NAME=main",
			CIRun{ID: "gitlab/a/b/5/6", Commit: "c0ffee0", Branch: "main", Facts: []reports.Fact{{Name: "CI service", Value: "gitlab"}, {Name: "CI job", Value: "test"}}}},
		"another": {"CI=1 JOB_NAME=shop BUILD_NUMBER=12 GIT_COMMIT=c0ffee0 GIT_BRANCH=main",
			CIRun{ID: "ci/shop/12", Commit: "c0ffee0", Branch: "main", Facts: []reports.Fact{{Name: "CI service", Value: "CI"}, {Name: "CI job", Value: "shop"}}}},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(test.env) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		got := CIIdentity(func(name string) string { return env[name] })
		got.origin = reports.Origin{} // tested in package ci
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(CIRun{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
