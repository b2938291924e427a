package console

import (
	"net/http"
	"time"

	"doorward/internal/org"
	"doorward/internal/page"
)

// dueDoc tells someone signed in that the rules ask for a second factor which this session has not proved.
type dueDoc struct {
	page.Base
	Organisation string
	SignIn       string // the home organisation's sign-in, by POST
	Identifier   string
	To           string
}

// factorDue answers a page that a session does not open, or not any more: the organisation by asks for a second factor that it has not proved (mission
// C2). The way on is a new sign-in, in which one is enrolled.
func (c *Console) factorDue(w http.ResponseWriter, r *http.Request, v visit, by org.Org) error {
	home := v.Visitor.Org
	if v.Home.Org != home.ID {
		var err error
		if home, err = org.Find(c.DB.Read(r.Context()), v.Home.Org); err != nil {
			return err
		}
	}
	doc := &dueDoc{Base: page.Base{Page: "factor-due", Title: "factor-due.title", Brand: brandOf(home)},
		Organisation: by.Name, SignIn: home.SignInPath(), Identifier: v.Home.Email}
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		doc.To = page.LocalPath(r.URL.RequestURI())
	case by.ID != v.Visitor.Org.ID: // the sign-in asks for what is asked there only on the way there
		doc.To = by.HomePath()
	}
	return c.pages.Render(w, r, http.StatusForbidden, "factor-due", doc)
}

// deadline is the banner of a second factor that will be demanded.
func (c *Console) deadline(v visit) page.Flash {
	left := v.Deadline.Sub(c.Now())
	return page.Flash{Kind: "warn", Key: "console.deadline", Href: "/me/security", Link: "login.mfa-notice.now", Args: []any{
		"Organisation", v.Visitor.Org.Name, "When", v.Deadline.In(v.location()), "Count", max(0, int((left+24*time.Hour-1)/(24*time.Hour)))}}
}
