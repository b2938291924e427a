package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

// The life of a key:
//
//	AddKey ──> in the file of every node ──> Reseal: it seals, old rows are sealed anew ──> RetireKey, for the one before
//
// All three are for the operator alone, and are events of the provider.

// AddKey adds a fresh key to the key file and returns its id. It seals nothing yet.
func (h *House) AddKey(ctx context.Context, actor access.Actor) (string, error) {
	var key string
	err := h.withKeyFile(ctx, actor, func(tx sqldb.Tx, provider id.Org) (err error) {
		if key == "" { // once, also when the database asks for another run
			if key, err = h.Vault.Add(); err != nil {
				return err
			}
		}
		return h.recordKey(tx, provider, actor, audit.KeyAdded, key, nil)
	})
	if err != nil && key != "" {
		return "", errors.Join(err, h.Vault.Remove(key)) // no key without its event
	}
	return key, err
}

// Resealed is what Reseal did.
type Resealed struct {
	Key     string
	Factors int // rows sealed anew
	Mails   int
}

// Reseal makes a key the sealing key, the file's newest when it is empty, and seals with it what older keys sealed. It can be run again
// at any time, also after it was interrupted.
func (h *House) Reseal(ctx context.Context, actor access.Actor, key string) (Resealed, error) {
	var r Resealed
	err := h.withKeyFile(ctx, actor, func(tx sqldb.Tx, provider id.Org) error {
		keys, err := h.Vault.Keys()
		if err != nil {
			return err
		}
		r = Resealed{Key: key}
		if key == "" {
			r.Key = keys[len(keys)-1]
		}
		if err := h.Vault.SealWith(r.Key); err != nil {
			return err
		}
		if err := WriteKeyCheck(tx, h.Vault); err != nil {
			return err
		}
		if r.Factors, err = factor.Reseal(tx, h.Vault); err != nil {
			return err
		}
		if r.Mails, err = outbox.Reseal(tx, h.Vault); err != nil {
			return err
		}
		return h.recordKey(tx, provider, actor, audit.KeyResealed, r.Key, map[string]any{"factors": r.Factors, "mails": r.Mails})
	})
	return r, err
}

// RetireKey takes a key out of the key file. It refuses the sealing key, and one that something is still sealed with.
func (h *House) RetireKey(ctx context.Context, actor access.Actor, key string) error {
	err := h.withKeyFile(ctx, actor, func(tx sqldb.Tx, provider id.Org) error {
		keys, err := h.Vault.Keys()
		if err != nil {
			return err
		}
		switch {
		case !slices.Contains(keys, key):
			return fmt.Errorf("key file %s has no key %q; `doorward key list` shows those it has", h.Settings.KeyPath(), key)
		case key == h.Vault.Sealing():
			return fmt.Errorf("key %q seals new data; run `doorward key add` and `doorward key reseal` first", key)
		}
		if err := h.keyUnused(tx, key); err != nil {
			return err
		}
		// The canary of the key that stays must be there before the other one goes.
		if err := WriteKeyCheck(tx, h.Vault); err != nil {
			return err
		}
		if _, err := tx.Exec(`delete from key_checks where key_id = $1`, key); err != nil {
			return err
		}
		return h.recordKey(tx, provider, actor, audit.KeyRetired, key, nil)
	})
	if err != nil {
		return err
	}
	// Only after the commit: a database that asks for a key which the file has lost would not start.
	return h.withKeyFile(ctx, actor, func(sqldb.Tx, id.Org) error { return h.Vault.Remove(key) })
}

func (h *House) keyUnused(tx sqldb.Tx, key string) error {
	signIns, err := signin.UsesKey(tx, h.Now(), key)
	if err != nil {
		return err
	}
	if signIns {
		return fmt.Errorf("key %q still opens the mailed code of a sign-in that is under way; try again in half an hour", key)
	}
	sheets, err := account.JobsUseKey(tx, key)
	if err != nil {
		return err
	}
	if sheets {
		return fmt.Errorf("key %q still opens the file of an import that is under way; try again when it has ended", key)
	}
	factors, err := factor.UsesKey(tx, key)
	if err != nil {
		return err
	}
	mails, err := outbox.UsesKey(tx, key)
	if err != nil {
		return err
	}
	if factors || mails {
		return fmt.Errorf("data is still sealed with key %q; run `doorward key reseal` first", key)
	}
	return nil
}

// withKeyFile runs fn while no other command changes the key file. The provider's row is the lock.
func (h *House) withKeyFile(ctx context.Context, actor access.Actor, fn func(tx sqldb.Tx, provider id.Org) error) error {
	if err := access.RequireOperator(actor); err != nil {
		return err
	}
	return h.DB.Write(ctx, func(tx sqldb.Tx) error {
		provider, err := org.Provider(tx)
		if refusal.Is(err, refusal.NotFound) {
			return errors.New("there is no provider yet, so there is nothing to seal; run `doorward init` first")
		}
		if err != nil {
			return err
		}
		if err := access.Lock(tx, provider.ID); err != nil {
			return err
		}
		return fn(tx, provider.ID)
	})
}

func (h *House) recordKey(tx sqldb.Tx, provider id.Org, actor access.Actor, action audit.Action, key string, more map[string]any) error {
	data := map[string]any{"key": key}
	for k, v := range more {
		data[k] = v
	}
	return audit.Record(tx, h.Now(), audit.Event{Org: provider, Action: action, Actor: actor, Target: audit.Target{Kind: "key", ID: key}, Data: data})
}
