package audit

import (
	"errors"
	"time"

	"doorward/internal/sqldb"
)

// Newest returns when the newest event of all organisations happened, the zero time when there is none. A clock that is behind it is
// wrong, or was.
func Newest(tx sqldb.Tx) (time.Time, error) {
	us, err := sqldb.One(tx, sqldb.Value[int64], `select at from events order by id desc limit 1`) // ids sort by time
	if errors.Is(err, sqldb.ErrNone) {
		return time.Time{}, nil
	}
	return sqldb.At(us), err
}
