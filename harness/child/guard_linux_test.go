package child

import (
	"errors"
	"os"
	"testing"
	"time"
)

// A guard kills the group if its parent ends without reporting completion, and only then.
func TestAGuardEndsWhatAKilledParentLeaves(t *testing.T) {
	for _, killed := range []bool{true, false} {
		victim := self("watching")
		Group(victim)
		victim.Cancel = nil
		if err := Tie(victim, []byte("an order\n")); err != nil {
			t.Fatal(err)
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(role, "guard")
		g, err := newGuard([]string{exe})
		if err == nil {
			err = g.over(victim.Process.Pid)
		}
		if err != nil {
			t.Fatal(err)
		}
		ours := time.AfterFunc(time.Minute, func() { _ = victim.Process.Kill() }) // it may have ended
		if killed {
			if err := errors.Join(g.in.Close(), g.cmd.Wait()); err != nil {
				t.Fatal(err)
			}
		} else if err := g.end(); err != nil {
			t.Fatal(err)
		}
		if !killed {
			if !running(victim.Process.Pid) {
				t.Error("the guard killed a group whose command had ended")
			}
			_ = victim.Process.Kill()
		}
		_ = victim.Wait() // blocks until the victim is killed
		if !ours.Stop() {
			t.Error("the guard has not killed the group after a minute")
		}
	}
}
