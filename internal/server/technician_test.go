package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// A technician in a customer sees on every page whose data it is, as what, from where and until when, and may do what role and groups give. The
// customer's auditor sees who came, and from which organisation.
func TestTechnicianStrip(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		ada, a := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		emil, e := w.enrolled(w.Contoso, "emil@contoso.example", access.Editor)
		_, auditor := w.enrolled(w.Fabrikam, "olga@fabrikam.example", access.Auditor)
		_, core := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		w.grouped("north", w.Fabrikam.ID, emil.Account)
		if text := a.Get("/o/fabrikam/").Want("dashboard").Text(); !strings.Contains(text, "You are in Fabrikam as Administrator, home Contoso IT.") {
			t.Errorf("the strip does not say as what: %.300s", text)
		}
		until := w.Clock.Now().Add(72 * time.Hour)
		w.Exec(`update assignments set expires_at = $1 where account_id = $2`, sqldb.Micros(until), emil.Account)
		if text := e.Get("/o/fabrikam/users").Want("users").Text(); !strings.Contains(text, "You are in Fabrikam as Editor, home Contoso IT, until 24 November 2026") {
			t.Errorf("the strip does not say until when: %.300s", text)
		}
		e.Get("/o/fabrikam/settings/sign-in").Want("org.policy") // sees the rules, and may not change them
		e.Post("/o/fabrikam/settings/sign-in", nil).WantStatus(http.StatusForbidden)
		e.Get("/o/tailspin/").Want("welcome") // in none of the groups
		e.Get("/o/fabrikam/").Follow("Leave")
		if e.At.Path != "/o/contoso/" || strings.Contains(e.Text(), "You are in") {
			t.Errorf("leaving leads to %s", e.At)
		}
		text := auditor.Get("/o/fabrikam/").Want("dashboard").Text()
		for _, want := range []string{"Came from outside", ada.Email, emil.Email, "Contoso IT"} {
			if !strings.Contains(text, want) {
				t.Errorf("the auditor does not see %q", want)
			}
		}
		if text := core.Get("/o/fabrikam/").Want("dashboard").Text(); strings.Contains(text, ada.Email) {
			t.Error("who may not read the log sees who came")
		}
	})
}

// grouped puts a customer and a person of Contoso into a new group.
func (w *town) grouped(name string, customer id.Org, person id.Account) id.Group {
	w.T.Helper()
	var made id.Group
	if err := w.DB.Write(w.T.Context(), func(tx sqldb.Tx) (err error) {
		made, err = access.Group(tx, w.Clock.Now(), w.Contoso.ID, name, []id.Org{customer}, []id.Account{person})
		return err
	}); err != nil {
		w.T.Fatal(err)
	}
	return made
}

// Whatever ends a technician's access ends it at once, on every node and for the session that is open: a role whose end has come, one that was taken,
// a group that was removed or left, a disabled account, a suspended MSP. The customer is then answered like one that does not exist.
func TestTechnicianOut(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator) // the last one never loses the role
		nodes := []*doortest.World{w.World, doortest.Open(t, w.Settings, w.Clock), doortest.Open(t, w.Settings, w.Clock)}
		op := doortest.Operator()
		// at asks a node for a page with the session of a browser, and follows nothing.
		at := func(b *doortest.Browser, node *doortest.World, path string) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, node.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := *b.Client
			c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			res, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			return res.StatusCode, res.Header.Get("Location")
		}
		last := 0
		for _, row := range []struct {
			name, role string
			home       bool // the session at home stays good
			end        func(p *doortest.Person, g id.Group) error
		}{
			{"the role has ended", access.Administrator, false, func(*doortest.Person, id.Group) error { w.Clock.Move(6 * time.Minute); return nil }},
			{"the role is taken", access.Administrator, false, func(p *doortest.Person, _ id.Group) error {
				return w.Directory.SetRoles(t.Context(), op, w.Contoso.ID, p.Account, nil)
			}},
			{"the group is removed", access.Editor, true, func(_ *doortest.Person, g id.Group) error {
				return w.Directory.DeleteGroup(t.Context(), op, w.Contoso.ID, g)
			}},
			{"the person is out of the group", access.Viewer, true, func(p *doortest.Person, g id.Group) error {
				return w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
					_, err := tx.Exec(`delete from org_group_accounts where group_id = $1 and account_id = $2`, g, p.Account)
					return err
				})
			}},
			{"the customer is out of the group", access.Editor, true, func(_ *doortest.Person, g id.Group) error {
				return w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
					_, err := tx.Exec(`delete from org_group_orgs where group_id = $1`, g)
					return err
				})
			}},
			{"the account is disabled", access.Editor, false, func(p *doortest.Person, _ id.Group) error {
				return w.Directory.Disable(t.Context(), op, w.Contoso.ID, p.Account)
			}},
			{"the MSP is suspended", access.Administrator, false, func(*doortest.Person, id.Group) error {
				return w.Directory.Suspend(t.Context(), op, w.Contoso.ID, "contoso", "left")
			}},
		} {
			last++
			p, b := w.enrolled(w.Contoso, "tech"+string(rune('a'+last))+"@contoso.example", row.role)
			g := w.grouped(row.name, w.Fabrikam.ID, p.Account)
			if last == 1 {
				w.Exec(`update assignments set expires_at = $1 where account_id = $2`, sqldb.Micros(w.Clock.Now().Add(5*time.Minute)), p.Account)
			}
			for i, node := range nodes {
				for _, path := range []string{"/o/fabrikam/", "/o/fabrikam/users"} {
					if status, to := at(b, node, path); status != http.StatusOK {
						t.Errorf("%s, before: %s on node %d answers %d to %s", row.name, path, i, status, to)
					}
				}
			}
			if err := row.end(p, g); err != nil {
				t.Fatal(err)
			}
			for i, node := range nodes {
				status, to := at(b, node, "/o/fabrikam/users")
				missing, there := at(b, node, "/o/nowhere1/users")
				if status != http.StatusSeeOther || status != missing || to != strings.ReplaceAll(there, "nowhere1", "fabrikam") {
					t.Errorf("%s: node %d answers %d to %s, and %d to %s for what does not exist", row.name, i, status, to, missing, there)
				}
				if status, _ := at(b, node, "/me"); (status == http.StatusOK) != row.home {
					t.Errorf("%s: at home node %d answers %d", row.name, i, status)
				}
			}
		}
	})
}
