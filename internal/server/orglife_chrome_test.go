package server_test

import (
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// A customer is suspended and comes back, and is then deleted: what its MSP, its administrator and one of its people see of that, at a desk and on phones.
func TestChromeSuspendedAndDying(t *testing.T) {
	w := build(doortest.New(t, sqldb.SQLite, doortest.Options{}))
	ada := w.Enrol(w.Contoso, "ada@contoso.example", access.Administrator)
	bea := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
	carl := w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
	at := func(l doortest.Look, p *doortest.Person) *doortest.Chrome {
		c := w.Chrome(l)
		return signInInChrome(c.Open("/o/"+p.Org.Slug+"/login").WaitPage("login.identifier"), p, doortest.Password)
	}
	m, b, c := at(doortest.Desk("en-GB"), ada), at(doortest.Phone("en-GB"), bea), at(doortest.Phone("en-GB"), carl)
	refused := func(reason, says string) {
		t.Helper()
		w.Clock.Move(time.Minute) // each code is good once
		x := w.Chrome(doortest.Phone("en-GB"))
		x.Open("/o/fabrikam/login").WaitPage("login.identifier").Type("identifier", carl.Email).Press("\r").WaitPage("login.password").Type("password", doortest.Password).Press("\r").WaitPage("login.totp")
		x.Type("code", carl.Code()).WaitPage("login.denied").Says(says)
		if got := doortest.Eval[string](x, `() => document.body.dataset.reason`); got != reason {
			t.Errorf("refused as %q, want %q", got, reason)
		}
	}

	// Suspended: who was in is out, nobody comes in, and the MSP sees it wherever the customer stands.
	m.Open("/o/fabrikam/settings").WaitPage("org.settings").Click("[data-dialog=suspend]").Type("reason", "Invoice 4711").Type("confirm_suspend", "fabrikam")
	m.Click("#suspend .button.danger").WaitPage("org.settings").Says("is suspended")
	c.Open("/o/fabrikam/").WaitPage("welcome")
	refused("org_suspended", "suspended")
	m.Open("/o/contoso/orgs").WaitPage("orgs").Says("Suspended")
	m.Open("/o/fabrikam/settings").WaitPage("org.settings").Click("[action$='/resume'] button").WaitPage("org.settings")
	w.Clock.Move(time.Minute)
	signInInChrome(c.Open("/o/fabrikam/login").WaitPage("login.identifier"), carl, doortest.Password)

	// Dying: its own administrator asks for it, is the only one who comes in, and changes their mind.
	b = at(doortest.Phone("en-GB"), bea)
	dying := func() {
		t.Helper()
		b.Open("/o/fabrikam/settings").WaitPage("org.settings").Click("[data-dialog=delete]").Type("confirm_delete", "fabrikam").Click("#delete .button.danger").WaitPage("org.settings").Says("will be deleted on")
	}
	dying()
	c.Open("/o/fabrikam/").WaitPage("welcome")
	refused("org_deleting", "deleted")
	m.Open("/o/contoso/orgs").WaitPage("orgs").Says("Being deleted")
	b.Open("/o/fabrikam/").WaitPage("dashboard").Says("will be deleted on")
	b.Open("/o/fabrikam/settings").WaitPage("org.settings").Click("[action$='/keep'] button").WaitPage("org.settings")
	w.Clock.Move(time.Minute)
	signInInChrome(c.Open("/o/fabrikam/login").WaitPage("login.identifier"), carl, doortest.Password)

	// Gone: its address looks like one that never was.
	dying()
	w.Clock.Move(49 * time.Hour)
	if err := w.Directory.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, one := range []*doortest.Chrome{b, c} {
		one.Open("/o/fabrikam/").WaitPage("welcome")
		if text := one.Text("main"); text == "" || text != one.Open("/o/nowhere/").WaitPage("welcome").Text("main") {
			t.Errorf("the address of who is gone says %q", text)
		}
	}
	fresh := at(doortest.Desk("en-GB"), ada)
	if fresh.Open("/o/contoso/orgs").WaitPage("orgs"); contains(fresh.Text("main"), "Fabrikam") || !contains(fresh.Text("main"), "Tailspin") {
		t.Errorf("the MSP's customers: %s", fresh.Text("main"))
	}
}
