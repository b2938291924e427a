package revoke_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/revoke"
	"doorward/internal/sqldb"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func TestSince(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		ann, bob := id.New[id.Account](now), id.New[id.Account](now)
		fabrikam, tailspin := id.New[id.Org](now), id.New[id.Org](now)
		head := func() int64 {
			t.Helper()
			n, err := revoke.Head(db.Read(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		void := func(a id.Account, o id.Org, seq int64) bool {
			t.Helper()
			v, err := revoke.Since(db.Read(t.Context()), a, o, seq)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		start := head()
		if void(ann, fabrikam, start) || void(ann, fabrikam, 0) {
			t.Error("something is void before anything was revoked")
		}
		var seq int64
		revokeNow := func(fn func(tx sqldb.Tx) (int64, error)) {
			t.Helper()
			if err := db.Write(t.Context(), func(tx sqldb.Tx) (err error) { seq, err = fn(tx); return err }); err != nil {
				t.Fatal(err)
			}
		}
		revokeNow(func(tx sqldb.Tx) (int64, error) { return revoke.Subject(tx, now, revoke.Account, ann) })
		if seq != start+1 || head() != seq {
			t.Errorf("number %d after %d, head %d", seq, start, head())
		}
		if !void(ann, fabrikam, start) || void(ann, fabrikam, seq) || void(bob, fabrikam, start) {
			t.Error("what was made before is good, what was made after is void, or somebody else's is")
		}
		before := head()
		revokeNow(func(tx sqldb.Tx) (int64, error) { return revoke.Subject(tx, now, revoke.Org, fabrikam) })
		if !void(ann, fabrikam, before) || !void(bob, fabrikam, before) || void(bob, tailspin, before) || void(ann, fabrikam, head()) {
			t.Error("an organisation's people, or another one's")
		}
		revokeNow(func(tx sqldb.Tx) (int64, error) { return revoke.Subject(tx, now, revoke.Account, ann) }) // again
		if !void(ann, fabrikam, seq-1) || void(ann, fabrikam, seq) {
			t.Error("revoked a second time")
		}
		// An account with the id of an organisation is not that organisation.
		revokeNow(func(tx sqldb.Tx) (int64, error) { return revoke.Subject(tx, now, revoke.Account, id.Account(tailspin)) })
		if void(bob, tailspin, seq-1) {
			t.Error("kinds are mixed up")
		}
	})
}

// Numbers are given in the order in which they become visible: whoever has read the head and then sees nothing newer has missed nothing.
func TestOrder(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		db := doortest.DB(t, d)
		const n = 40
		var mu sync.Mutex
		var given []int64
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				var seq int64
				if err := db.Write(t.Context(), func(tx sqldb.Tx) (err error) {
					seq, err = revoke.Subject(tx, now, revoke.Account, id.New[id.Account](now))
					return err
				}); err != nil {
					t.Error(err)
				}
				if head, err := revoke.Head(db.Read(t.Context())); err != nil || head < seq {
					t.Errorf("head %d behind %d (%v)", head, seq, err)
				}
				visible, err := sqldb.One(db.Read(t.Context()), sqldb.Value[int64], `select count(*) from revocations where seq <= $1`, seq)
				if err != nil || visible != seq-1 { // the first number given is 2
					t.Errorf("%d numbers are visible beside %d (%v)", visible, seq, err)
				}
				mu.Lock()
				defer mu.Unlock()
				given = append(given, seq)
			})
		}
		wg.Wait()
		slices.Sort(given)
		if len(slices.Compact(given)) != n {
			t.Errorf("numbers %v", given)
		}
	})
}
