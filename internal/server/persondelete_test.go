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
	"doorward/internal/doortest"
	"doorward/internal/refusal"
	"doorward/internal/server"
)

func (w *town) personPath(p *doortest.Person) string {
	return "/o/" + p.Org.Slug + "/users/" + string(p.Account)
}

// state returns where an account stands; "" when it is gone.
func (w *town) state(p *doortest.Person) string {
	w.T.Helper()
	return w.text(`select coalesce(max(state), '') from accounts where id = $1`, p.Account)
}

func (w *town) purge() {
	w.T.Helper()
	if err := w.Directory.PurgePeople(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

func (w *town) delete(p *doortest.Person) {
	w.T.Helper()
	if err := w.Directory.Delete(w.T.Context(), doortest.Operator(), p.Org.ID, p.Account); err != nil {
		w.T.Fatal(err)
	}
}

// Somebody who is deleted is out at once, can be kept for seven days, and is gone then with everything that was theirs. The events stay.
func TestPersonDeleted(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		carl, c := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		half := halfIn(carl)
		half.Want("login.totp")
		w.Browser().Get("/o/fabrikam/forgot").Submit("identifier", carl.Email).Want("forgot.sent")
		reset := path(w, w.Mailbox.Wait(carl.Email, "reset", 1).Link("/reset/"))
		used := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID)

		b.Post(w.personPath(carl)+"/delete", nil).Want("user")
		if text := b.Text(); !strings.Contains(text, "Being deleted") || !strings.Contains(text, "Keep this person") {
			t.Errorf("the page says %s", text)
		}
		if mail := w.Mailbox.Wait(carl.Email, "account-state", 1); !strings.Contains(mail.Text, "bea@fabrikam.example") {
			t.Errorf("the mail reads %s", mail.Text)
		}
		if n := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID); n != used-1 {
			t.Errorf("%d seats in use, want %d", n, used-1)
		}
		c.Get("/me").WantStatus(http.StatusUnauthorized)
		half.Get("/login/next?attempt=" + half.ID).Want("login.identifier")
		w.Browser().Get(reset).WantStatus(http.StatusGone)
		w.Clock.Move(time.Minute)
		if w.Browser().Password(carl).Want("login.totp").Submit("code", carl.Code()).Want("login.denied").Reason() != "account_disabled" {
			t.Error("another refusal than of a disabled account")
		}
		mails := w.Count(`select count(*) from outbox where account_id = $1`, carl.Account)
		w.Browser().Get("/o/fabrikam/forgot").Submit("identifier", carl.Email).Want("forgot.sent")
		if w.Count(`select count(*) from outbox where account_id = $1`, carl.Account) != mails {
			t.Error("a reset is mailed")
		}
		if text := b.Get("/o/fabrikam/users?state=deleting").Want("users").Text(); !strings.Contains(text, carl.Email) || !strings.Contains(text, "Goes on") {
			t.Errorf("the list reads %s", text)
		}
		if text := b.Get("/o/fabrikam/users?state=active").Text(); strings.Contains(text, carl.Email) {
			t.Error("listed as active")
		}
		for _, do := range []string{"disable", "enable", "delete"} { // nothing else undoes it
			b.Post(w.personPath(carl)+"/"+do, nil)
			if s := w.state(carl); s != "deleting" {
				t.Errorf("%s made it %s", do, s)
			}
		}
		if out, err := w.Directory.Invite(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.Invitation{Emails: []string{carl.Email}}); err != nil ||
			refusal.As(out[0].Err) == nil || refusal.As(out[0].Err).Key != "email.there_deleting" {
			t.Errorf("invited anew: %v, %v", out, err)
		}

		// Kept just in time, and a seat is taken again.
		w.Clock.Move(account.DeletionWaits - 10*time.Minute)
		w.purge()
		if err := w.Directory.Keep(t.Context(), doortest.Operator(), w.Fabrikam.ID, carl.Account); err != nil {
			t.Fatal(err)
		}
		w.Mailbox.Wait(carl.Email, "account-state", 2)
		if n := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID); n != used {
			t.Errorf("%d seats in use, want %d", n, used)
		}
		c.Get("/me").WantStatus(http.StatusUnauthorized)
		w.Clock.Move(time.Minute)
		w.Browser().SignIn(carl).Want("dashboard")

		// Gone.
		w.delete(carl)
		w.Mailbox.Wait(carl.Email, "account-state", 3)
		w.Clock.Move(account.DeletionWaits)
		if err := w.Directory.Keep(t.Context(), doortest.Operator(), w.Fabrikam.ID, carl.Account); !refusal.Is(err, refusal.Conflict) {
			t.Errorf("kept after the waiting time: %v", err)
		}
		events := w.Count(`select count(*) from events where target_id = $1 or actor_id = $1`, carl.Account)
		w.purge()
		for _, table := range []string{"assignments", "sessions", "factors", "links", "outbox", "devices", "visits", "reminders", "attempts", "org_group_accounts"} {
			if n := w.Count(`select count(*) from `+table+` where account_id = $1`, carl.Account); n != 0 {
				t.Errorf("%s still has %d rows", table, n)
			}
		}
		if w.state(carl) != "" {
			t.Error("the account is still there")
		}
		if n := w.Count(`select count(*) from events where target_id = $1 or actor_id = $1`, carl.Account); n != events+1 {
			t.Errorf("%d events, want %d", n, events+1)
		}
		if n := w.Count(`select count(*) from event_persons where data like '%carl@fabrikam.example%'`); n != 0 {
			t.Errorf("%d events still name the person: %s", n, w.text(`select min(e.action || ' ' || p.data) from event_persons p join events e on e.id = p.event_id where p.data like '%carl@fabrikam.example%'`))
		}
		if n := w.Count(`select count(*) from event_persons p join events e on e.id = p.event_id where e.actor_id = $1`, carl.Account); n != 0 {
			t.Errorf("%d events still say where the person was", n)
		}
		if n := w.Events(w.Fabrikam.ID, "account.deleted"); n != 1 {
			t.Errorf("%d events of it", n)
		}
		// The same address again is somebody new, who inherits nothing (AT-70).
		again := w.Activate(w.Fabrikam, carl.Email, access.Viewer)
		if again.Account == carl.Account || w.signsIn(carl, "x") {
			t.Error("the account came back")
		}
		w.Browser().Get(reset).WantStatus(http.StatusGone)
	})
}

// Whom nobody deletes, and who is gone at once.
func TestPersonNotDeleted(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		co, c := w.enrolled(w.Fabrikam, "cora@fabrikam.example", access.CoManager)
		_, m := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		for _, one := range []struct {
			by *doortest.Browser
			of *doortest.Person
		}{{b, bea}, {m, bea}, {c, co}, {c, bea}} { // herself; the last administrator; himself; more rights than one's own
			one.by.Post(w.personPath(one.of)+"/delete", nil)
			if s := w.state(one.of); s != "active" {
				t.Errorf("%s is %s", one.of.Email, s)
			}
		}
		if w.Events(w.Fabrikam.ID, "account.deletion_asked") != 0 {
			t.Error("there is an event")
		}
		// Never activated: at once, with the seat back and the address free.
		p, link := w.Invite(w.Fabrikam, "new@fabrikam.example", access.Core)
		used := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID)
		b.Post(w.personPath(p)+"/delete", nil).Want("users")
		if w.state(p) != "" || w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID) != used-1 {
			t.Error("the invitation is still there, or its seat")
		}
		w.Browser().Get(link).Want("activate.expired")
		w.Invite(w.Fabrikam, "new@fabrikam.example", access.Core)

		// Somebody who was disabled has no seat to give back, and is disabled when they are kept.
		shut := w.Activate(w.Fabrikam, "shut@fabrikam.example", access.Core)
		if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, shut.Account); err != nil {
			t.Fatal(err)
		}
		used = w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID)
		w.delete(shut)
		b.Post(w.personPath(shut)+"/keep", nil).Want("user")
		if w.state(shut) != "disabled" || w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID) != used {
			t.Errorf("kept as %s, %d seats", w.state(shut), used)
		}
		// Without a seat nobody is kept.
		gone := w.Activate(w.Fabrikam, "gone@fabrikam.example", access.Core)
		w.delete(gone)
		if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, used); err != nil {
			t.Fatal(err)
		}
		if err := w.Directory.Keep(t.Context(), doortest.Operator(), w.Fabrikam.ID, gone.Account); !refusal.Is(err, refusal.Conflict) || w.state(gone) != "deleting" {
			t.Errorf("%v, and the account is %s", err, w.state(gone))
		}
		// Of another organisation.
		w.Browser().Post("/o/tailspin/users/"+string(gone.Account)+"/keep", nil)
		m.Post("/o/tailspin/users/"+string(co.Account)+"/delete", nil).WantStatus(http.StatusNotFound)
	})
}

// A linked account is deleted where it lives; the home is not touched. When the home goes, the accounts below are shut, for the administrators there.
func TestLinkedDeleted(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		tess := w.link("tess", access.Core)
		at := &doortest.Person{World: w.World, Org: w.Fabrikam, Account: tess.There}
		home := tess.Home
		used := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID)
		w.delete(at)
		if w.state(home) != "active" || w.state(at) != "deleting" || w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID) != used {
			t.Errorf("home %s, here %s", w.state(home), w.state(at))
		}
		if err := w.Directory.Keep(t.Context(), doortest.Operator(), w.Fabrikam.ID, at.Account); err != nil || w.state(at) != "active" {
			t.Errorf("%v, %s", err, w.state(at))
		}
		w.Enrol(w.Contoso, "ada@contoso.example", access.Administrator)
		w.delete(home)
		w.Mailbox.Wait("bea@fabrikam.example", "linked-reset", 1)
		w.Clock.Move(account.DeletionWaits)
		w.purge()
		if w.state(home) != "" || w.state(at) != "disabled" || w.Count(`select count(*) from accounts where home_id is not null`) != 0 {
			t.Errorf("home %q, here %s", w.state(home), w.state(at))
		}
		if w.Events(w.Fabrikam.ID, "account.unlinked") != 1 {
			t.Error("the customer's log says nothing")
		}
		if err := w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, at.Account); err != nil || w.state(at) != "invited" {
			t.Errorf("opened again: %v, %s", err, w.state(at))
		}
	})
}

// nodes returns three directories on one database.
func (w *town) nodes() []*account.Directory {
	w.T.Helper()
	list := []*account.Directory{w.Directory}
	for range 2 {
		h, err := server.Open(w.T.Context(), w.Settings, w.Clock.Now, w.Log, false)
		if err != nil {
			w.T.Fatal(err)
		}
		w.T.Cleanup(func() {
			if err := h.Close(); err != nil {
				w.T.Error(err)
			}
		})
		list = append(list, h.Directory)
	}
	return list
}

// Of any number of deletions one counts; at the very end of the waiting time nobody is kept and everybody goes once, on three nodes; of two
// administrators who delete each other one stays; a sign-in under way does not outlive the deletion.
func TestPersonDeletedRaces(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		nodes := w.nodes()
		var wait sync.WaitGroup
		for i := range 4 {
			p := w.Activate(w.Fabrikam, fmt.Sprintf("p%d@fabrikam.example", i), access.Core)
			used := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID)
			var done, kept atomic.Int32
			for n := range 6 {
				wait.Go(func() {
					if nodes[n%3].Delete(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account) == nil {
						done.Add(1)
					}
				})
			}
			wait.Wait()
			if done.Load() != 1 || w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID) != used-1 {
				t.Errorf("deleted %d times, %d seats were in use", done.Load(), used)
			}
			w.Exec(`update accounts set delete_at = $1 where id = $2`, w.Clock.Now().UnixMicro(), p.Account)
			for n := range 6 {
				wait.Go(func() {
					if nodes[n%3].Keep(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account) == nil {
						kept.Add(1)
					}
				})
				wait.Go(func() {
					if err := nodes[n%3].PurgePeople(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			if kept.Load() != 0 || w.state(p) != "" || w.Count(`select count(*) from events where target_id = $1 and action = 'account.deleted'`, p.Account) != 1 {
				t.Errorf("kept %d times, %q", kept.Load(), w.state(p))
			}
		}
		for i := range 3 {
			o := w.Org(access.Customer, w.Contoso.ID, fmt.Sprintf("pair%d", i), "Pair")
			one, other := w.Activate(o, "one@pair.example", access.Administrator), w.Activate(o, "other@pair.example", access.Administrator)
			actor := func(p *doortest.Person) access.Actor {
				return access.Actor{Kind: access.AccountActor, Account: p.Account, Org: o.ID, ProvedAt: w.Clock.Now()}
			}
			wait.Go(func() { _ = nodes[0].Delete(t.Context(), actor(one), o.ID, other.Account) })
			wait.Go(func() { _ = nodes[1].Delete(t.Context(), actor(other), o.ID, one.Account) })
			wait.Wait()
			if n := w.Count(`select count(*) from accounts where org_id = $1 and state = 'active'`, o.ID); n != 1 {
				t.Errorf("%d administrators are left", n)
			}
		}
		for range 3 {
			p := w.Enrol(w.Fabrikam, fmt.Sprintf("s%d@fabrikam.example", w.Clock.Now().UnixNano()), access.Core)
			half := halfIn(p)
			code := p.Code()
			var in reply
			wait.Go(func() {
				in = send(w.World, http.MethodPost, "/login/totp", half.form("code", code), held(half.Browser))
			})
			wait.Go(func() { _ = nodes[2].Delete(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account) })
			wait.Wait()
			if sessionIn(in) {
				if r := send(w.World, http.MethodGet, "/me", url.Values{}, http.Header{"Cookie": {"door-session=" + in.Cookie("session")}}); r.Status != http.StatusUnauthorized {
					t.Errorf("a session outlives the deletion: %d %s", r.Status, r.Page())
				}
			}
			if w.state(p) != "deleting" {
				t.Errorf("the account is %s", w.state(p))
			}
		}
	})
}
