// Package audit owns the audit log: the list of actions, Record, which writes an event in the operation's own transaction, and Book,
// the wrapper that every operation runs through, which also records refused rights.
//
//	operation ──> Book.Do ──> Write(tx: … Record …) ── commit ──> done, with its event
//	                            └── refused right: rolled back ──> own transaction: event with outcome "denied"
//
// An event is a row without personal detail; names, addresses and what people typed stand in a row of their own beside it, so that a
// person can be erased from the log without breaking it.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Outcome is how the thing ended that an event tells of.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused" // a rule said no: a wrong password, a sign-in without a role
	Denied  Outcome = "denied"  // a right was missing, or a foreign id was asked for
)

// Event is one line of the audit log.
type Event struct {
	ID      id.Event
	Org     id.Org // whose log it stands in
	At      time.Time
	Action  Action
	Outcome Outcome
	Reason  string // with Refused and Denied: a code
	Actor   access.Actor
	Target  Target
	Request string         // the request's id
	Data    map[string]any // facts without personal detail: roles, numbers, states before and after
	Person  map[string]any // personal detail: names, addresses, what was typed
}

// Target is what the event is about.
type Target struct{ Kind, ID string }

// TargetOf returns the target for an id.
func TargetOf[K id.Kind](k K) Target { return Target{k.Prefix(), string(k)} }

type requestKey struct{}

// WithRequest returns a context that carries the request's id into the events written under it.
func WithRequest(ctx context.Context, request string) context.Context {
	return context.WithValue(ctx, requestKey{}, request)
}

// Request returns the request's id that WithRequest put into a context, or nothing.
func Request(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// Record writes an event in the transaction of what it tells of. Over-long values are cut, invalid ones replaced: writing an event
// never fails for what a person typed.
func Record(tx sqldb.Tx, now time.Time, e Event) error {
	if e.ID == "" {
		e.ID = id.New[id.Event](now)
	}
	if e.Outcome == "" {
		e.Outcome = Done
	}
	if e.Request == "" {
		e.Request = Request(tx.Context())
	}
	data, err := line(clean(e.Data))
	if err != nil {
		return err
	}
	actorID := string(e.Actor.Account)
	if e.Actor.Kind == access.OperatorActor {
		actorID = cut(e.Actor.Name)
	}
	if _, err := tx.Exec(`insert into events (id, org_id, at, action, outcome, reason, actor_kind, actor_id, actor_org_id,
		target_kind, target_id, request_id, data) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		e.ID, e.Org, sqldb.Micros(now), e.Action, e.Outcome, e.Reason, e.Actor.Kind, actorID, e.Actor.Org,
		e.Target.Kind, e.Target.ID, e.Request, data); err != nil {
		return err
	}
	person := clean(e.Person)
	for k, v := range map[string]string{"address": e.Actor.Client.Address, "user_agent": e.Actor.Client.UserAgent, "actor": e.Actor.Name} {
		if v != "" {
			person[k] = cut(v)
		}
	}
	if len(person) == 0 {
		return nil
	}
	detail, err := line(person)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into event_persons (event_id, org_id, data) values ($1, $2, $3)`, e.ID, e.Org, detail)
	return err
}

// line returns v as JSON on one line that reads as it stands: control characters, invisible ones and those that turn the direction of
// writing are escaped.
func line(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, r := range string(b) {
		if !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) { // RFC 8259 section 7
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String(), nil
}

// clean cuts texts and replaces what a database or a log reader could stumble over.
func clean(m map[string]any) map[string]any {
	out := make(map[string]any, len(m)+3)
	for k, v := range m {
		switch v := v.(type) {
		case string:
			out[k] = cut(v)
		case []string:
			list := make([]string, 0, len(v))
			for _, s := range v {
				list = append(list, cut(s))
			}
			out[k] = list
		default:
			out[k] = v
		}
	}
	return out
}

func cut(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	if len(s) <= 300 {
		return s
	}
	s = s[:300]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// List returns an organisation's newest events about a target, or all when target is empty, newest first.
func List(tx sqldb.Tx, org id.Org, target string, most int) ([]Event, error) {
	where, args := `e.org_id = $1`, []any{org}
	if target != "" {
		where, args = where+` and e.target_id = $2`, append(args, target)
	}
	return sqldb.All(tx, scanEvent, `select e.id, e.org_id, e.at, e.action, e.outcome, e.reason, e.actor_kind, e.actor_id, e.actor_org_id,
		e.target_kind, e.target_id, e.request_id, e.data, coalesce(p.data, '{}')
		from events e left join event_persons p on p.event_id = e.id
		where `+where+` order by e.id desc limit `+limit(most), args...)
}

// About returns an organisation's newest events of some kinds about a target, newest first.
func About(tx sqldb.Tx, org id.Org, target string, most int, actions ...Action) ([]Event, error) {
	args := []any{org, target}
	in := make([]string, 0, len(actions))
	for _, a := range actions {
		args = append(args, a)
		in = append(in, "$"+strconv.Itoa(len(args)))
	}
	return sqldb.All(tx, scanEvent, `select e.id, e.org_id, e.at, e.action, e.outcome, e.reason, e.actor_kind, e.actor_id, e.actor_org_id,
		e.target_kind, e.target_id, e.request_id, e.data, coalesce(p.data, '{}')
		from events e left join event_persons p on p.event_id = e.id
		where e.org_id = $1 and e.target_id = $2 and e.action in (`+strings.Join(in, ", ")+`) order by e.id desc limit `+limit(most), args...)
}

// NewestOf returns an organisation's newest events of one kind, newest first.
func NewestOf(tx sqldb.Tx, org id.Org, action Action, most int) ([]Event, error) {
	return sqldb.All(tx, scanEvent, `select e.id, e.org_id, e.at, e.action, e.outcome, e.reason, e.actor_kind, e.actor_id, e.actor_org_id,
		e.target_kind, e.target_id, e.request_id, e.data, coalesce(p.data, '{}')
		from events e left join event_persons p on p.event_id = e.id
		where e.org_id = $1 and e.action = $2 order by e.at desc limit `+limit(most), org, action)
}

func limit(n int) string {
	if n > 200 {
		n = 200
	}
	b, _ := json.Marshal(n) // an int always marshals
	return string(b)
}

func scanEvent(row sqldb.Row) (e Event, err error) {
	var data, person string
	var actorID string
	if err := row(&e.ID, &e.Org, sqldb.Time(&e.At), &e.Action, &e.Outcome, &e.Reason, &e.Actor.Kind, &actorID, &e.Actor.Org,
		&e.Target.Kind, &e.Target.ID, &e.Request, &data, &person); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(data), &e.Data); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(person), &e.Person); err != nil {
		return e, err
	}
	if e.Actor.Kind == access.AccountActor || e.Actor.Kind == access.LinkActor {
		e.Actor.Account = id.Account(actorID)
	}
	e.Actor.Name, _ = e.Person["actor"].(string)
	e.Actor.Client.Address, _ = e.Person["address"].(string)
	e.Actor.Client.UserAgent, _ = e.Person["user_agent"].(string)
	return e, nil
}

// CountByDay returns how many events of an action an organisation has on each of the days that begin at the given times, the last
// one ending now. days is ascending.
func CountByDay(tx sqldb.Tx, org id.Org, action Action, days []time.Time) ([]int, error) {
	if len(days) == 0 {
		return nil, nil
	}
	counts := make([]int, len(days))
	times, err := sqldb.All(tx, sqldb.Value[int64], `select at from events where org_id = $1 and action = $2 and at >= $3
		order by at desc limit 20000`, org, action, sqldb.Micros(days[0]))
	for _, us := range times {
		for i := len(days) - 1; i >= 0; i-- {
			if us >= sqldb.Micros(days[i]) {
				counts[i]++
				break
			}
		}
	}
	return counts, err
}

// Book runs operations.
type Book struct {
	DB  *sqldb.DB
	Now func() time.Time

	mu     sync.Mutex
	minute int64
	denied map[string]int
}

// deniedPerMinute caps the events of refused rights per actor, so that a script cannot fill the log.
const deniedPerMinute = 20

// Do runs an operation in one transaction. When it is refused for a missing right or a foreign id, the event of that stands in the
// actor's own organisation, written after the roll-back.
func (b *Book) Do(ctx context.Context, a access.Actor, action Action, fn func(tx sqldb.Tx) error) error {
	along, _ := ctx.Value(alongKey{}).(func(tx sqldb.Tx) error)
	err := b.DB.Write(ctx, func(tx sqldb.Tx) error {
		if err := fn(tx); err != nil || along == nil {
			return err
		}
		return along(tx)
	})
	return b.Refusal(ctx, a, action, err)
}

type alongKey struct{}

// Along returns a context under which fn is run at the end of each operation, in the operation's own transaction: its error rolls the operation back.
// Who works off a list ticks a row off by it, so that the row is done once, whatever breaks off when.
func Along(ctx context.Context, fn func(tx sqldb.Tx) error) context.Context {
	return context.WithValue(ctx, alongKey{}, fn)
}

// Refusal records err when it is a refused right, and returns it; action is what was asked for. Pages that only read use it.
func (b *Book) Refusal(ctx context.Context, a access.Actor, action Action, err error) error {
	r := refusal.As(err)
	if r == nil || !r.Denied || a.Org == "" || !b.allow(string(a.Account), b.Now()) {
		return err
	}
	if recErr := b.DB.Write(ctx, func(tx sqldb.Tx) error {
		return Record(tx, b.Now(), Event{Org: a.Org, Action: RightRefused, Outcome: Denied, Reason: string(r.Code), Actor: a,
			Data: map[string]any{"asked": string(action)}})
	}); recErr != nil {
		return recErr
	}
	return err
}

func (b *Book) allow(actor string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m := now.Unix() / 60; m != b.minute || b.denied == nil {
		b.minute, b.denied = m, map[string]int{}
	}
	b.denied[actor]++
	return b.denied[actor] <= deniedPerMinute
}

// enteredFor is how long a look at another organisation's pages counts as one.
const enteredFor = time.Hour

// Entered records that an account of another organisation is looking at an organisation's pages: once per session and hour, in the log of the
// organisation that is looked at and in that of the account's own. home is the name of the account's organisation, for those who read the log of the
// other one. first runs in the transaction of these events.
func (b *Book) Entered(ctx context.Context, a access.Actor, o id.Org, home string, first func(tx sqldb.Tx) error) error {
	target := TargetOf(a.Session)
	since := sqldb.Micros(b.Now().Add(-enteredFor))
	const seen = `select count(*) from events where org_id = $1 and target_id = $2 and action = 'org.entered' and at > $3`
	n, err := sqldb.One(b.DB.Read(ctx), sqldb.Value[int64], seen, o, target.ID, since)
	if err != nil || n > 0 {
		return err
	}
	return b.DB.Write(ctx, func(tx sqldb.Tx) error {
		n, err := sqldb.One(tx, sqldb.Value[int64], seen, o, target.ID, since)
		if err != nil || n > 0 {
			return err
		}
		if err := Record(tx, b.Now(), Event{Org: o, Action: OrgEntered, Actor: a, Target: target, Data: map[string]any{"home": home}}); err != nil {
			return err
		}
		if err := Record(tx, b.Now(), Event{Org: a.Org, Action: OrgVisited, Actor: a, Target: TargetOf(o)}); err != nil {
			return err
		}
		return first(tx)
	})
}
