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

// benchCommand prints figures of this machine: ours beside the physical limit measured in the same run. Absolute figures drift from
// machine to machine; the ratios are what to compare.
type benchCommand struct {
	Seconds     int    `help:"How long each figure is measured." default:"5"`
	Connections int    `help:"Clients at once." default:"16"`
	On          string `help:"postgres://… to measure on instead of SQLite; the database must be empty." placeholder:"URL"`
}

// Run measures on a database in a temporary folder.
func (c *benchCommand) Run(ctx context.Context, t *terminal) (err error) {
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
	return b.run(ctx, dir)
}

// bench is one run.
type bench struct {
	*server.House
	command *benchCommand
	t       *terminal
	base    string
	org     org.Org
	people  []benchPerson
	session secret.Text
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
	mux.Handle("/", srv.Handler)
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
	argon := b.load(ctx, "/bench/argon2", nil)
	signIns := b.signIns(ctx)
	rows := [][]string{
		{"", "per second", "p50", "p99", "share"},
		bare.row("bare handler", 1),
		session.row("session check", session.rate/bare.rate),
		dashboard.row("dashboard page", dashboard.rate/bare.rate),
		argon.row("bare argon2id", 1),
		signIns.row("sign-in, password and code, all requests", signIns.rate/argon.rate),
	}
	if err := b.t.table(rows); err != nil {
		return err
	}
	for _, f := range []func(context.Context, string) error{b.crowd, b.weight, b.process} {
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
	rate     float64
	p50, p99 time.Duration
	failed   int
}

func (f figure) row(name string, share float64) []string {
	return []string{name, fmt.Sprintf("%.0f", f.rate), f.p50.Round(10 * time.Microsecond).String(), f.p99.Round(10 * time.Microsecond).String(), fmt.Sprintf("%.0f %%", 100*share)}
}

// during runs one on all connections for the set time.
func (b *bench) during(ctx context.Context, one func(client *http.Client, n int) bool) figure {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(b.command.Seconds)*time.Second)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var failed atomic.Int64
	var n atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	transport := &http.Transport{MaxIdleConnsPerHost: b.command.Connections, MaxConnsPerHost: b.command.Connections}
	for range b.command.Connections {
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
			took = append(took, mine...)
		})
	}
	all.Wait()
	passed := time.Since(start)
	transport.CloseIdleConnections()
	slices.Sort(took)
	if len(took) == 0 {
		return figure{}
	}
	return figure{rate: float64(len(took)) / passed.Seconds(), p50: took[len(took)/2], p99: took[len(took)*99/100], failed: int(failed.Load())}
}

func (b *bench) load(ctx context.Context, path string, cookie *http.Cookie) figure {
	return b.during(ctx, func(client *http.Client, _ int) bool {
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
	})
}

var attemptField = regexp.MustCompile(`name="attempt" value="([^"]+)"`)

// signIns goes the whole way of a person who comes back: each page and each form, password and code.
func (b *bench) signIns(ctx context.Context) figure {
	return b.during(ctx, func(client *http.Client, n int) bool {
		p := b.people[n%(len(b.people)-1)]
		jar, err := cookiejar.New(nil)
		if err != nil {
			return false
		}
		c := &http.Client{Transport: client.Transport, Jar: jar}
		from := fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
		ask := func(method, path string, form url.Values) (string, string) {
			r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), method, b.base+path, strings.NewReader(form.Encode()))
			if err != nil {
				return "", ""
			}
			r.Header.Set("X-Forwarded-For", from)
			if method == http.MethodPost {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			res, err := c.Do(r)
			if err != nil {
				return "", ""
			}
			body, _ := io.ReadAll(res.Body) // a short body shows as a page without its marks
			_ = res.Body.Close()
			return res.Request.URL.Path, string(body)
		}
		ask(http.MethodGet, b.org.SignInPath(), nil)
		_, body := ask(http.MethodPost, b.org.SignInPath(), url.Values{"identifier": {p.email}})
		found := attemptField.FindStringSubmatch(body)
		if found == nil {
			return false
		}
		ask(http.MethodPost, "/login/password", url.Values{"attempt": {found[1]}, "password": {benchPassword}})
		code, err := factor.CodeAt(p.key, b.Now())
		if err != nil {
			return false
		}
		at, _ := ask(http.MethodPost, "/login/totp", url.Values{"attempt": {found[1]}, "code": {code}})
		return at == b.org.HomePath()
	})
}

// crowded is how many sign-ins wait at once in crowd.
const crowded = 500

// crowd lets 500 people send their password at the same moment, and looks at how long they wait, at the memory that takes, and at whether the
// server still answers that it is alive.
func (b *bench) crowd(ctx context.Context, _ string) error {
	c := access.Client{Address: "127.0.0.1"}
	keys := make([]signin.Key, crowded)
	for i := range keys {
		p, err := b.Desk.Begin(ctx, signin.Start{Org: b.org, Slug: b.org.Slug, Identifier: b.people[i].email, Client: c})
		if err != nil {
			return err
		}
		keys[i] = p.Key
	}
	runtime.GC()
	before, err := resident("self")
	if err != nil {
		return err
	}
	var failed atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for _, k := range keys {
		all.Go(func() {
			if _, err := b.Desk.Password(ctx, k, benchPassword, c, signin.Held{}); err != nil {
				failed.Add(1)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	var slowest time.Duration
	peak := before
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			asked := time.Now()
			res, err := http.Get(b.base + "/healthz") //nolint:noctx // ends with the crowd
			if err != nil {
				return err
			}
			_ = res.Body.Close()
			slowest = max(slowest, time.Since(asked))
			now, err := resident("self")
			if err != nil {
				return err
			}
			peak = max(peak, now)
		}
	}
	return b.t.say("%d sign-ins at once: %s, %d failed, memory %.0f -> %.0f MB, slowest /healthz meanwhile %s (limit 50 ms)", crowded,
		time.Since(start).Round(100*time.Millisecond), failed.Load(), float64(before)/1e6, float64(peak)/1e6, slowest.Round(100*time.Microsecond))
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
