// Package license owns what an organisation is entitled to. So far that is seats: how many people it may have. Each organisation has
// one row with its limit and the number in use, which is taken and given back inside the transaction that makes or ends an account.
package license

import (
	"errors"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Unlimited is the limit of an organisation without one.
const Unlimited = -1

// customerSeats is what a customer has until its parent sets another limit (mission D5).
const customerSeats = 5

// Seats is an organisation's limit and use.
type Seats struct {
	Limit int // Unlimited when there is none
	Used  int
}

// Free tells whether another seat can be taken.
func (s Seats) Free() bool { return s.Limit == Unlimited || s.Used < s.Limit }

// Share returns how full the organisation is, 0 to 1; 0 without a limit.
func (s Seats) Share() float64 {
	if s.Limit <= 0 {
		return 0
	}
	return min(float64(s.Used)/float64(s.Limit), 1)
}

// Left returns how many seats are free, Unlimited when there is no limit.
func (s Seats) Left() int {
	if s.Limit == Unlimited {
		return Unlimited
	}
	return max(s.Limit-s.Used, 0)
}

// Open makes the row of a new organisation.
func Open(tx sqldb.Tx, org id.Org, kind access.OrgKind) error {
	var limit any
	if kind == access.Customer {
		limit = customerSeats
	}
	_, err := tx.Exec(`insert into seats (org_id, seat_limit, used) values ($1, $2, 0)`, org, limit)
	return err
}

// SeatsOf returns an organisation's limit and use.
func SeatsOf(tx sqldb.Tx, org id.Org) (Seats, error) {
	return sqldb.One(tx, func(row sqldb.Row) (s Seats, err error) { return s, row(&s.Limit, &s.Used) },
		`select coalesce(seat_limit, -1), used from seats where org_id = $1`, org)
}

// TakeSeat takes a seat in the caller's transaction, or returns a Conflict refusal when none is free. The updated row is the lock:
// of two at once, the second sees the first one's seat.
func TakeSeat(tx sqldb.Tx, org id.Org) error {
	n, err := tx.Exec(`update seats set used = used + 1 where org_id = $1 and (seat_limit is null or used < seat_limit)`, org)
	if err != nil || n == 1 {
		return err
	}
	s, err := SeatsOf(tx, org)
	if err != nil {
		return err
	}
	return refusal.New(refusal.Conflict, "seats.full", "Limit", s.Limit)
}

// ReturnSeat gives a seat back.
func ReturnSeat(tx sqldb.Tx, org id.Org) error {
	n, err := tx.Exec(`update seats set used = used - 1 where org_id = $1 and used > 0`, org)
	if err == nil && n == 0 {
		err = errors.New("license: more seats returned than taken")
	}
	return err
}

// SetLimit changes an organisation's limit. A limit below what is in use is allowed: nobody is put out, but nobody gets in either.
func SetLimit(tx sqldb.Tx, org id.Org, limit int) error {
	var v any = limit
	if limit == Unlimited {
		v = nil
	}
	_, err := tx.Exec(`update seats set seat_limit = $1 where org_id = $2`, v, org)
	return err
}
