package console

import (
	"net/url"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/page/pagetest"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

// ruleSamples are the documents of the pages about sign-in rules and how people stand to them.
func ruleSamples(at func(org.Org, string, string, ...any) page.Base, failed func(page.Base, ...*refusal.Error) page.Base) map[string][]page.Doc {
	modes := []page.Option{{Value: "", Key: "policy.inherit", Chosen: true}, {Value: "off", Key: "policy.mode.off"},
		{Value: "administrators", Key: "policy.mode.administrators"}, {Value: "everyone", Key: "policy.mode.everyone"}}
	kinds := []page.Option{{Value: "passkey", Key: "factor.passkey"}, {Value: "totp", Key: "factor.totp"}}
	sheet := func(b page.Base, may bool, levels ...policy.Settings) *policyDoc {
		d := &policyDoc{Base: b, At: "x", May: may, Zone: time.UTC, Rev: "r", Modes: modes, Kinds: kinds, Inviters: modes[:1], Campaign: "x"}
		d.Rules, d.Sources.Origins = policy.Inherit(levels...)
		for i := range levels {
			o := house
			if i == len(levels)-1 {
				o = below
			}
			d.Sources.Levels = append(d.Sources.Levels, o)
		}
		d.Own = levels[len(levels)-1]
		return d
	}
	never := 0
	strict := policy.Settings{SecondFactor: policy.Everyone, From: ahead, Factors: []policy.Kind{policy.Passkey}, LinkHours: 24, IdleAdminMinutes: 10, IdleMinutes: 60,
		AbsoluteHours: 12, RememberDays: &never, PasswordLength: 12, PasswordHistory: 5, Invite: policy.InviteAdministrators}
	early := policy.Settings{SecondFactor: policy.Administrators, From: ahead.AddDate(0, 0, -7), PasswordHistory: 1, IdleMinutes: 1}
	rules := []page.Doc{
		sheet(at(below, "org.policy", "policy.title"), true, policy.Settings{}),
		sheet(at(below, "org.policy", "policy.title"), true, early, strict),
		sheet(at(below, "org.policy", "policy.title"), false, policy.Settings{SecondFactor: policy.Administrators}, early),
		sheet(at(below, "org.policy", "policy.title"), false, policy.Settings{SecondFactor: policy.Off}),
	}
	wrong := sheet(at(below, "org.policy", "policy.title"), true, strict, policy.Settings{})
	wrong.Base = failed(wrong.Base, refusal.Field("from", "policy.date.past"), refusal.Field("idle_minutes", "policy.looser", "Organisation", "Contoso"),
		refusal.Field("factors", "policy.nobody", "Organisation", "Contoso"), refusal.Field("remember_days", "policy.number", "Least", 0, "Most", 90))
	confirming := sheet(at(below, "org.policy", "policy.title"), true, policy.Settings{})
	confirming.Confirm = "abc"
	confirming.Base.Form = page.FormOf(url.Values{"second_factor": {"everyone"}}, refusal.Field("confirm", "policy.shuts_out_you", "Count", 12, "All", 40))
	rules = append(rules, wrong, confirming)

	member := func(a account.Account, s policy.Standing, roles ...string) signin.Member {
		m := signin.Member{Account: a, Standing: s}
		for _, r := range roles {
			m.Roles = append(m.Roles, access.Assignment{Role: r})
		}
		return m
	}
	late := member(ada, policy.Overdue, access.Core, access.Viewer)
	late.Reminded = ago
	coming := member(ada, policy.Pending, access.Core)
	coming.Deadline = ahead
	spared := member(ada, policy.Exempt, access.Core)
	spared.ExemptUntil = ahead
	list := []signin.Member{late, coming, spared, member(bea, policy.Overdue), member(bea, policy.Covered, access.Auditor), member(bea, policy.Free, access.Core)}
	tally := signin.Tally{People: 12, Covered: 4, Pending: 3, Overdue: 2, Exempt: 1}
	after, _ := policy.Inherit(strict)
	preview := func(p signin.Preview) *previewDoc {
		p.Org.Rules = after
		return &previewDoc{Base: at(below, "org.policy.preview", "policy.preview.title"), Would: p, At: "x", May: p.Shut > 0, Draft: []kept{{"rev", "r"}}, Back: "x", People: "x/",
			Zone: time.UTC}
	}
	more := preview(signin.Preview{Tally: tally, Shut: 2, You: true, List: list[:4], Newly: 2, Orgs: 3, Below: tally, There: 1})
	more.Next = "?after=x"
	tabs := []page.NavItem{{Key: "campaign.all", Href: "x", Count: 12, Current: true}, {Key: "campaign.standing.overdue", Href: "x?standing=overdue"}}
	health := []signin.OrgHealth{
		{Health: signin.Health{Org: below.ID, Tally: tally, LastSignIn: ago, Deadline: ahead, Judged: pagetest.Now}, Slug: "fabrikam", Name: "<b>Fabrikam</b>"},
		{Health: signin.Health{Org: below.ID, Judged: pagetest.Now}, Slug: "empty", Name: "Empty"},
	}
	return map[string][]page.Doc{
		"org.policy": rules,
		"org.policy.preview": {
			more,
			preview(signin.Preview{Tally: tally, Shut: 1, Orgs: 1, List: list[:1]}),
			preview(signin.Preview{Tally: signin.Tally{}}),
		},
		"campaign": {
			&campaignDoc{Base: at(house, "campaign", "campaign.title"), Own: true, Campaign: signin.Campaign{Health: health[0].Health, List: list}, Standings: tabs,
				People: "x/", Next: "?after=x", Remind: "x", Rules: "x", Under: true, Kind: access.MSP, Below: signin.Below{Tally: tally, Orgs: 2, List: health}, BelowNext: "?orgs_after=x"},
			&campaignDoc{Base: at(below, "campaign", "campaign.title"), Own: true, Standings: tabs, Standing: policy.Overdue},
			&campaignDoc{Base: at(house, "campaign", "campaign.title"), Under: true, Kind: access.Provider},
		},
	}
}
