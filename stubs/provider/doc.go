// Package provider is a scripted server for code that calls a model through the SDK of its
// provider. It implements four formats, with and without streaming: Chat Completions and
// Responses (OpenAI), Messages (Anthropic), and generateContent (Gemini).
//
// The answers come from a scripted agent with a [Request] as input and an [Answer] as output:
// [stubs.Script], [stubs.Always], [stubs.From], [stubs.Choose], tables, latencies and faults
// work as for any other agent. One script answers in all formats.
//
//	model := stubs.Script[provider.Request](
//		stubs.Say(provider.Answer{Calls: []provider.ToolCall{{Name: "weather", Args: `{"city":"Rome"}`}}}),
//		stubs.RateLimited[provider.Answer](time.Second),
//		stubs.Say(provider.Answer{Text: "It is sunny."}),
//	)
//	client := openai.NewClient(option.WithHTTPClient(&http.Client{Transport: provider.New(model)}), …)
//
// A [Server] is an http.RoundTripper for clients in the same process, without a network, and an
// http.Handler; [Server.Listen] serves it on the loopback interface for other clients. It never
// reads API keys: headers and queries of requests are neither stored nor printed nor passed to
// the script.
//
// Scope: a request belongs to the run and step of its context (see [stubs.Scoped]) or to the
// test of [stubs.ForTest]. The script is sized from the plan like that of any agent; use
// [stubs.Book.Requests] if one call of a step makes several requests.
//
// Errors of the script become errors of the provider: a [stubs.RateLimitError] is status 429
// with the headers of rate limits, [ErrOverloaded] is 503 or 529, an [*Error] has its own status,
// and any other error is status 500. A fault of the harness, such as an exhausted script, is not
// the provider's: it wraps core.ErrHarness, the SDK returns it without a retry, and the book
// remembers it.
//
// Requests are checked for mistakes that a script would hide: missing fields that every provider
// requires, and tool results without a call. The package imitates no model, counts no tokens, and
// answers no other endpoints.
package provider
