package records

import (
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// FirstNames returns the number of specs and the names of the first five, or "none".
func FirstNames(specs []reports.Spec) string {
	return ListNames(len(specs), func(i int) string { return specs[i].Name() })
}

// ListNames is [FirstNames] for n names.
func ListNames(n int, name func(i int) string) string {
	const most = 5
	if n == 0 {
		return "none"
	}
	var names []string
	for i := range min(n, most) {
		names = append(names, name(i))
	}
	s := fmt.Sprintf("%d: %s", n, strings.Join(names, ", "))
	if more := n - most; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}
