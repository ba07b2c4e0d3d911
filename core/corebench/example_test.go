package corebench_test

import (
	"fmt"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitebench"
)

// The levels of durability at which a backend can be measured.
func ExampleBackend() {
	var b corebench.Backend = sqlitebench.Backend{}
	for _, level := range b.Levels() {
		fmt.Println(b.Name(), level.Durability)
	}
	// Output:
	// sqlite unsynced
	// sqlite process
	// sqlite power
}
