// Package render writes an analysis.Analysis for people and programs.
//
// [WriteReport] writes a page that needs no network and reads without JavaScript; [Live]
// serves the same page while runs arrive. [Summary] and [Details] are the lines for a
// terminal. [WriteMarkdown], [WriteJSON], [WriteJUnit], [WriteCTRF], [WriteOpenMetrics],
// [WriteBadge] and [WriteCSV] are for other readers. What [WriteJUnit] and [WriteCTRF]
// write, package ingest reads back as the same results.
//
// Text of tests is escaped for each format; see reports.Visible.
package render
