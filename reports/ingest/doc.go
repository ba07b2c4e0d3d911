// Package ingest reads result files of test runners into reports.Results.
//
// [Read] recognises the format by the content, plain or compressed by gzip: [Formats] is
// the table of the formats and their readers. Files are read as streams, within bounds on
// specs, texts and depth.
//
// A result is never better than its file. A name that occurs twice is read as two specs
// unless the producer says that one is a retry of the other. Failures that a file counts
// and does not list, packages that end without a result and builds that fail become a
// reports.SuiteFailure. A file that is cut short or contradicts itself is a [*FormatError].
//
// [Combine] joins the files of one run.
package ingest
