package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/flujo/flujo-harness/reports/store"
	"github.com/flujo/flujo-harness/reports/store/storetest"
)

// The long form: go test -run TestManyJobs -campaign 2300 -v
var campaign = flag.Int("campaign", 0, "send 1,000 runs of so many specs by 50 jobs at once")

// TestMain runs the program itself if a test starts the test binary as a child process.
func TestMain(m *testing.M) {
	if os.Getenv("FLUJO_BUCKETS_TEST") != "" {
		os.Args = os.Args[:1]
		main()
		return
	}
	os.Exit(m.Run())
}

// fake starts an S3 server in this process and returns the address of a bucket.
func fake(t *testing.T) string {
	log.SetOutput(io.Discard)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	server := httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(true), gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	return "s3://history?region=us-east-1&use_path_style=true&endpoint=" + server.URL
}

func direct(address string) func(context.Context) (store.Store, error) {
	return func(ctx context.Context) (store.Store, error) { return open(ctx, address, store.Options{}) }
}

// inProgram returns a function that opens a store in a child process, as flujo-harness does.
func inProgram(address string) func(context.Context) (store.Store, error) {
	return func(ctx context.Context) (store.Store, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "FLUJO_BUCKETS_TEST=1")
		return store.OpenProgram(ctx, cmd, address)
	}
}

func TestStore(t *testing.T) {
	if err := storetest.Test(t.Context(), direct(fake(t))); err != nil {
		t.Error(err)
	}
}

func TestStoreInProgram(t *testing.T) {
	if err := storetest.Test(t.Context(), inProgram(fake(t))); err != nil {
		t.Error(err)
	}
}

// Two prefixes in one bucket hold separate histories.
func TestPrefixesAreApart(t *testing.T) {
	address := fake(t)
	a, err := direct(address + "&prefix=a/")(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Put(t.Context(), "20261123T120000Z-"+strings.Repeat("0", 64), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := storetest.Test(t.Context(), direct(address+"&prefix=b/")); err != nil {
		t.Error(err)
	}
}

func TestManyJobs(t *testing.T) {
	jobs, runs, specs := 20, 3, 3
	if *campaign > 0 {
		jobs, runs, specs = 50, 20, *campaign
	}
	c, err := storetest.Jobs(t.Context(), t.TempDir(), direct(fake(t)), jobs, runs, specs)
	if err != nil || c.Lost != 0 {
		t.Fatalf("%v: %v", c, err)
	}
	t.Logf("%d jobs at once: %v", jobs, c)
}

// If the program cannot reach the service, or exits, the error reports it without the password.
func TestErrors(t *testing.T) {
	fake(t)
	s, err := inProgram("s3://history?region=us-east-1&use_path_style=true&endpoint=http://127.0.0.1:1")(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range s.List(t.Context()) {
		break
	}
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := inProgram("s3://history?nonsense=hunter2&secret=hunter2")(t.Context()); err == nil {
		t.Error("an unknown setting is taken")
	}
	ends := func(ctx context.Context) error {
		s, err := store.OpenProgram(ctx, exec.Command("false"), "s3://x")
		if err == nil {
			err = fmt.Errorf("it opened %v", s)
		}
		return err
	}
	if err := ends(t.Context()); !strings.Contains(err.Error(), "ended") {
		t.Error(err)
	}
}
