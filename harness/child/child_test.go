package child

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// role is what a copy of this test program does instead of tests.
const role = "FLUJO_HARNESS_CHILD_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "tied parent": // starts a child that watches its standard input only
		cmd := self("watching")
		if err := Tie(cmd, []byte("an order\n")); err != nil {
			panic(err)
		}
		parent(cmd, func() (func() error, error) { return cmd.Wait, cmd.Start() })
	case "bound parent": // starts a child that knows nothing of its parent
		cmd := self("sleeping")
		parent(cmd, func() (func() error, error) { return Start(cmd) })
	case "guard":
		if err := ServeGuard(os.Stdin); err != nil {
			panic(err)
		}
	case "watching":
		in := bufio.NewReader(os.Stdin)
		if order, err := in.ReadString('\n'); err != nil || order != "an order\n" {
			panic(fmt.Sprintf("order %q, error %v", order, err))
		}
		Watch(in)
		select {}
	case "sleeping":
		for { // not select{}: without any goroutine that can run, the program would end as a deadlock
			time.Sleep(time.Hour)
		}
	}
}

func self(as string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), role+"="+as)
	return cmd
}

// parent prints the number of its child and waits for it.
func parent(cmd *exec.Cmd, start func() (func() error, error)) {
	wait, err := start()
	if err != nil {
		panic(err)
	}
	fmt.Println(cmd.Process.Pid)
	_ = wait()
}

// A child of a killed process ends, by each of the means alone.
func TestChildrenEndWithTheirParent(t *testing.T) {
	for _, as := range []string{"tied parent", "bound parent"} {
		t.Run(as, func(t *testing.T) {
			if as == "bound parent" && !kernelEndsChildren || runtime.GOOS == "windows" {
				t.Skip("the kernel of this system does not end children, or a process cannot be looked for")
			}
			cmd := self(as)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			child, err := os.FindProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = child.Kill() })
			if !running(pid) {
				t.Fatalf("child %d ended before its parent", pid)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for running(pid) {
				select {
				case <-ctx.Done():
					t.Fatalf("child %d outlives its parent, which was killed", pid)
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
}

// What a command prints arrives by every way of running it.
func TestOutputIsThatOfTheCommand(t *testing.T) {
	out, err := Output(exec.Command("go", "env", "GOOS"))
	if err != nil || strings.TrimSpace(string(out)) == "" {
		t.Errorf("output %q, error %v", out, err)
	}
	if out, err := CombinedOutput(exec.Command("go", "no-such-command")); err == nil || !strings.Contains(string(out), "no-such-command") {
		t.Errorf("output %q, error %v", out, err)
	}
	if _, err := Start(exec.Command("no-such-program-anywhere")); err == nil {
		t.Error("a program that is not there was started")
	}
}
