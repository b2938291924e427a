package account_test

import (
	"fmt"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// reset asks for a reset link of someone in fabrikam and takes it out of the mail.
func (w *town) reset(email string) secret.Text {
	w.Helper()
	w.clock.Move(time.Millisecond)
	w.must(w.Directory.Forgot(w.Context(), w.fabrikam, email, here))
	var token secret.Text
	w.deliverAll(func(m outbox.Message) {
		if d, ok := m.Data.(outbox.Reset); ok {
			token = secret.Text(d.Token)
		}
	})
	if token == "" {
		w.Fatal("no reset link was mailed")
	}
	return token
}

// An activation makes the account active once, and says so; any link after it is dead.
func TestActivateAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		other := doortest.Node(t, w.Settings, w.clock)
		a, token := w.invite(w.fabrikam, "new@x.example", access.Core)
		var fns []func() error
		for i := range 20 {
			dir := []*account.Directory{w.Directory, other.Directory}[i%2]
			password := secret.Text(fmt.Sprintf("a passphrase of mine %d", i))
			fns = append(fns, func() error {
				_, err := dir.Use(t.Context(), account.Activate, token, password, password, here)
				return err
			})
		}
		used := 0
		for _, err := range atOnce(fns...) {
			switch {
			case err == nil:
				used++
			case !refusal.Is(err, refusal.Expired):
				t.Error(err)
			}
		}
		if used != 1 || w.state(w.fabrikam, a) != account.Active || w.events(w.fabrikam, audit.AccountActivated, audit.Done) != 2 { // bea's, and this one
			t.Errorf("used %d times, account %s", used, w.state(w.fabrikam, a))
		}
		op, err := w.Directory.Open(t.Context(), account.Activate, token)
		if err != nil || op.Good || !op.Done {
			t.Errorf("opened after use: good %v, done %v (%v)", op.Good, op.Done, err)
		}
		if factors, err := factor.List(w.DB.Read(t.Context()), a); err != nil || len(factors) != 1 || factors[0].Kind != factor.Password {
			t.Errorf("factors %+v (%v)", factors, err)
		}
		if got := w.find(w.fabrikam, a); !got.LinkUsed.Equal(w.Now()) || !got.Activated.Equal(w.Now()) {
			t.Errorf("account %+v", got)
		}
	})
}

// When a link dies: by its time, by a newer one, by what happens to its account. Opening one changes nothing.
func TestLinkDies(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		w.must(w.Directory.SetSeats(t.Context(), w.ada, w.fabrikam.ID, 50))
		dead := func(name string, p account.Purpose, token secret.Text) {
			t.Helper()
			if w.good(token, p) {
				t.Errorf("%s: the link is still good", name)
			}
			if _, err := w.Directory.Use(t.Context(), p, token, doortest.Password, doortest.Password, here); !refusal.Is(err, refusal.Expired) {
				t.Errorf("%s: the link is used: %v", name, err)
			}
		}
		_, late := w.invite(w.fabrikam, "late@x.example")
		w.clock.Move(48*time.Hour - time.Microsecond)
		for range 5 {
			if !w.good(late, account.Activate) {
				t.Error("an invitation dies before 48 hours")
			}
		}
		w.clock.Move(time.Microsecond)
		dead("after 48 hours", account.Activate, late)

		pending, first := w.invite(w.fabrikam, "pending@x.example")
		second, err := w.Directory.Resend(t.Context(), doortest.Operator(), w.fabrikam.ID, pending)
		w.must(err)
		dead("after a newer one", account.Activate, first)
		if token, err := w.Directory.Resend(t.Context(), w.actor(w.fabrikam, w.bea.Account), w.fabrikam.ID, pending); token != "" || err != nil {
			t.Errorf("who resends is told %q (%v)", token, err)
		}
		dead("after the inviter's newer one", account.Activate, second)
		if n := w.mails(pending, outbox.KindInvite); n != 1 {
			t.Errorf("%d invitations wait to be mailed", n)
		}

		off, token := w.invite(w.fabrikam, "off@x.example")
		w.must(w.Directory.Disable(t.Context(), w.actor(w.fabrikam, w.bea.Account), w.fabrikam.ID, off))
		dead("while disabled", account.Activate, token)
		w.must(w.Directory.Enable(t.Context(), w.actor(w.fabrikam, w.bea.Account), w.fabrikam.ID, off))
		dead("after being disabled and enabled", account.Activate, token)

		ann := w.person(w.fabrikam, "ann@x.example", access.Core)
		older := w.reset("ann@x.example")
		newer := w.reset("ann@x.example")
		dead("an older reset", account.Reset, older)
		w.clock.Move(time.Hour - time.Microsecond)
		if !w.good(newer, account.Reset) {
			t.Error("a reset dies before an hour")
		}
		w.clock.Move(time.Microsecond)
		dead("a reset after an hour", account.Reset, newer)
		last := w.reset("ann@x.example")
		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := revoke.Subject(tx, w.Now(), revoke.Account, ann.Account)
			return err
		}))
		dead("after its account was revoked", account.Reset, last)
		w.clock.Move(time.Hour)
		last = w.reset("ann@x.example")
		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := revoke.Subject(tx, w.Now(), revoke.Org, w.fabrikam.ID)
			return err
		}))
		dead("after its organisation was revoked", account.Reset, last)

		w.clock.Move(time.Hour)
		last = w.reset("ann@x.example")
		seq, err := revoke.Head(w.DB.Read(t.Context()))
		w.must(err)
		if _, err := w.Directory.Use(t.Context(), account.Reset, last, "short", "short", here); refusal.As(err) == nil || refusal.As(err).Field != "new_password" {
			t.Errorf("a bad password: %v", err)
		}
		if _, err := w.Directory.Use(t.Context(), account.Reset, last, doortest.Password, "something else", here); refusal.As(err) == nil || refusal.As(err).Field != "confirm_password" {
			t.Errorf("two passwords: %v", err)
		}
		if !w.good(last, account.Reset) {
			t.Error("a mistyped password spends the link")
		}
		if _, err := w.Directory.Use(t.Context(), account.Reset, last, "another fine passphrase 9", "another fine passphrase 9", here); err != nil {
			t.Error(err)
		}
		dead("after use", account.Reset, last)
		if void, err := revoke.Since(w.DB.Read(t.Context()), ann.Account, w.fabrikam.ID, seq); err != nil || !void {
			t.Errorf("what was signed in before a reset stays: %v", err)
		}
		if w.mails(ann.Account, outbox.KindPasswordChanged) != 1 {
			t.Error("the person is not told of the new password")
		}
	})
}

// What a stranger can cause: three mails an hour for one account, thirty for one address; the answer is the same for everybody.
func TestMailLimits(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		ann := w.person(w.fabrikam, "ann@x.example", access.Core)
		pending, token := w.invite(w.fabrikam, "pending@x.example")
		off := w.person(w.fabrikam, "off@x.example")
		w.must(w.Directory.Disable(t.Context(), w.bea, w.fabrikam.ID, off.Account))
		count := func(fn func() error) (mails int) {
			t.Helper()
			for i := range 6 {
				w.clock.Move(time.Second)
				if err := fn(); err != nil {
					t.Errorf("time %d: %v", i+1, err)
				}
				w.deliverAll(func(outbox.Message) { mails++ })
			}
			return mails
		}
		w.deliverAll(nil)
		from := func(i int) access.Client { return access.Client{Address: fmt.Sprintf("192.0.2.%d", i)} }
		for name, row := range map[string]struct {
			fn   func() error
			want int
		}{
			"active":                  {func() error { return w.Directory.Forgot(t.Context(), w.fabrikam, " ANN@x.example", from(1)) }, 3},
			"invited":                 {func() error { return w.Directory.Forgot(t.Context(), w.fabrikam, "pending@x.example", from(2)) }, 3},
			"disabled":                {func() error { return w.Directory.Forgot(t.Context(), w.fabrikam, "off@x.example", from(3)) }, 0},
			"unknown":                 {func() error { return w.Directory.Forgot(t.Context(), w.fabrikam, "nobody@x.example", from(4)) }, 0},
			"of another organisation": {func() error { return w.Directory.Forgot(t.Context(), w.tailspin, "ann@x.example", from(5)) }, 0},
			"no organisation": {func() error {
				return w.Directory.Forgot(t.Context(), org.Org{Slug: "nobody"}, "ann@x.example", from(6))
			}, 0},
			"asked again, at its limit": {func() error {
				_, err := w.Directory.AskAgain(t.Context(), "dwa_never", from(7))
				return err
			}, 0},
		} {
			if got := count(row.fn); got != row.want {
				t.Errorf("%s: %d mails, want %d", name, got, row.want)
			}
		}
		w.clock.Move(time.Hour)
		if got := count(func() error { _, err := w.Directory.AskAgain(t.Context(), token, from(8)); return err }); got != 3 || w.state(w.fabrikam, pending) != account.Invited {
			t.Errorf("asked again with an old link: %d mails", got)
		}
		limited := 0
		for i := range 40 {
			if err := w.Directory.Forgot(t.Context(), w.fabrikam, fmt.Sprintf("n%d@x.example", i), from(9)); refusal.Is(err, refusal.Limited) {
				limited++
			} else if err != nil {
				t.Error(err)
			}
		}
		if limited != 10 {
			t.Errorf("%d of 40 requests of one address had to wait", limited)
		}
		// An organisation that is suspended mails nobody.
		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := access.SetState(tx, w.fabrikam.ID, access.Active, access.Suspended)
			return err
		}))
		w.fabrikam.State = access.Suspended
		w.clock.Move(time.Hour)
		if got := count(func() error { return w.Directory.Forgot(t.Context(), w.fabrikam, "ann@x.example", from(10)) }); got != 0 {
			t.Errorf("a suspended organisation sends %d mails", got)
		}
		if w.state(w.fabrikam, ann.Account) != account.Active {
			t.Error("asking for a reset changes the account")
		}
	})
}
