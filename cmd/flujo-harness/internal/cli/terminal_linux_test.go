package cli

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/charmbracelet/x/ansi"

	"github.com/flujo/flujo-harness/reports/render"
	"github.com/flujo/flujo-harness/thresholds"
)

// openTerminal returns both ends of a pseudoterminal.
func openTerminal(t *testing.T) (tty, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals can be made here: %v", err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	var unlock, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, screen.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals can be made here: %v", err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return tty, screen
}

// Only the styles of this program reach a terminal unescaped, also those of commands like doctor.
func TestATerminalIsGivenOwnStyles(t *testing.T) {
	tty, screen := openTerminal(t)
	on := NewScreen(NewInert(tty))
	on.Color = true // independent of NO_COLOR and TERM
	for _, style := range []ansi.Style{Bold, Dim, Red, Green, Yellow, Cyan} {
		text := on.Paint(style, "ok")
		if _, err := fmt.Fprint(NewInert(tty), text, "\x1b[2J"); err != nil {
			t.Fatal(err)
		}
		got, want := make([]byte, 100), text+`\u001b[2J`
		n, err := screen.Read(got)
		if string(got[:n]) != want || err != nil {
			t.Errorf("the terminal is given %q, want %q: %v", got[:n], want, err)
		}
	}
}

// The first lines of run and compare are bold and coloured, which is one sequence. Those of compare are
// written together with the texts that are escaped.
func TestATerminalIsGivenTheStyleOfAVerdict(t *testing.T) {
	tty, screen := openTerminal(t)
	for o := thresholds.Inconclusive; o <= thresholds.Invalid; o++ {
		want := render.VerdictLines(o, "WORD", "sentence", time.Second, render.Screen{Color: true, Width: 80})[0]
		if _, err := fmt.Fprint(NewInert(tty), want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 400)
		n, err := screen.Read(got)
		if string(got[:n]) != want || err != nil {
			t.Errorf("%v: the terminal is given %q, want %q: %v", o, got[:n], want, err)
		}
	}
}
