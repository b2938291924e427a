package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/outbox"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// post is a house whose mails a test delivers.
type post struct {
	*testing.T
	*server.House
	clock *doortest.Clock
	org   id.Org
	to    id.Account

	mu   sync.Mutex
	sent map[id.Message]int
}

var errForGood = errors.New("no such mailbox")

func newPost(t *testing.T, d sqldb.Dialect) *post {
	t.Helper()
	h, clock := doortest.House(t, d)
	p := &post{T: t, House: h, clock: clock, org: id.New[id.Org](clock.Now()), to: id.New[id.Account](clock.Now()), sent: map[id.Message]int{}}
	p.answer(h.Queue, nil)
	return p
}

// answer makes a queue deliver with fn, counting what fn takes; nil takes everything.
func (p *post) answer(q *outbox.Queue, fn func(m outbox.Message) error) {
	q.Deliver = func(_ context.Context, m outbox.Message) error {
		if fn != nil {
			if err := fn(m); err != nil {
				return err
			}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.sent[m.ID]++
		return nil
	}
	q.Permanent = func(err error) bool { return errors.Is(err, errForGood) }
}

func (p *post) enqueue(d outbox.Data, life time.Duration) outbox.Message {
	p.Helper()
	p.clock.Move(time.Millisecond) // ids of one millisecond have no order
	if err := p.DB.Write(p.Context(), func(tx sqldb.Tx) error { return p.Queue.Enqueue(tx, p.org, p.to, d, life) }); err != nil {
		p.Fatal(err)
	}
	m, ok, err := outbox.Latest(p.DB.Read(p.Context()), p.to, d.Kind())
	if err != nil || !ok {
		p.Fatal(ok, err)
	}
	return m
}

func (p *post) work() int {
	p.Helper()
	n, err := p.Queue.Work(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return n
}

// row is how a message stands in the database; box tells whether any of its content is left.
func (p *post) row(m id.Message) (state outbox.State, tries int, due time.Time, lastError string, box []byte) {
	p.Helper()
	_, err := sqldb.One(p.DB.Read(p.Context()), func(row sqldb.Row) (int, error) {
		return 0, row(&state, &tries, sqldb.Time(&due), &lastError, &box)
	}, `select state, tries, due_at, last_error, box from outbox where id = $1`, m)
	if err != nil {
		p.Fatal(err)
	}
	return
}

func (p *post) failures() []audit.Event {
	p.Helper()
	list, err := audit.List(p.DB.Read(p.Context()), p.org, "", 100)
	if err != nil {
		p.Fatal(err)
	}
	return slices.DeleteFunc(list, func(e audit.Event) bool { return e.Action != audit.MailFailed })
}

var at = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Every kind of mail comes out of the box as it went in; while it waits it is sealed, and once it has left nothing of it stays.
func TestContent(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		for _, data := range []outbox.Data{
			&outbox.Invite{Inviter: "Ada", Roles: []string{"core"}, Token: "dwa_secret", Until: at},
			&outbox.Reset{Token: "dwr_secret", Until: at},
			&outbox.MailCode{Code: "271828", Until: at},
			&outbox.Setup{Token: "dwp_secret", Until: at, By: "Ada"},
			&outbox.PasswordChanged{At: at, NotMe: "dwn_secret"},
			&outbox.FactorAdded{Factor: "totp", Name: "phone", At: at, NotMe: "dwn_secret"},
			&outbox.FactorRemoved{Factors: []string{"totp"}, By: "Ada", Reason: "lost", At: at, NotMe: "dwn_secret"},
			&outbox.FactorDisabled{Factor: "totp", At: at, NotMe: "dwn_secret"},
			&outbox.RecoveryUsed{Left: 9, At: at, NotMe: "dwn_secret"},
			&outbox.NewDevice{Device: "Firefox, Android", Address: "192.0.2.7", At: at, NotMe: "dwn_secret"},
			&outbox.AccessCode{By: "Ada", Until: at, NotMe: "dwn_secret"},
			&outbox.AccountState{State: "deleting", By: "Ada", Until: at, At: at},
			&outbox.EmailConfirm{Old: "a@x.example", New: "b@x.example", By: "Ada", Token: "dwe_secret", Until: at},
			&outbox.EmailChanging{Old: "a@x.example", New: "b@x.example", By: "Ada", At: at, NotMe: "dwn_secret"},
			&outbox.EmailChanged{Old: "a@x.example", New: "b@x.example", At: at, NotMe: "dwn_secret"},
			&outbox.OrgState{State: "deleting", Organisation: "Fabrikam", By: "Ada", Reason: "x", Until: at, At: at},
			&outbox.MoveAsked{Customer: "Fabrikam", From: "Contoso IT", To: "Ada", Reason: "secret", Until: at, Slug: "fabrikam", Move: "mov_1"},
			&outbox.MoveDone{Customer: "Fabrikam", From: "Contoso IT", To: "Ada", At: at},
			&outbox.MoveDeclined{Customer: "Fabrikam", From: "Contoso IT", To: "Ada", By: "Ada", Reason: "secret", At: at},
			&outbox.MoveCancelled{Customer: "Fabrikam", From: "Contoso IT", To: "Ada", At: at},
			&outbox.SeatsRequest{Organisation: "Fabrikam", Slug: "fabrikam", Used: 5, Limit: 5, Wanted: 9, Reason: "x", By: "Ada", At: at},
			&outbox.SeatsAnswer{Organisation: "Fabrikam", Slug: "fabrikam", Limit: 5, Reason: "x", By: "Contoso", At: at},
			&outbox.Expiry{Organisation: "Fabrikam", Person: "Ada", Until: at},
			&outbox.RoleChanged{Roles: []string{"viewer"}, By: "Ada", At: at},
		} {
			value := reflect.ValueOf(data).Elem().Interface().(outbox.Data)
			t.Run(string(data.Kind()), func(t *testing.T) {
				m := p.enqueue(value, time.Hour)
				if m.Org != p.org || m.Account != p.to || m.State != outbox.Ready || !m.Expires.Equal(m.Created.Add(time.Hour)) {
					t.Errorf("the row says %+v", m)
				}
				_, _, _, _, box := p.row(m.ID)
				for _, plain := range []string{"secret", "271828", "Ada", "phone", "lost", "viewer"} {
					if bytes.Contains(box, []byte(plain)) {
						t.Errorf("%q can be read in the row", plain)
					}
				}
				var got outbox.Data
				p.answer(p.Queue, func(m outbox.Message) error { got = m.Data; return nil })
				if n := p.work(); n != 1 || !reflect.DeepEqual(got, value) {
					t.Errorf("%d delivered: %#v, want %#v", n, got, value)
				}
				if state, tries, _, last, box := p.row(m.ID); state != outbox.Sent || tries != 1 || last != "" || box != nil {
					t.Errorf("afterwards: %s after %d tries, error %q, %d bytes left", state, tries, last, len(box))
				}
				if n := p.work(); n != 0 || p.sent[m.ID] != 1 {
					t.Errorf("taken again: %d, sent %d times", n, p.sent[m.ID])
				}
			})
		}
		if m, ok, err := outbox.Latest(p.DB.Read(t.Context()), id.New[id.Account](at), outbox.KindInvite); ok || err != nil {
			t.Errorf("somebody else's latest mail is %+v (%v)", m, err)
		}
		// A change that is taken back takes its mail with it.
		undo := errors.New("undo")
		err := p.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			return errors.Join(p.Queue.Enqueue(tx, p.org, p.to, outbox.PasswordChanged{At: at}, time.Hour), undo)
		})
		if !errors.Is(err, undo) || p.work() != 0 {
			t.Errorf("a mail without its change is taken (%v)", err)
		}
	})
}

// Eight workers on two nodes deliver each mail once.
func TestExactlyOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		const mails = 120
		if err := p.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			for range mails {
				if err := p.Queue.Enqueue(tx, p.org, p.to, outbox.PasswordChanged{At: at}, time.Hour); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		second := doortest.Node(t, p.Settings, p.clock)
		p.answer(second.Queue, nil)
		left := func() int {
			n, err := sqldb.One(p.DB.Read(t.Context()), sqldb.Value[int], `select count(*) from outbox where state <> 'sent'`)
			if err != nil {
				t.Error(err)
			}
			return n
		}
		var wg sync.WaitGroup
		for i := range 8 {
			q := []*outbox.Queue{p.Queue, second.Queue}[i%2]
			wg.Go(func() {
				for stop := time.Now().Add(20 * time.Second); left() > 0 && time.Now().Before(stop); {
					if _, err := q.Work(t.Context()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if len(p.sent) != mails {
			t.Errorf("%d of %d mails were delivered", len(p.sent), mails)
		}
		for m, n := range p.sent {
			if n != 1 {
				t.Errorf("%s was delivered %d times", m, n)
			}
		}
	})
}

// A worker that stops in the middle of a mail leaves it to the next one, but not before its lease has run out.
func TestLease(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		m := p.enqueue(outbox.PasswordChanged{At: at}, time.Hour)
		dying, die := context.WithCancel(t.Context())
		p.Queue.Deliver = func(ctx context.Context, _ outbox.Message) error {
			die()
			<-ctx.Done()
			return ctx.Err()
		}
		if n, err := p.Queue.Work(dying); n != 1 || err != nil {
			t.Errorf("the dying worker: %d, %v", n, err)
		}
		p.answer(p.Queue, nil)
		if state, _, due, _, _ := p.row(m.ID); state != outbox.Running || due.Sub(p.clock.Now()) != 30*time.Second {
			t.Errorf("left behind as %s until %v", state, due)
		}
		p.clock.Move(30*time.Second - time.Microsecond)
		if n := p.work(); n != 0 {
			t.Error("taken before the lease ran out")
		}
		p.clock.Move(time.Microsecond)
		if n := p.work(); n != 1 || p.sent[m.ID] != 1 {
			t.Errorf("after the lease: %d taken, delivered %d times", n, p.sent[m.ID])
		}
		if state, tries, _, _, _ := p.row(m.ID); state != outbox.Sent || tries != 2 {
			t.Errorf("in the end %s after %d tries", state, tries)
		}
	})
}

// A batch of mails that each take long is not taken by another worker meanwhile: every mail's lease is renewed before its turn.
func TestSlowBatch(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		for range 6 {
			p.enqueue(outbox.PasswordChanged{At: at}, time.Hour)
		}
		second := doortest.Node(t, p.Settings, p.clock)
		p.answer(second.Queue, nil)
		p.answer(p.Queue, func(m outbox.Message) error {
			p.clock.Move(12 * time.Second)
			_, err := second.Queue.Work(t.Context())
			return err
		})
		if n := p.work(); n != 6 {
			t.Errorf("%d taken", n)
		}
		if len(p.sent) != 6 {
			t.Errorf("%d mails were delivered", len(p.sent))
		}
		for m, n := range p.sent {
			if n != 1 {
				t.Errorf("%s was delivered %d times", m, n)
			}
		}
	})
}

// A failure that may pass is tried again later and later, then given up.
func TestBackOff(t *testing.T) {
	waits := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second,
		640 * time.Second, 1280 * time.Second, 2560 * time.Second, time.Hour, time.Hour, time.Hour, time.Hour}
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		m := p.enqueue(outbox.Invite{Token: "dwa_secret"}, 48*time.Hour)
		tries := 0
		p.answer(p.Queue, func(outbox.Message) error {
			tries++
			return fmt.Errorf("try %d:\n451  come\tback later", tries)
		})
		for i, wait := range waits {
			if n := p.work(); n != 1 {
				t.Fatalf("try %d is not made", i+1)
			}
			state, n, due, last, box := p.row(m.ID)
			if state != outbox.Ready || n != i+1 || due.Sub(p.clock.Now()) != wait || last != fmt.Sprintf("try %d: 451 come back later", i+1) || box == nil {
				t.Fatalf("after try %d: %s, %d tries, due in %v, error %q", i+1, state, n, due.Sub(p.clock.Now()), last)
			}
			p.clock.Move(wait - time.Microsecond)
			if n := p.work(); n != 0 {
				t.Fatalf("try %d is made too early", i+2)
			}
			p.clock.Move(time.Microsecond)
		}
		if len(p.failures()) != 0 {
			t.Errorf("events before it is given up: %+v", p.failures())
		}
		p.work()
		if state, n, _, last, box := p.row(m.ID); state != outbox.Dead || n != 15 || !strings.HasPrefix(last, "try 15") || box != nil || len(p.failures()) != 1 {
			t.Errorf("in the end %s after %d tries, error %q, %d bytes left, events %+v", state, n, last, len(box), p.failures())
		}
		p.clock.Move(48 * time.Hour)
		if n := p.work(); n != 0 {
			t.Error("a dead mail is taken")
		}
	})
}

// A mail that passes in the end leaves no error behind.
func TestPasses(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		m := p.enqueue(outbox.PasswordChanged{At: at}, time.Hour)
		p.answer(p.Queue, func(m outbox.Message) error {
			if m.Tries < 3 {
				return errors.New("later")
			}
			return nil
		})
		for range 3 {
			p.work()
			p.clock.Move(10 * time.Second)
		}
		if state, tries, _, last, box := p.row(m.ID); state != outbox.Sent || tries != 3 || last != "" || box != nil {
			t.Errorf("%s after %d tries, error %q, %d bytes left", state, tries, last, len(box))
		}
		if got, _, err := outbox.Latest(p.DB.Read(t.Context()), p.to, outbox.KindPasswordChanged); err != nil || got.Sent.IsZero() {
			t.Errorf("%+v (%v)", got, err)
		}
	})
}

// A failure for good, a message that is too old, and one that cannot be opened are given up at once: with an event, without content.
func TestGivenUp(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		exec := func(query string, args ...any) {
			t.Helper()
			if err := p.DB.Write(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
				t.Fatal(err)
			}
		}
		other := p.enqueue(outbox.PasswordChanged{At: at}, time.Hour)
		exec(`update outbox set state = 'sent' where id = $1`, other.ID)
		for i, row := range []struct {
			name    string
			spoil   func(m id.Message)
			fail    error
			tries   int // of Deliver
			because string
		}{
			{"refused for good", func(id.Message) {}, fmt.Errorf("550: %w %s", errForGood, strings.Repeat("é", 400)), 1, "550: no such mailbox é"},
			{"at its very end", func(id.Message) { p.clock.Move(time.Hour) }, nil, 0, "expired"},
			{"content of another row", func(m id.Message) {
				exec(`update outbox set box = (select box from outbox where id = $1) where id = $2`, other.ID, m)
			}, nil, 0, ""},
			{"content cut", func(m id.Message) { exec(`update outbox set box = $1 where id = $2`, []byte{1, 2}, m) }, nil, 0, ""},
			{"content gone", func(m id.Message) { exec(`update outbox set box = null where id = $1`, m) }, nil, 0, ""},
			{"kind unknown", func(m id.Message) { exec(`update outbox set kind = 'pigeon' where id = $1`, m) }, nil, 0, "pigeon"},
		} {
			tries := 0
			p.answer(p.Queue, func(outbox.Message) error { tries++; return row.fail })
			m := p.enqueue(outbox.Invite{Token: "dwa_secret"}, time.Hour)
			row.spoil(m.ID)
			if n := p.work(); n != 1 || tries != row.tries {
				t.Errorf("%s: %d taken, %d tries", row.name, n, tries)
			}
			state, _, _, last, box := p.row(m.ID)
			if state != outbox.Dead || box != nil || !strings.Contains(last, row.because) || last == "" || len(last) > 310 {
				t.Errorf("%s: %s, %d bytes left, error %q", row.name, state, len(box), last)
			}
			events := p.failures()
			if len(events) != i+1 {
				t.Fatalf("%s: %d events", row.name, len(events))
			}
			e := events[0]
			if e.Outcome != audit.Refused || e.Target != audit.TargetOf(p.to) || e.Person["error"] == "" || e.Actor.Kind != "system" {
				t.Errorf("%s: event %+v", row.name, e)
			}
			if p.work() != 0 {
				t.Errorf("%s: taken again", row.name)
			}
			p.clock.Move(time.Minute)
		}
		if len(p.sent) != 0 {
			t.Errorf("delivered: %v", p.sent)
		}
	})
}

// What is withdrawn is not delivered any more, whatever state its mail is in; other mails are left alone.
func TestDiscard(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		discard := func(kinds ...outbox.Kind) {
			t.Helper()
			if err := p.DB.Write(t.Context(), func(tx sqldb.Tx) error { return outbox.Discard(tx, p.to, kinds...) }); err != nil {
				t.Fatal(err)
			}
		}
		sent := p.enqueue(outbox.Reset{Token: "dwr_1"}, time.Hour)
		p.work()
		invite, reset, code := p.enqueue(outbox.Invite{Token: "dwa_1"}, time.Hour), p.enqueue(outbox.Reset{Token: "dwr_2"}, time.Hour), p.enqueue(outbox.MailCode{Code: "1"}, time.Hour)
		discard(outbox.KindInvite, outbox.KindReset)
		discard()
		for m, want := range map[id.Message]outbox.State{sent.ID: outbox.Sent, invite.ID: outbox.Dead, reset.ID: outbox.Dead, code.ID: outbox.Ready} {
			if state, _, _, _, box := p.row(m); state != want || (box != nil) != (want == outbox.Ready) {
				t.Errorf("%s is %s with %d bytes", m, state, len(box))
			}
		}
		if n := p.work(); n != 1 || p.sent[code.ID] != 1 || len(p.sent) != 2 {
			t.Errorf("%d taken, delivered %v", n, p.sent)
		}
		// While it is being delivered: a failure does not bring it back.
		for _, fail := range []error{errors.New("later"), errForGood} {
			invite = p.enqueue(outbox.Invite{Token: "dwa_2"}, time.Hour)
			p.answer(p.Queue, func(outbox.Message) error { discard(outbox.KindInvite); return fail })
			p.work()
			if state, _, _, last, box := p.row(invite.ID); state != outbox.Dead || last != "withdrawn" || box != nil {
				t.Errorf("%s, error %q, %d bytes left", state, last, len(box))
			}
		}
		// In a slow batch, before its turn: it stays unsent.
		first := p.enqueue(outbox.MailCode{Code: "2"}, time.Hour)
		invite = p.enqueue(outbox.Invite{Token: "dwa_3"}, time.Hour)
		p.answer(p.Queue, func(m outbox.Message) error {
			if m.ID == first.ID {
				discard(outbox.KindInvite)
				p.clock.Move(10 * time.Second)
			}
			return nil
		})
		p.work()
		if p.sent[first.ID] != 1 || p.sent[invite.ID] != 0 {
			t.Errorf("delivered %v", p.sent)
		}
		if len(p.failures()) != 0 {
			t.Errorf("events of failure: %+v", p.failures())
		}
	})
}

// A running worker notices what its own process writes, and what another one does.
func TestRun(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		p := newPost(t, d)
		arrived := make(chan id.Message, 10)
		p.answer(p.Queue, func(m outbox.Message) error { arrived <- m.ID; return nil })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.Queue.Run(ctx)
		}()
		wait := func(who string) {
			t.Helper()
			select {
			case <-arrived:
			case <-time.After(10 * time.Second):
				t.Fatalf("the mail of %s does not arrive", who)
			}
		}
		p.enqueue(outbox.PasswordChanged{At: at}, time.Hour)
		wait("the same process")
		other := doortest.Node(t, p.Settings, p.clock)
		if err := other.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			return other.Queue.Enqueue(tx, p.org, p.to, outbox.PasswordChanged{At: at}, time.Hour)
		}); err != nil {
			t.Fatal(err)
		}
		wait("another process")
		stop()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("the worker does not stop")
		}
	})
}
