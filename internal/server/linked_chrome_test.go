package server_test

import (
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// A person with three organisations, on a phone of 390 pixels: at home with the MSP, and with linked accounts at two of its customers.
func TestChromeThreeOrganisations(t *testing.T) {
	w := build(doortest.New(t, sqldb.SQLite, doortest.Options{}))
	tess := w.Enrol(w.Contoso, "tess@contoso.example", access.Viewer)
	w.Invite(w.Fabrikam, "tess@fabrikam.example", access.Core)
	w.Invite(w.Tailspin, "tess@tailspin.example", access.Administrator)
	c := w.Chrome(doortest.Phone("en-GB"))
	right := func(page string) *doortest.Chrome {
		t.Helper()
		c.WaitPage(page)
		for _, problem := range doortest.Eval[[]string](c, inspect, c.Look.Width, "en") {
			t.Errorf("%s: %s", page, problem)
		}
		return c
	}
	typeIn := func() {
		t.Helper()
		c.Type("identifier", tess.Email).Press("\r")
		right("login.password").Type("password", doortest.Password).Press("\r")
		right("login.totp").Type("code", tess.Code())
	}

	// The first invitation leads through the sign-in at home and back; for the second one the account is there already.
	c.Open(arrive(t, w.World, "tess@fabrikam.example"))
	right("activate").Click("Sign in with your Contoso IT account")
	right("login.identifier")
	typeIn()
	right("activate").Says("tess@contoso.example").Click("Link my Contoso IT account")
	right("me").Says("Your account is linked with Fabrikam").Says("Your organisations")
	c.Open(arrive(t, w.World, "tess@tailspin.example"))
	right("activate").Click("Link my Contoso IT account")
	right("me").Says("Tailspin Toys")

	// In, and back.
	c.Click("[action='/me/enter'] button")
	right("dashboard").Says("You are in Fabrikam as tess@fabrikam.example, managed by Contoso IT.")
	c.Click(".strip button")
	right("dashboard").Says("Contoso IT")
	signOutInChrome(c)

	// At the next sign-in the chooser asks which of the three.
	c.Open("/o/contoso/login")
	right("login.identifier")
	typeIn()
	right("login.chooser").Says("Fabrikam").Says("Tailspin Toys").Says("Contoso IT")
	c.Click("Tailspin Toys")
	right("dashboard").Says("You are in Tailspin Toys as tess@tailspin.example")
	c.Click(".fold").Click("People")
	c.WaitPage("users")
	if strings.Contains(c.Text("body"), "fabrikam") {
		t.Error("one customer's page names the other one")
	}
	c.Open("/me/security")
	right("me.security").Says("live there").Click("Go to your Contoso IT account")
	right("me.security").Says("Authenticator app")

	// From the customer's own page, by the constant button.
	signOutInChrome(c)
	c.Open("/o/fabrikam/login")
	right("login.identifier").Click("Sign in with your Contoso IT account")
	right("login.identifier")
	typeIn()
	right("dashboard").Says("You are in Fabrikam")

	// And the link is taken away again.
	c.Open("/me/unlink/fabrikam")
	right("unlink").Says("A fresh invitation goes to tess@fabrikam.example").Click("Remove link")
	right("me").Says("The link is removed").Says("Tailspin Toys")
	if n := w.Count(`select count(*) from accounts where home_id is not null`); n != 1 {
		t.Errorf("%d linked accounts are left, want the one at Tailspin", n)
	}
}

// Accounts that are linked: how one becomes it, what it looks like inside, and what an administrator sees.
func (g gallery) linked() {
	g.Exec(`update seats set seat_limit = seat_limit + 2 where org_id = $1`, g.fabrikam.ID)
	tess := g.Enrol(g.contoso, "tess@contoso.example", access.Viewer)
	g.Exec(`update accounts set name = 'Tess van der Berg-Grünewald' where id = $1`, tess.Account)
	there, link := g.Invite(g.fabrikam, "tess@fabrikam.example", access.Core)
	g.visitor(nil).Open(link).WaitPage("activate") // the way with nobody signed in is pictured in firstTime
	c := g.visitor(g.online(tess))
	c.Open(link).WaitPage("activate")
	g.see(c, "activate-link")
	c.Click("[action$='/link'] button").WaitPage("me")
	g.see(c, "me-linked")
	c.Open("/me/unlink/fabrikam").WaitPage("unlink")
	g.see(c, "unlink")
	c.Open("/me").WaitPage("me").Click("[action='/me/enter'] button").WaitPage("dashboard")
	g.see(c, "dashboard-linked")
	c.Open("/me/security").WaitPage("me.security")
	g.see(c, "security-linked")

	a := g.visitor(g.online(g.bea))
	a.Open("/o/fabrikam/users/" + string(there.Account)).WaitPage("user")
	g.see(a, "person-linked")

	// Another one is about to link an account that was their own.
	gil := g.Enrol(g.fabrikam, "uma@fabrikam.example", access.Core)
	uma := g.Enrol(g.contoso, "uma@contoso.example", access.Viewer)
	u := g.visitor(g.online(gil))
	u.Open("/me").WaitPage("me").Click("[action='/me/link'] button").WaitPage("login.identifier")
	u.Type("identifier", uma.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r").WaitPage("login.totp")
	u.Type("code", uma.Code()).WaitPage("link")
	g.see(u, "link")
}
