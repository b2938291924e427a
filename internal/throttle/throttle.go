// Package throttle owns the counters that slow guessing down (security.md, "Numbers"). A try at someone's factor is counted before the
// comparison; a success clears the count. Where comparing takes time, the count is committed before, in a transaction of its own (Take); where it takes
// none, the counter's row is the lock that the next try waits for (TakeIn).
//
//	Take(subject) ── waits? ──> Limited refusal, nothing compared
//	   └─ counted ──> Blocked(address, organisation)? ──> compare ──> right: Clear(subject); wrong: Failed(address, organisation)
//
// The counts of addresses and organisations are of failures alone, so that an office where everybody signs in at nine is not taken for
// an attacker. What runs at that moment may overshoot them by as many as the hash pool has slots.
package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Disable is after how many consecutive failures a factor is disabled until it is bound again (NIST SP 800-63B-4 section 3.2.2).
const Disable = 100

const (
	window       = 10 * time.Minute
	perAddress   = 50
	perOrg       = 500
	longestDelay = 15 * time.Minute
)

// Key names a counter.
type Key struct {
	text  string
	limit int64 // within the window; 0: consecutive failures with growing delays
	span  time.Duration
}

// Kind says of what the counter is: "address", "org", or what Subject and Requests were given.
func (k Key) Kind() string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(k.text, "requests:"), ":")
	return kind
}

// Limit is how much the counter takes within its window; 0 for one of consecutive failures.
func (k Key) Limit() int64 { return k.limit }

// Subject is the counter of consecutive failures of one account's factor, or of one unknown identifier.
func Subject(kind, id string) Key { return Key{text: kind + ":" + id} }

// Unknown is the counter of an identifier that finds no account in the organisation with that tenant domain.
func Unknown(slug, foldedIdentifier string) Key {
	h := sha256.Sum256([]byte(slug + "\x00" + foldedIdentifier))
	return Key{text: "unknown:" + hex.EncodeToString(h[:16])}
}

// Address is the counter of a client address: an IPv4 address, or an IPv6 network of 64 bits, which is what one client gets.
func Address(address string) Key {
	if ip, err := netip.ParseAddr(address); err == nil {
		ip = ip.Unmap()
		address = ip.String()
		if p, err := ip.Prefix(64); err == nil && ip.Is6() {
			address = p.String()
		}
	}
	return Key{text: "address:" + address, limit: perAddress, span: window}
}

// Org is the counter of an organisation; of one that does not exist, by the tenant domain that was asked for.
func Org(id, slug string) Key {
	if id == "" {
		h := sha256.Sum256([]byte(slug))
		id = hex.EncodeToString(h[:16])
	}
	return Key{text: "org:" + id, limit: perOrg, span: window}
}

// Requests is a counter of requests: at most limit within span.
func Requests(kind, id string, limit int, span time.Duration) Key {
	h := sha256.Sum256([]byte(id))
	return Key{text: "requests:" + kind + ":" + hex.EncodeToString(h[:16]), limit: int64(limit), span: span}
}

// Delay is the wait after the nth consecutive failure.
func Delay(n int64) time.Duration {
	if n < 5 {
		return 0
	}
	if n-5 > 20 {
		return longestDelay
	}
	return min(time.Second<<(n-5), longestDelay)
}

type counter struct {
	failures, blockedUntil, windowStart int64
}

// Gate counts tries.
type Gate struct {
	DB  *sqldb.DB
	Now func() time.Time
}

// Take counts one try on every key, or on none: when one of them has to wait, it returns a Limited refusal with the longest wait.
// failures is the count of the first key, this try included.
func (g Gate) Take(ctx context.Context, keys ...Key) (failures int64, err error) {
	err = g.DB.Write(ctx, func(tx sqldb.Tx) (err error) {
		failures, err = g.TakeIn(tx, keys...)
		return err
	})
	return failures, err
}

// TakeIn is Take in the caller's transaction, for requests that are counted together with what they do: its refusal has to roll that back, for
// who is told to wait has not tried. What is rolled back was not compared: a wrong answer has to commit.
func (g Gate) TakeIn(tx sqldb.Tx, keys ...Key) (failures int64, err error) {
	us := sqldb.Micros(g.Now())
	var wait time.Duration
	for _, k := range ordered(keys) {
		// The statement takes the row's lock as it counts, so that parallel tries queue here. A window that is over begins anew; consecutive failures
		// have none, and for them nothing lies before $3.
		over := int64(-1)
		if k.limit > 0 {
			over = us - k.span.Microseconds()
		}
		c, err := sqldb.One(tx, func(row sqldb.Row) (c counter, err error) {
			return c, row(&c.failures, &c.blockedUntil, &c.windowStart)
		}, `insert into throttles (key, failures, blocked_until, window_start, updated_at) values ($1, 1, 0, $2, $2) on conflict (key) do update set
			failures = case when throttles.window_start <= $3 then 1 else throttles.failures + 1 end,
			window_start = case when throttles.window_start <= $3 then $2 else throttles.window_start end, updated_at = $2
			returning failures, blocked_until, window_start`, k.text, us, over)
		if err != nil {
			return 0, err
		}
		if k.text == keys[0].text {
			failures = c.failures
		}
		switch {
		case k.limit > 0 && c.failures > k.limit:
			wait = max(wait, time.Duration(c.windowStart-over)*time.Microsecond)
		case k.limit == 0 && c.blockedUntil > us:
			wait = max(wait, time.Duration(c.blockedUntil-us)*time.Microsecond)
		case k.limit == 0 && Delay(c.failures) > 0:
			if _, err := tx.Exec(`update throttles set blocked_until = $1 where key = $2`, us+Delay(c.failures).Microseconds(), k.text); err != nil {
				return 0, err
			}
		}
	}
	if wait > 0 {
		return failures, refusal.Wait(wait)
	}
	return failures, nil
}

// ordered returns the keys in the order in which everybody locks their rows.
func ordered(keys []Key) []Key {
	return slices.SortedFunc(slices.Values(keys), func(a, b Key) int { return strings.Compare(a.text, b.text) })
}

// Clear resets a counter of consecutive failures after a success.
func Clear(tx sqldb.Tx, k Key) error {
	_, err := tx.Exec(`update throttles set failures = 0, blocked_until = 0 where key = $1`, k.text)
	return err
}

// Blocked returns a Limited refusal when one of the counters of failures within a window is full.
func (g Gate) Blocked(tx sqldb.Tx, keys ...Key) error {
	us := sqldb.Micros(g.Now())
	byText, marks, args := map[string]Key{}, []string{}, []any{}
	for i, k := range keys {
		byText[k.text], marks, args = k, append(marks, "$"+strconv.Itoa(i+1)), append(args, k.text)
	}
	waits, err := sqldb.All(tx, func(row sqldb.Row) (time.Duration, error) {
		var text string
		var c counter
		err := row(&text, &c.failures, &c.windowStart)
		k := byText[text]
		if c.failures < k.limit {
			return 0, err
		}
		return time.Duration(c.windowStart+k.span.Microseconds()-us) * time.Microsecond, err
	}, `select key, failures, window_start from throttles where key in (`+strings.Join(marks, ", ")+`)`, args...)
	if err != nil || len(waits) == 0 {
		return err
	}
	if wait := slices.Max(waits); wait > 0 {
		return refusal.Wait(wait)
	}
	return nil
}

// Failed counts a failure on counters within a window. It returns those that this very failure filled, which happens once in a window: what there
// is to tell of them is told then.
func Failed(tx sqldb.Tx, now time.Time, keys ...Key) (full []Key, err error) {
	us := sqldb.Micros(now)
	for _, k := range ordered(keys) {
		failures, err := sqldb.One(tx, sqldb.Value[int64], `insert into throttles (key, failures, blocked_until, window_start, updated_at)
			values ($1, 1, 0, $2, $2) on conflict (key) do update set updated_at = $2,
			failures = case when throttles.window_start > $3 then throttles.failures + 1 else 1 end,
			window_start = case when throttles.window_start > $3 then throttles.window_start else $2 end returning failures`,
			k.text, us, us-k.span.Microseconds())
		if err != nil {
			return nil, err
		}
		if failures == k.limit {
			full = append(full, k)
		}
	}
	return full, nil
}

// Failures returns the count of a key.
func Failures(tx sqldb.Tx, k Key) (int64, error) {
	return sqldb.One(tx, sqldb.Value[int64], `select coalesce(max(failures), 0) from throttles where key = $1`, k.text)
}

// Waiting returns how long tries on a counter of consecutive failures still have to wait; 0 when they need not.
func Waiting(tx sqldb.Tx, now time.Time, k Key) (time.Duration, error) {
	until, err := sqldb.One(tx, sqldb.Value[int64], `select coalesce(max(blocked_until), 0) from throttles where key = $1`, k.text)
	return max(0, time.Duration(until-sqldb.Micros(now))*time.Microsecond), err
}

// Sweep deletes counters that no longer say anything. Counts of consecutive failures of real accounts stay, whatever their age.
func (g Gate) Sweep(ctx context.Context) error {
	old := sqldb.Micros(g.Now().Add(-24 * time.Hour))
	return g.DB.Write(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`delete from throttles where updated_at < $1 and (failures = 0 or key like 'unknown:%'
			or key like 'address:%' or key like 'org:%' or key like 'requests:%')`, old)
		return err
	})
}
