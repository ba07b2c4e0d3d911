package machine_test

import (
	"context"
	"fmt"
	"os"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitebench"
	"github.com/flujo/flujo-harness/harness/machine"
)

// This example checks whether the temporary folder is suitable for measurements. The output
// depends on the machine.
func ExampleInspect() {
	inspection, err := machine.Inspect(context.Background(), os.TempDir(), sqlitebench.Backend{}, func(check string) { fmt.Println("checking", check) })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(inspection.Advice, inspection.Reasons)
}
