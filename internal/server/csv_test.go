package server_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// upload sends a file to the import.
func upload(w *doortest.World, slug string, file []byte, header http.Header) reply {
	w.T.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "people.csv")
	if err == nil {
		_, err = part.Write(file)
	}
	if err == nil {
		err = form.WriteField("text", "")
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		w.T.Fatal(err)
	}
	h := header.Clone()
	h.Set("Content-Type", form.FormDataContentType())
	r, err := transmit(w, http.MethodPost, "/o/"+slug+"/users/import", body.String(), h)
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// rows returns the lines of an exported or saved file.
func rows(t *testing.T, body string) [][]string {
	t.Helper()
	text, marked := strings.CutPrefix(body, "\ufeff")
	list, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || !marked {
		t.Fatalf("not a marked CSV file: %v\n%.200s", err, body)
	}
	return list
}

// From a file to people: every line has its outcome before anything is done, the run does exactly that, and what was refused is put right and sent
// again (D8).
func TestImport(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = 6 where org_id = $1`, w.Fabrikam.ID)
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.Activate(w.Tailspin, "tess@tailspin.example", access.Core)
		file := "Rollen;E-Mail;Name;Sprache;Benutzername;Ende\r\n" +
			"core;ann@fabrikam.example;Änn Müller;de;ann;2026-12-31\r\n" + // 2
			"core;BEA@Fabrikam.example;Bea;;;\r\n" + // 3: here already
			"core;ann@FABRIKAM.example;twice;;;\r\n" + // 4
			"root;carl@fabrikam.example;Carl;;;\r\n" + // 5
			"core;dora@fabrikam.example;=1+1;;;\r\n" + // 6
			"core;emil;Emil;;;\r\n" + // 7
			";finn@fabrikam.example;\"F; Inn\";fr;;\r\n" + // 8
			"core;gil@fabrikam.example;Gil;xx;;\r\n" + // 9
			"core;hana@fabrikam.example;" + strings.Repeat("x", 101) + ";;;\r\n" + // 10
			"core;ida@fabrikam.example;Ida;;ANN;\r\n" + // 11: a user name twice
			"core;jan@fabrikam.example;Jan;;;1999-01-01\r\n" + // 12
			"core;kim@fabrikam.example;\"Kim;;;\r\n" + // 13
			"\"viewer,core\";tess@tailspin.example;Tess;;;\r\n" + // 14: known elsewhere, which nobody learns
			"core;lea@fabrikam.example;Lea;;;;x\r\n" + // 15
			"core;mia@fabrikam.example;Mia;;;\r\n" + // 16
			"core;nora@fabrikam.example;Nora;;;\r\n" + // 17
			"core;olga@fabrikam.example;Olga;;;\r\n" // 18: no seat
		settle(w.World)
		before := dump(w.World)
		r := upload(w.World, "fabrikam", []byte(strings.NewReplacer("Ä", "\xc4", "ü", "\xfc").Replace(file)), held(b))
		if r.Status != http.StatusOK || r.Page() != "users.import.lines" || !strings.Contains(r.Body, "Latin-1") {
			t.Fatalf("checking: %d %q %v", r.Status, r.Page(), r.Faults())
		}
		for email, why := range map[string]string{
			"carl@fabrikam.example": "There is no role “root” here", "dora@fabrikam.example": "begins like a formula", "emil": "not an e-mail address",
			"gil@fabrikam.example": "Choose en, de or fr", "ida@fabrikam.example": "has this user name", "jan@fabrikam.example": "This moment has passed",
			"lea@fabrikam.example": "more cells", "olga@fabrikam.example": "the limit is 6", "ann@FABRIKAM.example": "twice", "hana@fabrikam.example": "100",
		} {
			if _, rest, found := strings.Cut(r.Body, `scope="row">`+email+"<small>"); !found || !strings.Contains(rest[:200], why) {
				t.Errorf("%s is not told %q", email, why)
			}
		}
		if d := differing(before, dump(w.World), "sessions"); d != nil {
			t.Fatalf("checking changed %v", d)
		}

		form := url.Values{"text": {file}, "step": {"run"}}
		b.Post("/o/fabrikam/users/import", form).Want("users.import.lines")
		got := column(w, `select email || ' ' || name || ' ' || language || ' ' || coalesce(username, '') || ' ' || state from accounts where org_id = $1 and id <> $2 order by email_key`, w.Fabrikam.ID, bea.Account)
		want := []string{"ann@fabrikam.example Änn Müller de ann invited", "finn@fabrikam.example F; Inn fr  invited", "mia@fabrikam.example Mia   invited",
			"nora@fabrikam.example Nora   invited", "tess@tailspin.example Tess   invited"}
		if !slices.Equal(got, want) {
			t.Errorf("added:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID); n != 6 {
			t.Errorf("%d seats in use", n)
		}
		if n := w.Count(`select count(*) from factors where account_id <> $1 and org_id = $2`, bea.Account, w.Fabrikam.ID); n != 0 {
			t.Errorf("an import gave %d factors", n)
		}
		if ends := column(w, `select role from assignments where expires_at > 0 and org_id = $1`, w.Fabrikam.ID); !slices.Equal(ends, []string{"core"}) {
			t.Errorf("roles that end: %v", ends)
		}
		if m := w.Mailbox.Wait("ann@fabrikam.example", "invite", 1); m.Language != "de" || !strings.Contains(m.Link("/activate/"), "/activate/dwa_") {
			t.Errorf("the invitation: %q", m.Language)
		}
		if n := w.Events(w.Fabrikam.ID, "people.imported"); n != 1 {
			t.Errorf("%d events of the import", n)
		}

		// The result is a file; the same list once more changes nothing.
		saved := send(w.World, http.MethodPost, "/o/fabrikam/users/import", url.Values{"step": {"result"}, "result": {"Line,E-mail\n2,=1+1\n"}}, held(b))
		if list := rows(t, saved.Body); list[1][1] != "'=1+1" || !strings.HasPrefix(saved.Head.Get("Content-Disposition"), "attachment") {
			t.Errorf("the result: %q", list)
		}
		if !strings.Contains(b.Body, "nora@fabrikam.example,Added,") || !strings.Contains(b.Body, "olga@fabrikam.example,Refused,") {
			t.Error("the result has no line for each")
		}
		settle(w.World)
		mails, accounts := len(w.Mailbox.All("")), len(got)
		b.Post("/o/fabrikam/users/import", form).Want("users.import.lines")
		settle(w.World)
		if len(w.Mailbox.All("")) != mails || w.Count(`select count(*) from accounts where org_id = $1`, w.Fabrikam.ID) != accounts+1 {
			t.Error("an import that was repeated did something")
		}

		// A column that nobody knows is asked for; invitations can wait.
		w.Exec(`update seats set seat_limit = null`)
		b.Get("/o/fabrikam/users/import").Submit("text", "Kontakt,Phone\nzoe@fabrikam.example,+41 1").Want("users.import.columns")
		b.Submit("step", "check").WantStatus(422).Want("users.import.columns")
		b.Submit("column_0", "email", "column_1", "email").WantStatus(422).Want("users.import.columns")
		b.Submit("column_0", "email", "column_1", "").Want("users.import.lines")
		b.Submit("later", "1", "step", "run").Want("users.import.lines")
		if n := w.Count(`select count(*) from accounts where email_key = 'zoe@fabrikam.example'`); n != 1 {
			t.Fatalf("%d accounts from a list whose columns were chosen", n)
		}
		settle(w.World)
		if list := w.Mailbox.All("zoe@fabrikam.example"); len(list) != 0 {
			t.Errorf("an invitation that was to wait: %d mails", len(list))
		}
		b.Post("/o/fabrikam/users/"+w.text(`select id from accounts where email_key = 'zoe@fabrikam.example'`)+"/resend", nil).Want("user")
		w.Mailbox.Wait("zoe@fabrikam.example", "invite", 1)
	})
}

// What is no list is refused as a whole, with one sentence; a file of 200,000 lines is taken, and costs no memory.
func TestImportOfWhatIsNoList(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		long := []byte("email,name\r\n" + strings.Repeat("somebody.with.a.name@fabrikam.example,Some Body With A Name\r\n", 200_000))
		settle(w.World)
		before := dump(w.World)
		for name, c := range map[string]struct {
			file []byte
			want string
		}{
			"no head":       {[]byte("a@fabrikam.example,Ada\nb@fabrikam.example,Bea"), "does not name the columns"},
			"nothing":       {[]byte("\n"), "Nobody is in this list"},
			"a spreadsheet": {[]byte("PK\x03\x04\x14\x00\x00\x00\x08\x00\x00\x00\x00\x00\x01\x02"), "This is no text"},
			"passwords":     {[]byte("email,password_hash\na@fabrikam.example,x"), "Nobody is given a password"},
			"200,001 lines": {append(long, []byte("one.more@fabrikam.example,One More\r\n")...), "more than 200,000 lines"},
		} {
			var was, is runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&was)
			r := upload(w.World, "fabrikam", c.file, held(b))
			runtime.GC()
			runtime.ReadMemStats(&is)
			if r.Status != http.StatusUnprocessableEntity || r.Page() != "users.import" || !slices.Contains(r.Faults(), "file") || !strings.Contains(r.Body, c.want) {
				t.Errorf("%s: %d %q, errors at %v", name, r.Status, r.Page(), r.Faults())
			}
			if grown := int64(is.HeapAlloc) - int64(was.HeapAlloc); grown > 32<<20 {
				t.Errorf("%s: %d MB stay", name, grown>>20)
			}
		}
		if r := upload(w.World, "fabrikam", bytes.Repeat([]byte("x"), 21<<20), held(b)); r.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("21 MB: %d", r.Status)
		}
		if d := differing(before, dump(w.World), "sessions"); d != nil {
			t.Errorf("changed %v", d)
		}
		b.Post("/o/fabrikam/users/import", url.Values{"text": {string(long[:400<<10])}}).WantStatus(422).Want("users.import")
		if !contains(b.Text(), "Choose the list as a file") {
			t.Error("what is too much to paste is not told so")
		}

		r := upload(w.World, "fabrikam", long, held(b))
		path := r.Head.Get("Location")
		if r.Status != http.StatusSeeOther || !strings.HasPrefix(path, "/o/fabrikam/jobs/job_") {
			t.Fatalf("200,000 lines: %d %q %v", r.Status, r.Page(), r.Faults())
		}
		if s := w.stands(path); s != "checking  0/200000 0 0" || w.Count(`select count(*) from job_parts`) != 400 {
			t.Errorf("%s, %d parts", s, w.Count(`select count(*) from job_parts`))
		}
		var was, is runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&was)
		for range 4 {
			if _, err := w.Jobs.Slice(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&is)
		if used := int64(is.TotalAlloc) - int64(was.TotalAlloc); used > 64<<20 {
			t.Errorf("2,000 lines of 200,000 took %d MB: the whole file is read again", used>>20)
		}
		if s := w.stands(path); s != "checking  2000/200000 1 1999" { // the same address in each line
			t.Error(s)
		}
		b.Post(path, url.Values{"step": {"cancel"}}).Want("job")
		if n := w.Count(`select count(*) from job_parts`); n != 0 {
			t.Errorf("%d parts of a cancelled import stay", n)
		}
	})
}

// A list of more than 2,000 lines is a job: columns that nobody knows are asked for, each line is judged like one of a short list, nothing is done before
// its maker goes on, and then exactly that.
func TestLongImport(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.Exec(`update seats set seat_limit = 1101 where org_id = $1`, w.Fabrikam.ID)
		var file strings.Builder
		file.WriteString("Kontakt;Rolle;Login\n")
		for i := range 1100 {
			fmt.Fprintf(&file, "p%04d@fabrikam.example;core;p%04d\n", i, i)
		}
		for i := range 1000 { // the same people, in other parts of the file
			fmt.Fprintf(&file, "P%04d@fabrikam.example;core;\n", i)
		}
		file.WriteString("bea@fabrikam.example;core;\n=1+1@fabrikam.example;core;\nx@fabrikam.example;core;P0001\nlast@fabrikam.example;core;\n")
		settle(w.World)
		r := upload(w.World, "fabrikam", []byte(file.String()), held(b))
		path := r.Head.Get("Location")
		if s := w.stands(path); s != "columns  0/2104 0 0" {
			t.Fatal(s)
		}
		box := w.text(`select cast(substr(box, 1, 3000) as text) from job_parts where n = 0 and length(box) > 0`)
		if strings.Contains(box, "fabrikam") || strings.Contains(box, inHex("fabrikam")) {
			t.Error("the file is stored as it is")
		}
		b.Get(path).Want("job")
		if !contains(b.Text(), "Kontakt", "p0000@fabrikam.example") {
			t.Errorf("%s", b.Text())
		}
		b.Submit("step", "check", "column_0", "").WantStatus(422).Want("job")
		b.Submit("step", "check", "column_0", "email").Want("job")
		people := w.Count(`select count(*) from accounts`)
		w.work()
		// 1,100 and one here already; the seats are for 1,100.
		if s := w.stands(path); s != "checked  2104/2104 1100 1003" {
			t.Errorf("checked: %s", s)
		}
		if n := w.Count(`select count(*) from job_rows`); n != account.MostFaults {
			t.Errorf("%d faults are kept", n)
		}
		if w.Count(`select count(*) from accounts`) != people {
			t.Error("the check added people")
		}
		b.Get(path).Want("job")
		if !contains(b.Text(), "1,100", "1,003", "stands here twice") && !contains(b.Text(), "twice") {
			t.Errorf("%s", b.Text())
		}
		w.Clock.Move(11 * time.Minute)
		if b.Submit("step", "run", "later", "1"); b.Page() != "prove" {
			t.Errorf("on an old proof: %q", b.Page())
		}
		w.Exec(`update sessions set proved_at = $1`, sqldb.Micros(w.Clock.Now()))
		w.Exec(`update seats set seat_limit = 1081 where org_id = $1`, w.Fabrikam.ID) // less than when it was checked
		b.Post(path, url.Values{"step": {"run"}, "later": {"1"}}).Want("job")
		b.Post(path, url.Values{"step": {"run"}, "later": {"1"}}).WantStatus(422).Want("job")

		// It breaks off in the middle of a slice of a node that is never heard of again, and is gone on with by three.
		for range 3 {
			if _, err := w.Jobs.Slice(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.Exec(`update jobs set lease = 'lease_dead', due_at = $1`, sqldb.Micros(w.Clock.Now().Add(time.Minute)))
		w.Clock.Move(2 * time.Minute)
		var all sync.WaitGroup
		for _, n := range []*account.Jobs{w.Jobs, doortest.Node(t, w.Settings, w.Clock).Jobs, doortest.Node(t, w.Settings, w.Clock).Jobs} {
			all.Go(func() {
				for range 20 {
					if err := n.Work(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if s := w.stands(path); s != "done  2104/2104 1080 1023" {
			t.Errorf("done: %s", s)
		}
		used, added := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID), w.Count(`select count(*) from accounts`)-people
		if used != 1081 || added != 1080 || w.Count(`select count(*) from job_parts`) != 0 || w.Events(w.Fabrikam.ID, "people.imported") != 1 {
			t.Errorf("%d seats, %d people, %d parts", used, added, w.Count(`select count(*) from job_parts`))
		}
		settle(w.World)
		if n := len(w.Mailbox.All("p0000@fabrikam.example")); n != 0 {
			t.Errorf("%d invitations that were to wait", n)
		}
		list := rows(t, send(w.World, http.MethodGet, path+"/result", nil, held(b)).Body)
		if len(list) != 2105 || list[1][2] != "Added" || list[1105][2] != "Refused" || !strings.HasPrefix(list[2102][1], "'=1+1") {
			t.Errorf("the result: %d lines, %q %q", len(list), list[1], list[2102])
		}
		if err := w.Jobs.Sweep(t.Context()); err != nil || w.Count(`select count(*) from job_keys`) != 0 {
			t.Errorf("%v, keys stay", err)
		}
		// Those who were put off get their invitation from the list.
		b.Post("/o/fabrikam/users/bulk?q=p000", url.Values{"action": {"resend"}, "all": {"1"}}).Want("users.bulk").Submit("step", "run").Want("users.bulk.done")
		w.Mailbox.Wait("p0009@fabrikam.example", "invite", 1)
	})
}

// inHex is how PostgreSQL writes bytes as text.
func inHex(s string) string { return fmt.Sprintf("%x", s) }

// What waits for an answer is given up after a day, with its file.
func TestImportIsGivenUp(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		file := []byte("Kontakt\n" + strings.Repeat("a@fabrikam.example\n", 2100))
		path := upload(w.World, "fabrikam", file, held(b)).Head.Get("Location")
		if b.Get("/o/fabrikam/users"); !contains(b.Text(), "waits for your answer") {
			t.Error("the list does not tell of it")
		}
		w.Clock.Move(account.JobWaits + time.Minute)
		if err := w.Jobs.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := w.stands(path); s != "cancelled  0/2100 0 0" || w.Count(`select count(*) from job_parts`) != 0 {
			t.Errorf("%s, %d parts", s, w.Count(`select count(*) from job_parts`))
		}
		_, b = w.enrolled(w.Fabrikam, "carla@fabrikam.example", access.Administrator)
		for range 5 {
			upload(w.World, "fabrikam", file, held(b))
		}
		if r := upload(w.World, "fabrikam", file, held(b)); r.Status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "not finished yet") {
			t.Errorf("a sixth at once: %d", r.Status)
		}
	})
}

// Nobody gives by a list what they may not give by hand: roles above their own, groups of others, administrative roles on an old proof.
func TestImportWithinRights(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		own, err := w.Directory.DefineRole(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.OwnRole{Name: "Importer", Permissions: []access.Permission{access.PeopleImport}})
		if err != nil {
			t.Fatal(err)
		}
		_, b := w.enrolled(w.Fabrikam, "ines@fabrikam.example", string(own.ID))
		for _, role := range []string{"administrator", "core", "Importer"} {
			b.Post("/o/fabrikam/users/import", url.Values{"text": {"email,roles\nx@fabrikam.example," + role}, "step": {"run"}}).Want("users.import.lines")
			if !strings.Contains(b.Text(), "You may not give or take this role") {
				t.Errorf("%s: no refusal", role)
			}
		}
		b.Post("/o/fabrikam/users/import", url.Values{"text": {"email,groups\nx@fabrikam.example,North"}, "step": {"run"}}).Want("users.import.lines")
		if n := w.Count(`select count(*) from accounts where email_key = 'x@fabrikam.example'`); n != 0 || !strings.Contains(b.Text(), "There is no group “North” here") {
			t.Errorf("%d accounts beyond the rights", n)
		}
		// Groups by their names, at an MSP; the role of a sibling is no role here.
		north, err := w.Directory.CreateGroup(t.Context(), doortest.Operator(), w.Contoso.ID, "North")
		if err != nil {
			t.Fatal(err)
		}
		_, a := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		a.Post("/o/contoso/users/import", url.Values{"step": {"run"}, "text": {"email,roles,groups\nvic@contoso.example,Viewer,north\nwim@contoso.example,viewer,South\nxi@contoso.example," + string(own.ID) + ",\n"}})
		a.Want("users.import.lines")
		if n := w.Count(`select count(*) from org_group_accounts where group_id = $1`, north); n != 1 || w.Count(`select count(*) from accounts where email_key in ('wim@contoso.example', 'xi@contoso.example')`) != 0 {
			t.Errorf("%d people in the group, or others were added", n)
		}
		// Rules that let administrators alone invite hold for lists as well.
		w.Exec(`update assignments set expires_at = $1 where role = $2`, sqldb.Micros(w.Clock.Now().Add(-time.Hour)), own.ID)
		if b.Post("/o/fabrikam/users/import", url.Values{"text": {"email\ny@fabrikam.example"}, "step": {"run"}}); b.Page() == "users.import.lines" {
			t.Error("an ended role imports")
		}
	})
}

// Several at once: the seats are never overdrawn, and an address becomes one account.
func TestImportRaces(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = 31 where org_id = $1`, w.Fabrikam.ID)
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		var common strings.Builder
		common.WriteString("email,roles\n")
		for i := range 20 {
			fmt.Fprintf(&common, "p%d@fabrikam.example,core\n", i)
		}
		var all sync.WaitGroup
		for n := range 4 {
			text := common.String()
			for i := range 10 {
				text += fmt.Sprintf("own%d-%d@fabrikam.example,core\n", n, i)
			}
			all.Go(func() {
				r, err := transmit(w.World, http.MethodPost, "/o/fabrikam/users/import", url.Values{"text": {text}, "step": {"run"}}.Encode(), held(b))
				if err != nil || r.Status != http.StatusOK {
					t.Errorf("%d %v", r.Status, err)
				}
			})
		}
		all.Wait()
		used, people := w.Count(`select used from seats where org_id = $1`, w.Fabrikam.ID), w.Count(`select count(*) from accounts where org_id = $1`, w.Fabrikam.ID)
		if used != 31 || people != 31 {
			t.Errorf("%d seats for %d people", used, people)
		}
	})
}

// An export has everybody and what was asked for, no secret and no formula; it needs a fresh proof, and what it has can be imported.
func TestExport(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		bea, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		w.Activate(w.Tailspin, "tess@tailspin.example", access.Core)
		evil := w.Activate(w.Fabrikam, "evil@fabrikam.example", access.Core)
		w.Exec(`update accounts set name = $1, username = 'ev', username_key = 'ev' where id = $2`, `=HYPERLINK("https://evil.example","x")`, evil.Account)
		var text strings.Builder
		text.WriteString("email,roles,expires_at\n")
		for i := range 450 {
			fmt.Fprintf(&text, "p%03d@fabrikam.example,\"core; viewer\",2026-12-31\n", i)
		}
		b.Post("/o/fabrikam/users/import", url.Values{"text": {text.String()}, "step": {"run"}, "later": {"1"}}).Want("users.import.lines")

		b.Get("/o/fabrikam/users/export").Want("users.export")
		all := url.Values{}
		for _, c := range account.Columns {
			all.Add("columns", string(c))
		}
		r := send(w.World, http.MethodPost, "/o/fabrikam/users/export", all, held(b))
		if !strings.HasPrefix(r.Head.Get("Content-Type"), "text/csv; header=present; charset=utf-8") || !strings.Contains(r.Head.Get("Content-Disposition"), `attachment; filename="fabrikam-2`) {
			t.Errorf("%d %v", r.Status, r.Head)
		}
		list := rows(t, r.Body)
		if len(list) != 1+2+450 || !slices.Contains(list[0], "last_sign_in_at") {
			t.Fatalf("%d lines, %v", len(list), list[0])
		}
		for _, row := range list {
			switch row[0] {
			case bea.Email:
				if row[4] != "administrator" || row[8] != "totp" || row[7] != "active" {
					t.Errorf("%q", row)
				}
			case evil.Email:
				if row[1] != `'=HYPERLINK("https://evil.example","x")` || row[2] != "ev" {
					t.Errorf("%q", row)
				}
			case "p449@fabrikam.example":
				if row[4] != "core; viewer" || row[6] == "" || row[7] != "invited" {
					t.Errorf("%q", row)
				}
			}
		}
		for _, secret := range []string{bea.Key, "$argon2", "dwa_", "tess@"} {
			if strings.Contains(r.Body, secret) {
				t.Errorf("the export has %q", secret)
			}
		}
		some := rows(t, send(w.World, http.MethodPost, "/o/fabrikam/users/export", url.Values{"columns": {"roles", "email"}}, held(b)).Body)
		if !slices.Equal(some[0], []string{"email", "roles"}) {
			t.Errorf("the columns: %v", some[0])
		}
		if n := w.Events(w.Fabrikam.ID, "people.exported"); n != 2 {
			t.Errorf("%d events", n)
		}
		// It has those whom the list finds, in its order.
		few := rows(t, send(w.World, http.MethodPost, "/o/fabrikam/users/export?q=p00&state=invited&sort=-email", url.Values{"columns": {"email"}}, held(b)).Body)
		if len(few) != 11 || few[1][0] != "p009@fabrikam.example" {
			t.Errorf("what the list finds: %d %q", len(few), few)
		}
		if b.Get("/o/fabrikam/users?q=p00").Follow("users/export").Want("users.export"); !contains(b.Text(), "whom the search and the filters") {
			t.Error("the page does not say that the list is narrowed")
		}
		for _, bad := range []string{"?state=x", "?sort='", "?seen=1"} {
			if r := send(w.World, http.MethodPost, "/o/fabrikam/users/export"+bad, url.Values{"columns": {"email"}}, held(b)); r.Status == http.StatusOK || r.Status >= 500 {
				t.Errorf("%s: %d", bad, r.Status)
			}
		}
		for _, bad := range []url.Values{nil, {"columns": {"password"}}, {"columns": {"email", "data"}}} {
			if r := send(w.World, http.MethodPost, "/o/fabrikam/users/export", bad, held(b)); r.Status != http.StatusUnprocessableEntity || r.Page() != "users.export" {
				t.Errorf("%v: %d %q", bad, r.Status, r.Page())
			}
		}
		// The whole file elsewhere: everybody is new there but the formula.
		_, d := w.enrolled(w.Wingtip, "dee@wingtip.example", access.Administrator)
		if up := upload(w.World, "wingtip", []byte(r.Body), held(d)); up.Page() != "users.import.lines" || strings.Count(up.Body, "Will be added") < 452 {
			t.Errorf("an export that is imported: %d %q, %d would be added", up.Status, up.Page(), strings.Count(up.Body, "Will be added"))
		}
	})
}

// A customer's administrator adds 200 people in Chromium: a file, the check, the run.
func TestChromeImport(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	town := build(w)
	w.Exec(`update seats set seat_limit = 300 where org_id = $1`, town.Fabrikam.ID)
	bea := w.Enrol(town.Fabrikam, "bea@fabrikam.example", access.Administrator)
	w.Exec(`update accounts set language = 'de' where id = $1`, bea.Account)
	var text strings.Builder
	text.WriteString("Vorname und Name;Mailadresse;Rolle;Sprache\r\n")
	for i := range 200 {
		fmt.Fprintf(&text, "Person Nr. %d;p%03d@fabrikam.example;core;de\r\n", i, i)
	}
	text.WriteString("Zu viel;p000@fabrikam.example;core;de\r\nFalsch;kein.at.zeichen;core;de\r\n")
	c := w.Chrome(doortest.Desk("de-DE")).Become(w.Browser().SignIn(bea))
	c.Open("/o/fabrikam/users").WaitPage("users").Click("Importieren").WaitPage("users.import")
	look := func() {
		t.Helper()
		for _, fault := range append(c.Axe(), c.Faults()...) {
			t.Error(fault)
		}
	}
	look()
	doortest.Eval[struct{}](c, `text => { const d = new DataTransfer(); d.items.add(new File(["\ufeff" + text], "personen.csv")); document.getElementsByName("file")[0].files = d.files }`, text.String())
	c.Click("Zeilen prüfen").WaitPage("users.import.columns").Says("Vorname und Name")
	look()
	c.Pick("column_0", "name").Click("Zeilen prüfen").WaitPage("users.import.lines").Says("200 Personen hinzufügen")
	c.Click("200 Personen hinzufügen").WaitPage("users.import.lines").Says("200 Personen wurden hinzugefügt").Says("Diese Adresse steht zweimal")
	c.Click("Zu den Personen").WaitPage("users").Says("201 von 300")
	if n := w.Count(`select count(*) from accounts where org_id = $1 and state = 'invited' and language = 'de'`, town.Fabrikam.ID); n != 200 {
		t.Errorf("%d people", n)
	}
	w.Mailbox.Wait("p199@fabrikam.example", "invite", 1)
	c.Open("/o/fabrikam/users/export").WaitPage("users.export")
	look()
	c.Open("/o/fabrikam/users/import").WaitPage("users.import").Type("text", "email,roles\nzoe@fabrikam.example,core\np000@fabrikam.example,core\nnobody,core")
	c.Click("Zeilen prüfen").WaitPage("users.import.lines").Says("Schon da")
	look()
	c.Click("1 Person hinzufügen").WaitPage("users.import.lines").Says("Abgelehnte Zeilen")
	look()
}
