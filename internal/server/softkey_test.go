package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"doorward/internal/doortest"
)

// Flags of authenticator data (WebAuthn Level 3, section 6.1).
const (
	present  = 0x01
	verified = 0x04
	attested = 0x40
)

// softkey is an authenticator in software: one credential with an ES256 key, and the browser that speaks for it.
type softkey struct {
	t      testing.TB
	id     []byte
	key    *ecdsa.PrivateKey
	handle []byte // of the account that it was registered for
	count  uint32
	origin string
	rp     string
	flags  byte // present, and verified unless the key cannot
}

// newKey returns an authenticator that nobody has registered yet, in a browser that stands on the world's pages.
func newKey(w *doortest.World) *softkey {
	w.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.T.Fatal(err)
	}
	u, err := url.Parse(w.Settings.PublicURL)
	if err != nil {
		w.T.Fatal(err)
	}
	k := &softkey{t: w.T, id: make([]byte, 32), key: key, origin: u.Scheme + "://" + u.Host, rp: u.Hostname(), flags: present | verified}
	_, _ = rand.Read(k.id)
	return k
}

// answer is what an authenticator and its browser say to a question. Tests change it to say something else.
type answer struct {
	Type        string // webauthn.create, webauthn.get
	Challenge   string
	Origin      string
	CrossOrigin bool
	TopOrigin   string
	Kind        string // of the credential: public-key

	RP     string // whose hash the authenticator data begins with
	Flags  byte
	Count  uint32
	ID     []byte
	Handle []byte
	More   []byte // at the end of the authenticator data
	Cut    int    // bytes that it lacks

	Signer    *ecdsa.PrivateKey
	Signature []byte // in place of a right one

	COSE      map[int]any // public key
	Format    string      // attestation
	Statement any
	Object    []byte // attestation object, in place of a right one

	JSON func(map[string]any) // the last word
}

type change func(*answer)

func changed(changes ...change) change {
	return func(a *answer) {
		for _, c := range changes {
			c(a)
		}
	}
}

// question is the part of a browser's options that an authenticator looks at (PublicKeyCredentialCreationOptionsJSON and
// PublicKeyCredentialRequestOptionsJSON).
type question struct {
	Challenge        string
	UserVerification string
	User             struct{ ID string }
	RP               struct{ ID string }
	RPID             string                `json:"rpId"`
	Allow            []struct{ ID string } `json:"allowCredentials"`
	Exclude          []struct{ ID string } `json:"excludeCredentials"`
}

func (k *softkey) read(options string) (q question) {
	k.t.Helper()
	if err := json.Unmarshal([]byte(options), &q); err != nil {
		k.t.Fatalf("options %q: %v", options, err)
	}
	if q.Challenge == "" {
		k.t.Fatalf("options without a challenge: %s", options)
	}
	return q
}

// create answers a registration: RegistrationResponseJSON.
func (k *softkey) create(options string, changes ...change) string {
	k.t.Helper()
	q := k.read(options)
	handle, err := base64.RawURLEncoding.DecodeString(q.User.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	k.handle = handle
	public, err := k.key.PublicKey.Bytes()
	if err != nil {
		k.t.Fatal(err)
	}
	a := answer{Type: "webauthn.create", Challenge: q.Challenge, Origin: k.origin, Kind: "public-key", RP: k.rp, Flags: k.flags | attested, Count: k.count, ID: k.id,
		COSE: map[int]any{1: 2, 3: -7, -1: 1, -2: public[1:33], -3: public[33:65]}, Format: "none", Statement: map[string]any{}}
	changed(changes...)(&a)
	data := k.data(a)
	if a.Flags&attested != 0 {
		data = append(data, make([]byte, 16)...) // AAGUID
		data = binary.BigEndian.AppendUint16(data, uint16(len(a.ID)))
		data = append(append(data, a.ID...), k.cbor(a.COSE)...)
	}
	data = append(data, a.More...)
	object := a.Object
	if object == nil {
		object = k.cbor(map[string]any{"fmt": a.Format, "attStmt": a.Statement, "authData": data[:len(data)-a.Cut]})
	}
	return k.tell(a, map[string]any{"clientDataJSON": raw64(k.client(a)), "attestationObject": raw64(object), "transports": []string{"usb"}})
}

// get answers a question: AuthenticationResponseJSON. The counter goes on with each.
func (k *softkey) get(options string, changes ...change) string {
	k.t.Helper()
	q := k.read(options)
	k.count++
	a := answer{Type: "webauthn.get", Challenge: q.Challenge, Origin: k.origin, Kind: "public-key", RP: k.rp, Flags: k.flags, Count: k.count, ID: k.id,
		Handle: k.handle, Signer: k.key}
	changed(changes...)(&a)
	data := append(k.data(a), a.More...)
	data = data[:len(data)-a.Cut]
	client := k.client(a)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature := a.Signature
	if signature == nil {
		var err error
		if signature, err = ecdsa.SignASN1(rand.Reader, a.Signer, digest[:]); err != nil {
			k.t.Fatal(err)
		}
	}
	return k.tell(a, map[string]any{"clientDataJSON": raw64(client), "authenticatorData": raw64(data), "signature": raw64(signature), "userHandle": raw64(a.Handle)})
}

func (k *softkey) data(a answer) []byte {
	hash := sha256.Sum256([]byte(a.RP))
	return binary.BigEndian.AppendUint32(append(hash[:], a.Flags), a.Count)
}

func (k *softkey) client(a answer) []byte {
	k.t.Helper()
	c := map[string]any{"type": a.Type, "challenge": a.Challenge, "origin": a.Origin, "crossOrigin": a.CrossOrigin}
	if a.TopOrigin != "" {
		c["topOrigin"] = a.TopOrigin
	}
	text, err := json.Marshal(c)
	if err != nil {
		k.t.Fatal(err)
	}
	return text
}

func (k *softkey) tell(a answer, response map[string]any) string {
	k.t.Helper()
	whole := map[string]any{"id": raw64(a.ID), "rawId": raw64(a.ID), "type": a.Kind, "clientExtensionResults": map[string]any{}, "response": response}
	if a.JSON != nil {
		a.JSON(whole)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(text)
}

func (k *softkey) cbor(v any) []byte {
	k.t.Helper()
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		k.t.Fatal(err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

func raw64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

var optionsForm = regexp.MustCompile(`data-options="([^"]*)"`)

// optionsIn returns the options that a page has for its browser; empty when it has none.
func optionsIn(body string) string { return html.UnescapeString(firstGroup(optionsForm, body)) }

// within returns an answer's response, to be changed.
func within(whole map[string]any) map[string]any { return whole["response"].(map[string]any) }
