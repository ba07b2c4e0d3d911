package postgres_test

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/reports/store"
	_ "github.com/flujo/flujo-harness/reports/store/postgres" // addresses that begin with postgres://
)

// Open the runs of one repository in a table that several repositories share. The password is in
// PGPASSWORD or in .pgpass.
func Example() {
	s, err := store.Open(context.Background(), "postgres://ci@db.example.com/history?repository=shop", store.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Close())
}
