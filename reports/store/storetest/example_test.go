package storetest_test

import (
	"context"
	"fmt"
	"os"

	"github.com/flujo/flujo-harness/reports/store"
	"github.com/flujo/flujo-harness/reports/store/storetest"
)

// Test a folder; replace it by your own store.
func ExampleTest() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	err = storetest.Test(context.Background(), func(context.Context) (store.Store, error) { return store.OpenFolder(dir) })
	fmt.Println(err)
	// Output:
	// <nil>
}
