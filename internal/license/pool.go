package license

import (
	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Pool is what the limits of an MSP's customers together never exceed (mission D5).
type Pool struct {
	Size  int // Unlimited when there is none
	Given int // the limits of all customers together
	Open  int // customers without a limit: under a pool there are none
}

// Left returns how many seats can still be given to customers, Unlimited without a pool.
func (p Pool) Left() int {
	if p.Size == Unlimited {
		return Unlimited
	}
	return max(p.Size-p.Given, 0)
}

// Share returns how much of the pool is given out, 0 to 1; 0 without one.
func (p Pool) Share() float64 {
	if p.Size <= 0 {
		return 0
	}
	return min(float64(p.Given)/float64(p.Size), 1)
}

// PoolOf returns the pool of an MSP. Every other organisation has none.
func PoolOf(tx sqldb.Tx, org id.Org) (Pool, error) { return poolBut(tx, org, "") }

// poolBut is the pool as it would be without one of the customers.
func poolBut(tx sqldb.Tx, msp, but id.Org) (Pool, error) {
	return sqldb.One(tx, func(row sqldb.Row) (p Pool, err error) { return p, row(&p.Size, &p.Given, &p.Open) },
		`select coalesce((select pool from seats where org_id = $1), -1), cast(coalesce(sum(s.seat_limit), 0) as bigint),
		cast(coalesce(sum(case when s.seat_limit is null then 1 else 0 end), 0) as bigint)
		from org_nodes n join seats s on s.org_id = n.id where n.parent_id = $1 and n.kind = 'customer' and n.id <> $2`, msp, but)
}

// SetPool changes the pool of an MSP; Unlimited takes it away. It returns refusals at the field pool, with the numbers, when less than what is given
// out would be left, and when a customer has no limit.
func SetPool(tx sqldb.Tx, msp id.Org, size int) error {
	if err := checkLimit("pool", size); err != nil {
		return err
	}
	n, err := access.Find(tx, msp)
	if err != nil {
		return err
	}
	if n.Kind != access.MSP {
		return refusal.New(refusal.Conflict, "seats.pool_kind")
	}
	if err := hold(tx, msp); err != nil {
		return err
	}
	p, err := PoolOf(tx, msp)
	if err != nil {
		return err
	}
	switch {
	case size == Unlimited:
	case p.Open > 0:
		return refusal.Field("pool", "seats.pool_open", "Count", p.Open)
	case size < p.Given:
		return refusal.Field("pool", "seats.pool_given", "Given", p.Given)
	}
	_, err = tx.Exec(`update seats set pool = $1 where org_id = $2`, orNull(size), msp)
	return err
}

// fits refuses a customer's limit that its MSP's pool does not have.
func fits(tx sqldb.Tx, customer id.Org, limit int) error {
	n, err := access.Find(tx, customer)
	if err != nil || n.Parent == "" {
		return err
	}
	return Fits(tx, n.Parent, customer, limit)
}

// Fits refuses, at the field seat_limit and with the numbers, a limit that an organisation's pool does not have for that customer; the customer need
// not be below it yet. Until the end of the transaction nobody else gives seats of the pool away.
func Fits(tx sqldb.Tx, msp, customer id.Org, limit int) error {
	if err := hold(tx, msp); err != nil {
		return err
	}
	p, err := poolBut(tx, msp, customer)
	switch {
	case err != nil || p.Size == Unlimited:
		return err
	case limit == Unlimited:
		return refusal.Field("seat_limit", "seats.pool_unlimited")
	case limit > p.Left():
		return refusal.Field("seat_limit", "seats.pool_left", "Pool", p.Size, "Given", p.Given, "Left", p.Left())
	}
	return nil
}

// hold is the lock of a pool: the row of its MSP. Of two who give seats away at once, the second sees what the first one gave.
func hold(tx sqldb.Tx, msp id.Org) error {
	_, err := tx.Exec(`update seats set pool = pool where org_id = $1`, msp)
	return err
}
