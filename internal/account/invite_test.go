package account_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

func TestFound(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		h, _ := doortest.House(t, d)
		found := func(actor access.Actor, name, slug, email string) error {
			_, err := h.Directory.Found(t.Context(), actor, name, slug, email, "")
			return err
		}
		for _, a := range []access.Actor{access.Visitor(here), access.System(), {Kind: access.AccountActor, Account: "acc_x", Org: "org_x"}} {
			if err := found(a, "Acme", "acme", "root@acme.example"); !refusal.Is(err, refusal.Forbidden) {
				t.Errorf("%s founds: %v", a.Kind, err)
			}
		}
		for _, row := range [][4]string{{"Acme", "acme", "root@", "admin"}, {"", "acme", "root@acme.example", "name"}, {"Acme", "me", "root@acme.example", "slug"}} {
			if err := found(doortest.Operator(), row[0], row[1], row[2]); refusal.As(err) == nil || refusal.As(err).Field != row[3] {
				t.Errorf("%v: %v", row, err)
			}
		}
		f, err := h.Directory.Found(t.Context(), doortest.Operator(), "Acme", "acme", "Root@ACME.example", "de")
		if err != nil || f.Org.Kind != access.Provider || f.Org.Language != "de" || f.Account.EmailKey != "root@acme.example" || f.Token == "" {
			t.Fatalf("%+v (%v)", f, err)
		}
		for range 2 {
			if err := found(doortest.Operator(), "Again", "again", "root@acme.example"); !refusal.Is(err, refusal.Conflict) {
				t.Errorf("founded twice: %v", err)
			}
		}
		read := h.DB.Read(t.Context())
		if held, err := access.Held(read, f.Org.ID, f.Account.ID, h.Now()); err != nil || !slices.Equal(held, []string{access.Administrator}) {
			t.Errorf("roles are %v (%v)", held, err)
		}
		if _, ok, err := outbox.Latest(read, f.Account.ID, outbox.KindInvite); ok || err != nil {
			t.Errorf("the first administrator is mailed: %v (%v)", ok, err)
		}
		if s, err := license.SeatsOf(read, f.Org.ID); err != nil || s.Used != 1 || s.Limit != license.Unlimited {
			t.Errorf("seats %+v (%v)", s, err)
		}
		events, err := audit.List(read, f.Org.ID, "", 9)
		var actions []audit.Action
		for _, e := range events {
			actions = append(actions, e.Action)
		}
		slices.Sort(actions)
		if err != nil || !slices.Equal(actions, []audit.Action{audit.AccountInvited, audit.LinkPrinted, audit.OrgCreated}) {
			t.Errorf("events %v (%v)", actions, err)
		}
	})
}

// Founded by several nodes that start at once, there is one provider.
func TestFoundAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		h, clock := doortest.House(t, d)
		other := doortest.Node(t, h.Settings, clock)
		var fns []func() error
		for i := range 6 {
			dir := []*account.Directory{h.Directory, other.Directory}[i%2]
			fns = append(fns, func() error {
				_, err := dir.Found(t.Context(), doortest.Operator(), "Acme", fmt.Sprintf("acme%d", i), "root@acme.example", "")
				return err
			})
		}
		founded := 0
		for _, err := range atOnce(fns...) {
			switch {
			case err == nil:
				founded++
			case !refusal.Is(err, refusal.Conflict):
				t.Error(err)
			}
		}
		if n, err := sqldb.One(h.DB.Read(t.Context()), sqldb.Value[int], `select count(*) from orgs`); err != nil || n != 1 || founded != 1 {
			t.Errorf("%d founded, %d organisations (%v)", founded, n, err)
		}
	})
}

// Each address has its own outcome; those that were refused leave nothing behind.
func TestInvite(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		w.must(w.Directory.SetSeats(t.Context(), w.ada, w.fabrikam.ID, 20))
		pending, _ := w.invite(w.fabrikam, "pending@x.example")
		off := w.person(w.fabrikam, "off@x.example")
		w.must(w.Directory.Disable(t.Context(), w.bea, w.fabrikam.ID, off.Account))
		before := w.seats(w.fabrikam).Used

		out, err := w.Directory.Invite(t.Context(), w.bea, w.fabrikam.ID, account.Invitation{Roles: []string{access.Core, access.Viewer, access.Core}, Language: "fr",
			Emails: []string{"New@X.example", "not an address", "new@x.example", "PENDING@x.example", "bea@fabrikam.example", "off@x.example", "ada@contoso.example", ""}})
		w.must(err)
		want := []string{"", "email.form", "email.twice", "email.there_invited", "email.there_active", "email.there_disabled", "", "email.missing"}
		if len(out) != len(want) {
			t.Fatalf("%d outcomes", len(out))
		}
		for i, o := range out {
			w.wants(want[i], o.Err)
			if o.Token != "" || (o.Account != "") != (o.Err == nil) {
				t.Errorf("outcome %+v", o)
			}
		}
		if used := w.seats(w.fabrikam).Used; used != before+2 {
			t.Errorf("%d seats, %d before", used, before)
		}
		a := w.find(w.fabrikam, out[0].Account)
		if a.State != account.Invited || a.Email != "New@x.example" || a.EmailKey != "new@x.example" || a.Language != "fr" || !a.InvitedAt.Equal(w.Now()) || !a.Activated.IsZero() {
			t.Errorf("made %+v", a)
		}
		if held := w.held(w.fabrikam, a.ID); !slices.Equal(held, []string{access.Core, access.Viewer}) {
			t.Errorf("roles %v", held)
		}
		var letter outbox.Invite
		w.deliverAll(func(m outbox.Message) {
			if m.Account == a.ID {
				letter = m.Data.(outbox.Invite)
			}
		})
		if letter.Inviter != "bea@fabrikam.example" || !slices.Equal(letter.Roles, []string{access.Core, access.Viewer}) || !letter.Until.Equal(w.Now().Add(48*time.Hour)) {
			t.Errorf("the mail says %+v", letter)
		}
		w.activate(secret.Text(letter.Token))
		if w.state(w.fabrikam, a.ID) != account.Active || w.state(w.fabrikam, pending) != account.Invited {
			t.Error("the mailed link activates the wrong account, or none")
		}
	})
}

// What concerns all addresses is refused before the first.
func TestInviteRefused(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		manager, core := w.person(w.fabrikam, "manager@x.example", access.CoManager), w.person(w.fabrikam, "core@x.example", access.Core)
		many := make([]string, 201)
		for i := range many {
			many[i] = fmt.Sprintf("a%d@x.example", i)
		}
		one := []string{"new@x.example"}
		for _, row := range []struct {
			name  string
			actor access.Actor
			org   id.Org
			in    account.Invitation
			want  string
		}{
			{"no address", w.bea, w.fabrikam.ID, account.Invitation{}, "email.missing"},
			{"too many", w.bea, w.fabrikam.ID, account.Invitation{Emails: many}, "email.many"},
			{"role of another kind", w.bea, w.fabrikam.ID, account.Invitation{Emails: one, Roles: []string{access.Editor}}, "roles.unknown"},
			{"language", w.bea, w.fabrikam.ID, account.Invitation{Emails: one, Language: "tlh"}, "language.unknown"},
			{"ended before it begins", w.bea, w.fabrikam.ID, account.Invitation{Emails: one, Expires: w.Now()}, "expires.past"},
			{"without the right", core, w.fabrikam.ID, account.Invitation{Emails: one}, "error.forbidden"},
			{"sibling", w.bea, w.tailspin.ID, account.Invitation{Emails: one}, "error.not_found"},
			{"parent", w.bea, w.msp.ID, account.Invitation{Emails: one}, "error.not_found"},
			{"missing", w.bea, id.New[id.Org](w.Now()), account.Invitation{Emails: one}, "error.not_found"},
			{"visitor", access.Visitor(here), w.fabrikam.ID, account.Invitation{Emails: one}, "error.not_found"},
			{"co-manager makes an administrator", manager, w.fabrikam.ID, account.Invitation{Emails: one, Roles: []string{access.Administrator}}, "roles.beyond"},
			{"co-manager makes a co-manager", manager, w.fabrikam.ID, account.Invitation{Emails: one, Roles: []string{access.Core, access.CoManager}}, "roles.beyond"},
			{"co-manager makes an auditor", manager, w.fabrikam.ID, account.Invitation{Emails: one, Roles: []string{access.Auditor}}, "roles.beyond"},
			{"an administrator, with an old proof", w.old(w.bea), w.fabrikam.ID, account.Invitation{Emails: one, Roles: []string{access.Administrator}}, "error.step_up"},
			{"a co-manager, with an old proof", w.old(w.bea), w.fabrikam.ID, account.Invitation{Emails: one, Roles: []string{access.CoManager}}, "error.step_up"},
		} {
			out, err := w.Directory.Invite(t.Context(), row.actor, row.org, row.in)
			w.wants(row.want, err)
			if out != nil {
				t.Errorf("%s: outcomes %+v", row.name, out)
			}
		}
		if n := w.events(w.fabrikam, audit.RightRefused, audit.Denied); n != 6 { // not that of the missing organisation: nobody asked for a foreign one
			t.Errorf("%d events of refused rights", n)
		}
		for _, row := range []struct {
			name  string
			actor access.Actor
			in    account.Invitation
		}{
			{"co-manager makes a core user", manager, account.Invitation{Emails: []string{"c@x.example"}, Roles: []string{access.Core}}},
			{"a core user, with an old proof", w.old(w.bea), account.Invitation{Emails: []string{"o@x.example"}, Roles: []string{access.Core}}},
		} {
			out, err := w.Directory.Invite(t.Context(), row.actor, w.fabrikam.ID, row.in)
			w.must(err)
			w.wants("", out[0].Err)
		}
	})
}

// The sixth seat is refused, also when fifty ask at once: the limit holds exactly, and who is refused leaves nothing behind (mission D5).
func TestSeatsAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		other := doortest.Node(t, w.Settings, w.clock)
		var fns []func() error
		for i := range 50 {
			dir := []*account.Directory{w.Directory, other.Directory}[i%2]
			fns = append(fns, func() error {
				out, err := dir.Invite(t.Context(), w.ada, w.tailspin.ID, account.Invitation{Emails: []string{fmt.Sprintf("p%d@x.example", i)}, Roles: []string{access.Core}})
				if err != nil {
					return err
				}
				return out[0].Err
			})
		}
		in := 0
		for _, err := range atOnce(fns...) {
			if err == nil {
				in++
				continue
			}
			if r := w.wants("seats.full", err); r != nil && (r.Code != refusal.Conflict || r.Args["Limit"] != 5) {
				t.Errorf("refused with %#v", r)
			}
		}
		if s := w.seats(w.tailspin); in != 5 || s.Used != 5 || s.Limit != 5 || s.Free() {
			t.Errorf("%d came in, seats %+v", in, s)
		}
		for table, want := range map[string]int{"accounts": 5, "assignments": 5, "links": 5, "outbox": 5} {
			if n, err := sqldb.One(w.DB.Read(t.Context()), sqldb.Value[int], `select count(*) from `+table+` where org_id = $1`, w.tailspin.ID); err != nil || n != want {
				t.Errorf("%d rows in %s (%v)", n, table, err)
			}
		}
		// Disabled and enabled again and again beside invitations, never more than the limit are in.
		people, _, err := account.People(w.DB.Read(t.Context()), w.tailspin.ID, account.Filter{Most: 10})
		w.must(err)
		fns = nil
		for i, p := range people {
			fns = append(fns, func() error {
				for range 4 {
					if err := w.Directory.Disable(t.Context(), w.ada, w.tailspin.ID, p.ID); err != nil {
						return err
					}
					if s, err := license.SeatsOf(w.DB.Read(t.Context()), w.tailspin.ID); err != nil || s.Used > 5 {
						return fmt.Errorf("%d seats used (%w)", s.Used, err)
					}
					if err := w.Directory.Enable(t.Context(), w.ada, w.tailspin.ID, p.ID); err != nil {
						if refusal.Is(err, refusal.Conflict) {
							return nil // someone else took the seat
						}
						return err
					}
				}
				return nil
			}, func() error {
				_, err := other.Directory.Invite(t.Context(), w.ada, w.tailspin.ID, account.Invitation{Emails: []string{fmt.Sprintf("late%d@x.example", i)}})
				return err
			})
		}
		for _, err := range atOnce(fns...) {
			w.must(err)
		}
		if s := w.seats(w.tailspin); s.Used > 5 {
			t.Errorf("seats %+v", s)
		}
	})
}

// The same address twice at once is one account.
func TestInviteAtOnce(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		var fns []func() error
		for _, typed := range []string{"new@x.example", "NEW@x.example", "new@X.EXAMPLE", " new@x.example "} {
			fns = append(fns, func() error {
				out, err := w.Directory.Invite(t.Context(), w.bea, w.fabrikam.ID, account.Invitation{Emails: []string{typed}})
				if err != nil {
					return err
				}
				return out[0].Err
			})
		}
		in := 0
		for _, err := range atOnce(fns...) {
			if err == nil {
				in++
			} else {
				w.wants("email.there_invited", err)
			}
		}
		if s := w.seats(w.fabrikam); in != 1 || s.Used != 2 {
			t.Errorf("%d came in, seats %+v", in, s)
		}
	})
}

func TestSetSeats(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		for _, row := range []struct {
			name  string
			actor access.Actor
			org   org.Org
			limit int
			want  string
		}{
			{"parent", w.ada, w.fabrikam, 1, ""},
			{"grandparent", w.root, w.fabrikam, 7, ""},
			{"operator", doortest.Operator(), w.fabrikam, license.Unlimited, ""},
			{"provider for an MSP", w.root, w.msp, 3, ""},
			{"own", w.bea, w.fabrikam, 100, "error.forbidden"},
			{"own, MSP", w.ada, w.msp, 100, "error.forbidden"},
			{"sibling", w.bea, w.tailspin, 1, "error.not_found"},
			{"negative", w.ada, w.fabrikam, -2, "seats.form"},
			{"huge", w.ada, w.fabrikam, 1_000_001, "seats.form"},
			{"below what is used", w.ada, w.fabrikam, 0, ""},
		} {
			before := w.seats(row.org).Limit
			w.wants(row.want, w.Directory.SetSeats(t.Context(), row.actor, row.org.ID, row.limit))
			want := row.limit
			if row.want != "" {
				want = before
			}
			if got := w.seats(row.org).Limit; got != want {
				t.Errorf("%s: limit %d, want %d", row.name, got, want)
			}
		}
		out, err := w.Directory.Invite(t.Context(), w.bea, w.fabrikam.ID, account.Invitation{Emails: []string{"new@x.example"}})
		w.must(err)
		w.wants("seats.full", out[0].Err)
		if w.state(w.fabrikam, w.bea.Account) != account.Active {
			t.Error("a lower limit puts somebody out")
		}
	})
}

func TestCreateOrg(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		editor, viewer := w.person(w.msp, "editor@x.example", access.Editor), w.person(w.msp, "viewer@x.example", access.Viewer)
		support := w.person(w.provider, "support@x.example", access.Support)
		for i, row := range []struct {
			actor  access.Actor
			parent org.Org
			kind   access.OrgKind
			want   string
		}{
			{w.root, w.provider, access.MSP, ""},
			{w.root, w.provider, access.Customer, ""},
			{w.root, w.msp, access.Customer, ""},
			{w.ada, w.msp, access.Customer, ""},
			{editor, w.msp, access.Customer, ""},
			{w.root, w.provider, access.Provider, "org.kind"},
			{w.root, w.msp, access.MSP, "org.kind"},
			{w.root, w.fabrikam, access.Customer, "org.kind"},
			{w.ada, w.msp, access.MSP, "org.kind"},
			{w.ada, w.provider, access.MSP, "error.not_found"},
			{w.ada, w.fabrikam, access.Customer, "error.forbidden"},
			{viewer, w.msp, access.Customer, "error.forbidden"},
			{support, w.provider, access.MSP, "error.forbidden"},
			{w.bea, w.fabrikam, access.Customer, "error.forbidden"},
			{w.bea, w.msp, access.Customer, "error.not_found"},
		} {
			o, err := w.Directory.CreateOrg(t.Context(), row.actor, org.New{Kind: row.kind, Parent: row.parent.ID, Slug: fmt.Sprintf("new%d", i), Name: "New"})
			w.wants(row.want, err)
			if row.want != "" {
				continue
			}
			limit := license.Unlimited
			if row.kind == access.Customer {
				limit = 5
			}
			if s := w.seats(o); s.Limit != limit || s.Used != 0 {
				t.Errorf("row %d: seats %+v", i, s)
			}
		}
	})
}

// Withdraw, Resend, Disable and Enable in each state of an account.
func TestStates(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		w.must(w.Directory.SetSeats(t.Context(), w.ada, w.fabrikam.ID, license.Unlimited))
		people := map[string]func(email string) id.Account{
			"invited": func(email string) id.Account { a, _ := w.invite(w.fabrikam, email, access.Core); return a },
			"active":  func(email string) id.Account { return w.person(w.fabrikam, email, access.Core).Account },
			"disabled before activation": func(email string) id.Account {
				a, _ := w.invite(w.fabrikam, email, access.Core)
				w.must(w.Directory.Disable(t.Context(), w.bea, w.fabrikam.ID, a))
				return a
			},
			"disabled": func(email string) id.Account {
				a := w.person(w.fabrikam, email, access.Core).Account
				w.must(w.Directory.Disable(t.Context(), w.bea, w.fabrikam.ID, a))
				return a
			},
		}
		const gone = account.State("gone")
		for i, row := range []struct {
			state, operation, want string
			after                  account.State
			seats                  int // change
		}{
			{"invited", "withdraw", "", gone, -1},
			{"invited", "resend", "", account.Invited, 0},
			{"invited", "disable", "", account.Disabled, -1},
			{"invited", "enable", "account.enabled_already", account.Invited, 0},
			{"active", "withdraw", "account.not_pending", account.Active, 0},
			{"active", "resend", "account.not_pending", account.Active, 0},
			{"active", "disable", "", account.Disabled, -1},
			{"active", "enable", "account.enabled_already", account.Active, 0},
			{"disabled before activation", "withdraw", "account.not_pending", account.Disabled, 0},
			{"disabled before activation", "resend", "account.not_pending", account.Disabled, 0},
			{"disabled before activation", "disable", "account.disabled_already", account.Disabled, 0},
			{"disabled before activation", "enable", "", account.Invited, 1},
			{"disabled", "withdraw", "account.not_pending", account.Disabled, 0},
			{"disabled", "resend", "account.not_pending", account.Disabled, 0},
			{"disabled", "disable", "account.disabled_already", account.Disabled, 0},
			{"disabled", "enable", "", account.Active, 1},
		} {
			a := people[row.state](fmt.Sprintf("p%d@x.example", i))
			before := w.seats(w.fabrikam).Used
			roles := w.held(w.fabrikam, a)
			var err error
			switch row.operation {
			case "withdraw":
				err = w.Directory.Withdraw(t.Context(), w.bea, w.fabrikam.ID, a)
			case "resend":
				_, err = w.Directory.Resend(t.Context(), w.bea, w.fabrikam.ID, a)
			case "disable":
				err = w.Directory.Disable(t.Context(), w.bea, w.fabrikam.ID, a)
			case "enable":
				err = w.Directory.Enable(t.Context(), w.bea, w.fabrikam.ID, a)
			}
			if r := w.wants(row.want, err); r != nil && r.Code != refusal.Conflict {
				t.Errorf("%s, %s: %v", row.state, row.operation, r)
			}
			after := gone
			if found, err := account.Find(w.DB.Read(t.Context()), w.fabrikam.ID, a); err == nil {
				after = found.State
				if held := w.held(w.fabrikam, a); !slices.Equal(held, roles) {
					t.Errorf("%s, %s: roles %v, before %v", row.state, row.operation, held, roles)
				}
			}
			if used := w.seats(w.fabrikam).Used; after != row.after || used-before != row.seats {
				t.Errorf("%s, %s: %s, seats %+d", row.state, row.operation, after, used-before)
			}
		}
		for operation, err := range map[string]error{
			"withdraw": w.Directory.Withdraw(t.Context(), w.bea, w.fabrikam.ID, w.ada.Account),
			"disable":  w.Directory.Disable(t.Context(), w.bea, w.fabrikam.ID, w.ada.Account),
			"enable":   w.Directory.Enable(t.Context(), w.bea, w.fabrikam.ID, w.ada.Account),
			"below":    w.Directory.Disable(t.Context(), w.ada, w.tailspin.ID, w.bea.Account), // in an organisation that she may administer, but not bea's
			"above":    w.Directory.Disable(t.Context(), w.bea, w.msp.ID, w.ada.Account),
		} {
			if r := w.wants("error.not_found", err); r != nil && !r.Denied {
				t.Errorf("%s of a foreign account is not noted", operation)
			}
		}
		if n, m := w.events(w.fabrikam, audit.RightRefused, audit.Denied), w.events(w.msp, audit.RightRefused, audit.Denied); n != 4 || m != 1 {
			t.Errorf("%d and %d events of refused rights", n, m)
		}
	})
}

// A withdrawn invitation leaves nothing: the link is dead, the address is free, and the next account is another one.
func TestWithdrawAndInviteAnew(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		a, first := w.invite(w.fabrikam, "new@x.example", access.Auditor)
		w.must(w.Directory.Withdraw(t.Context(), w.bea, w.fabrikam.ID, a))
		for _, table := range []string{"assignments", "links", "factors"} {
			if n, err := sqldb.One(w.DB.Read(t.Context()), sqldb.Value[int], `select count(*) from `+table+` where account_id = $1`, a); err != nil || n != 0 {
				t.Errorf("%d rows are left in %s (%v)", n, table, err)
			}
		}
		if w.mails(a, outbox.KindInvite) != 0 || w.good(first, account.Activate) {
			t.Error("the invitation is still good")
		}
		_, err := w.Directory.Use(t.Context(), account.Activate, first, doortest.Password, doortest.Password, here)
		if !refusal.Is(err, refusal.Expired) {
			t.Errorf("used after it was withdrawn: %v", err)
		}
		again, second := w.invite(w.fabrikam, "new@x.example")
		if again == a || len(w.held(w.fabrikam, again)) != 0 || w.good(first, account.Activate) {
			t.Errorf("the new account %s inherits from %s", again, a)
		}
		w.activate(second)
	})
}

// A link that nobody presented before is not told from one that never was, whatever is done to its text.
func TestForgedLinks(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		_, token := w.invite(w.fabrikam, "new@x.example")
		s := string(token)
		for _, forged := range []string{"", s[:len(s)-1], s + "A", strings.ToUpper(s), strings.Replace(s, "dwa_", "dwr_", 1), strings.TrimPrefix(s, "dwa_"), "dwa_", "dwa_" + strings.Repeat("A", 43),
			strings.Repeat(s, 50), s + "\x00", " " + s} {
			for _, p := range []account.Purpose{account.Activate, account.Reset} {
				if _, err := w.Directory.Open(t.Context(), p, secret.Text(forged)); !refusal.Is(err, refusal.Expired) {
					t.Errorf("%s %.60q opens: %v", p, forged, err)
				}
				if _, err := w.Directory.Use(t.Context(), p, secret.Text(forged), doortest.Password, doortest.Password, here); !refusal.Is(err, refusal.Expired) {
					t.Errorf("%s %.60q is used: %v", p, forged, err)
				}
			}
		}
		if _, err := w.Directory.Use(t.Context(), account.Reset, token, doortest.Password, doortest.Password, here); !refusal.Is(err, refusal.Expired) {
			t.Errorf("an activation link resets: %v", err)
		}
		w.activate(token)
	})
}
