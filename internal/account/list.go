package account

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Listed is an account in the people list.
type Listed struct {
	Account
	Roles    []access.Assignment // by role, ended ones too
	Apps     int                 // authenticator apps in use
	Passkeys int                 // passkeys and security keys in use
}

// Seconds is how many second factors the account itself has; a linked one's are at its home.
func (l Listed) Seconds() int { return l.Apps + l.Passkeys }

// Order is what the people list is sorted by, descending with a minus sign before it.
type Order string

// The orders. An id is made with its account, so accounts stand in the order of their ids as they were created.
const (
	ByAddress Order = "email"
	ByName    Order = "name" // the address of who has not given one
	BySeen    Order = "seen" // the last sign-in, never being the earliest
	ByCreated Order = "created"
)

// Orders lists them, each ascending.
var Orders = []Order{ByAddress, ByName, BySeen, ByCreated}

// Down is the same order descending.
func (o Order) Down() Order { return "-" + o }

// The values of Filter.Factor.
const (
	WithFactor    = "any"
	WithoutFactor = "none"
	WithApp       = "totp"
	WithPasskey   = "passkey"
)

// The values of Filter.Source: people of the organisation itself, and those who have their home in one above.
const (
	OwnSource    = "own"
	LinkedSource = "linked"
)

// The values of Filter.Seen: when somebody last signed in.
const (
	SeenNever   = "never"
	SeenWeek    = "week"    // within the last 7 days
	SeenMonth   = "month"   // once, but not for 30 days
	SeenQuarter = "quarter" // once, but not for 90 days
)

// Filter narrows the people list; what is empty does not. After is People's mark of the page before, with the same filter.
type Filter struct {
	Search string // beginning of the address, of the name, or of a word in it
	State  State
	Role   string // its key, or the id of an own one; whoever held it until it ended is found too
	Factor string
	Source string
	Seen   string
	Now    time.Time // with Seen
	Order  Order     // ByAddress when empty
	After  string
	Most   int
}

// narrow tells whether the list is not everybody.
func (f Filter) narrow() bool {
	return strings.TrimSpace(f.Search) != "" || f.State != "" || f.Role != "" || f.Factor != "" || f.Source != "" || f.Seen != ""
}

// few tells whether few people are left before roles and second factors are asked for.
func (f Filter) few() bool {
	return strings.TrimSpace(f.Search) != "" || f.Seen != "" && f.Seen != SeenWeek || f.State == Invited || f.State == Disabled || f.State == Deleting
}

// scope is what a mark is good for.
func (f Filter) scope(o id.Org) string {
	return strings.Join([]string{"people", string(o), string(f.Order), f.Search, string(f.State), f.Role, f.Factor, f.Source, f.Seen}, "\x00")
}

// check returns a refusal of a filter that no page of ours asks for.
func (f Filter) check() error {
	for _, s := range []string{f.Search, f.Role} {
		if len(s) > 254 || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return refusal.New(refusal.Invalid, "error.query")
		}
	}
	known := slices.Contains([]State{"", Invited, Active, Disabled, Deleting}, f.State) &&
		slices.Contains([]string{"", WithFactor, WithoutFactor, WithApp, WithPasskey}, f.Factor) &&
		slices.Contains([]string{"", OwnSource, LinkedSource}, f.Source) &&
		slices.Contains([]string{"", SeenNever, SeenWeek, SeenMonth, SeenQuarter}, f.Seen)
	if !known {
		return refusal.New(refusal.Invalid, "error.query")
	}
	return nil
}

// shown is Account.Shown, folded, as the index has it.
const shown = `lower(case when name = '' then email_key else name end)`

// orders says how each order is read.
var orders = map[Order]struct {
	key    string // an index has it, behind the organisation
	free   string // the same where the index that holds it is not wanted for it
	unique bool   // within an organisation; else the id decides between equal ones
	of     func(Account) any
}{
	ByAddress: {`email_key`, `email_key || ''`, true, func(a Account) any { return a.EmailKey }},
	ByName:    {shown, shown, false, func(a Account) any { return lower(cmp.Or(a.Name, a.EmailKey)) }},
	BySeen:    {`last_sign_in_at`, `last_sign_in_at + 0`, false, func(a Account) any { return sqldb.Micros(a.LastSignIn) }},
	ByCreated: {`id`, `id || ''`, true, func(a Account) any { return string(a.ID) }},
}

// lower is what lower() makes of a text in both databases, where text is compared bytewise: it changes ASCII letters alone.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// People returns a page of an organisation's people, and the mark of the next page; it is empty at the end. What the filter does not know and
// a mark of another list are Invalid refusals.
//
// Everybody is read along the index of the order: the work is that of a page. A narrowed list is sifted: one index holds all that the filter
// asks for, it is read through once for that organisation, and only the rows of the page are fetched. That costs the same whatever is asked,
// some 10 ms for 20,000 people; no index could serve each combination of filter and order.
func People(tx sqldb.Tx, o id.Org, f Filter) (list []Listed, next string, err error) {
	accounts, next, err := pageOf(tx, o, f)
	if err != nil || len(accounts) == 0 {
		return nil, "", err
	}
	list, err = details(tx, o, accounts, f.Most)
	return list, next, err
}

// Choose returns all people that a filter finds, in its order, or a Conflict refusal when they are more than most.
func Choose(tx sqldb.Tx, o id.Org, f Filter, most int) ([]Account, error) {
	f.After, f.Most = "", most
	list, next, err := pageOf(tx, o, f)
	if err == nil && next != "" {
		err = refusal.New(refusal.Conflict, "bulk.many", "Most", most)
	}
	return list, err
}

// pageOf is People without roles and second factors.
func pageOf(tx sqldb.Tx, o id.Org, f Filter) (accounts []Account, next string, err error) {
	if err := f.check(); err != nil {
		return nil, "", err
	}
	if f.Order == "" {
		f.Order = ByAddress
	}
	by, down := strings.CutPrefix(string(f.Order), "-")
	order, ok := orders[Order(by)]
	if !ok {
		return nil, "", refusal.New(refusal.Invalid, "error.query")
	}
	from, after, err := f.begin(o, Order(by), down)
	if err != nil {
		return nil, "", err
	}
	than, direction := `>`, ``
	if down {
		than, direction = `<`, ` desc`
	}
	then := `, id` + direction
	if order.unique {
		then = ``
	}
	if f.narrow() {
		// Of everybody a set is faster, of the few that are left a look at each.
		role := `id in (select account_id from assignments where org_id = $1 and role = $10)`
		held := `id in (select account_id from factors where org_id = $1 and kind in ($12, $13) and state = 'active')`
		if f.few() {
			role = `exists (select 1 from assignments s where s.org_id = $1 and s.role = $10 and s.account_id = accounts.id)`
			held = `exists (select 1 from factors f where f.org_id = $1 and f.kind in ($12, $13) and f.account_id = accounts.id and f.state = 'active')`
		}
		accounts, err = sqldb.All(tx, scan, `select `+columns+` from (select id as found, `+order.free+` as place from accounts where org_id = $1
			and ($2 = '' or state = $2) and ($3 <> 'own' or home_id is null) and ($3 <> 'linked' or home_id is not null)
			and last_sign_in_at + 0 >= $4 and last_sign_in_at + 0 <= $5
			and ($6 = '' or email_key || '' >= $6 and email_key || '' < $7 or ' ' || lower(name) like $8 escape '\'
				or $9 <> '' and ' ' || lower(name) like $9 escape '\')
			and ($10 = '' or `+role+`) and ($11 = 0 or $11 = case when `+held+` then 1 else 2 end)
			and (`+order.free+` `+than+` $14 or `+order.free+` = $14 and id `+than+` $15)
			order by `+order.free+direction+then+` limit $16) sifted join accounts on id = found order by place`+direction+then,
			append(f.sieve(o), from, after, f.Most+1)...)
	} else {
		accounts, err = sqldb.All(tx, scan, `select `+columns+` from accounts where org_id = $1 and `+order.key+` `+than+`= $2
			and (`+order.key+` `+than+` $2 or id `+than+` $3) order by `+order.key+direction+then+` limit $4`, o, from, after, f.Most+1)
	}
	if err != nil || len(accounts) == 0 {
		return nil, "", err
	}
	if len(accounts) > f.Most {
		accounts = accounts[:f.Most]
		last := accounts[f.Most-1]
		key := order.of(last)
		if n, ok := key.(int64); ok {
			key = strconv.FormatInt(n, 10)
		}
		next = sqldb.Mark(f.scope(o), key.(string), string(last.ID))
	}
	return accounts, next, nil
}

// begin returns what the page comes after: the key of the order and the id of the last row before it.
func (f Filter) begin(o id.Org, by Order, down bool) (from any, after string, err error) {
	if f.After == "" {
		switch {
		case by == BySeen && down:
			return int64(1<<63 - 1), last, nil
		case by == BySeen:
			return int64(-1), "", nil
		case down:
			return last, last, nil
		}
		return "", "", nil
	}
	keys, ok := sqldb.Unmark(f.scope(o), f.After, 2)
	if !ok {
		return nil, "", refusal.New(refusal.Invalid, "error.query")
	}
	if by != BySeen {
		return keys[0], keys[1], nil
	}
	n, err := strconv.ParseInt(keys[0], 10, 64)
	if err != nil {
		return nil, "", refusal.New(refusal.Invalid, "error.query")
	}
	return n, keys[1], nil
}

// sieve returns the parameters $1 to $13 of a narrowed list.
func (f Filter) sieve(o id.Org) []any {
	address := org.Fold(strings.TrimSpace(norm.NFC.String(f.Search)))
	lowered, titled := words(f.Search)
	seenFrom, seenTo := int64(0), int64(1<<63-1)
	ago := func(days int) int64 { return sqldb.Micros(f.Now.AddDate(0, 0, -days)) }
	switch f.Seen {
	case SeenNever:
		seenTo = 0
	case SeenWeek:
		seenFrom = ago(7)
	case SeenMonth:
		seenFrom, seenTo = 1, ago(30)
	case SeenQuarter:
		seenFrom, seenTo = 1, ago(90)
	}
	with, kind, other := 0, WithApp, WithPasskey
	switch f.Factor {
	case WithFactor:
		with = 1
	case WithoutFactor:
		with = 2
	case WithApp, WithPasskey:
		with, kind, other = 1, f.Factor, f.Factor
	}
	source := f.Source
	if with == 2 && source == "" { // a linked account's factors are at its home
		source = OwnSource
	}
	return []any{o, f.State, source, seenFrom, seenTo, address, address + last, sqldb.Beginning(lowered), sqldb.Beginning(titled), f.Role, with, kind, other}
}

// words returns a search for names in the forms in which names are written, as far as lower() of the database leaves them: all letters small,
// and the first letter of each word great where it is outside ASCII; empty when that is no difference.
func words(s string) (lowered, titled string) {
	lowered = strings.Join(strings.Fields(strings.ToLower(norm.NFC.String(s))), " ")
	before := ' '
	titled = strings.Map(func(r rune) rune {
		first := before == ' ' || before == '-'
		before = r
		if first && r > unicode.MaxASCII {
			return unicode.ToUpper(r)
		}
		return r
	}, lowered)
	if titled == lowered {
		titled = ""
	}
	return lowered, titled
}

// details reads the roles and second factors of a page in two statements. They name as many accounts as a full page has, so that their text does
// not depend on how full it is.
func details(tx sqldb.Tx, o id.Org, accounts []Account, most int) ([]Listed, error) {
	list := make([]Listed, len(accounts))
	at := map[id.Account]*Listed{}
	args := []any{o}
	for i := range most {
		args = append(args, accounts[min(i, len(accounts)-1)].ID)
	}
	for i, a := range accounts {
		list[i].Account = a
		at[a.ID] = &list[i]
	}
	among := func(first int) string {
		in := make([]string, most)
		for i := range most {
			in[i] = `$` + strconv.Itoa(first+i)
		}
		return `account_id in (` + strings.Join(in, `, `) + `)`
	}
	roles, err := sqldb.All(tx, func(row sqldb.Row) (s access.Assignment, err error) {
		return s, row(&s.ID, &s.Org, &s.Account, &s.Role, sqldb.Time(&s.Expires), &s.Name)
	}, `select id, org_id, account_id, role, expires_at, coalesce((select name from roles r where r.id = role and r.org_id = s.org_id), '')
		from assignments s where org_id = $1 and `+among(2), args...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(roles, func(a, b access.Assignment) int { return strings.Compare(a.Role, b.Role) })
	for _, s := range roles {
		at[s.Account].Roles = append(at[s.Account].Roles, s)
	}
	type held struct {
		account id.Account
		kind    string
		n       int
	}
	// Not by the organisation as well: PostgreSQL would read all of its factors.
	factors, err := sqldb.All(tx, func(row sqldb.Row) (h held, err error) { return h, row(&h.account, &h.kind, &h.n) },
		`select account_id, kind, count(*) from factors where `+among(1)+` and kind in ('totp', 'passkey') and state = 'active' group by account_id, kind`, args[1:]...)
	for _, h := range factors {
		if h.kind == WithApp {
			at[h.account].Apps = h.n
		} else {
			at[h.account].Passkeys = h.n
		}
	}
	return list, err
}

// Counts is how many people an organisation has in each state.
type Counts struct{ Invited, Active, Disabled, Deleting int }

// Count counts an organisation's people.
func Count(tx sqldb.Tx, o id.Org) (c Counts, err error) {
	type row struct {
		state State
		n     int
	}
	rows, err := sqldb.All(tx, func(scan sqldb.Row) (r row, err error) { return r, scan(&r.state, &r.n) },
		`select state, count(*) from accounts where org_id = $1 group by state`, o)
	for _, r := range rows {
		switch r.state {
		case Invited:
			c.Invited = r.n
		case Active:
			c.Active = r.n
		case Disabled:
			c.Disabled = r.n
		case Deleting:
			c.Deleting = r.n
		}
	}
	return c, err
}
