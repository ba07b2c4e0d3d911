package machine_test

import (
	"context"
	"fmt"
	"os"

	"github.com/flujo/flujo-harness/harness/machine"
)

// Whether the temporary folder is a place to measure in. What it says depends on the machine.
func ExampleInspect() {
	place, err := machine.Inspect(context.Background(), os.TempDir(), func(check string) { fmt.Println("checking", check) })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(place.Advice, place.Reasons)
}
