package server

import (
	"context"
	"errors"
	"io"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// ImportPasswords makes the list of stolen passwords, in place of an older one, and returns how many it has; for the operator alone.
// What the list may look like, and what told hears, see factor.Breached.Build. Every node has a list of its own.
func (h *House) ImportPasswords(ctx context.Context, actor access.Actor, list io.Reader, told func(read int64, made float64)) (int64, error) {
	if err := access.RequireOperator(actor); err != nil {
		return 0, err
	}
	provider, err := org.Provider(h.DB.Read(ctx))
	if refusal.Is(err, refusal.NotFound) {
		return 0, errors.New("there is no provider yet; run `doorward init` first")
	}
	if err != nil {
		return 0, err
	}
	var entries int64
	// The event before the file: no list without its event.
	err = h.Breached.Build(ctx, list, told, func(n int64) error {
		entries = n
		return h.DB.Write(ctx, func(tx sqldb.Tx) error {
			return audit.Record(tx, h.Now(), audit.Event{Org: provider.ID, Action: audit.PasswordsImported, Actor: actor,
				Target: audit.TargetOf(provider.ID), Data: map[string]any{"entries": n}})
		})
	})
	return entries, err
}
