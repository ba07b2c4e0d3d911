package reports

import "fmt"

// Dealt describes a part of a run: which packages it contains. The packages of all parts are in one
// sorted list, and each of them belongs to exactly one part.
type Dealt struct {
	Of    string `json:"of"`    // digest of the list
	All   int    `json:"all"`   // number of packages in it
	Parts int    `json:"parts"` // number of parts
	Mine  []int  `json:"mine"`  // indexes of the packages of this part, from 0
}

// Fit returns an error unless the parts together contain each package of one list exactly once.
func Fit(parts []Dealt) error {
	place := map[int]int{}
	for i, d := range parts {
		if d.Of != parts[0].Of || d.All != parts[0].All || d.Parts != parts[0].Parts {
			return fmt.Errorf("parts %d and %d were dealt out from different lists of packages: run all parts with the same packages and flags", 1, i+1)
		}
		for _, at := range d.Mine {
			if other, twice := place[at]; twice {
				return fmt.Errorf("parts %d and %d have the same package: the times by which they were dealt out differed: run all parts again", other+1, i+1)
			}
			place[at] = i
		}
	}
	if missing := parts[0].All - len(place); missing > 0 {
		return fmt.Errorf("%d of %d packages are in no part: the times by which they were dealt out differed, or a part is missing: run all parts again", missing, parts[0].All)
	}
	return nil
}
