package server_test

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/policy"
)

// sitter is what the model knows of a person: what was really done to and by them, never what the server made of it.
type sitter struct {
	*doortest.Person
	disabled       bool
	role           bool
	administrative bool
	app            bool
	codes          []string // recovery codes that are left
	madeCodes      bool
	linkUsed       time.Time
	exempt         time.Time
	offers         int
	offered        time.Time
}

// modelled is one sign-in under way, as the requests that were sent make it.
type modelled struct {
	open, refused                                        bool
	who                                                  *sitter
	password, second, noticed, setUp, codesUnseen, later bool
	method                                               policy.Kind
	enrolling                                            policy.Step
	pending                                              string // key of the app that is being set up
}

// model is a browser, what it sends, and what should come of it.
type model struct {
	*town
	t         *testing.T
	r         *rand.Rand
	b         *doortest.Browser
	people    []*sitter
	rules     policy.Settings
	suspended bool
	a         modelled
	id        string
	log       []string
	finished  int
}

func (m *model) facts() policy.Facts {
	rules, _ := policy.Inherit(policy.Settings{}, policy.Settings{}, m.rules)
	p, a := m.a.who, m.a
	f := policy.Facts{Now: m.Clock.Now(), Rules: rules, Known: true, Active: !p.disabled, Suspended: m.suspended, PasswordProved: a.password,
		SecondProved: a.second, Method: a.method, Recovery: len(p.codes) > 0, LinkUsed: p.linkUsed, Enrolling: a.enrolling, CodesUnseen: a.codesUnseen,
		Exempt: p.exempt, NoticeSeen: a.noticed, SetUp: a.setUp}
	if p.role {
		f.Roles, f.Administrative = 1, p.administrative
	}
	if p.app {
		f.Enrolled = []policy.Step{policy.AskTOTP}
	}
	f.Offer = p.offers < policy.MostOffers && (p.offered.IsZero() || f.Now.Sub(p.offered) >= 30*24*time.Hour) && a.password && a.second && a.method != "" && !a.later
	return f
}

// pages are the names of the steps' pages, as the contract has them.
var pages = map[policy.Step]string{policy.AskPassword: "login.password", policy.AskTOTP: "login.totp", policy.AskRecovery: "login.recovery",
	policy.ProveMailbox: "login.mail-code", policy.ChooseFactor: "login.enrol", policy.EnrolTOTP: "login.enrol.totp", policy.ShowRecovery: "login.recovery-codes",
	policy.OfferPasskey: "login.passkey-offer", policy.Notice: "login.mfa-notice", policy.Refuse: "login.denied",
	policy.FinishSession: "login.identifier"} // it is over: the browser starts again

// send posts a step. right says whether its content is; effect is what it does then.
func (m *model) send(step policy.Step, path string, right bool, effect func(), fields ...string) {
	m.t.Helper()
	values := url.Values{"attempt": {m.id}}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	sessions := m.Count(`select count(*) from sessions`)
	want := 0
	if m.a.open && policy.Allows(m.facts(), step) && right {
		effect()
		switch policy.Decide(m.facts()).Step {
		case policy.FinishSession:
			m.a.open, want = false, 1
			m.finished++
		case policy.Refuse:
			m.a.open, m.a.refused = false, true
		}
	}
	m.log = append(m.log, path+" "+strings.Join(fields, " "))
	m.b.Post("/login/"+path, values)
	if got := m.Count(`select count(*) from sessions`) - sessions; got != want {
		m.t.Fatalf("%d sessions were made, want %d, after\n%s", got, want, strings.Join(m.log, "\n"))
	}
}

// step does one thing at random, and holds the page that follows against what Decide says.
func (m *model) step() {
	m.t.Helper()
	m.Clock.Move(31 * time.Second) // each code of an app is good once
	m.Exec(`delete from throttles`)
	flip := func() bool { return m.r.IntN(3) > 0 }
	p := m.a.who
	n := m.r.IntN(17)
	if m.a.open && m.r.IntN(3) == 0 { // often enough what is due, or hardly a sign-in would come to its end
		n = map[policy.Step]int{policy.AskPassword: 1, policy.AskTOTP: 4, policy.AskRecovery: 6, policy.ChooseFactor: 7, policy.EnrolTOTP: 9,
			policy.ShowRecovery: 11, policy.OfferPasskey: 12, policy.Notice: 13}[policy.Decide(m.facts()).Step]
	}
	switch {
	case n == 0 || p == nil:
		p = m.people[m.r.IntN(len(m.people))]
		m.a = modelled{open: true, who: p}
		m.log = append(m.log, "begin "+p.Email)
		m.b.Get("/o/fabrikam/login").Want("login.identifier").Submit("identifier", p.Email).Want("login.password")
		m.id = m.b.At.Query().Get("attempt")
	case n <= 3:
		right := flip()
		m.send(policy.AskPassword, "password", right, func() { m.a.password = true }, "password", map[bool]string{true: doortest.Password, false: "wrong"}[right])
	case n <= 5:
		right := flip() && p.app
		code := "000000"
		if right {
			code = p.Code()
		}
		m.send(policy.AskTOTP, "totp", right, func() { m.a.second, m.a.method = true, policy.TOTP }, "code", code)
	case n == 6:
		right := len(p.codes) > 0 && flip()
		code := "aaaaa-aaaaa"
		if right {
			code = p.codes[0]
		}
		m.send(policy.AskRecovery, "recovery", right, func() { m.a.second, m.a.method, p.codes = true, "", p.codes[1:] }, "code", code)
	case n <= 8:
		m.send(policy.ChooseFactor, "enrol", true, func() { m.a.enrolling = policy.EnrolTOTP }, "method", "totp")
		if m.b.Page() == "login.enrol.totp" {
			m.a.pending = strings.ReplaceAll(m.b.ByID("totp-secret"), " ", "")
		}
	case n <= 10:
		right := flip() && m.a.pending != ""
		typed := "000000"
		if right {
			typed = code(m.t, m.a.pending, m.World)
		}
		m.send(policy.EnrolTOTP, "enrol-totp", right, func() {
			p.app, p.Key, p.linkUsed, m.a.pending, m.a.enrolling = true, m.a.pending, time.Time{}, "", ""
			m.a.second, m.a.method = true, policy.TOTP
			m.a.codesUnseen = m.a.codesUnseen || !p.madeCodes
		}, "code", typed)
		if m.b.Page() == "login.recovery-codes" && !p.madeCodes {
			p.codes, p.madeCodes = m.b.Recovery(), true
		}
	case n == 11:
		m.send(policy.ShowRecovery, "recovery-codes", true, func() { m.a.codesUnseen = false }, "saved", "1")
	case n == 12:
		m.send(policy.OfferPasskey, "passkey-offer", true, func() { m.a.later, p.offered = true, m.Clock.Now(); p.offers++ }, "choice", "later")
	case n == 13:
		now := flip()
		m.send(policy.Notice, "mfa-notice", true, func() { m.a.setUp, m.a.noticed = now, !now }, "choice", map[bool]string{true: "now", false: "later"}[now])
	case n == 14:
		m.send(policy.ProveMailbox, "mail-code", false, nil, "code", "000000")
	default:
		m.change()
	}
	if m.id == "" {
		return
	}
	want := "login.denied"
	if m.a.open {
		want = pages[policy.Decide(m.facts()).Step]
	} else if !m.a.refused {
		want = "login.identifier"
	}
	if got := m.b.Get("/login/next?attempt=" + m.id).Page(); got != want && !(want == "login.identifier" && got == "error") {
		m.t.Fatalf("the page is %s, want %s, after\n%s\n%+v", got, want, strings.Join(m.log, "\n"), m.facts())
	}
}

// change does something to the world that sign-ins go on in.
func (m *model) change() {
	p := m.people[m.r.IntN(len(m.people))]
	now := m.Clock.Now()
	switch m.r.IntN(7) {
	case 0:
		m.rules.SecondFactor = []policy.Mode{"", policy.Off, policy.Administrators, policy.Everyone, policy.Everyone}[m.r.IntN(5)]
		m.rules.From = []time.Time{{}, now.Add(-time.Hour), now.Add(40 * time.Second), now.Add(time.Hour)}[m.r.IntN(4)]
		m.set(m.Fabrikam.ID, m.rules)
	case 1:
		m.rules.Factors = [][]policy.Kind{nil, {policy.Passkey}, {policy.TOTP}}[m.r.IntN(3)]
		m.set(m.Fabrikam.ID, m.rules)
	case 2:
		p.disabled = !p.disabled
		m.Exec(`update accounts set state = $1 where id = $2`, map[bool]string{true: "disabled", false: "active"}[p.disabled], p.Account)
	case 3:
		if p.role = !p.role; p.role {
			p.administrative = m.r.IntN(2) == 0
			m.Exec(`insert into assignments (id, org_id, account_id, role, expires_at, created_at) values ($1, $2, $3, $4, 0, 0)`, "asg_"+string(p.Account),
				m.Fabrikam.ID, p.Account, map[bool]string{true: access.Administrator, false: access.Core}[p.administrative])
		} else {
			m.Exec(`delete from assignments where account_id = $1`, p.Account)
		}
	case 4:
		m.suspended = !m.suspended && m.r.IntN(2) == 0
		m.Exec(`update org_nodes set state = $1 where id = $2`, map[bool]string{true: "suspended", false: "active"}[m.suspended], m.Fabrikam.ID)
	case 5:
		p.exempt = []time.Time{{}, now.Add(45 * time.Second), now.Add(time.Hour)}[m.r.IntN(3)]
		us := int64(0)
		if !p.exempt.IsZero() {
			us = p.exempt.UnixMicro()
		}
		m.Exec(`update accounts set exempt_until = $1 where id = $2`, us, p.Account)
	case 6:
		p.linkUsed = now
		m.Exec(`update accounts set link_used_at = $1 where id = $2`, now.UnixMicro(), p.Account)
	}
	m.log = append(m.log, "something was changed")
}

// Whatever is sent in whatever order, while rules, roles and states change: each page is the one that Decide names for exactly what was proved, and a
// session is made when, and only when, it says so.
func TestAnyOrder(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		finished := 0
		for seed := range uint64(8) {
			m := &model{town: w, t: t, r: rand.New(rand.NewPCG(seed, 7)), b: w.Browser()} //nolint:gosec // not a secret
			m.set(w.Fabrikam.ID, m.rules)
			m.Exec(`update org_nodes set state = 'active' where id = $1`, w.Fabrikam.ID)
			m.Exec(`update seats set seat_limit = null where org_id = $1`, w.Fabrikam.ID)
			for i := range 3 {
				p := w.Activate(w.Fabrikam, string(rune('a'+seed))+string(rune('a'+i))+"@fabrikam.example", access.Core)
				m.people = append(m.people, &sitter{Person: p, role: true, linkUsed: w.Clock.Now()})
			}
			for range 70 {
				if m.step(); m.t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
			finished += m.finished
		}
		if finished < 10 {
			t.Errorf("only %d sign-ins came to their end", finished)
		}
	})
}
