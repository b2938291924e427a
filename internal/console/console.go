// Package console is the surface for who is signed in: dashboard, own account, people, organisations. Which organisation a page is about
// stands in the address alone; the guard decides for each request. It holds no rules and no SQL.
package console

import (
	"embed"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

//go:embed templates/*.html
var templates embed.FS

// Console serves the pages of who is signed in.
type Console struct {
	DB        *sqldb.DB
	Kit       *page.Kit
	Desk      *signin.Desk
	Directory *account.Directory
	Jobs      *account.Jobs
	Guard     access.Guard
	Book      *audit.Book
	Vault     *secret.Vault
	Now       func() time.Time
	Client    func(*http.Request) access.Client

	// Stranger answers the address of an organisation for who has no access there.
	Stranger func(http.ResponseWriter, *http.Request) error

	pages *page.Set
}

// Pages parses the templates. Call it once, before Routes.
func (c *Console) Pages() (*page.Set, error) {
	sub, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	c.pages, err = c.Kit.Parse(sub)
	return c.pages, err
}

// Route is one line of the route table. Tests walk it: Permission is what the guard asks for, empty for what is everyone's own.
type Route struct {
	Pattern    string
	Permission access.Permission
	Handle     func(http.ResponseWriter, *http.Request) error
}

// Routes is the table of the console.
func (c *Console) Routes() []Route {
	return []Route{
		{"GET /o/{slug}/{$}", access.OrgView, c.inOr(c.Stranger, access.OrgView, c.dashboard)},
		{"GET /o/{slug}/users", access.PeopleView, c.in(access.PeopleView, c.people)},
		{"GET /o/{slug}/users/invite", access.PeopleInvite, c.in(access.PeopleInvite, c.inviteForm)},
		{"POST /o/{slug}/users/invite", access.PeopleInvite, c.in(access.PeopleInvite, c.invite)},
		{"GET /o/{slug}/users/import", access.PeopleImport, c.in(access.PeopleImport, c.importForm)},
		{"POST /o/{slug}/users/import", access.PeopleImport, c.in(access.PeopleImport, c.importPeople)},
		{"GET /o/{slug}/users/export", access.PeopleExport, c.in(access.PeopleExport, c.exportForm)},
		{"POST /o/{slug}/users/export", access.PeopleExport, c.in(access.PeopleExport, c.exportPeople)},
		{"GET /o/{slug}/users/bulk", access.PeopleView, c.in(access.PeopleView, c.toPeople)},
		{"POST /o/{slug}/users/bulk", access.PeopleView, c.in(access.PeopleView, c.bulk)},
		{"GET /o/{slug}/jobs/{job}", access.OrgView, c.in(access.OrgView, c.job)}, // who may see a job is asked of the job
		{"POST /o/{slug}/jobs/{job}", access.OrgView, c.in(access.OrgView, c.changeJob)},
		{"GET /o/{slug}/jobs/{job}/result", access.OrgView, c.in(access.OrgView, c.jobResult)},
		{"GET /o/{slug}/users/{account}", access.PeopleView, c.in(access.PeopleView, c.person)},
		{"POST /o/{slug}/users/{account}/resend", access.PeopleResend, c.in(access.PeopleResend, c.resend)},
		{"POST /o/{slug}/users/{account}/withdraw", access.PeopleWithdraw, c.in(access.PeopleWithdraw, c.withdraw)},
		{"POST /o/{slug}/users/{account}/disable", access.PeopleDisable, c.in(access.PeopleDisable, c.disable)},
		{"POST /o/{slug}/users/{account}/enable", access.PeopleDisable, c.in(access.PeopleDisable, c.enable)},
		{"POST /o/{slug}/users/{account}/delete", access.PeopleDelete, c.in(access.PeopleDelete, c.deletePerson)},
		{"POST /o/{slug}/users/{account}/keep", access.PeopleDelete, c.in(access.PeopleDelete, c.keepPerson)},
		{"POST /o/{slug}/users/{account}/email", access.PeopleEdit, c.in(access.PeopleEdit, c.changeEmail)},
		{"POST /o/{slug}/users/{account}/email/stop", access.PeopleEdit, c.in(access.PeopleEdit, c.stopEmail)},
		{"POST /o/{slug}/users/{account}/roles", access.RoleAssign, c.in(access.RoleAssign, c.roles)},
		{"POST /o/{slug}/users/{account}/role-end", access.RoleAssign, c.in(access.RoleAssign, c.roleEnd)},
		{"POST /o/{slug}/users/{account}/reset-factors", access.PeopleFactors, c.in(access.PeopleFactors, c.resetFactors)},
		{"POST /o/{slug}/users/{account}/setup", access.PeopleFactors, c.in(access.PeopleFactors, c.sendSetup)},
		{"POST /o/{slug}/users/{account}/access-code", access.PeopleAccessCode, c.in(access.PeopleAccessCode, c.accessCode)},
		{"GET /o/{slug}/users/{account}/access-code", access.PeopleView, c.in(access.PeopleView, c.toPerson)},
		{"POST /o/{slug}/users/{account}/end-sessions", access.PeopleSessions, c.in(access.PeopleSessions, c.endSessions)},
		{"POST /o/{slug}/users/{account}/exempt", access.PolicyEdit, c.in(access.PolicyEdit, c.exempt)},
		{"POST /o/{slug}/users/{account}/end-exemption", access.PolicyEdit, c.in(access.PolicyEdit, c.endExemption)},
		{"GET /o/{slug}/settings/sign-in", access.PolicyView, c.in(access.PolicyView, c.rules)},
		{"POST /o/{slug}/settings/sign-in", access.PolicyEdit, c.in(access.PolicyEdit, c.setRules)},
		{"GET /o/{slug}/settings/sign-in/preview", access.PolicyView, c.in(access.PolicyView, c.previewRules)},
		{"GET /o/{slug}/security", access.OrgView, c.in(access.OrgView, c.campaign)}, // its two halves have rights of their own
		{"POST /o/{slug}/security/remind", access.PeopleFactors, c.in(access.PeopleFactors, c.remind)},
		{"GET /o/{slug}/orgs", access.OrgView, c.in(access.OrgView, c.orgs)},
		{"GET /o/{slug}/orgs/new", access.OrgCreate, c.in(access.OrgCreate, c.newOrgForm)},
		{"POST /o/{slug}/orgs/new", access.OrgCreate, c.in(access.OrgCreate, c.newOrg)},
		{"GET /o/{slug}/orgs/check", access.OrgCreate, c.in(access.OrgCreate, c.checkSlug)},
		{"GET /o/{slug}/roles", access.PeopleView, c.in(access.PeopleView, c.roleList)},
		{"GET /o/{slug}/roles/new", access.RoleDefine, c.in(access.RoleDefine, c.newRoleForm)},
		{"POST /o/{slug}/roles/new", access.RoleDefine, c.in(access.RoleDefine, c.newRole)},
		{"GET /o/{slug}/roles/{role}", access.RoleDefine, c.in(access.RoleDefine, c.roleForm)},
		{"POST /o/{slug}/roles/{role}", access.RoleDefine, c.in(access.RoleDefine, c.editRole)},
		{"POST /o/{slug}/roles/{role}/delete", access.RoleDefine, c.in(access.RoleDefine, c.deleteRole)},
		{"GET /o/{slug}/groups", access.GroupManage, c.in(access.GroupManage, c.groups)},
		{"POST /o/{slug}/groups", access.GroupManage, c.in(access.GroupManage, c.newGroup)},
		{"GET /o/{slug}/groups/{group}", access.GroupManage, c.in(access.GroupManage, c.group)},
		{"POST /o/{slug}/groups/{group}/rename", access.GroupManage, c.in(access.GroupManage, c.renameGroup)},
		{"POST /o/{slug}/groups/{group}/add", access.GroupManage, c.in(access.GroupManage, c.addToGroup)},
		{"POST /o/{slug}/groups/{group}/remove", access.GroupManage, c.in(access.GroupManage, c.removeFromGroup)},
		{"POST /o/{slug}/groups/{group}/delete", access.GroupManage, c.in(access.GroupManage, c.deleteGroup)},
		{"GET /o/{slug}/search", access.OrgView, c.in(access.OrgView, c.search)}, // of each kind as far as there are rights to it
		{"GET /choose", "", c.own(c.choose)},
		{"GET /o/{slug}/settings", access.OrgEdit, c.in(access.OrgEdit, c.orgSettings)},
		{"POST /o/{slug}/settings", access.OrgEdit, c.in(access.OrgEdit, c.editOrg)},
		{"POST /o/{slug}/settings/suspend", access.OrgSuspend, c.in(access.OrgSuspend, c.suspend)},
		{"POST /o/{slug}/settings/resume", access.OrgSuspend, c.in(access.OrgSuspend, c.resume)},
		{"POST /o/{slug}/settings/delete", access.OrgDelete, c.in(access.OrgDelete, c.deleteOrg)},
		{"POST /o/{slug}/settings/keep", access.OrgDelete, c.in(access.OrgDelete, c.keepOrg)},
		{"GET /o/{slug}/settings/branding", access.OrgEdit, c.in(access.OrgEdit, c.branding)},
		{"POST /o/{slug}/settings/branding", access.OrgEdit, c.in(access.OrgEdit, c.setBranding)},
		{"GET /o/{slug}/settings/branding/try", access.OrgEdit, c.in(access.OrgEdit, c.tryAccent)},
		{"GET /o/{slug}/move", access.OrgView, c.in(access.OrgView, c.moves)}, // each side has rights of its own
		{"POST /o/{slug}/move", access.OrgMoveStart, c.in(access.OrgMoveStart, c.startMove)},
		{"GET /o/{slug}/move/{move}", access.OrgView, c.in(access.OrgView, c.move)},
		{"POST /o/{slug}/move/{move}/confirm", access.OrgView, c.in(access.OrgView, c.confirmMove)},
		{"POST /o/{slug}/move/{move}/decline", access.OrgView, c.in(access.OrgView, c.declineMove)},
		{"POST /o/{slug}/move/{move}/cancel", access.OrgMoveStart, c.in(access.OrgMoveStart, c.cancelMove)},
		{"GET /o/{slug}/seats", access.OrgView, c.in(access.OrgView, c.seats)}, // its parts have rights of their own
		{"GET /o/{slug}/seats/marks.csv", access.OrgView, c.in(access.OrgView, c.marksFile)},
		{"POST /o/{slug}/seats/ask", access.PeopleInvite, c.in(access.PeopleInvite, c.askSeats)},
		{"POST /o/{slug}/seats/withdraw", access.PeopleInvite, c.in(access.PeopleInvite, c.withdrawSeats)},
		{"POST /o/{slug}/seats/limit", access.SeatsSet, c.in(access.SeatsSet, c.setSeats)},
		{"POST /o/{slug}/seats/pool", access.SeatsSet, c.in(access.SeatsSet, c.setPool)},
		{"POST /o/{slug}/seats/grant", access.SeatsSet, c.in(access.SeatsSet, c.grantSeats)},
		{"POST /o/{slug}/seats/decline", access.SeatsSet, c.in(access.SeatsSet, c.declineSeats)},
		{"GET /me", "", c.own(c.profile)},
		{"POST /me", "", c.own(c.editProfile)},
		{"POST /me/email", "", c.own(c.changeOwnEmail)},
		{"POST /me/email/stop", "", c.own(c.stopOwnEmail)},
		{"GET /me/security", "", c.own(c.security)},
		{"POST /me/security/password", "", c.own(c.changePassword)},
		{"POST /me/security/app", "", c.own(c.beginApp)},
		{"GET /me/security/app", "", c.own(c.app)},
		{"POST /me/security/app/confirm", "", c.own(c.confirmApp)},
		{"GET /me/security/app/confirm", "", c.own(c.toSecurity)},
		{"POST /me/security/factors/{factor}/remove", "", c.own(c.removeFactor)},
		{"POST /me/security/key", "", c.own(c.beginKey)},
		{"GET /me/security/key", "", c.own(c.toSecurity)},
		{"POST /me/security/key/confirm", "", c.own(c.confirmKey)},
		{"GET /me/security/key/confirm", "", c.own(c.toSecurity)},
		{"POST /me/security/recovery", "", c.own(c.newCodes)},
		{"GET /me/security/recovery", "", c.own(c.toSecurity)},
		{"GET /me/sessions", "", c.own(c.sessions)},
		{"POST /me/sessions/devices/{device}/forget", "", c.own(c.forgetDevice)},
		{"POST /me/sessions/{session}/end", "", c.own(c.endSession)},
		{"POST /me/sessions/end-all", "", c.own(c.endAll)},
		{"GET /o/{slug}/users/{account}/unlink", access.PeopleEdit, c.in(access.PeopleEdit, c.unlinkPerson)},
		{"POST /o/{slug}/users/{account}/unlink", access.PeopleEdit, c.in(access.PeopleEdit, c.doUnlinkPerson)},
		{"GET /me/unlink/{slug}", "", c.own(c.unlinkOwn)},
		{"POST /me/unlink/{slug}", "", c.own(c.doUnlinkOwn)},
		{"POST /me/enter", "", c.own(c.enter)},
		{"POST /me/leave", "", c.own(c.leave)},
		{"POST /me/link", "", c.own(c.beginLink)},
		{"GET /me/link", "", c.own(c.join)},
		{"POST /me/link/confirm", "", c.own(c.doJoin)},
		{"GET /me/prove", "", c.own(c.proveForm)},
		{"POST /me/prove", "", c.own(c.prove)},
		{"POST /me/prove/key", "", c.own(c.askKey)},
	}
}

// visit is one request of someone signed in, about one organisation.
type visit struct {
	signin.Visitor
	About  org.Org // the organisation that the page is about
	Rights access.Rights
	Slug   string
	Menu   *page.OrgMenu // nil: nowhere else to go
}

// path is the address of a page of the visited organisation.
func (v visit) path(rest string) string { return "/o/" + v.About.Slug + "/" + rest }

// administers tells whether the visitor administers their own organisation.
func (v visit) administers() bool {
	return slices.ContainsFunc(v.Visitor.Roles, func(role string) bool { return access.Administrative(v.Visitor.Org.Kind, role) })
}

type handler func(w http.ResponseWriter, r *http.Request, v visit) error

const sessionCookie = "session"

func (c *Console) secretOf(r *http.Request) secret.Text {
	s, _ := c.Kit.ReadCookie(r, sessionCookie)
	return secret.Text(s)
}

// in guards a page about the organisation in the address. Who is not signed in, or may not even see the organisation, is sent to its
// sign-in, which looks the same whether it exists.
func (c *Console) in(p access.Permission, h handler) func(http.ResponseWriter, *http.Request) error {
	return c.inOr(c.toSignIn, p, h)
}

func (c *Console) inOr(stranger func(http.ResponseWriter, *http.Request) error, p access.Permission, h handler) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := visit{Slug: r.PathValue("slug")}
		var err error
		if v.Visitor, err = c.Desk.Resolve(r.Context(), c.secretOf(r), c.Client(r)); err != nil {
			if refusal.Is(err, refusal.Unauthenticated) {
				return stranger(w, r)
			}
			return err
		}
		tx := c.DB.Read(r.Context())
		if v.About = v.Visitor.Org; v.Slug != v.About.Slug { // most are at home: that one is read already
			v.About, err = org.BySlug(tx, v.Slug)
		}
		if err != nil {
			if refusal.Is(err, refusal.NotFound) {
				return c.foreign(w, r, v, p, stranger)
			}
			return err
		}
		if v.Rights, err = c.Guard.RightsIn(tx, v.Actor, v.About.Node()); err != nil {
			return err
		}
		if !v.Rights.May(access.OrgView) {
			return c.foreign(w, r, v, p, stranger)
		}
		c.Kit.SetPreference(r, v.Account.Language, v.Org.Language)
		if v.Due {
			return c.factorDue(w, r, v, v.Visitor.Org)
		}
		if v.Rights.Delegated() {
			due, err := c.Desk.DueIn(r.Context(), v.Visitor, v.About)
			if err != nil {
				return err
			}
			if due {
				return c.factorDue(w, r, v, v.About)
			}
		}
		if err := v.Rights.Require(p); err != nil {
			return c.Book.Refusal(r.Context(), v.Actor, audit.Action(p), err)
		}
		if v.Rights.Delegated() {
			if err := c.Desk.Entered(r.Context(), v.Visitor, v.About.ID); err != nil {
				return err
			}
		}
		return c.answer(w, r, v, h)
	}
}

// foreign answers who is signed in but has no access: like a stranger, with the event of a foreign id in their own organisation's log.
func (c *Console) foreign(w http.ResponseWriter, r *http.Request, v visit, p access.Permission, stranger func(http.ResponseWriter, *http.Request) error) error {
	e := refusal.New(refusal.NotFound, "error.not_found")
	e.Denied = true
	if err := c.Book.Refusal(r.Context(), v.Actor, audit.Action(p), e); refusal.As(err) == nil {
		return err
	}
	return stranger(w, r)
}

func (c *Console) toSignIn(w http.ResponseWriter, r *http.Request) error {
	to := ""
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		to = "?to=" + url.QueryEscape(page.LocalPath(r.URL.RequestURI()))
	}
	return seeOther(w, r, "/o/"+url.PathEscape(r.PathValue("slug"))+"/login"+to)
}

// own guards the pages of the own account.
func (c *Console) own(h handler) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := visit{}
		var err error
		if v.Visitor, err = c.Desk.Resolve(r.Context(), c.secretOf(r), c.Client(r)); err != nil {
			return err
		}
		v.About = v.Visitor.Org
		v.Slug = v.About.Slug
		c.Kit.SetPreference(r, v.Account.Language, v.Visitor.Org.Language)
		if v.Due {
			return c.factorDue(w, r, v, v.Visitor.Org)
		}
		if v.Rights, err = c.Guard.RightsIn(c.DB.Read(r.Context()), v.Actor, v.About.Node()); err != nil {
			return err
		}
		return c.answer(w, r, v, h)
	}
}

// answer runs the handler; a stale proof becomes the page that takes a fresh one.
func (c *Console) answer(w http.ResponseWriter, r *http.Request, v visit, h handler) error {
	var err error
	if v.Menu, err = c.menu(r, v); err != nil {
		return err
	}
	err = h(w, r, v)
	if refusal.Is(err, refusal.StepUp) {
		return c.askProof(w, r, v)
	}
	return err
}

// form decodes a form of the console. It must have been rendered for this account and organisation: a browser that changed sides
// meanwhile writes nothing.
func (c *Console) form(w http.ResponseWriter, r *http.Request, v visit) (url.Values, error) {
	values, err := page.Decode(w, r, 0)
	r.PostForm = values // for the page that interrupts it, see askProof
	if err != nil {
		return values, err
	}
	return values, c.rendered(v, values)
}

// rendered refuses a form that was made for another account or organisation.
func (c *Console) rendered(v visit, values url.Values) error {
	if a, o := values.Get("_account"), values.Get("_org"); a != "" && a != string(v.Account.ID) || o != "" && o != string(v.About.ID) {
		return refusal.New(refusal.Conflict, "error.other_account")
	}
	return nil
}

// take reads the given fields of a form as single texts.
func take(values url.Values, fields ...string) (map[string]string, error) {
	out := map[string]string{}
	var faults []*refusal.Error
	for _, f := range fields {
		text, fault := page.One(values, f)
		out[f] = text
		faults = append(faults, fault)
	}
	return out, refusal.All(faults...)
}

func seeOther(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// done answers a form that was taken, with a word about it.
func (c *Console) done(w http.ResponseWriter, r *http.Request, to, key string, args ...any) error {
	c.Kit.SetFlash(w, r, "good", key, args...)
	return seeOther(w, r, to)
}

// sorry answers a button whose operation was refused for a reason that belongs on the page it came from; everything else is an error page.
func (c *Console) sorry(w http.ResponseWriter, r *http.Request, to string, err error) error {
	e := refusal.As(err)
	if e == nil || e.Code != refusal.Conflict && e.Code != refusal.Invalid {
		return err
	}
	args := make([]any, 0, 2*len(e.Args))
	for k, v := range e.Args {
		args = append(args, k, v)
	}
	c.Kit.SetFlash(w, r, "bad", e.Key, args...)
	return seeOther(w, r, to)
}

// again tells whether a refusal is shown on the form's own page.
func again(err error) bool {
	return refusal.Is(err, refusal.Invalid) || refusal.Is(err, refusal.Limited) || refusal.Is(err, refusal.Conflict)
}

// status is the status of the same page again.
func status(w http.ResponseWriter, err error) int {
	if e := refusal.As(err); e != nil && e.Code == refusal.Limited {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.Wait+time.Second-1)/time.Second))) // RFC 9110 section 10.2.3
		return http.StatusTooManyRequests
	}
	return http.StatusUnprocessableEntity
}

// base starts a page of the console.
func (c *Console) base(v visit, name, title string, args ...any) page.Base {
	b := page.Base{Layout: page.LayoutConsole, Page: name, Title: title, TitleArgs: args, Brand: brandOf(v.About),
		Account: string(v.Account.ID), Org: string(v.About.ID), Location: v.location(),
		Me: &page.Me{Name: v.Account.Shown(), Email: v.Account.Email, OrgName: v.Visitor.Org.Name, Href: "/me"}}
	b.Nav, b.Orgs, b.Search = c.nav(v, name), v.Menu, v.path("search")
	if n := stateNotice(v); n != nil {
		b.Notices = append(b.Notices, *n)
	}
	if !v.Deadline.IsZero() {
		b.Notices = append(b.Notices, c.deadline(v))
	}
	switch {
	case v.Account.Linked():
		b.Strip = &page.Strip{Key: "console.strip_linked", Args: []any{"Organisation", v.Visitor.Org.Name, "Person", v.Account.Shown(), "Home", v.HomeOrg.Name},
			Leave: leavePath, Post: true}
	case v.About.ID != v.Visitor.Org.ID:
		b.Strip = v.strip()
	}
	return b
}

// strip says in whose organisation a technician is, as what, from where, and until when.
func (v visit) strip() *page.Strip {
	s := &page.Strip{Key: "console.strip", Args: []any{"Organisation", v.About.Name, "Home", v.Visitor.Org.Name}, Leave: v.Visitor.Org.HomePath()}
	for _, role := range v.Rights.Roles() {
		if name := v.Rights.Name(role); name != "" {
			s.Roles = append(s.Roles, page.Word{Text: name})
			continue
		}
		s.Roles = append(s.Roles, page.Word{Key: "role." + role})
	}
	if until := v.Rights.Until(); !until.IsZero() {
		s.Key, s.Args = "console.strip_until", append(s.Args, "Until", until.In(v.location()))
	}
	return s
}

func (v visit) location() *time.Location {
	if v.Account.TimeZone != "" {
		if l, err := time.LoadLocation(v.Account.TimeZone); err == nil {
			return l
		}
	}
	return v.Visitor.Org.Location()
}

func (c *Console) nav(v visit, name string) []page.NavItem {
	items := []page.NavItem{{Key: "nav.dashboard", Href: v.About.HomePath(), Icon: "home", Group: "nav.group.org"}}
	if v.Rights.May(access.PeopleView) {
		items = append(items, page.NavItem{Key: "nav.people", Href: v.path("users"), Icon: "people", Group: "nav.group.org"})
	}
	if v.About.Kind != access.Customer {
		items = append(items, page.NavItem{Key: "nav.orgs." + string(v.About.Kind), Href: v.path("orgs"), Icon: "building", Group: "nav.group.org"})
	}
	if v.Rights.May(access.PeopleView) {
		items = append(items, page.NavItem{Key: "nav.roles", Href: v.path("roles"), Icon: "star", Group: "nav.group.org"})
	}
	if withGroups(v.About.Kind) && v.Rights.May(access.GroupManage) {
		items = append(items, page.NavItem{Key: "nav.groups", Href: v.path("groups"), Icon: "grid", Group: "nav.group.org"})
	}
	if v.Rights.May(access.PolicyView) || seesHealth(v) {
		items = append(items, page.NavItem{Key: "campaign.title", Href: v.path("security"), Icon: "shield", Group: "nav.group.org"})
	}
	if v.Rights.May(access.PolicyView) {
		items = append(items, page.NavItem{Key: "policy.title", Href: v.path("settings/sign-in"), Icon: "key", Group: "nav.group.org"})
	}
	if seesSeats(v) || seesMarks(v) {
		items = append(items, page.NavItem{Key: "seats.title", Href: v.path("seats"), Icon: "chart", Group: "nav.group.org"})
	}
	if v.Rights.May(access.OrgEdit) {
		items = append(items, page.NavItem{Key: "nav.settings", Href: v.path("settings"), Icon: "gear", Group: "nav.group.org"})
	}
	items = append(items,
		page.NavItem{Key: "nav.me", Href: "/me", Icon: "person", Group: "nav.group.me"},
		page.NavItem{Key: "nav.security", Href: "/me/security", Icon: "shield", Group: "nav.group.me"},
		page.NavItem{Key: "nav.sessions", Href: "/me/sessions", Icon: "device", Group: "nav.group.me"})
	current := map[string]string{"dashboard": v.About.HomePath(), "users": v.path("users"), "users.invite": v.path("users"), "users.import": v.path("users"), "users.import.columns": v.path("users"), "users.import.lines": v.path("users"), "users.export": v.path("users"), "users.bulk": v.path("users"), "users.bulk.done": v.path("users"), "job": v.path("users"), "user": v.path("users"), "unlink": v.path("users"), "link": "/me",
		"roles": v.path("roles"), "role": v.path("roles"), "role.new": v.path("roles"), "groups": v.path("groups"), "group": v.path("groups"),
		"orgs": v.path("orgs"), "org.new": v.path("orgs"), "me": "/me", "me.security": "/me/security", "me.security.app": "/me/security", "me.security.key": "/me/security", "me.recovery": "/me/security", "user.access-code": v.path("users"),
		"org.settings": v.path("settings"), "org.move": v.path("settings"), "org.move.new": v.path("settings"), "org.moves": v.path("settings"), "org.branding": v.path("settings"), "org.policy": v.path("settings/sign-in"), "org.policy.preview": v.path("settings/sign-in"), "campaign": v.path("security"), "seats": v.path("seats"),
		"me.sessions": "/me/sessions"}[name]
	for i := range items {
		items[i].Current = items[i].Href == current
	}
	return items
}

// inPath returns the id of a kind that stands in the address under a name, or a NotFound refusal for what is none.
func inPath[K id.Kind](r *http.Request, name string) (K, error) {
	k, ok := id.Parse[K](r.PathValue(name))
	if !ok {
		return k, refusal.New(refusal.NotFound, "error.not_found")
	}
	return k, nil
}

func trim(s string) string { return strings.TrimSpace(s) }
