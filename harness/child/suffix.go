package child

import "runtime"

// Suffix ends the name of a program's file: ".exe" on Windows, which starts no other by its name.
// The name by which this program was called is no guide: a shell may leave the suffix out.
func Suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
