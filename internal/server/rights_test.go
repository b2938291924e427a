package server_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/sqldb"
)

// Every route, every actor: the answers of testdata/rights.csv. A route without a row fails.
func TestRights(t *testing.T) {
	f, err := os.Open("testdata/rights.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment = '#'
	table, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	doortest.On(t, func(t *testing.T, w *doortest.World) {
		actors, places := rightsWorld(t, w)
		ghosts := ghosts(t, w, places)
		listed := map[string]bool{}
		n := 0
		for _, row := range table[1:] {
			route, about := row[0], row[1]
			listed[route] = true
			for name, b := range ghosts { // who was somebody is answered like nobody
				n++
				if got := ask(t, w, b, route, places[about], n); row[2] != "" && got != row[2] {
					t.Errorf("%s about the %s as %s: %s, want %s", route, about, name, got, row[2])
				}
			}
			for i, want := range row[2:] {
				actor := table[0][i+2]
				if want == "" {
					continue
				}
				n++
				if got := ask(t, w, actors[actor], route, places[about], n); got != want {
					t.Errorf("%s about the %s as %s: %s, want %s", route, about, actor, got, want)
				}
			}
		}
		var all []string
		for _, one := range w.Entry.Routes() {
			all = append(all, one.Pattern)
		}
		for _, one := range w.Console.Routes() {
			all = append(all, one.Pattern)
		}
		for _, one := range all {
			if !listed[one] {
				t.Errorf("%s has no row in rights.csv", one)
			}
			delete(listed, one)
		}
		for one := range listed {
			t.Errorf("rights.csv has a row for %s, which is no route", one)
		}
	})
}

func rightsWorld(t *testing.T, w *doortest.World) (map[string]*doortest.Browser, map[string]org.Org) {
	t.Helper()
	founded, _ := w.Found()
	provider := founded.Org
	msp, msp2 := w.Org(access.MSP, provider.ID, "contoso", "Contoso IT"), w.Org(access.MSP, provider.ID, "tailspin", "Tailspin")
	customer, sibling := w.Org(access.Customer, msp.ID, "fabrikam", "Fabrikam"), w.Org(access.Customer, msp.ID, "adventure", "Adventure Works")
	for _, o := range []org.Org{customer, sibling} {
		if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), o.ID, license.Unlimited); err != nil {
			t.Fatal(err)
		}
	}
	actors := map[string]*doortest.Browser{"anonymous": w.Browser()}
	people := map[string]*doortest.Person{}
	for _, a := range []struct {
		name string
		org  org.Org
		role string
	}{
		{"p-admin", provider, access.Administrator}, {"p-support", provider, access.Support},
		{"m-admin", msp, access.Administrator}, {"m-editor", msp, access.Editor}, {"m-loose", msp, access.Editor}, {"m-viewer", msp, access.Viewer},
		{"m2-admin", msp2, access.Administrator},
		{"c-admin", customer, access.Administrator}, {"c-comanager", customer, access.CoManager}, {"c-core", customer, access.Core},
		{"c-viewer", customer, access.Viewer}, {"c-auditor", customer, access.Auditor}, {"c2-admin", sibling, access.Administrator},
	} {
		p := w.Activate(a.org, a.name+"@people.example", a.role)
		people[a.name] = p
		actors[a.name] = w.Browser()
		actors[a.name].SignInFirst(p)
	}
	if err := w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
		_, err := access.Group(tx, w.Clock.Now(), msp.ID, "north", []id.Org{customer.ID}, []id.Account{people["m-editor"].Account, people["m-viewer"].Account})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return actors, map[string]org.Org{"customer": customer, "msp": msp, "provider": provider, "own": {}, "any": customer}
}

// ghosts are people whose sessions are still open: their role has ended, or their account was disabled.
func ghosts(t *testing.T, w *doortest.World, places map[string]org.Org) map[string]*doortest.Browser {
	t.Helper()
	list := map[string]*doortest.Browser{}
	for _, where := range []string{"provider", "msp", "customer"} {
		for _, end := range []string{"expired", "disabled"} {
			name := where + " administrator, " + end
			p := w.Activate(places[where], strings.ReplaceAll(where+"-"+end, " ", "")+"@people.example", access.Administrator)
			list[name] = w.Browser().SignInFirst(p)
			if end == "expired" {
				w.Exec(`update assignments set expires_at = $1 where account_id = $2`, sqldb.Micros(w.Clock.Now()), p.Account)
			} else if err := w.Directory.Disable(t.Context(), doortest.Operator(), p.Org.ID, p.Account); err != nil {
				t.Fatal(err)
			}
		}
	}
	return list
}

// ask sends one request and says in a word how it was answered. What has an effect gets a target of its own.
func ask(t *testing.T, w *doortest.World, b *doortest.Browser, route string, about org.Org, n int) string {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	role := access.Viewer
	if strings.Contains(path, "{account}") {
		p, _ := w.Invite(about, fmt.Sprintf("target%d@people.example", n), role)
		path = strings.ReplaceAll(path, "{account}", string(p.Account))
	}
	own, group := id.New[id.Role](w.Clock.Now()), id.New[id.Group](w.Clock.Now())
	if strings.Contains(path, "{role}") {
		made, err := w.Directory.DefineRole(t.Context(), doortest.Operator(), about.ID, account.OwnRole{Name: fmt.Sprintf("Role %d", n), Permissions: []access.Permission{access.PeopleView}})
		if err != nil {
			t.Fatal(err)
		}
		own = made.ID
		defer func() { _ = w.Directory.DeleteRole(t.Context(), doortest.Operator(), about.ID, own) }()
	}
	if strings.Contains(path, "{group}") && about.Kind != access.Customer {
		var err error
		if group, err = w.Directory.CreateGroup(t.Context(), doortest.Operator(), about.ID, fmt.Sprintf("Group %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	move := id.New[id.Move](w.Clock.Now())
	if strings.Contains(path, "{move}") { // of the customer to the sibling of its MSP
		customer, err := org.BySlug(w.DB.Read(t.Context()), "fabrikam")
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.Directory.StartMove(t.Context(), doortest.Operator(), customer.ID, account.Started{To: "tailspin", Reason: "new contract", Confirm: "fabrikam"})
		if err != nil {
			t.Fatal(err)
		}
		move = m.ID
		defer func() { _ = w.Directory.CancelMove(t.Context(), doortest.Operator(), customer.ID, move) }()
	}
	path = strings.NewReplacer("{move}", string(move), "{role}", string(own), "{group}", string(group), "{slug}", about.Slug, "{$}", "", "{step}", "password", "{token}", "dwa_"+strings.Repeat("x", 43),
		"{factor}", string(id.New[id.Factor](w.Clock.Now())), "{device}", string(id.New[id.Device](w.Clock.Now())), "{session}", string(id.New[id.Session](w.Clock.Now())), "{job}", string(id.New[id.Job](w.Clock.Now()))).Replace(path)
	b.At = nil
	follow := b.Client.CheckRedirect
	b.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { b.Client.CheckRedirect = follow }()
	if method == http.MethodGet {
		b.Get(path)
	} else {
		b.Post(path, url.Values{"roles": {access.Viewer}, "permissions": {"people.view"}, "emails": {fmt.Sprintf("new%d@people.example", n)}, "kind": {"customer"},
			"name": {"New"}, "slug": {fmt.Sprintf("new%d", n)}})
	}
	to := b.Head.Get("Location")
	switch {
	case strings.HasSuffix(route, "/{$}") && b.Page() == "welcome", strings.HasPrefix(to, "/o/") && strings.Contains(to, "/login"):
		if strings.HasPrefix(route, "GET /login/") || strings.Contains(route, " /login") || route == "GET /{$}" {
			return "public"
		}
		return "out"
	case b.Status >= 500:
		return fmt.Sprint(b.Status)
	case !strings.Contains(route, " /me") && !strings.Contains(route, " /choose") && (!strings.Contains(route, "/o/{slug}/") || strings.Contains(route, "/login") || strings.Contains(route, "/forgot") ||
		strings.Contains(route, "/activated") || strings.Contains(route, "/not-me") || strings.Contains(route, "/confirm-email") || strings.Contains(route, "/link-sent")):
		return "public"
	case b.Status == http.StatusUnauthorized, b.Status == http.StatusForbidden, b.Status == http.StatusNotFound:
		return fmt.Sprint(b.Status)
	}
	return "ok"
}
