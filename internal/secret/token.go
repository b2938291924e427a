// Package secret owns what must not be read by others: random tokens and their hashes, the bounded pool that hashes what people
// choose, and the sealing of data at rest with keys from the key file.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
)

// Text is a secret that hides itself in logs and formats. Convert it to string where it is used.
type Text string

// LogValue hides the secret from slog.
func (Text) LogValue() slog.Value { return slog.StringValue("[secret]") }

// String hides the secret from fmt.
func (Text) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Text) GoString() string { return "[secret]" }

// Token returns a fresh random token of 256 bits: the prefix, which names its one purpose, and 43 URL-safe characters.
func Token(prefix string) Text {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand.Read documents so since Go 1.24)
	return Text(prefix + base64.RawURLEncoding.EncodeToString(b[:]))
}

// Digits returns a fresh random code of six decimal digits.
func Digits() Text {
	// 2^64 is not a multiple of 10^6; the bias is below 10^-13.
	var b [8]byte
	_, _ = rand.Read(b[:])
	return Text(fmt.Sprintf("%06d", binary.BigEndian.Uint64(b[:])%1_000_000))
}

// Hash returns the SHA-256 of a token, which is how tokens are stored: with 256 random bits nothing slower is needed.
func Hash(token Text) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}
