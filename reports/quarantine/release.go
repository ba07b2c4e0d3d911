package quarantine

import (
	"fmt"

	"github.com/flujo/flujo-harness/reports"
)

// MayComeOut is the number of passes in a row after which a spec may leave quarantine. With
// none of them failed, the upper 95% bound of its failure rate by Wilson is below 4%.
const MayComeOut = 100

// Release says whether a spec may leave quarantine: passes is its latest runs without a
// failure in a row.
func Release(passes int) (ok bool, why string) {
	_, high := reports.Wilson(0, passes, reports.Z95)
	if passes >= MayComeOut {
		return true, fmt.Sprintf("it may come out: %d passes in a row, at most %s%% of its runs fail (95%%)", passes, reports.Percent(high))
	}
	return false, fmt.Sprintf("%d of %d passes in a row; up to %s%% of its runs may fail (95%%)", passes, MayComeOut, reports.Percent(high))
}
