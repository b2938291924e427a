package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"doorward/internal/factor"
)

// benchDriveCommand is the load generator of bench. It is a process of its own, as clients are: inside the server's it would stand in the same
// queues as what it measures.
type benchDriveCommand struct{}

// drive is what the load generator is told.
type drive struct {
	Base        string
	Connections int
	Length      time.Duration
	Path        string // to ask for; with People the sign-in page
	Cookie      string // to send along
	Home        string // where a sign-in ends
	People      []benchPerson
	First       int  // number of the first one's address
	Crowd       bool // all People send their password at once, and /healthz is asked meanwhile
}

// driven is what it saw.
type driven struct {
	Took   []time.Duration // of each
	Passed time.Duration
	CPU    time.Duration // its own
	Failed int
	Alive  []time.Duration // how long /healthz took, each time
}

type benchPerson struct{ Email, Key string }

// Run reads a drive and writes what it saw.
func (c *benchDriveCommand) Run(ctx context.Context, t *terminal) error {
	var d drive
	if err := json.NewDecoder(os.Stdin).Decode(&d); err != nil {
		return err
	}
	run := d.turn
	if d.Crowd {
		run = d.crowd
	}
	seen, err := run(ctx)
	if err != nil {
		return err
	}
	seen.CPU = processorTime()
	return json.NewEncoder(t.out).Encode(seen)
}

// start runs the load generator as a process.
func (d drive) start(ctx context.Context) (seen driven, err error) {
	program, err := os.Executable()
	if err != nil {
		return seen, err
	}
	told, err := json.Marshal(d)
	if err != nil {
		return seen, err
	}
	cmd := exec.CommandContext(ctx, program, "bench", "drive")
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(told)), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return seen, fmt.Errorf("bench drive: %w", err)
	}
	return seen, json.Unmarshal(out, &seen)
}

// turn lets all connections do the same again and again until the time is over.
func (d drive) turn(ctx context.Context) (seen driven, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.Length)
	defer cancel()
	var mu sync.Mutex
	var n atomic.Int64
	var all sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: d.Connections, MaxConnsPerHost: d.Connections}
	start := time.Now()
	for range d.Connections {
		all.Go(func() {
			var mine []time.Duration
			failed := 0
			for ctx.Err() == nil {
				began := time.Now()
				if !d.once(context.WithoutCancel(ctx), transport, int(n.Add(1))-1) {
					failed++
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			seen.Took, seen.Failed = append(seen.Took, mine...), seen.Failed+failed
		})
	}
	all.Wait()
	seen.Passed = time.Since(start)
	return seen, nil
}

func (d drive) once(ctx context.Context, transport http.RoundTripper, n int) bool {
	if len(d.People) == 0 {
		return d.get(ctx, &http.Client{Transport: transport}, d.Path)
	}
	s := d.newcomer(ctx, transport, n)
	return s.identify() && s.password() && s.code()
}

// crowd lets all people send their password at the same moment.
func (d drive) crowd(ctx context.Context) (seen driven, err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: len(d.People)}
	people := make([]*newcomer, len(d.People))
	for i := range people {
		people[i] = d.newcomer(ctx, transport, i)
		if !people[i].identify() {
			return seen, errors.New("a sign-in failed")
		}
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
	checker := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // whoever checks comes anew each time
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			asked := time.Now()
			if !d.get(ctx, checker, "/healthz") {
				return seen, errors.New("/healthz failed")
			}
			seen.Alive = append(seen.Alive, time.Since(asked))
		}
	}
	seen.Passed, seen.Failed = time.Since(start), int(failed.Load())
	return seen, nil
}

func (d drive) get(ctx context.Context, client *http.Client, path string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Base+path, nil)
	if err != nil {
		return false
	}
	if d.Cookie != "" {
		r.Header.Set("Cookie", d.Cookie)
	}
	res, err := client.Do(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close()) == nil && res.StatusCode == http.StatusOK
}

// newcomer is a browser at an address of its own that goes the whole way of a person who comes back: each page and each form.
type newcomer struct {
	drive
	ctx     context.Context
	client  *http.Client
	who     benchPerson
	from    string
	at      string // path of the page
	body    string
	attempt string
}

func (d drive) newcomer(ctx context.Context, transport http.RoundTripper, n int) *newcomer {
	jar, _ := cookiejar.New(nil) // never fails
	address := d.First + n
	return &newcomer{drive: d, ctx: ctx, client: &http.Client{Transport: transport, Jar: jar}, who: d.People[n%len(d.People)],
		from: fmt.Sprintf("10.%d.%d.%d", address>>16&255, address>>8&255, address&255)}
}

// ask sends a request and follows to the page that it leads to; at is empty when that failed.
func (s *newcomer) ask(method, path string, form url.Values) {
	s.at, s.body = "", ""
	r, err := http.NewRequestWithContext(s.ctx, method, s.Base+path, strings.NewReader(form.Encode()))
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
func (s *newcomer) identify() bool {
	s.ask(http.MethodGet, s.Path, nil)
	s.ask(http.MethodPost, s.Path, url.Values{"identifier": {s.who.Email}})
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
func (s *newcomer) code() bool {
	code, err := factor.CodeAt(s.who.Key, time.Now())
	if err != nil {
		return false
	}
	s.ask(http.MethodPost, "/login/totp", url.Values{"attempt": {s.attempt}, "code": {code}})
	return s.at == s.Home
}
