package console

import (
	"net/url"
	"testing"

	"github.com/jba/templatecheck"

	"doorward/internal/locale"
	"doorward/internal/page"
)

func TestTry(t *testing.T) {
	cat, err := locale.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse("https://door.example")
	kit, err := page.New(page.Options{PublicURL: u, Catalogue: cat})
	if err != nil {
		t.Fatal(err)
	}
	c := &Console{Kit: kit}
	set, err := c.Pages()
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]any{"dashboard": &dashboardDoc{}, "me": &profileDoc{}, "me.security": &securityDoc{}, "me.security.app": &appDoc{}, "me.sessions": &sessionsDoc{},
		"org.new": &newOrgDoc{}, "orgs": &orgsDoc{}, "prove": &proveDoc{}, "prove.resume": &resumeDoc{}, "user": &personDoc{}, "users": &peopleDoc{}, "users.invite": &inviteDoc{}}
	for _, n := range set.Names() {
		for _, l := range []string{"card", "console"} {
			tt := set.Template(n).Lookup(l)
			if err := templatecheck.CheckHTML(tt, docs[n]); err != nil {
				t.Error(n, l, err)
			}
			if err := templatecheck.CheckHTMLStrict(tt, docs[n]); err != nil {
				t.Error("strict", n, l, err)
			}
		}
	}
}
