package pgserver_test

import (
	"fmt"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// A server that ends with this process. It needs the programs of PostgreSQL.
func ExampleStart() {
	server, err := pgserver.Start(pgserver.Options{})
	if err != nil {
		fmt.Println(err) // pgserver.ErrMissing: the message says what to install
		return
	}
	fmt.Println(server.DSN("postgres"), server.Stop())
}
