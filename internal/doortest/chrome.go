package doortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	chromelog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Look is how a browser shows pages.
type Look struct {
	Width, Height int64
	Scale         float64 // device pixels per pixel; 0: 1
	Touch         bool    // a phone: touch, the mobile viewport, a phone's user agent
	Language      string  // what it asks for
	Dark          bool
	NoScript      bool // JavaScript is off
}

// Phone and Desk are the two windows that pages are made for.
func Phone(language string) Look {
	return Look{Width: 390, Height: 844, Scale: 2, Touch: true, Language: language}
}
func Desk(language string) Look { return Look{Width: 1280, Height: 900, Language: language} }

// Chrome is one person's browser: a Chromium with cookies of its own. What no page of ours may do is collected while it runs and fails
// the test at its end: errors on the console, breaches of the content security policy, requests to other hosts, files that don't load.
type Chrome struct {
	World *World
	Look  Look

	tab   context.Context
	shown float64 // the document that WaitPage returned last, by the time of its birth

	mu     sync.Mutex
	faults []string
}

const (
	chromeWait = 15 * time.Second // for a page
	chromeNap  = 15 * time.Millisecond
)

// Chrome starts a browser that ends with the test. The browsers of a world are one process.
func (w *World) Chrome(l Look) *Chrome {
	w.T.Helper()
	return w.tab(l, w.chromium(), chromedp.WithNewBrowserContext())
}

// Tab opens another tab of the same browser.
func (c *Chrome) Tab() *Chrome {
	c.World.T.Helper()
	return c.World.tab(c.Look, c.tab)
}

func (w *World) tab(l Look, in context.Context, options ...chromedp.ContextOption) *Chrome {
	w.T.Helper()
	c := &Chrome{World: w, Look: l}
	tab, leave := chromedp.NewContext(in, append(options, chromedp.WithListener(c.hear))...)
	c.tab = tab
	if err := chromedp.Do(tab); err != nil { // opens it, without a time-out, because it would end with it
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() {
		for _, f := range c.Faults() {
			w.T.Errorf("in Chromium: %s", f)
		}
		leave()
	})
	version, err := chromedp.CallBrowser(w.chromium(), browser.GetVersion, cdp.Empty{})
	if err != nil {
		w.T.Fatal(err)
	}
	agent := strings.ReplaceAll(version.UserAgent, "Headless", "")
	if l.Touch {
		agent = strings.ReplaceAll(strings.ReplaceAll(agent, "X11; Linux x86_64", "Linux; Android 10; K"), " Safari/", " Mobile Safari/")
	}
	c.resize(l.Height)
	send(c, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: l.Language})
	send(c, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: l.Language})
	send(c, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	send(c, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.NoScript})
	c.SetDark(l.Dark)
	return c
}

// chromium returns the process of the world's browsers, and starts it when this is the first one.
func (w *World) chromium() context.Context {
	w.T.Helper()
	if w.process != nil {
		return w.process
	}
	program := os.Getenv("DOORWARD_TEST_CHROMIUM")
	if program == "" {
		program = "chromium"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		w.T.Fatalf("these tests need Chromium: run make test, which installs it, or set DOORWARD_TEST_CHROMIUM to the program (%v)", err)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.DisableGPU,
		chromedp.NoSandbox, // refused to root, and nothing but our own pages is opened
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"))
	// Not the test's own context, which ends before what is to be cleaned up.
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	process, quit := chromedp.NewContext(allocator)
	if err := chromedp.Do(process); err != nil {
		end()
		w.T.Fatalf("%s does not start: %v", path, err)
	}
	w.T.Cleanup(func() {
		quit()
		end()
	})
	w.process = process
	return process
}

// hear collects what no page of ours may do.
func (c *Chrome) hear(event any) {
	fault := func(format string, args ...any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault("exception: %s %s", e.ExceptionDetails.Text, e.ExceptionDetails.URL)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			for _, a := range e.Args {
				fault("console.%s: %s%s", e.Type, a.Value, a.Description)
			}
		}
	case *chromelog.EventEntryAdded:
		// A document's status of 4xx is an entry too, and wanted; files that fail are noticed below.
		if e.Entry.Source != chromelog.EntrySourceNetwork && (e.Entry.Level == chromelog.EntryLevelError || e.Entry.Level == chromelog.EntryLevelWarning) {
			fault("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != c.World.URL {
			fault("request to another host: %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Type != network.ResourceTypeDocument && e.Response.Status >= 400 {
			fault("status %d: %s", e.Response.Status, e.Response.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled {
			fault("%s did not load: %s %s", e.Type, e.ErrorText, e.BlockedReason)
		}
	}
}

// Faults returns what pages did that they may not, and forgets it.
func (c *Chrome) Faults() []string {
	_ = chromedp.Do(c.tab, chromedp.Evaluate[chromedp.Void](`0`)) // its answer comes after everything that happened before
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.faults
	c.faults = nil
	return list
}

func (c *Chrome) do(steps ...chromedp.Action[chromedp.Void]) {
	c.World.T.Helper()
	ctx, cancel := context.WithTimeout(c.tab, chromeWait)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		c.fail("%v", err)
	}
}

func send[P, R any](c *Chrome, command cdp.Command[P, R], params P) (answer R) {
	c.World.T.Helper()
	c.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) (err error) {
		answer, err = cdp.Call(ctx, t, command, params)
		return err
	}))
	return answer
}

// fail ends the test with where the browser is and what it shows.
func (c *Chrome) fail(format string, args ...any) {
	c.World.T.Helper()
	at, _ := chromedp.Run(c.tab, chromedp.Location())
	text, _ := chromedp.Run(c.tab, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	shot := ""
	if os.Getenv("DOORWARD_SHOTS") != "" {
		if png, err := chromedp.Run(c.tab, chromedp.FullScreenshot(100)); err == nil {
			shot = filepath.Join(os.Getenv("DOORWARD_SHOTS"), "failed.png")
			_ = os.WriteFile(shot, png, 0o600)
		}
	}
	c.World.T.Fatalf("%s\nat %s, which says: %s %s %v", fmt.Sprintf(format, args...), at, squeeze(text), shot, c.Faults())
}

// Eval runs a JavaScript function on the page and returns what it returns.
func Eval[T any](c *Chrome, function string, args ...any) T {
	c.World.T.Helper()
	v, err := eval[T](c, function, args...)
	if err != nil {
		c.fail("%s: %v", function, err)
	}
	return v
}

func eval[T any](c *Chrome, function string, args ...any) (T, error) {
	list := make([]string, 0, len(args))
	for _, a := range args {
		b, err := json.Marshal(a)
		if err != nil {
			return *new(T), err
		}
		list = append(list, string(b))
	}
	ctx, cancel := context.WithTimeout(c.tab, chromeWait)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T]("("+function+")("+strings.Join(list, ", ")+")"))
}

// Open goes to a path or an address.
func (c *Chrome) Open(path string) *Chrome {
	c.World.T.Helper()
	if strings.HasPrefix(path, "/") {
		path = c.World.URL + path
	}
	c.do(chromedp.Navigate(path))
	return c
}

// document is what WaitPage looks at.
type document struct {
	Page, Reason string
	Ready        bool
	Born         float64
}

// Become takes over the cookies of a browser without JavaScript, and with them its session.
func (c *Chrome) Become(b *Browser) *Chrome {
	c.World.T.Helper()
	at, err := url.Parse(b.Base)
	if err != nil {
		c.fail("%v", err)
	}
	for _, cookie := range b.Client.Jar.Cookies(at) {
		send(c, network.SetCookie, network.SetCookieParams{Name: cookie.Name, Value: cookie.Value, URL: b.Base, HTTPOnly: new(true), SameSite: network.CookieSameSiteLax})
	}
	return c
}

// WaitPage waits until a page that it has not returned for yet stands there completely, and fails the test unless it is this one.
func (c *Chrome) WaitPage(name string) *Chrome {
	c.World.T.Helper()
	var d document
	var err error
	for deadline := time.Now().Add(chromeWait); time.Now().Before(deadline); time.Sleep(chromeNap) {
		d, err = eval[document](c, `() => ({page: document.body?.dataset.page ?? "", reason: document.body?.dataset.reason ?? "",
			ready: document.readyState === "complete", born: performance.timeOrigin})`)
		if err == nil && d.Ready && d.Born > c.shown && d.Page == name {
			c.shown = d.Born
			return c
		}
	}
	switch {
	case err != nil:
		c.fail("waiting for page %q: %v", name, err)
	case d.Born <= c.shown:
		c.fail("still on page %q (reason %q), want a new page %q", d.Page, d.Reason, name)
	}
	c.fail("page %q (reason %q), want %q", d.Page, d.Reason, name)
	return c
}

// spot is where an element is.
type spot struct {
	X, Y    float64
	Problem string
}

// locate is JavaScript that finds what the eye finds: the first visible element that a CSS selector names, or the first visible thing
// to press with that text, else with one that contains it. It scrolls there, and says what covers it.
const locate = `(what, css) => {
	const seen = e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().width > 1;
	const said = e => e.innerText.trim().replace(/\s+/g, " ");
	const list = [...document.querySelectorAll(css ? what : "a, button, summary, label, legend")].filter(seen);
	const e = css ? list[0] : list.find(e => said(e) === what) ?? list.find(e => said(e).includes(what));
	if (!e) return {problem: css ? "nothing there" : "there are only: " + list.map(said).filter(Boolean).join(" | ")};
	const near = e.getBoundingClientRect();
	if (near.top < 60 || near.bottom > innerHeight) e.scrollIntoView({block: "center", behavior: "instant"});
	const box = e.getClientRects()[0], x = box.left + box.width / 2, y = box.top + box.height / 2;
	const top = document.elementFromPoint(x, y);
	return {x, y, problem: e.contains(top) ? "" : "covered by " + (top ? top.outerHTML.slice(0, 120) : "nothing: it is outside the window")};
}`

// Click presses, with the mouse or a finger, what a CSS selector finds (it starts with "#", "." or "["), or the link, button or label
// with that text.
func (c *Chrome) Click(what string) *Chrome {
	c.World.T.Helper()
	c.press(what, strings.ContainsAny(what[:1], "#.["))
	return c
}

func (c *Chrome) press(what string, css bool) {
	c.World.T.Helper()
	var s spot
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(chromeNap) {
		var err error
		if s, err = eval[spot](c, locate, what, css); err != nil {
			s.Problem = err.Error()
		}
		if s.Problem == "" {
			break
		}
		if time.Now().After(deadline) {
			c.fail("can't press %q: %s", what, s.Problem)
		}
	}
	if c.Look.Touch {
		c.do(chromedp.TapXY(s.X, s.Y))
	} else {
		c.do(chromedp.MouseClickXY(s.X, s.Y))
	}
}

// Type presses the field with that name, and puts a text in place of what stands there, in one go as who pastes it. Press types keys.
func (c *Chrome) Type(name, text string) *Chrome {
	c.World.T.Helper()
	c.press(fmt.Sprintf("input[name=%q]:not([type=hidden]), textarea[name=%q]", name, name), true)
	Eval[struct{}](c, `name => { const e = document.activeElement; if (e.name !== name) throw "focus is at " + e.outerHTML; e.select() }`, name)
	send(c, input.InsertText, input.InsertTextParams{Text: text})
	return c
}

// Press presses keys: those of a text, or those of chromedp's kb package.
func (c *Chrome) Press(keys string) *Chrome {
	c.World.T.Helper()
	c.do(chromedp.KeyEvent(keys))
	return c
}

// Pick chooses an option of a select by its value.
func (c *Chrome) Pick(name, value string) *Chrome {
	c.World.T.Helper()
	if !Eval[bool](c, `(name, value) => { const e = document.getElementsByName(name)[0]; e.value = value; e.dispatchEvent(new Event("change", {bubbles: true})); return e.value === value }`, name, value) {
		c.fail("%s has no option %q", name, value)
	}
	return c
}

// Text returns what the first element that a selector finds shows, "" when there is none.
func (c *Chrome) Text(selector string) string {
	c.World.T.Helper()
	return Eval[string](c, `s => document.querySelector(s)?.innerText.trim() ?? ""`, selector)
}

// Says fails the test unless the page shows a text.
func (c *Chrome) Says(part string) *Chrome {
	c.World.T.Helper()
	if !strings.Contains(c.Text("body"), part) {
		c.fail("the page does not say %q", part)
	}
	return c
}

// SetDark makes the system's colours dark or light.
func (c *Chrome) SetDark(dark bool) {
	c.World.T.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	send(c, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// Screenshot writes the whole page as name.png into the folder that DOORWARD_SHOTS names. Without it, nothing is drawn.
func (c *Chrome) Screenshot(name string) {
	c.World.T.Helper()
	folder := os.Getenv("DOORWARD_SHOTS")
	if folder == "" {
		return
	}
	// The window grows to the page for the picture, so that what sticks to the window's edges stands where it belongs.
	tall := Eval[int64](c, `() => { scrollTo(0, 0); return document.documentElement.scrollHeight }`)
	if tall > c.Look.Height {
		c.resize(tall)
		defer c.resize(c.Look.Height)
	}
	ctx, cancel := context.WithTimeout(c.tab, chromeWait)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err = errors.Join(err, os.MkdirAll(folder, 0o755)); err == nil { //nolint:gosec // pictures for everybody
		err = os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644) //nolint:gosec // pictures for everybody
	}
	if err != nil {
		c.fail("screenshot %s: %v", name, err)
	}
}

// resize gives the window another height.
func (c *Chrome) resize(height int64) {
	c.World.T.Helper()
	c.do(chromedp.EmulateViewport(c.Look.Width, height, chromedp.EmulateScale(max(c.Look.Scale, 1)),
		func(p *emulation.SetDeviceMetricsOverrideParams, t *emulation.SetTouchEmulationEnabledParams) {
			p.Mobile, t.Enabled = c.Look.Touch, c.Look.Touch
		}))
}
