package console

import (
	"net/http"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/secret"
	"doorward/internal/signin"
)

// profileDoc is the own profile.
type profileDoc struct {
	page.Base
	Person    account.Account
	Languages []page.Option
	Zones     []page.Option
	Pending   account.PendingEmail // a change of the address that waits

	Organisations []belowRow // where linked accounts of this one live
	LinkWith      string     // name of the organisation above with whose account this one can be linked; empty: none
}

func (c *Console) profile(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showProfile(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showProfile(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	doc := &profileDoc{Base: c.base(v, "me", "me.title"), Person: v.Account, Zones: zones(v.Account.TimeZone, false)}
	doc.Form = f
	doc.Languages = append(doc.Languages, page.Option{Value: "", Key: "me.language_org", Chosen: v.Account.Language == ""})
	for _, l := range locale.Languages {
		doc.Languages = append(doc.Languages, page.Option{Value: string(l), Text: l.Name(), Chosen: l == v.Account.Language})
	}
	var err error
	if doc.Pending, err = account.EmailPending(c.DB.Read(r.Context()), c.Now(), v.Account); err != nil {
		return err
	}
	if doc.Organisations, err = c.below(r, v); err != nil {
		return err
	}
	if v.Visitor.Org.Kind == access.Customer && !v.Account.Linked() {
		parent, err := org.Find(c.DB.Read(r.Context()), v.Visitor.Org.Parent)
		if err != nil {
			return err
		}
		doc.LinkWith = parent.Name
	}
	return c.pages.Render(w, r, status, "me", doc)
}

func (c *Console) editProfile(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err == nil {
		var t map[string]string
		if t, err = take(values, "name", "username", "language", "time_zone"); err == nil {
			err = c.Directory.EditProfile(r.Context(), v.Actor, account.Profile{Name: t["name"], Username: t["username"], Language: t["language"], TimeZone: t["time_zone"]})
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showProfile(w, r, v, status(w, err), page.FormOf(values, err))
	}
	return c.done(w, r, "/me", "me.saved")
}

// securityDoc is how the own account is protected.
type securityDoc struct {
	page.Base
	Own      *factor.Factor // the password
	Seconds  []factor.Factor
	Rules    []page.Rule
	Words    []string
	Fresh    bool
	Prove    string
	Codes    int    // recovery codes left
	HasCodes bool   // there is a set, used up or not
	CodesOff bool   // too many wrong codes disabled it
	Last     bool   // the one second factor that is left is demanded
	Home     string // of a linked account: the organisation where its password and factors live
}

const securityPath = "/me/security"

func (c *Console) security(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showSecurity(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showSecurity(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	if v.Account.Linked() {
		return c.pages.Render(w, r, status, "me.security", &securityDoc{Base: c.base(v, "me.security", "me.security.title"), Home: v.HomeOrg.Name})
	}
	factors, err := factor.List(c.DB.Read(r.Context()), v.Account.ID)
	if err != nil {
		return err
	}
	doc := &securityDoc{Base: c.base(v, "me.security", "me.security.title"), Rules: page.PasswordRules(account.MinLength(v.Visitor.Org, v.Roles, c.Now())),
		Words: account.Personal(v.Visitor.Org, v.Account), Fresh: v.Actor.Fresh(c.Now()), Prove: provePath(securityPath)}
	doc.Form = f
	for i, one := range factors {
		switch {
		case one.Kind == factor.Password:
			doc.Own = &factors[i]
		case one.Kind == factor.Recovery:
			doc.Codes, doc.HasCodes, doc.CodesOff = one.Left(), true, one.State == factor.Disabled
		case one.State != factor.Pending && one.Kind != factor.AccessCodeKind:
			doc.Seconds = append(doc.Seconds, one)
		}
	}
	doc.Last = len(factor.Seconds(factors, factor.Active)) == 1 && v.Visitor.Org.Rules.Demands(v.administers(), c.Now())
	return c.pages.Render(w, r, status, "me.security", doc)
}

func (c *Console) changePassword(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var fresh secret.Text
	if err == nil {
		var t map[string]string
		if t, err = take(values, "password", "new_password", "confirm_password"); err == nil {
			fresh, err = c.Desk.ChangePassword(r.Context(), v.Visitor, secret.Text(t["password"]), secret.Text(t["new_password"]), secret.Text(t["confirm_password"]))
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showSecurity(w, r, v, status(w, err), page.FormOf(values, err, "password", "new_password", "confirm_password"))
	}
	c.Kit.SetCookie(w, sessionCookie, string(fresh), 0)
	return c.done(w, r, securityPath, "me.password_changed")
}

// appDoc sets up an authenticator app for who is signed in.
type appDoc struct {
	page.Base
	Key    []string
	QR     page.QR
	Action string
	Back   string
}

func (c *Console) beginApp(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	if _, err := c.Desk.BeginOwnTOTP(r.Context(), v.Visitor); err != nil {
		return c.sorry(w, r, securityPath, err)
	}
	return seeOther(w, r, securityPath+"/app")
}

func (c *Console) app(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showApp(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showApp(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	setup, ok, err := c.Desk.OwnTOTP(r.Context(), v.Visitor)
	if err != nil {
		return err
	}
	if !ok {
		return seeOther(w, r, securityPath)
	}
	doc := &appDoc{Base: c.base(v, "me.security.app", "login.enrol.totp.title"), Key: page.Groups(string(setup.Key)), Action: securityPath + "/app/confirm", Back: securityPath}
	doc.Form = f
	if doc.QR, err = page.DrawQR(string(setup.URL)); err != nil {
		return err
	}
	return c.pages.Render(w, r, status, "me.security.app", doc)
}

func (c *Console) confirmApp(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var codes []string
	if err == nil {
		var t map[string]string
		if t, err = take(values, "code", "name"); err == nil {
			codes, err = c.Desk.ConfirmOwnTOTP(r.Context(), v.Visitor, t["code"], t["name"])
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showApp(w, r, v, status(w, err), page.FormOf(values, err, "code"))
	}
	return c.added(w, r, v, "me.app_added", codes)
}

func (c *Console) removeFactor(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	f, err := inPath[id.Factor](r, "factor")
	if err != nil {
		return err
	}
	if err := c.Desk.RemoveFactor(r.Context(), v.Visitor, f); err != nil {
		return c.sorry(w, r, securityPath, err)
	}
	return c.done(w, r, securityPath, "me.factor_removed")
}

// sessionsDoc lists where the own account is signed in.
type sessionsDoc struct {
	page.Base
	Sessions []signin.Session
	Current  id.Session
	Devices  []signin.Device
}

const sessionsPath = "/me/sessions"

func (c *Console) sessions(w http.ResponseWriter, r *http.Request, v visit) error {
	doc := &sessionsDoc{Base: c.base(v, "me.sessions", "me.sessions.title"), Current: v.Session.ID}
	var err error
	if doc.Sessions, err = c.Desk.Sessions(r.Context(), v.Visitor.Org.ID, v.Account.ID); err != nil {
		return err
	}
	if doc.Devices, err = c.Desk.Devices(r.Context(), v.Visitor.Org.ID, v.Account.ID); err != nil {
		return err
	}
	return c.pages.Render(w, r, http.StatusOK, "me.sessions", doc)
}

func (c *Console) endSession(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	s, err := inPath[id.Session](r, "session")
	if err != nil {
		return err
	}
	if err := c.Desk.EndSession(r.Context(), v.Actor, v.Visitor.Org.ID, v.Account.ID, s); err != nil {
		return err
	}
	return c.done(w, r, sessionsPath, "me.sessions.ended")
}

func (c *Console) endAll(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	if err := c.Desk.EndSessions(r.Context(), v.Actor, v.Visitor.Org.ID, v.Account.ID); err != nil {
		return err
	}
	c.Kit.SetCookie(w, sessionCookie, "", -1)
	return c.done(w, r, v.Visitor.Org.HomePath(), "me.sessions.all_ended")
}
