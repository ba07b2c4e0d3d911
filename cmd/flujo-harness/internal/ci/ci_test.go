package ci

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
)

const (
	head  = "1111111111111111111111111111111111111111"
	merge = "2222222222222222222222222222222222222222"
)

// For each service, the identity of a pull request is derived from the documented variables.
func TestPullRequestsOfEveryService(t *testing.T) {
	event := `{"number": 7, "pull_request": {"head": {"sha": "` + head + `", "repo": {"full_name": "them/shop"}}, "base": {"repo": {"full_name": "us/shop"}}}, "repository": {"default_branch": "main"}}`
	for name, tt := range map[string]struct {
		env   map[string]string
		files map[string]string
		want  Identity
	}{
		"github": {
			env: map[string]string{"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SHA": merge, "GITHUB_HEAD_REF": "fix", "GITHUB_REF_NAME": "7/merge", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_BASE_REF": "main",
				"GITHUB_RUN_ID": "55", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_JOB": "test", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "us/shop", "GITHUB_EVENT_PATH": "event",
				"RUNNER_OS": "Windows", "RUNNER_ARCH": "X64"},
			files: map[string]string{"event": event},
			want: Identity{ID: "github/us/shop/55/2/test/windows/amd64", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "github", BaseBranch: "main", MergeCommit: merge, PullRequest: "7", Fork: true, Pipeline: "55", Attempt: 2, Job: "test",
				OS: "windows", Arch: "amd64", CommitURL: "https://github.com/us/shop/commit/" + head, JobURL: "https://github.com/us/shop/actions/runs/55", FileURL: "https://github.com/us/shop/blob/" + head + "/"}},
		},
		"forgejo": {
			env: map[string]string{"CI": "true", "GITHUB_ACTIONS": "true", "FORGEJO_ACTIONS": "true", "GITHUB_SHA": merge, "GITHUB_HEAD_REF": "fix", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_BASE_REF": "main",
				"GITHUB_RUN_ID": "55", "GITHUB_RUN_NUMBER": "9", "GITHUB_JOB": "test", "GITHUB_SERVER_URL": "https://git.example.org", "GITHUB_REPOSITORY": "us/shop", "GITHUB_EVENT_PATH": "event"},
			files: map[string]string{"event": event},
			want: Identity{ID: "forgejo/us/shop/55/test", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "forgejo", BaseBranch: "main", MergeCommit: merge, PullRequest: "7", Fork: true, Pipeline: "55", Job: "test",
				CommitURL: "https://git.example.org/us/shop/commit/" + head, JobURL: "https://git.example.org/us/shop/actions/runs/9", FileURL: "https://git.example.org/us/shop/src/commit/" + head + "/"}},
		},
		"gitlab": {
			env: map[string]string{"CI": "true", "GITLAB_CI": "true", "CI_COMMIT_SHA": merge, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": head, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "fix", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
				"CI_COMMIT_REF_NAME": "fix", "CI_DEFAULT_BRANCH": "trunk", "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "us/shop", "CI_MERGE_REQUEST_PROJECT_PATH": "us/shop",
				"CI_PROJECT_PATH": "us/shop", "CI_PROJECT_URL": "https://gitlab.com/us/shop", "CI_PIPELINE_ID": "55", "CI_JOB_ID": "66", "CI_JOB_NAME": "test 2/3", "CI_JOB_URL": "https://gitlab.com/us/shop/-/jobs/66",
				"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "3", "CI_RUNNER_EXECUTABLE_ARCH": "linux/amd64"},
			want: Identity{ID: "gitlab/us/shop/55/66/linux/amd64/2/3", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "gitlab", BaseBranch: "main", MergeCommit: merge, PullRequest: "7", Pipeline: "55", Job: "test 2/3", Shard: "2/3",
				OS: "linux", Arch: "amd64", CommitURL: "https://gitlab.com/us/shop/-/commit/" + head, JobURL: "https://gitlab.com/us/shop/-/jobs/66", FileURL: "https://gitlab.com/us/shop/-/blob/" + head + "/"}},
		},
		"buildkite": {
			env: map[string]string{"CI": "true", "BUILDKITE": "true", "BUILDKITE_COMMIT": head, "BUILDKITE_BRANCH": "fix", "BUILDKITE_PULL_REQUEST": "7", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main", "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "trunk",
				"BUILDKITE_PULL_REQUEST_REPO": "git://github.com/them/shop", "BUILDKITE_REPO": "git://github.com/us/shop", "BUILDKITE_PIPELINE_SLUG": "shop", "BUILDKITE_BUILD_ID": "55", "BUILDKITE_JOB_ID": "66", "BUILDKITE_RETRY_COUNT": "1",
				"BUILDKITE_LABEL": "Test", "BUILDKITE_PARALLEL_JOB": "0", "BUILDKITE_PARALLEL_JOB_COUNT": "3", "BUILDKITE_BUILD_URL": "https://buildkite.com/us/shop/builds/5"},
			want: Identity{ID: "buildkite/shop/55/1/66/1/3", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "buildkite", BaseBranch: "main", PullRequest: "7", Fork: true, Pipeline: "55", Attempt: 2, Job: "Test", Shard: "1/3",
				JobURL: "https://buildkite.com/us/shop/builds/5#66"}},
		},
		"circleci": {
			env: map[string]string{"CI": "true", "CIRCLECI": "true", "CIRCLE_SHA1": head, "CIRCLE_BRANCH": "fix", "CIRCLE_PULL_REQUEST": "https://github.com/us/shop/pull/7", "CIRCLE_PROJECT_REPONAME": "shop", "CIRCLE_WORKFLOW_ID": "w",
				"CIRCLE_BUILD_NUM": "66", "CIRCLE_JOB": "test", "CIRCLE_NODE_INDEX": "1", "CIRCLE_NODE_TOTAL": "2", "CIRCLE_BUILD_URL": "https://circleci.com/gh/us/shop/66"},
			want: Identity{ID: "circleci/shop/w/test/66/2/2", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "circleci", PullRequest: "7", Pipeline: "w", Job: "test", Shard: "2/2", JobURL: "https://circleci.com/gh/us/shop/66"}},
		},
		"azure": {
			env: map[string]string{"TF_BUILD": "True", "BUILD_SOURCEVERSION": merge, "SYSTEM_PULLREQUEST_SOURCECOMMITID": head, "BUILD_SOURCEBRANCH": "refs/pull/7/merge", "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/fix",
				"SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main", "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER": "7", "SYSTEM_PULLREQUEST_ISFORK": "False", "SYSTEM_JOBID": "j", "BUILD_REPOSITORY_NAME": "us/shop", "BUILD_BUILDID": "55",
				"SYSTEM_JOBATTEMPT": "1", "SYSTEM_JOBDISPLAYNAME": "test", "AGENT_OS": "Darwin", "AGENT_OSARCHITECTURE": "ARM64", "SYSTEM_COLLECTIONURI": "https://dev.azure.com/us/", "SYSTEM_TEAMPROJECT": "shop"},
			want: Identity{ID: "azure/us/shop/55/1/test/j/darwin/arm64", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "azure", BaseBranch: "main", MergeCommit: merge, PullRequest: "7", Pipeline: "55", Attempt: 1, Job: "test", OS: "darwin", Arch: "arm64",
				JobURL: "https://dev.azure.com/us/shop/_build/results?buildId=55&view=logs&j=j"}},
		},
		"bitbucket": {
			env: map[string]string{"CI": "true", "BITBUCKET_BUILD_NUMBER": "55", "BITBUCKET_COMMIT": head, "BITBUCKET_BRANCH": "fix", "BITBUCKET_PR_DESTINATION_BRANCH": "main", "BITBUCKET_PR_ID": "7", "BITBUCKET_STEP_UUID": "{s}",
				"BITBUCKET_REPO_FULL_NAME": "us/shop", "BITBUCKET_STEP_RUN_NUMBER": "1", "BITBUCKET_PARALLEL_STEP": "0", "BITBUCKET_PARALLEL_STEP_COUNT": "2", "BITBUCKET_GIT_HTTP_ORIGIN": "https://bitbucket.org/us/shop"},
			want: Identity{ID: "bitbucket/us/shop/55/1/{s}/1/2", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "bitbucket", BaseBranch: "main", PullRequest: "7", Pipeline: "55", Attempt: 1, Shard: "1/2",
				CommitURL: "https://bitbucket.org/us/shop/commits/" + head, JobURL: "https://bitbucket.org/us/shop/pipelines/results/55", FileURL: "https://bitbucket.org/us/shop/src/" + head + "/"}},
		},
		"drone": {
			env: map[string]string{"CI": "true", "DRONE": "true", "DRONE_COMMIT_SHA": head, "DRONE_BRANCH": "main", "DRONE_SOURCE_BRANCH": "fix", "DRONE_TARGET_BRANCH": "main", "DRONE_REPO_BRANCH": "trunk", "DRONE_PULL_REQUEST": "7", "DRONE_BUILD_NUMBER": "55",
				"DRONE_REPO": "us/shop", "DRONE_STAGE_NAME": "default", "DRONE_STEP_NAME": "test", "DRONE_STAGE_OS": "linux", "DRONE_STAGE_ARCH": "arm64", "DRONE_COMMIT_LINK": "https://git/c", "DRONE_BUILD_LINK": "https://drone/55"},
			want: Identity{ID: "drone/us/shop/55/default/linux/arm64", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "drone", BaseBranch: "main", PullRequest: "7", Pipeline: "55", Job: "default", Variant: "test", OS: "linux", Arch: "arm64",
				CommitURL: "https://git/c", JobURL: "https://drone/55"}},
		},
		"woodpecker": {
			env: map[string]string{"CI": "woodpecker", "CI_COMMIT_SHA": head, "CI_COMMIT_BRANCH": "main", "CI_COMMIT_SOURCE_BRANCH": "fix", "CI_COMMIT_TARGET_BRANCH": "main", "CI_REPO_DEFAULT_BRANCH": "trunk", "CI_COMMIT_PULL_REQUEST": "7",
				"CI_REPO": "us/shop", "CI_PIPELINE_NUMBER": "55", "CI_WORKFLOW_NUMBER": "2", "CI_WORKFLOW_NAME": "test", "CI_STEP_NAME": "unit", "CI_SYSTEM_PLATFORM": "linux/amd64", "CI_STEP_URL": "https://wp/55/2"},
			want: Identity{ID: "woodpecker/us/shop/55/test/2/linux/amd64", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "woodpecker", BaseBranch: "main", PullRequest: "7", Pipeline: "55", Job: "test", Variant: "unit", OS: "linux", Arch: "amd64", JobURL: "https://wp/55/2"}},
		},
		"teamcity": {
			env: map[string]string{"TEAMCITY_VERSION": "2026.1", "BUILD_VCS_NUMBER": head, "BUILD_NUMBER": "12", "TEAMCITY_PROJECT_NAME": "Shop", "TEAMCITY_BUILDCONF_NAME": "Test", "BUILD_URL": "https://tc/55", "TEAMCITY_BUILD_PROPERTIES_FILE": "system"},
			files: map[string]string{"system": "# made by TeamCity\nteamcity.build.id=55\nteamcity.configuration.properties.file=C\\:\\\\tc\\\\config\n",
				`C:\tc\config`: "teamcity.build.branch=pull/7\nteamcity.pullRequest.number=7\nteamcity.pullRequest.source.branch=fix\nteamcity.pullRequest.target.branch=refs/heads/main\n"},
			want: Identity{ID: "teamcity/Shop/55/Test", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "teamcity", BaseBranch: "main", PullRequest: "7", Pipeline: "55", Job: "Test", JobURL: "https://tc/55"}},
		},
		"travis": {
			env: map[string]string{"CI": "true", "TRAVIS": "true", "TRAVIS_COMMIT": merge, "TRAVIS_PULL_REQUEST_SHA": head, "TRAVIS_BRANCH": "main", "TRAVIS_PULL_REQUEST_BRANCH": "fix", "TRAVIS_PULL_REQUEST": "7", "TRAVIS_PULL_REQUEST_SLUG": "them/shop",
				"TRAVIS_REPO_SLUG": "us/shop", "TRAVIS_JOB_ID": "66", "TRAVIS_BUILD_ID": "55", "TRAVIS_JOB_NAME": "unit", "TRAVIS_GO_VERSION": "1.26.x", "TRAVIS_OS_NAME": "osx", "TRAVIS_CPU_ARCH": "arm64", "TRAVIS_JOB_WEB_URL": "https://travis/66"},
			want: Identity{ID: "travis/us/shop/55/66/darwin/arm64", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "travis", BaseBranch: "main", MergeCommit: merge, PullRequest: "7", Fork: true, Pipeline: "55", Job: "unit", Variant: "1.26.x", OS: "darwin", Arch: "arm64",
				JobURL: "https://travis/66"}},
		},
		"appveyor": {
			env: map[string]string{"CI": "True", "APPVEYOR": "True", "APPVEYOR_REPO_COMMIT": merge, "APPVEYOR_PULL_REQUEST_HEAD_COMMIT": head, "APPVEYOR_REPO_BRANCH": "main", "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH": "fix", "APPVEYOR_PULL_REQUEST_NUMBER": "7",
				"APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME": "us/shop", "APPVEYOR_REPO_NAME": "us/shop", "APPVEYOR_JOB_ID": "j", "APPVEYOR_BUILD_ID": "55", "APPVEYOR_BUILD_WORKER_IMAGE": "Visual Studio 2022",
				"APPVEYOR_URL": "https://ci.appveyor.com", "APPVEYOR_ACCOUNT_NAME": "us", "APPVEYOR_PROJECT_SLUG": "shop"},
			want: Identity{ID: "appveyor/us/shop/55/j/windows", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "appveyor", BaseBranch: "main", MergeCommit: merge, PullRequest: "7", Pipeline: "55", OS: "windows",
				JobURL: "https://ci.appveyor.com/project/us/shop/builds/55/job/j"}},
		},
		"jenkins": {
			env: map[string]string{"JENKINS_URL": "https://jenkins/", "GIT_COMMIT": head, "BRANCH_NAME": "PR-7", "CHANGE_BRANCH": "fix", "CHANGE_TARGET": "main", "CHANGE_ID": "7", "CHANGE_FORK": "them", "BUILD_NUMBER": "5", "BUILD_TAG": "jenkins-shop-5",
				"JOB_NAME": "shop/PR-7", "STAGE_NAME": "windows", "BUILD_URL": "https://jenkins/job/shop/5/"},
			want: Identity{ID: "jenkins/jenkins-shop-5/shop/PR-7/5", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "jenkins", BaseBranch: "main", PullRequest: "7", Fork: true, Pipeline: "jenkins-shop-5", Job: "shop/PR-7", Variant: "windows", JobURL: "https://jenkins/job/shop/5/"}},
		},
		"another": {
			env:  map[string]string{"CI": "1", "GIT_COMMIT": head, "GIT_BRANCH": "origin/fix", "BUILD_ID": "5", "JOB_NAME": "test"},
			want: Identity{ID: "ci/test/5", Commit: head, Branch: "fix", Origin: reports.Origin{Service: "CI", Job: "test"}},
		},
		"none": {env: map[string]string{"CI": "false", "GIT_COMMIT": head}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Identify(func(name string) string { return tt.env[name] }, func(path string) ([]byte, error) {
				if text, ok := tt.files[path]; ok {
					return []byte(text), nil
				}
				return nil, fs.ErrNotExist
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A push has the default branch as its base and no pull request.
func TestPushes(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"gitlab":     {"GITLAB_CI": "true", "CI_COMMIT_SHA": head, "CI_COMMIT_BRANCH": "fix", "CI_DEFAULT_BRANCH": "main", "CI_JOB_ID": "1"},
		"buildkite":  {"BUILDKITE": "true", "BUILDKITE_COMMIT": head, "BUILDKITE_BRANCH": "fix", "BUILDKITE_PULL_REQUEST": "false", "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main"},
		"github":     {"GITHUB_ACTIONS": "true", "GITHUB_SHA": head, "GITHUB_REF_NAME": "fix", "GITHUB_REF": "refs/heads/fix", "GITHUB_EVENT_PATH": "event"},
		"drone":      {"DRONE": "true", "DRONE_COMMIT_SHA": head, "DRONE_BRANCH": "fix", "DRONE_SOURCE_BRANCH": "fix", "DRONE_TARGET_BRANCH": "fix", "DRONE_REPO_BRANCH": "main"},
		"woodpecker": {"CI": "woodpecker", "CI_COMMIT_SHA": head, "CI_COMMIT_BRANCH": "fix", "CI_REPO_DEFAULT_BRANCH": "main"},
	} {
		got := Identify(func(name string) string { return env[name] }, func(string) ([]byte, error) {
			return []byte(`{"repository": {"default_branch": "main"}}`), nil
		})
		if got.Commit != head || got.Branch != "fix" || got.Origin.BaseBranch != "main" || got.Origin.PullRequest != "" || got.Origin.Fork || got.Origin.MergeCommit != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := Identify(func(name string) string {
		return map[string]string{"TRAVIS": "true", "TRAVIS_PULL_REQUEST": "false", "TRAVIS_BRANCH": "main", "TRAVIS_COMMIT": head}[name]
	}, func(string) ([]byte, error) { return nil, errors.New("no file") })
	if got.Branch != "main" || got.Origin.PullRequest != "" || got.Origin.BaseBranch != "" {
		t.Errorf("%+v", got)
	}
}

// A job that processes results of another workflow has the identity of that workflow, according
// to the event.
func TestWorkflowRun(t *testing.T) {
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_SHA": merge, "GITHUB_REF_NAME": "main", "GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": "event",
		"GITHUB_RUN_ID": "99", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_REPOSITORY": "us/shop", "GITHUB_JOB": "record"}
	for name, tt := range map[string]struct {
		more   string
		origin reports.Origin
		from   string
	}{
		"a fork":              {`"head_repository": {"full_name": "them/shop"}, "pull_requests": []`, reports.Origin{Fork: true, BaseBranch: "main"}, "them/shop"},
		"a fork that is gone": {`"head_repository": null`, reports.Origin{Fork: true, BaseBranch: "main"}, ""},
		"a branch":            {`"head_repository": {"full_name": "us/shop"}, "pull_requests": [{"number": 7, "base": {"ref": "next"}}]`, reports.Origin{PullRequest: "7", BaseBranch: "next"}, "us/shop"},
		"a push":              {`"head_repository": {"full_name": "us/shop"}, "pull_requests": []`, reports.Origin{BaseBranch: "main"}, "us/shop"},
	} {
		event := `{"repository": {"full_name": "us/shop", "default_branch": "main"}, "workflow_run": {"id": 55, "run_attempt": 2, "head_sha": "` + head + `", "head_branch": "fix", ` + tt.more + `}}`
		got := Identify(func(name string) string { return env[name] }, func(string) ([]byte, error) { return []byte(event), nil })
		tt.origin.Service, tt.origin.Pipeline, tt.origin.Attempt, tt.origin.Job = "github", "55", 2, "record"
		if diff := cmp.Diff(Identity{ID: "github/us/shop/55/2/record/99", Commit: head, Branch: "fix", Origin: tt.origin, OnBehalf: true, HeadRepository: tt.from}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A value that is not a commit is ignored. BUILDKITE_COMMIT is "HEAD" if a build was started
// without a commit, and the variables can contain any text.
func TestCommitsOfServicesAreHexadecimal(t *testing.T) {
	for value, want := range map[string]string{"HEAD": "", "main": "", "\x1b[2J": "", "abc1234\n::error::x": "", "--upload-pack=x": "", "ABC1234": "abc1234"} {
		for _, names := range [][2]string{{"GITHUB_ACTIONS", "GITHUB_SHA"}, {"BUILDKITE", "BUILDKITE_COMMIT"}, {"GITLAB_CI", "CI_COMMIT_SHA"}, {"TF_BUILD", "BUILD_SOURCEVERSION"}, {"JENKINS_URL", "GIT_COMMIT"}} {
			env := map[string]string{"CI": "true", names[0]: "true", names[1]: value}
			got := Identify(func(name string) string { return env[name] }, os.ReadFile)
			if got.Commit != want {
				t.Errorf("%s=%q: commit %q, want %q", names[1], value, got.Commit, want)
			}
		}
	}
}
