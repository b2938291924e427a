package server_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"doorward/internal/access"
	"doorward/internal/doortest"
)

// What is done to several people, and an import that is a job, at each of its steps.
func (g gallery) several(c *doortest.Chrome) {
	people := func(c *doortest.Chrome) { c.Open("/o/fabrikam/users?state=disabled").WaitPage("users") }
	people(c)
	c.Click(".chosen .button").WaitPage("users")
	g.see(c, "people-nobody-chosen")
	people(c)
	c.Click(".pick input").Pick("action", "give-role").Click(".chosen .button").WaitPage("users.bulk")
	g.see(c, "bulk-role")
	people(c)
	c.Click(".pick input").Pick("action", "resend").Click(".chosen .button").WaitPage("users.bulk").Click("[value=run]").WaitPage("users.bulk.done")
	g.see(c, "bulk-done")

	// In an organisation of its own: its people are no matter of the other pages.
	o := g.Org(access.Customer, g.contoso.ID, "lamna", "Lamna Healthcare")
	g.Exec(`update seats set seat_limit = 90 where org_id = $1`, o.ID)
	lena := g.Enrol(o, "lena@lamna.example", access.Administrator)
	c = g.visitor(g.online(lena))
	c.Open("/o/lamna/users/import").WaitPage("users.import")
	var file strings.Builder
	file.WriteString("Kontakt;Rolle\n")
	for i := range 100 {
		fmt.Fprintf(&file, "person.number.%d@lamna.example;core\n", i)
	}
	file.WriteString(strings.Repeat("person.number.1@lamna.example;core\n", 2000))
	text, err := json.Marshal(file.String())
	if err != nil {
		g.T.Fatal(err)
	}
	doortest.Eval[struct{}](c, `() => { const d = new DataTransfer(); d.items.add(new File([`+string(text)+`], "people.csv")); document.getElementsByName("file")[0].files = d.files }`)
	c.Click(".form .primary").WaitPage("job")
	g.see(c, "job-columns")
	c.Pick("column_0", "email").Click("[value=check]").WaitPage("job")
	at := doortest.Eval[string](c, `() => location.pathname`)
	slice := func(n int) {
		for range n {
			if _, err := g.Jobs.Slice(g.T.Context()); err != nil {
				g.T.Fatal(err)
			}
		}
	}
	slice(2)
	c.Open(at).WaitPage("job")
	g.see(c, "job-checking")
	slice(10)
	c.Open(at).WaitPage("job")
	g.see(c, "job-checked")
	c.Click("[value=run]").WaitPage("job")
	slice(1)
	c.Open("/o/lamna/users").WaitPage("users")
	g.see(c, "people-with-a-job")
	slice(100)
	c.Open(at).WaitPage("job")
	g.see(c, "job-done")
	c.Open("/o/lamna/users?state=invited").WaitPage("users").Click("#all").Pick("action", "disable").Click(".chosen .button").WaitPage("users.bulk")
	g.see(c, "bulk-many")
	c.Click("[value=run]").WaitPage("job")
	slice(1)
	c.Open(doortest.Eval[string](c, `() => location.pathname`)).WaitPage("job")
	g.see(c, "job-running")
	c.Click("[value=cancel]").WaitPage("job")
	g.see(c, "job-cancelled")
	if faults := c.Faults(); len(faults) > 0 {
		g.T.Errorf("%v", faults)
	}
}
