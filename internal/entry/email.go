package entry

import (
	"net/http"

	"doorward/internal/account"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
)

// confirmEmailDoc asks whether a new address is to be the account's.
type confirmEmailDoc struct {
	page.Base
	Action   string
	Old, New string
}

func (e *Entry) confirmEmail(w http.ResponseWriter, r *http.Request) error {
	op, p, err := e.opened(r, account.ConfirmEmail)
	switch {
	case err != nil && !refusal.Is(err, refusal.Expired):
		return err
	case !op.Good:
		return e.confirmEmailExpired(w, r, p)
	}
	return e.showConfirmEmail(w, r, op, p, http.StatusOK, page.Form{})
}

func (e *Entry) showConfirmEmail(w http.ResponseWriter, r *http.Request, op account.Opened, p place, code int, f page.Form) error {
	doc := &confirmEmailDoc{Base: p.base("confirm-email", "confirm-email.title"), Action: r.URL.Path, Old: op.Account.Email, New: op.NewEmail()}
	doc.Form = f
	return e.pages.Render(w, r, code, "confirm-email", doc)
}

// confirmEmailExpired offers no new link: only who is signed in asks for one.
func (e *Entry) confirmEmailExpired(w http.ResponseWriter, r *http.Request, p place) error {
	doc := &linkDoc{Base: p.base("error", "reset.expired.title"), Lead: "confirm-email.expired", Ref: page.Ref(r.Context())}
	doc.Reason = string(refusal.Expired)
	return e.pages.Render(w, r, http.StatusGone, "link.expired", doc)
}

func (e *Entry) doConfirmEmail(w http.ResponseWriter, r *http.Request) error {
	if _, _, err := form(w, r); err != nil {
		return err
	}
	_, p, err := e.opened(r, account.ConfirmEmail)
	if err != nil && !refusal.Is(err, refusal.Expired) {
		return err
	}
	op, err := e.Directory.ConfirmEmail(r.Context(), secret.Text(r.PathValue("token")), e.Client(r))
	switch {
	case err == nil:
		return seeOther(w, r, p.path("confirm-email/done"))
	case refusal.Is(err, refusal.Expired):
		return e.confirmEmailExpired(w, r, p)
	case refusal.Is(err, refusal.Conflict):
		return e.showConfirmEmail(w, r, op, p, http.StatusUnprocessableEntity, page.FormOf(nil, err))
	}
	return err
}

func (e *Entry) confirmEmailDone(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.pages.Render(w, r, http.StatusOK, "confirm-email.done", &linkDoc{Base: p.base("confirm-email.done", "confirm-email.done.title"), Login: p.path("login")})
}
