package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// gitlab is the API of GitLab.
type gitlab struct {
	*client
	project string // number of the project that the merge request targets
	web     string // web address of the project
}

func newGitLab(getenv func(string) string) (*gitlab, error) {
	token := getenv("GITLAB_TOKEN")
	if token == "" {
		return nil, errors.New("GITLAB_TOKEN is not set: make an access token of the project with the scope api and the role Reporter, and a masked variable GITLAB_TOKEN of it; the token of a job cannot write comments")
	}
	project := getenv("CI_MERGE_REQUEST_PROJECT_ID")
	if project == "" {
		project = getenv("CI_PROJECT_ID")
	}
	if _, err := strconv.Atoi(project); err != nil {
		return nil, fmt.Errorf("CI_PROJECT_ID is %q: it must be a number", project)
	}
	c, err := newClient(getenv("CI_API_V4_URL"), http.Header{"Private-Token": {token}})
	if err != nil {
		return nil, err
	}
	return &gitlab{client: c, project: project, web: getenv("CI_MERGE_REQUEST_PROJECT_URL")}, nil
}

func (g *gitlab) me(ctx context.Context) (string, error) {
	var user struct {
		ID int64 `json:"id"`
	}
	_, err := g.do(ctx, http.MethodGet, "/user", nil, &user)
	if err == nil && user.ID == 0 {
		err = errors.New("GitLab does not say whose the token is")
	}
	return fmt.Sprint(user.ID), err
}

func (g *gitlab) head(ctx context.Context, request string) (string, error) {
	var m struct {
		SHA string `json:"sha"`
	}
	_, err := g.do(ctx, http.MethodGet, g.path(request), nil, &m)
	return m.SHA, err
}

func (g *gitlab) comments(ctx context.Context, request string) (all []comment, err error) {
	err = pages(ctx, g.client, g.path(request)+"/notes?per_page=100&sort=asc&order_by=created_at", func(n struct {
		ID     int64  `json:"id"`
		Body   string `json:"body"`
		System bool   `json:"system"`
		Author struct {
			ID int64 `json:"id"`
		} `json:"author"`
	}) {
		if !n.System {
			all = append(all, comment{id: n.ID, body: n.Body, author: fmt.Sprint(n.Author.ID)})
		}
	})
	return all, err
}

func (g *gitlab) create(ctx context.Context, request, body string) (string, error) {
	return g.write(ctx, http.MethodPost, request, "/notes", body)
}

func (g *gitlab) update(ctx context.Context, request string, id int64, body string) (string, error) {
	return g.write(ctx, http.MethodPut, request, fmt.Sprintf("/notes/%d", id), body)
}

func (g *gitlab) remove(ctx context.Context, request string, id int64) error {
	_, err := g.do(ctx, http.MethodDelete, fmt.Sprintf("%s/notes/%d", g.path(request), id), nil, nil)
	return err
}

func (g *gitlab) write(ctx context.Context, method, request, path, body string) (string, error) {
	var made struct {
		ID int64 `json:"id"`
	}
	_, err := g.do(ctx, method, g.path(request)+path, map[string]string{"body": body}, &made)
	if g.web == "" {
		return "merge request " + request, err
	}
	return fmt.Sprintf("%s/-/merge_requests/%s#note_%d", g.web, request, made.ID), err
}

func (g *gitlab) permission() string {
	return "the token must be allowed to write comments: an access token of the project with the scope api and the role Reporter"
}

func (g *gitlab) path(request string) string {
	return "/projects/" + g.project + "/merge_requests/" + url.PathEscape(request)
}
