package policy

import (
	"slices"
	"time"
)

// Mode says of whom a second factor is asked.
type Mode string

// The modes, from loose to strict.
const (
	Off            Mode = "off"
	Administrators Mode = "administrators"
	Everyone       Mode = "everyone"
)

// Kind is a kind of second factor that people enrol.
type Kind string

// The kinds. Security keys are passkeys that do not verify the person.
const (
	TOTP    Kind = "totp"
	Passkey Kind = "passkey"
)

// Kinds lists the kinds of second factors, strongest first.
func Kinds() []Kind { return []Kind{Passkey, TOTP} }

// Demand asks a second factor of some people, from a moment on.
type Demand struct {
	Mode Mode
	From time.Time // zero: always
}

// of tells whether the demand is made of someone.
func (d Demand) of(administrative bool) bool {
	return d.Mode == Everyone || d.Mode == Administrators && administrative
}

// Rules are the sign-in rules that hold in one organisation: its own settings and those of the organisations above it, see Inherit.
type Rules struct {
	Asks    []Demand // a second factor is asked of whom any of them asks it
	Factors []Kind   // what counts as a second factor, strongest first; nil: every kind

	LinkLife  time.Duration // how long an invitation's link lives
	ResetLife time.Duration // how long a reset link lives
	IdleAdmin time.Duration // an administrator's session ends after so long without use
	Idle      time.Duration // anyone else's
	Absolute  time.Duration // any session ends after so long
	Remember  time.Duration // how long a remembered device spares the second factor; 0: none is remembered

	Length  int // the shortest password, where that is more than NIST asks for; 0: not
	History int // a new password is none of the last so many, the present one among them; 0: any of them may come again

	AdministratorsInvite bool // only administrators add people: neither editors nor co-managers
}

// Defaults are the rules of an organisation when neither it nor one above it sets any: everyone needs a second factor at the first sign-in
// (security.md).
func Defaults() Rules {
	return Rules{Asks: []Demand{{Mode: Everyone}}, LinkLife: 48 * time.Hour, ResetLife: time.Hour,
		IdleAdmin: time.Hour, Idle: 12 * time.Hour, Absolute: 24 * time.Hour}
}

// DemandedFrom returns from when on a second factor is asked of someone, the zero time for always; false when it never is.
func (r Rules) DemandedFrom(administrative bool) (from time.Time, ok bool) {
	for _, d := range r.Asks {
		if d.of(administrative) && (!ok || d.From.Before(from)) {
			from, ok = d.From, true
		}
	}
	return from, ok
}

// Demands tells whether the rules ask someone for a second factor at that time.
func (r Rules) Demands(administrative bool, now time.Time) bool {
	from, ok := r.DemandedFrom(administrative)
	return ok && !now.Before(from)
}

// Counts tells whether a kind of factor is good enough. A passkey always is: it is the strongest.
func (r Rules) Counts(k Kind) bool {
	return r.Factors == nil || k == Passkey || slices.Contains(r.Factors, k)
}

// MayEnrol lists the kinds that someone may enrol, strongest first.
func (r Rules) MayEnrol() []Kind {
	if r.Factors == nil {
		return Kinds()
	}
	return r.Factors
}

// KeysOnly tells whether nothing but passkeys and security keys counts. Then recovery codes and remembered devices spare nothing either.
func (r Rules) KeysOnly() bool { return r.Factors != nil && !slices.Contains(r.Factors, TOTP) }

// IdleFor returns after how long without use a session ends.
func (r Rules) IdleFor(administrative bool) time.Duration {
	if administrative {
		return r.IdleAdmin
	}
	return r.Idle
}

// MinLength is the shortest password: 8 characters where a second factor is asked for as well, 15 where it is the only factor
// (NIST SP 800-63B-4 section 3.1.1.2), and never less than the rules say.
func (r Rules) MinLength(administrative bool, now time.Time) int {
	if r.Demands(administrative, now) {
		return max(8, r.Length)
	}
	return max(15, r.Length)
}

// MaxLength is the longest password, in characters.
const MaxLength = 256

// MostRemember is the largest Rules.Remember, in days.
const MostRemember = 90

// MostHistory is the largest Rules.History: each remembered password costs a hash computation when a new one is chosen.
const MostHistory = 24
