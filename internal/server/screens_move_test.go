package server_test

import "doorward/internal/doortest"

// A customer on its way to another MSP, as each of its sides sees it.
func (g gallery) moves() {
	g.Exec(`update orgs set settings = $1 where slug = 'tailspin'`, `{"password_length":16,"idle_minutes":60}`)
	rita, bea, ada := g.visitor(g.online(g.rita)), g.visitor(g.online(g.bea)), g.visitor(g.online(g.ada))
	rita.Open("/o/fabrikam/settings").WaitPage("org.settings")
	g.see(rita, "settings-provider")
	rita.Open("/o/fabrikam/move").WaitPage("org.move.new")
	g.see(rita, "move-new")
	rita.Click(".form .primary").WaitPage("org.move.new")
	g.focused(rita, "confirm_move")
	g.see(rita, "move-new-wrong")
	rita.Type("to", "tailspin").Type("reason", "New contract from January").Type("confirm_move", "fabrikam").Click(".form .primary").WaitPage("org.move")
	g.see(rita, "move-provider")
	rita.Open("/o/acme/move").WaitPage("org.moves")
	g.see(rita, "moves")
	bea.Open("/o/fabrikam/").WaitPage("dashboard")
	g.see(bea, "dashboard-move")
	bea.Open("/o/fabrikam/move").WaitPage("org.move")
	g.see(bea, "move-customer")
	bea.Click("[data-dialog=decline]")
	g.see(bea, "move-decline")
	bea.Open("/o/fabrikam/move").WaitPage("org.move").Click("[action$='/confirm'] button").WaitPage("org.move")
	ada.Open("/o/contoso/move").WaitPage("org.moves")
	g.see(ada, "moves-msp")
	path := doortest.Eval[string](ada, `() => document.querySelector("tbody a").pathname`)
	ada.Open(path).WaitPage("org.move")
	g.see(ada, "move-giver")
	rita.Open("/o/fabrikam/move").WaitPage("org.move").Click("[action$='/cancel'] button").WaitPage("org.move")
	g.see(rita, "move-cancelled")
	ada.Open("/o/contoso/move").WaitPage("org.moves")
	g.see(ada, "moves-none")
	g.Exec(`update orgs set settings = '{}' where slug = 'tailspin'`)
}
