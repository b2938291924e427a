package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// tenantField finds what stands in the field for the tenant domain.
var tenantField = regexp.MustCompile(`name="tenant"[^>]* value="([^"]*)"`)

// anywhere starts a sign-in at the general page: it stands where organisation and password are asked for.
func anywhere(w *doortest.World, identifier string) attempt {
	w.T.Helper()
	b := w.Browser()
	b.Get("/login").Submit("identifier", identifier).Want("login.password")
	return attempt{b, b.At.Query().Get("attempt")}
}

// linkTo makes one person's account the home of another's.
func (w *town) linkTo(p, home *doortest.Person) {
	w.T.Helper()
	w.Exec(`update accounts set home_id = $1 where id = $2`, home.Account, p.Account)
	w.Exec(`delete from factors where account_id = $1`, p.Account)
}

// The general page takes the tenant domain in every spelling and as an address, remembers it, and leads to the organisation's own sign-in where the
// password is left empty; all of it without a script.
func TestGeneralSignIn(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		w.Exec(`update accounts set username = 'bea.k', username_key = 'bea.k' where id = $1`, p.Account)
		host := strings.TrimPrefix(w.URL, "http://")
		for i, tenant := range []string{"fabrikam", "  FabriKam\t", "\u00a0fabrikam\u2003", "/o/fabrikam/", "/o/fabrikam", w.URL + "/o/fabrikam/login", "HTTP://" + strings.ToUpper(host) + "/o/FABRIKAM",
			"https://" + host + "/o/fabrikam/users/x?to=/me@x&y=//z#top", host + "/o/fabrikam/login", "localhost/o/fabrikam", "http://localhost/o/fabrikam/?x"} {
			b := w.Browser()
			b.Get("/").Want("welcome").Follow("Log in").Want("login.identifier")
			if b.At.Path != "/login" {
				t.Fatalf("the button leads to %s", b.At)
			}
			b.Submit("identifier", []string{p.Email, " BEA.K", "bea.k"}[i%3]).Want("login.password").Submit("tenant", tenant, "password", doortest.Password)
			if b.Page() != "login.totp" {
				t.Errorf("%q: %q, %s", tenant, b.Page(), b.FieldError("tenant"))
				continue
			}
			if b.Cookie("tenant") != "" {
				t.Error("the tenant domain is remembered before the sign-in is done")
			}
			if b.Submit("code", p.Code()).Want("dashboard"); b.At.Path != "/o/fabrikam/" || b.Cookie("tenant") != "fabrikam" {
				t.Errorf("%q: at %s, remembered %q", tenant, b.At, b.Cookie("tenant"))
			}
			if b.Get("/"); b.Page() != "dashboard" || b.At.Path != "/o/fabrikam/" {
				t.Errorf("the start leads who is signed in to %s", b.At)
			}
			b.Post("/logout", nil).Want("welcome")
			if b.Post("/logout", nil).Want("login.identifier"); b.At.Path != "/login" {
				t.Errorf("signing out twice leads to %s", b.At)
			}
			b.Submit("identifier", p.Email).Want("login.password")
			if v := firstGroup(tenantField, b.Body); v != "fabrikam" {
				t.Errorf("the next time %q is filled in", v)
			}
			b.Submit("password", doortest.Password).Want("login.totp") // as it is filled in
		}
		if n := w.Events(w.Fabrikam.ID, "signin.finished"); n != 12 {
			t.Errorf("%d events of sign-ins", n)
		}

		// Where to go on to is kept through all of it.
		b := w.Browser()
		b.Get("/login?to=/me/security").Submit("identifier", p.Email).Submit("tenant", "fabrikam", "password", doortest.Password).Submit("code", p.Code()).Want("me.security")
		// The password left empty: on to the own page, whoever it is, and wherever.
		for _, c := range []struct{ tenant, identifier string }{{w.URL + "/o/Fabrikam/", p.Email}, {"no-such", p.Email}, {"fabrikam", "nobody@x.example"}, {"admin", "nobody@x.example"}} {
			a := anywhere(w.World, c.identifier)
			a.Submit("tenant", c.tenant).Want("login.password")
			if strings.Contains(a.Body, `name="tenant"`) || strings.Contains(a.Text(), "Fabrikam") != strings.Contains(strings.ToLower(c.tenant), "fabrikam") || !strings.Contains(a.Text(), c.identifier) || a.Cookie("tenant") != "" {
				t.Errorf("%s at %s: %s", c.identifier, c.tenant, a.Text())
			}
			// From here on the organisation is settled: the field means nothing any more.
			r := a.post("password", "tenant", "fabrikam", "password", doortest.Password)
			if in := r.Status == http.StatusSeeOther; in != (c.identifier == p.Email && c.tenant != "no-such") {
				t.Errorf("%s at %s: %d", c.identifier, c.tenant, r.Status)
			}
		}
		// An attempt that is over leads back to where it began.
		a := anywhere(w.World, p.Email)
		w.Clock.Move(31 * time.Minute)
		if a.Submit("tenant", "fabrikam", "password", doortest.Password).Want("login.identifier"); a.At.Path != "/login" {
			t.Errorf("an expired sign-in leads to %s", a.At)
		}
	})
}

// What is wrong with the form is told at its field, before anything is compared; what is well formed is looked up, and answered alike.
func TestTenantField(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		settle(w.World)
		a := anywhere(w.World, p.Email)
		before, hashes := dump(w.World), w.Hasher.Count()
		host := strings.TrimPrefix(w.URL, "http://")
		for _, tenant := range []string{"", "  ", "\t", "fabrikam fabrikam", "Ümlaut", "fabr\u0456kam", "ｆabrikam", "fabrikam\u200b", "fabrikam.", "-x", "a..b", "xn--fabrikam", "fabrikam@", "f%61brikam", "fabrikam?x", "fabrikam\\",
			strings.Repeat("x", 64), strings.Repeat("x", 10<<10), "https://" + host, w.URL + "/login", w.URL + "/o/", w.URL + "/o//x", w.URL + "/O/fabrikam", "https://evil.test/o/fabrikam", "//evil.test/o/fabrikam", "evil.test/o/fabrikam",
			"https://" + host + "@evil.test/o/fabrikam", "https://evil.test@" + host + "/o/fabrikam", "https://evil.test\\@" + host + "/o/fabrikam", "https:\\\\" + host + "\\o\\fabrikam", "javascript://" + host + "/o/fabrikam", "ftp://" + host + "/o/fabrikam",
			"https://l\u03bfcalhost/o/fabrikam", "https://ｌｏｃａｌｈｏｓｔ/o/fabrikam", "https://localhost\u3002/o/fabrikam", "https://localhost.evil.test/o/fabrikam", "https://localhost./o/fabrikam", w.URL + "/o/f%61brikam/", w.URL + "/o/%2e%2e/fabrikam", w.URL + "/x/../o/fabrikam",
			"file:///o/fabrikam", "https:///o/fabrikam", "https://[::1/o/fabrikam", "://", "/", "/o/", "data:text/html,x"} {
			r := a.post("password", "tenant", tenant, "password", doortest.Password)
			if r.Status != http.StatusUnprocessableEntity || r.Page() != "login.password" || strings.Join(r.Faults(), " ") != "tenant" || len(r.Head["Set-Cookie"]) > 0 {
				t.Errorf("%.60q: %d %q, errors at %v", tenant, r.Status, r.Page(), r.Faults())
			}
			if e := a.post("password", "tenant", tenant); strings.Join(e.Faults(), " ") != "tenant" {
				t.Errorf("%.60q without a password: %d, errors at %v", tenant, e.Status, e.Faults())
			}
		}
		for what, body := range map[string]string{"a NUL": "tenant=a%00b", "no UTF-8": "tenant=%ff", "twice": "tenant=fabrikam&tenant=tailspin", "an array": "tenant[]=fabrikam"} {
			r, err := transmit(w.World, http.MethodPost, "/login/password", "attempt="+a.ID+"&password=x&"+body, held(a.Browser))
			if err != nil || r.Status != http.StatusUnprocessableEntity || strings.Join(r.Faults(), " ") != "tenant" {
				t.Errorf("%s: %d, errors at %v, %v", what, r.Status, r.Faults(), err)
			}
		}
		for _, long := range []string{strings.Repeat("x", 4097), strings.Repeat("x", 500_000)} {
			if r := a.post("password", "tenant", "fabrikam", "password", long); r.Status != http.StatusUnprocessableEntity || strings.Join(r.Faults(), " ") != "password" {
				t.Errorf("a long password: %d, errors at %v", r.Status, r.Faults())
			}
		}
		for _, identifier := range []string{"", " ", strings.Repeat("x", 255), strings.Repeat("x", 10<<10)} {
			if r := send(w.World, http.MethodPost, "/login", url.Values{"identifier": {identifier}}, nil); r.Status != http.StatusUnprocessableEntity || r.Page() != "login.identifier" || strings.Join(r.Faults(), "") != "identifier" {
				t.Errorf("the identifier %.20q: %d %q, errors at %v", identifier, r.Status, r.Page(), r.Faults())
			}
		}
		if d := differing(before, dump(w.World), "throttles"); d != nil || w.Hasher.Count() != hashes {
			t.Errorf("changed %v, %d hashes", d, w.Hasher.Count()-hashes)
		}
		a.Get("/login/next?attempt="+a.ID).Submit("tenant", "fabrikam", "password", doortest.Password).Want("login.enrol")
	})
}

// Nobody learns from the general page which organisations there are, nor who has an account where; and each answer costs one hash (mission B2, B3,
// AT-22).
func TestGeneralAnswersAlike(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		const shared = "shared@fabrikam.example"
		w.Activate(w.Tailspin, shared, access.Core)
		known := w.Activate(w.Fabrikam, "known@fabrikam.example", access.Core)
		w.Exec(`update accounts set language = 'de', name = 'Known Person' where id = $1`, known.Account)
		w.Enrol(w.Fabrikam, "enrolled@fabrikam.example", access.Administrator)
		w.Invite(w.Fabrikam, "invited@fabrikam.example", access.Core)
		disabled := w.Enrol(w.Fabrikam, "disabled@fabrikam.example", access.Core)
		w.Activate(w.Fabrikam, "roleless@fabrikam.example")
		w.linkTo(w.Activate(w.Fabrikam, "linked@fabrikam.example", access.Core), w.Activate(w.Contoso, "linked@contoso.example", access.Viewer))
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, disabled.Account); err != nil {
			t.Fatal(err)
		}
		w.Exec(`update org_nodes set state = 'suspended' where id = $1`, w.Wingtip.ID)
		w.Activate(w.Adatum, "adam@adatum.example", access.Viewer)
		see := func(tenant, identifier string) (seen []string) {
			w.calm()
			hashes := w.Hasher.Count()
			note := func(r reply) reply {
				seen = append(seen, masked(r, identifier, url.QueryEscape(identifier), tenant))
				return r
			}
			r := note(send(w.World, http.MethodPost, "/login", url.Values{"identifier": {identifier}}, nil))
			holder := with("Cookie", "door-attempt0="+r.Cookie("attempt0"))
			note(send(w.World, http.MethodGet, r.Location(), nil, holder))
			_, id, _ := strings.Cut(r.Location(), "attempt=")
			for range 6 { // the last one has to wait
				note(send(w.World, http.MethodPost, "/login/password", url.Values{"attempt": {id}, "tenant": {tenant}, "password": {"a wrong passphrase 1"}}, holder))
			}
			if n := w.Hasher.Count() - hashes; n != 5 {
				t.Errorf("five wrong passwords for %s at %s cost %d hashes", identifier, tenant, n)
			}
			return seen
		}
		like := see("fabrikam", known.Email)
		if !strings.Contains(like[2], `id="password-error"`) || strings.Contains(like[2], `id="tenant-error"`) || !strings.HasPrefix(like[7], "429") || strings.Contains(strings.Join(like, ""), "Fabrikam") {
			t.Fatalf("unexpected answers:\n%s", strings.Join(like, "\n"))
		}
		events := func() int { return w.Count(`select count(*) from events`) }
		for _, c := range []struct{ tenant, identifier string }{{"fabrikam", "nobody@fabrikam.example"}, {"no-such", known.Email}, {"no-such", "nobody@x.example"}, {"admin", known.Email}, {"tailspin", known.Email},
			{"tailspin", shared}, {"fabrikam", shared}, {"fabrikam", "enrolled@fabrikam.example"}, {"fabrikam", "invited@fabrikam.example"}, {"fabrikam", disabled.Email}, {"fabrikam", "roleless@fabrikam.example"},
			{"fabrikam", "linked@fabrikam.example"}, {"contoso", "linked@fabrikam.example"}, {"wingtip", known.Email}, {"acme", "nobody"}, {"contoso", known.Email}} {
			was := events()
			for i, s := range see(c.tenant, c.identifier) {
				if s != like[i] {
					t.Errorf("answer %d to %s at %s differs from that to a known one: %s", i, c.identifier, c.tenant, difference(s, like[i]))
				}
			}
			if n := events() - was; n != 5 {
				t.Errorf("%s at %s: %d events of five failures", c.identifier, c.tenant, n)
			}
		}
		// A right password goes no further than the organisation that was named, and a refusal in plain words comes after it.
		for _, c := range []struct{ tenant, identifier, page string }{{"tailspin", known.Email, "login.password"}, {"no-such", known.Email, "login.password"}, {"fabrikam", "linked@fabrikam.example", "login.password"},
			{"fabrikam", "roleless@fabrikam.example", "login.denied"}, {"fabrikam", known.Email, "login.enrol"}} {
			w.calm()
			a := anywhere(w.World, c.identifier)
			a.Submit("tenant", c.tenant, "password", doortest.Password).Want(c.page)
		}
		// Where the address of a form is opened again, there is the page of the step.
		a := anywhere(w.World, known.Email)
		a.Get("/login/password").Want("login.password")
		a.Get("/login/passkey-start").Want("login.password")
	})
}

// The general page and the organisation's own count on one counter, whatever the spelling, the node and the order (AT-25).
func TestGeneralOneCounter(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		for _, who := range []string{p.Email, "nobody@fabrikam.example"} {
			hashes := func() (n int64) {
				for _, node := range all {
					n += node.Hasher.Count()
				}
				return n
			}
			was := hashes()
			for i, tenant := range []string{"fabrikam", "", " FABRIKAM", w.URL + "/o/fabrikam/x", "/o/Fabrikam/", "", "fabrikam", "fabrikam\u00a0"} {
				node := all[i%len(all)]
				var r reply
				if tenant == "" {
					r = identified(node, "FABRIKAM", strings.ToUpper(who)).post("password", "password", "a wrong passphrase 1")
				} else {
					r = anywhere(node, who).post("password", "tenant", tenant, "password", "a wrong passphrase 1")
				}
				if want := map[bool]int{true: 422, false: 429}[i < 5]; r.Status != want {
					t.Errorf("try %d for %s is answered %d, want %d", i+1, who, r.Status, want)
				}
			}
			if n := hashes() - was; n != 5 {
				t.Errorf("%d passwords of %s were compared", n, who)
			}
			// What leads on to the own page is none.
			a := anywhere(w.World, who)
			a.Submit("tenant", "fabrikam").Want("login.password")
			if r := a.post("password", "password", doortest.Password); r.Status != http.StatusTooManyRequests {
				t.Errorf("then the own page answers %d", r.Status)
			}
		}
		// The log of the organisation that was named has the failures; where there is none, the provider's.
		if n := w.Events(w.Fabrikam.ID, "signin.failed"); n != 10 {
			t.Errorf("%d failures in the organisation's log", n)
		}
		w.calm()
		anywhere(w.World, p.Email).post("password", "tenant", "no-such", "password", doortest.Password)
		if n := w.Events(w.Provider.ID, "signin.failed"); n != 1 {
			t.Errorf("%d failures in the provider's log", n)
		}
		// What happened to an account before its organisation was named does not matter, what happens while its password is compared does.
		w.calm()
		a := anywhere(w.World, p.Email)
		if err := w.Desk.EndSessions(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		a.Submit("tenant", "fabrikam", "password", doortest.Password).Want("login.enrol")
		if err := w.Desk.EndSessions(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
			t.Fatal(err)
		}
		a.Submit("method", "totp").Want("login.identifier")
	})
}

// From the general page nobody is sent anywhere but to a path of ours (AT-33).
func TestGeneralReturnPaths(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		for to, want := range map[string]string{"//evil.test": "", "/\\evil.test": "", "https://evil.test": "", "javascript:alert(1)": "", "/%2f%2fevil.test": "", "/%09/evil.test": "", "/.evil.test": "", "@evil.test": "",
			"／／evil.test": "", "/" + strings.Repeat("a", 8192): "", "/me": "/me", "/o/fabrikam/?x=1": "/o/fabrikam/?x=1", "/o/FABRIKAM/": "/o/FABRIKAM/"} {
			if want == "" {
				want = "/o/fabrikam/"
			}
			r := send(w.World, http.MethodPost, "/login", url.Values{"identifier": {p.Email}, "to": {to}}, nil)
			_, id, _ := strings.Cut(r.Location(), "attempt=")
			r = send(w.World, http.MethodPost, "/login/password", url.Values{"attempt": {id}, "tenant": {"fabrikam"}, "password": {doortest.Password}}, with("Cookie", "door-attempt0="+r.Cookie("attempt0")))
			if r.Location() != "/login/next?attempt="+id {
				t.Fatalf("%q: %d to %q", to, r.Status, r.Location())
			}
			r = send(w.World, http.MethodPost, "/login/totp", url.Values{"attempt": {id}, "code": {p.Code()}}, with("Cookie", "door-attempt0="+r.Cookie("attempt0")))
			if !sessionIn(r) || r.Location() != want {
				t.Errorf("%.40q leads to %q, want %q", to, r.Location(), want)
			}
			w.calm()
		}
		// Who may not go where they wanted to is told so, and not whether it exists.
		for _, slug := range []string{"tailspin", "no-such"} {
			a := w.Browser()
			a.Get("/login?to="+url.QueryEscape("/o/"+slug+"/users")).Submit("identifier", p.Email).Submit("tenant", "fabrikam", "password", doortest.Password).Submit("code", p.Code()).Want("login.denied")
			if a.Reason() != "not_added" {
				t.Errorf("refused for %q", a.Reason())
			}
		}
	})
}

// A passkey at the general page names the account and so the organisation (mission B6); at an organisation's own page it still opens that one alone.
func TestGeneralPasskey(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		ann, key, _ := w.keyed(w.Fabrikam, "ann@fabrikam.example", access.Core)
		_, other, _ := w.keyed(w.Tailspin, "ann@fabrikam.example", access.Core)
		for slug, k := range map[string]*softkey{"fabrikam": key, "tailspin": other} {
			c := generally(w.World)
			if c.give(k.get(c.ask())).Want("dashboard"); c.b.At.Path != "/o/"+slug+"/" || c.b.Cookie("tenant") != slug {
				t.Errorf("the key of %s leads to %s, remembered %q", slug, c.b.At, c.b.Cookie("tenant"))
			}
		}
		// A question of one page is not one of the other, and an unknown key is answered like a wrong one.
		c := generally(w.World)
		if !c.wrong(newKey(w.World).get(c.ask())) || c.b.At.Path != "/login/passkey-alone" {
			t.Errorf("an unknown key: %d %q", c.b.Status, c.b.Page())
		}
		unknown := c.b.Text()
		c.ask()
		if !c.wrong(key.get(alone(w.World, "fabrikam").ask())) || c.b.Text() != unknown {
			t.Errorf("an answer to another question: %d %q", c.b.Status, c.b.Page())
		}
		own := alone(w.World, "tailspin")
		if !own.wrong(key.get(own.ask())) {
			t.Errorf("another organisation's key: %d %q", own.b.Status, own.b.Page())
		}
		// A disabled account is told so after the proof, and gets nothing.
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, ann.Account); err != nil {
			t.Fatal(err)
		}
		c = generally(w.World)
		if c.give(key.get(c.ask())).Want("login.denied"); c.b.Reason() != "account_disabled" || c.b.Cookie("tenant") != "" {
			t.Errorf("a disabled account: %q", c.b.Reason())
		}
	})
}

// generally is a sign-in with a passkey and nothing else at the general page.
func generally(w *doortest.World) ceremony {
	b := w.Browser()
	return ceremony{"general", "login.identifier", "dashboard", b, func() string {
		w.T.Helper()
		return b.Post("/login/passkey-start", url.Values{"to": {""}}).WantStatus(http.StatusOK).Body
	}, func(credential string) *doortest.Browser {
		w.T.Helper()
		return b.Post("/login/passkey-alone", url.Values{"credential": {credential}})
	}}
}

// "Send me my organisations" mails one message with the sign-in pages of all accounts with that address, in the person's language; the page says the
// same to everybody, and each organisation's log tells of its own account alone (mission B2, D9).
func TestMyOrganisations(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		const bea = "bea@fabrikam.example"
		here := w.Activate(w.Fabrikam, bea, access.Core)
		w.Exec(`update accounts set language = 'de', last_sign_in_at = 1 where id = $1`, here.Account)
		there, _ := w.Invite(w.Tailspin, bea, access.Core)
		gone := w.Activate(w.Contoso, bea, access.Viewer)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Contoso.ID, gone.Account); err != nil {
			t.Fatal(err)
		}
		w.Activate(w.Wingtip, bea, access.Core)
		w.Exec(`update org_nodes set state = 'suspended' where id = $1`, w.Wingtip.ID)
		settle(w.World)
		sent := w.Count(`select count(*) from outbox`)
		ask := func(address string) string {
			t.Helper()
			events := w.Count(`select count(*) from events`)
			b := w.Browser()
			b.Get("/login").Follow("Send me my organisations").Want("login.organisations").Submit("identifier", address).Want("login.organisations.sent")
			if !strings.Contains(b.Text(), "If there is an account, we have sent a message.") || b.At.Path != "/login/organisations/sent" {
				t.Errorf("%s: %s", b.At, b.Text())
			}
			if n := w.Count(`select count(*) from events`) - events; n != 1 && address != bea && address != " BEA@Fabrikam.Example" {
				t.Errorf("%s: %d events", address, n)
			}
			w.Exec(`delete from throttles where key like 'requests:mail-address:%'`)
			return masked(send(w.World, http.MethodPost, "/login/organisations", url.Values{"identifier": {address}}, nil), address)
		}
		like := ask(bea)
		settle(w.World)
		m := w.Mailbox.Wait(bea, "my-organisations", 1)
		if m.Language != "de" || !strings.Contains(m.Subject, "Fabrikam") {
			t.Errorf("%s: %s", m.Language, m.Subject)
		}
		if got, want := strings.Join(m.Links(), " "), w.Settings.PublicURL+"/o/fabrikam/login "+w.Settings.PublicURL+"/o/tailspin/login"; got != want {
			t.Errorf("the mail lists %s, want %s", got, want)
		}
		for _, word := range []string{"contoso", "Contoso", "wingtip", "Wingtip", here.Org.Name + " Toys"} {
			if strings.Contains(m.Text, word) {
				t.Errorf("the mail says %q", word)
			}
		}
		for o, whose := range map[id.Org]id.Account{w.Fabrikam.ID: here.Account, w.Tailspin.ID: there.Account} {
			rows, err := texts(w.World, `select target_id || data || coalesce((select p.data from event_persons p where p.event_id = events.id), '') from events where action = 'organisations.mailed' and org_id = $1`, o)
			if err != nil || len(rows) != 2 {
				t.Fatalf("events %v, %v", rows, err)
			}
			for _, row := range rows {
				if !strings.Contains(row, string(whose)) || strings.Contains(strings.ToLower(row), "tailspin") || strings.Contains(row, bea) {
					t.Errorf("an event says %s", row)
				}
			}
		}
		if n := w.Events(w.Contoso.ID, "organisations.mailed") + w.Events(w.Wingtip.ID, "organisations.mailed"); n != 0 {
			t.Errorf("%d events where there is nothing to sign in to", n)
		}
		// Three an hour for one address, whatever its spelling; others are not concerned.
		for _, address := range []string{" BEA@Fabrikam.Example", bea} {
			ask(address)
		}
		settle(w.World)
		if n := w.Count(`select count(*) from outbox`) - sent; n != 3 {
			t.Errorf("%d mails in an hour", n)
		}
		for _, address := range []string{"nobody@fabrikam.example", gone.Email, "x@wingtip.example"} {
			if got := ask(address); got != like {
				t.Errorf("%s: %s", address, difference(got, like))
			}
		}
		w.Clock.Move(61 * time.Minute)
		ask(bea)
		settle(w.World)
		if n := w.Count(`select count(*) from outbox`) - sent; n != 5 {
			t.Errorf("%d mails after an hour more", n)
		}
		// A client gets thirty an hour, of all addresses.
		w.calm()
		limited := 0
		for i := range 33 {
			r := send(w.World, http.MethodPost, "/login/organisations", url.Values{"identifier": {fmt.Sprintf("x%d@x.example", i)}}, nil)
			if r.Status == http.StatusTooManyRequests && r.Page() == "login.organisations" && r.Head.Get("Retry-After") != "" {
				limited++
			}
		}
		if limited != 3 {
			t.Errorf("%d of 33 were limited", limited)
		}
	})
}

// However many organisations: fifty are listed.
func TestMyManyOrganisations(t *testing.T) {
	w := build(doortest.New(t, sqldb.SQLite, doortest.Options{}))
	const tech = "tech@contoso.example"
	for i := range 55 {
		o := w.Org(access.Customer, w.Contoso.ID, fmt.Sprintf("customer%d", i), fmt.Sprintf("Customer %d", i))
		w.Invite(o, tech, access.Viewer)
	}
	if err := w.Directory.MailOrganisations(t.Context(), tech, access.Client{Address: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Mailbox.Wait(tech, "my-organisations", 1).Links()); n != 50 {
		t.Errorf("the mail lists %d", n)
	}
}

// Who has several places to go to chooses among them: after the sign-in when none was asked for, and from the console's top bar. Only what may be
// entered is there, and each switch stands in both organisations' logs (mission B8).
func TestChooser(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		ada := w.Enrol(w.Contoso, "ada@contoso.example", access.Administrator)
		emil := w.Enrol(w.Contoso, "emil@contoso.example", access.Editor)
		rita := w.Enrol(w.Provider, "rita@acme.example", access.Administrator)
		bea := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		in := func(p *doortest.Person) *doortest.Browser {
			t.Helper()
			a := anywhere(w.World, p.Email)
			a.Submit("tenant", p.Org.Slug, "password", doortest.Password).Want("login.totp").Submit("code", p.Code())
			return a.Browser
		}
		b := in(ada).Want("login.chooser")
		for _, link := range []string{"/o/contoso/", "/o/fabrikam/", "/o/tailspin/"} {
			if !strings.Contains(b.Body, `href="`+link+`"`) {
				t.Errorf("no way to %s: %s", link, b.Text())
			}
		}
		if strings.Contains(b.Body, "ingtip") || strings.Contains(b.Body, "adatum") || b.At.Path != "/choose" {
			t.Errorf("at %s: %s", b.At, b.Text())
		}
		b.Follow("/o/tailspin/").Want("dashboard").Get("/o/tailspin/users").Want("users")
		if here, home := w.Events(w.Tailspin.ID, "org.entered"), w.Events(w.Contoso.ID, "org.visited"); here != 1 || home != 1 {
			t.Errorf("a switch is %d events there and %d at home", here, home)
		}
		if n := w.Count(`select count(*) from visits where account_id = $1`, ada.Account); n != 1 {
			t.Errorf("%d visits", n)
		}
		w.Clock.Move(time.Minute)
		b.Get("/o/fabrikam/").Want("dashboard")
		menu := b.Body[:strings.Index(b.Body, "<main")]
		if f, s := strings.Index(menu, `href="/o/fabrikam/"`), strings.Index(menu, `href="/o/tailspin/"`); f < 0 || s < f || !strings.Contains(menu, `action="/choose"`) || !strings.Contains(menu, `href="/o/contoso/"`) {
			t.Errorf("the switcher: %s", menu)
		}
		// At the own page they land on their dashboard as ever; and who may enter little, or nothing, has no switcher.
		w.Browser().SignIn(ada).Want("dashboard")
		for _, p := range []*doortest.Person{emil, bea} {
			c := in(p).Want("dashboard")
			if strings.Contains(c.Body, `action="/choose"`) {
				t.Errorf("%s has a switcher", p.Email)
			}
			if c.Get("/choose").Want("login.chooser"); strings.Contains(c.Body, "ailspin") || strings.Contains(c.Body, "/o/contoso/") != (p == emil) {
				t.Errorf("%s sees %s", p.Email, c.Text())
			}
			if c.Get("/choose?q=tail").Want("login.chooser"); strings.Contains(c.Body, "ailspin") {
				t.Errorf("%s finds %s", p.Email, c.Text())
			}
		}
		// An Editor sees the customers in their groups alone.
		if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := access.Group(tx, w.Clock.Now(), w.Contoso.ID, "north", []id.Org{w.Tailspin.ID}, []id.Account{emil.Account})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		c := in(emil).Want("dashboard") // one customer is no choice
		if c.Get("/choose").Want("login.chooser"); !strings.Contains(c.Body, `href="/o/tailspin/"`) || strings.Contains(c.Body, "abrikam") {
			t.Errorf("the Editor sees %s", c.Text())
		}
		// The provider's people find everything below them.
		c = in(rita).Want("login.chooser")
		if c.Get("/choose?q=WING").Want("login.chooser"); !strings.Contains(c.Body, `href="/o/wingtip/"`) || strings.Contains(c.Body, "abrikam") {
			t.Errorf("the provider finds %s", c.Text())
		}
		// What was visited and may not be entered any more is not offered.
		w.Exec(`insert into visits (account_id, org_id, at) values ($1, $2, $3)`, ada.Account, w.Wingtip.ID, w.Clock.Now().UnixMicro())
		if b.Get("/o/contoso/").Want("dashboard"); strings.Contains(b.Body, "ingtip") {
			t.Error("an organisation of another MSP is offered")
		}
		for _, path := range []string{"/choose?q=%00", "/choose?q=%ff", "/choose?after=%00", "/choose?q=" + strings.Repeat("x", 300)} {
			if b.Get(path); b.Status != http.StatusBadRequest {
				t.Errorf("%s: %d", path, b.Status)
			}
		}
		for _, path := range []string{"/choose?to=//evil.test", "/choose?to=/o/fabrikam/", "/choose?to=/o/", "/choose?to=/o/no-such/", "/choose?after=x", "/choose?q=%25", "/choose?q=zzz"} {
			if b.Get(path).Want("login.chooser"); b.Status != http.StatusOK || strings.Contains(b.Body, `="//evil`) {
				t.Errorf("%s: %d", path, b.Status)
			}
		}
	})
}

// Five hundred customers are found by the beginning of their names and tenant domains, and paged through.
func TestChooserOfMany(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		for i := range 500 {
			w.Exec(`insert into org_nodes (id, parent_id, kind, state, access, rev) values ($1, $2, 'customer', 'active', 'table', 0)`, fmt.Sprintf("org_x%03d", i), w.Contoso.ID)
			w.Exec(`insert into org_tree (ancestor_id, org_id, depth) values ($1, $2, 1), ($3, $2, 2), ($2, $2, 0)`, w.Contoso.ID, fmt.Sprintf("org_x%03d", i), w.Provider.ID)
			w.Exec(`insert into orgs (id, slug, slug_key, name, name_key, language, time_zone, country, setup, settings, created_at) values ($1, $2, $2, $3, $4, 'en', 'UTC', '', 'done', '{}', 1)`,
				fmt.Sprintf("org_x%03d", i), fmt.Sprintf("slug%03d", i), fmt.Sprintf("Übung %03d", i), fmt.Sprintf("übung %03d", i))
			w.Exec(`insert into seats (org_id, used) values ($1, 0)`, fmt.Sprintf("org_x%03d", i))
		}
		ada := w.Enrol(w.Contoso, "ada@contoso.example", access.Administrator)
		b := w.Browser().SignIn(ada).Want("dashboard").Get("/choose").Want("login.chooser")
		seen := map[string]bool{}
		pages := 0
		for ; pages < 60; pages++ {
			for _, part := range strings.Split(b.Body, `href="/o/`)[1:] {
				slug, _, _ := strings.Cut(part, "/")
				seen[slug] = true
			}
			if !strings.Contains(b.Body, `rel="next"`) {
				break
			}
			b.Follow("after=").Want("login.chooser")
		}
		if len(seen) != 503 || pages != 25 {
			t.Errorf("%d organisations on %d pages", len(seen), pages+1)
		}
		for search, want := range map[string]int{"übung 49": 10, "SLUG00": 10, "Übung 123": 1, "fab": 1, "slug5": 0} {
			b.Get("/choose?q=" + url.QueryEscape(search)).Want("login.chooser")
			if n := strings.Count(b.Body, `<strong>`); n != want {
				t.Errorf("%q finds %d, want %d", search, n, want)
			}
		}
	})
}

// Linked accounts are places to go to; an organisation that can be entered in two ways asks which (mission B8).
func TestChooserOfLinkedAccounts(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		ada := w.Enrol(w.Contoso, "ada@contoso.example", access.Administrator)
		noor := w.Enrol(w.Contoso, "noor@contoso.example", access.Editor) // in no group
		for _, l := range []struct {
			home *doortest.Person
			name string
		}{{ada, "Ada Linked"}, {noor, "Noor Linked"}} {
			there := w.Activate(w.Fabrikam, strings.ToLower(strings.ReplaceAll(l.name, " ", "."))+"@fabrikam.example", access.Core)
			w.linkTo(there, l.home)
			w.Exec(`update accounts set name = $1 where id = $2`, l.name, there.Account)
		}
		// Also after the own page: who has linked accounts has somewhere to go.
		b := w.Browser()
		b.Password(ada).Want("login.totp").Submit("code", ada.Code()).Want("login.chooser")
		if !strings.Contains(b.Text(), "as Ada Linked, managed by Contoso IT") || strings.Contains(b.Text(), "Noor") || !strings.Contains(b.Body, `href="/o/fabrikam/"`) {
			t.Errorf("the chooser: %s", b.Text())
		}
		b.Submit(":action", "/me/enter", "slug", "fabrikam").Want("dashboard")
		if b.At.Path != "/o/fabrikam/" || !strings.Contains(b.Body[:strings.Index(b.Body, "<main")], `action="/me/leave"`) {
			t.Errorf("as the linked account at %s", b.At)
		}
		if here, home := w.Count(`select count(*) from events where org_id = $1 and action = 'signin.finished' and data like '%home%'`, w.Fabrikam.ID), w.Events(w.Contoso.ID, "linked.entered"); here != 1 || home != 1 {
			t.Errorf("%d and %d events", here, home)
		}
		if b.Get("/choose").Want("login.chooser"); strings.Contains(b.Body, "ailspin") {
			t.Errorf("inside, the chooser shows %s", b.Text())
		}
		b.Submit(":action", "/me/leave").Want("dashboard")
		if b.At.Path != "/o/contoso/" {
			t.Errorf("leaving leads to %s", b.At)
		}
		if menu := b.Body[:strings.Index(b.Body, "<main")]; !strings.Contains(menu, "Fabrikam") {
			t.Errorf("the switcher: %s", menu)
		}
		// Two ways into one organisation: the person chooses, and what they wanted to see is kept for the technician.
		c := w.Browser()
		c.Get("/o/contoso/login?to=/o/fabrikam/users").Submit("identifier", ada.Email).Submit("password", doortest.Password).Submit("code", ada.Code()).Want("login.chooser")
		if !strings.Contains(c.Text(), "How do you want to enter Fabrikam?") || strings.Contains(c.Text(), "Tailspin") {
			t.Errorf("two ways: %s", c.Text())
		}
		c.Follow("as technician of Contoso IT").Want("users")
		c.Get("/choose?to=/o/FABRIKAM/").Submit(":action", "/me/enter", "slug", "fabrikam").Want("dashboard")
		if !strings.Contains(c.Text(), "Ada Linked") {
			t.Errorf("entered as %s", c.Text())
		}
		// One way is not asked about.
		d := w.Browser()
		d.Get("/o/contoso/login?to=/o/fabrikam/").Submit("identifier", noor.Email).Submit("password", doortest.Password).Submit("code", noor.Code()).Want("dashboard")
		if d.At.Path != "/o/fabrikam/" || !strings.Contains(d.Text(), "Noor Linked") {
			t.Errorf("the one way leads to %s", d.At)
		}
		// A linked account that cannot be entered is no place to go to.
		w.Exec(`update accounts set state = 'disabled' where name = 'Noor Linked'`)
		e := w.Browser().SignIn(noor).Want("dashboard")
		if strings.Contains(e.Body, `action="/choose"`) || strings.Contains(e.Get("/choose").Want("login.chooser").Text(), "Fabrikam") {
			t.Errorf("a disabled linked account is offered: %s", e.Text())
		}
	})
}
