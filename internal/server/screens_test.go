package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/sqldb"
)

// Every page as people see it: on a phone in German and in a wide window in English, light and dark; those of the door and of the own account on a
// phone in French too. Each is looked at mechanically (see inspect), and pictured.
func TestChromeScreens(t *testing.T) {
	for _, one := range []struct {
		name string
		look doortest.Look
		lang locale.Language
	}{
		{"phone", doortest.Phone("de-DE"), locale.German},
		{"desk", doortest.Desk("en-GB"), locale.English},
		{"french", doortest.Phone("fr-FR"), locale.French},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel() // it mostly waits for Chromium
			g := gallery{village: newVillage(t, one.lang), name: one.name, look: one.look}
			g.door()
			g.firstTime()
			g.links()
			if one.lang != locale.French {
				g.customer()
				g.msp()
				g.provider()
			}
			g.moves()
			g.linked()
			g.own()
			g.branded()
			g.coming()
			g.general()
		})
	}
}

// village is a world with a history of two weeks.
type village struct {
	*doortest.World
	lang                       locale.Language
	acme, contoso, fabrikam    org.Org
	rita, ada, bea, carl, finn *doortest.Person
	late, eli                  *doortest.Person // late's link no longer vouches for the mailbox, eli's is not used yet
	eliLink                    string
}

func newVillage(t *testing.T, lang locale.Language) *village {
	t.Helper()
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	v := &village{World: w, lang: lang}
	founded, err := w.Directory.Found(t.Context(), doortest.Operator(), "Acme Cloud", "acme", "root@acme.example", lang)
	if err != nil {
		t.Fatal(err)
	}
	v.acme = founded.Org
	v.contoso = w.Org(access.MSP, v.acme.ID, "contoso", "Contoso IT")
	w.Org(access.MSP, v.acme.ID, "tailspin", "Tailspin Managed Services")
	w.Org(access.Customer, v.acme.ID, "litware", "Litware")
	v.fabrikam = w.Org(access.Customer, v.contoso.ID, "fabrikam", "Fabrikam")
	for _, o := range [][2]string{{"adventure", "Adventure Works"}, {"northwind", "Northwind Handelsgesellschaft"}, {"wingtip", "Wingtip Toys"}} {
		w.Org(access.Customer, v.contoso.ID, o[0], o[1])
	}
	w.Exec(`update org_nodes set state = 'suspended' where id in (select id from orgs where slug = 'wingtip')`)
	if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), v.fabrikam.ID, 10); err != nil {
		t.Fatal(err)
	}
	enrol := func(o org.Org, email, name string, roles ...string) *doortest.Person {
		p := w.Enrol(o, email, roles...)
		w.Exec(`update accounts set name = $1 where id = $2`, name, p.Account)
		return p
	}
	v.rita = enrol(v.acme, "rita@acme.example", "Rita Lang", access.Administrator)
	v.ada = enrol(v.contoso, "ada@contoso.example", "Ada Okafor", access.Administrator)
	emil := enrol(v.contoso, "emil@contoso.example", "Emil Berg", access.Editor)
	noor := enrol(v.contoso, "noor@contoso.example", "Noor Haddad", access.Viewer)
	v.bea = enrol(v.fabrikam, "bea@fabrikam.example", "Bea Lindqvist", access.Administrator)
	v.carl = enrol(v.fabrikam, "carl@fabrikam.example", "Carl Meyer", access.Core)
	dana := enrol(v.fabrikam, "dana.petit-fournier@fabrikam.example", "Dana Petit-Fournier", access.Core)
	v.finn = enrol(v.fabrikam, "finn@fabrikam.example", "Finn Abara", access.Core)
	gil := enrol(v.fabrikam, "gil@fabrikam.example", "Gil Novak", access.Viewer)
	v.late = w.Activate(v.fabrikam, "hana@fabrikam.example", access.Core)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for day := range 12 { // they sign in, some more often than others
		w.Clock.Move(24 * time.Hour)
		for i, p := range []*doortest.Person{v.carl, v.ada, v.bea, emil, dana, noor} {
			if (day*day+3*i*day+i)%5 < 2 || day%7 == 2 {
				w.Browser().SignIn(p).Want("dashboard")
			}
		}
	}
	must(w.Directory.SetRoles(t.Context(), doortest.Operator(), v.fabrikam.ID, v.finn.Account, nil))
	must(w.Directory.Disable(t.Context(), doortest.Operator(), v.fabrikam.ID, gil.Account))
	w.Exec(`update assignments set expires_at = $1 where account_id = $2`, sqldb.Micros(w.Clock.Now().Add(9*24*time.Hour)), dana.Account)
	v.eli, v.eliLink = v.Invite(v.fabrikam, "eli@fabrikam.example", access.Viewer)
	w.Mailbox.Wait(v.eli.Email, "invite", 1)
	w.Invite(v.contoso, "oskar@contoso.example", access.Viewer)
	return v
}

// online signs somebody in at a device.
func (v *village) online(p *doortest.Person) *doortest.Browser {
	b := v.Browser()
	b.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0")
	return b.SignIn(p).Want("dashboard")
}

// shortly is JavaScript that lets the browser give up soon on an authenticator that waits for a touch.
const shortly = `() => { const f = document.querySelector("[data-ceremony]"); f.dataset.options = JSON.stringify({...JSON.parse(f.dataset.options), timeout: 300}) }`

// gallery walks through a village with one kind of window.
type gallery struct {
	*village
	name string
	look doortest.Look
}

// visitor is a browser with the session of b, or with none.
func (g gallery) visitor(b *doortest.Browser) *doortest.Chrome {
	c := g.Chrome(g.look)
	if b != nil {
		c.Become(b)
	}
	return c
}

// darkly are the pages that are pictured in the dark too.
var darkly = []string{"signin", "enrol", "enrol-app", "enrol-passkey", "recovery-codes", "passkey-offer", "passkey", "recovery", "security-two", "person-access-code", "code", "prove", "sessions", "security-recovery", "code-ways", "dashboard-msp", "people", "person", "signin-branded", "branding-set"}

// see looks at the page that stands there, light and dark, and pictures it.
func (g gallery) see(c *doortest.Chrome, name string) {
	g.T.Helper()
	for _, dark := range []bool{true, false} {
		c.SetDark(dark)
		for _, problem := range doortest.Eval[[]string](c, inspect, g.look.Width, string(g.lang)) {
			g.T.Errorf("%s, %s, dark %t: %s", name, g.name, dark, problem)
		}
		for _, problem := range c.Axe() {
			g.T.Errorf("%s, %s, dark %t: axe: %s", name, g.name, dark, problem)
		}
		switch {
		case dark && slices.Contains(darkly, name):
			c.Screenshot(name + "-" + g.name + "-dark")
		case !dark:
			c.Screenshot(name + "-" + g.name)
		}
	}
}

// focused fails unless the keyboard gets to the field with that name, which browsers do when they draw the page.
func (g gallery) focused(c *doortest.Chrome, field string) {
	g.T.Helper()
	at := ""
	for range 100 {
		if at = doortest.Eval[string](c, `() => document.activeElement?.name ?? ""`); at == field {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	g.T.Errorf("%s: the focus is at %q, want the field %q", doortest.Eval[string](c, `() => document.body.dataset.page`), at, field)
}

// The sign-in of people who have everything, and what can go wrong there.
func (g gallery) door() {
	c := g.visitor(nil)
	c.Open("/o/fabrikam/").WaitPage("welcome")
	g.see(c, "welcome")
	c.Click(".primary").WaitPage("login.identifier")
	g.focused(c, "identifier")
	g.see(c, "signin")
	if n := doortest.Eval[int](c, `() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
		.reduce((n, e) => n + e.decodedBodySize, 0)`); n > 50_000 || n < 10_000 {
		g.T.Errorf("the sign-in page with all its files is %d bytes", n)
	}
	g.switches(c)

	c.Click(".primary").WaitPage("login.identifier")
	g.focused(c, "identifier")
	g.see(c, "signin-empty")
	c.Type("identifier", g.carl.Email).Click(".primary").WaitPage("login.password")
	g.focused(c, "password")
	c.Type("password", "a wrong password")
	kind := `() => document.getElementById("password").type`
	shown := c.Click(".show").Text(".show")
	if k := doortest.Eval[string](c, kind); k != "text" {
		g.T.Errorf("the shown password is a field of type %q", k)
	}
	if hidden := c.Click(".show").Text(".show"); hidden == shown || doortest.Eval[string](c, kind) != "password" {
		g.T.Error("the password is not hidden again")
	}
	c.Open("/login/next").WaitPage("login.password")
	g.see(c, "password")
	c.Type("password", "a wrong password").Click(".primary").WaitPage("login.password")
	g.focused(c, "password")
	g.see(c, "password-wrong")
	c.Type("password", doortest.Password).Click(".primary").WaitPage("login.totp")
	g.focused(c, "code")
	g.see(c, "code")
	c.Type("code", "000000").WaitPage("login.totp")
	g.focused(c, "code")
	g.see(c, "code-wrong")
	c.Type("code", g.carl.Code()).WaitPage("dashboard")
	g.see(c, "dashboard-core")
	c.Open("/o/fabrikam/login").WaitPage("login.identifier")
	g.see(c, "signin-signed-in")

	c = g.visitor(nil)
	c.Open("/o/fabrikam/login").WaitPage("login.identifier").Type("identifier", g.finn.Email).Press("\r").WaitPage("login.password")
	c.Type("password", doortest.Password).Press("\r").WaitPage("login.totp").Type("code", g.finn.Code()).WaitPage("login.denied")
	g.see(c, "denied-no-role")
}

// switches uses those for language and colours.
func (g gallery) switches(c *doortest.Chrome) {
	lang := `() => document.documentElement.lang`
	colour := `() => getComputedStyle(document.body).backgroundColor`
	bright := doortest.Eval[string](c, colour)
	c.Click("[hreflang=fr]").WaitPage("login.identifier")
	if l := doortest.Eval[string](c, lang); l != "fr" || !strings.Contains(c.Text("h1"), "connect") {
		g.T.Errorf("after choosing French the page speaks %q: %s", l, c.Text("h1"))
	}
	c.Click(".themes a:nth-child(3)").WaitPage("login.identifier")
	if d := doortest.Eval[string](c, colour); d == bright {
		g.T.Errorf("the dark page is as bright as the light one: %s", d)
	}
	if l := doortest.Eval[string](c, lang); l != "fr" {
		g.T.Errorf("choosing dark changed the language to %q", l)
	}
	c.Click(".themes a:nth-child(1)").WaitPage("login.identifier").Click("[hreflang=" + string(g.lang) + "]").WaitPage("login.identifier")
	if d := doortest.Eval[string](c, colour); d != bright {
		g.T.Errorf("following the system again, the page is %s, not %s", d, bright)
	}
}

// From the mail to the dashboard, with every mistake on the way.
func (g gallery) firstTime() {
	c := g.visitor(nil)
	c.Open(g.eliLink).WaitPage("activate")
	g.focused(c, "new_password")
	g.see(c, "activate")
	c.Type("new_password", "short")
	g.see(c, "activate-typing")
	c.Type("confirm_password", "shore").Click(".primary").WaitPage("activate")
	g.focused(c, "new_password")
	g.see(c, "activate-wrong")
	chooseInChrome(c, doortest.Password, ".primary").WaitPage("activate.done")
	g.see(c, "activate-done")
	c.Click(".primary").WaitPage("login.identifier").Type("identifier", g.eli.Email).Press("\r").WaitPage("login.password")
	c.Type("password", doortest.Password).Press("\r").WaitPage("login.enrol")
	g.see(c, "enrol")
	store := c.Passkeys()
	c.Click("[value=passkey]").WaitPage("login.enrol.passkey")
	g.see(c, "enrol-passkey")
	store.Silent(true)
	doortest.Eval[struct{}](c, shortly)
	c.Click("[data-webauthn]")
	toldInChrome(c, "")
	g.see(c, "enrol-passkey-cancelled")
	store.Silent(false)
	c.Click(".quiet").WaitPage("login.enrol").Click("[value=totp]").WaitPage("login.enrol.totp")
	g.see(c, "enrol-app")
	g.eli.Key = strings.ReplaceAll(c.Text("#totp-secret"), " ", "")
	c.Type("code", "000000").WaitPage("login.enrol.totp")
	g.focused(c, "code")
	g.see(c, "enrol-app-wrong")
	c.Type("code", g.eli.Code()).WaitPage("login.recovery-codes")
	g.see(c, "recovery-codes")
	g.eli.Recovery = recoveryCodes(c)
	c.Click("[name=saved]").WaitPage("login.passkey-offer")
	g.see(c, "passkey-offer")
	c.Click("[value=now]").WaitPage("login.enrol.passkey")
	g.see(c, "passkey-offered")
	c.Type("name", "Laptop").Click("[data-webauthn]").WaitPage("dashboard")
	g.see(c, "dashboard-viewer")
	c.NoAutofill()
	signOutInChrome(c).Click(".primary").WaitPage("login.identifier")
	store.Unverified(true)
	c.Click("[data-webauthn]").WaitPage("login.identifier")
	g.see(c, "signin-passkey-refused")
	c.Type("identifier", g.eli.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r").WaitPage("login.passkey")
	g.see(c, "passkey")
	store.Silent(true)
	doortest.Eval[struct{}](c, shortly)
	c.Click("[data-webauthn]")
	toldInChrome(c, "")
	g.see(c, "passkey-cancelled")
	c.Click("[value=totp]").WaitPage("login.totp")
	g.see(c, "code-ways")
	c.Click("[value=recovery]").WaitPage("login.recovery")
	g.focused(c, "code")
	g.see(c, "recovery")
	c.Type("code", "abcde").Click(".primary").WaitPage("login.recovery")
	g.see(c, "recovery-short")
	c.Type("code", "abcde-abcde").Click(".primary").WaitPage("login.recovery")
	g.see(c, "recovery-wrong")
	code, err := g.Directory.IssueAccessCode(g.T.Context(), doortest.Operator(), g.fabrikam.ID, g.eli.Account, 4*time.Hour)
	if err != nil {
		g.T.Fatal(err)
	}
	c.Open("/login/next").WaitPage("login.recovery").Click("[value=access-code]").WaitPage("login.access-code")
	g.see(c, "access-code")
	c.Type("code", code.Code).Click(".primary").WaitPage("login.enrol")

	c = g.visitor(nil)
	c.Open("/o/fabrikam/login").WaitPage("login.identifier").Type("identifier", g.late.Email).Press("\r").WaitPage("login.password")
	c.Type("password", doortest.Password).Press("\r").WaitPage("login.mail-code")
	g.focused(c, "code")
	g.see(c, "mail-code")
	g.Clock.Move(2 * time.Minute)
	c.Click(".quiet").WaitPage("login.mail-code")
	g.see(c, "mail-code-again")
	c.Type("code", g.Mailbox.Wait(g.late.Email, "mail-code", 2).Code()).WaitPage("login.enrol")
}

// An organisation with a logo and a colour that takes black text.
func (g gallery) branded() {
	accent := "#e5541a"
	o, err := org.BySlug(g.DB.Read(g.T.Context()), "northwind")
	if err == nil {
		err = g.Directory.SetBrand(g.T.Context(), doortest.Operator(), o.ID, o.Rev, account.Rebrand{Accent: &accent, Logo: asPNG(drawn(640, 160))})
	}
	if err != nil {
		g.T.Fatal(err)
	}
	c := g.visitor(nil)
	c.Open("/o/northwind/login").WaitPage("login.identifier")
	g.see(c, "signin-branded")
	if g.lang == locale.French {
		return
	}
	c = g.visitor(g.online(g.ada))
	c.Open("/o/northwind/settings/branding").WaitPage("org.branding")
	g.see(c, "branding-set")
	c.Open("/o/northwind/").WaitPage("dashboard")
	g.see(c, "dashboard-branded")
}

// A second factor that will be demanded, and that is.
func (g gallery) coming() {
	deadline := g.Clock.Now().Add(5*24*time.Hour - time.Hour)
	g.Exec(`update orgs set settings = $1 where id = $2`, `{"second_factor":"everyone","from":"`+deadline.UTC().Format(time.RFC3339)+`"}`, g.fabrikam.ID)
	gina := g.Activate(g.fabrikam, "gina@fabrikam.example", access.Core)
	c := g.visitor(nil)
	c.Open("/o/fabrikam/login").WaitPage("login.identifier").Type("identifier", gina.Email).Press("\r").WaitPage("login.password")
	c.Type("password", doortest.Password).Press("\r").WaitPage("login.mfa-notice")
	g.see(c, "mfa-notice")
	c.Click("[value=later]").WaitPage("dashboard")
	g.see(c, "dashboard-deadline")
	g.Exec(`update orgs set settings = '{"second_factor":"everyone","factors":["passkey"]}' where id = $1`, g.fabrikam.ID)
	c.Open("/o/fabrikam/").WaitPage("factor-due")
	g.see(c, "factor-due")
	c.Click(".primary").WaitPage("login.password").Type("password", doortest.Password).Press("\r").WaitPage("login.enrol")
	g.see(c, "enrol-keys-only")
}

// Links of mails: forgotten passwords, and links that have ended.
func (g gallery) links() {
	c := g.visitor(nil)
	c.Open(g.eliLink).WaitPage("login.identifier") // used already: it leads to the sign-in
	_, old := g.Invite(g.fabrikam, "ines@fabrikam.example", access.Core)
	g.Clock.Move(49 * time.Hour)
	c.Open(old).WaitPage("activate.expired")
	g.see(c, "activate-expired")
	c.Click(".primary").WaitPage("activate.sent")
	g.see(c, "activate-sent")
	c.Open("/activate/nonsense").WaitPage("activate.expired")
	c.Open("/o/fabrikam/forgot").WaitPage("forgot")
	g.focused(c, "identifier")
	g.see(c, "forgot")
	c.Type("identifier", g.carl.Email).Press("\r").WaitPage("forgot.sent")
	g.see(c, "forgot-sent")
	link := g.Mailbox.Wait(g.carl.Email, "reset", 1).Link("/reset/")
	c.Open(link).WaitPage("reset")
	g.focused(c, "new_password")
	g.see(c, "reset")
	chooseInChrome(c, "another fine passphrase 9", ".primary").WaitPage("login.identifier")
	g.see(c, "signin-after-reset")
	c.Open(link).WaitPage("error")
	g.see(c, "reset-expired")
	c.Open(g.Mailbox.Wait(g.carl.Email, "password-changed", 1).Link("/not-me/")).WaitPage("not-me")
	g.see(c, "not-me")
	c.Open("/o/fabrikam/not-me/done").WaitPage("not-me.done")
	g.see(c, "not-me-done")
	c.Open("/not-me/nonsense").WaitPage("error")
	g.see(c, "not-me-expired")
	if err := g.Directory.SendSetup(context.Background(), doortest.Operator(), g.fabrikam.ID, g.carl.Account); err != nil {
		g.T.Fatal(err)
	}
	c.Open(g.Mailbox.Wait(g.carl.Email, "setup", 1).Link("/setup/")).WaitPage("setup-link")
	g.focused(c, "new_password")
	g.see(c, "setup-link")
	if err := g.Directory.ChangeEmail(context.Background(), doortest.Operator(), g.fabrikam.ID, g.carl.Account, "carl.new@fabrikam.example"); err != nil {
		g.T.Fatal(err)
	}
	c.Open(g.Mailbox.Wait("carl.new@fabrikam.example", "email-confirm", 1).Link("/confirm-email/")).WaitPage("confirm-email")
	g.see(c, "confirm-email")
	c.Open("/o/fabrikam/confirm-email/done").WaitPage("confirm-email.done")
	g.see(c, "confirm-email-done")
	c.Open("/confirm-email/nonsense").WaitPage("error")
	g.see(c, "confirm-email-expired")
	c.Open("/o/fabrikam/nowhere").WaitPage("error")
	g.see(c, "error-not-found")
	c.Open("/").WaitPage("welcome")
	g.see(c, "welcome-general")
}

// The console of a customer's administrator.
func (g gallery) customer() {
	c := g.visitor(g.online(g.bea))
	c.Open("/o/fabrikam/").WaitPage("dashboard")
	g.see(c, "dashboard-customer")
	c.Open("/o/fabrikam/settings").WaitPage("org.settings")
	country := map[locale.Language]string{locale.German: "Deutschland", locale.English: "Germany"}[g.lang]
	if got := doortest.Eval[string](c, `() => document.querySelector("option[value=DE]").textContent`); got != country {
		g.T.Errorf("the browser calls DE %q, want %q", got, country)
	}
	g.see(c, "settings")
	c.Type("tags", strings.Repeat("x", 50)).Click(".form .primary").WaitPage("org.settings")
	g.see(c, "settings-wrong")
	c.Open("/o/fabrikam/settings").WaitPage("org.settings").Click("[data-dialog=delete]")
	g.see(c, "settings-delete")
	c.Open("/o/fabrikam/seats").WaitPage("seats")
	g.see(c, "seats")
	c.Type("wanted", "3").Click(".form .primary").WaitPage("seats")
	g.see(c, "seats-wrong")
	c.Type("wanted", "25").Type("reason", "Ein zweites Büro in Lyon").Click(".form .primary").WaitPage("seats")
	g.see(c, "seats-asked")
	c.Open("/o/fabrikam/search?q=zzz").WaitPage("search")
	g.see(c, "search-none")
	c.Open("/o/fabrikam/settings/branding").WaitPage("org.branding")
	g.see(c, "branding")
	c.Type("accent", "#ffff00").Click(".actions .primary").WaitPage("org.branding")
	g.focused(c, "accent")
	g.see(c, "branding-wrong")
	c.Open("/o/fabrikam/users").WaitPage("users")
	g.see(c, "people")
	g.several(c)
	c.Open("/o/fabrikam/users?q=zzz").WaitPage("users")
	g.see(c, "people-none-found")
	c.Open("/o/fabrikam/users/invite").WaitPage("users.invite")
	g.see(c, "invite")
	c.Click(".form .primary").WaitPage("users.invite")
	g.see(c, "invite-empty")
	c.Type("emails", "jan@fabrikam.example, carl@fabrikam.example, lena@fabrikam").Click(".tick:nth-of-type(3)").Click(".form .primary").WaitPage("users.invite")
	g.see(c, "invite-partly")
	c.Open("/o/fabrikam/users/" + string(g.carl.Account)).WaitPage("user")
	g.see(c, "person")
	c.Click("[data-dialog]")
	g.see(c, "person-dialog")
	c.Press("\x1b")
	c.Click("[data-dialog=delete]")
	g.see(c, "person-delete")
	c.Press("\x1b")
	c.Click("[action$='/access-code'] button").WaitPage("user.access-code")
	g.see(c, "person-access-code")
	c.Open("/o/fabrikam/users/" + string(g.account("jan@fabrikam.example"))).WaitPage("user")
	g.see(c, "person-invited")
	if err := g.Directory.Delete(context.Background(), doortest.Operator(), g.fabrikam.ID, g.finn.Account); err != nil {
		g.T.Fatal(err)
	}
	if err := g.Directory.ChangeEmail(context.Background(), doortest.Operator(), g.fabrikam.ID, g.carl.Account, "carl.meyer@fabrikam.example"); err != nil {
		g.T.Fatal(err)
	}
	c.Open("/o/fabrikam/users/" + string(g.finn.Account)).WaitPage("user")
	g.see(c, "person-deleting")
	c.Open("/o/fabrikam/users?state=deleting").WaitPage("users")
	g.see(c, "people-deleting")
	c.Open("/o/fabrikam/users/" + string(g.carl.Account)).WaitPage("user")
	g.see(c, "person-address")
	if err := g.Directory.Keep(context.Background(), doortest.Operator(), g.fabrikam.ID, g.finn.Account); err != nil {
		g.T.Fatal(err)
	}
	c.Open("/o/fabrikam/users/" + string(g.bea.Account)).WaitPage("user")
	g.see(c, "person-self")
	if g.look.Touch {
		c.Click(".fold")
		g.see(c, "menu")
		c.Click(".fold")
	}
	c.Click(".me summary")
	g.see(c, "account-menu")
}

func (v *village) account(email string) id.Account {
	v.T.Helper()
	a, err := sqldb.One(v.DB.Read(context.Background()), sqldb.Value[id.Account], `select id from accounts where email_key = $1`, email)
	if err != nil {
		v.T.Fatal(err)
	}
	return a
}

// The console of an MSP's administrator, at home and inside a customer.
func (g gallery) msp() {
	c := g.visitor(g.online(g.ada))
	c.Open("/o/contoso/").WaitPage("dashboard")
	searchFor(c, "fa", "Fabrikam")
	g.see(c, "search-panel")
	c.Open("/o/contoso/search?q=fa").WaitPage("search")
	g.see(c, "search")
	c.Open("/o/contoso/").WaitPage("dashboard")
	g.see(c, "dashboard-msp")
	c.Open("/o/contoso/seats").WaitPage("seats")
	g.see(c, "seats-msp")
	c.Open("/o/fabrikam/seats").WaitPage("seats")
	g.see(c, "seats-answer")
	c.Click("[data-dialog=decline]")
	g.see(c, "seats-decline")
	c.Open("/o/contoso/orgs").WaitPage("orgs")
	g.see(c, "customers")
	c.Open("/o/contoso/orgs/new").WaitPage("org.new")
	g.focused(c, "name")
	g.see(c, "customer-new")
	c.Type("name", "Fabrikam Süd").Type("slug", "fabrikam").Click(".form .primary").WaitPage("org.new")
	g.focused(c, "slug")
	g.see(c, "customer-new-wrong")
	c.Open("/o/fabrikam/").WaitPage("dashboard")
	g.see(c, "inside-customer")
	c.Open("/o/fabrikam/users").WaitPage("users")
	g.see(c, "inside-customer-people")
	c.Open("/o/wingtip/users").WaitPage("users")
	g.see(c, "people-none")
	c.Open("/o/tailspin/users").WaitPage("login.identifier") // not hers
}

// The console of the provider's administrator.
func (g gallery) provider() {
	c := g.visitor(g.online(g.rita))
	c.Open("/o/acme/").WaitPage("dashboard")
	g.see(c, "dashboard-provider")
	c.Open("/o/acme/orgs?open=contoso").WaitPage("orgs")
	g.see(c, "organisations-tree")
	c.Open("/o/acme/orgs").WaitPage("orgs")
	g.see(c, "organisations")
	c.Open("/o/acme/orgs/new").WaitPage("org.new")
	g.see(c, "organisation-new")
	c.Open("/o/tailspin/orgs").WaitPage("orgs")
	g.see(c, "customers-none")
	c.Open("/o/acme/orgs/nowhere").WaitPage("error")
	g.see(c, "error-console")
}

// The own account, with a proof that is fresh and one that is not.
func (g gallery) own() {
	g.online(g.bea)
	c := g.visitor(g.online(g.bea))
	c.Open("/me").WaitPage("me")
	g.see(c, "me")
	c.Type("username", "bea@home").Click(".form .primary").WaitPage("me")
	g.focused(c, "username")
	g.see(c, "me-wrong")
	c.Open("/me/sessions").WaitPage("me.sessions")
	g.see(c, "sessions")
	c.Open("/me/security").WaitPage("me.security")
	g.see(c, "security")
	c.Click("[action='/me/security/app'] button").WaitPage("me.security.app")
	g.see(c, "security-app")
	c.Passkeys()
	c.Open("/me/security").WaitPage("me.security").Click("[action='/me/security/key'] button").WaitPage("me.security.key")
	g.see(c, "security-key")
	c.Type("name", "Schlüsselbund").Click("[data-webauthn]").WaitPage("me.security")
	g.see(c, "security-two")
	c.Click("[action='/me/security/key'] button").WaitPage("me.security.key").Click("[data-webauthn]")
	toldInChrome(c, "")
	g.see(c, "security-key-twice")
	c.Open("/me/security").WaitPage("me.security").Click("[action='/me/security/recovery'] button").WaitPage("me.recovery")
	g.see(c, "security-recovery")
	g.Clock.Move(11 * time.Minute)
	c.Open("/me/security").WaitPage("me.security")
	g.see(c, "security-stale")
	c.Click("[action='/me/security/app'] button").WaitPage("prove")
	g.focused(c, "proof_code")
	g.see(c, "prove")
	c.Type("proof_code", "000000").WaitPage("prove")
	g.see(c, "prove-wrong")
	c.Type("proof_code", g.bea.Code()).WaitPage("prove.resume")
	g.see(c, "prove-resume")
	c.Click(".primary").WaitPage("me.security.app")
}

// The general sign-in, the way to one's organisations, and the choice among them.
func (g gallery) general() {
	linked := g.Activate(g.fabrikam, "ada.okafor@fabrikam.example", access.Core)
	g.Exec(`update accounts set home_id = null where home_id = $1`, g.ada.Account)
	g.Exec(`update accounts set name = 'Ada Okafor', home_id = $1 where id = $2`, g.ada.Account, linked.Account)
	g.Exec(`delete from factors where account_id = $1`, linked.Account)
	c := g.visitor(nil)
	c.Open("/login").WaitPage("login.identifier")
	g.focused(c, "identifier")
	g.see(c, "signin-general")
	c.Type("identifier", g.ada.Email).Press("\r").WaitPage("login.password")
	g.focused(c, "tenant")
	g.see(c, "password-general")
	c.Type("tenant", "https://contoso.example/o/contoso/").Type("password", "a wrong password").Press("\r").WaitPage("login.password")
	g.focused(c, "tenant")
	g.see(c, "password-general-wrong")
	c.Type("tenant", "contoso").Type("password", doortest.Password).Press("\r").WaitPage("login.totp")
	c.Type("code", g.ada.Code()).WaitPage("login.chooser")
	g.see(c, "chooser")
	c.Click("[href='/o/adventure/']").WaitPage("dashboard").Click(".org summary")
	g.see(c, "switcher")
	c.Open("/choose?q=north").WaitPage("login.chooser")
	g.see(c, "chooser-search")
	c.Open("/choose?q=zzz").WaitPage("login.chooser")
	g.see(c, "chooser-none")
	c.Open("/choose?to=/o/fabrikam/users").WaitPage("login.chooser")
	g.see(c, "chooser-two-ways")
	c.Open("/login").WaitPage("login.identifier").Type("identifier", g.ada.Email).Press("\r").WaitPage("login.password")
	g.focused(c, "password")
	g.see(c, "password-general-again")
	c.Open("/login/organisations").WaitPage("login.organisations")
	g.focused(c, "identifier")
	g.see(c, "organisations")
	c.Type("identifier", "ada").Press("\r").WaitPage("login.organisations")
	g.see(c, "organisations-wrong")
	c.Type("identifier", g.ada.Email).Press("\r").WaitPage("login.organisations.sent")
	g.see(c, "organisations-sent")
}

// inspect is JavaScript that returns what is wrong with the page that stands there.
const inspect = `(width, lang) => {
	const wrong = [], all = s => [...document.querySelectorAll(s)];
	const say = (what, e) => wrong.push(what + (e ? ": " + e.outerHTML.replace(/\s+/g, " ").slice(0, 200) : ""));
	const seen = e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().width > 1 && !e.closest(".unseen");
	if (document.documentElement.lang !== lang) say("the page speaks " + document.documentElement.lang);
	if (document.scrollingElement.scrollWidth > Math.min(width, innerWidth))
		say("it scrolls sideways", all("body *").filter(e => seen(e) && e.getBoundingClientRect().right > width + .5).at(-1) ?? document.body);
	if (all("h1").filter(seen).length !== 1) say("it has " + all("h1").length + " main headings");
	if (!document.title) say("it has no title");
	for (const e of all("input:not([type=hidden]):not([aria-hidden=true]), select, textarea"))
		if (!e.labels.length && !e.ariaLabel && !e.getAttribute("aria-labelledby")) say("a field without a label", e);
	for (const e of all("a, button, summary")) if (seen(e) && !e.textContent.trim() && !e.ariaLabel) say("nothing says what this does", e);
	for (const e of all("img")) if (!e.hasAttribute("alt")) say("a picture without a text", e);
	const ids = all("[id]").map(e => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) say("an id twice: " + id);
	for (const e of all("[aria-describedby], [aria-labelledby], label[for]"))
		for (const id of [e.getAttribute("aria-describedby"), e.getAttribute("aria-labelledby"), e.htmlFor].filter(Boolean).join(" ").split(" "))
			if (!ids.includes(id)) say("it names the id " + id + ", which is not there", e);

	// WCAG 2.2, 2.5.8: what can be pressed is 24 pixels high, or nothing else lies so near, or it stands in a sentence.
	const targets = all("a, button, summary, select, input:not([type=hidden])").filter(seen).map(e => [e, (e.closest("label.tick") ?? e).getBoundingClientRect()]);
	for (const [e, box] of targets) {
		const inline = getComputedStyle(e).display === "inline" && e.parentElement.innerText.trim().length > e.innerText.trim().length;
		const x = box.left + box.width / 2, y = box.top + box.height / 2;
		const near = targets.some(([o, b]) => o !== e && !o.contains(e) && !e.contains(o) && Math.hypot(x - Math.max(b.left, Math.min(x, b.right)), y - Math.max(b.top, Math.min(y, b.bottom))) < 12);
		if (box.height < 24 && !inline && near) say("only " + box.height + " pixels high", e);
	}

	// WCAG 2.2, 1.4.3: text against what lies behind it. Canvas turns every notation of a colour into numbers.
	const g = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
	const rgba = css => { g.clearRect(0, 0, 1, 1); g.fillStyle = css; g.fillRect(0, 0, 1, 1); return [...g.getImageData(0, 0, 1, 1).data]; };
	const over = (a, b) => a.slice(0, 3).map((v, i) => v * a[3] / 255 + b[i] * (1 - a[3] / 255)).concat(255);
	const behind = e => e ? over(rgba(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : rgba("Canvas");
	const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
		.reduce((n, v, i) => n + v * [.2126, .7152, .0722][i], 0);
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = texts.nextNode();) {
		const e = n.parentElement;
		if (!n.data.trim() || !seen(e) || e.closest("title")) continue;
		if (/(^|\s)[a-z]+(\.[a-z_-]+)+\.?(\s|$)/.test(n.data) && !/@/.test(n.data)) say("a key instead of a text: " + n.data.trim());
		if (/\{\{|<no value>|%!/.test(n.data)) say("an unfinished text: " + n.data.trim());
		const style = getComputedStyle(e), ground = behind(e);
		const pair = [light(over(rgba(e.closest("svg") ? style.fill : style.color), ground)), light(ground)].sort((a, b) => b - a);
		const ratio = (pair[0] + .05) / (pair[1] + .05), size = parseFloat(style.fontSize);
		const big = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		if (ratio < (big ? 3 : 4.5)) say("contrast " + ratio.toFixed(2) + " of " + n.data.trim(), e);
	}
	return [...new Set(wrong)];
}`
