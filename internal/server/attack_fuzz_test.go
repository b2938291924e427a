package server_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/org"
	"doorward/internal/page"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/signin"
	"doorward/internal/sqldb"
)

// AT-143: the targets of this file give tampered input to whatever reads it. An ordinary test run takes the seeds and, for a second, what chance makes of
// them; `go test -fuzz` goes on from there. The readers of single texts have targets in their own packages (FuzzParseEmail, FuzzFoldSlug,
// FuzzCheckHash, FuzzLocalPath, FuzzDecode, FuzzCleanCode, FuzzParse, FuzzOpen), and FuzzPasskeyAnswer that of whole answers.

// chance is for how long an ordinary run of a target makes up input.
const chance = time.Second

// fuzz runs a target over its seeds and what chance makes of them.
func fuzz(f *testing.F, seeds []string, check func(t testing.TB, s string)) {
	f.Helper()
	for _, s := range seeds {
		f.Add(s)
	}
	if flag.Lookup("test.fuzz").Value.String() == "" {
		seed := uint64(time.Now().UnixNano())
		r := mathrand.New(mathrand.NewPCG(seed, 0))
		for end, n := time.Now().Add(chance), 0; time.Now().Before(end) && n < 20_000 && !f.Failed(); n++ {
			check(f, tampered(r, seeds))
		}
		if f.Failed() {
			f.Logf("made up from %d", seed)
		}
	}
	f.Fuzz(func(t *testing.T, s string) { check(t, s) })
}

// pieces are what readers stumble over.
var pieces = []string{"\x00", "\xff\xfe", "%00", "%", "..", "/../", "//", "\\", "\r\n", "\n", "\r\n\r\n", " ", "\t", "@", "$", "=", "==", ";", ",", "&", "-1", "0", "1e9", "9223372036854775808", "18446744073709551616",
	"{", "}", "[", "]", `"`, "'", "\\u0000", "null", "true", "é", "e\u0301", "ａ", "\u202e", "\u200b", "\u2028", "İ", "ß", "xn--", ".", "-", "_", "+", "<", ">", "{{", "dws_", "dwt_", "att_", "acc_", "__Host-",
	"\xa1\x01\x02", "\xbf", "\x9f", "\xff", "\x5a\xff\xff\xff\xff", "\x81\x81\x81\x81", "chunked", "HTTP/1.1", "Host: evil.test"}

// tampered returns one of the seeds with one to five changes.
func tampered(r *mathrand.Rand, seeds []string) string {
	s := []byte(seeds[r.IntN(len(seeds))])
	at := func() int { return r.IntN(len(s) + 1) }
	for range 1 + r.IntN(5) {
		i, j := at(), at()
		if i > j {
			i, j = j, i
		}
		switch r.IntN(8) {
		case 0:
			if i < len(s) {
				s[i] ^= 1 << r.IntN(8)
			}
		case 1:
			if i < len(s) {
				s[i] = byte(r.IntN(256))
			}
		case 2, 3:
			s = append(s[:i:i], append([]byte(pieces[r.IntN(len(pieces))]), s[i:]...)...)
		case 4:
			s = append(s[:i:i], s[min(j, i+16):]...)
		case 5:
			s = append(s[:j:j], s[i:]...)
		case 6:
			s = s[:i]
		case 7:
			other := seeds[r.IntN(len(seeds))]
			s = append(s[:i:i], other[r.IntN(len(other)+1):]...)
		}
		if len(s) > 1<<16 {
			s = s[:1<<16]
		}
	}
	return string(s)
}

// desk is a town whose handler is asked without a network in between.
type desk struct {
	*town
	public string
}

func newDesk(f *testing.F) desk {
	w := build(doortest.New(f, sqldb.SQLite, doortest.Options{}))
	return desk{w, w.Settings.PublicURL}
}

func (d desk) count(t testing.TB, query string) int {
	t.Helper()
	n, err := sqldb.One(d.DB.Read(context.Background()), sqldb.Value[int], query)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (d desk) exec(t testing.TB, query string) {
	t.Helper()
	if err := d.DB.Write(context.Background(), func(tx sqldb.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request with that Cookie header, a form with it when it is a POST.
func (d desk) ask(method, path, cookie string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, d.public+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", d.public)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if cookie != "" {
		r.Header["Cookie"] = []string{cookie}
	}
	out := httptest.NewRecorder()
	d.Handler.ServeHTTP(out, r)
	return out
}

func answerOf(out *httptest.ResponseRecorder) reply {
	return reply{out.Code, out.Result().Header, out.Body.String()}
}

// FuzzCookies: no cookie, whatever it is, is a failure of ours, or opens anything.
func FuzzCookies(f *testing.F) {
	d := newDesk(f)
	_, b := d.enrolled(d.Fabrikam, "bea@fabrikam.example", access.Core)
	half := identified(d.World, "fabrikam", "bea@fabrikam.example")
	own := held(b).Get("Cookie")
	d.exec(f, `update sessions set state = 'ended'`)
	seeds := []string{own, held(half.Browser).Get("Cookie"), "door-session=" + b.Cookie("session"), "door-attempt0=" + half.ID + ".x", "door-flash=WyJnb29kIiwibG9nb3V0LmRvbmUiXQ", "door-lang=de; door-theme=dark",
		"door-device=dwd_" + never[4:], "door-proof=" + half.Cookie("attempt0"), "door-passkey=" + half.Cookie("attempt0"), "a=b; a=c; =; ;", "$Version=1; door-session=\"x\""}
	fuzz(f, seeds, func(t testing.TB, s string) {
		for _, at := range []string{"GET /me", "GET /o/fabrikam/login", "GET /login/next", "POST /login/passkey-alone", "POST /me/prove"} {
			method, path, _ := strings.Cut(at, " ")
			r := answerOf(d.ask(method, path, s, url.Values{"credential": {"{}"}, "attempt": {half.ID}}))
			if r.Status >= 500 || sessionIn(r) || r.Page() == "me" {
				t.Errorf("%s with %q is answered %d %q", at, s, r.Status, r.Page())
			}
		}
	})
}

// FuzzAttemptKeys: a key reads as it is written, and one that was not given out opens nothing.
func FuzzAttemptKeys(f *testing.F) {
	d := newDesk(f)
	a := identified(d.World, "fabrikam", "bea@fabrikam.example")
	good := a.Cookie("attempt0")
	fuzz(f, []string{good, a.ID, a.ID + ".", "." + good, good + ".", strings.ToUpper(good), strings.Replace(good, "att_", "acc_", 1), "", "."}, func(t testing.TB, s string) {
		k, ok := signin.ParseKey(s)
		if !ok {
			return
		}
		if k.String() != s && k.Secret != "" {
			t.Errorf("%q reads as %q", s, k.String())
		}
		if _, err := d.Desk.View(context.Background(), k); s != good && !refusal.Is(err, refusal.Expired) {
			t.Errorf("%q opens a sign-in: %v", s, err)
		}
	})
}

// assert answers a fresh question of a sign-in by passkey alone with that client data and authenticator data, both signed by the right key.
func (d desk) assert(t testing.TB, k *softkey, client func(challenge string) []byte, data []byte) (reply, string) {
	t.Helper()
	asked := d.ask(http.MethodPost, "/o/fabrikam/login/passkey", "", nil)
	var q question
	if err := json.Unmarshal(asked.Body.Bytes(), &q); err != nil {
		t.Fatal(err)
	}
	said := client(q.Challenge)
	hash := sha256.Sum256(said)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	whole, err := json.Marshal(map[string]any{"id": raw64(k.id), "rawId": raw64(k.id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": raw64(said), "authenticatorData": raw64(data), "signature": raw64(signature), "userHandle": raw64(k.handle)}})
	if err != nil {
		t.Fatal(err)
	}
	r := answerOf(d.ask(http.MethodPost, "/login/passkey-alone", "door-passkey="+answerOf(asked).Cookie("passkey"), url.Values{"credential": {string(whole)}}))
	d.exec(t, `delete from throttles`)
	if r.Status >= 500 {
		t.Errorf("client data %q with %x is answered %d", said, data, r.Status)
	}
	return r, q.Challenge
}

func (k *softkey) authenticatorData() []byte {
	k.count++
	hash := sha256.Sum256([]byte(k.rp))
	return binary.BigEndian.AppendUint32(append(hash[:], present|verified), k.count)
}

// FuzzClientData: what a browser says of itself signs somebody in only when it says the right things, even with the right signature below it.
func FuzzClientData(f *testing.F) {
	d := newDesk(f)
	_, k, _ := d.keyed(d.Fabrikam, "bea@fabrikam.example", access.Core)
	const hole = "CHALLENGE"
	fuzz(f, []string{
		`{"type":"webauthn.get","challenge":"CHALLENGE","origin":"` + d.public + `","crossOrigin":false}`,
		`{"type":"webauthn.create","challenge":"CHALLENGE","origin":"` + d.public + `"}`,
		`{"type":"webauthn.get","challenge":"","origin":"https://evil.test"}`,
		`{"type":"webauthn.get","type":"webauthn.create","challenge":"CHALLENGE","challenge":"x","origin":"https://evil.test","origin":"` + d.public + `"}`,
		`{"TYPE":"webauthn.get","Challenge":"CHALLENGE","ORIGIN":"` + d.public + `","crossOrigin":true,"topOrigin":"https://evil.test"}`, `[]`, `null`, ``,
	}, func(t testing.TB, s string) {
		r, challenge := d.assert(t, k, func(challenge string) []byte { return []byte(strings.ReplaceAll(s, hole, challenge)) }, k.authenticatorData())
		if !sessionIn(r) {
			return
		}
		var said struct {
			Type, Challenge, Origin, TopOrigin string
			CrossOrigin                        bool
		}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(s, hole, challenge)), &said); err != nil || said.Type != "webauthn.get" ||
			strings.TrimRight(said.Challenge, "=") != challenge || !strings.EqualFold(said.Origin, d.public) || said.CrossOrigin {
			t.Errorf("%q signs in (%v)", s, err)
		}
	})
}

// FuzzAuthenticatorData: what an authenticator says signs somebody in only when it was asked for this host, and somebody was there and verified.
func FuzzAuthenticatorData(f *testing.F) {
	d := newDesk(f)
	_, k, _ := d.keyed(d.Fabrikam, "bea@fabrikam.example", access.Core)
	hash := sha256.Sum256([]byte(k.rp))
	data := func(flags byte, count uint32, more string) string {
		return string(binary.BigEndian.AppendUint32(append(hash[:len(hash):len(hash)], flags), count)) + more
	}
	fuzz(f, []string{data(present|verified, 1<<20, ""), data(present, 1<<20, ""), data(0xff, 1<<20, "\xa0"), data(present|verified|0x80, 1<<20, "\xa1\x61a\x01"),
		data(present|verified|attested, 1<<20, strings.Repeat("\x00", 55)), data(present|verified, 0, ""), "", string(hash[:])}, func(t testing.TB, s string) {
		k.t = t
		r, _ := d.assert(t, k, func(challenge string) []byte {
			return k.client(answer{Type: "webauthn.get", Challenge: challenge, Origin: d.public})
		}, []byte(s))
		if sessionIn(r) && (len(s) < 37 || s[:32] != string(hash[:]) || s[32]&(present|verified) != present|verified) {
			t.Errorf("%x signs in", s)
		}
	})
}

// FuzzAttestation: what an authenticator says of a new key makes one only as a whole; whatever it makes can be asked afterwards.
func FuzzAttestation(f *testing.F) {
	d := newDesk(f)
	p, b := d.enrolled(d.Fabrikam, "bea@fabrikam.example", access.Core)
	k := newKey(d.World)
	jar := held(b).Get("Cookie")
	var objects []string
	for _, c := range []change{nil, func(a *answer) { a.Flags = present | attested }, func(a *answer) { a.Format = "packed" }, func(a *answer) { a.More = []byte{0xa0} }, func(a *answer) { a.ID = []byte{1} },
		func(a *answer) { a.COSE = map[int]any{1: 3, 3: -257, -1: make([]byte, 256), -2: []byte{1, 0, 1}} }, func(a *answer) { a.COSE = map[int]any{1: 1, 3: -8, -1: 6, -2: make([]byte, 32)} }} {
		changes := []change{func(a *answer) {
			a.JSON = func(whole map[string]any) { objects = append(objects, within(whole)["attestationObject"].(string)) }
		}}
		if c != nil {
			changes = append(changes, c)
		}
		k.create(`{"challenge":"x","user":{"id":"eA"}}`, changes...)
	}
	seeds := []string{"", "\xa0", "\xbf"}
	for _, o := range objects {
		raw, err := unraw64(o)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, string(raw))
	}
	fuzz(f, seeds, func(t testing.TB, s string) {
		k.t = t
		asked := answerOf(d.ask(http.MethodPost, "/me/security/key", jar, nil))
		options := optionsIn(asked.Body)
		if options == "" {
			t.Fatalf("no question: %d %q", asked.Status, asked.Page())
		}
		r := answerOf(d.ask(http.MethodPost, "/me/security/key/confirm", jar, url.Values{"name": {"x"}, "credential": {k.create(options, func(a *answer) { a.Object = []byte(s) })}}))
		switch made := d.count(t, `select count(*) from factors where kind = 'passkey' and state = 'active'`); {
		case r.Status >= 500 || made > 1 || (made == 1) != (r.Status == http.StatusSeeOther):
			t.Errorf("%x is answered %d, %d keys", s, r.Status, made)
		case made == 1: // and asking for it is no failure of ours
			if out := d.ask(http.MethodPost, "/me/prove/key", jar, nil); out.Code != http.StatusOK {
				t.Errorf("after %x asking for the key answers %d", s, out.Code)
			}
			d.exec(t, `delete from factors where kind = 'passkey'`)
		}
		d.exec(t, `delete from throttles`)
	})
	if n := d.count(f, `select count(*) from factors where state = 'active' and kind = 'totp'`); n != 1 {
		f.Errorf("%s has %d apps", p.Email, n)
	}
}

// FuzzTexts: what is read from a text means the same when it is read again.
func FuzzTexts(f *testing.F) {
	hasher := secret.NewHasher(secret.Cost{Memory: 64, Time: 1, Threads: 1}, 1)
	phc, err := hasher.Hash(context.Background(), "x")
	if err != nil {
		f.Fatal(err)
	}
	never := refusal.New(refusal.Conflict, "never")
	fuzz(f, []string{"anna@bücher.example", "A.B+c@x.example", "x@xn--bcher-kva.example", "contoso", "a-b.c", "Ünïcode GmbH", phc, "$2b$10$" + strings.Repeat("a", 53), "$pbkdf2-sha256$29000$" + strings.Repeat("a", 22) + "$" + strings.Repeat("b", 43),
		"$scrypt$ln=10,r=8,p=1$" + strings.Repeat("a", 22) + "$" + strings.Repeat("b", 43), "m=19456,t=2,p=1", "123 456", "abcde-fghjk", "/o/contoso/users?x=1", "Europe/Berlin"}, func(t testing.TB, s string) {
		if e, fault := account.ParseEmail("email", s); fault == nil {
			again, fault := account.ParseEmail("email", e.Text)
			if fault != nil || again.Key != e.Key || strings.ContainsAny(e.Text+e.Key, "\r\n\x00") {
				t.Errorf("the address %q is %+v, and then %+v (%v)", s, e, again, fault)
			}
		}
		if slug, fault := org.FoldSlug(s); fault == nil {
			if again, fault := org.FoldSlug(slug); fault != nil || again != slug || url.PathEscape(slug) != slug {
				t.Errorf("the tenant domain %q is %q, and then %q", s, slug, again)
			}
		}
		if name, fault := org.CheckName(s); fault == nil {
			if again, fault := org.CheckName(name); fault != nil || again != name {
				t.Errorf("the name %q is %q, and then %q", s, name, again)
			}
		}
		if code, fault := factor.CleanCode(s); fault == nil && len(code) != 6 {
			t.Errorf("the code %q has %d digits", s, len(code))
		}
		if code, fault := factor.CleanRecovery(s); fault == nil {
			if again, fault := factor.CleanRecovery(string(code)); fault != nil || again != code {
				t.Errorf("a recovery code %q reads otherwise again", s)
			}
		}
		if to := page.LocalPath(s); to != "" && (to != s || to[0] != '/' || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n")) {
			t.Errorf("%q leads to %q", s, to)
		}
		if c, err := secret.ParseCost(s); err == nil {
			if again, err := secret.ParseCost(c.String()); err != nil || again != c {
				t.Errorf("the cost %q is %s, and then %s", s, c, again)
			}
		}
		if _, err := secret.CheckHash(s); err == nil { // whatever is taken can be compared, and is asked for before it is
			if _, _, err := hasher.Verify(context.Background(), "x", s, func() error { return never }); err != never {
				t.Errorf("the hash %q is taken but cannot be compared: %v", s, err)
			}
		}
		if key := account.FoldIdentifier(s); !strings.Contains(s, "@") && !strings.Contains(key, "@") && account.FoldIdentifier(key) != key { // what is no address is nobody's
			t.Errorf("the identifier %q folds to %q, and that to %q", s, key, account.FoldIdentifier(key))
		}
	})
}

// FuzzRequests: whatever the request, it is no failure of ours, on any route of either table.
func FuzzRequests(f *testing.F) {
	w := build(doortest.New(f, sqldb.SQLite, doortest.Options{}))
	d := desk{w, w.Settings.PublicURL}
	s := setUp(w)
	host := strings.TrimPrefix(d.public, "http://")
	var seeds []string
	for pattern, c := range s.calls {
		if pattern == "POST /logout" {
			continue
		}
		body := c.Fields.Encode()
		seeds = append(seeds, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", c.Path, host, d.public, c.Header.Get("Cookie"), len(body), body))
	}
	admin := s.calls["POST /me"].Header.Get("Cookie")
	fill := map[string]string{"slug": "fabrikam", "account": w.text(`select id from accounts where email_key = 'carl@fabrikam.example'`), "session": "x", "factor": "x", "device": "x", "token": never, "step": "totp"}
	for _, pattern := range w.patterns() {
		if method, path := split(pattern, fill); method == http.MethodGet {
			seeds = append(seeds, fmt.Sprintf("GET %s?lang=de&theme=dark&to=%%2Fme HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nAccept-Language: fr;q=0.5, de\r\nUser-Agent: Firefox\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", path, host, admin))
		}
	}
	n := 0
	fuzz(f, seeds, func(t testing.TB, s string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(s)))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.7:1"
		out := httptest.NewRecorder()
		d.Handler.ServeHTTP(out, r)
		if out.Code >= 500 {
			t.Errorf("%q is answered %d", s, out.Code)
		}
		if n++; n%500 == 0 {
			d.exec(t, `delete from throttles`)
		}
	})
}

func unraw64(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
