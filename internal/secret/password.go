package secret

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"doorward/internal/refusal"
)

// Cost says how much one argon2id computation takes (RFC 9106 section 3.1).
type Cost struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8  // lanes
}

// ParseCost reads a setting such as "m=19456,t=2,p=1". The error says what is wrong with it.
func ParseCost(s string) (Cost, error) {
	c := Cost{}
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return c, fmt.Errorf("argon2: %q is not like m=19456,t=2,p=1", s)
		}
		switch name {
		case "m":
			c.Memory = uint32(n)
		case "t":
			c.Time = uint32(n)
		case "p":
			c.Threads = uint8(min(n, 255))
		default:
			return c, fmt.Errorf("argon2: %q is not one of m, t, p", name)
		}
	}
	if c.Memory < 8*uint32(max(c.Threads, 1)) || c.Memory > 1<<21 || c.Time < 1 || c.Time > 64 || c.Threads < 1 || c.Threads > 16 {
		return c, fmt.Errorf("argon2: %q is out of range (m 8 to 2097152 KiB, t 1 to 64, p 1 to 16)", s)
	}
	return c, nil
}

func (c Cost) String() string { return fmt.Sprintf("m=%d,t=%d,p=%d", c.Memory, c.Time, c.Threads) }

// The sizes of salt and key in our own hashes, in bytes (RFC 9106 section 4).
const (
	saltSize = 16
	keySize  = 32
)

// Hasher computes argon2id in a bounded number of slots, so that memory is base plus slots times Cost.Memory however many people
// sign in at once; a hash that was imported takes what it was made with, within the bounds of CheckHash. Who waits longer than the queue allows is told to come back.
type Hasher struct {
	cost    Cost
	slots   chan struct{}
	queue   chan struct{}
	count   atomic.Int64
	dummy   string
	waiting time.Duration
}

// mostWaiting is how many computations may wait for a slot, longestWait how long: 2 cores make 2,000 in 20 s.
const (
	mostWaiting = 2000
	longestWait = 30 * time.Second
)

// NewHasher returns a pool with that many slots, which should be the number of cores.
func NewHasher(cost Cost, slots int) *Hasher {
	h := &Hasher{cost: cost, slots: make(chan struct{}, slots), queue: make(chan struct{}, mostWaiting), waiting: longestWait}
	// A hash of nothing known, so that an unknown account costs one computation too. Its salt is random, its key is too.
	var salt [saltSize]byte
	var key [keySize]byte
	_, _ = rand.Read(salt[:])
	_, _ = rand.Read(key[:])
	h.dummy = phc(cost, salt[:], key[:])
	return h
}

// MakeRoom lets the process run half as many threads more than it has slots. A computation holds its thread for some 20 ms, and Go takes a
// thread away from whoever holds it after 10 ms only: where all of them hash, a request that needs 0.1 ms stands behind hashes several times.
// With more threads than cores the kernel shares the cores, at once and in favour of who waited. Still more threads cost the hashes more than
// they gain the others. Call it where requests are served.
func (h *Hasher) MakeRoom() {
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), cap(h.slots)+(cap(h.slots)+1)/2))
}

// Count returns how many computations were made. Tests compare it between answers that must be alike.
func (h *Hasher) Count() int64 { return h.count.Load() }

// Cost returns what a computation takes.
func (h *Hasher) Cost() Cost { return h.cost }

// Key returns the bare argon2id key of a code under a salt, 32 bytes: for sets of codes that share one. It waits for a slot like all others.
func (h *Hasher) Key(ctx context.Context, code Text, salt []byte, c Cost) ([]byte, error) {
	return h.compute(ctx, code, salt, c, keySize, nil)
}

// Hash returns the PHC string of a password with a new salt. The error is a Limited refusal when the pool is overrun.
func (h *Hasher) Hash(ctx context.Context, password Text) (string, error) {
	var salt [saltSize]byte
	_, _ = rand.Read(salt[:])
	key, err := h.compute(ctx, password, salt[:], h.cost, keySize, nil)
	if err != nil {
		return "", err
	}
	return phc(h.cost, salt[:], key), nil
}

// Verify compares a password with its hash, ours or one of the kinds that CheckHash lists. An empty hash costs one computation of ours
// and never matches. rehash tells that the hash was made in another way than ours are today. check, unless it is nil, is asked once a
// slot is free, just before the computation; its error is returned.
func (h *Hasher) Verify(ctx context.Context, password Text, hash string, check func() error) (ok, rehash bool, err error) {
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	s, err := readHash(hash)
	if err != nil {
		return false, false, err
	}
	err = h.inSlot(ctx, check, func() (err error) {
		ok, err = s.fits([]byte(password))
		return err
	})
	return ok && known && err == nil, s.cost != h.cost, err
}

func (h *Hasher) compute(ctx context.Context, password Text, salt []byte, c Cost, length uint32, check func() error) (key []byte, err error) {
	err = h.inSlot(ctx, check, func() error {
		key = argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, length)
		return nil
	})
	return key, err
}

// inSlot runs one computation as soon as a slot is free.
func (h *Hasher) inSlot(ctx context.Context, check, computation func() error) error {
	select {
	case h.queue <- struct{}{}:
		defer func() { <-h.queue }()
	default:
		return refusal.Wait(10 * time.Second)
	}
	timer := time.NewTimer(h.waiting)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-timer.C:
		return refusal.Wait(10 * time.Second)
	case <-ctx.Done():
		return ctx.Err()
	}
	if check != nil {
		if err := check(); err != nil {
			return err
		}
	}
	h.count.Add(1)
	return computation()
}

// phc writes the string form of the Password Hashing Competition, as the argon2 reference implementation does.
func phc(c Cost, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$%s$%s$%s", argon2.Version, c,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}
