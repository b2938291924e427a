package server_test

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
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
	enrolKey(c, p, "laptop").WaitPage("dashboard")
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

// Whatever goes wrong between the browser and a key in the console, the page says it and works on.
func TestChromeKeyFailuresInTheConsole(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	p := w.Enrol(f.Org, "ada@acme.example", access.Support)
	c := w.Chrome(doortest.Desk("en-GB")).Become(w.Browser().SignIn(p).Want("dashboard"))
	add := "[action='/me/security/key'] button"
	c.Open("/me/security").WaitPage("me.security").Click(add).WaitPage("me.security.key").Type("name", "blue key")
	doortest.Eval[struct{}](c, shortly)
	told := func(part string) {
		t.Helper()
		c.Click("[data-webauthn]")
		toldInChrome(c, part)
	}
	c.RoamingKey().Unplug()
	told("no key answered") // there is none
	key := c.RoamingKey().Silent(true)
	told("took too long") // nobody touches it
	for name, part := range map[string]string{"NotAllowedError": "cancelled", "AbortError": "cancelled", "NotSupportedError": "knows no security keys", "SecurityError": "this page’s address",
		"InvalidStateError": "set up already", "UnknownError": "could not ask your key"} {
		doortest.Eval[struct{}](c, `name => { navigator.credentials.create = async () => { throw new DOMException("", name) } }`, name)
		told(part)
	}
	doortest.Eval[struct{}](c, `() => { delete navigator.credentials.create }`)
	key.Silent(false)
	c.Click("[data-webauthn]").WaitPage("me.security").Says("blue key")

	// The fresh proof too.
	w.Clock.Move(11 * time.Minute)
	c.Click(add).WaitPage("prove")
	doortest.Eval[struct{}](c, `() => { navigator.credentials.get = async () => { throw new DOMException("", "NotAllowedError") } }`)
	told("Nothing was confirmed")
	doortest.Eval[struct{}](c, `() => { delete navigator.credentials.get }`)
	c.Click("[data-webauthn]").WaitPage("prove.resume").Click(".primary").WaitPage("me.security.key").Type("name", "again")
	told("set up already")
	key.Unplug()
	c.RoamingKey()
	c.Click("[data-webauthn]").WaitPage("me.security").Says("blue key").Says("again")
}

// phished returns the world as it looks through a listener at another address that passes everything on: its pages are ours, and what it tells the
// server of its own address is a lie.
func phished(t *testing.T, w *doortest.World, host string) *doortest.World {
	t.Helper()
	to, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		if r.Out.Header.Get("Origin") != "" {
			r.Out.Header.Set("Origin", w.URL)
		}
	}})
	t.Cleanup(front.Close)
	there := *w
	there.URL = strings.Replace(front.URL, "127.0.0.1", host, 1)
	return &there
}

// On a page at another address a key proves nothing and none is registered, although the page is ours to the letter. At another port of our host
// the browser takes part, and the server refuses and records it; at another host already the browser refuses.
func TestChromeWrongOrigin(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	p, q, r := w.Activate(f.Org, "ada@acme.example", access.Support), w.Activate(f.Org, "bob@acme.example", access.Support), w.Enrol(f.Org, "cyd@acme.example", access.Support)
	own := w.Chrome(doortest.Desk("en-GB")).NoAutofill()
	store := own.Passkeys()
	enrolKey(own, p, "my laptop").WaitPage("dashboard")
	state := func() [2]int {
		return [2]int{w.Count(`select count(*) from sessions`), w.Count(`select count(*) from factors where kind = 'passkey' and state = 'active'`)}
	}
	signedIn := w.Browser().SignIn(r).Want("dashboard")
	was := state()

	near := phished(t, w, "localhost")
	c := near.Chrome(doortest.Desk("en-GB")).NoAutofill()
	c.Passkeys().Holds(store.Credentials()...)
	refused := func(ceremony, page, reason string) {
		t.Helper()
		count := func() int {
			return w.Count(`select count(*) from events where action = 'signin.failed' and outcome = 'refused' and reason = $1`, reason)
		}
		before := count()
		c.Click("[data-webauthn=" + ceremony + "]").WaitPage(page).Says("This key or passkey was not accepted")
		if n := count() - before; n != 1 {
			t.Errorf("%s: %d events", page, n)
		}
		if now := state(); now != was {
			t.Errorf("%s: sessions and keys went from %v to %v", page, was, now)
		}
	}
	c.Open("/o/acme/login").WaitPage("login.identifier")
	refused("get", "login.identifier", "passkey")
	c.Type("identifier", p.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r").WaitPage("login.passkey")
	refused("get", "login.passkey", "passkey")
	toEnrol(c, q).Click("[value=passkey]").WaitPage("login.enrol.passkey")
	refused("create", "login.enrol.passkey", "enrol-passkey")
	c.Become(signedIn).Open("/me/security").WaitPage("me.security").Click("[action='/me/security/key'] button").WaitPage("me.security.key")
	refused("create", "me.security.key", "enrol-passkey")

	far := phished(t, w, "127.0.0.1")
	d := far.Chrome(doortest.Desk("en-GB")).NoAutofill()
	d.Passkeys().Holds(store.Credentials()...)
	d.Open("/o/acme/login").WaitPage("login.identifier").Click("[data-webauthn=get]")
	toldInChrome(d, "because of this page’s address")
	toEnrol(d, q).Click("[value=passkey]").WaitPage("login.enrol.passkey").Click("[data-webauthn=create]")
	toldInChrome(d, "because of this page’s address")
	if now := state(); now != was {
		t.Errorf("at another host sessions and keys went from %v to %v", was, now)
	}

	signedOut(own, p).Click("[data-webauthn=get]").WaitPage("dashboard") // at home it works as before
}

// The first second factor that is made in the console brings its recovery codes, without JavaScript too; there, a key needs it and the page says so.
func TestChromeFirstFactorInTheConsole(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	w.Exec(`update orgs set settings = '{"second_factor":"off"}' where id = $1`, f.Org.ID)
	for _, script := range []bool{true, false} {
		p := w.Activate(f.Org, map[bool]string{true: "ada", false: "bob"}[script]+"@acme.example", access.Support)
		look := doortest.Phone("en-GB")
		look.NoScript = !script
		c := w.Chrome(look).Become(past(w.Browser().Password(p)))
		if script {
			c.Passkeys()
			c.Open("/me/security").WaitPage("me.security").Click("[action='/me/security/key'] button").WaitPage("me.security.key")
			if name := doortest.Eval[string](c, `() => document.querySelector("[name=name]").value`); name != "Chrome, Android" {
				t.Errorf("the key's name starts as %q", name)
			}
			c.Click("[data-webauthn=create]").WaitPage("me.recovery")
		} else {
			c.Open("/me/security").WaitPage("me.security").Click("[action='/me/security/key'] button").WaitPage("me.security.key").Says("need JavaScript")
			c.Open("/me/security").WaitPage("me.security").Click("[action='/me/security/app'] button").WaitPage("me.security.app")
			p.Key = strings.ReplaceAll(c.Text("#totp-secret"), " ", "")
			c.Type("code", p.Code()).Click(".primary").WaitPage("me.recovery")
		}
		codes := recoveryCodes(c)
		if len(codes) != 10 {
			t.Errorf("the codes are %q", codes)
		}
		if hidden := doortest.Eval[bool](c, `() => document.querySelector("[data-copy]").hidden && document.querySelector("[data-print]").hidden`); hidden == script {
			t.Errorf("the buttons that need JavaScript are hidden: %v", hidden)
		}
		if script {
			checkCopy(c, codes)
		}
		saved := doortest.Eval[string](c, `() => decodeURIComponent(document.querySelector("a[download]").href)`)
		for _, one := range codes {
			if !strings.Contains(saved, one) {
				t.Errorf("%s is not in the file", one)
			}
		}
		c.Click(".button[href='/me/security']").WaitPage("me.security").Says("is set up").Says("10 of 10 left")
	}
}

// checkCopy presses the button that copies the recovery codes, where the browser allows that and where it does not: there they are marked.
func checkCopy(c *doortest.Chrome, codes []string) {
	t := c.World.T
	t.Helper()
	holds := func(where, function string) {
		t.Helper()
		for range 200 {
			text := doortest.Eval[string](c, function)
			if !slices.ContainsFunc(codes, func(one string) bool { return !strings.Contains(text, one) }) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("the codes are not %s", where)
	}
	doortest.Eval[struct{}](c, `() => { navigator.clipboard.writeText = async () => { throw new DOMException("", "NotAllowedError") } }`)
	c.Click("[data-copy]")
	holds("marked", `() => getSelection().toString()`)
	doortest.Eval[struct{}](c, `() => { window.copied = ""; navigator.clipboard.writeText = async text => { window.copied = text } }`)
	c.Click("[data-copy]")
	holds("copied", `() => window.copied`)
}

// Tabs that stand at the sign-in at once don't take each other's question away, and the browser's request of the autofill gives way to the button.
func TestChromePasskeyTabs(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	f, _ := w.Found()
	p := w.Activate(f.Org, "ada@acme.example", access.Support)
	one := w.Chrome(doortest.Desk("en-GB"))
	store := one.Passkeys()
	enrolKey(one, p, "laptop").WaitPage("dashboard")
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
