package server_test

import (
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/sqldb"
)

// Roles and groups as people see them: lists, forms, and how they show on a person.
func TestChromeRoles(t *testing.T) {
	for _, one := range []struct {
		name string
		look doortest.Look
		lang locale.Language
	}{
		{"phone", doortest.Phone("de-DE"), locale.German},
		{"desk", doortest.Desk("en-GB"), locale.English},
		{"phone-fr", doortest.Phone("fr-FR"), locale.French},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			gallery{village: newVillage(t, one.lang), name: one.name, look: one.look}.roles()
		})
	}
}

func (g gallery) roles() {
	c := g.visitor(g.online(g.bea))
	c.Open("/o/fabrikam/roles").WaitPage("roles")
	g.see(c, "roles-none")
	c.Open("/o/fabrikam/roles/new").WaitPage("role.new")
	g.see(c, "role-new")
	c.Type("name", "Administrator").Click(".form .primary").WaitPage("role.new")
	g.focused(c, "name")
	g.see(c, "role-new-wrong")
	own, err := g.Directory.DefineRole(g.T.Context(), doortest.Operator(), g.fabrikam.ID, account.OwnRole{Name: "Empfang und Nachtschicht",
		Permissions: []access.Permission{access.PeopleInvite, access.PeopleResend, access.AuditExport}})
	if err != nil {
		g.T.Fatal(err)
	}
	if err := g.Directory.SetRolesUntil(g.T.Context(), doortest.Operator(), g.fabrikam.ID, g.carl.Account, []string{access.Core, string(own.ID)},
		g.Clock.Now().Add(9*24*time.Hour)); err != nil {
		g.T.Fatal(err)
	}
	c.Open("/o/fabrikam/roles").WaitPage("roles").Click(".role summary")
	g.see(c, "roles")
	c.Open("/o/fabrikam/roles/" + string(own.ID)).WaitPage("role")
	g.see(c, "role")
	c.Open("/o/fabrikam/users/" + string(g.carl.Account)).WaitPage("user")
	g.see(c, "person-temporary")

	c = g.visitor(g.online(g.ada))
	c.Open("/o/contoso/groups").WaitPage("groups")
	g.see(c, "groups-none")
	c.Type("name", "Nord").Click(".panel .primary").WaitPage("group")
	g.see(c, "group-empty")
	emil := g.account("emil@contoso.example")
	group, err := sqldb.One(g.DB.Read(g.T.Context()), sqldb.Value[id.Group], `select id from org_groups where name = 'Nord'`)
	if err != nil {
		g.T.Fatal(err)
	}
	if err := g.Directory.AddToGroup(g.T.Context(), doortest.Operator(), g.contoso.ID, group, account.Grouped{Customers: []id.Org{g.fabrikam.ID}, People: []id.Account{emil}}); err != nil {
		g.T.Fatal(err)
	}
	c.Open("/o/contoso/groups/" + string(group)).WaitPage("group")
	g.see(c, "group")
	c.Open("/o/contoso/groups").WaitPage("groups")
	g.see(c, "groups")
	c.Open("/o/contoso/users/" + string(emil)).WaitPage("user")
	g.see(c, "person-groups")
	c.Open("/o/contoso/users/invite").WaitPage("users.invite")
	g.see(c, "invite-groups")
	c.Open("/o/contoso/roles/new").WaitPage("role.new")
	g.see(c, "role-new-msp")
}
