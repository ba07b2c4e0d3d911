package ingest_test

import (
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/reports/ingest"
)

// The format is recognized by the content.
func ExampleRead() {
	file := `<testsuite name="shop" tests="2" failures="1">
  <testcase name="takes an order" time="0.012"/>
  <testcase name="refunds it" time="0.150"><failure message="no money"/></testcase>
</testsuite>`
	r, err := ingest.Read(strings.NewReader(file), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Format)
	for _, s := range r.Results.Specs {
		fmt.Printf("%s after %v: %s\n", s.Leaf, s.Duration, s.State)
	}
	// Output:
	// JUnit XML
	// takes an order after 12ms: passed
	// refunds it after 150ms: failed
}
