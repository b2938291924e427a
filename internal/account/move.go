package account

import (
	"context"
	"errors"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// A customer moves to another MSP when the provider starts that and all three sides confirm it:
//
//	StartMove ──> open ── ConfirmMove, by each side ──> the last one carries it out: done
//	                ├── DeclineMove, by any side ──> refused
//	                ├── CancelMove, by the provider ──> cancelled
//	                └── MoveLife is over ──> expired
//
// The customer keeps its people, roles, rules, seats and log. What reaches it from above is read from the tree, so with that it changes at once: who of
// the old MSP worked there is out, who of the new one may is in. Each side learns the names of the others, and nothing else of them.

// MoveLife is how long the sides have to confirm a move.
const MoveLife = 14 * 24 * time.Hour

// Side is a party to a move.
type Side string

// The sides of a move. The overseer has started it and can cancel it; it confirms nothing.
const (
	Giver    Side = "giver"    // the MSP that the customer leaves, or the provider for a standalone customer
	Receiver Side = "receiver" // the MSP that it comes to
	Customer Side = "customer"
	Overseer Side = "overseer" // the provider
)

// Sides lists those that confirm.
var Sides = []Side{Giver, Receiver, Customer}

// MoveState is where a move stands.
type MoveState string

// The states of a move. One that is open and past its end counts as expired.
const (
	MoveOpen      MoveState = "open"
	MoveDone      MoveState = "done"
	MoveRefused   MoveState = "refused"
	MoveCancelled MoveState = "cancelled"
	MoveExpired   MoveState = "expired"
)

// Move is a customer on its way from one MSP to another.
type Move struct {
	ID            id.Move
	Org, From, To id.Org
	State         MoveState
	Reason        string // why, as the provider typed it
	Confirmed     map[Side]time.Time
	EndedBy       Side   // who declined or cancelled it
	EndedReason   string // why it was declined
	Created       time.Time
	Expires       time.Time

	names map[Side]string // of the organisations, as they were when it was made
}

const moveColumns = `id, org_id, from_id, to_id, state, reason, giver_at, receiver_at, customer_at, ended_side, ended_reason, created_at, expires_at,
	customer_name, from_name, to_name`

func scanMove(row sqldb.Row) (m Move, err error) {
	var giver, receiver, customer time.Time
	var names parties
	err = row(&m.ID, &m.Org, &m.From, &m.To, &m.State, &m.Reason, sqldb.Time(&giver), sqldb.Time(&receiver), sqldb.Time(&customer), &m.EndedBy, &m.EndedReason,
		sqldb.Time(&m.Created), sqldb.Time(&m.Expires), &names.customer.Name, &names.giver.Name, &names.receiver.Name)
	m.names = names.names()
	m.Confirmed = map[Side]time.Time{Giver: giver, Receiver: receiver, Customer: customer}
	return m, err
}

// at returns the move as it stands at that time.
func (m Move) at(now time.Time) Move {
	if m.State == MoveOpen && !now.Before(m.Expires) {
		m.State = MoveExpired
	}
	return m
}

// complete tells whether every side has confirmed.
func (m Move) complete() bool {
	return !slices.ContainsFunc(Sides, func(s Side) bool { return m.Confirmed[s].IsZero() })
}

// concerns tells whether an organisation is a side of the move.
func (m Move) concerns(o id.Org) bool { return o == m.Org || o == m.From || o == m.To }

// Moving is a move as someone of one of its sides sees it.
type Moving struct {
	Move
	Names map[Side]string // of the organisations
	Slug  string          // the customer's tenant domain
	Side  Side            // the reader's

	Standalone bool // the customer's: its giver is the provider, which stays above it
	Linked     int  // accounts in the customer that would be disabled, because their home is not above it any more; for the customer alone
}

// Awaits tells whether the move waits for the reader's side.
func (m Moving) Awaits() bool {
	return m.State == MoveOpen && m.Side != Overseer && m.Confirmed[m.Side].IsZero()
}

// CustomerName is the name of the organisation that moves.
func (m Moving) CustomerName() string { return m.Names[Customer] }

// GiverName is the name of the organisation that it leaves.
func (m Moving) GiverName() string { return m.Names[Giver] }

// ReceiverName is the name of the MSP that it comes to.
func (m Moving) ReceiverName() string { return m.Names[Receiver] }

// parties are the organisations of a move, under the names that they had when it was made: what they are called later is nobody else's business.
type parties struct{ customer, giver, receiver org.Org }

func (p parties) names() map[Side]string {
	return map[Side]string{Giver: p.giver.Name, Receiver: p.receiver.Name, Customer: p.customer.Name}
}

// of returns the organisation that a side is.
func (p parties) of(s Side) org.Org {
	return map[Side]org.Org{Giver: p.giver, Receiver: p.receiver, Customer: p.customer}[s]
}

// all returns everyone whose log tells of the move: the sides and the provider, each once.
func (p parties) all() []id.Org {
	list := []id.Org{p.customer.ID, p.giver.ID, p.receiver.ID}
	if p.receiver.Parent != p.giver.ID {
		list = append(list, p.receiver.Parent)
	}
	return list
}

func partiesOf(tx sqldb.Tx, m Move) (p parties, err error) {
	if p.customer, err = org.Find(tx, m.Org); err != nil {
		return p, err
	}
	if p.giver, err = org.Find(tx, m.From); err != nil {
		return p, err
	}
	if p.receiver, err = org.Find(tx, m.To); err != nil || m.names == nil { // it is only being made
		return p, err
	}
	p.customer.Name, p.giver.Name, p.receiver.Name = m.names[Customer], m.names[Giver], m.names[Receiver]
	return p, nil
}

// Started is what the provider says when a customer is to move.
type Started struct {
	To      string // tenant domain of the MSP that it comes to
	Reason  string // the three sides read it
	Confirm string // the customer's tenant domain, once more
}

// StartMove asks the sides of a move for their confirmations: the administrators of the customer and of both MSPs are mailed. The provider's own side,
// of a standalone customer, is confirmed by that. Refusals are at the fields to, reason and confirm_move, or a Conflict when a move is open already.
func (d *Directory) StartMove(ctx context.Context, actor access.Actor, o id.Org, s Started) (Move, error) {
	var m Move
	err := d.Book.Do(ctx, actor, audit.OrgMoveStarted, func(tx sqldb.Tx) error {
		it, err := d.dangerous(tx, actor, access.OrgMoveStart, o, "confirm_move", s.Confirm)
		if err != nil {
			return err
		}
		var p parties
		if m, p, err = d.begin(tx, it, s); err != nil {
			return err
		}
		open, err := sqldb.One(tx, sqldb.Value[int], `select count(*) from moves where org_id = $1 and state = 'open'`, o)
		if err != nil {
			return err
		}
		if open > 0 {
			return refusal.New(refusal.Conflict, "move.open", "Organisation", it.Name)
		}
		giver := id.Account("")
		if p.giver.Kind == access.Provider {
			giver, m.Confirmed[Giver] = actor.Account, m.Created
		}
		if err := insertMove(tx, m, actor.Account, giver); err != nil {
			return err
		}
		if err := d.noteMove(tx, actor, audit.OrgMoveStarted, p, m, "", m.Reason); err != nil {
			return err
		}
		for _, side := range Sides {
			if at := p.of(side); m.Confirmed[side].IsZero() {
				if err := d.tellMove(tx, at.ID, outbox.MoveAsked{Customer: p.customer.Name, From: p.giver.Name, To: p.receiver.Name, Reason: m.Reason,
					Until: m.Expires, Slug: at.Slug, Move: string(m.ID)}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return m, err
}

// MoveNow carries out a move that nobody else is asked about: the operator's, at the machine, for an MSP that is not there any more to confirm it. An open
// move of the customer is cancelled by it. Everyone concerned is told. The right is RequireOperator; refusals are those of StartMove.
func (d *Directory) MoveNow(ctx context.Context, actor access.Actor, o id.Org, s Started) error {
	return d.Book.Do(ctx, actor, audit.OrgMoved, func(tx sqldb.Tx) error {
		if err := access.RequireOperator(actor); err != nil {
			return err
		}
		it, err := d.dangerous(tx, actor, access.OrgMoveStart, o, "confirm_move", s.Confirm)
		if err != nil {
			return err
		}
		m, p, err := d.begin(tx, it, s)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`update moves set state = 'cancelled', ended_side = $1, ended_at = $2 where org_id = $3 and state = 'open'`,
			Overseer, sqldb.Micros(d.Now()), o); err != nil {
			return err
		}
		if err := insertMove(tx, m, "", ""); err != nil {
			return err
		}
		return d.carryOut(tx, actor, m, p)
	})
}

// begin checks a move that is about to be made, with all three organisations locked.
func (d *Directory) begin(tx sqldb.Tx, it org.Org, s Started) (Move, parties, error) {
	why, fault := checkReason(s.Reason)
	to, err := org.BySlug(tx, s.To)
	if err != nil && !refusal.Is(err, refusal.NotFound) {
		return Move{}, parties{}, err
	}
	var toFault *refusal.Error
	if err != nil || to.Kind != access.MSP || to.ID == it.Parent {
		toFault = refusal.Field("to", "move.to_unknown")
	}
	if it.Kind != access.Customer {
		return Move{}, parties{}, refusal.New(refusal.NotFound, "error.not_found")
	}
	if err := refusal.All(toFault, fault); err != nil {
		return Move{}, parties{}, err
	}
	now := d.Now()
	m := Move{ID: id.New[id.Move](now), Org: it.ID, From: it.Parent, To: to.ID, State: MoveOpen, Reason: why, Confirmed: map[Side]time.Time{},
		Created: now, Expires: now.Add(MoveLife)}
	if err := m.lock(tx); err != nil {
		return m, parties{}, err
	}
	if _, err := tx.Exec(`update moves set state = 'expired' where org_id = $1 and state = 'open' and expires_at <= $2`, it.ID, sqldb.Micros(now)); err != nil {
		return m, parties{}, err
	}
	p, err := d.movable(tx, m)
	m.names = p.names()
	return m, p, err
}

// lock holds the tree around a move: nobody suspends, deletes or moves one of the three meanwhile.
func (m Move) lock(tx sqldb.Tx) error {
	list := []id.Org{m.Org, m.From, m.To}
	slices.Sort(list)
	for _, o := range list {
		if err := access.Lock(tx, o); err != nil {
			return err
		}
	}
	return nil
}

func insertMove(tx sqldb.Tx, m Move, by, giver id.Account) error {
	_, err := tx.Exec(`insert into moves (id, org_id, from_id, to_id, state, reason, started_by, giver_by, giver_at, receiver_by, receiver_at, customer_by,
		customer_at, ended_side, ended_reason, ended_at, created_at, expires_at, customer_name, from_name, to_name)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, '', 0, '', '', 0, $10, $11, $12, $13, $14)`,
		m.ID, m.Org, m.From, m.To, m.State, m.Reason, by, giver, sqldb.Micros(m.Confirmed[Giver]), sqldb.Micros(m.Created), sqldb.Micros(m.Expires),
		m.names[Customer], m.names[Giver], m.names[Receiver])
	return err
}

// movable checks what has to hold when a move starts, at each confirmation, and when it is carried out. The three organisations are locked.
func (d *Directory) movable(tx sqldb.Tx, m Move) (parties, error) {
	p, err := partiesOf(tx, m)
	if err != nil {
		return p, err
	}
	switch {
	case p.customer.Kind != access.Customer || p.receiver.Kind != access.MSP || p.customer.Parent != m.From:
		return p, refusal.New(refusal.Conflict, "move.over")
	case p.customer.State != access.Active:
		return p, refusal.New(refusal.Conflict, "move.shut", "Organisation", p.customer.Name)
	case p.receiver.State != access.Active:
		return p, refusal.New(refusal.Conflict, "move.shut", "Organisation", p.receiver.Name)
	}
	seats, err := license.SeatsOf(tx, m.Org)
	if err != nil {
		return p, err
	}
	if err := license.Fits(tx, m.To, m.Org, seats.Limit); refusal.As(err) != nil { // its numbers are the receiver's own business
		return p, refusal.New(refusal.Conflict, "move.pool", "Customer", p.customer.Name, "To", p.receiver.Name)
	} else if err != nil {
		return p, err
	}
	// Linked accounts with their home at the old MSP are shut by it, and it must not be the last administrator who goes so (mission D10).
	type counts struct{ before, after int }
	admins, err := sqldb.One(tx, func(row sqldb.Row) (c counts, err error) { return c, row(&c.before, &c.after) },
		`select count(*), coalesce(sum(case when a.home_id is null or h.org_id in (select ancestor_id from org_tree where org_id = $1) then 1 else 0 end), 0)
		from assignments s join accounts a on a.id = s.account_id left join accounts h on h.id = a.home_id
		where s.org_id = $2 and s.role = 'administrator' and (s.expires_at = 0 or s.expires_at > $3) and a.state = 'active'`, m.To, m.Org, sqldb.Micros(d.Now()))
	if err != nil {
		return p, err
	}
	if admins.before > 0 && admins.after == 0 {
		return p, refusal.New(refusal.Conflict, "move.administrator", "Organisation", p.customer.Name, "From", p.giver.Name)
	}
	return p, nil
}

// SeesMoves tells whether somebody may do something about the moves of an organisation.
func SeesMoves(r access.Rights) bool { return mayMove(r) == nil }

// mayMove refuses who may do nothing about the moves of an organisation, before any is looked up.
func mayMove(r access.Rights) error {
	switch r.Org.Kind {
	case access.Customer:
		if r.May(access.OrgMoveStart) || r.May(access.OrgMoveConfirm) {
			return nil
		}
	case access.MSP:
		if !r.GroupsOnlyTo(access.OrgMoveConfirm) { // a customer that comes is in nobody's group yet
			return nil
		}
	case access.Provider:
		if !r.GroupsOnlyTo(access.OrgMoveStart) {
			return nil
		}
	}
	return r.Require(access.OrgMoveConfirm)
}

// sideOf tells for which side someone sees a move, who may look at the moves of the organisation of those rights.
func sideOf(r access.Rights, actor access.Actor, m Move) Side {
	switch {
	case r.Org.Kind == access.Provider, r.May(access.OrgMoveStart):
		return Overseer
	case r.Org.ID == m.From || actor.Org == m.From:
		return Giver
	case r.Org.ID == m.To || actor.Org == m.To:
		return Receiver
	case actor.Org == m.Org:
		return Customer
	}
	return Overseer // of a later parent, who looks back
}

// seen loads a move for somebody who looks at it from an organisation's pages. That of others is answered like one that is missing.
func (d *Directory) seen(tx sqldb.Tx, actor access.Actor, at id.Org, move id.Move) (Move, Side, error) {
	r, err := d.Guard.Rights(tx, actor, at)
	if err != nil {
		return Move{}, "", err
	}
	if err := mayMove(r); err != nil {
		return Move{}, "", err
	}
	m, err := sqldb.One(tx, scanMove, `select `+moveColumns+` from moves where id = $1`, move)
	if errors.Is(err, sqldb.ErrNone) || err == nil && !m.concerns(at) && r.Org.Kind != access.Provider {
		e := refusal.New(refusal.NotFound, "error.not_found")
		e.Denied = true
		return m, "", e
	}
	return m.at(d.Now()), sideOf(r, actor, m), err
}

// Move returns a move as the actor sees it from the pages of an organisation that it concerns. One of others gives the NotFound refusal of one that is
// missing.
func (d *Directory) Move(ctx context.Context, actor access.Actor, at id.Org, move id.Move) (Moving, error) {
	tx := d.DB.Read(ctx)
	m, side, err := d.seen(tx, actor, at, move)
	if err != nil {
		return Moving{}, d.Book.Refusal(ctx, actor, audit.Action(access.OrgMoveConfirm), err)
	}
	out, err := moving(tx, m, side)
	if err == nil && m.State == MoveOpen && side == Customer {
		var list []Account
		list, err = strandedBy(tx, m.Org, m.To)
		out.Linked = len(list)
	}
	return out, err
}

func moving(tx sqldb.Tx, m Move, side Side) (Moving, error) {
	p, err := partiesOf(tx, m)
	return Moving{Move: m, Names: p.names(), Slug: p.customer.Slug, Side: side, Standalone: p.giver.Kind == access.Provider}, err
}

// mostMoves bounds a list of open moves.
const mostMoves = 100

// Moves returns the open moves that concern an organisation, the oldest first; all of the installation for the provider. Who may do nothing about them is
// refused.
func (d *Directory) Moves(ctx context.Context, actor access.Actor, r access.Rights) ([]Moving, error) {
	if err := mayMove(r); err != nil {
		return nil, d.Book.Refusal(ctx, actor, audit.Action(access.OrgMoveConfirm), err)
	}
	tx := d.DB.Read(ctx)
	query, args := ` where state = 'open' and expires_at > $1 and (org_id = $2 or from_id = $2 or to_id = $2) order by id limit $3`, []any{sqldb.Micros(d.Now()), r.Org.ID, mostMoves}
	if r.Org.Kind == access.Provider {
		query, args = ` where state = 'open' and expires_at > $1 order by id limit $2`, []any{sqldb.Micros(d.Now()), mostMoves}
	}
	open, err := sqldb.All(tx, scanMove, `select `+moveColumns+` from moves`+query, args...)
	if err != nil {
		return nil, err
	}
	list := make([]Moving, 0, len(open))
	for _, m := range open {
		one, err := moving(tx, m, sideOf(r, actor, m))
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// AwaitedMoves returns those of Moves that wait for the actor's side, for who may confirm; nothing for anybody else.
func (d *Directory) AwaitedMoves(ctx context.Context, actor access.Actor, r access.Rights) ([]Moving, error) {
	if !SeesMoves(r) {
		return nil, nil
	}
	list, err := d.Moves(ctx, actor, r)
	return slices.DeleteFunc(list, func(m Moving) bool { return !m.Awaits() }), err
}

// answering loads a move for somebody who answers it, with its organisations locked.
func (d *Directory) answering(tx sqldb.Tx, actor access.Actor, at id.Org, move id.Move) (m Move, side Side, err error) {
	if m, side, err = d.seen(tx, actor, at, move); err != nil {
		return m, side, err
	}
	if err := m.lock(tx); err != nil {
		return m, side, err
	}
	m, side, err = d.seen(tx, actor, at, move) // as it is now that nobody else is at it
	if err == nil && m.State != MoveOpen {
		err = refusal.New(refusal.Conflict, "move.over")
	}
	return m, side, err
}

// confirms has for each side the statement that takes its confirmation, once.
var confirms = map[Side]string{
	Giver:    `update moves set giver_by = $1, giver_at = $2 where id = $3 and state = 'open' and giver_at = 0`,
	Receiver: `update moves set receiver_by = $1, receiver_at = $2 where id = $3 and state = 'open' and receiver_at = 0`,
	Customer: `update moves set customer_by = $1, customer_at = $2 where id = $3 and state = 'open' and customer_at = 0`,
}

// ConfirmMove takes the confirmation of the actor's side; with the last one the customer moves, and true comes back. at is the organisation from whose
// pages it comes. It is a Conflict when the move is over, when the side has confirmed already, and when something stands in the move's way. No
// linked account confirms: it is a parent's, not the side's own.
func (d *Directory) ConfirmMove(ctx context.Context, actor access.Actor, at id.Org, move id.Move) (moved bool, err error) {
	err = d.Book.Do(ctx, actor, audit.OrgMoveConfirmed, func(tx sqldb.Tx) error {
		moved = false
		m, side, err := d.answering(tx, actor, at, move)
		if err != nil {
			return err
		}
		if err := d.maySpeak(tx, actor, side); err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		n, err := tx.Exec(confirms[side], actor.Account, sqldb.Micros(d.Now()), m.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal.New(refusal.Conflict, "move.answered")
		}
		m.Confirmed[side] = d.Now()
		p, err := d.movable(tx, m)
		if err != nil {
			return err
		}
		if err := d.noteMove(tx, actor, audit.OrgMoveConfirmed, p, m, side, ""); err != nil || !m.complete() {
			return err
		}
		moved = true
		return d.carryOut(tx, actor, m, p)
	})
	return moved && err == nil, err
}

// maySpeak refuses who does not speak for a side.
func (d *Directory) maySpeak(tx sqldb.Tx, actor access.Actor, side Side) error {
	if side == Overseer {
		e := refusal.New(refusal.Forbidden, "error.forbidden")
		e.Denied = true
		return e
	}
	a, err := Find(tx, actor.Org, actor.Account)
	if err == nil && a.Linked() {
		err = refusal.New(refusal.Conflict, "move.linked")
	}
	return err
}

// DeclineMove ends a move that the actor's side does not want. Everyone concerned is told, with the reason. The refusal of the reason is at "reason".
func (d *Directory) DeclineMove(ctx context.Context, actor access.Actor, at id.Org, move id.Move, reason string) error {
	return d.Book.Do(ctx, actor, audit.OrgMoveDeclined, func(tx sqldb.Tx) error {
		m, side, err := d.answering(tx, actor, at, move)
		if err != nil {
			return err
		}
		if err := d.maySpeak(tx, actor, side); err != nil {
			return err
		}
		why, fault := checkReason(reason)
		if fault != nil {
			return fault
		}
		p, err := d.endMove(tx, m, MoveRefused, side, why)
		if err != nil {
			return err
		}
		if err := d.noteMove(tx, actor, audit.OrgMoveDeclined, p, m, side, why); err != nil {
			return err
		}
		return d.tellAll(tx, p, outbox.MoveDeclined{Customer: p.customer.Name, From: p.giver.Name, To: p.receiver.Name, By: p.of(side).Name, Reason: why, At: d.Now()})
	})
}

// CancelMove ends a move that the provider no longer wants. Everyone concerned is told.
func (d *Directory) CancelMove(ctx context.Context, actor access.Actor, at id.Org, move id.Move) error {
	return d.Book.Do(ctx, actor, audit.OrgMoveCancelled, func(tx sqldb.Tx) error {
		m, _, err := d.answering(tx, actor, at, move)
		if err != nil {
			return err
		}
		if _, err := d.Guard.Require(tx, actor, access.OrgMoveStart, m.Org); err != nil {
			return err
		}
		p, err := d.endMove(tx, m, MoveCancelled, Overseer, "")
		if err != nil {
			return err
		}
		if err := d.noteMove(tx, actor, audit.OrgMoveCancelled, p, m, "", ""); err != nil {
			return err
		}
		return d.tellAll(tx, p, outbox.MoveCancelled{Customer: p.customer.Name, From: p.giver.Name, To: p.receiver.Name, At: d.Now()})
	})
}

// endMove closes an open move.
func (d *Directory) endMove(tx sqldb.Tx, m Move, to MoveState, side Side, why string) (parties, error) {
	n, err := tx.Exec(`update moves set state = $1, ended_side = $2, ended_reason = $3, ended_at = $4 where id = $5 and state = 'open'`,
		to, side, why, sqldb.Micros(d.Now()), m.ID)
	if err != nil {
		return parties{}, err
	}
	if n == 0 {
		return parties{}, refusal.New(refusal.Conflict, "move.over")
	}
	return partiesOf(tx, m)
}

// carryOut moves the customer. Everything is checked, and the three organisations are locked.
func (d *Directory) carryOut(tx sqldb.Tx, actor access.Actor, m Move, p parties) error {
	if _, err := d.endMove(tx, m, MoveDone, "", ""); err != nil {
		return err
	}
	ok, err := access.Reattach(tx, m.Org, m.From, m.To)
	if err == nil && !ok {
		err = refusal.New(refusal.Conflict, "move.over")
	}
	if err != nil {
		return err
	}
	// Where people of the old MSP have been is no longer a place of theirs.
	if _, err := tx.Exec(`delete from visits where org_id = $1 and (select a.org_id from accounts a where a.id = account_id) = $2`, m.Org, m.From); err != nil {
		return err
	}
	if err := d.dropRequest(tx, m.Org); err != nil {
		return err
	}
	// How the people stand is to be judged by what holds now.
	if _, err := tx.Exec(`update org_health set judged_at = 0 where org_id = $1`, m.Org); err != nil {
		return err
	}
	if err := d.noteMove(tx, actor, audit.OrgMoved, p, m, "", ""); err != nil {
		return err
	}
	if err := d.tellAll(tx, p, outbox.MoveDone{Customer: p.customer.Name, From: p.giver.Name, To: p.receiver.Name, At: d.Now()}); err != nil {
		return err
	}
	list, err := strandedBy(tx, m.Org, m.To)
	for _, a := range list {
		if err != nil {
			return err
		}
		err = d.strand(tx, a)
	}
	return err
}

// strandedBy returns the linked accounts of an organisation whose home is not above it when it stands under another parent.
func strandedBy(tx sqldb.Tx, o, parent id.Org) ([]Account, error) {
	return sqldb.All(tx, scan, `select `+columns+` from accounts where org_id = $1 and home_id is not null and not exists
		(select 1 from accounts h join org_tree t on t.ancestor_id = h.org_id and t.org_id = $2 where h.id = accounts.home_id) order by id`, o, parent)
}

// strand takes a linked account off a home that is no longer above it. It is a disabled one of its own from then on, which an administrator may enable: then
// it takes a seat and its address is invited.
func (d *Directory) strand(tx sqldb.Tx, a Account) error {
	if a.State == Active {
		return d.unlink(tx, a, access.System(), Disabled) // who moved it is not the home's business
	}
	_, err := tx.Exec(`update accounts set home_id = null, activated_at = 0, kept_state = case when kept_state = '' then '' else 'disabled' end
		where id = $1 and org_id = $2`, a.ID, a.Org)
	return err
}

// noteMove writes what became of a move into the logs of everyone whom it concerns. Each is told the names of the organisations; who did it stands in the
// log of their own organisation alone, and the operator, who belongs to none, in all.
func (d *Directory) noteMove(tx sqldb.Tx, actor access.Actor, action audit.Action, p parties, m Move, side Side, why string) error {
	facts := map[string]any{"customer": p.customer.Name, "from": p.giver.Name, "to": p.receiver.Name}
	if side != "" {
		facts["side"] = string(side)
	}
	for _, o := range p.all() {
		e := audit.Event{Org: o, Action: action, Actor: access.System(), Target: audit.TargetOf(m.ID), Data: facts}
		if actor.Org == o || actor.Kind == access.OperatorActor {
			e.Actor = actor
		}
		if why != "" {
			e.Person = map[string]any{"reason": why}
		}
		if err := audit.Record(tx, d.Now(), e); err != nil {
			return err
		}
	}
	return nil
}

// tellAll mails the administrators of everyone whom a move concerns.
func (d *Directory) tellAll(tx sqldb.Tx, p parties, data outbox.Data) error {
	for _, o := range p.all() {
		if err := d.tellMove(tx, o, data); err != nil {
			return err
		}
	}
	return nil
}

func (d *Directory) tellMove(tx sqldb.Tx, o id.Org, data outbox.Data) error {
	list, err := Administrators(tx, o, d.Now())
	for _, a := range list {
		if err == nil {
			err = d.Queue.Enqueue(tx, o, a.ID, data, stateMailLife)
		}
	}
	return err
}
