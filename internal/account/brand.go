package account

import (
	"context"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Rebrand is what is to change of how an organisation looks.
type Rebrand struct {
	Accent *string // "#rrggbb"; empty: none of its own; nil: stays
	Logo   []byte  // a picture file; nil: stays
	NoLogo bool    // takes the logo away
}

// SetBrand changes an organisation's logo and accent colour. rev is the revision that the actor saw: when it was changed since, nothing happens but a
// Conflict refusal. Other refusals are at the fields accent and logo, of both at once.
func (d *Directory) SetBrand(ctx context.Context, actor access.Actor, o id.Org, rev int64, to Rebrand) error {
	if _, err := d.Guard.Require(d.DB.Read(ctx), actor, access.OrgEdit, o); err != nil { // before a picture is unpacked
		return d.Book.Refusal(ctx, actor, audit.OrgBranded, err)
	}
	var accent, inDark string
	var accentFault, logoFault *refusal.Error
	if to.Accent != nil {
		accent, inDark, accentFault = org.CheckAccent(*to.Accent)
	}
	var logo *org.Logo
	switch {
	case to.NoLogo:
		logo = &org.Logo{}
	case to.Logo != nil:
		made, err := d.Press.Logo(ctx, to.Logo)
		if logoFault = refusal.As(err); err != nil && logoFault == nil {
			return err
		}
		logo = &made
	}
	if err := refusal.All(accentFault, logoFault); err != nil {
		return err
	}
	return d.Book.Do(ctx, actor, audit.OrgBranded, func(tx sqldb.Tx) error {
		if _, err := d.Guard.Require(tx, actor, access.OrgEdit, o); err != nil {
			return err
		}
		was, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		if to.Accent == nil {
			accent, inDark = was.OwnBrand.Accent, was.OwnBrand.Dark
		}
		now, ok, err := org.SaveBrand(tx, was, rev, accent, inDark, logo)
		if err != nil {
			return err
		}
		if !ok {
			return refusal.New(refusal.Conflict, "org.changed_meanwhile")
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.OrgBranded, Actor: actor, Target: audit.TargetOf(o),
			Data: map[string]any{"before": brandFacts(was.OwnBrand), "after": brandFacts(now)}})
	})
}

func brandFacts(b org.Brand) map[string]any {
	return map[string]any{"logo": b.Logo, "accent": b.Accent}
}
