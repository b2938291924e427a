package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/secret"
)

// used returns how many seats of an organisation are taken, and fails unless that is the number of those that count.
func (w *town) used(o org.Org) int {
	w.T.Helper()
	n := w.Count(`select used from seats where org_id = $1`, o.ID)
	if rows := w.Count(`select count(*) from accounts where org_id = $1 and state not in ('disabled', 'deleting') and home_id is null`, o.ID); n != rows {
		w.T.Errorf("%s: %d seats are taken by %d accounts", o.Slug, n, rows)
	}
	return n
}

// linked is someone of Contoso, without delegated access, whose account at Fabrikam is linked: the account there, and the browser, signed in at home.
type linked struct {
	Home  *doortest.Person
	There id.Account
	Email string // of the account there
	*doortest.Browser
}

// link makes someone with a linked account, by the pages.
func (w *town) link(name string, roles ...string) linked {
	w.T.Helper()
	home, b := w.enrolled(w.Contoso, name+"@contoso.example", access.Viewer)
	there, path := w.Invite(w.Fabrikam, name+"@fabrikam.example", roles...)
	w.Mailbox.Wait(there.Email, "invite", 1) // linking would discard it
	b.Get(path).Want("activate").Submit("home", home.Email).Want("me")
	return linked{home, there.Account, there.Email, b}
}

// enter goes into Fabrikam from the own profile.
func (l linked) enter() linked {
	l.World.T.Helper()
	l.Get("/me").Want("me").Submit(":action", "/me/enter").Want("dashboard")
	if l.At.Path != "/o/fabrikam/" {
		l.World.T.Fatalf("entering leads to %s", l.At)
	}
	return l
}

func (w *town) linkedState(a id.Account) (state string, home bool) {
	w.T.Helper()
	return w.text(`select state from accounts where id = $1`, a), w.Count(`select count(*) from accounts where id = $1 and home_id is not null`, a) == 1
}

// Someone who is invited below links the account that they have: no password, no seat, both logs and a mail tell it, and they go in and out.
func TestLinkAnInvitation(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		home, b := w.enrolled(w.Contoso, "tess@contoso.example", access.Viewer)
		w.Exec(`update accounts set name = 'Tess Ode' where id = $1`, home.Account)
		there, path := w.Invite(w.Fabrikam, "tess@fabrikam.example", access.Core)
		if n := w.used(w.Fabrikam); n != 1 {
			t.Fatalf("%d seats used", n)
		}

		// Signed in nowhere: the way leads through the sign-in above, and back. The token stays in a cookie.
		s := w.Browser()
		s.Get(path).Want("activate").Submit(":action", "/link").Want("login.identifier")
		if s.At.Path != "/o/contoso/login" || strings.Contains(s.At.String()+s.Body, string(tokenOf(path))) {
			t.Errorf("the sign-in stands at %s", s.At)
		}
		s.Submit("identifier", home.Email).Submit("password", doortest.Password).Want("login.totp").Submit("code", home.Code()).Want("activate")
		if s.At.Path != path || !strings.Contains(s.Text(), "Tess Ode") || !strings.Contains(s.Text(), home.Email) {
			t.Errorf("after the sign-in: %s", s.At)
		}
		for _, row := range dump(w.World)["attempts"] {
			if strings.Contains(row, string(tokenOf(path))) {
				t.Error("the token stands in an attempt")
			}
		}
		if n := w.Events(w.Contoso.ID, "account.linked"); n != 0 {
			t.Fatal("looking linked something")
		}
		// The button names whose account it links: another one is not linked by it.
		s.Post(path+"/link", url.Values{"home": {"somebody@contoso.example"}}).WantStatus(422).Want("activate")
		// A proof that is too old is taken anew first.
		w.Clock.Move(11 * time.Minute)
		s.Get(path).Submit("home", home.Email).Want("prove").Submit("proof_code", home.Code()).Want("activate").Submit("home", home.Email).Want("me")
		if !strings.Contains(s.Text(), "linked with Fabrikam") {
			t.Errorf("nothing is said: %s", s.Text())
		}

		if state, is := w.linkedState(there.Account); state != "active" || !is {
			t.Fatalf("the account is %s, linked %t", state, is)
		}
		if n := w.used(w.Fabrikam); n != 0 {
			t.Errorf("the linked account takes %d seats", n)
		}
		if n := w.Count(`select count(*) from factors where account_id = $1`, there.Account); n != 0 {
			t.Error("a linked account has factors of its own")
		}
		m := w.Mailbox.Wait(home.Email, "linked", 1)
		if !strings.Contains(m.Text, "Fabrikam") || !strings.Contains(m.Text, there.Email) || m.Link("/not-me/") == "" {
			t.Errorf("the mail says\n%s", m.Text)
		}
		if w.Events(w.Contoso.ID, "account.linked") != 1 || w.Events(w.Fabrikam.ID, "account.activated") != 1 || w.Events(w.Fabrikam.ID, "account.linked") != 0 {
			t.Error("the logs do not tell it once each")
		}
		// The link is used up, for both uses.
		if r := send(w.World, http.MethodPost, path, choose("a new passphrase 11"), nil); !strings.HasSuffix(r.Location(), "/login") {
			t.Errorf("the invitation's link answers %d %q", r.Status, r.Page())
		}
		if r := send(w.World, http.MethodPost, path+"/link", url.Values{"home": {home.Email}}, held(s)); !strings.HasSuffix(r.Location(), "/login") {
			t.Errorf("linking again answers %d %q", r.Status, r.Page())
		}

		// In, around, and out.
		was := s.Cookie("session")
		s.Get("/me").Submit(":action", "/me/enter").Want("dashboard")
		if s.At.Path != "/o/fabrikam/" || !strings.Contains(s.Text(), "You are in Fabrikam as Tess Ode, managed by Contoso IT") {
			t.Errorf("in Fabrikam: %s %s", s.At, s.Text())
		}
		if in(w.World, was) {
			t.Error("the secret of before is good beside the linked session's")
		}
		s.Get("/o/contoso/").Want("welcome") // rights are never added: this session is Fabrikam's alone
		s.Get("/me/security").Want("me.security")
		if !strings.Contains(s.Text(), "live there") || strings.Contains(s.Body, "/me/security/app") {
			t.Error("the page of factors does not say where they live")
		}
		inside := s.Cookie("session")
		s.Submit(":action", "/me/leave", "to", "/me/security").Want("me.security")
		if !strings.Contains(s.Body, "/me/security/app") || in(w.World, inside) {
			t.Error("leaving does not lead home")
		}
		for o, want := range map[id.Org]map[string]int{w.Contoso.ID: {"linked.entered": 1, "linked.left": 1}, w.Fabrikam.ID: {"signin.finished": 1, "session.signed_out": 1}} {
			for action, n := range want {
				if got := w.Events(o, action); got != n {
					t.Errorf("%d events %s, want %d", got, action, n)
				}
			}
		}
		_ = b
	})
}

// The customer's log and pages name the person and the home organisation, never an id of the home; the home's log has none of the customer's people.
func TestLinkedLogsAreApart(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		l := w.link("tess", access.Administrator).enter()
		l.Submit(":action", "/me/leave").Want("dashboard")
		l.enter()
		_, bea := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		bea.Get("/o/fabrikam/users/" + string(l.There) + "/unlink").Want("unlink")
		l.Get("/me/prove?to=/me").Want("prove").Submit("proof_code", l.Home.Code()).Want("me")
		for _, page := range []string{"/o/fabrikam/", "/o/fabrikam/users", "/o/fabrikam/users/" + string(l.There), "/o/fabrikam/users/" + string(l.There) + "/unlink"} {
			for who, b := range map[string]*doortest.Browser{"the customer's administrator": bea, "the linked person": l.Browser} {
				b.Get(page).WantStatus(http.StatusOK)
				if strings.Contains(b.Body, string(l.Home.Account)) || strings.Contains(b.Body, string(w.Contoso.ID)) {
					t.Errorf("%s: %s shows an id of the home", who, page)
				}
			}
		}
		for _, page := range []string{"/o/fabrikam/users", "/o/fabrikam/users/" + string(l.There)} {
			if bea.Get(page); strings.Count(bea.Text(), "Managed by Contoso IT") != 1 {
				t.Errorf("%s does not have the badge", page)
			}
		}
		for _, action := range []string{"/setup", "/access-code", "/reset-factors"} {
			if strings.Contains(bea.Body, string(l.There)+action) {
				t.Errorf("the page offers %s", action)
			}
		}
		bea.Submit(":action", "/end-sessions").Want("user")
		l.Get("/me").WantStatus(http.StatusUnauthorized)
		if n := w.Count(`select count(*) from sessions where account_id = $1 and state = 'open' and id in (select via_id from sessions where account_id = $2)`, l.Home.Account, l.There); n != 0 {
			t.Error("a session at home that nobody holds is left open")
		}
		d := dump(w.World)
		for _, table := range []string{"events", "event_persons"} {
			for _, row := range d[table] {
				switch {
				case strings.Contains(row, "action=org.created"):
				case strings.Contains(row, "org_id="+string(w.Fabrikam.ID)):
					if strings.Contains(row, string(l.Home.Account)) || strings.Contains(row, string(w.Contoso.ID)) {
						t.Errorf("the customer's log: %s", row)
					}
				case strings.Contains(row, "org_id="+string(w.Contoso.ID)):
					if strings.Contains(row, string(l.There)) || strings.Contains(row, "bea@fabrikam") {
						t.Errorf("the home's log: %s", row)
					}
				}
			}
		}
	})
}

// Who may not be a home, and what is no link.
func TestLinkRefused(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		_, invitation := w.Invite(w.Fabrikam, "new@fabrikam.example", access.Core)
		_, sibling := w.enrolled(w.Tailspin, "zora@tailspin.example", access.Administrator)
		_, foreign := w.enrolled(w.Adatum, "ann@adatum.example", access.Administrator)
		_, same := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		l := w.link("tess", access.Core)
		settle(w.World)
		before := dump(w.World)
		post := func(path string, b *doortest.Browser, home string) reply {
			t.Helper()
			return send(w.World, http.MethodPost, path+"/link", url.Values{"home": {home}}, held(b))
		}
		for email, b := range map[string]*doortest.Browser{"zora@tailspin.example": sibling, "ann@adatum.example": foreign, "bea@fabrikam.example": same} {
			if r := post(invitation, b, email); r.Status != http.StatusUnprocessableEntity || r.Page() != "activate" || !strings.Contains(r.Body, "organisation above") {
				t.Errorf("%s: %d %q", email, r.Status, r.Page())
			}
			if r := send(w.World, http.MethodGet, invitation, nil, held(b)); strings.Contains(r.Body, email) {
				t.Errorf("%s is offered", email)
			}
		}
		// Already linked there.
		if r := post(invitation, l.Browser, l.Home.Email); r.Status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "another account there already") {
			t.Errorf("a second account there: %d %q", r.Status, r.Page())
		}
		if d := differing(before, dump(w.World), "sessions", "events", "event_persons", "throttles"); d != nil {
			t.Errorf("refused links changed %v", d)
		}
		// No chains: not from a linked account, not of the home of one. Asked of the domain, since no page offers it.
		l.enter()
		v, err := w.Desk.Resolve(t.Context(), secretOf(l.Browser), access.Client{})
		if err != nil {
			t.Fatal(err)
		}
		below := w.Org(access.Customer, w.Contoso.ID, "below", "Below")
		w.Exec(`insert into org_tree (ancestor_id, org_id, depth) values ($1, $2, 1)`, w.Fabrikam.ID, below.ID)
		_, deep := w.Invite(below, "deep@below.example", access.Core)
		if _, err := w.Directory.Link(t.Context(), account.Activate, tokenOf(deep), v.Actor, v.Session.Seq); !refused(err, "linked.chain") {
			t.Errorf("a chain downwards: %v", err)
		}
		root, rootIn := w.enrolled(w.Provider, "rita@acme.example", access.Administrator)
		rv, err := w.Desk.Resolve(t.Context(), secretOf(rootIn), access.Client{})
		if err != nil {
			t.Fatal(err)
		}
		_ = root
		l.Submit(":action", "/me/leave").Want("dashboard")
		hv, err := w.Desk.Resolve(t.Context(), secretOf(l.Browser), access.Client{})
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.Directory.BeginLink(t.Context(), hv.Actor)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Directory.Link(t.Context(), account.Join, token, rv.Actor, rv.Session.Seq); !refused(err, "linked.chain") {
			t.Errorf("a chain upwards: %v", err)
		}
		// Not by who is no account, on an old proof, or with a session that was ended meanwhile.
		for name, actor := range map[string]access.Actor{"the operator": doortest.Operator(), "a visitor": access.Visitor(access.Client{}), "Doorward": access.System()} {
			if _, err := w.Directory.Link(t.Context(), account.Activate, tokenOf(deep), actor, 1<<40); !refusal.Is(err, refusal.Forbidden) {
				t.Errorf("%s: %v", name, err)
			}
		}
		old := hv.Actor
		old.ProvedAt = w.Clock.Now().Add(-access.StepUpAge - time.Second)
		if _, err := w.Directory.Link(t.Context(), account.Activate, tokenOf(deep), old, hv.Session.Seq); !refusal.Is(err, refusal.StepUp) {
			t.Errorf("an old proof: %v", err)
		}
		if err := w.Desk.EndSessions(t.Context(), doortest.Operator(), w.Contoso.ID, l.Home.Account); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Directory.Link(t.Context(), account.Activate, tokenOf(deep), hv.Actor, hv.Session.Seq); !refusal.Is(err, refusal.Unauthenticated) {
			t.Errorf("an ended session: %v", err)
		}
		// Ended, withdrawn and foreign links look like those of "Choose your password".
		fresh, in := w.enrolled(w.Contoso, "uma@contoso.example", access.Viewer)
		gone, withdrawn := w.Invite(w.Fabrikam, "gone@fabrikam.example", access.Core)
		if err := w.Directory.Withdraw(t.Context(), doortest.Operator(), w.Fabrikam.ID, gone.Account); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{withdrawn, "/activate/dwa_" + strings.Repeat("x", 43), "/activate/" + string(token)} {
			if r := post(bad, in, fresh.Email); r.Status != http.StatusGone || r.Page() != "activate.expired" {
				t.Errorf("%s: %d %q", bad, r.Status, r.Page())
			}
		}
		w.Clock.Move(49 * time.Hour)
		in = w.Browser()
		in.SignIn(fresh).Want("dashboard")
		if r := post(invitation, in, fresh.Email); r.Status != http.StatusGone || r.Page() != "activate.expired" {
			t.Errorf("an ended invitation: %d %q", r.Status, r.Page())
		}
		if r := send(w.World, http.MethodGet, "/activate/link", nil, nil); r.Status != http.StatusGone {
			t.Errorf("coming back with nothing: %d", r.Status)
		}
	})
}

func refused(err error, key string) bool {
	e := refusal.As(err)
	return e != nil && e.Key == key
}

// Of fifty at once, over all nodes, one links; withdrawing at the same moment leaves one of the two.
func TestLinkAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		home, b := w.enrolled(w.Contoso, "tess@contoso.example", access.Viewer)
		_, invitation := w.Invite(w.Fabrikam, "tess@fabrikam.example", access.Core)
		var mu sync.Mutex
		won := 0
		form, cookies := url.Values{"home": {home.Email}}.Encode(), held(b)
		atOnce(50, func(i int) {
			r, err := transmit(all[i%len(all)], http.MethodPost, invitation+"/link", form, cookies)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case r.Location() == "/me":
				won++
			case r.Page() != "activate.expired" && !strings.HasSuffix(r.Location(), "/login"):
				t.Errorf("a loser is answered %d %q %s", r.Status, r.Page(), r.Location())
			}
		})
		if won != 1 || w.Events(w.Contoso.ID, "account.linked") != 1 || w.used(w.Fabrikam) != 0 {
			t.Errorf("%d links, %d events", won, w.Events(w.Contoso.ID, "account.linked"))
		}
		settle(w.World)
		if n := w.Count(`select count(*) from outbox where account_id = $1 and kind = 'linked'`, home.Account); n != 1 {
			t.Errorf("%d mails", n)
		}

		// Linking, choosing a password, withdrawing, disabling: whichever is first, the others find nothing, and the seats are right.
		for round := range 6 {
			p, b := w.enrolled(w.Contoso, "r"+string(rune('a'+round))+"@contoso.example", access.Viewer)
			q, path := w.Invite(w.Fabrikam, "r"+string(rune('a'+round))+"@fabrikam.example", access.Core)
			form, cookies := url.Values{"home": {p.Email}}.Encode(), held(b)
			atOnce(4, func(i int) {
				var err error
				switch i {
				case 0:
					_, err = transmit(all[0], http.MethodPost, path+"/link", form, cookies)
				case 1:
					_, err = transmit(all[len(all)-1], http.MethodPost, path, choose("a new passphrase 11").Encode(), nil)
				case 2:
					if err = all[len(all)/2].Directory.Withdraw(t.Context(), doortest.Operator(), w.Fabrikam.ID, q.Account); refusal.As(err) != nil {
						err = nil
					}
				case 3:
					if err = all[0].Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, q.Account); refusal.As(err) != nil {
						err = nil
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
			w.used(w.Fabrikam)
			if n := w.Count(`select count(*) from accounts a join factors f on f.account_id = a.id where a.home_id is not null and a.org_id = $1`, w.Fabrikam.ID); n != 0 {
				t.Error("a linked account has a password")
			}
		}
	})
}

// Entering while the link is removed ends outside, on every node.
func TestUnlinkAgainstEntering(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		for round := range 5 {
			l := w.link("r"+string(rune('a'+round)), access.Core)
			v, err := w.Desk.Resolve(t.Context(), secretOf(l.Browser), access.Client{Address: "127.0.0.1"})
			if err != nil {
				t.Fatal(err)
			}
			var got [3]secret.Text
			atOnce(4, func(i int) {
				if i == 3 {
					if err := all[0].Directory.Unlink(t.Context(), doortest.Operator(), w.Fabrikam.ID, l.There); err != nil {
						t.Error(err)
					}
					return
				}
				fresh, _, err := all[i%len(all)].Desk.Enter(t.Context(), v, "fabrikam")
				if err != nil && refusal.As(err) == nil {
					t.Error(err)
				}
				got[i] = fresh
			})
			for _, s := range got {
				for _, node := range all {
					if s != "" && in(node, string(s)) {
						t.Error("a linked session outlives its link")
					}
				}
			}
			if state, is := w.linkedState(l.There); state != "invited" || is {
				t.Errorf("the account is %s, linked %t", state, is)
			}
			if err := w.Directory.Withdraw(t.Context(), doortest.Operator(), w.Fabrikam.ID, l.There); err != nil {
				t.Error(err)
			}
			if n := w.Count(`select count(*) from sessions where via_id is not null and state = 'open'`); n > 0 {
				w.Exec(`update sessions set state = 'ended' where via_id is not null`)
			}
		}
		// Of two who enter at once with one session, one has the session after it.
		l := w.link("two", access.Core)
		v, err := w.Desk.Resolve(t.Context(), secretOf(l.Browser), access.Client{Address: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		var got [8]secret.Text
		atOnce(8, func(i int) {
			var err error
			if got[i], _, err = all[i%len(all)].Desk.Enter(t.Context(), v, "fabrikam"); err != nil {
				t.Error(err)
			}
		})
		good := 0
		for _, s := range got {
			if in(w.World, string(s)) {
				good++
			}
		}
		if good != 1 {
			t.Errorf("%d linked sessions stand on one at home", good)
		}
	})
}

// The person takes the link away from either side, an administrator does; it takes a seat, and mails a way in.
func TestUnlink(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		l := w.link("tess", access.Core)
		admin, bea := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		again := func() { // linked once more, from the newest invitation
			t.Helper()
			settle(w.World)
			mails := w.Mailbox.All(l.Email)
			l.Get(mails[len(mails)-1].Link("/activate/")).Want("activate").Submit("home", l.Home.Email).Want("me")
		}
		fresh := func() { // a proof of a moment ago
			w.Exec(`update sessions set proved_at = $1, last_used_at = $1`, w.Clock.Now().UnixMicro())
		}
		unlinked := func(by string) {
			t.Helper()
			if state, is := w.linkedState(l.There); state != "invited" || is {
				t.Fatalf("%s: the account is %s, linked %t", by, state, is)
			}
			if n := w.Count(`select count(*) from assignments where account_id = $1 and role = 'core'`, l.There); n != 1 {
				t.Errorf("%s: the roles are gone", by)
			}
			w.used(w.Fabrikam)
		}

		// From home.
		l.Get("/me").Want("me").Follow("/me/unlink/fabrikam").Want("unlink")
		if !strings.Contains(l.Text(), "invitation goes to "+l.Email) {
			t.Error("the page does not say what happens")
		}
		l.Submit(":action", "/me/unlink/").Want("me")
		unlinked("the person, from home")
		m := w.Mailbox.Wait(l.Home.Email, "unlinked", 1)
		if !strings.Contains(m.Text, "Fabrikam") || !strings.Contains(m.Text, l.Email) {
			t.Errorf("the mail says\n%s", m.Text)
		}
		w.Mailbox.Wait(l.Email, "invite", 2)
		if w.Events(w.Contoso.ID, "account.unlinked") != 1 || w.Events(w.Fabrikam.ID, "account.unlinked") != 1 {
			t.Error("the logs do not tell it once each")
		}
		again()

		// From the linked session, which ends; the person stands at home again.
		fresh()
		l.enter()
		inside := l.Cookie("session")
		l.Get("/me/unlink/fabrikam").Want("unlink").Submit(":action", "/me/unlink/").Want("me")
		if in(w.World, inside) || !strings.Contains(l.Text(), l.Home.Email) {
			t.Error("the linked session goes on")
		}
		unlinked("the person, from there")
		again()

		// An administrator there, with a fresh proof.
		l.enter()
		inside = l.Cookie("session")
		at := "/o/fabrikam/users/" + string(l.There)
		w.Exec(`update sessions set proved_at = 0 where account_id = $1`, admin.Account)
		bea.Get(at).Want("user").Follow("/unlink").Want("unlink").Submit(":action", "/unlink").Want("prove").Submit("proof_code", admin.Code()).Want("prove.resume")
		if state, is := w.linkedState(l.There); state != "active" || !is {
			t.Fatal("an old proof removed a link")
		}
		bea.Submit(":action", "/unlink").Want("user")
		unlinked("an administrator")
		if in(w.World, inside) {
			t.Error("the linked session goes on")
		}
		if m := w.Mailbox.Wait(l.Home.Email, "unlinked", 3); !strings.Contains(m.Text, admin.Email) {
			t.Errorf("the mail does not say who did it\n%s", m.Text)
		}
		// The mailed link is a good one: the account becomes one of its own.
		path := w.Mailbox.Wait(l.Email, "invite", 4).Link("/activate/")
		w.Browser().Get(path).Want("activate").Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("activate.done")
		if !w.signsIn(&doortest.Person{World: w.World, Org: w.Fabrikam, Email: l.Email}, doortest.Password) {
			t.Error("the way in does not lead in")
		}
		w.used(w.Fabrikam)

		// No seat: nothing changes.
		l2 := w.link("uma", access.Core)
		if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, w.used(w.Fabrikam)); err != nil {
			t.Fatal(err)
		}
		settle(w.World)
		before := dump(w.World)
		l2.Get("/me/unlink/fabrikam").Want("unlink").Submit(":action", "/me/unlink/").Want("me")
		if !strings.Contains(l2.Text(), "No seat is free") {
			t.Errorf("without a seat: %s", l2.Text())
		}
		if d := differing(before, dump(w.World), "sessions"); d != nil {
			t.Errorf("without a seat changed %v", d)
		}
		if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, license.Unlimited); err != nil {
			t.Fatal(err)
		}
		// Not by others: a sibling's administrator, a core user, someone else of the home organisation.
		_, core := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		_, zora := w.enrolled(w.Tailspin, "zora@tailspin.example", access.Administrator)
		_, loose := w.enrolled(w.Contoso, "emil@contoso.example", access.Editor)
		for name, b := range map[string]*doortest.Browser{"a core user": core, "a sibling's administrator": zora, "a loose editor at home": loose} {
			v, err := w.Desk.Resolve(t.Context(), secretOf(b), access.Client{})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Directory.Unlink(t.Context(), v.Actor, w.Fabrikam.ID, l2.There); !refusal.Is(err, refusal.NotFound) && !refusal.Is(err, refusal.Forbidden) {
				t.Errorf("%s: %v", name, err)
			}
			if r := send(w.World, http.MethodPost, "/me/unlink/fabrikam", nil, held(b)); r.Status != http.StatusNotFound {
				t.Errorf("%s: %d %q", name, r.Status, r.Page())
			}
		}
		// The last administrator keeps the link.
		l3 := w.link("vera", access.Administrator)
		for _, other := range []id.Account{admin.Account} {
			if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, other); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Directory.Unlink(t.Context(), doortest.Operator(), w.Fabrikam.ID, l3.There); !refused(err, "account.last_administrator") {
			t.Errorf("the last administrator: %v", err)
		}
	})
}

// An account of its own becomes a linked one: both sides sign in, and what it was proved with is gone.
func TestLinkAnOwnAccount(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		home := w.Enrol(w.Contoso, "tess@contoso.example", access.Viewer)
		own, b := w.enrolled(w.Fabrikam, "tess@fabrikam.example", access.Core)
		w.Mailbox.Wait(own.Email, "invite", 1)
		other := w.Browser()
		other.SignIn(own).Want("dashboard")
		w.Exec(`update sessions set proved_at = $1`, w.Clock.Now().UnixMicro())
		old := b.Cookie("session")
		b.Get("/me").Want("me").Submit(":action", "/me/link").Want("login.identifier")
		if b.At.Path != "/o/contoso/login" || strings.Contains(b.At.String()+b.Body, "dwl_") {
			t.Fatalf("the way leads to %s", b.At)
		}
		b.Get("/me/link").Want("me") // not signed in at home yet
		b.Get("/o/contoso/login?to=%2Fme%2Flink").Submit("identifier", home.Email).Submit("password", doortest.Password).Submit("code", home.Code()).Want("link")
		for _, word := range []string{own.Email, "Fabrikam", home.Email, "Contoso IT", "are removed"} {
			if !strings.Contains(b.Text(), word) {
				t.Errorf("the page does not say %q", word)
			}
		}
		if _, is := w.linkedState(own.Account); is {
			t.Fatal("looking linked the account")
		}
		joining := b.Cookie("joining")
		b.Submit(":action", "/me/link/confirm").Want("me")
		if state, is := w.linkedState(own.Account); state != "active" || !is {
			t.Fatalf("the account is %s, linked %t", state, is)
		}
		if n := w.Count(`select count(*) from factors where account_id = $1`, own.Account) + w.Count(`select count(*) from devices where account_id = $1`, own.Account); n != 0 {
			t.Error("something of its own is left")
		}
		if w.used(w.Fabrikam) != 0 || w.signsIn(own, doortest.Password) || in(w.World, old) || in(w.World, other.Cookie("session")) {
			t.Error("the old way in is open, or its seat taken")
		}
		if w.Events(w.Fabrikam.ID, "linked.begun") != 1 || w.Events(w.Fabrikam.ID, "account.linked") != 1 || w.Events(w.Contoso.ID, "account.linked") != 1 {
			t.Error("the logs do not tell it")
		}
		for _, address := range []string{home.Email, own.Email} { // two mailboxes, both are told
			if m := w.Mailbox.Wait(address, "linked", 1); !strings.Contains(m.Text, "are removed") || m.Link("/not-me/") == "" {
				t.Errorf("%s is mailed\n%s", address, m.Text)
			}
		}
		if _, err := w.Directory.Open(t.Context(), account.Join, secret.Text(joining)); err != nil {
			t.Fatal(err)
		} else if op, _ := w.Directory.Open(t.Context(), account.Join, secret.Text(joining)); op.Good {
			t.Error("the link is good again")
		}
		// It opens nothing else, and chooses no password.
		for _, path := range []string{"/activate/", "/reset/", "/setup/", "/not-me/"} {
			if r := send(w.World, http.MethodPost, path+joining, choose("a new passphrase 11"), nil); r.Status != http.StatusGone {
				t.Errorf("%s answers %d", path, r.Status)
			}
		}

		// Its mailbox says "this wasn't me": the account is nobody's, and invited anew.
		path := path(w, w.Mailbox.Wait(own.Email, "linked", 1).Link("/not-me/"))
		b.Get("/me").Submit(":action", "/me/enter").Want("dashboard")
		inside := b.Cookie("session")
		if r := send(w.World, http.MethodPost, path, nil, nil); r.Location() != "/o/fabrikam/not-me/done" {
			t.Errorf("the answer to the mail: %d %q", r.Status, r.Page())
		}
		if state, is := w.linkedState(own.Account); state != "invited" || is || in(w.World, inside) {
			t.Errorf("after it the account is %s, linked %t", state, is)
		}
		w.Mailbox.Wait(own.Email, "invite", 2)
		w.used(w.Fabrikam)
	})
}

// The link of BeginLink ends: with time, with another one, with the account's other sessions, and with a proof that is too old.
func TestBeginLinkEnds(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		own, b := w.enrolled(w.Fabrikam, "tess@fabrikam.example", access.Core)
		_, homeIn := w.enrolled(w.Contoso, "tess@contoso.example", access.Viewer)
		begin := func() secret.Text {
			t.Helper()
			w.Exec(`update sessions set proved_at = $1, last_used_at = $1`, w.Clock.Now().UnixMicro())
			v, err := w.Desk.Resolve(t.Context(), secretOf(b), access.Client{})
			if err != nil {
				t.Fatal(err)
			}
			token, err := w.Directory.BeginLink(t.Context(), v.Actor)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		try := func(token secret.Text) error {
			t.Helper()
			w.Exec(`update sessions set proved_at = $1, last_used_at = $1`, w.Clock.Now().UnixMicro())
			v, err := w.Desk.Resolve(t.Context(), secretOf(homeIn), access.Client{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Directory.Link(t.Context(), account.Join, token, v.Actor, v.Session.Seq)
			return err
		}
		first, second := begin(), begin()
		if err := try(first); !refusal.Is(err, refusal.Expired) {
			t.Errorf("an earlier one: %v", err)
		}
		w.Clock.Move(account.JoinLife)
		if err := try(second); !refusal.Is(err, refusal.Expired) {
			t.Errorf("after its time: %v", err)
		}
		third := begin()
		if err := w.Desk.EndSessions(t.Context(), doortest.Operator(), w.Fabrikam.ID, own.Account); err != nil {
			t.Fatal(err)
		}
		if err := try(third); !refusal.Is(err, refusal.Expired) {
			t.Errorf("after a revocation: %v", err)
		}
		if _, is := w.linkedState(own.Account); is {
			t.Error("it was linked all the same")
		}
		b = w.Browser()
		b.SignIn(own).Want("dashboard")
		w.Exec(`update sessions set proved_at = 0`)
		b.Get("/me").Submit(":action", "/me/link").Want("prove")
	})
}
