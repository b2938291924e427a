package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// traces are the forms in which a secret could lie about: clear, base64 and base64url at each offset, hex, URL-encoded.
func traces(secret string) map[string][]byte {
	forms := map[string][]byte{"clear": []byte(secret), "hex": []byte(hex.EncodeToString([]byte(secret))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(secret)))),
		"URL-encoded": []byte(url.QueryEscape(secret))}
	for offset := range 3 {
		// What stands in the middle of a longer text: the characters that depend on the secret alone.
		padded := append(make([]byte, offset), secret...)
		for name, e := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := e.EncodeToString(padded)
			from, to := (offset*8+5)/6, len(padded)*8/6
			forms[name+" at "+string(rune('0'+offset))] = []byte(text[from:to])
		}
	}
	return forms
}

// No secret of a person's ways in is kept in a form from which it comes back, in whatever table, file or line of the log (AT-134, AT-152).
func TestSecretsAreNowhere(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		const first, second, third, wrong = "canary-Passphrase-one-11", "canary-Passphrase-two-22", "canary-Passphrase-three-33", "canary-wrong-Passphrase-44"
		secrets := map[string]string{"a first password": first, "a second password": second, "a third password": third, "a wrong password": wrong}
		keep := func(what, s string) string {
			t.Helper()
			if len(s) < 6 {
				t.Fatalf("%s is %q", what, s)
			}
			secrets[what] = s
			return s
		}
		_, admin := w.enrolled(w.Fabrikam, "adam@fabrikam.example", access.Administrator)
		keep("an administrator's session", admin.Cookie("session"))
		admin.Get("/o/fabrikam/users/invite").Submit("emails", "bea@fabrikam.example", "roles", access.Core).Want("users")
		p := &doortest.Person{World: w.World, Org: w.Fabrikam, Email: "bea@fabrikam.example"}
		link := w.Mailbox.Wait(p.Email, "invite", 1).Link("/activate/")
		keep("an invitation", string(tokenOf(link)))
		b := w.Browser()
		b.Get(link).Submit("new_password", first, "confirm_password", second).WantStatus(http.StatusUnprocessableEntity)
		b.Submit("new_password", first, "confirm_password", first).Want("activate.done")
		w.Exec(`update accounts set link_used_at = 0 where org_id = $1 and email_key = $2`, w.Fabrikam.ID, p.Email)
		a := identified(w.World, "fabrikam", p.Email)
		keep("an attempt", a.Cookie("attempt0")[31:])
		a.Submit("password", wrong).WantStatus(http.StatusUnprocessableEntity)
		a.Submit("password", first).Want("login.mail-code")
		mailed := keep("a mailed code", w.Mailbox.Wait(p.Email, "mail-code", 1).Code())
		a.Submit("code", "000000").WantStatus(http.StatusUnprocessableEntity)
		a.Submit("code", mailed).Want("login.enrol").Submit("method", "totp").Want("login.enrol.totp")
		p.Key = keep("the key of an app", strings.ReplaceAll(a.ByID("totp-secret"), " ", ""))
		raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.Key)
		if err != nil {
			t.Fatal(err)
		}
		keep("the key of an app as bytes", string(raw))
		keep("an attempt behind the password", a.Cookie("attempt0")[31:])
		confirmed := p.Code()
		through(a.Submit("code", confirmed))
		keep("a first session", a.Cookie("session"))
		reset := w.resetLink(p, 1)
		keep("a reset", string(tokenOf(reset)))
		w.Browser().Get(reset).Submit("new_password", second, "confirm_password", second).Want("login.identifier")
		c := identified(w.World, "fabrikam", p.Email)
		through(c.Submit("password", second).Want("login.totp").Submit("code", p.Code()))
		c.Get("/me/security").Submit("password", wrong, "new_password", third, "confirm_password", third).WantStatus(http.StatusUnprocessableEntity)
		c.Submit("password", second, "new_password", third, "confirm_password", third).Want("me.security")
		keep("a second session", c.Cookie("session"))
		c.Get("/me/prove?to=/me").Submit("proof_code", p.Code()).Want("me")
		live := keep("a third session", c.Cookie("session"))
		c.Get("/me/sessions").Want("me.sessions")
		keyFile, err := os.ReadFile(w.Settings.KeyPath())
		if err != nil {
			t.Fatal(err)
		}
		seal := keep("the sealing key", regexp.MustCompile(`(?m)^k[0-9a-f]+ (\S+)$`).FindStringSubmatch(string(keyFile))[1])
		rawSeal, err := base64.StdEncoding.DecodeString(seal)
		if err != nil {
			t.Fatal(err)
		}
		keep("the sealing key as bytes", string(rawSeal))
		settle(w.World)

		var places = map[string][]byte{"the log": []byte(w.Logs.String())}
		var rows bytes.Buffer
		for table, list := range dump(w.World) {
			rows.WriteString(table + "\n" + strings.Join(list, "\n"))
		}
		places["the database"] = rows.Bytes()
		if file := w.Settings.DatabaseFile(); file != "" { // what was deleted may still lie in the file
			for _, f := range must(filepath.Glob(file + "*"))(t) {
				places[filepath.Base(f)] = must(os.ReadFile(f))(t)
			}
		}
		for where, content := range places {
			if len(content) < 1000 {
				t.Fatalf("%s holds %d bytes", where, len(content))
			}
			for what, s := range secrets {
				if len(s) < 8 && where != "the database" { // six digits stand everywhere
					continue
				}
				for form, trace := range traces(s) {
					if len(s) < 8 && form != "clear" {
						continue
					}
					if len(s) < 8 && !bytes.Contains(content, append([]byte(`"`), append(trace, '"')...)) {
						continue
					}
					if bytes.Contains(content, trace) {
						t.Errorf("%s is in %s, %s", what, where, form)
					}
				}
			}
		}
		// What is kept instead: the SHA-256 of tokens, argon2id of passwords.
		sum := sha256.Sum256([]byte(live))
		if !bytes.Contains(rows.Bytes(), sum[:]) && !bytes.Contains(rows.Bytes(), []byte(hex.EncodeToString(sum[:]))) {
			t.Error("the hash of a session's secret is not there: nothing was looked at")
		}
		for _, data := range column(w, `select data from factors where kind = 'password'`) {
			if !regexp.MustCompile(`^\{"phc":"\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}"`).MatchString(data) {
				t.Errorf("a password is kept as %s", data)
			}
		}
		for _, cells := range []string{`select token_hash from links`, `select secret_hash from sessions`, `select secret_hash from attempts`} {
			hashes, err := sqldb.All(w.DB.Read(t.Context()), sqldb.Value[[]byte], cells)
			if err != nil || len(hashes) == 0 {
				t.Fatal(len(hashes), err)
			}
			for _, h := range hashes {
				if len(h) != sha256.Size {
					t.Errorf("%s: %d bytes", cells, len(h))
				}
			}
		}
		if n := w.Count(`select count(*) from outbox where state = 'sent' and box is not null`); n != 0 {
			t.Errorf("%d mails keep their content after they were sent", n)
		}
		for _, line := range []string{`"level":"DEBUG"`, `"route":"POST /activate/{token}"`, `"route":"POST /login/password"`} {
			if !strings.Contains(w.Logs.String(), line) { // it says which route, not which address
				t.Errorf("the log has no line with %s", line)
			}
		}
	})
}

// must fails the test on an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// A sealed cell opens in its own row alone (AT-152).
func TestSwappedCells(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, q := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core), w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		box := func(x *doortest.Person) []byte {
			b, err := sqldb.One(w.DB.Read(t.Context()), sqldb.Value[[]byte], `select box from factors where account_id = $1 and kind = 'totp'`, x.Account)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		mine, theirs := box(p), box(q)
		put := func(x *doortest.Person, b []byte) {
			w.Exec(`update factors set box = $1 where account_id = $2 and kind = 'totp'`, b, x.Account)
		}
		flipped := slices.Clone(mine)
		flipped[len(flipped)-1] ^= 1
		old := slices.Clone(mine)
		old[0] = 0
		for what, cell := range map[string][]byte{"another's": theirs, "a changed one": flipped, "a cut one": mine[:20], "another version": old, "none": {}} {
			put(p, cell)
			for _, code := range []string{p.Code(), q.Code()} {
				r := halfIn(p).post("totp", "code", code)
				if sessionIn(r) || r.Status != http.StatusInternalServerError || strings.Contains(r.Body, "secret:") {
					t.Errorf("%s: %d %q", what, r.Status, r.Page())
				}
				w.Exec(`update throttles set failures = 0, blocked_until = 0`)
			}
			if !strings.Contains(w.Logs.String(), "secret: ") {
				t.Errorf("%s: the log says nothing", what)
			}
		}
		put(p, mine)
		if r := halfIn(p).post("totp", "code", p.Code()); !sessionIn(r) {
			t.Errorf("the right cell: %d", r.Status)
		}

		// Two mails that wait: none goes out with the other's link.
		w.Mailbox.SetRefuse(func(string) error { return errors.New("not now") })
		x, _ := w.Invite(w.Fabrikam, "x@fabrikam.example", access.Core)
		y, _ := w.Invite(w.Tailspin, "y@tailspin.example", access.Core)
		waiting := func(s *doortest.Person) []byte {
			t.Helper()
			for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				if w.Count(`select count(*) from outbox where account_id = $1 and state = 'ready' and tries > 0`, s.Account) == 1 {
					b, err := sqldb.One(w.DB.Read(t.Context()), sqldb.Value[[]byte], `select box from outbox where account_id = $1`, s.Account)
					if err != nil {
						t.Fatal(err)
					}
					return b
				}
			}
			t.Fatal("the mail does not wait")
			return nil
		}
		bx, by := waiting(x), waiting(y)
		w.Exec(`update outbox set box = $1 where account_id = $2`, by, x.Account)
		w.Exec(`update outbox set box = $1 where account_id = $2`, bx, y.Account)
		w.Mailbox.SetRefuse(nil)
		w.Clock.Move(time.Minute)
		w.Queue.Wake()
		settle(w.World)
		if n := w.Count(`select count(*) from outbox where state = 'dead' and box is null and account_id in ($1, $2)`, x.Account, y.Account); n != 2 {
			t.Errorf("%d of the two mails were given up", n)
		}
		if n := len(w.Mailbox.All(x.Email)) + len(w.Mailbox.All(y.Email)); n != 0 {
			t.Errorf("%d mails went out", n)
		}
		if n := w.Count(`select count(*) from events where action = 'mail.failed'`); n != 2 {
			t.Errorf("%d events of that", n)
		}
	})
}

// What people type stands in the log on one line, as valid JSON, and cannot pass for anything else (AT-132).
func TestLogsAreOneLineEach(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		carl := w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		nasty := []string{"a\r\nb", "a\nevent=forged", "\x1b[31mred\x1b[0m", `a"b\c','`, "a\u202egnp.exe\u2066", "a\u2028b\u2029c", "a\u200bb\ufeff", "a\u0085b", "a\x7fb", "<script>alert(1)</script>", "\U000e0001", "${jndi:ldap://x}",
			strings.Repeat("long ", 200), "{{.}}", "%s%n", "a\u0007b"}
		for _, s := range nasty {
			w.Exec(`update throttles set failures = 0, blocked_until = 0`)
			agent := strings.Map(func(r rune) rune {
				if r == '\r' || r == '\n' || r == 0x7f || r < ' ' {
					return ' ' // no client library sends them
				}
				return r
			}, s)
			h := with("User-Agent", agent)
			r := send(w.World, http.MethodPost, "/o/fabrikam/login", url.Values{"identifier": {s}}, h)
			if _, id, ok := strings.Cut(r.Location(), "attempt="); ok {
				h.Set("Cookie", "door-attempt0="+r.Cookie("attempt0"))
				send(w.World, http.MethodPost, "/login/password", url.Values{"attempt": {id}, "password": {s}}, h)
			}
			send(w.World, http.MethodPost, "/o/fabrikam/forgot", url.Values{"identifier": {s}}, h)
			send(w.World, http.MethodPost, "/me", url.Values{"name": {s}, "username": {s}}, held(b))
			if len([]rune(s)) <= 300 {
				w.Exec(`update factors set state = 'active' where account_id = $1`, carl.Account)
				if err := w.Directory.ResetFactors(t.Context(), doortest.Operator(), w.Fabrikam.ID, carl.Account, s); err != nil && !strings.Contains(err.Error(), "no_factors") {
					t.Errorf("reason %q: %v", s, err)
				}
			}
			send(w.World, http.MethodGet, "/o/"+url.PathEscape(s)+"/login", nil, h)
		}
		bad := func(s string) bool {
			return !json.Valid([]byte(s)) || strings.ContainsFunc(s, func(r rune) bool {
				return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
			})
		}
		kept := 0
		for _, query := range []string{`select data from events`, `select data from event_persons`} {
			for _, data := range column(w, query) {
				if bad(data) || len(data) > 4000 {
					t.Errorf("an event holds %q", data)
				}
				var fields map[string]any
				if err := json.Unmarshal([]byte(data), &fields); err != nil {
					t.Error(err)
				}
				if s, ok := fields["identifier"].(string); ok && slices.Contains(nasty, s) {
					kept++
				}
			}
		}
		if kept < 10 {
			t.Errorf("only %d of %d texts came through whole", kept, len(nasty))
		}
		for line := range strings.Lines(w.Logs.String()) {
			if line = strings.TrimSuffix(line, "\n"); !json.Valid([]byte(line)) || strings.ContainsFunc(line, func(r rune) bool { return unicode.Is(unicode.Cc, r) || r == '\u2028' || r == '\u2029' }) {
				t.Errorf("a line of the log: %q", line)
			}
		}
		// The page that shows them shows text.
		r := send(w.World, http.MethodGet, "/o/fabrikam/users/"+string(p.Account), nil, held(b))
		if r.Page() != "user" || strings.Contains(r.Body, "<script>alert") {
			t.Errorf("the person's page: %d %q", r.Status, r.Page())
		}
	})
}
