package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/org"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// town is a world with the organisations that attacks need: a provider, two MSPs, two customers of the first and one of the second.
type town struct {
	*doortest.World
	Provider, Contoso, Adatum   org.Org
	Fabrikam, Tailspin, Wingtip org.Org
}

func build(w *doortest.World) *town {
	w.T.Helper()
	t := &town{World: w}
	f, _ := w.Found()
	t.Provider = f.Org
	t.Contoso = w.Org(access.MSP, f.Org.ID, "contoso", "Contoso IT")
	t.Adatum = w.Org(access.MSP, f.Org.ID, "adatum", "Adatum Services")
	t.Fabrikam = w.Org(access.Customer, t.Contoso.ID, "fabrikam", "Fabrikam")
	t.Tailspin = w.Org(access.Customer, t.Contoso.ID, "tailspin", "Tailspin Toys")
	t.Wingtip = w.Org(access.Customer, t.Adatum.ID, "wingtip", "Wingtip")
	return t
}

// eachTown runs a test in a town on SQLite and on PostgreSQL.
func eachTown(t *testing.T, test func(t *testing.T, w *town)) {
	t.Helper()
	doortest.On(t, func(t *testing.T, w *doortest.World) { test(t, build(w)) })
}

// enrolled adds someone with an authenticator app and returns the browser in which they are signed in.
func (w *town) enrolled(o org.Org, email string, roles ...string) (*doortest.Person, *doortest.Browser) {
	w.T.Helper()
	p := w.Activate(o, email, roles...)
	return p, w.Browser().SignInFirst(p)
}

// attempt is a sign-in under way in a browser: its id, and the cookies that hold it.
type attempt struct {
	*doortest.Browser
	ID string
}

// identified starts a sign-in: it stands at the password.
func identified(w *doortest.World, slug, identifier string) attempt {
	w.T.Helper()
	b := w.Browser()
	b.Get("/o/"+slug+"/login").Submit("identifier", identifier).Want("login.password")
	return attempt{b, b.At.Query().Get("attempt")}
}

// halfIn starts a sign-in and gives the right password: it stands behind it.
func halfIn(p *doortest.Person) attempt {
	p.World.T.Helper()
	a := identified(p.World, p.Org.Slug, p.Email)
	a.Submit("password", doortest.Password)
	return a
}

// through goes on from wherever a sign-in that has proved everything stands: recovery codes are saved, a passkey is declined.
func through(b *doortest.Browser) *doortest.Browser {
	b.World.T.Helper()
	if b.Page() == "login.recovery-codes" {
		b.Submit("saved", "1")
	}
	if b.Page() == "login.passkey-offer" {
		b.Submit("choice", "later")
	}
	return b.Want("dashboard")
}

// enrolAnew signs in someone whose authenticator app is gone, with a new one.
func enrolAnew(p *doortest.Person) *doortest.Browser {
	p.World.T.Helper()
	a := halfIn(p)
	a.Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
	p.Key = strings.ReplaceAll(a.ByID("totp-secret"), " ", "")
	return through(a.Submit("code", p.Code()))
}

// post answers a step of the attempt, with what the browser holds, and follows nothing.
func (a attempt) post(step string, fields ...string) reply {
	a.World.T.Helper()
	return send(a.World, http.MethodPost, "/login/"+step, a.form(fields...), held(a.Browser))
}

func (a attempt) form(fields ...string) url.Values {
	v := url.Values{"attempt": {a.ID}}
	for i := 0; i+1 < len(fields); i += 2 {
		v.Add(fields[i], fields[i+1])
	}
	return v
}

// sessionIn tells whether an answer makes a session.
func sessionIn(r reply) bool { return strings.HasPrefix(r.Cookie("session"), "dws_") }

// tokenOf takes the token out of a link or path.
func tokenOf(link string) secret.Text {
	return secret.Text(link[strings.LastIndex(link, "/")+1:])
}

// call is how a route is posted to by someone who may.
type call struct {
	Path     string
	Header   http.Header // the cookies of who may
	Fields   url.Values  // good ones
	Required []string    // fields whose absence is refused at them
	Many     []string    // fields that may stand there more than once
	Page     string      // where wrong input is answered
	Spends   bool        // a wrong answer spends the question that was asked
	File     bool        // takes an upload as well
}

// stage is a town in which every POST route has someone who may use it, and something to use it on.
type stage struct {
	*town
	calls map[string]call
}

// setUp plays everyone to where their route begins. Nothing is posted to the routes themselves.
func setUp(w *town) *stage {
	w.T.Helper()
	s := &stage{town: w, calls: map[string]call{}}
	w.Exec(`update seats set seat_limit = null`)
	fabrikam := w.Fabrikam
	bea, beaIn := w.enrolled(fabrikam, "bea@fabrikam.example", access.Administrator)
	ada, adaIn := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
	carl := w.Enrol(fabrikam, "carl@fabrikam.example", access.Core)
	pending, _ := w.Invite(fabrikam, "pending@fabrikam.example", access.Core)
	shut := w.Activate(fabrikam, "shut@fabrikam.example", access.Core)
	if err := w.Directory.Disable(w.T.Context(), doortest.Operator(), fabrikam.ID, shut.Account); err != nil {
		w.T.Fatal(err)
	}

	// Sign-ins at each of their steps.
	fresh := w.Activate(fabrikam, "fresh@fabrikam.example", access.Core)
	choosing, confirming := halfIn(fresh), halfIn(fresh)
	confirming.Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
	stale := w.Activate(fabrikam, "stale@fabrikam.example", access.Core)
	w.Exec(`update accounts set link_used_at = 0 where id = $1`, stale.Account)
	mailing := halfIn(stale)
	mailing.Want("login.mail-code")
	coding := halfIn(carl)
	coding.Want("login.totp")
	typing := identified(w.World, "fabrikam", carl.Email)

	// Links.
	_, activation := w.Invite(fabrikam, "new@fabrikam.example", access.Core)
	w.Browser().Get("/o/fabrikam/forgot").Submit("identifier", carl.Email).Want("forgot.sent")
	reset := strings.TrimPrefix(w.Mailbox.Wait(carl.Email, "reset", 1).Link("/reset/"), w.Settings.PublicURL)

	if err := w.Directory.SendSetup(w.T.Context(), doortest.Operator(), fabrikam.ID, carl.Account); err != nil {
		w.T.Fatal(err)
	}
	setup := path(w, w.Mailbox.Wait(carl.Email, "setup", 1).Link("/setup/"))
	notMe := path(w, w.Mailbox.Wait(carl.Email, "factor-added", 1).Link("/not-me/"))

	// A pending app of the administrator's own, and a session of the core user's to end.
	beaIn.Get("/me/security").Submit(":action", "/app").Want("me.security.app")
	session := w.session(bea)
	other := w.Browser()
	other.SignIn(bea).Want("dashboard")
	ended := w.session(bea)
	if session == ended {
		w.T.Fatal("the second sign-in made no session")
	}
	factorID := w.text(`select id from factors where account_id = $1 and kind = 'totp' and state = 'active'`, bea.Account)

	own, err := w.Directory.DefineRole(w.T.Context(), doortest.Operator(), fabrikam.ID, account.OwnRole{Name: "Night shift", Permissions: []access.Permission{access.PeopleView}})
	if err != nil {
		w.T.Fatal(err)
	}
	group, err := w.Directory.CreateGroup(w.T.Context(), doortest.Operator(), w.Contoso.ID, "North")
	if err != nil {
		w.T.Fatal(err)
	}
	role, north := "/o/fabrikam/roles/"+string(own.ID), "/o/contoso/groups/"+string(group)
	permissions, customers := url.Values{"name": {"Day shift"}, "permissions": {"people.view"}}, url.Values{"customers": {string(fabrikam.ID)}}

	// A customer that is suspended, one that is being deleted.
	shutOrg, dying := w.Org(access.Customer, w.Contoso.ID, "shut", "Shut"), w.Org(access.Customer, w.Contoso.ID, "dying", "Dying")
	w.Exec(`update org_nodes set state = 'suspended' where id = $1`, shutOrg.ID)
	w.Exec(`update org_nodes set state = 'deleting' where id = $1`, dying.ID)
	w.Exec(`update orgs set delete_at = $1 where id = $2`, w.Clock.Now().Add(48*time.Hour).UnixMicro(), dying.ID)

	// A customer that can move to another MSP, one that is about to.
	_, rootIn := w.enrolled(w.Provider, "root2@acme.example", access.Administrator)
	w.Org(access.Customer, w.Contoso.ID, "stays", "Stays")
	moving := string(w.start(w.Org(access.Customer, w.Contoso.ID, "moving", "Moving"), "adatum"))
	for _, slug := range []string{"stays", "moving"} {
		rootIn.Get("/o/" + slug + "/").Want("dashboard")
	}

	for _, slug := range []string{"fabrikam", "tailspin", "shut", "dying"} { // the first look at another organisation is an event
		adaIn.Get("/o/" + slug + "/").Want("dashboard")
	}

	// An account of ada's at the customer, and a session of it.
	there := w.Activate(fabrikam, "ada@fabrikam.example", access.Core)
	w.linkTo(there, ada)
	below := w.Browser()
	below.SignIn(ada).Want("login.chooser")
	if r := send(w.World, http.MethodPost, "/me/enter", url.Values{"slug": {"fabrikam"}}, held(below)); sessionIn(r) {
		at, err := url.Parse(below.Base)
		if err != nil {
			w.T.Fatal(err)
		}
		below.Client.Jar.SetCookies(at, (&http.Response{Header: r.Head}).Cookies())
	}

	// Somebody who is being deleted, and changes of address that wait.
	going := w.Activate(fabrikam, "going@fabrikam.example", access.Core)
	if err := w.Directory.Delete(w.T.Context(), doortest.Operator(), fabrikam.ID, going.Account); err != nil {
		w.T.Fatal(err)
	}
	leaving := w.Activate(fabrikam, "leaving@fabrikam.example", access.Core)
	for _, p := range []*doortest.Person{leaving, bea} {
		if err := w.Directory.ChangeEmail(w.T.Context(), doortest.Operator(), fabrikam.ID, p.Account, "new."+p.Email); err != nil {
			w.T.Fatal(err)
		}
	}
	confirm := path(w, w.Mailbox.Wait("new."+leaving.Email, "email-confirm", 1).Link("/confirm-email/"))

	device := w.text(`select id from devices where account_id = $1 order by id limit 1`, bea.Account)

	v, err := w.Desk.Resolve(w.T.Context(), secretOf(beaIn), access.Client{})
	if err != nil {
		w.T.Fatal(err)
	}
	begun, err := w.Jobs.Begin(w.T.Context(), v.Actor, fabrikam.ID, account.Bulk{Act: account.ActSessions}, []account.Account{{ID: carl.Account, Org: fabrikam.ID, Email: carl.Email}})
	if err != nil {
		w.T.Fatal(err)
	}
	job := "/o/fabrikam/jobs/" + string(begun)

	stranger := http.Header{}
	// Customers that ask for more seats, and the provider's administrator, who sets pools.
	w.Exec(`update seats set seat_limit = 30 where org_id = $1`, fabrikam.ID)
	_, ritaIn := w.enrolled(w.Provider, "rita@acme.example", access.Administrator)
	ritaIn.Get("/o/contoso/").Want("dashboard")
	ritas := held(ritaIn)
	wish := func(slug string) string {
		o := w.Org(access.Customer, w.Contoso.ID, slug, slug)
		if err := w.Directory.AskSeats(w.T.Context(), doortest.Operator(), o.ID, 8, "new office"); err != nil {
			w.T.Fatal(err)
		}
		adaIn.Get("/o/" + slug + "/").Want("dashboard")
		return w.text(`select id from seat_requests where org_id = $1`, o.ID)
	}
	wanting, granted, denied := wish("wanting"), wish("granted"), wish("denied")

	people, bees, adas := "/o/fabrikam/users/", held(beaIn), held(adaIn)
	password := url.Values{"new_password": {"a new passphrase 11"}, "confirm_password": {"a new passphrase 11"}}
	both := []string{"new_password"}
	for pattern, c := range map[string]call{
		"POST /login":                                  {Path: "/login", Header: stranger, Fields: url.Values{"identifier": {carl.Email}}, Required: []string{"identifier"}, Page: "login.identifier"},
		"POST /login/organisations":                    {Path: "/login/organisations", Header: stranger, Fields: url.Values{"identifier": {carl.Email}}, Required: []string{"identifier"}, Page: "login.organisations"},
		"POST /login/passkey-start":                    {Path: "/login/passkey-start", Header: stranger, Fields: url.Values{"to": {"/me"}}, Page: "error"},
		"POST /o/{slug}/login":                         {Path: "/o/fabrikam/login", Header: stranger, Fields: url.Values{"identifier": {carl.Email}}, Required: []string{"identifier"}, Page: "login.identifier"},
		"POST /o/{slug}/forgot":                        {Path: "/o/fabrikam/forgot", Header: stranger, Fields: url.Values{"identifier": {carl.Email}}, Required: []string{"identifier"}, Page: "forgot"},
		"POST /login/password":                         typing.call("password", "login.password", "password", doortest.Password),
		"POST /login/totp":                             coding.call("totp", "login.totp", "code", carl.Code()),
		"POST /login/mail-code":                        mailing.call("mail-code", "login.mail-code", "code", "123456"),
		"POST /login/mail-code-again":                  mailing.call("mail-code-again", "login.mail-code"),
		"POST /login/enrol":                            choosing.call("enrol", "login.enrol", "method", "totp"),
		"POST /login/enrol-totp":                       confirming.call("enrol-totp", "login.enrol.totp", "code", "123456"),
		"POST /activate/{token}":                       {Path: activation, Header: stranger, Fields: password, Required: both, Page: "activate"},
		"POST /activate/{token}/again":                 {Path: activation + "/again", Header: stranger, Page: "error"},
		"POST /reset/{token}":                          {Path: reset, Header: stranger, Fields: password, Required: both, Page: "reset"},
		"POST /setup/{token}":                          {Path: setup, Header: stranger, Fields: password, Required: both, Page: "setup-link"},
		"POST /not-me/{token}":                         {Path: notMe, Header: stranger, Page: "error"},
		"POST /activate/{token}/link":                  {Path: activation + "/link", Header: stranger, Fields: url.Values{"home": {""}}, Page: "error"},
		"POST /o/{slug}/users/{account}/unlink":        {Path: people + string(there.Account) + "/unlink", Header: bees, Page: "error"},
		"POST /me/unlink/{slug}":                       {Path: "/me/unlink/fabrikam", Header: adas, Page: "error"},
		"POST /me/enter":                               {Path: "/me/enter", Header: adas, Fields: url.Values{"slug": {"fabrikam"}}, Page: "error"},
		"POST /me/leave":                               {Path: "/me/leave", Header: held(below), Fields: url.Values{"to": {"/me"}}, Page: "error"},
		"POST /me/link":                                {Path: "/me/link", Header: bees, Page: "error"},
		"POST /me/link/confirm":                        {Path: "/me/link/confirm", Header: adas, Page: "error"},
		"POST /logout":                                 {Path: "/logout", Header: held(other), Page: "error"},
		"POST /o/{slug}/users/invite":                  {Path: people + "invite", Header: bees, Fields: url.Values{"emails": {"x@fabrikam.example"}, "roles": {"core"}}, Required: []string{"emails"}, Many: []string{"roles"}, Page: "users.invite"},
		"POST /o/{slug}/users/import":                  {Path: people + "import", Header: bees, Fields: url.Values{"text": {"email,roles\nx@fabrikam.example,core"}, "step": {"run"}}, Required: []string{"text"}, Page: "users.import", File: true},
		"POST /o/{slug}/users/bulk":                    {Path: people + "bulk", Header: bees, Fields: url.Values{"action": {"resend"}, "account": {string(pending.Account)}, "step": {"run"}, "count": {"1"}}, Required: []string{"action"}, Many: []string{"account"}, Page: "users"},
		"POST /o/{slug}/jobs/{job}":                    {Path: job, Header: bees, Fields: url.Values{"step": {"cancel"}}, Page: "job"},
		"POST /o/{slug}/users/export":                  {Path: people + "export", Header: bees, Fields: url.Values{"columns": {"email"}}, Required: []string{"columns"}, Many: []string{"columns"}, Page: "users.export"},
		"POST /o/{slug}/users/{account}/resend":        {Path: people + string(pending.Account) + "/resend", Header: bees, Page: "error"},
		"POST /o/{slug}/users/{account}/withdraw":      {Path: people + string(pending.Account) + "/withdraw", Header: bees, Page: "error"},
		"POST /o/{slug}/users/{account}/disable":       {Path: people + string(carl.Account) + "/disable", Header: bees, Page: "error"},
		"POST /o/{slug}/users/{account}/enable":        {Path: people + string(shut.Account) + "/enable", Header: bees, Page: "error"},
		"POST /o/{slug}/users/{account}/delete":        {Path: people + string(leaving.Account) + "/delete", Header: bees, Page: "error"},
		"POST /o/{slug}/users/{account}/keep":          {Path: people + string(going.Account) + "/keep", Header: bees, Page: "error"},
		"POST /o/{slug}/users/{account}/email":         {Path: people + string(carl.Account) + "/email", Header: bees, Fields: url.Values{"email": {"carl2@fabrikam.example"}}, Required: []string{"email"}, Page: "user"},
		"POST /o/{slug}/users/{account}/email/stop":    {Path: people + string(leaving.Account) + "/email/stop", Header: bees, Page: "error"},
		"POST /me/email":                               {Path: "/me/email", Header: adas, Fields: url.Values{"email": {"ada2@contoso.example"}}, Required: []string{"email"}, Page: "me"},
		"POST /me/email/stop":                          {Path: "/me/email/stop", Header: bees, Page: "error"},
		"POST /confirm-email/{token}":                  {Path: confirm, Header: stranger, Page: "error"},
		"POST /o/{slug}/users/{account}/roles":         {Path: people + string(carl.Account) + "/roles", Header: bees, Fields: url.Values{"roles": {"viewer"}}, Many: []string{"roles"}, Page: "user"},
		"POST /o/{slug}/users/{account}/role-end":      {Path: people + string(carl.Account) + "/role-end", Header: bees, Fields: url.Values{"role": {"core"}, "ends_at": {"2027-06-01T10:00"}}, Page: "user"},
		"POST /o/{slug}/roles/new":                     {Path: "/o/fabrikam/roles/new", Header: bees, Fields: permissions, Required: []string{"name", "permissions"}, Many: []string{"permissions"}, Page: "role.new"},
		"POST /o/{slug}/roles/{role}":                  {Path: role, Header: bees, Fields: url.Values{"name": {"Day shift"}, "permissions": {"people.view"}, "rev": {"1"}}, Required: []string{"name", "permissions"}, Many: []string{"permissions"}, Page: "role"},
		"POST /o/{slug}/roles/{role}/delete":           {Path: role + "/delete", Header: bees, Page: "error"},
		"POST /o/{slug}/groups":                        {Path: "/o/contoso/groups", Header: adas, Fields: url.Values{"name": {"South"}}, Required: []string{"name"}, Page: "groups"},
		"POST /o/{slug}/groups/{group}/rename":         {Path: north + "/rename", Header: adas, Fields: url.Values{"name": {"South"}}, Required: []string{"name"}, Page: "group"},
		"POST /o/{slug}/groups/{group}/add":            {Path: north + "/add", Header: adas, Fields: customers, Many: []string{"customers"}, Page: "error"},
		"POST /o/{slug}/groups/{group}/remove":         {Path: north + "/remove", Header: adas, Fields: customers, Many: []string{"customers"}, Page: "error"},
		"POST /o/{slug}/groups/{group}/delete":         {Path: north + "/delete", Header: adas, Page: "error"},
		"POST /o/{slug}/users/{account}/reset-factors": {Path: people + string(carl.Account) + "/reset-factors", Header: bees, Fields: url.Values{"reason": {"phone lost"}}, Page: "user"},
		"POST /o/{slug}/users/{account}/setup":         {Path: people + string(carl.Account) + "/setup", Header: bees, Page: "error"},
		"POST /o/{slug}/users/{account}/end-sessions":  {Path: people + string(carl.Account) + "/end-sessions", Header: bees, Page: "error"},
		"POST /o/{slug}/users/{account}/exempt":        {Path: people + string(carl.Account) + "/exempt", Header: bees, Fields: url.Values{"exempt_until": {w.Clock.Now().AddDate(0, 0, 9).Format(time.DateOnly)}, "exempt_reason": {"phone on its way"}}, Required: []string{"exempt_until", "exempt_reason"}, Page: "user"},
		"POST /o/{slug}/users/{account}/end-exemption": {Path: people + string(carl.Account) + "/end-exemption", Header: bees, Page: "error"},
		"POST /o/{slug}/settings/sign-in":              {Path: "/o/fabrikam/settings/sign-in", Header: bees, Fields: url.Values{"idle_minutes": {"60"}, "second_factor": {"everyone"}}, Many: []string{"factors"}, Page: "org.policy"},
		"POST /o/{slug}/security/remind":               {Path: "/o/fabrikam/security/remind", Header: bees, Fields: url.Values{"account": {string(carl.Account)}}, Many: []string{"account"}, Page: "error"},
		"POST /o/{slug}/orgs/new":                      {Path: "/o/contoso/orgs/new", Header: adas, Fields: url.Values{"name": {"New"}, "slug": {"new"}, "kind": {"customer"}}, Required: []string{"name", "slug"}, Page: "org.new"},
		"POST /o/{slug}/settings":                      {Path: "/o/fabrikam/settings", Header: bees, Fields: url.Values{"name": {"Fabrikam & Co"}, "language": {"de"}, "time_zone": {"UTC"}, "country": {"DE"}, "tags": {"north, big"}, "rev": {"0"}}, Required: []string{"name"}, Page: "org.settings"},
		"POST /o/{slug}/settings/branding":             {Path: "/o/fabrikam/settings/branding", Header: bees, Fields: url.Values{"accent": {"#1d7a46"}, "rev": {"0"}}, Page: "org.branding", File: true},
		"POST /o/{slug}/seats/ask":                     {Path: "/o/fabrikam/seats/ask", Header: bees, Fields: url.Values{"wanted": {"40"}, "reason": {"new office"}}, Required: []string{"wanted", "reason"}, Page: "seats"},
		"POST /o/{slug}/seats/withdraw":                {Path: "/o/wanting/seats/withdraw", Header: adas, Fields: url.Values{"request": {wanting}}, Page: "seats"},
		"POST /o/{slug}/seats/grant":                   {Path: "/o/granted/seats/grant", Header: adas, Fields: url.Values{"request": {granted}, "seat_limit": {"8"}}, Required: []string{"seat_limit"}, Page: "seats"},
		"POST /o/{slug}/seats/decline":                 {Path: "/o/denied/seats/decline", Header: adas, Fields: url.Values{"request": {denied}, "reason": {"no"}}, Required: []string{"reason"}, Page: "seats"},
		"POST /o/{slug}/seats/limit":                   {Path: "/o/tailspin/seats/limit", Header: adas, Fields: url.Values{"seat_limit": {"12"}}, Page: "seats"},
		"POST /o/{slug}/seats/pool":                    {Path: "/o/contoso/seats/pool", Header: ritas, Fields: url.Values{"pool": {"5000"}}, Page: "seats"},
		"POST /o/{slug}/settings/suspend":              {Path: "/o/tailspin/settings/suspend", Header: adas, Fields: url.Values{"confirm_suspend": {"tailspin"}, "reason": {"invoice"}}, Required: []string{"confirm_suspend", "reason"}, Page: "org.settings"},
		"POST /o/{slug}/settings/resume":               {Path: "/o/shut/settings/resume", Header: adas, Page: "org.settings"},
		"POST /o/{slug}/settings/delete":               {Path: "/o/tailspin/settings/delete", Header: adas, Fields: url.Values{"confirm_delete": {"tailspin"}}, Required: []string{"confirm_delete"}, Page: "org.settings"},
		"POST /o/{slug}/settings/keep":                 {Path: "/o/dying/settings/keep", Header: adas, Page: "org.settings"},
		"POST /o/{slug}/move":                          {Path: "/o/stays/move", Header: held(rootIn), Fields: url.Values{"to": {"adatum"}, "reason": {"new contract"}, "confirm_move": {"stays"}}, Required: []string{"to", "reason", "confirm_move"}, Page: "org.move.new"},
		"POST /o/{slug}/move/{move}/confirm":           {Path: "/o/contoso/move/" + moving + "/confirm", Header: adas, Page: "org.move"},
		"POST /o/{slug}/move/{move}/decline":           {Path: "/o/contoso/move/" + moving + "/decline", Header: adas, Fields: url.Values{"reason": {"unpaid"}}, Required: []string{"reason"}, Page: "org.move"},
		"POST /o/{slug}/move/{move}/cancel":            {Path: "/o/moving/move/" + moving + "/cancel", Header: held(rootIn), Page: "org.move"},
		"POST /me":                                     {Path: "/me", Header: bees, Fields: url.Values{"name": {"Bea"}, "username": {"bea"}, "language": {"de"}, "time_zone": {"UTC"}}, Page: "me"},
		"POST /me/security/password":                   {Path: "/me/security/password", Header: bees, Fields: url.Values{"password": {doortest.Password}, "new_password": {"a new passphrase 11"}, "confirm_password": {"a new passphrase 11"}}, Required: []string{"password", "new_password"}, Page: "me.security"},
		"POST /me/security/app":                        {Path: "/me/security/app", Header: bees, Page: "error"},
		"POST /me/security/app/confirm":                {Path: "/me/security/app/confirm", Header: bees, Fields: url.Values{"code": {"123456"}, "name": {"phone"}}, Required: []string{"code"}, Page: "me.security.app"},
		"POST /me/security/factors/{factor}/remove":    {Path: "/me/security/factors/" + factorID + "/remove", Header: bees, Page: "error"},
		"POST /me/sessions/{session}/end":              {Path: "/me/sessions/" + ended + "/end", Header: bees, Page: "error"},
		"POST /me/sessions/end-all":                    {Path: "/me/sessions/end-all", Header: bees, Page: "error"},
		"POST /me/prove":                               {Path: "/me/prove", Header: bees, Fields: url.Values{"proof_code": {"123456"}, "to": {"/me"}}, Required: []string{"proof_code"}, Page: "prove"},
		"POST /o/{slug}/login/passkey":                 {Path: "/o/fabrikam/login/passkey", Header: stranger, Fields: url.Values{"to": {"/me"}}, Page: "error"},
		"POST /login/passkey-alone":                    {Path: "/login/passkey-alone", Header: stranger, Fields: url.Values{"credential": {"{}"}}, Page: "login.identifier"},
		"POST /login/passkey":                          coding.aside("passkey", "credential", "{}"),
		"POST /login/way":                              coding.aside("way", "way", "recovery"),
		"POST /login/recovery":                         coding.aside("recovery", "code", "abcde-fghjk"),
		"POST /login/access-code":                      coding.aside("access-code", "code", "abcde-fghjk"),
		"POST /login/enrol-passkey":                    coding.aside("enrol-passkey", "credential", "{}", "name", "key"),
		"POST /login/not-now":                          coding.aside("not-now"),
		"POST /login/recovery-codes":                   coding.aside("recovery-codes", "saved", "1"),
		"POST /login/mfa-notice":                       coding.aside("mfa-notice", "choice", "later"),
		"POST /login/passkey-offer":                    coding.aside("passkey-offer", "choice", "later"),
		"POST /o/{slug}/users/{account}/access-code":   {Path: people + string(carl.Account) + "/access-code", Header: bees, Fields: url.Values{"life": {"1h"}}, Page: "error"},
		"POST /me/security/key":                        {Path: "/me/security/key", Header: bees, Page: "error"},
		"POST /me/security/key/confirm":                {Path: "/me/security/key/confirm", Header: bees, Fields: url.Values{"credential": {"{}"}, "name": {"key"}}, Required: []string{"credential"}, Page: "me.security.key", Spends: true},
		"POST /me/security/recovery":                   {Path: "/me/security/recovery", Header: bees, Page: "error"},
		"POST /me/sessions/devices/{device}/forget":    {Path: "/me/sessions/devices/" + device + "/forget", Header: bees, Page: "error"},
		"POST /me/prove/key":                           {Path: "/me/prove/key", Header: bees, Page: "error"},
	} {
		if c.Fields == nil {
			c.Fields = url.Values{}
		}
		s.calls[pattern] = c
	}
	w.Exec(`update sessions set last_used_at = $1`, w.Clock.Now().UnixMicro()) // so that looking changes nothing
	settle(w.World)
	return s
}

func (a attempt) call(step, page string, field ...string) call {
	c := call{Path: "/login/" + step, Header: held(a.Browser), Fields: a.form(field...), Page: page}
	if len(field) > 0 {
		c.Required = field[:1]
	}
	return c
}

// aside is how a step is posted to that is not the one due: bad input shows the page of the one that is.
func (a attempt) aside(step string, fields ...string) call {
	return call{Path: "/login/" + step, Header: held(a.Browser), Fields: a.form(fields...), Page: "login.totp"}
}

// patterns returns the patterns of both route tables.
func (w *town) patterns() []string {
	var list []string
	for _, r := range w.Entry.Routes() {
		list = append(list, r.Pattern)
	}
	for _, r := range w.Console.Routes() {
		list = append(list, r.Pattern)
	}
	return list
}

// eachPost runs a test for every POST route of both tables. A route without a line in setUp fails.
func (s *stage) eachPost(t *testing.T, test func(t *testing.T, c call)) {
	t.Helper()
	n := 0
	for _, pattern := range s.patterns() {
		if !strings.HasPrefix(pattern, "POST ") {
			continue
		}
		n++
		c, ok := s.calls[pattern]
		if !ok {
			t.Errorf("%s has no line in the stage", pattern)
			continue
		}
		t.Run(strings.TrimPrefix(pattern, "POST "), func(t *testing.T) { test(t, c) })
	}
	if n != len(s.calls) {
		t.Errorf("the stage has %d lines for %d routes", len(s.calls), n)
	}
}

// text returns the one text that a query gives.
func (w *town) text(query string, args ...any) string {
	w.T.Helper()
	s, err := sqldb.One(w.DB.Read(w.T.Context()), sqldb.Value[string], query, args...)
	if err != nil {
		w.T.Fatal(err)
	}
	return s
}

// session returns the id of someone's newest session.
func (w *town) session(p *doortest.Person) string {
	w.T.Helper()
	return w.text(`select id from sessions where account_id = $1 and state = 'open' order by created_at desc, id desc limit 1`, p.Account)
}

// resetLink asks for a new password and returns the path of the mailed link.
func (w *town) resetLink(p *doortest.Person, nth int) string {
	w.T.Helper()
	w.Browser().Get("/o/"+p.Org.Slug+"/forgot").Submit("identifier", p.Email).Want("forgot.sent")
	return strings.TrimPrefix(w.Mailbox.Wait(p.Email, "reset", nth).Link("/reset/"), w.Settings.PublicURL)
}

// choose is the form of a new password.
func choose(password string) url.Values {
	return url.Values{"new_password": {password}, "confirm_password": {password}}
}

// signsIn tells whether that password takes someone behind the password step.
func (w *town) signsIn(p *doortest.Person, password string) bool {
	w.T.Helper()
	a := identified(w.World, p.Org.Slug, p.Email)
	r := a.post("password", "password", password)
	return r.Status == http.StatusSeeOther
}
