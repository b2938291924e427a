package console

import (
	"net/http"
	"strings"
	"time"

	"doorward/internal/factor"
	"doorward/internal/id"
	"doorward/internal/page"
	"doorward/internal/secret"
	"doorward/internal/signin"
)

// keysScript is the one script that pages of security keys and passkeys need.
const keysScript = "webauthn.js"

// proofCookie holds the question that a fresh proof by a key answers.
const proofCookie = "proof"

// keyDoc sets up a security key or passkey for who is signed in.
type keyDoc struct {
	page.Base
	Options string
	Start   string // what the name's field starts with
	Action  string
	Back    string
}

func (c *Console) toSecurity(w http.ResponseWriter, r *http.Request, _ visit) error {
	return seeOther(w, r, securityPath)
}

func (c *Console) beginKey(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	return c.showKey(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showKey(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	options, err := c.Desk.BeginOwnPasskey(r.Context(), v.Visitor)
	if err != nil {
		return c.sorry(w, r, securityPath, err)
	}
	doc := &keyDoc{Base: c.base(v, "me.security.key", "login.enrol.passkey.title"), Options: string(options), Start: signin.KeyName(r.UserAgent()),
		Action: securityPath + "/key/confirm", Back: securityPath}
	doc.Form, doc.Scripts = f, []string{keysScript}
	return c.pages.Render(w, r, status, "me.security.key", doc)
}

func (c *Console) confirmKey(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	var codes []string
	if err == nil {
		var t map[string]string
		if t, err = take(values, "credential", "name"); err == nil {
			codes, err = c.Desk.ConfirmOwnPasskey(r.Context(), v.Visitor, t["credential"], t["name"])
		}
	}
	if err != nil {
		if !again(err) {
			return err
		}
		return c.showKey(w, r, v, http.StatusUnprocessableEntity, page.FormOf(values, err, "credential"))
	}
	return c.added(w, r, v, "me.key_added", codes)
}

// added answers the form that made a second factor: with the recovery codes, when it was the first one.
func (c *Console) added(w http.ResponseWriter, r *http.Request, v visit, key string, codes []string) error {
	if codes == nil {
		return c.done(w, r, securityPath, key)
	}
	c.Kit.SetFlash(w, r, "good", key) // for the page after it
	return c.showCodes(w, r, v, codes)
}

// codesDoc shows new recovery codes, once.
type codesDoc struct {
	page.Base
	Codes []string
	File  page.TextFile
	Back  string
}

func (c *Console) newCodes(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	codes, err := c.Desk.NewCodes(r.Context(), v.Visitor)
	if err != nil {
		return c.sorry(w, r, securityPath, err)
	}
	return c.showCodes(w, r, v, codes)
}

func (c *Console) showCodes(w http.ResponseWriter, r *http.Request, v visit, codes []string) error {
	text := v.Visitor.Org.Name + "\n" + v.Account.Email + "\n\n" + strings.Join(codes, "\n") + "\n"
	return c.pages.Render(w, r, http.StatusOK, "me.recovery", &codesDoc{Base: c.base(v, "me.recovery", "login.recovery-codes.title"), Codes: codes,
		File: page.NewTextFile(text), Back: securityPath})
}

func (c *Console) forgetDevice(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	d, err := inPath[id.Device](r, "device")
	if err != nil {
		return err
	}
	if err := c.Desk.ForgetDevice(r.Context(), v.Actor, d); err != nil {
		return err
	}
	return c.done(w, r, sessionsPath, "me.device_forgotten")
}

// askKey answers the script of the proof page with what the browser needs to ask a key.
func (c *Console) askKey(w http.ResponseWriter, r *http.Request, v visit) error {
	if _, err := c.form(w, r, v); err != nil {
		return err
	}
	k, options, err := c.Desk.AskOwnKey(r.Context(), v.Visitor)
	if err != nil {
		return err
	}
	c.Kit.SetCookie(w, proofCookie, k.String(), 10*time.Minute)
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(options)
	return err
}

// proveWith takes whichever proof a form brings.
func (c *Console) proveWith(r *http.Request, v visit, code, password, credential string) (secret.Text, error) {
	if credential == "" {
		if code == "" {
			code = password
		}
		return c.Desk.ProveAgain(r.Context(), v.Visitor, secret.Text(code))
	}
	held, _ := c.Kit.ReadCookie(r, proofCookie)
	k, ok := signin.ParseKey(held)
	if !ok {
		return "", factor.ErrPasskeyOld
	}
	return c.Desk.ProveKeyAgain(r.Context(), v.Visitor, k, credential)
}

// accessCodeDoc shows a temporary access code, once.
type accessCodeDoc struct {
	page.Base
	Person string
	Code   string
	Until  time.Time
	Back   string
}

func (c *Console) toPerson(w http.ResponseWriter, r *http.Request, v visit) error {
	a, err := inPath[id.Account](r, "account")
	if err != nil {
		return err
	}
	return seeOther(w, r, v.path("users/"+string(a)))
}

// codeLives are the lives of a temporary access code that the form offers.
var codeLives = map[string]time.Duration{"1h": time.Hour, "4h": 4 * time.Hour, "24h": 24 * time.Hour}

func (c *Console) accessCode(w http.ResponseWriter, r *http.Request, v visit) error {
	values, err := c.form(w, r, v)
	if err != nil {
		return err
	}
	a, err := inPath[id.Account](r, "account")
	if err != nil {
		return err
	}
	t, err := take(values, "life")
	if err != nil {
		return err
	}
	code, err := c.Directory.IssueAccessCode(r.Context(), v.Actor, v.About.ID, a, codeLives[t["life"]])
	if err != nil {
		return c.sorry(w, r, v.path("users/"+string(a)), err)
	}
	who, err := c.nameOf(r, v, a)
	if err != nil {
		return err
	}
	return c.pages.Render(w, r, http.StatusOK, "user.access-code", &accessCodeDoc{Base: c.base(v, "user.access-code", "user.access_code.title"),
		Person: who, Code: code.Code, Until: code.Until, Back: v.path("users/" + string(a))})
}
