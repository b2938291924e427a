package page

import (
	"net/url"
	"strings"
)

const pathMost = 2048 // bytes

// LocalPath returns s when it is a path of our own, with an optional query, that a person may be sent back to, else "". It is
// strict, because browsers and servers disagree on almost everything else: printable ASCII, one leading slash, no empty segment,
// no segment that begins with a dot, no backslash, no fragment; percent-encoding is allowed, but in the path not of a character
// that separates or decorates, and nowhere of a control character. The query may hold any address: who reads a return path from
// it asks LocalPath again.
func LocalPath(s string) string {
	if len(s) == 0 || len(s) > pathMost || s[0] != '/' {
		return ""
	}
	path, query, _ := strings.Cut(s, "?")
	if !printable(path, `/\.%@:;#?`) || !printable(query, "") || strings.ContainsAny(path, "@:;") {
		return ""
	}
	for i, segment := range strings.Split(path[1:], "/") {
		last := i == strings.Count(path, "/")-1
		if segment == "" && !last || strings.HasPrefix(segment, ".") {
			return ""
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") {
		return ""
	}
	return s
}

// printable tells whether s is visible ASCII without backslash and fragment, whose percent-encodings are whole and stand neither
// for a control character nor for one of refused.
func printable(s, refused string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return false
		}
		if c != '%' {
			continue
		}
		if i+2 >= len(s) {
			return false
		}
		decoded, err := url.PathUnescape(s[i : i+3])
		if err != nil || decoded[0] < ' ' || decoded[0] == 0x7f || strings.Contains(refused, decoded) {
			return false
		}
		i += 2
	}
	return true
}
