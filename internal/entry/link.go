package entry

import (
	"net/http"
	"net/url"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
)

// invitedCookie keeps the token of an invitation in the browser while its holder signs in at home: it goes into no address, form or attempt on the
// way. invitedPath is where they come back to.
const (
	invitedCookie = "invited"
	invitedLives  = 30 * time.Minute
	invitedPath   = "/activate/link"
)

// linkOffer is, beside "Choose your password", the way to link an account of an organisation above instead.
type linkOffer struct {
	Action      string
	Home        string // name of the organisation above
	Name, Email string // of who is signed in there; an empty Email: nobody
}

// linkOffer returns what can be offered: the account that is signed in, else at a customer's page a sign-in with the organisation above.
func (e *Entry) linkOffer(r *http.Request, op account.Opened) (*linkOffer, error) {
	action := account.Activate.Path(secret.Text(r.PathValue("token"))) + "/link"
	v, ok, err := e.visitor(r)
	if err != nil {
		return nil, err
	}
	tx := e.DB.Read(r.Context())
	if ok && !v.Due && !v.Account.Linked() {
		above, err := access.Above(tx, v.Org.ID, op.Org.ID)
		if err != nil {
			return nil, err
		}
		if above {
			return &linkOffer{Action: action, Home: v.Org.Name, Name: v.Account.Name, Email: v.Account.Email}, nil
		}
	}
	if op.Org.Kind != access.Customer {
		return nil, nil
	}
	parent, err := org.Find(tx, op.Org.Parent)
	return &linkOffer{Action: action, Home: parent.Name}, err
}

// linkActivation links the account that is signed in, if it is the one that the page showed; else it leads to the sign-in above and back.
func (e *Entry) linkActivation(w http.ResponseWriter, r *http.Request) error {
	values, _, err := form(w, r, "home")
	if err != nil {
		return err
	}
	op, p, err := e.opened(r, account.Activate)
	if err != nil && !refusal.Is(err, refusal.Expired) {
		return err
	}
	v, ok, err := e.visitor(r)
	if err != nil {
		return err
	}
	by, seq := access.Visitor(e.Client(r)), int64(0)
	if ok {
		by, seq = v.Actor, v.Session.Seq
	}
	if op.Good && (values["home"] == "" || !ok || v.Due) {
		return e.signInAbove(w, r, op)
	}
	if op.Good && values["home"] != v.Account.Email {
		err = refusal.New(refusal.Conflict, "activate.link.other")
	} else {
		op, err = e.Directory.Link(r.Context(), account.Activate, secret.Text(r.PathValue("token")), by, seq)
	}
	switch {
	case err == nil:
		e.Kit.SetFlash(w, r, "good", "activate.link.done", "Organisation", op.Org.Name)
		return seeOther(w, r, "/me")
	case refusal.Is(err, refusal.StepUp):
		e.keepInvited(w, r)
		return seeOther(w, r, "/me/prove?to="+url.QueryEscape(invitedPath))
	case refusal.Is(err, refusal.Expired) && op.Done:
		return seeOther(w, r, op.Org.SignInPath())
	case refusal.Is(err, refusal.Expired):
		return e.activationExpired(w, r, p)
	case refusal.Is(err, refusal.Conflict):
		return e.showPassword(w, r, op, p, "activate", http.StatusUnprocessableEntity, page.FormOf(nil, err))
	}
	return err
}

// signInAbove leads to the sign-in of the organisation above, and back to the invitation.
func (e *Entry) signInAbove(w http.ResponseWriter, r *http.Request, op account.Opened) error {
	if op.Org.Parent == "" {
		return refusal.New(refusal.NotFound, "error.not_found")
	}
	parent, err := org.Find(e.DB.Read(r.Context()), op.Org.Parent)
	if err != nil {
		return err
	}
	e.keepInvited(w, r)
	return seeOther(w, r, parent.SignInPath()+"?to="+url.QueryEscape(invitedPath))
}

func (e *Entry) keepInvited(w http.ResponseWriter, r *http.Request) {
	e.Kit.SetCookie(w, invitedCookie, r.PathValue("token"), invitedLives)
}

// backToActivation leads who has signed in back to the invitation that this browser holds.
func (e *Entry) backToActivation(w http.ResponseWriter, r *http.Request) error {
	token, _ := e.Kit.ReadCookie(r, invitedCookie)
	if token == "" {
		return refusal.New(refusal.Expired, "link.expired")
	}
	e.Kit.SetCookie(w, invitedCookie, "", -1)
	return seeOther(w, r, account.Activate.Path(secret.Text(token)))
}
