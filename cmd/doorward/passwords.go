package main

import (
	"context"
	"errors"
	"fmt"
)

type passwordsCommand struct {
	Import passwordsImportCommand `cmd:"" help:"Import a list of stolen passwords, in place of an older one."`
}

type passwordsImportCommand struct {
	File string `arg:"" help:"The list: one password, or one SHA-1 hash in hexadecimal with or without :count, on each line. A hyphen stands for standard input."`
}

// Run makes the filter in the data folder. Servers that run there look into it from then on.
func (c *passwordsImportCommand) Run(ctx context.Context, t *terminal) (err error) {
	list, size, err := t.input(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	p := newProgress(t.screen)
	n, err := h.ImportPasswords(ctx, operator(), list, func(read int64, made float64) {
		switch {
		case made > 0:
			p.share("building", made)
		case size > 0:
			p.share("reading", float64(read)/float64(size))
		default:
			p.show(fmt.Sprintf("reading  %d MB", read/1e6))
		}
	})
	p.end()
	if err != nil {
		return err
	}
	return t.say("Passwords on the list: %d. Nobody can choose one of them from now on.", n)
}
