package mail

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
)

// receiver returns the address of s, which must be a bare one: no name, no group, no comment, no second address. Its domain comes
// back in IDNA form. What can't be written to by plain SMTP is a permanent failure.
func receiver(s string) (mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || (&mail.Address{Address: a.Address}).String() != "<"+s+">" {
		return mail.Address{}, &failure{text: "the receiver's address is malformed", permanent: true}
	}
	ascii, err := asciiAddress(a.Address)
	if err != nil {
		return mail.Address{}, &failure{text: "the receiver's address can't be written to: " + err.Error(), permanent: true}
	}
	return mail.Address{Address: ascii}, nil
}

// asciiAddress returns the address with its domain in IDNA form. Local parts beyond ASCII would need a path of servers that all
// offer SMTPUTF8 (RFC 6531), which nobody can promise; they are refused.
func asciiAddress(s string) (string, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 {
		return "", errors.New("it has no domain")
	}
	local := s[:at]
	for i := range len(local) {
		if local[i] < ' ' || local[i] > '~' {
			return "", errors.New("the part before @ has characters other than plain ASCII")
		}
	}
	domain, err := asciiHost(s[at+1:])
	if err != nil {
		return "", errors.New("its domain is not a host name")
	}
	if len(local) > 64 || len(local)+1+len(domain) > 254 { // RFC 5321 section 4.5.3.1
		return "", errors.New("it is too long")
	}
	return local + "@" + domain, nil
}

// asciiHost returns a host name in IDNA form (RFC 5891), unchanged when it is ASCII.
func asciiHost(host string) (string, error) {
	for i := range len(host) {
		if host[i] >= 0x80 {
			return idna.Lookup.ToASCII(host)
		}
	}
	return host, nil
}

// mailHost returns a host as it stands to the right of an @ or after EHLO: its IDNA form, or an address literal (RFC 5321
// section 4.1.3).
func mailHost(host string) (string, error) {
	if ip := net.ParseIP(host); ip != nil {
		if ip.To4() == nil {
			return "[IPv6:" + ip.String() + "]", nil
		}
		return "[" + ip.String() + "]", nil
	}
	ascii, err := asciiHost(host)
	if err != nil || !headerToken(ascii) {
		return "", fmt.Errorf("%q is not a host name", host)
	}
	return ascii, nil
}

// headerToken tells whether s is a word that needs no quoting in a header, a Message-ID or a file name.
func headerToken(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
		default:
			return false
		}
	}
	return s != "" && s[0] != '.'
}
