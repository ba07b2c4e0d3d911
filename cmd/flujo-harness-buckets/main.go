// Command flujo-harness-buckets stores the runs of flujo-harness in buckets:
//
//	flujo-harness history sync --store s3://BUCKET?region=eu-central-1
//	flujo-harness history sync --store gs://BUCKET
//	flujo-harness history sync --store azblob://CONTAINER
//
// It is not meant to be called directly: flujo-harness starts it if it is in the same folder or
// in PATH. It is a separate program and module because the libraries of the three services are
// larger than flujo-harness. Each library finds its credentials in the environment. With
// ?prefix=shop/ a bucket can hold several histories.
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
