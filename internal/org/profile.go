package org

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Profile is what an organisation's page of settings changes.
type Profile struct {
	Name     string
	Language locale.Language
	TimeZone string
	Country  string // ISO 3166-1 alpha-2; empty: none
	Tags     []string
}

const (
	mostTags = 20
	mostTag  = 40 // characters
)

// CheckProfile returns a profile in the form in which it is kept, or refusals at the fields name, language, time_zone, country, tags.
func CheckProfile(p Profile) (Profile, error) {
	name, nameFault := CheckName(p.Name)
	p.Name = name
	var languageFault, countryFault *refusal.Error
	if _, ok := locale.Parse(string(p.Language)); !ok {
		languageFault = refusal.Field("language", "language.unknown")
	}
	if p.Country = strings.ToUpper(strings.TrimSpace(p.Country)); p.Country != "" && !slices.Contains(Countries(), p.Country) {
		countryFault = refusal.Field("country", "country.unknown")
	}
	tags, tagsFault := checkTags(p.Tags)
	p.Tags = tags
	return p, refusal.All(nameFault, languageFault, CheckTimeZone(p.TimeZone), countryFault, tagsFault)
}

// checkTags returns tags without repetition, in the order in which they were given.
func checkTags(list []string) ([]string, *refusal.Error) {
	var tags, keys []string
	for _, t := range list {
		if strings.TrimSpace(t) == "" {
			continue
		}
		t, fault := CheckName(t)
		if fault != nil || len([]rune(t)) > mostTag {
			return nil, refusal.Field("tags", "tags.form", "Most", mostTag)
		}
		if key := Fold(t); !slices.Contains(keys, key) {
			tags, keys = append(tags, t), append(keys, key)
		}
	}
	if len(tags) > mostTags {
		return nil, refusal.Field("tags", "tags.many", "Most", mostTags)
	}
	return tags, nil
}

// SplitTags takes tags apart that somebody typed, separated by commas or lines.
func SplitTags(typed string) []string {
	return strings.FieldsFunc(typed, func(r rune) bool { return r == ',' || r == ';' || r == '\n' || r == '\r' })
}

// Tags returns an organisation's tags in the order of their folded form.
func Tags(tx sqldb.Tx, o id.Org) ([]string, error) {
	return sqldb.All(tx, sqldb.Value[string], `select tag from org_tags where org_id = $1 order by tag_key`, o)
}

// SaveProfile stores a checked profile; false means that somebody else has changed it since revision rev.
func SaveProfile(tx sqldb.Tx, o id.Org, rev int64, p Profile) (bool, error) {
	n, err := tx.Exec(`update orgs set name = $1, name_key = $2, language = $3, time_zone = $4, country = $5, rev = rev + 1 where id = $6 and rev = $7`,
		p.Name, Fold(p.Name), p.Language, p.TimeZone, p.Country, o, rev)
	if err != nil || n == 0 {
		return false, err
	}
	return true, setTags(tx, o, p.Tags)
}

func setTags(tx sqldb.Tx, o id.Org, tags []string) error {
	if _, err := tx.Exec(`delete from org_tags where org_id = $1`, o); err != nil {
		return err
	}
	for _, t := range tags {
		if _, err := tx.Exec(`insert into org_tags (org_id, tag_key, tag) values ($1, $2, $3)`, o, Fold(t), t); err != nil {
			return err
		}
	}
	return nil
}

// noCountries are codes that stand for something else, or for what is a part of a country listed already (ISO 3166-1, exceptional reservations).
var noCountries = []string{"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "TA", "UN"}

// Countries lists the codes of all countries (ISO 3166-1 alpha-2), sorted.
func Countries() []string {
	var list []string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			if r, err := language.ParseRegion(code); err == nil && r.IsCountry() && r.String() == code && r == r.Canonicalize() && !slices.Contains(noCountries, code) {
				list = append(list, code)
			}
		}
	}
	return list
}

// Waiting is how long an organisation that is to be deleted stays (mission D7).
func Waiting(k access.OrgKind) time.Duration {
	if k == access.MSP {
		return 14 * 24 * time.Hour
	}
	return 2 * 24 * time.Hour
}

// SlugRests is how long the tenant domain of an organisation that is gone stays unused, so that old links and habits lead nobody to another one.
const SlugRests = 90 * 24 * time.Hour
