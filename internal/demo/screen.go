package demo

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"doorward/internal/access"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
)

// inOrder returns tenant domain and name of the organisations in the order of the cast.
func inOrder() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		last := ""
		for _, p := range cast() {
			if p.Org != last && !yield(p.Org, stages()[p.Org].Name) {
				return
			}
			last = p.Org
		}
	}
}

// seats returns the seats of the organisation with that tenant domain.
func (d *Demo) seats(ctx context.Context, slug string) (license.Seats, error) {
	tx := d.house.DB.Read(ctx)
	o, err := org.BySlug(tx, slug)
	if err != nil {
		return license.Seats{}, err
	}
	return license.SeatsOf(tx, o.ID)
}

// Screen returns what to open, for a terminal of 100 columns and 40 lines.
func (d *Demo) Screen(ctx context.Context) (string, error) {
	catalogue, err := locale.Load(nil)
	if err != nil {
		return "", err
	}
	words := catalogue.In(locale.English)
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line("Doorward demo, on this machine alone. Passwords are made anew for each run.")
	line("")
	line("  Mailbox           %s/   with every account's password and code", d.Mailbox)
	line("  Activation link   %s", d.Link)
	line("")
	kinds := map[access.OrgKind]string{access.Provider: "the provider", access.MSP: "an MSP", access.Customer: "a customer"}
	for slug, name := range inOrder() {
		title := name + ", " + kinds[stages()[slug].Kind]
		if stages()[slug].Kind == access.Customer {
			seats, err := d.seats(ctx, slug)
			if err != nil {
				return "", err
			}
			title += fmt.Sprintf(" (%d of %d seats used)", seats.Used, seats.Limit)
		}
		line("  %-49s%s/o/%s/login", title, d.Public, slug)
		for _, p := range d.People {
			if p.Org == slug {
				line("    %-33s %s", p.Email, words.T(p.says()))
			}
		}
	}
	line("")
	line("  Try: open the activation link, choose a password, sign in; the mailbox shows the app's code too.")
	line("  Sign in to Adventure Works and invite somebody; the mail is in the mailbox. Fabrikam refuses.")
	line("")
	if !d.temporary {
		line("  Everything stays in %s. Ctrl-C ends the demo.", d.folder)
		return b.String(), nil
	}
	line("  Ctrl-C ends the demo; nothing stays behind.")
	return b.String(), nil
}
