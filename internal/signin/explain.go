package signin

import (
	"context"
	"slices"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// Explanation answers "why can't this person sign in?": what policy.Decide says to a sign-in that begins now, in plain words, with the rule and where it
// is set.
type Explanation struct {
	Org      org.Org
	Account  account.Account
	Verdict  Line
	Lines    []Line
	Attempts []audit.Event // the last ten, newest first
}

// Line is one sentence of an explanation.
type Line struct {
	Kind string // good, warn, bad or nothing
	Key  string // of the catalogue
	Args []any  // name, value pairs: texts, numbers, durations, times, steps, kinds of factors
}

// Text returns the sentence; times are shown in loc.
func (l Line) Text(p *locale.Printer, loc *time.Location) string {
	args := make([]any, len(l.Args))
	for i, v := range l.Args {
		switch v := v.(type) {
		case time.Time:
			args[i] = v.In(loc)
		case []policy.Step:
			var names []string
			for _, s := range v {
				names = append(names, p.T("explain.step."+string(s)))
			}
			args[i] = names
		case []policy.Kind:
			var names []string
			for _, k := range v {
				names = append(names, p.T("factor."+string(k)))
			}
			args[i] = names
		default:
			args[i] = v
		}
	}
	return p.T(l.Key, args...)
}

// Case is what an explanation is made from.
type Case struct {
	Facts        policy.Facts // nothing is proved
	State        account.State
	Password     bool          // one is set, and not disabled
	Failures     bool          // it was disabled by too many failures
	Wait         time.Duration // until the password is compared again
	LinkUntil    time.Time     // of someone invited: when the link ends; zero: there is none
	MailError    string        // of someone invited: why the mail was not delivered
	Home         string        // of a linked account: the organisation where it signs in
	ExemptReason string
	RuleOf       string // organisation that asks for the second factor; empty: nobody set a rule
	FactorsOf    string // organisation that says which factors count
}

// Explain judges a case. It is pure: the same case always reads the same.
func Explain(c Case) (Line, []Line) {
	var lines []Line
	say := func(kind, key string, args ...any) { lines = append(lines, Line{kind, key, args}) }
	f := c.Facts
	if c.Home != "" {
		say("", "explain.linked", "Organisation", c.Home)
	}
	shut := true
	switch {
	case c.State == account.Invited && c.MailError != "":
		say("bad", "explain.invited_undelivered", "Error", c.MailError)
	case c.State == account.Invited && f.Now.Before(c.LinkUntil):
		say("bad", "explain.invited", "Until", c.LinkUntil)
	case c.State == account.Invited:
		say("bad", "explain.invited_ended")
	case c.State == account.Disabled:
		say("bad", "explain.disabled")
	case c.State == account.Deleting:
		say("bad", "explain.going")
	case f.Suspended:
		say("bad", "explain.suspended")
	case f.Deleting && !f.Administrative:
		say("bad", "explain.deleting")
	case f.Roles == 0 && f.EndedRoles > 0:
		say("bad", "explain.ended")
	case f.Roles == 0:
		say("bad", "explain.no_role")
	default:
		shut = false
	}
	keys := false
	for _, s := range f.Enrolled {
		keys = keys || s == policy.AskPasskey
	}
	barred := false
	if c.State != account.Invited && c.Home == "" {
		switch {
		case c.Failures:
			say("bad", "explain.password_disabled")
			barred = !keys
		case !c.Password:
			say("bad", "explain.password_missing")
			barred = !keys
		case c.Wait > 0:
			say("warn", "explain.wait", "Wait", c.Wait)
		}
	}
	f.PasswordProved = true
	path := policy.Path(f)
	switch {
	case c.State == account.Invited:
	case f.SecondDisabled:
		say("bad", "explain.second_disabled")
	case len(f.Enrolled) > 0:
		var kinds []policy.Kind
		for _, s := range f.Enrolled {
			kinds = append(kinds, map[policy.Step]policy.Kind{policy.AskPasskey: policy.Passkey, policy.AskTOTP: policy.TOTP}[s])
		}
		say("good", "explain.has", "Factors", kinds)
	default:
		say("", "explain.has_none")
	}
	enrols, asked := false, []policy.Step{policy.AskPassword}
	if c.Home != "" {
		asked = nil
	}
	for _, d := range path {
		switch d.Step {
		case policy.ChooseFactor:
			enrols = true
		case policy.Refuse, policy.FinishSession, policy.AskPassword:
			continue
		}
		asked = append(asked, d.Step)
	}
	if len(asked) > 0 && c.State != account.Invited {
		say("", "explain.asked", "Steps", asked)
	}
	c.rule(f, say)

	last := path[len(path)-1]
	switch {
	case shut, barred, last.Step != policy.FinishSession:
		return Line{Kind: "bad", Key: "explain.verdict.no"}, lines
	case enrols:
		return Line{Kind: "warn", Key: "explain.verdict.enrol"}, lines
	case c.Wait > 0:
		return Line{Kind: "warn", Key: "explain.verdict.wait", Args: []any{"Wait", c.Wait}}, lines
	}
	return Line{Kind: "good", Key: "explain.verdict.yes"}, lines
}

// rule says what the rules ask of the person, from when on, and who set them.
func (c Case) rule(f policy.Facts, say func(kind, key string, args ...any)) {
	from, ever := f.Rules.DemandedFrom(f.Administrative)
	if !ever {
		say("", "explain.demand.none")
	} else {
		mode := policy.Administrators
		for _, d := range f.Rules.Asks {
			if d.Mode == policy.Everyone && d.From.Equal(from) {
				mode = policy.Everyone
			}
		}
		say("", "explain.demand."+string(mode))
		switch {
		case from.After(f.Now):
			say("warn", "explain.from", "When", from)
		case !from.IsZero():
			say("", "explain.since", "When", from)
		}
	}
	if c.RuleOf != "" {
		say("", "explain.set_by", "Organisation", c.RuleOf)
	} else {
		say("", "explain.set_default")
	}
	if f.Rules.KeysOnly() {
		say("", "explain.keys_only")
		if c.FactorsOf != "" && c.FactorsOf != c.RuleOf {
			say("", "explain.set_by", "Organisation", c.FactorsOf)
		}
	}
	if f.Now.Before(f.Exempt) {
		say("warn", "explain.exempt", "Until", f.Exempt, "Reason", c.ExemptReason)
	}
}

// Explain explains someone's sign-in to who may look at people there. The look is an event, as the person's page is.
func (d *Desk) Explain(ctx context.Context, actor access.Actor, o id.Org, a id.Account) (Explanation, error) {
	var e Explanation
	tx := d.DB.Read(ctx)
	if _, err := d.Guard.Require(tx, actor, access.PeopleView, o); err != nil {
		return e, d.Book.Refusal(ctx, actor, audit.AccountViewed, err)
	}
	var err error
	if e.Org, err = org.Find(tx, o); err != nil {
		return e, err
	}
	if e.Account, err = account.Find(tx, o, a); err != nil {
		return e, d.Book.Refusal(ctx, actor, audit.AccountViewed, err)
	}
	c, err := d.gather(tx, e.Org, e.Account)
	if err != nil {
		return e, err
	}
	e.Verdict, e.Lines = Explain(c)
	e.Attempts, err = audit.About(tx, o, string(a), 10, audit.SignedIn, audit.SignInFailed, audit.SignInRefused)
	return e, err
}

// gather reads the case of an account.
func (d *Desk) gather(tx sqldb.Tx, o org.Org, a account.Account) (c Case, err error) {
	now := d.Now()
	home, bound := a.ID, policy.Facts{} // of a linked account: what holds at home, where its sign-in is, see target.bind
	if a.Linked() {
		who, err := account.Lookup(tx, a.Home)
		if err != nil {
			return c, err
		}
		at, err := org.Find(tx, who.Org)
		if err != nil {
			return c, err
		}
		held, err := access.Held(tx, at.ID, who.ID, now)
		if err != nil {
			return c, err
		}
		bound = policy.Facts{Rules: at.Rules, Exempt: who.ExemptUntil, Administrative: slices.ContainsFunc(held, func(role string) bool {
			return access.Administrative(at.Kind, role)
		})}
		c.Home, home = at.Name, who.ID
		if who.State != account.Active {
			a.State = who.State
		}
	}
	factors, err := factor.List(tx, home)
	if err != nil {
		return c, err
	}
	assignments, err := access.Assignments(tx, a.ID)
	if err != nil {
		return c, err
	}
	c.Facts, c.State, c.ExemptReason = standing(now, o, a, factors, assignments), a.State, a.ExemptReason
	if f := &c.Facts; c.Home != "" {
		f.Rules, f.Administrative = bound.Rules.With(f.Rules), f.Administrative || bound.Administrative
		f.Exempt = earlier(f.Exempt, bound.Exempt)
	}
	for _, f := range factors {
		if f.Kind == factor.Password {
			c.Password, c.Failures = f.State == factor.Active, f.State == factor.Disabled
		}
	}
	tries := account.PasswordTries(home)
	failures, err := throttle.Failures(tx, tries)
	if err != nil {
		return c, err
	}
	c.Failures = c.Failures || failures > throttle.Disable
	if c.Wait, err = throttle.Waiting(tx, now, tries); err != nil {
		return c, err
	}
	if a.State == account.Invited {
		if c.LinkUntil, err = account.LinkEnds(tx, a.ID, account.Activate); err != nil {
			return c, err
		}
		m, ok, err := outbox.Latest(tx, a.ID, outbox.KindInvite)
		if err != nil {
			return c, err
		}
		if ok && m.State == outbox.Dead {
			c.MailError = m.LastError
		}
	}
	levels, err := org.Lineage(tx, o)
	if err != nil {
		return c, err
	}
	settings := make([]policy.Settings, 0, len(levels))
	for _, l := range levels {
		settings = append(settings, l.Settings)
	}
	_, origins := policy.Inherit(settings...)
	if i, ok := origins[policy.FieldSecondFactor]; ok {
		c.RuleOf = levels[i].Name
	}
	if i, ok := origins[policy.FieldFactors]; ok {
		c.FactorsOf = levels[i].Name
	}
	return c, nil
}
