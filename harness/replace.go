package harness

import (
	"os"
	"path/filepath"
)

// Replace writes a file whole or not at all: whoever reads it finds the old content or the new.
// write gets the path of a new file in a temporary folder next to it; Replace moves that file to
// its place. Temporary folders that killed processes have left there for the same file are removed.
func Replace(path string, write func(path string) error) error {
	dir, remove, err := Temporary(filepath.Dir(path), "."+filepath.Base(path)+".flujo-")
	if err != nil {
		return err
	}
	// The file has been written, or not, by then: a folder that cannot be removed, as where a
	// virus scanner has it open, is left to the next writer.
	defer func() { _ = remove() }()
	part := filepath.Join(dir, filepath.Base(path))
	if err := write(part); err != nil {
		return err
	}
	if err := os.Chmod(part, 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}
