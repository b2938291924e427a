package server_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// reply is an answer as it came over the wire: no redirect followed.
type reply struct {
	Status int
	Head   http.Header
	Body   string
}

// Location is where the answer redirects to.
func (r reply) Location() string { return r.Head.Get("Location") }

// Cookie returns the Set-Cookie value of a cookie by the end of its name, empty when none is set or it is removed.
func (r reply) Cookie(name string) string {
	for _, c := range (&http.Response{Header: r.Head}).Cookies() {
		if strings.HasSuffix(c.Name, name) && c.MaxAge >= 0 {
			return c.Value
		}
	}
	return ""
}

var (
	pageName   = regexp.MustCompile(`<body[^>]* data-page="([^"]*)"`)
	pageReason = regexp.MustCompile(`<body[^>]* data-reason="([^"]*)"`)
	fieldError = regexp.MustCompile(`<p class="field-error" id="([a-z_]+)-error"`)
)

func (r reply) Page() string   { return firstGroup(pageName, r.Body) }
func (r reply) Reason() string { return firstGroup(pageReason, r.Body) }

// Faults returns the fields at which the page shows an error.
func (r reply) Faults() []string {
	var list []string
	for _, m := range fieldError.FindAllStringSubmatch(r.Body, -1) {
		list = append(list, m[1])
	}
	return list
}

func firstGroup(form *regexp.Regexp, s string) string {
	if m := form.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// transmit sends one request as it stands. What is in header replaces what a browser would send; "Host" sets the host. It may be called
// from any goroutine.
func transmit(w *doortest.World, method, path, body string, header http.Header) (reply, error) {
	r, err := http.NewRequestWithContext(w.T.Context(), method, w.URL+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", w.Settings.PublicURL)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for k, v := range header {
		if k == "Host" {
			r.Host = v[0]
			continue
		}
		if r.Header[k] = v; len(v) == 0 || v[0] == "" {
			r.Header.Del(k)
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return reply{res.StatusCode, res.Header, string(text)}, err
}

// send is transmit of a form, with the test failing on an error.
func send(w *doortest.World, method, path string, form url.Values, header http.Header) reply {
	w.T.Helper()
	r, err := transmit(w, method, path, form.Encode(), header)
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// wire sends bytes over a connection of their own and returns the answer: for requests that no client library would make.
func wire(w *doortest.World, request string) reply {
	w.T.Helper()
	c, err := net.DialTimeout("tcp", w.Web.Listener.Addr().String(), 5*time.Second)
	if err != nil {
		w.T.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		w.T.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		w.T.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.T.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

// with makes a header from name, value pairs.
func with(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h[pairs[i]] = append(h[pairs[i]], pairs[i+1])
	}
	return h
}

// held returns the Cookie header that a browser would send.
func held(b *doortest.Browser) http.Header {
	u, err := url.Parse(b.Base)
	if err != nil {
		b.World.T.Fatal(err)
	}
	var list []string
	for _, c := range b.Client.Jar.Cookies(u) {
		list = append(list, c.Name+"="+c.Value)
	}
	if len(list) == 0 {
		return http.Header{}
	}
	return with("Cookie", strings.Join(list, "; "))
}

// at once runs n calls together and waits for them.
func atOnce(n int, call func(i int)) {
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-gate
			call(i)
		})
	}
	close(gate)
	all.Wait()
}

// nodes returns the world and, on PostgreSQL, two further nodes on its database behind the same public URL.
func nodes(t *testing.T, w *doortest.World) []*doortest.World {
	t.Helper()
	list := []*doortest.World{w}
	if w.DB.Dialect != sqldb.Postgres {
		return list
	}
	for range 2 {
		n := doortest.Open(t, w.Settings, w.Clock)
		n.Mailbox = w.Mailbox
		list = append(list, n)
	}
	return list
}

// dump returns every row of every table as text, bytes included as they are.
func dump(w *doortest.World) map[string][]string {
	w.T.Helper()
	tables := `select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name`
	if w.DB.Dialect == sqldb.Postgres {
		tables = `select tablename from pg_tables where schemaname = current_schema() order by tablename`
	}
	names, err := sqldb.All(w.DB.Read(w.T.Context()), sqldb.Value[string], tables)
	if err != nil {
		w.T.Fatal(err)
	}
	all := map[string][]string{}
	for _, name := range names {
		if strings.HasPrefix(name, "goose") || name == "org_health" { // the latter is what a worker keeps of its judgements
			continue
		}
		list, err := contents(w, name)
		if err != nil {
			w.T.Fatal(err)
		}
		slices.Sort(list)
		all[name] = list
	}
	return all
}

func contents(w *doortest.World, table string) ([]string, error) {
	rows, err := w.DB.Pool().QueryContext(w.T.Context(), `select * from `+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var list []string
	for rows.Next() {
		cells := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		var line strings.Builder
		for i, c := range cells {
			fmt.Fprintf(&line, "%s=%s\x1f", columns[i], c)
		}
		list = append(list, line.String())
	}
	return list, rows.Err()
}

// differing names the tables whose rows differ between two dumps, apart from the given ones.
func differing(before, after map[string][]string, apart ...string) []string {
	var list []string
	for name := range after {
		if !slices.Contains(apart, name) && !slices.Equal(before[name], after[name]) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// settle waits until the outbox has nothing under way, so that rows stand still.
func settle(w *doortest.World) {
	w.T.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if w.Count(`select count(*) from outbox where state in ('ready', 'running')`) == 0 {
			return
		}
	}
	w.T.Fatal("mails are still under way")
}

// databases are what the tests run on.
var databases = []sqldb.Dialect{sqldb.SQLite, sqldb.Postgres}

// texts returns the one column that a query gives.
func texts(w *doortest.World, query string, args ...any) ([]string, error) {
	return sqldb.All(w.DB.Read(w.T.Context()), sqldb.Value[string], query, args...)
}
