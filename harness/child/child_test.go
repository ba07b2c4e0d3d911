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

// role names what a copy of this test program does in place of running tests.
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
	case "bound parent": // starts a child that only the kernel ends
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
	case "counting processors":
		fmt.Print(runtime.NumCPU(), CPUs())
	case "working":
		for sum := 0; ; {
			sum++
		}
	case "sleeping":
		for { // not select{}: the runtime would report a deadlock
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

// parent prints the process ID of its child and waits for it.
func parent(cmd *exec.Cmd, start func() (func() error, error)) {
	wait, err := start()
	if err != nil {
		panic(err)
	}
	fmt.Println(cmd.Process.Pid)
	_ = wait()
}

// Each mechanism alone ends the child of a killed process.
func TestChildrenEndWithTheirParent(t *testing.T) {
	for _, as := range []string{"tied parent", "bound parent"} {
		t.Run(as, func(t *testing.T) {
			if as == "bound parent" && !kernelEndsChildren || runtime.GOOS == "windows" {
				t.Skip("this system's kernel does not end children, or cannot report whether a process exists")
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

// Every way of running a command returns its output.
func TestOutputIsThatOfTheCommand(t *testing.T) {
	out, err := Output(exec.Command("go", "env", "GOOS"))
	if err != nil || strings.TrimSpace(string(out)) == "" {
		t.Errorf("output %q, error %v", out, err)
	}
	if out, err := CombinedOutput(exec.Command("go", "no-such-command")); err == nil || !strings.Contains(string(out), "no-such-command") {
		t.Errorf("output %q, error %v", out, err)
	}
	if _, err := Start(exec.Command("no-such-program-anywhere")); err == nil {
		t.Error("a missing program was started")
	}
}

// A child of RunOn has one processor; this process and its later children keep all of theirs.
func TestRunOn(t *testing.T) {
	all := CPUs()
	if len(all) == 0 && runtime.GOOS == "linux" {
		t.Fatal("no processors")
	}
	sees := func(run func(*exec.Cmd) error) string {
		cmd := self("counting processors")
		var out strings.Builder
		cmd.Stdout = &out
		if err := run(cmd); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, cpu := range all {
		if got, want := sees(func(cmd *exec.Cmd) error { return RunOn(cmd, cpu) }), fmt.Sprint(1, []int{cpu}); got != want {
			t.Errorf("on processor %d the child sees %q, want %q", cpu, got, want)
		}
		for range 20 { // some of them start on the thread that started the child before
			if got, want := sees(Run), fmt.Sprint(len(all), all); runtime.GOOS == "linux" && got != want {
				t.Fatalf("after processor %d a child sees %q, want %q", cpu, got, want)
			}
		}
	}
	if runtime.GOOS == "linux" {
		if err := RunOn(self("counting processors"), 1023); err == nil || !strings.Contains(err.Error(), "processor 1023") {
			t.Errorf("a processor that does not exist: %v", err)
		}
	}
	if err := RunOn(exec.Command("does/not/exist"), 0); err == nil {
		t.Error("a program that does not exist was run")
	}
}
