package doortest

import (
	"context"
	"os"

	"github.com/chromedp/chromedp"
)

// axe is JavaScript that judges the page against WCAG 2.2 A and AA and returns a line per violation.
const axe = `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
	.then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + v.help + ": " + n.target.join(" "))))`

// Axe returns what axe-core finds wrong with the page that stands there. DOORWARD_TEST_AXE names its script, which make test installs.
func (c *Chrome) Axe() []string {
	c.World.T.Helper()
	file := os.Getenv("DOORWARD_TEST_AXE")
	if file == "" {
		c.World.T.Fatal("this test needs axe-core: run `make test`, or set DOORWARD_TEST_AXE to its axe.min.js")
	}
	script, err := os.ReadFile(file)
	if err != nil {
		c.World.T.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.tab, chromeWait)
	defer cancel()
	// Sent by the debugger, so the page's content security policy has no say in it.
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](string(script)+"; true")); err != nil {
		c.fail("axe-core: %v", err)
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axe, chromedp.EvalAwaitPromise))
	if err != nil {
		c.fail("axe-core: %v", err)
	}
	return found
}
