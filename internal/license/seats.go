// Package license owns what an organisation is entitled to. So far that is seats: how many people it may have. Each organisation has
// one row with its limit and the number in use, which is taken and given back inside the transaction that makes or ends an account; the
// limits of an MSP's customers together stay within its pool (pool.go). marks.go remembers the most of each month, request.go who asked for more.
package license

import (
	"errors"
	"time"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Unlimited is the limit of an organisation without one.
const Unlimited = -1

// MostSeats is the greatest limit, and the greatest pool, that can be set.
const MostSeats = 1_000_000

// customerSeats is what a customer has until its parent sets another limit (mission D5).
const customerSeats = 5

// DefaultLimit is the limit of a new organisation for which nobody chose one.
func DefaultLimit(kind access.OrgKind) int {
	if kind == access.Customer {
		return customerSeats
	}
	return Unlimited
}

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

// Open makes the row of a new organisation with its default limit, see OpenWith.
func Open(tx sqldb.Tx, org id.Org, kind access.OrgKind) error {
	return OpenWith(tx, org, kind, DefaultLimit(kind))
}

// OpenWith makes the row of a new organisation, which must be in the tree. It returns refusals at the field seat_limit: what is no limit, and what
// its MSP's pool does not have.
func OpenWith(tx sqldb.Tx, org id.Org, kind access.OrgKind, limit int) error {
	if err := checkLimit("seat_limit", limit); err != nil {
		return err
	}
	if kind == access.Customer {
		if err := fits(tx, org, limit); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`insert into seats (org_id, seat_limit, used) values ($1, $2, 0)`, org, orNull(limit))
	return err
}

// SeatsOf returns an organisation's limit and use.
func SeatsOf(tx sqldb.Tx, org id.Org) (Seats, error) {
	return sqldb.One(tx, func(row sqldb.Row) (s Seats, err error) { return s, row(&s.Limit, &s.Used) },
		`select coalesce(seat_limit, -1), used from seats where org_id = $1`, org)
}

// TakeSeat takes a seat in the caller's transaction, or returns a Conflict refusal when none is free. The updated row is the lock:
// of two at once, the second sees the first one's seat.
func TakeSeat(tx sqldb.Tx, now time.Time, org id.Org) error {
	used, err := sqldb.All(tx, sqldb.Value[int], `update seats set used = used + 1 where org_id = $1 and (seat_limit is null or used < seat_limit)
		returning used`, org)
	if err != nil {
		return err
	}
	if len(used) == 1 {
		return mark(tx, now, org, used[0]-1, used[0])
	}
	s, err := SeatsOf(tx, org)
	if err != nil {
		return err
	}
	return refusal.New(refusal.Conflict, "seats.full", "Limit", s.Limit)
}

// ReturnSeat gives a seat back.
func ReturnSeat(tx sqldb.Tx, now time.Time, org id.Org) error {
	used, err := sqldb.All(tx, sqldb.Value[int], `update seats set used = used - 1 where org_id = $1 and used > 0 returning used`, org)
	if err != nil {
		return err
	}
	if len(used) == 0 {
		return errors.New("license: more seats returned than taken")
	}
	return mark(tx, now, org, used[0]+1, used[0]+1)
}

// SetLimit changes an organisation's limit. A limit below what is in use is allowed: nobody is put out, but nobody gets in either. It returns
// refusals at the field seat_limit: what is no limit, and what its MSP's pool does not have.
func SetLimit(tx sqldb.Tx, org id.Org, limit int) error {
	if err := checkLimit("seat_limit", limit); err != nil {
		return err
	}
	if err := access.Lock(tx, org); err != nil { // it does not move to another MSP meanwhile
		return err
	}
	n, err := access.Find(tx, org)
	if err != nil {
		return err
	}
	if n.Kind == access.Customer {
		if err := fits(tx, org, limit); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`update seats set seat_limit = $1 where org_id = $2`, orNull(limit), org)
	return err
}

// checkLimit refuses what is neither a number of seats nor Unlimited.
func checkLimit(field string, limit int) error {
	if limit < 0 && limit != Unlimited || limit > MostSeats {
		return refusal.Field(field, "seats.form")
	}
	return nil
}

func orNull(limit int) any {
	if limit == Unlimited {
		return nil
	}
	return limit
}
