package main

import (
	"context"
	"errors"
	"time"

	"doorward/internal/audit"
	"doorward/internal/server"
)

type serveCommand struct{}

// Run serves until a signal comes, then lets running requests end.
func (c *serveCommand) Run(ctx context.Context, t *terminal) (err error) {
	if t.settings.SMTP == "" && t.settings.MailDir == "" {
		return errors.New("no way to send mail: set --smtp, or --mail-dir to write mails as files")
	}
	h, err := t.found(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	behind, err := clockBehind(ctx, h)
	if err != nil {
		return err
	}
	if behind > 0 {
		t.log.Warn("this machine's clock is behind the newest event; set it right, or links and codes end at the wrong time", "behind", behind)
	}
	if _, _, err := h.Breached.Entries(); err != nil {
		t.log.Error("nobody can choose a password until the list of stolen passwords can be read", "error", err)
	}
	return server.Run(ctx, h, func(addr string) {
		t.log.Info("serving", "listen", addr, "public_url", t.settings.PublicURL)
	})
}

// clockSlack is how far the clocks of several nodes may lie apart.
const clockSlack = time.Minute

// clockBehind returns by how much the clock is behind what was recorded, 0 when it may be right.
func clockBehind(ctx context.Context, h *server.House) (time.Duration, error) {
	newest, err := audit.Newest(h.DB.Read(ctx))
	if err != nil {
		return 0, err
	}
	if d := newest.Sub(h.Now()); d > clockSlack {
		return d.Round(time.Second), nil
	}
	return 0, nil
}
