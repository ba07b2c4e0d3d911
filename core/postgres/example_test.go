package postgres_test

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres"
)

// An engine on one of several machines that share their runs. It needs a server. The password is in
// PGPASSWORD or in .pgpass.
func ExampleOpen() {
	ctx := context.Background()
	backend, err := postgres.Open(ctx, "postgres://flujo@db.example.com/runs?sslmode=verify-full", postgres.Power)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close()
	fmt.Println("a save survives:", backend.Durability())
	engine := core.NewEngine(core.WithBackend(backend))
	_ = engine // use it with core.RunOrResume and core.ResumeAll
}
