package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/core"
)

// letterV1 is the scope of a program that was deployed last month, and letter that of
// the program that goes on with its runs.
type (
	letterV1 struct{ Name, Text string }
	letter   struct {
		First, Last string
		Text        string
	}
)

// UnmarshalJSON reads both forms. What a program before saved is not refused here, so
// what neither form knows must be.
func (l *letter) UnmarshalJSON(data []byte) error {
	type plain letter // without this method
	var both struct {
		plain
		Name *string // of letterV1
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(&both); err != nil {
		return err
	}
	*l = letter(both.plain)
	if both.Name != nil {
		l.First, l.Last, _ = strings.Cut(*both.Name, " ")
	}
	return nil
}

// MarshalJSON writes the new form. A type with one of the two methods must have the other.
func (l letter) MarshalJSON() ([]byte, error) {
	type plain letter
	return json.Marshal(plain(l))
}

// A run that one program has begun goes on in another one, whose scope has other fields:
// its UnmarshalJSON reads what is stored in either form.
func ExampleResume_migration() {
	ctx, key := context.Background(), core.RunKey{Run: "r"}
	engine := core.NewEngine(core.WithBackend(core.NewMemory())) // sqlite.Open gives a durable one

	old, err := core.New("letter",
		core.Human("dictate", func(l letterV1) string { return "To " + l.Name + "?" }, func(l *letterV1, text string) { l.Text = text }))
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := core.Run(ctx, engine, old, key, letterV1{Name: "Ada Lovelace"})
	fmt.Println(res.Status, err)

	now, err := core.New("letter",
		core.Human("dictate", func(l letter) string { return "To " + l.First + "?" }, func(l *letter, text string) { l.Text = "Dear " + l.First + ", " + text }))
	if err != nil {
		fmt.Println(err)
		return
	}
	ended, err := core.Signal(ctx, engine, now, key, res.Pauses[0].Token, "hello")
	fmt.Printf("%v %+v %v\n", ended.Status, ended.Scope, err)
	// Output:
	// paused <nil>
	// completed {First:Ada Last:Lovelace Text:Dear Ada, hello} <nil>
}
