package workdir

import (
	"os"
	"path/filepath"
)

// Replace writes a file atomically: a reader finds either the old content or the new. write gets
// the path of a new file in a temporary folder next to path, and Replace renames that file to
// path. It also removes temporary folders that killed processes have left there for the same
// file.
func Replace(path string, write func(path string) error) error {
	dir, remove, err := Temporary(filepath.Dir(path), "."+filepath.Base(path)+".flujo-")
	if err != nil {
		return err
	}
	// A folder that cannot be removed, for example because a virus scanner has it open, does not
	// change the outcome: the next writer removes it.
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
