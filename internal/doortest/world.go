// Package doortest is the test kit: a whole Doorward on SQLite or PostgreSQL with a clock that tests move, a real SMTP server as its
// mailbox, a client that behaves like a browser, and a real browser.
package doortest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/config"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// Clock is a clock that stands still until a test moves it.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves the clock forward.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// World is a running Doorward.
type World struct {
	*server.Server
	T       testing.TB
	Clock   *Clock
	Mailbox *Mailbox
	URL     string // of the running server
	Web     *httptest.Server
	Logs    *Logs

	process context.Context // of the world's browsers, see Chrome; nil until the first one
}

// Options change a world.
type Options struct {
	Settings func(*config.Settings)
	Argon2   string // default: as cheap as it gets, since tests hash a lot
}

// On runs a test on SQLite and on PostgreSQL.
func On(t *testing.T, test func(t *testing.T, w *World)) {
	t.Helper()
	for _, d := range []sqldb.Dialect{sqldb.SQLite, sqldb.Postgres} {
		t.Run(string(d), func(t *testing.T) { test(t, New(t, d, Options{})) })
	}
}

// Database returns the settings of a fresh, empty database that is gone after the test: a file, or a schema on the server that
// DOORWARD_TEST_POSTGRES names.
func Database(t testing.TB, d sqldb.Dialect) (setting, dataDir string) {
	t.Helper()
	dir := t.TempDir()
	if d == sqldb.SQLite {
		return "sqlite", dir
	}
	base := os.Getenv("DOORWARD_TEST_POSTGRES")
	if base == "" {
		t.Fatal("these tests need PostgreSQL: run `make test`, or set DOORWARD_TEST_POSTGRES to a postgres:// URL")
	}
	ctx := context.Background()
	admin, err := sqldb.Open(ctx, base, dir)
	if err != nil {
		t.Fatal(err)
	}
	schema := strings.ToLower(string(id.New[id.Event](time.Now())))
	if _, err := admin.Pool().ExecContext(ctx, `create schema `+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Pool().ExecContext(ctx, `drop schema `+schema+` cascade`); err != nil {
			t.Error(err)
		}
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), dir
}

// New starts a world on a database. It stops with the test.
func New(t testing.TB, d sqldb.Dialect, o Options) *World {
	t.Helper()
	database, dir := Database(t, d)
	box := NewMailbox(t)
	s := config.Settings{Listen: "127.0.0.1:0", PublicURL: "http://localhost", Data: dir, Database: database, SMTP: box.URL() + "?starttls=off",
		Argon2: "m=64,t=1,p=1"}
	if o.Argon2 != "" {
		s.Argon2 = o.Argon2
	}
	if o.Settings != nil {
		o.Settings(&s)
	}
	w := Open(t, s, &Clock{now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)})
	w.Mailbox = box
	return w
}

// Open starts a node with those settings: the first one of a world, or a further one on the same database. Its public URL is the
// address that it gets, unless the settings name a port.
func Open(t testing.TB, s config.Settings, clock *Clock) *World {
	t.Helper()
	w := &World{T: t, Clock: clock, Logs: &Logs{t: t}}
	w.Web = httptest.NewUnstartedServer(nil)
	if u, err := url.Parse(s.PublicURL); err == nil && u.Port() == "" {
		s.PublicURL = strings.Replace("http://"+w.Web.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	}
	log := slog.New(slog.NewJSONHandler(w.Logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h, err := server.Open(t.Context(), s, clock.Now, log, true)
	if err != nil {
		t.Fatal(err)
	}
	if w.Server, err = server.New(h); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() { w.Queue.Run(ctx) })
	w.Web.Config.Handler = w.Handler
	w.Web.Start()
	w.URL = strings.Replace(w.Web.URL, "127.0.0.1", "localhost", 1)
	t.Cleanup(func() {
		w.Web.Close()
		stop()
		worker.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// Operator is the command line.
func Operator() access.Actor { return access.Operator("tester") }

// Password is what people of the kit choose.
const Password = "correct horse battery 7"

// Found makes the provider with an administrator who is not activated yet, and returns the activation path.
func (w *World) Found() (account.Founded, string) {
	w.T.Helper()
	f, err := w.Directory.Found(w.T.Context(), Operator(), "Acme Provider", "acme", "root@acme.example", "")
	if err != nil {
		w.T.Fatal(err)
	}
	return f, account.Activate.Path(f.Token)
}

// Org makes an organisation under parent.
func (w *World) Org(kind access.OrgKind, parent id.Org, slug, name string) org.Org {
	w.T.Helper()
	o, err := w.Directory.CreateOrg(w.T.Context(), Operator(), org.New{Kind: kind, Parent: parent, Slug: slug, Name: name})
	if err != nil {
		w.T.Fatal(err)
	}
	return o
}

// Person is somebody in a world.
type Person struct {
	World   *World
	Account id.Account
	Org     org.Org
	Email   string
	Key     string // of the authenticator app, once enrolled

	Recovery []string // codes, as they were shown at the first sign-in
}

// Invite adds someone who is not activated yet, and returns the activation path.
func (w *World) Invite(o org.Org, email string, roles ...string) (*Person, string) {
	w.T.Helper()
	out, err := w.Directory.Invite(w.T.Context(), Operator(), o.ID, account.Invitation{Emails: []string{email}, Roles: roles})
	if err != nil {
		w.T.Fatal(err)
	}
	if out[0].Err != nil {
		w.T.Fatal(out[0].Err)
	}
	return &Person{World: w, Account: out[0].Account, Org: o, Email: email}, account.Activate.Path(out[0].Token)
}

// Activate adds someone and activates the account with Password, through the domain.
func (w *World) Activate(o org.Org, email string, roles ...string) *Person {
	w.T.Helper()
	p, path := w.Invite(o, email, roles...)
	w.use(path)
	return p
}

func (w *World) use(path string) {
	w.T.Helper()
	token := strings.TrimPrefix(path, "/activate/")
	if _, err := w.Directory.Use(w.T.Context(), account.Activate, secretText(token), Password, Password, access.Client{Address: "127.0.0.1"}); err != nil {
		w.T.Fatal(err)
	}
}

// Enrol adds someone who is active and has an authenticator app, by signing in once in a browser of their own.
func (w *World) Enrol(o org.Org, email string, roles ...string) *Person {
	w.T.Helper()
	p := w.Activate(o, email, roles...)
	b := w.Browser()
	b.SignInFirst(p)
	return p
}

// Code returns the code that the person's app shows. Each call moves the clock on by a step, because a step is good once.
func (p *Person) Code() string {
	p.World.T.Helper()
	p.World.Clock.Move(31 * time.Second)
	code, err := factor.CodeAt(p.Key, p.World.Clock.Now())
	if err != nil {
		p.World.T.Fatal(err)
	}
	return code
}

// Events returns how many events of an action an organisation has.
func (w *World) Events(o id.Org, action string) int {
	w.T.Helper()
	return w.Count(`select count(*) from events where org_id = $1 and action = $2`, o, action)
}

// Count returns the number that a query gives.
func (w *World) Count(query string, args ...any) int {
	w.T.Helper()
	n, err := sqldb.One(w.DB.Read(w.T.Context()), sqldb.Value[int], query, args...)
	if err != nil {
		w.T.Fatal(err)
	}
	return n
}

// Exec changes the database behind Doorward's back.
func (w *World) Exec(query string, args ...any) {
	w.T.Helper()
	if err := w.DB.Write(w.T.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		w.T.Fatal(err)
	}
}

// Logs keeps what the server logs, so that tests can look for what must not be there.
type Logs struct {
	t    testing.TB
	mu   sync.Mutex
	text strings.Builder
}

func (l *Logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns everything logged so far.
func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
