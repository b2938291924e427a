package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/sqldb"
)

// newcomers invites n people of a customer without a mail, and returns their ids in the order of their addresses.
func (w *town) newcomers(b *doortest.Browser, o org.Org, n int) []string {
	w.T.Helper()
	w.Exec(`update seats set seat_limit = null where org_id = $1`, o.ID)
	var text strings.Builder
	text.WriteString("email,roles\n")
	for i := range n {
		fmt.Fprintf(&text, "n%04d@%s.example,core\n", i, o.Slug)
	}
	b.Post("/o/"+o.Slug+"/users/import", url.Values{"text": {text.String()}, "step": {"run"}, "later": {"1"}}).Want("users.import.lines")
	return column(w, `select id from accounts where org_id = $1 and email_key like 'n0%' order by email_key`, o.ID)
}

// job goes from the list to the job that it makes of everybody whom a filter finds, and returns its path.
func (w *town) job(b *doortest.Browser, slug, query string, fields ...string) string {
	w.T.Helper()
	form := url.Values{"all": {"1"}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	b.Post("/o/"+slug+"/users/bulk"+query, form).Want("users.bulk")
	form.Set("count", regexp.MustCompile(`name="count" value="(\d+)"`).FindStringSubmatch(b.Body)[1])
	form.Set("step", "run")
	b.Post("/o/"+slug+"/users/bulk"+query, form).Want("job")
	return b.At.Path
}

// stands reads a job: state, reason and counts.
func (w *town) stands(path string) string {
	w.T.Helper()
	return w.text(`select state || ' ' || reason || ' ' || cast(done as text) || '/' || cast(total as text) || ' ' || cast(added as text) || ' ' || cast(refused as text) from jobs where id = $1`,
		path[strings.LastIndex(path, "/")+1:])
}

func (w *town) work() {
	w.T.Helper()
	if err := w.Jobs.Work(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// A few people are ticked, a page asks, and each has a result: what holds for one holds for each of them.
func TestBulk(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		cora, _ := w.enrolled(w.Fabrikam, "cora@fabrikam.example", access.CoManager)
		tess := w.Activate(w.Tailspin, "tess@tailspin.example", access.Core)
		ids := w.newcomers(b, w.Fabrikam, 3)
		all := append([]string{string(bea.Account), string(cora.Account)}, ids...)

		b.Get("/o/fabrikam/users").Want("users")
		if strings.Count(b.Body, `name="account"`) != 5 {
			t.Errorf("%d people can be ticked", strings.Count(b.Body, `name="account"`))
		}
		b.Post("/o/fabrikam/users/bulk", url.Values{"account": all}).WantStatus(422).Want("users")
		b.Post("/o/fabrikam/users/bulk", url.Values{"action": {"disable"}}).WantStatus(422).Want("users")
		b.Post("/o/fabrikam/users/bulk", url.Values{"action": {"erase"}, "account": all}).WantStatus(422).Want("users")
		b.Post("/o/fabrikam/users/bulk", url.Values{"action": {"disable"}, "account": {string(tess.Account)}}).WantStatus(422).Want("users")
		b.Post("/o/fabrikam/users/bulk", url.Values{"action": {"add-group"}, "account": all}).WantStatus(403)

		// By the forms themselves.
		b.Post("/o/fabrikam/users/bulk", url.Values{"action": {"disable"}, "account": all}).Want("users.bulk")
		if n := w.Count(`select count(*) from accounts where state = 'disabled'`); n != 0 {
			t.Fatalf("the question disabled %d", n)
		}
		b.Submit("step", "run").Want("users.bulk.done")
		if n := w.Count(`select count(*) from accounts where state = 'disabled'`); n != 4 || !contains(b.Text(), "You cannot do this to your own account") {
			t.Errorf("%d disabled: %s", n, b.Text())
		}
		if n := w.Events(w.Fabrikam.ID, "account.disabled"); n != 4 {
			t.Errorf("%d events", n)
		}
		b.Post("/o/fabrikam/users/bulk?state=disabled", url.Values{"action": {"enable"}, "all": {"1"}}).Want("users.bulk")
		b.Post("/o/fabrikam/users/bulk?state=disabled", url.Values{"action": {"enable"}, "all": {"1"}, "step": {"run"}, "count": {"3"}}).WantStatus(422).Want("users.bulk")
		b.Submit("step", "run").Want("users.bulk.done")
		if n := w.Count(`select count(*) from accounts where state = 'disabled'`); n != 0 {
			t.Errorf("%d still disabled", n)
		}

		// A role: chosen on the page, one that the actor may give, on a fresh proof.
		b.Post("/o/fabrikam/users/bulk", url.Values{"action": {"give-role"}, "account": ids}).Want("users.bulk")
		b.Submit("step", "run", "role", "viewer").Want("users.bulk.done")
		if n := w.Count(`select count(*) from assignments where org_id = $1 and role in ('viewer', 'core')`, w.Fabrikam.ID); n != 6 {
			t.Errorf("%d assignments: the other role was to stay", n)
		}
		run := func(b *doortest.Browser, act, role string, who ...string) *doortest.Browser {
			return b.Post("/o/fabrikam/users/bulk", url.Values{"action": {act}, "role": {role}, "account": who, "count": {strconv.Itoa(len(who))}, "step": {"run"}})
		}
		run(b, "give-role", "viewer", ids[0]).Want("users.bulk.done")
		if !contains(b.Text(), "has the role already") {
			t.Error("a role that is held is given again")
		}
		run(b, "take-role", "administrator", string(bea.Account)).Want("users.bulk.done")
		if n := w.Count(`select count(*) from assignments where role = 'administrator' and org_id = $1`, w.Fabrikam.ID); n != 1 {
			t.Errorf("%d administrators", n)
		}

		// A co-manager's limits hold for each person, and so does the provider's for the role.
		c := w.Browser().SignIn(cora)
		run(c, "disable", "", string(bea.Account), ids[0]).Want("users.bulk.done")
		if got := column(w, `select id from accounts where state = 'disabled'`); !slices.Equal(got, ids[:1]) {
			t.Errorf("a co-manager disabled %v", got)
		}
		if run(c, "give-role", "administrator", ids[1]); c.Status != http.StatusForbidden {
			t.Errorf("a co-manager gives administrators: %d %q", c.Status, c.Page())
		}
		w.Clock.Move(11 * time.Minute)
		if run(b, "take-role", "viewer", ids[1]); b.Page() != "prove" {
			t.Errorf("an old proof: %q", b.Page())
		}
	})
}

// Everybody whom the list finds: three nodes that take the job from each other all the time do each row once, and its result can be saved.
func TestJobOnThreeNodes(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		ids := w.newcomers(b, w.Fabrikam, 130)
		before := w.Events(w.Fabrikam.ID, "account.invitation_resent")
		path := w.job(b, "fabrikam", "?state=invited&q=n0", "action", "resend")
		if b.Head.Get("Refresh") == "" || !contains(b.Text(), "0 of 130") {
			t.Errorf("no progress: %q", b.Text())
		}
		if b.Get("/o/fabrikam/users"); !contains(b.Text(), "A task of yours is under way") {
			t.Error("the list does not tell of the job")
		}
		w.Exec(`update accounts set state = 'disabled' where id = $1`, ids[7]) // meanwhile

		nodes := []*account.Jobs{w.Jobs}
		for range 2 {
			nodes = append(nodes, doortest.Node(t, w.Settings, w.Clock).Jobs)
		}
		var all, thief sync.WaitGroup
		over := make(chan struct{})
		thief.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(3 * time.Millisecond):
					_ = w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
						_, err := tx.Exec(`update jobs set due_at = 0`)
						return err
					})
				}
			}
		})
		for _, n := range nodes {
			all.Go(func() {
				for range 3 { // who finds nothing to take looks again
					if err := n.Work(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		close(over)
		thief.Wait()
		w.work()
		if s := w.stands(path); s != "done  130/130 129 1" {
			t.Errorf("the job: %s", s)
		}
		if n := w.Events(w.Fabrikam.ID, "account.invitation_resent") - before; n != 129 {
			t.Errorf("%d were sent", n)
		}
		if n := w.Count(`select count(*) from outbox where kind = 'invite' and account_id in (select id from accounts where email_key like 'n0%')`); n != 129 {
			t.Errorf("%d mails", n)
		}
		b.Get(path).Want("job")
		if !contains(b.Text(), "n0000@fabrikam.example", "Finished", "129") || b.Head.Get("Refresh") != "" {
			t.Errorf("the result: %s", b.Text())
		}
		if b.Get(path + "?only=refused"); !contains(b.Text(), "n0007@fabrikam.example", "no longer open") || contains(b.Text(), "n0008@") {
			t.Errorf("what was refused: %s", b.Text())
		}
		if b.Get(path + "?after=100"); !contains(b.Text(), "n0129@fabrikam.example") {
			t.Error("no second page")
		}
		for _, bad := range []string{"?after=x", "?after=-1", "?only=done'"} {
			if r := send(w.World, http.MethodGet, path+bad, nil, held(b)); r.Status != http.StatusBadRequest && r.Status != http.StatusUnprocessableEntity {
				t.Errorf("%s: %d", bad, r.Status)
			}
		}
		list := rows(t, send(w.World, http.MethodGet, path+"/result", nil, held(b)).Body)
		if len(list) != 131 || list[8][2] != "Refused" || list[9][2] != "Done" {
			t.Errorf("the file: %d lines, %q", len(list), list[8])
		}

		// Thirty days later it is gone, and not a day sooner.
		w.Clock.Move(account.JobStays - time.Hour)
		if err := w.Jobs.Sweep(t.Context()); err != nil || w.Count(`select count(*) from job_rows`) != 130 {
			t.Errorf("%v, %d rows", err, w.Count(`select count(*) from job_rows`))
		}
		w.Clock.Move(2 * time.Hour)
		for _, n := range nodes {
			if err := n.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if n := w.Count(`select (select count(*) from job_rows) + (select count(*) from jobs)`); n != 0 {
			t.Errorf("%d rows stay", n)
		}
	})
}

// What a job rests on goes away in the middle: it stops, says why, and what was done stays.
func TestJobStops(t *testing.T) {
	for name, c := range map[string]struct {
		undo func(w *town, bea *doortest.Person, b *doortest.Browser, path string)
		want string
	}{
		"disabled": {func(w *town, bea *doortest.Person, _ *doortest.Browser, _ string) {
			if err := w.Directory.Disable(w.T.Context(), doortest.Operator(), bea.Org.ID, bea.Account); err != nil {
				w.T.Fatal(err)
			}
		}, "stopped signed_out 20/60 20 0"},
		"role gone": {func(w *town, bea *doortest.Person, _ *doortest.Browser, _ string) {
			if err := w.Directory.SetRoles(w.T.Context(), doortest.Operator(), bea.Org.ID, bea.Account, []string{access.Core}); err != nil {
				w.T.Fatal(err)
			}
		}, "stopped right 20/60 20 0"},
		"sessions ended": {func(w *town, bea *doortest.Person, _ *doortest.Browser, _ string) {
			if err := w.Desk.EndSessions(w.T.Context(), doortest.Operator(), bea.Org.ID, bea.Account); err != nil {
				w.T.Fatal(err)
			}
		}, "stopped signed_out 20/60 20 0"},
		"signed out": {func(_ *town, _ *doortest.Person, b *doortest.Browser, _ string) { b.Post("/logout", nil) }, "stopped signed_out 20/60 20 0"},
		"suspended": {func(w *town, bea *doortest.Person, _ *doortest.Browser, _ string) {
			w.Exec(`update org_nodes set state = 'suspended' where id = $1`, bea.Org.ID)
		}, "stopped signed_out 20/60 20 0"},
		"cancelled": {func(_ *town, _ *doortest.Person, b *doortest.Browser, path string) {
			b.Get(path).Want("job").Submit("step", "cancel").Want("job")
			b.Post(path, url.Values{"step": {"cancel"}}).WantStatus(422).Want("job")
		}, "cancelled  20/60 20 0"},
		"idle": {func(w *town, _ *doortest.Person, _ *doortest.Browser, _ string) { w.Clock.Move(45 * time.Minute) }, "done  60/60 60 0"},
		"a node that died": {func(w *town, _ *doortest.Person, _ *doortest.Browser, _ string) {
			w.Exec(`update jobs set lease = 'lease_dead', due_at = $1`, sqldb.Micros(w.Clock.Now().Add(time.Minute)))
			w.work()
			if n := w.Count(`select done from jobs`); n != 20 {
				w.T.Errorf("%d are done although another node has the lease", n)
			}
			w.Clock.Move(2 * time.Minute)
		}, "done  60/60 60 0"},
	} {
		t.Run(name, func(t *testing.T) {
			eachTown(t, func(t *testing.T, w *town) {
				w.Activate(w.Fabrikam, "other@fabrikam.example", access.Administrator)
				bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
				w.newcomers(b, w.Fabrikam, 60)
				path := w.job(b, "fabrikam", "?state=invited", "action", "disable")
				if took, err := w.Jobs.Slice(t.Context()); err != nil || !took {
					t.Fatal(took, err)
				}
				c.undo(w, bea, b, path)
				w.work()
				if s := w.stands(path); s != c.want {
					t.Errorf("the job: %s, want %s", s, c.want)
				}
				if n, done := w.Count(`select count(*) from accounts where state = 'disabled' and email_key like 'n0%'`), w.Count(`select added from jobs`); n != done {
					t.Errorf("%d are disabled, the job says %d", n, done)
				}
				if n := w.Events(w.Fabrikam.ID, "job.ended"); n != 1 {
					t.Errorf("%d events of its end", n)
				}
			})
		})
	}
}

// A job gives no more than there is, and no more than one person may do: the seats run out, roles are kept to what the actor may give, the proof is asked
// for when the job is made and holds for all of it.
func TestJobWithinLimits(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.newcomers(b, w.Fabrikam, 60)
		disabling := w.job(b, "fabrikam", "?state=invited", "action", "disable")
		w.work()
		if s := w.stands(disabling); s != "done  60/60 60 0" {
			t.Fatal(s)
		}
		w.Exec(`update seats set seat_limit = 31 where org_id = $1`, w.Fabrikam.ID)
		enabling := w.job(b, "fabrikam", "?state=disabled", "action", "enable")
		w.work()
		if s := w.stands(enabling); s != "done  60/60 30 30" || w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID) != 31 {
			t.Errorf("%s, %d seats", s, w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID))
		}
		giving := w.job(b, "fabrikam", "?q=n0", "action", "give-role", "role", "viewer")
		if _, err := w.Jobs.Slice(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Clock.Move(20 * time.Minute)
		w.work()
		if s := w.stands(giving); s != "done  60/60 60 0" {
			t.Errorf("%s", s)
		}
		b.Post("/o/fabrikam/users/bulk?q=n0", url.Values{"action": {"take-role"}, "role": {"viewer"}, "all": {"1"}, "step": {"run"}, "count": {"60"}})
		if b.Page() != "prove" || w.Count(`select count(*) from jobs`) != 3 {
			t.Errorf("a job on an old proof: %q", b.Page())
		}
	})
}

// A job is its maker's, and that of who could make it; to everybody else it is not there.
func TestForeignJob(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		_, other := w.enrolled(w.Fabrikam, "other@fabrikam.example", access.Administrator)
		_, core := w.enrolled(w.Fabrikam, "core@fabrikam.example", access.Core)
		_, auditor := w.enrolled(w.Fabrikam, "auditor@fabrikam.example", access.Auditor)
		_, sibling := w.enrolled(w.Tailspin, "tess@tailspin.example", access.Administrator)
		w.newcomers(b, w.Fabrikam, 55)
		path := w.job(b, "fabrikam", "?q=n0", "action", "disable")
		missing := "/o/fabrikam/jobs/" + string(id.New[id.Job](w.Clock.Now()))
		other.Get(path).Want("job")
		for name, x := range map[string]*doortest.Browser{"core": core, "auditor": auditor, "sibling": sibling} {
			for _, rest := range []string{"", "/result"} {
				r, m := send(w.World, http.MethodGet, path+rest, nil, held(x)), send(w.World, http.MethodGet, missing+rest, nil, held(x))
				clean := func(r reply) string {
					return regexp.MustCompile(`job_\w+|[0-9a-z]{8,}`).ReplaceAllString(strings.ReplaceAll(r.Body+r.Head.Get("Location"), missing, path), "")
				}
				if r.Status == http.StatusOK || r.Status != m.Status || clean(r) != clean(m) {
					t.Errorf("%s%s: %d, missing %d", name, rest, r.Status, m.Status)
				}
			}
			if r := send(w.World, http.MethodPost, path, url.Values{"step": {"cancel"}}, held(x)); r.Status == http.StatusOK {
				t.Errorf("%s cancels: %d", name, r.Status)
			}
		}
		sibling.Get(strings.Replace(path, "fabrikam", "tailspin", 1)).WantStatus(http.StatusNotFound)
		if s := w.stands(path); s != "running  0/55 0 0" {
			t.Error(s)
		}
		other.Post(path, url.Values{"step": {"cancel"}}).Want("job")
		if s := w.stands(path); s != "cancelled  0/55 0 0" {
			t.Error(s)
		}
	})
}
