package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// github is the API of GitHub or of a GitHub Enterprise server.
type github struct {
	*client
	repository string // "owner/name"
	graphql    string // address of the GraphQL API
}

func newGitHub(getenv func(string) string) (*github, error) {
	token, repository := getenv("GITHUB_TOKEN"), getenv("GITHUB_REPOSITORY")
	if token == "" {
		return nil, errors.New("GITHUB_TOKEN is not set: add to the step: env: GITHUB_TOKEN: ${{ github.token }}, and to the job: permissions: pull-requests: write")
	}
	if strings.Count(repository, "/") != 1 {
		return nil, fmt.Errorf("GITHUB_REPOSITORY is %q: it must be owner/name", repository)
	}
	api := getenv("GITHUB_API_URL")
	if api == "" {
		api = "https://api.github.com"
	}
	c, err := newClient(api, http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}})
	if err != nil {
		return nil, err
	}
	g := &github{client: c, repository: repository, graphql: getenv("GITHUB_GRAPHQL_URL")}
	if g.graphql == "" {
		g.graphql = c.base + "/graphql"
	}
	if u, err := url.Parse(g.graphql); err != nil || !sameHost(u, c.base) {
		return nil, fmt.Errorf("GITHUB_GRAPHQL_URL, %q, is at another server than GITHUB_API_URL", g.graphql)
	}
	return g, nil
}

// me returns the author of comments made with the token, such as "github-actions[bot]". A job's
// token can read it only from the GraphQL API.
func (g *github) me(ctx context.Context) (string, error) {
	var answer struct {
		Data struct{ Viewer struct{ Login string } }
	}
	// A query changes nothing, so this POST can be repeated.
	_, err := g.do(ctx, http.MethodPost, g.graphql, map[string]string{"query": "query { viewer { login } }"}, &answer)
	if failed := new(apiError); errors.As(err, &failed) && failed.inDoubt {
		_, err = g.do(ctx, http.MethodPost, g.graphql, map[string]string{"query": "query { viewer { login } }"}, &answer)
	}
	if err == nil && answer.Data.Viewer.Login == "" {
		err = errors.New("GitHub does not say whose the token is")
	}
	return answer.Data.Viewer.Login, err
}

type githubPull struct {
	Number int
	State  string
	Head   struct{ SHA string }
}

func (g *github) head(ctx context.Context, pull string) (string, error) {
	var p githubPull
	_, err := g.do(ctx, http.MethodGet, g.path("pulls/"+url.PathEscape(pull)), nil, &p)
	return p.Head.SHA, err
}

// find returns the number of the open pull request of a branch in another repository, which the
// event of the workflow does not contain.
func (g *github) find(ctx context.Context, repository, branch, commit string) (string, error) {
	owner, _, _ := strings.Cut(repository, "/")
	number := ""
	err := pages(ctx, g.client, g.path("pulls?state=open&per_page=100&head="+url.QueryEscape(owner+":"+branch)), func(p githubPull) {
		if p.Head.SHA == commit {
			number = fmt.Sprint(p.Number)
		}
	})
	return number, err
}

func (g *github) comments(ctx context.Context, pull string) (all []comment, err error) {
	err = pages(ctx, g.client, g.path("issues/"+url.PathEscape(pull)+"/comments?per_page=100"), func(c struct {
		ID   int64
		Body string
		URL  string `json:"html_url"`
		User struct{ Login string }
	}) {
		all = append(all, comment{id: c.ID, body: c.Body, url: c.URL, author: c.User.Login})
	})
	return all, err
}

func (g *github) create(ctx context.Context, pull, body string) (string, error) {
	return g.write(ctx, http.MethodPost, "issues/"+url.PathEscape(pull)+"/comments", body)
}

func (g *github) update(ctx context.Context, _ string, id int64, body string) (string, error) {
	return g.write(ctx, http.MethodPatch, fmt.Sprintf("issues/comments/%d", id), body)
}

func (g *github) remove(ctx context.Context, _ string, id int64) error {
	_, err := g.do(ctx, http.MethodDelete, g.path(fmt.Sprintf("issues/comments/%d", id)), nil, nil)
	return err
}

func (g *github) write(ctx context.Context, method, path, body string) (string, error) {
	var made struct {
		URL string `json:"html_url"`
	}
	_, err := g.do(ctx, method, g.path(path), map[string]string{"body": body}, &made)
	return made.URL, err
}

func (g *github) permission() string {
	return "the token must be allowed to write comments: permissions: pull-requests: write"
}

// check adds a check to a commit.
func (g *github) check(ctx context.Context, commit string, of Content, summary, details string) (string, error) {
	var made struct {
		URL string `json:"html_url"`
	}
	body := map[string]any{"name": of.Name, "head_sha": commit, "status": "completed", "conclusion": of.conclusion(),
		"output": map[string]string{"title": of.Title, "summary": summary}}
	if details != "" {
		body["details_url"] = details
	}
	_, err := g.do(ctx, http.MethodPost, g.path("check-runs"), body, &made)
	return made.URL, err
}

// path returns the path of an API resource of the repository.
func (g *github) path(rest string) string {
	owner, name, _ := strings.Cut(g.repository, "/")
	return "/repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name) + "/" + rest
}
