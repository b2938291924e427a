package page

import (
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"strings"

	"doorward/internal/locale"
	"doorward/internal/refusal"
)

// csp allows what we serve ourselves and nothing else: no inline script, no inline style, no frame around us.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const permissions = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), " +
	"publickey-credentials-create=(self), publickey-credentials-get=(self)"

// request is what the toolkit knows of one request.
type request struct {
	ref      string
	asked    locale.Language // ?lang= of this request
	switched locale.Language // chosen by the switch earlier: the cookie
	person   locale.Language // SetPreference
	org      locale.Language
	theme    string
	cookies  []*http.Cookie
}

type requestKey struct{}

// requestOf returns what Wrap found out, or an empty answer for a request that did not come through it.
func requestOf(r *http.Request) *request {
	if q, ok := r.Context().Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{cookies: r.Cookies()}
}

// Ref returns the short random id of the request that ctx belongs to, as error pages and the log show it; "" outside a request.
func Ref(ctx context.Context) string {
	if q, ok := ctx.Value(requestKey{}).(*request); ok {
		return q.ref
	}
	return ""
}

// Wrap is the outermost handler of everything that browsers see. It gives the request its short random id, sets the security
// headers, reads and keeps the choice of language and theme, and refuses a request that carries a cookie of ours twice.
func (k *Kit) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), k.headers)
		q := &request{ref: strings.ToLower(rand.Text()[:8])}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
		if strings.HasPrefix(r.URL.Path, "/assets/") || strings.HasPrefix(r.URL.Path, "/brand/") {
			h.ServeHTTP(w, r) // the same for everybody: no cookie matters, none is set
			return
		}
		q.cookies = r.Cookies()
		if k.ambiguous(q.cookies) {
			k.Fail(w, r, refusal.New(refusal.Invalid, "error.cookies"))
			return
		}
		k.choices(w, r, q)
		h.ServeHTTP(w, r)
	})
}

// headers returns those that every answer has. Static files replace Cache-Control by their own.
func headers(secure bool) http.Header {
	h := http.Header{
		"Content-Security-Policy":      {csp},
		"X-Content-Type-Options":       {"nosniff"},
		"Referrer-Policy":              {"no-referrer"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy":           {permissions},
		"Cache-Control":                {"no-store"},
	}
	if secure {
		h.Set("Strict-Transport-Security", "max-age=63072000") // RFC 6797; two years, our host only
	}
	return h
}
