package license

import (
	"strconv"
	"strings"
	"time"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Month is a calendar month of UTC, such as 2026-11: the same for all organisations, wherever they are.
type Month string

const monthForm = "2006-01"

// MonthOf returns the month of a time.
func MonthOf(t time.Time) Month { return Month(t.UTC().Format(monthForm)) }

// ParseMonth returns the month that is written there, or an Invalid refusal for what is none, lies ahead of now, or before Doorward.
func ParseMonth(s string, now time.Time) (Month, error) {
	t, err := time.Parse(monthForm, s)
	if err != nil || t.Year() < 2000 || t.After(now) {
		return "", refusal.New(refusal.Invalid, "error.query")
	}
	return MonthOf(t), nil
}

// Start returns when the month begins; the zero time for what is no month.
func (m Month) Start() time.Time {
	t, _ := time.Parse(monthForm, string(m)) // the zero time otherwise
	return t
}

// Before returns the month n months earlier.
func (m Month) Before(n int) Month { return MonthOf(m.Start().AddDate(0, -n, 0)) }

// mark keeps the most that an organisation had in use in the month: began is what it had before this change, most what counts after it. It writes
// only when the month has no row yet, or the mark rises.
func mark(tx sqldb.Tx, now time.Time, org id.Org, began, most int) error {
	_, err := tx.Exec(`insert into seat_marks (org_id, month, began, most) values ($1, $2, $3, $4)
		on conflict (org_id, month) do update set most = excluded.most where excluded.most > seat_marks.most`, org, MonthOf(now), began, most)
	return err
}

// Mark is the most seats that an organisation had in use in a month.
type Mark struct {
	Month Month
	Most  int
}

// Marks returns the last n months, the present one last. A month without a change has what the next one with a change began with, and after the
// last change what is in use now.
func Marks(tx sqldb.Tx, now time.Time, org id.Org, n int) ([]Mark, error) {
	s, err := SeatsOf(tx, org)
	if err != nil {
		return nil, err
	}
	last := MonthOf(now)
	type row struct {
		month       Month
		began, most int
	}
	rows, err := sqldb.All(tx, func(scan sqldb.Row) (r row, err error) { return r, scan(&r.month, &r.began, &r.most) },
		`select month, began, most from seat_marks where org_id = $1 and month >= $2 order by month desc`, org, last.Before(n-1))
	if err != nil {
		return nil, err
	}
	list := make([]Mark, n)
	had := s.Used
	for i := range n {
		m := Mark{last.Before(i), had}
		for len(rows) > 0 && rows[0].month > m.Month { // of a node whose clock is ahead
			had, m.Most, rows = rows[0].began, rows[0].began, rows[1:]
		}
		if len(rows) > 0 && rows[0].month == m.Month {
			m.Most, had, rows = rows[0].most, rows[0].began, rows[1:]
		}
		list[n-1-i] = m
	}
	return list, nil
}

// MarksIn returns the marks of several organisations in one month, as Marks does. Its statement names most organisations, at least as many as there
// are, so that its text does not depend on how full a page is.
func MarksIn(tx sqldb.Tx, month Month, orgs []id.Org, most int) (map[id.Org]int, error) {
	marks := map[id.Org]int{}
	if len(orgs) == 0 {
		return marks, nil
	}
	args, in := []any{month}, make([]string, max(most, len(orgs)))
	for i := range in {
		args, in[i] = append(args, orgs[min(i, len(orgs)-1)]), `$`+strconv.Itoa(i+2)
	}
	type row struct {
		org  id.Org
		most int
	}
	rows, err := sqldb.All(tx, func(scan sqldb.Row) (r row, err error) { return r, scan(&r.org, &r.most) },
		`select s.org_id, coalesce((select m.most from seat_marks m where m.org_id = s.org_id and m.month = $1),
		(select m.began from seat_marks m where m.org_id = s.org_id and m.month > $1 order by m.month limit 1), s.used)
		from seats s where s.org_id in (`+strings.Join(in, `, `)+`)`, args...)
	for _, r := range rows {
		marks[r.org] = r.most
	}
	return marks, err
}
