package instructions_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/flujo/flujo-harness/harness/instructions"
)

// This example counts the instructions of one command. It needs perf or valgrind.
func ExampleTool() {
	tool, err := instructions.Find(context.Background())
	if err != nil {
		fmt.Println(err) // explains how to install a tool
		return
	}
	dir, err := os.MkdirTemp("", "count")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	record := filepath.Join(dir, "record")
	cmd := exec.Command("true")
	tool.Wrap(cmd, record)
	if err := cmd.Run(); err != nil {
		fmt.Println(err)
		return
	}
	n, err := tool.Read(record)
	fmt.Println(n, err)
}
