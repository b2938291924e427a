package signin

import (
	"context"
	"net/url"
	"strings"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/sqldb"
)

// Unplaced tells whether an attempt began at the general page and nobody has said yet in which organisation: its password step asks for the tenant
// domain too, and is the only one that settles it.
func (a Attempt) Unplaced() bool { return a.Proved.General && a.Proved.Slug == "" }

// mostTenant is the longest tenant domain or address of one that is looked at, in bytes.
const mostTenant = 2048

// Tenant returns the tenant domain that someone typed, in its one form, or the one in an address of this installation that they pasted. It looks at
// the form alone, never at what exists: the refusal is at the field "tenant".
func (d *Desk) Tenant(typed string) (string, *refusal.Error) {
	typed = strings.TrimSpace(typed)
	switch {
	case typed == "":
		return "", refusal.Field("tenant", "login.tenant.missing")
	case len(typed) > mostTenant:
		return "", refusal.Field("tenant", "login.tenant.long")
	case strings.ContainsAny(typed, "/:"):
		var ok bool
		if typed, ok = d.slugIn(typed); !ok {
			return "", refusal.Field("tenant", "login.tenant.elsewhere")
		}
	}
	slug, fault := org.FoldSlug(typed)
	switch {
	case fault == nil:
		return slug, nil
	case fault.Key == "slug.reserved": // well formed, so it is answered like any that nobody has
		return strings.ToLower(typed), nil
	case fault.Key == "slug.long":
		return "", refusal.Field("tenant", "login.tenant.long")
	}
	return "", refusal.Field("tenant", "login.tenant.form")
}

// slugIn returns the tenant domain in an address below /o/ on our own host, however much of it was pasted; false for every other address. Nothing
// is ever opened by it, so neither scheme nor port matter.
func (d *Desk) slugIn(address string) (string, bool) {
	switch {
	case strings.HasPrefix(address, "/o/"):
		address = "https://" + d.Relying.Host + address
	case !strings.Contains(address, "://"):
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || !strings.EqualFold(u.Hostname(), d.Relying.Host) ||
		strings.Contains(address, `\`) {
		return "", false
	}
	rest, ok := strings.CutPrefix(u.EscapedPath(), "/o/")
	slug, _, _ := strings.Cut(rest, "/")
	return slug, ok && slug != ""
}

// settle gives an attempt that began at the general page its organisation, and the account that its identifier finds there. It is as new as if it
// had begun there now: an organisation that does not exist, and an account that does not, stay empty.
func (d *Desk) settle(tx sqldb.Tx, a *Attempt, slug string) error {
	seq, err := revoke.Head(tx) // before any state is read: what is revoked later has a higher number
	if err != nil {
		return err
	}
	o, err := org.BySlug(tx, slug)
	if err != nil && !refusal.Is(err, refusal.NotFound) {
		return err
	}
	a.Org, a.Seq, a.Account = o.ID, seq, ""
	a.Proved.Slug, a.Proved.Target = slug, targetOf(a.Proved.To, slug)
	if o.ID == "" {
		return nil
	}
	acc, ok, err := account.ByIdentifier(tx, o.ID, a.Identifier)
	if ok && !acc.Linked() { // a linked account's password lives elsewhere: here it is nobody, and answered so
		a.Account = acc.ID
	}
	return err
}

// settleAs gives it what settle found for a copy of it before a password was compared. What was revoked since ends it.
func (a *Attempt) settleAs(tx sqldb.Tx, found Attempt) error {
	a.Org, a.Account, a.Seq, a.Proved.Slug, a.Proved.Target = found.Org, found.Account, found.Seq, found.Proved.Slug, found.Proved.Target
	void, err := revoke.Since(tx, a.Account, a.Org, a.Seq)
	if err == nil && void {
		err = ErrStartAgain
	}
	return err
}

// toOwn goes on to the organisation's own sign-in, where the identifier is known already: its next step is that of any other.
func (d *Desk) toOwn(ctx context.Context, k Key, slug string, client access.Client) (Progress, error) {
	return d.answer(ctx, k, policy.AskPassword, client, Held{}, func(tx sqldb.Tx, a *Attempt, _ *scene) error {
		if !a.Unplaced() {
			return ErrStartAgain
		}
		return d.settle(tx, a, slug)
	})
}
