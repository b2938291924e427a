package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

type policyCommand struct {
	Get policyGetCommand `cmd:"" help:"Show an organisation's sign-in rules and where each comes from."`
	Set policySetCommand `cmd:"" help:"Change what an organisation sets for itself."`
}

// ruleName is what the command line calls a setting.
type ruleName struct {
	name  string
	field policy.Field
}

// ruleNames are what the command line calls the settings, in the order in which they are shown.
var ruleNames = []ruleName{{"mfa", policy.FieldSecondFactor}, {"factors", policy.FieldFactors}, {"remember-days", policy.FieldRemember}, {"idle-admin", policy.FieldIdleAdmin},
	{"idle", policy.FieldIdle}, {"absolute", policy.FieldAbsolute}, {"link-hours", policy.FieldLinkHours}, {"password-length", policy.FieldPasswordLength},
	{"password-history", policy.FieldPasswordHistory}, {"invite", policy.FieldInvite}}

// kindNames are what the command line calls the kinds of factors.
var kindNames = map[policy.Kind]string{policy.TOTP: "app", policy.Passkey: "key"}

type policyGetCommand struct {
	Org  string `required:"" placeholder:"SLUG" help:"Tenant domain of the organisation."`
	JSON bool   `help:"Write JSON."`
}

// ruleLine is one rule in JSON.
type ruleLine struct {
	Rule   string `json:"rule"`
	Value  string `json:"value"`         // in effect
	Origin string `json:"origin"`        // default, or the tenant domain of the organisation that sets it
	Own    string `json:"own,omitempty"` // what the organisation itself has set, whether it has an effect or not
}

// ruleSheet is what policy get writes in JSON: of whom a second factor is asked at the strictest and from when on, then every rule.
type ruleSheet struct {
	Org      string      `json:"org"`
	MFA      policy.Mode `json:"mfa"`
	From     *time.Time  `json:"from"` // null: at once
	TimeZone string      `json:"time_zone"`
	Rules    []ruleLine  `json:"rules"`
}

// Run shows the rules.
func (c *policyGetCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, o, leave, err := t.at(ctx, c.Org)
	if err != nil {
		return err
	}
	defer leave(&err)
	from, err := signin.SourcesOf(h.DB.Read(ctx), o)
	if err != nil {
		return err
	}
	sheet := sheetOf(o, from)
	if c.JSON {
		return t.json(sheet)
	}
	rows := [][]string{{"RULE", "IN EFFECT", "SET BY", "OWN"}}
	for _, l := range sheet.Rules {
		rows = append(rows, []string{l.Rule, l.Value, l.Origin, l.Own})
	}
	return t.table(rows)
}

func sheetOf(o org.Org, from signin.Sources) ruleSheet {
	sheet := ruleSheet{Org: o.Slug, MFA: policy.Off, TimeZone: o.TimeZone}
	begins, ofAdmins := o.Rules.DemandedFrom(true)
	if ofAdmins {
		sheet.MFA = policy.Administrators
	}
	if all, ok := o.Rules.DemandedFrom(false); ok {
		sheet.MFA, begins = policy.Everyone, all
	}
	if !begins.IsZero() {
		begins = begins.UTC()
		sheet.From = &begins
	}
	for _, r := range ruleNames {
		l := ruleLine{Rule: r.name, Value: inEffect(o, r.field), Origin: "default", Own: ownRule(o.Settings, r.field, o.Location())}
		if by, ok := from.Of(r.field); ok {
			l.Origin = by.Slug
		}
		sheet.Rules = append(sheet.Rules, l)
	}
	return sheet
}

// inEffect writes a rule the way policy set takes it.
func inEffect(o org.Org, f policy.Field) string {
	r := o.Rules
	units := map[policy.Field]time.Duration{policy.FieldRemember: r.Remember / (24 * time.Hour), policy.FieldIdleAdmin: r.IdleAdmin / time.Minute,
		policy.FieldIdle: r.Idle / time.Minute, policy.FieldAbsolute: r.Absolute / time.Hour, policy.FieldLinkHours: r.LinkLife / time.Hour,
		policy.FieldPasswordLength: time.Duration(r.Length), policy.FieldPasswordHistory: time.Duration(r.History)}
	switch f {
	case policy.FieldSecondFactor:
		var list []string
		admins, ofAdmins := r.DemandedFrom(true)
		all, ofAll := r.DemandedFrom(false)
		if ofAdmins && (!ofAll || admins.Before(all)) {
			list = append(list, asked(policy.Administrators, admins, o.Location()))
		}
		if ofAll {
			list = append(list, asked(policy.Everyone, all, o.Location()))
		}
		if len(list) == 0 {
			return string(policy.Off)
		}
		return strings.Join(list, ", ")
	case policy.FieldFactors:
		if r.Factors == nil {
			return "any"
		}
		return kindList(r.Factors)
	case policy.FieldInvite:
		if r.AdministratorsInvite {
			return policy.InviteAdministrators
		}
		return "managers"
	}
	return fmt.Sprint(int(units[f]))
}

func asked(m policy.Mode, from time.Time, zone *time.Location) string {
	if from.IsZero() {
		return string(m)
	}
	return string(m) + " from " + from.In(zone).Format("2006-01-02 15:04 MST")
}

func kindList(kinds []policy.Kind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, kindNames[k])
	}
	return strings.Join(list, ",")
}

// ownRule writes what an organisation itself has set; empty when it inherits.
func ownRule(s policy.Settings, f policy.Field, zone *time.Location) string {
	switch f {
	case policy.FieldSecondFactor:
		if s.SecondFactor == "" {
			return ""
		}
		return asked(s.SecondFactor, s.From, zone)
	case policy.FieldFactors:
		return kindList(s.Factors)
	case policy.FieldInvite:
		return s.Invite
	}
	if n, ok := s.Number(f); ok {
		return fmt.Sprint(n)
	}
	return ""
}

type policySetCommand struct {
	Org             string   `required:"" placeholder:"SLUG" help:"Tenant domain of the organisation."`
	MFA             string   `name:"mfa" enum:",off,administrators,everyone" default:"" placeholder:"MODE" help:"Of whom a second factor is asked: off, administrators or everyone."`
	From            string   `placeholder:"DATE" help:"When that begins: a day in the organisation's time zone, or RFC 3339; at once by default."`
	Factors         string   `placeholder:"KINDS" help:"Which second factors count: app, key, app,key or any. A passkey always does."`
	RememberDays    *int     `placeholder:"N" help:"How many days a remembered device spares the second factor; 0: never."`
	IdleAdmin       *int     `placeholder:"MINUTES" help:"An administrator's session ends after so long without use."`
	Idle            *int     `placeholder:"MINUTES" help:"Anyone else's."`
	Absolute        *int     `placeholder:"HOURS" help:"Any session ends after so long."`
	LinkHours       *int     `placeholder:"N" help:"How long an invitation's link lives."`
	PasswordLength  *int     `placeholder:"N" help:"The shortest password, in characters."`
	PasswordHistory *int     `placeholder:"N" help:"A new password is none of the last so many."`
	Invite          string   `placeholder:"WHO" help:"Who adds people: administrators, or managers (who may manage people)."`
	Inherit         []string `placeholder:"RULE" help:"Take what the organisation itself has set away again: mfa, factors, remember-days, idle-admin, idle, absolute, link-hours, password-length, password-history or invite; may be repeated."`
}

// Run changes what is given, and says what it does to people.
func (c *policySetCommand) Run(ctx context.Context, t *terminal) (err error) {
	h, o, leave, err := t.at(ctx, c.Org)
	if err != nil {
		return err
	}
	defer leave(&err)
	s := o.Settings
	if err := c.apply(&s, o); err != nil {
		return t.ruleFault(err)
	}
	p, err := h.Desk.Preview(ctx, operator(), o.ID, s, "", 0)
	if err != nil {
		return t.ruleFault(err)
	}
	// The operator is told the consequences instead of asked: scripts have nobody to ask.
	if err := h.Desk.SetRules(ctx, operator(), o.ID, signin.Draft{Settings: s, Rev: signin.Rev(o.Settings), Seen: signin.RevOf(s)}); err != nil {
		return err
	}
	if p.Shut+p.There == 0 {
		return t.say("%s: the rules are saved. Nobody has to set up a second factor for them.", o.Slug)
	}
	return t.say("%s: the rules are saved. People who have to set up a second factor for them: %d of %d.", o.Slug, p.Shut+p.There, p.People())
}

// ruleFault says of each rule that was refused which one it is.
func (t *terminal) ruleFault(err error) error {
	r := refusal.As(err)
	if r == nil {
		return err
	}
	var sentences []string
	for _, one := range append([]*refusal.Error{r}, r.More...) {
		text := t.explain(&refusal.Error{Code: one.Code, Key: one.Key, Args: one.Args}).Error()
		if i := slices.IndexFunc(ruleNames, func(n ruleName) bool { return string(n.field) == one.Field }); i >= 0 {
			text = ruleNames[i].name + ": " + text
		}
		sentences = append(sentences, text)
	}
	return errors.New(strings.Join(sentences, " "))
}

func (c *policySetCommand) apply(s *policy.Settings, o org.Org) error {
	for _, name := range c.Inherit {
		if err := inherit(s, name); err != nil {
			return err
		}
	}
	given := len(c.Inherit) > 0
	if c.MFA != "" {
		given = true
		s.SecondFactor, s.From = policy.Mode(c.MFA), time.Time{}
	}
	if c.From != "" {
		given = true
		if s.SecondFactor != policy.Administrators && s.SecondFactor != policy.Everyone {
			return errors.New("--from says when --mfa administrators or everyone begins")
		}
		from, fault := signin.ParseFrom(c.From, o.Location())
		if fault != nil {
			return fault
		}
		s.From = from
	}
	var faults []*refusal.Error
	for f, n := range map[policy.Field]*int{policy.FieldRemember: c.RememberDays, policy.FieldIdleAdmin: c.IdleAdmin, policy.FieldIdle: c.Idle,
		policy.FieldAbsolute: c.Absolute, policy.FieldLinkHours: c.LinkHours, policy.FieldPasswordLength: c.PasswordLength, policy.FieldPasswordHistory: c.PasswordHistory} {
		if n != nil {
			given = true
			faults = append(faults, signin.SetNumber(s, f, *n))
		}
	}
	if err := refusal.All(faults...); err != nil {
		return err
	}
	if c.Factors != "" {
		given = true
		if err := setKinds(s, c.Factors); err != nil {
			return err
		}
	}
	switch c.Invite {
	case "":
	case "managers":
		given, s.Invite = true, ""
	default:
		given, s.Invite = true, c.Invite
	}
	if !given {
		return errors.New("nothing to change; --help shows what there is")
	}
	return nil
}

func setKinds(s *policy.Settings, text string) error {
	s.Factors = nil
	if text == "any" {
		s.Factors = policy.Kinds()
		return nil
	}
	for word := range strings.SplitSeq(text, ",") {
		found := false
		for k, name := range kindNames {
			if name == strings.TrimSpace(word) {
				s.Factors, found = append(s.Factors, k), true
			}
		}
		if !found {
			return fmt.Errorf("--factors: %q is none of app, key, any", word)
		}
	}
	return nil
}

// inherit takes one of the organisation's own settings away.
func inherit(s *policy.Settings, name string) error {
	i := slices.IndexFunc(ruleNames, func(r ruleName) bool { return r.name == name })
	if i < 0 {
		return fmt.Errorf("--inherit: there is no rule %q", name)
	}
	switch ruleNames[i].field {
	case policy.FieldSecondFactor:
		s.SecondFactor, s.From = "", time.Time{}
	case policy.FieldFactors:
		s.Factors = nil
	case policy.FieldRemember:
		s.RememberDays = nil
	case policy.FieldIdleAdmin:
		s.IdleAdminMinutes = 0
	case policy.FieldIdle:
		s.IdleMinutes = 0
	case policy.FieldAbsolute:
		s.AbsoluteHours = 0
	case policy.FieldLinkHours:
		s.LinkHours = 0
	case policy.FieldPasswordLength:
		s.PasswordLength = 0
	case policy.FieldPasswordHistory:
		s.PasswordHistory = 0
	case policy.FieldInvite:
		s.Invite = ""
	}
	return nil
}
