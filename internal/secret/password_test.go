package secret_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/internal/secret"
)

var cheap = secret.Cost{Memory: 64, Time: 1, Threads: 1}

func TestParseCost(t *testing.T) {
	for text, want := range map[string]secret.Cost{
		"m=19456,t=2,p=1":    {Memory: 19456, Time: 2, Threads: 1},
		"t=1,p=1,m=8":        {Memory: 8, Time: 1, Threads: 1},
		"m=128,t=64,p=16":    {Memory: 128, Time: 64, Threads: 16},
		"m=2097152,t=64,p=1": {Memory: 2097152, Time: 64, Threads: 1},
	} {
		got, err := secret.ParseCost(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if back, err := secret.ParseCost(got.String()); err != nil || back != want {
			t.Errorf("%s written as %s: %v, %v", text, got, back, err)
		}
	}
	for _, text := range []string{"", "m=19456", "m=19456,t=2", "m=7,t=1,p=1", "m=127,t=1,p=16", "m=2097153,t=1,p=1", "m=64,t=0,p=1", "m=64,t=65,p=1",
		"m=64,t=1,p=0", "m=512,t=1,p=17", "m=512,t=1,p=257", "m=64,t=1,p=1,x=1", "m=-1,t=1,p=1", "m=4294967296,t=1,p=1", "m = 64,t=1,p=1", "19456,2,1"} {
		if c, err := secret.ParseCost(text); err == nil {
			t.Errorf("%q gives %v", text, c)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than one line: %v", text, err)
		}
	}
}

func TestHash(t *testing.T) {
	h := secret.NewHasher(cheap, 2)
	stored, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("not a PHC string: %s", stored)
	}
	if again, err := h.Hash(t.Context(), "correct horse"); err != nil || again == stored {
		t.Errorf("the salt repeats, %v", err)
	}
	if ok, rehash, err := h.Verify(t.Context(), "correct horse", stored, nil); !ok || rehash || err != nil {
		t.Errorf("right password: %v %v %v", ok, rehash, err)
	}
	for _, wrong := range []secret.Text{"", "correct horse ", "Correct horse", "correct hors"} {
		if ok, _, err := h.Verify(t.Context(), wrong, stored, nil); ok || err != nil {
			t.Errorf("%q: %v %v", string(wrong), ok, err)
		}
	}
	dearer := secret.NewHasher(secret.Cost{Memory: 128, Time: 1, Threads: 1}, 2)
	if ok, rehash, err := dearer.Verify(t.Context(), "correct horse", stored, nil); !ok || !rehash || err != nil {
		t.Errorf("older cost: %v %v %v, want true true", ok, rehash, err)
	}
}

// The example of the argon2 reference implementation's documentation.
func TestVerifyForeignHash(t *testing.T) {
	h := secret.NewHasher(cheap, 1)
	const stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, rehash, err := h.Verify(t.Context(), "password", stored, nil); !ok || !rehash || err != nil {
		t.Errorf("%v %v %v, want true true", ok, rehash, err)
	}
}

func TestVerifyWhatIsNoHash(t *testing.T) {
	h := secret.NewHasher(cheap, 1)
	for _, stored := range []string{"x", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", "$argon2d$v=19$m=64,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
		"$argon2id$v=18$m=64,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA", "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
		"$argon2id$v=19$m=64,t=1,p=1$!$c29tZXNhbHRzb21lc2FsdA", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$", "$argon2id$v=19$m=64,t=1,p=1$$c29tZXNhbHRzb21lc2FsdA"} {
		if ok, _, err := h.Verify(t.Context(), "", stored, nil); ok || err == nil {
			t.Errorf("%s: %v %v", stored, ok, err)
		}
	}
}

// An account that does not exist costs one computation, like one that does, and no password fits it.
func TestUnknownAccountCostsOne(t *testing.T) {
	h := secret.NewHasher(cheap, 2)
	stored, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{stored, ""} {
		before := h.Count()
		if ok, rehash, err := h.Verify(t.Context(), "wrong", hash, nil); ok || rehash || err != nil {
			t.Errorf("%q: %v %v %v", hash, ok, rehash, err)
		}
		if n := h.Count() - before; n != 1 {
			t.Errorf("%q: %d computations, want 1", hash, n)
		}
	}
	if ok, _, err := h.Verify(t.Context(), "", "", nil); ok || err != nil {
		t.Errorf("empty password, no account: %v %v", ok, err)
	}
}

// check is asked before the computation, and its refusal spares it.
func TestVerifyAsksFirst(t *testing.T) {
	h := secret.NewHasher(cheap, 1)
	no := errors.New("no")
	if _, _, err := h.Verify(t.Context(), "x", "", func() error { return no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if h.Count() != 0 {
		t.Error("computed all the same")
	}
}

// However many ask at once, no more than the slots compute: check runs inside a slot.
func TestParallelismIsBounded(t *testing.T) {
	const slots, callers = 3, 60
	h := secret.NewHasher(cheap, slots)
	var inside, most atomic.Int64
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			_, _, err := h.Verify(t.Context(), "x", "", func() error {
				n := inside.Add(1)
				defer inside.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(time.Millisecond)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := most.Load(); n != slots {
		t.Errorf("%d at once, want %d", n, slots)
	}
	if h.Count() != callers {
		t.Errorf("%d computations, want %d", h.Count(), callers)
	}
}

// Who hangs up while waiting for a slot leaves the queue.
func TestWaitingEndsWithTheContext(t *testing.T) {
	h := secret.NewHasher(cheap, 1)
	held, release := make(chan struct{}), make(chan struct{})
	go func() {
		_, _, _ = h.Verify(context.Background(), "x", "", func() error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCostOfTheDefault(t *testing.T) {
	c, err := secret.ParseCost("m=19456,t=2,p=1")
	if err != nil {
		t.Fatal(err)
	}
	h := secret.NewHasher(c, runtime.NumCPU())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := h.Hash(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used < 19456<<10 {
		t.Errorf("a hash took %d bytes of memory, want at least 19 MiB", used)
	}
}
