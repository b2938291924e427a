package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Fields lists the settings in the order in which they are shown.
var Fields = []policy.Field{policy.FieldSecondFactor, policy.FieldFactors, policy.FieldRemember, policy.FieldIdleAdmin, policy.FieldIdle,
	policy.FieldAbsolute, policy.FieldLinkHours, policy.FieldPasswordLength, policy.FieldPasswordHistory, policy.FieldInvite}

// FieldFrom is where refusals of the date stand that FieldSecondFactor begins at.
const FieldFrom = "from"

// Sources tells where the rules of an organisation come from.
type Sources struct {
	Levels  []org.Org // the organisations above it and itself, the provider first
	Origins policy.Origins
}

// SourcesOf reads where the rules of an organisation come from.
func SourcesOf(tx sqldb.Tx, o org.Org) (Sources, error) {
	levels, err := org.Lineage(tx, o)
	if err != nil {
		return Sources{}, err
	}
	_, origins := policy.Inherit(settingsOf(levels)...)
	return Sources{levels, origins}, nil
}

func settingsOf(levels []org.Org) []policy.Settings {
	list := make([]policy.Settings, 0, len(levels))
	for _, l := range levels {
		list = append(list, l.Settings)
	}
	return list
}

// Of returns the organisation that a rule comes from; false when it is Doorward's default.
func (s Sources) Of(f policy.Field) (org.Org, bool) {
	i, ok := s.Origins[f]
	if !ok {
		return org.Org{}, false
	}
	return s.Levels[i], true
}

// Rev is the fingerprint of settings: who changes them says which ones they saw.
func Rev(s policy.Settings) string {
	text, err := json.Marshal(s)
	if err != nil {
		return "" // nothing in them can fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// RevOf is the fingerprint of a draft in the form in which it would be kept.
func RevOf(draft policy.Settings) string { return Rev(tidy(draft)) }

// MostAhead is how far ahead a date can lie, in years.
const MostAhead = 5

// ParseFrom reads from when on a rule holds: a day, which is meant from its beginning, or day and time as browsers send them, in the organisation's
// time zone, or RFC 3339. Nothing is the zero time: at once. The refusal is at FieldFrom.
func ParseFrom(text string, zone *time.Location) (time.Time, *refusal.Error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, refusal.Field(FieldFrom, "policy.date.form")
}

// Draft is a change of settings that somebody is about to make.
type Draft struct {
	Settings policy.Settings
	Rev      string // of the settings that they saw; empty: whatever they are
	Seen     string // Rev of the draft whose consequences they saw and agreed to
}

// SetNumber sets one of the settings that are numbers, or returns a refusal at its field. 0 is no way to leave one unset.
func SetNumber(s *policy.Settings, f policy.Field, n int) *refusal.Error {
	if r := policy.Ranges()[f]; n < r.Least || n > r.Most {
		return refusal.Field(string(f), "policy.number", "Least", r.Least, "Most", r.Most)
	}
	switch f {
	case policy.FieldLinkHours:
		s.LinkHours = n
	case policy.FieldIdleAdmin:
		s.IdleAdminMinutes = n
	case policy.FieldIdle:
		s.IdleMinutes = n
	case policy.FieldAbsolute:
		s.AbsoluteHours = n
	case policy.FieldRemember:
		s.RememberDays = &n
	case policy.FieldPasswordLength:
		s.PasswordLength = n
	case policy.FieldPasswordHistory:
		s.PasswordHistory = n
	case policy.FieldSecondFactor, policy.FieldFactors, policy.FieldInvite: // no numbers
	}
	return nil
}

// tidy returns settings in the one form in which they are kept.
func tidy(s policy.Settings) policy.Settings {
	if s.SecondFactor == "" || s.SecondFactor == policy.Off {
		s.From = time.Time{}
	}
	if !s.From.IsZero() {
		s.From = s.From.UTC().Truncate(time.Minute)
	}
	var kinds []policy.Kind
	for _, k := range policy.Kinds() {
		if slices.Contains(s.Factors, k) {
			kinds = append(kinds, k)
		}
	}
	if s.Factors = kinds; len(kinds) == len(policy.Kinds()) {
		s.Factors = nil
	}
	return s
}

// check refuses, at their fields, settings that make no sense, and those that ask for less than the organisations above. A date that stayed as it was
// may have passed.
func check(now time.Time, from Sources, s policy.Settings) error {
	s.From = tidy(s).From
	last := len(from.Levels) - 1
	before, above := from.Levels[last].Settings, settingsOf(from.Levels[:last])
	var faults []*refusal.Error
	fault := func(f policy.Field, key string, args ...any) {
		faults = append(faults, refusal.Field(string(f), key, args...))
	}
	if !slices.Contains([]policy.Mode{"", policy.Off, policy.Administrators, policy.Everyone}, s.SecondFactor) {
		fault(policy.FieldSecondFactor, "policy.mode.unknown")
	}
	if !s.From.IsZero() && !s.From.Equal(before.From) {
		switch {
		case now.Sub(s.From) > 25*time.Hour: // a day has as many, once a year
			fault(FieldFrom, "policy.date.past")
		case s.From.After(now.AddDate(MostAhead, 0, 0)):
			fault(FieldFrom, "policy.date.far", "Most", MostAhead)
		}
	}
	for _, k := range s.Factors {
		if !slices.Contains(policy.Kinds(), k) {
			fault(policy.FieldFactors, "policy.factors.unknown")
			break
		}
	}
	for f := range policy.Ranges() {
		if n, ok := s.Number(f); ok {
			faults = append(faults, SetNumber(&s, f, n))
		}
	}
	faults = slices.DeleteFunc(faults, func(e *refusal.Error) bool { return e == nil })
	if s.Invite != "" && s.Invite != policy.InviteAdministrators {
		fault(policy.FieldInvite, "policy.invite.unknown")
	}
	if len(faults) > 0 {
		return refusal.All(inOrder(faults)...)
	}
	inherited, origins := policy.Inherit(above...)
	for _, f := range policy.Looser(s, above...) {
		by := from.Levels[origins[f]].Name
		switch {
		case f == policy.FieldFactors && !slices.ContainsFunc(s.Factors, func(k policy.Kind) bool { return slices.Contains(inherited.MayEnrol(), k) }):
			fault(f, "policy.nobody", "Organisation", by)
		default:
			fault(f, "policy.looser", "Organisation", by)
		}
	}
	return refusal.All(inOrder(faults)...)
}

// inOrder sorts refusals the way the fields stand on the page.
func inOrder(faults []*refusal.Error) []*refusal.Error {
	at := func(e *refusal.Error) int {
		if e.Field == FieldFrom {
			return 0
		}
		return slices.Index(Fields, policy.Field(e.Field))
	}
	slices.SortStableFunc(faults, func(a, b *refusal.Error) int { return at(a) - at(b) })
	return faults
}

// written is what an audit event says of a setting; empty when it is not set.
func written(f policy.Field, s policy.Settings) string {
	switch f {
	case policy.FieldSecondFactor:
		if s.From.IsZero() {
			return string(s.SecondFactor)
		}
		return string(s.SecondFactor) + " from " + s.From.UTC().Format(time.RFC3339)
	case policy.FieldFactors:
		list := make([]string, 0, len(s.Factors))
		for _, k := range s.Factors {
			list = append(list, string(k))
		}
		return strings.Join(list, " ")
	case policy.FieldInvite:
		return s.Invite
	}
	if n, ok := s.Number(f); ok {
		return strconv.Itoa(n)
	}
	return ""
}

// Preview tells what settings would do, without storing them.
type Preview struct {
	Settings policy.Settings // the draft, in the form in which it would be kept
	Org      org.Org         // as it would be
	Tally    Tally           // how its people would stand

	Shut  int      // could not sign in without enrolling, if the draft held from now on
	You   bool     // the actor among them
	List  []Member // a stretch of them
	Next  string
	Newly int // people who can sign in now without enrolling, and could not any more as soon as it is saved: here and below

	Orgs  int // organisations below whose people it concerns too
	Below Tally
	There int // could not sign in there without enrolling, if the draft held from now on
}

// People is how many people the draft concerns, here and below.
func (p Preview) People() int { return p.Tally.People + p.Below.People }

// Preview shows who may view the rules of an organisation what a draft would do: each person is judged by the decision that a sign-in meets. after is
// the Next of the stretch before. Refusals are those of SetRules.
func (d *Desk) Preview(ctx context.Context, actor access.Actor, of id.Org, s policy.Settings, after string, most int) (Preview, error) {
	tx := d.DB.Read(ctx)
	if _, err := d.Guard.Require(tx, actor, access.PolicyView, of); err != nil {
		return Preview{}, d.Book.Refusal(ctx, actor, audit.Action(access.PolicyView), err)
	}
	o, err := org.Find(tx, of)
	if err != nil {
		return Preview{}, err
	}
	from, err := SourcesOf(tx, o)
	if err != nil {
		return Preview{}, err
	}
	if err := check(d.Now(), from, s); err != nil {
		return Preview{}, err
	}
	return d.preview(tx, actor, o, tidy(s), after, most)
}

func (d *Desk) preview(tx sqldb.Tx, actor access.Actor, o org.Org, s policy.Settings, after string, most int) (p Preview, err error) {
	level := len(o.Above)
	p.Settings, p.Org = s, with(o, level, s)
	now := s // as if its date had come
	now.From = time.Time{}
	at := with(o, level, now).Rules
	if err := d.roll(tx, o, func(m *Member) error {
		overdue := m.Standing == policy.Overdue
		if m.judge(at); m.Standing == policy.Overdue {
			p.Shut++
			p.You = p.You || actor.Kind == access.AccountActor && (actor.Account == m.ID || actor.Account == m.Home)
			switch {
			case most == 0 || m.EmailKey <= after:
			case len(p.List) == most:
				p.Next = p.List[most-1].EmailKey
			default:
				p.List = append(p.List, *m)
			}
		}
		m.judge(p.Org.Rules)
		if p.Tally.add(m.Standing); m.Standing == policy.Overdue && !overdue {
			p.Newly++
		}
		return nil
	}); err != nil {
		return p, err
	}
	if o.Kind == access.Customer {
		return p, nil
	}
	below, err := sqldb.All(tx, sqldb.Value[id.Org], `select org_id from org_tree where ancestor_id = $1 and depth > 0 order by org_id`, o.ID)
	if err != nil {
		return p, err
	}
	for _, one := range below {
		c, err := org.Find(tx, one)
		if err != nil {
			return p, err
		}
		then, held := with(c, level, s), with(c, level, now)
		if sameDemand(c.Rules, then.Rules) && sameDemand(c.Rules, held.Rules) {
			continue
		}
		p.Orgs++
		if err := d.roll(tx, c, func(m *Member) error {
			overdue := m.Standing == policy.Overdue
			if m.judge(held.Rules); m.Standing == policy.Overdue {
				p.There++
			}
			m.judge(then.Rules)
			if p.Below.add(m.Standing); m.Standing == policy.Overdue && !overdue {
				p.Newly++
			}
			return nil
		}); err != nil {
			return p, err
		}
	}
	return p, nil
}

// with returns an organisation as it would be if the one at that level of its lineage had those settings.
func with(o org.Org, level int, s policy.Settings) org.Org {
	levels := append(slices.Clone(o.Above), o.Settings)
	levels[level] = s
	last := len(levels) - 1
	o.Above, o.Settings = levels[:last], levels[last]
	o.Rules, _ = policy.Inherit(levels...)
	return o
}

// sameDemand tells whether two rules ask the same second factor of the same people.
func sameDemand(a, b policy.Rules) bool {
	for _, administrative := range []bool{false, true} {
		from, ever := a.DemandedFrom(administrative)
		then, still := b.DemandedFrom(administrative)
		if ever != still || !from.Equal(then) {
			return false
		}
	}
	return slices.Equal(a.MayEnrol(), b.MayEnrol()) && a.KeysOnly() == b.KeysOnly()
}

// SetRules changes what an organisation sets for itself; it holds at once, also for sessions that are open. Refusals are at the fields of the
// settings and FieldFrom; when people who can sign in now could not any more without enrolling, at "confirm" until the draft's Seen says that the
// actor knows it. When somebody else changed the settings since, nothing happens but a Conflict refusal.
func (d *Desk) SetRules(ctx context.Context, actor access.Actor, of id.Org, draft Draft) error {
	s := tidy(draft.Settings)
	load := func(tx sqldb.Tx) (org.Org, error) {
		if _, err := d.Guard.Require(tx, actor, access.PolicyEdit, of); err != nil {
			return org.Org{}, err
		}
		o, err := org.Find(tx, of)
		if err != nil {
			return o, err
		}
		if draft.Rev != "" && draft.Rev != Rev(o.Settings) {
			return o, refusal.New(refusal.Conflict, "policy.changed_meanwhile")
		}
		from, err := SourcesOf(tx, o)
		if err != nil {
			return o, err
		}
		return o, check(d.Now(), from, draft.Settings)
	}
	read := d.DB.Read(ctx)
	o, err := load(read)
	if err != nil {
		return d.Book.Refusal(ctx, actor, audit.PolicyChanged, err)
	}
	if draft.Seen != Rev(s) { // counted outside the transaction, which would hold everybody else up
		p, err := d.preview(read, actor, o, s, "", 0)
		if err != nil {
			return err
		}
		if p.Newly > 0 {
			key := "policy.shuts_out"
			if p.You {
				key = "policy.shuts_out_you"
			}
			return refusal.Field("confirm", key, "Count", p.Newly, "All", p.People())
		}
	}
	return d.Book.Do(ctx, actor, audit.PolicyChanged, func(tx sqldb.Tx) error {
		o, err := load(tx)
		if err != nil {
			return err
		}
		if err := actor.RequireFresh(d.Now()); err != nil {
			return err
		}
		was, is := map[string]string{}, map[string]string{}
		for _, f := range Fields {
			if a, b := written(f, o.Settings), written(f, s); a != b {
				was[string(f)], is[string(f)] = a, b
			}
		}
		if len(was) == 0 {
			return nil
		}
		ok, err := org.SaveSettings(tx, o, s)
		if err != nil {
			return err
		}
		if !ok {
			return refusal.New(refusal.Conflict, "policy.changed_meanwhile")
		}
		// What is known of how people stand is no longer true, here and below.
		if _, err := tx.Exec(`update org_health set judged_at = 0 where org_id in (select org_id from org_tree where ancestor_id = $1)`, of); err != nil {
			return err
		}
		return audit.Record(tx, d.Now(), audit.Event{Org: of, Action: audit.PolicyChanged, Actor: actor, Target: audit.TargetOf(of),
			Data: map[string]any{"before": was, "after": is}})
	})
}
