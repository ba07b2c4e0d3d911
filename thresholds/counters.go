package thresholds

import (
	"fmt"
	"math"
	"strings"

	"github.com/flujo/flujo-harness/harness"
)

// count is a counter with its name in the limits file.
type count struct {
	name string
	of   func(*harness.Counters) *float64
}

var counts = []count{
	{"allocs", func(c *harness.Counters) *float64 { return &c.Allocs }},
	{"alloc_bytes", func(c *harness.Counters) *float64 { return &c.AllocBytes }},
	{"commits", func(c *harness.Counters) *float64 { return &c.Commits }},
	{"statements", func(c *harness.Counters) *float64 { return &c.Statements }},
	{"pages", func(c *harness.Counters) *float64 { return &c.Pages }},
	{"bytes", func(c *harness.Counters) *float64 { return &c.Bytes }},
	{"syncs", func(c *harness.Counters) *float64 { return &c.Syncs }},
}

// limitCounters derives limits from the lowest and the highest counts of a calibration's
// sessions: the highest count plus the range.
func limitCounters(least, most harness.Counters) *harness.Counters {
	var limits harness.Counters
	for _, n := range counts {
		few, many := *n.of(&least), *n.of(&most)
		*n.of(&limits) = round(many + (many - few))
	}
	return &limits
}

// checkCounters returns an error for negative and infinite counts.
func checkCounters(c *harness.Counters) error {
	if c == nil {
		return nil
	}
	for _, n := range counts {
		if v := *n.of(c); !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("counter %s is %v: use a finite number, zero or more", n.name, v)
		}
	}
	return nil
}

// moved lists the counters whose limits rose and fell. A new limit counts as a fall, a removed
// limit as a rise.
func moved(from, to *harness.Counters) (rose, fell []string) {
	switch {
	case from == nil && to == nil:
		return nil, nil
	case from == nil:
		return nil, []string{"counters are limited now"}
	case to == nil:
		return []string{"counters are no longer limited"}, nil
	}
	for _, n := range counts {
		a, b := *n.of(from), *n.of(to)
		line := fmt.Sprintf("%s %.6g -> %.6g", n.name, a, b)
		switch {
		case b > a:
			rose = append(rose, line)
		case b < a:
			fell = append(fell, line)
		}
	}
	return rose, fell
}

// sayMoved formats the result of moved for the end of a line, "" if nothing changed.
func sayMoved(rose, fell []string) string {
	text := ""
	if len(rose) > 0 {
		text += "; rose: " + strings.Join(rose, ", ")
	}
	if len(fell) > 0 {
		text += "; fell: " + strings.Join(fell, ", ")
	}
	return text
}
