package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/config"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// AT-35: one password tried on many names from one address is stopped after fifty failures; from elsewhere everybody still gets in.
func TestSpray(t *testing.T) {
	for _, d := range []sqldb.Dialect{sqldb.SQLite, sqldb.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			w := doortest.New(t, d, doortest.Options{Settings: func(s *config.Settings) { s.TrustedProxies = []string{"127.0.0.0/8", "::1/128"} }})
			founded, _ := w.Found()
			o := w.Org(access.MSP, founded.Org.ID, "contoso", "Contoso IT")
			p := w.Activate(o, "ada@contoso.example", access.Viewer)
			from := func(address string) *doortest.Browser {
				b := w.Browser()
				b.Header.Set("X-Forwarded-For", address)
				return b
			}
			stopped := 0
			for i := range 70 {
				b := from("203.0.113.7").Get("/o/contoso/login").Submit("identifier", fmt.Sprintf("p%d@contoso.example", i))
				if b.Submit("password", "Summer weather 2026").Status == http.StatusTooManyRequests {
					stopped++
				}
			}
			if stopped != 20 {
				t.Errorf("%d of 70 tries were stopped, want all after the fiftieth", stopped)
			}
			if b := from("203.0.113.7").Password(p); b.Status != http.StatusTooManyRequests || !strings.Contains(b.Head.Get("Retry-After"), "6") {
				t.Errorf("the right password from there: %d, Retry-After %q", b.Status, b.Head.Get("Retry-After"))
			}
			from("198.51.100.9").Password(p).Want("login.enrol")
		})
	}
}
