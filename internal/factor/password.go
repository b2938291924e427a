package factor

import (
	_ "embed"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	entropy "github.com/wagslane/go-password-validator"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"doorward/internal/id"
	"doorward/internal/policy"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// passwordData is the data column of a password: the argon2id hash in its PHC string form.
type passwordData struct {
	PHC string `json:"phc"`
}

// mostBytes is refused unhashed: nobody types that, and hashing it would cost.
const mostBytes = 4096

// Normalize returns a typed password in the form that is hashed: NFC (RFC 8265 section 4.2), nothing trimmed.
func Normalize(typed secret.Text) secret.Text { return secret.Text(norm.NFC.String(string(typed))) }

// PasswordOf returns the hash of an account's password and the factor's id; both are empty when it has none that is active.
func PasswordOf(tx sqldb.Tx, account id.Account) (phc string, f id.Factor, err error) {
	row, err := sqldb.One(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'password' and state = 'active'`, account)
	if errors.Is(err, sqldb.ErrNone) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	var d passwordData
	if err := json.Unmarshal([]byte(row.data), &d); err != nil {
		return "", "", err
	}
	return d.PHC, row.ID, nil
}

// SetPassword gives an account a new password's hash in place of the old one.
func SetPassword(tx sqldb.Tx, now time.Time, org id.Org, account id.Account, phc string) error {
	if _, err := tx.Exec(`delete from factors where account_id = $1 and kind = 'password'`, account); err != nil {
		return err
	}
	data, err := json.Marshal(passwordData{PHC: phc})
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at)
		values ($1, $2, $3, 'password', '', 'active', 0, $4, $5, 0)`, id.New[id.Factor](now), org, account, string(data), sqldb.Micros(now))
	return err
}

// Rehash replaces a hash by one of the same password with today's parameters, unless the password was changed meanwhile.
func Rehash(tx sqldb.Tx, f id.Factor, phc string) error {
	data, err := json.Marshal(passwordData{PHC: phc})
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update factors set data = $1 where id = $2 and kind = 'password'`, string(data), f)
	return err
}

// CheckNew judges a new password against the rules, and both fields of its form: the same text twice. personal are the words it must
// not consist of: name, address, organisation. Refusals are at new_password and confirm_password.
func CheckNew(typed, again secret.Text, minLength int, personal []string) *refusal.Error {
	s := string(typed)
	switch {
	case s == "":
		return refusal.Field("new_password", "password.missing")
	case len(s) > mostBytes, utf8.RuneCountInString(s) > policy.MaxLength:
		return refusal.Field("new_password", "password.too_long", "Most", policy.MaxLength)
	case !utf8.ValidString(s), strings.ContainsRune(s, 0):
		return refusal.Field("new_password", "password.form")
	}
	s = norm.NFC.String(s)
	fault := policy.JudgePassword(gather(s, minLength, personal))
	if fault != "" {
		return refusal.Field("new_password", "password."+string(fault), "Least", minLength, "Most", policy.MaxLength)
	}
	if typed != again {
		return refusal.Field("confirm_password", "password.differs")
	}
	return nil
}

//go:embed common-passwords.txt
var commonList string

// disguises are the usual replacements of letters in common words.
var disguises = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t")

// common tells whether a folded password is on the list, or a word of the list with the usual disguise: other signs for letters, digits
// and punctuation around it.
func common(folded string) bool {
	listed := func(s string) bool { return len(s) >= 4 && strings.Contains(commonList, "\n"+s+"\n") }
	if listed(folded) {
		return true
	}
	notLetter := func(r rune) bool { return r < 'a' || r > 'z' }
	bare := strings.TrimFunc(folded, notLetter)
	return listed(bare) || listed(disguises.Replace(bare)) || listed(strings.TrimFunc(disguises.Replace(strings.TrimRight(folded, "0123456789!?.#-_ ")), notLetter))
}

func gather(s string, minLength int, personal []string) policy.PasswordFacts {
	folded := cases.Fold().String(s)
	f := policy.PasswordFacts{Length: utf8.RuneCountInString(s), Min: minLength, Common: common(folded)}
	for _, p := range personal {
		p = cases.Fold().String(p)
		for _, w := range append(strings.FieldsFunc(p, func(r rune) bool { return strings.ContainsRune(" @.-_+'", r) }), p) {
			if utf8.RuneCountInString(w) >= 4 && strings.Contains(folded, w) && f.Length-utf8.RuneCountInString(w) < 5 {
				f.Own = true
			}
		}
	}
	// The estimate walks the text again and again; a hundred bytes say enough.
	cut := s
	if len(cut) > 100 {
		cut = strings.ToValidUTF8(cut[:100], "")
	}
	f.Bits = int(entropy.GetEntropy(cut))
	return f
}
