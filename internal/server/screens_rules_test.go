package server_test

import (
	"net/url"
	"testing"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/locale"
	"doorward/internal/policy"
)

// The pages about sign-in rules and how people stand to them, as people see them: an administrator plans a date, sees who would be shut out, reminds
// them and watches, on a phone in German and in a wide window in English.
func TestChromeRules(t *testing.T) {
	for _, one := range []struct {
		name string
		look doortest.Look
		lang locale.Language
	}{
		{"phone", doortest.Phone("de-DE"), locale.German},
		{"desk", doortest.Desk("en-GB"), locale.English},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			gallery{village: newVillage(t, one.lang), name: one.name, look: one.look}.rules()
		})
	}
}

func (g gallery) rules() {
	w := &town{World: g.World}
	w.set(g.contoso.ID, policy.Settings{IdleMinutes: 120, PasswordLength: 10})
	w.set(g.fabrikam.ID, policy.Settings{SecondFactor: policy.Administrators})
	for _, name := range []string{"ida", "jon", "kim"} {
		g.Activate(g.fabrikam, name+"@fabrikam.example", access.Core)
	}
	g.Exec(`update accounts set exempt_until = $1, exempt_reason = 'Neues Telefon unterwegs' where email_key = 'kim@fabrikam.example'`, g.Clock.Now().AddDate(0, 0, 9).UnixMicro())
	c := g.visitor(g.online(g.bea))
	c.Open("/o/fabrikam/settings/sign-in").WaitPage("org.policy")
	g.see(c, "rules")
	c.Type("idle_minutes", "1000").Type("password_length", "viel").Click(".form .primary").WaitPage("org.policy")
	g.see(c, "rules-wrong")
	c.Open("/o/fabrikam/settings/sign-in?" + url.Values{"rev": {"x"}, "second_factor": {"everyone"}}.Encode()).WaitPage("org.policy")
	c.Click(".form .primary").WaitPage("org.policy")
	c.Open("/o/fabrikam/settings/sign-in").WaitPage("org.policy")
	doortest.Eval[struct{}](c, `() => { document.getElementById("second_factor").value = "everyone" }`)
	c.Click(".form .primary").WaitPage("org.policy")
	g.see(c, "rules-confirm")
	doortest.Eval[struct{}](c, `(d) => { document.getElementById("from").value = d }`, g.Clock.Now().AddDate(0, 0, 20).Format("2006-01-02T15:04"))
	c.Click("[value=preview]").WaitPage("org.policy.preview")
	g.see(c, "rules-preview")
	c.Click(".work form .primary").WaitPage("org.policy")
	g.see(c, "rules-saved")
	c.Open("/o/fabrikam/security").WaitPage("campaign")
	g.see(c, "campaign")
	doortest.Eval[struct{}](c, `() => { document.querySelector("input[name=account]").checked = true }`)
	c.Click("[action$='/remind'] .button").WaitPage("campaign")
	g.see(c, "campaign-reminded")
	// Somebody sets theirs up, and the picture says so.
	before := c.Text("main")
	ida := &doortest.Person{World: g.World, Account: g.account("ida@fabrikam.example"), Org: g.fabrikam, Email: "ida@fabrikam.example"}
	g.Browser().Password(ida).Want("login.mfa-notice").Submit("choice", "now").EnrolApp(ida).Settle()
	if c.Open("/o/fabrikam/security").WaitPage("campaign"); c.Text("main") == before {
		g.T.Error("the campaign does not see that somebody enrolled")
	}
	c.Open("/o/fabrikam/users/" + string(g.account("kim@fabrikam.example"))).WaitPage("user")
	g.see(c, "person-excepted")

	c = g.visitor(g.online(g.ada))
	if err := g.Desk.Judge(g.T.Context()); err != nil {
		g.T.Fatal(err)
	}
	c.Open("/o/contoso/security").WaitPage("campaign")
	g.see(c, "campaign-below")
}
