package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"doorward/internal/access"
	"doorward/internal/account"
)

// Whatever is sent to a form, on every POST route of both tables: the same page again with a message at the field, or a plain refusal;
// never a failure on our side, and nothing half-written (AT-138 in part, contract "Pages").
func TestBadInput(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		s := setUp(w)
		before := dump(w.World)
		s.eachPost(t, func(t *testing.T, c call) {
			post := func(what, body, kind string) reply {
				t.Helper()
				h := c.Header.Clone()
				h.Set("Content-Type", kind)
				r, err := transmit(w.World, http.MethodPost, c.Path, body, h)
				if err != nil {
					t.Fatal(err)
				}
				if r.Page() != "error" && r.Page() != c.Page || r.Status >= 500 {
					t.Errorf("%s: %d %q", what, r.Status, r.Page())
				}
				return r
			}
			const form = "application/x-www-form-urlencoded"
			want := func(what string, r reply, statuses ...int) {
				t.Helper()
				if !slices.Contains(statuses, r.Status) {
					t.Errorf("%s: %d %q %v, want %v", what, r.Status, r.Page(), r.Faults(), statuses)
				}
			}
			at := func(what, field string, r reply) {
				t.Helper()
				if r.Status != http.StatusUnprocessableEntity || r.Page() != c.Page || !told(r, field) {
					t.Errorf("%s: %d %q, errors at %v, want one at %s", what, r.Status, r.Page(), r.Faults(), field)
				}
				for _, v := range c.Fields[field] {
					if (strings.Contains(field, "password") || strings.Contains(field, "code")) && strings.Contains(r.Body, `"`+v+`"`) {
						t.Errorf("%s: a secret comes back", what)
					}
				}
			}
			some := c.Fields.Encode()
			switch c.Path {
			case "/logout": // reads nothing, and is never refused
				return
			}
			for _, field := range c.Required {
				less := clone(c.Fields)
				less.Del(field)
				at("without "+field, field, post("without "+field, less.Encode(), form))
				less.Set(field, "")
				at("with an empty "+field, field, post("with an empty "+field, less.Encode(), form))
				less.Del(field)
				at("with an array instead of "+field, field, post("an array", less.Encode()+"&"+field+"[]=x&"+field+"[]=y", form))
			}
			for field := range c.Fields {
				broken := clone(c.Fields)
				for what, v := range map[string]string{"invalid UTF-8": "%ff%fe", "a NUL": "a%00b", "half a character": "%c3", "surrogates": "%ed%a0%80"} {
					broken.Del(field)
					r := post(what, broken.Encode()+"&"+field+"="+v, form)
					want(what+" in "+field, r, http.StatusUnprocessableEntity, http.StatusBadRequest)
				}
				if !slices.Contains(c.Many, field) {
					twice := post("twice", some+"&"+field+"=x", form)
					want(field+" twice", twice, http.StatusUnprocessableEntity, http.StatusBadRequest)
				}
			}
			want("a stray field of bad text", post("a stray field", some+"&stray=%00", form), http.StatusUnprocessableEntity, http.StatusBadRequest)
			want("a bad name", post("a bad name", some+"&%ff=1", form), http.StatusUnprocessableEntity, http.StatusBadRequest)
			want("half an escape", post("half an escape", some+"&x=%", form), http.StatusUnprocessableEntity, http.StatusBadRequest)
			want("a semicolon", post("a semicolon", some+"&x=1;y=2", form), http.StatusUnprocessableEntity, http.StatusBadRequest)
			want("too many fields", post("too many fields", some+strings.Repeat("&x=1", 6000), form), http.StatusUnprocessableEntity, http.StatusBadRequest)
			want("a megabyte", post("a megabyte", some+"&x="+strings.Repeat("a", 1<<20), form), http.StatusRequestEntityTooLarge)
			want("JSON", post("JSON", `{"a":["b"]}`, "application/json"), http.StatusUnsupportedMediaType)
			want("plain text", post("plain text", some, "text/plain"), http.StatusUnsupportedMediaType)
			if broken := post("multipart", "--x\r\n\r\n--x--", "multipart/form-data; boundary=x"); c.File {
				want("a broken upload", broken, http.StatusUnprocessableEntity)
			} else {
				want("multipart", broken, http.StatusUnsupportedMediaType)
			}
			want("no such type", post("no such type", some, "//;;"), http.StatusUnsupportedMediaType)
			if some != "" {
				want("no type", post("no type", some, ""), http.StatusUnsupportedMediaType)
			}
			if c.Spends {
				before = dump(w.World)
			}
			if d := differing(before, dump(w.World)); d != nil {
				t.Fatalf("changed %v", d)
			}
		})
	})
}

// told tells whether a page says what is wrong with a field: beside it, or, where the page has no such field but buttons, at
// its top.
func told(r reply, field string) bool {
	return slices.Contains(r.Faults(), field) || slices.Contains([]string{"method", "kind", "credential"}, field) && strings.Contains(r.Body, `role="alert"`)
}

func clone(v url.Values) url.Values {
	c := url.Values{}
	for k, list := range v {
		c[k] = slices.Clone(list)
	}
	return c
}

// Values that are text but no good are told at their field, and change nothing.
func TestBadValues(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		s := setUp(w)
		long := strings.Repeat("x", 5000)
		before := dump(w.World)
		for pattern, fields := range map[string]map[string][]string{
			"POST /o/{slug}/login":        {"identifier": {long}},
			"POST /login":                 {"identifier": {long, " "}},
			"POST /login/organisations":   {"identifier": {long, " ", "bea", "a@b", "a@b.example,c@d.example", "a@b.example<evil@x.example>"}},
			"POST /o/{slug}/forgot":       {"identifier": {long}},
			"POST /activate/{token}":      {"new_password": {"short", "password", "12345678", strings.Repeat("ab", 150), long, "fabrikam", "new@fabrikam.example"}, "confirm_password": {"another passphrase 12", "A NEW PASSPHRASE 11", " a new passphrase 11"}},
			"POST /reset/{token}":         {"new_password": {"short", "qwertyuiop", long}, "confirm_password": {"", "another passphrase 12"}},
			"POST /login/totp":            {"code": {"12345", "1234567", "abcdef", "12 34 5", long, "１２３"}},
			"POST /login/mail-code":       {"code": {"12345", "x"}},
			"POST /login/enrol":           {"method": {"", "sms", "passkey ", "TOTP", long}},
			"POST /login/password":        {"password": {strings.Repeat("x", 4097)}},
			"POST /o/{slug}/users/invite": {"emails": {"x", "@", "a@", "@b.example", ",", "x@y", long + "@x.example"}, "roles": {"root", "support", "Administrator", "core "}, "language": {"xx", "de-DE-x"}},
			"POST /o/{slug}/orgs/new": {"slug": {"Ümlaut", "a b", "-a", "a-", "a..b", "admin", "login", "xn--a", "fabrikam", "FABRIKAM", long, "a/b", "a%2fb", "."}, "name": {" ", long, "a\u202eb", "a\u0007b"}, "kind": {"msp", "provider", "x"}, "language": {"xx"}, "time_zone": {"Mars/Olympus", "../../etc/passwd", long},
				"country": {"XX", "Germany", "D", long}, "tags": {strings.Repeat("x", 41), "a\u202eb"}, "seat_limit": {"x", "-1", "+5", "1.5", "99999999", long}, "admin": {"x", "@", "a@", "a@b.example, c@b.example", long + "@x.example"}},
			"POST /o/{slug}/settings/branding":             {"accent": {"red", "#fff", "#ffff00", "#2e5bd9;", "#２e5bd9", long}},
			"POST /me":                                     {"name": {long, "a\u202eb"}, "username": {"a", "a@b", "a b", "ümlaut", long, "ａbc"}, "language": {"xx"}, "time_zone": {"Mars/Olympus", "/etc/passwd"}},
			"POST /me/security/password":                   {"new_password": {"short", "password", long}, "confirm_password": {"another passphrase 12"}, "password": {strings.Repeat("x", 4097)}},
			"POST /me/security/app/confirm":                {"code": {"12345", "abcdef"}, "name": {strings.Repeat("x", 61)}},
			"POST /me/prove":                               {"proof_code": {"12345", "abcdef"}},
			"POST /o/{slug}/users/{account}/roles":         {"roles": {"root", "support", "core "}},
			"POST /o/{slug}/users/{account}/reset-factors": {"reason": {strings.Repeat("x", 301)}},
		} {
			c := s.calls[pattern]
			for field, values := range fields {
				for _, v := range values {
					f := clone(c.Fields)
					f.Set(field, v)
					r := send(w.World, http.MethodPost, c.Path, f, c.Header)
					if r.Status != http.StatusUnprocessableEntity || r.Page() != c.Page || !told(r, field) {
						t.Errorf("%s with %s %.40q: %d %q, errors at %v", pattern, field, v, r.Status, r.Page(), r.Faults())
					}
				}
			}
		}
		if d := differing(before, dump(w.World)); d != nil {
			t.Errorf("changed %v", d)
		}
	})
}

// Addresses at an invitation: what is one person's address is one account, what is not is refused or another account, and never merged.
func TestInvitedAddresses(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		invite := func(typed string) reply {
			return send(w.World, http.MethodPost, "/o/fabrikam/users/invite", url.Values{"emails": {typed}, "roles": {"core"}}, held(b))
		}
		keys := func() string {
			return strings.Join(column(w, `select email_key from accounts where org_id = $1 order by email_key`, w.Fabrikam.ID), " ")
		}
		for _, c := range []struct {
			typed string
			key   string // of the account that it makes; empty: none
		}{
			{"carl@fabrikam.example", "carl@fabrikam.example"},
			{"CARL@Fabrikam.Example", ""}, {" carl@fabrikam.example\t", ""}, {"carl@ＦABRIKAM.example", ""}, // the same address
			{"carl+news@fabrikam.example", "carl+news@fabrikam.example"}, {"c.arl@fabrikam.example", "c.arl@fabrikam.example"},
			{"o'neil@fabrikam.example", "o'neil@fabrikam.example"}, {"a_b-c%d@fabrikam.example", "a_b-c%d@fabrikam.example"},
			{"anna@bücher.example", "anna@xn--bcher-kva.example"}, {"ANNA@BÜCHER.EXAMPLE", ""}, {"anna@xn--bcher-kva.example", ""}, {"anna@bu\u0308cher.example", ""},
			{"cаrl@fabrikam.example", ""}, {"carl@fаbrikam.example", "carl@xn--fbrikam-2fg.example"}, // Cyrillic а: refused, and another domain
			{"ｃarl@fabrikam.example", ""}, {"carl\u200b@fabrikam.example", ""}, {"ſam@fabrikam.example", ""}, {"\u212aim@fabrikam.example", ""}, {"carl@fabri\u200bkam.example", ""}, {"carl@fabrikam.example\u202e", ""},
			{`"carl"@fabrikam.example`, ""}, {`"a@b"@fabrikam.example`, ""}, {"Carl <carl2@fabrikam.example>", ""}, {"carl(x)@fabrikam.example", ""}, {"=?utf-8?q?carl?=@fabrikam.example", "=?utf-8?q?carl?=@fabrikam.example"},
			{"carl@fabrikam.example@evil.example", ""}, {"carl@evil.example@fabrikam.example", ""}, {"carl@[127.0.0.1]", ""}, {"carl@127.0.0.1", "carl@127.0.0.1"}, {"carl@localhost", ""}, {"carl@fabrikam.example.", ""},
			{".carl@fabrikam.example", ""}, {"carl.@fabrikam.example", ""}, {"ca..rl@fabrikam.example", ""}, {"carl@fabrikam..example", ""}, {"carl@-fabrikam.example", ""}, {"carl@fabri_kam.example", ""}, {"@", ""}, {"carl", ""},
			{strings.Repeat("a", 65) + "@fabrikam.example", ""}, {"a@" + strings.Repeat("a", 64) + ".example", ""}, {"a@" + strings.Repeat("a.", 130) + "example", ""},
		} {
			was := keys()
			r := invite(c.typed)
			now := keys()
			if c.key == "" {
				if r.Status != http.StatusUnprocessableEntity || !slices.Contains(r.Faults(), "emails") || now != was {
					t.Errorf("%q: %d, errors at %v, accounts %s", c.typed, r.Status, r.Faults(), now)
				}
				continue
			}
			if r.Status != http.StatusSeeOther || !slices.Contains(strings.Fields(now), c.key) || strings.Count(now, " ") != strings.Count(was, " ")+1 {
				t.Errorf("%q: %d, errors at %v, want %q among %s", c.typed, r.Status, r.Faults(), c.key, now)
			}
		}
		// Several at once, however they are separated; who is there already, and twice in one list, is told and left alone.
		r := invite("d1@fabrikam.example, d2@fabrikam.example;d3@fabrikam.example\r\nd4@fabrikam.example  D1@FABRIKAM.example\tcarl@fabrikam.example <d5@fabrikam.example>")
		if r.Status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "d4@fabrikam.example") {
			t.Errorf("a list: %d", r.Status)
		}
		for i, there := range []bool{true, true, true, true, false} {
			if n := w.Count(`select count(*) from accounts where email_key = $1`, fmt.Sprintf("d%d@fabrikam.example", i+1)); n != map[bool]int{true: 1, false: 0}[there] {
				t.Errorf("address %d of a list made %d accounts", i+1, n)
			}
		}
		// A line break is a separator, never part of a mail's head.
		r = invite("e1@fabrikam.example\r\nBcc: evil@x.example")
		if r.Status != http.StatusUnprocessableEntity || w.Count(`select count(*) from accounts where email_key = 'evil@x.example'`) != 1 {
			t.Errorf("two lines: %d", r.Status)
		}
		settle(w.World)
		for _, m := range w.Mailbox.All("") {
			if head, _, _ := strings.Cut(m.Raw, "\r\n\r\n"); strings.Contains(strings.ToLower(head), "bcc:") || strings.Count(head, "\r\nTo: ") != 1 {
				t.Errorf("a mail's head:\n%s", head)
			}
		}
		var many []string
		for i := range account.MostInvited + 1 {
			many = append(many, fmt.Sprintf("m%d@fabrikam.example", i))
		}
		was := keys()
		if r := invite(strings.Join(many, "\n")); r.Status != http.StatusUnprocessableEntity || keys() != was {
			t.Errorf("more than may be invited at once: %d", r.Status)
		}
	})
}

// column returns the texts that a query gives.
func column(w *town, query string, args ...any) []string {
	w.T.Helper()
	list, err := texts(w.World, query, args...)
	if err != nil {
		w.T.Fatal(err)
	}
	return list
}

// A password is what was typed, to its last character (AT-29).
func TestPasswordsAreTakenWhole(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		base := "correct horse battery staple and so on, well past the seventy-second byte of bcrypt"
		for i, c := range []struct{ chosen, same, other string }{
			{base + " 1", base + " 1", base + " 2"},
			{"  spaces around it 77  ", "  spaces around it 77  ", "spaces around it 77"},
			{"Übergrößenträger 99", "U\u0308bergro\u0308ßentra\u0308ger 99", "Ubergroßentrager 99"},
			{"🐎🔋 horse battery 🧷", "🐎🔋 horse battery 🧷", "🐎🔋 horse battery 📎"},
			{strings.Repeat("abcdefgh1 ", 25) + "xyzxyz", strings.Repeat("abcdefgh1 ", 25) + "xyzxyz", strings.Repeat("abcdefgh1 ", 25) + "xyzxyy"},
			{"Case Matters Here 5", "Case Matters Here 5", "case matters here 5"},
		} {
			p, link := w.Invite(w.Fabrikam, fmt.Sprintf("p%d@fabrikam.example", i), access.Core)
			if r := send(w.World, http.MethodPost, link, choose(c.chosen), nil); r.Status != http.StatusSeeOther {
				t.Errorf("%.40q is refused: %d %v", c.chosen, r.Status, r.Faults())
				continue
			}
			if w.signsIn(p, c.other) || !w.signsIn(p, c.same) {
				t.Errorf("%.40q: compared otherwise than it was typed", c.chosen)
			}
		}
		hashes := w.Hasher.Count()
		a := identified(w.World, "fabrikam", "p0@fabrikam.example")
		if r := a.post("password", "password", strings.Repeat("x", 5000)); r.Status != http.StatusUnprocessableEntity || w.Hasher.Count() != hashes {
			t.Errorf("five kilobytes: %d, hashed %d times", r.Status, w.Hasher.Count()-hashes)
		}
	})
}
