package workdir_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/flujo/flujo-harness/harness/workdir"
)

// A report is replaced as a whole: a reader finds the old one or the new one.
func ExampleReplace() {
	dir, remove, err := workdir.Temporary(os.TempDir(), "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = remove() }()

	path := filepath.Join(dir, "report.txt")
	for _, text := range []string{"old", "new"} {
		if err := workdir.Replace(path, func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }); err != nil {
			fmt.Println(err)
			return
		}
	}
	text, err := os.ReadFile(path)
	fmt.Println(string(text), err)
	// Output:
	// new <nil>
}
