package sqldb_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/revoke"
	"doorward/internal/secret"
	"doorward/internal/server"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
	"doorward/internal/throttle"
)

// Every statement of the domain finds its rows through an index on both databases. The statements are those that the operations really
// run: each is traced and then explained, in a database with thousands of rows.
func TestPlans(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		h, clock := doortest.House(t, d)
		w := &walk{T: t, House: h, clock: clock}
		w.found()
		crowd(t, h.DB, w.provider.ID, w.customer.ID)

		var mu sync.Mutex
		statements := map[string][]any{}
		h.DB.Trace = func(query string, args []any) {
			mu.Lock()
			defer mu.Unlock()
			statements[query] = args
		}
		w.everything()
		h.DB.Trace = nil

		if len(statements) < 80 {
			t.Errorf("only %d statements were traced", len(statements))
		}
		conn, err := h.DB.Pool().Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if d == sqldb.Postgres {
			// A table of a few pages is rightly read whole, and joined by its hash. Told to avoid both, it does so only where no index fits.
			for _, way := range []string{"seqscan", "hashjoin", "mergejoin"} {
				if _, err := conn.ExecContext(t.Context(), `set enable_`+way+` = off`); err != nil {
					t.Fatal(err)
				}
			}
		}
		for query, args := range statements {
			plan := explain(t, conn, d, query, args)
			for _, line := range wholeTables(d, plan) {
				if !mayScan(query, line) {
					t.Errorf("%s\n\treads a whole table: %s\n%s", query, line, strings.Join(plan, "\n"))
				}
			}
		}
	})
}

func explain(t *testing.T, conn *sql.Conn, d sqldb.Dialect, query string, args []any) []string {
	t.Helper()
	prefix := "explain "
	if d == sqldb.SQLite {
		prefix = "explain query plan "
	}
	rows, err := conn.QueryContext(t.Context(), prefix+query, args...)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return nil
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		dest := []any{&line}
		if d == sqldb.SQLite {
			dest = []any{new(int), new(int), new(int), &line}
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
	return lines
}

// wholeTables returns the lines of a plan that walk over all of a table, or all of an index.
func wholeTables(d sqldb.Dialect, plan []string) []string {
	var out []string
	for i, line := range plan {
		next := ""
		if i+1 < len(plan) {
			next = plan[i+1]
		}
		switch {
		case d == sqldb.SQLite && strings.HasPrefix(line, "SCAN ") && line != "SCAN CONSTANT ROW":
		case d == sqldb.Postgres && strings.Contains(line, "Seq Scan on "):
		case d == sqldb.Postgres && strings.Contains(line, "Index") && strings.Contains(line, " Scan ") && !strings.Contains(next, "Index Cond"):
		default:
			continue
		}
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// mayScan tells which of those are right.
func mayScan(query, line string) bool {
	switch {
	case strings.Contains(line, " revocation_head"): // one row
		return true
	case line == "SCAN r", line == "SCAN l": // the outbox's look: a sub-select of one row at most
		return true
	case line == "SCAN sifted", line == "SCAN hits": // the lists' and the search's: sub-selects of one page
		return true
	case strings.HasSuffix(line, " VALUES CLAUSE"): // what is written
		return true
	case strings.Contains(query, "from events order by id desc limit 1"): // from the end, and only the first
		return true
	}
	return false
}

// crowd fills every table that grows with thousands of rows, a few of them of that customer.
func crowd(t *testing.T, db *sqldb.DB, provider, customer id.Org) {
	t.Helper()
	const n = `with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000) select `
	text := `cast(i as text)`
	err := db.Write(t.Context(), func(tx sqldb.Tx) error {
		for _, q := range []string{
			`insert into org_nodes (id, parent_id, kind, state, access, rev) ` + n + `'org_' || ` + text + `, case when i <= 100 then $1 else 'org_' || cast(i % 100 + 1 as text) end,
				case when i <= 100 then 'msp' else 'customer' end, 'active', 'table', 0 from n`,
			`insert into orgs (id, slug, slug_key, name, name_key, language, time_zone, country, setup, settings, created_at) ` + n +
				`'org_' || ` + text + `, 's' || ` + text + `, 's' || ` + text + `, 'Name ' || ` + text + `, 'name ' || ` + text + `, 'en', 'UTC', '', 'done', '{}', i from n`,
			`insert into org_tree (ancestor_id, org_id, depth) ` + n + `'org_' || ` + text + `, 'org_' || ` + text + `, 0 from n`,
			`insert into org_tree (ancestor_id, org_id, depth) ` + n + `'org_' || cast(i % 100 + 1 as text), 'org_' || ` + text + `, 1 from n where i > 100`,
			`insert into org_groups (id, org_id, name, name_key) ` + n + `'grp_' || ` + text + `, 'org_1', 'g' || ` + text + `, 'g' || ` + text + ` from n`,
			`insert into org_group_orgs (org_id, group_id, member_id) ` + n + `'org_1', 'grp_' || ` + text + `, 'org_' || ` + text + ` from n`,
			`insert into org_group_accounts (org_id, group_id, account_id) ` + n + `'org_1', 'grp_' || ` + text + `, 'acc_' || ` + text + ` from n`,
			`insert into seats (org_id, seat_limit, used) ` + n + `'org_' || ` + text + `, 5, 1 from n`,
			`insert into seat_marks (org_id, month, began, most) ` + n + `'org_' || ` + text + `, '2026-10', 0, 1 from n`,
			`insert into seat_requests (id, org_id, state, wanted, reason, account_id, made_at) ` + n + `'req_' || ` + text + `, 'org_' || ` + text + `, 'open', 9, '', '', i from n`,
			`insert into accounts (id, org_id, email, email_key, username, username_key, name, language, time_zone, state, created_at, invited_at, activated_at,
				last_sign_in_at, link_used_at) ` + n + `'acc_' || ` + text + `, case when i % 60 = 0 then $1 else 'org_' || ` + text + ` end, 'p' || ` + text + ` || '@x.example',
				'p' || ` + text + ` || '@x.example', 'u' || ` + text + `, 'u' || ` + text + `, '', '', '', case when i % 240 = 0 then 'invited' else 'active' end, i, i, i, i, 0 from n`,
			`insert into assignments (id, org_id, account_id, role, expires_at, created_at) ` + n + `'asg_' || ` + text + `, case when i % 60 = 0 then $1 else 'org_' || ` + text + ` end,
				'acc_' || ` + text + `, case when i % 120 = 0 then 'administrator' else 'core' end, 0, 0 from n`,
			`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at) ` + n + `'fac_' || ` + text + `, 'org_1', 'acc_' || ` + text + `,
				'totp', '', 'active', 0, '{}', 0, 0 from n`,
			`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at) ` + n + `'fap_' || ` + text + `, 'org_1', 'acc_' || ` + text + `,
				'password', '', 'active', 0, '{}', 0, 0 from n`,
			`insert into links (id, org_id, account_id, purpose, token_hash, state, seq, created_at, expires_at, used_at) ` + n + `'lnk_' || ` + text + `, 'org_1', 'acc_' || ` + text + `,
				'activate', ` + blob(db, "l") + `, 'used', 0, 0, 0, 0 from n`,
			`insert into attempts (id, org_id, account_id, secret_hash, identifier, state, step, seq, rev, data, created_at, expires_at) ` + n + `'att_' || ` + text + `, null, null,
				` + blob(db, "a") + `, '', 'finished', '', 0, 0, '{}', 0, 9000000000000000 from n`,
			`insert into sessions (id, org_id, account_id, attempt_id, secret_hash, state, seq, amr, address, user_agent, proved_at, created_at, last_used_at, expires_at) ` + n +
				`'ses_' || ` + text + `, 'org_1', 'acc_' || ` + text + `, 'att_' || ` + text + `, ` + blob(db, "s") + `, 'open', 0, '', '', '', 0, 0, 0, 9000000000000000 from n`,
			`insert into events (id, org_id, at, action, outcome, reason, actor_kind, actor_id, actor_org_id, target_kind, target_id, request_id, data) ` + n + `'evt_' || ` + text + `,
				case when i % 60 = 0 then $1 else 'org_' || ` + text + ` end, i, case when i % 3 = 0 then 'signin.finished' else 'x' end, 'done', '', 'account', 'acc_1', '', 'acc',
				'acc_' || ` + text + `, '', '{}' from n`,
			`insert into event_persons (event_id, org_id, data) ` + n + `'evt_' || ` + text + `, 'org_1', '{}' from n`,
			`insert into outbox (id, org_id, kind, account_id, state, due_at, tries, last_error, created_at, expires_at, sent_at) ` + n + `'msg_' || ` + text + `, 'org_1', 'invite',
				'acc_' || ` + text + `, 'sent', i, 1, '', 0, 0, 0 from n`,
			`insert into devices (id, org_id, account_id, secret_hash, user_agent, address, seq, trusted_until, created_at, last_used_at) ` + n + `'dev_' || ` + text + `, 'org_1',
				'acc_' || ` + text + `, ` + blob(db, "d") + `, '', '', 0, 0, 0, 0 from n`,
			`insert into revocations (kind, subject, seq, at) ` + n + `'account', 'acc_' || ` + text + `, 1, 0 from n`,
			`insert into org_health (org_id, people, covered, pending, overdue, exempt, last_sign_in_at, deadline_at, judged_at) ` + n + `'org_' || ` + text + `, 9, 1, 1, i % 7, 0, 0, 0, i from n`,
			`insert into jobs (id, org_id, account_id, kind, state, reason, actor, params, total, done, added, there, refused, lease, due_at, created_at, finished_at, untidy) ` + n +
				`'job_' || ` + text + `, 'org_' || ` + text + `, 'acc_1', 'disable', 'done', '', '{}', '{}', 1, 1, 1, 0, 0, '', 0, 0, 9000000000000000, 0 from n`,
			`insert into job_rows (job_id, n, account_id, email, state, reason, args) ` + n + `'job_' || ` + text + `, i, '', '', 'done', '', '{}' from n`,
			`insert into job_keys (job_id, key, line) ` + n + `'job_' || ` + text + `, 'k', 1 from n`,
			`insert into job_parts (job_id, n, box) ` + n + `'job_' || ` + text + `, 0, ` + blob(db, "j") + ` from n`,
			`insert into reminders (account_id, org_id, deadline_at, days, sent_at) ` + n + `'acc_' || ` + text + `, 'org_' || ` + text + `, 1, 7, i from n`,
			`insert into throttles (key, failures, blocked_until, window_start, updated_at) ` + n + `'password:acc_' || ` + text + `, 1, 0, 0, 9000000000000000 from n`,
		} {
			var args []any
			switch {
			case strings.Contains(q, "into org_nodes"):
				args = []any{provider}
			case strings.Contains(q, "$1"):
				args = []any{customer}
			}
			if _, err := tx.Exec(q, args...); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().ExecContext(t.Context(), `analyze`); err != nil {
		t.Fatal(err)
	}
}

// blob is an expression for bytes that no two rows share.
func blob(db *sqldb.DB, prefix string) string {
	if db.Dialect == sqldb.SQLite {
		return `cast('` + prefix + `' || i as blob)`
	}
	return `convert_to('` + prefix + `' || i, 'UTF8')`
}

// walk runs the operations and looks of the domain once.
type walk struct {
	*testing.T
	*server.House
	clock *doortest.Clock

	provider org.Org
	msp      org.Org
	customer org.Org
	root     access.Actor
}

var here = access.Client{Address: "192.0.2.1", UserAgent: "test"}

func (w *walk) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// refused takes any refusal, and no other error.
func (w *walk) refused(err error) {
	w.Helper()
	if refusal.As(err) == nil {
		w.Fatalf("not refused: %v", err)
	}
}

func (w *walk) found() {
	ctx := w.Context()
	f, err := w.Directory.Found(ctx, doortest.Operator(), "Provider", "prov", "root@prov.example", locale.English)
	w.must(err)
	w.provider = f.Org
	_, err = w.Directory.Use(ctx, account.Activate, f.Token, doortest.Password, doortest.Password, here)
	w.must(err)
	w.root = access.Actor{Kind: access.AccountActor, Account: f.Account.ID, Org: f.Org.ID, Session: id.New[id.Session](w.Now()), ProvedAt: w.Now(), Name: "root"}
	w.msp, err = w.Directory.CreateOrg(ctx, w.root, org.New{Kind: access.MSP, Parent: w.provider.ID, Slug: "msp", Name: "MSP"})
	w.must(err)
	w.customer, err = w.Directory.CreateOrg(ctx, w.root, org.New{Kind: access.Customer, Parent: w.msp.ID, Slug: "cust", Name: "Customer"})
	w.must(err)
	w.must(w.Directory.SetSeats(ctx, w.root, w.customer.ID, 900))
}

// seats asks for more of them and is answered in each way, and reads what they were.
func (w *walk) seats(o id.Org) {
	w.Helper()
	ctx, tx := w.Context(), w.DB.Read(w.Context())
	ask := func() id.SeatRequest {
		w.must(w.Directory.SetSeats(ctx, w.root, w.customer.ID, 900))
		w.must(w.Directory.AskSeats(ctx, w.root, w.customer.ID, 950, "more"))
		q, _, err := license.OpenRequest(tx, w.customer.ID)
		w.must(err)
		return q.ID
	}
	w.must(w.Directory.GrantSeats(ctx, w.root, w.customer.ID, ask(), 960))
	w.must(w.Directory.DeclineSeats(ctx, w.root, w.customer.ID, ask(), "no"))
	w.must(w.Directory.WithdrawSeats(ctx, w.root, w.customer.ID, ask()))
	w.must(w.Directory.SetPool(ctx, w.root, w.msp.ID, license.MostSeats))
	_, _, err := license.LastRequest(tx, o)
	w.must(err)
	for _, groups := range []id.Account{"", "acc_7"} {
		_, err = license.AskingBelow(tx, w.msp.ID, groups, 50)
		w.must(err)
	}
	_, err = license.Marks(tx, w.Now(), o, 12)
	w.must(err)
	_, err = license.MarksIn(tx, license.MonthOf(w.Now()), []id.Org{o, "org_7"}, 50)
	w.must(err)
	_, err = audit.NewestOf(tx, o, audit.OrgEntered, 5)
	w.must(err)
}

func (w *walk) invite(o id.Org, email string, roles ...string) (id.Account, secret.Text) {
	w.Helper()
	out, err := w.Directory.Invite(w.Context(), doortest.Operator(), o, account.Invitation{Emails: []string{email}, Roles: roles})
	w.must(err)
	w.must(out[0].Err)
	return out[0].Account, out[0].Token
}

func (w *walk) everything() {
	w.people()
	w.sheets()
	w.jobs()
	w.lists()
	w.signIns()
	w.rules()
	w.mails()
	w.places()
	w.moves()
	w.orgLife()
	ctx := context.Background()
	w.must(w.Desk.Sweep(ctx))
	w.must(w.Gate.Sweep(ctx))
}

func (w *walk) sheets() {
	sheet, fault := account.ReadSheet("email,name,username,roles\nsam@prov.example,Sam,sam,support\nsam@prov.example,Sam,,\n")
	if fault != nil {
		w.Fatal(fault)
	}
	columns, _ := sheet.Guess()
	done, err := w.Directory.AddLines(w.Context(), w.root, w.provider.ID, account.Lines{Sheet: sheet, Columns: columns})
	w.must(err)
	if added, _, _ := account.Tally(done); added != 1 {
		w.Errorf("the sheet: %+v", done)
	}
	w.must(w.Directory.Export(w.Context(), w.root, w.provider.ID, account.Filter{}, account.Columns, func() io.Writer { return io.Discard }))
}

// jobs makes and works off an act on many people and a long import.
func (w *walk) jobs() {
	ctx, jobs := w.Context(), w.Jobs
	jobs.Stands = func(ctx context.Context, actor access.Actor, o id.Org) error { // the walk's root has no session
		err := w.Desk.Stands(ctx, actor, o)
		if refusal.Is(err, refusal.Unauthenticated) {
			return nil
		}
		return err
	}
	people, err := account.Choose(w.DB.Read(ctx), w.provider.ID, account.Filter{Search: "sam"}, 9)
	w.must(err)
	_, err = jobs.AtOnce(ctx, w.root, w.provider.ID, account.Bulk{Act: account.ActResend}, []id.Account{people[0].ID})
	w.must(err)
	job, err := jobs.Begin(ctx, w.root, w.provider.ID, account.Bulk{Act: account.ActGiveRole, Role: access.Administrator}, people)
	w.must(err)
	w.must(jobs.Work(ctx))
	it, err := account.FindJob(w.DB.Read(ctx), w.provider.ID, job)
	w.must(err)
	if it.State != account.JobDone || it.Added != 1 {
		w.Errorf("the job: %+v", it)
	}
	for _, only := range []account.RowState{"", account.RowDone} {
		_, err = account.JobRows(w.DB.Read(ctx), job, only, -1, 10)
		w.must(err)
	}
	job, err = jobs.Store(ctx, w.root, w.provider.ID, "Contact\numa@prov.example\nUMA@prov.example\n", false)
	w.must(err)
	_, err = account.OpenJobs(w.DB.Read(ctx), w.provider.ID)
	w.must(err)
	w.must(jobs.SetColumns(ctx, w.root, w.provider.ID, job, []account.Column{account.EmailColumn}))
	w.must(jobs.Work(ctx))
	w.must(jobs.Ask(ctx, w.root, w.provider.ID, job))
	w.must(jobs.SetColumns(ctx, w.root, w.provider.ID, job, []account.Column{account.EmailColumn}))
	w.must(jobs.Work(ctx))
	w.must(jobs.RunImport(ctx, w.root, w.provider.ID, job, true))
	w.must(jobs.Work(ctx))
	w.refused(jobs.Cancel(ctx, w.root, w.provider.ID, job))
	if _, err = jobs.Store(ctx, w.root, w.provider.ID, "Contact\nvic@prov.example\n", false); err == nil {
		w.clock.Move(account.JobWaits)
		err = jobs.Sweep(ctx)
	}
	w.must(err)
	w.clock.Move(account.JobStays)
	w.must(jobs.Sweep(ctx))
	w.root.ProvedAt = w.Now()
}

func (w *walk) people() {
	ctx, dir, o := w.Context(), w.Directory, w.customer.ID
	ann, token := w.invite(o, "ann@cust.example", access.Administrator, access.Core)
	_, err := dir.Resend(ctx, w.root, o, ann)
	w.must(err)
	_, err = dir.Open(ctx, account.Activate, token)
	w.must(err)
	_, err = dir.AskAgain(ctx, token, here)
	w.must(err)
	bob, _ := w.invite(o, "bob@cust.example")
	w.must(dir.SetRoles(ctx, w.root, o, bob, []string{access.Viewer}))
	w.must(dir.Disable(ctx, w.root, o, bob))
	w.must(dir.Enable(ctx, w.root, o, bob))
	w.must(dir.SetRoleEnd(ctx, w.root, o, bob, access.Viewer, w.Now().AddDate(0, 1, 0)))
	w.roles()
	w.must(dir.Withdraw(ctx, w.root, o, bob))
	w.leavers()
	w.must(dir.EditProfile(ctx, w.root, account.Profile{Name: "Root", Username: "root"}))
	w.refused(dir.ResetFactors(ctx, w.root, o, ann, "why"))
	w.must(dir.NoteView(ctx, w.root, o, ann))
	w.refused(dir.Disable(ctx, w.root, w.provider.ID, ann)) // somebody of another organisation
	w.must(dir.Forgot(ctx, w.customer, "ann@cust.example", here))
	w.must(dir.MailOrganisations(ctx, "ann@cust.example", here))
	w.must(dir.MailOrganisations(ctx, "nobody@cust.example", here))
}

// leavers changes somebody's address and deletes people.
func (w *walk) leavers() {
	ctx, dir, o := w.Context(), w.Directory, w.customer.ID
	never, _ := w.invite(o, "never@cust.example")
	w.must(dir.ChangeEmail(ctx, doortest.Operator(), o, never, "never2@cust.example"))
	w.must(dir.Delete(ctx, doortest.Operator(), o, never))
	eve, token := w.invite(o, "eve@cust.example", access.Core)
	_, err := dir.Use(ctx, account.Activate, token, doortest.Password, doortest.Password, here)
	w.must(err)
	w.must(dir.ChangeEmail(ctx, doortest.Operator(), o, eve, "eve2@cust.example"))
	w.must(dir.StopEmail(ctx, doortest.Operator(), o, eve))
	w.must(dir.ChangeEmail(ctx, doortest.Operator(), o, eve, "eve2@cust.example"))
	links := map[string]secret.Text{}
	w.Queue.Deliver = func(_ context.Context, m outbox.Message) error {
		switch d := m.Data.(type) {
		case outbox.EmailConfirm:
			links["confirm"] = secret.Text(d.Token)
		case outbox.EmailChanged:
			links["not-me"] = secret.Text(d.NotMe)
		}
		return nil
	}
	deliver := func() {
		for n := 1; n > 0; {
			n, err = w.Queue.Work(ctx)
			w.must(err)
		}
	}
	deliver()
	_, err = dir.ConfirmEmail(ctx, links["confirm"], here)
	w.must(err)
	deliver()
	_, err = dir.NotMe(ctx, links["not-me"], here)
	w.must(err)
	w.must(dir.Delete(ctx, doortest.Operator(), o, eve))
	w.must(dir.Keep(ctx, doortest.Operator(), o, eve))
	w.must(dir.Delete(ctx, doortest.Operator(), o, eve))
	w.must(w.DB.Write(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`update accounts set delete_at = 1 where id = $1`, eve)
		return err
	}))
	w.must(dir.PurgePeople(ctx))
}

// orgLife edits, suspends and deletes an organisation.
func (w *walk) orgLife() {
	ctx, dir := w.Context(), w.Directory
	o, err := dir.CreateOrg(ctx, w.root, org.New{Kind: access.Customer, Parent: w.provider.ID, Slug: "brief", Name: "Brief"})
	w.must(err)
	w.invite(o.ID, "ann@brief.example", access.Administrator)
	w.must(dir.EditOrg(ctx, w.root, o.ID, 0, org.Profile{Name: "Brief", Language: locale.German, TimeZone: "UTC", Tags: []string{"north"}}))
	_, err = org.Tags(w.DB.Read(ctx), o.ID)
	w.must(err)
	w.must(dir.Suspend(ctx, w.root, o.ID, "brief", "why"))
	w.must(dir.Resume(ctx, w.root, o.ID))
	_, err = dir.RequestDeletion(ctx, w.root, o.ID, "brief")
	w.must(err)
	w.must(dir.CancelDeletion(ctx, w.root, o.ID))
	_, err = dir.RequestDeletion(ctx, w.root, o.ID, "brief")
	w.must(err)
	w.clock.Move(48 * time.Hour)
	w.must(dir.Purge(ctx))
}

// moves moves a customer from one MSP to another, with an account that is linked to the first.
func (w *walk) moves() {
	ctx, dir := w.Context(), w.Directory
	create := func(kind access.OrgKind, parent id.Org, slug string) (org.Org, access.Actor) {
		o, err := dir.CreateOrg(ctx, w.root, org.New{Kind: kind, Parent: parent, Slug: slug, Name: slug})
		w.must(err)
		a, token := w.invite(o.ID, "ann@"+slug+".example", access.Administrator)
		_, err = dir.Use(ctx, account.Activate, token, doortest.Password, doortest.Password, here)
		w.must(err)
		return o, access.Actor{Kind: access.AccountActor, Account: a, Org: o.ID, ProvedAt: w.clock.Now(), Client: here}
	}
	giver, gina := create(access.MSP, w.provider.ID, "giver")
	receiver, rita := create(access.MSP, w.provider.ID, "receiver")
	customer, carl := create(access.Customer, giver.ID, "roams")
	a, _ := w.invite(customer.ID, "gina@roams.example", access.Core)
	w.must(w.DB.Write(ctx, func(tx sqldb.Tx) error {
		if err := license.ReturnSeat(tx, w.clock.Now(), customer.ID); err != nil {
			return err
		}
		_, err := tx.Exec(`update accounts set state = 'active', home_id = $1 where id = $2`, gina.Account, a)
		return err
	}))
	start := func() id.Move {
		m, err := dir.StartMove(ctx, w.root, customer.ID, account.Started{To: "receiver", Reason: "why", Confirm: "roams"})
		w.must(err)
		return m.ID
	}
	w.must(dir.DeclineMove(ctx, gina, giver.ID, start(), "no"))
	w.must(dir.CancelMove(ctx, w.root, customer.ID, start()))
	m := start()
	for _, who := range []access.Actor{carl, gina, rita, w.root} {
		at := who.Org
		r, err := w.Guard.Rights(w.DB.Read(ctx), who, at)
		w.must(err)
		_, err = dir.AwaitedMoves(ctx, who, r)
		w.must(err)
		_, err = dir.Move(ctx, who, at, m)
		w.must(err)
	}
	_, err := w.Desk.PreviewMove(ctx, carl, customer.ID, receiver.ID)
	w.must(err)
	for _, who := range []access.Actor{carl, gina, rita} {
		_, err := dir.ConfirmMove(ctx, who, who.Org, m)
		w.must(err)
	}
	w.must(dir.MoveNow(ctx, doortest.Operator(), customer.ID, account.Started{To: "giver", Reason: "why", Confirm: "roams"}))
}

// roles makes, changes, gives and deletes an own role and a group, and warns of an end.
func (w *walk) roles() {
	ctx, dir, o := w.Context(), w.Directory, w.msp.ID
	in := account.OwnRole{Name: "Desk", Permissions: []access.Permission{access.PeopleView}, Below: true}
	made, err := dir.DefineRole(ctx, doortest.Operator(), o, in)
	w.must(err)
	w.must(dir.EditRole(ctx, doortest.Operator(), o, made.ID, 1, in))
	g, err := dir.CreateGroup(ctx, doortest.Operator(), o, "East")
	w.must(err)
	out, err := dir.Invite(ctx, doortest.Operator(), o, account.Invitation{Emails: []string{"tina@msp.example"}, Roles: []string{"desk"}, Groups: []id.Group{g}})
	w.must(err)
	tina := out[0].Account
	w.must(dir.RenameGroup(ctx, doortest.Operator(), o, g, "West"))
	grouped := account.Grouped{Customers: []id.Org{w.customer.ID}, People: []id.Account{tina}}
	w.must(dir.AddToGroup(ctx, doortest.Operator(), o, g, grouped))
	tx := w.DB.Read(ctx)
	_, err = access.GroupsOf(tx, o, tina)
	w.must(err)
	_, _, err = account.GroupCustomers(tx, g, "", 50)
	w.must(err)
	_, _, err = account.GroupPeople(tx, g, "", 50)
	w.must(err)
	_, err = account.FindCustomers(tx, o, g, "name", 20)
	w.must(err)
	_, err = account.FindGroupable(tx, w.customer.ID, g, "p", []string{access.Core, access.Administrator}, 20)
	w.must(err)
	_, err = access.HolderCounts(tx, w.Now(), o)
	w.must(err)
	w.must(dir.RemoveFromGroup(ctx, doortest.Operator(), o, g, grouped))
	w.must(dir.DeleteGroup(ctx, doortest.Operator(), o, g))
	w.must(dir.SetRoles(ctx, doortest.Operator(), o, tina, nil))
	w.must(dir.DeleteRole(ctx, doortest.Operator(), o, made.ID))

	w.must(w.DB.Write(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`update assignments set expires_at = $1 where org_id = $2 and role = 'administrator'`, sqldb.Micros(w.Now().AddDate(0, 0, 2)), w.customer.ID)
		return err
	}))
	w.must(dir.WarnExpiry(ctx))
	w.must(w.DB.Write(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`update assignments set expires_at = 0 where org_id = $1 and role = 'administrator'`, w.customer.ID)
		return err
	}))
}

func (w *walk) lists() {
	tx := w.DB.Read(w.Context())
	o := w.customer.ID
	_, err := account.Count(tx, o)
	w.must(err)
	_, err = account.Administrators(tx, o, w.Now())
	w.must(err)
	_, err = account.Lookup(tx, w.root.Account)
	w.must(err)
	for _, identifier := range []string{"p60@x.example", "u60"} {
		if _, ok, err := account.ByIdentifier(tx, o, identifier); err != nil || !ok {
			w.Errorf("%s is not found: %v", identifier, err)
		}
	}
	_, err = org.HealthOf(tx, o)
	w.must(err)
	_, err = org.BySlug(tx, "s77")
	w.must(err)
	_, err = org.Provider(tx)
	w.must(err)
	_, err = w.Guard.Rights(tx, access.Actor{Kind: access.AccountActor, Account: "acc_7"}, "org_7")
	w.must(err)
	_, err = access.Assignments(tx, "acc_7")
	w.must(err)
	_, err = license.SeatsOf(tx, o)
	w.must(err)
	w.seats(o)
	_, err = factor.List(tx, "acc_7")
	w.must(err)
	_, err = factor.Covered(tx, o)
	w.must(err)
	_, _, err = outbox.Latest(tx, "acc_7", outbox.KindInvite)
	w.must(err)
	for _, target := range []string{"", "acc_7"} {
		_, err = audit.List(tx, o, target, 50)
		w.must(err)
	}
	_, err = audit.CountByDay(tx, o, audit.SignedIn, []time.Time{w.Now().AddDate(0, 0, -1), w.Now()})
	w.must(err)
	_, err = audit.Newest(tx)
	w.must(err)
	_, err = revoke.Since(tx, "acc_7", "org_7", 1)
	w.must(err)
	_, err = throttle.Failures(tx, account.PasswordTries("acc_7"))
	w.must(err)
	w.must(w.DB.Write(w.Context(), func(tx sqldb.Tx) error {
		if _, err := access.SetState(tx, "org_9", access.Active, access.Suspended); err != nil {
			return err
		}
		_, err := revoke.Subject(tx, w.Now(), revoke.Org, id.Org("org_9"))
		return err
	}))
}

// places looks where people can go, and signs in at the general page.
func (w *walk) places() {
	ctx, desk, tx := w.Context(), w.Desk, w.DB.Read(w.Context())
	root := signin.Visitor{Actor: w.root, Account: account.Account{ID: w.root.Account, Org: w.provider.ID}, Org: w.provider}
	w.must(desk.Entered(ctx, root, w.customer.ID))
	for _, search := range []string{"", "name 1"} {
		for _, after := range []string{"", "name 1\x1forg_1"} {
			_, err := desk.Places(ctx, root, search, after)
			w.must(err)
			for _, groups := range []id.Account{"", "acc_7"} {
				_, err = org.Below(tx, "org_2", groups, search, after, 20)
				w.must(err)
			}
		}
	}
	for _, top := range []id.Org{w.provider.ID, "org_2", "org_3"} { // below the last there are very many
		w.must(w.DB.Write(ctx, func(tx sqldb.Tx) error {
			_, err := tx.Exec(`update seats set used = used + 100000 where org_id in (select id from org_nodes where parent_id = 'org_3')`)
			return err
		}))
		for _, groups := range []id.Account{"", "acc_7"} {
			for _, search := range []string{"name 1", "ümit"} {
				_, err := account.Search(tx, top, groups, search, 8)
				w.must(err)
			}
		}
	}
	_, err := org.Among(tx, "org_2", "acc_7", []id.Org{"org_101", "org_201"})
	w.must(err)
	_, _, err = desk.Menu(ctx, root)
	w.must(err)
	_, _, err = desk.Ways(ctx, root, w.customer.Slug)
	w.must(err)
	p, err := desk.Begin(ctx, signin.Start{General: true, Identifier: "root@prov.example", Client: here})
	w.must(err)
	_, err = desk.PasswordAt(ctx, p.Key, "prov", "wrong", here, signin.Held{})
	w.refused(err)
	_, err = desk.PasswordAt(ctx, p.Key, "prov", "", here, signin.Held{})
	w.must(err)
}

// signIns activates someone and walks through the desk: attempt, password, app, session, a second sign-in, self-service, reset.
func (w *walk) signIns() {
	ctx, desk, o := w.Context(), w.Desk, w.customer
	eve, token := w.invite(o.ID, "eve@cust.example", access.Administrator)
	_, err := w.Directory.Use(ctx, account.Activate, token, doortest.Password, doortest.Password, here)
	w.must(err)
	begin := func() signin.Progress {
		p, err := desk.Begin(ctx, signin.Start{Org: o, Slug: o.Slug, Identifier: "eve@cust.example", Client: here})
		w.must(err)
		_, err = desk.View(ctx, p.Key)
		w.must(err)
		_, err = desk.Password(ctx, p.Key, "wrong", here, signin.Held{})
		w.refused(err)
		p, err = desk.Password(ctx, p.Key, doortest.Password, here, signin.Held{})
		w.must(err)
		return p
	}
	p := begin()
	p, err = desk.Choose(ctx, p.Key, "totp", here)
	w.must(err)
	view, err := desk.View(ctx, p.Key)
	w.must(err)
	key, app := string(view.Setup.Key), view.Setup.Factor
	code := func() string {
		w.clock.Move(31 * time.Second)
		c, err := factor.CodeAt(key, w.Now())
		w.must(err)
		return c
	}
	p, err = desk.EnrolTOTP(ctx, p.Key, code(), here, signin.Held{})
	w.must(err)
	view, err = desk.View(ctx, p.Key)
	w.must(err)
	p, err = desk.Saved(ctx, p.Key, here, signin.Held{})
	w.must(err)
	p, err = desk.Offer(ctx, p.Key, true, here, signin.Held{})
	w.must(err)
	p, err = desk.NotNow(ctx, p.Key, here, signin.Held{})
	w.must(err)
	first := p.Finished
	p = begin()
	p, err = desk.Way(ctx, p.Key, "recovery", here)
	w.must(err)
	p, err = desk.Recovery(ctx, p.Key, view.Codes[0], here, signin.Held{Session: first.Secret, Device: first.Device})
	w.must(err)
	second := p.Finished
	p = begin()
	p, err = desk.Code(ctx, p.Key, code(), false, here, signin.Held{Session: second.Secret})
	w.must(err)
	_, err = desk.Resolve(ctx, p.Finished.Secret, here)
	w.must(err)
	w.clock.Move(2 * time.Minute) // so that the look counts as use
	v, err := desk.Resolve(ctx, p.Finished.Secret, here)
	w.must(err)
	_, err = desk.Proofs(ctx, eve)
	w.must(err)
	devices, err := desk.Devices(ctx, o.ID, eve)
	w.must(err)
	w.must(desk.ForgetDevice(ctx, v.Actor, devices[0].ID))
	fresh, err := desk.ProveAgain(ctx, v, secret.Text(code()))
	w.must(err)
	v, err = desk.Resolve(ctx, fresh, here)
	w.must(err)
	_, err = desk.NewCodes(ctx, v)
	w.must(err)
	_, err = desk.BeginOwnTOTP(ctx, v)
	w.must(err)
	_, _, err = desk.OwnTOTP(ctx, v)
	w.must(err)
	w.refused(desk.RemoveFactor(ctx, v, app))
	fresh, err = desk.ChangePassword(ctx, v, doortest.Password, "another fine passphrase 9", "another fine passphrase 9")
	w.must(err)
	_, err = desk.Sessions(ctx, o.ID, eve)
	w.must(err)
	w.refused(desk.EndSession(ctx, v.Actor, o.ID, eve, first.Session.ID))
	w.root.ProvedAt = w.Now()
	_, err = w.Directory.IssueAccessCode(ctx, w.root, o.ID, eve, time.Hour)
	w.must(err)
	w.must(w.Directory.ResetFactors(ctx, w.root, o.ID, eve, "lost"))
	w.must(desk.SignOut(ctx, fresh, here))
	w.must(desk.EndSessions(ctx, w.root, o.ID, eve))
	w.must(w.Directory.Forgot(ctx, o, "eve@cust.example", here))

	// Without a link that vouches, a code is mailed.
	p, err = desk.Begin(ctx, signin.Start{Org: o, Slug: o.Slug, Identifier: "eve@cust.example", Client: here})
	w.must(err)
	p, err = desk.Password(ctx, p.Key, "another fine passphrase 9", here, signin.Held{})
	w.must(err)
	if p.Decision.Step != policy.ProveMailbox {
		w.Fatalf("the step is %s", p.Decision.Step)
	}
	p, err = desk.MailAgain(ctx, p.Key, here)
	w.must(err)
	_, err = desk.Mailbox(ctx, p.Key, "000000", here, signin.Held{})
	w.refused(err)
	_, _, _, err = desk.Origin(ctx, string(p.Key.ID))
	w.must(err)
}

// rules changes and previews rules, judges everybody, looks at the campaign from below and from above, and sends reminders.
func (w *walk) rules() {
	ctx, desk, o := w.Context(), w.Desk, w.customer
	w.root.ProvedAt = w.Now()
	ted, token := w.invite(o.ID, "ted@cust.example", access.Core)
	_, err := w.Directory.Use(ctx, account.Activate, token, doortest.Password, doortest.Password, here)
	w.must(err)
	home, token := w.invite(w.msp.ID, "tek@msp.example", access.Viewer)
	_, err = w.Directory.Use(ctx, account.Activate, token, doortest.Password, doortest.Password, here)
	w.must(err)
	w.must(w.DB.Write(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(`update accounts set home_id = $1 where id = $2`, home, ted)
		return err
	}))
	draft := policy.Settings{SecondFactor: policy.Everyone, From: w.Now().AddDate(0, 0, 10)}
	for _, of := range []id.Org{w.msp.ID, o.ID} {
		_, err := desk.Preview(ctx, w.root, of, draft, "p6", 20)
		w.must(err)
		w.must(desk.SetRules(ctx, w.root, of, signin.Draft{Settings: draft, Seen: signin.RevOf(draft)}))
	}
	fay, token := w.invite(o.ID, "fay@cust.example", access.Core)
	_, err = w.Directory.Use(ctx, account.Activate, token, doortest.Password, doortest.Password, here)
	w.must(err)
	now, err := org.Find(w.DB.Read(ctx), o.ID)
	w.must(err)
	_, err = desk.Campaign(ctx, w.root, now, policy.Pending, "", 20)
	w.must(err)
	w.must(desk.Judge(ctx))
	for _, groups := range []id.Account{"", "acc_7"} {
		for _, after := range []string{"", "3.org_9"} {
			_, err = desk.Below(ctx, "org_2", groups, after, 20)
			w.must(err)
		}
	}
	_, err = desk.Remind(ctx, w.root, o.ID, []id.Account{fay})
	w.must(err)
	w.must(w.Directory.Exempt(ctx, w.root, o.ID, fay, w.Now().AddDate(0, 0, 5), "why"))
	w.must(w.Directory.EndExemption(ctx, w.root, o.ID, fay))
}

// mails delivers one mail, and fails on the others for now or for good.
func (w *walk) mails() {
	n := 0
	w.Queue.Deliver = func(context.Context, outbox.Message) error {
		if n++; n == 1 {
			return nil
		}
		return fmt.Errorf("mail %d is not taken", n)
	}
	w.Queue.Permanent = func(err error) bool { return strings.Contains(err.Error(), "mail 2 ") }
	taken, err := w.Queue.Work(w.Context())
	w.must(err)
	if taken < 3 {
		w.Errorf("%d mails taken", taken)
	}
}
