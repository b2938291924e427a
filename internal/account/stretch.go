package account

import (
	"slices"

	"doorward/internal/access"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// Stretch is a part of an organisation's active people in the order of their addresses, with what their way in rests on: read in few
// statements, however many they are.
type Stretch struct {
	People  []Account
	Roles   map[id.Account][]access.Assignment
	Factors map[id.Account][]factor.Factor // without passwords; of a linked account those of its home account
	Homes   map[id.Account]Account         // home accounts of the linked ones, by their own id; their roles are among Roles
	Next    string                         // pass as after to get the next stretch; empty at the end
}

// ReadStretch returns the people whose EmailKey follows after, most at most.
func ReadStretch(tx sqldb.Tx, o id.Org, after string, most int) (s Stretch, err error) {
	if s.People, err = sqldb.All(tx, scan, `select `+columns+` from accounts where org_id = $1 and state = 'active' and email_key > $2
		order by email_key limit $3`, o, after, most); err != nil || len(s.People) == 0 {
		return s, err
	}
	first, last := s.People[0].EmailKey, s.People[len(s.People)-1].EmailKey
	if len(s.People) == most {
		s.Next = last
	}
	if s.Factors, err = factor.OfStretch(tx, o, first, last); err != nil {
		return s, err
	}
	s.Roles = map[id.Account][]access.Assignment{}
	roles := func(query string) error {
		list, err := sqldb.All(tx, func(row sqldb.Row) (r access.Assignment, err error) {
			return r, row(&r.ID, &r.Org, &r.Account, &r.Role, sqldb.Time(&r.Expires), &r.Name)
		}, `select s.id, s.org_id, s.account_id, s.role, s.expires_at, coalesce(r.name, '') from assignments s
			left join roles r on r.id = s.role and r.org_id = s.org_id where `+query+` order by s.role`, o, first, last)
		for _, r := range list {
			s.Roles[r.Account] = append(s.Roles[r.Account], r)
		}
		return err
	}
	if err := roles(`s.account_id in (select id from accounts
		where org_id = $1 and state = 'active' and email_key >= $2 and email_key <= $3) and s.org_id = $1`); err != nil {
		return s, err
	}
	if !slices.ContainsFunc(s.People, Account.Linked) {
		return s, nil
	}
	const homes = `(select home_id from accounts where org_id = $1 and state = 'active' and home_id is not null and email_key >= $2 and email_key <= $3)`
	list, err := sqldb.All(tx, scan, `select `+columns+` from accounts where id in `+homes, o, first, last)
	if err != nil {
		return s, err
	}
	s.Homes = map[id.Account]Account{}
	for _, a := range list {
		s.Homes[a.ID] = a
	}
	return s, roles(`s.account_id in ` + homes)
}
