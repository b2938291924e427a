package entry

import (
	"net/http"

	"doorward/internal/account"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

// setupPage is the name of the page of a set-up link. That of the purpose belongs to an organisation's Initial Setup.
const setupPage = "setup-link"

func (e *Entry) setup(w http.ResponseWriter, r *http.Request) error {
	op, p, err := e.opened(r, account.Setup)
	switch {
	case err != nil && !refusal.Is(err, refusal.Expired):
		return err
	case !op.Good:
		return e.setupExpired(w, r, p)
	}
	return e.showPassword(w, r, op, p, setupPage, http.StatusOK, page.Form{})
}

func (e *Entry) setupExpired(w http.ResponseWriter, r *http.Request, p place) error {
	return e.linkExpired(w, r, p, "setup-link.expired.lead", "reset.expired.button")
}

// useSetup takes the new password and goes straight on with a sign-in, to what it asks for next.
func (e *Entry) useSetup(w http.ResponseWriter, r *http.Request) error {
	op, p, err := e.usePassword(w, r, account.Setup, setupPage)
	if refusal.Is(err, refusal.Expired) {
		return e.setupExpired(w, r, p)
	}
	if err != nil || p.Org.ID == "" {
		return err
	}
	next, err := e.Desk.BeginAfterLink(r.Context(), op, e.Client(r), e.held(r))
	switch {
	case refusal.Is(err, refusal.Expired): // revoked meanwhile: the password is the new one all the same
		e.Kit.SetFlash(w, r, "good", "reset.done")
		return seeOther(w, r, p.Org.SignInPath())
	case err != nil:
		return err
	case next.Finished != nil:
		return e.finished(w, r, next)
	}
	e.keep(w, r, next.Key)
	return seeOther(w, r, nextPath(next.Attempt))
}
