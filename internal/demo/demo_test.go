package demo_test

import (
	"context"
	"html"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"doorward/internal/demo"
	"doorward/internal/doortest"
)

// world is a demo that runs until the test ends.
type world struct {
	*demo.Demo
	t *testing.T
}

func options(t *testing.T) demo.Options {
	return demo.Options{Listen: "127.0.0.1:0", Mailbox: "127.0.0.1:0", Argon2: "m=64,t=1,p=1",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// open makes a world. The options' ports may be 0: then its addresses are free ones.
func open(t *testing.T, o demo.Options) world {
	t.Helper()
	d, err := demo.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.Serve(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return world{d, t}
}

// browser returns a browser without cookies, for either address.
func (w world) browser() *doortest.Browser {
	return (&doortest.World{T: w.t, URL: w.Public}).Browser()
}

// row is what the mailbox page shows of an account.
type row struct{ password, code, invitation string }

var (
	passwordForm   = regexp.MustCompile(`id="password-[^"]*">([^<]*)<`)
	codeForm       = regexp.MustCompile(`id="code-[^"]*" data-live>([^<]*)<`)
	invitationForm = regexp.MustCompile(`href="(/messages/\d+)"`)
)

// row reads an account's line of the mailbox page.
func (w world) row(email string) row {
	w.t.Helper()
	body := w.browser().Get(w.Mailbox + "/").Want("demo.mailbox").Body
	_, accounts, _ := strings.Cut(body, `id="accounts"`)
	_, after, found := strings.Cut(accounts, email)
	line, _, _ := strings.Cut(after, "</tr>")
	if !found {
		w.t.Fatalf("%s is not on the mailbox page", email)
	}
	first := func(form *regexp.Regexp) string {
		if m := form.FindStringSubmatch(line); m != nil {
			return html.UnescapeString(m[1])
		}
		return ""
	}
	return row{first(passwordForm), first(codeForm), first(invitationForm)}
}

// newest opens the newest message of a kind to an address, waiting for one, and returns its page.
func (w world) newest(email, kind string) *doortest.Browser {
	w.t.Helper()
	form := regexp.MustCompile(`(?s)href="(/messages/\d+)">[^<]*</a></th>\s*<td[^>]*>` + regexp.QuoteMeta(email) + `</td>\s*<td[^>]*><code>` + kind + `<`)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		b := w.browser().Get(w.Mailbox + "/?all=1").Want("demo.mailbox")
		if m := form.FindStringSubmatch(b.Body); m != nil {
			return b.Get(w.Mailbox + m[1]).Want("demo.message")
		}
	}
	w.t.Fatalf("no message %q for %s", kind, email)
	return nil
}

// password takes a sign-in to behind the password that the mailbox page shows.
func (w world) password(p demo.Person) (*doortest.Browser, row) {
	w.t.Helper()
	r := w.row(p.Email)
	if r.password != string(p.Password) || len(r.password) < 15 {
		w.t.Fatalf("the mailbox page shows %d characters as the password of %s", len(r.password), p.Email)
	}
	b := w.browser()
	b.Get("/o/"+p.Org+"/login").Want("login.identifier").Submit("identifier", p.Email).Want("login.password").Submit("password", r.password)
	return b, r
}

func (w world) signIn(email string) *doortest.Browser {
	w.t.Helper()
	for _, p := range w.People {
		if p.Email == email {
			b, r := w.password(p)
			return arrive(b.Want("login.totp").Submit("code", r.code))
		}
	}
	w.t.Fatalf("%s is not in the cast", email)
	return nil
}

// arrive goes on to the dashboard, past what a sign-in shows at its end.
func arrive(b *doortest.Browser) *doortest.Browser {
	b.World.T.Helper()
	if b.Page() == "login.recovery-codes" {
		b.Submit("saved", "1")
	}
	if b.Page() == "login.passkey-offer" {
		b.Submit("choice", "later")
	}
	return b.Want("dashboard")
}

var (
	linkForm     = regexp.MustCompile(`http://\S+/activate/[A-Za-z0-9_-]+`)
	mailCodeForm = regexp.MustCompile(`(?m)^\s*(\d{6})\s*$`)
)

// Everybody is what the mailbox page says of them.
func TestCast(t *testing.T) {
	w := open(t, options(t))
	seen := map[demo.Fate]int{}
	for _, p := range w.People {
		seen[p.Fate]++
		t.Run(strings.ReplaceAll(p.Email, "@", " at "), func(t *testing.T) {
			w := world{w.Demo, t}
			switch p.Fate {
			case demo.GetsIn:
				b, r := w.password(p)
				arrive(b.Want("login.totp").Submit("code", r.code))
				if len(w.row(p.Email).code) != 6 || w.row(p.Email).code == r.code {
					t.Error("after it was used the page shows no other code")
				}
			case demo.AccessEnded, demo.Disabled:
				b, r := w.password(p)
				b.Want("login.totp").Submit("code", r.code).Want("login.denied")
				want := map[demo.Fate]string{demo.AccessEnded: "access_ended", demo.Disabled: "account_disabled"}[p.Fate]
				if b.Reason() != want {
					t.Errorf("refused for %q, want %q", b.Reason(), want)
				}
			case demo.NoRole:
				b, _ := w.password(p)
				if b.Want("login.denied").Reason() != "no_role" {
					t.Errorf("refused for %q", b.Reason())
				}
			case demo.NoApp:
				b, _ := w.password(p)
				w.enrol(b, p)
			case demo.MailedCode:
				b, _ := w.password(p)
				b.Want("login.mail-code")
				code := mailCodeForm.FindStringSubmatch(w.newest(p.Email, "mail-code").Text())
				if code == nil {
					t.Fatal("no code was mailed")
				}
				w.enrol(b.Submit("code", code[1]), p)
			case demo.Invited:
				link := linkForm.FindString(w.browser().Get(w.Mailbox + w.row(p.Email).invitation).Text())
				w.browser().Get(link).Want("activate")
			case demo.LinkEnded:
				link := linkForm.FindString(w.browser().Get(w.Mailbox + w.row(p.Email).invitation).Text())
				w.browser().Get(link).Want("activate.expired")
			default:
				t.Errorf("nobody looks at fate %q", p.Fate)
			}
		})
	}
	for _, f := range []demo.Fate{demo.GetsIn, demo.NoApp, demo.MailedCode, demo.Invited, demo.LinkEnded, demo.NoRole, demo.AccessEnded, demo.Disabled} {
		if seen[f] == 0 {
			t.Errorf("nobody in the cast is %s", f)
		}
	}
}

// enrol sets an app up with the code of the mailbox page.
func (w world) enrol(b *doortest.Browser, p demo.Person) {
	w.t.Helper()
	b.Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
	arrive(b.Submit("code", w.row(p.Email).code))
}

// One screen says what to open: sign-in pages that are there, a fresh link, one full customer and one with three free seats.
func TestScreen(t *testing.T) {
	w := open(t, options(t))
	screen, err := w.Screen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(screen, "\n")
	if len(lines) > 40 {
		t.Errorf("the screen has %d lines", len(lines))
	}
	for _, l := range lines {
		if len(l) > 100 {
			t.Errorf("%d columns: %s", len(l), l)
		}
	}
	for _, slug := range []string{"northwind", "contoso", "fabrikam", "adventure"} {
		at := w.Public + "/o/" + slug + "/login"
		if !strings.Contains(screen, at) {
			t.Errorf("no sign-in page of %s", slug)
		}
		w.browser().Get(at).Want("login.identifier")
	}
	for _, p := range w.People {
		if !strings.Contains(screen, p.Email) || p.Password != "" && strings.Contains(screen, string(p.Password)) {
			t.Errorf("%s: not on the screen, or with the password", p.Email)
		}
	}
	if !strings.Contains(screen, w.Link) || !strings.Contains(screen, w.Mailbox) {
		t.Error("the screen lacks the link or the mailbox")
	}
	b := w.browser()
	b.Get(w.Link).Want("activate").Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("activate.done")

	full := w.signIn("katrin.vogel@fabrikam.example")
	full.Get("/o/fabrikam/users/invite").Submit("emails", "sixth@fabrikam.example", "roles", "core").Want("users.invite")
	if full.Status != http.StatusUnprocessableEntity || !strings.Contains(full.Text(), "5") {
		t.Errorf("the sixth seat answers %d", full.Status)
	}
	full.Get("/o/fabrikam/users").Want("users")
	if full.Lang() != "de" || strings.Contains(full.Text(), "sixth@") {
		t.Errorf("language %q, and the sixth person is there", full.Lang())
	}
	free := w.signIn("grace.morgan@adventure.example")
	free.Get("/o/adventure/users/invite").Submit("emails", "a@adventure.example b@adventure.example c@adventure.example", "roles", "core").Want("users")
	free.Get("/o/adventure/users/invite").Submit("emails", "d@adventure.example", "roles", "core").Want("users.invite").WantStatus(422)
}

// What the console sends arrives on the mailbox page, with its HTML part in a frame that can do nothing.
func TestMailbox(t *testing.T) {
	w := open(t, options(t))
	b := w.signIn("grace.morgan@adventure.example")
	b.Get("/o/adventure/users/invite").Submit("emails", "new@adventure.example", "roles", "viewer").Want("users")
	m := w.newest("new@adventure.example", "invite")
	link := linkForm.FindString(m.Text())
	if !strings.Contains(m.Text(), "Grace Morgan") || !strings.Contains(m.Body, `sandbox="allow-popups allow-popups-to-escape-sandbox"`) {
		t.Errorf("the message's page:\n%s", m.Text())
	}
	part := w.browser().Get(m.At.String() + "/html")
	if !strings.Contains(part.Body, `<base target="_blank">`) || !strings.Contains(part.Body, link) || link == "" {
		t.Error("the HTML part lacks the base or the link")
	}
	policy := part.Head.Get("Content-Security-Policy")
	for _, want := range []string{"sandbox allow-popups", "default-src 'none'", "frame-ancestors 'self'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the HTML part's policy lacks %q: %s", want, policy)
		}
	}
	if strings.Contains(policy, "allow-scripts") || strings.Contains(policy, "script-src") {
		t.Errorf("the HTML part may run scripts: %s", policy)
	}
	w.browser().Get(link).Want("activate")
	if r := w.row("new@adventure.example"); r.password != "" || r.code != "" || r.invitation == "" {
		t.Errorf("the page shows %+v of who was just invited", r)
	}
	w.browser().Get(w.Mailbox + "/messages/999").Want("error").WantStatus(http.StatusNotFound)
	w.browser().Get(w.Mailbox + "/messages/0").Want("error").WantStatus(http.StatusNotFound)

	// A website whose name points here reads nothing.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Mailbox+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "rebind.example"
	if b := w.browser().Do(r); b.Status != http.StatusMisdirectedRequest || strings.Contains(b.Body, "password") {
		t.Errorf("another host name is answered with %d", b.Status)
	}
}

func TestRefused(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	there := t.TempDir()
	if err := os.WriteFile(filepath.Join(there, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]demo.Options{
		"every address":           {Listen: "0.0.0.0:0"},
		"no host":                 {Listen: ":0"},
		"an address of a network": {Listen: "192.0.2.1:0"},
		"a name":                  {Listen: "northwind.example:0"},
		"no port":                 {Listen: "127.0.0.1"},
		"IPv6":                    {Listen: "[::]:0"},
		"mailbox":                 {Listen: "127.0.0.1:0", Mailbox: "0.0.0.0:0"},
		"taken":                   {Listen: busy.Addr().String()},
		"a folder with files":     {Listen: "127.0.0.1:0", Mailbox: "127.0.0.1:0", Keep: there},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := demo.Open(t.Context(), o)
			if err == nil {
				_ = d.Close()
				t.Fatal("it opened")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("not one line: %v", err)
			}
		})
	}
}

// A taken port is only a reason to stop when it was asked for. The temporary folder goes, a folder that is to be kept stays.
func TestFolderAndPorts(t *testing.T) {
	for _, usual := range []string{"127.0.0.1:8080", "127.0.0.1:8025"} {
		if l, err := net.Listen("tcp", usual); err == nil { // else somebody else has it, which serves as well
			defer func() { _ = l.Close() }()
		}
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	o := options(t)
	o.Listen, o.Mailbox = "", ""
	t.Run("temporary", func(t *testing.T) {
		w := open(t, o)
		if strings.HasSuffix(w.Public, ":8080") || strings.HasSuffix(w.Mailbox, ":8025") {
			t.Errorf("%s, %s: taken addresses", w.Public, w.Mailbox)
		}
		w.browser().Get(w.Public + "/o/contoso/login").Want("login.identifier")
	})
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	o.Keep = filepath.Join(temp, "kept")
	t.Run("kept", func(t *testing.T) {
		screen, err := open(t, o).Screen(t.Context())
		if err != nil || !strings.Contains(screen, o.Keep) {
			t.Errorf("the screen does not name the folder: %v", err)
		}
	})
	if _, err := os.Stat(filepath.Join(o.Keep, "data", "doorward.db")); err != nil {
		t.Error(err)
	}
}
