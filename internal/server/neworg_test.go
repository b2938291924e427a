package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
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
	"doorward/internal/sqldb"
)

// An organisation is made with everything that it begins with, or not at all; every fault stands at its field, and nothing typed is lost.
func TestNewOrganisation(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, a := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		const path = "/o/contoso/orgs/new"
		good := func() url.Values {
			return url.Values{"kind": {"customer"}, "name": {"Nord & Süd"}, "slug": {"Nord.Sued"}, "language": {"fr"}, "time_zone": {"Europe/Paris"}, "country": {"FR"}, "tags": {"gold, north"},
				"seat_limit": {"7"}, "admin": {"Nora@nord.example"}}
		}
		a.Get(path).Want("org.new")
		settle(w.World)
		before := dump(w.World)
		bad := url.Values{"kind": {"customer"}, "name": {" "}, "slug": {"-"}, "language": {"xx"}, "time_zone": {"Mars"}, "country": {"XX"}, "tags": {strings.Repeat("x", 41)}, "admin": {"nora@"}}
		r := send(w.World, http.MethodPost, path, bad, held(a))
		if got := r.Faults(); r.Status != http.StatusUnprocessableEntity || !slices.Equal(got, []string{"name", "slug", "language", "time_zone", "country", "tags", "admin"}) {
			t.Errorf("everything wrong: %d %v", r.Status, got)
		}
		for _, one := range []struct{ field, value, at, says string }{
			{"slug", "fabrikam", "slug", "is taken"},
			{"slug", "WINGTIP", "slug", "is taken"}, // of another MSP
			{"slug", "admin", "slug", "kept for Doorward"},
			{"seat_limit", "0", "seat_limit", "no seat for the first administrator"},
			{"seat_limit", "many", "seat_limit", "whole number"},
			{"admin", "nora@nord.example, noah@nord.example", "admin", ""},
		} {
			form := good()
			form.Set(one.field, one.value)
			r := send(w.World, http.MethodPost, path, form, held(a))
			if got := r.Faults(); r.Status != http.StatusUnprocessableEntity || !slices.Equal(got, []string{one.at}) || !strings.Contains(r.Body, one.says) {
				t.Errorf("%s %q: %d %v", one.field, one.value, r.Status, got)
			}
			for _, kept := range []string{`value="Nord &amp; Süd"`, `<option value="fr" selected`, `<option value="Europe/Paris" selected`, `<option value="FR" selected`, `value="gold, north"`} {
				if !strings.Contains(r.Body, kept) {
					t.Errorf("%s %q: %s is lost", one.field, one.value, kept)
				}
			}
		}
		if d := differing(before, dump(w.World), "sessions"); d != nil {
			t.Fatalf("refused forms changed %v", d)
		}

		// An administrator is appointed with a fresh proof only; nothing typed is lost on that way either.
		w.Clock.Move(20 * time.Minute)
		if r := send(w.World, http.MethodPost, path, good(), held(a)); r.Page() != "prove" || w.Count(`select count(*) from orgs where slug = 'nord.sued'`) != 0 || !strings.Contains(r.Body, "Nora@nord.example") {
			t.Errorf("with an old proof: %d %q", r.Status, r.Page())
		}
		w.Exec(`update sessions set proved_at = $1`, sqldb.Micros(w.Clock.Now()))
		a.Post(path, good()).Want("users")
		if !strings.Contains(a.Text(), "Nora@nord.example is invited as its first administrator") {
			t.Errorf("it says %s", a.Text())
		}
		read := w.DB.Read(t.Context())
		o, err := org.BySlug(read, "nord.sued")
		if err != nil {
			t.Fatal(err)
		}
		tags, err := org.Tags(read, o.ID)
		if err != nil {
			t.Fatal(err)
		}
		seats, err := license.SeatsOf(read, o.ID)
		if err != nil {
			t.Fatal(err)
		}
		if o.Name != "Nord & Süd" || o.Language != "fr" || o.TimeZone != "Europe/Paris" || o.Country != "FR" || !slices.Equal(tags, []string{"gold", "north"}) || seats != (license.Seats{Limit: 7, Used: 1}) || o.Parent != w.Contoso.ID {
			t.Errorf("%+v %v %+v", o, tags, seats)
		}
		if m := w.Mailbox.Wait("Nora@nord.example", "invite", 1); m.Language != "fr" || !strings.Contains(m.Text, "Nord & Süd") || !strings.Contains(m.Text, "ada@contoso.example") {
			t.Errorf("the invitation: %s", m.Text)
		}
		if n := w.Events(o.ID, "org.created") + w.Events(o.ID, "account.invited") + w.Events(w.Contoso.ID, "org.created"); n < 3 {
			t.Errorf("%d events", n)
		}

		// Without an administrator the invitation is the next page, as many seats as usual.
		form := good()
		form.Set("slug", "later")
		form.Del("admin")
		form.Set("seat_limit", "")
		a.Post(path, form).Want("users.invite")
		if n := w.Count(`select seat_limit from seats s join orgs o on o.id = s.org_id where o.slug = 'later'`); n != 5 {
			t.Errorf("%d seats", n)
		}
	})
}

// What an editor may not set, a forged form does not set; an editor who is bound to groups may make a customer and appoint its first administrator.
func TestNewOrganisationByOthers(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, e := w.enrolled(w.Contoso, "emil@contoso.example", access.Editor)
		form := url.Values{"kind": {"customer"}, "name": {"Nord"}, "slug": {"nord"}, "admin": {"nora@nord.example"}}
		if e.Get("/o/contoso/orgs/new").Want("org.new"); strings.Contains(e.Body, `name="seat_limit"`) || !strings.Contains(e.Body, `name="admin"`) {
			t.Error("an editor is offered the seats, or not the administrator")
		}
		forged := url.Values{"seat_limit": {"99"}}
		for k, v := range form {
			forged[k] = v
		}
		if r := send(w.World, http.MethodPost, "/o/contoso/orgs/new", forged, held(e)); r.Status != http.StatusForbidden || w.Count(`select count(*) from orgs where slug = 'nord'`) != 0 {
			t.Errorf("an editor sets seats: %d", r.Status)
		}
		e.Post("/o/contoso/orgs/new", form).Want("orgs")
		if !strings.Contains(e.Text(), "You see it as soon as it is in a group of yours") {
			t.Errorf("it says %s", e.Text())
		}
		w.Mailbox.Wait("nora@nord.example", "invite", 1)
		if e.Get("/o/nord/users"); e.Page() == "users" {
			t.Error("an editor sees a customer that is in no group of theirs")
		}

		// An own role that makes customers appoints nobody: it may give no more than it holds.
		made, err := w.Directory.DefineRole(t.Context(), doortest.Operator(), w.Contoso.ID, account.OwnRole{Name: "Maker", Below: true, Permissions: []access.Permission{access.OrgView, access.OrgCreate}})
		if err != nil {
			t.Fatal(err)
		}
		_, m := w.enrolled(w.Contoso, "mia@contoso.example", string(made.ID))
		if m.Get("/o/contoso/orgs/new").Want("org.new"); strings.Contains(m.Body, `name="admin"`) {
			t.Error("who may invite nobody is offered the administrator")
		}
		form.Set("slug", "sued")
		if r := send(w.World, http.MethodPost, "/o/contoso/orgs/new", form, held(m)); r.Status != http.StatusForbidden {
			t.Errorf("an own role appoints an administrator: %d", r.Status)
		}
		if n := w.Count(`select count(*) from orgs where slug = 'sued'`); n != 0 {
			t.Errorf("%d organisations", n)
		}
	})
}

// The live check says what the form would, and nothing else (D9); it is for who may use the form, and not without end.
func TestSlugCheck(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, a := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		_, v := w.enrolled(w.Contoso, "vic@contoso.example", access.Viewer)
		ask := func(slug string) (status int, free bool, text string) {
			t.Helper()
			r := send(w.World, http.MethodGet, "/o/contoso/orgs/check?slug="+url.QueryEscape(slug), nil, held(a))
			var answer map[string]any
			if r.Status != http.StatusOK {
				return r.Status, false, ""
			}
			if err := json.Unmarshal([]byte(r.Body), &answer); err != nil || len(answer) != 2 {
				t.Fatalf("%v %s", err, r.Body)
			}
			return r.Status, answer["free"].(bool), answer["text"].(string)
		}
		w.Exec(`insert into slugs_gone (slug_key, until) values ('rests', $1), ('rested', $2)`, sqldb.Micros(w.Clock.Now().Add(time.Hour)), sqldb.Micros(w.Clock.Now().Add(-time.Hour)))
		for slug, says := range map[string]string{"nord": "is free", "NORD.sued-1": "is free", "rested": "is free", "fabrikam": "is taken", "Wingtip": "is taken", "acme": "is taken", "rests": "is taken",
			"admin": "kept for Doorward", "": "Enter a tenant domain", "-a": "lower-case letters", "a..b": "lower-case letters", "fаbrikam": "lower-case letters", "xn--a": "lower-case letters", strings.Repeat("a", 64): "63 characters"} {
			status, free, text := ask(slug)
			if status != http.StatusOK || free != (says == "is free") || !strings.Contains(text, says) {
				t.Errorf("%q: %d %t %s", slug, status, free, text)
			}
			form := send(w.World, http.MethodPost, "/o/contoso/orgs/new", url.Values{"kind": {"customer"}, "name": {" "}, "slug": {slug}}, held(a))
			if told := strings.Contains(strings.Join(form.Faults(), " "), "slug"); told == free && says != "is taken" { // whether one is taken is asked when all else is well
				t.Errorf("%q: the check says %s, the form has faults at %v", slug, text, form.Faults())
			}
		}
		if _, _, mine := ask("tailspin"); mine == "" {
			t.Error("no answer")
		} else if _, _, foreign := ask("wingtip"); mine != foreign {
			t.Errorf("an own customer's is told as %q, a foreign one's as %q", mine, foreign)
		}
		if r := send(w.World, http.MethodGet, "/o/contoso/orgs/check?slug=x", nil, held(v)); r.Status != http.StatusForbidden {
			t.Errorf("a viewer: %d", r.Status)
		}
		if r := send(w.World, http.MethodGet, "/o/adatum/orgs/check?slug=x", nil, held(a)); r.Status != http.StatusSeeOther {
			t.Errorf("at another MSP: %d", r.Status)
		}
		status := 0
		for range 130 {
			if status, _, _ = ask("nord"); status != http.StatusOK {
				break
			}
		}
		if status != http.StatusTooManyRequests {
			t.Errorf("after 130 questions: %d", status)
		}
	})
}

// Of many who want the same tenant domain at once one gets it, with its administrator, and nothing of the others stays.
func TestNewOrganisationAtOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		var all sync.WaitGroup
		var lock sync.Mutex
		done := 0
		for range 8 {
			all.Go(func() {
				_, err := w.Directory.Establish(t.Context(), doortest.Operator(), account.NewOrg{Admin: "nora@nord.example",
					New: org.New{Kind: access.Customer, Parent: w.Contoso.ID, Slug: "nord", Name: "Nord"}})
				lock.Lock()
				defer lock.Unlock()
				if err == nil {
					done++
				} else if e := refusal.As(err); e == nil || e.Key != "slug.taken" {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if people, orgs := w.Count(`select count(*) from accounts where email_key = 'nora@nord.example'`), w.Count(`select count(*) from orgs where slug = 'nord'`); done != 1 || people != 1 || orgs != 1 {
			t.Errorf("%d done, %d people, %d organisations", done, people, orgs)
		}
		if _, err := w.Directory.Establish(t.Context(), doortest.Operator(), account.NewOrg{New: org.New{Kind: access.Customer, Parent: id.New[id.Org](w.Clock.Now()), Slug: "x", Name: "X"}}); !refusal.Is(err, refusal.NotFound) {
			t.Error(err)
		}
	})
}
