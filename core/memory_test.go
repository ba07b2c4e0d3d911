package core_test

import (
	"context"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
)

func TestMemoryConformance(t *testing.T) {
	coretest.Conformance(t, func(*testing.T) core.Backend { return core.NewMemory() })
}

func TestMemoryModel(t *testing.T) {
	coretest.Model(t, func(context.Context, string) (core.Backend, error) { return core.NewMemory(), nil }, coretest.Volatile)
}
