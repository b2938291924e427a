package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/factor"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/secret"
	"doorward/internal/server"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

type benchCommand struct {
	Machine benchMachineCommand `cmd:"" default:"withargs" help:"Measure this machine: ours beside the physical limit."`
	Fill    benchFillCommand    `cmd:"" help:"Fill an empty database with organisations and people, to measure at scale."`
	Lists   benchListsCommand   `cmd:"" help:"Measure the lists and dashboards in a database that bench fill has filled."`
}

// benchMachineCommand prints figures of this machine: ours beside the physical limit measured in the same run. Absolute figures drift from
// machine to machine; the ratios are what to compare.
type benchMachineCommand struct {
	Seconds     int    `help:"How long each figure is measured." default:"5"`
	Connections int    `help:"Clients at once." default:"16"`
	On          string `help:"postgres://… to measure on instead of SQLite; the database must be empty." placeholder:"URL"`
}

// Run measures on a database in a temporary folder.
func (c *benchMachineCommand) Run(ctx context.Context, t *terminal) (err error) {
	if c.Seconds < 1 || c.Seconds > 120 || c.Connections < 1 || c.Connections > 256 {
		return errors.New("bench: --seconds is 1 to 120, --connections 1 to 256")
	}
	dir, err := os.MkdirTemp("", "doorward-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := t.settings
	s.Data, s.MailDir, s.SMTP, s.KeyFile, s.Database = dir, filepath.Join(dir, "mail"), "", "", "sqlite"
	if c.On != "" {
		s.Database = c.On
	}
	// Each client comes from an address of its own, as people do; the limits per address are not what is measured.
	s.TrustedProxies, s.Listen, s.PublicURL = []string{"127.0.0.0/8"}, "127.0.0.1:0", "http://localhost"
	h, err := server.Open(ctx, s, nil, slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	b := &bench{House: h, command: c, t: t}
	h.DB.Trace = func(string, []any) { b.statements.Add(1) }
	return b.run(ctx, dir)
}

// bench is one run.
type bench struct {
	*server.House
	command *benchMachineCommand
	t       *terminal
	base    string
	org     org.Org
	people  []benchPerson
	session secret.Text

	turned     atomic.Int64 // people who signed in: each once within a time step, for a code is good once
	seen       atomic.Int64 // addresses they came from
	requests   atomic.Int64
	statements atomic.Int64
}

type benchPerson struct{ email, key string }

const benchPassword = "measured carefully 12"

func (b *bench) run(ctx context.Context, dir string) error {
	if err := b.t.say("%s, %d cores, %s, argon2id %s, %d connections, %d s each", runtime.Version(), runtime.NumCPU(), b.DB.Dialect, b.Settings.Argon2, b.command.Connections, b.command.Seconds); err != nil {
		return err
	}
	// More people than sign-ins within a time step: a code is good once.
	if err := b.fill(ctx, 400*b.command.Seconds+4000); err != nil {
		return err
	}
	srv, err := server.New(b.House)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/bench/bare", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	mux.HandleFunc("/bench/session", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(srv.Kit.Cookie("session"))
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if _, err := b.Desk.Resolve(r.Context(), secret.Text(c.Value), access.Client{}); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	mux.HandleFunc("/bench/argon2", func(w http.ResponseWriter, r *http.Request) {
		if _, err := b.Hasher.Hash(r.Context(), benchPassword); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		b.requests.Add(1)
		srv.Handler.ServeHTTP(w, r)
	})
	b.Hasher.MakeRoom() // as the server does
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(l) }()
	defer func() { _ = web.Close() }()
	b.base = "http://" + l.Addr().String()

	if err := b.signInOnce(ctx, srv); err != nil {
		return err
	}
	bare := b.load(ctx, "/bench/bare", nil)
	session := b.load(ctx, "/bench/session", &http.Cookie{Name: srv.Kit.Cookie("session"), Value: string(b.session)})
	dashboard := b.load(ctx, b.org.HomePath(), &http.Cookie{Name: srv.Kit.Cookie("session"), Value: string(b.session)})
	argon, signIns := b.signIns(ctx)
	rows := [][]string{
		{"", "per second", "p50", "p99", "share"},
		bare.row("bare handler", bare),
		session.row("session check", bare),
		dashboard.row("dashboard page", bare),
		argon.row("bare argon2id", argon),
		signIns.row("sign-in, password and code, all requests", argon),
	}
	if err := b.t.table(rows); err != nil {
		return err
	}
	if err := b.work(ctx, argon, signIns); err != nil {
		return err
	}
	for _, f := range []func(context.Context, string) error{b.durable, b.crowd, b.weight, b.process} {
		if err := f(ctx, dir); err != nil {
			return err
		}
	}
	if n := signIns.failed + session.failed + dashboard.failed + argon.failed; n > 0 {
		return fmt.Errorf("bench: %d requests failed: the figures do not count", n)
	}
	return nil
}

// fill makes an organisation whose people all have the same password and an authenticator app each.
func (b *bench) fill(ctx context.Context, people int) error {
	operator := access.Operator("bench")
	f, err := b.Directory.Found(ctx, operator, "Bench", "bench", "root@bench.example", "")
	if err != nil {
		return err
	}
	// Core users of a customer: what signing in costs, and not what a page of figures does.
	if b.org, err = b.Directory.CreateOrg(ctx, operator, org.New{Kind: access.Customer, Parent: f.Org.ID, Slug: "customer", Name: "Customer"}); err != nil {
		return err
	}
	o := b.org.ID
	phc, err := b.Hasher.Hash(ctx, benchPassword)
	if err != nil {
		return err
	}
	for len(b.people) < people {
		if err := b.DB.Write(ctx, func(tx sqldb.Tx) error {
			now := b.Now()
			for range 500 {
				email := "p" + strconv.Itoa(len(b.people)) + "@bench.example"
				a, err := account.Insert(tx, now, account.Account{Org: o, Email: email, EmailKey: email, State: account.Active,
					Offers: policy.MostOffers}) // nobody is asked for a passkey on the way
				if err != nil {
					return err
				}
				if err := access.Assign(tx, now, o, a, access.Core, time.Time{}); err != nil {
					return err
				}
				if err := factor.SetPassword(tx, now, o, a, phc, 0); err != nil {
					return err
				}
				setup, err := factor.BeginTOTP(tx, b.Vault, now, o, a, "Bench", email)
				if err != nil {
					return err
				}
				code, err := factor.CodeAt(string(setup.Key), now.Add(-30*time.Second))
				if err != nil {
					return err
				}
				if _, err := factor.ProveTOTP(tx, b.Vault, now, a, factor.Pending, secret.Text(code), ""); err != nil {
					return err
				}
				b.people = append(b.people, benchPerson{email, string(setup.Key)})
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// signInOnce makes the session that the session check looks up.
func (b *bench) signInOnce(ctx context.Context, _ *server.Server) error {
	p := b.people[len(b.people)-1]
	c := access.Client{Address: "127.0.0.1"}
	begun, err := b.Desk.Begin(ctx, signin.Start{Org: b.org, Slug: b.org.Slug, Identifier: p.email, Client: c})
	if err != nil {
		return err
	}
	known, err := b.Desk.Password(ctx, begun.Key, benchPassword, c, signin.Held{})
	if err != nil {
		return err
	}
	code, err := factor.CodeAt(p.key, b.Now())
	if err != nil {
		return err
	}
	done, err := b.Desk.Code(ctx, known.Key, code, false, c, signin.Held{})
	if err != nil {
		return err
	}
	b.session = done.Finished.Secret
	return nil
}

// figure is what a load gave.
type figure struct {
	took   []time.Duration // of each
	passed time.Duration
	cpu    time.Duration // time of the processor, of this whole process
	failed int
}

func (f *figure) add(more figure) {
	f.took, f.passed, f.cpu, f.failed = append(f.took, more.took...), f.passed+more.passed, f.cpu+more.cpu, f.failed+more.failed
}

// rate is how many there were per second.
func (f figure) rate() float64 { return float64(len(f.took)) / max(f.passed.Seconds(), 1e-9) }

// each is the processor time of one.
func (f figure) each() time.Duration { return f.cpu / time.Duration(max(len(f.took), 1)) }

// at is how long the given share of all took at most.
func (f figure) at(percent int) time.Duration {
	if len(f.took) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(f.took))[len(f.took)*percent/100].Round(10 * time.Microsecond)
}

func (f figure) row(name string, of figure) []string {
	return []string{name, fmt.Sprintf("%.0f", f.rate()), f.at(50).String(), f.at(99).String(), fmt.Sprintf("%.0f %%", 100*f.rate()/max(of.rate(), 1e-9))}
}

// turn runs one on that many connections for some time.
func (b *bench) turn(ctx context.Context, connections int, length time.Duration, one func(client *http.Client, n int) bool) figure {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var mu sync.Mutex
	var f figure
	var failed, n atomic.Int64
	var all sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	start, worked := time.Now(), processorTime()
	for range connections {
		all.Go(func() {
			var mine []time.Duration
			client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			for ctx.Err() == nil {
				began := time.Now()
				if !one(client, int(n.Add(1))) {
					failed.Add(1)
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			f.took = append(f.took, mine...)
		})
	}
	all.Wait()
	f.passed, f.cpu, f.failed = time.Since(start), processorTime()-worked, int(failed.Load())
	transport.CloseIdleConnections()
	return f
}

// load asks for a page on all connections for the set time.
func (b *bench) load(ctx context.Context, path string, cookie *http.Cookie) figure {
	return b.turn(ctx, b.command.Connections, time.Duration(b.command.Seconds)*time.Second, func(client *http.Client, _ int) bool {
		return b.get(ctx, client, path, cookie)
	})
}

func (b *bench) get(ctx context.Context, client *http.Client, path string, cookie *http.Cookie) bool {
	r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, b.base+path, nil)
	if err != nil {
		return false
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	res, err := client.Do(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close()) == nil && res.StatusCode == http.StatusOK
}

// signIns lets people sign in and, in turns of a second, computes bare hashes: what the machine does else falls on both alike.
func (b *bench) signIns(ctx context.Context) (bare, ours figure) {
	connections, seconds := b.command.Connections, b.command.Seconds
	for range seconds {
		bare.add(b.turn(ctx, connections, time.Second, func(client *http.Client, _ int) bool { return b.get(ctx, client, "/bench/argon2", nil) }))
		ours.add(b.turn(ctx, connections, time.Second, func(client *http.Client, _ int) bool {
			p := b.people[int(b.turned.Add(1))%(len(b.people)-1)]
			s := b.newcomer(ctx, client.Transport)
			return s.identify(b.org, p.email) && s.password() && s.code(p.key, b.Now()) && s.at == b.org.HomePath()
		}))
	}
	return bare, ours
}

// newcomer is a browser at an address of its own that goes the whole way of a person who comes back: each page and each form.
type newcomer struct {
	ctx     context.Context
	client  *http.Client
	b       *bench
	from    string
	at      string // path of the page
	body    string
	attempt string
}

func (b *bench) newcomer(ctx context.Context, transport http.RoundTripper) *newcomer {
	jar, _ := cookiejar.New(nil) // never fails
	n := b.seen.Add(1)
	return &newcomer{ctx: context.WithoutCancel(ctx), client: &http.Client{Transport: transport, Jar: jar}, b: b,
		from: fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)}
}

// ask sends a request and follows to the page that it leads to; at is empty when that failed.
func (s *newcomer) ask(method, path string, form url.Values) {
	s.at, s.body = "", ""
	r, err := http.NewRequestWithContext(s.ctx, method, s.b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return
	}
	r.Header.Set("X-Forwarded-For", s.from)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := s.client.Do(r)
	if err != nil {
		return
	}
	body, _ := io.ReadAll(res.Body) // a short body shows as a page without its marks
	_ = res.Body.Close()
	if res.StatusCode == http.StatusOK {
		s.at, s.body = res.Request.URL.Path, string(body)
	}
}

var attemptField = regexp.MustCompile(`name="attempt" value="([^"]+)"`)

// identify reads the sign-in page, sends who is there, and reads the page of the password.
func (s *newcomer) identify(o org.Org, email string) bool {
	s.ask(http.MethodGet, o.SignInPath(), nil)
	s.ask(http.MethodPost, o.SignInPath(), url.Values{"identifier": {email}})
	found := attemptField.FindStringSubmatch(s.body)
	if found == nil {
		return false
	}
	s.attempt = found[1]
	return true
}

// password sends the password and reads the page of the code.
func (s *newcomer) password() bool {
	s.ask(http.MethodPost, "/login/password", url.Values{"attempt": {s.attempt}, "password": {benchPassword}})
	return strings.Contains(s.body, `action="/login/totp"`)
}

// code sends the authenticator app's code and reads the page that the session opens.
func (s *newcomer) code(key string, now time.Time) bool {
	code, err := factor.CodeAt(key, now)
	s.ask(http.MethodPost, "/login/totp", url.Values{"attempt": {s.attempt}, "code": {code}})
	return err == nil
}

// work says what one sign-in costs: in requests, in statements, and in time of the processor beside a bare hash.
func (b *bench) work(ctx context.Context, bare, ours figure) error {
	requests, statements := b.requests.Load(), b.statements.Load()
	p := b.people[int(b.turned.Add(1))%(len(b.people)-1)]
	s := b.newcomer(ctx, http.DefaultTransport)
	if !s.identify(b.org, p.email) || !s.password() || !s.code(p.key, b.Now()) {
		return errors.New("bench: a sign-in failed")
	}
	where := "PostgreSQL's own not counted"
	if b.DB.Dialect == sqldb.SQLite {
		where = "database included"
	}
	return b.t.say("one sign-in: %d requests, %d statements; processor time %s, of a bare hash %s: %.0f %% (load generator included, %s)",
		b.requests.Load()-requests, b.statements.Load()-statements, ours.each().Round(10*time.Microsecond), bare.each().Round(10*time.Microsecond),
		100*float64(bare.each())/float64(ours.each()), where)
}

// durable says what a commit waits for: without it a figure that writes says nothing about another machine.
func (b *bench) durable(ctx context.Context, dir string) error {
	f, err := os.CreateTemp(dir, "fsync")
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // the folder is removed
	var took []time.Duration
	for range 200 {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return err
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	of := ""
	if b.DB.Dialect == sqldb.Postgres {
		fsync, err := sqldb.One(b.DB.Read(ctx), sqldb.Value[string], `select setting from pg_settings where name = 'fsync'`)
		if err != nil {
			return err
		}
		of = "; fsync of this PostgreSQL is " + fsync
	}
	return b.t.say("fsync of 4 KB: p50 %s, p99 %s%s", took[len(took)/2].Round(time.Microsecond), took[len(took)*99/100].Round(time.Microsecond), of)
}

// crowded is how many sign-ins wait at once in crowd.
const crowded = 500

// crowd lets 500 people send their password at the same moment, and looks at how long they wait, at the memory that takes, and at whether the
// server still answers that it is alive.
func (b *bench) crowd(ctx context.Context, _ string) error {
	transport := &http.Transport{MaxIdleConnsPerHost: crowded}
	defer transport.CloseIdleConnections()
	people := make([]*newcomer, crowded)
	for i := range people {
		people[i] = b.newcomer(ctx, transport)
		if !people[i].identify(b.org, b.people[i].email) {
			return errors.New("bench: a sign-in failed")
		}
	}
	runtime.GC()
	before, err := resident("self")
	if err != nil {
		return err
	}
	var failed atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for _, p := range people {
		all.Go(func() {
			if !p.password() {
				failed.Add(1)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	var alive []time.Duration
	peak := before
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			asked := time.Now()
			if !b.get(ctx, http.DefaultClient, "/healthz", nil) {
				return errors.New("bench: /healthz failed")
			}
			alive = append(alive, time.Since(asked))
			now, err := resident("self")
			if err != nil {
				return err
			}
			peak = max(peak, now)
		}
	}
	took := time.Since(start)
	slices.Sort(alive)
	return b.t.say("%d sign-ins at once: %s, %d failed, memory %.0f -> %.0f MB (load generator included)\n/healthz meanwhile: p50 %s, p99 %s, slowest %s (limit 50 ms)", crowded,
		took.Round(100*time.Millisecond), failed.Load(), float64(before)/1e6, float64(peak)/1e6,
		alive[len(alive)/2].Round(10*time.Microsecond), alive[len(alive)*99/100].Round(100*time.Microsecond), alive[len(alive)-1].Round(100*time.Microsecond))
}

// resident returns the memory that a process holds, in bytes.
func resident(process string) (int64, error) {
	status, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb * 1024, err
		}
	}
	return 0, errors.New("bench: no memory figure in /proc")
}

// processorTime returns how long this process has computed on all cores, to the hundredth of a second; 0 where there is no /proc.
func processorTime() time.Duration {
	stat, _ := os.ReadFile("/proc/self/stat")
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before it may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11]) // proc_pid_stat(5): utime and stime, in hundredths
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

var assetLink = regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`)

// weight is the size of a sign-in page with everything that it loads.
func (b *bench) weight(ctx context.Context, _ string) error {
	size := func(path string) (string, int, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+path, nil)
		if err != nil {
			return "", 0, err
		}
		r.Header.Set("Accept-Encoding", "identity")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", 0, err
		}
		body, err := io.ReadAll(res.Body)
		return string(body), len(body), errors.Join(err, res.Body.Close())
	}
	body, total, err := size(b.org.SignInPath())
	if err != nil {
		return err
	}
	for _, link := range assetLink.FindAllStringSubmatch(body, -1) {
		_, n, err := size(link[1])
		if err != nil {
			return err
		}
		total += n
	}
	return b.t.say("sign-in page with styles and script: %.1f KB (limit 50)", float64(total)/1000)
}

// process starts the real program on an existing database and looks at it from outside: start to healthy, idle memory, size.
func (b *bench) process(ctx context.Context, dir string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	info, err := os.Stat(program)
	if err != nil {
		return err
	}
	if err := b.t.say("binary: %.1f MB (limit 30)", float64(info.Size())/1e6); err != nil {
		return err
	}
	if b.DB.Dialect != sqldb.SQLite {
		return nil
	}
	// A database of its own, with one organisation: the one above is open.
	home := filepath.Join(dir, "fresh")
	if out, err := exec.CommandContext(ctx, program, "--data", home, "init", "--provider", "Bench", "--slug", "bench", "--admin", "root@bench.example").CombinedOutput(); err != nil {
		return fmt.Errorf("bench: init: %w: %s", err, out)
	}
	var starts []time.Duration
	var memory int64
	for range 5 {
		took, idle, err := startOnce(ctx, program, home)
		if err != nil {
			return err
		}
		starts, memory = append(starts, took), idle
	}
	slices.Sort(starts)
	return b.t.say("start to healthy on an existing database: %s (limit 50 ms)\nidle memory: %.1f MB (limit 40)", starts[len(starts)/2].Round(100*time.Microsecond), float64(memory)/1e6)
}

func startOnce(ctx context.Context, program, home string) (took time.Duration, memory int64, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return 0, 0, err
	}
	cmd := exec.CommandContext(ctx, program, "--data", home, "--listen", addr, "--mail-dir", filepath.Join(home, "mail"), "serve")
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, cmd.Process.Signal(os.Interrupt), cmd.Wait()) }()
	for {
		res, err := http.Get("http://" + addr + "/healthz") //nolint:noctx // bounded by the loop
		if err == nil {
			_ = res.Body.Close()
			took = time.Since(began)
			break
		}
		if time.Since(began) > 10*time.Second {
			return 0, 0, errors.New("bench: the server did not come up")
		}
		time.Sleep(500 * time.Microsecond)
	}
	time.Sleep(1500 * time.Millisecond)
	memory, err = resident(strconv.Itoa(cmd.Process.Pid))
	return took, memory, err
}
