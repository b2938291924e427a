package factor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// recoveryCodes is how many codes a set has.
const recoveryCodes = 10

// recoveryAlphabet has 32 signs, none of which is read as another: ten of them are 50 bits.
const recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// recoveryData is the data column of a set of recovery codes: one salt, and the argon2id key of each code.
type recoveryData struct {
	Cost secret.Cost `json:"cost"`
	Salt []byte      `json:"salt"`
	Keys [][]byte    `json:"keys"`
}

// RecoverySet is a fresh set: the codes for the person, shown once, and what is kept of them.
type RecoverySet struct {
	Codes []string
	kept  string
}

// NewRecovery makes a set. It computes ten hashes and so does not belong into a transaction.
func NewRecovery(ctx context.Context, h *secret.Hasher) (RecoverySet, error) {
	var s RecoverySet
	d := recoveryData{Cost: h.Cost(), Salt: make([]byte, 16)}
	_, _ = rand.Read(d.Salt)
	for range recoveryCodes {
		var raw [10]byte
		_, _ = rand.Read(raw[:])
		for i := range raw {
			raw[i] = recoveryAlphabet[raw[i]%32]
		}
		key, err := h.Key(ctx, secret.Text(raw[:]), d.Salt, d.Cost)
		if err != nil {
			return s, err
		}
		d.Keys = append(d.Keys, key)
		s.Codes = append(s.Codes, string(raw[:5])+"-"+string(raw[5:]))
	}
	text, err := json.Marshal(d)
	s.kept = string(text)
	return s, err
}

// SetRecovery gives an account that set in place of an older one.
func SetRecovery(tx sqldb.Tx, now time.Time, org id.Org, account id.Account, s RecoverySet) error {
	if _, err := tx.Exec(`delete from factors where account_id = $1 and kind = 'recovery'`, account); err != nil {
		return err
	}
	_, err := tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at)
		values ($1, $2, $3, 'recovery', '', 'active', 0, $4, $5, 0)`, id.New[id.Factor](now), org, account, s.kept, sqldb.Micros(now))
	return err
}

// Left returns how many codes of a set are unused.
func (f Factor) Left() int {
	left := recoveryCodes
	for bits := f.Counter; bits > 0; bits &= bits - 1 {
		left--
	}
	return left
}

// CleanRecovery returns a typed recovery code in its stored form, or a refusal at the field "code".
func CleanRecovery(s string) (secret.Text, *refusal.Error) {
	var b strings.Builder
	for _, r := range s {
		if r >= '！' && r <= '～' { // full-width forms of ASCII
			r -= '！' - '!'
		}
		r = unicode.ToLower(r)
		switch {
		case unicode.IsSpace(r) || strings.ContainsRune("-\u2010\u2011\u2013.", r):
			continue
		case r == 'o':
			r = '0'
		case r == 'i' || r == 'l':
			r = '1'
		case !strings.ContainsRune(recoveryAlphabet, r):
			return "", refusal.Field("code", "recovery.form")
		}
		if b.WriteRune(r); b.Len() > 10 {
			return "", refusal.Field("code", "recovery.form")
		}
	}
	if b.Len() == 0 {
		return "", refusal.Field("code", "code.missing")
	}
	if b.Len() != 10 {
		return "", refusal.Field("code", "recovery.form")
	}
	return secret.Text(b.String()), nil
}

// Match is a recovery code that was found among an account's, not spent yet.
type Match struct {
	Factor id.Factor
	Bit    int64
	Left   int // once it is spent
}

// MatchRecovery looks for a code among an account's: one hash computation, whether there is a set or not. It belongs before the transaction that
// spends it. A wrong one gives the refusal at the field "code".
func MatchRecovery(ctx context.Context, tx sqldb.Tx, h *secret.Hasher, account id.Account, code secret.Text) (Match, error) {
	f, err := sqldb.One(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'recovery' and state = 'active'`, account)
	if err != nil && !errors.Is(err, sqldb.ErrNone) {
		return Match{}, err
	}
	d := recoveryData{Cost: h.Cost(), Salt: make([]byte, 16)}
	if err == nil {
		if err := json.Unmarshal([]byte(f.data), &d); err != nil {
			return Match{}, err
		}
	}
	key, err := h.Key(ctx, code, d.Salt, d.Cost)
	if err != nil {
		return Match{}, err
	}
	at := -1
	for i, k := range d.Keys {
		if subtle.ConstantTimeCompare(k, key) == 1 {
			at = i
		}
	}
	switch {
	case at < 0:
		return Match{}, refusal.Field("code", "recovery.wrong")
	case f.Counter&(1<<at) != 0:
		return Match{}, refusal.Field("code", "recovery.used")
	}
	return Match{Factor: f.ID, Bit: 1 << at, Left: f.Left() - 1}, nil
}

// SpendRecovery uses a matched code up. Of any number at once, one succeeds; the others get the refusal of a used code.
func SpendRecovery(tx sqldb.Tx, now time.Time, m Match) error {
	n, err := tx.Exec(`update factors set counter = counter + $1, last_used_at = $2 where id = $3 and state = 'active' and (counter / $1) % 2 = 0`,
		m.Bit, sqldb.Micros(now), m.Factor)
	if err != nil {
		return err
	}
	if n == 0 {
		return refusal.Field("code", "recovery.used")
	}
	return nil
}

// accessCodeData is the data column of a temporary access code.
type accessCodeData struct {
	Until int64  `json:"until"`
	Salt  []byte `json:"salt"`
	Key   []byte `json:"key"`
	Cost  secret.Cost
}

// AccessCode is a fresh temporary access code: what the administrator hands over, and what is kept.
type AccessCode struct {
	Code  string
	Until time.Time
	kept  string
}

// NewAccessCode makes a code that replaces a lost second factor once, until that time.
func NewAccessCode(ctx context.Context, h *secret.Hasher, until time.Time) (AccessCode, error) {
	raw := make([]byte, 10)
	_, _ = rand.Read(raw)
	for i := range raw {
		raw[i] = recoveryAlphabet[raw[i]%32]
	}
	d := accessCodeData{Until: sqldb.Micros(until), Salt: make([]byte, 16), Cost: h.Cost()}
	_, _ = rand.Read(d.Salt)
	var err error
	if d.Key, err = h.Key(ctx, secret.Text(raw), d.Salt, d.Cost); err != nil {
		return AccessCode{}, err
	}
	text, err := json.Marshal(d)
	return AccessCode{Code: string(raw[:5]) + "-" + string(raw[5:]), Until: until, kept: string(text)}, err
}

// SetAccessCode gives an account that code in place of an older one.
func SetAccessCode(tx sqldb.Tx, now time.Time, org id.Org, account id.Account, c AccessCode) error {
	if err := DropAccessCode(tx, account); err != nil {
		return err
	}
	_, err := tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at)
		values ($1, $2, $3, 'access-code', '', 'active', 0, $4, $5, 0)`, id.New[id.Factor](now), org, account, c.kept, sqldb.Micros(now))
	return err
}

// DropAccessCode takes back an account's temporary access code, if there is one.
func DropAccessCode(tx sqldb.Tx, account id.Account) error {
	_, err := tx.Exec(`delete from factors where account_id = $1 and kind = 'access-code'`, account)
	return err
}

// Until returns until when a temporary access code is good; the zero time for other kinds.
func (f Factor) Until() time.Time {
	var d accessCodeData
	if f.Kind != AccessCodeKind || json.Unmarshal([]byte(f.data), &d) != nil {
		return time.Time{}
	}
	return sqldb.At(d.Until)
}

// MatchAccessCode compares a code with an account's temporary access code: one hash computation, whether there is one or not.
func MatchAccessCode(ctx context.Context, tx sqldb.Tx, h *secret.Hasher, now time.Time, account id.Account, code secret.Text) (id.Factor, error) {
	f, err := sqldb.One(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'access-code' and state = 'active'`, account)
	if err != nil && !errors.Is(err, sqldb.ErrNone) {
		return "", err
	}
	d := accessCodeData{Cost: h.Cost(), Salt: make([]byte, 16), Key: make([]byte, 32)}
	_, _ = rand.Read(d.Key)
	if err == nil {
		if err := json.Unmarshal([]byte(f.data), &d); err != nil {
			return "", err
		}
	}
	key, err := h.Key(ctx, code, d.Salt, d.Cost)
	if err != nil {
		return "", err
	}
	switch {
	case subtle.ConstantTimeCompare(d.Key, key) != 1:
		return "", refusal.Field("code", "recovery.wrong")
	case !now.Before(sqldb.At(d.Until)):
		return "", refusal.Field("code", "access_code.ended")
	}
	return f.ID, nil
}

// SpendAccessCode uses a matched code up; of any number at once, one succeeds.
func SpendAccessCode(tx sqldb.Tx, f id.Factor) error {
	n, err := tx.Exec(`delete from factors where id = $1 and kind = 'access-code' and state = 'active'`, f)
	if err == nil && n == 0 {
		return refusal.Field("code", "recovery.used")
	}
	return err
}
