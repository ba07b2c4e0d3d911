package sqlitedb_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// This example opens a database with the settings of durability "process", which are applied
// and read back on every connection.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "notes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := sqlitedb.Open(filepath.Join(dir, "notes.db"), sqlitedb.Process)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	var mode string
	err = db.QueryRow("PRAGMA journal_mode").Scan(&mode)
	fmt.Println(mode, err)
	// Output:
	// wal <nil>
}
