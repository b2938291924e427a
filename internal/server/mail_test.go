package server_test

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"doorward/internal/access"
	"doorward/internal/config"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// refusals answers RCPT for one address with an error as often as it has some left, and counts how often it is asked.
type refusals struct {
	to    string
	mu    sync.Mutex
	code  int
	left  int
	asked int
}

func (r *refusals) answer(to string) error {
	if to != r.to {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked++; r.left == 0 {
		return nil
	}
	r.left--
	return &smtp.SMTPError{Code: r.code, EnhancedCode: smtp.EnhancedCode{r.code / 100, 2, 1}, Message: "the mailbox says no for now"}
}

func (r *refusals) tries() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// mailState waits until somebody's invitation stands like that after so many tries.
func (w *town) mailState(email, state string, tries int) {
	w.T.Helper()
	var got string
	var n int
	for stop := time.Now().Add(15 * time.Second); time.Now().Before(stop); time.Sleep(5 * time.Millisecond) {
		_, err := sqldb.One(w.DB.Read(w.T.Context()), func(row sqldb.Row) (int, error) { return 0, row(&got, &n) },
			`select o.state, o.tries from outbox o join accounts a on a.id = o.account_id where a.email_key = $1 and o.kind = 'invite'`, email)
		if err != nil {
			w.T.Fatal(err)
		}
		if got == state && n == tries {
			return
		}
	}
	w.T.Fatalf("the invitation of %s is %s after %d tries, want %s after %d", email, got, n, state, tries)
}

// inviteBy adds somebody through the form; it succeeds whatever the mail server says.
func (w *town) inviteBy(b *doortest.Browser, email string) {
	w.T.Helper()
	b.Get("/o/fabrikam/users/invite").Want("users.invite").Submit("emails", email, "roles", access.Core).WantStatus(200).Want("users")
	if !strings.Contains(b.Text(), email) {
		w.T.Errorf("%s is not in the list:\n%s", email, b.Text())
	}
}

// A mail server that is busy gets the mail again, later and later; then it arrives, and nothing of the trouble is left on the pages.
func TestMailServerBusy(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		const email = "new@fabrikam.example"
		busy := &refusals{to: email, code: 451, left: 3}
		w.Mailbox.SetRefuse(busy.answer)
		w.inviteBy(b, email)
		for try, wait := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
			w.mailState(email, "ready", try+1)
			if try == 0 {
				b.Get("/o/fabrikam/users").Follow(email).Want("user")
				if !strings.Contains(b.Text(), "On its way") || !strings.Contains(b.Text(), "the mailbox says no for now") {
					t.Errorf("the person's page does not tell:\n%s", b.Text())
				}
			}
			w.Clock.Move(wait - time.Second)
			w.Queue.Wake()
			time.Sleep(50 * time.Millisecond)
			if n := busy.tries(); n != try+1 {
				t.Fatalf("%d tries before the wait is over, want %d", n, try+1)
			}
			w.Clock.Move(time.Second)
			w.Queue.Wake()
		}
		mail := w.Mailbox.Wait(email, "invite", 1)
		w.mailState(email, "sent", 4)
		if len(w.Mailbox.All(email)) != 1 || mail.Link("/activate/") == "" {
			t.Errorf("%d mails arrived", len(w.Mailbox.All(email)))
		}
		b.Get("/o/fabrikam/users").Follow(email).Want("user")
		if !strings.Contains(b.Text(), "Sent") || strings.Contains(b.Text(), "says no") {
			t.Errorf("the person's page still tells of it:\n%s", b.Text())
		}
	})
}

// A mailbox that does not exist is not tried again. The people list and the person's page say so, and sending again is the way out.
func TestMailRefusedForGood(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		const email = "new@fabrikam.example"
		gone := &refusals{to: email, code: 550, left: 1}
		w.Mailbox.SetRefuse(gone.answer)
		w.inviteBy(b, email)
		w.mailState(email, "dead", 1)
		w.Clock.Move(30 * time.Minute)
		w.Queue.Wake()
		time.Sleep(50 * time.Millisecond)
		if n := gone.tries(); n != 1 {
			t.Errorf("tried %d times", n)
		}
		if !strings.Contains(b.Get("/o/fabrikam/users").Want("users").Text(), "Mail not delivered") {
			t.Errorf("the list does not tell:\n%s", b.Text())
		}
		b.Follow(email).Want("user")
		if !strings.Contains(b.Text(), "Not delivered") || !strings.Contains(b.Text(), "the mailbox says no for now") {
			t.Errorf("the person's page does not tell:\n%s", b.Text())
		}
		if n := w.Events(w.Fabrikam.ID, "mail.failed"); n != 1 {
			t.Errorf("%d events", n)
		}
		if n := w.Count(`select count(*) from outbox where state = 'dead' and box is not null`); n != 0 {
			t.Error("the link is kept in a mail that was given up")
		}
		b.Get("/o/fabrikam/users").Follow(email).Submit(":action", "/resend").Want("user")
		link := w.Mailbox.Wait(email, "invite", 1).Link("/activate/")
		w.Browser().Get(link).Want("activate")
		for stop := time.Now().Add(10 * time.Second); strings.Contains(b.Get("/o/fabrikam/users").Text(), "Mail not delivered"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(stop) {
				t.Fatal("the list still tells of the first mail")
			}
		}
	})
}

// While the mail server is out of reach people are invited all the same; their mails arrive when it is back.
func TestMailServerDown(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		w := build(doortest.New(t, d, doortest.Options{Settings: func(s *config.Settings) { s.SMTP = "smtp://" + addr + "?starttls=off" }}))
		_, b := w.enrolled(w.Fabrikam, "ada@fabrikam.example", access.Administrator)
		people := []string{"first@fabrikam.example", "second@fabrikam.example"}
		for _, email := range people {
			w.inviteBy(b, email)
		}
		w.mailState(people[0], "ready", 1)
		w.mailState(people[1], "ready", 1)
		if text := b.Get("/o/fabrikam/users").Follow(people[0]).Want("user").Text(); !strings.Contains(text, "On its way") {
			t.Errorf("the person's page does not tell:\n%s", text)
		}
		w.Mailbox = doortest.MailboxAt(t, addr)
		w.Clock.Move(5 * time.Second)
		for _, email := range people {
			link := w.Mailbox.Wait(email, "invite", 1).Link("/activate/")
			w.Browser().Get(link).Want("activate")
			w.mailState(email, "sent", 2)
		}
	})
}
