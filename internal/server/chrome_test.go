package server_test

import (
	"strings"
	"testing"
	"time"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// The main job in Chromium: from an empty database to a person who signs in daily, on a phone, in German.
func TestChromeJourney(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	_, link := w.Found()
	root := &doortest.Person{World: w, Email: "root@acme.example"}
	c := w.Chrome(doortest.Phone("de-DE"))
	c.Open(link).WaitPage("activate").Click("Deutsch").WaitPage("activate") // the provider was founded in English
	chooseInChrome(c, doortest.Password, "Konto aktivieren").WaitPage("activate.done").Click("Zur Anmeldung").WaitPage("login.identifier")
	enrolInChrome(c, root).Says("Acme Provider")

	// The provider's administrator makes an MSP and invites its administrator, through the menu of the phone.
	c.Click(".fold").Click("Organisationen").WaitPage("orgs").Click("Neue Organisation").WaitPage("org.new")
	c.Click("MSP").Type("name", "Contoso IT").Type("slug", "contoso").Pick("language", "de").Click("Anlegen").WaitPage("users.invite")
	c.Type("emails", "ada@contoso.example").Click("Administrator").Click("Einladungen senden").WaitPage("users").Says("ada@contoso.example")

	// That one makes a customer and invites a person.
	ada := &doortest.Person{World: w, Email: "ada@contoso.example"}
	a := w.Chrome(doortest.Phone("de-DE"))
	a.Open(arrive(t, w, ada.Email)).WaitPage("activate").Says("Contoso IT")
	chooseInChrome(a, doortest.Password, "Konto aktivieren").WaitPage("activate.done").Click("Zur Anmeldung").WaitPage("login.identifier")
	enrolInChrome(a, ada).Click(".fold").Click("Kunden").WaitPage("orgs").Click("Neuer Kunde").WaitPage("org.new")
	a.Type("name", "Fabrikam").Type("slug", "fabrikam").Click("Anlegen").WaitPage("users.invite").Says("Fabrikam ist angelegt")
	a.Type("emails", "bea@fabrikam.example").Click("Basisbenutzer").Pick("language", "de").Click("Einladungen senden").WaitPage("users")
	a.Says("1 Einladung ist unterwegs").Click("Verlassen").WaitPage("dashboard").Says("Contoso IT")

	// The person gets in, out, and in again with a code that submits itself.
	bea := &doortest.Person{World: w, Email: "bea@fabrikam.example"}
	p := w.Chrome(doortest.Phone("de-DE"))
	p.Open(arrive(t, w, bea.Email)).WaitPage("activate").Says("Fabrikam")
	chooseInChrome(p, doortest.Password, "Konto aktivieren").WaitPage("activate.done").Click("Zur Anmeldung").WaitPage("login.identifier")
	enrolInChrome(p, bea)
	signOutInChrome(p).Says("Sie sind abgemeldet")
	p.Click("Anmelden").WaitPage("login.identifier")
	signInInChrome(p, bea, doortest.Password)

	// A forgotten password, in another browser: the first one's session ends.
	q := w.Chrome(doortest.Phone("de-DE"))
	q.Open("/o/fabrikam/login").WaitPage("login.identifier").Click("Passwort vergessen").WaitPage("forgot")
	q.Type("identifier", bea.Email).Click("Link senden").WaitPage("forgot.sent")
	q.Open(w.Mailbox.Wait(bea.Email, "reset", 1).Link("/reset/")).WaitPage("reset")
	const second = "another fine passphrase 9"
	chooseInChrome(q, second, "Passwort speichern").WaitPage("login.identifier").Says("Ihr Passwort ist geändert")
	p.Open("/o/fabrikam/").WaitPage("welcome")
	q.Type("identifier", bea.Email).Click("Weiter").WaitPage("login.password").Type("password", doortest.Password).Click("Weiter")
	q.WaitPage("login.password").Says("E-Mail oder Passwort ist nicht richtig")
	q.Type("password", second).Click("Weiter").WaitPage("login.totp").Type("code", bea.Code()).WaitPage("dashboard")
}

// The same way in on PostgreSQL, in short.
func TestChromeJourneyPostgres(t *testing.T) {
	w := doortest.New(t, sqldb.Postgres, doortest.Options{})
	_, link := w.Found()
	root := &doortest.Person{World: w, Email: "root@acme.example"}
	c := w.Chrome(doortest.Desk("en-GB"))
	c.Open(link).WaitPage("activate")
	chooseInChrome(c, doortest.Password, "Activate account").WaitPage("activate.done").Click("#main .button").WaitPage("login.identifier")
	enrolInChrome(c, root)
	signOutInChrome(c).Click("#main .button").WaitPage("login.identifier")
	signInInChrome(c, root, doortest.Password)
}

// Everything on the way in works without JavaScript: only the code needs a press of the button then.
func TestChromeWithoutScript(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	_, link := w.Found()
	root := &doortest.Person{World: w, Email: "root@acme.example"}
	look := doortest.Phone("fr-FR")
	look.NoScript = true
	c := w.Chrome(look)
	c.Open(link).WaitPage("activate").Click("Français").WaitPage("activate")
	c.Type("new_password", "short").Click(".primary").WaitPage("activate")
	if c.Text("#new_password-error") == "" || c.Text("li.broken") == "" {
		t.Error("a short password is not refused at its field, or its rule is not marked")
	}
	if !doortest.Eval[bool](c, `() => document.querySelector(".show").hidden`) {
		t.Error("JavaScript runs, or a button that needs it is offered without")
	}
	chooseInChrome(c, doortest.Password, ".primary").WaitPage("activate.done").Click(".primary").WaitPage("login.identifier")
	c.Type("identifier", root.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r")
	c.WaitPage("login.enrol").Click("[value=totp]").WaitPage("login.enrol.totp")
	root.Key = strings.ReplaceAll(c.Text("#totp-secret"), " ", "")
	c.Type("code", root.Code()).Click(".primary").WaitPage("login.recovery-codes")
	codes := recoveryCodes(c)
	c.Click("[name=saved]").WaitPage("login.passkey-offer").Click("[value=later]").WaitPage("dashboard").Click(".fold").Click("Personnes").WaitPage("users")
	signOutInChrome(c).Click(".primary").WaitPage("login.identifier")
	c.Type("identifier", root.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r").WaitPage("login.totp")
	c.Click("[name=way]").WaitPage("login.recovery").Type("code", codes[0]).Click(".primary").WaitPage("dashboard")
}

func chooseInChrome(c *doortest.Chrome, password, button string) *doortest.Chrome {
	return c.Type("new_password", password).Type("confirm_password", password).Click(button)
}

// enrolInChrome goes from the identifier through the first sign-in to the dashboard.
func enrolInChrome(c *doortest.Chrome, p *doortest.Person) *doortest.Chrome {
	c.Type("identifier", p.Email).Click(".primary").WaitPage("login.password").Type("password", doortest.Password).Press("\r")
	c.WaitPage("login.enrol").Click("[value=totp]").WaitPage("login.enrol.totp")
	p.Key = strings.ReplaceAll(c.Text("#totp-secret"), " ", "")
	c.Type("code", p.Code()).WaitPage("login.recovery-codes")
	p.Recovery = recoveryCodes(c)
	return c.Click("[name=saved]").WaitPage("login.passkey-offer").Click("[value=later]").WaitPage("dashboard")
}

// recoveryCodes returns the codes that the page shows.
func recoveryCodes(c *doortest.Chrome) []string {
	return doortest.Eval[[]string](c, `() => [...document.querySelectorAll("li.recovery-code")].map(e => e.innerText)`)
}

// signInInChrome goes from the identifier to the dashboard. Nobody presses a button for the code.
func signInInChrome(c *doortest.Chrome, p *doortest.Person, password string) *doortest.Chrome {
	c.Type("identifier", p.Email).Press("\r").WaitPage("login.password").Type("password", password).Press("\r").WaitPage("login.totp")
	code := p.Code()
	c.Click("[name=code]").Press(code[:3] + " " + code[3:5])
	time.Sleep(100 * time.Millisecond)
	if doortest.Eval[string](c, `() => document.querySelector("[data-code]")?.value`) != code[:3]+" "+code[3:5] {
		c.World.T.Error("five digits of the code were sent already")
	}
	return c.Press(code[5:]).WaitPage("dashboard")
}

func signOutInChrome(c *doortest.Chrome) *doortest.Chrome {
	return c.Click(".me summary").Click(".me form button").WaitPage("welcome")
}
