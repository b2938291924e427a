package factor

import (
	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// OfStretch returns what stands for a second factor of an organisation's active people whose addresses lie between two of them: as much as says
// whether it can be used. A linked account has those of its home account.
func OfStretch(tx sqldb.Tx, o id.Org, first, last string) (map[id.Account][]Factor, error) {
	list, err := sqldb.All(tx, func(row sqldb.Row) (f Factor, err error) {
		return f, row(&f.Account, &f.Kind, &f.State, &f.Counter, &f.data)
	}, `select a.id, f.kind, f.state, f.counter, case when f.kind = 'access-code' then f.data else '' end
		from accounts a join factors f on f.account_id = coalesce(a.home_id, a.id)
		where a.org_id = $1 and a.state = 'active' and a.email_key >= $2 and a.email_key <= $3 and f.kind <> 'password'`, o, first, last)
	of := map[id.Account][]Factor{}
	for _, f := range list {
		of[f.Account] = append(of[f.Account], f)
	}
	return of, err
}
