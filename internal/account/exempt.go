package account

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// An exception from the second factor ends after so many days at the latest (mission C4), and its reason is so long at most, in characters.
const (
	MostExempt       = 90
	MostExemptReason = 200
)

// checkExempt returns the reason without outer space, or refusals at the fields "exempt_until" and "exempt_reason". The last day is a whole one.
func checkExempt(until time.Time, reason string, now time.Time, zone *time.Location) (string, error) {
	year, month, day := now.In(zone).Date()
	last := time.Date(year, month, day+MostExempt+1, 0, 0, 0, 0, zone)
	var untilFault, reasonFault *refusal.Error
	switch {
	case until.IsZero():
		untilFault = refusal.Field("exempt_until", "exempt.until_missing")
	case !until.After(now):
		untilFault = refusal.Field("exempt_until", "expires.past")
	case until.After(last):
		untilFault = refusal.Field("exempt_until", "exempt.far", "Most", MostExempt)
	}
	reason = strings.Join(strings.Fields(reason), " ")
	switch {
	case reason == "":
		reasonFault = refusal.Field("exempt_reason", "exempt.reason_missing")
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		reasonFault = refusal.Field("exempt_reason", "error.text.invalid")
	case utf8.RuneCountInString(reason) > MostExemptReason:
		reasonFault = refusal.Field("exempt_reason", "text.long", "Most", MostExemptReason)
	}
	return reason, refusal.All(untilFault, reasonFault)
}

// ParseExemptUntil reads when an exception is to end, as ParseEnd does. The refusal is at the field "exempt_until".
func ParseExemptUntil(text string, zone *time.Location, now time.Time) (time.Time, *refusal.Error) {
	t, fault := ParseEnd(text, zone, now)
	if fault != nil {
		copied := *fault
		copied.Field = "exempt_until"
		fault = &copied
	}
	return t, fault
}

// Exempt excepts a person from the second factor until a time, for whoever may change the organisation's rules. A later one replaces it. A linked
// account has its factors at home and is excepted there. Refusals are at the fields "exempt_until" and "exempt_reason".
func (d *Directory) Exempt(ctx context.Context, actor access.Actor, o id.Org, a id.Account, until time.Time, reason string) error {
	return d.Book.Do(ctx, actor, audit.Exempted, func(tx sqldb.Tx) error {
		acc, err := d.exemptable(tx, actor, o, a)
		if err != nil {
			return err
		}
		in, err := org.Find(tx, o)
		if err != nil {
			return err
		}
		reason, err := checkExempt(until, reason, d.Now(), in.Location())
		if err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		if err := setExempt(tx, acc, until, reason); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.Exempted, Actor: actor, Target: audit.TargetOf(a),
			Data: map[string]any{"until": written(until)}, Person: map[string]any{"reason": reason}})
	})
}

// EndExemption takes an exception back before its end; what the rules ask holds for the person at once.
func (d *Directory) EndExemption(ctx context.Context, actor access.Actor, o id.Org, a id.Account) error {
	return d.Book.Do(ctx, actor, audit.ExemptionEnded, func(tx sqldb.Tx) error {
		acc, err := d.exemptable(tx, actor, o, a)
		if err != nil {
			return err
		}
		if !acc.ExemptUntil.After(d.Now()) {
			return refusal.New(refusal.Conflict, "exempt.none")
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		if err := setExempt(tx, acc, time.Time{}, ""); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: o, Action: audit.ExemptionEnded, Actor: actor, Target: audit.TargetOf(a),
			Data: map[string]any{"before": written(acc.ExemptUntil)}})
	})
}

func (d *Directory) exemptable(tx sqldb.Tx, actor access.Actor, o id.Org, a id.Account) (Account, error) {
	acc, _, _, err := d.person(tx, actor, access.PolicyEdit, o, a)
	switch {
	case err != nil:
		return acc, err
	case actor.Account == a:
		return acc, refusal.New(refusal.Conflict, "account.yourself")
	case acc.Linked():
		return acc, refusal.New(refusal.Conflict, "exempt.linked")
	}
	return acc, nil
}

// setExempt writes an exception, unless somebody else changed it meanwhile.
func setExempt(tx sqldb.Tx, a Account, until time.Time, reason string) error {
	n, err := tx.Exec(`update accounts set exempt_until = $1, exempt_reason = $2 where id = $3 and org_id = $4 and exempt_until = $5`,
		sqldb.Micros(until), reason, a.ID, a.Org, sqldb.Micros(a.ExemptUntil))
	if err == nil && n == 0 {
		err = refusal.New(refusal.Conflict, "error.conflict")
	}
	return err
}
