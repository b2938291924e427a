package sqldb

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// scopeLength is how many bytes of a scope's hash a mark carries: enough to notice a mix-up, which is all it is for.
const scopeLength = 6

// mostMark is the longest mark that is looked into, in bytes.
const mostMark = 4000

// Mark returns where a page of a list ended, as opaque text for an address: the keys of the last row in the order of the list. It is good in the
// same scope alone, which names the list, whose it is, its order and its filters. A mark is no secret and gives no right: whoever makes one up
// only begins somewhere else in a list that they may see.
func Mark(scope string, keys ...string) string {
	hash := sha256.Sum256([]byte(scope))
	text, _ := json.Marshal(keys) // texts always marshal
	return base64.RawURLEncoding.EncodeToString(append(hash[:scopeLength], text...))
}

// Unmark returns the n keys of a mark; false for whatever Mark did not make in that scope.
func Unmark(scope, mark string, n int) ([]string, bool) {
	if len(mark) > mostMark {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(mark)
	hash := sha256.Sum256([]byte(scope))
	if err != nil || len(raw) < scopeLength || string(raw[:scopeLength]) != string(hash[:scopeLength]) {
		return nil, false
	}
	var keys []string
	if err := json.Unmarshal(raw[scopeLength:], &keys); err != nil || len(keys) != n {
		return nil, false
	}
	for _, k := range keys {
		if strings.ContainsRune(k, 0) { // PostgreSQL has no such text
			return nil, false
		}
	}
	return keys, true
}

// Beginning returns the pattern for LIKE, with \ as its escape, of texts that begin with s or have a word that does, when a space is put before
// them: ' ' || name like $1 escape '\'. An empty s gives an empty pattern, which only an empty text is like.
func Beginning(s string) string {
	if s == "" {
		return ""
	}
	return "% " + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}
