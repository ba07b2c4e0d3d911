package suites_test

import (
	"context"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/suites"
)

var _ = suites.DescribeBackend("memory", func(context.Context, string) (core.Backend, error) { return core.NewMemory(), nil }, coretest.Volatile)

var _ = suites.DescribeBackend("sqlite", func(ctx context.Context, path string) (core.Backend, error) {
	return sqlite.Open(ctx, path, sqlite.Process)
}, coretest.Durable)
