// Package entry is the surface of the door: welcome, sign-in, activation, forgotten password, refusals. It holds no rules: every form is
// decoded, handed to one operation, and answered with a redirect or the same page again.
//
//	/o/{slug}/login ──POST──> Begin ──> /login/next <──┐
//	                            GET: View ──> the page of the step
//	                                            └─POST──> one answer ──┘      finished ──> session cookie ──> where the person wanted to go
//
// The general sign-in, /login, is the same way without an organisation in its address: the password's page asks for it.
package entry

import (
	"embed"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

//go:embed templates/*.html
var templates embed.FS

// Entry serves the door's pages.
type Entry struct {
	DB        *sqldb.DB
	Kit       *page.Kit
	Desk      *signin.Desk
	Directory *account.Directory
	Client    func(*http.Request) access.Client // where a request comes from, as far as proxies are trusted

	pages *page.Set
}

// Pages parses the templates. Call it once, before Routes.
func (e *Entry) Pages() (*page.Set, error) {
	sub, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	e.pages, err = e.Kit.Parse(sub)
	return e.pages, err
}

// Route is one line of the route table. Tests walk it.
type Route struct {
	Pattern string
	Handle  func(http.ResponseWriter, *http.Request) error
}

// Routes is the table of the door.
func (e *Entry) Routes() []Route {
	return []Route{
		{"GET /{$}", e.start},
		{"GET /login", e.generalIdentifier},
		{"POST /login", e.generalBegin},
		{"GET /login/organisations", e.organisations},
		{"POST /login/organisations", e.mailOrganisations},
		{"GET /login/organisations/sent", e.organisationsSent},
		{"GET /o/{slug}/login", e.identifier},
		{"POST /o/{slug}/login", e.begin},
		{"GET /o/{slug}/forgot", e.forgot},
		{"POST /o/{slug}/forgot", e.askReset},
		{"GET /o/{slug}/forgot/sent", e.forgotSent},
		{"GET /o/{slug}/activated", e.activated},
		{"GET /o/{slug}/link-sent", e.linkSent},
		{"GET /login/next", e.next},
		{"GET /login/{step}", e.toNext},
		{"POST /login/password", e.password},
		{"POST /login/totp", e.totp},
		{"POST /login/mail-code", e.mailCode},
		{"POST /login/mail-code-again", e.mailCodeAgain},
		{"POST /o/{slug}/login/passkey", e.passkeyStart},
		{"POST /login/passkey-start", e.generalPasskeyStart},
		{"POST /login/passkey-alone", e.passkeyAlone},
		{"POST /login/passkey", e.passkey},
		{"POST /login/way", e.way},
		{"POST /login/recovery", e.recovery},
		{"POST /login/access-code", e.accessCode},
		{"POST /login/enrol", e.enrol},
		{"POST /login/enrol-passkey", e.enrolPasskey},
		{"POST /login/not-now", e.notNow},
		{"POST /login/recovery-codes", e.saved},
		{"POST /login/passkey-offer", e.offer},
		{"POST /login/enrol-totp", e.enrolTOTP},
		{"POST /login/mfa-notice", e.mfaNotice},
		{"GET /activate/{token}", e.activate},
		{"POST /activate/{token}", e.useActivation},
		{"POST /activate/{token}/again", e.askActivation},
		{"POST /activate/{token}/link", e.linkActivation},
		{"GET /activate/link", e.backToActivation},
		{"GET /reset/{token}", e.reset},
		{"POST /reset/{token}", e.useReset},
		{"GET /setup/{token}", e.setup},
		{"POST /setup/{token}", e.useSetup},
		{"GET /not-me/{token}", e.notMe},
		{"POST /not-me/{token}", e.sayNotMe},
		{"GET /o/{slug}/not-me/done", e.notMeDone},
		{"GET /confirm-email/{token}", e.confirmEmail},
		{"POST /confirm-email/{token}", e.doConfirmEmail},
		{"GET /o/{slug}/confirm-email/done", e.confirmEmailDone},
		{"POST /logout", e.logout},
		{"GET /brand/{file}", e.brandFile},
	}
}

// place is the organisation that a page speaks for; its zero Org is one that does not exist, which looks like one without a name.
type place struct {
	Org  org.Org
	Slug string // as it stands in the address
}

// mostSlug is the longest tenant domain that is looked at, in bytes: no organisation has a longer one, and attempts keep it.
const mostSlug = 100

func (e *Entry) place(r *http.Request, slug string) (place, error) {
	p := place{Slug: slug}
	if len(slug) > mostSlug {
		return p, refusal.New(refusal.NotFound, "error.not_found")
	}
	o, err := org.BySlug(e.DB.Read(r.Context()), slug)
	if refusal.Is(err, refusal.NotFound) {
		e.Kit.SetPreference(r, "", "")
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.Org = o
	e.Kit.SetPreference(r, "", o.Language)
	return p, nil
}

// base starts a page of the door.
func (p place) base(name, title string, args ...any) page.Base {
	return page.Base{Page: name, Title: title, TitleArgs: args, Brand: brandOf(p.Org), Location: p.Org.Location()}
}

// path is the address of a page of the door. The tenant domain is escaped: as somebody typed it, it may hold anything.
func (p place) path(rest string) string {
	if p.general() {
		return "/" + rest
	}
	return "/o/" + url.PathEscape(p.Slug) + "/" + rest
}

// general tells whether it is the general sign-in, which is no organisation's.
func (p place) general() bool { return p.Slug == "" }

// forgot is where who forgot the password goes on: at the general page that is known once the organisation is.
func (p place) forgot() string {
	if p.general() {
		return p.path("login/organisations")
	}
	return p.path("forgot")
}

// sessionCookie is the name of the session's cookie, sessionSecret what this browser holds.
const sessionCookie = "session"

func (e *Entry) sessionSecret(r *http.Request) secret.Text {
	s, _ := e.Kit.ReadCookie(r, sessionCookie)
	return secret.Text(s)
}

// deviceCookie is the name of the cookie by which a browser is known, deviceLives how long.
const (
	deviceCookie = "device"
	deviceLives  = 365 * 24 * time.Hour
)

// held is what this browser holds besides its attempts.
func (e *Entry) held(r *http.Request) signin.Held {
	d, _ := e.Kit.ReadCookie(r, deviceCookie)
	if len(d) > 100 {
		d = ""
	}
	return signin.Held{Session: e.sessionSecret(r), Device: secret.Text(d)}
}

// visitor returns who is signed in, and false when nobody is.
func (e *Entry) visitor(r *http.Request) (signin.Visitor, bool, error) {
	v, err := e.Desk.Resolve(r.Context(), e.sessionSecret(r), e.Client(r))
	if refusal.Is(err, refusal.Unauthenticated) {
		return v, false, nil
	}
	return v, err == nil, err
}

// seeOther answers a form that was taken.
func seeOther(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// form decodes a form and takes the given fields as single texts. The error is for the same page again.
func form(w http.ResponseWriter, r *http.Request, fields ...string) (values map[string]string, all page.Form, err error) {
	v, err := page.Decode(w, r, 0)
	values = map[string]string{}
	if err == nil {
		var faults []*refusal.Error
		for _, f := range fields {
			text, fault := page.One(v, f)
			values[f] = text
			faults = append(faults, fault)
		}
		err = refusal.All(faults...)
	}
	if err != nil && refusal.As(err) == nil {
		return nil, all, err
	}
	return values, page.FormOf(v, err, "password", "new_password", "confirm_password", "code"), err
}

// status is the status of the same page again.
func status(w http.ResponseWriter, err error) int {
	if e := refusal.As(err); e != nil && e.Code == refusal.Limited {
		w.Header().Set("Retry-After", retryAfter(e))
		return http.StatusTooManyRequests
	}
	return http.StatusUnprocessableEntity
}

// again tells whether a refusal is shown on the form's own page: wrong input and limits are, everything else has its own page.
func again(err error) bool {
	return refusal.Is(err, refusal.Invalid) || refusal.Is(err, refusal.Limited)
}

// welcomeDoc is the page of an organisation for who is not signed in.
type welcomeDoc struct {
	page.Base
	Login string
}

// Welcome shows an organisation's welcome page. The console hands over to it for who is not signed in, or has no access.
func (e *Entry) Welcome(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	doc := &welcomeDoc{Base: p.base("welcome", "welcome.title"), Login: p.path("login")}
	if p.Org.Name != "" {
		doc.Title, doc.TitleArgs = "welcome.title_org", []any{"Organisation", p.Org.Name}
	}
	if err := e.signedInAs(r, &doc.Base); err != nil {
		return err
	}
	return e.pages.Render(w, r, http.StatusOK, "welcome", doc)
}

// signedInAs notes on a page of the door that the browser holds a session.
func (e *Entry) signedInAs(r *http.Request, b *page.Base) error {
	v, ok, err := e.visitor(r)
	if err != nil || !ok {
		return err
	}
	b.Me = &page.Me{Name: v.Account.Shown(), Email: v.Account.Email, OrgName: v.Org.Name, Href: v.Org.HomePath()}
	return nil
}

// logout ends the session and goes back to the organisation's welcome page, or to the general sign-in when there is none.
func (e *Entry) logout(w http.ResponseWriter, r *http.Request) error {
	v, ok, err := e.visitor(r)
	if err != nil {
		return err
	}
	if s := e.sessionSecret(r); s != "" {
		if err := e.Desk.SignOut(r.Context(), s, e.Client(r)); err != nil {
			return err
		}
	}
	e.Kit.SetCookie(w, sessionCookie, "", -1)
	if !ok {
		return seeOther(w, r, anywhere().path("login"))
	}
	e.Kit.SetFlash(w, r, "good", "logout.done")
	return seeOther(w, r, v.Org.HomePath())
}
