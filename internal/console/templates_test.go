package console

import (
	"net/url"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/license"
	"doorward/internal/org"
	"doorward/internal/outbox"
	"doorward/internal/page"
	"doorward/internal/page/pagetest"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

// Every template fits its document and renders in all languages, full and empty, with errors and without.
func TestTemplates(t *testing.T) {
	kit := pagetest.Kit(t)
	c := &Console{Kit: kit, Now: func() time.Time { return pagetest.Now }}
	set, err := c.Pages()
	if err != nil {
		t.Fatal(err)
	}
	pagetest.Check(t, kit, set, samples(t, c))
}

// BenchmarkRender is the dashboard, where a sign-in ends.
func BenchmarkRender(b *testing.B) {
	kit := pagetest.Kit(b)
	c := &Console{Kit: kit, Now: func() time.Time { return pagetest.Now }}
	set, err := c.Pages()
	if err != nil {
		b.Fatal(err)
	}
	pagetest.Bench(b, kit, set, "dashboard", samples(b, c)["dashboard"][0])
}

var (
	ago   = pagetest.Now.Add(-3 * time.Hour)
	ahead = pagetest.Now.Add(40 * 24 * time.Hour)

	house = org.Org{ID: id.New[id.Org](ago), Kind: access.MSP, Slug: "contoso", Name: "Contoso & Söhne", TimeZone: "Europe/Berlin", Created: ago}
	below = org.Org{ID: id.New[id.Org](ago), Kind: access.Customer, Slug: "fabrikam", Name: "<b>Fabrikam</b>", TimeZone: "UTC", Created: ago}

	ada = account.Account{ID: id.New[id.Account](ago), Email: "ada@contoso.example", Name: "Ada O’Neil", Username: "ada",
		State: account.Active, Created: ago, LastSignIn: ago}
	bea = account.Account{ID: id.New[id.Account](ago), Email: "bea@fabrikam.example", State: account.Invited, InvitedAt: ago}

	word = factor.Factor{ID: id.New[id.Factor](ago), Kind: factor.Password, State: factor.Active, Created: ago}
	app  = factor.Factor{ID: id.New[id.Factor](ago), Kind: factor.TOTP, Name: "Phone", State: factor.Active, Created: ago, LastUsed: ago}
	key  = factor.Factor{ID: id.New[id.Factor](ago), Kind: factor.Passkey, Name: "blue & small", State: factor.Active, Created: ago}
	dead = factor.Factor{ID: id.New[id.Factor](ago), Kind: factor.TOTP, State: factor.Disabled, Created: ago}

	laptop = signin.Session{ID: id.New[id.Session](ago), Address: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
		Created: ago, LastUsed: ago}
	script = signin.Session{ID: id.New[id.Session](pagetest.Now), Address: "2001:db8::7", Created: ago, LastUsed: ago}

	few  = license.Seats{Limit: 5, Used: 1}
	full = license.Seats{Limit: 5, Used: 5}
	many = license.Seats{Limit: license.Unlimited, Used: 1204}
)

// samples has for each page the documents that it can show.
func samples(t testing.TB, c *Console) map[string][]page.Doc {
	t.Helper()
	// at is a page of the house's Ada about an organisation.
	at := func(about org.Org, name, title string, args ...any) page.Base {
		return c.base(visit{Visitor: signin.Visitor{Account: ada, Org: house}, About: about}, name, title, args...)
	}
	own := func(name string) page.Base { return at(house, name, name+".title") }
	asLinked := func(name string) page.Base {
		there := bea
		there.State, there.Home = account.Active, ada.ID
		return c.base(visit{Visitor: signin.Visitor{Account: there, Org: below, Home: ada, HomeOrg: house}, About: below}, name, name+".title")
	}
	failed := func(b page.Base, faults ...*refusal.Error) page.Base {
		b.Form = page.FormOf(url.Values{"name": {"typed"}, "roles": {"core"}}, refusal.All(faults...))
		return b
	}
	sought := func(d searchDoc) *searchDoc {
		d.Base, d.pages = at(house, "search", "search.title"), c.destinations(visit{About: house})
		for _, one := range doings(visit{About: house}) {
			d.pages = append(d.pages, page.NavItem{Key: one.key, Href: one.path, Icon: one.icon})
		}
		return &d
	}
	options := func(keys ...string) (list []page.Option) {
		for i, k := range keys {
			list = append(list, page.Option{Value: k, Key: k, Chosen: i == 0})
		}
		return list
	}
	qr, err := page.DrawQR("otpauth://totp/Contoso:ada?secret=ABCDEFGH")
	if err != nil {
		t.Fatal(err)
	}

	chooser := func(groups ...placeGroup) *chooserDoc {
		doc := &chooserDoc{Base: at(house, "login.chooser", "choose.title"), Home: house, Groups: groups}
		doc.Layout, doc.Wide = page.LayoutCard, true
		return doc
	}
	shut, going := below, below
	shut.State, going.State = access.Suspended, access.Deleting
	linked := placeRow{Org: below, Post: enterPath, As: "Ada"}
	everywhere := chooser(placeGroup{"choose.own", []placeRow{{Org: house, Href: house.HomePath()}}}, placeGroup{"page.recent", []placeRow{linked}},
		placeGroup{"choose.linked", []placeRow{linked}}, placeGroup{"orgs.title.msp", []placeRow{{Org: shut, Href: "/x"}, {Org: going, Href: "/x"}}},
		placeGroup{"orgs.title.provider", []placeRow{{Org: below, Href: "/x"}}})
	everywhere.Many, everywhere.Next = true, "?after=x"
	searched := chooser()
	searched.Many, searched.Query = true, "zz"
	two := chooser(placeGroup{"", []placeRow{{Org: below, Href: "/x", Technician: true}, linked}})
	two.Two, two.Title, two.TitleArgs = true, "choose.two.title", []any{"Organisation", below.Name}

	lines := []account.LineResult{{Line: 2, Email: "ada@contoso.example"}, {Line: 3, Email: "bea@fabrikam.example", There: true},
		{Line: 4, Email: "=<b>", Err: refusal.Field("email", "csv.formula", "Column", "email")}, {Line: 5, Err: refusal.Field("text", "csv.quotes")}}
	docs := map[string][]page.Doc{
		"login.chooser": {everywhere, searched, two, chooser(placeGroup{"choose.own", []placeRow{{Org: house, Post: leavePath}}})},
		"search": {sought(searchDoc{}), sought(searchDoc{Query: "zzzz", Unseen: true}), sought(searchDoc{Query: "f", More: "/choose?q=f",
			People: []personHit{{ada, "/o/contoso/users/x", ""}, {bea, "/o/fabrikam/users/x", "<b>Fabrikam</b>"}, {account.Account{Email: "z@x.example", State: account.Disabled}, "/x", ""}},
			Orgs:   []placeRow{{Org: below, Href: "/o/fabrikam/"}, {Org: below, Post: enterPath, As: "Bea"}}})},
		"me": {
			&profileDoc{Base: own("me"), Person: ada, Languages: options("me.language_org"), Zones: zones("Africa/Cairo", false)},
			&profileDoc{Base: failed(own("me"), refusal.Field("email", "email.taken")), Person: ada, Pending: account.PendingEmail{Email: "ada.l@x.example", Until: ahead}},
			&profileDoc{Base: own("me"), Person: ada, LinkWith: "<b>Contoso</b>", Organisations: []belowRow{
				{Name: "<b>Fabrikam</b>", Slug: "fabrikam", Email: "ada@fabrikam.example", Open: true, Unlink: "/me/unlink/fabrikam"},
				{Name: "Tailspin", Slug: "tailspin", Email: "ada@tailspin.example"}}},
			&profileDoc{Base: failed(own("me"), refusal.Field("username", "username.taken"), refusal.Field("elsewhere", "username.form"))},
		},
		"users.import": {
			&importDoc{Base: at(below, "users.import", "csv.import.title"), Seats: few, Lines: 200000, Size: 20, Few: 2000, Columns: account.ReadColumns},
			&importDoc{Base: failed(at(below, "users.import", "csv.import.title"), refusal.Field("file", "csv.binary")), Seats: many},
			&importDoc{Base: failed(at(below, "users.import", "csv.import.title"), refusal.Field("text", "csv.large", "Lines", 2000, "Size", 300)), Seats: full},
		},
		"users.import.columns": {
			&columnsDoc{Base: at(below, "users.import.columns", "csv.columns.title"), carried: carried{Text: "a<b>\n\"x\"", Guessed: true},
				columnsAsked: columnsAsked{[]columnChoice{{Field: "column_0", Head: "<b>Kontakt</b>", Sample: "ada@contoso.example", Options: options("csv.column.email", "csv.column.none")}}}},
			&columnsDoc{Base: failed(at(below, "users.import.columns", "csv.columns.title"), refusal.Field("", "csv.column_email"))},
		},
		"users.import.lines": {
			&linesDoc{Base: at(below, "users.import.lines", "csv.check.title"), carried: carried{Text: "x", Guessed: true, Chosen: []account.Column{"email", ""}}, Results: lines, Added: 1, There: 1, Refused: 2},
			&linesDoc{Base: at(below, "users.import.lines", "csv.check.title"), Results: lines[1:], There: 1, Refused: 2},
			&linesDoc{Base: at(below, "users.import.lines", "csv.done.title"), Ran: true, Results: lines, Added: 1, There: 1, Refused: 2, Left: "email\n=1"},
			&linesDoc{Base: at(below, "users.import.lines", "csv.done.title"), Ran: true, Results: lines[:1], Added: 1},
		},
		"users.bulk": {
			&bulkDoc{Base: at(below, "users.bulk", "bulk.act.disable"), Act: account.ActDisable, Count: 12, People: []account.Account{ada, bea}, More: 10, Kept: []kept{{"action", "disable"}}},
			&bulkDoc{Base: failed(at(below, "users.bulk", "bulk.act.give-role"), refusal.Field("role", "bulk.role_missing")), Act: account.ActGiveRole, Count: 1204, Later: true,
				Roles: options("role.core", "role.viewer")},
			&bulkDoc{Base: failed(at(house, "users.bulk", "bulk.act.add-group"), refusal.Field("group", "bulk.group_missing"), refusal.Field("", "bulk.changed")), Act: account.ActGroup,
				Groups: options("nav.groups"), Count: 1},
		},
		"users.bulk.done": {
			&bulkDoneDoc{Base: at(below, "users.bulk.done", "bulk.act.disable"), Act: account.ActDisable, Done: 1, Refused: 1, Rows: []account.Done{{Email: "<b>x</b>"},
				{Email: "y", Err: refusal.New(refusal.Conflict, "account.last_administrator")}}},
		},
		"users.export": {
			&exportDoc{Base: at(below, "users.export", "csv.export.title"), Narrowed: true, Columns: options("csv.column.email", "csv.column.state")},
			&exportDoc{Base: failed(at(below, "users.export", "csv.export.title"), refusal.Field("columns", "csv.column_none")), Columns: options("csv.column.email")},
		},
		"me.security": {
			&securityDoc{Base: own("me.security"), Own: &word, Seconds: []factor.Factor{app, key, dead}, Rules: page.PasswordRules(15),
				Words: account.Personal(house, ada), Fresh: true, Prove: provePath(securityPath), HasCodes: true, Codes: 8},
			&securityDoc{Base: own("me.security"), Own: &word, Seconds: []factor.Factor{key}, Rules: page.PasswordRules(8), HasCodes: true, Codes: 1},
			&securityDoc{Base: asLinked("me.security"), Home: house.Name},
			&securityDoc{Base: failed(own("me.security"), refusal.Field("password", "password.wrong")), Rules: page.PasswordRules(1),
				Prove: provePath(securityPath)},
		},
		"unlink": {
			&unlinkDoc{Base: at(below, "unlink", "unlink.title"), Email: "ada@fabrikam.example", Organisation: below.Name, Home: house.Name, Action: "x", Back: "/me"},
		},
		"link": {
			&joinDoc{Base: own("link"), Email: "ada@fabrikam.example", Organisation: below.Name, HomeEmail: ada.Email, Home: house.Name},
		},
		"me.security.app": {
			&appDoc{Base: at(house, "me.security.app", "login.enrol.totp.title"), Key: []string{"ABCD", "EFGH"}, QR: qr, Action: "x", Back: securityPath},
			&appDoc{Base: failed(at(house, "me.security.app", "login.enrol.totp.title"), refusal.Field("code", "code.wrong")), QR: qr},
		},
		"me.security.key": {
			&keyDoc{Base: at(house, "me.security.key", "login.enrol.passkey.title"), Options: `{"challenge":"x"}`, Action: "x", Back: securityPath},
			&keyDoc{Base: failed(at(house, "me.security.key", "login.enrol.passkey.title"), factor.ErrPasskeyHeld, refusal.Field("name", "name.form")),
				Options: `{"challenge":"x"}`},
		},
		"me.recovery": {
			&codesDoc{Base: at(house, "me.recovery", "login.recovery-codes.title"), Codes: []string{"abcde-fghij", "klmno-pqrst"},
				File: page.NewTextFile("Söhne & Co\nabcde-fghij\n"), Back: securityPath},
		},
		"me.sessions": {
			&sessionsDoc{Base: own("me.sessions"), Sessions: []signin.Session{laptop, script}, Current: laptop.ID},
			&sessionsDoc{Base: own("me.sessions"), Sessions: []signin.Session{laptop}, Current: laptop.ID, Devices: []signin.Device{
				{ID: id.New[id.Device](ago), UserAgent: laptop.UserAgent, Address: "192.0.2.7", Created: ago, LastUsed: ago, Trusted: ahead},
				{ID: id.New[id.Device](ago), Created: ago, LastUsed: ago, Trusted: ago},
			}},
		},
		"user.access-code": {
			&accessCodeDoc{Base: at(below, "user.access-code", "user.access_code.title"), Person: "Ada", Code: "abcde-fghij", Until: ahead, Back: "x"},
		},
		"prove": {
			&proveDoc{Base: own("prove"), To: "/me", ByCode: true, ByKey: true, SignIn: "/o/contoso/login"},
			&proveDoc{Base: failed(own("prove"), factor.ErrPasskey), To: "/me", ByKey: true, SignIn: "/o/contoso/login"},
			&proveDoc{Base: failed(own("prove"), refusal.Field("proof_password", "password.wrong")), To: "/me", ByPass: true, Resume: true,
				Kept: []kept{{"name", `"Ada"`}}, SignIn: "/o/contoso/login"},
		},
		"prove.resume": {
			&resumeDoc{Base: own("prove.resume"), Action: "/me/security/app", Kept: []kept{{"name", "Ada"}}},
		},
		"users": {
			&peopleDoc{Base: at(below, "users", "users.title"), listing: listed(url.Values{"q": {"&"}, "sort": {"-seen"}}, "email", "q"), Seats: few, Invite: "x", Import: "x", Export: "x", Shows: map[string]bool{"roles": true, "second": true, "state": true, "seen": true, "created": true, "source": true, "username": true},
				More: true, Next: "?after=x", People: []personRow{
					{Listed: account.Listed{Account: ada, Roles: []access.Assignment{{Role: access.Viewer}, {Role: access.Core, Expires: ahead}}, Apps: 1}},
					{Listed: account.Listed{Account: bea}},
					{Listed: account.Listed{Account: bea}, Mail: "550 no such user"},
					{Listed: account.Listed{Account: bea}, Late: true},
					{Listed: account.Listed{Account: account.Account{Email: "tech@contoso.example", Name: "Tech", Username: "tech", State: account.Active, Home: ada.ID},
						Roles: []access.Assignment{{Role: "rol_1", Name: "<b>Own</b>", Expires: ago}}, Apps: 1, Passkeys: 1}},
					{Listed: account.Listed{Account: ada, Apps: 1, Passkeys: 1}},
					{Listed: account.Listed{Account: account.Account{Email: "emil@fabrikam.example", State: account.Disabled}}, Href: "x"},
				}},
			&peopleDoc{Base: at(below, "users", "users.title"), Seats: full, Invite: "x", Filtered: true, Query: "zz"},
			&peopleDoc{Base: at(house, "users", "users.title"), Seats: many},
		},
	}

	docs["job"] = jobSamples(at, failed, options)
	everyone := docs["users"][0].(*peopleDoc)
	everyone.Acts, everyone.Bulk = options("bulk.act.disable", "bulk.act.resend"), "x"
	everyone.offer(visit{About: below, Rights: access.Rights{Own: []access.Role{{ID: id.New[id.Role](ago), Name: "<b>Own</b>"}}}}, account.Filter{Role: access.Core})

	for _, kind := range []access.OrgKind{access.Provider, access.MSP, access.Customer} {
		o := house
		o.Kind = kind
		days := []page.Bar{{Label: "20", Title: "2026-11-20", Value: 3}, {Label: "21"}}
		for _, f := range []*peopleFigures{
			nil, {Seats: full}, {Seats: many, Covered: 2}, {Counts: account.Counts{Active: 4, Invited: 1}, Seats: few, Covered: 1, Judged: 4, SignIns: 3, Days: days},
			{Counts: account.Counts{Active: 4000}, Seats: many},
		} {
			docs["dashboard"] = append(docs["dashboard"], &dashboardDoc{Base: at(o, "dashboard", "dashboard.title"), Kind: kind, Asking: 2, Came: []entered{{"<b>ada</b>@contoso.example", house.Name, ago}, {At: ago}},
				Roles: access.Roles(kind), Orgs: kind != access.Customer, OrgsTo: "x", Since: ago, People: f, Invite: "x"})
		}

		v := visit{About: o}
		docs["users.invite"] = append(docs["users.invite"],
			&inviteDoc{Base: at(o, "users.invite", "users.invite.title"), Roles: c.roleOptions(v, access.Roles(kind)[1:], nil), Groups: options("nav.groups"), Zone: "UTC", Seats: many},
			&inviteDoc{Base: failed(at(o, "users.invite", "users.invite.title"), refusal.Field("emails", "seats.full", "Limit", 5)),
				Roles: c.roleOptions(v, nil, nil), Seats: few, Invited: 1, Results: []inviteResult{
					{"ada@fabrikam.example", nil},
					{"bea", refusal.Field("email", "email.form")},
					{"carl@fabrikam.example", refusal.New(refusal.Conflict, "seats.full", "Limit", 5)},
				}})
		docs["user"] = append(docs["user"],
			&personDoc{Base: at(o, "user", "user.title", "Name", "Ada"), Person: ada, Roles: c.roleOptions(v, access.Roles(kind), access.Roles(kind)),
				Factors: []factor.Factor{word, app, key, dead}, Sessions: []signin.Session{laptop, script}, Events: everyEvent(),
				MayDisable: true, MayRoles: true, MayReset: true, MayEnd: true, MaySetup: true, MayCode: true,
				Lives: options("user.access_code.1h", "user.access_code.4h", "user.access_code.24h")})

		if kind == access.Customer {
			continue
		}
		docs["orgs"] = append(docs["orgs"],
			&orgsDoc{Base: at(o, "orgs", "orgs.title."+string(kind)), Kind: kind, Filtered: true, Query: "zz"},
			&orgsDoc{Base: at(o, "orgs", "orgs.title."+string(kind)), Kind: kind, New: "x", Moves: "x"},
			&orgsDoc{Base: at(o, "orgs", "orgs.title."+string(kind)), Kind: kind})
		kinds := []page.Option{{Value: "msp", Key: "org.kind.msp", Hint: "org.kind.msp.hint", Chosen: true},
			{Value: "customer", Key: "org.kind.customer", Hint: "org.kind.customer.hint"}}
		docs["org.new"] = append(docs["org.new"],
			&newOrgDoc{Base: at(o, "org.new", "org.new.title."+string(kind)), Kinds: kinds, Zones: zones("UTC", true), Countries: countries("DE"), MaySeats: true, MayAdmin: true, Pool: license.Pool{Size: license.Unlimited}},
			&newOrgDoc{Base: at(o, "org.new", "org.new.title."+string(kind)), Kinds: kinds[1:], MaySeats: true, Pool: license.Pool{Size: 100, Given: 40}},
			&newOrgDoc{Base: failed(at(o, "org.new", "org.new.title."+string(kind)), refusal.Field("seat_limit", "org.new.no_seat"), refusal.Field("admin", "email.form")), Kinds: kinds[1:],
				MaySeats: true, MayAdmin: true, Pool: license.Pool{Size: license.Unlimited}},
			&newOrgDoc{Base: failed(at(o, "org.new", "org.new.title."+string(kind)), refusal.Field("slug", "slug.taken")), Kinds: kinds[1:]})
	}

	for name, list := range ruleSamples(at, failed) {
		docs[name] = append(docs[name], list...)
	}
	excepted := ada
	excepted.ExemptUntil, excepted.ExemptReason = ahead, "<b>in hospital</b>"
	docs["user"] = append(docs["user"], &personDoc{Base: at(house, "user", "user.title", "Name", "Ada"), Person: excepted, Zone: "UTC", exception: exception{true, true}},
		&personDoc{Base: failed(at(house, "user", "user.title", "Name", "Ada"), refusal.Field("exempt_until", "exempt.far", "Most", 90), refusal.Field("exempt_reason", "exempt.reason_missing")),
			Person: ada, Zone: "UTC", exception: exception{MayExempt: true}})

	for _, kind := range []access.OrgKind{access.Provider, access.MSP, access.Customer} {
		o := house
		o.Kind = kind
		v := visit{About: o}
		own := access.Role{Kind: kind, Name: "<b>Night</b>", Below: true, Permissions: access.Permissions()}
		docs["roles"] = append(docs["roles"],
			&rolesDoc{Base: at(o, "roles", "roles.title"), Kind: kind, New: "x", Builtin: []roleRow{{Key: access.Administrator, People: 2,
				Areas: rightsOf(func(p access.Permission) (bool, bool) { return access.Reach(kind, access.Administrator, p) })}},
				Own: []roleRow{{Name: own.Name, Below: kind != access.Customer, People: 1, Href: "x", Areas: rightsOf(own.Where)}, {Name: "Other"}}},
			&rolesDoc{Base: at(o, "roles", "roles.title"), Kind: kind})
		docs["role"] = append(docs["role"],
			&roleDoc{Base: at(o, "role.new", "roles.new"), Kind: kind, Areas: choices(v, nil)},
			&roleDoc{Base: at(o, "role", "roles.edit", "Name", own.Name), Kind: kind, Areas: choices(v, own.Permissions), Rev: 3, Delete: "x", Name: own.Name},
			&roleDoc{Base: failed(at(o, "role", "roles.edit", "Name", own.Name), refusal.Field("name", "roles.name_builtin"), refusal.Field("permissions", "roles.permission_missing")),
				Kind: kind, Areas: choices(v, nil), Rev: 3, Delete: "x", People: 2})
		if kind == access.Customer {
			continue
		}
		docs["groups"] = append(docs["groups"],
			&groupsDoc{Base: at(o, "groups", "groups.title"), Kind: kind, Groups: []access.OrgGroup{{Name: "<b>East</b>", Customers: 1204, People: 1}}},
			&groupsDoc{Base: failed(at(o, "groups", "groups.title"), refusal.Field("name", "groups.name_taken")), Kind: kind})
		some := members([]account.Member{{ID: "x", Name: "<b>Fabrikam</b>", Note: "fabrikam"}, {ID: "y", Note: "ada@contoso.example"}})
		docs["group"] = append(docs["group"],
			&groupDoc{Base: at(o, "group", "groups.one", "Name", "East"), Kind: kind, Group: access.OrgGroup{Name: "East", Customers: 2, People: 2}, Customers: some, People: some,
				MoreOrgs: "?orgs_after=x", MorePeople: "?people_after=x", FoundOrgs: some, FoundPeople: some, Query: "f", Who: "a"},
			&groupDoc{Base: failed(at(o, "group", "groups.one", "Name", "East"), refusal.Field("name", "name.missing")), Kind: kind})
	}

	list := &orgsDoc{Base: at(house, "orgs", "orgs.title.provider"), listing: listed(nil, "name"), Kind: access.Provider, Next: "?after=x"}
	list.offer(org.Filter{Kind: access.MSP}, []access.OrgGroup{{ID: id.New[id.Group](ago), Name: "<i>North</i>"}}, []string{"<b>gold</b>"})
	for i, state := range []access.State{"active", "suspended", "deleting"} {
		seats := []license.Seats{many, few, full}[i]
		list.Orgs = append(list.Orgs, orgRow{Toggle: []string{"?open=contoso#contoso", "", ""}[i], Open: i == 0, Child: i == 1, Listed: org.Listed{ID: below.ID, Kind: []access.OrgKind{access.MSP, access.Customer, access.Customer}[i], State: state, Slug: below.Slug,
			Name: below.Name, Created: ago, Limit: seats.Limit, Used: seats.Used, Below: 1204 * i, Tags: []string{"gold & co"}[:min(i, 1)], Health: []org.Health{{}, {People: 4, Covered: 3, Overdue: 1, LastSignIn: ago,
				Judged: ago}, {Judged: ago}}[i]}})
	}
	list.Orgs = append(list.Orgs, orgRow{Toggle: "?open=x", Listed: list.Orgs[0].Listed}, orgRow{Child: true, All: "/o/contoso/orgs", Of: "<b>Contoso</b>"})
	docs["orgs"] = append(docs["orgs"], list)

	about := at(house, "user", "user.title", "Name", "Ada")
	for _, m := range []*outbox.Message{nil, {State: outbox.Ready}, {State: outbox.Sent, Sent: ago}, {State: outbox.Dead, LastError: "550 no such user"}} {
		docs["user"] = append(docs["user"], &personDoc{Base: about, Person: bea, Mail: m, MayResend: true, MayWithdraw: m == nil})
	}
	gone := ada
	gone.State = account.Disabled
	leaving := ada
	leaving.State, leaving.DeleteAt = account.Deleting, ahead
	waits := account.PendingEmail{Email: "ada.l@x.example", Until: ahead}
	docs["user"] = append(docs["user"],
		&personDoc{Base: about, Person: gone, MayDisable: true},
		&personDoc{Base: about, Person: leaving, MayKeep: true},
		&personDoc{Base: about, Person: leaving, Home: house.Name, Pending: waits},
		&personDoc{Base: about, Person: ada, MayDelete: true, Waits: 7, MayEmail: true, Pending: waits},
		&personDoc{Base: failed(about, refusal.Field("email", "email.same")), Person: ada, MayDelete: true, Waits: 1, Home: house.Name, MayEmail: true},
		&personDoc{Base: about, Person: bea, MayEmail: true, MayDelete: true},
		&personDoc{Base: about, Person: ada, MayDisable: true, Home: house.Name, MayUnlink: true},
		&personDoc{Base: about, Person: gone, MayDisable: true, Home: house.Name},
		&personDoc{Base: about, Person: ada, MayRoles: true, Zone: "Europe/Berlin", Kept: []string{access.Core}, Ends: options("role.editor"), Grouped: true, GroupsAt: "x",
			Held: []access.Assignment{{Role: access.Editor}, {Name: "<b>Night</b>", Expires: ahead}}, Groups: []access.OrgGroup{{Name: "<b>East</b>"}}},
		&personDoc{Base: failed(about, refusal.Field("ends_at", "expires.past"), refusal.Field("expires_at", "expires.far", "Most", 10)), Person: ada, MayRoles: true,
			Zone: "UTC", Ends: options("role.editor"), Grouped: true},
		&personDoc{Base: about, Person: ada, Held: []access.Assignment{{Role: access.Editor}, {Role: access.Viewer, Expires: ahead}}, Myself: true},
		&personDoc{Base: failed(about, refusal.Field("reason", "text.long", "Most", 300)), Person: ada, Factors: []factor.Factor{app}, MayReset: true})
	for _, state := range []access.State{access.Active, access.Suspended, access.Deleting} {
		o := house
		o.State, o.DeleteAt = state, ahead
		doc := &settingsDoc{Base: at(o, "org.settings", "org.settings.title"), Org: o, At: "x", Rev: 3, Languages: []page.Option{{Value: "de", Text: "Deutsch"}}, Zones: zones("UTC", true),
			Countries: countries("DE"), Tags: "<b>north</b>", People: 3, Waiting: 2, Seats: &full, MayEdit: true, MaySuspend: state != access.Deleting, MayDelete: true, Move: "x"}
		closed := *doc
		closed.MaySuspend, closed.Below = false, 1
		wrong := *doc
		wrong.Base = failed(wrong.Base, refusal.Field("confirm_suspend", "org.confirm", "Slug", "x"), refusal.Field("reason", "reason.missing"),
			refusal.Field("confirm_delete", "org.confirm", "Slug", "x"), refusal.Field("name", "name.missing"), refusal.Field("tags", "tags.many", "Most", 20),
			refusal.Field("country", "country.unknown"), refusal.Field("language", "language.unknown"), refusal.Field("time_zone", "time_zone.unknown"))
		if state != access.Active {
			wrong = *doc
		}
		docs["org.settings"] = append(docs["org.settings"], doc, &closed, &wrong)
	}
	months := make([]license.Mark, monthsShown)
	for i := range months {
		months[i] = license.Mark{Month: license.MonthOf(pagetest.Now).Before(monthsShown - 1 - i), Most: i * i}
	}
	ask := license.Request{ID: id.New[id.SeatRequest](ago), State: license.RequestOpen, Wanted: 1200, Reason: "<b>office</b>", Made: ago, Answer: "<i>no</i>"}
	seats := at(below, "seats", "seats.title")
	docs["seats"] = []page.Doc{
		&seatsDoc{Base: seats, Own: true, Kind: access.Customer, Seats: full, History: months, At: "x", MayAsk: true, Last: &ask},
		&seatsDoc{Own: true, Base: failed(seats, refusal.Field("wanted", "seats.ask.more", "Limit", 5, "Most", 9), refusal.Field("reason", "reason.missing")), Kind: access.Customer, Seats: full,
			History: months, At: "x", MayAsk: true},
		&seatsDoc{Base: seats, Own: true, Kind: access.Customer, Seats: few, History: months, At: "x", Request: &asked{ask, "Ada <b>"}, MayWithdraw: true},
		&seatsDoc{Base: seats, Own: true, Kind: access.Customer, Seats: many, History: months, At: "x", Request: &asked{ask, ""}},
		&seatsDoc{Own: true, Base: failed(seats, refusal.Field("seat_limit", "seats.pool_left", "Pool", 9, "Given", 4, "Left", 5), refusal.Field("reason", "reason.missing")), Kind: access.Customer,
			Seats: full, History: months, At: "x", Request: &asked{ask, "Ada"}, MaySet: true},
		&seatsDoc{Own: true, Base: failed(seats, refusal.Field("seat_limit", "seats.form"), refusal.Field("pool", "seats.pool_open", "Count", 2)), Kind: access.MSP, Seats: full, History: months,
			At: "x", MaySet: true, Pool: &license.Pool{Size: 100, Given: 40, Open: 1}},
		&seatsDoc{Base: seats, Kind: access.MSP, At: "x", Pool: &license.Pool{Size: license.Unlimited, Given: 1}, Under: true, Month: "2025-01"},
		&seatsDoc{Base: seats, Own: true, Kind: access.Provider, Seats: many, History: months, At: "x", Asking: []license.Asking{{Request: ask, Name: "<b>Fabrikam</b>", Slug: "fabrikam", Seats: full}},
			Under: true, Month: months[3].Month, Marks: []markRow{{org.Listed{Name: "<b>Fabrikam</b>", Slug: "fabrikam", Limit: 5, Used: 3}, 4},
				{org.Listed{Name: "Contoso", Slug: "contoso", Kind: access.MSP, Limit: license.Unlimited, Used: 1300}, 1400}}, Next: "?after=x", File: "x"},
	}
	branded := house
	branded.Brand = org.Brand{Logo: "00ff", Accent: "#1d7a46", Dark: "#6fd39b"}
	docs["org.branding"] = []page.Doc{
		&brandingDoc{Base: at(house, "org.branding", "branding.title"), At: "x", Back: "y", Looks: []string{"in-light", "in-dark"}},
		&brandingDoc{Base: at(branded, "org.branding", "branding.title"), At: "x", Back: "y", Rev: 3, OwnLogo: true, OwnAccent: true, Looks: []string{"in-light"}},
		&brandingDoc{Base: failed(at(house, "org.branding", "branding.title"), refusal.Field("accent", "accent.pale", "Ratio", 1.1, "Least", 3.0, "Colour", "#777700"),
			refusal.Field("logo", "logo.dimensions", "Width", 50000, "Height", 1, "Most", 4096)), At: "x", Back: "y"},
		&brandingDoc{Base: failed(at(house, "org.branding", "branding.title"), refusal.Field("accent", "accent.form"), refusal.Field("logo", "logo.kind")), At: "x", Back: "y"},
	}
	explained := signin.Explanation{Attempts: []audit.Event{{Action: audit.SignedIn}, {Action: audit.SignInFailed, Reason: string(policy.AskTOTP)},
		{Action: audit.SignInRefused, Reason: string(policy.NoRole)}}}
	explained.Verdict, explained.Lines = signin.Explain(signin.Case{State: account.Active, ExemptReason: "<b>x</b>",
		Facts: policy.Facts{Now: pagetest.Now, Rules: policy.Defaults(), Known: true, Active: true, Roles: 1, Exempt: ahead}})
	for i, d := range docs["user"] {
		if d.(*personDoc).Explain = explained; i%2 == 0 {
			d.(*personDoc).Explain.Attempts = nil
		}
	}
	for _, state := range []account.MoveState{account.MoveOpen, account.MoveDone, account.MoveRefused, account.MoveCancelled, account.MoveExpired} {
		for i, side := range append([]account.Side{account.Overseer}, account.Sides...) {
			m := account.Moving{Move: account.Move{ID: id.New[id.Move](ago), State: state, Reason: "<b>new</b> contract", EndedBy: account.Giver, EndedReason: "<i>unpaid</i>",
				Confirmed: map[account.Side]time.Time{account.Receiver: ago}, Created: ago, Expires: ahead},
				Names: map[account.Side]string{account.Customer: "<b>Fabrikam</b>", account.Giver: "Contoso & Söhne", account.Receiver: "Adatum"}, Side: side, Slug: "fabrikam", Linked: i}
			one := &moveDoc{Base: at(below, "org.move", "move.title", moveArgs(m)...), Move: m, At: "x", Speaks: m.Awaits(), Cancel: side == account.Overseer}
			if side == account.Customer {
				one.Rules = &signin.Moved{Was: policy.Defaults(), Is: policy.Defaults(), People: 4, Newly: i, You: i > 2}
				one.Rules.Is.Length = 20
				same := *one
				same.Rules = &signin.Moved{Was: policy.Defaults(), Is: policy.Defaults()}
				wrong := same
				wrong.Base = failed(wrong.Base, refusal.Field("reason", "reason.missing"))
				if state == account.MoveOpen {
					docs["org.move"] = append(docs["org.move"], &same, &wrong)
				}
			}
			docs["org.move"] = append(docs["org.move"], one)
			docs["org.moves"] = append(docs["org.moves"], &movesDoc{Base: at(house, "org.moves", "moves.title"), Moves: []account.Moving{m}, At: "/o/contoso/move/"})
		}
	}
	docs["org.moves"] = append(docs["org.moves"], &movesDoc{Base: at(house, "org.moves", "moves.title")})
	docs["org.move.new"] = []page.Doc{
		&newMoveDoc{Base: at(below, "org.move.new", "move.new.title", "Customer", below.Name), Action: "x", Back: "x", Slug: "fabrikam", Days: 14},
		&newMoveDoc{Base: failed(at(below, "org.move.new", "move.new.title", "Customer", below.Name), refusal.Field("to", "move.to_unknown"),
			refusal.Field("reason", "reason.missing"), refusal.Field("confirm_move", "org.confirm", "Slug", "fabrikam")), Slug: "fabrikam", Days: 14},
	}
	docs["factor-due"] = []page.Doc{&dueDoc{Base: page.Base{Page: "factor-due", Title: "factor-due.title"}, Organisation: house.Name, SignIn: "x", Identifier: "y"}}
	return docs
}

// jobSamples has a job in each of its states.
func jobSamples(at func(about org.Org, name, title string, args ...any) page.Base, failed func(b page.Base, faults ...*refusal.Error) page.Base,
	options func(keys ...string) []page.Option) (docs []page.Doc) {
	rows := []account.JobRow{{N: 2, Email: "ada@contoso.example", State: account.RowDone}, {N: 3, Email: "<b>", State: account.RowThere}, {N: 4, Email: "c"},
		{N: 5, State: account.RowRefused, Err: refusal.Field("email", "csv.formula", "Column", "email")}}
	for _, kind := range []account.Act{account.ActDisable, account.ActImport} {
		for _, state := range []account.JobState{account.JobColumns, account.JobChecking, account.JobChecked, account.JobRunning, account.JobDone, account.JobCancelled, account.JobStopped} {
			one := jobDoc{Base: at(below, "job", "bulk.act."+string(kind)), At: "x", Back: "y", Mine: true, Job: account.Job{Kind: kind, State: state, Total: 5000, Done: 40, Added: 30, There: 3,
				Refused: 7, Created: ago}}
			switch {
			case state == account.JobColumns:
				one.Columns = []columnChoice{{Field: "column_0", Head: "<b>Kontakt</b>", Options: options("csv.column.email", "csv.column.none")}}
			case !one.Job.Works():
				one.Rows, one.Next, one.File = rows, "x", "y"
			}
			if state == account.JobDone || state == account.JobStopped || state == account.JobCancelled {
				one.Job.Finished = ago
			}
			other := one
			other.Mine, other.Job.Params = false, account.Params{Bulk: account.Bulk{Role: access.Core}, Guessed: true, Ran: true}
			other.Group, other.Job.Reason = "<i>North</i>", account.StoppedSignedOut
			third := one
			third.Base, third.Rows, third.Job.Added = failed(third.Base, refusal.Field("", "job.over")), nil, 0
			third.RoleName, third.Job.Params.Role, third.Only = "<b>Own</b>", "rol_x", account.RowRefused
			docs = append(docs, &one, &other, &third)
		}
	}
	return docs
}

// everyEvent has each action once, with each outcome and kind of actor among them.
func everyEvent() (list []audit.Event) {
	actors := []access.Actor{{Kind: access.AccountActor, Name: "ada@contoso.example"}, {Kind: access.AccountActor}, {Kind: access.OperatorActor},
		{Kind: access.LinkActor}, {Kind: access.SystemActor}, {Kind: access.VisitorActor}}
	outcomes := []audit.Outcome{audit.Done, audit.Refused, audit.Denied}
	for i, a := range audit.Actions {
		list = append(list, audit.Event{At: ago, Action: a, Outcome: outcomes[i%len(outcomes)], Actor: actors[i%len(actors)]})
	}
	return list
}
