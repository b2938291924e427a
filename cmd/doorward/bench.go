package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
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
	Drive   benchDriveCommand   `cmd:"" hidden:""`
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

	turned     int // people who signed in
	requests   atomic.Int64
	statements atomic.Int64
}

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
	empty := make([]byte, 5000) // as long as a page of a sign-in
	mux.HandleFunc("/bench/empty", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(empty)))
		_, _ = w.Write(empty)
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
	held := srv.Kit.Cookie("session") + "=" + string(b.session)
	bare, err1 := b.load(ctx, "/bench/bare", "")
	session, err2 := b.load(ctx, "/bench/session", held)
	dashboard, err3 := b.load(ctx, b.org.HomePath(), held)
	b.requests.Store(0)
	b.statements.Store(0)
	argon, around, signIns, err4 := b.signIns(ctx)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	rows := [][]string{
		{"", "per second", "p50", "p99", "share"},
		bare.row("bare handler", bare),
		session.row("session check", bare),
		dashboard.row("dashboard page", bare),
		argon.row("bare argon2id", argon),
		around.row("the same among six empty pages", argon),
		signIns.row("sign-in, password and code, all requests", argon),
	}
	if err := b.t.table(rows); err != nil {
		return err
	}
	if err := b.work(argon, signIns); err != nil {
		return err
	}
	for _, f := range []func(context.Context, string) error{b.durable, b.crowd, b.weight, b.process} {
		if err := f(ctx, dir); err != nil {
			return err
		}
	}
	if n := signIns.Failed + session.Failed + dashboard.Failed + argon.Failed + around.Failed; n > 0 {
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
	begun, err := b.Desk.Begin(ctx, signin.Start{Org: b.org, Slug: b.org.Slug, Identifier: p.Email, Client: c})
	if err != nil {
		return err
	}
	known, err := b.Desk.Password(ctx, begun.Key, benchPassword, c, signin.Held{})
	if err != nil {
		return err
	}
	code, err := factor.CodeAt(p.Key, b.Now())
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

// figure is what a load gave; its processor time is the load generator's and this process's.
type figure struct{ driven }

func (f *figure) add(more figure) {
	f.Took, f.Passed, f.CPU, f.Failed = append(f.Took, more.Took...), f.Passed+more.Passed, f.CPU+more.CPU, f.Failed+more.Failed
}

// rate is how many there were per second.
func (f figure) rate() float64 { return float64(len(f.Took)) / max(f.Passed.Seconds(), 1e-9) }

// each is the processor time of one.
func (f figure) each() time.Duration { return f.CPU / time.Duration(max(len(f.Took), 1)) }

func (f figure) row(name string, of figure) []string {
	return []string{name, fmt.Sprintf("%.0f", f.rate()), at(f.Took, 50).String(), at(f.Took, 99).String(), fmt.Sprintf("%.0f %%", 100*f.rate()/max(of.rate(), 1e-9))}
}

// at returns how long the given percentage took at most.
func at(took []time.Duration, percent int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(took))[min(len(took)*percent/100, len(took)-1)].Round(10 * time.Microsecond)
}

// load asks for a page on all connections for the set time.
func (b *bench) load(ctx context.Context, path, cookie string) (figure, error) {
	return b.drive(ctx, drive{Path: path, Cookie: cookie, Length: time.Duration(b.command.Seconds) * time.Second})
}

// drive starts the load generator and adds this process's own work to what it saw.
func (b *bench) drive(ctx context.Context, d drive) (figure, error) {
	d.Base, d.Connections = b.base, b.command.Connections
	worked := processorTime()
	seen, err := d.start(ctx)
	seen.CPU += processorTime() - worked
	return figure{seen}, err
}

// signIn is a drive in which people sign in, each at most once within a time step: a code is good once.
func (b *bench) signIn(people int) drive {
	d := drive{Path: b.org.SignInPath(), Home: b.org.HomePath(), First: b.turned}
	for range people {
		d.People = append(d.People, b.people[b.turned%(len(b.people)-1)])
		b.turned++
	}
	return d
}

// signIns lets people sign in and, in turns of a second, computes bare hashes: what the machine does else falls on both alike. The bare ones
// have as many threads as the machine has cores, which is best for hashes alone. Between them are hashes of which each has six empty pages around it,
// asked for one after the other: what seven requests cost beside a hash in this process if nothing had to be done for them.
func (b *bench) signIns(ctx context.Context) (bare, around, ours figure, err error) {
	for range b.command.Seconds {
		runtime.GOMAXPROCS(runtime.NumCPU())
		hashes, err := b.drive(ctx, drive{Path: "/bench/argon2", Length: time.Second})
		if err != nil {
			return bare, around, ours, err
		}
		b.Hasher.MakeRoom() // as the server does
		empty, err := b.drive(ctx, drive{Path: "/bench/argon2", Around: "/bench/empty", Length: time.Second})
		if err != nil {
			return bare, around, ours, err
		}
		d := b.signIn(mostPerTurn)
		d.Length = time.Second
		whole, err := b.drive(ctx, d)
		if err != nil {
			return bare, around, ours, err
		}
		b.turned -= mostPerTurn - len(whole.Took)
		bare.add(hashes)
		around.add(empty)
		ours.add(whole)
	}
	return bare, around, ours, nil
}

// mostPerTurn is more than the people who can sign in within a second, crowded is how many sign-ins wait at once in crowd.
const (
	mostPerTurn = 1000
	crowded     = 500
)

// work says what one sign-in costs: in requests, in statements, and in time of the processor beside a bare hash.
func (b *bench) work(bare, ours figure) error {
	n := int64(max(len(ours.Took), 1))
	where := "PostgreSQL's own not counted"
	if b.DB.Dialect == sqldb.SQLite {
		where = "database included"
	}
	return b.t.say("one sign-in: %d requests, %d statements; processor time %s, of a bare hash %s: %.0f %% (load generator included, %s)",
		b.requests.Load()/n, b.statements.Load()/n, ours.each().Round(10*time.Microsecond), bare.each().Round(10*time.Microsecond),
		100*float64(bare.each())/float64(max(ours.each(), 1)), where)
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
	of := ""
	if b.DB.Dialect == sqldb.Postgres {
		fsync, err := sqldb.One(b.DB.Read(ctx), sqldb.Value[string], `select setting from pg_settings where name = 'fsync'`)
		if err != nil {
			return err
		}
		of = "; fsync of this PostgreSQL is " + fsync
	}
	return b.t.say("fsync of 4 KB: p50 %s, p99 %s%s", at(took, 50), at(took, 99), of)
}

// crowd lets 500 people send their password at the same moment, and looks at how long they wait, at the memory that takes, and at whether the
// server still answers that it is alive.
func (b *bench) crowd(ctx context.Context, _ string) error {
	runtime.GC()
	before, err := resident("self")
	if err != nil {
		return err
	}
	d := b.signIn(crowded)
	d.Crowd = true
	var seen figure
	done := make(chan error, 1)
	go func() {
		var err error
		seen, err = b.drive(ctx, d)
		done <- err
	}()
	peak := before
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			running = false
		case <-time.After(10 * time.Millisecond):
			now, err := resident("self")
			if err != nil {
				return err
			}
			peak = max(peak, now)
		}
	}
	return b.t.say("%d sign-ins at once: %s, %d failed, memory %.0f -> %.0f MB\n/healthz meanwhile: p50 %s, p99 %s, slowest %s of %d (limit 50 ms)", crowded,
		seen.Passed.Round(100*time.Millisecond), seen.Failed, float64(before)/1e6, float64(peak)/1e6, at(seen.Alive, 50), at(seen.Alive, 99),
		at(seen.Alive, 100), len(seen.Alive))
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
