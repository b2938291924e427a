package factor

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/secret"
	"doorward/internal/sqldb"
)

// Time-based codes as authenticator apps have them: RFC 6238 with SHA-1, six digits, steps of 30 seconds.
const (
	totpPeriod = 30
	totpSkew   = 1 // steps before and after that are accepted (RFC 6238 section 5.2)
)

var totpOptions = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

var totpEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// ErrUsedCode is a code whose time step was already accepted, or lies before one that was. ErrWrongCode fits no step.
var (
	ErrUsedCode  = refusal.Field("code", "code.used")
	ErrWrongCode = refusal.Field("code", "code.wrong")
)

// CleanCode returns a typed six-digit code without what people put between the digits, or a refusal at the field "code". Full-width
// digits count as digits.
func CleanCode(s string) (secret.Text, *refusal.Error) {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= '０' && r <= '９':
			b.WriteRune('0' + r - '０')
		case strings.ContainsRune(" \t-\u00a0\u202f\u2009\u3000.", r):
		default:
			return "", refusal.Field("code", "code.form")
		}
		if b.Len() > 6 {
			return "", refusal.Field("code", "code.form")
		}
	}
	if b.Len() == 0 {
		return "", refusal.Field("code", "code.missing")
	}
	if b.Len() != 6 {
		return "", refusal.Field("code", "code.form")
	}
	return secret.Text(b.String()), nil
}

// TOTPSetup is what a person needs to enrol an authenticator app.
type TOTPSetup struct {
	Factor id.Factor
	Key    secret.Text // base32
	URL    secret.Text // otpauth://totp/… (Key URI format), for the QR code
}

// BeginTOTP makes a pending authenticator app with a fresh secret, in place of an older pending one.
func BeginTOTP(tx sqldb.Tx, v *secret.Vault, now time.Time, org id.Org, account id.Account, issuer, holder string) (TOTPSetup, error) {
	if _, err := tx.Exec(`delete from factors where account_id = $1 and kind = 'totp' and state = 'pending'`, account); err != nil {
		return TOTPSetup{}, err
	}
	var raw [20]byte // RFC 4226 section 4, R6: 160 bits
	_, _ = rand.Read(raw[:])
	f := id.New[id.Factor](now)
	key := totpEncoding.EncodeToString(raw[:])
	_, err := tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, counter, box, data, created_at, last_used_at)
		values ($1, $2, $3, 'totp', '', 'pending', 0, $4, '{}', $5, 0)`,
		f, org, account, v.Seal("factors", "box", string(f), []byte(key)), sqldb.Micros(now))
	return setupOf(f, key, issuer, holder), err
}

// PendingTOTP returns the account's pending app again, so that a reload shows the same QR code; false when there is none.
func PendingTOTP(tx sqldb.Tx, v *secret.Vault, account id.Account, issuer, holder string) (TOTPSetup, bool, error) {
	f, err := sqldb.One(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'totp' and state = 'pending'`, account)
	if errors.Is(err, sqldb.ErrNone) {
		return TOTPSetup{}, false, nil
	}
	if err != nil {
		return TOTPSetup{}, false, err
	}
	key, err := v.Open("factors", "box", string(f.ID), f.box)
	return setupOf(f.ID, string(key), issuer, holder), err == nil, err
}

func setupOf(f id.Factor, key, issuer, holder string) TOTPSetup {
	// A space is %20 and a plus sign %2B: some apps show a bare plus sign as it is, others as a space.
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	u := "otpauth://totp/" + escape(issuer) + ":" + escape(holder) + "?issuer=" + escape(issuer) + "&secret=" + key
	return TOTPSetup{Factor: f, Key: secret.Text(key), URL: secret.Text(u)}
}

// ProveTOTP compares a code with one of the account's apps in that state and spends its time step: a step is accepted once, and none
// before it any more, which the conditional update holds against any number of parallel tries. A pending app becomes active, as of
// now, with the name given. It returns the factor, or ErrWrongCode or ErrUsedCode.
func ProveTOTP(tx sqldb.Tx, v *secret.Vault, now time.Time, account id.Account, state State, code secret.Text, name string) (id.Factor, error) {
	list, err := List(tx, account)
	if err != nil {
		return "", err
	}
	return ProveTOTPAmong(tx, v, now, list, state, code, name)
}

// ProveTOTPAmong is ProveTOTP for an account whose factors were read already, however long ago.
func ProveTOTPAmong(tx sqldb.Tx, v *secret.Vault, now time.Time, list []Factor, state State, code secret.Text, name string) (id.Factor, error) {
	used := false
	for _, f := range list {
		if f.Kind != TOTP || f.State != state {
			continue
		}
		key, err := v.Open("factors", "box", string(f.ID), f.box)
		if err != nil {
			return "", err
		}
		step, ok, err := matchingStep(string(key), string(code), now)
		if err != nil {
			return "", err
		}
		if !ok {
			continue
		}
		since := now
		if state == Active {
			name, since = f.Name, f.Created
		}
		n, err := tx.Exec(`update factors set counter = $1, last_used_at = $2, state = 'active', name = $3, created_at = $4
			where id = $5 and state = $6 and counter < $1`, step, sqldb.Micros(now), name, sqldb.Micros(since), f.ID, state)
		if err != nil {
			return "", err
		}
		if n == 1 {
			return f.ID, nil
		}
		used = true
	}
	if used {
		return "", ErrUsedCode
	}
	return "", ErrWrongCode
}

// FitsPending tells whether a code is one of the account's pending app's, and spends nothing: what is costly is prepared only for a code that can
// be taken.
func FitsPending(tx sqldb.Tx, v *secret.Vault, now time.Time, account id.Account, code secret.Text) (bool, error) {
	f, err := sqldb.One(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'totp' and state = 'pending'`, account)
	if errors.Is(err, sqldb.ErrNone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	key, err := v.Open("factors", "box", string(f.ID), f.box)
	if err != nil {
		return false, err
	}
	_, ok, err := matchingStep(string(key), string(code), now)
	return ok, err
}

// matchingStep returns the time step whose code it is. All steps are computed and compared whatever the first gives.
func matchingStep(key, code string, now time.Time) (step int64, ok bool, err error) {
	current := now.Unix() / totpPeriod
	for s := current - totpSkew; s <= current+totpSkew; s++ {
		want, err := hotp.GenerateCodeCustom(key, uint64(s), totpOptions)
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && !ok {
			step, ok = s, true
		}
	}
	return step, ok, nil
}

// CodeAt returns the code that an authenticator app with that key shows at a time: for the demo's mailbox page and for tests.
func CodeAt(key string, at time.Time) (string, error) {
	return hotp.GenerateCodeCustom(key, uint64(at.Unix()/totpPeriod), totpOptions)
}

// TOTPKey returns the key of an account's newest app, for the demo's mailbox page and for tests.
func TOTPKey(tx sqldb.Tx, v *secret.Vault, account id.Account) (string, error) {
	f, err := sqldb.One(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'totp' order by id desc limit 1`, account)
	if err != nil {
		return "", err
	}
	key, err := v.Open("factors", "box", string(f.ID), f.box)
	return string(key), err
}
