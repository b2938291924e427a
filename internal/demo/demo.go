// Package demo owns the sample world: a provider, an MSP and two customers with people in every state, made through the domain's own
// operations, and the mailbox page that shows their mail, passwords and codes. It listens on loopback alone, and every password is made
// anew for each run.
//
//	Open: folder, database ──> play: two weeks, on a clock that is set ──> Serve: server and mailbox page, in real time ──> Close
//
// The server is the real one, on SQLite, with its real mail folder: the mailbox page reads the files that it writes.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"doorward/internal/config"
	"doorward/internal/server"
)

// Where the demo listens when nothing else is asked for.
const (
	usualListen  = "127.0.0.1:8080"
	usualMailbox = "127.0.0.1:8025"
)

// Options say where the demo listens and what it leaves behind.
type Options struct {
	Listen  string // address of the server; empty: 127.0.0.1:8080, or a free port when that is taken
	Mailbox string // address of the mailbox page; empty: 127.0.0.1:8025, or a free port
	Keep    string // empty folder for database and mail; "" for a temporary one that Close removes
	Argon2  string // cost of a password hash, as in the settings
	Log     *slog.Logger
}

// Demo is a sample world, ready to be served.
type Demo struct {
	Public  string   // address of the server
	Mailbox string   // address of the mailbox page
	Link    string   // a fresh activation link
	People  []Person // the cast, in the order of the table

	folder    string
	temporary bool
	clock     clock
	web, post net.Listener
	house     *server.House
	server    *server.Server
	box       box
	mailbox   http.Handler
}

// Open makes a sample world and takes its addresses. The error is one line: an address that others could reach, a port that is taken, a
// folder that is not empty.
func Open(ctx context.Context, o Options) (d *Demo, err error) {
	d = &Demo{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.web, err = listen(o.Listen, usualListen); err != nil {
		return d, err
	}
	if d.post, err = listen(o.Mailbox, usualMailbox); err != nil {
		return d, err
	}
	if err := d.takeFolder(o.Keep); err != nil {
		return d, err
	}
	s := config.Settings{Listen: d.web.Addr().String(), PublicURL: publicURL(d.web.Addr()), Data: filepath.Join(d.folder, "data"), Database: "sqlite",
		MailDir: filepath.Join(d.folder, "mail"), MailFrom: "noreply-account@northwind.example", Argon2: o.Argon2}
	public, err := s.Public()
	if err != nil {
		return d, err
	}
	// The mailbox page goes by its number, so that the two have different hosts and share no cookie.
	d.Public, d.Mailbox = public.String(), "http://"+d.post.Addr().String()
	d.box.dir = s.MailDir
	if d.house, err = server.Open(ctx, s, d.clock.Now, o.Log, true); err != nil {
		return d, err
	}
	if d.server, err = server.New(d.house); err != nil {
		return d, err
	}
	if err := d.play(ctx); err != nil {
		return d, fmt.Errorf("the sample world: %w", err)
	}
	d.mailbox, err = newMailbox(d)
	return d, err
}

// takeFolder makes the folder for everything that the demo writes.
func (d *Demo) takeFolder(keep string) (err error) {
	if keep == "" {
		d.temporary = true
		d.folder, err = os.MkdirTemp("", "doorward-demo-")
		return err
	}
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return err
	}
	there, err := os.ReadDir(keep)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("%s is not empty; the demo begins anew each time and needs an empty folder", keep)
	}
	d.folder = keep
	return err
}

// listen takes an address of this machine; an empty one means the usual one, or a free port when that is taken.
func listen(address, usual string) (net.Listener, error) {
	wanted := address
	if wanted == "" {
		wanted = usual
	}
	host, port, err := net.SplitHostPort(wanted)
	if n, numErr := strconv.Atoi(port); err != nil || numErr != nil || n < 0 || n > 65535 {
		return nil, fmt.Errorf("%q is not an address like %s", wanted, usual)
	}
	if !config.Loopback(host) {
		return nil, fmt.Errorf("%q can be reached by others, and the demo shows passwords: use a loopback address like %s", wanted, usual)
	}
	l, err := net.Listen("tcp", wanted)
	if err != nil && address == "" {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", wanted, err)
	}
	return l, nil
}

// publicURL is the address that browsers use: by name where the name leads there, because passkeys want one.
func publicURL(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return "http://" + a.String()
	}
	if host == "127.0.0.1" || host == "::1" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Serve runs the server and the mailbox page until ctx ends, and calls ready once both answer.
func (d *Demo) Serve(ctx context.Context, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	post := &http.Server{Handler: d.mailbox, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10}
	ended := make(chan error, 1)
	go func() {
		ended <- post.Serve(d.post)
		stop()
	}()
	err := d.web.Close() // held until here so that nobody else takes it; the server opens it itself
	d.web = nil
	if err == nil {
		err = d.server.Serve(ctx, func(string) { ready() })
	}
	err = errors.Join(err, post.Close())
	if postErr := <-ended; !errors.Is(postErr, http.ErrServerClosed) {
		err = errors.Join(err, postErr)
	}
	d.post = nil
	return err
}

// Close lets go of everything, and removes the folder unless it is to be kept.
func (d *Demo) Close() error {
	var errs []error
	for _, l := range []net.Listener{d.web, d.post} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	if d.house != nil {
		errs = append(errs, d.house.Close())
	}
	if d.temporary {
		errs = append(errs, os.RemoveAll(d.folder))
	}
	return errors.Join(errs...)
}
