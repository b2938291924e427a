package account

import (
	"context"
	"slices"
	"strconv"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// mostOrganisations is how many sign-in pages one mail lists.
const mostOrganisations = 50

// MailOrganisations mails the sign-in pages of all accounts with that address to it. It returns nil whatever it finds, and writes one event in
// either case; a Limited refusal comes only from the client's own address, another one only from the form of what was typed, at the field
// "identifier".
func (d *Directory) MailOrganisations(ctx context.Context, typed string, client access.Client) error {
	address, fault := ParseEmail("identifier", typed)
	if fault != nil {
		return fault
	}
	if _, err := d.Gate.Take(ctx, throttle.Requests("mail-address", client.Address, mailsPerAddress, mailsWindow)); err != nil {
		return err
	}
	if _, err := d.Gate.Take(ctx, throttle.Requests("organisations", address.Key, mailsPerAccount, mailsWindow)); err != nil {
		if refusal.Is(err, refusal.Limited) {
			return nil // told to nobody: the mails of an address are its owner's business
		}
		return err
	}
	return d.DB.Write(ctx, func(tx sqldb.Tx) error {
		found, err := reachable(tx, address.Key)
		if err != nil {
			return err
		}
		event := audit.Event{Action: audit.OrganisationsMailed, Actor: access.Visitor(client)}
		if len(found) == 0 {
			provider, err := org.Provider(tx)
			if err != nil {
				return err
			}
			event.Org, event.Outcome, event.Person = provider.ID, audit.Refused, map[string]any{"identifier": typed}
			return audit.Record(tx, d.Now(), event)
		}
		to, mail := found[0], outbox.MyOrganisations{}
		for _, a := range found {
			o, err := org.Find(tx, a.Org)
			if err != nil {
				return err
			}
			mail.Pages = append(mail.Pages, outbox.SignInPage{Name: o.Name, Slug: o.Slug})
			// In each one's log, and in none a word of the others.
			event.Org, event.Target = a.Org, audit.TargetOf(a.ID)
			if err := audit.Record(tx, d.Now(), event); err != nil {
				return err
			}
		}
		if err := outbox.Discard(tx, to.ID, outbox.KindMyOrganisations); err != nil {
			return err
		}
		return d.Queue.Enqueue(tx, to.Org, to.ID, mail, mailsWindow)
	})
}

// reachable returns the accounts with that address that somebody may sign in to, or will once they are activated. The one that signed in last, whose
// language the person reads, comes first.
func reachable(tx sqldb.Tx, emailKey string) ([]Account, error) {
	list, err := sqldb.All(tx, scan, `select `+columns+` from accounts where email_key = $1 and state in ('active', 'invited')
		and (select n.state from org_nodes n where n.id = accounts.org_id) = 'active' order by id limit `+strconv.Itoa(mostOrganisations), emailKey)
	slices.SortStableFunc(list, func(a, b Account) int { return b.LastSignIn.Compare(a.LastSignIn) })
	return list, err
}

// LinkedFrom returns the accounts in other organisations that are linked to a home account and can be entered now: active, with a role that counts,
// in an organisation that works. most bounds them.
func LinkedFrom(tx sqldb.Tx, now time.Time, home id.Account, most int) ([]Account, error) {
	return sqldb.All(tx, scan, `select `+columns+` from accounts where home_id = $1 and state = 'active'
		and (select n.state from org_nodes n where n.id = accounts.org_id) = 'active'
		and exists (select 1 from assignments s where s.account_id = accounts.id and s.org_id = accounts.org_id and (s.expires_at = 0 or s.expires_at > $2))
		order by org_id limit `+strconv.Itoa(most), home, sqldb.Micros(now)) // a limit among the arguments has SQLite plan anew each time
}
