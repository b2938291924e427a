package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"

	"doorward/internal/factor"
	"doorward/internal/mail"
	"doorward/internal/sqldb"
)

type doctorCommand struct{}

// examination is a run of the doctor: findings are written as they come.
type examination struct {
	*terminal
	bad int
}

func (e *examination) ok(format string, args ...any) { _ = e.say("ok  "+format, args...) }

func (e *examination) wrong(err error) {
	e.bad++
	_ = e.say("!!  %s", oneLine(e.explain(err)))
}

// Run looks at everything that a start depends on. It changes nothing.
func (c *doctorCommand) Run(ctx context.Context, t *terminal) error {
	e := &examination{terminal: t}
	e.settingsFit()
	if e.databaseReady(ctx) {
		e.keysFit(ctx)
	}
	e.mailLeaves(ctx)
	e.passwordsReadable()
	e.zonesThere()
	switch e.bad {
	case 0:
		return nil
	case 1:
		return errors.New("one thing needs to be put right")
	}
	return fmt.Errorf("%d things need to be put right", e.bad)
}

func (e *examination) settingsFit() {
	err := e.settings.Check()
	if err == nil && e.settings.TLSCert != "" {
		_, err = tls.LoadX509KeyPair(e.settings.TLSCert, e.settings.TLSKey)
	}
	if err != nil {
		e.wrong(fmt.Errorf("settings: %w", err))
		return
	}
	e.ok("settings; people use %s", e.settings.PublicURL)
}

func (e *examination) databaseReady(ctx context.Context) bool {
	err := e.existing()
	var db *sqldb.DB
	if err == nil {
		db, err = e.database(ctx)
	}
	if err != nil {
		e.wrong(err)
		return false
	}
	defer func() { _ = db.Close() }()
	s, err := db.Status(ctx)
	switch {
	case err != nil:
		e.wrong(err)
		return false
	case !s.Current():
		e.wrong(fmt.Errorf("the database is at migration %d, this program at %d; run `doorward db migrate`", s.Version, s.Newest))
		return false
	}
	e.ok("database (%s), at migration %d", db.Dialect, s.Version)
	return true
}

// keysFit opens the house, which compares the key file with the database, and the clock with what was recorded.
func (e *examination) keysFit(ctx context.Context) {
	path := e.settings.KeyPath()
	info, err := os.Stat(path)
	if err != nil {
		e.wrong(fmt.Errorf("key file %s is not there; put it back, or run `doorward init` when the database is new", path))
		return
	}
	h, err := e.house(ctx, false)
	if err != nil {
		e.wrong(err)
		return
	}
	defer func() { _ = h.Close() }()
	if info.Mode().Perm()&0o077 != 0 {
		e.wrong(fmt.Errorf("key file %s: others than its owner may read it; run `chmod 600 %s`", path, path))
	} else {
		e.ok("key file %s fits the database", path)
	}
	behind, err := clockBehind(ctx, h)
	switch {
	case err != nil:
		e.wrong(err)
	case behind > 0:
		e.wrong(fmt.Errorf("clock: it is %s behind the newest event; set it right", behind))
	default:
		e.ok("clock: %s", h.Now().UTC().Format(time.DateTime+" UTC"))
	}
}

func (e *examination) mailLeaves(ctx context.Context) {
	switch {
	case e.settings.MailDir != "":
		info, err := os.Stat(e.settings.MailDir)
		if err != nil && !errors.Is(err, os.ErrNotExist) || err == nil && !info.IsDir() {
			e.wrong(fmt.Errorf("mail folder %s: it is not a folder that can be written to", e.settings.MailDir))
			return
		}
		e.ok("mail: written as files into %s, not sent", e.settings.MailDir)
	case e.settings.SMTP == "":
		e.wrong(errors.New("mail: set --smtp, or --mail-dir to write mails as files; without one the server does not start"))
	default:
		s, err := mail.NewSMTP(e.settings.SMTP)
		if err != nil {
			e.wrong(err)
			return
		}
		if u, err := e.settings.Public(); err == nil {
			s.Name = u.Hostname()
		}
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := s.Check(ctx); err != nil {
			e.wrong(fmt.Errorf("mail: %w", err))
			return
		}
		e.ok("mail: %s takes it", s)
	}
}

func (e *examination) passwordsReadable() {
	list := factor.BreachedAt(e.settings.PasswordsPath())
	n, there, err := list.Entries()
	if err == nil {
		err = list.Check()
	}
	switch {
	case err != nil:
		e.wrong(fmt.Errorf("stolen passwords: %w", err))
	case there:
		e.ok("stolen passwords: %d are refused", n)
	default:
		e.ok("stolen passwords: there is no list; `doorward passwords import` makes one")
	}
}

func (e *examination) zonesThere() {
	if _, err := time.LoadLocation("Europe/Berlin"); err != nil {
		e.wrong(fmt.Errorf("time zones: %w; install the tzdata package", err))
		return
	}
	e.ok("time zones")
}
