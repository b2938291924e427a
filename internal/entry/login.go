package entry

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"doorward/internal/access"
	"doorward/internal/factor"
	"doorward/internal/page"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/signin"
)

// identifierDoc asks who is there.
type identifierDoc struct {
	page.Base
	Action     string
	To         string // where to go on to
	ParentName string // "Sign in with your … account"; empty: no such button
	ParentHref string
	Forgot     string
	Anywhere   bool   // the general sign-in
	Passkey    string // where a page with a script asks for a passkey's challenge
}

func (e *Entry) identifier(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.showIdentifier(w, r, p, http.StatusOK, page.LocalPath(r.URL.Query().Get("to")), page.Form{})
}

func (e *Entry) showIdentifier(w http.ResponseWriter, r *http.Request, p place, code int, to string, f page.Form) error {
	doc := &identifierDoc{Base: p.base("login.identifier", "login.identifier.title"), Action: p.path("login"), To: to, Forgot: p.forgot(), Passkey: p.path("login/passkey")}
	if doc.Anywhere = p.general(); doc.Anywhere {
		doc.Passkey = "/login/passkey-start" // /login/passkey is a step
	}
	doc.Form, doc.Scripts = f, []string{keysScript}
	if p.Org.Kind == access.Customer {
		doc.ParentName = p.Org.ParentName
		back := p.Org.HomePath()
		if to != "" {
			back = to
		}
		doc.ParentHref = p.Org.ParentSignInPath() + "?to=" + url.QueryEscape(back)
	}
	if err := e.signedInAs(r, &doc.Base); err != nil {
		return err
	}
	return e.pages.Render(w, r, code, "login.identifier", doc)
}

func (e *Entry) begin(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.beginAt(w, r, p)
}

func (e *Entry) beginAt(w http.ResponseWriter, r *http.Request, p place) error {
	v, f, err := form(w, r, "identifier", "to")
	to := page.LocalPath(v["to"])
	if err == nil {
		var pr signin.Progress
		pr, err = e.Desk.Begin(r.Context(), signin.Start{General: p.general(), Org: p.Org, Slug: p.Slug, Identifier: v["identifier"], To: to, Client: e.Client(r)})
		if err == nil {
			e.keep(w, r, pr.Key)
			return seeOther(w, r, nextPath(pr.Attempt))
		}
		f = page.FormOf(f.Values, err)
	}
	if !again(err) {
		return err
	}
	return e.showIdentifier(w, r, p, status(w, err), to, f)
}

func nextPath(a signin.Attempt) string { return "/login/next?attempt=" + string(a.ID) }

// toNext sends who reloads the address of a form to the page of the present step.
func (e *Entry) toNext(w http.ResponseWriter, r *http.Request) error {
	if r.PathValue("step") == "passkey-alone" { // no step of an attempt yet: the page of the identifier
		slug, to, ok, err := e.Desk.Origin(r.Context(), string(e.passkeyKey(r).ID))
		if err != nil {
			return err
		}
		if ok {
			return seeOther(w, r, identifierPath(place{Slug: slug}, to))
		}
	}
	return seeOther(w, r, "/login/next")
}

// stepDoc is a page of a sign-in under way. One struct serves all steps: each template takes what it needs.
type stepDoc struct {
	page.Base
	Attempt    string // goes into every form
	Identifier string
	Restart    string // another identifier
	Forgot     string
	Anywhere   bool     // the organisation is asked for too
	Tenant     string   // the one of the last time
	Email      string   // where a code was mailed, shortened
	Key        []string // the new authenticator app's key as text
	QR         page.QR
	Options    string // what the browser needs for a key
	Start      string // what the field for a new key's name starts with
	Offered    bool   // the key is one more, not the first second factor
	Codes      []string
	File       page.TextFile // the codes
	Ways       []string      // other ways to prove the second factor
	MayEnrol   []policy.Kind // which second factors
	Deadline   time.Time     // when one will be demanded
	DaysLeft   int
	Remember   int // days for which this device may be remembered; 0: not at all
	Asks       []ask
	RefusedOrg string
	Home       string // the own organisation, for who was refused elsewhere
	Ref        string
}

// ask is someone to ask for help.
type ask struct{ Name, Email string }

// next shows the page of an attempt's present step; without a named attempt, of this browser's newest.
func (e *Entry) next(w http.ResponseWriter, r *http.Request) error {
	k, err := e.key(r, r.URL.Query().Get("attempt"))
	if err != nil {
		return e.startAgain(w, r, "", err)
	}
	v, err := e.Desk.View(r.Context(), k)
	if err != nil {
		return e.startAgain(w, r, string(k.ID), err)
	}
	return e.show(w, r, v, http.StatusOK, page.Form{})
}

// startAgain leads who comes with an attempt that is over back to the identifier, and on to where they wanted to go.
func (e *Entry) startAgain(w http.ResponseWriter, r *http.Request, attempt string, err error) error {
	if !refusal.Is(err, refusal.Expired) || attempt == "" {
		return err
	}
	slug, to, ok, lookErr := e.Desk.Origin(r.Context(), attempt)
	if lookErr != nil {
		return lookErr
	}
	if !ok {
		return err
	}
	e.Kit.SetFlash(w, r, "warn", "login.start_again")
	return seeOther(w, r, identifierPath(place{Slug: slug}, to))
}

var stepPages = map[policy.Step]struct{ name, title string }{
	policy.AskPassword:   {"login.password", "login.password.title"},
	policy.AskTOTP:       {"login.totp", "login.totp.title"},
	policy.AskPasskey:    {"login.passkey", "login.passkey.title"},
	policy.AskRecovery:   {"login.recovery", "login.recovery.title"},
	policy.AskAccessCode: {"login.access-code", "login.access-code.title"},
	policy.EnrolPasskey:  {"login.enrol.passkey", "login.enrol.passkey.title"},
	policy.ShowRecovery:  {"login.recovery-codes", "login.recovery-codes.title"},
	policy.OfferPasskey:  {"login.passkey-offer", "login.passkey-offer.title"},
	policy.Notice:        {"login.mfa-notice", "login.mfa-notice.title"},
	policy.ProveMailbox:  {"login.mail-code", "login.mail-code.title"},
	policy.ChooseFactor:  {"login.enrol", "login.enrol.title"},
	policy.EnrolTOTP:     {"login.enrol.totp", "login.enrol.totp.title"},
	policy.Refuse:        {"login.denied", ""},
}

func (e *Entry) show(w http.ResponseWriter, r *http.Request, v signin.View, code int, f page.Form) error {
	p := place{Org: v.Org, Slug: v.Attempt.Proved.Slug}
	e.Kit.SetPreference(r, "", p.Org.Language)
	var err error
	if v.Attempt.Proved.Password > 0 { // before, a person's language would tell that there is an account
		e.Kit.SetPreference(r, v.Account.Language, p.Org.Language)
	}
	step := stepPages[v.Decision.Step]
	if step.name == "" {
		return signin.ErrStartAgain
	}
	doc := &stepDoc{Base: p.base(step.name, step.title), Attempt: string(v.Attempt.ID), Identifier: v.Attempt.Identifier,
		Restart: identifierPath(p, v.Attempt.Proved.To), Forgot: p.forgot(), Ref: v.Attempt.Proved.Request}
	doc.Form = f
	if v.Attempt.Unplaced() {
		doc.Title, doc.Anywhere, doc.Tenant = "login.general.title", true, e.rememberedTenant(r)
	}
	switch v.Decision.Step {
	case policy.AskPasskey, policy.AskTOTP, policy.AskRecovery, policy.AskAccessCode:
		for _, w := range v.Ways {
			if w != v.Decision.Step {
				doc.Ways = append(doc.Ways, string(w))
			}
		}
		doc.Remember = int(v.Remember / (24 * time.Hour))
		doc.useKeys(v)
	case policy.EnrolPasskey:
		doc.Offered, doc.Start = v.Attempt.Proved.Second > 0, signin.KeyName(r.UserAgent())
		doc.useKeys(v)
	case policy.ShowRecovery:
		doc.Codes = v.Codes
		doc.File = page.NewTextFile(v.Org.Name + "\n" + v.Account.Email + "\n\n" + strings.Join(v.Codes, "\n") + "\n")
	case policy.ChooseFactor:
		doc.MayEnrol = v.MayEnrol
	case policy.Notice:
		doc.notice(p, v.Deadline, e.Desk.Now())
	case policy.ProveMailbox:
		doc.Email = veil(v.Account.Email)
	case policy.EnrolTOTP:
		doc.Key = page.Groups(string(v.Setup.Key))
		if doc.QR, err = page.DrawQR(string(v.Setup.URL)); err != nil {
			return err
		}
	case policy.Refuse:
		doc.refuse(p, v)
		if code == http.StatusOK {
			code = http.StatusForbidden
		}
	}
	return e.pages.Render(w, r, code, step.name, doc)
}

// MayUse tells whether a kind of second factor may be enrolled.
func (d *stepDoc) MayUse(kind string) bool { return slices.Contains(d.MayEnrol, policy.Kind(kind)) }

// notice makes it the page that tells of a second factor which will be demanded.
func (d *stepDoc) notice(p place, deadline, now time.Time) {
	d.Deadline, d.DaysLeft = deadline.In(p.Org.Location()), DaysLeft(deadline, now)
}

// DaysLeft is how many days are left until a deadline, the one that has begun included.
func DaysLeft(deadline, now time.Time) int {
	return max(0, int((deadline.Sub(now)+24*time.Hour-1)/(24*time.Hour)))
}

// refuse makes it the page of a refusal: what is the matter, and who can help.
func (d *stepDoc) refuse(p place, v signin.View) {
	d.Reason, d.RefusedOrg = string(v.Decision.Reason), v.Refused.Name
	if v.Refused.ID != p.Org.ID {
		d.Home = p.path("login")
	}
	if v.Decision.Reason == policy.NotAdded {
		d.RefusedOrg, d.Home = v.Attempt.Proved.Target, p.path("login")
	} else {
		for _, a := range v.Asks {
			d.Asks = append(d.Asks, ask{a.Name, a.Email})
		}
	}
	d.Title, d.TitleArgs = "login.denied."+d.Reason+".title", []any{"Organisation", d.RefusedOrg}
}

// useKeys puts into the page what the browser needs to ask an authenticator.
func (d *stepDoc) useKeys(v signin.View) {
	if len(v.Options) > 0 {
		d.Options, d.Scripts = string(v.Options), []string{keysScript}
	}
}

// keysScript is the one script that a page of security keys and passkeys needs.
const keysScript = "webauthn.js"

// identifierPath is where a sign-in at a place begins that leads to a page.
func identifierPath(p place, to string) string {
	if to != "" {
		return p.path("login") + "?to=" + url.QueryEscape(to)
	}
	return p.path("login")
}

// veil shortens an address to what its owner recognises. A word joiner (U+2060) keeps it on one line.
func veil(email string) string {
	at := len(email) - 1
	for at > 0 && email[at] != '@' {
		at--
	}
	if at <= 1 {
		return "…\u2060" + email[at:]
	}
	return email[:1] + "…\u2060" + email[at-1:]
}

// answer takes the form of a step: one operation, then the next step, the session, or the same page again.
func (e *Entry) answer(w http.ResponseWriter, r *http.Request, fields string, take func(k signin.Key, v map[string]string) (signin.Progress, error)) error {
	v, f, err := form(w, r, append(strings.Fields(fields), "attempt")...)
	if err != nil && refusal.As(err) == nil {
		return err
	}
	k, keyErr := e.key(r, v["attempt"])
	if keyErr != nil {
		return e.startAgain(w, r, v["attempt"], keyErr)
	}
	var p signin.Progress
	if err == nil {
		p, err = take(k, v)
		if p.Key.Secret != "" { // also a wrong answer may have moved the attempt on
			k = p.Key
			e.keep(w, r, k)
		}
	}
	switch {
	case err == nil && p.Finished != nil:
		e.drop(w, r, k.ID)
		return e.finished(w, r, p)
	case err == nil:
		return seeOther(w, r, nextPath(p.Attempt))
	case !again(err):
		return e.startAgain(w, r, string(k.ID), err)
	}
	view, viewErr := e.Desk.View(r.Context(), k)
	if viewErr != nil {
		return e.startAgain(w, r, string(k.ID), viewErr)
	}
	return e.show(w, r, view, status(w, err), page.FormOf(f.Values, err, "password", "code", "credential"))
}

func (e *Entry) password(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "password tenant", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.PasswordAt(r.Context(), k, v["tenant"], secret.Text(v["password"]), e.Client(r), e.held(r))
	})
}

func (e *Entry) totp(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "code remember", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.Code(r.Context(), k, v["code"], v["remember"] != "", e.Client(r), e.held(r))
	})
}

func (e *Entry) mailCode(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "code", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.Mailbox(r.Context(), k, v["code"], e.Client(r), e.held(r))
	})
}

func (e *Entry) mailCodeAgain(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "", func(k signin.Key, _ map[string]string) (signin.Progress, error) {
		p, err := e.Desk.MailAgain(r.Context(), k, e.Client(r))
		if err == nil {
			e.Kit.SetFlash(w, r, "good", "login.mail-code.again_done")
		}
		return p, err
	})
}

func (e *Entry) enrol(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "method", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.Choose(r.Context(), k, v["method"], e.Client(r))
	})
}

func (e *Entry) enrolTOTP(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "code", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		p, err := e.Desk.EnrolTOTP(r.Context(), k, v["code"], e.Client(r), e.held(r))
		if err == nil && p.Finished != nil {
			e.Kit.SetFlash(w, r, "good", "login.enrol.totp.done", "Factor", string(factor.TOTP))
		}
		return p, err
	})
}
