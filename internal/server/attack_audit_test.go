package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/sqldb"
)

// apart are the tables that change without anybody's data being changed: the log itself, counters of tries, what a visit leaves, when a session was
// last used (one that is ended is a row of revocations), mails that are delivered meanwhile.
var apart = []string{"events", "event_persons", "throttles", "visits", "sessions", "outbox"}

// happening is what one request left behind.
type happening struct {
	reply
	changed []string // tables
	events  []string // action, outcome and request of each new event
	request map[string]bool
}

// happens sends a request and compares the database before and after it.
func (w *town) happens(method, path string, form url.Values, b *doortest.Browser) (h happening) {
	w.T.Helper()
	settle(w.World)
	before := dump(w.World)
	h.reply = send(w.World, method, path, form, held(b))
	settle(w.World)
	after := dump(w.World)
	h.changed = differing(before, after, apart...)
	h.request = map[string]bool{}
	type event struct{ id, line, request string }
	list, err := sqldb.All(w.DB.Read(w.T.Context()), func(row sqldb.Row) (e event, err error) {
		var action, outcome, actor, org string
		err = row(&e.id, &action, &outcome, &actor, &org, &e.request)
		e.line = action + " " + outcome + " by " + actor + " in " + org
		return e, err
	}, `select id, action, outcome, actor_kind, org_id, request_id from events order by id`)
	if err != nil {
		w.T.Fatal(err)
	}
	was := strings.Join(before["events"], "\n")
	for _, e := range list {
		if !strings.Contains(was, e.id) && !strings.Contains(e.line, " by system ") && !strings.HasPrefix(e.line, "org.entered") && !strings.HasPrefix(e.line, "org.visited") {
			h.events = append(h.events, e.line)
			h.request[e.request] = true
		}
	}
	return h
}

// Whatever a form changes, an event says so, of that very request; whatever is refused for want of a right changes nothing and is noted exactly once
// (AT-130). Every form of the console about an organisation is sent by who may and by who may not.
func TestEveryChangeIsLogged(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, ada := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		victor, viewer := w.enrolled(w.Contoso, "victor@contoso.example", access.Viewer)
		w.group(w.Contoso.ID, []id.Org{w.Fabrikam.ID}, victor)
		w.Exec(`update seats set seat_limit = null`)
		changes, refusals, n := map[string]bool{}, 0, 0
		for i, pattern := range append(w.patterns(), w.patterns()...) {
			name, b := "an administrator", ada
			if i >= len(w.patterns()) {
				name, b = "a viewer", viewer
			}
			if !strings.HasPrefix(pattern, "POST /o/{slug}/") || strings.Contains(pattern, "/login") || strings.Contains(pattern, "/forgot") {
				continue
			}
			for _, about := range []struct {
				id   id.Org
				slug string
				kind access.OrgKind
			}{{w.Fabrikam.ID, "fabrikam", access.Customer}, {w.Contoso.ID, "contoso", access.MSP}} {
				if n++; b == viewer {
					w.Clock.Move(time.Minute) // so many refusals of one person are noted a minute
				}
				p, _ := w.Invite(map[bool]org.Org{true: w.Fabrikam, false: w.Contoso}[about.kind == access.Customer], fmt.Sprintf("target%d@people.example", n), access.Viewer)
				fill := map[string]string{"slug": about.slug, "account": string(p.Account), "role": string(id.New[id.Role](w.Clock.Now())), "group": string(id.New[id.Group](w.Clock.Now()))}
				if strings.Contains(pattern, "{role}") {
					made, err := w.Directory.DefineRole(t.Context(), doortest.Operator(), about.id, account.OwnRole{Name: fmt.Sprintf("Role %d", n), Permissions: []access.Permission{access.PeopleView}})
					if err != nil {
						t.Fatal(err)
					}
					fill["role"] = string(made.ID)
				}
				if strings.Contains(pattern, "{group}") && about.kind == access.MSP {
					made, err := w.Directory.CreateGroup(t.Context(), doortest.Operator(), about.id, fmt.Sprintf("Group %d", n))
					if err != nil {
						t.Fatal(err)
					}
					fill["group"] = string(made)
				}
				method, path := split(pattern, fill)
				form := url.Values{"roles": {access.Viewer, access.Auditor}, "permissions": {"people.view"}, "emails": {fmt.Sprintf("new%d@people.example", n)}, "kind": {"customer"}, "name": {fmt.Sprintf("New %d", n)},
					"slug": {fmt.Sprintf("new%d", n)}, "reason": {"because"}, "life": {"1h"}, "org": {string(w.Tailspin.ID)}, "person": {string(p.Account)}, "language": {"de"}, "time_zone": {"UTC"}, "tags": {"gold"},
					"role": {access.Viewer}, "ends_at": {"2031-01-01"}, "rev": {"0"}, "exempt_until": {"2026-12-01"}, "exempt_reason": {"because"}, "confirm_suspend": {about.slug}}
				h := w.happens(method, path, form, b)
				at := fmt.Sprintf("%s about %s by %s (%d)", pattern, about.slug, name, h.Status)
				if h.Status >= 500 {
					t.Errorf("%s fails", at)
				}
				if len(h.changed) > 0 {
					changes[pattern] = true
					if len(h.events) == 0 {
						t.Errorf("%s changed %v without an event", at, h.changed)
					}
				}
				if len(h.events) > 0 && (len(h.request) != 1 || h.request[""]) {
					t.Errorf("%s: the events are of the requests %v", at, h.request)
				}
				if h.Status == http.StatusForbidden {
					refusals++
					if len(h.changed) > 0 || len(h.events) != 1 || !strings.Contains(h.events[0], " denied ") {
						t.Errorf("%s: refused, changed %v, events %v", at, h.changed, h.events)
					}
				}
				if about.slug == "fabrikam" {
					w.Exec(`update org_nodes set state = 'active' where id = $1`, about.id)
				}
			}
		}
		if len(changes) < 15 || refusals < 30 {
			t.Errorf("%d forms changed something, %d were refused: %v", len(changes), refusals, changes)
		}
	})
}
