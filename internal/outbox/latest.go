package outbox

import (
	"strconv"
	"strings"

	"doorward/internal/id"
	"doorward/internal/sqldb"
)

// LatestAmong returns the newest mail of a kind to each of some accounts, in one statement. most is how many there can be: the statement names as
// many, so that its text does not depend on how many there are.
func LatestAmong(tx sqldb.Tx, kind Kind, accounts []id.Account, most int) (map[id.Account]Message, error) {
	latest := map[id.Account]Message{}
	if len(accounts) == 0 {
		return latest, nil
	}
	args := []any{kind}
	in := make([]string, most)
	for i := range most {
		args = append(args, accounts[min(i, len(accounts)-1)])
		in[i] = `$` + strconv.Itoa(i+2)
	}
	list, err := sqldb.All(tx, scanMessage, `select `+messageColumns+` from outbox where kind = $1 and account_id in (`+strings.Join(in, `, `)+`) order by id`, args...)
	for _, m := range list {
		latest[m.Account] = m
	}
	return latest, err
}
