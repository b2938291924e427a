package server_test

import (
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// toEnrol takes a fresh person to the choice of a first second factor.
func toEnrol(c *doortest.Chrome, p *doortest.Person) *doortest.Chrome {
	c.Open("/o/" + p.Org.Slug + "/login").WaitPage("login.identifier")
	c.Type("identifier", p.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r")
	return c.WaitPage("login.enrol")
}

// enrolKey makes the browser's authenticator the first second factor.
func enrolKey(c *doortest.Chrome, p *doortest.Person, name string) *doortest.Chrome {
	toEnrol(c, p).Click("[value=passkey]").WaitPage("login.enrol.passkey").Type("name", name).Click("[data-webauthn=create]").WaitPage("login.recovery-codes")
	p.Recovery = recoveryCodes(c)
	return c.Click("[name=saved]")
}

// signedOut leaves the browser at the sign-in, with nobody signed in.
func signedOut(c *doortest.Chrome, p *doortest.Person) *doortest.Chrome {
	return signOutInChrome(c).Open("/o/" + p.Org.Slug + "/login").WaitPage("login.identifier")
}

// A platform's passkey is the first second factor, and from then on enough alone: by the button, and from the autofill.
func TestChromePasskeyAlone(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	p := w.Activate(f.Org, "ada@acme.example", access.Support)
	c := w.Chrome(doortest.Desk("en-GB"))
	store := c.Passkeys()
	enrolKey(c, p, "my laptop").WaitPage("dashboard") // no offer of what was just made
	held := store.Credentials()
	if len(held) != 1 || !held[0].IsResidentCredential || held[0].RpID != "localhost" || len(held[0].UserHandle) != 32 {
		t.Fatalf("the passkey: %+v", held)
	}
	c.Open("/me/security").WaitPage("me.security").Says("my laptop")

	// By the button: an authenticator that waits for its person answers no autofill.
	store.Silent(true)
	signedOut(c, p)
	store.Silent(false)
	c.Click("[data-webauthn=get]").WaitPage("dashboard")

	// From the autofill: it answers as if the person had picked it there.
	signOutInChrome(c).Open("/o/acme/login").WaitPage("dashboard")

	// Who just chose it does not have to prove anything again, and after ten minutes the passkey does it.
	c.Open("/me/security").WaitPage("me.security")
	w.Clock.Move(11 * time.Minute)
	c.Click("[action='/me/security/app'] button").WaitPage("prove").Click("[data-webauthn=get]").WaitPage("prove.resume").Click(".primary").WaitPage("me.security.app")
	if n := w.Events(f.Org.ID, string(audit.IdentityProvedAgain)); n != 1 {
		t.Errorf("%d events of a fresh proof", n)
	}
}

// Behind the password a passkey is offered to who has none; setting it up needs no second visit, and saying no goes on.
func TestChromePasskeyOffer(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	for _, takes := range []bool{true, false} {
		p := w.Activate(f.Org, map[bool]string{true: "yes", false: "no"}[takes]+"@acme.example", access.Support)
		c := w.Chrome(doortest.Phone("de-DE"))
		store := c.Passkeys()
		toEnrol(c, p).Click("[value=totp]").WaitPage("login.enrol.totp")
		p.Key = c.Text("#totp-secret")
		c.Type("code", p.Code()).WaitPage("login.recovery-codes").Click("[name=saved]").WaitPage("login.passkey-offer")
		c.Click("[value=now]").WaitPage("login.enrol.passkey")
		if !takes {
			c.Click("Jetzt nicht").WaitPage("dashboard")
			signedOut(c, p).Type("identifier", p.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r")
			c.WaitPage("login.totp").Type("code", p.Code()).WaitPage("dashboard") // not asked again for a month
			continue
		}
		c.Click("[name=name]").Press("Telefon\r").WaitPage("dashboard") // the Enter key means the button
		c.Open("/me/security").WaitPage("me.security").Says("Telefon")
		store.Silent(true)
		signedOut(c, p)
		store.Silent(false)
		c.Click("[data-webauthn=get]").WaitPage("dashboard")
	}
}

// A plain security key is a second factor behind the password, once for each key, and not enough alone.
func TestChromeSecurityKey(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	p := w.Enrol(f.Org, "ada@acme.example", access.Support)
	c := w.Chrome(doortest.Desk("en-GB"))
	c.Become(w.Browser().SignIn(p).Want("dashboard"))
	key := c.RoamingKey()

	// Adding one needs a fresh proof, which carries the wish through.
	w.Clock.Move(11 * time.Minute)
	add := "[action='/me/security/key'] button"
	c.Open("/me/security").WaitPage("me.security").Click(add).WaitPage("prove").Type("proof_code", p.Code()).WaitPage("prove.resume")
	c.Click(".primary").WaitPage("me.security.key").Type("name", "blue key").Click("[data-webauthn=create]").WaitPage("me.security").Says("blue key")
	if held := key.Credentials(); len(held) != 1 || held[0].IsResidentCredential {
		t.Fatalf("the key holds %+v", held)
	}
	if n := len(w.Mailbox.All(p.Email, "factor-added")); n < 2 {
		t.Errorf("%d mails about a new factor", n)
	}

	// The same key once more: the browser refuses, the page says why, and works on.
	c.Click(add).WaitPage("me.security.key").Type("name", "again").Click("[data-webauthn=create]")
	toldInChrome(c, "set up already")
	key.Unplug()
	second := c.RoamingKey()
	c.Click("[data-webauthn=create]").WaitPage("me.security").Says("again")
	second.Unplug()
	key = c.RoamingKey().Holds(key.held...)

	// Alone it is nothing; the page says so and the password is still there.
	signedOut(c, p).Click("[data-webauthn=get]")
	toldInChrome(c, "Nothing was confirmed")
	c.Type("identifier", p.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r").WaitPage("login.passkey")

	// Cancelled: nothing is lost, and the other ways are one press away.
	key.Silent(true)
	c.Click("[data-webauthn=get]")
	key.Unplug()
	toldInChrome(c, "Nothing was confirmed")
	c.Click("Use the authenticator app").WaitPage("login.totp").Click("Use a security key or passkey").WaitPage("login.passkey")
	key = c.RoamingKey().Holds(key.held...)
	c.Click("[data-webauthn=get]").WaitPage("dashboard")
}
