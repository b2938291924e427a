package server_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// command opens the same database and key file once more, as a command beside the running server does.
func command(t *testing.T, w *doortest.World) *server.House {
	t.Helper()
	h, err := server.Open(t.Context(), w.Settings, w.Clock.Now, slog.New(slog.DiscardHandler), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// sealedWith returns the keys that an organisation's factors are sealed with, in the order of the factors.
func sealedWith(t *testing.T, w *doortest.World, email string) string {
	t.Helper()
	box, err := sqldb.One(w.DB.Read(t.Context()), sqldb.Value[[]byte], `select f.box from factors f join accounts a on a.id = f.account_id
		where a.email_key = $1 and f.kind = 'totp'`, email)
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := secret.KeyOf(box)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A key is exchanged while the server runs: nobody notices, and nothing is sealed with the old key once the new one seals.
func TestKeyExchange(t *testing.T) {
	doortest.On(t, func(t *testing.T, w *doortest.World) {
		f, _ := w.Found()
		o := w.Org(access.Customer, f.Org.ID, "fabrikam", "Fabrikam")
		ann := w.Enrol(o, "ann@fabrikam.example", access.Administrator)
		h := command(t, w)
		old := h.Vault.Sealing()

		fresh, err := h.AddKey(t.Context(), doortest.Operator())
		if err != nil {
			t.Fatal(err)
		}
		if h.Vault.Sealing() != old {
			t.Error("the new key seals before it was told to")
		}
		if err := h.RetireKey(t.Context(), doortest.Operator(), old); err == nil {
			t.Fatal("the sealing key was retired")
		}
		r, err := h.Reseal(t.Context(), doortest.Operator(), "")
		if err != nil {
			t.Fatal(err)
		}
		if r.Key != fresh || r.Factors != 1 {
			t.Errorf("resealed %+v, want one factor with %s", r, fresh)
		}
		if got := sealedWith(t, w, ann.Email); got != fresh {
			t.Errorf("the factor is sealed with %s, want %s", got, fresh)
		}
		// The server was not told, and has opened nothing that the new key sealed.
		w.Enrol(o, "bob@fabrikam.example", access.Core)
		if got := sealedWith(t, w, "bob@fabrikam.example"); got != fresh {
			t.Errorf("the running server sealed with %s, want %s", got, fresh)
		}
		if err := h.RetireKey(t.Context(), doortest.Operator(), old); err != nil {
			t.Fatal(err)
		}
		w.Browser().SignIn(ann)
		if n := w.Count(`select count(*) from key_checks where key_id = $1`, old); n != 0 {
			t.Error("the retired key is still asked for at start")
		}
		if n := w.Count(`select count(*) from key_checks where key_id = $1`, fresh); n != 1 {
			t.Error("the sealing key has no canary")
		}
		for _, action := range []string{"key.added", "key.resealed", "key.retired"} {
			if n := w.Events(f.Org.ID, action); n != 1 {
				t.Errorf("%d events %s, want 1", n, action)
			}
		}
	})
}

// A mailed code is not sealed anew: the key stays until the sign-in is over.
func TestRetireKeyWaitsForSignIns(t *testing.T) {
	doortest.On(t, func(t *testing.T, w *doortest.World) {
		f, _ := w.Found()
		o := w.Org(access.Customer, f.Org.ID, "fabrikam", "Fabrikam")
		ann := w.Activate(o, "ann@fabrikam.example", access.Core)
		w.Clock.Move(49 * time.Hour) // the link no longer vouches for the mailbox
		b := w.Browser()
		b.Password(ann).Want("login.mail-code")
		code := w.Mailbox.Wait(ann.Email, "mail-code", 1).Code()

		h := command(t, w)
		old := h.Vault.Sealing()
		if _, err := h.AddKey(t.Context(), doortest.Operator()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Reseal(t.Context(), doortest.Operator(), ""); err != nil {
			t.Fatal(err)
		}
		err := h.RetireKey(t.Context(), doortest.Operator(), old)
		if err == nil || !strings.Contains(err.Error(), "sign-in") {
			t.Fatalf("retired while a sign-in needs the key: %v", err)
		}
		b.Submit("code", code).Want("login.enrol")
		if err := h.RetireKey(t.Context(), doortest.Operator(), old); err != nil {
			t.Errorf("the code is spent: %v", err)
		}
	})
}

func TestKeysAreTheOperators(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	someone := access.Actor{Kind: access.AccountActor, Account: f.Account.ID, Org: f.Org.ID}
	if _, err := w.AddKey(t.Context(), someone); !refusal.Is(err, refusal.Forbidden) {
		t.Errorf("AddKey: %v", err)
	}
	if _, err := w.Reseal(t.Context(), someone, ""); !refusal.Is(err, refusal.Forbidden) {
		t.Errorf("Reseal: %v", err)
	}
	if err := w.RetireKey(t.Context(), someone, w.Vault.Sealing()); !refusal.Is(err, refusal.Forbidden) {
		t.Errorf("RetireKey: %v", err)
	}
}
