package console

import (
	"net/http"
	"net/url"

	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/refusal"
)

// deletePerson takes somebody out of the organisation: at once, or after the waiting time.
func (c *Console) deletePerson(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	a, err := inPath[id.Account](r, "account")
	if err != nil {
		return err
	}
	to := v.path("users/" + string(a))
	if err := c.Directory.Delete(r.Context(), v.Actor, v.About.ID, a); err != nil {
		return c.sorry(w, r, to, err)
	}
	_, err = account.Find(c.DB.Read(r.Context()), v.About.ID, a)
	switch {
	case refusal.Is(err, refusal.NotFound): // never activated
		return c.done(w, r, v.path("users"), "user.withdrawn")
	case err != nil:
		return err
	}
	return c.done(w, r, to, "user.delete.done")
}

func (c *Console) keepPerson(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "user.keep.done", func(a id.Account, _ url.Values) error {
		return c.Directory.Keep(r.Context(), v.Actor, v.About.ID, a)
	})
}
