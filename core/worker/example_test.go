package worker_test

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres"
	"github.com/flujo/flujo-harness/core/worker"
)

// A process that executes the runs of one pipeline until it receives SIGTERM. It needs a PostgreSQL
// server: the program in example/ starts one.
func Example() {
	p, err := core.New("loud", core.Step("say",
		core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) { return req.Input + "!", nil }),
		func(s string) string { return s },
		func(s *string, said string) { *s = said }))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	w, err := worker.New(ctx, worker.Config{DSN: "postgres://flujo@db.example.com/runs", Durability: postgres.Power})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := worker.Handle(w, p); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Run(ctx)) // current runs are finished or released
}
