// Package policy owns the decisions: what a sign-in still needs, which password will do, which rule is stricter. They are pure: no
// clock, no database, no texts; the answers are codes. Decide is the one function that says who gets in.
package policy

import (
	"slices"
	"time"
)

// Step is what a sign-in needs next.
type Step string

// The steps, in the order in which Decide asks for them.
const (
	AskPassword   Step = "password"
	AskPasskey    Step = "passkey"
	AskTOTP       Step = "totp"
	AskRecovery   Step = "recovery"
	AskAccessCode Step = "access-code"
	ProveMailbox  Step = "mail-code"
	ChooseFactor  Step = "enrol"
	EnrolTOTP     Step = "enrol-totp"
	EnrolPasskey  Step = "enrol-passkey"
	ShowRecovery  Step = "recovery-codes"
	OfferPasskey  Step = "passkey-offer"
	Refuse        Step = "refuse"
	FinishSession Step = "finish"
)

// Reason is why a sign-in is refused although the person proved who they are (mission D6).
type Reason string

// The reasons.
const (
	NotAdded        Reason = "not_added"
	NoRole          Reason = "no_role"
	AccessEnded     Reason = "access_ended"
	AccountDisabled Reason = "account_disabled"
	OrgSuspended    Reason = "org_suspended"
	OrgDeleting     Reason = "org_deleting"
	FactorDisabled  Reason = "factor_disabled" // too many failures: an administrator has to start binding it again
)

// Facts is all that a decision rests on: read by signin, judged here.
type Facts struct {
	Now   time.Time
	Rules Rules

	// The organisation and the account. An identifier that finds no account has Known false and stays at the password for ever.
	Known     bool
	Active    bool // activated and not disabled
	Suspended bool // the organisation
	Deleting  bool

	// What was proved in this attempt, and what is enrolled.
	PasswordProved bool
	PasskeyAlone   bool // a passkey that verified the person: password and second factor in one
	SecondProved   bool
	CodeProved     bool   // a temporary access code: lets enrol, nothing else
	Trusted        bool   // a remembered device of this account
	Enrolled       []Step // AskPasskey, AskTOTP: second factors that are active, preferred first
	Recovery       bool   // unused recovery codes are left
	AccessCode     bool   // a temporary access code is waiting
	Asking         Step   // what the person chose to be asked for, if they may
	SecondDisabled bool   // no second factor is left but ones that too many failures disabled
	Enrolling      Step   // EnrolTOTP or EnrolPasskey once the person has chosen
	MailProved     bool   // the mailbox was proved in this attempt
	LinkUsed       time.Time
	CodesUnseen    bool // recovery codes were made in this attempt and not confirmed yet
	Offer          bool // a passkey should be offered at the end

	// Rights. An account of another organisation that comes in by delegation has Target set.
	Roles          int  // roles that count now
	EndedRoles     int  // roles that have ended
	Administrative bool // one of them administers
	Target         bool // the person wants to go on into another organisation …
	TargetAllowed  bool // … and the guard lets them
}

// Decision is what happens next.
type Decision struct {
	Step   Step
	Reason Reason // with Refuse
}

// MostOffers is how often a passkey is offered in all.
const MostOffers = 3

// LinkTrust is how long a used link vouches for the mailbox when a first factor is enrolled (mission C1).
const LinkTrust = 48 * time.Hour

// Decide says what a sign-in needs next. It tells nothing about the account until every factor that is enrolled has been proved;
// only then come the plain refusals, and only after those may anything be enrolled.
func Decide(f Facts) Decision {
	if !f.Known || !f.PasswordProved && !f.PasskeyAlone {
		return Decision{Step: AskPassword}
	}
	second := f.SecondProved || f.PasskeyAlone
	if !second && !f.CodeProved && !trusted(f) && (len(f.Enrolled) > 0 || f.SecondDisabled) {
		if ways := Ways(f); slices.Contains(ways, f.Asking) {
			return Decision{Step: f.Asking}
		} else if len(ways) > 0 {
			return Decision{Step: ways[0]}
		}
	}
	if r := refusalOf(f); r != "" {
		return Decision{Step: Refuse, Reason: r}
	}
	if !second && !trusted(f) && (f.CodeProved || f.Rules.Demands(f.Administrative, f.Now)) {
		// A password alone enrols nothing: a link used less than 48 hours ago vouches for the mailbox, or an administrator's code for
		// the person, else a mailed code does.
		vouched := f.CodeProved || !f.LinkUsed.IsZero() && f.Now.Sub(f.LinkUsed) < LinkTrust
		switch {
		case !vouched && !f.MailProved:
			return Decision{Step: ProveMailbox}
		case f.Enrolling != "":
			return Decision{Step: f.Enrolling}
		}
		return Decision{Step: ChooseFactor}
	}
	switch {
	case f.CodesUnseen:
		return Decision{Step: ShowRecovery}
	case f.Offer && second && f.Enrolling == EnrolPasskey:
		return Decision{Step: EnrolPasskey}
	case f.Offer && second: // a password alone enrols nothing here either
		return Decision{Step: OfferPasskey}
	}
	return Decision{Step: FinishSession}
}

// Ways lists what can stand for the second factor now, preferred first: the enrolled ones, recovery codes, a temporary code.
func Ways(f Facts) []Step {
	ways := slices.Clone(f.Enrolled)
	if f.Recovery {
		ways = append(ways, AskRecovery)
	}
	if f.AccessCode {
		ways = append(ways, AskAccessCode)
	}
	return ways
}

// trusted tells whether a remembered device spares the second factor: never an administrator, only where the rules allow it, and only
// a factor that could be asked for.
func trusted(f Facts) bool {
	return f.Trusted && f.Rules.Remember > 0 && !f.Administrative && !f.SecondDisabled
}

func refusalOf(f Facts) Reason {
	switch {
	case !f.Active:
		return AccountDisabled
	case f.Suspended:
		return OrgSuspended
	case f.Deleting:
		return OrgDeleting
	case f.SecondDisabled && !f.SecondProved && !f.PasskeyAlone && !f.CodeProved:
		return FactorDisabled
	case f.Target && !f.TargetAllowed:
		return NotAdded
	case f.Target: // rights come from the guard, on the organisation that is entered
		return ""
	case f.Roles == 0 && f.EndedRoles > 0:
		return AccessEnded
	case f.Roles == 0:
		return NoRole
	}
	return ""
}

// Allows tells whether a step's answer may be taken now: it must be the step that Decide asks for. Another way to prove the second factor
// is the one freedom.
func Allows(f Facts, s Step) bool {
	d := Decide(f)
	return d.Step == s || slices.Contains(Ways(f), d.Step) && slices.Contains(Ways(f), s)
}
