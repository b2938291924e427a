package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"doorward/internal/org"
	"doorward/internal/refusal"
)

// Email is an address, and the form in which it is compared.
type Email struct {
	Text string // for people and mail
	Key  string // local part case-folded, domain in lower-case ASCII (IDNA, RFC 5891)
}

// ParseEmail reads one address: a dot-atom local part (RFC 5322 section 3.2.3) and a domain name with at least one dot. Look-alikes in
// other scripts have another domain in ASCII and so stay distinct; a local part outside ASCII is refused. The refusal is at the field.
func ParseEmail(field, s string) (Email, *refusal.Error) {
	s = strings.TrimFunc(s, unicode.IsSpace)
	switch {
	case s == "":
		return Email{}, refusal.Field(field, "email.missing")
	case len(s) > 254:
		return Email{}, refusal.Field(field, "email.long")
	case !utf8.ValidString(s):
		return Email{}, refusal.Field(field, "email.form")
	}
	local, domain, ok := strings.Cut(s, "@") // the local part as it is: NFC makes ASCII of some look-alikes
	domain = norm.NFC.String(domain)
	if !ok || strings.Contains(domain, "@") || local == "" || len(local) > 64 || strings.HasPrefix(local, ".") ||
		strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return Email{}, refusal.Field(field, "email.form")
	}
	for _, r := range local {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if r > unicode.MaxASCII {
			return Email{}, refusal.Field(field, "email.ascii")
		}
		if !letter && !strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", r) {
			return Email{}, refusal.Field(field, "email.form")
		}
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !hostName(ascii) {
		return Email{}, refusal.Field(field, "email.form")
	}
	ascii = strings.ToLower(ascii)
	if len(local)+1+len(ascii) > 254 {
		return Email{}, refusal.Field(field, "email.long")
	}
	// The domain is kept in ASCII: what is shown is what is mailed, with no letter that looks like another one or like nothing.
	return Email{Text: local + "@" + ascii, Key: org.Fold(local) + "@" + ascii}, nil
}

// hostName tells whether s is a host name of two labels or more (RFC 1123 section 2.1).
func hostName(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return false
		}
		for _, r := range l {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') {
				return false
			}
		}
	}
	return len(labels) >= 2 && len(s) <= 253
}

// SplitEmails cuts a field with several addresses at commas, semicolons and white space.
func SplitEmails(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) })
}

// parseUsername reads a user name: 2 to 40 letters, digits, dots, hyphens and underscores, no @. Empty is none.
func parseUsername(s string) (text, key string, fault *refusal.Error) {
	s = strings.TrimSpace(norm.NFC.String(s))
	if s == "" {
		return "", "", nil
	}
	if n := utf8.RuneCountInString(s); n < 2 || n > 40 {
		return "", "", refusal.Field("username", "username.form")
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_') {
			return "", "", refusal.Field("username", "username.form")
		}
	}
	return s, org.Fold(s), nil
}
