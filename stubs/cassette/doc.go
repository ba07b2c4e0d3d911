// Package cassette records what a real agent or a model's HTTP API answers, and replays it in
// later tests without calling it.
//
// [Open] opens a file in a [Mode]: Record calls the agent and writes its answers, Replay
// answers from the file alone, and Verify calls the agent and compares. [Recorded] wraps an
// agent of a pipeline; [Cassette.Transport] wraps the HTTP transport of a client, event
// streams included. Secrets are replaced before anything is written: see package redact and
// the options [Secrets], [RedactWith] and [KeepFields].
//
// A request that is not in the file is a [*MissError], which names the nearest recording and
// the difference. It wraps core.ErrHarness, so that neither retries nor fallbacks of the
// pipeline can hide it. [Cassette.Close] writes the file of a recording, in an order that
// does not depend on scheduling, and reports recordings that nobody asked for as an
// [*UnusedError].
//
// A Cassette may be used by several goroutines. It is closed once, at the end of the test.
package cassette
