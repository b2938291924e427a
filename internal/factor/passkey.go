package factor

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"doorward/internal/id"
	"doorward/internal/refusal"
	"doorward/internal/sqldb"
)

// Relying is the relying party of WebAuthn (W3C Web Authentication Level 3): the host and origin of the public URL. All challenges are made
// and all answers judged here; the rows are this package's.
type Relying struct {
	party *webauthn.WebAuthn
	Host  string // relying party id
}

// NewRelying returns the relying party for the public URL.
func NewRelying(public *url.URL) (*Relying, error) {
	p, err := webauthn.New(&webauthn.Config{RPID: public.Hostname(), RPDisplayName: "Doorward", RPOrigins: []string{public.Scheme + "://" + public.Host},
		AttestationPreference: protocol.PreferNoAttestation})
	if err != nil {
		return nil, err
	}
	return &Relying{party: p, Host: public.Hostname()}, nil
}

// passkeyData is the data column of a passkey. While it is pending it holds the challenge, once active the whole credential with its flags.
type passkeyData struct {
	Handle     []byte                `json:"handle"` // the account's user handle: random, never its id
	Host       string                `json:"host"`   // relying party id that it belongs to
	Ceremony   *webauthn.SessionData `json:"ceremony,omitempty"`
	Until      int64                 `json:"until,omitempty"`
	Credential *webauthn.Credential  `json:"credential,omitempty"`
}

// holder is an account as the library wants it.
type holder struct {
	handle      []byte
	email, name string
	credentials []webauthn.Credential
}

func (h holder) WebAuthnID() []byte                         { return h.handle }
func (h holder) WebAuthnName() string                       { return h.email }
func (h holder) WebAuthnDisplayName() string                { return h.name }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// CeremonyLife is how long a challenge can be answered.
const CeremonyLife = 10 * time.Minute

// The refusals of a ceremony. The page tells them apart from what the browser itself reports.
var (
	ErrPasskey     = refusal.Field("credential", "passkey.refused")
	ErrPasskeyOld  = refusal.Field("credential", "passkey.ended")
	ErrPasskeyHeld = refusal.Field("credential", "passkey.registered")
	ErrPasskeyUV   = refusal.Field("credential", "passkey.unverified")
)

func lookupOf(credential []byte) string { return base64.RawURLEncoding.EncodeToString(credential) }

func (r *Relying) keysOf(tx sqldb.Tx, account id.Account) (list []Factor, data []passkeyData, err error) {
	rows, err := sqldb.All(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'passkey' and state = 'active' order by id`, account)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range rows {
		var d passkeyData
		if err := json.Unmarshal([]byte(f.data), &d); err != nil {
			return nil, nil, err
		}
		if d.Credential != nil && d.Host == r.Host {
			list, data = append(list, f), append(data, d)
		}
	}
	return list, data, nil
}

// Begin makes a pending passkey for an account in place of an older pending one, and returns what navigator.credentials.create wants, as
// JSON (PublicKeyCredentialCreationOptionsJSON). Keys that the account has are excluded.
func (r *Relying) Begin(tx sqldb.Tx, now time.Time, org id.Org, account id.Account, email, name string) ([]byte, error) {
	if _, err := tx.Exec(`delete from factors where account_id = $1 and kind = 'passkey' and state = 'pending'`, account); err != nil {
		return nil, err
	}
	_, data, err := r.keysOf(tx, account)
	if err != nil {
		return nil, err
	}
	h := holder{email: email, name: name}
	if h.name == "" {
		h.name = email
	}
	for _, d := range data {
		h.handle = d.Handle
		h.credentials = append(h.credentials, *d.Credential)
	}
	if h.handle == nil {
		h.handle = make([]byte, 32)
		_, _ = rand.Read(h.handle)
	}
	options, session, err := r.party.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.credentials).CredentialDescriptors()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred}))
	if err != nil {
		return nil, err
	}
	session.Expires = time.Time{} // the injected clock decides, see Until
	text, err := json.Marshal(passkeyData{Handle: h.handle, Host: r.Host, Ceremony: session, Until: sqldb.Micros(now.Add(CeremonyLife))})
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, counter, data, created_at, last_used_at)
		values ($1, $2, $3, 'passkey', '', 'pending', 0, $4, $5, 0)`, id.New[id.Factor](now), org, account, string(text), sqldb.Micros(now)); err != nil {
		return nil, err
	}
	return json.Marshal(options.Response)
}

// registered is an answer to Begin that was judged right, not kept yet.
type registered struct {
	pending Factor
	name    string
	data    passkeyData
}

// judge looks at the browser's answer to an account's pending passkey and changes nothing.
func (r *Relying) judge(tx sqldb.Tx, now time.Time, account id.Account, answer, name string) (registered, error) {
	name, fault := CleanName(name)
	if fault == nil && name == "" { // several keys are told apart by it
		fault = refusal.Field("name", "passkey.nameless")
	}
	if fault != nil {
		return registered{}, fault
	}
	row, err := sqldb.One(tx, scan, `select `+columns+` from factors where account_id = $1 and kind = 'passkey' and state = 'pending'`, account)
	if errors.Is(err, sqldb.ErrNone) {
		return registered{}, ErrPasskeyOld
	}
	if err != nil {
		return registered{}, err
	}
	var d passkeyData
	if err := json.Unmarshal([]byte(row.data), &d); err != nil {
		return registered{}, err
	}
	if d.Ceremony == nil || !now.Before(sqldb.At(d.Until)) || d.Host != r.Host {
		return registered{}, ErrPasskeyOld
	}
	parsed, err := parse(answer, protocol.ParseCredentialCreationResponseBytes)
	if err != nil {
		return registered{}, err
	}
	credential, err := r.party.CreateCredential(holder{handle: d.Handle}, *d.Ceremony, parsed)
	if err != nil {
		return registered{}, ErrPasskey // what the library says of a forged answer is nobody's business
	}
	if !sound(credential.PublicKey) {
		return registered{}, ErrPasskey
	}
	// The attestation is not looked at again, and can be long.
	credential.Attestation = webauthn.CredentialAttestation{}
	return registered{row, name, passkeyData{Handle: d.Handle, Host: r.Host, Credential: credential}}, nil
}

// Fits tells whether Finish would find nothing wrong with an answer and a name, and spends nothing: what is costly is prepared only for a key
// that can be registered.
func (r *Relying) Fits(tx sqldb.Tx, now time.Time, account id.Account, answer, name string) (bool, error) {
	_, err := r.judge(tx, now, account, answer, name)
	if refusal.As(err) != nil {
		return false, nil
	}
	return err == nil, err
}

// Finish takes the browser's answer to Begin (RegistrationResponseJSON): the pending passkey becomes active under that name, and is returned
// with it as it is shown. The challenge is good once, whatever the answer. Of two accounts that register one credential at the same moment, the
// second gets ErrPasskeyHeld.
func (r *Relying) Finish(tx sqldb.Tx, now time.Time, account id.Account, answer, name string) (Factor, error) {
	k, err := r.judge(tx, now, account, answer, name)
	if err != nil {
		return Factor{}, err
	}
	text, err := json.Marshal(k.data)
	if err != nil {
		return Factor{}, err
	}
	f := k.pending
	f.Name, f.State, f.Created, f.LastUsed = k.name, Active, now, now
	n, err := tx.Exec(`delete from factors where id = $1 and state = 'pending'`, f.ID)
	if err != nil {
		return Factor{}, err
	}
	if n == 0 {
		return Factor{}, ErrPasskeyOld
	}
	// A row of its own, because only an insert can pass over one that is there without an error, which would end the transaction.
	n, err = tx.Exec(`insert into factors (id, org_id, account_id, kind, name, state, lookup, counter, data, created_at, last_used_at)
		values ($1, $2, $3, 'passkey', $4, 'active', $5, $6, $7, $8, $8) on conflict (kind, lookup) do nothing`,
		f.ID, f.Org, f.Account, f.Name, lookupOf(k.data.Credential.ID), int64(k.data.Credential.Authenticator.SignCount), string(text), sqldb.Micros(now))
	if err != nil {
		return Factor{}, err
	}
	if n == 0 {
		return Factor{}, ErrPasskeyHeld
	}
	return f, nil
}

// sound tells whether a public key (COSE_Key, RFC 9052) can verify anything, and at a cost that it does not set itself: registration without
// attestation proves nothing of it.
func sound(key []byte) bool {
	parsed, err := webauthncose.ParsePublicKey(key)
	if err != nil {
		return false
	}
	rsa, is := parsed.(webauthncose.RSAPublicKeyData)
	if !is {
		return true
	}
	n, e := new(big.Int).SetBytes(rsa.Modulus), new(big.Int).SetBytes(rsa.Exponent)
	return n.BitLen() >= 2048 && n.BitLen() <= 8192 && n.Bit(0) == 1 && e.Bit(0) == 1 && e.BitLen() > 1 && e.BitLen() <= 32
}

// Spend drops an account's pending passkey: its challenge was answered wrongly and is used up.
func (r *Relying) Spend(tx sqldb.Tx, account id.Account) error {
	_, err := tx.Exec(`delete from factors where account_id = $1 and kind = 'passkey' and state = 'pending'`, account)
	return err
}

// Challenge is a question to an authenticator, kept on the server until it is answered.
type Challenge struct {
	Session json.RawMessage `json:"session"`
	Until   int64           `json:"until"`
}

// Ask makes a challenge for an account's keys, or with an empty account one that any discoverable passkey answers, which then has to verify the
// person. It returns the challenge to keep and what navigator.credentials.get wants (PublicKeyCredentialRequestOptionsJSON).
func (r *Relying) Ask(tx sqldb.Tx, now time.Time, account id.Account) (Challenge, []byte, error) {
	var options *protocol.CredentialAssertion
	var session *webauthn.SessionData
	var err error
	if account == "" {
		options, session, err = r.party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	} else {
		var data []passkeyData
		if _, data, err = r.keysOf(tx, account); err != nil {
			return Challenge{}, nil, err
		}
		h := holder{}
		for _, d := range data {
			h.handle, h.credentials = d.Handle, append(h.credentials, *d.Credential)
		}
		if len(data) == 0 { // the last one was taken away a moment ago
			return Challenge{}, nil, ErrPasskey
		}
		options, session, err = r.party.BeginLogin(h, webauthn.WithUserVerification(protocol.VerificationPreferred))
	}
	if err != nil {
		return Challenge{}, nil, err
	}
	session.Expires = time.Time{}
	kept, err := json.Marshal(session)
	if err != nil {
		return Challenge{}, nil, err
	}
	text, err := json.Marshal(options.Response)
	return Challenge{Session: kept, Until: sqldb.Micros(now.Add(CeremonyLife))}, text, err
}

// Owner returns whose passkey answered a challenge that any may answer, by the credential's id, which no two have: the account and its organisation.
// It is no proof. An unknown one gives ErrPasskey, and so does another organisation's; an empty org stands for all.
func (r *Relying) Owner(tx sqldb.Tx, org id.Org, answer string) (a id.Account, home id.Org, err error) {
	parsed, err := parse(answer, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return "", "", err
	}
	f, err := sqldb.One(tx, scan, `select `+columns+` from factors where kind = 'passkey' and lookup = $1 and state = 'active'`, lookupOf(parsed.RawID))
	if errors.Is(err, sqldb.ErrNone) || err == nil && org != "" && f.Org != org {
		return "", "", ErrPasskey
	}
	return f.Account, f.Org, err
}

// Prove judges the answer to a challenge for an account (AuthenticationResponseJSON). alone demands that the authenticator verified the person and
// named the account itself. A sign counter that went backwards, which a copied authenticator's does, is refused; the factor stays. It returns the
// factor and whether the person was verified.
func (r *Relying) Prove(tx sqldb.Tx, now time.Time, account id.Account, c Challenge, answer string, alone bool) (f id.Factor, verified bool, err error) {
	if len(c.Session) == 0 || !now.Before(sqldb.At(c.Until)) {
		return "", false, ErrPasskeyOld
	}
	var session webauthn.SessionData
	if err := json.Unmarshal(c.Session, &session); err != nil {
		return "", false, err
	}
	parsed, err := parse(answer, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return "", false, err
	}
	list, data, err := r.keysOf(tx, account)
	if err != nil {
		return "", false, err
	}
	h := holder{}
	at := -1
	for i, d := range data {
		h.handle, h.credentials = d.Handle, append(h.credentials, *d.Credential)
		if bytes.Equal(d.Credential.ID, parsed.RawID) {
			at = i
		}
	}
	if at < 0 {
		return "", false, ErrPasskey
	}
	var credential *webauthn.Credential
	if alone {
		_, credential, err = r.party.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return h, nil }, session, parsed)
	} else {
		credential, err = r.party.ValidateLogin(h, session, parsed)
	}
	if err != nil {
		if alone && !parsed.Response.AuthenticatorData.Flags.UserVerified() {
			return "", false, ErrPasskeyUV
		}
		return "", false, ErrPasskey
	}
	if credential.Authenticator.CloneWarning {
		return "", false, ErrPasskey
	}
	d := data[at]
	d.Credential = credential
	text, err := json.Marshal(d)
	if err != nil {
		return "", false, err
	}
	// The counter as it was read is the condition: of two answers at once, one meets a changed row.
	n, err := tx.Exec(`update factors set data = $1, counter = $2, last_used_at = $3 where id = $4 and state = 'active' and counter = $5`,
		string(text), int64(credential.Authenticator.SignCount), sqldb.Micros(now), list[at].ID, list[at].Counter)
	if err != nil {
		return "", false, err
	}
	if n == 0 {
		return "", false, ErrPasskey
	}
	return list[at].ID, parsed.Response.AuthenticatorData.Flags.UserVerified(), nil
}

// mostAnswer is the longest answer that is parsed, in bytes. Real ones have a few thousand.
const mostAnswer = 32 << 10

func parse[T any](answer string, with func([]byte) (T, error)) (T, error) {
	var zero T
	if answer == "" {
		return zero, refusal.Field("credential", "passkey.missing")
	}
	if len(answer) > mostAnswer {
		return zero, ErrPasskey
	}
	v, err := with([]byte(answer))
	if err != nil {
		return zero, ErrPasskey
	}
	return v, nil
}
