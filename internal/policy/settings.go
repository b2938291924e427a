package policy

import (
	"slices"
	"time"
)

// Settings is what one organisation sets for itself; what is absent is inherited, or has its default. They are kept as JSON.
type Settings struct {
	SecondFactor Mode      `json:"second_factor,omitempty"`
	From         time.Time `json:"from,omitzero"` // of SecondFactor
	Factors      []Kind    `json:"factors,omitempty"`

	LinkHours        int  `json:"link_hours,omitempty"`
	IdleAdminMinutes int  `json:"idle_admin_minutes,omitempty"`
	IdleMinutes      int  `json:"idle_minutes,omitempty"`
	AbsoluteHours    int  `json:"absolute_hours,omitempty"`
	RememberDays     *int `json:"remember_days,omitempty"` // 0 is a rule of its own: no device is remembered

	PasswordLength  int `json:"password_length,omitempty"`
	PasswordHistory int `json:"password_history,omitempty"`

	Invite string `json:"invite,omitempty"` // InviteAdministrators or nothing
}

// InviteAdministrators lets administrators alone add people.
const InviteAdministrators = "administrators"

// Field names one of the settings, as their JSON and forms do.
type Field string

// The fields.
const (
	FieldSecondFactor    Field = "second_factor"
	FieldFactors         Field = "factors"
	FieldLinkHours       Field = "link_hours"
	FieldIdleAdmin       Field = "idle_admin_minutes"
	FieldIdle            Field = "idle_minutes"
	FieldAbsolute        Field = "absolute_hours"
	FieldRemember        Field = "remember_days"
	FieldPasswordLength  Field = "password_length"
	FieldPasswordHistory Field = "password_history"
	FieldInvite          Field = "invite"
)

// Range is what a number among the settings may be.
type Range struct{ Least, Most int }

// Ranges are the bounds of the settings that are numbers.
func Ranges() map[Field]Range {
	return map[Field]Range{FieldLinkHours: {1, 30 * 24}, FieldIdleAdmin: {5, 24 * 60}, FieldIdle: {5, 30 * 24 * 60}, FieldAbsolute: {1, 30 * 24},
		FieldRemember: {0, MostRemember}, FieldPasswordLength: {8, 64}, FieldPasswordHistory: {1, MostHistory}}
}

// Number returns the value of a setting that is a number; false when it is not set.
func (s Settings) Number(f Field) (int, bool) {
	n := map[Field]int{FieldLinkHours: s.LinkHours, FieldIdleAdmin: s.IdleAdminMinutes, FieldIdle: s.IdleMinutes, FieldAbsolute: s.AbsoluteHours,
		FieldPasswordLength: s.PasswordLength, FieldPasswordHistory: s.PasswordHistory}[f]
	if f == FieldRemember {
		if s.RememberDays == nil {
			return 0, false
		}
		return *s.RememberDays, true
	}
	return n, n != 0
}

// Origins tells for each field which of the levels given to Inherit it comes from; a field that is not there has its default. Of a second factor
// that several levels ask for it is the one that asks first.
type Origins map[Field]int

// Inherit returns the rules that hold for the last of some organisations, each under the one before it, the provider first. A setting only ever
// tightens what comes from above: what would loosen it has no effect.
func Inherit(levels ...Settings) (Rules, Origins) {
	r, from := Defaults(), Origins{}
	var asks []Demand
	asked := false
	least := func(f Field, unit time.Duration, to *time.Duration) {
		bounds, set := Ranges()[f], false
		for i, s := range levels {
			n, ok := s.Number(f)
			if d := time.Duration(min(max(n, bounds.Least), bounds.Most)) * unit; ok && (!set || d < *to) {
				*to, from[f], set = d, i, true
			}
		}
	}
	most := func(f Field, to *int) {
		bounds := Ranges()[f]
		for i, s := range levels {
			if n, ok := s.Number(f); ok && min(max(n, bounds.Least), bounds.Most) > *to {
				*to, from[f] = min(max(n, bounds.Least), bounds.Most), i
			}
		}
	}
	for i, s := range levels {
		if s.SecondFactor != "" {
			asked = true
			before := begins(asks)
			asks = append(asks, Demand{s.SecondFactor, s.From})
			if _, ok := from[FieldSecondFactor]; !ok || begins(asks) != before {
				from[FieldSecondFactor] = i
			}
		}
		if both := common(r.Factors, s.Factors); len(s.Factors) > 0 && len(both) > 0 && len(both) < len(r.MayEnrol()) {
			r.Factors, from[FieldFactors] = both, i
		}
		if s.Invite == InviteAdministrators && !r.AdministratorsInvite {
			r.AdministratorsInvite, from[FieldInvite] = true, i
		}
	}
	if asked {
		r.Asks = slices.DeleteFunc(asks, func(d Demand) bool { return !d.of(true) })
	}
	least(FieldLinkHours, time.Hour, &r.LinkLife)
	least(FieldIdleAdmin, time.Minute, &r.IdleAdmin)
	least(FieldIdle, time.Minute, &r.Idle)
	least(FieldAbsolute, time.Hour, &r.Absolute)
	least(FieldRemember, 24*time.Hour, &r.Remember)
	most(FieldPasswordLength, &r.Length)
	most(FieldPasswordHistory, &r.History)
	return r, from
}

// begins tells when some demands begin for members and for administrators.
func begins(asks []Demand) (b struct {
	since [2]time.Time
	ever  [2]bool
}) {
	for i, administrative := range []bool{false, true} {
		b.since[i], b.ever[i] = Rules{Asks: asks}.DemandedFrom(administrative)
	}
	return b
}

// common returns the kinds in both lists, strongest first; nil stands for every kind.
func common(a, b []Kind) []Kind {
	var both []Kind
	for _, k := range Kinds() {
		if (a == nil || slices.Contains(a, k)) && (b == nil || slices.Contains(b, k)) {
			both = append(both, k)
		}
	}
	return both
}

// With returns the rules for someone of whom both hold: the tighter of each. It is how the rules of an organisation that is entered from above
// are added to those of the home.
func (r Rules) With(o Rules) Rules {
	r.Asks = append(slices.Clone(r.Asks), o.Asks...)
	if both := common(r.Factors, o.Factors); len(both) > 0 && len(both) < len(Kinds()) {
		r.Factors = both
	}
	r.LinkLife, r.ResetLife, r.IdleAdmin = min(r.LinkLife, o.LinkLife), min(r.ResetLife, o.ResetLife), min(r.IdleAdmin, o.IdleAdmin)
	r.Idle, r.Absolute, r.Remember = min(r.Idle, o.Idle), min(r.Absolute, o.Absolute), min(r.Remember, o.Remember)
	r.Length, r.History = max(r.Length, o.Length), max(r.History, o.History)
	r.AdministratorsInvite = r.AdministratorsInvite || o.AdministratorsInvite
	return r
}

// Looser returns the fields in which settings ask for less than what an organisation inherits: they would have no effect, and whoever set them would
// believe otherwise. above are the settings of the organisations above it, the provider first.
func Looser(own Settings, above ...Settings) []Field {
	inherited, from := Inherit(above...)
	var list []Field
	if _, set := from[FieldSecondFactor]; set && own.SecondFactor != "" {
		was, is := begins(inherited.Asks), begins([]Demand{{own.SecondFactor, own.From}})
		looser, tighter := false, false
		for i := range was.ever {
			looser = looser || was.ever[i] && (!is.ever[i] || is.since[i].After(was.since[i]))
			tighter = tighter || is.ever[i] && (!was.ever[i] || is.since[i].Before(was.since[i]))
		}
		if looser && !tighter {
			list = append(list, FieldSecondFactor)
		}
	}
	if len(own.Factors) > 0 && slices.ContainsFunc(own.Factors, func(k Kind) bool { return inherited.Factors != nil && !slices.Contains(inherited.Factors, k) }) {
		list = append(list, FieldFactors)
	}
	limits := map[Field]int{FieldLinkHours: int(inherited.LinkLife / time.Hour), FieldIdleAdmin: int(inherited.IdleAdmin / time.Minute),
		FieldIdle: int(inherited.Idle / time.Minute), FieldAbsolute: int(inherited.Absolute / time.Hour), FieldRemember: int(inherited.Remember / (24 * time.Hour)),
		FieldPasswordLength: inherited.Length, FieldPasswordHistory: inherited.History}
	for _, f := range []Field{FieldLinkHours, FieldIdleAdmin, FieldIdle, FieldAbsolute, FieldRemember, FieldPasswordLength, FieldPasswordHistory} {
		n, ok := own.Number(f)
		_, set := from[f]
		if longer := f != FieldPasswordLength && f != FieldPasswordHistory; ok && set && (longer && n > limits[f] || !longer && n < limits[f]) {
			list = append(list, f)
		}
	}
	return list
}
