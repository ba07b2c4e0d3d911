// Package codec copies, stores and merges the values of one Go type, the scope of a
// pipeline or the output of a step, as JSON.
//
// A value comes back from storage exactly as it was, or it is refused with an error
// that names the field and the remedy. The work is done in two stages:
//
//   - [New] checks the type once, before the first run. A type that cannot be read
//     back from JSON in general, for example one with an unexported field or a
//     channel, is a [*TypeError]. What is left to check or to copy in values of the
//     type is kept as a plan (shape.go), one for each type in the process.
//   - [Codec.Encode] writes the value as encoding/json would, byte by byte, and checks it
//     in the same walk (encode.go). A value that would come back different, for example
//     a NaN or two pointers to one object, is a [*ValueError].
//
// [Codec.Copy] makes a deep copy without JSON, [Codec.Decode] reads what Encode wrote,
// and [Merge] joins what the branches of a fork changed. Marshal methods and Clone methods
// of the user are trusted; if one panics, the error is a [*PanicError].
//
// The package does not import the engine. Package core exports the error types under
// its own name.
package codec
