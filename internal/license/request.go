package license

import (
	"time"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// RequestState is where a request for more seats stands.
type RequestState string

// The states. From open it goes to one of the others, once.
const (
	RequestOpen      RequestState = "open"
	RequestGranted   RequestState = "granted"
	RequestDeclined  RequestState = "declined"
	RequestWithdrawn RequestState = "withdrawn"
)

// Request is that an organisation asks the one above it for more seats. There is one open request of an organisation at most.
type Request struct {
	ID       id.SeatRequest
	Org      id.Org
	State    RequestState
	Wanted   int // seats in all
	Reason   string
	Account  id.Account // who asked; may be gone
	Made     time.Time
	Answered time.Time // zero while it is open
	Answer   string    // why it was declined
}

const requestColumns = `id, org_id, state, wanted, reason, account_id, made_at, answered_at, answer`

func scanRequest(row sqldb.Row) (q Request, err error) {
	return q, row(&q.ID, &q.Org, &q.State, &q.Wanted, &q.Reason, &q.Account, sqldb.Time(&q.Made), sqldb.Time(&q.Answered), &q.Answer)
}

// Ask stores a request. It returns a Conflict refusal when one is open already; of two at once, the second gets a unique violation.
func Ask(tx sqldb.Tx, q Request) error {
	if _, there, err := OpenRequest(tx, q.Org); err != nil {
		return err
	} else if there {
		return refusal.New(refusal.Conflict, "seats.ask.open")
	}
	_, err := tx.Exec(`insert into seat_requests (id, org_id, state, wanted, reason, account_id, made_at) values ($1, $2, 'open', $3, $4, $5, $6)`,
		q.ID, q.Org, q.Wanted, q.Reason, q.Account, sqldb.Micros(q.Made))
	return err
}

// OpenRequest returns an organisation's open request, and false when it has none.
func OpenRequest(tx sqldb.Tx, org id.Org) (Request, bool, error) {
	list, err := sqldb.All(tx, scanRequest, `select `+requestColumns+` from seat_requests where org_id = $1 and state = 'open'`, org)
	if err != nil || len(list) == 0 {
		return Request{}, false, err
	}
	return list[0], true, nil
}

// AskedSince counts an organisation's requests since then.
func AskedSince(tx sqldb.Tx, org id.Org, since time.Time) (int, error) {
	return sqldb.One(tx, sqldb.Value[int], `select count(*) from seat_requests where org_id = $1 and made_at > $2`, org, sqldb.Micros(since))
}

// LastRequest returns an organisation's latest request, and false when it never asked.
func LastRequest(tx sqldb.Tx, org id.Org) (Request, bool, error) {
	list, err := sqldb.All(tx, scanRequest, `select `+requestColumns+` from seat_requests where org_id = $1 order by made_at desc limit 1`, org)
	if err != nil || len(list) == 0 {
		return Request{}, false, err
	}
	return list[0], true, nil
}

// Answer closes an open request of an organisation and returns it. It returns a Conflict refusal for one that is not open any more, and for one that
// is not of this organisation.
func Answer(tx sqldb.Tx, now time.Time, org id.Org, request id.SeatRequest, to RequestState, answer string) (Request, error) {
	list, err := sqldb.All(tx, scanRequest, `update seat_requests set state = $1, answered_at = $2, answer = $3
		where id = $4 and org_id = $5 and state = 'open' returning `+requestColumns, to, sqldb.Micros(now), answer, request, org)
	if err != nil {
		return Request{}, err
	}
	if len(list) == 0 {
		return Request{}, refusal.New(refusal.Conflict, "seats.request.answered")
	}
	return list[0], nil
}

// Asking is an open request in the list of the organisation above.
type Asking struct {
	Request
	Name, Slug string // of the organisation that asks
	Seats      Seats
}

// AskingBelow returns up to most open requests of the organisations directly below one, the oldest first; groups limits them to the organisations in
// the groups of that account.
func AskingBelow(tx sqldb.Tx, parent id.Org, groups id.Account, most int) ([]Asking, error) {
	return sqldb.All(tx, func(row sqldb.Row) (a Asking, err error) {
		return a, row(&a.ID, &a.Org, &a.State, &a.Wanted, &a.Reason, &a.Account, sqldb.Time(&a.Made), sqldb.Time(&a.Answered), &a.Answer, &a.Name,
			&a.Slug, &a.Seats.Limit, &a.Seats.Used)
	}, `select q.id, q.org_id, q.state, q.wanted, q.reason, q.account_id, q.made_at, q.answered_at, q.answer, o.name, o.slug, coalesce(s.seat_limit, -1), s.used
		from org_nodes n join seat_requests q on q.org_id = n.id and q.state = 'open' join orgs o on o.id = n.id join seats s on s.org_id = n.id
		where n.parent_id = $1 and ($2 = '' or n.id in (select go.member_id from org_group_accounts ga join org_group_orgs go on go.group_id = ga.group_id
			where ga.account_id = $2)) order by q.made_at, q.id limit $3`, parent, groups, most)
}
