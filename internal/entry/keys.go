package entry

import (
	"errors"
	"net/http"

	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/signin"
)

// passkeyStart answers the script of a sign-in page with what the browser needs to ask for a passkey, the same for everybody.
func (e *Entry) passkeyStart(w http.ResponseWriter, r *http.Request) error {
	p, err := e.place(r, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return e.passkeyStartAt(w, r, p)
}

func (e *Entry) generalPasskeyStart(w http.ResponseWriter, r *http.Request) error {
	return e.passkeyStartAt(w, r, anywhere())
}

func (e *Entry) passkeyStartAt(w http.ResponseWriter, r *http.Request, p place) error {
	v, _, err := form(w, r, "to")
	if err != nil {
		return err
	}
	k, options, err := e.Desk.PasskeyStart(r.Context(), signin.Start{General: p.general(), Org: p.Org, Slug: p.Slug, To: page.LocalPath(v["to"]), Client: e.Client(r)}, e.passkeyKey(r))
	if err != nil {
		return err
	}
	e.Kit.SetCookie(w, passkeyCookie, k.String(), attemptLives)
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(options)
	return err
}

// passkeyAlone takes the answer of a passkey that names its account itself.
func (e *Entry) passkeyAlone(w http.ResponseWriter, r *http.Request) error {
	v, _, err := form(w, r, "credential", "to")
	to := page.LocalPath(v["to"])
	if err != nil && refusal.As(err) == nil {
		return err
	}
	k := e.passkeyKey(r)
	var p signin.Progress
	if err == nil {
		p, err = e.Desk.PasskeyAlone(r.Context(), k, v["credential"], to, e.Client(r), e.held(r))
	}
	switch {
	case err == nil:
		e.Kit.SetCookie(w, passkeyCookie, "", -1)
		if p.Finished != nil {
			return e.finished(w, r, p)
		}
		e.keep(w, r, p.Key)
		return seeOther(w, r, nextPath(p.Attempt))
	case refusal.Is(err, refusal.Expired):
		return e.startAgain(w, r, string(k.ID), err)
	case !again(err):
		return err
	}
	slug, _, known, lookErr := e.Desk.Origin(r.Context(), string(k.ID))
	if lookErr != nil || !known {
		return errors.Join(err, lookErr)
	}
	at, lookErr := e.place(r, slug)
	if lookErr != nil {
		return lookErr
	}
	return e.showIdentifier(w, r, at, status(w, err), to, page.FormOf(nil, err))
}

// finished gives the browser its session and sends it on.
func (e *Entry) finished(w http.ResponseWriter, r *http.Request, p signin.Progress) error {
	e.Kit.SetCookie(w, sessionCookie, string(p.Finished.Secret), 0)
	if p.Finished.Device != "" {
		e.Kit.SetCookie(w, deviceCookie, string(p.Finished.Device), deviceLives)
	}
	if p.Attempt.Proved.General {
		e.Kit.SetCookie(w, tenantCookie, p.Attempt.Proved.Slug, tenantLives)
	}
	return seeOther(w, r, land(*p.Finished))
}

func (e *Entry) passkey(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "credential", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.Passkey(r.Context(), k, v["credential"], e.Client(r), e.held(r))
	})
}

func (e *Entry) way(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "way", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.Way(r.Context(), k, v["way"], e.Client(r))
	})
}

func (e *Entry) recovery(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "code", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.Recovery(r.Context(), k, v["code"], e.Client(r), e.held(r))
	})
}

func (e *Entry) accessCode(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "code", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.AccessCode(r.Context(), k, v["code"], e.Client(r), e.held(r))
	})
}

func (e *Entry) enrolPasskey(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "credential name", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		return e.Desk.EnrolPasskey(r.Context(), k, v["credential"], v["name"], e.Client(r), e.held(r))
	})
}

func (e *Entry) notNow(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "", func(k signin.Key, _ map[string]string) (signin.Progress, error) {
		return e.Desk.NotNow(r.Context(), k, e.Client(r), e.held(r))
	})
}

func (e *Entry) saved(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "saved", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		if v["saved"] == "" {
			return signin.Progress{}, refusal.Field("saved", "recovery.confirm")
		}
		return e.Desk.Saved(r.Context(), k, e.Client(r), e.held(r))
	})
}

func (e *Entry) offer(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "choice", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		if v["choice"] != "now" && v["choice"] != "later" {
			return signin.Progress{}, refusal.Field("choice", "login.enrol.unknown")
		}
		return e.Desk.Offer(r.Context(), k, v["choice"] == "now", e.Client(r), e.held(r))
	})
}

// mfaNotice answers the notice of a second factor that will be demanded.
func (e *Entry) mfaNotice(w http.ResponseWriter, r *http.Request) error {
	return e.answer(w, r, "choice", func(k signin.Key, v map[string]string) (signin.Progress, error) {
		if v["choice"] != "now" && v["choice"] != "later" {
			return signin.Progress{}, refusal.Field("choice", "login.enrol.unknown")
		}
		return e.Desk.Notice(r.Context(), k, v["choice"] == "now", e.Client(r), e.held(r))
	})
}
