package signin

import (
	"context"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/policy"
)

// Moved tells what the sign-in rules of an organisation become when it stands under another parent.
type Moved struct {
	Was, Is policy.Rules
	People  int
	Newly   int  // people who can sign in now without enrolling, and could not any more
	You     bool // the actor among them
}

// PreviewMove shows who may view the rules of an organisation what they become under another parent, judged person by person.
func (d *Desk) PreviewMove(ctx context.Context, actor access.Actor, of, parent id.Org) (m Moved, err error) {
	tx := d.DB.Read(ctx)
	if _, err := d.Guard.Require(tx, actor, access.PolicyView, of); err != nil {
		return m, d.Book.Refusal(ctx, actor, audit.Action(access.PolicyView), err)
	}
	o, err := org.Find(tx, of)
	if err != nil {
		return m, err
	}
	to, err := org.Find(tx, parent)
	if err != nil {
		return m, err
	}
	m.Was = o.Rules
	m.Is, _ = policy.Inherit(append(append([]policy.Settings{}, to.Above...), to.Settings, o.Settings)...)
	err = d.roll(tx, o, func(one *Member) error {
		m.People++
		overdue := one.Standing == policy.Overdue
		if one.judge(m.Is); one.Standing == policy.Overdue && !overdue {
			m.Newly++
			m.You = m.You || actor.Kind == access.AccountActor && (actor.Account == one.ID || actor.Account == one.Home)
		}
		return nil
	})
	return m, err
}
