package account

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/sqldb"
)

// Found is a person whom a search found, and where.
type Found struct {
	Account
	OrgName string
	OrgSlug string
}

const (
	fewestSearched = 2      // characters that a search below an organisation begins with
	fewestInMany   = 3      // the same where beginnings alone are looked for: two of them find thousands
	mostSifted     = 25_000 // people whose names are looked through word by word
)

// Search returns the people in the organisations under top, not its own, whose address or name begins with search, at most so many of them, in the
// order of what was found. Where no more than 25,000 people are below it, a word in the name is found as well; where there are more, three characters are the least. groups limits them to the
// organisations in the groups of that account (access.Rights.GroupsOnlyTo). Fewer than two characters find nobody; what no page of ours asks
// for is an Invalid refusal.
//
// Beginnings are read along indexes: of the whole installation where top is the provider, else of each organisation below, a few microseconds
// each. Looking through names costs as much as a narrowed people list.
func Search(tx sqldb.Tx, top id.Org, groups id.Account, search string, most int) ([]Found, error) {
	if err := (Filter{Search: search}).check(); err != nil {
		return nil, err
	}
	search = strings.TrimSpace(norm.NFC.String(search))
	if utf8.RuneCountInString(search) < fewestSearched {
		return nil, nil
	}
	node, err := access.Find(tx, top)
	if err != nil {
		return nil, err
	}
	if node.Parent == "" && groups == "" {
		return beginning(tx, `accounts a where a.org_id <> $1`, top, search, most, ` order by place limit `+strconv.Itoa(most))
	}
	where, of := `select org_id as o from org_tree where ancestor_id = $1 and depth > 0`, string(top)
	if groups != "" {
		where, of = `select m.member_id as o from org_group_accounts g join org_group_orgs m on m.group_id = g.group_id where g.account_id = $1`, string(groups)
	}
	people, err := sqldb.One(tx, sqldb.Value[int], `select coalesce(sum(s.used), 0) from (`+where+`) w join seats s on s.org_id = w.o`, of)
	if err != nil {
		return nil, err
	}
	if people > mostSifted && utf8.RuneCountInString(search) < fewestInMany {
		return nil, nil
	}
	if people > mostSifted {
		return beginning(tx, `(`+where+`) w join accounts a on a.org_id = w.o where 1 = 1`, of, search, most, ``)
	}
	address := org.Fold(search)
	lowered, titled := words(search)
	return sqldb.All(tx, scanFound, hits(`select a.id as found, min(a.email_key) as place from (`+where+`) w join accounts a on a.org_id = w.o
		where a.email_key || '' >= $2 and a.email_key || '' < $3 or ' ' || lower(a.name) like $4 escape '\' or $5 <> '' and ' ' || lower(a.name) like $5 escape '\'
		group by a.id order by 2 limit $6`), of, address, address+last, sqldb.Beginning(lowered), sqldb.Beginning(titled), most)
}

// last is a text after every other one that begins alike.
const last = "\U0010ffff"

// beginning finds people by the beginnings of their addresses and names along the indexes of both. from ends in a condition and takes $1; each is
// what follows each reading.
func beginning(tx sqldb.Tx, from string, of any, search string, most int, each string) ([]Found, error) {
	args := []any{of}
	reading := func(key, begins string) string {
		args = append(args, begins, begins+last)
		n := len(args)
		return `select * from (select a.id as found, ` + key + ` as place from ` + from + ` and ` + key + ` >= $` + strconv.Itoa(n-1) + ` and ` + key + ` < $` + strconv.Itoa(n) + each + `) r`
	}
	name := strings.ReplaceAll(strings.ReplaceAll(shown, `email_key`, `a.email_key`), ` name`, ` a.name`)
	lowered, titled := words(search)
	readings := []string{reading(`a.email_key`, org.Fold(search)), reading(name, lower(lowered))}
	if titled != "" {
		readings = append(readings, reading(name, lower(titled)))
	}
	return sqldb.All(tx, scanFound, hits(`select found, min(place) as place from (`+strings.Join(readings, ` union all `)+`) hits group by found order by 2 limit $`+
		strconv.Itoa(len(args)+1)), append(args, most)...)
}

// hits reads the rows of what a selection of ids and places found.
func hits(selection string) string {
	return `select ` + columns + `, org_name, slug from (` + selection + `) sifted join accounts on id = found
		join (select id as of_org, name as org_name, slug from orgs) o on of_org = org_id order by place, found`
}

func scanFound(row sqldb.Row) (f Found, err error) {
	f.Account, err = scan(func(dest ...any) error { return row(append(dest, &f.OrgName, &f.OrgSlug)...) })
	return f, err
}
