package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/policy"
)

// set stores an organisation's own rules.
func (w *town) set(o id.Org, s policy.Settings) {
	w.T.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Exec(`update orgs set settings = $1 where id = $2`, string(text), o)
}

// Before the date there is a notice at each sign-in, and a banner; from the date on a second factor is enrolled in the sign-in (mission C1).
func TestNoticeBeforeTheDate(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		deadline := w.Clock.Now().Add(5*24*time.Hour - time.Hour)
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Everyone, From: deadline})
		cleo := w.Activate(w.Fabrikam, "cleo@fabrikam.example", access.Core)
		w.Clock.Move(72 * time.Hour) // the link of the activation vouches for nothing any more
		b := w.Browser()
		b.Password(cleo).Want("login.mfa-notice")
		if text := b.Text(); !contains(text, "Fabrikam asks for a second factor", "2 days left") {
			t.Errorf("the notice reads %q", text)
		}
		b.Submit("choice", "later").Want("dashboard")
		if !contains(b.Text(), "2 days left", "Set up now") {
			t.Error("no banner in the console")
		}
		// Each sign-in says so again; setting up works right there, by way of the mailbox.
		again := w.Browser()
		again.Password(cleo).Want("login.mfa-notice").Submit("choice", "sometime").WantStatus(http.StatusUnprocessableEntity).Want("login.mfa-notice")
		again.Submit("choice", "now").Want("login.mail-code")
		again.Submit("code", w.Mailbox.Wait(cleo.Email, "mail-code", 1).Code()).Want("login.enrol").Submit("method", "passkey").Want("login.enrol.passkey")
		again.Post("/login/not-now", nil).Want("login.mfa-notice")
		again.Submit("choice", "now").EnrolApp(cleo).Settle()
		if contains(again.Text(), "Set up now") {
			t.Error("a banner although the second factor is there")
		}
		w.Clock.Move(time.Minute)
		w.Browser().Password(cleo).Want("login.totp")
	})
}

// The deadline passes while somebody signs in, and while somebody is signed in.
func TestDeadlinePasses(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		deadline := w.Clock.Now().Add(2 * time.Hour)
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Everyone, From: deadline, IdleMinutes: 600})
		cleo := w.Activate(w.Fabrikam, "cleo@fabrikam.example", access.Core)
		in, trying := w.Browser(), w.Browser()
		in.Password(cleo).Want("login.mfa-notice").Submit("choice", "later").Want("dashboard")
		w.Clock.Move(2*time.Hour - time.Minute)
		trying.Password(cleo).Want("login.mfa-notice")
		w.Clock.Move(time.Minute)
		trying.Submit("choice", "later").Want("login.identifier") // that question is over
		trying.Password(cleo).Want("login.enrol")
		for _, path := range []string{"/o/fabrikam/", "/me", "/me/security", "/o/fabrikam/login"} {
			in.Get(path)
			if in.Page() != "factor-due" && path != "/o/fabrikam/login" {
				t.Errorf("%s answers %s after the deadline", path, in.Page())
			}
		}
		before := w.Count(`select count(*) from sessions`)
		in.Post("/me", map[string][]string{"name": {"Mallory"}}).Want("factor-due")
		if n := w.Count(`select count(*) from accounts where name = 'Mallory'`); n != 0 {
			t.Error("a session without the second factor changed something")
		}
		in.Get("/o/fabrikam/").Want("factor-due").Submit().Want("login.password").Submit("password", doortest.Password).EnrolApp(cleo).Settle()
		if n := w.Count(`select count(*) from sessions`); n != before+1 {
			t.Errorf("%d sessions, before %d", n, before)
		}
	})
}

// Who becomes an administrator has to have a second factor before the first administrative page, in a running session too (mission C2).
func TestPromotedInARunningSession(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Administrators})
		_, boss := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		cleo := w.Activate(w.Fabrikam, "cleo@fabrikam.example", access.Core)
		b := w.Browser()
		b.Password(cleo).Want("dashboard")
		boss.Get("/o/fabrikam/users/" + string(cleo.Account)).Want("user")
		boss.Post("/o/fabrikam/users/"+string(cleo.Account)+"/roles", map[string][]string{"roles": {access.CoManager}})
		b.Get("/o/fabrikam/users").Want("factor-due")
		b.Submit().Want("login.password").Submit("password", doortest.Password).EnrolApp(cleo).Submit("saved", "1").Submit("choice", "later").Want("users")
	})
}

// Who comes into a customer with a session from above meets the customer's rules, as on a sign-in that leads there. An exception at home is none there.
func TestCustomersRulesForTechnicians(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.set(w.Contoso.ID, policy.Settings{SecondFactor: policy.Off})
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Administrators})
		ada := w.Activate(w.Contoso, "ada@contoso.example", access.Administrator)
		w.Exec(`update accounts set exempt_until = $1, exempt_reason = 'x' where id = $2`, w.Clock.Now().Add(time.Hour).UnixMicro(), ada.Account)
		b := w.Browser()
		b.Password(ada).Want("dashboard")
		b.Get("/o/tailspin/users").Want("users") // off there too
		b.Get("/o/fabrikam/users").Want("factor-due")
		b.Post("/o/fabrikam/users/invite", map[string][]string{"emails": {"x@fabrikam.example"}, "roles": {access.Core}}).Want("factor-due")
		if n := w.Count(`select count(*) from accounts where email_key = 'x@fabrikam.example'`); n != 0 {
			t.Error("somebody was invited by a password alone")
		}
		b.Submit().Want("login.password").Submit("password", doortest.Password).EnrolApp(ada).Submit("saved", "1").Submit("choice", "later").Want("dashboard")
		b.Get("/o/fabrikam/users").Want("users")
	})
}

// An exception spares one person the second factor until its end (mission C4).
func TestExceptionEnds(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		cleo, dan := w.Activate(w.Fabrikam, "cleo@fabrikam.example", access.Core), w.Activate(w.Fabrikam, "dan@fabrikam.example", access.Core)
		until := w.Clock.Now().Add(48 * time.Hour)
		w.Exec(`update accounts set exempt_until = $1, exempt_reason = 'new phone' where id = $2`, until.UnixMicro(), cleo.Account)
		b := w.Browser()
		b.Password(cleo).Want("login.mfa-notice").Submit("choice", "later").Want("dashboard")
		w.Browser().Password(dan).Want("login.enrol")
		w.Clock.Move(48*time.Hour - time.Minute)
		w.Browser().Password(cleo).Want("login.mfa-notice")
		w.Clock.Move(time.Minute)
		w.Browser().Password(cleo).Want("login.mail-code") // 48 hours after its link
	})
}

// Where only keys count, an authenticator app is proved and then a key has to be set up; the app cannot be enrolled any more.
func TestKeysOnly(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Everyone, Factors: []policy.Kind{policy.Passkey}})
		b.Get("/o/fabrikam/").Want("factor-due")
		w.Clock.Move(time.Minute)
		again := w.Browser()
		again.Password(bea).Want("login.totp").Submit("code", bea.Code()).Want("login.enrol")
		if contains(again.Text(), "six-digit code") {
			t.Error("an app is offered where only keys count")
		}
		again.Submit("method", "totp").WantStatus(http.StatusUnprocessableEntity).Want("login.enrol")
		again.Submit("method", "passkey").Want("login.enrol.passkey")
	})
}

// Why someone can, or cannot, sign in stands on their page.
func TestExplained(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, boss := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		cleo := w.Activate(w.Fabrikam, "cleo@fabrikam.example", access.Core)
		says := func(parts ...string) {
			t.Helper()
			if text := boss.Get("/o/fabrikam/users/" + string(cleo.Account)).Want("user").Text(); !contains(text, parts...) {
				t.Errorf("the page lacks one of %q", parts)
			}
		}
		says("has to set up a second factor", "The rules ask everyone", "default holds", "Nobody has tried")
		w.set(w.Contoso.ID, policy.Settings{SecondFactor: policy.Administrators})
		says("Can sign in now", "ask this person for no second factor", "set by Contoso")
		for range 6 {
			w.Browser().Get("/o/fabrikam/login").Submit("identifier", cleo.Email).Submit("password", "wrong")
			w.Clock.Move(time.Second)
		}
		says("Can sign in again in", "Sign-in failed")
		w.Clock.Move(time.Minute)
		w.Exec(`delete from assignments where account_id = $1`, cleo.Account)
		w.Browser().Password(cleo).Want("login.denied")
		says("Cannot sign in now", "has no role", "Sign-in refused no role")
	})
}

// contains tells whether a text has all the parts.
func contains(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}
