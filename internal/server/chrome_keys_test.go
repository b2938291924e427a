package server_test

import (
	"strings"
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

// toldInChrome waits until the script has said something on the page, which still works.
func toldInChrome(c *doortest.Chrome, part string) {
	c.World.T.Helper()
	said := ""
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if said = c.Text("[data-told]:not([hidden])"); said != "" && strings.Contains(said, part) {
			if doortest.Eval[bool](c, `() => document.querySelector("[data-webauthn]").disabled`) {
				c.World.T.Error("the button stays disabled")
			}
			return
		}
	}
	c.World.T.Fatalf("the page says %q, want %q", said, part)
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
		c := w.Chrome(doortest.Phone("de-DE")).NoAutofill()
		c.Passkeys()
		toEnrol(c, p).Click("[value=totp]").WaitPage("login.enrol.totp")
		p.Key = c.Text("#totp-secret")
		c.Type("code", p.Code()).WaitPage("login.recovery-codes").Click("[name=saved]").WaitPage("login.passkey-offer")
		c.Click("[value=now]").WaitPage("login.enrol.passkey")
		if !takes {
			c.Click("Not now").WaitPage("dashboard")
			signedOut(c, p).Type("identifier", p.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r")
			c.WaitPage("login.totp").Type("code", p.Code()).WaitPage("dashboard") // not asked again for a month
			continue
		}
		c.Click("[name=name]").Press("phone\r").WaitPage("dashboard") // the Enter key means the button
		c.Open("/me/security").WaitPage("me.security").Says("phone")
		signedOut(c, p).Click("[data-webauthn=get]").WaitPage("dashboard")
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
	held := key.Credentials()
	if len(held) != 1 || held[0].IsResidentCredential {
		t.Fatalf("the key holds %+v", held)
	}
	w.Mailbox.Wait(p.Email, "factor-added", 2)

	// The same key once more: the browser refuses, the page says why, and works on.
	c.Click(add).WaitPage("me.security.key").Type("name", "again").Click("[data-webauthn=create]")
	toldInChrome(c, "set up already")
	key.Unplug()
	second := c.RoamingKey()
	c.Click("[data-webauthn=create]").WaitPage("me.security").Says("again")
	second.Unplug()
	key = c.RoamingKey().Holds(held...)

	// Alone it is nothing; the page says so and the password is still there.
	signedOut(c, p).Click("[data-webauthn=get]")
	toldInChrome(c, "Nothing was confirmed")
	c.Type("identifier", p.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r").WaitPage("login.passkey")

	// Cancelled: nothing is lost, and the other ways are one press away.
	key.Silent(true)
	doortest.Eval[struct{}](c, shortly)
	c.Click("[data-webauthn=get]")
	toldInChrome(c, "Nothing was confirmed")
	key.Silent(false)
	c.Click("Use the authenticator app").WaitPage("login.totp").Click("Use a security key or passkey").WaitPage("login.passkey")
	c.Click("[data-webauthn=get]").WaitPage("dashboard")
}

// A passkey that did not verify its person, that is a copy, or that was taken away gets nobody in, and each says what to do.
func TestChromePasskeyRefused(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	p := w.Activate(f.Org, "ada@acme.example", access.Support)
	c := w.Chrome(doortest.Desk("en-GB")).NoAutofill()
	store := c.Passkeys()
	enrolKey(c, p, "").WaitPage("dashboard")
	old := store.Credentials()
	signedOut(c, p).Click("[data-webauthn=get]").WaitPage("dashboard")
	refused := func(part string) {
		t.Helper()
		before := w.Events(f.Org.ID, string(audit.SignInFailed))
		c.Click("[data-webauthn=get]").WaitPage("login.identifier").Says(part)
		if w.Events(f.Org.ID, string(audit.SignInFailed)) != before+1 {
			t.Errorf("%q is not recorded", part)
		}
	}
	signedOut(c, p)

	store.Verifies(false) // the browser notices itself
	c.Click("[data-webauthn=get]")
	toldInChrome(c, "Nothing was confirmed")
	store.Verifies(true)
	store.Unverified(true) // the server does
	refused("did not check that it is you")
	store.Unverified(false)
	newer := store.Credentials()
	store.Unplug()
	store = c.Passkeys().Holds(old...) // a copy from before, with its counter
	refused("not accepted")
	store.Unplug()
	c.Passkeys().Holds(newer...)
	c.Click("[data-webauthn=get]").WaitPage("dashboard")

	signedOut(c, p)
	w.Exec(`delete from factors where kind = 'passkey'`)
	refused("not accepted")
}

// Tabs that stand at the sign-in at once don't take each other's question away, and the browser's request of the autofill gives way to the button.
func TestChromePasskeyTabs(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	p := w.Activate(f.Org, "ada@acme.example", access.Support)
	one := w.Chrome(doortest.Desk("en-GB"))
	store := one.Passkeys()
	enrolKey(one, p, "").WaitPage("dashboard")
	store.Silent(true)
	signOutInChrome(one).Open("/o/acme/login?to=%2Fme").WaitPage("login.identifier")
	waitForQuestions(t, w, 1)
	two := one.Tab()
	two.Passkeys().Silent(true)
	two.Open("/o/acme/login").WaitPage("login.identifier")
	two.Type("identifier", p.Email).Press("\r").WaitPage("login.password") // a sign-in of its own, under way
	store.Silent(false)
	one.Click("[data-webauthn=get]").WaitPage("me") // where this tab wanted to go
	two.Type("password", doortest.Password).Press("\r").WaitPage("login.passkey")
	two.Open("/o/acme/").WaitPage("dashboard")
}

// waitForQuestions waits until scripts of sign-in pages have asked for that many questions.
func waitForQuestions(t *testing.T, w *doortest.World, n int) {
	t.Helper()
	for range 500 {
		if w.Count(`select count(*) from attempts where state = 'open' and account_id is null`) >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no script asked for a passkey's question")
}
