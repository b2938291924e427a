package console

import (
	"net/http"
	"net/url"

	"doorward/internal/account"
	"doorward/internal/audit"
	"doorward/internal/id"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
)

// joinCookie holds the link with which somebody's account is to become a linked one, while they sign in at home. joinPath is where they come back to.
const (
	joinCookie = "joining"
	joinPath   = "/me/link"
)

// belowRow is an account that is linked to the own one.
type belowRow struct {
	Name, Slug, Email string
	Open              bool // it can be entered
	Unlink            string
}

// below returns the accounts that are linked to the own one.
func (c *Console) below(r *http.Request, v visit) (rows []belowRow, err error) {
	if v.Account.Linked() {
		return nil, nil
	}
	list, err := account.LinkedTo(c.DB.Read(r.Context()), v.Account.ID)
	for _, b := range list {
		rows = append(rows, belowRow{Name: b.Org.Name, Slug: b.Org.Slug, Email: b.Email, Open: b.State == account.Active,
			Unlink: "/me/unlink/" + url.PathEscape(b.Org.Slug)})
	}
	return rows, err
}

// enter goes into an organisation with a linked account. Where its rules ask for more than was proved, the way leads through the sign-in at home.
func (c *Console) enter(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err != nil {
		return err
	}
	t, err := take(values, "slug")
	if err != nil {
		return err
	}
	fresh, to, err := c.Desk.Enter(r.Context(), v.Visitor, t["slug"])
	switch {
	case refusal.Is(err, refusal.StepUp):
		return seeOther(w, r, v.HomeOrg.SignInPath()+"?to="+url.QueryEscape(page.LocalPath("/o/"+url.PathEscape(t["slug"])+"/")))
	case err != nil:
		return err
	}
	c.Kit.SetCookie(w, sessionCookie, string(fresh), 0)
	return seeOther(w, r, to)
}

// leave goes back from a linked account to the one at home.
func (c *Console) leave(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err != nil {
		return err
	}
	t, err := take(values, "to")
	if err != nil {
		return err
	}
	fresh, to, err := c.Desk.Leave(r.Context(), v.Visitor)
	if err != nil {
		return err
	}
	c.Kit.SetCookie(w, sessionCookie, string(fresh), 0)
	if local := page.LocalPath(t["to"]); local != "" {
		to = local
	}
	return seeOther(w, r, to)
}

// unlinkDoc asks before a link is removed, and says what happens then.
type unlinkDoc struct {
	page.Base
	Email        string // of the linked account
	Organisation string // where it lives
	Home         string // name of the home organisation
	Action       string
	Back         string
}

func (c *Console) showUnlink(w http.ResponseWriter, r *http.Request, v visit, a account.Account, back string) error {
	tx := c.DB.Read(r.Context())
	at, err := org.Find(tx, a.Org)
	if err != nil {
		return err
	}
	home, err := account.HomeOrg(tx, a)
	if err != nil {
		return err
	}
	return c.pages.Render(w, r, http.StatusOK, "unlink", &unlinkDoc{Base: c.base(v, "unlink", "unlink.title"), Email: a.Email, Organisation: at.Name,
		Home: home.Name, Action: r.URL.Path, Back: back})
}

// unlinkPerson asks whether someone's link is to be removed.
func (c *Console) unlinkPerson(w http.ResponseWriter, r *http.Request, v visit) error {
	which, err := inPath[id.Account](r, "account")
	if err != nil {
		return err
	}
	a, err := account.Find(c.DB.Read(r.Context()), v.About.ID, which)
	if err != nil {
		return c.Book.Refusal(r.Context(), v.Actor, audit.AccountUnlinked, err)
	}
	back := v.path("users/" + string(which))
	if !a.Linked() {
		return seeOther(w, r, back)
	}
	return c.showUnlink(w, r, v, a, back)
}

func (c *Console) doUnlinkPerson(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	which, err := inPath[id.Account](r, "account")
	if err != nil {
		return err
	}
	to := v.path("users/" + string(which))
	if err := c.Directory.Unlink(r.Context(), v.Actor, v.About.ID, which); err != nil {
		return c.sorry(w, r, to, err)
	}
	a, err := account.Find(c.DB.Read(r.Context()), v.About.ID, which)
	if err != nil {
		return err
	}
	return c.done(w, r, to, "unlink.done", "Email", a.Email)
}

// ownLinked returns the visitor's linked account in the organisation in the address: the one that they are, or one whose home they are.
func (c *Console) ownLinked(r *http.Request, v visit) (account.Account, error) {
	tx := c.DB.Read(r.Context())
	o, err := org.BySlug(tx, r.PathValue("slug"))
	if err != nil {
		return account.Account{}, err
	}
	if v.Account.Linked() && v.Visitor.Org.ID == o.ID {
		return v.Account, nil
	}
	a, ok, err := account.LinkedIn(tx, o.ID, v.Account.ID)
	if err == nil && !ok {
		err = refusal.New(refusal.NotFound, "error.not_found")
	}
	return a, err
}

func (c *Console) unlinkOwn(w http.ResponseWriter, r *http.Request, v visit) error {
	a, err := c.ownLinked(r, v)
	if err != nil {
		return err
	}
	return c.showUnlink(w, r, v, a, "/me")
}

func (c *Console) doUnlinkOwn(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	a, err := c.ownLinked(r, v)
	if err != nil {
		return err
	}
	if err := c.Directory.Unlink(r.Context(), v.Actor, a.Org, a.ID); err != nil {
		return c.sorry(w, r, "/me", err)
	}
	if v.Account.ID == a.ID { // that session has ended: back to the one at home, which it stood on
		fresh, _, err := c.Desk.Leave(r.Context(), v.Visitor)
		if err != nil {
			return err
		}
		c.Kit.SetCookie(w, sessionCookie, string(fresh), 0)
	}
	return c.done(w, r, "/me", "unlink.done", "Email", a.Email)
}

// beginLink starts to link the own account with one of the organisation above: the way leads through the sign-in there.
func (c *Console) beginLink(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	if v.Visitor.Org.Parent == "" {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	parent, err := org.Find(c.DB.Read(r.Context()), v.Visitor.Org.Parent)
	if err != nil {
		return err
	}
	token, err := c.Directory.BeginLink(r.Context(), v.Actor)
	if err != nil {
		return c.sorry(w, r, "/me", err)
	}
	c.Kit.SetCookie(w, joinCookie, string(token), account.JoinLife)
	return seeOther(w, r, parent.SignInPath()+"?to="+url.QueryEscape(joinPath))
}

// joinDoc asks who has signed in at home whether the other account is to be linked.
type joinDoc struct {
	page.Base
	Email, Organisation string // the account that is to be linked
	HomeEmail, Home     string // the one that is signed in
}

func (c *Console) join(w http.ResponseWriter, r *http.Request, v visit) error {
	held, _ := c.Kit.ReadCookie(r, joinCookie)
	if held == "" {
		return seeOther(w, r, "/me")
	}
	op, err := c.Directory.Open(r.Context(), account.Join, secret.Text(held))
	switch {
	case err == nil && op.Good && op.Account.ID == v.Account.ID: // not signed in at home yet
		return seeOther(w, r, "/me")
	case err != nil || !op.Good:
		c.Kit.SetCookie(w, joinCookie, "", -1)
		if err == nil {
			err = refusal.New(refusal.Expired, "link.expired")
		}
		return err
	}
	return c.pages.Render(w, r, http.StatusOK, "link", &joinDoc{Base: c.base(v, "link", "link.title"), Email: op.Account.Email, Organisation: op.Org.Name,
		HomeEmail: v.Account.Email, Home: v.Visitor.Org.Name})
}

func (c *Console) doJoin(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	held, _ := c.Kit.ReadCookie(r, joinCookie)
	op, err := c.Directory.Link(r.Context(), account.Join, secret.Text(held), v.Actor, v.Session.Seq)
	if err != nil {
		return c.sorry(w, r, "/me", err)
	}
	c.Kit.SetCookie(w, joinCookie, "", -1)
	return c.done(w, r, "/me", "activate.link.done", "Organisation", op.Org.Name)
}
