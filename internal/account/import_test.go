package account_test

import (
	"slices"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/outbox"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

const foreignHash = "$2b$05$abcdefghijklmnopqrstuuiVf/RhxUFwkJUbjgVX/sq2bSS9d7fBa"

// imports adds someone from another system, as the operator.
func (w *town) imports(in account.Import) (account.Imported, error) {
	w.Helper()
	return w.Directory.Import(w.Context(), doortest.Operator(), w.fabrikam.ID, in)
}

func TestImport(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		before := w.Hasher.Count()
		got, err := w.imports(account.Import{Email: " Ann@FABRIKAM.example ", Name: "Ann  Ash", Username: "Ann.Ash", Language: "fr", Roles: []string{access.Core, access.Viewer},
			Hash: foreignHash})
		w.must(err)
		a := w.find(w.fabrikam, got.Account)
		if got.State != account.Active || got.There || got.Token != "" || a.State != account.Active || a.Email != "Ann@fabrikam.example" || a.Name != "Ann Ash" ||
			a.Username != "Ann.Ash" || a.Language != "fr" || !a.Activated.Equal(w.Now()) || !a.LinkUsed.IsZero() || !a.LastSignIn.IsZero() {
			t.Errorf("%+v makes %+v", got, a)
		}
		if held := w.held(w.fabrikam, a.ID); !slices.Equal(held, []string{access.Core, access.Viewer}) {
			t.Errorf("roles %v", held)
		}
		if phc, _, err := factor.PasswordOf(w.DB.Read(t.Context()), a.ID); phc != foreignHash || err != nil {
			t.Errorf("the hash is %q, %v", phc, err)
		}
		for _, identifier := range []string{"ann@fabrikam.example", "ANN.ASH"} {
			if found, ok, err := account.ByIdentifier(w.DB.Read(t.Context()), w.fabrikam.ID, identifier); !ok || found.ID != a.ID || err != nil {
				t.Errorf("%s finds %v, %v", identifier, found.ID, err)
			}
		}

		// Who is invited gets a mail, and the operator the link, like those of `user invite`.
		got, err = w.imports(account.Import{Email: "ben@fabrikam.example", Name: "Ben"})
		w.must(err)
		if got.State != account.Invited || w.state(w.fabrikam, got.Account) != account.Invited || !w.good(got.Token, account.Activate) ||
			w.mails(got.Account, outbox.KindInvite) != 1 || len(w.held(w.fabrikam, got.Account)) != 0 {
			t.Errorf("invited: %+v", got)
		}
		if w.events(w.fabrikam, audit.AccountImported, audit.Done) != 2 || w.events(w.fabrikam, audit.LinkPrinted, audit.Done) != 2 {
			t.Error("events of two imports and a printed link are missing")
		}
		list, err := audit.List(w.DB.Read(t.Context()), w.fabrikam.ID, string(a.ID), 9)
		if err != nil || len(list) != 1 || list[0].Data["hash"] != "bcrypt" || list[0].Data["state"] != "active" || list[0].Person["email"] != "Ann@fabrikam.example" {
			t.Errorf("the event is %+v, %v", list, err)
		}

		// Once more: nothing is changed.
		again, err := w.imports(account.Import{Email: "ANN@fabrikam.example", Name: "Other", Roles: []string{access.Administrator}, Hash: strings.Replace(foreignHash, "2b", "2a", 1)})
		if err != nil || !again.There || again.Account != a.ID || again.State != account.Active || w.find(w.fabrikam, a.ID) != a {
			t.Errorf("again: %+v, %v", again, err)
		}
		if phc, _, _ := factor.PasswordOf(w.DB.Read(t.Context()), a.ID); phc != foreignHash || len(w.held(w.fabrikam, a.ID)) != 2 {
			t.Error("the second import changed the first")
		}
		if n := w.Hasher.Count() - before; n != 0 {
			t.Errorf("%d hashes were computed", n)
		}
	})
}

// What is refused leaves nothing: no account, seat, role, factor, mail.
func TestImportRefuses(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		_, err := w.imports(account.Import{Email: "ann@fabrikam.example", Username: "ann", Hash: foreignHash})
		w.must(err)
		before, hashes := w.everything(), w.Hasher.Count()
		for name, row := range map[string]struct {
			in  account.Import
			why string
		}{
			"no address":      {account.Import{Hash: foreignHash}, "email.missing"},
			"address":         {account.Import{Email: "ann@", Hash: foreignHash}, "email.form"},
			"name":            {account.Import{Email: "x@fabrikam.example", Name: strings.Repeat("x", 101), Hash: foreignHash}, "name.long"},
			"user name":       {account.Import{Email: "x@fabrikam.example", Username: "a@b", Hash: foreignHash}, "username.form"},
			"user name taken": {account.Import{Email: "x@fabrikam.example", Username: "ANN", Hash: foreignHash}, "username.taken"},
			"language":        {account.Import{Email: "x@fabrikam.example", Language: "xx", Hash: foreignHash}, "language.unknown"},
			"role":            {account.Import{Email: "x@fabrikam.example", Roles: []string{"king"}, Hash: foreignHash}, "roles.unknown"},
			"role elsewhere":  {account.Import{Email: "x@fabrikam.example", Roles: []string{access.Core, access.Support}, Hash: foreignHash}, "roles.unknown"},
			"state":           {account.Import{Email: "x@fabrikam.example", State: account.Disabled, Hash: foreignHash}, "state: want active or invited"},
			"no hash":         {account.Import{Email: "x@fabrikam.example", State: account.Active}, "needs a password_hash"},
			"hash":            {account.Import{Email: "x@fabrikam.example", State: account.Invited, Hash: foreignHash}, "leave the password_hash out"},
			"kind of hash":    {account.Import{Email: "x@fabrikam.example", Hash: "$1$abcdefgh$G//4keteveJp0qb8z2DxG/"}, "not known"},
			"dear hash":       {account.Import{Email: "x@fabrikam.example", Hash: strings.Replace(foreignHash, "$05", "$16", 1)}, "out of range (4 to 15)"},
		} {
			got, err := w.imports(row.in)
			if got != (account.Imported{}) || err == nil || !strings.Contains(err.Error(), row.why) {
				t.Errorf("%s: %+v, %v, want %s", name, got, err, row.why)
			}
		}
		for _, by := range []access.Actor{w.bea, w.root, access.System(), access.Visitor(here)} {
			if _, err := w.Directory.Import(t.Context(), by, w.fabrikam.ID, account.Import{Email: "x@fabrikam.example", Hash: foreignHash}); !refusal.Is(err, refusal.Forbidden) {
				t.Errorf("%s imports: %v", by.Kind, err)
			}
		}
		if _, err := w.Directory.Import(t.Context(), doortest.Operator(), "org_nowhere", account.Import{Email: "x@fabrikam.example", Hash: foreignHash}); !refusal.Is(err, refusal.NotFound) {
			t.Errorf("into an organisation that is not there: %v", err)
		}

		// Seats: five, of which two are in use.
		for _, email := range []string{"c@fabrikam.example", "d@fabrikam.example", "e@fabrikam.example"} {
			_, err := w.imports(account.Import{Email: email, Hash: foreignHash})
			w.must(err)
		}
		full := w.everything()
		for _, in := range []account.Import{{Email: "f@fabrikam.example", Roles: []string{access.Core}, Hash: foreignHash}, {Email: "f@fabrikam.example", Roles: []string{access.Core}}} {
			_, err := w.imports(in)
			w.wants("seats.full", err)
		}
		if got, err := w.imports(account.Import{Email: "ann@fabrikam.example", Hash: foreignHash}); !got.There || err != nil {
			t.Errorf("who is there when it is full: %+v, %v", got, err)
		}
		if now := w.everything(); now != full || full == before {
			t.Errorf("something was made: %v, then %v", full, now)
		}
		if w.Hasher.Count() != hashes {
			t.Error("something was computed")
		}
	})
}

// everything counts what an import could make.
func (w *town) everything() (n [6]int) {
	w.Helper()
	for i, query := range []string{`select count(*) from accounts`, `select count(*) from factors`, `select count(*) from assignments`, `select count(*) from links`,
		`select count(*) from outbox`, `select sum(used) from seats`} {
		got, err := sqldb.One(w.DB.Read(w.Context()), sqldb.Value[int], query)
		w.must(err)
		n[i] = got
	}
	return n
}
