package main

import (
	"strings"
	"testing"
	"time"
)

// clocked is a progress whose clock the test moves.
func clocked(terminal bool, every time.Duration) (*progress, *strings.Builder, *time.Time) {
	var out strings.Builder
	now := time.Unix(1_800_000_000, 0)
	p := newProgress(&out)
	p.terminal, p.every, p.now, p.shown = terminal, every, func() time.Time { return now }, now
	return p, &out, &now
}

// On a terminal one line changes in place, and is gone in the end.
func TestProgressOnTerminal(t *testing.T) {
	p, out, now := clocked(true, 100*time.Millisecond)
	p.share("reading", 0.1) // too early
	for _, done := range []float64{0.25, 0.5, 1.2} {
		*now = now.Add(time.Second)
		p.share("reading", done)
		p.share("reading", done) // not again at once
	}
	*now = now.Add(time.Second)
	p.show("short")
	p.end()
	want := "\rreading   ███████░░░░░░░░░░░░░░░░░░░░░░░  25 %" +
		"\rreading   ███████████████░░░░░░░░░░░░░░░  50 %" +
		"\rreading   ██████████████████████████████ 100 %" +
		"\rshort" + strings.Repeat(" ", 41) + "\r     \r"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

// Elsewhere lines come now and then, and what is done soon says nothing.
func TestProgressInLog(t *testing.T) {
	p, out, now := clocked(false, 10*time.Second)
	for i := range 30 {
		*now = now.Add(time.Second)
		p.share("reading", float64(i+1)/30)
	}
	p.end()
	if want := "reading 33 %\nreading 66 %\nreading 100 %\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
