package storetest_test

import (
	"context"
	"fmt"
	"os"

	"github.com/flujo/flujo-harness/reports/store"
	"github.com/flujo/flujo-harness/reports/store/storetest"
)

// A folder does all that a store must. Put your own store in its place.
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
