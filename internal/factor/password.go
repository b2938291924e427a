package factor

import (
	"context"
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
	"doorward/internal/throttle"
)

// passwordData is the data column of a password.
type passwordData struct {
	PHC string   `json:"phc"`           // argon2id in its PHC string form, or as it was imported
	Old []string `json:"old,omitempty"` // the hashes before it, newest first, for the organisation's rule on their return
}

func passwordOf(f Factor) (d passwordData, err error) { return d, json.Unmarshal([]byte(f.data), &d) }

// hashes are the present hash and those before it, n at most.
func (d passwordData) hashes(n int) []string {
	all := d.Old
	if d.PHC != "" {
		all = append([]string{d.PHC}, d.Old...)
	}
	return all[:min(len(all), max(n, 0))]
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
	d, err := passwordOf(row)
	return d.PHC, row.ID, err
}

// PasswordAmong is PasswordOf for factors that were read already.
func PasswordAmong(list []Factor) (phc string, f id.Factor, err error) {
	for _, one := range list {
		if one.Kind == Password && one.State == Active {
			d, err := passwordOf(one)
			return d.PHC, one.ID, err
		}
	}
	return "", "", nil
}

// Remembered returns the hashes of an account's last n passwords, newest first, also when the present one is disabled.
func Remembered(tx sqldb.Tx, account id.Account, n int) ([]string, error) {
	rows, err := sqldb.All(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'password'`, account)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	d, err := passwordOf(rows[0])
	return d.hashes(n), err
}

// SetPassword gives an account a new password's hash in place of the old one. Of those before it, as many are kept as the rule on their
// return needs: history is policy.Rules.History.
func SetPassword(tx sqldb.Tx, now time.Time, org id.Org, account id.Account, phc string, history int) error {
	old, err := Remembered(tx, account, history-1)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`delete from factors where account_id = $1 and kind = 'password'`, account); err != nil {
		return err
	}
	data, err := json.Marshal(passwordData{PHC: phc, Old: old})
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at)
		values ($1, $2, $3, 'password', '', 'active', 0, $4, $5, 0)`, id.New[id.Factor](now), org, account, string(data), sqldb.Micros(now))
	return err
}

// Rehash replaces a hash by one of the same password with today's parameters, unless the password was changed meanwhile.
func Rehash(tx sqldb.Tx, f id.Factor, phc string) error {
	row, err := sqldb.One(tx, scan, `select `+columns+` from factors where id = $1 and kind = 'password'`, f)
	if errors.Is(err, sqldb.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	d, err := passwordOf(row)
	if err != nil {
		return err
	}
	d.PHC = phc
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update factors set data = $1 where id = $2 and kind = 'password'`, string(data), f)
	return err
}

// CheckNew judges a new password against the rules, and both fields of its form: the same text twice. personal are the words it must
// not consist of: name, address, organisation. Refusals are at new_password and confirm_password; any other error is of the list of
// stolen passwords, and then nobody can choose one until the operator has put it right.
func CheckNew(typed, again secret.Text, minLength int, personal []string, breached *Breached) error {
	s := string(typed)
	switch {
	case s == "":
		return refusal.Field("new_password", "password.missing")
	case len(s) > mostBytes:
		return refusal.Field("new_password", "password.too_long", "Most", policy.MaxLength)
	case !utf8.ValidString(s), strings.ContainsRune(s, 0):
		return refusal.Field("new_password", "password.form")
	}
	s = norm.NFC.String(s)
	facts := gather(s, minLength, personal)
	var err error
	if facts.Breached, err = breached.Contains(secret.Text(s)); err != nil {
		return err
	}
	if fault := policy.JudgePassword(facts); fault != "" {
		return refusal.Field("new_password", "password."+string(fault), "Least", minLength, "Most", policy.MaxLength)
	}
	if typed != again {
		return refusal.Field("confirm_password", "password.differs")
	}
	return nil
}

// A remembered password can be guessed at by whoever may choose a new one, and each comparison costs a hash computation: so many times an
// hour someone may ask.
const (
	historyTries  = 20
	historyWindow = time.Hour
)

// CheckUnused refuses, at new_password, a new password that is one of the account's last ones, as many as history says. It computes a hash
// for each and so does not belong into a transaction.
func CheckUnused(ctx context.Context, g throttle.Gate, h *secret.Hasher, account id.Account, typed secret.Text, history int) error {
	hashes, err := Remembered(g.DB.Read(ctx), account, history)
	if err != nil || len(hashes) == 0 {
		return err
	}
	if _, err := g.Take(ctx, throttle.Requests("password-history", string(account), historyTries, historyWindow)); err != nil {
		return err
	}
	for _, one := range hashes {
		same, _, err := h.Verify(ctx, Normalize(typed), one, nil)
		if err != nil {
			return err
		}
		if same {
			return refusal.Field("new_password", "password.reused")
		}
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
