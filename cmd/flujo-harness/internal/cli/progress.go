package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/flujo/flujo-harness/reports"
)

// Progress reports on standard error what a command is doing: on a terminal in one line that is
// redrawn, elsewhere with a line for each new stage.
type Progress struct {
	mu      sync.Mutex
	out     io.Writer
	live    bool
	began   time.Time
	stage   string
	detail  string
	stopped chan struct{}
	done    sync.WaitGroup
}

func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out, began: time.Now(), stopped: make(chan struct{})}
	if Terminal(out) != nil && os.Getenv("TERM") != "dumb" {
		p.live = true
		p.done.Go(p.tick)
	}
	return p
}

// tick redraws the line every second, so that the elapsed time advances during a long stage.
func (p *Progress) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		case <-p.stopped:
			return
		}
	}
}

// draw redraws the line. The caller holds the lock.
func (p *Progress) draw() {
	if !p.live || p.stage == "" {
		return
	}
	line := fmt.Sprintf("%3.0f s  %s", time.Since(p.began).Seconds(), p.stage)
	if p.detail != "" {
		line += ": " + p.detail
	}
	width := 80
	if f := Terminal(p.out); f != nil {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 10 {
			width = w
		}
	}
	if r := []rune(line); len(r) >= width {
		line = string(r[:width-1])
	}
	fmt.Fprint(Acting(p.out), "\r\x1b[K")
	fmt.Fprint(p.out, reports.Visible(line))
}

// Set sets the current stage, and how far it is.
func (p *Progress) Set(stage, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.live && stage != p.stage {
		fmt.Fprintf(p.out, "%s …\n", stage)
	}
	p.stage, p.detail = stage, detail
	p.draw()
}

// End removes the line.
func (p *Progress) End() {
	p.mu.Lock()
	live := p.live
	if live {
		fmt.Fprint(Acting(p.out), "\r\x1b[K")
		close(p.stopped)
	}
	p.live, p.stage = false, ""
	p.mu.Unlock()
	if live {
		p.done.Wait()
	}
}

// SecondsLeft estimates the remaining time from the finished part of the work.
func SecondsLeft(began time.Time, done, all int) string {
	if done == 0 {
		return ""
	}
	left := time.Since(began) / time.Duration(done) * time.Duration(all-done)
	return fmt.Sprintf("at most %v left", left.Round(time.Second))
}

// Say prints a line above the one that is redrawn.
func (p *Progress) Say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(Acting(p.out), "\r\x1b[K")
	}
	fmt.Fprintln(p.out, line)
	p.draw()
}

// Group prints lines as a group of GitHub Actions. Neither they nor the title can contain a
// command to it.
func (p *Progress) Group(title string, lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := Acting(p.out)
	title = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(reports.Visible(title))
	fmt.Fprintf(to, "::group::%s\n", title)
	for _, line := range lines {
		fmt.Fprintln(p.out, line)
	}
	fmt.Fprintln(to, "::endgroup::")
}

// Live reports whether the line is redrawn, as on a terminal.
func (p *Progress) Live() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}
