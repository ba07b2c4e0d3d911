package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// serve shows a run of the history to clients that have the address it prints, and ends with its
// context.
func TestServe(t *testing.T) {
	db := filepath.Join(t.TempDir(), "history.db")
	h, err := history.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for _, cells := range []string{"...", "..F"} {
		if _, err := h.Append(t.Context(), reports.Run{Suites: specsOf(cells, false), Complete: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	said, stdout := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--db", db}, strings.NewReader(""), stdout, io.Discard)
		_ = stdout.CloseWithError(errors.New("serve ended"))
	}()
	address, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, said) }() // serve must not wait for a reader
	address = strings.TrimSpace(address)
	if !regexp.MustCompile(`^http://127\.0\.0\.1:\d+/\?token=\w{16,}$`).MatchString(address) {
		t.Fatalf("printed %q", address)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Jar: jar}).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(page), "is kept 3") {
		t.Errorf("status %d, %d bytes, %v", res.StatusCode, len(page), err)
	}
	digest := regexp.MustCompile(`href="(/run/[0-9a-f]{16})"`).FindStringSubmatch(string(page))
	if digest == nil {
		t.Fatal("the list of runs leads to no run")
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{digest[1]: 200, "/run/1": 200, "/run/999": 404, "/?run=999": 404, "/compare?a=1&b=2": 200, "/compare?a=2&b=2": 400, "/compare?a=1&b=999": 404} {
		res, err := (&http.Client{Jar: jar}).Get("http://" + u.Host + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, res.StatusCode, want)
		}
	}
	stop()
	if code := <-ended; code != cli.ExitHeld {
		t.Errorf("exit code %d", code)
	}
}
