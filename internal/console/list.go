package console

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"doorward/internal/page"
)

// listing is the address of a list: its filters, its order and its columns, without what is as it is in the plain list. Each link of the page
// changes one thing in it and begins the list anew.
type listing struct {
	query url.Values
	sort  string // as it is now; descending with a minus sign before it
}

// listed returns the listing of a request's query. Of the names given, each counts once; plain is the order of the plain list.
func listed(q url.Values, plain string, names ...string) listing {
	l := listing{query: url.Values{}, sort: q.Get("sort")}
	for _, n := range append(names, "sort") {
		if v := strings.TrimSpace(q.Get(n)); v != "" {
			l.query.Set(n, v)
		}
	}
	if l.sort == "" || l.sort == plain {
		l.sort = plain
		l.query.Del("sort")
	}
	return l
}

// with returns the address that differs in one thing.
func (l listing) with(name, value string) string {
	q := maps.Clone(l.query)
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	return "?" + q.Encode()
}

// narrowed tells whether a filter is set: more than an order and columns.
func (l listing) narrowed() bool {
	for name := range l.query {
		if name != "sort" && name != "col" {
			return true
		}
	}
	return false
}

// head returns the head of a column that sorts. latest begins with the greatest: times and numbers.
func (l listing) head(b *page.Base, order, label string, latest bool) *page.Column {
	next, direction := order, ""
	if latest {
		next = "-" + order
	}
	switch l.sort {
	case order:
		next, direction = "-"+order, "ascending"
	case "-" + order:
		next, direction = order, "descending"
	}
	return b.Column(label).Sorts(l.with("sort", next), direction)
}

// chosen marks the option that has a value.
func chosen(value string, options ...page.Option) []page.Option {
	for i := range options {
		options[i].Chosen = options[i].Value == value
	}
	return options
}

// columns returns which columns a list shows: those asked for, or the standard ones when none is; false when one is unknown. The listing keeps a
// choice that differs from the standard.
func (l listing) columns(asked, standard, known []string) (map[string]bool, bool) {
	asked = slices.Compact(slices.Sorted(slices.Values(asked)))
	if len(asked) == 0 {
		asked = standard
	}
	shown := map[string]bool{}
	for _, c := range asked {
		if !slices.Contains(known, c) {
			return nil, false
		}
		shown[c] = true
	}
	if !slices.Equal(asked, slices.Sorted(slices.Values(standard))) && !slices.Equal(asked, standard) {
		l.query["col"] = asked
	}
	return shown, true
}
