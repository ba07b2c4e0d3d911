package ingest

import (
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/flujo/flujo-harness/reports"
)

var showFiles = flag.String("show", "", "folder or file whose results TestShow prints, as a table: what each file is, says and holds")

// TestShow prints what the readers make of every file below -show:
//
//	go test ./reports/ingest -run '^TestShow$' -v -show FOLDER
func TestShow(t *testing.T) {
	if *showFiles == "" {
		t.Skip("needs -show FOLDER")
	}
	err := filepath.WalkDir(*showFiles, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(*showFiles, name)
		r, err := ReadFile(name, "")
		if err != nil {
			fmt.Printf("%-50s refused: %v\n", rel, err)
			return nil
		}
		c := r.Results.Counts()
		fmt.Printf("%-50s %-14s %5d = %d passed, %d failed, %d skipped, %d pending; retried %d; outside %d; benchmarks %d\n", rel, r.Format, c.All(), c.Passed, c.Failed, c.Skipped, c.Pending, c.Retried, r.Results.SuiteFailures(), len(r.Benchmarks))
		for _, s := range r.Results.Specs {
			if s.State == reports.Failed && (s.File == "" || s.Line == 0) {
				fmt.Printf("    failed, and no place is known: %s: %.100q\n", s.Name(), s.Message)
			}
		}
		for _, note := range r.Notes {
			fmt.Printf("    note: %s\n", note)
		}
		for _, s := range r.Results.Suites {
			for _, f := range s.Failures {
				fmt.Printf("    outside: %q %q %.150q\n", s.Path, f.Node, f.Message)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
