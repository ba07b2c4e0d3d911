package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness/child"
)

// guard is a process of this program that kills a group of foreign processes when this
// process ends without a word: the suites that a killed run would leave behind.
type guard struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// guardDone is what the guard is sent when there is nothing left to guard.
const guardDone = "done"

func newGuard() (g guard, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("start the process that ends the suites of a killed run: %w", err)
		}
	}()
	exe, err := os.Executable()
	if err != nil {
		return g, err
	}
	g.cmd = exec.Command(exe, "guard")
	child.Group(g.cmd) // a second Ctrl-C ends the program at once, and must not end the guard
	g.cmd.Cancel = nil
	if g.in, err = g.cmd.StdinPipe(); err != nil {
		return g, err
	}
	return g, g.cmd.Start() // it has to outlive this process: see package child
}

// over names the leader of the group to guard.
func (g guard) over(leader int) error {
	_, err := fmt.Fprintln(g.in, leader)
	return err
}

func (g guard) end() error {
	_, err := fmt.Fprintln(g.in, guardDone)
	return errors.Join(err, g.in.Close(), g.cmd.Wait())
}

// guardCommand is the guard's side: not for people.
func guardCommand() *cobra.Command {
	return &cobra.Command{
		Use: "guard", Hidden: true, Args: cobra.NoArgs,
		Short: "Read the number of a process, and kill its group when standard input ends without \"done\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // it ends with its input
			leader := 0
			for lines := bufio.NewScanner(cmd.InOrStdin()); lines.Scan(); {
				if strings.TrimSpace(lines.Text()) == guardDone {
					return nil
				}
				if _, err := fmt.Sscan(lines.Text(), &leader); err != nil {
					return usage(fmt.Errorf("guard: %q is no number of a process", lines.Text()))
				}
			}
			child.EndGroup(leader)
			return nil
		},
	}
}
