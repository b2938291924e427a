package entry

import (
	"net/http"
	"net/url"
	"time"

	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/signin"
)

// anywhere is the place of the general sign-in: no organisation, and no tenant domain in the address.
func anywhere() place { return place{} }

// tenantCookie is the name of the cookie that remembers the tenant domain with which someone signed in at the general page, tenantLives how long.
const (
	tenantCookie = "tenant"
	tenantLives  = 365 * 24 * time.Hour
)

// start shows the installation's welcome page, or leads who is signed in to their dashboard.
func (e *Entry) start(w http.ResponseWriter, r *http.Request) error {
	v, ok, err := e.visitor(r)
	if err != nil {
		return err
	}
	if ok {
		return seeOther(w, r, v.Org.HomePath())
	}
	return e.pages.Render(w, r, http.StatusOK, "welcome", &welcomeDoc{Base: anywhere().base("welcome", "welcome.title"), Login: anywhere().path("login")})
}

func (e *Entry) generalIdentifier(w http.ResponseWriter, r *http.Request) error {
	return e.showIdentifier(w, r, anywhere(), http.StatusOK, page.LocalPath(r.URL.Query().Get("to")), page.Form{})
}

func (e *Entry) generalBegin(w http.ResponseWriter, r *http.Request) error {
	return e.beginAt(w, r, anywhere())
}

// rememberedTenant returns the tenant domain of the last sign-in here, empty when none is known.
func (e *Entry) rememberedTenant(r *http.Request) string {
	v, _ := e.Kit.ReadCookie(r, tenantCookie)
	slug, fault := org.FoldSlug(v)
	if fault != nil {
		return ""
	}
	return slug
}

// land is where a sign-in that is over leads: to where the person wanted to go, or to the chooser when that can be entered in two ways.
func land(f signin.Finished) string {
	if f.Choose == "" {
		return f.To
	}
	return signin.ChoosePath + "?to=" + url.QueryEscape(f.To)
}
