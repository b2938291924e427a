package server_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/signin"
)

// somebody is a person of a cast, with what they have to answer a sign-in.
type somebody struct {
	*doortest.Person
	key *softkey // nil: an authenticator app, or nothing
}

// cast are people who stand differently, under whatever rules.
func (w *town) cast() map[string]somebody {
	w.T.Helper()
	w.Exec(`update seats set seat_limit = null`)
	list := map[string]somebody{}
	for _, one := range []struct{ name, role, has string }{
		{"ann", access.Administrator, "app"}, {"amy", access.Administrator, "key"}, {"abe", access.CoManager, ""},
		{"cal", access.Core, "app"}, {"cem", access.Core, ""}, {"cia", access.Viewer, "key"}, {"coy", access.Core, "stale"}, {"eve", access.Core, "exempt"},
		{"era", access.Administrator, "exempt"},
	} {
		email := one.name + "@fabrikam.example"
		switch one.has {
		case "key":
			p, k, _ := w.keyed(w.Fabrikam, email, one.role)
			list[email] = somebody{p, k}
		case "app":
			p, _ := w.enrolled(w.Fabrikam, email, one.role)
			list[email] = somebody{p, nil}
		default:
			p := w.Activate(w.Fabrikam, email, one.role)
			list[email] = somebody{p, nil}
			if one.has == "stale" {
				w.Exec(`update accounts set link_used_at = 0 where id = $1`, p.Account)
			}
			if one.has == "exempt" {
				w.Exec(`update accounts set exempt_until = $1, exempt_reason = 'why' where id = $2`, w.Clock.Now().AddDate(0, 0, 3).UnixMicro(), p.Account)
			}
		}
	}
	return list
}

// meets signs somebody in with everything that they have, and tells how far they come: in, a notice, or an enrolment. asked says that a second
// factor was asked for on the way.
func (s somebody) meets() (what string, asked bool) {
	w := s.World
	w.T.Helper()
	w.Exec(`delete from throttles`)
	b := w.Browser()
	b.Password(s.Person)
	for range 4 {
		switch page := b.Page(); page {
		case "login.totp":
			asked = true
			b.Submit("code", s.Code())
		case "login.passkey":
			asked = true
			b.Submit("credential", s.key.get(optionsIn(b.Body)))
		case "login.enrol", "login.mail-code":
			return "enrol", asked
		case "login.mfa-notice":
			return "notice", asked
		case "login.passkey-offer", "dashboard":
			return "in", asked
		default:
			w.T.Fatalf("%s stands before %q (%s)", s.Email, page, b.Reason())
		}
	}
	return "lost", asked
}

// fits tells whether a standing is what a sign-in met.
func fits(s policy.Standing, what string, asked bool) bool {
	switch s {
	case policy.Overdue:
		return what == "enrol"
	case policy.Pending:
		return what == "notice"
	case policy.Covered:
		return what == "in" && asked
	case policy.Exempt:
		return (what == "in" || what == "notice") && !asked
	case policy.Free: // what they have is asked for all the same, though it does not count
		return what == "in"
	}
	return false
}

// everybody returns how each person of an organisation stands, by their address.
func (w *town) everybody(o org.Org) (signin.Campaign, map[string]policy.Standing) {
	w.T.Helper()
	o, err := org.Find(w.DB.Read(w.T.Context()), o.ID)
	if err != nil {
		w.T.Fatal(err)
	}
	c, err := w.Desk.Campaign(w.T.Context(), doortest.Operator(), o, "", "", 1000)
	if err != nil {
		w.T.Fatal(err)
	}
	list := map[string]policy.Standing{}
	for _, m := range c.List {
		list[m.Email] = m.Standing
	}
	return c, list
}

// drafts are rules that differ in what they ask of the cast.
func drafts(now time.Time) map[string]policy.Settings {
	later := now.AddDate(0, 0, 20)
	keys := []policy.Kind{policy.Passkey}
	return map[string]policy.Settings{
		"nothing":                    {},
		"off":                        {SecondFactor: policy.Off},
		"administrators":             {SecondFactor: policy.Administrators},
		"everyone later":             {SecondFactor: policy.Everyone, From: later},
		"administrators later":       {SecondFactor: policy.Administrators, From: later},
		"keys of everyone":           {SecondFactor: policy.Everyone, Factors: keys},
		"keys of administrators":     {SecondFactor: policy.Administrators, Factors: keys},
		"keys of everyone later":     {SecondFactor: policy.Everyone, From: later, Factors: keys},
		"apps of everyone":           {SecondFactor: policy.Everyone, Factors: []policy.Kind{policy.TOTP}},
		"keys where nobody is asked": {SecondFactor: policy.Off, Factors: keys},
	}
}

// What the preview and the campaign say of each person is what a real sign-in of that person meets (mission C4).
func TestCampaignIsWhatSignInsMeet(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		cast := w.cast()
		for name, draft := range drafts(w.Clock.Now()) {
			w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Off})
			p, err := w.Desk.Preview(t.Context(), doortest.Operator(), w.Fabrikam.ID, draft, "", 1000)
			if err != nil {
				t.Fatal(name, err)
			}
			held := draft
			held.From = time.Time{}
			w.set(w.Fabrikam.ID, held)
			_, now := w.everybody(w.Fabrikam)
			var shut []string
			for email, s := range now {
				if s == policy.Overdue {
					shut = append(shut, email)
				}
			}
			var listed []string
			for _, m := range p.List {
				listed = append(listed, m.Email)
			}
			slices.Sort(shut)
			if p.Shut != len(shut) || !slices.Equal(shut, listed) {
				t.Errorf("%s: the preview names %d: %v, and then they are %v", name, p.Shut, listed, shut)
			}

			w.set(w.Fabrikam.ID, draft)
			c, stand := w.everybody(w.Fabrikam)
			if c.Tally != p.Tally {
				t.Errorf("%s: the preview counted %+v, then it is %+v", name, p.Tally, c.Tally)
			}
			if len(stand) != len(cast) {
				t.Fatalf("%s: %d people are listed", name, len(stand))
			}
			for email, who := range cast {
				if what, asked := who.meets(); !fits(stand[email], what, asked) {
					t.Errorf("%s: %s is %s, and the sign-in came to: %s, asked for a second factor: %t", name, email, stand[email], what, asked)
				}
			}
		}
	})
}

// Who comes from above with a linked account is judged by the sign-in at home on the way here: the rules of both hold.
func TestCampaignOfLinkedAccounts(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		link := func(email, role string) somebody {
			home := w.Activate(w.Contoso, email, access.Viewer)
			there := w.Activate(w.Fabrikam, email, role)
			w.Exec(`update accounts set home_id = $1 where id = $2`, home.Account, there.Account)
			return somebody{Person: home}
		}
		bare, admin := link("tek@contoso.example", access.Core), link("tia@contoso.example", access.Administrator)
		for _, o := range []org.Org{w.Provider, w.Contoso} {
			w.set(o.ID, policy.Settings{SecondFactor: policy.Off})
		}
		later := w.Clock.Now().AddDate(0, 0, 5)
		for name, draft := range map[string]policy.Settings{
			"off": {SecondFactor: policy.Off}, "everyone": {SecondFactor: policy.Everyone}, "administrators": {SecondFactor: policy.Administrators},
			"later": {SecondFactor: policy.Everyone, From: later},
		} {
			w.set(w.Fabrikam.ID, draft)
			_, stand := w.everybody(w.Fabrikam)
			for email, who := range map[string]somebody{"tek@contoso.example": bare, "tia@contoso.example": admin} {
				w.Exec(`delete from throttles`)
				b := w.Browser()
				b.Get("/o/contoso/login?to="+url.QueryEscape("/o/fabrikam/")).Want("login.identifier").Submit("identifier", who.Email).Want("login.password").Submit("password", doortest.Password)
				what := map[string]string{"login.enrol": "enrol", "login.mfa-notice": "notice", "dashboard": "in"}[b.Page()]
				if !fits(stand[email], what, false) {
					t.Errorf("%s: %s is %s, and the sign-in came to %s", name, email, stand[email], b.Page())
				}
			}
		}
	})
}

// The page shows the chart, the list and its parts, and reminds once a day; what is found is kept for the organisation above.
func TestCampaignPage(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		cast := w.cast()
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Everyone, From: w.Clock.Now().AddDate(0, 0, 20)})
		boss := w.Browser()
		boss.SignIn(cast["ann@fabrikam.example"].Person).Want("dashboard")
		boss.Follow("Second factors").Want("campaign")
		if text := boss.Text(); !contains(text, "Covered", "Pending", "Excepted", "cem@fabrikam.example", "Co-manag") {
			t.Errorf("the page reads %q", text)
		}
		boss.Get("/o/fabrikam/security?standing=pending")
		if text := boss.Text(); !contains(text, "cem@fabrikam.example") || contains(text, "cal@fabrikam.example") {
			t.Error("the list is not limited to who is pending")
		}
		boss.Get("/o/fabrikam/security?standing=nonsense").Want("error")

		// By hand: the selected, then all, each once a day.
		cem := cast["cem@fabrikam.example"]
		boss.Get("/o/fabrikam/security").Post("/o/fabrikam/security/remind", nil)
		if !contains(boss.Text(), "Choose at least one person") {
			t.Error("an empty selection is not refused")
		}
		send := func(v url.Values, want string) {
			t.Helper()
			if boss.Post("/o/fabrikam/security/remind", v).Want("campaign"); !contains(boss.Text(), want) {
				t.Errorf("no %q after reminding %v", want, v)
			}
		}
		stranger := w.Activate(w.Tailspin, "stranger@tailspin.example", access.Core)
		send(url.Values{"account": {string(cem.Account), string(stranger.Account)}}, "1 reminder is on its way")
		letter := w.Mailbox.Wait(cem.Email, "mfa-deadline", 1)
		if !contains(letter.Text, "Fabrikam", "/o/fabrikam/login", "ann@fabrikam.example", "11 December 2026") {
			t.Errorf("the mail reads %q", letter.Text)
		}
		send(url.Values{"account": {string(cem.Account)}}, "had one within the last day")
		send(url.Values{"account": {string(cast["cal@fabrikam.example"].Account)}}, "nobody of these needs one")
		send(url.Values{"all": {"1"}}, "2 reminders are on their way") // abe and coy; eve and era are excepted
		send(url.Values{"all": {"1"}}, "had one within the last day")
		w.Clock.Move(25 * time.Hour)
		boss = w.Browser()
		boss.SignIn(cast["ann@fabrikam.example"].Person).Want("dashboard")
		send(url.Values{"all": {"1"}}, "3 reminders are on their way")
		settle(w.World)
		if n := w.Count(`select count(*) from outbox where kind = 'mfa-deadline' and org_id <> $1`, w.Fabrikam.ID); n != 0 {
			t.Error("somebody of another organisation was reminded")
		}
		if n := w.Events(w.Fabrikam.ID, "policy.reminded"); n != 3 {
			t.Errorf("%d events of reminders", n)
		}

		// From above.
		if err := w.Desk.Judge(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, msp := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		msp.Get("/o/contoso/security").Want("campaign")
		if text := msp.Text(); !contains(text, "Fabrikam", "Tailspin Toys") || contains(text, "Wingtip") {
			t.Errorf("the page of the MSP reads %q", text)
		}
		editor := w.Activate(w.Contoso, "emil@contoso.example", access.Editor)
		in := w.Browser()
		in.SignInFirst(editor)
		if in.Get("/o/contoso/security").Want("campaign"); contains(in.Text(), "Fabrikam") || contains(in.Text(), "ada@contoso.example") {
			t.Error("an editor without a group sees customers, or people of the MSP")
		}
		w.group(w.Contoso.ID, []id.Org{w.Tailspin.ID}, editor)
		if in.Get("/o/contoso/security").Want("campaign"); contains(in.Text(), "Fabrikam") || !contains(in.Text(), "Tailspin Toys") {
			t.Error("an editor does not see exactly the customers in the group")
		}
	})
}

// group puts people and organisations into a group.
func (w *town) group(o id.Org, orgs []id.Org, people ...*doortest.Person) {
	w.T.Helper()
	w.Exec(`insert into org_groups (id, org_id, name, name_key) values ('grp_x', $1, 'x', 'x')`, o)
	for _, one := range orgs {
		w.Exec(`insert into org_group_orgs (org_id, group_id, member_id) values ($1, 'grp_x', $2)`, o, one)
	}
	for _, p := range people {
		w.Exec(`insert into org_group_accounts (org_id, group_id, account_id) values ($1, 'grp_x', $2)`, o, p.Account)
	}
}

// Reminders go out at 14, 7, 3 and 1 days before the deadline, once each, on three nodes, also after days without a server, and stop with enrolment,
// an exception and a disabled account.
func TestReminders(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		w.Exec(`update seats set seat_limit = null`)
		w.Enrol(w.Fabrikam, "covered@fabrikam.example", access.Core)
		deadline := w.Clock.Now().AddDate(0, 0, 16)
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Everyone, From: deadline})
		stays := w.Activate(w.Fabrikam, "stays@fabrikam.example", access.Core)
		w.Exec(`update accounts set language = 'fr' where id = $1`, stays.Account)
		enrols := w.Activate(w.Fabrikam, "enrols@fabrikam.example", access.Core)
		spared := w.Activate(w.Fabrikam, "spared@fabrikam.example", access.Core)
		shut := w.Activate(w.Fabrikam, "shut@fabrikam.example", access.Core)
		jobless := w.Activate(w.Fabrikam, "jobless@fabrikam.example")
		w.Invite(w.Fabrikam, "invited@fabrikam.example", access.Core)
		pass := func() {
			t.Helper()
			var wg sync.WaitGroup
			for _, n := range all {
				wg.Go(func() {
					for range 2 {
						if err := n.Desk.Judge(context.Background()); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			settle(w.World)
		}
		reminders := func(p *doortest.Person) int {
			return w.Count(`select count(*) from outbox where kind = 'mfa-deadline' and account_id = $1 and state = 'sent'`, p.Account)
		}
		want := func(when string, n map[*doortest.Person]int) {
			t.Helper()
			for p, n := range n {
				if got := reminders(p); got != n {
					t.Errorf("%s: %s has %d reminders, want %d", when, p.Email, got, n)
				}
			}
		}
		pass()
		want("16 days before", map[*doortest.Person]int{stays: 0, enrols: 0, spared: 0, shut: 0})
		w.Clock.Move(50 * time.Hour)
		pass()
		pass()
		want("14 days before", map[*doortest.Person]int{stays: 1, enrols: 1, spared: 1, shut: 1, jobless: 0})
		w.Browser().Password(enrols).Want("login.mfa-notice").Submit("choice", "now").Want("login.mail-code").
			Submit("code", w.Mailbox.Wait(enrols.Email, "mail-code", 1).Code()).EnrolApp(enrols).Settle()
		w.Exec(`update accounts set exempt_until = $1, exempt_reason = 'x' where id = $2`, deadline.AddDate(0, 0, 30).UnixMicro(), spared.Account)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, shut.Account); err != nil {
			t.Fatal(err)
		}
		pass()
		want("a little later", map[*doortest.Person]int{stays: 1, enrols: 1, spared: 1, shut: 1})
		w.Clock.Move(9 * 24 * time.Hour) // 7 days before passed without a server: 5 are left
		pass()
		pass()
		want("5 days before", map[*doortest.Person]int{stays: 2, enrols: 1, spared: 1, shut: 1})
		w.Clock.Move(4*24*time.Hour - time.Hour) // so did 3 days before: only the nearest one is told
		pass()
		pass()
		want("a day before", map[*doortest.Person]int{stays: 3, enrols: 1, spared: 1, shut: 1})
		w.Clock.Move(48 * time.Hour)
		pass()
		want("after the date", map[*doortest.Person]int{stays: 3, enrols: 1, spared: 1, shut: 1})
		if letter := w.Mailbox.Wait(stays.Email, "mfa-deadline", 3); !contains(letter.Text, "Fabrikam demande un second facteur") {
			t.Errorf("the mail is not in the person's language: %q", letter.Text)
		}
		// A new date begins anew.
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Everyone, From: w.Clock.Now().AddDate(0, 0, 6)})
		w.Clock.Move(16 * time.Minute)
		pass()
		want("with a new date", map[*doortest.Person]int{stays: 4})
		if n := w.Count(`select count(*) from org_health`); n < 6 {
			t.Errorf("%d organisations were judged", n)
		}
	})
}

// An exception has an end and a reason, is set by who may change the rules, and ends by itself or by hand.
func TestExceptions(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		_, boss := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		cleo := w.Activate(w.Fabrikam, "cleo@fabrikam.example", access.Core)
		page := "/o/fabrikam/users/" + string(cleo.Account)
		day := func(n int) string { return w.Clock.Now().AddDate(0, 0, n).Format(time.DateOnly) }
		for _, c := range []struct{ until, reason, field string }{
			{"", "why", "exempt_until"}, {day(9), "", "exempt_reason"}, {day(9), "   ", "exempt_reason"}, {day(-1), "why", "exempt_until"},
			{day(91), "why", "exempt_until"}, {"3000-01-01", "why", "exempt_until"}, {"tomorrow", "why", "exempt_until"}, {day(9), strings.Repeat("w", 201), "exempt_reason"},
			{day(9), "a\u202eb", "exempt_reason"}, {strings.Repeat("9", 10000), "why", "exempt_until"},
		} {
			boss.Get(page).Want("user").Submit("exempt_until", c.until, "exempt_reason", c.reason).WantStatus(http.StatusUnprocessableEntity).Want("user")
			if boss.FieldError(c.field) == "" {
				t.Errorf("%.20q, %.20q: nothing at the field %s", c.until, c.reason, c.field)
			}
		}
		if n := w.Count(`select count(*) from accounts where exempt_until > 0`); n != 0 {
			t.Fatal("something was half saved")
		}
		boss.Get(page).Submit("exempt_until", day(90), "exempt_reason", "the longest").Want("user").WantStatus(http.StatusOK)
		boss.Submit("exempt_until", day(2), "exempt_reason", "new phone on its way").Want("user")
		if !contains(boss.Text(), "new phone on its way", "24 November 2026") {
			t.Errorf("the page reads %q", boss.Text())
		}
		if _, stand := w.everybody(w.Fabrikam); stand[cleo.Email] != policy.Exempt {
			t.Errorf("cleo is %s", stand[cleo.Email])
		}
		w.Browser().Password(cleo).Want("login.mfa-notice").Submit("choice", "later").Want("dashboard")
		boss.Submit(":action", "/end-exemption").Want("user")
		w.Browser().Password(cleo).Want("login.enrol")
		boss.Post(page+"/end-exemption", nil)
		if !contains(boss.Text(), "not excepted any more") {
			t.Error("an exception is withdrawn twice")
		}
		if a, b := w.Events(w.Fabrikam.ID, "account.exempted"), w.Events(w.Fabrikam.ID, "account.exemption_ended"); a != 2 || b != 1 {
			t.Errorf("%d and %d events", a, b)
		}
		// Nobody excepts themselves, and a linked account has its factors elsewhere.
		me := w.text(`select id from accounts where email_key = 'bea@fabrikam.example'`)
		boss.Post("/o/fabrikam/users/"+me+"/exempt", url.Values{"exempt_until": {day(2)}, "exempt_reason": {"why"}})
		home := w.Activate(w.Contoso, "tek@contoso.example", access.Viewer)
		w.Exec(`update accounts set home_id = $1 where id = $2`, home.Account, cleo.Account)
		boss.Post(page+"/exempt", url.Values{"exempt_until": {day(2)}, "exempt_reason": {"why"}})
		if n := w.Count(`select count(*) from accounts where exempt_until > 0`); n != 0 {
			t.Error("an exception was made that must not be")
		}
	})
}

// Twenty thousand people are judged in one go; how long that takes is logged.
func TestCampaignOfMany(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		const people = 20_000
		const n = `with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000) select `
		w.Exec(`insert into accounts (id, org_id, email, email_key, name, language, time_zone, state, created_at, invited_at, activated_at, last_sign_in_at, link_used_at) `+n+
			`'acc_many' || i, $1, 'p' || i || '@x.example', 'p' || i || '@x.example', '', '', '', 'active', 1, 1, 1, i, 0 from n`, w.Fabrikam.ID)
		w.Exec(`insert into assignments (id, org_id, account_id, role, expires_at, created_at) `+n+`'asg_many' || i, $1, 'acc_many' || i, 'core', 0, 0 from n`, w.Fabrikam.ID)
		w.Exec(`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at) `+n+
			`'fac_many' || i, $1, 'acc_many' || i, case when i % 2 = 0 then 'totp' else 'password' end, '', 'active', 0, '{}', 0, 0 from n`, w.Fabrikam.ID)
		w.Exec(`analyze`)
		start := time.Now()
		c, err := w.Desk.Campaign(t.Context(), doortest.Operator(), w.Fabrikam, policy.Overdue, "p5", 50)
		took := time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		if c.People != people || c.Covered != people/2 || c.Overdue != people/2 || len(c.List) != 50 || c.Next == "" {
			t.Errorf("counted %+v, listed %d", c.Tally, len(c.List))
		}
		t.Logf("%d people in %s", people, took)
	})
}
