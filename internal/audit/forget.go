package audit

import (
	"encoding/json"

	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// ForgetTarget takes the personal detail off events of an organisation about a target, at most that many, and tells whether there may be more.
// The events themselves stay.
func ForgetTarget(tx sqldb.Tx, org id.Org, target string, most int) (more bool, err error) {
	n, err := tx.Exec(`delete from event_persons where event_id in (select e.id from events e join event_persons p on p.event_id = e.id
		where e.org_id = $1 and e.target_id = $2 limit $3)`, org, target, most)
	return n == int64(most), err
}

// ForgetActor takes out of events, in whoever's log, who did them: name, address, browser. What they say of others stays. It looks at that many
// events behind after, and returns the last one and whether there may be more.
func ForgetActor(tx sqldb.Tx, actor string, after id.Event, most int) (last id.Event, more bool, err error) {
	type detail struct {
		event id.Event
		data  string
	}
	list, err := sqldb.All(tx, func(row sqldb.Row) (d detail, err error) { return d, row(&d.event, &d.data) },
		`select e.id, p.data from events e join event_persons p on p.event_id = e.id where e.actor_id = $1 and e.actor_id <> '' and e.id > $2
		order by e.id limit $3`, actor, after, most)
	if err != nil {
		return after, false, err
	}
	for _, d := range list {
		after = d.event
		var person map[string]any
		if err := json.Unmarshal([]byte(d.data), &person); err != nil {
			return after, false, err
		}
		for _, key := range []string{"actor", "address", "user_agent"} {
			delete(person, key)
		}
		if len(person) == 0 {
			_, err = tx.Exec(`delete from event_persons where event_id = $1`, d.event)
		} else if d.data, err = line(person); err == nil {
			_, err = tx.Exec(`update event_persons set data = $1 where event_id = $2`, d.data, d.event)
		}
		if err != nil {
			return after, false, err
		}
	}
	return after, len(list) == most, nil
}
