package sqlitedb_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// A database with the settings of the durability "process", made and read back on each connection.
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
