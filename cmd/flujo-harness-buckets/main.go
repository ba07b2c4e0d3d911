// Command flujo-harness-buckets keeps the runs of flujo-harness in buckets:
//
//	flujo-harness history sync --store s3://BUCKET?region=eu-central-1
//	flujo-harness history sync --store gs://BUCKET
//	flujo-harness history sync --store azblob://CONTAINER
//
// flujo-harness starts it where it finds it next to itself or in PATH; people do not call it. It is
// a program and a module of its own because the libraries of the three services are larger than
// flujo-harness. Credentials are those that each library finds in the environment. ?prefix=shop/
// keeps several histories apart.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/flujo/flujo-harness/reports/store"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "flujo-harness-buckets is started by flujo-harness: give that one --store s3://BUCKET, gs://BUCKET or azblob://CONTAINER")
		os.Exit(2)
	}
	if err := store.ServeProgram(context.Background(), os.Stdin, os.Stdout, open); err != nil {
		fmt.Fprintln(os.Stderr, "flujo-harness-buckets:", err)
		os.Exit(3)
	}
}
