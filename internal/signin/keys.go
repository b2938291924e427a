package signin

import (
	"encoding/json"
	"time"

	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// UsesKey tells whether a sign-in that is under way holds a mailed code sealed with that key. Such codes are never sealed again:
// in half an hour they are over.
func UsesKey(tx sqldb.Tx, now time.Time, key string) (bool, error) {
	texts, err := sqldb.All(tx, sqldb.Value[string], `select data from attempts where state = 'open' and expires_at > $1`, sqldb.Micros(now))
	if err != nil {
		return false, err
	}
	for _, t := range texts {
		var p Proved
		if err := json.Unmarshal([]byte(t), &p); err != nil {
			return false, err
		}
		if p.MailCode == nil {
			continue
		}
		if name, _, err := secret.KeyOf(p.MailCode); err != nil || name == key {
			return true, err
		}
	}
	return false, nil
}
