package entry

import (
	"net/http"

	"doorward/internal/account"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
)

// notMeDoc asks whether the answer to a warning is meant.
type notMeDoc struct {
	page.Base
	Action string
	Email  string
}

func (e *Entry) notMe(w http.ResponseWriter, r *http.Request) error {
	op, p, err := e.opened(r, account.NotMe)
	switch {
	case err != nil && !refusal.Is(err, refusal.Expired):
		return err
	case !op.Good:
		return e.notMeExpired(w, r, p)
	}
	doc := &notMeDoc{Base: p.base("not-me", "not-me.title"), Action: r.URL.Path, Email: op.Account.Email}
	return e.pages.Render(w, r, http.StatusOK, "not-me", doc)
}

func (e *Entry) notMeExpired(w http.ResponseWriter, r *http.Request, p place) error {
	return e.linkExpired(w, r, p, "not-me.expired.lead", "not-me.expired.button")
}

func (e *Entry) sayNotMe(w http.ResponseWriter, r *http.Request) error {
	if _, _, err := form(w, r); err != nil {
		return err
	}
	_, p, err := e.opened(r, account.NotMe)
	if err != nil && !refusal.Is(err, refusal.Expired) {
		return err
	}
	_, err = e.Directory.NotMe(r.Context(), secret.Text(r.PathValue("token")), e.Client(r))
	switch {
	case err == nil:
		return seeOther(w, r, p.path("not-me/done"))
	case refusal.Is(err, refusal.Expired):
		return e.notMeExpired(w, r, p)
	}
	return err
}

func (e *Entry) notMeDone(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.pages.Render(w, r, http.StatusOK, "not-me.done", &linkDoc{Base: p.base("not-me.done", "not-me.done.title"), Login: p.path("login")})
}
