// Package cassette records what a real agent or a model's HTTP API answers, and replays it in
// later tests without calling it.
//
// [Open] opens a file in a [Mode]: Record calls the agent and writes its answers, Replay
// answers from the file alone, and Verify calls the agent and compares. [Recorded] wraps an
// agent of a pipeline; [Cassette.Transport] wraps the HTTP transport of a client, event
// streams included. Once records where there is no file, and Add records what the file does
// not have. Secrets are replaced before anything is written: see package redact and
// the options [Secrets], [RedactWith] and [KeepFields].
//
// A request that is not in the file is a [*MissError], which names the nearest recording and
// the difference. It wraps core.ErrHarness, so that neither retries nor fallbacks of the
// pipeline can hide it. [Cassette.Close] writes the file of a recording, in an order that
// does not depend on scheduling, and reports recordings that nobody asked for as an
// [*UnusedError].
//
// Requests are compared by method, URL and body, or by the input of the agent. [IgnoreFields],
// [OnlyFields], [AnyHost] and [Compare] loosen that; [Passthrough] leaves requests alone.
// [MaxAge] refuses old recordings.
//
// An answer that holds a secret is replayed without it. Close and Verify report that as an
// [*AlteredError], unless the test allows it ([AllowAltered]).
//
// A Cassette may be used by several goroutines. It is closed once, at the end of the test.
package cassette
