package server_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"doorward/internal/access"
	"doorward/internal/account"
	"doorward/internal/doortest"
	"doorward/internal/factor"
	"doorward/internal/org"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// steals imports a list of stolen passwords as a command beside the running server does.
func steals(t *testing.T, w *town, list string) {
	t.Helper()
	n, err := command(t, w.World).ImportPasswords(t.Context(), doortest.Operator(), strings.NewReader(list), nil)
	if err != nil || n != int64(strings.Count(list, "\n")) {
		t.Fatalf("imported %d, %v", n, err)
	}
}

// remembered returns the hashes that are kept of someone's passwords, the present one first.
func remembered(w *town, p *doortest.Person) []string {
	w.T.Helper()
	list, err := factor.Remembered(w.DB.Read(w.T.Context()), p.Account, 100)
	if err != nil || len(list) == 0 {
		w.T.Fatalf("%d hashes, %v", len(list), err)
	}
	return list
}

// speaks lets someone, and what is mailed and shown to them, be in a language.
func (w *town) speaks(p *doortest.Person, language string) {
	w.T.Helper()
	w.Exec(`update accounts set language = $1 where id = $2`, language, p.Account)
}

// A stolen password is refused wherever a new one is chosen, in the person's language; the running server notices a list that is imported,
// replaced or taken away.
func TestStolenPasswords(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		const stolen, fine = "correct horse battery 11", "another fine passphrase 9"
		w.Exec(`update seats set seat_limit = null`)
		w.Activate(w.Fabrikam, "early@fabrikam.example", access.Core) // before there is a list
		steals(t, w, "hunter2\n"+stolen+"\n")
		for language, text := range map[string]string{
			"en": "This password is on a list of stolen passwords. Choose another one,",
			"de": "Dieses Passwort steht auf einer Liste gestohlener Passwörter. Wählen Sie ein anderes,",
			"fr": "Ce mot de passe figure sur une liste de mots de passe volés. Choisissez-en un autre,",
		} {
			refused := func(b *doortest.Browser, page string) {
				t.Helper()
				b.Want(page).WantStatus(http.StatusUnprocessableEntity)
				if got := b.FieldError("new_password"); !strings.Contains(got, text) || b.FieldError("confirm_password") != "" || b.Lang() != language {
					t.Errorf("%s in %s (%s): %q at the field", page, language, b.Lang(), got)
				}
				if strings.Contains(b.Body, stolen) {
					t.Errorf("%s repeats the password", page)
				}
			}
			p, path := w.Invite(w.Fabrikam, language+"@fabrikam.example", access.Core)
			w.speaks(p, language)
			b := w.Browser()
			b.Header.Set("Accept-Language", language)
			hashes := w.Hasher.Count()
			refused(b.Get(path).Want("activate").Submit("new_password", stolen, "confirm_password", stolen), "activate")
			if w.Hasher.Count() != hashes {
				t.Error("a refused password was hashed")
			}
			b.Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("activate.done")

			reset := w.resetLink(p, 1)
			refused(b.Get(reset).Want("reset").Submit("new_password", stolen, "confirm_password", stolen), "reset")
			b.Submit("new_password", doortest.Password, "confirm_password", doortest.Password).Want("login.identifier")

			b.SignInFirst(p)
			b.Get("/me/security").Submit("password", doortest.Password, "new_password", stolen, "confirm_password", stolen)
			refused(b, "me.security")
			b.Submit("password", doortest.Password, "new_password", fine, "confirm_password", fine).Want("me.security")
			if !w.signsIn(p, fine) || w.signsIn(p, stolen) {
				t.Errorf("%s: the password is not the one that was taken", language)
			}
		}

		// Who has a password that was stolen since keeps it: a list says nothing about who signs in.
		q := w.Activate(w.Fabrikam, "late@fabrikam.example", access.Core)
		steals(t, w, doortest.Password+"\n")
		if !w.signsIn(q, doortest.Password) {
			t.Error("the list keeps someone out")
		}
		// The new list counts at once, and the old one no longer.
		_, path := w.Invite(w.Fabrikam, "x@fabrikam.example", access.Core)
		b := w.Browser()
		b.Get(path).Submit("new_password", doortest.Password, "confirm_password", doortest.Password).WantStatus(http.StatusUnprocessableEntity)
		b.Submit("new_password", stolen, "confirm_password", stolen).Want("activate.done")
		if n := w.Events(w.Provider.ID, "passwords.imported"); n != 2 {
			t.Errorf("%d events in the provider's log, want 2", n)
		}

		// A list that cannot be read lets nobody past: the log says why.
		if err := os.WriteFile(w.Settings.PasswordsPath(), []byte("not ours"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, path = w.Invite(w.Fabrikam, "y@fabrikam.example", access.Core)
		b.Get(path).Submit("new_password", fine, "confirm_password", fine).Want("error").WantStatus(http.StatusInternalServerError)
		if !strings.Contains(w.Logs.String(), "is not a list of stolen passwords") || strings.Contains(w.Logs.String(), fine) {
			t.Error("the log does not say what is wrong with the list")
		}
		if err := os.Remove(w.Settings.PasswordsPath()); err != nil {
			t.Fatal(err)
		}
		b.Get(path).Submit("new_password", fine, "confirm_password", fine).Want("activate.done")
	})
}

// The list is the operator's, and is not made without its event.
func TestImportPasswordsIsTheOperators(t *testing.T) {
	w := doortest.New(t, sqldb.SQLite, doortest.Options{})
	if _, err := w.ImportPasswords(t.Context(), doortest.Operator(), strings.NewReader("hunter2\n"), nil); err == nil || !strings.Contains(err.Error(), "doorward init") {
		t.Errorf("before there is a provider: %v", err)
	}
	f, _ := w.Found()
	someone := access.Actor{Kind: access.AccountActor, Account: f.Account.ID, Org: f.Org.ID}
	if _, err := w.ImportPasswords(t.Context(), someone, strings.NewReader("hunter2\n"), nil); !refusal.Is(err, refusal.Forbidden) {
		t.Errorf("by an account: %v", err)
	}
	w.Exec(`alter table events rename to events_away`)
	if _, err := w.ImportPasswords(t.Context(), doortest.Operator(), strings.NewReader("hunter2\n"), nil); err == nil {
		t.Error("imported without an event")
	}
	w.Exec(`alter table events_away rename to events`)
	if _, there, err := w.Breached.Entries(); there || err != nil {
		t.Errorf("there is a list all the same: %v", err)
	}
}

// The organisation's rule on the return of passwords holds where one is chosen by link and where it is changed.
func TestPasswordHistory(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		const first, second, third, fourth = doortest.Password, "another fine passphrase 2", "another fine passphrase 3", "another fine passphrase 4"
		remembers := func(settings string) {
			w.Exec(`update orgs set settings = $1 where id = $2`, settings, w.Fabrikam.ID)
		}
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		change := func(from, to string) *doortest.Browser {
			t.Helper()
			return b.Get("/me/security").Submit("password", from, "new_password", to, "confirm_password", to)
		}
		wants := func(refused bool) {
			t.Helper()
			status, text := http.StatusOK, ""
			if refused {
				status, text = http.StatusUnprocessableEntity, "You had this password before."
			}
			if got := b.FieldError("new_password"); b.Status != status || text == "" && got != "" || !strings.Contains(got, text) {
				t.Errorf("status %d, %q at the field; want %d, %q", b.Status, got, status, text)
			}
		}
		change(first, first) // no rule
		wants(false)
		remembers(`{"password_history":3}`)
		change(first, first)
		wants(true)
		change(first, second)
		wants(false)
		change(second, first)
		wants(true)
		change(second, third)
		wants(false)
		change(third, first)
		wants(true)

		// By link too, which stays good for another try.
		hashes := w.Hasher.Count()
		b.Get(w.resetLink(p, 1)).Submit("new_password", second, "confirm_password", second).Want("reset")
		wants(true)
		if n := w.Hasher.Count() - hashes; n > 3 {
			t.Errorf("%d computations for three remembered passwords", n)
		}
		b.Submit("new_password", fourth, "confirm_password", fourth).Want("login.identifier")
		b.Submit("identifier", p.Email).Submit("password", fourth).Submit("code", p.Code()).Want("dashboard")
		change(fourth, second)
		wants(true)
		change(fourth, first) // the fourth last by now
		wants(false)
		if n := len(remembered(w, p)); n != 3 {
			t.Errorf("%d hashes are kept, want 3", n)
		}

		// Rules beyond the bounds are cut, and without one nothing is kept.
		remembers(`{"password_history":1000}`)
		if o, err := org.Find(w.DB.Read(t.Context()), w.Fabrikam.ID); err != nil || o.Rules.History != 24 {
			t.Errorf("a rule of 1000 counts as %d, %v", o.Rules.History, err)
		}
		remembers(`{"password_history":-1}`)
		change(first, second)
		wants(false)
		if n := len(remembered(w, p)); n != 1 {
			t.Errorf("%d hashes are kept without a rule, want 1", n)
		}
	})
}

// A hash that was made with other parameters is replaced at the next sign-in: one computation to compare, one for the new hash, and from
// then on one.
func TestRehash(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update orgs set settings = '{"password_history":2}' where id = $1`, w.Fabrikam.ID)
		p, b := w.enrolled(w.Fabrikam, "bea@fabrikam.example", access.Administrator)
		b.Get("/me/security").Submit("password", doortest.Password, "new_password", "another fine passphrase 2", "confirm_password", "another fine passphrase 2").WantStatus(http.StatusOK)
		before := remembered(w, p)
		s := w.Settings
		s.Argon2 = "m=128,t=2,p=1"
		dearer := doortest.Open(t, s, w.Clock)
		for _, row := range []struct {
			password string
			computed int64
			prefix   string
		}{{"a wrong passphrase 1", 1, "$argon2id$v=19$m=64,t=1,p=1$"}, {"another fine passphrase 2", 2, "$argon2id$v=19$m=128,t=2,p=1$"}, {"another fine passphrase 2", 1, "$argon2id$v=19$m=128,t=2,p=1$"}} {
			hashes := dearer.Hasher.Count()
			identified(dearer, "fabrikam", p.Email).post("password", "password", row.password)
			after := remembered(w, p)
			if n := dearer.Hasher.Count() - hashes; n != row.computed || !strings.HasPrefix(after[0], row.prefix) || after[1] != before[1] {
				t.Errorf("%d computations and %s, want %d and %s; before it %s, want %s", n, after[0], row.computed, row.prefix, after[1], before[1])
			}
		}
	})
}

// An imported hash opens the door once; a code is mailed before a second factor is enrolled; then the hash is ours.
func TestImportedHash(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		w.Exec(`update seats set seat_limit = null`)
		for kind, hash := range map[string]string{
			"bcrypt":        "$2y$05$abcdefghijklmnopqrstuuiVf/RhxUFwkJUbjgVX/sq2bSS9d7fBa",
			"pbkdf2-sha256": "$pbkdf2-sha256$1000$8PHy8/T19vf4.fr7/P3./w$xMobaslgfpDQt8SOgvWMJfMLSVJgQsjJl3GOFNHJFx4",
			"pbkdf2-sha512": "$pbkdf2-sha512$i=1000,l=64$8PHy8/T19vf4+fr7/P3+/w$U930FdTp6rQ11GrPmjzS2Y5hD6q1rJ1WnSCVhIDbd48L79EgP1wdbw4FP3bI9MdCyYrQ53JTN0CuSfAMl2tleA",
			"scrypt":        "$scrypt$ln=10,r=8,p=1$8PHy8/T19vf4+fr7/P3+/w$BDJ7WanEywjdGf8pUnEFtPDFlVL0Y410xq9/5v74ubk",
		} {
			email := kind + "@fabrikam.example"
			got, err := w.Directory.Import(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.Import{Email: email, Roles: []string{access.Core}, Hash: hash})
			if err != nil {
				t.Fatal(err)
			}
			p := &doortest.Person{World: w.World, Account: got.Account, Org: w.Fabrikam, Email: email}
			hashes := w.Hasher.Count()
			if w.signsIn(p, "correct horse battery 8") || w.Hasher.Count() != hashes+1 || remembered(w, p)[0] != hash {
				t.Errorf("%s: a wrong password costs %d, and the hash is %s", kind, w.Hasher.Count()-hashes, remembered(w, p)[0])
			}
			hashes = w.Hasher.Count()
			b := w.Browser()
			b.Password(p).Want("login.mail-code")
			if n := w.Hasher.Count() - hashes; n != 2 || !strings.HasPrefix(remembered(w, p)[0], "$argon2id$v=19$m=64,t=1,p=1$") {
				t.Errorf("%s: %d computations, and the hash is %s", kind, n, remembered(w, p)[0])
			}
			b.Submit("code", w.Mailbox.Wait(email, "mail-code", 1).Code()).Want("login.enrol")
			hashes = w.Hasher.Count()
			if !w.signsIn(p, doortest.Password) || w.signsIn(p, "correct horse battery 8") || w.Hasher.Count() != hashes+2 {
				t.Errorf("%s: the new hash is not of the same password", kind)
			}
		}
	})
}

// A hash that would cost too much is never computed, neither at the import nor when it is in the database all the same.
func TestAbsurdCostIsNeverComputed(t *testing.T) {
	eachTown(t, func(t *testing.T, w *town) {
		p := w.Activate(w.Fabrikam, "bea@fabrikam.example", access.Core)
		hashes := w.Hasher.Count()
		const rest = "$8PHy8/T19vf4+fr7/P3+/w$xMobaslgfpDQt8SOgvWMJfMLSVJgQsjJl3GOFNHJFx4"
		for i, hash := range []string{"$argon2id$v=19$m=4194304,t=1,p=1" + rest, "$argon2i$v=19$m=64,t=100000,p=1" + rest, "$pbkdf2-sha256$i=2000000000" + rest,
			"$scrypt$ln=30,r=8,p=1" + rest, "$2b$31$abcdefghijklmnopqrstuuiVf/RhxUFwkJUbjgVX/sq2bSS9d7fBa"} {
			if _, err := w.Directory.Import(t.Context(), doortest.Operator(), w.Fabrikam.ID, account.Import{Email: "x@fabrikam.example", Hash: hash}); err == nil || refusal.As(err) != nil {
				t.Errorf("%s is imported: %v", hash, err)
			}
			w.Exec(`update factors set data = $1 where account_id = $2 and kind = 'password'`, `{"phc":"`+hash+`"}`, p.Account)
			w.Clock.Move(time.Hour)
			if r := identified(w.World, "fabrikam", p.Email).post("password", "password", doortest.Password); r.Status != http.StatusInternalServerError {
				t.Errorf("%d. %s answers %d", i, hash, r.Status)
			}
		}
		if n := w.Hasher.Count() - hashes; n != 0 {
			t.Errorf("%d hashes were computed", n)
		}
		if n := w.Count(`select count(*) from accounts where email_key = 'x@fabrikam.example'`); n != 0 {
			t.Error("an account was made")
		}
	})
}
