package main

import (
	"context"
	"errors"

	"doorward/internal/locale"
)

type initCommand struct {
	Provider string `required:"" placeholder:"NAME" help:"The provider's name."`
	Slug     string `required:"" help:"The provider's tenant domain: lower-case letters, digits, dots and hyphens."`
	Admin    string `required:"" placeholder:"EMAIL" help:"The first administrator's e-mail address."`
	Language string `enum:"en,de,fr" default:"en" help:"The provider's language: en, de or fr."`
	JSON     bool   `help:"Write JSON."`
}

// Run creates the provider, in an empty database if need be, and prints the administrator's link: the one way in.
func (c *initCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, err := t.found(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	f, err := h.Directory.Found(ctx, operator(), c.Provider, c.Slug, c.Admin, locale.Language(c.Language))
	if err != nil {
		return err
	}
	if c.JSON {
		return t.json(struct {
			Org     string `json:"org"`
			Account string `json:"account"`
			Link    string `json:"activation_url"`
		}{string(f.Org.ID), string(f.Account.ID), t.link(f.Token)})
	}
	return t.say("%s is set up, with its sign-in page at %s.\nTo activate the account of %s, open this address within %s:\n%s", f.Org.Name,
		t.address(f.Org.SignInPath()), f.Account.Email, t.words().Duration(f.Org.Rules.LinkLife), t.link(f.Token))
}
