package policy_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"doorward/internal/policy"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// rules are the default rules with another mode and begin.
func rules(m policy.Mode, from time.Time) policy.Rules {
	r := policy.Defaults()
	r.Asks = []policy.Demand{{Mode: m, From: from}}
	return r
}

// facts returns those of someone with one role who has given the right password and has no second factor, changed by each function.
func facts(changes ...func(*policy.Facts)) policy.Facts {
	f := policy.Facts{Now: now, Rules: rules(policy.Everyone, time.Time{}), Known: true, Active: true, PasswordProved: true, Roles: 1}
	for _, change := range changes {
		change(&f)
	}
	return f
}

// The changes of which the table is made.
func stranger(f *policy.Facts)       { f.Known = false }
func noPassword(f *policy.Facts)     { f.PasswordProved = false }
func inactive(f *policy.Facts)       { f.Active = false }
func suspended(f *policy.Facts)      { f.Suspended = true }
func deleting(f *policy.Facts)       { f.Deleting = true }
func enrolled(f *policy.Facts)       { f.Enrolled = []policy.Step{policy.AskTOTP} }
func proved(f *policy.Facts)         { f.SecondProved, f.Method = true, policy.TOTP }
func secondDisabled(f *policy.Facts) { f.SecondDisabled = true }
func off(f *policy.Facts)            { f.Rules.Asks[0].Mode = policy.Off }
func admins(f *policy.Facts)         { f.Rules.Asks[0].Mode = policy.Administrators }
func garbled(f *policy.Facts)        { f.Rules.Asks[0].Mode = "sometimes" }
func administrative(f *policy.Facts) { f.Administrative = true }
func fromLater(f *policy.Facts)      { f.Rules.Asks[0].From = now.Add(time.Microsecond) }
func fromNow(f *policy.Facts)        { f.Rules.Asks[0].From = now }
func fromBefore(f *policy.Facts)     { f.Rules.Asks[0].From = now.Add(-time.Microsecond) }
func freshLink(f *policy.Facts)      { f.LinkUsed = now }
func oldLink(f *policy.Facts)        { f.LinkUsed = now.Add(-48*time.Hour + time.Microsecond) }
func endedLink(f *policy.Facts)      { f.LinkUsed = now.Add(-48 * time.Hour) }
func mailed(f *policy.Facts)         { f.MailProved = true }
func enrolling(f *policy.Facts)      { f.Enrolling = policy.EnrolTOTP }
func noRole(f *policy.Facts)         { f.Roles = 0 }
func ended(f *policy.Facts)          { f.Roles, f.EndedRoles = 0, 1 }
func alsoEnded(f *policy.Facts)      { f.EndedRoles = 2 }
func toAllowed(f *policy.Facts)      { f.Target, f.TargetAllowed = true, true }
func toForeign(f *policy.Facts)      { f.Target = true }
func passkey(f *policy.Facts)        { f.Enrolled = append([]policy.Step{policy.AskPasskey}, f.Enrolled...) }
func alone(f *policy.Facts)          { f.PasskeyAlone, f.PasswordProved = true, false }
func recovery(f *policy.Facts)       { f.Recovery = true }
func accessCode(f *policy.Facts)     { f.AccessCode = true }
func codeProved(f *policy.Facts)     { f.CodeProved = true }
func askRecovery(f *policy.Facts)    { f.Asking = policy.AskRecovery }
func askTOTP(f *policy.Facts)        { f.Asking = policy.AskTOTP }
func askCode(f *policy.Facts)        { f.Asking = policy.AskAccessCode }
func askPassword(f *policy.Facts)    { f.Asking = policy.AskPassword }
func trusted(f *policy.Facts)        { f.Trusted = true }
func remember(f *policy.Facts)       { f.Rules.Remember = 30 * 24 * time.Hour }
func enrollingKey(f *policy.Facts)   { f.Enrolling = policy.EnrolPasskey }
func keysOnly(f *policy.Facts)       { f.Rules.Factors = []policy.Kind{policy.Passkey} }
func provedKey(f *policy.Facts)      { f.SecondProved, f.Method = true, policy.Passkey }
func provedCode(f *policy.Facts)     { f.SecondProved, f.Method = true, "" }
func exempt(f *policy.Facts)         { f.Exempt = now.Add(time.Microsecond) }
func exemptEnded(f *policy.Facts)    { f.Exempt = now }
func noticeSeen(f *policy.Facts)     { f.NoticeSeen = true }
func setUp(f *policy.Facts)          { f.SetUp = true }
func codesUnseen(f *policy.Facts)    { f.CodesUnseen = true }
func offer(f *policy.Facts)          { f.Offer = true }

func TestDecide(t *testing.T) {
	type change = func(*policy.Facts)
	finish := policy.Decision{Step: policy.FinishSession}
	ask := func(s policy.Step) policy.Decision { return policy.Decision{Step: s} }
	refuse := func(r policy.Reason) policy.Decision { return policy.Decision{Step: policy.Refuse, Reason: r} }
	for _, row := range []struct {
		name    string
		changes []change
		want    policy.Decision
	}{
		// Until the password is proved, everybody is asked for it, and nothing else happens.
		{"unknown", []change{stranger}, ask(policy.AskPassword)},
		{"unknown with every proof", []change{stranger, enrolled, proved, mailed, freshLink, enrolling}, ask(policy.AskPassword)},
		{"password missing", []change{noPassword}, ask(policy.AskPassword)},
		{"password missing, second proved", []change{noPassword, enrolled, proved}, ask(policy.AskPassword)},
		{"password missing, disabled account", []change{noPassword, inactive}, ask(policy.AskPassword)},
		{"password missing, suspended organisation", []change{noPassword, suspended}, ask(policy.AskPassword)},
		{"password missing, no role", []change{noPassword, noRole}, ask(policy.AskPassword)},
		{"password missing, factor disabled", []change{noPassword, secondDisabled}, ask(policy.AskPassword)},
		{"password missing, on the way to a foreign organisation", []change{noPassword, toForeign}, ask(policy.AskPassword)},

		// An enrolled second factor is asked for before anything is told, whatever the rules demand.
		{"enrolled", []change{enrolled}, ask(policy.AskTOTP)},
		{"enrolled, rules off", []change{enrolled, off}, ask(policy.AskTOTP)},
		{"enrolled, rules for administrators, not one", []change{enrolled, admins}, ask(policy.AskTOTP)},
		{"enrolled, rules begin later", []change{enrolled, fromLater}, ask(policy.AskTOTP)},
		{"enrolled, disabled account", []change{enrolled, inactive}, ask(policy.AskTOTP)},
		{"enrolled, suspended", []change{enrolled, suspended}, ask(policy.AskTOTP)},
		{"enrolled, deleting", []change{enrolled, deleting}, ask(policy.AskTOTP)},
		{"enrolled, no role", []change{enrolled, noRole}, ask(policy.AskTOTP)},
		{"enrolled, ended", []change{enrolled, ended}, ask(policy.AskTOTP)},
		{"enrolled, foreign target", []change{enrolled, toForeign}, ask(policy.AskTOTP)},
		{"enrolled, mailbox proved and enrolling another", []change{enrolled, mailed, enrolling, freshLink}, ask(policy.AskTOTP)},
		{"enrolled and proved", []change{enrolled, proved}, finish},
		{"enrolled and proved, rules off", []change{enrolled, proved, off}, finish},

		// The refusals, in the order in which they are told.
		{"disabled account", []change{inactive}, refuse(policy.AccountDisabled)},
		{"disabled account, enrolled and proved", []change{inactive, enrolled, proved}, refuse(policy.AccountDisabled)},
		{"disabled account may not enrol", []change{inactive, freshLink, enrolling}, refuse(policy.AccountDisabled)},
		{"disabled account, mailbox proved", []change{inactive, mailed, enrolling}, refuse(policy.AccountDisabled)},
		{"disabled before suspended", []change{inactive, suspended, deleting, noRole}, refuse(policy.AccountDisabled)},
		{"suspended", []change{suspended}, refuse(policy.OrgSuspended)},
		{"suspended, enrolled and proved", []change{suspended, enrolled, proved}, refuse(policy.OrgSuspended)},
		{"suspended before deleting", []change{suspended, deleting, noRole}, refuse(policy.OrgSuspended)},
		{"deleting", []change{deleting}, refuse(policy.OrgDeleting)},
		{"deleting, administrator, enrolled and proved", []change{deleting, administrative, enrolled, proved}, finish},
		{"deleting before role", []change{deleting, noRole}, refuse(policy.OrgDeleting)},
		{"second factor disabled", []change{secondDisabled}, refuse(policy.FactorDisabled)},
		{"second factor disabled, rules off", []change{secondDisabled, off}, refuse(policy.FactorDisabled)},
		{"second factor disabled, a link enrols no other", []change{secondDisabled, freshLink, enrolling}, refuse(policy.FactorDisabled)},
		{"second factor disabled, proved before that", []change{secondDisabled, proved}, finish},
		{"no role", []change{noRole}, refuse(policy.NoRole)},
		{"no role, enrolled and proved", []change{noRole, enrolled, proved}, refuse(policy.NoRole)},
		{"no role enrols nothing", []change{noRole, freshLink, enrolling}, refuse(policy.NoRole)},
		{"ended", []change{ended}, refuse(policy.AccessEnded)},
		{"ended, enrolled and proved", []change{ended, enrolled, proved}, refuse(policy.AccessEnded)},
		{"one role ended, another holds", []change{alsoEnded, enrolled, proved}, finish},
		{"foreign target", []change{toForeign, enrolled, proved}, refuse(policy.NotAdded)},
		{"foreign target, no role", []change{toForeign, noRole, off}, refuse(policy.NotAdded)},
		{"allowed target", []change{toAllowed, enrolled, proved}, finish},
		{"allowed target needs no role of the own organisation", []change{toAllowed, noRole, enrolled, proved}, finish},
		{"allowed target, disabled account", []change{toAllowed, inactive, enrolled, proved}, refuse(policy.AccountDisabled)},
		{"allowed target, own organisation suspended", []change{toAllowed, suspended, enrolled, proved}, refuse(policy.OrgSuspended)},
		{"allowed target, second factor demanded", []change{toAllowed, freshLink}, ask(policy.ChooseFactor)},

		// Whom the rules ask for a second factor, and from when on.
		{"off", []change{off}, finish},
		{"off for an administrator", []change{off, administrative}, finish},
		{"a mode that nobody knows demands nothing", []change{garbled}, finish},
		{"administrators, not one", []change{admins}, finish},
		{"administrators, one", []change{admins, administrative}, ask(policy.ProveMailbox)},
		{"administrators, one, from later", []change{admins, administrative, fromLater}, ask(policy.Notice)},
		{"administrators, not one, from later", []change{admins, fromLater}, finish},
		{"administrators, one, from this moment", []change{admins, administrative, fromNow}, ask(policy.ProveMailbox)},
		{"everyone", nil, ask(policy.ProveMailbox)},
		{"everyone from later", []change{fromLater}, ask(policy.Notice)},
		{"everyone from this moment", []change{fromNow}, ask(policy.ProveMailbox)},
		{"everyone from before", []change{fromBefore}, ask(policy.ProveMailbox)},

		// Enrolling: a link used less than 48 hours ago or a mailed code vouches; the password alone enrols nothing.
		{"password alone, method chosen", []change{enrolling}, ask(policy.ProveMailbox)},
		{"fresh link", []change{freshLink}, ask(policy.ChooseFactor)},
		{"link of almost 48 hours", []change{oldLink}, ask(policy.ChooseFactor)},
		{"link of 48 hours", []change{endedLink}, ask(policy.ProveMailbox)},
		{"link of 48 hours, method chosen", []change{endedLink, enrolling}, ask(policy.ProveMailbox)},
		{"link of 48 hours, mailbox proved", []change{endedLink, mailed}, ask(policy.ChooseFactor)},
		{"mailbox proved", []change{mailed}, ask(policy.ChooseFactor)},
		{"mailbox proved, method chosen", []change{mailed, enrolling}, ask(policy.EnrolTOTP)},
		{"fresh link, method chosen", []change{freshLink, enrolling}, ask(policy.EnrolTOTP)},
		{"enrolled just now", []change{freshLink, enrolling, enrolled, proved}, finish},
		{"security key chosen", []change{mailed, enrollingKey}, ask(policy.EnrolPasskey)},
		{"security key chosen, nothing vouches", []change{enrollingKey}, ask(policy.ProveMailbox)},

		// Several ways to prove the second factor: the person chooses among those that there are.
		{"key before app", []change{enrolled, passkey}, ask(policy.AskPasskey)},
		{"app chosen", []change{enrolled, passkey, askTOTP}, ask(policy.AskTOTP)},
		{"recovery code chosen", []change{enrolled, recovery, askRecovery}, ask(policy.AskRecovery)},
		{"recovery code chosen, none left", []change{enrolled, askRecovery}, ask(policy.AskTOTP)},
		{"temporary code chosen", []change{enrolled, accessCode, askCode}, ask(policy.AskAccessCode)},
		{"temporary code chosen, none waits", []change{enrolled, askCode}, ask(policy.AskTOTP)},
		{"a step that is no second factor chosen", []change{enrolled, askPassword}, ask(policy.AskTOTP)},
		{"factor disabled, recovery codes left", []change{secondDisabled, recovery}, ask(policy.AskRecovery)},
		{"factor disabled, temporary code waits", []change{secondDisabled, accessCode}, ask(policy.AskAccessCode)},
		{"factor disabled, recovery codes left, disabled account", []change{secondDisabled, recovery, inactive}, ask(policy.AskRecovery)},
		{"factor disabled, recovery code proved", []change{secondDisabled, recovery, proved}, finish},
		{"recovery codes alone are no second factor", []change{recovery}, ask(policy.ProveMailbox)},

		// A passkey that verified the person is password and second factor in one.
		{"passkey alone", []change{alone, passkey}, finish},
		{"passkey alone, app enrolled as well", []change{alone, passkey, enrolled}, finish},
		{"passkey alone, unknown", []change{alone, passkey, stranger}, ask(policy.AskPassword)},
		{"passkey alone, disabled account", []change{alone, passkey, inactive}, refuse(policy.AccountDisabled)},
		{"passkey alone, no role", []change{alone, passkey, noRole}, refuse(policy.NoRole)},

		// A temporary code lets enrol, and nothing else.
		{"temporary code", []change{enrolled, codeProved}, ask(policy.ChooseFactor)},
		{"temporary code, rules off", []change{enrolled, codeProved, off}, ask(policy.ChooseFactor)},
		{"temporary code, method chosen", []change{enrolled, codeProved, enrollingKey}, ask(policy.EnrolPasskey)},
		{"temporary code, factor disabled", []change{secondDisabled, codeProved}, ask(policy.ChooseFactor)},
		{"temporary code, disabled account", []change{enrolled, codeProved, inactive}, refuse(policy.AccountDisabled)},
		{"temporary code without the password", []change{enrolled, codeProved, noPassword}, ask(policy.AskPassword)},
		{"temporary code, then enrolled", []change{enrolled, codeProved, proved}, finish},

		// A remembered device spares the second factor where the rules allow it, but never an administrator's.
		{"remembered", []change{enrolled, trusted, remember}, finish},
		{"remembered, rules do not allow it", []change{enrolled, trusted}, ask(policy.AskTOTP)},
		{"remembered, administrator", []change{enrolled, trusted, remember, administrative}, ask(policy.AskTOTP)},
		{"remembered, without the password", []change{enrolled, trusted, remember, noPassword}, ask(policy.AskPassword)},
		{"remembered, disabled account", []change{enrolled, trusted, remember, inactive}, refuse(policy.AccountDisabled)},
		{"remembered, factor disabled since", []change{secondDisabled, trusted, remember}, refuse(policy.FactorDisabled)},
		{"remembered, factor disabled since, recovery codes left", []change{secondDisabled, trusted, remember, recovery}, ask(policy.AskRecovery)},
		{"remembered, factor disabled since, temporary code proved", []change{secondDisabled, trusted, remember, codeProved}, ask(policy.ChooseFactor)},

		// Before the date there is a notice, which can be put off; who wants to may enrol right there.
		{"notice put off", []change{fromLater, noticeSeen}, finish},
		{"notice, set up now", []change{fromLater, setUp}, ask(policy.ProveMailbox)},
		{"notice, set up now, fresh link", []change{fromLater, setUp, freshLink}, ask(policy.ChooseFactor)},
		{"notice, set up now, mailbox proved, chosen", []change{fromLater, setUp, mailed, enrolling}, ask(policy.EnrolTOTP)},
		{"notice, set up and enrolled", []change{fromLater, setUp, mailed, enrolling, enrolled, proved}, finish},
		{"no notice for who has a second factor", []change{fromLater, enrolled, proved}, finish},
		{"no notice before it is proved", []change{fromLater, enrolled}, ask(policy.AskTOTP)},
		{"no notice for who is refused", []change{fromLater, noRole}, refuse(policy.NoRole)},
		{"wanting to set up opens nothing where nothing is demanded", []change{off, setUp, enrolling}, finish},
		{"notice put off, the date has come", []change{fromNow, noticeSeen}, ask(policy.ProveMailbox)},

		// An exception for one person ends at a date; until then it is like a demand that begins then.
		{"excepted", []change{exempt}, ask(policy.Notice)},
		{"excepted, notice put off", []change{exempt, noticeSeen}, finish},
		{"exception ended", []change{exemptEnded}, ask(policy.ProveMailbox)},
		{"exception ended, notice put off", []change{exemptEnded, noticeSeen}, ask(policy.ProveMailbox)},
		{"excepted, but a factor is enrolled", []change{exempt, enrolled}, ask(policy.AskTOTP)},
		{"excepted from nothing", []change{exempt, off}, finish},

		// Where only keys count, another factor is proved as long as it is all there is, and then a key is enrolled.
		{"keys only, app enrolled", []change{keysOnly, enrolled}, ask(policy.AskTOTP)},
		{"keys only, app proved", []change{keysOnly, enrolled, proved}, ask(policy.ChooseFactor)},
		{"keys only, app proved, key chosen", []change{keysOnly, enrolled, proved, enrollingKey}, ask(policy.EnrolPasskey)},
		{"keys only, app proved, app chosen", []change{keysOnly, enrolled, proved, enrolling}, ask(policy.ChooseFactor)},
		{"keys only, key proved", []change{keysOnly, enrolled, passkey, provedKey}, finish},
		{"keys only, app and key enrolled, app asked for", []change{keysOnly, enrolled, passkey, askTOTP}, ask(policy.AskPasskey)},
		{"keys only, recovery code asked for", []change{keysOnly, passkey, recovery, askRecovery}, ask(policy.AskPasskey)},
		{"keys only, recovery code proved before", []change{keysOnly, passkey, provedCode}, ask(policy.ChooseFactor)},
		{"keys only, passkey alone", []change{keysOnly, alone, passkey}, finish},
		{"keys only, remembered", []change{keysOnly, enrolled, trusted, remember}, ask(policy.AskTOTP)},
		{"keys only from later", []change{keysOnly, fromLater, enrolled, proved}, ask(policy.Notice)},
		{"keys only, but nothing is demanded", []change{keysOnly, off, enrolled, proved}, finish},
		{"keys only, nothing enrolled", []change{keysOnly, freshLink, enrolling}, ask(policy.ChooseFactor)},

		// What is shown at the end, once all is proved and nothing refused.
		{"fresh recovery codes", []change{enrolled, proved, codesUnseen, offer}, ask(policy.ShowRecovery)},
		{"fresh recovery codes, no role any more", []change{enrolled, proved, codesUnseen, noRole}, refuse(policy.NoRole)},
		{"offer", []change{enrolled, proved, offer}, ask(policy.OfferPasskey)},
		{"offer taken", []change{enrolled, proved, offer, enrollingKey}, ask(policy.EnrolPasskey)},
		{"offer before the second factor", []change{enrolled, offer, enrollingKey}, ask(policy.AskTOTP)},
		{"offer after a password alone", []change{off, offer, enrollingKey}, finish},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := facts(row.changes...)
			if got := policy.Decide(f); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
			mustHold(t, f)
		})
	}
}

// fataler is what both kinds of tests offer.
type fataler interface{ Fatalf(string, ...any) }

// everyStep lists the steps whose answers may be sent.
var everyStep = []policy.Step{policy.AskPassword, policy.AskPasskey, policy.AskTOTP, policy.AskRecovery, policy.AskAccessCode, policy.ProveMailbox,
	policy.ChooseFactor, policy.EnrolTOTP, policy.EnrolPasskey, policy.ShowRecovery, policy.OfferPasskey, policy.Notice}

// mustHold checks what is true of every decision.
func mustHold(t fataler, f policy.Facts) {
	d := policy.Decide(f)
	first, second := f.PasswordProved || f.PasskeyAlone, f.SecondProved || f.PasskeyAlone
	keysOnly := f.Rules.Factors != nil && !slices.Contains(f.Rules.Factors, policy.TOTP)
	spared := f.Trusted && f.Rules.Remember > 0 && !keysOnly && !f.Administrative && !f.SecondDisabled
	enough := second && (!keysOnly || f.PasskeyAlone || f.Method == policy.Passkey) || spared
	from, ever := f.Rules.DemandedFrom(f.Administrative)
	demanded := ever && !f.Now.Before(from) && !f.Now.Before(f.Exempt)
	coming := ever && !demanded
	ways := slices.Clone(f.Enrolled)
	if f.Recovery {
		ways = append(ways, policy.AskRecovery)
	}
	if f.AccessCode {
		ways = append(ways, policy.AskAccessCode)
	}
	if keysOnly && demanded && slices.Contains(f.Enrolled, policy.AskPasskey) {
		ways = slices.DeleteFunc(ways, func(s policy.Step) bool { return s == policy.AskTOTP || s == policy.AskRecovery })
	}
	bound := len(f.Enrolled) > 0 || f.SecondDisabled
	secondDue := bound && len(ways) > 0 && !second && !spared && !f.CodeProved
	provedAll := f.Known && first && !secondDue
	open := f.Active && !f.Suspended && (!f.Deleting || f.Administrative)
	entitled := f.Target && f.TargetAllowed || !f.Target && f.Roles > 0
	wrong := func(why string) { t.Fatalf("%s: %+v for %+v", why, d, f) }

	switch d.Step {
	case policy.FinishSession, policy.ShowRecovery, policy.OfferPasskey, policy.Notice:
		if !provedAll || !open || !entitled || demanded && !enough || bound && !second && !spared || f.SecondDisabled && !second {
			wrong("a session although something is missing")
		}
		if f.CodeProved && !second && !spared {
			wrong("a temporary code makes a session")
		}
		if d.Step == policy.Notice && (!coming || enough || f.NoticeSeen || f.SetUp) {
			wrong("a notice of what is not coming, or was put off")
		}
		if d.Step == policy.FinishSession && coming && !enough && !f.NoticeSeen {
			wrong("no notice of what is coming")
		}
	case policy.Refuse:
		if !provedAll {
			wrong("something about the account is told before every enrolled factor is proved")
		}
		if d.Reason == "" {
			wrong("a refusal without a reason")
		}
	case policy.ProveMailbox, policy.ChooseFactor, policy.EnrolTOTP, policy.EnrolPasskey:
		if !provedAll || !open || !entitled {
			wrong("an account that is shut, or not known yet, is asked to enrol")
		}
		if enough {
			if !f.Offer || d.Step != policy.EnrolPasskey {
				wrong("asked to enrol with enough proved")
			}
			break
		}
		if f.Offer && second && d.Step == policy.EnrolPasskey && !demanded && !(coming && f.SetUp) {
			break // the offer was taken
		}
		if !(f.CodeProved && !second) && !demanded && !(coming && f.SetUp) {
			wrong("asked to enrol without need")
		}
		vouched := second || f.CodeProved || f.MailProved || !f.LinkUsed.IsZero() && f.Now.Sub(f.LinkUsed) < 48*time.Hour
		if (d.Step == policy.ProveMailbox) == vouched {
			wrong("the mailbox has to be proved exactly when nothing vouches for it")
		}
		if d.Step == policy.EnrolTOTP && keysOnly {
			wrong("asked to enrol what does not count")
		}
	case policy.AskPassword:
		if f.Known && first {
			wrong("asked for the password twice")
		}
	default:
		if !slices.Contains(ways, d.Step) || !secondDue || !first {
			wrong("asked for a factor that is not due")
		}
	}
	if d.Step != policy.Refuse && d.Reason != "" {
		wrong("a reason without a refusal")
	}
	// Before the proofs, nothing but the ways to prove may change the answer: whoever tries learns nothing else.
	if !provedAll {
		blank := policy.Facts{Now: f.Now, Rules: policy.Defaults(), Known: f.Known, PasswordProved: f.PasswordProved, PasskeyAlone: f.PasskeyAlone,
			Enrolled: f.Enrolled, SecondDisabled: f.SecondDisabled, Recovery: f.Recovery, AccessCode: f.AccessCode, Asking: f.Asking, SecondProved: f.SecondProved}
		if keysOnly { // which ways there are
			blank.Rules, blank.Exempt, blank.Administrative = f.Rules, f.Exempt, f.Administrative
		}
		if policy.Decide(blank) != d {
			wrong("the answer depends on what is not to be known yet")
		}
	}
	// Exactly the step that is asked for may be answered; among the ways to prove the second factor the person chooses.
	for _, s := range everyStep {
		want := s == d.Step || slices.Contains(ways, s) && slices.Contains(ways, d.Step)
		if policy.Allows(f, s) != want {
			wrong("Allows and Decide differ on " + string(s))
		}
	}
	// Who answers everything rightly comes to an end, and to a session only by what Decide lets through.
	path := policy.Path(f)
	if last := path[len(path)-1].Step; len(path) > 12 || last != policy.FinishSession && last != policy.Refuse && (last != policy.AskPassword || f.Known) {
		wrong("the way has no end")
	}
}

// Every combination of the facts about passwords and apps, with times just beside and at their borders.
func TestDecideEverywhere(t *testing.T) {
	bools := []bool{false, true}
	n := 0
	for _, mode := range []policy.Mode{policy.Off, policy.Administrators, policy.Everyone} {
		for _, from := range []time.Time{{}, now.Add(-time.Microsecond), now, now.Add(time.Microsecond)} {
			for _, link := range []time.Time{{}, now.Add(-48*time.Hour + time.Microsecond), now.Add(-48 * time.Hour)} {
				for _, roles := range [][2]int{{0, 0}, {0, 1}, {1, 0}} {
					for _, target := range [][2]bool{{false, false}, {true, false}, {true, true}} {
						for bits := range 1 << 12 {
							on := func(i int) bool { return bools[bits>>i&1] }
							f := policy.Facts{Now: now, Rules: rules(mode, from), LinkUsed: link, Roles: roles[0], EndedRoles: roles[1],
								Target: target[0], TargetAllowed: target[1], Known: on(0), Active: on(1), Suspended: on(2), Deleting: on(3),
								PasswordProved: on(4), SecondProved: on(5), SecondDisabled: on(6), Administrative: on(7), MailProved: on(8)}
							if on(9) {
								f.Enrolled = []policy.Step{policy.AskTOTP}
							}
							if on(10) {
								f.Enrolling = policy.EnrolTOTP
							}
							if on(11) {
								f.Enrolled = append([]policy.Step{policy.AskPasskey}, f.Enrolled...)
							}
							if n++; f.SecondDisabled && len(f.Enrolled) > 0 { // it means that none is left
								continue
							}
							mustHold(t, f)
						}
					}
				}
			}
		}
	}
	if want := 3 * 4 * 3 * 3 * 3 << 12; n != want {
		t.Errorf("%d combinations, want %d", n, want)
	}
}

// A hundred thousand combinations of all facts, always the same ones.
func TestDecideFar(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not a secret
	flag := func() bool { return r.Uint64()&1 == 0 }
	times := []time.Time{{}, now.Add(-48 * time.Hour), now.Add(-48*time.Hour + 1), now, now.Add(1)}
	finished := 0
	for range 100_000 {
		f := policy.Facts{Now: now, Known: r.IntN(8) > 0, Active: r.IntN(8) > 0, Suspended: r.IntN(8) == 0, Deleting: r.IntN(8) == 0, PasswordProved: r.IntN(8) > 0,
			PasskeyAlone: flag(), SecondProved: flag(), CodeProved: flag(), Trusted: flag(), Recovery: flag(), AccessCode: flag(), SecondDisabled: flag(),
			MailProved: flag(), LinkUsed: times[r.IntN(len(times))], CodesUnseen: flag(), Offer: flag(), Roles: r.IntN(2), EndedRoles: r.IntN(2),
			Administrative: flag(), Target: flag(), TargetAllowed: flag(), Asking: everyStep[r.IntN(len(everyStep))],
			Rules:     rules([]policy.Mode{policy.Off, policy.Administrators, policy.Everyone}[r.IntN(3)], times[r.IntN(len(times))]),
			Enrolled:  [][]policy.Step{nil, {policy.AskTOTP}, {policy.AskPasskey}, {policy.AskPasskey, policy.AskTOTP}}[r.IntN(4)],
			Enrolling: []policy.Step{"", policy.EnrolTOTP, policy.EnrolPasskey}[r.IntN(3)], Method: []policy.Kind{"", policy.TOTP, policy.Passkey}[r.IntN(3)],
			Exempt: times[r.IntN(len(times))], NoticeSeen: flag(), SetUp: flag()}
		f.Rules.Factors = [][]policy.Kind{nil, {policy.Passkey}, {policy.TOTP}, policy.Kinds()}[r.IntN(4)]
		if f.PasskeyAlone && !f.SecondProved {
			f.Method = ""
		}
		if flag() {
			f.Rules.Remember = time.Hour
		}
		f.SecondDisabled = f.SecondDisabled && len(f.Enrolled) == 0 // it means that none is left
		mustHold(t, f)
		if policy.Decide(f).Step == policy.FinishSession {
			finished++
		}
	}
	if finished < 1000 {
		t.Errorf("only %d of them are let in", finished)
	}
}

func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
		instant := func(name string) time.Time {
			if flag(name + " unset") {
				return time.Time{}
			}
			return now.Add(time.Duration(rapid.Int64Range(-int64(100*time.Hour), int64(100*time.Hour)).Draw(t, name)))
		}
		f := policy.Facts{Now: now, Known: flag("known"), Active: flag("active"), Suspended: flag("suspended"), Deleting: flag("deleting"),
			PasswordProved: flag("password"), SecondProved: flag("second"), SecondDisabled: flag("second disabled"), MailProved: flag("mail"),
			LinkUsed: instant("link"), Roles: rapid.IntRange(0, 3).Draw(t, "roles"), EndedRoles: rapid.IntRange(0, 3).Draw(t, "ended"),
			Administrative: flag("administrative"), Target: flag("target"), TargetAllowed: flag("allowed"),
			Rules:    rules(rapid.SampledFrom([]policy.Mode{policy.Off, policy.Administrators, policy.Everyone, ""}).Draw(t, "mode"), instant("from")),
			Enrolled: rapid.SliceOfNDistinct(rapid.SampledFrom([]policy.Step{policy.AskTOTP, policy.AskPasskey}), 0, 2, rapid.ID).Draw(t, "enrolled")}
		f.PasskeyAlone, f.CodeProved, f.Trusted = flag("passkey alone"), flag("code proved"), flag("trusted")
		f.Recovery, f.AccessCode, f.CodesUnseen, f.Offer = flag("recovery"), flag("access code"), flag("codes unseen"), flag("offer")
		f.Asking = rapid.SampledFrom(everyStep).Draw(t, "asking")
		f.Enrolling = rapid.SampledFrom([]policy.Step{"", policy.EnrolTOTP, policy.EnrolPasskey}).Draw(t, "enrolling")
		f.Rules.Remember = rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "remember")
		f.SecondDisabled = f.SecondDisabled && len(f.Enrolled) == 0
		f.Method = rapid.SampledFrom([]policy.Kind{"", policy.TOTP, policy.Passkey}).Draw(t, "method")
		f.Exempt, f.NoticeSeen, f.SetUp = instant("exempt"), flag("notice seen"), flag("set up")
		f.Rules.Factors = rapid.SampledFrom([][]policy.Kind{nil, {policy.Passkey}, {policy.TOTP}, policy.Kinds()}).Draw(t, "factors")
		mustHold(t, f)

		// One more proof never takes anything away: who may finish may still do so with it.
		if policy.Decide(f).Step == policy.FinishSession {
			more := f
			more.MailProved, more.SecondProved, more.Method, more.Offer = true, true, policy.Passkey, false
			if policy.Decide(more).Step != policy.FinishSession {
				t.Fatalf("a further proof shuts the door: %+v", more)
			}
		}
	})
}
