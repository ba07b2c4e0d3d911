package ci

// service is a row of the table. Most fields are names of variables; in "A|B" the first one that
// is set counts. A name with a leading dot is a value from a file of the service.
type service struct {
	name   string
	idName string // service name in [Identity].ID; "" means name
	is     func(getenv func(string) string) bool
	files  func(variables)

	commit string // commit that is checked out
	head   string // head of a pull request
	branch string // branch that is built
	source string // branch of a pull request, if branch is a different one
	base   string // branch that a pull request is merged into
	def    string // default branch, which other changes are merged into
	pull   string // number of the pull request
	fork   func(variables) bool

	id          string // unique together with pipeline, attempt and job
	repository  string
	pipeline    string
	attempt     string
	attemptFrom int // added to attempt, so that it starts at 1
	job         string
	os, arch    string
	variant     string
	shard       string
	shardFrom   int // added to shard, so that it starts at 1
	shards      string

	commitURL, jobURL, fileURL string // with ${NAME}; ${.commit} is the commit
}

func set(names ...string) func(func(string) string) bool {
	return func(getenv func(string) string) bool {
		for _, name := range names {
			if v := getenv(name); v == "" || v == "false" {
				return false
			}
		}
		return true
	}
}

// differ returns a function that reports a fork if both variables are set and differ.
func differ(a, b string) func(variables) bool {
	return func(v variables) bool {
		x, y := v.first(a), v.first(b)
		return x != "" && y != "" && x != y
	}
}

func given(name string) func(variables) bool {
	return func(v variables) bool { return v.first(name) != "" && v.first(name) != "False" }
}

// services lists the services in the order in which they are recognized. A service that also sets
// the variables of another one comes before it.
var services = []service{
	{ // https://forgejo.org/docs/latest/user/actions/reference/: the variables of GitHub Actions
		name: "forgejo", is: set("FORGEJO_ACTIONS"), files: githubEvent,
		commit: ".tested|GITHUB_SHA", head: ".head", branch: ".branch|GITHUB_HEAD_REF|GITHUB_REF_NAME", base: "GITHUB_BASE_REF|.base", def: "GITHUB_BASE_REF|.default",
		pull: ".pull", fork: given(".fork"),
		id: "GITHUB_RUN_ID", repository: "GITHUB_REPOSITORY", pipeline: ".pipeline|GITHUB_RUN_ID", attempt: ".attempt|GITHUB_RUN_ATTEMPT", job: "GITHUB_JOB", os: "RUNNER_OS", arch: "RUNNER_ARCH",
		commitURL: "${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/commit/${.commit}",
		jobURL:    "${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_NUMBER}",
		fileURL:   "${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/src/commit/${.commit}/",
	},
	{ // https://docs.github.com/en/actions/reference/variables-reference
		name: "github", is: set("GITHUB_ACTIONS"), files: githubEvent,
		commit: ".tested|GITHUB_SHA", head: ".head", branch: ".branch|GITHUB_HEAD_REF|GITHUB_REF_NAME", base: "GITHUB_BASE_REF|.base", def: "GITHUB_BASE_REF|.default",
		pull: ".pull", fork: given(".fork"),
		id: "GITHUB_RUN_ID", repository: "GITHUB_REPOSITORY", pipeline: ".pipeline|GITHUB_RUN_ID", attempt: ".attempt|GITHUB_RUN_ATTEMPT", job: "GITHUB_JOB", os: "RUNNER_OS", arch: "RUNNER_ARCH",
		commitURL: "${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/commit/${.commit}",
		jobURL:    "${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}",
		fileURL:   "${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/blob/${.commit}/",
	},
	{ // https://docs.gitlab.com/ci/variables/predefined_variables/
		name: "gitlab", is: set("GITLAB_CI"),
		commit: "CI_COMMIT_SHA", head: "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", branch: "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME|CI_COMMIT_BRANCH|CI_COMMIT_REF_NAME",
		base: "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", def: "CI_DEFAULT_BRANCH", pull: "CI_MERGE_REQUEST_IID",
		fork: differ("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "CI_MERGE_REQUEST_PROJECT_PATH"),
		id:   "CI_JOB_ID", repository: "CI_PROJECT_PATH", pipeline: "CI_PIPELINE_ID", job: "CI_JOB_NAME",
		shard: "CI_NODE_INDEX", shards: "CI_NODE_TOTAL", os: "CI_RUNNER_EXECUTABLE_ARCH",
		commitURL: "${CI_PROJECT_URL}/-/commit/${.commit}", jobURL: "${CI_JOB_URL}", fileURL: "${CI_PROJECT_URL}/-/blob/${.commit}/",
	},
	{ // https://buildkite.com/docs/pipelines/configure/environment-variables
		name: "buildkite", is: set("BUILDKITE"),
		commit: "BUILDKITE_COMMIT", branch: "BUILDKITE_BRANCH", base: "BUILDKITE_PULL_REQUEST_BASE_BRANCH", def: "BUILDKITE_PIPELINE_DEFAULT_BRANCH",
		pull: "BUILDKITE_PULL_REQUEST", fork: differ("BUILDKITE_PULL_REQUEST_REPO", "BUILDKITE_REPO"),
		id: "BUILDKITE_JOB_ID", repository: "BUILDKITE_PIPELINE_SLUG", pipeline: "BUILDKITE_BUILD_ID", attempt: "BUILDKITE_RETRY_COUNT", attemptFrom: 1,
		job: "BUILDKITE_STEP_KEY|BUILDKITE_LABEL", shard: "BUILDKITE_PARALLEL_JOB", shardFrom: 1, shards: "BUILDKITE_PARALLEL_JOB_COUNT",
		jobURL: "${BUILDKITE_BUILD_URL}#${BUILDKITE_JOB_ID}",
	},
	{ // https://circleci.com/docs/reference/variables/
		name: "circleci", is: set("CIRCLECI"),
		commit: "CIRCLE_SHA1", branch: "CIRCLE_BRANCH", pull: "CIRCLE_PR_NUMBER|CIRCLE_PULL_REQUEST", fork: given("CIRCLE_PR_REPONAME"),
		id: "CIRCLE_BUILD_NUM", repository: "CIRCLE_PROJECT_REPONAME", pipeline: "CIRCLE_WORKFLOW_ID", job: "CIRCLE_JOB",
		shard: "CIRCLE_NODE_INDEX", shardFrom: 1, shards: "CIRCLE_NODE_TOTAL", jobURL: "${CIRCLE_BUILD_URL}",
	},
	{ // https://learn.microsoft.com/azure/devops/pipelines/build/variables
		name: "azure", is: set("TF_BUILD"),
		commit: "BUILD_SOURCEVERSION", head: "SYSTEM_PULLREQUEST_SOURCECOMMITID", branch: "BUILD_SOURCEBRANCH", source: "SYSTEM_PULLREQUEST_SOURCEBRANCH",
		base: "SYSTEM_PULLREQUEST_TARGETBRANCH", pull: "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER|SYSTEM_PULLREQUEST_PULLREQUESTID", fork: given("SYSTEM_PULLREQUEST_ISFORK"),
		id: "SYSTEM_JOBID", repository: "BUILD_REPOSITORY_NAME", pipeline: "BUILD_BUILDID", attempt: "SYSTEM_JOBATTEMPT", job: "SYSTEM_JOBDISPLAYNAME|AGENT_JOBNAME",
		os: "AGENT_OS", arch: "AGENT_OSARCHITECTURE", shard: "SYSTEM_JOBPOSITIONINPHASE", shards: "SYSTEM_TOTALJOBSINPHASE",
		jobURL: "${SYSTEM_COLLECTIONURI}${SYSTEM_TEAMPROJECT}/_build/results?buildId=${BUILD_BUILDID}&view=logs&j=${SYSTEM_JOBID}",
	},
	{ // https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/
		name: "bitbucket", is: set("BITBUCKET_BUILD_NUMBER"),
		commit: "BITBUCKET_COMMIT", branch: "BITBUCKET_BRANCH", base: "BITBUCKET_PR_DESTINATION_BRANCH", pull: "BITBUCKET_PR_ID",
		id: "BITBUCKET_STEP_UUID", repository: "BITBUCKET_REPO_FULL_NAME", pipeline: "BITBUCKET_BUILD_NUMBER", attempt: "BITBUCKET_STEP_RUN_NUMBER",
		shard: "BITBUCKET_PARALLEL_STEP", shardFrom: 1, shards: "BITBUCKET_PARALLEL_STEP_COUNT",
		commitURL: "${BITBUCKET_GIT_HTTP_ORIGIN}/commits/${.commit}", jobURL: "${BITBUCKET_GIT_HTTP_ORIGIN}/pipelines/results/${BITBUCKET_BUILD_NUMBER}",
		fileURL: "${BITBUCKET_GIT_HTTP_ORIGIN}/src/${.commit}/",
	},
	{ // https://docs.drone.io/pipeline/environment/reference/
		name: "drone", is: set("DRONE"),
		commit: "DRONE_COMMIT_SHA", branch: "DRONE_BRANCH", source: "DRONE_SOURCE_BRANCH", base: "DRONE_TARGET_BRANCH", def: "DRONE_REPO_BRANCH", pull: "DRONE_PULL_REQUEST",
		id: "DRONE_BUILD_NUMBER", repository: "DRONE_REPO", pipeline: "DRONE_BUILD_NUMBER", job: "DRONE_STAGE_NAME", variant: "DRONE_STEP_NAME", os: "DRONE_STAGE_OS", arch: "DRONE_STAGE_ARCH",
		commitURL: "${DRONE_COMMIT_LINK}", jobURL: "${DRONE_BUILD_LINK}",
	},
	{ // https://woodpecker-ci.org/docs/usage/environment
		name: "woodpecker", is: func(getenv func(string) string) bool { return getenv("CI") == "woodpecker" },
		commit: "CI_COMMIT_SHA", branch: "CI_COMMIT_BRANCH", source: "CI_COMMIT_SOURCE_BRANCH", base: "CI_COMMIT_TARGET_BRANCH", def: "CI_REPO_DEFAULT_BRANCH", pull: "CI_COMMIT_PULL_REQUEST",
		id: "CI_WORKFLOW_NUMBER", repository: "CI_REPO", pipeline: "CI_PIPELINE_NUMBER", job: "CI_WORKFLOW_NAME", variant: "CI_STEP_NAME", os: "CI_SYSTEM_PLATFORM",
		commitURL: "${CI_PIPELINE_FORGE_URL}", jobURL: "${CI_STEP_URL|CI_PIPELINE_URL}",
	},
	{ // https://www.jetbrains.com/help/teamcity/predefined-build-parameters.html
		name: "teamcity", is: set("TEAMCITY_VERSION"), files: teamCityProperties,
		commit: "BUILD_VCS_NUMBER", branch: ".branch", source: ".source", base: ".target", def: ".default", pull: ".pull",
		id: ".id|BUILD_NUMBER", repository: "TEAMCITY_PROJECT_NAME", pipeline: ".id|BUILD_NUMBER", job: "TEAMCITY_BUILDCONF_NAME", jobURL: "${BUILD_URL}",
	},
	{ // https://docs.travis-ci.com/user/environment-variables/
		name: "travis", is: set("TRAVIS"),
		commit: "TRAVIS_COMMIT", head: "TRAVIS_PULL_REQUEST_SHA", branch: "TRAVIS_BRANCH", source: "TRAVIS_PULL_REQUEST_BRANCH", base: "TRAVIS_BRANCH", pull: "TRAVIS_PULL_REQUEST",
		fork: differ("TRAVIS_PULL_REQUEST_SLUG", "TRAVIS_REPO_SLUG"),
		id:   "TRAVIS_JOB_ID", repository: "TRAVIS_REPO_SLUG", pipeline: "TRAVIS_BUILD_ID", job: "TRAVIS_JOB_NAME|TRAVIS_BUILD_STAGE_NAME", variant: "TRAVIS_GO_VERSION",
		os: "TRAVIS_OS_NAME", arch: "TRAVIS_CPU_ARCH", jobURL: "${TRAVIS_JOB_WEB_URL}",
	},
	{ // https://www.appveyor.com/docs/environment-variables/
		name: "appveyor", is: set("APPVEYOR"),
		commit: "APPVEYOR_REPO_COMMIT", head: "APPVEYOR_PULL_REQUEST_HEAD_COMMIT", branch: "APPVEYOR_REPO_BRANCH", source: "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH",
		base: "APPVEYOR_REPO_BRANCH", pull: "APPVEYOR_PULL_REQUEST_NUMBER", fork: differ("APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME", "APPVEYOR_REPO_NAME"),
		id: "APPVEYOR_JOB_ID", repository: "APPVEYOR_REPO_NAME", pipeline: "APPVEYOR_BUILD_ID", job: "APPVEYOR_JOB_NAME", os: "APPVEYOR_BUILD_WORKER_IMAGE",
		jobURL: "${APPVEYOR_URL}/project/${APPVEYOR_ACCOUNT_NAME}/${APPVEYOR_PROJECT_SLUG}/builds/${APPVEYOR_BUILD_ID}/job/${APPVEYOR_JOB_ID}",
	},
	{ // https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables
		name: "jenkins", is: set("JENKINS_URL"),
		commit: "GIT_COMMIT", branch: "BRANCH_NAME|GIT_LOCAL_BRANCH|GIT_BRANCH", source: "CHANGE_BRANCH", base: "CHANGE_TARGET", pull: "CHANGE_ID", fork: given("CHANGE_FORK"),
		id: "BUILD_NUMBER|BUILD_ID", pipeline: "BUILD_TAG|BUILD_NUMBER|BUILD_ID", job: "JOB_NAME", variant: "STAGE_NAME", jobURL: "${BUILD_URL}",
	},
	{ // any other service: variables that most services set
		name: "CI", idName: "ci", is: set("CI"),
		commit: "GIT_COMMIT|COMMIT_SHA|CI_COMMIT_SHA", branch: "GIT_BRANCH|BRANCH_NAME|CI_COMMIT_REF_NAME",
		id: "BUILD_ID|BUILD_NUMBER|CI_BUILD_ID|CI_JOB_ID", job: "JOB_NAME|CI_JOB_NAME|BUILD_NAME", jobURL: "${BUILD_URL|CI_JOB_URL}",
	},
}
