package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	random "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/secret"
	"doorward/internal/server"
	"doorward/internal/sqldb"
)

type benchFillCommand struct {
	Orgs     int    `help:"How many organisations: one provider, one MSP in a hundred, the rest customers." default:"10000"`
	Accounts int    `help:"How many people." default:"1000000"`
	Events   int    `help:"How many events of the last 90 days." default:"1000000"`
	Seed     uint64 `help:"The same seed makes the same world, but for its ids and secrets." default:"1"`
	Password string `help:"The password of everybody in it; a random one is made and shown by default." placeholder:"PASSWORD"`
}

// Run fills the configured database, which must hold no organisation: what is made here must never stand beside people.
func (c *benchFillCommand) Run(ctx context.Context, t *terminal) (err error) {
	if c.Orgs < 3 || c.Orgs > 100_000 || c.Accounts < 2*c.Orgs || c.Accounts > 10_000_000 || c.Events < 0 || c.Events > 50_000_000 {
		return errors.New("bench fill: --orgs is 3 to 100,000, --accounts twice as many to 10,000,000, --events up to 50,000,000")
	}
	h, err := t.found(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	n, err := sqldb.One(h.DB.Read(ctx), sqldb.Value[int], `select count(*) from (select 1 from org_nodes limit 1) o`)
	if err != nil {
		return err
	}
	if n > 0 {
		return errors.New("bench fill: the database holds an organisation already; give an empty one with --data or --database")
	}
	if c.Password == "" {
		c.Password = "fill-" + rand.Text()[:20]
	}
	began := time.Now()
	f := &filling{House: h, command: c, progress: newProgress(t.screen), now: h.Now(), dice: random.New(random.NewPCG(c.Seed, 17))}
	if err := f.run(ctx); err != nil {
		f.progress.end()
		return err
	}
	f.progress.end()
	if err := t.say("%d organisations, %d people and %d events in %s.\nPassword of everybody: %s", len(f.orgs), len(f.people), c.Events,
		time.Since(began).Round(time.Second), c.Password); err != nil {
		return err
	}
	rows := [][]string{{"ADMINISTRATOR", "OF", "PEOPLE", "SIGN-IN PAGE", "KEY OF THE AUTHENTICATOR APP"}}
	for _, k := range f.known {
		o := f.orgs[k.org]
		rows = append(rows, []string{k.email, string(o.kind), strconv.Itoa(o.people), t.address((org.Org{Slug: o.slug}).SignInPath()), k.key})
	}
	return t.table(rows)
}

// The administrators that a benchmark signs in as: of the provider, of the largest MSP, of the largest customer.
const (
	fillProvider = "provider.bench.example"
	fillMSP      = "msp.bench.example"
	fillCustomer = "customer.bench.example"
	fillAdmin    = "admin@"
)

// filling is one run. The plan is made first, in memory; then the rows are written in the order of time, as they would come in years,
// so that an organisation's rows lie as scattered as in a real database.
type filling struct {
	*server.House
	command  *benchFillCommand
	progress *progress
	now      time.Time
	dice     *random.Rand

	orgs   []fillOrg
	people []fillPerson
	known  []fillKnown
	phc    string // data column of everybody's password
}

type fillOrg struct {
	id      id.Org
	parent  int // index; -1 for the provider
	kind    access.OrgKind
	slug    string
	name    string
	created time.Time
	people  int
	used    int
	active  int
	covered int
	last    time.Time
	staff   []int // of an MSP: people who are linked into customers or see groups
	next    int   // number of the next person, which makes addresses unique
}

// domain is that of people's addresses.
func (o *fillOrg) domain() string { return strings.TrimSuffix(o.slug, ".example") + ".example" }

// fillPerson is what is planned of a person; everything else is thrown when the row is written.
type fillPerson struct {
	id      id.Account
	org     int32
	home    int32 // index of the home account plus one, for a linked one
	first   bool  // the organisation's first administrator
	state   account.State
	created int64 // seconds since 1970
}

type fillKnown struct {
	org        int
	email, key string
}

// chance tells whether something of that probability happened.
func (f *filling) chance(p float64) bool { return f.dice.Float64() < p }

// ago returns a moment between least and most before now.
func (f *filling) ago(least, most time.Duration) time.Time {
	return f.now.Add(-least - time.Duration(f.dice.Float64()*float64(most-least)))
}

const day = 24 * time.Hour

func (f *filling) run(ctx context.Context) error {
	hash, err := f.Hasher.Hash(ctx, factor.Normalize(secret.Text(f.command.Password)))
	if err != nil {
		return err
	}
	data, err := json.Marshal(map[string]string{"phc": hash})
	if err != nil {
		return err
	}
	f.phc = string(data)
	if err := f.DB.BeginFill(ctx); err != nil {
		return err
	}
	f.planOrgs()
	f.planPeople()
	for _, part := range []func(context.Context) error{f.writeOrgs, f.writePeople, f.writeGroups, f.writeSums, f.writeKnown, f.writeEvents} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return f.DB.EndFill(ctx, `org_nodes`, `org_tree`, `orgs`, `org_tags`, `seats`, `org_health`, `org_groups`, `org_group_orgs`, `org_group_accounts`, `accounts`, `assignments`,
		`factors`, `links`, `outbox`, `events`)
}

var (
	fillWords = strings.Fields(`Adatum Adventure Alpine Baltic Beacon Bellows Birch Blue Border Bright Cedar Civic Clover Coho Contoso Copper Coral Crown
		Delta Dune Eastern Élan Ember Fabrikam Falken Fjord Forth Fourth Garnet Glacier Graphic Green Harbour Hazel Humongous Iron Jade Kestrel Lamna
		Litware Lucerne Lunar Margie Maple Meridian Munson Nod North Northwind Oak Olive Orchard Östlich Pacific Pine Proseware Quarry Relecloud
		Ridge River Sable School Silver South Southridge Spruce Stone Tailspin Tide Trey Umber Valley Vega Vignette West Wide Wingtip Woodgrove Zenith Zürich`)
	fillTrades = strings.Fields(`Works Logistics Energy Dental Bakery Insurance Textiles Foods Media Motors Optics Pharma Publishing Schools Steel Tools
		Toys Traders Travel Vineyard Volunteers Windows Law Clinic Architects Fittings Airlines Bank Bikes Cinema Garden Hotels`)
	fillTags  = []string{"Gold", "Silver", "North", "South", "Pilot", "Schools"}
	fillFirst = strings.Fields(`Ada Adèle Aiko Alma Amir Ana Anders André Anna Arjun Aylin Bea Ben Björn Carl Carla Chiara Dana David Elif Élodie Emil
		Emma Erik Eva Felix Finn Fatima Gil Greta Hana Hans Hugo Ida Ines Ingrid Ivan Jan Jana Jonas José Julia Kai Karin Lara Lars Lea Léa Leon Lina
		Łukasz Maja Marc Maria Mateo Max Mia Milan Mira Nadia Nils Noah Noor Olga Omar Oskar Paul Petra Pia Rita Rosa Ruth Sam Sara Selin Sofia Søren
		Tariq Theo Tim Tom Ulla Ümit Vera Victor Wim Yara Yusuf Zoe Zofia`)
	fillLast = strings.Fields(`Abara Acker Ahmed Almeida Andersson Bauer Becker Berg Bianchi Brandt Brown Çelik Chen Costa Demir Díaz Dubois Dupont
		Eriksen Fischer Fontaine Fournier Garcia Gómez Groß Haddad Hansen Hoffmann Horvat Ito Ivanova Jansen Jensen Johansson Jones Kaya Keller
		Khan Klein Koch Kowalski Kumar Lang Larsson Leroy Lindqvist López Martin Meyer Moreau Müller Nakamura Nguyen Nielsen Novak Okafor Öztürk
		Patel Peeters Petit Popescu Quinn Ricci Richter Rossi Roux Santos Schmidt Schneider Schröder Silva Smit Smith Sørensen Suzuki Šimek Tanaka
		Taylor Thomas Vargas Visser Vogel Wagner Walker Weber Wójcik Wolf Yamada Yıldız Zimmermann`)
	fillPlain = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "è", "e", "ø", "o", "ç", "c", "í", "i", "ó", "o", "š", "s",
		"ł", "l", "ı", "i", "é", "e", "ñ", "n")
)

// planOrgs throws the tree: the first MSP has a good part of the customers, the first customer a good part of the people.
func (f *filling) planOrgs() {
	n := f.command.Orgs
	msps := max(1, n/100)
	var weights []float64
	sum := 0.0
	for i := range msps {
		w := math.Pow(float64(i+1), -0.8)
		weights, sum = append(weights, w), sum+w
	}
	used := map[string]bool{fillProvider: true, fillMSP: true, fillCustomer: true}
	for i := range n {
		o := fillOrg{parent: -1, kind: access.Provider, created: f.now.Add(-1000 * day)}
		switch {
		case i == 0:
			o.slug, o.name = fillProvider, "Bench Provider"
		case i > msps:
			o.kind = access.Customer
			o.created = f.ago(day, 900*day)
			o.parent = 1
			switch {
			case i == msps+1:
				o.slug, o.name, o.created = fillCustomer, "Bench Customer", f.now.Add(-900*day)
			case f.chance(0.05):
				o.parent = 0 // standalone
			default:
				at := f.dice.Float64() * sum
				for k, w := range weights {
					if at -= w; at <= 0 {
						o.parent = 1 + k
						break
					}
				}
			}
		default:
			o.kind, o.parent, o.created = access.MSP, 0, f.ago(901*day, 999*day)
			if i == 1 {
				o.slug, o.name = fillMSP, "Bench MSP"
			}
		}
		if o.name == "" {
			words := []string{fillWords[f.dice.IntN(len(fillWords))], fillTrades[f.dice.IntN(len(fillTrades))]}
			if o.kind == access.MSP {
				words[1] = "IT"
			}
			o.name = strings.Join(words, " ")
			o.slug = plain(strings.Join(words, "-"))
			for k := 2; used[o.slug]; k++ {
				o.slug = plain(strings.Join(words, "-")) + "-" + strconv.Itoa(k)
			}
			used[o.slug] = true
		}
		o.id = id.New[id.Org](o.created)
		f.orgs = append(f.orgs, o)
	}
	f.sizes(msps)
}

// sizes gives each organisation its number of people: log-normal, with one customer of 20,000 and most of a few dozen.
func (f *filling) sizes(msps int) {
	total := f.command.Accounts
	largest := min(20_000, total/5)
	left := total
	var draws []float64
	sum := 0.0
	for i := range f.orgs {
		o := &f.orgs[i]
		draws = append(draws, 0)
		switch {
		case i == msps+1:
			o.people = largest
		case o.kind == access.Provider:
			o.people = min(40, total/50+1)
		case o.kind == access.MSP:
			o.people = min(3+f.dice.IntN(60), total/len(f.orgs)+1)
		default:
			draws[i] = math.Exp(1.5 * f.dice.NormFloat64())
			sum += draws[i]
			continue
		}
		left -= o.people
	}
	spare := left
	for i := range f.orgs {
		if draws[i] > 0 {
			f.orgs[i].people = min(max(1, int(float64(left)*draws[i]/sum)), largest*3/4)
			spare -= f.orgs[i].people
		}
	}
	for i := msps + 2; spare != 0 && len(f.orgs) > msps+2; i++ { // what rounding and the bounds left over, one each
		o := &f.orgs[msps+2+(i-msps-2)%(len(f.orgs)-msps-2)]
		switch {
		case spare > 0:
			o.people, spare = o.people+1, spare-1
		case o.people > 1:
			o.people, spare = o.people-1, spare+1
		}
	}
	if spare > 0 {
		f.orgs[msps+1].people += spare
	}
}

// planPeople throws everybody's organisation, state and time, and puts them in the order of time.
func (f *filling) planPeople() {
	f.people = make([]fillPerson, 0, f.command.Accounts)
	for i := range f.orgs {
		o := &f.orgs[i]
		for k := range o.people {
			p := fillPerson{org: int32(i), first: k == 0, state: account.Active}
			age := f.now.Sub(o.created)
			at := o.created
			if k > 0 {
				// Half of the people come in the first tenth of the time.
				part := f.dice.Float64()
				if f.chance(0.5) {
					part /= 10
				}
				at = at.Add(time.Duration(part * float64(age)))
				switch x := f.dice.Float64(); {
				case x < 0.08:
					p.state = account.Invited
				case x < 0.12:
					p.state = account.Disabled
				}
			}
			p.created = at.Unix()
			f.people = append(f.people, p)
		}
	}
	slices.SortStableFunc(f.people, func(a, b fillPerson) int { return int(a.created - b.created) })
	for i := range f.people {
		p := &f.people[i]
		p.id = id.New[id.Account](time.Unix(p.created, 0))
		o := &f.orgs[p.org]
		switch {
		case o.kind == access.MSP && p.state == account.Active:
			o.staff = append(o.staff, i)
		case o.kind == access.Customer && o.parent > 0 && !p.first && p.state == account.Active && f.chance(0.01):
			// A technician of the MSP, linked into the customer.
			if staff := f.orgs[o.parent].staff; len(staff) > 0 {
				p.home = int32(staff[f.dice.IntN(len(staff))]) + 1
			}
		}
	}
	// A technician is linked into a customer once.
	seen := map[[2]int32]bool{}
	for i := range f.people {
		p := &f.people[i]
		if p.home > 0 && seen[[2]int32{p.org, p.home}] {
			p.home = 0
		}
		seen[[2]int32{p.org, p.home}] = true
	}
}

// plain returns a name in the ASCII letters of a tenant domain.
func plain(s string) string {
	s = fillPlain.Replace(strings.ToLower(s))
	return strings.Map(func(r rune) rune {
		if r > 127 {
			return -1
		}
		return r
	}, s)
}

// perTransaction is how many people or events one transaction writes.
const perTransaction = 50_000

// inBatches calls one for 0 … n-1, in transactions of their own.
func (f *filling) inBatches(ctx context.Context, what string, n int, bulks []*sqldb.Bulk, one func(i int) error) error {
	for from := 0; from < n; from += perTransaction {
		if err := f.DB.Fill(ctx, bulks, func() error {
			for i := from; i < min(from+perTransaction, n); i++ {
				if err := one(i); err != nil {
					return err
				}
				if i%500 == 0 {
					f.progress.share(what, float64(i)/float64(n))
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (f *filling) writeOrgs(ctx context.Context) error {
	nodes := sqldb.NewBulk(`org_nodes`, `id`, `parent_id`, `kind`, `state`, `access`, `rev`)
	tree := sqldb.NewBulk(`org_tree`, `ancestor_id`, `org_id`, `depth`)
	orgs := sqldb.NewBulk(`orgs`, `id`, `slug`, `slug_key`, `name`, `name_key`, `language`, `time_zone`, `country`, `setup`, `settings`, `created_at`)
	tags := sqldb.NewBulk(`org_tags`, `org_id`, `tag_key`, `tag`)
	orgs.Below(tags)
	languages := []locale.Language{locale.English, locale.German, locale.French}
	zones := []string{"Europe/Berlin", "Europe/London", "Europe/Paris", "Europe/Zurich", "America/New_York"}
	// org_nodes come first as a whole: the others refer to them, and their rows are not flushed in this order.
	if err := f.inBatches(ctx, "tree", len(f.orgs), []*sqldb.Bulk{nodes}, func(i int) error {
		o := &f.orgs[i]
		state := access.Active
		switch {
		case i <= 1 || o.slug == fillCustomer || o.kind != access.Customer:
		case f.chance(0.02):
			state = access.Suspended
		}
		var parent any
		if o.parent >= 0 {
			parent = string(f.orgs[o.parent].id)
		}
		return nodes.Add(ctx, o.id, parent, o.kind, state, "table", 0)
	}); err != nil {
		return err
	}
	return f.inBatches(ctx, "orgs", len(f.orgs), []*sqldb.Bulk{tree, orgs, tags}, func(i int) error {
		o := &f.orgs[i]
		for above, depth := i, 0; above >= 0; above, depth = f.orgs[above].parent, depth+1 {
			if err := tree.Add(ctx, f.orgs[above].id, o.id, depth); err != nil {
				return err
			}
		}
		if o.kind == access.Customer {
			for _, t := range fillTags {
				if f.chance(0.1) {
					if err := tags.Add(ctx, o.id, org.Fold(t), t); err != nil {
						return err
					}
				}
			}
		}
		return orgs.Add(ctx, o.id, o.slug, o.slug, o.name, org.Fold(o.name), languages[f.dice.IntN(3)], zones[f.dice.IntN(len(zones))], "", org.SetupDone,
			"{}", sqldb.Micros(o.created))
	})
}

func (f *filling) writePeople(ctx context.Context) error {
	w := &peopleWriter{filling: f, ctx: ctx,
		accounts: sqldb.NewBulk(`accounts`, `id`, `org_id`, `email`, `email_key`, `username`, `username_key`, `name`, `language`, `time_zone`, `state`, `created_at`,
			`invited_at`, `activated_at`, `last_sign_in_at`, `link_used_at`, `home_id`),
		assignments: sqldb.NewBulk(`assignments`, `id`, `org_id`, `account_id`, `role`, `expires_at`, `created_at`),
		factors:     sqldb.NewBulk(`factors`, `id`, `org_id`, `account_id`, `kind`, `name`, `state`, `lookup`, `counter`, `box`, `data`, `created_at`, `last_used_at`),
		links:       sqldb.NewBulk(`links`, `id`, `org_id`, `account_id`, `purpose`, `token_hash`, `state`, `seq`, `created_at`, `expires_at`, `used_at`),
		mails:       sqldb.NewBulk(`outbox`, `id`, `org_id`, `kind`, `account_id`, `state`, `due_at`, `tries`, `last_error`, `created_at`, `expires_at`, `sent_at`),
	}
	w.accounts.Below(w.factors, w.links)
	public, err := f.Settings.Public()
	if err != nil {
		return err
	}
	w.host = public.Hostname()
	return f.inBatches(ctx, "people", len(f.people), []*sqldb.Bulk{w.accounts, w.assignments, w.factors, w.links, w.mails}, w.person)
}

type peopleWriter struct {
	*filling
	ctx                                          context.Context
	host                                         string
	accounts, assignments, factors, links, mails *sqldb.Bulk
}

func (w *peopleWriter) person(i int) error {
	p := &w.people[i]
	o := &w.orgs[p.org]
	created := time.Unix(p.created, 0)
	o.next++
	first, last := fillFirst[w.dice.IntN(len(fillFirst))], fillLast[w.dice.IntN(len(fillLast))]
	name := first + " " + last
	typed := plain(first) + "." + plain(last) + strconv.Itoa(o.next) + "@" + o.domain()
	if w.chance(0.1) { // as some type it
		typed = strings.ToUpper(typed[:1]) + typed[1:]
	}
	switch {
	case p.first:
		typed = fillAdmin + o.domain()
	case p.home > 0:
		typed = plain(first) + "." + plain(last) + strconv.Itoa(int(p.home)) + "@" + w.orgs[w.people[p.home-1].org].domain()
	}
	email, fault := account.ParseEmail("email", typed)
	if fault != nil {
		return fmt.Errorf("%s: %w", typed, fault)
	}
	var username any
	if w.chance(0.05) && p.home == 0 {
		username = plain(first) + strconv.Itoa(o.next)
	}
	if p.state == account.Invited && w.chance(0.7) || w.chance(0.05) {
		name = ""
	}
	language := locale.Language("")
	if w.chance(0.1) {
		language = locale.German
	}
	var activated, seen time.Time
	if p.state != account.Invited {
		activated = created.Add(time.Duration(w.dice.IntN(40)) * time.Hour)
		if activated.After(w.now) {
			activated = w.now
		}
		seen = w.seen(p.state, activated)
	}
	var home any
	if p.home > 0 {
		home = string(w.people[p.home-1].id)
	}
	us := sqldb.Micros(created)
	if err := w.accounts.Add(w.ctx, p.id, o.id, email.Text, email.Key, username, username, name, language, "", p.state, us, us, sqldb.Micros(activated),
		sqldb.Micros(seen), 0, home); err != nil {
		return err
	}
	if err := w.roles(p, o, created); err != nil {
		return err
	}
	if p.state != account.Disabled && p.home == 0 { // invited and active people take a seat, linked ones do not
		o.used++
	}
	if p.state == account.Active {
		o.active++
		if seen.After(o.last) {
			o.last = seen
		}
	}
	if p.state == account.Invited {
		return w.invitation(p, o, created)
	}
	if p.home > 0 { // signs in at home
		return nil
	}
	return w.proofs(p, o, activated, seen)
}

// seen throws the last sign-in.
func (w *peopleWriter) seen(s account.State, activated time.Time) time.Time {
	var at time.Time
	switch x := w.dice.Float64(); {
	case x < 0.05:
		return at
	case s == account.Disabled || x < 0.17:
		at = w.ago(90*day, 400*day)
	case x < 0.27:
		at = w.ago(30*day, 90*day)
	case x < 0.45:
		at = w.ago(7*day, 30*day)
	default:
		at = w.ago(0, 7*day)
	}
	if at.Before(activated) {
		return activated
	}
	return at
}

// roles gives most people one role of their organisation, some two, a few none; some end.
func (w *peopleWriter) roles(p *fillPerson, o *fillOrg, created time.Time) error {
	known := access.Roles(o.kind)
	var roles []string
	switch x := w.dice.Float64(); {
	case p.first:
		roles = known[:1]
	case x < 0.01:
	case o.kind != access.Customer:
		roles = []string{known[w.dice.IntN(len(known))]}
	case x < 0.02:
		roles = []string{access.Administrator}
	case x < 0.03:
		roles = []string{access.CoManager}
	case x < 0.035:
		roles = []string{access.Auditor}
	case x < 0.18:
		roles = []string{access.Viewer}
	case x < 0.2:
		roles = []string{access.Core, access.Viewer}
	default:
		roles = []string{access.Core}
	}
	for _, role := range roles {
		ends := int64(0)
		if !p.first && w.chance(0.03) {
			ends = sqldb.Micros(w.now.Add(time.Duration(w.dice.IntN(100)-20) * day))
		}
		if err := w.assignments.Add(w.ctx, id.New[id.Assignment](created), o.id, p.id, role, ends, sqldb.Micros(created)); err != nil {
			return err
		}
	}
	return nil
}

// invitation is the link and the mail of somebody who has not come yet.
func (w *peopleWriter) invitation(p *fillPerson, o *fillOrg, created time.Time) error {
	us := sqldb.Micros(created)
	until := sqldb.Micros(created.Add(48 * time.Hour))
	if err := w.links.Add(w.ctx, id.New[id.Link](created), o.id, p.id, account.Activate, secret.Hash(secret.Token("dwa_")), "open", 1, us, until, 0); err != nil {
		return err
	}
	state, problem, sent := outbox.Sent, "", us
	if w.chance(0.02) {
		state, problem, sent = outbox.Dead, "550 5.1.1 no such user", 0
	}
	return w.mails.Add(w.ctx, id.New[id.Message](created), o.id, outbox.KindInvite, p.id, state, us, 1, problem, us, until, sent)
}

// proofs are the password and, for most, second factors.
func (w *peopleWriter) proofs(p *fillPerson, o *fillOrg, activated, seen time.Time) error {
	us := sqldb.Micros(activated)
	put := func(kind factor.Kind, name string, lookup any, box any, data string) error {
		return w.factors.Add(w.ctx, id.New[id.Factor](activated), o.id, p.id, kind, name, factor.Active, lookup, 0, box, data, us, sqldb.Micros(seen))
	}
	if err := put(factor.Password, "", nil, nil, w.phc); err != nil {
		return err
	}
	app, passkey := false, false
	switch x := w.dice.Float64(); {
	case x < 0.5:
		app = true
	case x < 0.65:
		passkey = true
	case x < 0.75:
		app, passkey = true, true
	}
	if !p.first && p.state == account.Active && (app || passkey) {
		o.covered++
	}
	if app && !p.first { // the first administrator's is made by writeKnown, or at the first sign-in
		f := id.New[id.Factor](activated)
		var raw [20]byte
		_, _ = rand.Read(raw[:])
		key := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:])
		if err := w.factors.Add(w.ctx, f, o.id, p.id, factor.TOTP, "", factor.Active, nil, 0, w.Vault.Seal("factors", "box", string(f), []byte(key)), "{}", us,
			sqldb.Micros(seen)); err != nil {
			return err
		}
	}
	if passkey && !p.first {
		raw := make([]byte, 64)
		_, _ = rand.Read(raw)
		data, err := json.Marshal(map[string]any{"handle": raw[32:], "host": w.host, "credential": map[string]any{"id": raw[:32]}})
		if err != nil {
			return err
		}
		return put(factor.Passkey, "Laptop", base64.RawURLEncoding.EncodeToString(raw[:32]), nil, string(data))
	}
	return nil
}

// writeGroups divides the customers of each MSP among groups, and gives those to its editors and viewers.
func (f *filling) writeGroups(ctx context.Context) error {
	customers := map[int][]int{}
	for i := range f.orgs {
		if f.orgs[i].kind == access.Customer && f.orgs[i].parent > 0 {
			customers[f.orgs[i].parent] = append(customers[f.orgs[i].parent], i)
		}
	}
	return f.DB.Write(ctx, func(tx sqldb.Tx) error {
		for msp := range f.orgs {
			o := &f.orgs[msp]
			below := customers[msp]
			if o.kind != access.MSP || len(below) == 0 {
				continue
			}
			groups := min(5, len(below))
			for g := range groups {
				var in []id.Org
				for k := g; k < len(below); k += groups {
					in = append(in, f.orgs[below[k]].id)
				}
				var who []id.Account
				for k := g; k < len(o.staff); k += groups {
					who = append(who, f.people[o.staff[k]].id)
				}
				if _, err := access.Group(tx, o.created, o.id, "Group "+strconv.Itoa(g+1), in, who); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// writeSums are the rows that count people: seats, and what the rules found.
func (f *filling) writeSums(ctx context.Context) error {
	seats := sqldb.NewBulk(`seats`, `org_id`, `seat_limit`, `used`)
	health := sqldb.NewBulk(`org_health`, `org_id`, `people`, `covered`, `pending`, `overdue`, `exempt`, `last_sign_in_at`, `deadline_at`, `judged_at`)
	return f.inBatches(ctx, "seats", len(f.orgs), []*sqldb.Bulk{seats, health}, func(i int) error {
		o := &f.orgs[i]
		var limit any
		if o.kind == access.Customer {
			limit = max(5, (o.used*(100+f.dice.IntN(30))/100+4)/5*5)
		}
		if err := seats.Add(ctx, o.id, limit, o.used); err != nil {
			return err
		}
		if i > 1 && f.chance(0.03) { // not judged yet
			return nil
		}
		return health.Add(ctx, o.id, o.active, o.covered, o.active-o.covered, 0, 0, sqldb.Micros(o.last), 0, sqldb.Micros(f.now))
	})
}

// writeKnown gives the administrators that a benchmark signs in as an authenticator app whose key is shown.
func (f *filling) writeKnown(ctx context.Context) error {
	for i := range f.people {
		p := &f.people[i]
		o := &f.orgs[p.org]
		if !p.first || o.slug != fillProvider && o.slug != fillMSP && o.slug != fillCustomer {
			continue
		}
		email := fillAdmin + o.slug
		if err := f.DB.Write(ctx, func(tx sqldb.Tx) error {
			key, err := bindApp(tx, f.House, o.id, p.id, email, "")
			f.known = append(slices.DeleteFunc(f.known, func(k fillKnown) bool { return k.org == int(p.org) }), fillKnown{int(p.org), email, key})
			return err
		}); err != nil {
			return err
		}
	}
	slices.SortFunc(f.known, func(a, b fillKnown) int { return a.org - b.org })
	return nil
}

// bindApp gives an account an active authenticator app of that name and returns its key.
func bindApp(tx sqldb.Tx, h *server.House, o id.Org, a id.Account, email, name string) (key string, err error) {
	setup, err := factor.BeginTOTP(tx, h.Vault, h.Now(), o, a, "Bench", email)
	if err != nil {
		return "", err
	}
	code, err := factor.CodeAt(string(setup.Key), h.Now().Add(-30*time.Second)) // the code of now stays good
	if err != nil {
		return "", err
	}
	_, err = factor.ProveTOTP(tx, h.Vault, h.Now(), a, factor.Pending, secret.Text(code), name)
	return string(setup.Key), err
}

// writeEvents are sign-ins for the most part, of people who could, over 90 days.
func (f *filling) writeEvents(ctx context.Context) error {
	events := sqldb.NewBulk(`events`, `id`, `org_id`, `at`, `action`, `outcome`, `reason`, `actor_kind`, `actor_id`, `actor_org_id`, `target_kind`, `target_id`,
		`request_id`, `data`)
	n := f.command.Events
	start := f.now.Add(-90 * day)
	others := []audit.Action{audit.SessionEnded, audit.FactorEnrolled, audit.PasswordChanged, audit.AccountInvited}
	return f.inBatches(ctx, "events", n, []*sqldb.Bulk{events}, func(i int) error {
		p := &f.people[f.dice.IntN(len(f.people))]
		for p.state != account.Active {
			p = &f.people[f.dice.IntN(len(f.people))]
		}
		at := start.Add(time.Duration((float64(i) + f.dice.Float64()) / float64(n) * float64(90*day)))
		action := audit.SignedIn
		if f.chance(0.4) {
			action = others[f.dice.IntN(len(others))]
		}
		o := f.orgs[p.org].id
		return events.Add(ctx, id.New[id.Event](at), o, sqldb.Micros(at), action, audit.Done, "", access.AccountActor, p.id, o, p.id.Prefix(), p.id, "", "{}")
	})
}
