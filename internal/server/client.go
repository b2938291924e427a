package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"doorward/internal/access"
)

// clients returns the function that tells where a request comes from. The peer's address counts; X-Forwarded-For is believed only from
// trusted proxies, read from its end: the first address that is not a trusted proxy's is the client's. Everything else a header says
// about addresses is ignored.
func clients(trusted []netip.Prefix) func(*http.Request) access.Client {
	isTrusted := func(a netip.Addr) bool {
		for _, p := range trusted {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) access.Client {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		c := access.Client{Address: host, UserAgent: r.UserAgent()}
		peer, err := netip.ParseAddr(host)
		if err != nil || !isTrusted(peer.Unmap()) {
			return c
		}
		chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(chain) - 1; i >= 0 && i >= len(chain)-20; i-- {
			hop, err := netip.ParseAddr(strings.TrimSpace(chain[i]))
			if err != nil {
				break
			}
			hop = hop.Unmap().WithZone("") // a zone is any text
			c.Address = hop.String()
			if !isTrusted(hop) {
				break
			}
		}
		return c
	}
}
