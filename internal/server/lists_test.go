package server_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// What no page of ours asks a list for is refused with our own page and a sentence, and never reaches the database (AT-75).
func TestListsRefuse(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, ada := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		h := held(ada)
		hostile := []string{"'", "' or 1=1 --", "\x00", "\xff", "nil", "-", "--name", "name,email", "NAME", "email desc", "id; drop table accounts", strings.Repeat("x", 3000), "😀", "1e999", "${jndi:x}", "../x"}
		for path, names := range map[string][]string{
			"/o/fabrikam/users": {"state", "factor", "source", "seen", "sort", "after", "col"},
			"/o/contoso/orgs":   {"state", "kind", "group", "sort", "after"},
		} {
			page := map[string]string{"/o/fabrikam/users": "users", "/o/contoso/orgs": "orgs"}[path]
			for _, name := range names {
				for _, v := range hostile {
					r := send(w.World, http.MethodGet, path+"?"+url.Values{name: {v}}.Encode(), nil, h)
					if r.Status != http.StatusBadRequest || r.Page() != "error" {
						t.Errorf("%s with %s %.30q: %d %q", path, name, v, r.Status, r.Page())
					}
				}
			}
			for _, q := range []string{"q=%00", "q=%ff", "q=" + strings.Repeat("x", 255), "q=a&sort=%00", "col=roles&col=password"} {
				if path == "/o/contoso/orgs" && strings.HasPrefix(q, "col") {
					continue
				}
				if r := send(w.World, http.MethodGet, path+"?"+q, nil, h); r.Status != http.StatusBadRequest || r.Page() != "error" {
					t.Errorf("%s?%.30s: %d %q", path, q, r.Status, r.Page())
				}
			}
			// Odd, but text: a list that may be empty.
			for _, v := range []string{"%", "_", "\\", "'", `"><script>`, "a' or 'a'='a", "😀", "\u202e", strings.Repeat("x", 254), "x\ty"} {
				r := send(w.World, http.MethodGet, path+"?"+url.Values{"q": {v}, "lang": {"en"}}.Encode(), nil, h)
				if r.Status != http.StatusOK && r.Status != http.StatusSeeOther || strings.Contains(r.Body, "<script>") && !strings.Contains(r.Body, "<script src") || strings.Contains(r.Body, `"><script>`) {
					t.Errorf("%s for %q: %d %q", path, v, r.Status, r.Page())
				}
				if r.Status == http.StatusOK && r.Page() != page {
					t.Errorf("%s for %q is %q", path, v, r.Page())
				}
			}
			for _, v := range []string{"role=nobody", "role='", "role=" + strings.Repeat("x", 254), "unknown=1", "q=a&q=b", "sort=name&sort=%00"} {
				if r := send(w.World, http.MethodGet, path+"?"+v, nil, h); r.Status != http.StatusOK || r.Page() != page {
					t.Errorf("%s?%.30s: %d %q", path, v, r.Status, r.Page())
				}
			}
		}
	})
}

var (
	rowLink  = regexp.MustCompile(`<th scope="row"><a href="([^"]+)">`)
	nextLink = regexp.MustCompile(`href="(\?[^"]*)" rel="next"`)
	headLink = regexp.MustCompile(`<th scope="col"[^>]*><a href="(\?[^"]*)">`)
)

// walkList follows a list from page to page and returns where its rows lead.
func walkList(t *testing.T, w *town, h http.Header, path string) (rows []string) {
	t.Helper()
	base, _, _ := strings.Cut(path, "?")
	for range 20 {
		r := send(w.World, http.MethodGet, path, nil, h)
		if r.Status != http.StatusOK {
			t.Fatalf("%s: %d %q", path, r.Status, r.Page())
		}
		for _, m := range rowLink.FindAllStringSubmatch(r.Body, -1) {
			rows = append(rows, m[1])
		}
		next := nextLink.FindStringSubmatch(r.Body)
		if next == nil {
			return rows
		}
		path = base + html.UnescapeString(next[1])
	}
	t.Fatalf("%s never ends", path)
	return nil
}

// The people list by its links alone, as it is without script: every column's head sorts, the choice of columns and filters stays on the way, and
// each person comes once.
func TestPeopleListByLinks(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, bea := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		h := held(bea)
		now := w.Clock.Now()
		if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			for i := range 120 {
				a := id.New[id.Account](now)
				email := fmt.Sprintf("p%d@fabrikam.example", i)
				if _, err := tx.Exec(`insert into accounts (id, org_id, email, email_key, name, language, time_zone, state, created_at, invited_at, activated_at, last_sign_in_at, link_used_at)
					values ($1, $2, $3, $3, $4, '', '', 'active', $5, $5, $5, $6, 0)`, a, w.Fabrikam.ID, email, []string{"", "Zoe <b>", "anna"}[i%3], sqldb.Micros(now), sqldb.Micros(now)-int64(i/50)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		all := walkList(t, w, h, "/o/fabrikam/users")
		if len(all) < 121 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
			t.Fatalf("%d rows", len(all))
		}
		start := "/o/fabrikam/users?col=created&col=seen&col=source&col=username&state=active"
		tried := map[string]bool{}
		for queue := []string{start}; len(queue) > 0; queue = queue[1:] {
			path := queue[0]
			if tried[path] {
				continue
			}
			tried[path] = true
			r := send(w.World, http.MethodGet, path, nil, h)
			if !strings.Contains(r.Body, `data-label="User name"`) || strings.Contains(r.Body, `data-label="Roles"`) || strings.Contains(r.Body, "Zoe <b>") {
				t.Errorf("%s has other columns", path)
			}
			rows := walkList(t, w, h, path)
			if len(slices.Compact(slices.Sorted(slices.Values(rows)))) != len(rows) || len(rows) < 121 {
				t.Errorf("%s lists %d rows, some twice", path, len(rows))
			}
			for _, m := range headLink.FindAllStringSubmatch(r.Body, -1) {
				queue = append(queue, "/o/fabrikam/users"+html.UnescapeString(m[1]))
			}
		}
		if len(tried) != 1+2*4 {
			t.Errorf("%d orders: %v", len(tried), tried)
		}
		// A page's place belongs to that list alone.
		next := html.UnescapeString(nextLink.FindStringSubmatch(send(w.World, http.MethodGet, "/o/fabrikam/users", nil, h).Body)[1])
		for _, path := range []string{"/o/fabrikam/users" + next + "&sort=name", "/o/fabrikam/users" + next + "&q=p", "/o/fabrikam/users" + next + "x"} {
			if r := send(w.World, http.MethodGet, path, nil, h); r.Status != http.StatusBadRequest || r.Page() != "error" {
				t.Errorf("%s: %d %q", path, r.Status, r.Page())
			}
		}
		if r := send(w.World, http.MethodGet, "/o/fabrikam/users"+next+"&col=roles", nil, h); r.Status != http.StatusOK {
			t.Errorf("other columns in the middle of the list: %d", r.Status)
		}
		// An empty list names the next step.
		if r := send(w.World, http.MethodGet, "/o/fabrikam/users?q=zzzz&lang=en", nil, h); !strings.Contains(follow(w, r, h).Body, `href="/o/fabrikam/users"`) {
			t.Error("an empty list does not lead back to everybody")
		}
	})
}

// follow goes on where an answer leads.
func follow(w *town, r reply, h http.Header) reply {
	if to := r.Location(); to != "" {
		return send(w.World, http.MethodGet, to, nil, h)
	}
	return r
}

// The provider sees its MSPs with the number of their customers, and comes from there to those; an MSP sees what was found in its customers.
func TestOrgLists(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, root := w.enrolled(w.Provider, "rita@acme.example", access.Administrator)
		_, ada := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		emil, emilIn := w.enrolled(w.Contoso, "emil@contoso.example", access.Viewer)
		page := root.Get("/o/acme/orgs").Want("orgs")
		if !regexp.MustCompile(`href="/o/contoso/orgs">2</a>`).MatchString(page.Body) {
			t.Errorf("the provider does not see how many customers Contoso has: %s", page.Body)
		}
		w.Invite(w.Tailspin, "zora@tailspin.example", access.Administrator)
		if text := ada.Get("/o/contoso/orgs").Want("orgs").Text(); strings.Count(text, "No administrator") != 1 || strings.Count(text, "Administrator invited") != 1 {
			t.Errorf("who can work by itself is not told: %s", text)
		}
		tree := root.Follow("?open=contoso#contoso").Want("orgs")
		for _, path := range []string{"/o/fabrikam/", "/o/tailspin/"} {
			if !strings.Contains(tree.Body, `href="`+path+`"`) {
				t.Errorf("the unfolded MSP does not show %s", path)
			}
		}
		if strings.Contains(tree.Body, "/o/wingtip/") || strings.Contains(root.Get("/o/acme/orgs?open=fabrikam&open=no-such&open="+strings.Repeat("x", 500)).Want("orgs").Body, "/o/fabrikam/") {
			t.Error("more is unfolded than the MSP")
		}
		root.Get("/o/acme/orgs?open=contoso").Follow("?#contoso").Want("orgs") // folded again
		root.Get("/o/contoso/orgs").Want("orgs")
		w.Exec(`delete from org_health`)
		w.Exec(`insert into org_health (org_id, people, covered, pending, overdue, exempt, last_sign_in_at, deadline_at, judged_at) values ($1, 8, 6, 0, 2, 0, $2, 0, $2)`, w.Fabrikam.ID,
			sqldb.Micros(w.Clock.Now().Add(-time.Hour)))
		text := ada.Get("/o/contoso/orgs").Want("orgs").Text()
		if !strings.Contains(text, "75") || !strings.Contains(text, "2 overdue") || !strings.Contains(text, "–") {
			t.Errorf("the health of the customers is not shown: %s", text)
		}
		for path, want := range map[string][]string{
			"/o/contoso/orgs":                               {"/o/fabrikam/", "/o/tailspin/"},
			"/o/contoso/orgs?sort=-name":                    {"/o/tailspin/", "/o/fabrikam/"},
			"/o/contoso/orgs?q=FABRI":                       {"/o/fabrikam/"},
			"/o/contoso/orgs?q=tail&state=active":           {"/o/tailspin/"},
			"/o/contoso/orgs?q=tail&state=suspended":        nil,
			"/o/contoso/orgs?q=wingtip":                     nil, // another MSP's
			"/o/contoso/orgs?kind=customer&sort=seats&q=fa": {"/o/fabrikam/"},
		} {
			if got := walkList(t, w, held(ada), path); !slices.Equal(got, want) {
				t.Errorf("%s lists %v", path, got)
			}
		}
		var g id.Group
		if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) (err error) {
			g, err = access.Group(tx, w.Clock.Now(), w.Contoso.ID, "North", []id.Org{w.Tailspin.ID}, []id.Account{emil.Account})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := walkList(t, w, held(ada), "/o/contoso/orgs?group="+string(g)); !slices.Equal(got, []string{"/o/tailspin/"}) {
			t.Errorf("the group has %v", got)
		}
		for _, path := range []string{"/o/contoso/orgs", "/o/contoso/orgs?group=" + string(g), "/o/contoso/orgs?sort=-seats"} {
			if got := walkList(t, w, held(emilIn), path); !slices.Equal(got, []string{"/o/tailspin/"}) {
				t.Errorf("who sees one group sees %v at %s", got, path)
			}
		}
	})
}
