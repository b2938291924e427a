package console

import (
	"net/http"
	"net/url"

	"doorward/internal/account"
	"doorward/internal/id"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

// changeOwnEmail begins to change the own address: it is confirmed at the new one.
func (c *Console) changeOwnEmail(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err == nil {
		var t map[string]string
		if t, err = take(values, "email"); err == nil {
			err = c.Directory.ChangeEmail(r.Context(), v.Actor, v.Visitor.Org.ID, v.Account.ID, t["email"])
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showProfile(w, r, v, status(w, err), page.FormOf(values, err))
	}
	return c.done(w, r, "/me", "email.asked")
}

func (c *Console) stopOwnEmail(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	if err := c.Directory.StopEmail(r.Context(), v.Actor, v.Visitor.Org.ID, v.Account.ID); err != nil {
		return c.sorry(w, r, "/me", err)
	}
	return c.done(w, r, "/me", "email.stopped")
}

// changeEmail begins to change somebody's address. Who was never active is invited at the new one.
func (c *Console) changeEmail(w http.ResponseWriter, r *http.Request, v visit) error {
	a, err := inPath[id.Account](r, "account")
	if err != nil {
		return err
	}
	who, err := account.Find(c.DB.Read(r.Context()), v.About.ID, a)
	if err != nil && !refusal.Is(err, refusal.NotFound) { // the operation answers for one that is not here
		return err
	}
	key := "email.asked"
	if who.State == account.Invited {
		key = "email.invited"
	}
	return c.act(w, r, v, key, func(a id.Account, values url.Values) error {
		t, err := take(values, "email")
		if err != nil {
			return err
		}
		return c.Directory.ChangeEmail(r.Context(), v.Actor, v.About.ID, a, t["email"])
	})
}

func (c *Console) stopEmail(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.act(w, r, v, "email.stopped", func(a id.Account, _ url.Values) error {
		return c.Directory.StopEmail(r.Context(), v.Actor, v.About.ID, a)
	})
}
