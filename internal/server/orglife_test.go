package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// A profile is changed by who may, at the revision that they saw; what is wrong stands at its field and nothing is lost.
func TestOrgSettings(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, c := w.enrolled(w.Fabrikam, "ben@fabrikam.example", access.Administrator)
		b.Get("/o/fabrikam/settings").Want("org.settings")
		c.Get("/o/fabrikam/settings").Want("org.settings")
		b.Submit(":action", "/settings", "name", " Fabrikam  & Söhne ", "language", "en", "time_zone", "Europe/Berlin", "country", "DE", "tags", "north, Big; north").Want("org.settings")
		if got := w.text(`select name || '|' || language || '|' || time_zone || '|' || country from orgs where id = $1`, w.Fabrikam.ID); got != "Fabrikam & Söhne|en|Europe/Berlin|DE" {
			t.Errorf("kept %q", got)
		}
		if tags, err := org.Tags(w.DB.Read(t.Context()), w.Fabrikam.ID); err != nil || strings.Join(tags, "|") != "Big|north" {
			t.Errorf("tags %q, %v", tags, err)
		}
		c.Submit(":action", "/settings", "name", "Fabrikam Two").WantStatus(http.StatusUnprocessableEntity).Want("org.settings")
		if text := c.Text(); !strings.Contains(text, "meanwhile") || !strings.Contains(c.Body, `value="Fabrikam Two"`) {
			t.Errorf("the second editor is told %q", text)
		}
		c.Submit(":action", "/settings", "name", "Fabrikam Two").WantStatus(http.StatusOK) // now at the revision that is there
		for _, wrong := range [][2]string{{"name", ""}, {"name", strings.Repeat("x", 101)}, {"time_zone", "Mars/Olympus"}, {"time_zone", "Local"}, {"language", "xx"},
			{"country", "ZZ"}, {"country", "Deutschland"}, {"tags", strings.Repeat("y", 41)}, {"tags", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u"}, {"tags", "a\u202eb"}} {
			rev := w.text(`select cast(rev as text) from orgs where id = $1`, w.Fabrikam.ID)
			b.Get("/o/fabrikam/settings").Submit(":action", "/settings", wrong[0], wrong[1]).WantStatus(http.StatusUnprocessableEntity)
			if b.FieldError(wrong[0]) == "" || w.text(`select cast(rev as text) from orgs where id = $1`, w.Fabrikam.ID) != rev {
				t.Errorf("%s = %.30q: nothing at the field, or something was saved", wrong[0], wrong[1])
			}
		}
		if n := w.Events(w.Fabrikam.ID, "org.changed"); n != 2 {
			t.Errorf("%d events", n)
		}
	})
}

// A suspended organisation: everybody is out at once, nobody gets in, its administrators are told; opened again, people sign in anew.
func TestSuspended(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, m := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, activation := w.Invite(w.Fabrikam, "new@fabrikam.example", access.Core)
		form := url.Values{"confirm_suspend": {"Fabrikam "}, "reason": {"invoice 4711"}}
		w.Clock.Move(11 * time.Minute)
		m.Post("/o/fabrikam/settings/suspend", form).Want("prove") // the proof is too old
		w.Exec(`update sessions set proved_at = $1`, w.Clock.Now().UnixMicro())
		m.Post("/o/fabrikam/settings/suspend", url.Values{"confirm_suspend": {"tailspin"}, "reason": {"x"}}).WantStatus(http.StatusUnprocessableEntity)
		if m.FieldError("confirm_suspend") == "" {
			t.Error("another tenant domain confirms it")
		}
		m.Post("/o/fabrikam/settings/suspend", url.Values{"confirm_suspend": {"fabrikam"}}).WantStatus(http.StatusUnprocessableEntity)
		m.Post("/o/fabrikam/settings/suspend", form).Want("org.settings")
		if mail := w.Mailbox.Wait(bea.Email, "org-state", 1); !strings.Contains(mail.Text, "invoice 4711") {
			t.Errorf("the mail reads %s", mail.Text)
		}
		b.Get("/o/fabrikam/").Want("welcome")
		b.Get("/me").Want("error")
		w.Clock.Move(time.Minute)
		w.Browser().Password(bea).Want("login.totp").Submit("code", bea.Code()).Want("login.denied")
		w.Browser().Get(activation).Want("activate.expired")
		if text := m.Get("/o/fabrikam/").Want("dashboard").Text(); !strings.Contains(text, "is suspended") {
			t.Error("no banner for the parent")
		}
		m.Post("/o/fabrikam/settings/suspend", form).WantStatus(http.StatusUnprocessableEntity) // twice
		m.Post("/o/fabrikam/settings/resume", nil).Want("org.settings")
		w.Mailbox.Wait(bea.Email, "org-state", 2)
		b.Get("/o/fabrikam/").Want("welcome") // the old session stays over
		w.Clock.Move(time.Minute)
		w.Browser().SignIn(bea).Want("dashboard")
		for _, o := range []org.Org{w.Fabrikam, w.Contoso} {
			if w.Events(o.ID, "org.suspended") != 1 || w.Events(o.ID, "org.resumed") != 1 {
				t.Errorf("%s has %d and %d events", o.Slug, w.Events(o.ID, "org.suspended"), w.Events(o.ID, "org.resumed"))
			}
		}
	})
}

// An MSP that is suspended works in none of its customers any more; their own people do.
func TestSuspendedParent(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, m := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		m.Get("/o/fabrikam/users").Want("users")
		if err := w.Directory.Suspend(t.Context(), doortest.Operator(), w.Contoso.ID, "contoso", "left"); err != nil {
			t.Fatal(err)
		}
		m.Get("/o/fabrikam/users").Want("login.identifier")
		b.Get("/o/fabrikam/users").Want("users")
	})
}

// An organisation is deleted after its waiting time, and not before; until then its administrators can keep it.
func TestDeleted(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		carl, c := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		ada, _ := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		b.Post("/o/fabrikam/settings/delete", url.Values{"confirm_delete": {"fabrikam"}}).Want("org.settings")
		w.Mailbox.Wait(bea.Email, "org-state", 1)
		if text := b.Get("/o/fabrikam/").Want("dashboard").Text(); !strings.Contains(text, "will be deleted on") {
			t.Error("no banner")
		}
		c.Get("/o/fabrikam/").Want("welcome")
		w.Clock.Move(time.Minute)
		w.Browser().Password(carl).Want("login.totp").Submit("code", carl.Code()).Want("login.denied")
		w.Clock.Move(47 * time.Hour)
		if err := w.Directory.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := w.Browser()
		again.SignIn(bea).Want("dashboard")
		again.Post("/o/fabrikam/settings/keep", nil).Want("org.settings")
		w.Clock.Move(2 * time.Hour)
		if err := w.Directory.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Browser().SignIn(carl).Want("dashboard")

		// Now it goes.
		if _, err := w.Directory.RequestDeletion(t.Context(), doortest.Operator(), w.Fabrikam.ID, "fabrikam"); err != nil {
			t.Fatal(err)
		}
		w.Clock.Move(48 * time.Hour)
		if err := w.Directory.CancelDeletion(t.Context(), doortest.Operator(), w.Fabrikam.ID); !refusal.Is(err, refusal.Conflict) {
			t.Errorf("kept after the waiting time: %v", err)
		}
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				if err := w.Directory.Purge(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		for _, table := range []string{"accounts", "assignments", "attempts", "sessions", "factors", "links", "events", "event_persons", "outbox", "seats", "devices",
			"org_health", "visits", "roles", "org_groups", "org_tree"} {
			if n := w.Count(`select count(*) from ` + table + ` where org_id = '` + string(w.Fabrikam.ID) + `'`); n != 0 {
				t.Errorf("%s still has %d rows", table, n)
			}
		}
		if w.Events(w.Contoso.ID, "org.deleted") != 1 {
			t.Errorf("%d events of it", w.Events(w.Contoso.ID, "org.deleted"))
		}
		w.Mailbox.Wait(ada.Email, "org-state", 1)
		// Nothing is inherited, and the name rests (AT-70).
		if _, err := w.Directory.CreateOrg(t.Context(), doortest.Operator(), org.New{Kind: access.Customer, Parent: w.Contoso.ID, Slug: "fabrikam", Name: "Fabrikam"}); refusal.As(err) == nil {
			t.Errorf("the tenant domain was given away at once: %v", err)
		}
		again.Get("/o/fabrikam/users").Want("login.identifier")
		w.Clock.Move(org.SlugRests)
		if _, err := w.Directory.CreateOrg(t.Context(), doortest.Operator(), org.New{Kind: access.Customer, Parent: w.Contoso.ID, Slug: "fabrikam", Name: "Fabrikam"}); err != nil {
			t.Error(err)
		}
		w.Browser().Get("/o/fabrikam/login").Submit("identifier", bea.Email).Submit("password", doortest.Password).WantStatus(http.StatusUnprocessableEntity)
	})
}

// Children first; the provider never.
func TestDeletedInOrder(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		if _, err := w.Directory.RequestDeletion(t.Context(), doortest.Operator(), w.Contoso.ID, "contoso"); !refusal.Is(err, refusal.Conflict) {
			t.Errorf("an MSP with customers: %v", err)
		}
		if _, err := w.Directory.RequestDeletion(t.Context(), doortest.Operator(), w.Provider.ID, w.Provider.Slug); !refusal.Is(err, refusal.Conflict) {
			t.Errorf("the provider: %v", err)
		}
		empty := w.Org(access.MSP, w.Provider.ID, "empty", "Empty")
		until, err := w.Directory.RequestDeletion(t.Context(), doortest.Operator(), empty.ID, "empty")
		if err != nil || until.Sub(w.Clock.Now()) != 14*24*time.Hour {
			t.Errorf("until %v, %v", until, err)
		}
		// A customer made meanwhile would go with it.
		if _, err := w.Directory.CreateOrg(t.Context(), doortest.Operator(), org.New{Kind: access.Customer, Parent: empty.ID, Slug: "late", Name: "Late"}); !refusal.Is(err, refusal.Conflict) {
			t.Errorf("a customer of a dying MSP: %v", err)
		}
	})
}

// Of a deletion and a cancellation at the same moment one wins, and the state fits.
func TestDeletedOrKept(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		for i := range 4 {
			o := w.Org(access.Customer, w.Contoso.ID, fmt.Sprintf("brink%d", i), "Brink")
			if _, err := w.Directory.RequestDeletion(t.Context(), doortest.Operator(), o.ID, o.Slug); err != nil {
				t.Fatal(err)
			}
			w.Exec(`update orgs set delete_at = $1 where id = $2`, w.Clock.Now().UnixMicro(), o.ID)
			var kept atomic.Int32
			var wait sync.WaitGroup
			for range 4 {
				wait.Go(func() {
					if w.Directory.CancelDeletion(t.Context(), doortest.Operator(), o.ID) == nil {
						kept.Add(1)
					}
				})
				wait.Go(func() {
					if err := w.Directory.Purge(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			if n := w.Count(`select count(*) from orgs where slug_key = $1`, o.Slug); n != 0 || kept.Load() != 0 {
				t.Errorf("%d rows, kept %d times, at the very end of the waiting time", n, kept.Load())
			}
		}
	})
}

// A deletion, asked for and cancelled, lifts no suspension: nobody of the organisation comes in meanwhile, and afterwards it is suspended as before.
func TestSuspendedAndDeleted(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		ted, teds := w.enrolled(w.Contoso, "ted@contoso.example", access.Editor) // may delete, and not suspend
		_, adas := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		w.group(w.Contoso.ID, []id.Org{w.Fabrikam.ID}, ted)
		shut := func(when, state string) {
			t.Helper()
			if got := w.text(`select state from org_nodes where id = $1`, w.Fabrikam.ID); got != state {
				t.Errorf("%s it is %s", when, got)
			}
			w.Clock.Move(time.Minute)
			w.freshen()
			w.Browser().Password(bea).Want("login.totp").Submit("code", bea.Code()).Want("login.denied")
			b.Get("/o/fabrikam/users").Want("login.identifier")
			if r, err := w.Guard.Rights(w.DB.Read(t.Context()), access.Actor{Kind: access.AccountActor, Account: bea.Account, Org: w.Fabrikam.ID}, w.Fabrikam.ID); err != nil || r.May(access.OrgDelete) {
				t.Errorf("%s its administrator has rights (%v)", when, err)
			}
		}
		if err := w.Directory.Suspend(t.Context(), doortest.Operator(), w.Fabrikam.ID, "fabrikam", "invoice of Jane Roe"); err != nil {
			t.Fatal(err)
		}
		shut("suspended", "suspended")
		teds.Post("/o/fabrikam/settings/resume", nil).WantStatus(http.StatusForbidden)
		teds.Post("/o/fabrikam/settings/delete", url.Values{"confirm_delete": {"fabrikam"}}).Want("org.settings")
		if text := teds.Text(); !strings.Contains(text, "It is suspended: nobody of it can sign in until then.") {
			t.Errorf("its page says %s", text)
		}
		if mail := w.Mailbox.Wait(bea.Email, "org-state", 2); !strings.Contains(mail.Text, "It stays suspended") || strings.Contains(mail.Text, "sign in and open") {
			t.Errorf("the mail reads %s", mail.Text)
		}
		shut("being deleted", "deleting")
		adas.Post("/o/fabrikam/settings/resume", nil).WantStatus(http.StatusUnprocessableEntity)
		shut("not resumed", "deleting")
		if err := w.Directory.CancelDeletion(t.Context(), access.Actor{Kind: access.AccountActor, Account: bea.Account, Org: w.Fabrikam.ID}, w.Fabrikam.ID); !refusal.Is(err, refusal.NotFound) {
			t.Errorf("its own administrator cancels it: %v", err)
		}
		teds.Post("/o/fabrikam/settings/keep", nil).Want("org.settings")
		if mail := w.Mailbox.Wait(bea.Email, "org-state", 3); !strings.Contains(mail.Text, "It is still suspended") {
			t.Errorf("the mail reads %s", mail.Text)
		}
		shut("kept", "suspended")
		if n := w.Count(`select count(*) from events where action = 'org.deletion_cancelled' and org_id = $1 and data like '%suspended%'`, w.Fabrikam.ID); n != 1 {
			t.Errorf("%d events say what it is", n)
		}
		adas.Post("/o/fabrikam/settings/resume", nil).Want("org.settings")
		w.Clock.Move(time.Minute)
		again := w.Browser()
		again.SignIn(bea).Want("dashboard")
		// One that was open is open again.
		w.freshen()
		again.Post("/o/fabrikam/settings/delete", url.Values{"confirm_delete": {"fabrikam"}}).Want("org.settings")
		again.Post("/o/fabrikam/settings/keep", nil).Want("org.settings")
		if state := w.text(`select state || kept_state from org_nodes where id = $1`, w.Fabrikam.ID); state != "active" {
			t.Errorf("it is %s", state)
		}
		if typed := w.Count(`select count(*) from events where reason like '%Jane Roe%' or data like '%Jane Roe%'`); typed != 0 || w.Count(`select count(*) from event_persons where data like '%invoice of Jane Roe%'`) != 1 {
			t.Errorf("%d events keep what was typed for ever, or it is lost", typed)
		}
	})
}

// The people of an organisation that is gone are in nobody's log any more, however much they did there; what others did stays, with who did it.
func TestDeletedPeopleAreForgotten(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, adas := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		b.Post("/o/fabrikam/seats/ask", url.Values{"wanted": {"9"}, "reason": {"new office"}}).Want("seats")
		adas.Get("/o/fabrikam/seats").Submit(":action", "/grant", "seat_limit", "30").Want("seats")
		for i := range 25 { // more than go at once
			w.Invite(w.Fabrikam, fmt.Sprintf("p%d@fabrikam.example", i), access.Core)
		}
		actor := access.Actor{Kind: access.AccountActor, Account: bea.Account, Org: w.Fabrikam.ID, Name: bea.Email, Client: access.Client{Address: "192.0.2.77", UserAgent: "Bea's browser"}}
		const many = 250 // more than are looked at at once
		for i := range many {
			e := audit.Event{Org: w.Contoso.ID, Action: audit.SeatsAsked, Actor: actor, Target: audit.TargetOf(w.Fabrikam.ID)}
			if i%2 == 0 {
				e.Person = map[string]any{"reason": "kept"}
			}
			if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error { return audit.Record(tx, w.Clock.Now(), e) }); err != nil {
				t.Fatal(err)
			}
		}
		b.Post("/o/fabrikam/settings/delete", url.Values{"confirm_delete": {"fabrikam"}}).Want("org.settings")
		theirs := w.Count(`select count(*) from event_persons where data like '%ada@contoso%'`)
		events := w.Count(`select count(*) from events where org_id = $1`, w.Contoso.ID)
		if n := w.Count(`select count(*) from event_persons where org_id = $1 and data like '%bea@fabrikam%'`, w.Contoso.ID); n < many+2 {
			t.Fatalf("%d events name her", n)
		}
		w.Clock.Move(49 * time.Hour)
		nodes := []*account.Directory{w.Directory, doortest.Open(t, w.Settings, w.Clock).Directory}
		var wait sync.WaitGroup
		for i := range 4 {
			wait.Go(func() {
				if err := nodes[i%2].Purge(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if n := w.Count(`select count(*) from event_persons where data like '%bea@fabrikam%' or data like '%192.0.2.77%' or data like '%browser%' and data like '%Bea%'`); n != 0 {
			t.Errorf("%d events still name her", n)
		}
		if n := w.Count(`select count(*) from accounts where org_id = $1`, w.Fabrikam.ID) + w.Count(`select count(*) from orgs where id = $1`, w.Fabrikam.ID); n != 0 {
			t.Errorf("%d rows left", n)
		}
		if n := w.Count(`select count(*) from events where org_id = $1`, w.Contoso.ID); n != events+1 {
			t.Errorf("%d events, there were %d", n, events)
		}
		gone := w.Count(`select count(*) from event_persons p join events e on e.id = p.event_id where e.org_id <> $1 and p.data like '%ada@contoso%'`, w.Fabrikam.ID)
		if gone == 0 || gone > theirs || w.Count(`select count(*) from event_persons where data like '%"reason":"kept"%'`) != many/2 {
			t.Errorf("of the others' %d events %d are left, or what they said", theirs, gone)
		}
	})
}
