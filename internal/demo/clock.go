package demo

import (
	"sync"
	"time"
)

// clock is the world's clock: it stands where it is set until it runs.
type clock struct {
	mu sync.Mutex
	at time.Time // zero: the real time
}

// Now returns the time on the clock.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		return time.Now()
	}
	return c.at
}

// set stops the clock at t; the zero time lets it run.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

// move moves a clock that stands.
func (c *clock) move(d time.Duration) { c.set(c.Now().Add(d)) }
