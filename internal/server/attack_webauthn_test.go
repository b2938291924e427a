package server_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/doortest"
)

// AT-52: what opens the way to a new second factor is one person's, once, for a while: who had it sent never sees it, a set-up mail's link leads to no
// other account's enrolment, and neither a sign-in of another organisation nor another person's takes a temporary code.
func TestEnrolmentIsOnePersons(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		all := nodes(t, w.World)
		_, msp := w.enrolled(w.Contoso, "ada@contoso.example", access.Administrator)
		_, admin := w.enrolled(w.Fabrikam, "ann@fabrikam.example", access.Administrator)
		bea := w.Enrol(w.Fabrikam, "bea@fabrikam.example", access.Core)
		namesake := w.Enrol(w.Tailspin, "bea@fabrikam.example", access.Core)
		carl := w.Enrol(w.Fabrikam, "carl@fabrikam.example", access.Core)
		user := "/o/fabrikam/users/" + string(bea.Account)

		// The MSP's administrator has it sent, and looks everywhere.
		var seen []string
		look := func(b *doortest.Browser, method, at string, form url.Values) {
			t.Helper()
			r := send(w.World, method, at, form, held(b))
			if r.Status >= 500 {
				t.Errorf("%s %s: %d", method, at, r.Status)
			}
			for _, values := range r.Head {
				seen = append(seen, values...)
			}
			seen = append(seen, r.Body)
		}
		var links []string
		for i, b := range []*doortest.Browser{msp, admin} {
			look(b, http.MethodPost, user+"/setup", nil)
			links = append(links, w.Mailbox.Wait(bea.Email, "setup", i+1).Link("/setup/"))
			for _, at := range []string{user, "/o/fabrikam/users", "/o/fabrikam/", "/o/contoso/", user + "/setup", user + "/access-code"} {
				look(b, http.MethodGet, at, nil)
			}
		}
		settle(w.World)
		for _, l := range links {
			for _, s := range seen {
				if strings.Contains(s, string(tokenOf(l))[4:]) {
					t.Error("who had a set-up mail sent is shown its link")
				}
			}
			w.nowhere(string(tokenOf(l)))
		}

		// It is good for its own account alone, whatever the form says of others; once; and the older one not at all.
		other := url.Values{"account": {string(carl.Account)}, "org": {string(w.Tailspin.ID)}, "_account": {string(carl.Account)}, "_org": {string(w.Tailspin.ID)},
			"identifier": {carl.Email}, "email": {carl.Email}}
		for k, v := range choose("another fine passphrase 9") {
			other[k] = v
		}
		if r := send(w.World, http.MethodPost, path(w, links[0]), other, nil); r.Status != http.StatusGone {
			t.Errorf("the older link is answered %d", r.Status)
		}
		r := send(all[len(all)-1], http.MethodPost, path(w, links[1]), other, nil)
		if r.Status != http.StatusSeeOther || sessionIn(r) {
			t.Errorf("the link is answered %d", r.Status)
		}
		holder := with("Cookie", "door-attempt0="+r.Cookie("attempt0"))
		if page := send(w.World, http.MethodGet, r.Location(), nil, holder); page.Page() != "login.totp" {
			t.Errorf("who has a second factor is led to %q", page.Page())
		}
		for _, who := range []*doortest.Person{carl, namesake} {
			if !w.signsIn(who, doortest.Password) || w.signsIn(who, "another fine passphrase 9") {
				t.Errorf("%s has another password now", who.Email)
			}
			w.calm()
		}
		if !w.signsIn(bea, "another fine passphrase 9") {
			t.Error("its own account has not the password that it set")
		}
		for _, node := range all {
			if r := send(node, http.MethodPost, path(w, links[1]), choose("a thief's passphrase 1"), nil); r.Status != http.StatusGone {
				t.Errorf("used again it is answered %d", r.Status)
			}
		}
		late := path(w, w.setupLink(carl, 1))
		w.Clock.Move(48 * time.Hour)
		if r := send(w.World, http.MethodPost, late, choose("a thief's passphrase 1"), nil); r.Status != http.StatusGone {
			t.Errorf("after its time it is answered %d", r.Status)
		}

		// A temporary code of the namesake, of carl, and one that was used.
		w.calm()
		code := func(p *doortest.Person) string {
			t.Helper()
			c, err := w.Directory.IssueAccessCode(t.Context(), doortest.Operator(), p.Org.ID, p.Account, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return c.Code
		}
		own, theirs, elsewhere := code(carl), code(bea), code(namesake)
		a := coded(carl, "access-code")
		for whose, c := range map[string]string{"another person's": theirs, "the namesake's": elsewhere} {
			if r := a.post("access-code", "code", c); !atCode(r) {
				t.Errorf("%s temporary code is answered %d", whose, r.Status)
			}
		}
		a.Submit("code", own).Want("login.enrol")
		if r := coded(namesake, "access-code").post("access-code", "code", own); sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Errorf("a used one elsewhere is answered %d", r.Status)
		}
		// What it opened enrols for carl, whoever the form names; and nobody else's sign-in goes on with it.
		r = send(w.World, http.MethodPost, "/login/enrol", a.form("method", "passkey", "account", string(bea.Account)), held(a.Browser))
		if r.Status != http.StatusSeeOther {
			t.Fatalf("the choice is answered %d", r.Status)
		}
		holder = with("Cookie", "door-attempt0="+r.Cookie("attempt0"))
		options := optionsIn(send(w.World, http.MethodGet, r.Location(), nil, holder).Body)
		k := newKey(w.World)
		made := k.create(options)
		b := halfIn(namesake)
		if r := b.post("enrol-passkey", "credential", made); sessionIn(r) || r.Cookie("attempt0") != "" {
			t.Errorf("another's sign-in takes the new key: %d", r.Status)
		}
		if r := send(w.World, http.MethodPost, "/login/enrol-passkey", a.form("credential", made, "name", "key", "account", string(bea.Account)), holder); r.Status != http.StatusSeeOther {
			t.Errorf("the new key is answered %d", r.Status)
		}
		if owner := w.text(`select account_id from factors where lookup = $1`, raw64(k.id)); owner != string(carl.Account) {
			t.Errorf("the new key is %s's", owner)
		}
	})
}

// AT-141 as far as it applies: keys that would cost much to compute with are refused when they are registered, or cost nothing to speak of.
func TestMonstrousKeys(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		_, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Core)
		for name, cose := range map[string]map[int]any{
			"RSA of a hundred thousand bits": {1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 12_500), -2: []byte{1, 0, 1}},
			"RSA of sixteen thousand bits":   {1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 2049), -2: []byte{1, 0, 1}},
			"RSA with a vast exponent":       {1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 256), -2: bytes.Repeat([]byte{0xff}, 256)},
			"RSA with an exponent of one":    {1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 256), -2: []byte{1}},
			"RSA with an even exponent":      {1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 256), -2: []byte{2}},
			"RSA without an exponent":        {1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 256), -2: []byte{}},
			"RSA with an even modulus":       {1: 3, 3: -257, -1: append(bytes.Repeat([]byte{0xff}, 255), 0xfe), -2: []byte{1, 0, 1}},
			"a point far too long":           {1: 2, 3: -7, -1: 1, -2: bytes.Repeat([]byte{1}, 10_000), -3: bytes.Repeat([]byte{1}, 10_000)},
			"Ed25519 of no bytes":            {1: 1, 3: -8, -1: 6, -2: []byte{}},
			"Ed25519 far too long":           {1: 1, 3: -8, -1: 6, -2: bytes.Repeat([]byte{1}, 10_000)},
		} {
			k := newKey(w.World)
			b.Post("/me/security/key", nil).Want("me.security.key")
			r := send(w.World, http.MethodPost, "/me/security/key/confirm", url.Values{"name": {"x"}, "credential": {k.create(optionsIn(b.Body), func(a *answer) { a.COSE = cose })}}, held(b))
			if r.Status != http.StatusUnprocessableEntity {
				t.Errorf("%s is answered %d %q", name, r.Status, r.Page())
			}
			w.calm()
		}
		if n := w.Count(`select count(*) from factors where kind = 'passkey' and state = 'active'`); n != 0 {
			t.Errorf("%d keys were made", n)
		}
	})
}
