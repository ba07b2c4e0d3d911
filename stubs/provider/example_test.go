package provider_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/stubs/provider"
)

// A client of any SDK takes the server as its transport. Here the request is written by
// hand; the module provider/sdks has one with an SDK.
func Example() {
	model := stubs.Always[provider.Request](provider.Answer{Text: "It is sunny.", Usage: provider.Usage{Input: 8, Output: 4}})
	client := &http.Client{Transport: provider.New(model)}

	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://provider.invalid/v1/messages",
		strings.NewReader(`{"model": "a-model", "max_tokens": 100, "messages": [{"role": "user", "content": "weather?"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, strings.Contains(string(body), `{"text":"It is sunny.","type":"text"}`), err)
	// Output: 200 true <nil>
}
