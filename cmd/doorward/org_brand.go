package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"doorward/internal/account"
	"doorward/internal/org"
)

type orgBrandCommand struct {
	Slug     string  `arg:"" help:"Tenant domain."`
	Accent   *string `placeholder:"COLOUR" help:"Accent colour, such as '#2e5bd9'." xor:"accent"`
	NoAccent bool    `help:"Take the organisation's own accent colour away." xor:"accent"`
	Logo     string  `placeholder:"FILE" help:"Logo: a PNG, JPEG, GIF or WebP picture." xor:"logo"`
	NoLogo   bool    `help:"Take the organisation's own logo away." xor:"logo"`
}

// Run changes what is given and says what the organisation has then.
func (c *orgBrandCommand) Run(ctx context.Context, t *terminal) (err error) {
	to := account.Rebrand{Accent: c.Accent, NoLogo: c.NoLogo}
	if c.NoAccent {
		to.Accent = new(string)
	}
	if c.Logo != "" {
		if to.Logo, err = readLogo(c.Logo); err != nil {
			return err
		}
	}
	h, o, leave, err := t.at(ctx, c.Slug)
	if err != nil {
		return err
	}
	defer leave(&err)
	if to.Accent != nil || to.Logo != nil || to.NoLogo {
		if err := h.Directory.SetBrand(ctx, operator(), o.ID, o.Rev, to); err != nil {
			return err
		}
		if o, err = org.Find(h.DB.Read(ctx), o.ID); err != nil {
			return err
		}
	}
	accent, logo := o.OwnBrand.Accent, "set"
	if accent == "" {
		accent = "none of its own"
	}
	if o.OwnBrand.Logo == "" {
		logo = "none of its own"
	}
	return t.say("%s: accent colour: %s; logo: %s.", o.Slug, accent, logo)
}

// readLogo reads a picture, of one that is too large no more than shows that. An empty file is one too.
func readLogo(name string) (file []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("the logo: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if file, err = io.ReadAll(io.LimitReader(f, org.MostLogo+1)); err != nil {
		return nil, fmt.Errorf("the logo: %w", err)
	}
	return file, nil
}
