package page

import (
	"net/http"
	"strings"
	"time"
)

// Cookie returns the full name of one of our cookies: "__Host-door-"+name over https, "door-"+name over http on loopback.
func (k *Kit) Cookie(name string) string { return k.prefix + name }

// SetCookie sets a cookie for the whole host: HttpOnly, SameSite=Lax, Path=/, Secure over https, no Domain. maxAge is rounded down
// to the second; 0 makes it end with the browser, a negative one removes it.
func (k *Kit) SetCookie(w http.ResponseWriter, name, value string, maxAge time.Duration) {
	c := &http.Cookie{
		Name: k.Cookie(name), Value: value, Path: "/",
		MaxAge: int(maxAge / time.Second), Secure: k.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if maxAge < 0 {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// ReadCookie returns the value of one of our cookies, and false when it is absent or there twice.
func (k *Kit) ReadCookie(r *http.Request, name string) (string, bool) {
	var found *http.Cookie
	for _, c := range requestOf(r).cookies {
		if own, ok := strings.CutPrefix(c.Name, k.prefix); ok && own == name {
			if found != nil {
				return "", false
			}
			found = c
		}
	}
	if found == nil {
		return "", false
	}
	return found.Value, true
}

// ambiguous tells whether a cookie of ours is there twice: then somebody else may have planted one, and which of them the server reads is
// chance.
func (k *Kit) ambiguous(cookies []*http.Cookie) bool {
	seen := map[string]bool{}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, k.prefix) {
			continue
		}
		if seen[c.Name] {
			return true
		}
		seen[c.Name] = true
	}
	return false
}
