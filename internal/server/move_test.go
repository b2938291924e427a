package server_test

import (
	"context"
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
	"doorward/internal/policy"
	"doorward/internal/refusal"
)

// moving is a town in which Fabrikam may move from Contoso to Adatum: an administrator of each side.
type moving struct {
	*town
	bea, ada, zed    *doortest.Person
	beas, adas, zeds *doortest.Browser
}

func (w *town) movers() *moving {
	w.T.Helper()
	m := &moving{town: w}
	m.bea, m.beas = w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
	m.ada, m.adas = w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
	m.zed, m.zeds = w.enrolled(w.Adatum, "zed@adatum.example", access.Administrator)
	return m
}

// start starts the move as the operator would in the provider's name.
func (w *town) start(o org.Org, to string) id.Move {
	w.T.Helper()
	m, err := w.Directory.StartMove(w.T.Context(), doortest.Operator(), o.ID, account.Started{To: to, Reason: "new contract", Confirm: o.Slug})
	if err != nil {
		w.T.Fatal(err)
	}
	return m.ID
}

// side is a side of a move: who answers for it, and at which organisation's pages.
type side struct {
	*doortest.Browser
	Person *doortest.Person
}

func (s side) path(m id.Move, what string) string {
	return "/o/" + s.Person.Org.Slug + "/move/" + string(m) + what
}

func (m *moving) sides() []side { return []side{{m.beas, m.bea}, {m.adas, m.ada}, {m.zeds, m.zed}} }

// freshen makes every proof a fresh one.
func (w *town) freshen() {
	w.Exec(`update sessions set proved_at = $1, last_used_at = $1`, w.Clock.Now().UnixMicro())
}

func (w *town) parentOf(o org.Org) string {
	w.T.Helper()
	return w.text(`select p.slug from org_nodes n join orgs p on p.id = n.parent_id where n.id = $1`, o.ID)
}

// The whole way: the provider starts it, each side is asked and confirms it, and with the last one the customer stands under the other MSP. Who of the old
// one was in is out at once, who of the new one may is in, and everything of the customer is as it was.
func TestMove(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		m := w.movers()
		_, ritas := w.enrolled(w.Provider, "rita@acme.example", access.Administrator)
		ted, teds := w.enrolled(w.Contoso, "ted@contoso.example", access.Editor)
		w.group(w.Contoso.ID, []id.Org{w.Fabrikam.ID, w.Tailspin.ID}, ted)
		tess := w.link("tess", access.Core).enter()
		carl, carls := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		teds.Get("/o/fabrikam/users").Want("users")
		m.beas.Get("/o/fabrikam/security").Want("campaign") // judges how the people stand
		w.set(w.Contoso.ID, policy.Settings{PasswordLength: 12})
		w.set(w.Adatum.ID, policy.Settings{PasswordLength: 20, IdleMinutes: 30})
		w.freshen()

		// The provider starts it, from the customer's settings.
		ritas.Get("/o/fabrikam/settings").Want("org.settings").Follow("Move customer").Want("org.move.new")
		for _, wrong := range [][2]string{{"to", ""}, {"to", "contoso"}, {"to", "acme"}, {"to", "wingtip"}, {"to", "no-such"}, {"reason", ""}, {"reason", strings.Repeat("x", 101)}, {"confirm_move", "tailspin"}} {
			form := url.Values{"to": {"adatum"}, "reason": {"new contract"}, "confirm_move": {"fabrikam"}}
			form.Set(wrong[0], wrong[1])
			if ritas.Post("/o/fabrikam/move", form).WantStatus(http.StatusUnprocessableEntity).Want("org.move.new"); ritas.FieldError(wrong[0]) == "" {
				t.Errorf("%s = %.20q: nothing at the field", wrong[0], wrong[1])
			}
		}
		w.Clock.Move(11 * time.Minute)
		form := url.Values{"to": {" Adatum"}, "reason": {"new contract"}, "confirm_move": {"fabrikam"}}
		ritas.Post("/o/fabrikam/move", form).Want("prove")
		w.freshen()
		ritas.Post("/o/fabrikam/move", form).Want("org.move")
		move := id.Move(w.text(`select id from moves`))
		ritas.Post("/o/fabrikam/move", form).WantStatus(http.StatusUnprocessableEntity) // one at a time
		if text := ritas.Get("/o/acme/move").Want("org.moves").Text(); !strings.Contains(text, "Fabrikam") {
			t.Error("the provider's list does not name it")
		}
		ritas.Get("/o/acme/orgs").Follow("Moves of customers").Follow("/o/fabrikam/move/").Want("org.move")

		// Each side is asked: by mail, on the dashboard, on a page that says what it needs to know, and no more.
		for _, s := range m.sides() {
			mail := w.Mailbox.Wait(s.Person.Email, "move-asked", 1)
			if !strings.Contains(mail.Text, "Contoso IT") || !strings.Contains(mail.Text, "Adatum Services") || !strings.Contains(mail.Text, "new contract") {
				t.Errorf("%s is asked:\n%s", s.Person.Email, mail.Text)
			}
			if s.Get(mail.Link("/move/")).Want("org.move"); s.At.Path != s.path(move, "") {
				t.Errorf("the mail leads to %s", s.At)
			}
			if text := s.Get(s.Person.Org.HomePath()).Want("dashboard").Text(); !strings.Contains(text, "waits for your answer") {
				t.Errorf("the dashboard of %s says nothing", s.Person.Email)
			}
			s.Follow("Look at it").Want("org.move")
			for _, word := range []string{"Tailspin", "Wingtip", "@acme.example", "rita"} {
				if strings.Contains(s.Body, word) {
					t.Errorf("the page of %s says %q", s.Person.Email, word)
				}
			}
			for _, other := range m.sides() {
				if s.Person != other.Person && strings.Contains(s.Body, other.Person.Email) {
					t.Errorf("the page of %s names %s", s.Person.Email, other.Person.Email)
				}
			}
			rules := strings.Contains(s.Text(), "What changes in your sign-in rules")
			if mine := s.Person == m.bea; mine != rules || mine != strings.Contains(s.Text(), "One linked account") {
				t.Errorf("%s reads of the rules: %t", s.Person.Email, rules)
			}
		}
		text := m.beas.Get("/o/fabrikam/move").Want("org.move").Text()
		for _, word := range []string{"12 characters", "20 characters", "12 hours", "30 minutes"} {
			if !strings.Contains(text, word) {
				t.Errorf("the customer does not read %q:\n%s", word, text)
			}
		}
		for name, b := range map[string]*doortest.Browser{"the provider": ritas, "an editor": teds, "a core user": carls} {
			home := map[string]string{"the provider": "/o/acme/", "an editor": "/o/contoso/", "a core user": "/o/fabrikam/"}[name]
			if strings.Contains(b.Get(home).Text(), "waits for your answer") {
				t.Errorf("%s is asked", name)
			}
		}

		// They confirm, in whatever order, each once and with a fresh proof.
		events := w.Count(`select count(*) from events where org_id = $1`, w.Fabrikam.ID)
		w.Clock.Move(11 * time.Minute)
		m.zeds.Post(side{m.zeds, m.zed}.path(move, "/confirm"), nil).Want("prove")
		w.freshen()
		m.zeds.Get("/o/adatum/move").Want("org.moves").Follow("/move/"+string(move)).Want("org.move").Submit(":action", "/confirm").Want("org.move")
		m.zeds.Post(side{m.zeds, m.zed}.path(move, "/confirm"), nil).WantStatus(http.StatusUnprocessableEntity)
		if strings.Contains(m.zeds.Get("/o/adatum/").Text(), "waits for your answer") || w.parentOf(w.Fabrikam) != "contoso" {
			t.Error("asked again, or moved already")
		}
		m.beas.Get("/o/fabrikam/move").Submit(":action", "/confirm").Want("org.move")
		m.adas.Get("/o/fabrikam/users").Want("users") // still hers
		m.adas.Get("/o/fabrikam/move").Want("org.move").Submit(":action", "/confirm").Want("dashboard")
		if m.adas.At.Path != "/o/contoso/" || !strings.Contains(m.adas.Text(), "has moved to Adatum Services") {
			t.Errorf("after the last confirmation: %s", m.adas.At)
		}

		// It stands under Adatum.
		if w.parentOf(w.Fabrikam) != "adatum" || w.Count(`select count(*) from org_tree where org_id = $1`, w.Fabrikam.ID) != 3 ||
			w.Count(`select count(*) from org_tree where org_id = $1 and ancestor_id = $2`, w.Fabrikam.ID, w.Contoso.ID) != 0 ||
			w.Count(`select count(*) from org_group_orgs where member_id = $1`, w.Fabrikam.ID) != 0 || w.Count(`select count(*) from org_group_orgs`) != 1 {
			t.Error("the tree or the groups are not as they should be")
		}
		settle(w.World)
		for name, b := range map[string]*doortest.Browser{"the old administrator": m.adas, "the old technician": teds} {
			for _, page := range []string{"", "users", "users/" + string(carl.Account), "settings", "move", "move/" + string(move)} {
				there, not := send(w.World, http.MethodGet, "/o/fabrikam/"+page, nil, held(b)), send(w.World, http.MethodGet, "/o/no-such/"+page, nil, held(b))
				if a, b := masked(there, "fabrikam", "no-such"), masked(not, "fabrikam", "no-such"); page != "" && a != b {
					t.Errorf("%s at %s: %s", name, page, difference(a, b))
				}
				if strings.Contains(there.Body, "carl@") || there.Page() == "dashboard" || there.Page() == "users" {
					t.Errorf("%s at %q sees %q", name, page, there.Page())
				}
			}
			if text := b.Get("/o/contoso/orgs").Text(); strings.Contains(text, "Fabrikam") || !strings.Contains(text, "Tailspin") {
				t.Errorf("%s has the list %s", name, text)
			}
		}
		m.zeds.Get("/o/fabrikam/users").Want("users")
		if text := w.Browser().Get("/o/fabrikam/login").Text(); !strings.Contains(text, "Adatum Services account") || strings.Contains(text, "Contoso") {
			t.Errorf("the sign-in page says %s", text)
		}
		m.beas.Get("/o/fabrikam/users").Want("users") // her session is what it was
		carls.Get("/o/fabrikam/").Want("dashboard")
		if o, err := org.Find(w.DB.Read(t.Context()), w.Fabrikam.ID); err != nil || o.Rules.Length != 20 || o.Rules.Idle != 30*time.Minute {
			t.Errorf("the rules are %+v, %v", o.Rules, err)
		}
		if n := w.Count(`select seat_limit from seats where org_id = $1`, w.Fabrikam.ID); n != 5 {
			t.Errorf("the limit is %d", n)
		}

		// The linked account is shut, told, and can be opened as one of the customer's own.
		if state, is := w.linkedState(tess.There); state != "disabled" || is {
			t.Errorf("the linked account is %s, linked %t", state, is)
		}
		tess.Get("/o/fabrikam/").Want("welcome")
		w.Mailbox.Wait(tess.Home.Email, "unlinked", 1)
		w.used(w.Fabrikam)
		if err := w.Directory.Enable(t.Context(), doortest.Operator(), w.Fabrikam.ID, tess.There); err != nil {
			t.Error(err)
		}
		if state, is := w.linkedState(tess.There); state != "invited" || is || w.used(w.Fabrikam) != 3 {
			t.Errorf("enabled, the account is %s, linked %t", state, is)
		}

		// The logs of all sides tell it, each with the doings of its own people; the customer's keeps all that was there.
		for _, s := range m.sides() {
			o := s.Person.Org
			w.Mailbox.Wait(s.Person.Email, "move-done", 1)
			for action, n := range map[string]int{"org.move_started": 1, "org.move_confirmed": 3, "org.moved": 1} {
				if got := w.Events(o.ID, action); got != n {
					t.Errorf("%s has %d events %s", o.Slug, got, action)
				}
			}
			if n := w.Count(`select count(*) from events where org_id = $1 and action = 'org.move_confirmed' and actor_id = $2`, o.ID, s.Person.Account); n != 1 {
				t.Errorf("%s has %d confirmations of %s", o.Slug, n, s.Person.Email)
			}
			if n := w.Count(`select count(*) from events where org_id = $1 and action like 'org.mov%' and actor_id not in ('', $2)`, o.ID, s.Person.Account); n != 0 {
				t.Errorf("%s has %d events of others' people", o.Slug, n)
			}
		}
		if n := w.Count(`select count(*) from events where org_id = $1`, w.Fabrikam.ID); n <= events {
			t.Errorf("%d events, there were %d", n, events)
		}
		if w.Count(`select count(*) from org_health where org_id = $1 and judged_at = 0`, w.Fabrikam.ID) != 1 {
			t.Error("how the people stand is not judged anew")
		}
		ritas.Get("/o/fabrikam/move/" + string(move)).Want("org.move")
		if text := m.zeds.Get("/o/adatum/move/" + string(move)).Want("org.move").Text(); !strings.Contains(text, "belongs to Adatum Services now") {
			t.Errorf("the new MSP reads %s", text)
		}
	})
}

// Each side can say no, with a reason; the provider can take it back; and it ends by itself. Then nobody confirms it any more, and nothing has changed.
func TestMoveEnds(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		m := w.movers()
		_, ritas := w.enrolled(w.Provider, "rita@acme.example", access.Administrator)
		closed := func(what string, move id.Move) {
			t.Helper()
			w.freshen()
			for _, s := range m.sides() {
				for _, path := range []string{"/confirm", "/decline"} {
					s.Post(s.path(move, path), url.Values{"reason": {"x"}}).WantStatus(http.StatusUnprocessableEntity).Want("org.move")
				}
			}
			ritas.Post("/o/fabrikam/move/"+string(move)+"/cancel", nil).WantStatus(http.StatusUnprocessableEntity)
			if w.parentOf(w.Fabrikam) != "contoso" || w.Count(`select count(*) from moves where state = 'open' and expires_at > $1`, w.Clock.Now().UnixMicro()) != 0 {
				t.Errorf("%s: moved, or still open", what)
			}
		}
		for i, s := range m.sides() {
			move := w.start(w.Fabrikam, "adatum")
			other := m.sides()[(i+1)%3]
			other.Get(other.path(move, "")).Submit(":action", "/confirm").Want("org.move")
			s.Post(s.path(move, "/decline"), nil).WantStatus(http.StatusUnprocessableEntity).Want("org.move")
			if s.FieldError("reason") == "" {
				t.Error("declined without a reason")
			}
			s.Post(s.path(move, "/decline"), url.Values{"reason": {"unpaid invoices"}}).Want("org.move")
			for _, told := range m.sides() {
				mail := w.Mailbox.Wait(told.Person.Email, "move-declined", i+1)
				if !strings.Contains(mail.Text, "unpaid invoices") || !strings.Contains(mail.Text, "By: "+s.Person.Org.Name) {
					t.Errorf("the mail reads\n%s", mail.Text)
				}
				if text := told.Get(told.path(move, "")).Text(); !strings.Contains(text, s.Person.Org.Name+" declined this move: unpaid invoices") {
					t.Errorf("%s reads %s", told.Person.Email, text)
				}
			}
			closed("declined by "+s.Person.Org.Slug, move)
		}

		move := w.start(w.Fabrikam, "adatum")
		ritas.Get("/o/fabrikam/move").Want("org.move").Submit(":action", "/cancel").Want("org.move")
		for _, told := range m.sides() {
			w.Mailbox.Wait(told.Person.Email, "move-cancelled", 1)
		}
		closed("cancelled", move)

		move = w.start(w.Fabrikam, "adatum")
		m.beas.Get("/o/fabrikam/move").Submit(":action", "/confirm").Want("org.move")
		w.Clock.Move(account.MoveLife)
		w.freshen()
		w.Exec(`update sessions set expires_at = $1`, w.Clock.Now().Add(time.Hour).UnixMicro())
		closed("expired", move)
		if text := m.beas.Get("/o/fabrikam/move/" + string(move)).Text(); !strings.Contains(text, "in time") {
			t.Errorf("expired: %s", text)
		}
		w.start(w.Fabrikam, "adatum") // and again
	})
}

// Who is no side of a move is answered as if there were none, whatever they hold; and who is one, but may not answer, changes nothing.
func TestMoveOfOthers(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		m := w.movers()
		third := w.Org(access.MSP, w.Provider.ID, "northwind", "Northwind")
		_, nora := w.enrolled(third, "nora@northwind.example", access.Administrator)
		_, zoe := w.enrolled(w.Tailspin, "zoe@tailspin.example", access.Administrator)
		_, eddy := w.enrolled(w.Contoso, "eddy@contoso.example", access.Editor)
		_, coco := w.enrolled(w.Fabrikam, "coco@fabrikam.example", access.CoManager)
		tess := w.link("tess", access.Administrator).enter()
		_, ritas := w.enrolled(w.Provider, "rita@acme.example", access.Administrator)
		move, missing := w.start(w.Fabrikam, "adatum"), id.New[id.Move](w.Clock.Now())
		for _, o := range []string{"fabrikam", "contoso"} {
			ritas.Get("/o/" + o + "/").Want("dashboard")
		}
		m.adas.Get("/o/tailspin/").Want("dashboard")
		w.freshen()
		settle(w.World)
		before := dump(w.World)
		for name, b := range map[string]*doortest.Browser{"another MSP": nora, "a sibling": zoe, "an editor": eddy, "a co-manager": coco, "the MSP at a sibling": m.adas} {
			slug := map[string]string{"another MSP": "northwind", "a sibling": "tailspin", "an editor": "contoso", "a co-manager": "fabrikam", "the MSP at a sibling": "tailspin"}[name]
			for _, what := range []string{"GET ", "POST /confirm", "POST /decline", "POST /cancel"} {
				method, path, _ := strings.Cut(what, " ")
				there := send(w.World, method, "/o/"+slug+"/move/"+string(move)+path, url.Values{"reason": {"x"}}, held(b))
				not := send(w.World, method, "/o/"+slug+"/move/"+string(missing)+path, url.Values{"reason": {"x"}}, held(b))
				if a, b := masked(there), masked(not); a != b {
					t.Errorf("%s, %s: %s", name, what, difference(a, b))
				}
				if there.Status < 400 || there.Status == http.StatusUnprocessableEntity || there.Status >= 500 {
					t.Errorf("%s, %s: %d", name, what, there.Status)
				}
			}
		}
		// The provider does not answer for a side, nor does a linked account, which is a parent's.
		for path, b := range map[string]*doortest.Browser{"/o/fabrikam": ritas, "/o/contoso": ritas, "/o/acme": ritas} {
			if r := send(w.World, http.MethodPost, path+"/move/"+string(move)+"/confirm", nil, held(b)); r.Status != http.StatusForbidden {
				t.Errorf("the provider at %s: %d", path, r.Status)
			}
		}
		tess.Post("/o/fabrikam/move/"+string(move)+"/confirm", nil).WantStatus(http.StatusUnprocessableEntity)
		if text := tess.Text(); !strings.Contains(text, "linked account does not answer") || strings.Contains(text, "Confirm the move") {
			t.Errorf("the linked account reads %s", text)
		}
		if d := differing(before, dump(w.World), "events", "event_persons", "throttles", "visits", "sessions"); d != nil {
			t.Errorf("changed %v", d)
		}
		// A role that has ended, or a side that is suspended, answers no more.
		w.Exec(`update assignments set expires_at = $1 where account_id = $2`, w.Clock.Now().UnixMicro(), m.zed.Account)
		if r := send(w.World, http.MethodPost, "/o/adatum/move/"+string(move)+"/confirm", nil, held(m.zeds)); r.Status != http.StatusSeeOther || !strings.Contains(r.Location(), "/login") {
			t.Errorf("an ended role answers: %d", r.Status)
		}
	})
}

// The last two confirmations at once, on three nodes and each many times: the customer moves, and once.
func TestMoveOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		m := w.movers()
		for range 3 {
			move := w.start(w.Fabrikam, "adatum")
			actors := map[string]access.Actor{}
			for _, s := range m.sides() {
				actors[s.Person.Org.Slug] = access.Actor{Kind: access.AccountActor, Account: s.Person.Account, Org: s.Person.Org.ID, ProvedAt: w.Clock.Now(), Name: s.Person.Email}
			}
			if _, err := w.Directory.ConfirmMove(t.Context(), actors["fabrikam"], w.Fabrikam.ID, move); err != nil {
				t.Fatal(err)
			}
			var taken, moved atomic.Int32
			var wait sync.WaitGroup
			for _, node := range all {
				for range 2 {
					for slug, at := range map[string]id.Org{"contoso": w.Contoso.ID, "adatum": w.Adatum.ID} {
						wait.Go(func() {
							done, err := node.Directory.ConfirmMove(context.Background(), actors[slug], at, move)
							if err != nil && !refusal.Is(err, refusal.Conflict) {
								t.Error(err)
							}
							if err == nil {
								taken.Add(1)
							}
							if done {
								moved.Add(1)
							}
						})
					}
				}
			}
			wait.Wait()
			if taken.Load() != 2 || moved.Load() != 1 || w.parentOf(w.Fabrikam) != "adatum" {
				t.Errorf("%d confirmations were taken, it moved %d times, to %s", taken.Load(), moved.Load(), w.parentOf(w.Fabrikam))
			}
			for _, node := range all { // at once, everywhere
				if r, err := node.Guard.Rights(node.DB.Read(t.Context()), actors["contoso"], w.Fabrikam.ID); err != nil || r.May(access.OrgView) {
					t.Errorf("a node still lets the old MSP in (%v)", err)
				}
			}
			if err := w.Directory.MoveNow(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.Started{To: "contoso", Reason: "back", Confirm: "fabrikam"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.Events(w.Fabrikam.ID, "org.moved"); n != 6 {
			t.Errorf("%d events", n)
		}
	})
}

// What a move rests on holds when it is carried out, or it is not: the organisations work, the pool has room, an administrator stays.
func TestMoveInTheWay(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		m := w.movers()
		last := func(move id.Move) error {
			w.freshen()
			_, err := w.Directory.ConfirmMove(t.Context(), access.Actor{Kind: access.AccountActor, Account: m.zed.Account, Org: w.Adatum.ID, ProvedAt: w.Clock.Now()}, w.Adatum.ID, move)
			return err
		}
		ready := func() id.Move {
			move := w.start(w.Fabrikam, "adatum")
			w.freshen()
			m.beas.Post("/o/fabrikam/move/"+string(move)+"/confirm", nil).WantStatus(http.StatusOK)
			m.adas.Post("/o/contoso/move/"+string(move)+"/confirm", nil).WantStatus(http.StatusOK)
			return move
		}
		refused := func(what, key string, err error) {
			t.Helper()
			if e := refusal.As(err); e == nil || e.Key != key {
				t.Errorf("%s: %v, want %s", what, err, key)
			}
			if w.parentOf(w.Fabrikam) != "contoso" {
				t.Fatalf("%s: it moved", what)
			}
		}
		start := func() error {
			_, err := w.Directory.StartMove(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.Started{To: "adatum", Reason: "x", Confirm: "fabrikam"})
			return err
		}
		move := ready()
		state := func(o org.Org, s access.State) { w.Exec(`update org_nodes set state = $1 where id = $2`, s, o.ID) }
		for _, o := range []org.Org{w.Fabrikam, w.Adatum} {
			for _, s := range []access.State{access.Suspended, access.Deleting} {
				state(o, s)
				if o.ID == w.Fabrikam.ID { // who confirms is of the other one
					refused(string(s)+" "+o.Slug, "move.shut", last(move))
				}
				if _, err := w.Directory.StartMove(t.Context(), doortest.Operator(), w.Tailspin.ID, account.Started{To: "adatum", Reason: "x", Confirm: "tailspin"}); o.ID == w.Adatum.ID {
					refused("starting with "+o.Slug+" "+string(s), "move.shut", err)
				} else if err == nil {
					w.Exec(`delete from moves where org_id = $1`, w.Tailspin.ID)
				}
				state(o, access.Active)
			}
		}

		// The pool of the new MSP.
		if err := w.Directory.SetSeats(t.Context(), doortest.Operator(), w.Wingtip.ID, 3); err != nil {
			t.Fatal(err)
		}
		if err := w.Directory.SetPool(t.Context(), doortest.Operator(), w.Adatum.ID, 7); err != nil {
			t.Fatal(err)
		}
		refused("a full pool", "move.pool", last(move))
		w.Exec(`delete from moves`)
		refused("starting with a full pool", "move.pool", start())
		if err := w.Directory.SetPool(t.Context(), doortest.Operator(), w.Adatum.ID, 8); err != nil {
			t.Fatal(err)
		}
		w.Exec(`update seats set seat_limit = null where org_id = $1`, w.Fabrikam.ID)
		refused("without a limit into a pool", "move.pool", start())
		w.Exec(`update seats set seat_limit = 5 where org_id = $1`, w.Fabrikam.ID)

		// The last administrator is no linked account of the old MSP's.
		move = ready()
		tess := w.link("tess", access.Administrator)
		w.Exec(`update assignments set role = 'core' where account_id = $1`, m.bea.Account)
		refused("linked administrators alone", "move.administrator", last(move))
		w.Exec(`update assignments set role = 'administrator' where account_id = $1`, m.bea.Account)
		if err := last(move); err != nil || w.parentOf(w.Fabrikam) != "adatum" {
			t.Errorf("with all that in order: %v", err)
		}
		if state, _ := w.linkedState(tess.There); state != "disabled" {
			t.Errorf("the linked account is %s", state)
		}
		if p, err := license.PoolOf(w.DB.Read(t.Context()), w.Adatum.ID); err != nil || p.Given != 8 {
			t.Errorf("the pool is %+v, %v", p, err)
		}
	})
}

// The last confirmation and something else at the same moment: one comes first, and what is left fits.
func TestMoveMeanwhile(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		all := nodes(t, w.World)
		m := w.movers()
		zed := access.Actor{Kind: access.AccountActor, Account: m.zed.Account, Org: w.Adatum.ID, ProvedAt: w.Clock.Now()}
		for name, other := range map[string]func(n *doortest.World, o org.Org, to org.Org) error{
			"the customer is suspended": func(n *doortest.World, o, _ org.Org) error {
				return n.Directory.Suspend(context.Background(), doortest.Operator(), o.ID, o.Slug, "x")
			},
			"the customer is deleted": func(n *doortest.World, o, _ org.Org) error {
				_, err := n.Directory.RequestDeletion(context.Background(), doortest.Operator(), o.ID, o.Slug)
				return err
			},
			"the receiver is deleted": func(n *doortest.World, _, to org.Org) error {
				_, err := n.Directory.RequestDeletion(context.Background(), doortest.Operator(), to.ID, to.Slug)
				return err
			},
			"it is declined": func(n *doortest.World, o, _ org.Org) error {
				ada := access.Actor{Kind: access.AccountActor, Account: m.ada.Account, Org: w.Contoso.ID, ProvedAt: w.Clock.Now()}
				return n.Directory.DeclineMove(context.Background(), ada, w.Contoso.ID, id.Move(w.text(`select id from moves where org_id = $1`, o.ID)), "no")
			},
			"it joins a group": func(n *doortest.World, o, _ org.Org) error {
				ada := access.Actor{Kind: access.AccountActor, Account: m.ada.Account, Org: w.Contoso.ID, ProvedAt: w.Clock.Now()}
				g, err := n.Directory.CreateGroup(context.Background(), ada, w.Contoso.ID, o.Slug)
				if err != nil {
					return err
				}
				return n.Directory.AddToGroup(context.Background(), ada, w.Contoso.ID, g, account.Grouped{Customers: []id.Org{o.ID}})
			},
		} {
			slug := strings.ReplaceAll(name, " ", "-")
			to := w.Org(access.MSP, w.Provider.ID, slug+"-to", name)
			at := w.Activate(to, "zed@"+slug+".example", access.Administrator)
			o := w.Org(access.Customer, w.Contoso.ID, slug, name)
			move := w.start(o, to.Slug)
			w.Exec(`update moves set giver_at = 1, customer_at = 1 where id = $1`, move)
			actor := zed
			actor.Account, actor.Org = at.Account, to.ID
			var first, second error
			var wait sync.WaitGroup
			wait.Go(func() { _, first = all[0].Directory.ConfirmMove(context.Background(), actor, to.ID, move) })
			wait.Go(func() { second = other(all[len(all)-1], o, to) })
			wait.Wait()
			for _, err := range []error{first, second} {
				if err != nil && refusal.As(err) == nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			moved := w.parentOf(o) == to.Slug
			if moved != (first == nil) || moved != (w.text(`select state from moves where id = $1`, move) == "done") {
				t.Errorf("%s: moved %t, confirmed: %v", name, moved, first)
			}
			if n := w.Count(`select count(*) from org_tree where org_id = $1`, o.ID); n != 3 {
				t.Errorf("%s: %d rows of the tree", name, n)
			}
			switch name {
			case "the receiver is deleted", "it is declined": // only one of the two
				if (first == nil) == (second == nil) {
					t.Errorf("%s: confirmed: %v; the other: %v", name, first, second)
				}
			case "it joins a group":
				if n := w.Count(`select count(*) from org_group_orgs where member_id = $1`, o.ID); moved && n != 0 || !moved && n == 0 {
					t.Errorf("%s: moved %t, in %d groups", name, moved, n)
				}
			}
		}
	})
}

// The operator moves a customer without asking anybody, as when its MSP is gone; a standalone customer has no MSP to ask. Who was in a move is gone from
// it with the organisation.
func TestMoveByOperator(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		m := w.movers()
		solo := w.Org(access.Customer, w.Provider.ID, "solo", "Solo")
		sam, sams := w.enrolled(solo, "sam@solo.example", access.Administrator)
		open := w.start(w.Fabrikam, "adatum")
		w.Exec(`update org_nodes set state = 'suspended' where id = $1`, w.Contoso.ID)
		now := account.Started{To: "adatum", Reason: "Contoso is no more", Confirm: "fabrikam"}
		actor := access.Actor{Kind: access.AccountActor, Account: m.zed.Account, Org: w.Adatum.ID, ProvedAt: w.Clock.Now()}
		if err := w.Directory.MoveNow(t.Context(), actor, w.Fabrikam.ID, now); !refusal.Is(err, refusal.Forbidden) {
			t.Errorf("somebody else: %v", err)
		}
		if err := w.Directory.MoveNow(t.Context(), doortest.Operator(), w.Fabrikam.ID, now); err != nil {
			t.Fatal(err)
		}
		if w.parentOf(w.Fabrikam) != "adatum" || w.text(`select state from moves where id = $1`, open) != "cancelled" {
			t.Error("not moved, or the open move is open")
		}
		for _, p := range []*doortest.Person{m.bea, m.ada, m.zed} {
			w.Mailbox.Wait(p.Email, "move-done", 1)
		}
		for _, o := range []org.Org{w.Fabrikam, w.Contoso, w.Adatum, w.Provider} {
			if n := w.Count(`select count(*) from events where org_id = $1 and action = 'org.moved' and actor_kind = 'operator'`, o.ID); n != 1 {
				t.Errorf("%s has %d events", o.Slug, n)
			}
		}

		move := w.start(solo, "adatum")
		w.freshen()
		if text := m.zeds.Get("/o/adatum/move/" + string(move)).Text(); strings.Contains(text, "lose their access") {
			t.Errorf("the provider loses its access: %s", text)
		}
		sams.Get("/o/solo/move").Submit(":action", "/confirm").Want("org.move")
		m.zeds.Get("/o/adatum/move/"+string(move)).Submit(":action", "/confirm").Want("dashboard")
		if w.parentOf(solo) != "adatum" {
			t.Error("the standalone customer did not move")
		}
		w.Mailbox.Wait(sam.Email, "move-done", 1)

		w.Org(access.MSP, w.Provider.ID, "northwind", "Northwind")
		w.start(solo, "northwind")
		for _, o := range []org.Org{solo, w.Contoso} {
			w.Exec(`update org_nodes set state = 'deleting' where id = $1`, o.ID)
			w.Exec(`update orgs set delete_at = 1 where id = $1`, o.ID)
		}
		w.Exec(`update org_nodes set parent_id = $1 where parent_id = $2`, w.Adatum.ID, w.Contoso.ID)
		w.Exec(`delete from org_tree where ancestor_id = $1 and depth > 0`, w.Contoso.ID)
		w.Exec(`delete from org_group_orgs where org_id = $1`, w.Contoso.ID)
		if err := w.Directory.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.Count(`select count(*) from moves`); n != 0 {
			t.Errorf("%d moves are left of organisations that are gone", n)
		}
	})
}

// What a customer asked the old MSP for is none of the new one's business, nor is what becomes of the customer the old one's (mission D9).
func TestMoveLeavesNothingOpen(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		m := w.movers()
		ted, teds := w.enrolled(w.Contoso, "ted@contoso.example", access.Editor)
		w.group(w.Contoso.ID, []id.Org{w.Fabrikam.ID}, ted)
		teds.Post("/o/fabrikam/seats/ask", url.Values{"wanted": {"50"}, "reason": {"for Jane Roe"}}).Want("seats")
		if w.Count(`select count(*) from events where reason like '%Jane Roe%'`) != 0 || w.Count(`select count(*) from event_persons where data like '%for Jane Roe%'`) != 2 {
			t.Error("what was typed does not stand where it is erased")
		}
		move := w.start(w.Fabrikam, "adatum")
		for _, s := range m.sides() {
			w.freshen()
			s.Post(s.path(move, "/confirm"), nil)
		}
		if w.parentOf(w.Fabrikam) != "adatum" {
			t.Fatal("it did not move")
		}
		request := id.SeatRequest(w.text(`select id from seat_requests where state = 'withdrawn'`))
		if f, g, a := w.Events(w.Fabrikam.ID, "seats.withdrawn"), w.Events(w.Contoso.ID, "seats.withdrawn"), w.Events(w.Adatum.ID, "seats.withdrawn"); f != 1 || g != 0 || a != 0 {
			t.Errorf("%d, %d and %d events", f, g, a)
		}
		for _, page := range []string{"/o/fabrikam/seats", "/o/adatum/seats"} {
			if text := m.zeds.Get(page).Want("seats").Text(); strings.Contains(text, ted.Email) || strings.Contains(text, "Jane Roe") {
				t.Errorf("%s says %s", page, text)
			}
		}
		if err := w.Directory.GrantSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, request, 50); !refusal.Is(err, refusal.Conflict) {
			t.Errorf("it is answered afterwards: %v", err)
		}
		// Whoever asked and is out is not answered; who is in is.
		for _, asker := range []id.Account{ted.Account, m.bea.Account} {
			w.Exec(`update seat_requests set state = 'open', account_id = $1`, asker)
			if err := w.Directory.DeclineSeats(t.Context(), doortest.Operator(), w.Fabrikam.ID, request, "of Adatum"); err != nil {
				t.Fatal(err)
			}
		}
		w.Mailbox.Wait(m.bea.Email, "seats-answer", 1)
		if n := w.Count(`select count(*) from outbox where kind = 'seats-answer' and account_id = $1`, ted.Account); n != 0 {
			t.Errorf("%d answers to who asked for the old MSP", n)
		}
		// Each knows the others by the names of then.
		w.Exec(`update orgs set name = 'Renamed ' || name`)
		w.freshen()
		for _, s := range m.sides() {
			text := s.Get(s.path(move, "")).Want("org.move").Text()
			others := []string{"Renamed Contoso"}
			if s.Person == m.ada {
				others = []string{"Renamed Fabrikam", "Renamed Adatum"}
			}
			for _, name := range others {
				if strings.Contains(text, name) {
					t.Errorf("%s reads %q", s.Person.Email, name)
				}
			}
		}
	})
}

// A linked account in the customer is a parent's: it does not read the rules of the MSP that the customer comes to.
func TestMoveOfLinked(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		m := w.movers()
		tess := w.link("tess", access.Administrator).enter()
		w.set(w.Adatum.ID, policy.Settings{PasswordLength: 20})
		w.freshen()
		move := w.start(w.Fabrikam, "adatum")
		const rules = "What changes in your sign-in rules"
		if text := tess.Get("/o/fabrikam/move/" + string(move)).Want("org.move").Text(); strings.Contains(text, rules) || strings.Contains(text, "20 characters") {
			t.Errorf("a linked account reads %s", text)
		}
		if text := m.beas.Get("/o/fabrikam/move/" + string(move)).Want("org.move").Text(); !strings.Contains(text, rules) || !strings.Contains(text, "20 characters") {
			t.Errorf("the customer reads %s", text)
		}
	})
}
