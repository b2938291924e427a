package signin

import (
	"context"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/sqldb"
)

// ChoosePath is the address of the chooser.
const ChoosePath = "/choose"

// Place is an organisation that someone can go to from their own.
type Place struct {
	Org org.Org
	As  account.Account // the linked account that they are there; zero: they go as who they are at home, by delegation
}

// Places are where someone who is signed in can go.
type Places struct {
	Home   org.Org
	Recent []Place // visited last, newest first; none in a search
	Linked []Place // by linked accounts
	Below  org.Page
	Many   bool // there are more of them than one sees at a glance
}

const (
	mostLinked  = 50
	mostRecent  = 6
	placesShown = 20
	glance      = 5
)

// from is whose places are asked for: an account at home and what it sees below its organisation.
type from struct {
	account account.Account
	home    org.Org
	below   bool       // it sees organisations below
	groups  id.Account // whose groups limit them; empty: all
}

func (d *Desk) from(tx sqldb.Tx, a account.Account, home org.Org) (from, error) {
	f := from{account: a, home: home}
	if home.Kind == access.Customer { // nothing is below it
		return f, nil
	}
	r, err := d.Guard.Rights(tx, access.Actor{Kind: access.AccountActor, Account: a.ID, Org: a.Org}, home.ID)
	if f.below = r.SeesBelow(); r.GroupsOnly() {
		f.groups = a.ID
	}
	return f, err
}

// Places returns where a visitor can go: by linked accounts, and into the organisations below their own whose name or tenant domain begins with
// search, those after the one named by after. In the session of a linked account there is only the way back home.
func (d *Desk) Places(ctx context.Context, v Visitor, search, after string) (p Places, err error) {
	tx := d.DB.Read(ctx)
	if v.Session.Via != "" {
		p.Home, err = org.Find(tx, v.Home.Org)
		return p, err
	}
	p.Home = v.Org
	f, err := d.from(tx, v.Account, v.Org)
	if err != nil {
		return p, err
	}
	linked, err := d.linked(tx, f.account.ID)
	if err != nil {
		return p, err
	}
	if f.below {
		if p.Below, err = org.Below(tx, f.home.ID, f.groups, search, after, placesShown); err != nil {
			return p, err
		}
	}
	p.Many = len(p.Below.Orgs)+len(linked) > glance || search != "" || after != ""
	if search == "" && after == "" {
		p.Linked = linked
		p.Recent, err = d.recent(tx, f, linked)
		return p, err
	}
	if after == "" {
		for _, l := range linked {
			if l.Org.Begins(search) {
				p.Linked = append(p.Linked, l)
			}
		}
	}
	return p, nil
}

// Menu returns where a visitor was last, and whether there is anywhere to go at all.
func (d *Desk) Menu(ctx context.Context, v Visitor) (recent []Place, more bool, err error) {
	if v.Session.Via != "" {
		return nil, true, nil
	}
	tx := d.DB.Read(ctx)
	f, err := d.from(tx, v.Account, v.Org)
	if err != nil {
		return nil, false, err
	}
	linked, err := d.linked(tx, f.account.ID)
	if err != nil {
		return nil, false, err
	}
	if recent, err = d.recent(tx, f, linked); err != nil || len(recent)+len(linked) > 0 || !f.below {
		return recent, len(recent)+len(linked) > 0, err
	}
	some, err := org.Below(tx, f.home.ID, f.groups, "", "", 1)
	return nil, len(some.Orgs) > 0, err
}

// several tells whether a sign-in that leads nowhere in particular ends at the chooser: the account has linked ones, or it came through the general
// page and may enter several organisations.
func (d *Desk) several(tx sqldb.Tx, a Attempt, who account.Account, home org.Org) (bool, error) {
	linked, err := account.LinkedFrom(tx, d.Now(), who.ID, 1)
	if err != nil || len(linked) > 0 || !a.Proved.General {
		return len(linked) > 0, err
	}
	f, err := d.from(tx, who, home)
	if err != nil || !f.below {
		return false, err
	}
	some, err := org.Below(tx, home.ID, f.groups, "", "", 2)
	return len(some.Orgs) > 1, err
}

// linked returns the places of an account's linked accounts.
func (d *Desk) linked(tx sqldb.Tx, home id.Account) ([]Place, error) {
	accounts, err := account.LinkedFrom(tx, d.Now(), home, mostLinked)
	if err != nil {
		return nil, err
	}
	list := make([]Place, 0, len(accounts))
	for _, a := range accounts {
		o, err := org.Find(tx, a.Org)
		if err != nil {
			return nil, err
		}
		list = append(list, Place{o, a})
	}
	return list, nil
}

// recent returns the places that were visited last and can be entered still.
func (d *Desk) recent(tx sqldb.Tx, f from, linked []Place) ([]Place, error) {
	if !f.below && len(linked) == 0 { // there is nowhere to go
		return nil, nil
	}
	visits, err := sqldb.All(tx, sqldb.Value[id.Org], `select org_id from visits where account_id = $1 order by at desc limit 20`, f.account.ID)
	if err != nil || len(visits) == 0 {
		return nil, err
	}
	below := map[id.Org]org.Org{}
	if f.below {
		if below, err = org.Among(tx, f.home.ID, f.groups, visits); err != nil {
			return nil, err
		}
	}
	by := map[id.Org]Place{}
	for o, it := range below {
		by[o] = Place{Org: it}
	}
	for _, l := range linked {
		if _, also := by[l.Org.ID]; !also { // of two ways the one without a session of its own; the list below has both
			by[l.Org.ID] = l
		}
	}
	var list []Place
	for _, o := range visits {
		if p, ok := by[o]; ok && len(list) < mostRecent {
			list = append(list, p)
		}
	}
	return list, nil
}

// Ways returns the two ways in which a visitor can go into the organisation with that tenant domain: by delegation and as a linked account; ok is
// false unless both are open.
func (d *Desk) Ways(ctx context.Context, v Visitor, slug string) (p Place, ok bool, err error) {
	if v.Session.Via != "" {
		return p, false, nil
	}
	t, err := d.target(d.DB.Read(ctx), v.Account, slug)
	return Place{t.Org, t.Linked}, t.Delegated && t.Linked.ID != "", err
}

// Entered notes that a visitor looks at another organisation by delegation: in both organisations' logs, and for the chooser, once per session and
// hour.
func (d *Desk) Entered(ctx context.Context, v Visitor, o id.Org) error {
	return d.Book.Entered(ctx, v.Actor, o, v.Org.Name, func(tx sqldb.Tx) error { return d.noteVisit(tx, v.Account.ID, o) })
}
