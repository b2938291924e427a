package factor_test

import (
	"fmt"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// someone is an account without a password in a house.
type someone struct {
	*server.House
	t  *testing.T
	id id.Account
	o  id.Org
}

func newSomeone(t *testing.T, d sqldb.Dialect) (someone, *doortest.Clock) {
	t.Helper()
	h, clock := doortest.House(t, d)
	f, err := h.Directory.Found(t.Context(), access.Operator("tester"), "Acme", "acme", "root@acme.example", "")
	if err != nil {
		t.Fatal(err)
	}
	return someone{h, t, f.Account.ID, f.Org.ID}, clock
}

// set gives a new password, with that rule on the return of old ones.
func (s someone) set(password secret.Text, history int) {
	s.t.Helper()
	phc, err := s.Hasher.Hash(s.t.Context(), password)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(func(tx sqldb.Tx) error { return factor.SetPassword(tx, s.Now(), s.o, s.id, phc, history) })
}

func (s someone) write(fn func(tx sqldb.Tx) error) {
	s.t.Helper()
	if err := s.DB.Write(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// used returns which of the passwords 0 to last may not come again.
func (s someone) used(history, last int) (list []int) {
	s.t.Helper()
	for i := range last + 1 {
		err := factor.CheckUnused(s.t.Context(), s.Gate, s.Hasher, s.id, nth(i), history)
		switch r := refusal.As(err); {
		case err == nil:
		case r != nil && r.Key == "password.reused" && r.Field == "new_password":
			list = append(list, i)
		default:
			s.t.Fatal(err)
		}
	}
	return list
}

func nth(i int) secret.Text { return secret.Text(fmt.Sprintf("Pa\u0308ssword number %d", i)) }

func (s someone) remembered() int {
	s.t.Helper()
	list, err := factor.Remembered(s.DB.Read(s.t.Context()), s.id, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(list)
}

// As many old hashes are kept as the rule needs, no more, and as many are compared as it says now.
func TestPasswordHistory(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		s, clock := newSomeone(t, d)
		if got := s.used(24, 0); got != nil || s.Hasher.Count() != 0 {
			t.Errorf("without a password %v were used", got)
		}
		for i := range 6 {
			s.set(factor.Normalize(nth(i)), 3)
		}
		if n := s.remembered(); n != 3 {
			t.Errorf("%d are remembered, want 3", n)
		}
		for history, want := range map[int]string{0: "[]", -1: "[]", 1: "[5]", 2: "[4 5]", 3: "[3 4 5]", 24: "[3 4 5]"} {
			clock.Move(2 * time.Hour)
			if got := fmt.Sprint(s.used(history, 6)); got != want {
				t.Errorf("history %d: %s, want %s", history, got, want)
			}
		}

		// A disabled password counts, a rehash forgets nothing, and a looser rule does.
		clock.Move(2 * time.Hour)
		phc, f, err := factor.PasswordOf(s.DB.Read(t.Context()), s.id)
		if err != nil {
			t.Fatal(err)
		}
		s.write(func(tx sqldb.Tx) error { return factor.Rehash(tx, f, phc) })
		s.write(func(tx sqldb.Tx) error { _, err := factor.Disable(tx, f); return err })
		if got := fmt.Sprint(s.used(3, 6)); got != "[3 4 5]" {
			t.Errorf("after a rehash %s", got)
		}
		s.write(func(tx sqldb.Tx) error { return factor.Rehash(tx, id.New[id.Factor](clock.Now()), phc) }) // of a password that is gone
		s.set("another one", 1)
		if n := s.remembered(); n != 1 {
			t.Errorf("%d are remembered with history 1, want the present one", n)
		}
		s.set("yet another one", 0)
		if n := s.remembered(); n != 1 {
			t.Errorf("%d are remembered with history 0, want the present one", n)
		}
	})
}

// Who may choose a password cannot guess at the old ones for long, nor keep the hash slots busy.
func TestHistoryIsNoOracle(t *testing.T) {
	s, _ := newSomeone(t, sqldb.SQLite)
	s.set(nth(0), 2)
	s.set(nth(1), 2)
	before := s.Hasher.Count()
	tries := 0
	for ; tries < 100; tries++ {
		err := factor.CheckUnused(t.Context(), s.Gate, s.Hasher, s.id, "a guess", 2)
		if refusal.Is(err, refusal.Limited) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if tries != 20 || s.Hasher.Count()-before != 40 {
		t.Errorf("%d tries with %d computations, want 20 with 40", tries, s.Hasher.Count()-before)
	}
}

// CheckNew tells the faults in their order, and the list of stolen passwords after the common ones.
func TestCheckNewLooksAtTheList(t *testing.T) {
	b := list(t, "correct horse battery 7\npassword1234\nCafe\u0301 am Rand der Welt\nshort\n")
	for _, row := range []struct {
		typed, again secret.Text
		field, key   string
	}{
		{"correct horse battery 7", "correct horse battery 7", "new_password", "password.breached"},
		{"correct horse battery 7", "x", "new_password", "password.breached"},
		{"Caf\u00e9 am Rand der Welt", "Caf\u00e9 am Rand der Welt", "new_password", "password.breached"},
		{"Cafe\u0301 am Rand der Welt", "Cafe\u0301 am Rand der Welt", "new_password", "password.breached"},
		{"password1234", "password1234", "new_password", "password.too_common"},
		{"short", "short", "new_password", "password.too_short"},
		{"correct horse battery 8", "correct horse battery 9", "confirm_password", "password.differs"},
		{"correct horse battery 8", "correct horse battery 8", "", ""},
	} {
		err := factor.CheckNew(row.typed, row.again, 8, nil, b.Breached)
		if r := refusal.As(err); row.key == "" && err != nil || row.key != "" && (r == nil || r.Field != row.field || r.Key != row.key) {
			t.Errorf("%q: %v, want %s at %s", string(row.typed), err, row.key, row.field)
		}
	}
	if err := factor.CheckNew("correct horse battery 7", "correct horse battery 7", 8, nil, nil); err != nil {
		t.Errorf("without a list: %v", err)
	}
}
