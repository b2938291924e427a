package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"doorward/internal/demo"
)

type demoCommand struct {
	MailboxListen string `placeholder:"ADDRESS" help:"Address of the mailbox page; 127.0.0.1:8025 by default, or a free port."`
	Keep          string `placeholder:"DIR" help:"Keep database and mail in this empty folder instead of a temporary one."`
}

// demoTakes are the settings that go with the demo; it makes the others itself.
var demoTakes = []string{"listen", "argon2", "log-level", "log-format"}

// Run makes a sample world, says what to open, and serves it until a signal comes.
func (c *demoCommand) Run(ctx context.Context, t *terminal) (err error) {
	for _, f := range t.flags {
		if _, elsewhere := t.origins[f.Name]; !elsewhere && !slices.Contains(demoTakes, f.Name) {
			return fmt.Errorf("--%s does not go with the demo, which has its own database and mail", f.Name)
		}
	}
	o := demo.Options{Listen: t.settings.Listen, Mailbox: c.MailboxListen, Keep: c.Keep, Argon2: t.settings.Argon2, Log: t.log}
	if t.origins["listen"] == "default" {
		o.Listen = ""
	}
	d, err := demo.Open(ctx, o)
	if err != nil {
		if ctx.Err() != nil { // interrupted while the world was being made
			return nil
		}
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	screen, err := d.Screen(ctx)
	if err != nil {
		return err
	}
	var said error
	err = d.Serve(ctx, func() { said = t.say("%s", screen) })
	return errors.Join(err, said)
}
