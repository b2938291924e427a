package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
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
	Around      string // without People: asked for three times before Path and three times after it, as a sign-in's pages are around its hash
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
	before := processorTime() // a process starts once, and not for each sign-in
	seen, err := run(ctx)
	if err != nil {
		return err
	}
	seen.CPU = processorTime() - before
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
	start := time.Now()
	for range d.Connections {
		all.Go(func() {
			var mine []time.Duration
			failed := 0
			w := &wire{address: d.address()}
			defer w.close()
			for ctx.Err() == nil {
				began := time.Now()
				if !d.once(w, int(n.Add(1))-1) {
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

func (d drive) address() string { return strings.TrimPrefix(d.Base, "http://") }

func (d drive) once(w *wire, n int) bool {
	if len(d.People) == 0 {
		paths := []string{d.Path}
		if p := d.Around; p != "" {
			paths = []string{p, p, p, d.Path, p, p, p}
		}
		for _, path := range paths {
			if a, err := w.ask(http.MethodGet, path, "Cookie: "+d.Cookie+"\r\n", ""); err != nil || a.status != http.StatusOK {
				return false
			}
		}
		return true
	}
	s := d.newcomer(w, n)
	return s.identify() && s.password() && s.code()
}

// crowd lets all people send their password at the same moment.
func (d drive) crowd(ctx context.Context) (seen driven, err error) {
	people := make([]*newcomer, len(d.People))
	for i := range people {
		people[i] = d.newcomer(&wire{address: d.address()}, i)
		defer people[i].wire.close()
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
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			asked := time.Now()
			checker := &wire{address: d.address()} // whoever checks comes anew each time
			a, err := checker.ask(http.MethodGet, "/healthz", "", "")
			checker.close()
			if err != nil || a.status != http.StatusOK {
				return seen, errors.New("/healthz failed")
			}
			seen.Alive = append(seen.Alive, time.Since(asked))
		}
	}
	seen.Passed, seen.Failed = time.Since(start), int(failed.Load())
	return seen, nil
}

// wire is a connection that is kept open, dialled when it is first used. It asks one thing after the other and spends as little as it can: what the
// load generator computes, the server on the same cores does not.
type wire struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	asked   []byte
}

// answer is what came back: the body and, of the header, what a browser of ours needs.
type answer struct {
	status   int
	location string
	cookies  []*http.Cookie
	body     []byte
}

// ask sends a request with those further header lines and reads the whole answer, which has to say its length.
func (w *wire) ask(method, path, header, body string) (a answer, err error) {
	if w.conn == nil {
		if w.conn, err = net.Dial("tcp", w.address); err != nil {
			return a, err
		}
		w.in = bufio.NewReaderSize(w.conn, 16<<10)
	}
	w.asked = append(w.asked[:0], method+" "+path+" HTTP/1.1\r\nHost: "+w.address+"\r\n"+header...)
	if body != "" {
		w.asked = append(w.asked, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n"...)
	}
	if _, err := w.conn.Write(append(append(w.asked, "\r\n"...), body...)); err != nil {
		return a, err
	}
	length := -1
	for first := true; ; first = false {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return a, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, " ")
		switch {
		case first:
			status, _, _ := strings.Cut(value, " ")
			a.status, err = strconv.Atoi(status)
		case name == "Location:":
			a.location = value
		case name == "Content-Length:":
			length, err = strconv.Atoi(value)
		case name == "Set-Cookie:":
			var c *http.Cookie
			c, err = http.ParseSetCookie(value)
			a.cookies = append(a.cookies, c)
		}
		if err != nil {
			return a, err
		}
	}
	if length < 0 {
		return a, errors.New("an answer without its length")
	}
	a.body = make([]byte, length)
	_, err = io.ReadFull(w.in, a.body)
	return a, err
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close() // everything was read
	}
}

// newcomer is a browser at an address of its own that goes the whole way of a person who comes back: each page and each form.
type newcomer struct {
	drive
	wire    *wire
	cookies map[string]string
	who     benchPerson
	from    string
	at      string // path of the page
	body    []byte
	attempt string
}

func (d drive) newcomer(w *wire, n int) *newcomer {
	address := d.First + n
	return &newcomer{drive: d, wire: w, cookies: map[string]string{}, who: d.People[n%len(d.People)],
		from: fmt.Sprintf("10.%d.%d.%d", address>>16&255, address>>8&255, address&255)}
}

// mostRedirects is how often a browser of ours is led on.
const mostRedirects = 5

// ask sends a request and follows to the page that it leads to; at is empty when that failed.
func (s *newcomer) ask(method, path string, form url.Values) {
	s.at, s.body = "", nil
	body := form.Encode()
	for range mostRedirects {
		header := "X-Forwarded-For: " + s.from + "\r\n"
		separator := "Cookie: "
		for name, value := range s.cookies {
			header += separator + name + "=" + value
			separator = "; "
		}
		if len(s.cookies) > 0 {
			header += "\r\n"
		}
		a, err := s.wire.ask(method, path, header, body)
		if err != nil {
			return
		}
		for _, c := range a.cookies {
			if s.cookies[c.Name] = c.Value; c.MaxAge < 0 {
				delete(s.cookies, c.Name)
			}
		}
		switch a.status {
		case http.StatusOK:
			s.at, s.body = path, a.body
			return
		case http.StatusSeeOther:
			method, path, body = http.MethodGet, a.location, ""
		default:
			return
		}
	}
}

var attemptField = regexp.MustCompile(`name="attempt" value="([^"]+)"`)

// identify reads the sign-in page, sends who is there, and reads the page of the password.
func (s *newcomer) identify() bool {
	s.ask(http.MethodGet, s.Path, nil)
	s.ask(http.MethodPost, s.Path, url.Values{"identifier": {s.who.Email}})
	found := attemptField.FindSubmatch(s.body)
	if found == nil {
		return false
	}
	s.attempt = string(found[1])
	return true
}

// password sends the password and reads the page of the code.
func (s *newcomer) password() bool {
	s.ask(http.MethodPost, "/login/password", url.Values{"attempt": {s.attempt}, "password": {benchPassword}})
	return bytes.Contains(s.body, []byte(`action="/login/totp"`))
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
