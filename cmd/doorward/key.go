package main

import (
	"context"
	"errors"
	"fmt"
)

type keyCommand struct {
	Add    keyAddCommand    `cmd:"" help:"Add a key to the key file. It seals nothing yet: bring the file to every node first."`
	Reseal keyResealCommand `cmd:"" help:"Make a key the sealing key, and seal anew what older keys sealed."`
	Retire keyRetireCommand `cmd:"" help:"Take a key out of the key file, once nothing needs it."`
	List   keyListCommand   `cmd:"" help:"List the keys of the key file."`
}

type keyAddCommand struct{}

// Run adds a key.
func (c *keyAddCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	key, err := h.AddKey(ctx, operator())
	if err != nil {
		return err
	}
	return t.say("%s", key)
}

type keyResealCommand struct {
	Key string `arg:"" optional:"" help:"The key; the newest by default."`
}

// Run seals anew.
func (c *keyResealCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	r, err := h.Reseal(ctx, operator(), c.Key)
	if err != nil {
		return err
	}
	return t.say("%s seals; sealed anew: factors %d, mails %d.", r.Key, r.Factors, r.Mails)
}

type keyRetireCommand struct {
	Key string `arg:"" help:"The key."`
}

// Run removes the key.
func (c *keyRetireCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.RetireKey(ctx, operator(), c.Key); err != nil {
		return err
	}
	return t.say("%s is out of %s.", c.Key, t.settings.KeyPath())
}

type keyListCommand struct{}

// Run lists ids, never keys.
func (c *keyListCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	keys, err := h.Vault.Keys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k == h.Vault.Sealing() {
			k = fmt.Sprint(k, "  seals")
		}
		if err := t.say("%s", k); err != nil {
			return err
		}
	}
	return nil
}
