package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

const rulesPath = "/o/fabrikam/settings/sign-in"

// own returns what an organisation has set for itself.
func (w *town) own(o org.Org) policy.Settings {
	w.T.Helper()
	o, err := org.Find(w.DB.Read(w.T.Context()), o.ID)
	if err != nil {
		w.T.Fatal(err)
	}
	return o.Settings
}

// The rules are changed on their page; each says what is in effect and where it comes from, and holds at once.
func TestRulesPage(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.set(w.Contoso.ID, policy.Settings{IdleMinutes: 90, PasswordLength: 10})
		b.Get("/o/fabrikam/").Follow("Sign-in rules").Want("org.policy")
		if text := b.Text(); !contains(text, "In effect: everyone (Doorward’s default)", "90 minutes, set by Contoso IT", "10 characters, set by Contoso IT", "48 hours (Doorward’s default)") {
			t.Errorf("the page reads %q", text)
		}
		b.Submit("second_factor", "everyone", "factors", "passkey", "factors", "totp", "idle_minutes", "60", "link_hours", "24", "remember_days", "0", "password_history", "5", "invite", "administrators").
			WantStatus(http.StatusOK).Want("org.policy")
		want := policy.Settings{SecondFactor: policy.Everyone, IdleMinutes: 60, LinkHours: 24, PasswordHistory: 5, Invite: policy.InviteAdministrators, RememberDays: new(int)}
		if got := w.own(w.Fabrikam); signin.Rev(got) != signin.Rev(want) {
			t.Errorf("stored %+v", got)
		}
		if text := b.Text(); !contains(text, "The rules are saved", "In effect: everyone, set here", "1 hour, set here", "24 hours, set here", "never, set here", "the latest 5, set here") {
			t.Errorf("after saving the page reads %q", text)
		}
		// The form as it stands changes nothing, and makes no event.
		before := w.Events(w.Fabrikam.ID, "policy.changed")
		b.Get(rulesPath).Submit("do", "save").Want("org.policy")
		if w.Events(w.Fabrikam.ID, "policy.changed") != before || before != 1 {
			t.Errorf("%d events, then %d", before, w.Events(w.Fabrikam.ID, "policy.changed"))
		}
		data := w.text(`select data from events where org_id = $1 and action = 'policy.changed'`, w.Fabrikam.ID)
		if !contains(data, `"before":{`, `"idle_minutes":"60"`, `"second_factor":"everyone"`, `"second_factor":""`) {
			t.Errorf("the event says %s", data)
		}
		// Emptied, it is inherited again. A date stands in the organisation's time zone.
		w.Exec(`update orgs set time_zone = 'Europe/Berlin' where id = $1`, w.Fabrikam.ID)
		b.Get(rulesPath).Submit("idle_minutes", "", "from", "2026-12-01").Want("org.policy").WantStatus(http.StatusOK)
		if got := w.own(w.Fabrikam); got.IdleMinutes != 0 || !got.From.Equal(time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)) {
			t.Errorf("stored %+v", got)
		}
		b.Get(rulesPath).Submit("link_hours", "12").WantStatus(http.StatusOK)
		if got := w.own(w.Fabrikam); got.LinkHours != 12 || !got.From.Equal(time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)) {
			t.Errorf("stored %+v", got)
		}
		w.Clock.Move(20 * 24 * time.Hour) // the date has passed: it may stay
		b = w.Browser()
		b.SignIn(bea).Want("dashboard")
		b.Get(rulesPath).Submit("link_hours", "13").WantStatus(http.StatusOK)
		if got := w.own(w.Fabrikam); got.LinkHours != 13 {
			t.Errorf("a date that has passed keeps other rules from being saved: %+v", got)
		}
	})
}

// Wrong input is answered at its field, with what was typed, and nothing is half saved.
func TestRulesInput(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.set(w.Contoso.ID, policy.Settings{SecondFactor: policy.Everyone, Factors: []policy.Kind{policy.Passkey}, IdleMinutes: 90, PasswordLength: 12, PasswordHistory: 3, RememberDays: ptr(7)})
		w.Exec(`update sessions set amr = 'pwd hwk mfa'`) // as if it were a key: the rules from above ask for one
		before := w.own(w.Fabrikam)
		for _, c := range []struct{ field, value, says string }{
			{"second_factor", "off", "Contoso IT asks for more"}, {"second_factor", "administrators", "Contoso IT asks for more"}, {"second_factor", "sometimes", "from the list"},
			{"factors", "totp", "Nobody could sign in"}, {"factors", "pigeon", "from the list"}, {"idle_minutes", "91", "Contoso IT asks for more"},
			{"password_length", "11", "Contoso IT"}, {"password_history", "2", "Contoso IT"}, {"remember_days", "8", "Contoso IT"},
			{"idle_minutes", "0", "5 to"}, {"idle_minutes", "-7", "5 to"}, {"idle_minutes", "1e3", "5 to"}, {"idle_minutes", "٣٠", "5 to"}, {"link_hours", "99999999999999999999", "1 to 720"},
			{"absolute_hours", strings.Repeat("9", 10_000), "1 to 720"}, {"password_length", "7", "8 to 64"}, {"remember_days", "91", "0 to 90"}, {"invite", "nobody", "from the list"},
			{"from", "2026-11-19", "has passed"}, {"from", "1999-12-31T23:59", "has passed"}, {"from", "3000-01-01", "5 years"}, {"from", "soon", "not a day"},
			{"from", "2026-02-30", "not a day"}, {"from", "2026-12-01T10:00 Mars/Olympus", "not a day"}, {"from", "2031-11-22T10:01", "5 years"},
		} {
			field := url.Values{"password_history": {"4"}, "link_hours": {"24"}, c.field: {c.value}}
			if c.field == "from" {
				field.Set("second_factor", "everyone")
			}
			for _, do := range []string{"save", "preview"} {
				field.Set("do", do)
				b.Post(rulesPath, field).Want("org.policy").WantStatus(http.StatusUnprocessableEntity)
				if e := b.FieldError(c.field); !strings.Contains(e, c.says) {
					t.Errorf("%s=%.40q: the field says %q", c.field, c.value, e)
				}
				if c.field != "link_hours" && !strings.Contains(b.Body, `value="24"`) {
					t.Errorf("%s=%.40q: what was typed elsewhere is lost", c.field, c.value)
				}
			}
		}
		b.Post(rulesPath, url.Values{"idle_minutes": {"30", "40"}}).WantStatus(http.StatusUnprocessableEntity)
		if got := w.own(w.Fabrikam); signin.Rev(got) != signin.Rev(before) || w.Events(w.Fabrikam.ID, "policy.changed") != 0 {
			t.Errorf("something was saved: %+v", got)
		}
		b.Get(rulesPath + "/preview?idle_minutes=91").Want("org.policy").WantStatus(http.StatusUnprocessableEntity)
		b.Get(rulesPath + "/preview?after=" + strings.Repeat("x", 500)).Want("error")
		// What is as strict, or stricter, is taken.
		b.Post(rulesPath, url.Values{"second_factor": {"everyone"}, "factors": {"passkey"}, "idle_minutes": {"90"}, "password_length": {"12"}, "remember_days": {"0"}}).
			Want("org.policy").WantStatus(http.StatusOK)
		// What was set before the MSP became stricter has no effect any more, and whoever saves next is told.
		w.set(w.Contoso.ID, policy.Settings{SecondFactor: policy.Everyone, Factors: []policy.Kind{policy.Passkey}, IdleMinutes: 20})
		b.Get(rulesPath).Submit("link_hours", "24").Want("org.policy").WantStatus(http.StatusUnprocessableEntity)
		if e := b.FieldError("idle_minutes"); !contains(e, "Contoso IT asks for more") {
			t.Errorf("the field says %q", e)
		}
		b.Submit("idle_minutes", "").Want("org.policy").WantStatus(http.StatusOK)
		if got := w.own(w.Fabrikam); got.LinkHours != 24 || got.IdleMinutes != 0 {
			t.Errorf("stored %+v", got)
		}
	})
}

func ptr[T any](v T) *T { return &v }

// A change that keeps people from signing in without enrolling is saved when whoever makes it has seen the numbers; of two administrators at once
// the second is told.
func TestRulesThatShutOut(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Administrators})
		for _, name := range []string{"cem", "coy"} {
			w.Activate(w.Fabrikam, name+"@fabrikam.example", access.Core)
		}
		draft := url.Values{"second_factor": {"everyone"}, "factors": {"passkey"}, "link_hours": {"24"}}
		b.Post(rulesPath, draft).Want("org.policy").WantStatus(http.StatusUnprocessableEntity)
		if e := b.FieldError("confirm"); !strings.Contains(e, "3 of 3 people") || !strings.Contains(e, "you among them") {
			t.Errorf("it says %q", e)
		}
		if s := w.own(w.Fabrikam); s.SecondFactor != policy.Administrators {
			t.Fatalf("it was saved unconfirmed: %+v", s)
		}
		// The box confirms this draft and no other.
		seen := attrOf(b.Body, "confirm")
		b.Post(rulesPath, url.Values{"second_factor": {"everyone"}, "factors": {"passkey"}, "link_hours": {"25"}, "confirm": {seen}}).WantStatus(http.StatusUnprocessableEntity)
		// The preview shows who, has an address, and saves.
		draft.Set("do", "preview")
		b.Post(rulesPath, draft).Want("org.policy.preview").WantStatus(http.StatusOK)
		if text := b.Text(); !contains(text, "If this held now, 3 of 3 people could not sign in without enrolling, you among them", "cem@fabrikam.example", "3 people who can sign in today") {
			t.Errorf("the preview reads %q", text)
		}
		address := b.At.RequestURI()
		b.Get(address).Want("org.policy.preview")
		b.Follow("Change").Want("org.policy")
		if !strings.Contains(b.Body, `value="24"`) {
			t.Error("the draft is lost on the way back from the preview")
		}
		stale := w.Browser()
		stale.Client.Jar = b.Client.Jar
		stale.Get(rulesPath).Want("org.policy")
		b.Get(address).Submit(":action", rulesPath).Want("factor-due") // the rules hold for who made them, too
		if s := w.own(w.Fabrikam); s.SecondFactor != policy.Everyone || len(s.Factors) != 1 || s.LinkHours != 24 {
			t.Errorf("stored %+v", s)
		}
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Everyone, LinkHours: 24})
		stale.Submit("password_length", "20").Want("org.policy").WantStatus(http.StatusUnprocessableEntity)
		if text := stale.Text(); !contains(text, "Somebody changed these rules meanwhile", "24 hours, set here") || !strings.Contains(stale.Body, `value="20"`) {
			t.Errorf("the second one is told %q", text)
		}
		if s := w.own(w.Fabrikam); s.LinkHours != 24 || s.PasswordLength != 0 {
			t.Errorf("the second one overwrote the first: %+v", s)
		}
		// A later date shuts nobody out today, so it needs no confirmation.
		w.set(w.Fabrikam.ID, policy.Settings{SecondFactor: policy.Administrators})
		b = w.Browser()
		b.Client.Jar = stale.Client.Jar
		b.Post(rulesPath, url.Values{"second_factor": {"everyone"}, "from": {"2026-12-20"}}).Want("org.policy").WantStatus(http.StatusOK)
		b.Get(rulesPath + "/preview?second_factor=everyone&from=2026-12-21").Want("org.policy.preview")
		if text := b.Text(); !contains(text, "If this held now, 2 of 3 people could not sign in without enrolling.") || contains(text, "As soon as you save") {
			t.Errorf("the preview of a date reads %q", text)
		}
	})
}

// attrOf returns the value of the check box with that name.
func attrOf(body, name string) string {
	_, rest, _ := strings.Cut(body, `name="`+name+`" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// A rule of an MSP is previewed for the people of its customers too.
func TestPreviewBelow(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		for _, o := range []org.Org{w.Contoso, w.Fabrikam, w.Tailspin} {
			w.set(o.ID, policy.Settings{SecondFactor: policy.Off})
		}
		w.Activate(w.Fabrikam, "cem@fabrikam.example", access.Core)
		w.Activate(w.Tailspin, "tod@tailspin.example", access.Core)
		w.Activate(w.Wingtip, "win@wingtip.example", access.Core)
		p, err := w.Desk.Preview(t.Context(), doortest.Operator(), w.Contoso.ID, policy.Settings{SecondFactor: policy.Everyone}, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if p.Orgs != 2 || p.There != 2 || p.Newly != 2 || p.Below.People != 2 || p.Shut != 0 {
			t.Errorf("the preview says %+v", p)
		}
		err = w.Desk.SetRules(t.Context(), doortest.Operator(), w.Contoso.ID, signin.Draft{Settings: policy.Settings{SecondFactor: policy.Everyone}})
		if e := refusal.As(err); e == nil || e.Field != "confirm" {
			t.Errorf("unconfirmed: %v", err)
		}
		// A customer that asks for it already is not concerned.
		w.set(w.Tailspin.ID, policy.Settings{SecondFactor: policy.Everyone})
		if p, err = w.Desk.Preview(t.Context(), doortest.Operator(), w.Contoso.ID, policy.Settings{SecondFactor: policy.Administrators}, "", 10); err != nil || p.Orgs != 1 || p.Newly != 0 {
			t.Errorf("the preview says %+v, %v", p, err)
		}
	})
}

// Where administrators alone add people, neither co-managers nor editors do, and their button says why.
func TestWhoMayInvite(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		w.set(w.Fabrikam.ID, policy.Settings{Invite: policy.InviteAdministrators})
		_, boss := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, co := w.enrolled(w.Fabrikam, "cora@fabrikam.example", access.CoManager)
		emil, editor := w.enrolled(w.Contoso, "emil@contoso.example", access.Editor)
		w.group(w.Contoso.ID, []id.Org{w.Fabrikam.ID}, emil)
		pending, _ := w.Invite(w.Fabrikam, "pending@fabrikam.example", access.Core)
		for i, c := range []struct {
			b   *doortest.Browser
			may bool
		}{{boss, true}, {co, false}, {editor, false}} {
			email := "new" + string(rune('a'+i)) + "@fabrikam.example"
			c.b.Get("/o/fabrikam/users").Want("users")
			if contains(c.b.Text(), "Only administrators add people here") == c.may {
				t.Errorf("%d: the list reads %q", i, c.b.Text())
			}
			c.b.Get("/o/fabrikam/users/invite")
			if got := c.b.Page() == "users.invite"; got != c.may {
				t.Errorf("%d: the form: %s", i, c.b.Page())
			}
			c.b.Post("/o/fabrikam/users/invite", url.Values{"emails": {email}, "roles": {"core"}})
			if n := w.Count(`select count(*) from accounts where email_key = $1`, email); n == 1 != c.may {
				t.Errorf("%d: invited: %d, %s", i, n, c.b.Page())
			}
			c.b.Post("/o/fabrikam/users/"+string(pending.Account)+"/resend", nil)
			if got := c.b.Status == http.StatusOK; got != c.may {
				t.Errorf("%d: sending again answers %d", i, c.b.Status)
			}
		}
		if _, err := w.Directory.Invite(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.Invitation{Emails: []string{"op@fabrikam.example"}, Roles: []string{"core"}}); err != nil {
			t.Errorf("the operator is refused: %v", err)
		}
	})
}
