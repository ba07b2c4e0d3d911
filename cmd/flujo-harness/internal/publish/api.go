package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

const (
	tries     = 4                // attempts for one request
	patience  = 90 * time.Second // total time to wait before retries, for one comment
	maxAnswer = 16 << 20         // bytes of one response
	maxPages  = 100              // pages of comments, 100 on each
)

// client calls the API of a CI service. It does not follow redirects, because they could send the
// token to another server.
type client struct {
	base   string // without a slash at its end
	header http.Header
	wait   func(context.Context, time.Duration) error
	waited time.Duration
}

// newClient returns an error for an address to which a token would be sent unencrypted.
func newClient(base string, header http.Header) (*client, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return nil, fmt.Errorf("the address of the API, %q, is none: it must be like https://api.github.com", base)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, fmt.Errorf("the address of the API, %q, must begin with https://: a token is sent there", base)
	}
	return &client{base: strings.TrimRight(base, "/"), header: header, wait: sleep}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// apiError is the error of a request that the server refused or did not answer.
type apiError struct {
	what    string // "POST /repos/…"
	status  int    // HTTP status; 0 if there was no response
	message string
	inDoubt bool // the request may have been carried out
}

func (e *apiError) Error() string {
	if e.status == 0 {
		return fmt.Sprintf("%s: %s", e.what, e.message)
	}
	return fmt.Sprintf("%s: status %d: %s", e.what, e.status, e.message)
}

func statusOf(err error) int {
	if e := new(apiError); errors.As(err, &e) {
		return e.status
	}
	return 0
}

var direct = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// do sends a request and decodes the response into into, unless it is nil. It retries after
// temporary failures: a rate limit, a server error, or a missing response. It does not retry a
// POST that may have been carried out, but returns an error with inDoubt set.
func (c *client) do(ctx context.Context, method, path string, body, into any) (http.Header, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	address := c.base + path
	if strings.HasPrefix(path, "https://") || strings.HasPrefix(path, "http://") {
		address = path
	}
	for try := 1; ; try++ {
		header, again, err := c.once(ctx, method, address, text, into)
		failed := new(apiError)
		switch {
		case err == nil:
			return header, nil
		case again < 0 || try == tries || !errors.As(err, &failed) || failed.inDoubt:
			return nil, err
		}
		if again == 0 {
			again = time.Second << (try - 1)
		}
		if c.waited += again; c.waited > patience {
			return nil, fmt.Errorf("%w; it may be tried again after %v, which is too long to wait", err, again)
		}
		if err := c.wait(ctx, again); err != nil {
			return nil, err
		}
	}
}

// once sends a request once. The duration is the time to wait before a retry: 0 if the server
// does not specify it, negative if a retry is pointless.
func (c *client) once(ctx context.Context, method, address string, body []byte, into any) (http.Header, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, -1, err
	}
	req.Header = c.header.Clone()
	req.Header.Set("User-Agent", "flujo-harness")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	failed := &apiError{what: method + " " + req.URL.Path, inDoubt: method == http.MethodPost}
	resp, err := direct.Do(req)
	if err != nil {
		if u := new(url.Error); errors.As(err, &u) {
			err = u.Err // without the address, which is in what
		}
		failed.message = reports.Visible(err.Error())
		return nil, 0, failed
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		failed.message = reports.Visible(err.Error())
		return nil, 0, failed
	case len(text) > maxAnswer:
		return nil, -1, fmt.Errorf("%s: an answer of more than %d bytes", failed.what, maxAnswer)
	case resp.StatusCode >= 300:
		failed.status, failed.message = resp.StatusCode, errorMessage(text, resp.Status)
		failed.inDoubt = failed.inDoubt && resp.StatusCode >= 500
		return nil, again(resp, failed.message), failed
	case into == nil:
		return resp.Header, 0, nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, -1, fmt.Errorf("%s: the answer is not as expected: %w", failed.what, err)
	}
	return resp.Header, 0, nil
}

// again returns how long to wait before a retry, as [client.once] does. The rules are those of
// https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api.
func again(resp *http.Response, message string) time.Duration {
	limited := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusForbidden && strings.Contains(strings.ToLower(message), "rate limit")
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 {
		return time.Duration(max(1, s)) * time.Second
	}
	for _, name := range []string{"X-Ratelimit-", "Ratelimit-"} { // of GitHub and of GitLab
		reset, err := strconv.ParseInt(resp.Header.Get(name+"Reset"), 10, 64)
		if resp.Header.Get(name+"Remaining") == "0" && err == nil && (limited || resp.StatusCode == http.StatusForbidden) {
			return max(time.Second, time.Until(time.Unix(reset, 0)).Round(time.Second))
		}
	}
	switch {
	case limited:
		return time.Minute
	case resp.StatusCode >= 500:
		return 0
	}
	return -1
}

// errorMessage returns the message of an error response.
func errorMessage(text []byte, status string) string {
	var m struct {
		Message any    `json:"message"`
		Error   string `json:"error"`
	}
	message := status
	if json.Unmarshal(text, &m) == nil {
		switch {
		case m.Message != nil:
			message = fmt.Sprint(m.Message)
		case m.Error != "":
			message = m.Error
		}
	}
	if r := []rune(message); len(r) > 300 {
		message = string(r[:300])
	}
	return reports.Visible(message)
}

// pages reads a list page by page and calls take with every element.
func pages[T any](ctx context.Context, c *client, path string, take func(T)) error {
	for range maxPages {
		var page []T
		header, err := c.do(ctx, http.MethodGet, path, nil, &page)
		if err != nil {
			return err
		}
		for _, v := range page {
			take(v)
		}
		next := nextPage(header)
		if next == "" {
			return nil
		}
		if u, err := url.Parse(next); err != nil || !sameHost(u, c.base) {
			return fmt.Errorf("GET %s: its next page is at another server", path)
		}
		path = next
	}
	return fmt.Errorf("GET %s: more than %d pages", path, maxPages)
}

// nextPage returns the address with rel="next" in the Link header, or "".
func nextPage(header http.Header) string {
	for _, links := range header.Values("Link") {
		for l := range strings.SplitSeq(links, ",") {
			address, rel, _ := strings.Cut(l, ";")
			if strings.Contains(rel, `rel="next"`) {
				return strings.Trim(strings.TrimSpace(address), "<>")
			}
		}
	}
	return ""
}

func sameHost(u *url.URL, base string) bool {
	b, err := url.Parse(base)
	return err == nil && u.Scheme == b.Scheme && u.Host == b.Host
}
