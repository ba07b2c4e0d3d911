package measure

import (
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/harness"
)

// A share of nearly all of a run is shown without an exponent, but not as 100%.
func TestSharesOfARunAreReadable(t *testing.T) {
	var out strings.Builder
	c := costs{Curve: []harness.Point{{Latency: time.Millisecond, Share: 0.9996, Low: 0.9949, High: 1}, {Latency: time.Second, Share: 0.04, Low: 0.0312, High: 0.12}}, Waterfall: &harness.Waterfall{}}
	if err := c.show(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">99% (99% to >99%)", "4% (3.1% to 12%)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, &out)
		}
	}
}
