// Package provider is a scripted server for code that calls a model through the SDK of its
// provider. It speaks four formats, whole and streamed: Chat Completions and Responses
// (OpenAI), Messages (Anthropic), and generateContent (Gemini).
//
// What the model answers is a scripted agent that is given a [Request] and gives an
// [Answer]: [stubs.Script], [stubs.Always], [stubs.From], [stubs.Choose], tables, latencies
// and faults work as they do for any other agent. The same script answers in each of the
// formats.
//
//	model := stubs.Script[provider.Request](
//		stubs.Say(provider.Answer{Calls: []provider.ToolCall{{Name: "weather", Args: `{"city":"Rome"}`}}}),
//		stubs.RateLimited[provider.Answer](time.Second),
//		stubs.Say(provider.Answer{Text: "It is sunny."}),
//	)
//	client := openai.NewClient(option.WithHTTPClient(&http.Client{Transport: provider.New(model)}), …)
//
// A [Server] is an http.RoundTripper for clients in the same process, which needs no
// network, and an http.Handler; [Server.Listen] serves it on the loopback interface for
// everything else. It never reads keys: headers and queries of requests are not kept, shown
// or passed on to the script.
//
// Scope: the script is read for the run and the step whose context the HTTP request has
// (see [stubs.Scoped]), sized from the plan like the script of any agent
// ([stubs.Book.Requests] where one call of a step asks several times), or in the test of
// [stubs.ForTest].
//
// Errors of the script become the provider's own: a [stubs.RateLimitError] is status 429
// with the headers of rate limits, [ErrOverloaded] 503 or 529, an [*Error] what it says,
// and any other error status 500. A fault of the harness, such as a script that ran out, is
// not the provider's: it wraps core.ErrHarness, the SDK returns it without trying again,
// and the book remembers it.
//
// Requests are checked as far as a script can hide a mistake: fields that every provider
// requires, and results of tools that answer no call. The package imitates no model, counts
// no tokens, and answers no other endpoints.
package provider
