package ingest

import (
	"fmt"
	"slices"
	"strings"
)

// The most labels of properties that are kept of a test, and bytes of each.
const maxAttrs, maxAttr = 32, 256

// droppedLabels is the note on those beyond it.
var droppedLabels = "properties of tests that were dropped: %d; " + fmt.Sprintf("%d of at most %d bytes are kept of a test", maxAttrs, maxAttr)

// appendLabel appends what a property, trait or attribute of a test says as a label
// "key:value", as those of Ginkgo are written, or as its value alone where it has no key.
// What is beyond the bounds is counted in dropped.
func appendLabel(labels []string, key, value string, dropped *int) []string {
	if strings.EqualFold(key, "owner") {
		key = "owner" // as reports.OwnerOf looks for it
	}
	label := key + ":" + value
	if key == "" || value == "" {
		label = key + value
	}
	switch {
	case label == "":
	case slices.Contains(labels, label):
	case len(labels) >= maxAttrs || len(label) > maxAttr:
		*dropped++
	default:
		labels = append(labels, label)
	}
	return labels
}
