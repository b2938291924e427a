package console

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"doorward/internal/account"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
)

// MostLogoUpload is the size of a logo's request in bytes: more than a logo may have, so that a large file is answered by a sentence.
const MostLogoUpload = 8 << 20

// brandOf is what the pages about an organisation look like.
func brandOf(o org.Org) page.Brand {
	return page.Brand{Name: o.Name, Href: o.HomePath(), LogoURL: o.Brand.LogoPath(), Stylesheet: o.Brand.SheetPath()}
}

// brandingDoc is the page of an organisation's logo and accent colour.
type brandingDoc struct {
	page.Base
	At, Back           string
	Rev                int64
	OwnLogo, OwnAccent bool
	Looks              []string // classes of the preview
}

// The buttons of the form besides its own.
const (
	noLogo   = "no-logo"
	noAccent = "no-accent"
)

func (c *Console) branding(w http.ResponseWriter, r *http.Request, v visit) error {
	return c.showBranding(w, r, v, http.StatusOK, page.Form{})
}

func (c *Console) showBranding(w http.ResponseWriter, r *http.Request, v visit, status int, f page.Form) error {
	o := v.About
	doc := &brandingDoc{Base: c.base(v, "org.branding", "branding.title"), At: v.path("settings/branding"), Back: v.path("settings"), Rev: o.Rev,
		OwnLogo: o.OwnBrand.Logo != "", OwnAccent: o.OwnBrand.Accent != "", Looks: []string{"in-light", "in-dark"}}
	if typed, err := strconv.ParseInt(f.Values.Get("rev"), 10, 64); err == nil { // what was typed belongs to the revision that was seen
		doc.Rev = typed
	}
	if !f.Values.Has("accent") {
		if f.Values == nil {
			f.Values = url.Values{}
		}
		f.Values.Set("accent", o.OwnBrand.Accent)
	}
	doc.Form, doc.Scripts = f, []string{"branding.js"}
	return c.pages.Render(w, r, status, "org.branding", doc)
}

func (c *Console) setBranding(w http.ResponseWriter, r *http.Request, v visit) error {
	values, file, err := c.logoForm(w, r, v)
	done := "branding.saved"
	if err == nil {
		var typed map[string]string
		if typed, err = take(values, "accent", "rev", "change"); err == nil {
			rev, bad := strconv.ParseInt(typed["rev"], 10, 64)
			if bad != nil {
				rev = -1
			}
			var to account.Rebrand
			switch typed["change"] {
			case noLogo:
				to.NoLogo, done = true, "branding.logo_gone"
			case noAccent:
				to.Accent, done = new(string), "branding.accent_gone"
			default:
				accent := typed["accent"]
				to = account.Rebrand{Accent: &accent}
				if len(file) > 0 {
					to.Logo = file
				}
			}
			err = c.Directory.SetBrand(r.Context(), v.Actor, v.About.ID, rev, to)
		}
	}
	if err == nil {
		return c.done(w, r, v.path("settings/branding"), done)
	}
	if !again(err) {
		return err
	}
	if refusal.Is(err, refusal.Conflict) { // what they typed stays, and the next time it counts against what is there now
		values.Del("rev")
	}
	return c.showBranding(w, r, v, status(w, err), page.FormOf(values, err))
}

// logoForm decodes the form, with a file or without.
func (c *Console) logoForm(w http.ResponseWriter, r *http.Request, v visit) (values url.Values, file []byte, err error) {
	if kind, _, bad := mime.ParseMediaType(r.Header.Get("Content-Type")); bad != nil || kind != "multipart/form-data" {
		values, err = c.form(w, r, v)
		return values, nil, err
	}
	if values, file, err = readUpload(r, "logo", org.MostLogo); err != nil {
		return url.Values{}, nil, err
	}
	return values, file, c.rendered(v, values)
}

// triedTones are what follows from an accent, for the preview.
type triedTones struct {
	Accent string `json:"accent"`
	Text   string `json:"text"`
	Link   string `json:"link"`
}

func tried(t org.Tones) triedTones {
	return triedTones{t.Accent.String(), t.Text.String(), t.Link.String()}
}

// tryAccent answers the preview's script: what an accent would look like, or why it would not pass, in the page's language.
func (c *Console) tryAccent(w http.ResponseWriter, r *http.Request, v visit) error {
	answer := struct {
		Light *triedTones `json:"light,omitempty"`
		Dark  *triedTones `json:"dark,omitempty"`
		Error string      `json:"error,omitempty"`
	}{}
	accent, inDark, fault := org.CheckAccent(r.URL.Query().Get("accent"))
	if fault != nil {
		answer.Error = c.Kit.Say(r, fault)
	} else if light, dark, ok := (org.Brand{Accent: accent, Dark: inDark}).Tones(); ok {
		l, d := tried(light), tried(dark)
		answer.Light, answer.Dark = &l, &d
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}
