package entry

import (
	"net/http"

	"doorward/internal/page"
)

// organisations asks for the address whose sign-in pages are to be mailed.
func (e *Entry) organisations(w http.ResponseWriter, r *http.Request) error {
	return e.showOrganisations(w, r, http.StatusOK, page.Form{})
}

func (e *Entry) showOrganisations(w http.ResponseWriter, r *http.Request, code int, f page.Form) error {
	doc := &forgotDoc{Base: anywhere().base("login.organisations", "organisations.title"), Login: anywhere().path("login")}
	doc.Form = f
	return e.pages.Render(w, r, code, "login.organisations", doc)
}

func (e *Entry) mailOrganisations(w http.ResponseWriter, r *http.Request) error {
	v, f, err := form(w, r, "identifier")
	if err == nil {
		err = e.Directory.MailOrganisations(r.Context(), v["identifier"], e.Client(r))
		f = page.FormOf(f.Values, err)
	}
	switch {
	case err == nil:
		return seeOther(w, r, "/login/organisations/sent")
	case again(err):
		return e.showOrganisations(w, r, status(w, err), f)
	}
	return err
}

func (e *Entry) organisationsSent(w http.ResponseWriter, r *http.Request) error {
	return e.pages.Render(w, r, http.StatusOK, "forgot.sent", &linkDoc{Base: anywhere().base("login.organisations.sent", "forgot.sent.title"), Login: anywhere().path("login")})
}
