package main

import (
	"io"
	"path/filepath"
	"testing"

	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/org"
	"doorward/internal/sqldb"
)

// The world that is measured in keeps what the operations keep: seats, folded keys, one home and one link for each, and rows for whom they are about.
func TestFilledWorld(t *testing.T) {
	doortest.Each(t, func(t *testing.T, d sqldb.Dialect) {
		setting, dir := doortest.Database(t, d)
		if status := run([]string{"--database", setting, "--data", dir, "--key-file", filepath.Join(dir, "key"), "--argon2", "m=8,t=1,p=1", "bench", "fill", "--orgs", "300", "--accounts", "6000",
			"--events", "500"}, io.Discard, io.Discard); status != exitDone {
			t.Fatalf("status %d", status)
		}
		db, err := sqldb.Open(t.Context(), setting, dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		for what, query := range map[string]string{
			"seats that are not the people who take one": `select count(*) from orgs o left join seats s on s.org_id = o.id where coalesce(s.used, -1) <>
				(select count(*) from accounts a where a.org_id = o.id and a.state <> 'disabled' and a.home_id is null)`,
			"customers beyond their limit":     `select count(*) from seats s join org_nodes n on n.id = s.org_id where n.kind = 'customer' and (s.seat_limit is null or s.used > s.seat_limit)`,
			"providers and MSPs with a limit":  `select count(*) from seats s join org_nodes n on n.id = s.org_id where n.kind <> 'customer' and s.seat_limit is not null`,
			"organisations outside the tree":   `select count(*) from org_nodes n where not exists (select 1 from org_tree t where t.org_id = n.id and t.ancestor_id = n.id and t.depth = 0)`,
			"parents that are no ancestors":    `select count(*) from org_nodes n where n.parent_id is not null and not exists (select 1 from org_tree t where t.org_id = n.id and t.ancestor_id = n.parent_id and t.depth = 1)`,
			"MSPs that are not below the root": `select count(*) from org_nodes n join org_nodes p on p.id = n.parent_id where n.kind = 'msp' and p.kind <> 'provider' or p.kind = 'customer'`,
			"organisations without an administrator": `select count(*) from org_nodes n where not exists (select 1 from assignments s join accounts a on a.id = s.account_id
				where s.org_id = n.id and s.role = 'administrator' and s.expires_at = 0 and a.state = 'active')`,
			"roles held elsewhere":               `select count(*) from assignments s join accounts a on a.id = s.account_id where s.org_id <> a.org_id`,
			"factors of another organisation":    `select count(*) from factors f join accounts a on a.id = f.account_id where f.org_id <> a.org_id`,
			"own people active without password": `select count(*) from accounts a where a.state = 'active' and a.home_id is null and not exists (select 1 from factors f where f.account_id = a.id and f.kind = 'password')`,
			"factors before activation":          `select count(*) from factors f join accounts a on a.id = f.account_id where a.state = 'invited'`,
			"linked with a password":             `select count(*) from factors f join accounts a on a.id = f.account_id where a.home_id is not null`,
			"homes that are not above": `select count(*) from accounts a left join accounts h on h.id = a.home_id where a.home_id is not null and not exists
				(select 1 from org_tree t where t.org_id = a.org_id and t.ancestor_id = h.org_id and t.depth > 0)`,
			"invited without a link":        `select count(*) from accounts a where a.state = 'invited' and not exists (select 1 from links l where l.account_id = a.id and l.state = 'open')`,
			"invited but there":             `select count(*) from accounts where state = 'invited' and (activated_at > 0 or last_sign_in_at > 0) or state <> 'invited' and activated_at = 0`,
			"signed in before they could":   `select count(*) from accounts where last_sign_in_at > 0 and last_sign_in_at < activated_at or activated_at > 0 and activated_at < created_at`,
			"health that counts otherwise":  `select count(*) from org_health h where h.people <> (select count(*) from accounts a where a.org_id = h.org_id and a.state = 'active')`,
			"grouped that are not below":    `select count(*) from org_group_orgs g join org_nodes n on n.id = g.member_id where n.parent_id <> g.org_id`,
			"grouped people from elsewhere": `select count(*) from org_group_accounts g join accounts a on a.id = g.account_id where a.org_id <> g.org_id`,
			"events of others":              `select count(*) from events e join accounts a on a.id = e.actor_id where a.org_id <> e.org_id`,
		} {
			if n, err := sqldb.One(db.Read(t.Context()), sqldb.Value[int], query); err != nil || n != 0 {
				t.Errorf("%s: %d (%v)", what, n, err)
			}
		}
		count := func(query string) int {
			n, err := sqldb.One(db.Read(t.Context()), sqldb.Value[int], query)
			if err != nil {
				t.Error(err)
			}
			return n
		}
		for query, want := range map[string]int{`select count(*) from orgs`: 300, `select count(*) from accounts`: 6000, `select count(*) from events`: 500, `select count(*) from org_nodes where kind = 'msp'`: 3,
			`select max(n) from (select count(*) as n from accounts group by org_id) c`: 1200} {
			if got := count(query); got != want {
				t.Errorf("%s: %d, want %d", query, got, want)
			}
		}
		type keys struct{ text, key string }
		read := func(query string) []keys {
			list, err := sqldb.All(db.Read(t.Context()), func(row sqldb.Row) (k keys, err error) { return k, row(&k.text, &k.key) }, query)
			if err != nil || len(list) == 0 {
				t.Errorf("%s: %d (%v)", query, len(list), err)
			}
			return list
		}
		for _, k := range read(`select email, email_key from accounts`) {
			if e, fault := account.ParseEmail("email", k.text); fault != nil || e.Text != k.text || e.Key != k.key {
				t.Errorf("address %q with key %q: %v", k.text, k.key, fault)
			}
		}
		for _, k := range read(`select username, username_key from accounts where username is not null`) {
			if account.FoldIdentifier(k.text) != k.key {
				t.Errorf("user name %q with key %q", k.text, k.key)
			}
		}
		for _, k := range read(`select slug, slug_key from orgs`) {
			if key, fault := org.FoldSlug(k.text); fault != nil || key != k.key {
				t.Errorf("tenant domain %q with key %q: %v", k.text, k.key, fault)
			}
		}
		for _, k := range read(`select name, name_key from orgs`) {
			if name, fault := org.CheckName(k.text); fault != nil || name != k.text || org.Fold(k.text) != k.key {
				t.Errorf("name %q with key %q: %v", k.text, k.key, fault)
			}
		}
	})
}
