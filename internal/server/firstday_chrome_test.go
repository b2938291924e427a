package server_test

import (
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// An MSP's first day with Doorward: it gives itself a face, makes a customer with its first administrator, that one comes in and invites a person, and
// the MSP sees them arrive.
func TestChromeFirstDay(t *testing.T) {
	w := build(doortest.New(t, sqldb.SQLite, doortest.Options{}))
	ada := w.Enrol(w.Contoso, "ada@contoso.example", access.Administrator)
	m := w.Chrome(doortest.Desk("en-GB"))
	m.Open("/o/contoso/login").WaitPage("login.identifier")
	signInInChrome(m, ada, doortest.Password)

	// Its colour, with the preview that follows what is typed.
	accent := func(c *doortest.Chrome, selector string) string {
		t.Helper()
		return doortest.Eval[string](c, `s => getComputedStyle(document.querySelector(s)).backgroundColor`, selector)
	}
	m.Click("Settings").WaitPage("org.settings").Click("Change logo and colour").WaitPage("org.branding")
	says := func(text string) {
		t.Helper()
		await(t, text, func() bool { return strings.Contains(m.Text("main"), text) })
	}
	m.Type("accent", "#ffff00")
	says("This colour stands out from light pages by 1 to 1")
	m.Type("accent", "#0b6b4f")
	await(t, "the preview in the new colour", func() bool { return accent(m, ".in-light .primary") == "rgb(11, 107, 79)" })
	m.Click(".form .actions .primary").WaitPage("org.branding").Says("Logo and colour are saved")
	if got := accent(m, ".form .actions .primary"); got != "rgb(11, 107, 79)" {
		t.Errorf("the button is %s", got)
	}

	// A customer: the tenant domain comes from the name, and the page says at once that it is taken, and that another one is free.
	m.Click("Customers").WaitPage("orgs").Click("New customer").WaitPage("org.new").Type("name", "Fabrikam")
	says("This tenant domain is taken")
	m.Type("name", "Großhandel Süd")
	says("This tenant domain is free")
	if slug := doortest.Eval[string](m, `() => document.querySelector("form[data-check] [name=slug]").value`); slug != "grosshandel-sud" {
		t.Errorf("the tenant domain is %q", slug)
	}
	m.Pick("language", "en").Type("seat_limit", "3").Type("admin", "sue@sued.example").Click("Create").WaitPage("users").Says("sue@sued.example is invited as its first administrator")

	// Its administrator comes in, in the MSP's colour, and invites a person.
	sue := &doortest.Person{World: w.World, Email: "sue@sued.example"}
	s := w.Chrome(doortest.Phone("en-GB"))
	s.Open(arrive(t, w.World, sue.Email)).WaitPage("activate").Says("Großhandel Süd")
	if got := accent(s, ".primary"); got != "rgb(11, 107, 79)" {
		t.Errorf("the customer's button is %s", got)
	}
	chooseInChrome(s, doortest.Password, ".primary").WaitPage("activate.done").Click(".primary").WaitPage("login.identifier")
	enrolInChrome(s, sue).Click(".fold").Click("People").WaitPage("users")
	s.Open("/o/grosshandel-sud/users/invite").WaitPage("users.invite").Type("emails", "tom@sued.example").Click("Core user").Click(".form .primary").WaitPage("users").Says("tom@sued.example")

	// The MSP sees who has arrived and who has not.
	m.Open("/o/grosshandel-sud/users").WaitPage("users").Says("tom@sued.example")
	state := func(email string) string {
		return doortest.Eval[string](m, `email => [...document.querySelectorAll("tr")].find(r => r.textContent.includes(email))?.textContent ?? ""`, email)
	}
	if !strings.Contains(state(sue.Email), "Active") || !strings.Contains(state("tom@sued.example"), "Invited") {
		t.Errorf("the list says %q and %q", state(sue.Email), state("tom@sued.example"))
	}
	m.Says("2 of 3")
	tom := &doortest.Person{World: w.World, Email: "tom@sued.example"}
	p := w.Chrome(doortest.Phone("en-GB"))
	p.Open(arrive(t, w.World, tom.Email)).WaitPage("activate")
	chooseInChrome(p, doortest.Password, ".primary").WaitPage("activate.done").Click(".primary").WaitPage("login.identifier")
	enrolInChrome(p, tom)
	m.Open("/o/grosshandel-sud/users").WaitPage("users")
	if !strings.Contains(state(tom.Email), "Active") {
		t.Errorf("the list says %q", state(tom.Email))
	}
	m.Open("/o/contoso/orgs").WaitPage("orgs").Says("Großhandel Süd").Says("2 / 3")
}

// await waits until something is so in a browser.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there was not %s", what)
		}
	}
}
