package secret

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
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

// Hasher computes argon2id in a bounded number of slots, so that memory is base plus slots times Cost.Memory however many people
// sign in at once. Who waits longer than the queue allows is told to come back.
type Hasher struct {
	cost    Cost
	slots   chan struct{}
	queue   chan struct{}
	count   atomic.Int64
	dummy   string
	waiting time.Duration
}

// NewHasher returns a pool with that many slots, which should be the number of cores.
func NewHasher(cost Cost, slots int) *Hasher {
	h := &Hasher{cost: cost, slots: make(chan struct{}, slots), queue: make(chan struct{}, 2000), waiting: 15 * time.Second}
	// A hash of nothing known, so that an unknown account costs one computation too. Its salt is random, its key is too.
	var salt, key [32]byte
	_, _ = rand.Read(salt[:])
	_, _ = rand.Read(key[:])
	h.dummy = phc(cost, salt[:16], key[:])
	return h
}

// Count returns how many computations were made. Tests compare it between answers that must be alike.
func (h *Hasher) Count() int64 { return h.count.Load() }

// Hash returns the PHC string of a password with a new salt. The error is a Limited refusal when the pool is overrun.
func (h *Hasher) Hash(ctx context.Context, password Text) (string, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	key, err := h.compute(ctx, password, salt[:], h.cost, 32, nil)
	if err != nil {
		return "", err
	}
	return phc(h.cost, salt[:], key), nil
}

// Verify compares a password with a PHC string. An empty PHC string costs the same and never matches. rehash tells that the hash
// was made with other parameters than today's. check, unless it is nil, is asked once a slot is free, just before the computation;
// its error is returned.
func (h *Hasher) Verify(ctx context.Context, password Text, stored string, check func() error) (ok, rehash bool, err error) {
	known := stored != ""
	if !known {
		stored = h.dummy
	}
	cost, salt, want, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	key, err := h.compute(ctx, password, salt, cost, uint32(len(want)), check)
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(key, want) == 1 && known
	return ok, cost != h.cost, nil
}

func (h *Hasher) compute(ctx context.Context, password Text, salt []byte, c Cost, length uint32, check func() error) ([]byte, error) {
	select {
	case h.queue <- struct{}{}:
		defer func() { <-h.queue }()
	default:
		return nil, refusal.Wait(10 * time.Second)
	}
	timer := time.NewTimer(h.waiting)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-timer.C:
		return nil, refusal.Wait(10 * time.Second)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if check != nil {
		if err := check(); err != nil {
			return nil, err
		}
	}
	h.count.Add(1)
	return argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, length), nil
}

// phc writes the string form of the Password Hashing Competition, as the argon2 reference implementation does.
func phc(c Cost, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$%s$%s$%s", argon2.Version, c,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

func parsePHC(s string) (c Cost, salt, key []byte, err error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v=19" {
		return c, nil, nil, errors.New("secret: not an argon2id hash")
	}
	if c, err = ParseCost(part[3]); err != nil {
		return c, nil, nil, err
	}
	if salt, err = base64.RawStdEncoding.DecodeString(part[4]); err != nil {
		return c, nil, nil, err
	}
	key, err = base64.RawStdEncoding.DecodeString(part[5])
	if err == nil && (len(key) < 16 || len(salt) < 8) {
		err = errors.New("secret: argon2id hash too short")
	}
	return c, salt, key, err
}
