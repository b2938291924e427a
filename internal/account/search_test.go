package account_test

import (
	"slices"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// A search finds people below an organisation by address, name and, where they are not too many, a word of the name; in groups alone for who is
// bound to them; and nobody of the organisation itself or of one that is not below it.
func TestSearch(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		w := build(t, d)
		other := w.org(access.MSP, w.provider.ID, "northwind")
		beyond := w.org(access.Customer, other.ID, "adatum")
		add := func(o id.Org, email, name string) {
			w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
				_, err := account.Insert(tx, w.Now(), account.Account{Org: o, Email: email, EmailKey: email, Name: name, State: account.Active})
				if err == nil {
					_, err = tx.Exec(`update seats set used = used + 1 where org_id = $1`, o)
				}
				return err
			}))
		}
		add(w.fabrikam.ID, "kim@fabrikam.example", "Ümit von Berg")
		add(w.tailspin.ID, "kimberly@tailspin.example", "")
		add(w.tailspin.ID, "zoe@tailspin.example", "Kim Öztürk")
		add(beyond.ID, "kim@adatum.example", "Kim Beyond")
		add(w.msp.ID, "kim@contoso.example", "Kim Above")

		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := access.Group(tx, w.Now(), w.msp.ID, "North", []id.Org{w.tailspin.ID}, []id.Account{w.ada.Account})
			return err
		}))
		all := func(top id.Org, groups id.Account, search string) string {
			list, err := account.Search(w.DB.Read(t.Context()), top, groups, search, 9)
			w.must(err)
			var found []string
			for _, f := range list {
				found = append(found, f.Email+" "+f.OrgSlug)
			}
			slices.Sort(found)
			return strings.Join(found, ", ")
		}
		const kim, kimberly, zoe, beyondKim, above = "kim@fabrikam.example fabrikam", "kimberly@tailspin.example tailspin", "zoe@tailspin.example tailspin", "kim@adatum.example adatum", "kim@contoso.example contoso"
		for _, row := range []struct {
			top    id.Org
			groups id.Account
			search string
			want   []string
		}{
			{w.msp.ID, "", "kim", []string{kim, kimberly, zoe}},
			{w.msp.ID, "", " KIM@F", []string{kim}},
			{w.msp.ID, "", "ümi", []string{kim}},
			{w.msp.ID, "", "berg", []string{kim}},
			{w.msp.ID, "", "özt", []string{zoe}},
			{w.msp.ID, "", "k", nil},
			{w.msp.ID, "", "%i", nil},
			{w.msp.ID, w.ada.Account, "kim", []string{kimberly, zoe}},
			{w.msp.ID, w.bea.Account, "kim", nil},
			{w.fabrikam.ID, "", "kim", nil},
			{other.ID, "", "kim", []string{beyondKim}},
			{w.provider.ID, "", "kim", []string{beyondKim, above, kim, kimberly, zoe}},
			{w.provider.ID, "", "ümi", []string{kim}},
			{w.provider.ID, "", "berg", nil}, // beginnings alone
		} {
			slices.Sort(row.want)
			if got := all(row.top, row.groups, row.search); got != strings.Join(row.want, ", ") {
				t.Errorf("%q below %s: %q, want %q", row.search, row.top, got, row.want)
			}
		}
		// Of too many people, beginnings alone.
		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := tx.Exec(`update seats set used = used + 50000 where org_id = $1`, w.tailspin.ID)
			return err
		}))
		for search, want := range map[string]string{"ki": "", "kim": strings.Join([]string{kim, kimberly, zoe}, ", "), "Ümi": kim, "berg": ""} {
			if got := all(w.msp.ID, "", search); got != want {
				t.Errorf("%q in many: %q, want %q", search, got, want)
			}
		}
		w.must(w.DB.Write(t.Context(), func(tx sqldb.Tx) error {
			_, err := tx.Exec(`update seats set used = used - 50000 where org_id = $1`, w.tailspin.ID)
			return err
		}))
		for _, hostile := range []string{"a\x00b", "\xff\xfe", strings.Repeat("a", 255)} {
			if _, err := account.Search(w.DB.Read(t.Context()), w.msp.ID, "", hostile, 9); !refusal.Is(err, refusal.Invalid) {
				t.Errorf("%q: %v", hostile, err)
			}
		}
	})
}
