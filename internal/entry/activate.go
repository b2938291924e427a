package entry

import (
	"net/http"

	"doorward/internal/account"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
)

// passwordDoc is "Choose your password": after an invitation, after a forgotten one, and in a set-up.
type passwordDoc struct {
	page.Base
	Action string
	Email  string
	Rules  []page.Rule
	Words  []string
	Link   *linkOffer // nil: none
}

// linkDoc is a page about a link: expired, sent, done.
type linkDoc struct {
	page.Base
	Lead   string // text of a link that is no longer good …
	Offer  string // … and of the button to Action
	Action string
	Login  string // the organisation's sign-in; empty when it is not known
	Ref    string
}

// opened looks a link up. Where there is none, the place is empty.
func (e *Entry) opened(r *http.Request, p account.Purpose) (account.Opened, place, error) {
	op, err := e.Directory.Open(r.Context(), p, secret.Text(r.PathValue("token")))
	if err != nil {
		return op, place{}, err
	}
	e.Kit.SetPreference(r, op.Account.Language, op.Org.Language)
	return op, place{Org: op.Org, Slug: op.Org.Slug}, nil
}

func (e *Entry) activate(w http.ResponseWriter, r *http.Request) error {
	op, p, err := e.opened(r, account.Activate)
	switch {
	case err != nil && !refusal.Is(err, refusal.Expired):
		return err
	case op.Done:
		e.Kit.SetFlash(w, r, "good", "activate.already")
		return seeOther(w, r, op.Org.SignInPath())
	case !op.Good:
		return e.activationExpired(w, r, p)
	}
	return e.showPassword(w, r, op, p, "activate", http.StatusOK, page.Form{})
}

func (e *Entry) showPassword(w http.ResponseWriter, r *http.Request, op account.Opened, p place, name string, code int, f page.Form) error {
	doc := &passwordDoc{Base: p.base(name, name+".title", "Organisation", op.Org.Name), Action: r.URL.Path, Email: op.Account.Email,
		Rules: page.PasswordRules(op.MinPass), Words: account.Personal(op.Org, op.Account)}
	doc.Form = f
	if name == "activate" {
		var err error
		doc.Action = account.Activate.Path(secret.Text(r.PathValue("token"))) // also where the form of the link offer came back
		if doc.Link, err = e.linkOffer(r, op); err != nil {
			return err
		}
	}
	return e.pages.Render(w, r, code, "choose-password", doc)
}

// activationExpired offers a new link. It looks the same whether the token was ever good.
func (e *Entry) activationExpired(w http.ResponseWriter, r *http.Request, p place) error {
	doc := &linkDoc{Base: p.base("activate.expired", "activate.expired.title"), Action: "/activate/" + r.PathValue("token") + "/again"}
	if p.Org.ID != "" {
		doc.Login = p.Org.SignInPath()
	}
	return e.pages.Render(w, r, http.StatusGone, "activate.expired", doc)
}

func (e *Entry) useActivation(w http.ResponseWriter, r *http.Request) error {
	op, p, err := e.usePassword(w, r, account.Activate, "activate")
	switch {
	case err == nil && p.Org.ID != "":
		return seeOther(w, r, p.path("activated"))
	case refusal.Is(err, refusal.Expired):
		if op.Done {
			return seeOther(w, r, op.Org.SignInPath())
		}
		return e.activationExpired(w, r, p)
	}
	return err
}

// usePassword takes the form of a link's page with that name. Wrong input is answered here: then the place is empty and there is no
// error.
func (e *Entry) usePassword(w http.ResponseWriter, r *http.Request, purpose account.Purpose, name string) (account.Opened, place, error) {
	op, p, err := e.opened(r, purpose)
	if err != nil && !refusal.Is(err, refusal.Expired) {
		return op, p, err
	}
	use := func(password, again string) (account.Opened, error) {
		return e.Directory.Use(r.Context(), purpose, secret.Text(r.PathValue("token")), secret.Text(password), secret.Text(again), e.Client(r))
	}
	if !op.Good {
		op, err = use("", "") // refused there, and noted
		return op, p, err
	}
	v, f, err := form(w, r, "new_password", "confirm_password")
	if err == nil {
		op, err = use(v["new_password"], v["confirm_password"])
		f = page.FormOf(f.Values, err, "new_password", "confirm_password")
	}
	if again(err) {
		return op, place{}, e.showPassword(w, r, op, p, name, status(w, err), f)
	}
	return op, p, err
}

func (e *Entry) activated(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.pages.Render(w, r, http.StatusOK, "activate.done", &linkDoc{Base: p.base("activate.done", "activate.done.title"), Login: p.path("login")})
}

func (e *Entry) askActivation(w http.ResponseWriter, r *http.Request) error {
	if _, _, err := form(w, r); err != nil {
		return err
	}
	op, err := e.Directory.AskAgain(r.Context(), secret.Text(r.PathValue("token")), e.Client(r))
	if err != nil {
		return err
	}
	if op.Org.ID == "" {
		return e.pages.Render(w, r, http.StatusOK, "activate.sent", &linkDoc{Base: place{}.base("activate.sent", "activate.sent.title")})
	}
	return seeOther(w, r, "/o/"+op.Org.Slug+"/link-sent")
}

func (e *Entry) linkSent(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.pages.Render(w, r, http.StatusOK, "activate.sent", &linkDoc{Base: p.base("activate.sent", "activate.sent.title"), Login: p.path("login")})
}

// forgotDoc asks whose password is forgotten.
type forgotDoc struct {
	page.Base
	Login string
}

func (e *Entry) forgot(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.showForgot(w, r, p, http.StatusOK, page.Form{})
}

func (e *Entry) showForgot(w http.ResponseWriter, r *http.Request, p place, code int, f page.Form) error {
	doc := &forgotDoc{Base: p.base("forgot", "forgot.title"), Login: p.path("login")}
	doc.Form = f
	return e.pages.Render(w, r, code, "forgot", doc)
}

func (e *Entry) askReset(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	v, f, err := form(w, r, "identifier")
	if err == nil {
		switch typed := v["identifier"]; {
		case typed == "":
			err = refusal.Field("identifier", "login.identifier.missing")
		case len(typed) > 254:
			err = refusal.Field("identifier", "login.identifier.long")
		default:
			err = e.Directory.Forgot(r.Context(), p.Org, typed, e.Client(r))
		}
		f = page.FormOf(f.Values, err)
	}
	switch {
	case err == nil:
		return seeOther(w, r, p.path("forgot/sent"))
	case again(err):
		return e.showForgot(w, r, p, status(w, err), f)
	}
	return err
}

func (e *Entry) forgotSent(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.pages.Render(w, r, http.StatusOK, "forgot.sent", &linkDoc{Base: p.base("forgot.sent", "forgot.sent.title"), Login: p.path("login")})
}

func (e *Entry) reset(w http.ResponseWriter, r *http.Request) error {
	op, p, err := e.opened(r, account.Reset)
	switch {
	case err != nil && !refusal.Is(err, refusal.Expired):
		return err
	case !op.Good:
		return e.resetExpired(w, r, p)
	}
	return e.showPassword(w, r, op, p, "reset", http.StatusOK, page.Form{})
}

func (e *Entry) resetExpired(w http.ResponseWriter, r *http.Request, p place) error {
	return e.linkExpired(w, r, p, "reset.expired.lead", "reset.expired.button")
}

// linkExpired says what is the matter with a link, and offers a new password, if it is known where.
func (e *Entry) linkExpired(w http.ResponseWriter, r *http.Request, p place, lead, offer string) error {
	doc := &linkDoc{Base: p.base("error", "reset.expired.title"), Lead: lead, Offer: offer, Ref: page.Ref(r.Context())}
	doc.Reason = string(refusal.Expired)
	if p.Org.ID != "" {
		doc.Action = p.path("forgot")
	}
	return e.pages.Render(w, r, http.StatusGone, "link.expired", doc)
}

func (e *Entry) useReset(w http.ResponseWriter, r *http.Request) error {
	_, p, err := e.usePassword(w, r, account.Reset, "reset")
	switch {
	case err == nil && p.Org.ID != "":
		e.Kit.SetFlash(w, r, "good", "reset.done")
		return seeOther(w, r, p.Org.SignInPath())
	case refusal.Is(err, refusal.Expired):
		return e.resetExpired(w, r, p)
	}
	return err
}
