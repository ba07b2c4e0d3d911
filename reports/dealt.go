package reports

import "fmt"

// Dealt says which packages a part of a run has, of the sorted list that all its parts were dealt
// out from: each of them is in one part.
type Dealt struct {
	Of    string `json:"of"`    // digest of the list
	All   int    `json:"all"`   // packages in it
	Parts int    `json:"parts"` // it was dealt out to
	Mine  []int  `json:"mine"`  // places in the list, from 0
}

// Fit returns why parts do not make one run, each of its packages once.
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
