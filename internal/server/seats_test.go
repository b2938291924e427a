package server_test

import (
	"encoding/csv"
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
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

// seats wants an organisation's limit and use.
func (w *town) seats(o org.Org, limit, used int) {
	w.T.Helper()
	if s, err := license.SeatsOf(w.DB.Read(w.T.Context()), o.ID); err != nil || s != (license.Seats{Limit: limit, Used: used}) {
		w.T.Errorf("%s has %+v (%v), want %d of %d", o.Slug, s, err, used, limit)
	}
}

// A full organisation asks for more seats, is answered, asks again: both sides see it, both logs tell it, mails go to who has to know (mission D5).
func TestSeatsAskedFor(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, m := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		_, other := w.enrolled(w.Adatum, "otto@adatum.example", access.Administrator)
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, cole := w.enrolled(w.Fabrikam, "cole@fabrikam.example", access.CoManager)
		for i := range 3 {
			w.Invite(w.Fabrikam, fmt.Sprintf("p%d@fabrikam.example", i), access.Core)
		}
		w.seats(w.Fabrikam, 5, 5)
		for _, path := range []string{"users", "users/invite"} { // who cannot go on is shown the way
			if text := b.Get("/o/fabrikam/" + path).Text(); !strings.Contains(text, "No seat is free") {
				t.Errorf("%s does not say that it is full", path)
			}
			b.Follow("/o/fabrikam/seats").Want("seats")
		}
		for _, wrong := range [][2]string{{"wanted", ""}, {"wanted", "5"}, {"wanted", "4"}, {"wanted", "-6"}, {"wanted", "1000001"}, {"wanted", "6.5"}, {"wanted", "٧"}, {"wanted", "99999999999999999999"},
			{"reason", " "}, {"reason", strings.Repeat("x", 101)}, {"reason", "a\u202eb"}} {
			form := url.Values{"wanted": {"9"}, "reason": {"new office"}}
			form.Set(wrong[0], wrong[1])
			b.Post("/o/fabrikam/seats/ask", form).WantStatus(http.StatusUnprocessableEntity)
			if b.Page() != "seats" || b.FieldError(wrong[0]) == "" {
				t.Errorf("%s = %.30q: nothing at the field", wrong[0], wrong[1])
			}
		}
		b.Get("/o/fabrikam/seats").Submit(":action", "/ask", "wanted", "9", "reason", "a <new> office").Want("seats")
		cole.Post("/o/fabrikam/seats/ask", url.Values{"wanted": {"8"}, "reason": {"mine"}}).WantStatus(http.StatusUnprocessableEntity) // one is open
		mail := w.Mailbox.Wait("ada@contoso.example", "seats-request", 1)
		if !strings.Contains(mail.Text, "Fabrikam asks Contoso IT") || !strings.Contains(mail.Text, "a <new> office") || !strings.Contains(mail.Text, "5 of 5") {
			t.Errorf("the mail reads %s", mail.Text)
		}
		if text := m.Get("/o/contoso/").Text(); !strings.Contains(text, "1 organisation asks for more seats.") {
			t.Error("the MSP's dashboard does not tell of the request")
		}
		if text := m.Get("/o/contoso/seats").Want("seats").Text(); !strings.Contains(text, "a <new> office") {
			t.Error("the MSP's page does not list the request")
		}
		if text := other.Get("/o/adatum/seats").Want("seats").Text(); strings.Contains(text, "Fabrikam") || strings.Contains(text, "Requests") {
			t.Error("another MSP sees the request")
		}
		request := w.text(`select id from seat_requests where org_id = $1`, w.Fabrikam.ID)
		// A customer answers nobody, itself least of all; nor does a request answer another organisation's.
		b.Post("/o/fabrikam/seats/grant", url.Values{"request": {request}, "seat_limit": {"9"}}).WantStatus(http.StatusForbidden)
		b.Post("/o/fabrikam/seats/limit", url.Values{"seat_limit": {"9"}}).WantStatus(http.StatusForbidden)
		other.Post("/o/wingtip/seats/grant", url.Values{"request": {request}, "seat_limit": {"9"}}).WantStatus(http.StatusUnprocessableEntity)
		foreign, missing := other.Text(), ""
		other.Post("/o/wingtip/seats/grant", url.Values{"request": {string(id.New[id.SeatRequest](w.Clock.Now()))}, "seat_limit": {"9"}})
		if missing = other.Text(); foreign != missing {
			t.Errorf("a foreign request is answered unlike a missing one:\n%s\n%s", foreign, missing)
		}
		other.Post("/o/fabrikam/seats/grant", url.Values{"request": {request}, "seat_limit": {"9"}}).Want("login.identifier")
		w.seats(w.Wingtip, 5, 0)
		w.seats(w.Fabrikam, 5, 5)

		m.Follow("/o/fabrikam/seats").Want("seats")
		for _, wrong := range []string{"", "5", "-1", "x", "1000001"} {
			m.Post("/o/fabrikam/seats/grant", url.Values{"request": {request}, "seat_limit": {wrong}}).WantStatus(http.StatusUnprocessableEntity)
			if m.FieldError("seat_limit") == "" {
				t.Errorf("a limit of %q: nothing at the field", wrong)
			}
		}
		m.Post("/o/fabrikam/seats/decline", url.Values{"request": {request}}).WantStatus(http.StatusUnprocessableEntity)
		m.Get("/o/fabrikam/seats").Submit(":action", "/grant", "seat_limit", "7").Want("seats")
		w.seats(w.Fabrikam, 7, 5)
		if mail := w.Mailbox.Wait(bea.Email, "seats-answer", 1); !strings.Contains(mail.Text, "Contoso IT accepted your request") || !strings.Contains(mail.Text, "Seats: 7") {
			t.Errorf("the answer reads %s", mail.Text)
		}
		m.Post("/o/fabrikam/seats/grant", url.Values{"request": {request}, "seat_limit": {"50"}}).WantStatus(http.StatusUnprocessableEntity) // once
		m.Post("/o/fabrikam/seats/decline", url.Values{"request": {request}, "reason": {"no"}}).WantStatus(http.StatusUnprocessableEntity)
		b.Post("/o/fabrikam/seats/withdraw", url.Values{"request": {request}}).WantStatus(http.StatusUnprocessableEntity)
		w.seats(w.Fabrikam, 7, 5)

		cole.Get("/o/fabrikam/seats").Submit(":action", "/ask", "wanted", "20", "reason", "more").Want("seats")
		m.Get("/o/fabrikam/seats").Submit(":action", "/decline", "reason", "See the offer first").Want("seats")
		if mail := w.Mailbox.Wait("cole@fabrikam.example", "seats-answer", 1); !strings.Contains(mail.Text, "See the offer first") {
			t.Errorf("the answer reads %s", mail.Text)
		}
		if text := b.Get("/o/fabrikam/seats").Text(); !strings.Contains(text, "Your request for 20 seats was declined: See the offer first") {
			t.Error("the page does not say why it was declined")
		}
		b.Submit(":action", "/ask", "wanted", "12", "reason", "still").Want("seats")
		cole.Get("/o/fabrikam/seats").Submit(":action", "/withdraw").Want("seats") // whoever of the organisation asked
		b.Post("/o/fabrikam/seats/ask", url.Values{"wanted": {"12"}, "reason": {"again"}}).WantStatus(http.StatusUnprocessableEntity)
		if !strings.Contains(b.Text(), "3 requests within a day") {
			t.Errorf("a fourth request within a day: %s", b.Text())
		}
		w.Clock.Move(25 * time.Hour)
		bea2 := through(w.Browser().SignIn(bea))
		bea2.Get("/o/fabrikam/seats").Submit(":action", "/ask", "wanted", "12", "reason", "again").Want("seats")
		// A limit that reaches what was asked answers it, whoever sets it.
		if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, 11); err != nil {
			t.Fatal(err)
		}
		if n := w.Count(`select count(*) from seat_requests where org_id = $1 and state = 'open'`, w.Fabrikam.ID); n != 1 {
			t.Errorf("a limit below what was asked answers the request: %d open", n)
		}
		if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, 12); err != nil {
			t.Fatal(err)
		}
		w.Mailbox.Wait(bea.Email, "seats-answer", 2)
		for action, n := range map[string]int{"seats.asked": 4, "seats.granted": 2, "seats.declined": 1, "seats.withdrawn": 1} {
			for _, o := range []org.Org{w.Fabrikam, w.Contoso} {
				if got := w.Events(o.ID, action); got != n {
					t.Errorf("%s has %d events %s, want %d", o.Slug, got, action, n)
				}
			}
			if got := w.Events(w.Adatum.ID, action) + w.Events(w.Tailspin.ID, action) + w.Events(w.Provider.ID, action); got != 0 {
				t.Errorf("somebody else has %d events %s", got, action)
			}
		}
		// All of it goes with the organisation.
		if _, err := w.Directory.RequestDeletion(t.Context(), doortest.Operator(), w.Fabrikam.ID, "fabrikam"); err != nil {
			t.Fatal(err)
		}
		w.Clock.Move(49 * time.Hour)
		if err := w.Directory.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"orgs where id", "seats where org_id", "seat_marks where org_id", "seat_requests where org_id"} {
			if n := w.Count(`select count(*) from `+table+` = $1`, w.Fabrikam.ID); n != 0 {
				t.Errorf("%d rows left in %s", n, table)
			}
		}
	})
}

// Of several answers at once to one request, and its withdrawal, exactly one counts; of two requests at once one is made.
func TestSeatsAnsweredAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		nodes := []*account.Directory{w.Directory, doortest.Open(t, w.Settings, w.Clock).Directory, doortest.Open(t, w.Settings, w.Clock).Directory}
		for round := range 5 {
			limit := 5
			if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, limit); err != nil {
				t.Fatal(err)
			}
			if made := succeeded(t, 6, func(i int) error {
				return nodes[i%3].AskSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, 50, "more")
			}); made != 1 {
				t.Errorf("round %d: %d requests were made", round, made)
			}
			request := id.SeatRequest(w.text(`select id from seat_requests where org_id = $1 and state = 'open'`, w.Fabrikam.ID))
			if n := succeeded(t, 9, func(i int) error {
				switch d := nodes[i/3]; i % 3 {
				case 0:
					return d.GrantSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, request, 10+i)
				case 1:
					return d.DeclineSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, request, "no")
				default:
					return d.WithdrawSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, request)
				}
			}); n != 1 {
				t.Errorf("round %d: %d answers counted", round, n)
			}
			if granted := w.text(`select state from seat_requests where id = $1`, request) == "granted"; granted != (w.Count(`select seat_limit from seats where org_id = $1`, w.Fabrikam.ID) != limit) {
				t.Errorf("round %d: granted is %v, and the limit says otherwise", round, granted)
			}
			w.Clock.Move(25 * time.Hour)
		}
	})
}

// succeeded runs n calls at once and counts those that were not refused; anything but a refusal fails.
func succeeded(t *testing.T, n int, call func(i int) error) int {
	t.Helper()
	var good atomic.Int32
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			switch err := call(i); {
			case err == nil:
				good.Add(1)
			case refusal.As(err) == nil:
				t.Error(err)
			}
		})
	}
	all.Wait()
	return int(good.Load())
}

// The provider sets an MSP's pool, the MSP gives its customers what is in it; each refusal says the numbers at its field (mission D5).
func TestSeatPool(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, p := w.enrolled(w.Provider, "rita@acme.example", access.Administrator)
		_, m := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		refused := func(b *doortest.Browser, path, field, value, say string) {
			t.Helper()
			b.Get(path+"/seats").Submit(":action", map[string]string{"pool": "/pool", "seat_limit": "/limit"}[field], field, value).WantStatus(http.StatusUnprocessableEntity)
			if got := b.FieldError(field); !strings.Contains(got, say) {
				t.Errorf("%s: %s = %q says %q, want %q", path, field, value, got, say)
			}
		}
		refused(p, "/o/contoso", "pool", "9", "already given to customers: 10")
		refused(p, "/o/contoso", "pool", "many", "whole number")
		p.Get("/o/contoso/seats").Submit(":action", "/pool", "pool", "12").Want("seats")
		m.Post("/o/contoso/seats/pool", url.Values{"pool": {"100"}}).WantStatus(http.StatusForbidden) // an MSP has what it is given
		m.Post("/o/contoso/seats/limit", url.Values{"seat_limit": {"100"}}).WantStatus(http.StatusForbidden)
		if text := m.Get("/o/contoso/seats").Want("seats").Text(); !strings.Contains(text, "10 / 12") {
			t.Error("the MSP does not see its pool")
		}
		refused(m, "/o/fabrikam", "seat_limit", "8", "The pool has 12 seats, and 5 are given to other customers. Enter 7 or less.")
		refused(m, "/o/fabrikam", "seat_limit", "", "Every customer needs a limit")
		m.Get("/o/fabrikam/seats").Submit(":action", "/limit", "seat_limit", "7").Want("seats")
		refused(m, "/o/tailspin", "seat_limit", "6", "Enter 5 or less.")
		w.seats(w.Fabrikam, 7, 0)
		if _, err := w.Directory.CreateOrg(t.Context(), doortest.Operator(), org.New{Kind: access.Customer, Parent: w.Contoso.ID, Slug: "late", Name: "Late"}); !refusal.Is(err, refusal.Invalid) {
			t.Errorf("a new customer beyond the pool: %v", err)
		}
		if n := w.Count(`select count(*) from orgs where slug = 'late'`); n != 0 {
			t.Error("the customer that was refused is there")
		}
		p.Get("/o/contoso/seats").Submit(":action", "/pool", "pool", "").Want("seats") // no pool
		m.Get("/o/tailspin/seats").Submit(":action", "/limit", "seat_limit", "").Want("seats")
		w.seats(w.Tailspin, license.Unlimited, 0)
		refused(p, "/o/contoso", "pool", "500", "1 customer has no limit")
		p.Post("/o/contoso/seats/pool", url.Values{}).WantStatus(http.StatusUnprocessableEntity) // no field is not an empty one
		// Two customers raised at once from what is left for one.
		for _, step := range []error{w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Tailspin.ID, 5), w.Directory.SetPool(t.Context(), doortest.Operator(), w.Contoso.ID, 14)} {
			if step != nil {
				t.Fatal(step)
			}
		}
		nodes := []*account.Directory{w.Directory, doortest.Open(t, w.Settings, w.Clock).Directory}
		if n := succeeded(t, 2, func(i int) error {
			return nodes[i].SetSeats(t.Context(), doortest.Operator(), []id.Org{w.Fabrikam.ID, w.Tailspin.ID}[i], []int{9, 7}[i])
		}); n != 1 {
			t.Errorf("%d were raised", n)
		}
		if w.Events(w.Contoso.ID, "seats.pool_changed") != 3 {
			t.Errorf("%d events", w.Events(w.Contoso.ID, "seats.pool_changed"))
		}
	})
}

// The table of the marks of a month and its file: whole, harmless, and only of those below (mission D5, D9).
func TestSeatMarks(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		ada, _ := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		bea, _ := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.Exec(`update orgs set name = '=HYPERLINK("x")', name_key = '=hyperlink("x")' where id = $1`, w.Tailspin.ID)
		var people []*doortest.Person
		for i := range 3 {
			p, _ := w.Invite(w.Fabrikam, fmt.Sprintf("p%d@fabrikam.example", i), access.Core)
			people = append(people, p)
		}
		for _, p := range people {
			if err := w.Directory.Withdraw(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
				t.Fatal(err)
			}
		}
		w.Clock.Move(40 * 24 * time.Hour) // the last day of December: a month later, without a change
		m := through(w.Browser().SignIn(ada))
		file := func(month string) map[string][]string {
			t.Helper()
			m.Get("/o/contoso/seats/marks.csv?month=" + month).WantStatus(http.StatusOK)
			if kind := m.Head.Get("Content-Type"); !strings.HasPrefix(kind, "text/csv") || !strings.Contains(m.Head.Get("Content-Disposition"), `"contoso-seats-`+month+`.csv"`) {
				t.Errorf("%s as %s", kind, m.Head.Get("Content-Disposition"))
			}
			rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(m.Body, "\ufeff"))).ReadAll()
			if err != nil || len(rows) != 3 || strings.Join(rows[0], ",") != "month,tenant_domain,organisation,kind,most,used_now,limit_now" {
				t.Fatalf("%v (%v)", rows, err)
			}
			return map[string][]string{rows[1][1]: rows[1], rows[2][1]: rows[2]}
		}
		for month, want := range map[string]string{"2026-10": "2026-10,fabrikam,Fabrikam,customer,0,1,5", "2026-11": "2026-11,fabrikam,Fabrikam,customer,4,1,5", "2026-12": "2026-12,fabrikam,Fabrikam,customer,1,1,5"} {
			rows := file(month)
			if got := strings.Join(rows["fabrikam"], ","); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if got := rows["tailspin"][2]; got != account.Harmless(`=HYPERLINK("x")`) || strings.HasPrefix(got, "=") {
				t.Errorf("a spreadsheet computes %s", got)
			}
		}
		m.Get("/o/contoso/seats?month=2026-11").Want("seats")
		if text := strings.Join(strings.Fields(m.Text()), " "); !strings.Contains(text, "Fabrikamfabrikam 4 1 5") || strings.Contains(text, "Wingtip") {
			t.Errorf("the table reads %s", text)
		}
		for _, path := range []string{"/o/contoso/seats", "/o/contoso/seats/marks.csv"} {
			for _, month := range []string{"", "2027-01", "2026-13", "1999-01", "x", "2026-11'--", "2026-11%00", "%ff", strings.Repeat("9", 5000)} {
				m.Get(path + "?month=" + month).WantStatus(http.StatusBadRequest)
			}
		}
		m.Get("/o/contoso/seats?after=x").WantStatus(http.StatusBadRequest)
		b := through(w.Browser().SignIn(bea))
		b.Get("/o/fabrikam/seats").Want("seats")
		b.Get("/o/fabrikam/seats/marks.csv").WantStatus(http.StatusNotFound) // nobody is below it
		b.Get("/o/contoso/seats").Want("login.identifier")
	})
}

// AT-78: five seats free, and a hundred invitations and reactivations at once on three nodes: never more in use than the limit, at no instant; who is
// refused leaves nothing, and the count equals the rows.
func TestSeatsOnThreeNodes(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(doortest.New(t, d, doortest.Options{}))
		nodes := []*server.House{w.House, doortest.Node(t, w.Settings, w.Clock), doortest.Node(t, w.Settings, w.Clock)}
		const limit = 15
		if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, limit); err != nil {
			t.Fatal(err)
		}
		var shut []*doortest.Person // ten who are in, ten who were
		for i := range 10 {
			w.Invite(w.Fabrikam, fmt.Sprintf("in%d@fabrikam.example", i), access.Core)
			p := w.Activate(w.Fabrikam, fmt.Sprintf("out%d@fabrikam.example", i), access.Core)
			if err := w.Directory.Disable(t.Context(), doortest.Operator(), w.Fabrikam.ID, p.Account); err != nil {
				t.Fatal(err)
			}
			shut = append(shut, p)
		}
		w.seats(w.Fabrikam, limit, 10)
		people := w.Count(`select count(*) from accounts where org_id = $1`, w.Fabrikam.ID)

		stop := make(chan struct{})
		var sampler sync.WaitGroup
		sampler.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if n := w.Count(`select count(*) from accounts where org_id = $1 and state in ('invited', 'active') and home_id is null`, w.Fabrikam.ID); n > limit {
					t.Errorf("%d are in at once", n)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
		var invited atomic.Int32
		in := succeeded(t, 100, func(i int) error {
			dir := nodes[i%3].Directory
			if i%2 == 1 {
				return dir.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, shut[i%10].Account)
			}
			out, err := dir.Invite(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.Invitation{Emails: []string{fmt.Sprintf("new%d@fabrikam.example", i)}, Roles: []string{access.Core}})
			if err == nil {
				err = out[0].Err
			}
			if err == nil {
				invited.Add(1)
			}
			return err
		})
		close(stop)
		sampler.Wait()
		if in != 5 {
			t.Errorf("%d came in", in)
		}
		w.seats(w.Fabrikam, limit, limit)
		if n := w.Count(`select count(*) from accounts where org_id = $1 and state in ('invited', 'active') and home_id is null`, w.Fabrikam.ID); n != limit {
			t.Errorf("%d rows take a seat", n)
		}
		for table, want := range map[string]int{"accounts": people, "assignments": people, "seat_marks": 0} {
			want += int(invited.Load())
			if table == "seat_marks" {
				want = 1
			}
			if n := w.Count(`select count(*) from `+table+` where org_id = $1`, w.Fabrikam.ID); n != want {
				t.Errorf("%d rows in %s, want %d", n, table, want)
			}
		}
		if most := w.Count(`select most from seat_marks where org_id = $1`, w.Fabrikam.ID); most != limit {
			t.Errorf("the mark is %d", most)
		}
	})
}
