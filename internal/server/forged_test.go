package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// forgery is an answer that a right key would never give.
type forgery struct {
	name   string
	change change
	fine   string // names of ceremonies in which it is none
}

func assertions(t *testing.T, k, other *softkey) []forgery {
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	list := []forgery{
		{"another origin", func(a *answer) { a.Origin = "https://evil.example" }, ""},
		{"https", func(a *answer) { a.Origin = strings.Replace(a.Origin, "http:", "https:", 1) }, ""},
		{"another port", func(a *answer) { a.Origin = "http://localhost:1" }, ""},
		{"a subdomain", func(a *answer) { a.Origin = strings.Replace(a.Origin, "localhost", "evil.localhost", 1) }, ""},
		{"no origin", func(a *answer) { a.Origin = "" }, ""},
		{"null", func(a *answer) { a.Origin = "null" }, ""},
		{"another relying party", func(a *answer) { a.RP = "evil.example" }, ""},
		{"a registration's type", func(a *answer) { a.Type = "webauthn.create" }, ""},
		{"no type", func(a *answer) { a.Type = "" }, ""},
		{"a password credential", func(a *answer) { a.Kind = "password" }, ""},
		{"another challenge", func(a *answer) { a.Challenge = raw64(random) }, ""},
		{"no challenge", func(a *answer) { a.Challenge = "" }, ""},
		{"from a foreign frame", func(a *answer) { a.CrossOrigin = true }, ""},
		{"from a foreign frame of our own page", func(a *answer) { a.CrossOrigin, a.TopOrigin = true, a.Origin }, ""},
		{"on top of a foreign page", func(a *answer) { a.TopOrigin = "https://evil.example" }, ""},
		{"nobody present", func(a *answer) { a.Flags = 0 }, ""},
		{"nobody present but verified", func(a *answer) { a.Flags = verified }, ""},
		{"nobody verified", func(a *answer) { a.Flags = present }, "second factor, fresh proof"},
		{"the counter as it was", func(a *answer) { a.Count = 10 }, ""},
		{"a lower counter", func(a *answer) { a.Count = 9 }, ""},
		{"the counter at nought", func(a *answer) { a.Count = 0 }, ""},
		{"another's credential", func(a *answer) { a.ID = other.id }, ""},
		{"another's credential and key", func(a *answer) { a.ID, a.Signer = other.id, other.key }, ""},
		{"another's credential, key and handle", func(a *answer) { a.ID, a.Signer, a.Handle, a.Count = other.id, other.key, other.handle, 11 }, "alone"}, // that is the other person, see below
		{"another's handle", func(a *answer) { a.Handle = other.handle }, ""},
		{"no handle", func(a *answer) { a.Handle = nil }, "second factor, fresh proof"},
		{"a made up handle", func(a *answer) { a.Handle = random }, ""},
		{"an unknown credential", func(a *answer) { a.ID = random }, ""},
		{"no credential id", func(a *answer) { a.ID = nil }, ""},
		{"another's signature", func(a *answer) { a.Signer = other.key }, ""},
		{"no signature", func(a *answer) { a.Signature = []byte{} }, ""},
		{"garbage for a signature", func(a *answer) { a.Signature = random }, ""},
		{"a signature of noughts", func(a *answer) { a.Signature = []byte{0x30, 6, 2, 1, 0, 2, 1, 0} }, ""},
		{"a signature without its form", func(a *answer) { a.Signature = append(random, random...) }, ""},
		{"data cut by one", func(a *answer) { a.Cut = 1 }, ""},
		{"data cut by ten", func(a *answer) { a.Cut = 10 }, ""},
		{"no data", func(a *answer) { a.Cut = 37 }, ""},
		{"more data", func(a *answer) { a.More = []byte{1, 2, 3} }, ""},
		{"a credential that is not there", func(a *answer) { a.Flags |= attested }, ""},
		{"extensions that are not there", func(a *answer) { a.Flags |= 0x80 }, ""},
		{"extensions of garbage", func(a *answer) { a.Flags, a.More = a.Flags|0x80, bytes.Repeat([]byte{0x81}, 3000) }, ""},
		{"a backup without eligibility", func(a *answer) { a.Flags |= 0x10 }, ""},
		{"eligible all at once", func(a *answer) { a.Flags |= 0x08 }, ""},
	}
	for name, f := range map[string]func(map[string]any){
		"no response":             func(m map[string]any) { delete(m, "response") },
		"a response of text":      func(m map[string]any) { m["response"] = "x" },
		"an id of numbers":        func(m map[string]any) { m["rawId"] = 7 },
		"two ids":                 func(m map[string]any) { m["id"] = raw64(other.id) },
		"a raw id of another":     func(m map[string]any) { m["rawId"] = raw64(other.id) },
		"an id that is no base64": func(m map[string]any) { m["id"], m["rawId"] = "*", "*" },
		"client data of garbage":  func(m map[string]any) { within(m)["clientDataJSON"] = raw64(random) },
		"no client data":          func(m map[string]any) { delete(within(m), "clientDataJSON") },
		"no signature at all":     func(m map[string]any) { delete(within(m), "signature") },
		"no authenticator data":   func(m map[string]any) { delete(within(m), "authenticatorData") },
		"data of a million":       func(m map[string]any) { within(m)["authenticatorData"] = raw64(make([]byte, 700_000)) },
		"a handle of a million":   func(m map[string]any) { within(m)["userHandle"] = raw64(make([]byte, 700_000)) },
		"a registration in it": func(m map[string]any) {
			within(m)["attestationObject"], within(m)["authenticatorData"] = raw64(random), nil
		},
		"deep extensions":          func(m map[string]any) { m["clientExtensionResults"] = deep(9000) },
		"another app's extension":  func(m map[string]any) { m["clientExtensionResults"] = map[string]any{"appid": "yes"} },
		"an appid that is granted": func(m map[string]any) { m["clientExtensionResults"] = map[string]any{"appid": true}; m["type"] = "x" },
	} {
		list = append(list, forgery{name, func(a *answer) { a.JSON = f }, ""})
	}
	return list
}

func deep(n int) any {
	return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n))
}

// nonsense is what comes in place of an answer.
func nonsense() []string {
	return []string{"", " ", "null", "{}", "[]", "7", `"x"`, "{", `{"id":`, "\ufeff{}", strings.Repeat("[", 9000), strings.Repeat("x", 40_000), strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
		`{"id":"","rawId":"","type":"public-key","response":{}}`, `{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"","signature":"","userHandle":""}}`,
		`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUA"}}`}
}

// A forged answer is refused wherever it is given, and recorded; the question is spent, the key goes on (AT-49, AT-51).
func TestForgedAnswers(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p, k, b := w.keyed(w.Fabrikam, "bea@fabrikam.example", access.Core)
		q, other, _ := w.keyed(w.Fabrikam, "carl@fabrikam.example", access.Core)
		for _, c := range []ceremony{second(p), alone(w.World, "fabrikam"), proof(b)} {
			k.count, other.count = 9, 9
			w.Exec(`update factors set counter = 0, data = replace(replace(data, '"signCount":10', '"signCount":0'), '"signCount":11', '"signCount":0') where kind = 'passkey'`)
			// One good answer first, so that the counter stands at ten.
			if c.name == "fresh proof" {
				c.give(k.get(c.ask())).Want("me")
			} else {
				first := second(p)
				first.give(k.get(first.ask())).Want("dashboard")
			}
			row := func() string {
				return w.text(`select name || state || counter || data from factors where lookup = $1`, raw64(k.id))
			}
			was, sessions, secret := row(), w.Count(`select count(*) from sessions`), c.b.Cookie("session")
			refused := func(name, credential string) {
				t.Helper()
				w.calm()
				events := w.failures("passkey")
				if !c.wrong(credential) || c.b.Cookie("session") != secret {
					t.Errorf("%s: %s is answered %d %q", c.name, name, c.b.Status, c.b.Page())
				}
				if n := w.failures("passkey") - events; n != 1 {
					t.Errorf("%s: %s is in %d events", c.name, name, n)
				}
				if got := row(); got != was {
					t.Errorf("%s: %s changed the key from %s to %s", c.name, name, was, got)
				}
			}
			for _, f := range assertions(t, k, other) {
				if strings.Contains(f.fine, c.name) {
					continue
				}
				question := c.ask()
				k.count = 10
				refused(f.name, k.get(question, f.change))
			}
			for _, text := range nonsense() {
				if text == "" && c.name == "fresh proof" {
					continue // then it asks for a code
				}
				c.ask()
				refused("the answer "+text[:min(len(text), 40)], text)
			}
			if n := w.Count(`select count(*) from sessions`) - sessions; n != 0 {
				t.Errorf("%s: forged answers made %d sessions", c.name, n)
			}
			// A million bytes are refused before anything reads them.
			c.ask()
			if c.give(strings.Repeat("x", 1<<20+1)); c.b.Status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: more than a megabyte is answered %d", c.name, c.b.Status)
			}
			w.calm()
			if c.name == "second factor" {
				c.b.Get("/login/next")
			}
			k.count = 10
			if c.give(k.get(c.ask())); c.b.Page() != c.done {
				t.Errorf("%s: after all that the right answer leads to %d %q", c.name, c.b.Status, c.b.Page())
			}
		}
		// Who answers alone is who the key says.
		before := w.sessions(q)
		c := alone(w.World, "fabrikam")
		other.count = 20
		c.give(other.get(c.ask())).Want("dashboard")
		if w.sessions(q) != before+1 {
			t.Error("another account was signed in")
		}
	})
}

func registrations(t *testing.T, w *town, k *softkey) []forgery {
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	other := newKey(w.World)
	public, err := k.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	ec := func(more map[int]any) map[int]any {
		key := map[int]any{1: 2, 3: -7, -1: 1, -2: public[1:33], -3: public[33:65]}
		for n, v := range more {
			if key[n] = v; v == nil {
				delete(key, n)
			}
		}
		return key
	}
	list := []forgery{
		{"another origin", func(a *answer) { a.Origin = "https://evil.example" }, ""},
		{"another relying party", func(a *answer) { a.RP = "evil.example" }, ""},
		{"a sign-in's type", func(a *answer) { a.Type = "webauthn.get" }, ""},
		{"another challenge", func(a *answer) { a.Challenge = raw64(random) }, ""},
		{"no challenge", func(a *answer) { a.Challenge = "" }, ""},
		{"from a foreign frame", func(a *answer) { a.CrossOrigin = true }, ""},
		{"a password credential", func(a *answer) { a.Kind = "password" }, ""},
		{"nobody present", func(a *answer) { a.Flags = attested }, ""},
		{"no credential", func(a *answer) { a.Flags = present }, ""},
		{"a backup without eligibility", func(a *answer) { a.Flags |= 0x10 }, ""},
		{"no algorithm", func(a *answer) { a.COSE = ec(map[int]any{3: nil}) }, ""},
		{"algorithm none", func(a *answer) { a.COSE = ec(map[int]any{3: 0}) }, ""},
		{"algorithm RS1", func(a *answer) {
			a.COSE = map[int]any{1: 3, 3: -65535, -1: bytes.Repeat([]byte{0xff}, 256), -2: []byte{1, 0, 1}}
		}, ""},
		{"RSA of no bits", func(a *answer) { a.COSE = map[int]any{1: 3, 3: -257, -1: []byte{}, -2: []byte{}} }, ""},
		{"RSA of few bits", func(a *answer) {
			a.COSE = map[int]any{1: 3, 3: -257, -1: []byte{0xff, 0xff, 0xff, 0xff}, -2: []byte{1, 0, 1}}
		}, ""},
		{"an unknown algorithm", func(a *answer) { a.COSE = ec(map[int]any{3: -9999}) }, ""},
		{"an unknown kind of key", func(a *answer) { a.COSE = ec(map[int]any{1: 9}) }, ""},
		{"a symmetric key", func(a *answer) { a.COSE = map[int]any{1: 4, 3: 5, -1: random} }, ""},
		{"no key", func(a *answer) { a.COSE = map[int]any{} }, ""},
		{"a point off the curve", func(a *answer) { a.COSE = ec(map[int]any{-3: random}) }, ""},
		{"a point of noughts", func(a *answer) { a.COSE = ec(map[int]any{-2: make([]byte, 32), -3: make([]byte, 32)}) }, ""},
		{"half a point", func(a *answer) { a.COSE = ec(map[int]any{-2: public[1:17]}) }, ""},
		{"another curve", func(a *answer) { a.COSE = ec(map[int]any{-1: 3}) }, ""},
		{"no credential id", func(a *answer) { a.ID = nil }, ""},
		{"a long credential id", func(a *answer) { a.ID = bytes.Repeat([]byte{7}, 2000) }, ""},
		{"data cut by one", func(a *answer) { a.Cut = 1 }, ""},
		{"data cut by half", func(a *answer) { a.Cut = 80 }, ""},
		{"more data", func(a *answer) { a.More = []byte{1, 2, 3} }, ""},
		{"extensions that are not there", func(a *answer) { a.Flags |= 0x80 }, ""},
		{"none with a statement", func(a *answer) { a.Statement = map[string]any{"sig": random} }, ""},
		{"an unknown attestation", func(a *answer) { a.Format = "odd" }, ""},
		{"no attestation", func(a *answer) { a.Format = "" }, ""},
		{"self attestation with a wrong signature", func(a *answer) { a.Format, a.Statement = "packed", map[string]any{"alg": -7, "sig": random} }, ""},
		{"self attestation with another algorithm", func(a *answer) { a.Format, a.Statement = "packed", map[string]any{"alg": -257, "sig": random} }, ""},
		{"a certificate of garbage", func(a *answer) {
			a.Format, a.Statement = "packed", map[string]any{"alg": -7, "sig": random, "x5c": []any{random}}
		}, ""},
		{"a statement of text", func(a *answer) { a.Statement = "x" }, ""},
		{"no object", func(a *answer) { a.Object = []byte{} }, ""},
		{"an object of garbage", func(a *answer) { a.Object = random }, ""},
		{"a deep object", func(a *answer) { a.Object = append(bytes.Repeat([]byte{0x81}, 9000), 0) }, ""},
		{"an endless object", func(a *answer) { a.Object = []byte{0xbf} }, ""},
		{"an object that claims a gigabyte", func(a *answer) { a.Object = []byte{0x5a, 0x40, 0, 0, 0} }, ""},
		{"a map that claims a gigabyte", func(a *answer) { a.Object = []byte{0xba, 0x40, 0, 0, 0} }, ""},
		{"a large object", func(a *answer) { a.Object = make([]byte, 100_000) }, ""},
	}
	for _, format := range []string{"packed", "tpm", "android-key", "android-safetynet", "fido-u2f", "apple", "compound"} {
		list = append(list, forgery{"an empty statement of " + format, func(a *answer) { a.Format = format }, ""},
			forgery{"a statement of garbage of " + format, func(a *answer) {
				a.Format, a.Statement = format, map[string]any{"ver": "2.0", "alg": -7, "sig": random, "x5c": []any{random}, "response": random, "certInfo": random, "pubArea": random}
			}, ""})
	}
	for name, f := range map[string]func(map[string]any){
		"no response":             func(m map[string]any) { delete(m, "response") },
		"the id of another":       func(m map[string]any) { m["id"], m["rawId"] = raw64(other.id), raw64(other.id) },
		"two ids":                 func(m map[string]any) { m["id"] = raw64(other.id) },
		"client data of garbage":  func(m map[string]any) { within(m)["clientDataJSON"] = raw64(random) },
		"no object at all":        func(m map[string]any) { delete(within(m), "attestationObject") },
		"transports of numbers":   func(m map[string]any) { within(m)["transports"] = 7 },
		"deep extensions":         func(m map[string]any) { m["clientExtensionResults"] = deep(9000) },
		"an object of one number": func(m map[string]any) { within(m)["attestationObject"] = 1 },
	} {
		list = append(list, forgery{name, func(a *answer) { a.JSON = f }, ""})
	}
	return list
}

// oddNames are no names of a key: nothing, too much, and what is not seen or turns the text around it.
func oddNames() []string {
	return []string{"", " ", "\u2003\u00a0\t", "\u200d", strings.Repeat("x", 61), strings.Repeat("x", 5000), strings.Repeat("🔑", 61), strings.Repeat("x ", 5000), "a\u0001b", "a\u007fb",
		"a\u0085\u009bb", "blue \u202eyek", "blue \u2066key\u2069", "\u200fkey", "a\u200bb", "\ufeffkey", "a\x00b", "a\xffb", "a\U000e0041b"}
}

// A forged registration makes no key and leaves nothing behind, at a first sign-in and in the console; the challenge is spent (AT-50, AT-51).
func TestForgedRegistrations(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		q, inside := w.enrolled(w.Fabrikam, "carl@fabrikam.example", access.Core)
		k := newKey(w.World)
		first, third := w.Browser(), w.Browser()
		third.Password(w.Activate(w.Fabrikam, "dora@fabrikam.example", access.Core)).Submit("method", "passkey").Want("login.enrol.passkey")
		first.Password(p).Submit("method", "passkey").Want("login.enrol.passkey")
		inside.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
		for _, c := range []struct {
			who        *doortest.Person
			b          *doortest.Browser
			page, done string
		}{{p, first, "login.enrol.passkey", "login.recovery-codes"}, {q, inside, "me.security.key", "me.security"}} {
			made := func() int {
				return w.Count(`select count(*) from factors where account_id = $1 and state = 'active'`, c.who.Account)
			}
			was, enrolled := made(), w.Events(w.Fabrikam.ID, "factor.enrolled")
			refused := func(what, credential string) {
				t.Helper()
				w.calm()
				events := w.failures("enrol-passkey")
				if c.b.Submit("name", "key", "credential", credential); c.b.Status != http.StatusUnprocessableEntity || c.b.Page() != c.page || !strings.Contains(c.b.Body, `role="alert"`) {
					t.Fatalf("%s at %s is answered %d %q", what, c.page, c.b.Status, c.b.Page())
				}
				if n := w.failures("enrol-passkey") - events; n != 1 {
					t.Errorf("%s at %s is in %d events", what, c.page, n)
				}
				if n := made() - was; n != 0 {
					t.Fatalf("%s at %s made %d factors", what, c.page, n)
				}
			}
			var spent string
			for _, f := range registrations(t, w, k) {
				options := optionsIn(c.b.Body)
				if options == spent || options == "" {
					t.Fatalf("before %s the page has no new challenge", f.name)
				}
				spent = options
				refused(f.name, k.create(options, f.change))
			}
			for _, text := range nonsense() {
				refused("the answer "+text[:min(len(text), 40)], text)
			}
			refused("the challenge before", k.create(spent))
			refused("another's challenge", k.create(optionsIn(third.Body)))
			// Names that nobody can read are refused at their field.
			for _, name := range oddNames() {
				w.calm()
				c.b.Submit("name", name, "credential", k.create(optionsIn(c.b.Body))).WantStatus(http.StatusUnprocessableEntity).Want(c.page)
				if c.b.FieldError("name") == "" || made() != was {
					t.Errorf("the name %q is not refused at its field", name)
				}
			}
			// The answer to a question of more than ten minutes ago comes too late.
			late := k.create(optionsIn(c.b.Body))
			w.Clock.Move(10 * time.Minute)
			if c.b == inside {
				w.Exec(`update sessions set proved_at = $1`, w.Clock.Now().UnixMicro())
			}
			refused("an answer after ten minutes", late)
			if n := w.Events(w.Fabrikam.ID, "factor.enrolled") - enrolled; n != 0 {
				t.Errorf("%d events of a key", n)
			}
			w.calm()
			c.b.Submit("name", "<script>alert(1)</script> 🔑", "credential", k.create(optionsIn(c.b.Body))).Want(c.done)
			if made()-was < 1 {
				t.Error("the right answer made no key")
			}
			if c.b == inside {
				if strings.Contains(c.b.Body, "<script>alert") {
					t.Error("a name is markup")
				}
				// What one account has, another cannot register too.
				continue
			}
			inside.Get("/me/security").Submit(":action", "/me/security/key").Want("me.security.key")
			w.calm()
			inside.Submit("name", "key", "credential", k.create(optionsIn(inside.Body))).WantStatus(http.StatusUnprocessableEntity).Want("me.security.key")
			if !strings.Contains(inside.Text(), "registered already") {
				t.Error("a key of another account is not refused as such")
			}
			k = newKey(w.World)
		}
	})
}

// FuzzPasskeyAnswer gives tampered answers to every place that takes one: never an error of ours, never a session, never a key.
func FuzzPasskeyAnswer(f *testing.F) {
	w := build(doortest.New(f, sqldb.SQLite, doortest.Options{}))
	p, k, b := w.keyed(w.Fabrikam, "bea@fabrikam.example", access.Core)
	q := w.Activate(w.Fabrikam, "carl@fabrikam.example", access.Core)
	asked, enrolling := halfIn(p), halfIn(q)
	asked.Want("login.passkey")
	enrolling.Submit("method", "passkey").Want("login.enrol.passkey")
	for _, text := range nonsense() {
		f.Add(text)
	}
	f.Add(k.get(optionsIn(asked.Body), func(a *answer) { a.Challenge = raw64(make([]byte, 32)) }))
	f.Add(k.get(optionsIn(asked.Body), func(a *answer) { a.Signature = make([]byte, 70) }))
	f.Add(newKey(w.World).create(optionsIn(enrolling.Body), func(a *answer) { a.Origin = "https://evil.example" }))
	f.Add(newKey(w.World).create(optionsIn(enrolling.Body), func(a *answer) { a.Format = "packed" }))
	ctx, handler := context.Background(), w.Handler
	count := func(query string) int {
		n, err := sqldb.One(w.DB.Read(ctx), sqldb.Value[int], query)
		if err != nil {
			panic(err)
		}
		return n
	}
	state := func() [2]int {
		return [2]int{count(`select count(*) from sessions`), count(`select count(*) from factors where state = 'active'`)}
	}
	was, public := state(), w.Settings.PublicURL
	jars := map[string]string{"/login/passkey": held(asked.Browser).Get("Cookie"), "/login/enrol-passkey": held(enrolling.Browser).Get("Cookie"),
		"/login/passkey-alone": "", "/me/prove": held(b).Get("Cookie"), "/me/security/key/confirm": held(b).Get("Cookie")}
	attempts := map[string]string{"/login/passkey": asked.ID, "/login/enrol-passkey": enrolling.ID}
	post := func(path string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, public+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", public)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if jars[path] != "" {
			r.Header.Set("Cookie", jars[path])
		}
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, r)
		return out
	}
	keep := func(path, name string, out *httptest.ResponseRecorder) {
		for _, c := range out.Result().Cookies() {
			if strings.HasSuffix(c.Name, name) && c.MaxAge >= 0 {
				rest := slices.DeleteFunc(strings.Split(jars[path], "; "), func(s string) bool { return s == "" || strings.HasPrefix(s, c.Name+"=") })
				jars[path] = strings.Join(append(rest, c.Name+"="+c.Value), "; ")
			}
		}
	}
	f.Fuzz(func(t *testing.T, credential string) {
		if err := w.DB.Write(ctx, func(tx sqldb.Tx) error { _, err := tx.Exec(`delete from throttles`); return err }); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/login/passkey", "/login/enrol-passkey", "/login/passkey-alone", "/me/prove", "/me/security/key/confirm"} {
			switch path {
			case "/login/passkey-alone":
				keep(path, "passkey", post("/o/fabrikam/login/passkey", nil))
			case "/me/prove":
				jars["/me/prove/key"] = jars[path]
				keep(path, "proof", post("/me/prove/key", nil))
			case "/me/security/key/confirm":
				jars["/me/security/key"] = jars[path]
				post("/me/security/key", nil)
			}
			out := post(path, url.Values{"credential": {credential}, "name": {"key"}, "attempt": {attempts[path]}, "to": {"/me"}})
			if out.Code >= 500 || out.Code < 400 {
				t.Errorf("%s answers %d to %q", path, out.Code, credential)
			}
			keep(path, "attempt0", out)
		}
		if got := state(); got != was {
			t.Errorf("sessions and factors went from %v to %v by %q", was, got, credential)
		}
	})
}
