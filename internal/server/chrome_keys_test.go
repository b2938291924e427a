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
