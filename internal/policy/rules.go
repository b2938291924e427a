package policy

import "time"

// Mode says of whom a second factor is asked.
type Mode string

// The modes, from loose to strict.
const (
	Off            Mode = "off"
	Administrators Mode = "administrators"
	Everyone       Mode = "everyone"
)

// Rules are the sign-in rules that hold in one organisation.
type Rules struct {
	SecondFactor Mode      // of whom a second factor is asked
	From         time.Time // from when on; zero: always

	LinkLife  time.Duration // how long an invitation's link lives
	ResetLife time.Duration // how long a reset link lives
	IdleAdmin time.Duration // an administrator's session ends after so long without use
	Idle      time.Duration // anyone else's
	Absolute  time.Duration // any session ends after so long
	Remember  time.Duration // how long a remembered device spares the second factor; 0: none is remembered

	History int // a new password is none of the last so many, the present one among them; 0: any of them may come again
}

// Defaults are the rules of an organisation that sets none: everyone needs a second factor at the first sign-in (security.md).
func Defaults() Rules {
	return Rules{SecondFactor: Everyone, LinkLife: 48 * time.Hour, ResetLife: time.Hour,
		IdleAdmin: time.Hour, Idle: 12 * time.Hour, Absolute: 24 * time.Hour}
}

// Demands tells whether the rules ask someone for a second factor at that time.
func (r Rules) Demands(administrative bool, now time.Time) bool {
	switch r.SecondFactor {
	case Everyone:
	case Administrators:
		if !administrative {
			return false
		}
	default:
		return false
	}
	return r.From.IsZero() || !now.Before(r.From)
}

// IdleFor returns after how long without use a session ends.
func (r Rules) IdleFor(administrative bool) time.Duration {
	if administrative {
		return r.IdleAdmin
	}
	return r.Idle
}

// MinLength is the shortest password: 8 characters where a second factor is asked for as well, 15 where it is the only factor
// (NIST SP 800-63B-4 section 3.1.1.2).
func (r Rules) MinLength(administrative bool, now time.Time) int {
	if r.Demands(administrative, now) {
		return 8
	}
	return 15
}

// MaxLength is the longest password, in characters.
const MaxLength = 256

// MostRemember is the largest Rules.Remember, in days.
const MostRemember = 90

// MostHistory is the largest Rules.History: each remembered password costs a hash computation when a new one is chosen.
const MostHistory = 24
