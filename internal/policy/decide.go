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
	Notice        Step = "mfa-notice"
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
	Method         Kind   // what proved it; empty for a recovery code
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
	CodesUnseen    bool      // recovery codes were made in this attempt and not confirmed yet
	Exempt         time.Time // an exception from the second factor ends then; zero: none
	NoticeSeen     bool      // the notice of a second factor that will be demanded was put off in this attempt
	SetUp          bool      // the person wants to enrol before they have to
	Offer          bool      // a passkey should be offered at the end

	// Rights. An account of another organisation that comes in by delegation has Target set.
	Roles          int    // roles that count now
	EndedRoles     int    // roles that have ended
	Administrative bool   // one of them administers
	Target         bool   // the person wants to go on into another organisation …
	TargetAllowed  bool   // … and the guard, or a linked account, lets them
	TargetReason   Reason // why not; empty: as if it did not exist
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
	_, coming := f.Deadline()
	enough := second && counts(f) || trusted(f)
	if !enough && (f.CodeProved && !second || f.demanded() || coming && f.SetUp) {
		// A password alone enrols nothing: a link used less than 48 hours ago vouches for the mailbox, or an administrator's code for
		// the person, or another factor that was proved, else a mailed code does.
		vouched := second || f.CodeProved || !f.LinkUsed.IsZero() && f.Now.Sub(f.LinkUsed) < LinkTrust
		switch {
		case !vouched && !f.MailProved:
			return Decision{Step: ProveMailbox}
		case f.Enrolling == EnrolPasskey, f.Enrolling == EnrolTOTP && f.Rules.Counts(TOTP):
			return Decision{Step: f.Enrolling}
		}
		return Decision{Step: ChooseFactor}
	}
	switch {
	case f.CodesUnseen:
		return Decision{Step: ShowRecovery}
	case !enough && coming && !f.NoticeSeen:
		return Decision{Step: Notice}
	case f.Offer && second && f.Enrolling == EnrolPasskey:
		return Decision{Step: EnrolPasskey}
	case f.Offer && second: // a password alone enrols nothing here either
		return Decision{Step: OfferPasskey}
	}
	return Decision{Step: FinishSession}
}

// demanded tells whether a second factor is demanded of the person now.
func (f Facts) demanded() bool {
	return f.Rules.Demands(f.Administrative, f.Now) && !f.Now.Before(f.Exempt)
}

// Deadline returns when a second factor will be demanded of the person, who may enrol one until then; false when it is demanded already, or
// never will be.
func (f Facts) Deadline() (time.Time, bool) {
	from, ok := f.Rules.DemandedFrom(f.Administrative)
	if ok && from.Before(f.Exempt) {
		from = f.Exempt
	}
	return from, ok && f.Now.Before(from)
}

// counts tells whether what was proved as the second factor is of a kind that the rules accept. Where nothing but keys counts, a recovery code does
// not either.
func counts(f Facts) bool {
	return f.PasskeyAlone || !f.Rules.KeysOnly() || f.Method == Passkey
}

// Ways lists what can stand for the second factor now, preferred first: the enrolled ones, recovery codes, a temporary code. Who has one of a kind
// that counts proves that; who has only others proves one of those, and then enrols.
func Ways(f Facts) []Step {
	ways := slices.Clone(f.Enrolled)
	keys := f.Rules.KeysOnly() && f.demanded()
	if keys && slices.Contains(ways, AskPasskey) {
		ways = []Step{AskPasskey}
	}
	if f.Recovery && !(keys && slices.Contains(ways, AskPasskey)) {
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
	return f.Trusted && f.Rules.Remember > 0 && !f.Rules.KeysOnly() && !f.Administrative && !f.SecondDisabled
}

func refusalOf(f Facts) Reason {
	switch {
	case !f.Active:
		return AccountDisabled
	case f.Suspended:
		return OrgSuspended
	case f.Deleting && !f.Administrative: // who administers it may cancel that
		return OrgDeleting
	case f.SecondDisabled && !f.SecondProved && !f.PasskeyAlone && !f.CodeProved:
		return FactorDisabled
	case f.Target && !f.TargetAllowed && f.TargetReason != "":
		return f.TargetReason
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

// Path returns what someone would be asked who answers everything rightly from here on: with Facts in which nothing is proved yet, the whole
// sign-in. Its last step is Refuse or FinishSession, or AskPassword when the identifier finds nobody.
func Path(f Facts) []Decision {
	var path []Decision
	for range 16 { // each step adds a proof, so it ends long before
		d := Decide(f)
		path = append(path, d)
		switch d.Step {
		case AskPassword:
			if !f.Known {
				return path
			}
			f.PasswordProved = true
		case AskPasskey, EnrolPasskey:
			f.SecondProved, f.Method, f.Enrolling, f.Offer = true, Passkey, "", false
		case AskTOTP, EnrolTOTP:
			f.SecondProved, f.Method, f.Enrolling = true, TOTP, ""
		case AskRecovery:
			f.SecondProved = true
		case AskAccessCode:
			f.CodeProved = true
		case ProveMailbox:
			f.MailProved = true
		case ChooseFactor:
			f.Enrolling = map[Kind]Step{Passkey: EnrolPasskey, TOTP: EnrolTOTP}[f.Rules.MayEnrol()[0]]
		case ShowRecovery:
			f.CodesUnseen = false
		case OfferPasskey:
			f.Offer = false
		case Notice:
			f.NoticeSeen = true
		default:
			return path
		}
	}
	return path
}

// Standing is how someone stands to the rules about second factors (mission C4).
type Standing string

// The standings.
const (
	Covered Standing = "covered" // has a second factor of a kind that counts
	Pending Standing = "pending" // will have to enrol one from a date on
	Overdue Standing = "overdue" // cannot sign in without enrolling one
	Exempt  Standing = "exempt"  // excepted until a date
	Free    Standing = "free"    // the rules ask nothing of them
)

// Stand judges by the very path that the person's next sign-in would take. Facts are those in which nothing is proved yet. Who cannot sign in for
// another reason is judged as if they could.
func Stand(f Facts) Standing {
	f.Active, f.Suspended, f.Deleting, f.Target = true, false, false, false
	f.Roles = max(f.Roles, 1)
	f.Offer, f.AccessCode, f.Trusted, f.SecondDisabled = false, false, false, false
	on := func(f Facts, s Step) bool {
		return slices.ContainsFunc(Path(f), func(d Decision) bool { return d.Step == s })
	}
	enrolled := slices.ContainsFunc(f.Enrolled, func(s Step) bool { return s == AskPasskey || s == AskTOTP && f.Rules.Counts(TOTP) })
	excepted := f.Now.Before(f.Exempt)
	switch {
	case on(f, ChooseFactor):
		return Overdue
	case enrolled:
		return Covered
	case excepted && f.Rules.Demands(f.Administrative, f.Now):
		return Exempt
	case on(f, Notice):
		return Pending
	}
	return Free
}

// Allows tells whether a step's answer may be taken now: it must be the step that Decide asks for. Another way to prove the second factor
// is the one freedom.
func Allows(f Facts, s Step) bool {
	d := Decide(f)
	return d.Step == s || slices.Contains(Ways(f), d.Step) && slices.Contains(Ways(f), s)
}
