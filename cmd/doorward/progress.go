package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows how far a long command is: one line that changes on a terminal, else a line now and then.
type progress struct {
	w        io.Writer
	terminal bool
	now      func() time.Time
	every    time.Duration
	shown    time.Time
	width    int // of the line on the terminal
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, terminal: isTerminal(w), now: time.Now, every: 10 * time.Second}
	if p.terminal {
		p.every = 100 * time.Millisecond
	}
	p.shown = p.now() // what is done at once shows nothing
	return p
}

const barWidth = 30

// share shows what is going on, and how much of it is done, from 0 to 1.
func (p *progress) share(what string, done float64) {
	done = min(max(done, 0), 1)
	percent := fmt.Sprintf("%3d %%", int(done*100))
	if !p.terminal {
		p.show(what + " " + strings.TrimSpace(percent))
		return
	}
	full := int(done * barWidth)
	p.show(fmt.Sprintf("%-8s  %s%s %s", what, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), percent))
}

// show shows a line, unless the last one is too fresh. Who watches it fail to be written has other worries.
func (p *progress) show(line string) {
	now := p.now()
	if now.Sub(p.shown) < p.every {
		return
	}
	p.shown = now
	if !p.terminal {
		_, _ = fmt.Fprintln(p.w, line)
		return
	}
	width := len([]rune(line))
	_, _ = fmt.Fprint(p.w, "\r"+line+strings.Repeat(" ", max(p.width-width, 0)))
	p.width = width
}

// end clears the line on the terminal.
func (p *progress) end() {
	if p.width > 0 {
		_, _ = fmt.Fprint(p.w, "\r"+strings.Repeat(" ", p.width)+"\r")
	}
}
