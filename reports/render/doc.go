// Package render writes an analysis.Analysis for people and programs.
//
// [WriteReport] writes a page that needs neither a network nor JavaScript; [Live] serves the same page
// and updates it when a run is recorded. [Summary] and [Details] return lines for a terminal.
// [WriteMarkdown], [WriteJSON], [WriteJUnit], [WriteCTRF], [WriteOpenMetrics], [WriteBadge] and
// [WriteCSV] write other formats. Package ingest reads the files of [WriteJUnit] and [WriteCTRF] back
// as the same results.
//
// Text of tests is escaped for each format; see reports.Visible.
package render
