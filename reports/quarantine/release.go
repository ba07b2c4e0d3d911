package quarantine

import (
	"fmt"

	"github.com/flujo/flujo-harness/reports"
)

// releaseAfter is the number of consecutive passes after which a spec may leave quarantine. The
// upper bound of the 95% Wilson interval of its failure rate is then 3.7%.
const releaseAfter = 100

// Release reports whether a spec may leave quarantine after the given number of consecutive
// passes, with a sentence for the user that contains the Wilson bound of its failure rate.
func Release(passes int) (ok bool, why string) {
	_, high := reports.Wilson(0, passes, reports.Z95)
	if passes >= releaseAfter {
		return true, fmt.Sprintf("can be released: %d consecutive passes, failure rate at most %s%% (95%%)", passes, reports.Percent(high))
	}
	return false, fmt.Sprintf("%d of %d consecutive passes; failure rate up to %s%% (95%%)", passes, releaseAfter, reports.Percent(high))
}
