package server

import "net/http"

// ownOrigin lets through the forms of our own pages and hands everything else that could change something to deny. What a browser says
// in Sec-Fetch-Site counts (Fetch Metadata Request Headers, section 2.3); of an older one, Origin (RFC 6454 section 7), which has to be the
// public URL: never the Host header, which is whatever a request says. A client that sends neither is no browser, and holds no cookie
// that another site could make it send.
func ownOrigin(public string, deny, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var own bool
		switch site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin"); {
		case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodOptions:
			own = true
		case site != "":
			own = site == "same-origin" || site == "none"
		default:
			own = origin == "" || origin == public
		}
		if !own {
			deny.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
