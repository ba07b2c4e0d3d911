package ingest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// A passed test is flaky if the report says so, or if it was retried and the report does not deny it.
// A test that did not pass is never flaky.
func TestCTRFFlaky(t *testing.T) {
	for test, want := range map[string]struct {
		state    reports.State
		retried  bool
		attempts int
		message  string
	}{
		`"status":"passed","flaky":true`:                                                                   {reports.Passed, true, 2, ""}, // found by fuzzing: the number of retries is missing
		`"status":"passed","flaky":true,"retries":2`:                                                       {reports.Passed, true, 3, ""},
		`"status":"passed","flaky":false,"retries":2`:                                                      {reports.Passed, false, 3, ""},
		`"status":"passed","retries":1`:                                                                    {reports.Passed, true, 2, ""},
		`"status":"passed","retries":1,"flaky":null`:                                                       {reports.Passed, true, 2, ""},
		`"status":"passed","retries":"1"`:                                                                  {reports.Passed, true, 2, ""},
		`"status":"passed","retries":0,"retryAttempts":null`:                                               {reports.Passed, false, 1, ""},
		`"status":"passed","retries":1,"retryAttempts":[]`:                                                 {reports.Passed, true, 2, ""},
		`"status":"passed","retries":1,"retryAttempts":[{"attempt":1,"status":"passed"}]`:                  {reports.Passed, false, 2, ""},
		`"status":"passed","retries":1,"retryAttempts":[{"attempt":1,"status":"failed","message":"once"}]`: {reports.Passed, true, 2, "once"},
		`"status":"failed","flaky":true,"retries":2,"message":"m"`:                                         {reports.Failed, false, 3, "m"},
		`"status":"other","flaky":true,"retries":2,"message":"m"`:                                          {reports.Pending, false, 0, "m"},
		`"status":"toppled","flaky":true,"retries":2,"message":"m"`:                                        {reports.Failed, false, 3, "m"},
		`"status":"skipped","flaky":true,"retries":2`:                                                      {reports.Skipped, false, 0, ""},
	} {
		r, err := Read(strings.NewReader(`{"results":{"tests":[{"name":"a",`+test+`}]}}`), "")
		if err != nil {
			t.Errorf("%s: %v", test, err)
			continue
		}
		s := r.Results.Specs[0]
		if s.State != want.state || s.Retried != want.retried || s.Attempts != want.attempts || s.Message != want.message {
			t.Errorf("%s: %+v, want %+v", test, s, want)
		}
	}
}

// Invalid values of members other than the status do not make the file invalid.
func TestCTRFOddValues(t *testing.T) {
	const test = `{"results":{"summary":{"tests":1,"passed":%d,"failed":%d,"start":"soon"},"tests":[{"name":"a","status":"%s",%s}]}}`
	for members, want := range map[string]reports.Spec{
		`"duration":"12.5","line":"7","filePath":"a.ts","tags":"x"`: {Duration: 12500 * time.Microsecond, File: "a.ts", Line: 7, Labels: []string{"x"}},
		`"duration":-3,"line":1.5,"tags":[{"a":1}]`:                 {},
		`"duration":"NaN","line":null,"tags":null,"suite":null`:     {},
		`"duration":{},"labels":{"a":[1]},"message":{"a":1}`:        {Message: `{"a":1}`, Labels: []string{"a:[1]"}},
	} {
		r, err := Read(strings.NewReader(fmt.Sprintf(test, 1, 0, "passed", members)), "")
		if err != nil {
			t.Errorf("%s: %v", members, err)
			continue
		}
		s := r.Results.Specs[0]
		if s.Duration != want.Duration || s.File != want.File || s.Line != want.Line || s.Message != want.Message || len(s.Labels) != len(want.Labels) || len(r.Notes) == 0 {
			t.Errorf("%s: %+v, notes %q, want %+v", members, s, r.Notes, want)
		}
	}
	r, err := Read(strings.NewReader(fmt.Sprintf(test, 0, 1, "failed", `"message":"no","trace":"Error: no\n    at /src/node_modules/x/i.js:1:1\n    at /src/shop/cart.spec.ts:9:5","stdout":["one","two\n"],"stderr":["three"]`)), "/src/shop")
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Results.Specs[0]; s.File != "cart.spec.ts" || s.Line != 9 || s.Output != "one\ntwo\nthree" {
		t.Errorf("%+v", s)
	}
}
