package postgresbench_test

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/core/postgres/postgresbench"
)

// The backend that flujo-harness bench --backend ADDRESS measures. It needs a server.
func ExampleNew() {
	backend, err := postgresbench.New("postgres://bench@db.example.com/bench")
	if err != nil {
		fmt.Println(err)
		return
	}
	about, err := backend.About(context.Background())
	fmt.Println(about, err) // the versions of the server and the driver, on which the results depend
}
