package account_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// town is a house with a provider, an MSP and two of its customers, each with an administrator.
type town struct {
	*testing.T
	*server.House
	clock *doortest.Clock

	provider, msp, fabrikam, tailspin org.Org
	root, ada, bea                    access.Actor // administrators of provider, MSP and fabrikam
}

var here = access.Client{Address: "192.0.2.1", UserAgent: "test"}

func build(t *testing.T, d sqldb.Dialect) *town {
	t.Helper()
	w := &town{T: t}
	w.House, w.clock = doortest.House(t, d)
	f, err := w.Directory.Found(t.Context(), doortest.Operator(), "Acme", "acme", "root@acme.example", "")
	w.must(err)
	w.provider = f.Org
	w.activate(f.Token)
	w.root = w.actor(w.provider, f.Account.ID)
	w.msp = w.org(access.MSP, w.provider.ID, "contoso")
	w.fabrikam = w.org(access.Customer, w.msp.ID, "fabrikam")
	w.tailspin = w.org(access.Customer, w.msp.ID, "tailspin")
	w.ada = w.person(w.msp, "ada@contoso.example", access.Administrator)
	w.bea = w.person(w.fabrikam, "bea@fabrikam.example", access.Administrator)
	t.Cleanup(w.countSeats)
	return w
}

// countSeats compares the rows of used seats with the accounts that take one.
func (w *town) countSeats() {
	type row struct {
		slug           string
		used, accounts int
	}
	list, err := sqldb.All(w.DB.Read(context.Background()), func(scan sqldb.Row) (r row, err error) {
		return r, scan(&r.slug, &r.used, &r.accounts)
	}, `select o.slug, s.used, (select count(*) from accounts a where a.org_id = o.id and a.state not in ('disabled', 'deleting')) from orgs o join seats s on s.org_id = o.id`)
	w.must(err)
	for _, r := range list {
		if r.used != r.accounts {
			w.Errorf("%s: %d seats are used by %d accounts", r.slug, r.used, r.accounts)
		}
	}
}

func (w *town) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// wants compares an error with the key of a refusal; empty means none.
func (w *town) wants(key string, err error) *refusal.Error {
	w.Helper()
	r := refusal.As(err)
	switch {
	case key == "" && err != nil:
		w.Errorf("refused: %v", err)
	case key != "" && (r == nil || r.Key != key):
		w.Errorf("got %v, want %s", err, key)
	}
	return r
}

func (w *town) org(kind access.OrgKind, parent id.Org, slug string) org.Org {
	w.Helper()
	o, err := w.Directory.CreateOrg(w.Context(), doortest.Operator(), org.New{Kind: kind, Parent: parent, Slug: slug, Name: slug})
	w.must(err)
	return o
}

// actor is someone who has proved just now who they are.
func (w *town) actor(o org.Org, a id.Account) access.Actor {
	return access.Actor{Kind: access.AccountActor, Account: a, Org: o.ID, Session: id.New[id.Session](w.Now()), ProvedAt: w.Now()}
}

// old returns an actor whose proof is too old for what is sensitive.
func (w *town) old(a access.Actor) access.Actor {
	a.ProvedAt = w.Now().Add(-11 * time.Minute)
	return a
}

func (w *town) invite(o org.Org, email string, roles ...string) (id.Account, secret.Text) {
	w.Helper()
	w.clock.Move(time.Millisecond) // ids of one millisecond have no order
	out, err := w.Directory.Invite(w.Context(), doortest.Operator(), o.ID, account.Invitation{Emails: []string{email}, Roles: roles})
	w.must(err)
	w.must(out[0].Err)
	return out[0].Account, out[0].Token
}

func (w *town) activate(token secret.Text) {
	w.Helper()
	_, err := w.Directory.Use(w.Context(), account.Activate, token, doortest.Password, doortest.Password, here)
	w.must(err)
}

// person adds someone who is active.
func (w *town) person(o org.Org, email string, roles ...string) access.Actor {
	w.Helper()
	a, token := w.invite(o, email, roles...)
	w.activate(token)
	return w.actor(o, a)
}

func (w *town) find(o org.Org, a id.Account) account.Account {
	w.Helper()
	found, err := account.Find(w.DB.Read(w.Context()), o.ID, a)
	w.must(err)
	return found
}

func (w *town) state(o org.Org, a id.Account) account.State {
	w.Helper()
	return w.find(o, a).State
}

func (w *town) held(o org.Org, a id.Account) []string {
	w.Helper()
	list, err := access.Held(w.DB.Read(w.Context()), o.ID, a, w.Now())
	w.must(err)
	return list
}

func (w *town) seats(o org.Org) license.Seats {
	w.Helper()
	s, err := license.SeatsOf(w.DB.Read(w.Context()), o.ID)
	w.must(err)
	return s
}

// mails returns how many mails of a kind wait for an account.
func (w *town) mails(a id.Account, kind outbox.Kind) int {
	w.Helper()
	n, err := sqldb.One(w.DB.Read(w.Context()), sqldb.Value[int], `select count(*) from outbox where account_id = $1 and kind = $2 and state = 'ready'`, a, kind)
	w.must(err)
	return n
}

// events returns how many events of an action and outcome an organisation has.
func (w *town) events(o org.Org, action audit.Action, outcome audit.Outcome) int {
	w.Helper()
	list, err := audit.List(w.DB.Read(w.Context()), o.ID, "", 200)
	w.must(err)
	return len(slices.DeleteFunc(list, func(e audit.Event) bool { return e.Action != action || e.Outcome != outcome }))
}

// deliverAll empties the outbox, showing each mail to fn.
func (w *town) deliverAll(fn func(m outbox.Message)) {
	w.Helper()
	w.Queue.Permanent = func(error) bool { return false }
	w.Queue.Deliver = func(_ context.Context, m outbox.Message) error {
		if fn != nil {
			fn(m)
		}
		return nil
	}
	for {
		n, err := w.Queue.Work(w.Context())
		w.must(err)
		if n == 0 {
			return
		}
	}
}

func (w *town) good(token secret.Text, p account.Purpose) bool {
	w.Helper()
	op, err := w.Directory.Open(w.Context(), p, token)
	if err != nil && !refusal.Is(err, refusal.Expired) && !refusal.Is(err, refusal.NotFound) {
		w.Fatal(err)
	}
	return op.Good
}

// atOnce runs all functions at the same time and returns their errors.
func atOnce(fns ...func() error) []error {
	errs := make([]error, len(fns))
	ready := make(chan struct{})
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() {
			<-ready
			errs[i] = fn()
		})
	}
	close(ready)
	wg.Wait()
	return errs
}
