// Package org owns organisations: name, tenant domain, language, time zone, and the rules that are set for each. The tree itself,
// and who may do what in it, is access's.
package org

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"doorward/internal/access"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Setup is how far Initial Setup of an organisation is.
type Setup string

// SetupDone is the only setup state until Initial Setup exists.
const SetupDone Setup = "done"

// Org is an organisation.
type Org struct {
	ID       id.Org
	Parent   id.Org // empty for the provider
	Kind     access.OrgKind
	State    access.State
	Kept     access.State // while it is being deleted: what it was before; empty is active
	Slug     string       // tenant domain
	Name     string
	Language locale.Language
	TimeZone string // IANA name
	Country  string // ISO 3166-1 alpha-2, may be empty
	Setup    Setup
	Created  time.Time
	Rev      int64     // counts changes of the profile
	DeleteAt time.Time // while it is being deleted: when it goes

	ParentName string // of the organisation above it; empty for the provider
	ParentSlug string

	Rules    policy.Rules      // that hold here: its own settings and what it inherits
	Settings policy.Settings   // its own
	Above    []policy.Settings // of the organisations above it, the provider first

	Brand    Brand // that it shows: its own, and what it lacks from the nearest above it that has it
	OwnBrand Brand
}

// Location returns the organisation's time zone; UTC when the name is not known on this machine.
func (o Org) Location() *time.Location {
	if l, err := time.LoadLocation(o.TimeZone); err == nil {
		return l
	}
	return time.UTC
}

// Suspended tells whether an organisation is suspended, also when it is being deleted besides.
func (o Org) Suspended() bool { return o.State == access.Suspended || o.Kept == access.Suspended }

// Node returns its place in the tree.
func (o Org) Node() access.Node {
	return access.Node{ID: o.ID, Parent: o.Parent, Kind: o.Kind, State: o.State}
}

// SignInPath is the path of the organisation's own sign-in page.
func (o Org) SignInPath() string { return "/o/" + o.Slug + "/login" }

// ParentSignInPath is the path of the sign-in page of the organisation above it.
func (o Org) ParentSignInPath() string { return Org{Slug: o.ParentSlug}.SignInPath() }

// HomePath is the path of the organisation's welcome page and dashboard.
func (o Org) HomePath() string { return "/o/" + o.Slug + "/" }

const columns = `o.id, n.parent_id, n.kind, n.state, n.kept_state, o.slug, o.name, o.language, o.time_zone, o.country, o.setup, o.created_at, o.rev, o.delete_at,
	up.name, up.slug, o.settings, up.settings, top.settings, o.logo, o.accent, o.accent_dark, up.logo, up.accent, up.accent_dark, top.logo, top.accent, top.accent_dark`

// from joins the organisation with those above it: the tree is three levels deep at most (mission.md, vocabulary).
const from = ` from orgs o join org_nodes n on n.id = o.id left join orgs up on up.id = n.parent_id
	left join org_nodes upn on upn.id = n.parent_id left join orgs top on top.id = upn.parent_id`

func scan(row sqldb.Row) (o Org, err error) {
	var own, up, top string
	var above, first Brand
	if err := row(&o.ID, sqldb.Text(&o.Parent), &o.Kind, &o.State, &o.Kept, &o.Slug, &o.Name, &o.Language, &o.TimeZone, &o.Country, &o.Setup,
		sqldb.Time(&o.Created), &o.Rev, sqldb.Time(&o.DeleteAt), sqldb.Text(&o.ParentName), sqldb.Text(&o.ParentSlug), &own, sqldb.Text(&up), sqldb.Text(&top),
		&o.OwnBrand.Logo, &o.OwnBrand.Accent, &o.OwnBrand.Dark, sqldb.Text(&above.Logo), sqldb.Text(&above.Accent), sqldb.Text(&above.Dark),
		sqldb.Text(&first.Logo), sqldb.Text(&first.Accent), sqldb.Text(&first.Dark)); err != nil {
		return o, err
	}
	o.Brand = o.OwnBrand.or(above).or(first)
	for _, text := range []string{top, up, own} {
		if text == "" {
			continue
		}
		var s policy.Settings
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return o, err
		}
		o.Above = append(o.Above, s)
	}
	last := len(o.Above) - 1
	o.Rules, _ = policy.Inherit(o.Above...)
	o.Settings, o.Above = o.Above[last], o.Above[:last]
	return o, nil
}

// SaveSettings stores an organisation's own settings; false means that somebody else has changed them since o was read.
func SaveSettings(tx sqldb.Tx, o Org, s policy.Settings) (bool, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return false, err
	}
	was, err := json.Marshal(o.Settings)
	if err != nil {
		return false, err
	}
	now, err := sqldb.One(tx, sqldb.Value[string], `select settings from orgs where id = $1`, o.ID)
	if err != nil {
		return false, err
	}
	var present policy.Settings // compared as read, so that the spelling of the JSON does not matter
	if err := json.Unmarshal([]byte(now), &present); err != nil {
		return false, err
	}
	if same, err := json.Marshal(present); err != nil || string(same) != string(was) {
		return false, err
	}
	n, err := tx.Exec(`update orgs set settings = $1 where id = $2 and settings = $3`, string(text), o.ID, now)
	return n == 1, err
}

// Find returns an organisation, or a NotFound refusal.
func Find(tx sqldb.Tx, org id.Org) (Org, error) {
	return found(sqldb.One(tx, scan, `select `+columns+from+` where o.id = $1`, org))
}

// BySlug returns the organisation with that tenant domain, however it is spelled, or a NotFound refusal.
func BySlug(tx sqldb.Tx, slug string) (Org, error) {
	key, fault := FoldSlug(slug)
	if fault != nil {
		return Org{}, refusal.New(refusal.NotFound, "error.not_found")
	}
	return found(sqldb.One(tx, scan, `select `+columns+from+` where o.slug_key = $1`, key))
}

func found(o Org, err error) (Org, error) {
	if errors.Is(err, sqldb.ErrNone) {
		return o, refusal.New(refusal.NotFound, "error.not_found")
	}
	return o, err
}

var slugForm = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)

// reservedSlugs would be read as something else than an organisation's name.
var reservedSlugs = []string{"admin", "api", "assets", "doorward", "login", "logout", "me", "o", "oauth", "root", "scim", "support", "system", "www"}

// FoldSlug returns a tenant domain in its one canonical form: lower-case letters, digits, dots and hyphens, 63 at most, neither dot
// nor hyphen at an end or twice in a row. The refusal is at the field "slug".
func FoldSlug(s string) (string, *refusal.Error) {
	for _, r := range s {
		if r > unicode.MaxASCII {
			return "", refusal.Field("slug", "slug.form")
		}
	}
	s = strings.ToLower(strings.TrimSpace(s))
	switch {
	case s == "":
		return "", refusal.Field("slug", "slug.missing")
	case len(s) > 63:
		return "", refusal.Field("slug", "slug.long")
	case !slugForm.MatchString(s), strings.HasPrefix(s, "xn--"):
		return "", refusal.Field("slug", "slug.form")
	case slices.Contains(reservedSlugs, s):
		return "", refusal.Field("slug", "slug.reserved")
	}
	return s, nil
}

// CheckName returns an organisation's name without outer space, or a refusal at the field "name".
func CheckName(s string) (string, *refusal.Error) {
	s = strings.Join(strings.Fields(norm.NFC.String(s)), " ")
	switch {
	case s == "":
		return "", refusal.Field("name", "name.missing")
	case !utf8.ValidString(s):
		return "", refusal.Field("name", "name.form")
	case len([]rune(s)) > 100:
		return "", refusal.Field("name", "name.long", "Most", 100)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return "", refusal.Field("name", "name.form")
		}
	}
	return s, nil
}

// CheckTimeZone returns a refusal at the field "time_zone" unless s is the IANA name of a time zone that this machine knows.
func CheckTimeZone(s string) *refusal.Error {
	if _, err := time.LoadLocation(s); err != nil || s == "" || s == "Local" || len(s) > 60 { // Local would be the machine's own
		return refusal.Field("time_zone", "time_zone.unknown")
	}
	return nil
}

// Fold returns the form in which a text is compared: case-folded, NFC.
func Fold(s string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFD.String(s))) // Unicode, section 3.13: decomposed before it is folded, or U+0345 changes it again
}

// New describes an organisation that is to be made.
type New struct {
	Kind     access.OrgKind
	Parent   id.Org // empty for the provider
	Slug     string
	Name     string
	Language locale.Language // empty: the parent's
	TimeZone string          // empty: the parent's
	Country  string          // ISO 3166-1 alpha-2, may be empty
	Tags     []string
}

// Create makes an organisation in the caller's transaction. Rights are the caller's business; refusals are at the fields slug, name,
// language, time_zone, country and tags.
func Create(tx sqldb.Tx, now time.Time, actor access.Actor, n New) (Org, error) {
	slug, slugFault := FoldSlug(n.Slug)
	o := Org{ID: id.New[id.Org](now), Parent: n.Parent, Kind: n.Kind, State: access.Active, Slug: slug,
		Language: n.Language, TimeZone: n.TimeZone, Setup: SetupDone, Created: now}
	if n.Parent != "" && (n.Language == "" || n.TimeZone == "") {
		parent, err := Find(tx, n.Parent)
		if err != nil {
			return o, err
		}
		if o.Language == "" {
			o.Language = parent.Language
		}
		if o.TimeZone == "" {
			o.TimeZone = parent.TimeZone
		}
	}
	if o.Language == "" {
		o.Language = locale.English
	}
	if o.TimeZone == "" {
		o.TimeZone = "UTC"
	}
	p, err := CheckProfile(Profile{Name: n.Name, Language: o.Language, TimeZone: o.TimeZone, Country: n.Country, Tags: n.Tags})
	o.Name, o.Country = p.Name, p.Country
	faults := refusal.Each(err)
	if slugFault != nil { // in the order of the form
		at := min(len(faults), 1)
		if at == 1 && faults[0].Field != "name" {
			at = 0
		}
		faults = slices.Insert(faults, at, slugFault)
	}
	if err := refusal.All(faults...); err != nil {
		return o, err
	}
	if err := Free(tx, now, slug); err != nil {
		return o, err
	}
	if err := access.Attach(tx, access.Node{ID: o.ID, Parent: o.Parent, Kind: o.Kind, State: o.State}); err != nil {
		return o, err
	}
	if _, err := tx.Exec(`insert into orgs (id, slug, slug_key, name, name_key, language, time_zone, country, setup, settings, created_at)
		values ($1, $2, $2, $3, $4, $5, $6, $7, $8, '{}', $9)`,
		o.ID, slug, o.Name, Fold(o.Name), o.Language, o.TimeZone, o.Country, o.Setup, sqldb.Micros(now)); err != nil {
		if sqldb.Unique(err) { // two at once: the other was first
			return o, slugTaken()
		}
		return o, err
	}
	if err := setTags(tx, o.ID, p.Tags); err != nil {
		return o, err
	}
	facts := map[string]any{"kind": string(o.Kind), "slug": o.Slug, "name": o.Name, "parent": string(o.Parent)}
	if err := audit.Record(tx, now, audit.Event{Org: o.ID, Action: audit.OrgCreated, Actor: actor, Target: audit.TargetOf(o.ID), Data: facts}); err != nil {
		return o, err
	}
	if o.Parent != "" {
		if err := audit.Record(tx, now, audit.Event{Org: o.Parent, Action: audit.OrgCreated, Actor: actor, Target: audit.TargetOf(o.ID), Data: facts}); err != nil {
			return o, err
		}
	}
	return Find(tx, o.ID) // with the rules that it inherits
}

// Free returns nil when a folded tenant domain can be had, else a refusal at the field "slug": an organisation has it, or had it until not long ago.
func Free(tx sqldb.Tx, now time.Time, slug string) error {
	taken, err := sqldb.One(tx, sqldb.Value[int64], `select (select count(*) from orgs where slug_key = $1) +
		(select count(*) from slugs_gone where slug_key = $1 and until > $2)`, slug, sqldb.Micros(now))
	if err == nil && taken > 0 {
		return slugTaken()
	}
	return err
}

func slugTaken() error { return refusal.Field("slug", "slug.taken") }

// Provider returns the installation's root organisation, or a NotFound refusal before `doorward init`.
func Provider(tx sqldb.Tx) (Org, error) {
	return found(sqldb.One(tx, scan, `select `+columns+from+` where n.parent_id is null`))
}

// Page is a stretch of a list of organisations.
type Page struct {
	Orgs []Org
	Next string // pass as after to get the next stretch; empty at the end
}

// All returns every organisation, parents before children, for the command line.
func All(ctx context.Context, db *sqldb.DB) ([]Org, error) {
	return sqldb.All(db.Read(ctx), scan, `select `+columns+from+` order by
		case n.kind when 'provider' then 0 when 'msp' then 1 else 2 end, o.slug_key`)
}

// Lineage returns the organisations above o and o itself, the provider first: the levels that its rules come from (policy.Origins).
func Lineage(tx sqldb.Tx, o Org) ([]Org, error) {
	list := []Org{o}
	for list[0].Parent != "" {
		up, err := Find(tx, list[0].Parent)
		if err != nil {
			return nil, err
		}
		list = slices.Insert(list, 0, up)
	}
	return list, nil
}
