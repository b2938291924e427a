package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/signin"
)

// proveDoc asks for a fresh proof before something sensitive. When it interrupted a form, the form's fields go through it unchanged:
// nothing typed is lost.
type proveDoc struct {
	page.Base
	To     string // page to go on to
	ByCode bool   // what serves as a proof: a code …
	ByKey  bool   // … a security key or passkey …
	ByPass bool   // … the password, of who has no second factor
	Resume bool   // a form was interrupted …
	Kept   []kept // … with these fields
	SignIn string
}

// kept is a field of the interrupted form.
type kept struct{ Name, Value string }

func provePath(to string) string { return "/me/prove?to=" + url.QueryEscape(to) }

// secretFields never travel through the page.
var secretFields = []string{"password", "new_password", "confirm_password", "code", "credential"}

// askProof answers a request whose proof was too old.
func (c *Console) askProof(w http.ResponseWriter, r *http.Request, v visit) error {
	var fields []kept
	for name, list := range r.PostForm {
		for _, value := range list {
			if !slices.Contains(secretFields, name) {
				fields = append(fields, kept{name, value})
			}
		}
	}
	return c.showProve(w, r, v, http.StatusForbidden, page.LocalPath(r.URL.RequestURI()), r.Method == http.MethodPost, fields, page.Form{})
}

func (c *Console) showProve(w http.ResponseWriter, r *http.Request, v visit, status int, to string, resume bool, fields []kept, f page.Form) error {
	v.About = v.Visitor.Org // the proof is about the own account, wherever it interrupted
	proofs, err := c.Desk.Proofs(r.Context(), v.Home.ID)
	if err != nil {
		return err
	}
	doc := &proveDoc{Base: c.base(v, "prove", "prove.title"), To: to, Resume: resume, Kept: fields, ByCode: slices.Contains(proofs, signin.ProofCode),
		ByKey: slices.Contains(proofs, signin.ProofKey), ByPass: slices.Contains(proofs, signin.ProofPassword)}
	doc.Scripts = []string{keysScript}
	doc.Layout = page.LayoutCard
	doc.Reason = string(refusal.StepUp)
	doc.Form = f
	back := to
	if v.Account.Linked() && !strings.HasPrefix(to, v.Visitor.Org.HomePath()) { // its own pages are not those of the home
		back = v.Visitor.Org.HomePath()
	}
	doc.SignIn = v.HomeOrg.SignInPath() + "?to=" + url.QueryEscape(back)
	return c.pages.Render(w, r, status, "prove", doc)
}

func (c *Console) proveForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showProve(w, r, v, http.StatusOK, page.LocalPath(r.URL.Query().Get("to")), false, nil, page.Form{})
}

// prove takes the fresh proof and goes on: with a GET, or by sending the interrupted form once more.
func (c *Console) prove(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err != nil && refusal.As(err) == nil {
		return err
	}
	var fields []kept
	for name, list := range values {
		if rest, ok := cutKept(name); ok {
			for _, value := range list {
				fields = append(fields, kept{rest, value})
			}
		}
	}
	t, fault := take(values, "proof_code", "proof_password", "credential", "to", "resume")
	if err == nil {
		err = fault
	}
	var fresh secret.Text
	if err == nil {
		fresh, err = c.proveWith(r, v, t["proof_code"], t["proof_password"], t["credential"])
	}
	to := page.LocalPath(t["to"])
	if to == "" {
		to = v.Visitor.Org.HomePath()
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showProve(w, r, v, status(w, err), to, t["resume"] != "", fields, page.FormOf(url.Values{}, atProof(err)))
	}
	c.Kit.SetCookie(w, sessionCookie, string(fresh), 0)
	if t["resume"] == "" {
		return seeOther(w, r, to)
	}
	doc := &resumeDoc{Base: c.base(v, "prove.resume", "prove.resume.title"), Action: to, Kept: fields}
	doc.Layout = page.LayoutCard
	return c.pages.Render(w, r, http.StatusOK, "prove.resume", doc)
}

// resumeDoc sends the interrupted form once more, by a button, so that it works without JavaScript too. Whose form it is and about
// which organisation stands among its fields, as the page that it comes from said it.
type resumeDoc struct {
	page.Base
	Action string
	Kept   []kept
}

const keptPrefix = "kept."

func cutKept(name string) (string, bool) {
	if len(name) > len(keptPrefix) && name[:len(keptPrefix)] == keptPrefix {
		return name[len(keptPrefix):], true
	}
	return "", false
}

// atProof moves a refusal to the field that the page has.
func atProof(err error) error {
	e := refusal.As(err)
	if e == nil {
		return err
	}
	copied := *e
	switch e.Field {
	case "code":
		copied.Field = "proof_code"
	case "password":
		copied.Field = "proof_password"
	}
	return &copied
}
