package cli

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/charmbracelet/x/ansi"
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
