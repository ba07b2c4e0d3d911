package sample

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
)

// GoRuns returns runs of go test on consecutive days, each broken in the given way, see goRun. The reader
// is an argument because the tests of package ingest import this package.
func GoRuns(t *testing.T, read func(io.Reader) (*reports.Results, string, error), broken ...string) []reports.Run {
	t.Helper()
	var all []reports.Run
	for i, b := range broken {
		all = append(all, goRun(t, read, i, b))
	}
	return all
}

// goRun returns the output of go test for two packages: cart with three tests, and tax. broken is the
// failure of cart: "" for none, "build", "main" (TestMain fails), "panic" (the second test ends the
// process) or "sub" (a test fails before its subtests run).
func goRun(t *testing.T, read func(io.Reader) (*reports.Results, string, error), i int, broken string) reports.Run {
	t.Helper()
	const cart, tax = "example.org/shop/cart", "example.org/shop/tax"
	var b strings.Builder
	event := func(pkg, action, test, output string) {
		e := map[string]any{"Time": Noon.AddDate(0, 0, i), "Action": action, "Package": pkg}
		if test != "" {
			e["Test"] = test
		}
		if output != "" {
			e["Output"] = output
		}
		if action == "build-output" || action == "build-fail" {
			e["ImportPath"], e["Package"] = pkg, nil
		}
		if action == "fail" && test == "" && broken == "build" {
			e["FailedBuild"] = pkg
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	test := func(pkg, name, action string) {
		event(pkg, "run", name, "")
		if action == "fail" {
			event(pkg, "output", name, "    x_test.go:7: wrong\n")
		}
		event(pkg, action, name, "")
	}
	switch broken {
	case "build":
		event(cart, "build-output", "", "# "+cart+"\n")
		event(cart, "build-output", "", "cart/cart.go:12:2: undefined: foo\n")
		event(cart, "build-fail", "", "")
		event(cart, "start", "", "")
		event(cart, "output", "", "FAIL\t"+cart+" [build failed]\n")
		event(cart, "fail", "", "")
	case "main":
		event(cart, "start", "", "")
		event(cart, "output", "", "no database\n")
		event(cart, "fail", "", "")
	case "panic":
		event(cart, "start", "", "")
		test(cart, "TestAdd", "pass")
		event(cart, "run", "TestDrop", "")
		event(cart, "output", "TestDrop", "panic: nil map\n")
		event(cart, "fail", "TestDrop", "")
		event(cart, "fail", "", "")
	default:
		event(cart, "start", "", "")
		test(cart, "TestAdd", "pass")
		test(cart, "TestDrop", "pass")
		test(cart, "TestSlow", "fail")
		event(cart, "fail", "", "")
	}
	event(tax, "start", "", "")
	test(tax, "TestTax", "pass")
	event(tax, "pass", "", "")
	results, format, err := read(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return reports.Run{Started: Noon.AddDate(0, 0, i), Commit: fmt.Sprintf("%07x", 0xabc0000+i), Format: format, Complete: true, Suites: results}
}
