package account

import (
	"context"
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

// Seats are set from above (mission D5). Who needs more asks, and is answered:
//
//	AskSeats ──> open ── GrantSeats, or SetSeats with at least as many ──> granted
//	              ├───── DeclineSeats ──> declined
//	              └───── WithdrawSeats ──> withdrawn

// SetSeats changes an organisation's seat limit; license.Unlimited takes it away. It returns refusals at the field seat_limit: what is no number of
// seats, and what the MSP's pool does not have. A limit that reaches what the organisation asked for answers its request.
func (d *Directory) SetSeats(ctx context.Context, actor access.Actor, o id.Org, limit int) error {
	return d.Book.Do(ctx, actor, audit.SeatsChanged, func(tx sqldb.Tx) error {
		if err := d.setSeats(tx, actor, o, limit); err != nil {
			return err
		}
		q, there, err := license.OpenRequest(tx, o)
		if err != nil || !there || limit != license.Unlimited && limit < q.Wanted {
			return err
		}
		return d.grant(tx, actor, o, q.ID, limit)
	})
}

func (d *Directory) setSeats(tx sqldb.Tx, actor access.Actor, o id.Org, limit int) error {
	if _, err := d.Guard.Require(tx, actor, access.SeatsSet, o); err != nil {
		return err
	}
	before, err := license.SeatsOf(tx, o)
	if err != nil {
		return err
	}
	if err := license.SetLimit(tx, o, limit); err != nil {
		return err
	}
	return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.SeatsChanged, Actor: actor, Target: audit.TargetOf(o),
		Data: map[string]any{"before": before.Limit, "after": limit}})
}

// SetPool changes what the limits of an MSP's customers together never exceed; license.Unlimited takes the pool away. It returns refusals at the
// field pool, with the numbers, see license.SetPool.
func (d *Directory) SetPool(ctx context.Context, actor access.Actor, msp id.Org, size int) error {
	return d.Book.Do(ctx, actor, audit.PoolChanged, func(tx sqldb.Tx) error {
		if _, err := d.Guard.Require(tx, actor, access.SeatsSet, msp); err != nil {
			return err
		}
		before, err := license.PoolOf(tx, msp)
		if err != nil {
			return err
		}
		if err := license.SetPool(tx, msp, size); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: msp, Action: audit.PoolChanged, Actor: actor, Target: audit.TargetOf(msp),
			Data: map[string]any{"before": before.Size, "after": size}})
	})
}

const (
	// asksADay is how many requests an organisation makes in a day: each is a mail to the administrators above.
	asksADay = 3
	// seatsMailLife is how long a mail about seats is tried to be delivered.
	seatsMailLife = 24 * time.Hour
)

// AskSeats asks the organisation above for more seats, wanted in all. Its administrators are told. Who may invite may ask. It returns refusals at the
// fields wanted and reason, and Conflict refusals where a request is open, or nobody is to be asked.
func (d *Directory) AskSeats(ctx context.Context, actor access.Actor, o id.Org, wanted int, reason string) error {
	err := d.Book.Do(ctx, actor, audit.SeatsAsked, func(tx sqldb.Tx) error {
		rights, err := d.Guard.Require(tx, actor, access.PeopleInvite, o)
		if err != nil {
			return err
		}
		it, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		if err := requireAdd(actor, rights, it.Rules); err != nil {
			return err
		}
		s, err := license.SeatsOf(tx, o)
		if err != nil {
			return err
		}
		if it.Parent == "" || s.Limit == license.Unlimited {
			return refusal.New(refusal.Conflict, "seats.ask.unlimited")
		}
		why, fault := checkReason(reason)
		var few *refusal.Error
		if wanted <= s.Limit || wanted > license.MostSeats {
			few = refusal.Field("wanted", "seats.ask.more", "Limit", s.Limit, "Most", license.MostSeats)
		}
		if err := refusal.All(few, fault); err != nil {
			return err
		}
		now := d.Now()
		if n, err := license.AskedSince(tx, o, now.Add(-24*time.Hour)); err != nil {
			return err
		} else if n >= asksADay {
			return refusal.New(refusal.Conflict, "seats.ask.often", "Most", asksADay)
		}
		q := license.Request{ID: id.New[id.SeatRequest](now), Org: o, Wanted: wanted, Reason: why, Account: actor.Account, Made: now}
		if err := license.Ask(tx, q); err != nil {
			return err
		}
		if err := d.seatsEvent(tx, it, actor, audit.SeatsAsked, why, map[string]any{"limit": s.Limit, "wanted": wanted}); err != nil {
			return err
		}
		by, err := d.shown(tx, actor)
		if err != nil {
			return err
		}
		list, err := Administrators(tx, it.Parent, now)
		if err != nil {
			return err
		}
		for _, a := range list {
			if err := d.Queue.Enqueue(tx, it.Parent, a.ID, outbox.SeatsRequest{Organisation: it.Name, Slug: it.Slug, Used: s.Used, Limit: s.Limit,
				Wanted: wanted, Reason: why, By: by, At: now}, seatsMailLife); err != nil {
				return err
			}
		}
		return nil
	})
	if sqldb.Unique(err) { // two at once: the other was first
		err = refusal.New(refusal.Conflict, "seats.ask.open")
	}
	return err
}

// GrantSeats answers a request with a new limit, which need not be what was asked for but has to be above the present one. It returns refusals at the
// field seat_limit as SetSeats does, and a Conflict refusal for a request that is not open any more: then the limit stays.
func (d *Directory) GrantSeats(ctx context.Context, actor access.Actor, o id.Org, request id.SeatRequest, limit int) error {
	return d.Book.Do(ctx, actor, audit.SeatsGranted, func(tx sqldb.Tx) error {
		if _, err := d.Guard.Require(tx, actor, access.SeatsSet, o); err != nil {
			return err
		}
		before, err := license.SeatsOf(tx, o)
		if err != nil {
			return err
		}
		if limit != license.Unlimited && limit <= before.Limit {
			return refusal.Field("seat_limit", "seats.ask.more", "Limit", before.Limit, "Most", license.MostSeats)
		}
		if err := d.setSeats(tx, actor, o, limit); err != nil {
			return err
		}
		return d.grant(tx, actor, o, request, limit)
	})
}

func (d *Directory) grant(tx sqldb.Tx, actor access.Actor, o id.Org, request id.SeatRequest, limit int) error {
	return d.answerSeats(tx, actor, o, request, license.RequestGranted, audit.SeatsGranted, "", limit)
}

// DeclineSeats answers a request with a reason, which whoever asked reads in a mail. It returns refusals at the field reason.
func (d *Directory) DeclineSeats(ctx context.Context, actor access.Actor, o id.Org, request id.SeatRequest, reason string) error {
	return d.Book.Do(ctx, actor, audit.SeatsDeclined, func(tx sqldb.Tx) error {
		if _, err := d.Guard.Require(tx, actor, access.SeatsSet, o); err != nil {
			return err
		}
		why, fault := checkReason(reason)
		if fault != nil {
			return fault
		}
		s, err := license.SeatsOf(tx, o)
		if err != nil {
			return err
		}
		return d.answerSeats(tx, actor, o, request, license.RequestDeclined, audit.SeatsDeclined, why, s.Limit)
	})
}

// WithdrawSeats takes an organisation's own request back. Who may invite may do so, whoever asked.
func (d *Directory) WithdrawSeats(ctx context.Context, actor access.Actor, o id.Org, request id.SeatRequest) error {
	return d.Book.Do(ctx, actor, audit.SeatsWithdrawn, func(tx sqldb.Tx) error {
		if _, err := d.Guard.Require(tx, actor, access.PeopleInvite, o); err != nil {
			return err
		}
		it, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		q, err := license.Answer(tx, d.Now(), o, request, license.RequestWithdrawn, "")
		if err != nil {
			return err
		}
		return d.seatsEvent(tx, it, actor, audit.SeatsWithdrawn, "", map[string]any{"wanted": q.Wanted})
	})
}

// dropRequest withdraws the open request of an organisation that moves: whom it asked is not above it any more, and who is there now was not asked. Only
// its own log tells.
func (d *Directory) dropRequest(tx sqldb.Tx, o id.Org) error {
	// What was answered before is between the two who were there.
	if _, err := tx.Exec(`update seat_requests set answer = '', reason = '' where org_id = $1 and state <> 'open'`, o); err != nil {
		return err
	}
	q, there, err := license.OpenRequest(tx, o)
	if err != nil || !there {
		return err
	}
	if _, err := license.Answer(tx, d.Now(), o, q.ID, license.RequestWithdrawn, ""); err != nil {
		return err
	}
	return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.SeatsWithdrawn, Actor: access.System(), Target: audit.TargetOf(o),
		Data: map[string]any{"wanted": q.Wanted}})
}

// answerSeats closes a request and tells who asked, where they still may look at the organisation.
func (d *Directory) answerSeats(tx sqldb.Tx, actor access.Actor, o id.Org, request id.SeatRequest, to license.RequestState, action audit.Action, why string, limit int) error {
	it, err := org.Find(tx, o)
	if err != nil {
		return err
	}
	now := d.Now()
	q, err := license.Answer(tx, now, o, request, to, why)
	if err != nil {
		return err
	}
	if err := d.seatsEvent(tx, it, actor, action, why, map[string]any{"wanted": q.Wanted, "limit": limit}); err != nil {
		return err
	}
	who, err := Lookup(tx, q.Account)
	if refusal.Is(err, refusal.NotFound) || err == nil && who.State != Active {
		return nil
	}
	if err != nil {
		return err
	}
	if r, err := d.Guard.Rights(tx, access.Actor{Kind: access.AccountActor, Account: who.ID, Org: who.Org}, o); err != nil || !r.May(access.OrgView) {
		return err
	}
	above, err := org.Find(tx, it.Parent)
	if err != nil {
		return err
	}
	return d.Queue.Enqueue(tx, who.Org, who.ID, outbox.SeatsAnswer{Organisation: it.Name, Slug: it.Slug, Granted: to == license.RequestGranted, Limit: limit,
		Reason: why, By: above.Name, At: now}, seatsMailLife)
}

// seatsEvent tells the logs of both sides.
func (d *Directory) seatsEvent(tx sqldb.Tx, it org.Org, actor access.Actor, action audit.Action, why string, data map[string]any) error {
	var typed map[string]any
	if why != "" {
		typed = map[string]any{"reason": why}
	}
	if err := audit.Record(tx, d.Now(), audit.Event{Org: it.ID, Action: action, Actor: actor, Target: audit.TargetOf(it.ID), Data: data,
		Person: typed}); err != nil {
		return err
	}
	above := map[string]any{"slug": it.Slug}
	for k, v := range data {
		above[k] = v
	}
	return audit.Record(tx, d.Now(), audit.Event{Org: it.Parent, Action: action, Actor: actor, Target: audit.TargetOf(it.ID), Data: above, Person: typed})
}
