package ingest

import (
	"fmt"
	"slices"
	"strings"
)

// Maximum number of labels of a test that come from properties, and bytes of each.
const maxAttrs, maxAttr = 32, 256

// droppedLabels is the note on labels beyond that limit.
var droppedLabels = "properties of tests that were ignored: %d; " + fmt.Sprintf("at most %d of up to %d bytes each are kept per test", maxAttrs, maxAttr)

// appendLabel appends a property, trait or attribute of a test as a label in the form "key:value",
// a convention of Ginkgo's users, or as its value if it has no key. Labels beyond the limits are
// counted in dropped.
func appendLabel(labels []string, key, value string, dropped *int) []string {
	if strings.EqualFold(key, "owner") {
		key = "owner" // the key that reports.OwnerOf searches for
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
