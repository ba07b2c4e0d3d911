//go:build unix

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestExample(t *testing.T) {
	pgserver.Need(t)
	var out strings.Builder
	const runs = 60
	o, err := demonstrate(t.Context(), &out, runs)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	if o.completed != runs || o.records != 3*runs || o.doubled != 0 || o.taken == 0 || o.by["berta"] == 0 {
		t.Errorf("%+v", o)
	}
}
