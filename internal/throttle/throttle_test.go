package throttle_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/internal/doortest"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// clocked is a gate with a clock that tests move.
type clocked struct {
	*testing.T
	throttle.Gate
	now time.Time
}

func newGate(t *testing.T, d sqldb.Dialect) *clocked {
	t.Helper()
	c := &clocked{T: t, now: start}
	c.Gate = throttle.Gate{DB: doortest.DB(t, d), Now: func() time.Time { return c.now }}
	return c
}

// take takes a try and returns the failures counted so far, or how long to wait.
func (c *clocked) take(keys ...throttle.Key) (int64, time.Duration) {
	c.Helper()
	n, err := c.Take(c.Context(), keys...)
	if err == nil {
		return n, 0
	}
	r := refusal.As(err)
	if r == nil || r.Code != refusal.Limited || r.Wait <= 0 {
		c.Fatalf("not limited: %#v", err)
	}
	return 0, r.Wait
}

// blocked returns how long the counters within a window make one wait, 0 when they do not.
func (c *clocked) blocked(keys ...throttle.Key) time.Duration {
	c.Helper()
	err := c.Blocked(c.DB.Read(c.Context()), keys...)
	if err == nil {
		return 0
	}
	r := refusal.As(err)
	if r == nil || r.Code != refusal.Limited || r.Wait <= 0 {
		c.Fatalf("not limited: %#v", err)
	}
	return r.Wait
}

func (c *clocked) write(fn func(tx sqldb.Tx) error) {
	c.Helper()
	if err := c.DB.Write(c.Context(), fn); err != nil {
		c.Fatal(err)
	}
}

func (c *clocked) failed(keys ...throttle.Key) {
	c.Helper()
	c.write(func(tx sqldb.Tx) error { _, err := throttle.Failed(tx, c.now, keys...); return err })
}

func (c *clocked) failures(k throttle.Key) int64 {
	c.Helper()
	n, err := throttle.Failures(c.DB.Read(c.Context()), k)
	if err != nil {
		c.Fatal(err)
	}
	return n
}

func TestDelay(t *testing.T) {
	for n, want := range map[int64]time.Duration{-1: 0, 0: 0, 1: 0, 4: 0, 5: time.Second, 6: 2 * time.Second, 7: 4 * time.Second, 8: 8 * time.Second,
		9: 16 * time.Second, 10: 32 * time.Second, 11: 64 * time.Second, 12: 128 * time.Second, 13: 256 * time.Second, 14: 512 * time.Second,
		15: 15 * time.Minute, 16: 15 * time.Minute, 24: 15 * time.Minute, 25: 15 * time.Minute, 26: 15 * time.Minute, 70: 15 * time.Minute,
		100: 15 * time.Minute, 1 << 40: 15 * time.Minute} {
		if got := throttle.Delay(n); got != want {
			t.Errorf("after failure %d: %v, want %v", n, got, want)
		}
	}
}

// Consecutive failures wait longer and longer, and a hundred of them, each as early as it may be, take almost a day.
func TestSubject(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		c := newGate(t, d)
		k, other := throttle.Subject("password", "acc_1"), throttle.Subject("totp", "acc_1")
		for n := int64(1); n <= throttle.Disable; n++ {
			got, wait := c.take(k)
			if got != n || wait != 0 {
				t.Fatalf("try %d at %v: %d, wait %v", n, c.now.Sub(start), got, wait)
			}
			want := throttle.Delay(n)
			if want == 0 {
				continue
			}
			for _, early := range []time.Duration{0, want / 2, want - time.Microsecond} {
				at := c.now
				c.now = at.Add(early)
				if n, wait := c.take(k); wait != want-early {
					t.Fatalf("after %v: %d, wait %v, want %v", early, n, wait, want-early)
				}
				c.now = at
			}
			c.now = c.now.Add(want)
		}
		if took := c.now.Sub(start); took < 20*time.Hour || c.failures(k) != throttle.Disable {
			t.Errorf("a hundred guesses take %v, %d are counted", took, c.failures(k))
		}
		if n, _ := c.take(k); n != throttle.Disable+1 { // whoever took it learns that the factor is out of use
			t.Errorf("the next is number %d", n)
		}
		if n, wait := c.take(other); n != 1 || wait != 0 {
			t.Errorf("another factor has number %d, wait %v", n, wait)
		}
		c.write(func(tx sqldb.Tx) error { return throttle.Clear(tx, k) })
		if n, wait := c.take(k); n != 1 || wait != 0 || c.failures(other) != 1 {
			t.Errorf("after a success: number %d, wait %v, the other has %d", n, wait, c.failures(other))
		}
		c.write(func(tx sqldb.Tx) error { return throttle.Clear(tx, throttle.Subject("password", "acc_none")) })
		if n := c.failures(throttle.Subject("password", "acc_none")); n != 0 {
			t.Errorf("what was never tried has %d failures", n)
		}
	})
}

// Three hundred tries at once are counted one by one: no more pass than the counter allows.
func TestTakeAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		c := newGate(t, d)
		const tries = 300
		for name, row := range map[string]struct {
			keys    []throttle.Key
			allowed int64
		}{
			"consecutive failures": {[]throttle.Key{throttle.Subject("password", "acc_1")}, 5}, // the fifth has to be waited for
			"an unknown name":      {[]throttle.Key{throttle.Unknown("fabrikam", "x@y.example")}, 5},
			"requests":             {[]throttle.Key{throttle.Requests("mail", "192.0.2.9", 30, time.Hour)}, 30},
			"two counters":         {[]throttle.Key{throttle.Requests("b", "1", 12, time.Hour), throttle.Requests("a", "1", 200, time.Hour)}, 12},
		} {
			var passed, limited, highest atomic.Int64
			var wg sync.WaitGroup
			queue := make(chan struct{}, 40) // as many as a server has at work at once
			for range tries {
				wg.Go(func() {
					queue <- struct{}{}
					defer func() { <-queue }()
					n, err := c.Take(c.Context(), row.keys...)
					switch {
					case err == nil:
						passed.Add(1)
						for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
						}
					case refusal.Is(err, refusal.Limited):
						limited.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if passed.Load() != row.allowed || limited.Load() != tries-row.allowed || highest.Load() != row.allowed {
				t.Errorf("%s: %d passed, the highest number %d, %d had to wait; want %d", name, passed.Load(), highest.Load(), limited.Load(), row.allowed)
			}
			for _, k := range row.keys {
				if n := c.failures(k); n != row.allowed {
					t.Errorf("%s: %d are counted", name, n)
				}
			}
		}
	})
}

// Whoever has to wait for one counter has not tried on the others either.
func TestAllOrNone(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		c := newGate(t, d)
		full, free := throttle.Requests("full", "x", 1, time.Minute), throttle.Requests("free", "x", 10, time.Hour)
		if n, wait := c.take(full, free); n != 1 || wait != 0 {
			t.Fatalf("%d, %v", n, wait)
		}
		c.now = c.now.Add(20 * time.Second)
		for range 3 {
			if _, wait := c.take(free, full); wait != 40*time.Second {
				t.Errorf("wait %v", wait)
			}
		}
		if c.failures(full) != 1 || c.failures(free) != 1 {
			t.Errorf("%d and %d are counted", c.failures(full), c.failures(free))
		}
		// Of two waits the longer one is told, and the count is that of the first key named.
		also := throttle.Requests("also", "x", 1, time.Hour)
		c.take(also)
		if _, wait := c.take(full, also); wait != time.Hour {
			t.Errorf("wait %v", wait)
		}
		c.now = c.now.Add(40 * time.Second)
		if n, _ := c.take(free, full); n != 2 {
			t.Errorf("the first key's number is %d", n)
		}
		if n, _ := c.take(throttle.Requests("other", "x", 9, time.Hour), free); n != 1 {
			t.Errorf("the first key's number is %d", n)
		}
	})
}

// A window begins with its first request and is over when its span has passed.
func TestRequests(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		c := newGate(t, d)
		k := throttle.Requests("mail", "acc_1", 3, time.Hour)
		for i := int64(1); i <= 3; i++ {
			if n, wait := c.take(k); n != i || wait != 0 {
				t.Fatalf("request %d: %d, %v", i, n, wait)
			}
			c.now = c.now.Add(10 * time.Minute)
		}
		if _, wait := c.take(k); wait != 30*time.Minute {
			t.Errorf("the fourth waits %v", wait)
		}
		c.now = start.Add(time.Hour - time.Microsecond)
		if _, wait := c.take(k); wait != time.Microsecond {
			t.Errorf("just before the end it waits %v", wait)
		}
		c.now = start.Add(time.Hour)
		if n, wait := c.take(k); n != 1 || wait != 0 {
			t.Errorf("in the next window: %d, %v", n, wait)
		}
		if n, wait := c.take(throttle.Requests("mail", "acc_2", 3, time.Hour)); n != 1 || wait != 0 {
			t.Errorf("another one's first: %d, %v", n, wait)
		}
		if n, wait := c.take(throttle.Requests("code", "acc_1", 3, time.Hour)); n != 1 || wait != 0 {
			t.Errorf("another kind's first: %d, %v", n, wait)
		}
	})
}

// Failures per address and per organisation fill a window of ten minutes; looking costs nothing.
func TestBlocked(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		c := newGate(t, d)
		address, org := throttle.Address("192.0.2.1"), throttle.Org("org_1", "fabrikam")
		for range 49 {
			c.failed(address, org)
		}
		for range 60 {
			if wait := c.blocked(address, org); wait != 0 {
				t.Fatalf("49 failures wait %v", wait)
			}
		}
		c.now = c.now.Add(4 * time.Minute)
		c.failed(address, org)
		if wait := c.blocked(org, address); wait != 6*time.Minute {
			t.Errorf("50 failures wait %v", wait)
		}
		if wait := c.blocked(org); wait != 0 {
			t.Errorf("the organisation waits %v", wait)
		}
		if wait := c.blocked(throttle.Address("192.0.2.2")); wait != 0 {
			t.Errorf("another address waits %v", wait)
		}
		c.now = start.Add(10*time.Minute - time.Microsecond)
		if wait := c.blocked(address); wait != time.Microsecond {
			t.Errorf("just before the end it waits %v", wait)
		}
		c.now = start.Add(10 * time.Minute)
		if wait := c.blocked(address); wait != 0 {
			t.Errorf("after the window it waits %v", wait)
		}
		c.failed(address) // begins the next window
		if n := c.failures(address); n != 1 {
			t.Errorf("the next window begins with %d", n)
		}
		for range 499 {
			c.failed(org)
		}
		if wait := c.blocked(org); wait != 0 {
			t.Errorf("499 failures of the organisation wait %v", wait)
		}
		c.failed(org)
		if wait := c.blocked(org); wait != 10*time.Minute {
			t.Errorf("500 failures of the organisation wait %v", wait)
		}
	})
}

func TestFailedAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		c := newGate(t, d)
		address, org := throttle.Address("2001:db8::1"), throttle.Org("org_1", "fabrikam")
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				keys := []throttle.Key{address, org}
				if i%2 == 0 {
					keys[0], keys[1] = keys[1], keys[0]
				}
				if err := c.DB.Write(c.Context(), func(tx sqldb.Tx) error { _, err := throttle.Failed(tx, start, keys...); return err }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if c.failures(address) != 40 || c.failures(org) != 40 {
			t.Errorf("%d and %d are counted, want 40", c.failures(address), c.failures(org))
		}
	})
}

// Spellings of one client, and of one identifier, share a counter; others do not.
func TestKeys(t *testing.T) {
	for _, same := range [][2]throttle.Key{
		{throttle.Address("192.0.2.1"), throttle.Address("::ffff:192.0.2.1")},
		{throttle.Address("2001:db8:1:2::1"), throttle.Address("2001:DB8:1:2:ffff:ffff:ffff:ffff")},
		{throttle.Address("2001:db8:1:2::"), throttle.Address("2001:0db8:0001:0002:0:0:0:9")},
		{throttle.Address("fe80::1%eth0"), throttle.Address("fe80::2")},
		{throttle.Unknown("fabrikam", "a@b.example"), throttle.Unknown("fabrikam", "a@b.example")},
		{throttle.Org("org_1", "fabrikam"), throttle.Org("org_1", "renamed")},
	} {
		if same[0] != same[1] {
			t.Errorf("%+v and %+v are counted apart", same[0], same[1])
		}
	}
	seen := map[throttle.Key]bool{}
	all := []throttle.Key{throttle.Address("192.0.2.1"), throttle.Address("192.0.2.2"), throttle.Address("2001:db8:1:2::1"), throttle.Address("2001:db8:1:3::1"),
		throttle.Address(""), throttle.Address("unix"), throttle.Org("192.0.2.1", ""), throttle.Org("", "fabrikam"), throttle.Org("", "tailspin"), throttle.Org("org_1", "fabrikam"), throttle.Subject("password", "acc_1"),
		throttle.Subject("totp", "acc_1"), throttle.Subject("password", "acc_2"), throttle.Unknown("a", "bc"), throttle.Unknown("ab", "c"), throttle.Unknown("", "abc"),
		throttle.Unknown("abc", ""), throttle.Requests("mail", "x", 3, time.Hour), throttle.Requests("code", "x", 3, time.Hour),
		throttle.Requests("mail", "y", 3, time.Hour)}
	for _, k := range all {
		seen[k] = true
	}
	if len(seen) != len(all) {
		t.Errorf("%d counters for %d things", len(seen), len(all))
	}
}

// What strangers type is kept as a digest of bounded length, and swept; what belongs to accounts stays.
func TestSweep(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		c := newGate(t, d)
		typed := strings.Repeat("someone@example.com", 1000)
		subject, cleared := throttle.Subject("password", "acc_1"), throttle.Subject("password", "acc_2")
		passing := []throttle.Key{throttle.Unknown("fabrikam", typed), throttle.Address("192.0.2.1"), throttle.Org("org_1", "fabrikam"), throttle.Requests("mail", typed, 3, time.Hour)}
		c.take(append(passing, subject, cleared)...)
		c.write(func(tx sqldb.Tx) error { return throttle.Clear(tx, cleared) })
		rows := func() []string {
			t.Helper()
			list, err := sqldb.All(c.DB.Read(t.Context()), sqldb.Value[string], `select key from throttles order by key`)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		for _, k := range rows() {
			if len(k) > 60 || strings.Contains(k, "someone") {
				t.Errorf("a row's key is %q", k)
			}
		}
		c.now = c.now.Add(24 * time.Hour)
		if err := c.Sweep(t.Context()); err != nil || len(rows()) != 6 {
			t.Errorf("after a day: %v (%v)", rows(), err)
		}
		c.now = c.now.Add(time.Microsecond)
		if err := c.Sweep(t.Context()); err != nil || len(rows()) != 1 || c.failures(subject) != 1 {
			t.Errorf("after more than a day: %v (%v)", rows(), err)
		}
	})
}
