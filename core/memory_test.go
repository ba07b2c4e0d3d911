package core_test

import (
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
)

func TestMemoryConformance(t *testing.T) {
	coretest.Conformance(t, func(*testing.T) core.Backend { return core.NewMemory() })
}
