package doortest_test

import (
	"strings"
	"testing"

	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// A browser that overlooks what it looks for would let every test of pages pass.
func TestChromeNotices(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	w.Found()
	c := w.Chrome(doortest.Desk("en-GB"))
	for what, script := range map[string]string{
		"Content Security Policy": `() => { const s = document.createElement("style"); s.textContent = "p {}"; document.head.append(s) }`,
		"another host":            `() => { document.body.append(Object.assign(new Image(), {src: "http://elsewhere.example/"})) }`,
		"console.error":           `() => console.error("told")`,
		"exception":               `() => { setTimeout(() => { throw new Error("told") }) }`,
		"status 404":              `() => { document.body.append(Object.assign(new Image(), {src: "/assets/nothing.png"})) }`,
	} {
		c.Open("/o/acme/").WaitPage("welcome")
		if faults := c.Faults(); len(faults) > 0 {
			t.Fatalf("the page itself: %q", faults)
		}
		doortest.Eval[struct{}](c, script)
		faults := ""
		for range 200 {
			if faults += strings.Join(c.Faults(), " "); strings.Contains(faults, what) {
				break
			}
		}
		if !strings.Contains(faults, what) {
			t.Errorf("%s is not noticed: %q", what, faults)
		}
	}
}
